# ===- program.py - Straight-line programs over tensors --------------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""A program is data: inputs, tensors that the module owns, lines of Python.

It can be run line by line (which the generator does while it is made, and the
minimizer to learn what each name holds), turned into an nn.Module whose forward
is its text, and written as a file that reproduces a failure on its own.

Terms:

  setting   the sizes of the dynamic dimensions, one number per symbol
  call      arguments for one setting; a program is called once per setting, one
            after the other, in the same context
"""

from __future__ import annotations

import dataclasses
import linecache
import re
from typing import Any

import torch

#: What the lines call dtypes. In double precision every float is `f64`.
DTYPES = {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16,
          "bf16": torch.bfloat16, "i64": torch.int64, "i32": torch.int32,
          "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8,
          "boolean": torch.bool}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)

SPECIAL = [0.0, -0.0, 1.0, -1.0, float("inf"), -float("inf"), float("nan"),
           0.5, -2.5, 3.5, 1e-3, 100.0]

# This function is also part of every reproducer, so it uses nothing but torch.
DATA = '''\
def data(shape, dtype, kind, seed, layout="plain"):
    """The values of a tensor; the same for the same arguments."""
    g = torch.Generator().manual_seed(seed)
    count = 1
    for size in shape:
        count *= size
    name, _, bound = kind.partition(":")
    if name == "index":
        value = torch.randint(0, max(int(bound), 1), (count,), generator=g)
    elif name == "unique":
        value = torch.randperm(max(int(bound), count), generator=g)[:count]
    elif dtype == torch.bool:
        value = torch.rand(count, generator=g) > 0.4
    elif name == "small" or not dtype.is_floating_point:
        low = 0 if dtype == torch.uint8 else -6
        value = torch.randint(low, 7, (count,), generator=g)
    elif name == "positive":
        value = torch.rand(count, generator=g, dtype=torch.float64) + 0.5
    elif name == "distinct":
        value = torch.randperm(count, generator=g) / 16.0 - min(count, 64) / 32
    elif name == "equal":
        # Rows of one number each, which no power of two divides evenly.
        length = shape[-1] if shape else 1
        rows = torch.randn(count // max(length, 1), generator=g,
                           dtype=torch.float64)
        value = rows.repeat_interleave(length)
    elif name == "offset":
        value = 1000 + 0.01 * torch.randn(count, generator=g,
                                          dtype=torch.float64)
    elif name == "far":
        value = 1.7e9 + 1000 * torch.randn(count, generator=g,
                                           dtype=torch.float64)
    elif name == "cancelling":
        # Each number and its opposite, but for a little.
        value = torch.randn(count, generator=g, dtype=torch.float64)
        value[1::2] = -value[:count // 2 * 2:2] * (1 + 2.0 ** -12)
    elif name == "zeros":
        table = torch.tensor([0.0, -0.0, -0.0, 1.0, -1.0], dtype=torch.float64)
        value = table[torch.randint(0, len(table), (count,), generator=g)]
    elif name == "special":
        table = torch.tensor(SPECIAL, dtype=torch.float64)
        value = table[torch.randint(0, len(table), (count,), generator=g)]
    else:
        value = torch.randn(count, generator=g, dtype=torch.float64)
    value = value.to(dtype)
    if layout == "reversed" and len(shape) > 1:
        return value.view(tuple(shape)[::-1]).permute(
            *range(len(shape) - 1, -1, -1))
    if layout == "strided" and shape:
        wide = value.view(shape).repeat_interleave(2, -1)
        return wide[..., ::2]
    return value.view(shape)
'''
_scope: dict[str, Any] = {"torch": torch, "SPECIAL": SPECIAL}
exec(DATA, _scope)
data = _scope["data"]


def copy_of(value: torch.Tensor, double: bool = False) -> torch.Tensor:
    """A tensor with the same strides and storage of its own; in f64 if it is
    of floats and `double`."""
    dtype = (torch.float64 if double and value.dtype in FLOATS
             else value.dtype)
    result = torch.empty_strided(value.shape, value.stride(), dtype=dtype)
    return result.copy_(value)


@dataclasses.dataclass
class Tensor:
    """An argument, parameter, buffer or constant of a program."""

    name: str
    #: Sizes; a text names the symbol of a dynamic one.
    shape: tuple[Any, ...]
    dtype: str
    kind: str = "normal"
    layout: str = "plain"
    #: "input", "parameter", "buffer" or "constant".
    role: str = "input"
    seed: int = 0

    def make(self, setting: dict[str, int], call: int = 0) -> torch.Tensor:
        shape = tuple(setting[s] if isinstance(s, str) else s
                      for s in self.shape)
        return data(shape, DTYPES[self.dtype], self.kind, self.seed + call,
                    self.layout)


_WORD = re.compile(r"\b[a-z]+\d+\b")


@dataclasses.dataclass
class Line:
    """``target`` is empty where the line only writes in place."""

    target: str
    text: str

    def __str__(self) -> str:
        return f"{self.target} = {self.text}" if self.target else self.text

    @property
    def uses(self) -> set[str]:
        return set(_WORD.findall(self.text))


@dataclasses.dataclass
class Symbol:
    name: str
    low: int
    high: int


@dataclasses.dataclass
class Program:
    seed: int
    tensors: list[Tensor]
    lines: list[Line]
    outputs: list[str]
    symbols: list[Symbol] = dataclasses.field(default_factory=list)
    settings: list[dict[str, int]] = dataclasses.field(
        default_factory=lambda: [{}])
    decomposed: bool = False
    #: Sizes are left to torch (Dim.AUTO): what lines assume of them is a guard.
    auto: bool = False
    #: More sizes to call with, which guards may refuse.
    probes: list[dict[str, int]] = dataclasses.field(default_factory=list)

    @property
    def inputs(self) -> list[Tensor]:
        return [t for t in self.tensors if t.role == "input"]

    @property
    def owned(self) -> list[Tensor]:
        return [t for t in self.tensors if t.role != "input"]

    def arguments(self, call: int) -> tuple[torch.Tensor, ...]:
        setting = [*self.settings, *self.probes][call]
        return tuple(t.make(setting, call) for t in self.inputs)

    def is_below_traced(self, call: int) -> bool:
        """Sizes of 0 or 1, which torch takes for others while it traces: its
        guards let them through, but what it says of shapes may not hold."""
        setting = [*self.settings, *self.probes][call]
        return self.auto and any(size < 2 for size in setting.values())

    def attribute(self, tensor: Tensor) -> str:
        """Unlike any other program's: several are entries of one artifact,
        where tensors of one name are one."""
        return f"{tensor.name}_{self.seed}"

    def source(self) -> str:
        """The text of the module's forward."""
        names = "".join(f", {t.name}" for t in self.inputs)
        body = [f"    {t.name} = self.{self.attribute(t)}" for t in self.owned]
        body += [f"    {line}" for line in self.lines]
        body.append(f"    return ({', '.join(self.outputs)},)")
        return "\n".join([f"def forward(self{names}):", *body]) + "\n"

    def module(self) -> torch.nn.Module:
        file = f"<seed {self.seed}>"
        source = self.source()
        names = scope()
        exec(compile(source, file, "exec"), names)
        linecache.cache[file] = (len(source), None,
                                 source.splitlines(keepends=True), file)
        kind = type("Program", (torch.nn.Module,),
                    {"forward": names["forward"]})
        module = kind()
        for tensor in self.owned:
            value, name = tensor.make({}), self.attribute(tensor)
            if tensor.role == "parameter":
                module.register_parameter(
                    name, torch.nn.Parameter(value, requires_grad=False))
            elif tensor.role == "buffer":
                module.register_buffer(name, value)
            else:
                setattr(module, name, value)
        return module.eval()

    def dynamic_shapes(self) -> Any:
        if not self.symbols:
            return None
        dims = {s.name: torch.export.Dim.AUTO if self.auto else
                torch.export.Dim(s.name, min=s.low, max=s.high)
                for s in self.symbols}
        return tuple(
            {i: dims[s] for i, s in enumerate(t.shape) if isinstance(s, str)}
            for t in self.inputs)

    def export(self) -> torch.export.ExportedProgram:
        shapes = self.dynamic_shapes()
        with torch.no_grad():
            return torch.export.export(self.module(), self.arguments(0),
                                       dynamic_shapes=shapes, strict=False)


def scope(double: bool = False) -> dict[str, Any]:
    """What a program's lines may name besides their own variables."""
    names: dict[str, Any] = {"torch": torch, "F": torch.nn.functional}
    for name, dtype in DTYPES.items():
        names[name] = torch.float64 if double and dtype in FLOATS else dtype
    return names


_REPRODUCER = '''\
"""{title}

{message}

    PYTHONPATH=python:test/python python {file}      (in Headrace's folder)
"""
import torch
import torch.nn.functional as F

import headrace
from contract import Oracle, compare_trees, same_bits

{dtypes} = (
    {values})
SPECIAL = [0.0, -0.0, 1.0, -1.0, float("inf"), -float("inf"), float("nan"),
           0.5, -2.5, 3.5, 1e-3, 100.0]


{data}

class Program(torch.nn.Module):
    def __init__(self):
        super().__init__()
{owned}
{forward}

calls = [
{calls}
]
with torch.no_grad():
    program = torch.export.export(Program().eval(), calls[0],
                                  dynamic_shapes={shapes}, strict=False)
    eager, oracle = program.module(check_guards={guarded}), Oracle(program)
{decompose}
models = [headrace.compile(program, opt=opt, target={target!r})
          for opt in {levels}]
contexts = [model.context(workers, fixed=True) for model in models for workers in (1, 2)]
for number, args in enumerate(calls):
    try:
        with torch.no_grad():
            eager(*[a.clone() for a in args]) if {guarded} else None
    except AssertionError as guard:
        print("call", number, "is refused by torch:", guard)
        for context in contexts:
            try:
                context(*[a.clone() for a in args])
            except headrace.Error as error:
                print(error)
            else:
                raise SystemExit("and not by us")
        continue
    wide = oracle(*args)
    ours = []
    for context in contexts:
        own = [a.clone() for a in args]
        ours.append((context(*own), own))
    own = [a.clone() for a in args]
    with torch.no_grad():
        true = eager(*own)
    for place, (result, written) in enumerate(ours):
        compare_trees(result, true, wide, f"call {{number}}, context {{place}}")
        compare_trees(written, own, own, f"call {{number}}, arguments")
        assert same_bits(result, ours[place // 2 * 2][0])
print("right")
'''


def write_reproducer(program: Program, file: str, title: str, message: str,
                     target: str, levels: list[int]) -> str:
    """The text of a file that fails as the program does."""
    owned = []
    for t in program.owned:
        name = program.attribute(t)
        value = f"data({t.shape}, {t.dtype}, {t.kind!r}, {t.seed}, {t.layout!r})"
        if t.role == "parameter":
            owned.append(f"        self.{name} = torch.nn.Parameter(\n"
                         f"            {value}, requires_grad=False)")
        elif t.role == "buffer":
            owned.append(f"        self.register_buffer({name!r}, {value})")
        else:
            owned.append(f"        self.{name} = {value}")
    calls = []
    for number, setting in enumerate([*program.settings, *program.probes]):
        values = []
        for t in program.inputs:
            shape = tuple(setting[s] if isinstance(s, str) else s
                          for s in t.shape)
            values.append(f"data({shape}, {t.dtype}, {t.kind!r}, "
                          f"{t.seed + number}, {t.layout!r})")
        calls.append("    (" + ",\n     ".join(values) + ",),")
    shapes = "None"
    if program.symbols:
        dims = {s.name: "torch.export.Dim.AUTO" if program.auto else
                f"torch.export.Dim({s.name!r}, min={s.low}, max={s.high})"
                for s in program.symbols}
        parts = ["{" + ", ".join(f"{i}: {dims[s]}"
                                 for i, s in enumerate(t.shape)
                                 if isinstance(s, str)) + "}"
                 for t in program.inputs]
        shapes = "(" + ", ".join(parts) + ",)"
    return _REPRODUCER.format(
        title=title, message=message.replace("\\", "\\\\").replace('"""', "'''"),
        file=file, dtypes=", ".join(DTYPES),
        values=",\n    ".join(str(d) for d in DTYPES.values()), data=DATA,
        owned="\n".join(owned) + ("\n" if owned else ""),
        forward="\n".join("    " + line
                          for line in program.source().splitlines()),
        calls="\n".join(calls), shapes=shapes, target=target, levels=levels,
        guarded=program.auto or bool(program.symbols),
        decompose=("    program = program.run_decompositions({})"
                   if program.decomposed else ""))
