# ===- operators.py - What the lines of a program do -----------------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""A table of functions, each of which adds a line or a few to a program.

Each takes the Generator, finds operands that suit it, and defines values or
writes to some. Where nothing suits, it raises Reject and another is drawn.
Arguments stay where an operator is well conditioned: what is looked for is
wrong programs, not the rounding of sums that cancel.
"""

from __future__ import annotations

from typing import Callable

import torch

from generate import LARGEST, Generator, Reject, Value

#: Function -> how often it is drawn.
TABLE: dict[Callable[[Generator], None], float] = {}


def often(weight: float) -> Callable[[Callable[[Generator], None]],
                                     Callable[[Generator], None]]:
    def register(function: Callable[[Generator], None]
                 ) -> Callable[[Generator], None]:
        TABLE[function] = weight
        return function
    return register


# ---------------------------------------------------------------- elementwise

_SMOOTH = ["torch.tanh({0})", "torch.sigmoid({0})", "F.relu({0})",
           "F.gelu({0})", "F.silu({0})", "torch.sin({0})", "torch.cos({0})",
           "torch.erf({0})", "{0}.abs()", "-{0}", "{0} * {0}",
           "F.gelu({0}, approximate='tanh')", "F.softplus({0})",
           "F.leaky_relu({0}, 0.1)", "F.elu({0})", "F.hardswish({0})",
           "torch.exp(-{0}.abs())", "torch.log({0}.abs() + 0.5)",
           "torch.rsqrt({0}.abs() + 0.5)", "torch.sqrt({0}.abs() + 0.25)",
           "torch.reciprocal({0}.abs() + 0.5)", "torch.log1p({0}.abs())",
           "F.relu6({0})", "torch.clamp({0}, -1.0, 2.0)", "torch.atan({0})",
           "F.mish({0})", "F.logsigmoid({0})", "{0}.abs().pow(1.5)",
           "torch.square({0})", "{0}.pow(3)", "torch.expm1(-{0}.abs())",
           "F.hardtanh({0})", "F.hardsigmoid({0})", "torch.nan_to_num({0})"]
_DISCRETE = ["torch.floor({0})", "torch.ceil({0})", "torch.round({0})",
             "torch.trunc({0})", "torch.sign({0})", "torch.isnan({0})",
             "torch.isfinite({0})", "torch.logical_not({0})",
             "torch.frac({0})"]
_NUMBERS = ["0.5", "2", "-1.25", "0.1", "3", "1", "0"]


@often(8)
def unary(g: Generator) -> None:
    v = g.floating()
    g.define(g.choose(_SMOOTH).format(v))


@often(1.5)
def discrete(g: Generator) -> None:
    g.define(g.choose(_DISCRETE).format(g.floating(also=lambda v: v.exact)))


@often(10)
def binary(g: Generator) -> None:
    a = g.floating()
    b = g.broadcastable(a, lambda v: v.is_float)
    form = g.weighted({
        "{0} + {1}": 5, "{0} - {1}": 4, "{0} * {1}": 5,
        "torch.maximum({0}, {1})": 2, "torch.minimum({0}, {1})": 1,
        "{0} / ({1}.abs() + 0.5)": 2, "torch.add({0}, {1}, alpha=0.5)": 1,
        "torch.atan2({0}, {1}.abs() + 0.5)": 0.3,
        "torch.logaddexp({0}, {1})": 0.3, "torch.lerp({0}, {1}, 0.25)": 0.3,
        "torch.addcmul({0}, {1}, {1}, value=0.5)": 0.5,
        "torch.fmax({0}, {1})": 0.2, "torch.hypot({0}, {1})": 0.2,
        "torch.copysign({0}, {1})": 0.2, "torch.rsub({0}, {1})": 0.3})
    if "lerp" in form and a.dtype != b.dtype:
        raise Reject
    if g.chance(0.5):
        a, b = b, a
    g.define(form.format(a, b))


@often(3)
def with_number(g: Generator) -> None:
    v = g.find(lambda v: not v.is_bool)
    form = g.choose(["{0} + {1}", "{0} * {1}", "{1} - {0}", "{0} - {1}",
                     "torch.maximum({0}, torch.tensor({1}))"])
    number = g.choose(_NUMBERS)
    if v.is_integer and g.chance(0.7):
        number = g.choose(["1", "2", "3", "7"])
    g.define(form.format(v, number))


@often(2)
def divide(g: Generator) -> None:
    v = g.floating()
    g.define(g.choose(["{0} / {1}", "{0}.div({1})"]).format(
        v, g.choose(["3.0", "2", "7", "0.3"])))


@often(3)
def integers(g: Generator) -> None:
    a = g.find(lambda v: v.is_integer and v.largest < 1e4)
    b = g.broadcastable(a, lambda v: v.is_integer and v.largest < 1e4)
    form = g.choose([
        "{0} + {1}", "{0} - {1}", "{0} * {1}", "torch.maximum({0}, {1})",
        "{0} & {1}", "{0} | {1}", "{0} ^ {1}", "{0} // ({1}.abs() + 1)",
        "{0} % ({1}.abs() + 3)", "{0} // 3", "{0} % 5", "-{0}", "{0}.abs()",
        "torch.fmod({0}, 4)", "{0} / 4", "{0} << 2", "{0} >> 1", "{0} ** 2",
        "torch.bitwise_not({0})", "torch.clamp({0}, -3, 5)",
        "torch.div({0}, 3, rounding_mode='trunc')"])
    if "// (" in form or "% (" in form:
        # abs() of the least integer is negative.
        if b.dtype == torch.int8 and b.largest >= 128:
            raise Reject
    g.define(form.format(a, b))


@often(3)
def compare(g: Generator) -> None:
    a = g.find(lambda v: v.exact)
    form = g.choose(["{0} > {1}", "{0} <= {1}", "{0} == {1}", "{0} != {1}",
                     "{0} < {1}", "{0} >= {1}", "torch.logical_and({0}, {1})",
                     "torch.logical_or({0}, {1})",
                     "torch.logical_xor({0}, {1})"])
    if g.chance(0.4):
        g.define(form.format(a, g.choose(["torch.tensor(0)",
                                          "torch.tensor(1.5)"])))
        return
    g.define(form.format(a, g.broadcastable(a, lambda v: v.exact)))


@often(1)
def booleans(g: Generator) -> None:
    a = g.find(lambda v: v.is_bool)
    b = g.broadcastable(a, lambda v: v.is_bool)
    g.define(g.choose(["{0} & {1}", "{0} | {1}", "{0} ^ {1}", "~{0}"]
                      ).format(a, b))


@often(3)
def select_by_mask(g: Generator) -> None:
    v = g.find()
    if g.chance(0.6):
        mask = g.broadcastable(v, lambda m: m.is_bool)
    else:
        mask = g.tensor(v.shape[-1:] if v.static else (), "boolean")
    form = g.weighted({
        "torch.where({m}, {v}, {w})": 3, "{v}.masked_fill({m}, 0)": 2,
        "{v}.masked_fill({m}, float('-inf'))": 0.3,
        "torch.where({m}, {v}, 0.0)": 1})
    if "inf" in form and not v.is_float:
        raise Reject
    w = g.broadcastable(v) if "{w}" in form else v
    g.define(form.format(m=mask, v=v, w=w))


@often(3)
def cast(g: Generator) -> None:
    v = g.find()
    to = g.weighted({"f32": 4, "bf16": 2, "f16": 1, "f64": 1, "i64": 1,
                     "i32": 1, "u8": 0.3, "i8": 0.3, "i16": 0.3,
                     "boolean": 0.5})
    is_float = to in ("f32", "bf16", "f16", "f64")
    if v.is_float and not is_float:
        # Out of range is undefined in eager too; near an integer is a choice.
        limit = 1 if to == "u8" else 100
        if not v.exact or not v.finite or v.largest > limit:
            raise Reject
        if to == "u8":
            g.define(f"{v}.abs().to(u8)")
            return
    result = g.define(f"{v}.to({to})", cap=1e9)
    if v.is_float and is_float:
        # In double precision both are one storage.
        g.freeze(v)
        g.freeze(result)


# ---------------------------------------------------------------------- views

@often(3)
def transpose(g: Generator) -> None:
    v = g.find(lambda v: v.rank >= 2)
    if g.chance(0.6):
        g.define(f"{v}.transpose({g.dim(v)}, {g.dim(v)})")
    else:
        order = list(range(v.rank))
        g.random.shuffle(order)
        g.define(f"{v}.permute({tuple(order)})")


@often(3)
def reshape(g: Generator) -> None:
    v = g.find(lambda v: v.rank >= 1)
    word = g.choose(["reshape", "reshape", "view"])
    if g.chance(0.5) and v.rank >= 2:
        start = g.number(0, v.rank - 2)
        end = g.number(start + 1, v.rank - 1)
        if word == "reshape":
            g.define(f"{v}.flatten({start}, {end})")
            return
        sizes = [v.size(d) for d in range(start)] + ["-1"]
        sizes += [v.size(d) for d in range(end + 1, v.rank)]
        g.define(f"{v}.view({', '.join(sizes)})")
        return
    dim = g.dim(v, lambda d: v.is_static(d) and v.shape[d] > 1) % v.rank
    size = v.shape[dim]
    factor = g.choose(f for f in range(1, size + 1) if size % f == 0)
    pieces = [str(factor), str(size // factor)]
    if g.chance(0.3):
        g.define(f"{v}.unflatten({dim}, ({', '.join(pieces)}))")
        return
    sizes = [v.size(d) for d in range(v.rank)]
    sizes[dim:dim + 1] = pieces
    if v.static and g.chance(0.5):
        # Across the dimensions: any two factors of the whole.
        count = v.elements()
        factor = g.choose(f for f in range(1, 70) if count % f == 0)
        sizes = [str(factor), str(count // factor)]
    g.define(f"{v}.{word}({', '.join(sizes)})")


@often(4)
def slices(g: Generator) -> None:
    v = g.find(lambda v: v.rank >= 1)
    g.define(g_slice(g, v))


def g_slice(g: Generator, v: Value) -> str:
    """The text of a basic index of v."""
    index = []
    for dim in range(v.rank):
        size = min(shape[dim] for shape in v.shapes)
        static = v.is_static(dim)
        kind = g.weighted({"all": 3, "from": 1, "to": 1, "both": 1,
                           "step": 1, "one": 1, "none": 0.2, "last": 0.5})
        if size < 2 or kind == "all":
            index.append(":")
        elif kind == "from":
            index.append(f"{g.number(0, size - 1)}:")
        elif kind == "to":
            index.append(f":{g.number(1, size)}" if static or g.chance(0.5)
                         else f":-{g.number(1, size - 1)}")
        elif kind == "both":
            start = g.number(0, size - 1)
            index.append(f"{start}:{g.number(start, size)}")
        elif kind == "step":
            index.append(f"{g.choose(['', '1'])}::{g.number(2, 3)}"
                         .replace("1::", "1::"))
        elif kind == "one":
            index.append(str(g.number(0, size - 1)))
        elif kind == "last":
            index.append(g.choose(["-1", "-1:", ":-1"]))
        else:
            index.append("None, :")
    while index and index[-1] == ":" and g.chance(0.5):
        index.pop()
    if g.chance(0.15):
        kept = index[-1:] if index else []
        return f"{v}[{', '.join(['...', *kept])}]" if kept else f"{v}[...]"
    return f"{v}[{', '.join(index)}]" if index else f"{v}[None]"


@often(3)
def units(g: Generator) -> None:
    v = g.find(lambda v: v.rank < 5)
    if g.chance(0.6):
        g.define(f"{v}.unsqueeze({g.number(-v.rank - 1, v.rank)})")
    elif v.rank:
        dim = g.dim(v, lambda d: v.is_static(d) and v.shape[d] == 1)
        g.define(f"{v}.squeeze({dim})")


@often(2)
def expand(g: Generator) -> None:
    v = g.find(lambda v: v.rank < 5)
    sizes = []
    for dim in range(v.rank):
        unit = v.is_static(dim) and v.shape[dim] == 1
        sizes.append(str(g.number(2, 9)) if unit and g.chance(0.8) else "-1")
    if g.chance(0.5):
        sizes.insert(0, str(g.number(1, 5)))
    if not sizes:
        raise Reject
    g.define(f"{v}.expand({', '.join(sizes)})")


@often(2)
def pieces(g: Generator) -> None:
    v = g.find(lambda v: v.rank >= 1)
    dim = g.static_dim(v)
    size = v.shape[dim]
    if size < 2:
        raise Reject
    form = g.weighted({"chunk": 2, "split": 2, "unbind": 1, "narrow": 2,
                       "select": 1})
    if form == "chunk":
        count = g.number(2, min(4, size))
        made = -(-size // -(-size // count))
        g.define(f"{v}.chunk({count}, {dim})[{g.number(0, made - 1)}]")
    elif form == "split":
        first = g.number(1, size - 1)
        g.define(f"{v}.split([{first}, {size - first}], {dim})"
                 f"[{g.number(0, 1)}]")
    elif form == "unbind":
        g.define(f"{v}.unbind({dim})[{g.number(0, size - 1)}]")
    elif form == "narrow":
        start = g.number(0, size - 1)
        g.define(f"{v}.narrow({dim}, {start}, {g.number(1, size - start)})")
    else:
        g.define(f"{v}.select({dim}, {g.number(-1, size - 1)})")


@often(2)
def moves(g: Generator) -> None:
    v = g.find(lambda v: v.rank >= 1)
    d = g.dim(v)
    form = g.weighted({
        f"{v}.flip({d})": 2, f"torch.roll({v}, {g.number(-3, 5)}, {d})": 2,
        f"{v}.contiguous()": 2, f"{v}.clone()": 1,
        f"{v}.repeat_interleave({g.number(1, 3)}, {d})": 1,
        f"torch.movedim({v}, {d}, {g.dim(v)})": 1, f"{v}.detach()": 0.3})
    g.define(form)


@often(1)
def repeat(g: Generator) -> None:
    v = g.find(lambda v: 1 <= v.rank < 5)
    counts = [str(g.number(1, 3)) for _ in range(v.rank)]
    if g.chance(0.3):
        counts.insert(0, "2")
    g.define(f"{v}.repeat({', '.join(counts)})")


@often(1)
def diagonals(g: Generator) -> None:
    v = g.find(lambda v: v.rank >= 2)
    form = g.choose(["{v}.tril({k})", "{v}.triu({k})",
                     "torch.diagonal({v}, {k}, -2, -1)", "{v}.tril()"])
    g.define(form.format(v=v, k=g.number(-2, 3)))


@often(1)
def windows(g: Generator) -> None:
    v = g.find(lambda v: v.rank >= 1)
    dim = g.static_dim(v)
    size = g.number(1, max(1, v.shape[dim]))
    g.define(f"{v}.unfold({dim}, {size}, {g.number(1, 3)})")


# -------------------------------------------------------------------- joining

@often(4)
def join(g: Generator) -> None:
    a = g.find(lambda v: v.rank >= 1)
    dim = g.dim(a)
    def fits(v: Value) -> bool:
        return v.rank == a.rank and all(
            p[:dim % a.rank] + p[dim % a.rank + 1:]
            == q[:dim % a.rank] + q[dim % a.rank + 1:]
            for p, q in zip(v.shapes, a.shapes))
    others = [g.find(fits) for _ in range(g.number(1, 2))]
    parts = [a, *others]
    g.random.shuffle(parts)
    if g.chance(0.3) and all(p.shapes == a.shapes for p in parts):
        g.define(f"torch.stack([{', '.join(map(str, parts))}], "
                 f"{g.number(-a.rank - 1, a.rank)})")
    else:
        g.define(f"torch.cat([{', '.join(map(str, parts))}], {dim})")


@often(2)
def pad(g: Generator) -> None:
    v = g.find(lambda v: v.rank >= 1 and not v.is_bool)
    mode = g.weighted({"constant": 4, "reflect": 1, "replicate": 1,
                       "circular": 1})
    if mode == "constant":
        count = g.number(1, min(3, v.rank))
        sizes = [g.number(-1 if g.chance(0.2) else 0, 3)
                 for _ in range(2 * count)]
        g.define(f"F.pad({v}, {tuple(sizes)}, value={g.choose(_NUMBERS)})")
        return
    count = g.number(1, 2)
    if v.rank not in (count + 1, count + 2):
        raise Reject
    sizes = [g.number(0, 2) for _ in range(2 * count)]
    g.define(f"F.pad({v}, {tuple(sizes)}, mode='{mode}')")


# ----------------------------------------------------------------- reductions

@often(7)
def reduce(g: Generator) -> None:
    v = g.floating(rank=1, also=lambda v: v.elements() > 0)
    dims = g.dims(v)
    keep = g.choose(["", ", keepdim=True"])
    g.define(g.weighted({
        f"{v}.sum({dims}{keep})": 3, f"{v}.mean({dims}{keep})": 3,
        f"{v}.amax({dims}{keep})": 2, f"{v}.amin({dims}{keep})": 1,
        f"{v}.sum()": 0.5, f"{v}.mean()": 0.5, f"{v}.max()": 0.5,
        f"{v}.var({dims[0]}, correction=0{keep})": 1,
        f"{v}.std({dims[0]}, correction=0{keep})": 0.3,
        f"{v}.var({dims}, correction=0{keep})": 0.5,
        f"{v}.logsumexp({dims}{keep})": 0.7,
        f"torch.linalg.vector_norm({v}, dim={dims}{keep})": 0.7,
        f"{v}.max({dims[0]}{keep})[0]": 1, f"{v}.min({dims[0]}{keep})[0]": 1,
        f"{v}.abs().sum({dims}{keep}).clamp_min(1e-3)": 0.5}))


@often(3)
def reduce_integers(g: Generator) -> None:
    v = g.find(lambda v: not v.is_float and v.rank and v.elements() > 0)
    dims = g.dims(v)
    keep = g.choose(["", ", keepdim=True"])
    form = g.weighted({
        f"{v}.sum({dims}{keep})": 3, f"{v}.amax({dims}{keep})": 2,
        f"{v}.any({dims[0]}{keep})": 1, f"{v}.all({dims[0]}{keep})": 1,
        f"torch.count_nonzero({v}, dim={dims[0]})": 1,
        f"{v}.sum({dims[0]}, dtype=i32)": 0.5, f"{v}.any()": 0.3,
        f"{v}.cumsum({dims[0]})": 1})
    g.define(form)


@often(2)
def positions(g: Generator) -> None:
    v = g.find(lambda v: v.exact and v.rank and v.elements() > 0
               and not v.is_bool)
    d = g.dim(v)
    keep = g.choose(["", ", keepdim=True"])
    g.define(g.choose([f"{v}.argmax({d}{keep})", f"{v}.argmin({d}{keep})",
                       f"{v}.argmax()", f"{v}.argmin()"]))


@often(2)
def scans(g: Generator) -> None:
    v = g.floating(rank=1)
    d = g.dim(v)
    if g.chance(0.8):
        g.define(f"torch.cumsum({v}, {d})")
    else:
        g.define(f"torch.cumprod(torch.tanh({v}) + 0.5, {d})")


@often(2)
def sorts(g: Generator) -> None:
    v = g.find(lambda v: v.rank and v.exact and not v.is_bool)
    d = g.dim(v)
    size = min(shape[d] for shape in v.shapes)
    if size < 1:
        raise Reject
    largest = g.choose(["True", "False"])
    forms = [f"{v}.sort({d}, descending={largest})[0]",
             f"torch.sort({v}, dim={d}, stable=True)[1]",
             f"torch.topk({v}, {g.number(1, min(size, 8))}, {d}, "
             f"largest={largest})[0]"]
    g.define(g.choose(forms))


# ------------------------------------------------------- softmax and the like

@often(6)
def softmax(g: Generator) -> None:
    v = g.floating(rank=1, also=lambda v: v.elements() > 0)
    d = g.dim(v)
    kind = g.weighted({"softmax": 3, "log_softmax": 1, "written": 2,
                       "unstable": 1, "masked": 1})
    if kind in ("softmax", "log_softmax"):
        g.define(f"torch.{kind}({v}, {d})")
    elif kind == "written":
        m = g.define(f"{v}.amax({d}, keepdim=True)")
        e = g.define(f"torch.exp({v} - {m})")
        s = g.define(f"{e}.sum({d}, keepdim=True)")
        g.define(f"{e} / {s}")
    elif kind == "unstable":
        e = g.define(f"torch.exp(torch.tanh({v}))")
        g.define(f"{e} / {e}.sum({d}, keepdim=True)")
    else:
        mask = g.broadcastable(v, lambda m: m.is_bool)
        w = g.define(f"{v}.masked_fill({mask}, -1e4)", cap=1e9)
        g.define(f"torch.softmax({w}, {d})")


@often(4)
def normalize(g: Generator) -> None:
    v = g.floating(rank=1, also=lambda v: v.elements() > 0)
    d = -1
    if not v.is_static(v.rank - 1):
        raise Reject
    size, name = v.shape[-1], {torch.float64: "f64", torch.float32: "f32",
                               torch.float16: "f16",
                               torch.bfloat16: "bf16"}[v.dtype]
    kind = g.weighted({"layer": 3, "rms": 2, "written": 2, "written_rms": 2,
                       "group": 1, "instance": 0.5, "batch": 1})
    eps = g.weighted({"1e-5": 3, "1e-12": 1})
    weight = bias = "None"
    if kind in ("layer", "rms") and g.chance(0.7):
        weight = str(g.tensor((size,), name, "positive", "parameter"))
        bias = str(g.tensor((size,), name, "normal", "parameter"))
    if kind == "layer":
        g.define(f"F.layer_norm({v}, ({size},), {weight}, {bias}, {eps})")
    elif kind == "rms":
        g.define(f"F.rms_norm({v}, ({size},), {weight}, eps=1e-3)")
    elif kind == "written":
        m = g.define(f"{v}.mean({d}, keepdim=True)")
        c = g.define(f"{v} - {m}")
        s = g.define(f"({c} * {c}).mean({d}, keepdim=True)")
        g.define(f"{c} * torch.rsqrt({s} + 1e-2)")
    elif kind == "written_rms":
        s = g.define(f"{v}.pow(2).mean({d}, keepdim=True)")
        g.define(f"{v} * torch.rsqrt({s} + 1e-2)")
    elif kind == "group":
        if v.rank < 2 or not v.is_static(1):
            raise Reject
        groups = g.choose(f for f in range(1, v.shape[1] + 1)
                          if v.shape[1] % f == 0)
        g.define(f"F.group_norm({v}, {groups}, eps={eps})")
    elif kind == "instance":
        if v.rank < 3 or not v.is_static(1) or v.elements() <= v.shape[0] * (
                v.shape[1]):
            raise Reject
        g.define(f"F.instance_norm({v}, eps={eps})")
    else:
        if v.rank < 2 or not v.is_static(1):
            raise Reject
        c = v.shape[1]
        mean, var = (g.tensor((c,), name, k, "parameter")
                     for k in ("normal", "positive"))
        g.define(f"F.batch_norm({v}, {mean}, {var}, None, None, False)")


# ------------------------------------------------------------------- products

def dtype_name(v: Value) -> str:
    from program import NAMES
    return NAMES[v.dtype]


@often(8)
def linear(g: Generator) -> None:
    v = g.floating(rank=1, also=lambda v: v.is_static(v.rank - 1)
                   and v.shape[-1] > 0)
    k, n = v.shape[-1], g.size()
    if k * n > LARGEST:
        raise Reject
    w = g.tensor((n, k), dtype_name(v), "normal", "parameter")
    form = g.weighted({"F.linear({v}, {w})": 2, "F.linear({v}, {w}, {b})": 3,
                       "{v} @ {w}.t()": 2, "torch.matmul({v}, {w}.t()) + {b}":
                       1, "{v} @ {w}.t() / 4 + {b}": 1})
    b = g.tensor((n,), dtype_name(v), "normal", "parameter")
    y = g.define(form.format(v=v, w=w, b=b))
    if g.chance(0.5):
        y = g.define(g.choose(_SMOOTH[:8]).format(y))
    if g.chance(0.3) and n == k:
        g.define(f"{y} + {v}")


@often(5)
def product(g: Generator) -> None:
    a = g.floating(rank=2)
    def fits(v: Value) -> bool:
        return (v.dtype == a.dtype and v.rank >= 2 and all(
            p[-1] == q[-2] for p, q in zip(a.shapes, v.shapes)))
    def transposed(v: Value) -> bool:
        return (v.dtype == a.dtype and v.rank >= 2 and all(
            p[-1] == q[-1] for p, q in zip(a.shapes, v.shapes)))
    if g.chance(0.4):
        b = g.find(transposed)
        g.define(f"{a} @ {b}.transpose(-1, -2)")
    elif g.chance(0.5):
        b = g.find(fits)
        g.define(f"torch.matmul({a}, {b})")
    else:
        if not a.is_static(a.rank - 1) or a.shape[-1] == 0:
            raise Reject
        n = g.size()
        if n * a.shape[-1] > LARGEST:
            raise Reject
        shape: tuple[int, ...] = (a.shape[-1], n)
        if a.rank == 3 and a.is_static(0) and g.chance(0.5):
            shape = (a.shape[0], *shape)
            if shape[0] * shape[1] * n > LARGEST:
                raise Reject
        b = g.tensor(shape, dtype_name(a), "normal")
        g.define(f"{a} @ {b}")


@often(2)
def other_products(g: Generator) -> None:
    a = g.floating(rank=1)
    same = lambda v: v.dtype == a.dtype and v.shapes == a.shapes
    forms: list[str] = []
    b = g.find(same)
    if a.rank == 1:
        forms = [f"torch.dot({a}, {b})", f"torch.outer({a}, {b})"]
    if a.rank == 2:
        forms = [f"torch.einsum('ij,ij->i', {a}, {b})",
                 f"torch.einsum('ij,ik->jk', {a}, {b})",
                 f"torch.einsum('ij,kj->ki', {a}, {b})",
                 f"torch.mm({a}, {b}.t())", f"torch.mv({a}, {b}[0])",
                 f"torch.addmm({a}[:, :1], {a}, {b}.t(), beta=0.5)"]
    if a.rank == 3:
        forms = [f"torch.einsum('bij,bkj->bik', {a}, {b})",
                 f"torch.einsum('bij,bij->ij', {a}, {b})",
                 f"torch.bmm({a}, {b}.transpose(1, 2))",
                 f"torch.einsum('bij,bik->bjk', {a}, {b})"]
    g.define(g.choose(forms))


def hide_nothing(g: Generator, t: Value) -> Value:
    """Finite queries, keys or values: eager adds minus infinity to what a
    causal mask hides, and lets through what that does not hide; hrcc does not
    read it."""
    return g.define(f"torch.nan_to_num({t}, 0.0, 100.0, -100.0)")


@often(4)
def attention(g: Generator) -> None:
    q = g.floating(rank=2, also=lambda v: v.is_static(v.rank - 1)
                   and v.shape[-1] > 0 and v.elements() > 0)
    def keys(v: Value) -> bool:
        return (v.dtype == q.dtype and v.rank == q.rank and all(
            p[:-2] == r[:-2] and p[-1] == r[-1]
            for p, r in zip(v.shapes, q.shapes)))
    k = g.find(keys)
    v = g.find(lambda t: t.dtype == q.dtype and t.rank == q.rank and all(
        p[:-1] == r[:-1] for p, r in zip(t.shapes, k.shapes)))
    if g.chance(0.4):
        causal = g.choose(["", ", is_causal=True"])
        if causal:
            q, k, v = (hide_nothing(g, t) for t in (q, k, v))
        g.define(f"F.scaled_dot_product_attention({q}, {k}, {v}{causal})")
        return
    s = g.define(f"{q} @ {k}.transpose(-1, -2)")
    if g.chance(0.6):
        s = g.define(f"{s} * {q.shape[-1] ** -0.5:.4f}")
    if g.chance(0.4):
        if g.chance(0.5):
            rows, columns = s.size(s.rank - 2), s.size(s.rank - 1)
            mask = g.define(f"torch.ones({rows}, {columns}, "
                            f"dtype=boolean).tril()")
            s = g.define(f"{s}.masked_fill(~{mask}, float('-inf'))")
            # Infinities: what follows is not judged by being finite.
        else:
            bias = g.broadcastable(s, lambda t: t.dtype == q.dtype)
            s = g.define(f"{s} + {bias}")
    if g.chance(0.3) and dtype_name(q) in ("bf16", "f16"):
        w = g.define(f"torch.softmax({s}, -1, dtype=f32).to({dtype_name(q)})")
        g.freeze(w)
    else:
        w = g.define(f"torch.softmax({s}, -1)")
    g.define(f"{w} @ {v}")


@often(1.5)
def heads(g: Generator) -> None:
    """Attention with heads split off and put back, as layers write it."""
    x = g.floating(rank=3, also=lambda v: v.rank == 3 and v.is_static(2)
                   and v.shape[2] % 2 == 0 and v.elements() > 0)
    b, s = x.size(0), x.size(1)
    width = x.shape[2]
    count = g.choose(n for n in (1, 2, 4) if width % n == 0)
    name = dtype_name(x)
    parts = []
    for _ in range(3):
        w = g.tensor((width, width), name, "normal", "parameter")
        y = g.define(f"F.linear({x}, {w}) / {width}")
        parts.append(g.define(f"{y}.view({b}, {s}, {count}, {width // count})"
                              f".transpose(1, 2)"))
    q, k, v = parts
    if g.chance(0.5):
        causal = g.choose(["True", "False"])
        if causal == "True":
            q, k, v = (hide_nothing(g, t) for t in (q, k, v))
        y = g.define(f"F.scaled_dot_product_attention({q}, {k}, {v}, "
                     f"is_causal={causal})")
    else:
        y = g.define(f"torch.softmax({q} @ {k}.transpose(-1, -2) / "
                     f"{(width // count) ** 0.5:.3f}, -1) @ {v}")
    y = g.define(f"{y}.transpose(1, 2).reshape({b}, {s}, {width})")
    g.define(f"{x} + {y}")


@often(2)
def layers(g: Generator) -> None:
    """The same lines several times, with weights of their own."""
    x = g.floating(rank=2, also=lambda v: v.is_static(v.rank - 1)
                   and 0 < v.shape[-1] <= 65)
    width, name = x.shape[-1], dtype_name(x)
    inner = g.choose([width, 2 * width, 7, 32])
    kind = g.weighted({"mlp": 3, "gated": 1, "linear": 2, "scale": 1})
    norm = g.chance(0.5)
    act = g.choose(["F.relu", "F.gelu", "torch.tanh", "F.silu"])
    for _ in range(g.number(2, 4)):
        y = x
        if norm:
            weight = g.tensor((width,), name, "positive", "parameter")
            y = g.define(f"F.layer_norm({x}, ({width},), {weight})")
        if kind == "mlp":
            up = g.tensor((inner, width), name, "normal", "parameter")
            down = g.tensor((width, inner), name, "normal", "parameter")
            y = g.define(f"F.linear({act}(F.linear({y}, {up})), {down})")
        elif kind == "gated":
            up, gate = (g.tensor((inner, width), name, "normal", "parameter")
                        for _ in range(2))
            down = g.tensor((width, inner), name, "normal", "parameter")
            y = g.define(f"F.linear({act}(F.linear({y}, {gate})) * "
                         f"F.linear({y}, {up}), {down})")
        elif kind == "linear":
            w = g.tensor((width, width), name, "normal", "parameter")
            y = g.define(f"{act}(F.linear({y}, {w}))")
        else:
            w = g.tensor((width,), name, "normal", "parameter")
            y = g.define(f"{act}({y} * {w})")
        x = g.define(f"{x} + {y} / {width * 2}")


@often(2.5)
def convolution(g: Generator) -> None:
    v = g.floating(rank=3, also=lambda v: v.is_static(1) and v.elements() > 0
                   and v.rank in (3, 4))
    space = v.rank - 2
    groups = g.choose(f for f in (1, 1, 1, 2, 3, v.shape[1])
                      if v.shape[1] % f == 0)
    out = groups * g.choose([1, 2, 3, 8])
    kernel = [g.number(1, 3) for _ in range(space)]
    name = dtype_name(v)
    options = (f"stride={g.number(1, 2)}, padding={g.number(0, 2)}, "
               f"dilation={g.number(1, 2)}, groups={groups}")
    bias = "None"
    if g.chance(0.5):
        bias = str(g.tensor((out,), name, "normal", "parameter"))
    if g.chance(0.75):
        w = g.tensor((out, v.shape[1] // groups, *kernel), name, "normal",
                     "parameter")
        y = g.define(f"F.conv{space}d({v}, {w}, {bias}, {options})")
    else:
        w = g.tensor((v.shape[1], out // groups, *kernel), name, "normal",
                     "parameter")
        y = g.define(f"F.conv_transpose{space}d({v}, {w}, {bias}, {options})")
    if g.chance(0.5):
        g.define(g.choose(_SMOOTH[:5]).format(y))


@often(2)
def pooling(g: Generator) -> None:
    v = g.floating(rank=3, also=lambda v: v.elements() > 0
                   and v.rank in (3, 4))
    space = v.rank - 2
    size, stride = g.number(1, 3), g.number(1, 3)
    padding = g.number(0, size // 2)
    g.define(g.choose([
        f"F.max_pool{space}d({v}, {size}, {stride}, {padding})",
        f"F.avg_pool{space}d({v}, {size}, {stride}, {padding})",
        f"F.adaptive_avg_pool{space}d({v}, {g.number(1, 4)})",
        f"F.adaptive_max_pool{space}d({v}, 1)",
        f"F.interpolate({v}, scale_factor=2.0)"]))


@often(2)
def experts(g: Generator) -> None:
    """Products with matrices out of a table."""
    v = g.floating(rank=2, also=lambda v: v.rank == 2 and v.static
                   and v.shape[-1] > 0)
    (m, k), n, count = v.shape, g.size(), g.number(1, 6)
    if count * k * n > LARGEST or m * k * n > LARGEST:
        raise Reject
    form = g.weighted({"one": 2, "row": 2, "shared": 1, "back": 1})
    turned = g.chance(0.5)
    table = g.tensor((count, k, n) if turned else (count, n, k), dtype_name(v),
                     "normal", g.choose(["parameter", "input"]))
    i = g.tensor((1 if form == "one" else m,), "i64", f"index:{count}")
    w = f"{table}[{i}]"
    letters = "kn" if turned else "nk"
    if form == "one":
        w += "[0]"
        g.define(f"{v} @ {w}" if turned else f"F.linear({v}, {w})")
    elif form == "row":
        g.define(f"torch.einsum('mk,m{letters}->mn', {v}, {w})")
    elif form == "shared":
        g.define(f"torch.einsum('mk,j{letters}->jmn', {v}, {w})")
    else:
        g.define(f"torch.einsum('m{letters},mk->nm', "
                 f"{table}[{i} - {count}], {v})")


# ------------------------------------------------------------------- indexing

@often(4)
def gather(g: Generator) -> None:
    v = g.find(lambda v: v.rank >= 1 and v.elements() > 0)
    d = g.dim(v) % v.rank
    size = min(shape[d] for shape in v.shapes)
    count = g.number(1, 9)
    form = g.weighted({"index_select": 3, "index": 3, "take_along": 2,
                       "two": 1, "embedding": 2})
    kind = f"index:{size}"
    if form == "index_select":
        i = g.tensor((count,), "i64", kind)
        g.define(f"{v}.index_select({d}, {i})")
    elif form == "index":
        shape = g.choose([(count,), (2, count), (1,)])
        i = g.tensor(shape, g.choose(["i64", "i64", "i32"]), kind)
        before = ", ".join([":"] * d + [str(i)])
        g.define(f"{v}[{before}]")
    elif form == "take_along":
        if not v.static:
            raise Reject
        shape = list(v.shape)
        shape[d] = count
        total = 1
        for s in shape:
            total *= s
        if total > LARGEST:
            raise Reject
        i = g.tensor(tuple(shape), "i64", kind)
        g.define(f"torch.gather({v}, {d}, {i})")
    elif form == "two":
        if v.rank < 2:
            raise Reject
        a = g.tensor((count,), "i64", f"index:{min(s[0] for s in v.shapes)}")
        b = g.tensor((count,), "i64", f"index:{min(s[1] for s in v.shapes)}")
        g.define(f"{v}[{a}, {b}]")
    else:
        rows, width = g.size(), g.size()
        if rows * width > LARGEST:
            raise Reject
        table = g.tensor((rows, width), g.choose(["f32", "bf16", "f16"]),
                         "normal", "parameter")
        i = g.tensor(g.choose([(count,), (2, count), (count, 3)]), "i64",
                     f"index:{rows}")
        y = g.define(f"F.embedding({i}, {table})")
        if g.chance(0.3) and rows <= 65:
            g.define(f"{y} @ {table}.t()")


@often(3)
def scatter(g: Generator) -> None:
    v = g.find(lambda v: v.rank >= 1 and v.static and v.elements() > 0)
    d = g.dim(v) % v.rank
    size = v.shape[d]
    count = g.number(1, size)
    shape = list(v.shape)
    shape[d] = count
    source = g.tensor(tuple(shape), dtype_name(v))
    unique, any_ = f"unique:{size}", f"index:{size}"
    if count > size:
        raise Reject
    form = g.weighted({"index_copy": 2, "index_add": 2, "scatter": 1,
                       "scatter_add": 1, "index_put": 2, "index_fill": 1,
                       "accumulate": 1})
    before = "(" + "None, " * d
    if v.is_bool and "add" in form:
        raise Reject
    if form == "index_copy":
        i = g.tensor((count,), "i64", unique)
        g.define(f"{v}.index_copy({d}, {i}, {source})")
    elif form == "index_add":
        i = g.tensor((count,), "i64", any_)
        g.define(f"{v}.index_add({d}, {i}, {source})")
    elif form in ("scatter", "scatter_add"):
        if form == "scatter":
            # One row of positions, the same along every other dimension.
            i = g.tensor((count,), "i64", unique)
            units = ["1"] * v.rank
            units[d] = "-1"
            index = f"{i}.view({', '.join(units)}).expand({tuple(shape)})"
            g.define(f"{v}.scatter({d}, {index}, {source})")
        else:
            i = g.tensor(tuple(shape), "i64", any_)
            g.define(f"{v}.scatter_add({d}, {i}, {source})")
    elif form == "index_fill":
        i = g.tensor((count,), "i64", unique)
        g.define(f"{v}.index_fill({d}, {i}, 1)")
    elif d == 0:
        accumulate = form == "accumulate"
        if v.is_bool and accumulate:
            raise Reject
        i = g.tensor((count,), "i64", any_ if accumulate else unique)
        g.define(f"{v}.index_put(({i},), {source}, accumulate={accumulate})")
    del before


@often(1.5)
def create(g: Generator) -> None:
    v = g.find(lambda v: v.rank >= 1)
    d = g.dim(v) % v.rank
    n = v.size(d)
    form = g.choose([
        f"torch.arange({n})", f"torch.ones({n}, {n}).tril()",
        f"torch.arange({n})[:, None] >= torch.arange({n})",
        f"torch.full(({n},), 2.5)", f"torch.zeros_like({v})",
        f"torch.ones_like({v})", f"torch.full_like({v}, 3)",
        f"torch.arange({n}, dtype=f32) / {n}", f"torch.zeros({n}, 3)",
        f"torch.eye({n})"])
    g.define(form)


@often(1)
def one_hot(g: Generator) -> None:
    i = g.find(lambda v: v.dtype == torch.int64 and v.largest < 12
               and all(bool((t >= 0).all()) for t in v.own) and v.rank < 4)
    g.define(f"F.one_hot({i}, {g.number(12, 20)})")


# ------------------------------------------------------------ writes in place

@often(7)
def write(g: Generator) -> None:
    v = g.find(lambda v: not v.overlaps and not (v.roots & g.frozen)
               and (g.mutates_inputs or not (v.roots & g.owned_roots)))
    where = str(v)
    target = v
    if g.chance(0.6) and v.rank >= 1:
        where = g.weighted({
            g_slice(g, v): 5, f"{v}.transpose(0, -1)": 1,
            f"{v}.view(-1)[::2]": 0.7, f"{v}.flatten()": 0.3,
            f"{v}.unsqueeze(0)": 0.5, f"{v}.diagonal(0, 0, -1)": 0.3,
            f"{v}.reshape(-1)": 0.5, f"{v}.select(0, -1)": 0.5,
            f"{v}.detach()": 0.2})
        try:
            made = [eval(where, own) for own in g.own]
            wide = [eval(where, wide) for wide in g.wide]
        except Exception as error:
            raise Reject from error
        target = Value(where, made, wide)
        # A reshape may have copied: then it is a write to nothing, which is
        # legal and seldom meant.
        if target.overlaps:
            raise Reject
    kind = g.weighted({"add": 4, "mul": 3, "copy": 4, "fill": 2, "zero": 1,
                       "relu": 1, "mask": 1, "assign": 3, "number": 2,
                       "augment": 2})
    bounded = v.largest < 300
    if kind in ("add", "mul", "copy", "assign", "augment"):
        # What is stored must fit the dtype that stays.
        def fits(s: Value) -> bool:
            if kind in ("copy", "assign"):
                if v.is_float or v.is_bool:
                    return s.is_float == v.is_float and s.is_bool == v.is_bool
                return s.is_integer and s.largest < 100
            if v.is_bool:
                return False
            return s.is_float or s.is_integer if v.is_float else s.is_integer
        source = str(g.broadcastable(target, lambda s: fits(s) and s.finite
                                     and s.largest < 300
                                     and not (s.roots & v.roots)))
        if g.chance(0.1):
            # A view of the very storage: old values or new ones?
            source = f"{where}.clone()"
    if not bounded and kind in ("add", "mul", "augment"):
        raise Reject
    if kind == "mul" and not v.is_float:
        kind = "add"
    if kind == "add":
        text = f"{where}.add_({source})"
    elif kind == "mul":
        text = f"{where}.mul_(torch.tanh({source}))"
    elif kind == "copy":
        text = f"{where}.copy_({source})"
    elif kind == "fill":
        text = f"{where}.fill_({g.choose(['0', '1', '2'])})"
    elif kind == "zero":
        text = f"{where}.zero_()"
    elif kind == "relu":
        text = (f"torch.relu_({where})" if v.is_float
                else f"{where}.clamp_(0, 9)")
        if v.is_bool:
            raise Reject
    elif kind == "mask":
        mask = g.broadcastable(target, lambda m: m.is_bool)
        text = f"{where}.masked_fill_({mask}, 1)"
    elif kind == "number":
        if v.is_bool:
            raise Reject
        text = f"{where}.{g.choose(['add_', 'mul_', 'sub_'])}(2)"
        if not bounded:
            raise Reject
    elif kind == "augment":
        if "[" not in where:
            where = f"{where}[...]"
        text = f"{where} += {source}"
    else:
        if "[" not in where or where.endswith(")"):
            where = f"{where}[...]"
        text = f"{where} = {source}"
    if target.elements() > LARGEST:
        raise Reject
    g.write(v, text)


@often(0.7)
def write_at(g: Generator) -> None:
    v = g.find(lambda v: v.rank >= 1 and v.static and v.elements() > 0
               and not v.overlaps and not (v.roots & g.frozen)
               and (g.mutates_inputs or not (v.roots & g.owned_roots)))
    size = v.shape[0]
    count = g.number(1, size)
    i = g.tensor((count,), "i64", f"unique:{size}")
    source = g.tensor((count, *v.shape[1:]), dtype_name(v), "small")
    g.write(v, g.choose([f"{v}[{i}] = {source}",
                         f"{v}.index_copy_(0, {i}, {source})",
                         f"{v}.index_fill_(0, {i}, 1)"]))


@often(1)
def update_state(g: Generator) -> None:
    """A buffer that is read and written, and read again by the next call."""
    if not g.stateful:
        raise Reject
    v = g.floating(also=lambda v: v.finite and v.static and v.rank >= 1
                   and v.elements() > 0)
    b = g.tensor(v.shape, dtype_name(v), "normal", "buffer")
    if b.overlaps:
        raise Reject
    kind = g.choose(["copy", "mean", "ring", "rows"])
    if kind == "copy":
        y = g.define(f"{v} + {b}")
        g.write(b, f"{b}.copy_(torch.tanh({y}))")
    elif kind == "mean":
        g.write(b, f"{b}.mul_(0.5).add_({v}, alpha=0.25)")
        g.define(f"{b} - {v}")
    elif kind == "ring":
        y = g.define(f"torch.roll({b}, 1, 0)")
        g.write(b, f"{b}.copy_({y})")
        g.write(b, f"{b}[0] = {v}[0]")
    else:
        g.write(b, f"{b}[-1:].add_({v}[:1])")
        g.define(f"{b} * 2")
