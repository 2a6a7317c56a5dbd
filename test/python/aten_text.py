# ===- aten_text.py - Runs the text of the aten phase with torch -----------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""An interpreter of printed modules whose calls are functional.

It shares nothing with the compiler: each call goes to torch's own operator and
the hr ops of this level are a few lines of indexing, so that a module after
`aten-functionalize` can be compared with eager itself.
"""

from __future__ import annotations

import itertools
import re
import struct

import torch

DTYPES = {
    "f64": torch.float64, "f32": torch.float32, "f16": torch.float16,
    "bf16": torch.bfloat16, "i64": torch.int64, "i32": torch.int32,
    "i16": torch.int16, "i8": torch.int8, "ui8": torch.uint8,
    "i1": torch.bool, "complex<f32>": torch.complex64,
    "complex<f64>": torch.complex128,
}
FORMATS = {
    "contiguous": torch.contiguous_format, "preserve": torch.preserve_format,
    "channels_last": torch.channels_last,
    "channels_last_3d": torch.channels_last_3d,
}


class Operand(int):
    """`#aten.value<i>`."""


def evaluate(text, symbols):
    """The value of a symbolic size."""
    text = text.replace("floordiv", "//").replace("mod", "%")
    return eval(text, {"min": min, "max": max}, symbols)  # Our own output.


TOKEN = re.compile(
    r"\s*(?:(?P<value>#aten\.value<(\d+)>)|(?P<none>#aten\.none)"
    r'|#hr\.size<"(?P<size>[^"]*)">|#aten\.device<"(?P<device>[^"]*)">'
    r"|#aten\.memory_format<(?P<format>\w+)>"
    r"|#aten\.torch_layout<(?P<layout>\w+)>"
    r"|(?P<bool>true|false)\b|(?P<hex>0x[0-9A-F]+)(?: : f64)?"
    r"|(?P<float>-?\d+\.\d+E?e?[+-]?\d*)(?: : f64)?|(?P<int>-?\d+)(?: : i64)?"
    r'|"(?P<string>(?:[^"\\]|\\.)*)"|(?P<dtype>complex<\w+>|u?i\d+|b?f\d+)'
    r"|(?P<open>\[)|(?P<close>\])|(?P<comma>,))")


def parse_list(text, at, symbols):
    """A bracketed list of attributes and the position behind it."""
    stack, result = [], None
    while True:
        match = TOKEN.match(text, at)
        if not match:
            raise ValueError(f"cannot parse: {text[at:at + 60]}")
        at, kind = match.end(), match.lastgroup
        if kind == "comma":
            continue
        if kind == "open":
            stack.append([])
            continue
        if kind == "close":
            item = stack.pop()
            if not stack:
                return item, at
        elif match["value"]:
            item = Operand(match[2])
        elif match["none"]:
            item = None
        elif match["size"] is not None:
            item = evaluate(match["size"], symbols)
        elif match["device"]:
            item = torch.device("cpu")
        elif match["format"]:
            item = FORMATS[match["format"]]
        elif match["layout"]:
            item = torch.strided
        elif match["bool"]:
            item = match["bool"] == "true"
        elif match["hex"]:
            item = struct.unpack(">d", bytes.fromhex(match["hex"][2:]))[0]
        elif match["float"]:
            item = float(match["float"])
        elif match["int"]:
            item = int(match["int"])
        elif match["string"] is not None:
            item = match["string"]
        else:
            item = DTYPES[match["dtype"]]
        stack[-1].append(item)


def indices(map_text, offsets, dims):
    """Flat lists of the positions that a strided map selects, per dimension."""
    names, results = re.fullmatch(
        r"\((.*)\) -> \((.*)\)", map_text.strip()).groups()
    names = [n.strip() for n in names.split(",") if n.strip()]
    results = [r.strip() for r in results.split(",") if r.strip()]
    positions = [[] for _ in results]
    for point in itertools.product(*(range(d) for d in dims)):
        scope = dict(zip(names, point))
        for d, expr in enumerate(results):
            positions[d].append(offsets[d] + eval(expr, {}, scope))
    return tuple(torch.tensor(p, dtype=torch.int64) for p in positions)


class Program:
    """A module with one entry."""

    def __init__(self, text):
        self.maps = dict(
            re.findall(r"^(#map\d*) = affine_map<(.*)>$", text, re.M))
        self.states = dict(re.findall(
            r'^\s*hr\.state @("[^"]*"|\S+) : (\S+)', text, re.M))
        header = re.search(r"func\.func @\S+?\((.*)\) -> ", text)
        header = header or re.search(r"func\.func @\S+?\((.*)\)", text)
        self.arguments = re.findall(
            r"(%arg\d+): tensor<.*?> \{hr\.dims = \[(.*?)\], hr\.name = "
            r'"(.*?)"\}', header[1])
        self.mutates = [
            int(i) for i in re.findall(r"hr\.mutates = (\d+)", text)]
        body = text[header.end():]
        self.lines = [line.strip() for line in body.splitlines()]

    def run(self, args, data):
        """The results; `data` maps names to tensors, and takes new states."""
        values, symbols = {}, {}
        for (name, dims, _), tensor in zip(self.arguments, args):
            values[name] = tensor
            for size, dim in zip(re.findall(r'"([^"]*)"', dims), tensor.shape):
                if re.fullmatch(r"[a-z]\w*", size):
                    symbols[size] = dim
        for line in self.lines:
            if line.startswith("return"):
                names = re.match(r"return ([^:]*):", line)
                return [values[n.strip()] for n in names[1].split(",")] \
                    if names else []
            if "= " in line and line.startswith("%"):
                target, line = line.split(" = ", 1)
                result = self.step(line, values, symbols, data)
                target, _, count = target.partition(":")
                if count:
                    for i, element in enumerate(result):
                        values[f"{target}#{i}"] = element
                else:
                    values[target] = result[0] if isinstance(
                        result, (list, tuple)) else result
            elif line.startswith(("aten.", "hr.")):
                self.step(line, values, symbols, data)
        raise ValueError("no return")

    def step(self, line, values, symbols, data):
        if match := re.match(r'aten\.call "([\w.]+)"\((.*?)\) ', line):
            operands = [values[n.strip()]
                        for n in match[2].split(",") if n.strip()]
            args, _ = parse_list(line, match.end(), symbols)
            return call(match[1], operands, args)
        if match := re.match(r"hr\.(constant|read_state) \[@(\S+?)\]", line):
            return data[match[2].strip('"')].clone()
        if match := re.match(r"hr\.write_state (\S+), \[@(\S+?)\]", line):
            data[match[2].strip('"')] = values[match[1]].clone()
            return None
        if match := re.match(r"hr\.reshape (\S+) to ", line):
            dims, _ = parse_list(line, match.end(), symbols)
            return values[match[1]].reshape(dims)
        if match := re.match(r"hr\.update (\S+) with (\S+) at ", line):
            offsets, at = parse_list(line, match.end(), symbols)
            name = re.match(r" map (#map\d*)", line[at:])
            base, value = values[match[1]].clone(), values[match[2]]
            where = indices(self.maps[name[1]], offsets, value.shape)
            if where:
                base[where] = value.reshape(-1)
            else:
                base = value.reshape(base.shape)
            return base
        raise ValueError(f"unknown op: {line}")


def call(name, operands, args):
    namespace, operator, overload = name.split(".")
    op = getattr(getattr(getattr(torch.ops, namespace), operator), overload)

    def resolve(arg):
        if isinstance(arg, Operand):
            return operands[arg]
        return [resolve(a) for a in arg] if isinstance(arg, list) else arg

    schema = op._schema
    assert not schema.is_mutable, f"{name} writes"
    positional, keywords = [], {}
    for arg, spec in zip(args, schema.arguments, strict=True):
        if spec.kwarg_only:
            keywords[spec.name] = resolve(arg)
        else:
            positional.append(resolve(arg))
    return op(*positional, **keywords)
