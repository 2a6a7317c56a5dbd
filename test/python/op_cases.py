"""Cases of single operators: a function, and the tensors it is called with.

A case is registered once, by group; whoever tests operators runs all of them.
Shapes are small and odd; values include what an operator finds hard (ties,
signed zeros, NaN, infinities) where it says so.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable

import torch
import torch.nn.functional as F

F32, F64, F16, BF16 = (torch.float32, torch.float64, torch.float16,
                       torch.bfloat16)
I64, I32, I16, I8, U8, BOOL = (torch.int64, torch.int32, torch.int16,
                               torch.int8, torch.uint8, torch.bool)
NAN, INF = float("nan"), float("inf")


@dataclasses.dataclass
class OpCase:
    group: str
    name: str
    fn: Callable[..., Any]
    args: tuple[Any, ...]

    @property
    def id(self) -> str:
        return f"{self.group}-{self.name}"


CASES: list[OpCase] = []


def case(group: str, name: str, fn: Callable[..., Any], *args: Any) -> None:
    CASES.append(OpCase(group, name, fn, args))


_generator = torch.Generator().manual_seed(7)


def rand(*shape: int, dtype: torch.dtype = F32, scale: float = 1.0,
         shift: float = 0.0) -> torch.Tensor:
    value = torch.randn(*shape, generator=_generator, dtype=F64)
    return (value * scale + shift).to(dtype)


def ints(low: int, high: int, *shape: int,
         dtype: torch.dtype = I64) -> torch.Tensor:
    return torch.randint(low, high, shape, generator=_generator).to(dtype)


def flags(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=_generator) > 0.4


def special(dtype: torch.dtype = F32) -> torch.Tensor:
    return torch.tensor([0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 0.5, -2.5, 3.5,
                         1e-3, 100.0], dtype=dtype)


# ---------------------------------------------------------------- elementwise

_UNARY = {
    "abs": torch.abs, "neg": torch.neg, "sign": torch.sign,
    "square": torch.square, "ceil": torch.ceil, "floor": torch.floor,
    "trunc": torch.trunc, "round": torch.round, "frac": torch.frac,
    "exp": torch.exp, "exp2": torch.exp2, "expm1": torch.expm1,
    "sin": torch.sin, "cos": torch.cos, "tan": torch.tan,
    "tanh": torch.tanh, "atan": torch.atan, "sinh": torch.sinh,
    "cosh": torch.cosh, "asinh": torch.asinh, "erf": torch.erf,
    "erfc": torch.erfc, "sigmoid": torch.sigmoid, "relu": torch.relu,
    "isnan": torch.isnan, "isinf": torch.isinf, "isfinite": torch.isfinite,
    "signbit": torch.signbit, "reciprocal": torch.reciprocal,
    "nan_to_num": torch.nan_to_num, "logical_not": torch.logical_not,
}
for _name, _fn in _UNARY.items():
    case("unary", _name, _fn, rand(3, 5, scale=2.0))
    case("unary", f"{_name}-special", _fn, special())
    case("unary", f"{_name}-bf16", _fn, rand(3, 5, dtype=BF16, scale=2.0))
for _name, _fn in {"log": torch.log, "log2": torch.log2, "log10": torch.log10,
                   "log1p": torch.log1p, "sqrt": torch.sqrt,
                   "rsqrt": torch.rsqrt}.items():
    case("unary", _name, _fn, rand(4, 7).abs() * 3 + 1e-3)
    case("unary", f"{_name}-special", _fn, special())
for _name, _fn in {"asin": torch.asin, "acos": torch.acos,
                   "atanh": torch.atanh}.items():
    case("unary", _name, _fn, torch.linspace(-0.99, 0.99, 23))
case("unary", "acosh", torch.acosh, torch.linspace(1.0, 50.0, 23))
case("unary", "abs-int", torch.abs, ints(-9, 9, 4, 3))
case("unary", "neg-uint8", torch.neg, ints(0, 255, 7, dtype=U8))
case("unary", "exp-int", torch.exp, ints(-3, 4, 6))
case("unary", "sqrt-bool", torch.sqrt, flags(6))
case("unary", "floor-int", torch.floor, ints(-3, 4, 6))
case("unary", "bitwise_not", torch.bitwise_not, ints(-9, 9, 6, dtype=I32))
case("unary", "bitwise_not-bool", torch.bitwise_not, flags(6))
case("unary", "round-decimals", lambda x: torch.round(x, decimals=2),
     rand(9, scale=3.0))
case("unary", "exp-f64", torch.exp, rand(9, dtype=F64))
case("unary", "tanh-f16", torch.tanh, rand(9, dtype=F16))
case("unary", "logit", lambda x: torch.logit(x, eps=1e-3),
     torch.linspace(0.0, 1.0, 11))

_BINARY = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div,
    "maximum": torch.maximum, "minimum": torch.minimum, "fmax": torch.fmax,
    "fmin": torch.fmin, "remainder": torch.remainder, "fmod": torch.fmod,
    "floor_divide": torch.floor_divide, "atan2": torch.atan2,
    "eq": torch.eq, "ne": torch.ne, "lt": torch.lt, "le": torch.le,
    "gt": torch.gt, "ge": torch.ge, "logical_and": torch.logical_and,
    "logical_or": torch.logical_or, "logical_xor": torch.logical_xor,
    "copysign": torch.copysign, "hypot": torch.hypot,
    "logaddexp": torch.logaddexp,
}
for _name, _fn in _BINARY.items():
    case("binary", _name, _fn, rand(3, 1, 5), rand(4, 1))
    case("binary", f"{_name}-special", _fn, special().reshape(12, 1),
         special())
for _name in ("add", "sub", "mul", "div", "maximum", "remainder", "fmod",
              "floor_divide", "eq", "lt", "ge"):
    _fn = _BINARY[_name]
    case("binary", f"{_name}-int", _fn, ints(-20, 20, 4, 6),
         ints(1, 7, 6) * (2 * ints(0, 2, 6) - 1))
    case("binary", f"{_name}-mixed", _fn, ints(-20, 20, 4, 6),
         rand(6, shift=4.0))
    case("binary", f"{_name}-bf16", _fn, rand(4, 6, dtype=BF16),
         rand(6, dtype=BF16, shift=3.0))
    case("binary", f"{_name}-uint8", _fn, ints(0, 255, 9, dtype=U8),
         ints(1, 255, 9, dtype=U8))
case("binary", "add-alpha", lambda x, y: torch.add(x, y, alpha=0.3),
     rand(5), rand(5))
case("binary", "add-alpha-int", lambda x, y: torch.add(x, y, alpha=3),
     ints(0, 9, 5), ints(0, 9, 5))
case("binary", "sub-alpha", lambda x, y: torch.sub(x, y, alpha=2),
     rand(5), rand(5))
case("binary", "rsub", lambda x: torch.rsub(x, 1.5), rand(5))
case("binary", "rsub-int", lambda x: 1 - x, ints(0, 4, 5))
case("binary", "add-number", lambda x: x + 1.25, rand(5))
case("binary", "add-number-int-float", lambda x: x + 1.25, ints(0, 9, 5))
case("binary", "add-number-bf16", lambda x: x + 0.1, rand(5, dtype=BF16))
case("binary", "mul-number-int", lambda x: x * 3, ints(-5, 5, 6, dtype=I32))
case("binary", "mul-bool", torch.mul, flags(8), flags(8))
case("binary", "add-bool-int", torch.add, flags(8), ints(0, 9, 8))
case("binary", "add-zero-rank", torch.add, rand(4, dtype=BF16),
     torch.tensor(0.3))
case("binary", "add-zero-rank-int", torch.add, ints(0, 5, 4, dtype=I32),
     torch.tensor(7))
case("binary", "add-zero-rank-float", torch.add, ints(0, 5, 4, dtype=I32),
     torch.tensor(7.5, dtype=F64))
case("binary", "add-uint8-int8", torch.add, ints(0, 200, 6, dtype=U8),
     ints(-100, 100, 6, dtype=I8))
case("binary", "add-f16-bf16", torch.add, rand(6, dtype=F16),
     rand(6, dtype=BF16))
case("binary", "div-trunc", lambda x, y: torch.div(x, y,
                                                   rounding_mode="trunc"),
     ints(-20, 20, 9), torch.tensor([3, -3, 4, 5, -5, 2, 7, -7, 1]))
case("binary", "div-floor", lambda x, y: torch.div(x, y,
                                                   rounding_mode="floor"),
     rand(9, scale=9.0), rand(9))
case("binary", "div-floor-int",
     lambda x: torch.div(x, 3, rounding_mode="floor"), ints(-20, 20, 9))
case("binary", "floordiv-number", lambda x: x // 4, ints(-20, 20, 9))
case("binary", "remainder-number", lambda x: x % 7, ints(-20, 20, 9))
case("binary", "remainder-float", lambda x: x % 1.5, rand(9, scale=5.0))
case("binary", "compare-number", lambda x: (x > 0.1, x <= 0, x == 1, x != 2),
     rand(9))
case("binary", "compare-number-bf16", lambda x: x > 0.1,
     torch.tensor([0.1, 0.10009765625, 0.2, 0.0], dtype=BF16))
case("binary", "compare-int-float", lambda x: (x > 1.5, x >= 2), ints(0, 5, 9))
case("binary", "bitwise", lambda x, y: (x & y, x | y, x ^ y),
     ints(-99, 99, 9), ints(-99, 99, 9))
case("binary", "bitwise-bool", lambda x, y: (x & y, x | y, x ^ y), flags(9),
     flags(9))
case("binary", "shift", lambda x, y: (x << y, x >> y), ints(-99, 99, 9),
     ints(0, 9, 9))
case("binary", "pow-number", lambda x: (x ** 2, x ** 3, x ** 0.5, x ** -1,
                                        x ** 2.5, x ** 0, x ** -0.5),
     rand(9).abs() + 0.1)
case("binary", "pow-int", lambda x: (x ** 2, x ** 5), ints(-5, 5, 9))
case("binary", "pow-tensor", torch.pow, rand(9).abs() + 0.1, rand(9))
case("binary", "pow-tensor-int", torch.pow, ints(-4, 5, 9), ints(0, 6, 9))
case("binary", "pow-scalar", lambda x: torch.pow(10000.0, x), rand(9))
case("binary", "pow-scalar-int", lambda x: torch.pow(2, x), ints(0, 9, 9))
case("binary", "xlogy", torch.xlogy, torch.tensor([0.0, 1.0, 2.0, 0.0]),
     torch.tensor([0.0, 2.0, 0.5, NAN]))
case("binary", "heaviside", torch.heaviside, special(), torch.full((12,), 0.5))
case("binary", "empty", torch.add, rand(0, 3), rand(1, 3))
case("binary", "rank-0", torch.mul, torch.tensor(2.0), torch.tensor(3.5))

case("ternary", "where", torch.where, flags(3, 4), rand(4), rand(3, 1))
case("ternary", "where-number", lambda c, x: torch.where(c, x, 0.0),
     flags(3, 4), rand(3, 4))
case("ternary", "where-mixed", torch.where, flags(3, 4), ints(0, 5, 3, 4),
     rand(3, 4))
case("ternary", "where-scalars", lambda c: torch.where(c, 1.0, -INF),
     flags(3, 4))
case("ternary", "masked_fill", lambda x, m: x.masked_fill(m, -INF),
     rand(3, 4), flags(4))
case("ternary", "masked_fill-int", lambda x, m: x.masked_fill(m, 7),
     ints(0, 4, 3, 4), flags(3, 4))
case("ternary", "clamp", lambda x: torch.clamp(x, -0.5, 0.5), special())
case("ternary", "clamp-min", lambda x: torch.clamp(x, min=0.1), rand(9))
case("ternary", "clamp-max", lambda x: torch.clamp_max(x, 0.1), rand(9))
case("ternary", "clamp-int", lambda x: torch.clamp(x, 2, 5), ints(0, 9, 9))
case("ternary", "clamp-tensor", torch.clamp, rand(4, 3), rand(3), rand(4, 1))
case("ternary", "lerp", lambda x, y: torch.lerp(x, y, 0.3), rand(5), rand(5))
case("ternary", "addcmul", lambda x, y, z: torch.addcmul(x, y, z, value=0.5),
     rand(5), rand(5), rand(5))
case("ternary", "addcdiv", lambda x, y, z: torch.addcdiv(x, y, z, value=0.5),
     rand(5), rand(5), rand(5, shift=3.0))

_ALL = (F32, F64, F16, BF16, I64, I32, I16, I8, U8, BOOL)
for _to in _ALL:
    case("cast", f"to-{str(_to)[6:]}",
         lambda a, b, c, d, e, to=_to: (a.to(to), b.to(to), c.to(to), d.to(to),
                                        e.to(to)),
         torch.tensor([0.0, 1.5, -1.5, 2.5, 100.25, 0.1]),
         torch.tensor([0, 1, 2, 100, 127]), flags(5),
         torch.tensor([1.0, 0.5, 77.0], dtype=BF16),
         torch.tensor([0, 3, 200], dtype=U8))
case("cast", "float-to-int-wraps", lambda x: (x.to(I32), x.to(I64)),
     torch.tensor([NAN, 1e20, -1e20, INF, 3e9, -7.9]))
case("cast", "float-to-narrow-wraps", lambda x: (x.to(I8), x.to(U8),
                                                 x.to(I16)),
     torch.tensor([300.7, -1.5, 70000.0, 256.0]))
case("cast", "type_as", lambda x, y: x.type_as(y), rand(4), ints(0, 3, 2))
case("cast", "bf16-f16", lambda x: x.to(F16), rand(9, dtype=BF16))
case("cast", "f64-bf16", lambda x: x.to(BF16), rand(9, dtype=F64))
case("cast", "view-dtype", lambda x: x.view(I32), rand(5))

# ----------------------------------------------------------------- activations

_ACTIVATIONS = {
    "gelu": F.gelu, "gelu-tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu, "relu6": F.relu6, "mish": F.mish, "softplus": F.softplus,
    "softplus-beta": lambda x: F.softplus(x, beta=2.0, threshold=3.0),
    "logsigmoid": F.logsigmoid, "elu": F.elu, "selu": F.selu,
    "celu": lambda x: F.celu(x, alpha=0.7), "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid, "hardtanh": F.hardtanh,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "hardshrink": F.hardshrink, "softshrink": F.softshrink,
    "tanhshrink": F.tanhshrink, "softsign": F.softsign,
    "threshold": lambda x: F.threshold(x, 0.1, 20.0),
    "glu": lambda x: F.glu(x, dim=-1),
}
for _name, _fn in _ACTIVATIONS.items():
    case("activation", _name, _fn, rand(3, 8, scale=3.0))
    case("activation", f"{_name}-bf16", _fn, rand(3, 8, dtype=BF16, scale=3.0))
    case("activation", f"{_name}-special", _fn, special())
case("activation", "prelu", F.prelu, rand(2, 3, 4), rand(3))
case("activation", "prelu-single", F.prelu, rand(2, 3, 4), rand(1))
case("activation", "dropout-in-place",
     lambda x: F.dropout(x * 2, 0.5, False, inplace=True) + 1, rand(5))
case("activation", "dropout-eval", lambda x: F.dropout(x, 0.5, False), rand(5))

# ------------------------------------------------------------------ reductions

# Long sums whose terms have one sign: a single running sum would be off by far
# more than torch's sums of sums.
case("reduce-long", "rows", lambda x: (x.sum(0), x.mean(0), x.var(0)),
     rand(5000, 9, shift=1.0))
case("reduce-long", "lanes", lambda x: (x.sum(), x.mean(-1)),
     rand(3, 20011, shift=1.0))
case("reduce-long", "several-dims", lambda x: x.sum((0, 2)),
     rand(90, 5, 70, shift=1.0))
case("reduce-long", "scan", lambda x: (x.cumsum(0), x.cumsum(-1)),
     rand(3000, 8, shift=1.0))
case("reduce-long", "product", lambda x, y: (x @ y, x.sum(-1), y.sum(0)),
     rand(4, 9000, shift=1.0), rand(9000, 3, shift=1.0))
case("reduce-long", "convolution", lambda x, w: F.conv2d(x, w, padding=1),
     rand(1, 256, 6, 6, shift=1.0), rand(4, 256, 3, 3, shift=1.0))
case("reduce-long", "dot", lambda x, y: x @ y,
     rand(40003, shift=1.0), rand(40003, shift=1.0))
case("reduce-long", "attention", lambda q, k, v:
     F.scaled_dot_product_attention(q, k, v),
     rand(1, 2, 20, 8), rand(1, 2, 3000, 8), rand(1, 2, 3000, 8, shift=1.0))
# Not around zero: where sixty terms cancel to nearly nothing, one rounding more
# or less than eager's is luck, and there is only one output to judge by.
case("reduce", "sum", lambda x: (x.sum(), x.sum(1), x.sum((0, 2)),
                                 x.sum(-1, keepdim=True)),
     rand(3, 4, 5, shift=0.5))
case("reduce", "sum-int", lambda x: (x.sum(), x.sum(1)),
     ints(-9, 9, 3, 4, dtype=I32))
case("reduce", "sum-bool", lambda x: (x.sum(), x.sum(0)), flags(3, 4))
case("reduce", "sum-bf16", lambda x: (x.sum(), x.sum(1)),
     rand(7, 300, dtype=BF16))
case("reduce", "sum-dtype", lambda x: x.sum(0, dtype=F64), rand(5, 2))
case("reduce", "sum-empty", lambda x: (x.sum(), x.sum(0)), rand(0, 3))
case("reduce", "sum-rank-0", lambda x: x.sum(), torch.tensor(2.5))
case("reduce", "sum-unit", lambda x: x.sum(0), rand(1, 3))
case("reduce", "mean", lambda x: (x.mean(), x.mean(1), x.mean((0, 2)),
                                  x.mean(-1, keepdim=True)), rand(3, 4, 5))
case("reduce", "mean-bf16", lambda x: x.mean(-1), rand(3, 100, dtype=BF16))
case("reduce", "mean-dtype", lambda x: x.mean(-1, dtype=F32),
     rand(3, 100, dtype=BF16))
case("reduce", "prod", lambda x: (x.prod(), x.prod(1)), rand(3, 4))
case("reduce", "prod-int", lambda x: x.prod(1), ints(1, 5, 3, 4))
case("reduce", "amax", lambda x: (x.amax(), x.amax(1), x.amin((0, 1))),
     rand(3, 4))
case("reduce", "amax-nan", lambda x: (x.amax(0), x.amin(0), x.max(), x.min()),
     special())
case("reduce", "max-int", lambda x: (x.max(), x.min(), x.amax(0)),
     ints(-9, 9, 3, 4))
case("reduce", "max-uint8", lambda x: (x.max(), x.min()),
     ints(0, 255, 9, dtype=U8))
case("reduce", "max-dim", lambda x: tuple(x.max(1)), ints(0, 4, 5, 7).float())
case("reduce", "min-dim", lambda x: tuple(x.min(0, keepdim=True)),
     ints(0, 4, 5, 7).float())
case("reduce", "max-dim-nan", lambda x: tuple(x.max(0)), special())
case("reduce", "argmax", lambda x: (x.argmax(), x.argmax(1),
                                    x.argmin(0, keepdim=True)),
     ints(0, 4, 5, 7).float())
case("reduce", "argmax-nan", lambda x: (x.argmax(), x.argmin()), special())
case("reduce", "argmax-bf16", lambda x: x.argmax(-1), rand(3, 9, dtype=BF16))
case("reduce", "any-all", lambda x: (x.any(), x.all(), x.any(1), x.all(0)),
     flags(3, 4))
case("reduce", "any-float", lambda x: (x.any(), x.all(0)),
     torch.tensor([[0.0, 1.0], [NAN, 0.0]]))
case("reduce", "count_nonzero", lambda x: torch.count_nonzero(x, dim=1),
     ints(0, 2, 3, 7))
case("reduce", "var", lambda x: (x.var(), x.var(1), x.std(0),
                                 x.var(1, correction=0)), rand(6, 7, shift=9.0))
case("reduce", "var-bf16", lambda x: (x.var(1), x.std(1)),
     rand(6, 70, dtype=BF16, shift=2.0))
case("reduce", "var_mean", lambda x: torch.var_mean(x, 1), rand(6, 7))
case("reduce", "norm", lambda x: (torch.linalg.vector_norm(x),
                                  torch.linalg.vector_norm(x, 1, dim=1),
                                  torch.linalg.vector_norm(x, INF, dim=0),
                                  torch.linalg.vector_norm(x, -INF, dim=0),
                                  torch.linalg.vector_norm(x, 0, dim=0),
                                  torch.linalg.vector_norm(x, 3, dim=0)),
     rand(4, 5))
case("reduce", "norm-keepdim", lambda x: x.norm(dim=-1, keepdim=True),
     rand(4, 5))
case("reduce", "normalize", lambda x: F.normalize(x, dim=-1), rand(4, 5))
case("reduce", "logsumexp", lambda x: torch.logsumexp(x, 1), rand(4, 5) * 20)
case("reduce", "logsumexp-inf", lambda x: torch.logsumexp(x, 0),
     torch.tensor([[INF, -INF, 0.0], [1.0, -INF, 1.0]]))
case("reduce", "cumsum", lambda x: (x.cumsum(1), x.cumsum(0)), rand(4, 5))
case("reduce", "cumsum-int", lambda x: x.cumsum(-1),
     ints(0, 9, 4, 5, dtype=I32))
case("reduce", "cumsum-bool", lambda x: x.cumsum(-1), flags(4, 5))
case("reduce", "cumsum-bf16", lambda x: x.cumsum(-1), rand(4, 50, dtype=BF16))
case("reduce", "cumprod", lambda x: x.cumprod(1), rand(4, 5))
case("reduce", "diff", lambda x: (torch.diff(x), torch.diff(x, dim=0, n=2)),
     rand(4, 5))
case("reduce", "nansum", torch.nansum, special()[:4])

# ---------------------------------------------------------------- contractions

case("contract", "mm", torch.mm, rand(3, 7), rand(7, 4))
case("contract", "mm-bf16", torch.mm, rand(3, 70, dtype=BF16),
     rand(70, 4, dtype=BF16))
case("contract", "mm-f16", torch.mm, rand(3, 70, dtype=F16),
     rand(70, 4, dtype=F16))
case("contract", "mm-int", torch.mm, ints(-5, 5, 3, 7), ints(-5, 5, 7, 4))
case("contract", "mm-f64", torch.mm, rand(3, 7, dtype=F64),
     rand(7, 4, dtype=F64))
case("contract", "mm-empty", torch.mm, rand(3, 0), rand(0, 4))
case("contract", "mm-unit", torch.mm, rand(1, 7), rand(7, 1))
case("contract", "bmm", torch.bmm, rand(2, 3, 7), rand(2, 7, 4))
case("contract", "bmm-unit-batch", torch.bmm, rand(1, 3, 7), rand(1, 7, 4))
case("contract", "matmul-batch", torch.matmul, rand(2, 1, 3, 7),
     rand(5, 7, 4))
case("contract", "matmul-1-1", torch.matmul, rand(7), rand(7))
case("contract", "matmul-1-2", torch.matmul, rand(7), rand(7, 3))
case("contract", "matmul-2-1", torch.matmul, rand(3, 7), rand(7))
case("contract", "matmul-3-1", torch.matmul, rand(2, 3, 7), rand(7))
case("contract", "matmul-1-3", torch.matmul, rand(7), rand(2, 7, 3))
case("contract", "matmul-3-2", torch.matmul, rand(2, 3, 7), rand(7, 4))
case("contract", "matmul-transposed", lambda x, y: x @ y.transpose(-1, -2),
     rand(2, 3, 7), rand(2, 4, 7))
case("contract", "linear", F.linear, rand(2, 3, 7), rand(4, 7), rand(4))
case("contract", "linear-no-bias", F.linear, rand(3, 7), rand(4, 7))
case("contract", "linear-vector", F.linear, rand(7), rand(4, 7), rand(4))
case("contract", "linear-bf16", F.linear, rand(2, 3, 70, dtype=BF16),
     rand(4, 70, dtype=BF16), rand(4, dtype=BF16))
case("contract", "addmm", lambda a, b, c: torch.addmm(a, b, c, beta=0.5,
                                                      alpha=2.0),
     rand(4), rand(3, 7), rand(7, 4))
case("contract", "addmm-beta-0", lambda a, b, c: torch.addmm(a, b, c, beta=0),
     torch.full((4,), NAN), rand(3, 7), rand(7, 4))
case("contract", "baddbmm", torch.baddbmm, rand(2, 3, 4), rand(2, 3, 7),
     rand(2, 7, 4))
case("contract", "mv", torch.mv, rand(3, 7), rand(7))
case("contract", "outer", torch.outer, rand(3), rand(4))
case("contract", "dot", torch.dot, rand(9), rand(9))
for _equation, _shapes in {
        "ij,jk->ik": ((2, 3), (3, 4)), "bij,bjk->bik": ((2, 3, 4), (2, 4, 5)),
        "bhid,bhjd->bhij": ((2, 3, 4, 5), (2, 3, 6, 5)),
        "i,j->ij": ((3,), (4,)), "ii->i": ((4, 4),), "ij->ji": ((3, 4),),
        "ij->": ((3, 4),), "...ij,...jk->...ik": ((2, 3, 4), (2, 4, 5)),
        "bn,anm,bm->ba": ((2, 3), (4, 3, 5), (2, 5)),
        "ijk,jil->kl": ((3, 4, 5), (4, 3, 6))}.items():
    case("contract", f"einsum {_equation}",
         lambda *t, e=_equation: torch.einsum(e, *t),
         *(rand(*s) for s in _shapes))

# ----------------------------------------------------------------------- views

case("view", "reshape", lambda x: (x.view(6, 4), x.reshape(-1), x.flatten(1),
                                   x.unsqueeze(1), x.unflatten(2, (2, 2))),
     rand(2, 3, 4))
case("view", "squeeze", lambda x: (x.squeeze(), x.squeeze(0), x.squeeze(1)),
     rand(1, 3, 1))
case("view", "permute", lambda x: (x.permute(2, 0, 1), x.transpose(0, 2),
                                   x.mT, x.movedim(0, 2)), rand(2, 3, 4))
case("view", "t", lambda x: x.t(), rand(2, 3))
case("view", "transpose-reshape",
     lambda x: x.transpose(1, 2).reshape(2, 4, 15), rand(2, 3, 4, 5))
case("view", "expand", lambda x: (x.expand(4, 3, 5), x.expand(2, -1, 5)),
     rand(1, 3, 1)[:, :, :])
case("view", "slice", lambda x: (x[1:], x[:, ::2], x[-2:, 1:4], x[0:100],
                                 x[:, -3:-1]), rand(4, 7))
case("view", "select", lambda x: (x[1], x[:, -1], x[0, 2]), rand(4, 7))
case("view", "narrow", lambda x: x.narrow(1, 2, 3), rand(4, 7))
case("view", "split", lambda x: (*x.split(3, 1), *x.chunk(2, 0),
                                 *x.split([1, 2, 4], 1)), rand(4, 7))
case("view", "unbind", lambda x: x.unbind(1), rand(4, 3))
case("view", "flip", lambda x: (x.flip(0), x.flip(0, 1)), rand(4, 3))
case("view", "roll", lambda x: (x.roll(1, 0), x.roll((2, -1), (0, 1)),
                                x.roll(5)), rand(4, 3))
case("view", "unfold", lambda x: x.unfold(1, 3, 2), rand(2, 9))
case("view", "diagonal", lambda x: (x.diagonal(), x.diagonal(1),
                                    x.diagonal(-1, 0, 2)), rand(4, 5, 3))
# Larger than any vector, so that squares are transposed in registers; odd, so
# that rows and lanes are left over.
case("view", "transposed-squares", lambda x, y: x.t().contiguous() * 2 + y,
     rand(37, 53), rand(53, 37))
case("view", "transposed-squares-bf16",
     lambda x: x.permute(2, 0, 1).contiguous(), rand(40, 3, 35, dtype=BF16))
case("view", "transposed-squares-bool", lambda x: x.t().contiguous(),
     flags(33, 48))
# The same operand at two points of a square.
case("view", "transposed-squares-twice", lambda x: x.t() - x.t().flip(0),
     rand(40, 40))
case("view", "symmetric-squares", lambda x: x + x.t(), rand(50, 50))
case("view", "slice-of-transpose", lambda x: x.t()[1:, ::2] + 1, rand(4, 7))
case("view", "scatter-views",
     lambda x, y, z: (torch.slice_scatter(x, y, 1, 1, 5, 2),
                      torch.select_scatter(x, z, 0, 1)),
     rand(3, 7), rand(3, 2), rand(7))
case("view", "diagonal_scatter", torch.diagonal_scatter, rand(3, 4), rand(3))

case("join", "cat", lambda x, y: (torch.cat([x, y]), torch.cat([x, x], 1)),
     rand(2, 3), rand(4, 3))
case("join", "cat-mixed", lambda x, y: torch.cat([x, y], -1), rand(2, 3),
     ints(0, 4, 2, 2))
case("join", "cat-empty", lambda x, y: torch.cat([x, y]), rand(0), rand(2, 3))
case("join", "stack", lambda x, y: (torch.stack([x, y]),
                                    torch.stack([x, y], -1)),
     rand(2, 3), rand(2, 3))
case("join", "repeat", lambda x: (x.repeat(2, 1), x.repeat(2, 1, 3),
                                  x.tile(3)), rand(2, 3))
case("join", "repeat_interleave", lambda x: (x.repeat_interleave(2, 1),
                                             x.repeat_interleave(3)),
     rand(2, 3))
case("join", "meshgrid", lambda x, y: (
    *torch.meshgrid(x, y, indexing="ij"), *torch.meshgrid(x, y, indexing="xy")),
     rand(3), rand(4))
case("join", "pad", lambda x: (F.pad(x, (1, 2)), F.pad(x, (0, 1, 2, 0),
                                                       value=3.5),
                               F.pad(x, (-1, 2, 1, -1))), rand(3, 4))
case("join", "pad-reflect", lambda x: F.pad(x, (2, 1), mode="reflect"),
     rand(1, 2, 5))
case("join", "pad-replicate", lambda x: F.pad(x, (2, 1, 1, 0),
                                              mode="replicate"),
     rand(1, 2, 3, 4))
case("join", "pad-circular", lambda x: F.pad(x, (2, 1), mode="circular"),
     rand(1, 2, 5))
case("join", "pixel_shuffle", lambda x: (F.pixel_shuffle(x, 2)),
     rand(1, 8, 3, 2))
case("join", "pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2),
     rand(1, 2, 4, 6))
case("join", "channel_shuffle", lambda x: F.channel_shuffle(x, 2),
     rand(1, 4, 3, 2))

# -------------------------------------------------------------------- creation

case("create", "constants", lambda x: (
    torch.zeros(2, 3), torch.ones(4, dtype=I32), torch.full((2,), 7.5),
    torch.zeros_like(x), torch.ones_like(x, dtype=BOOL),
    torch.full_like(x, 3), x.new_ones(2, dtype=I64), x.new_zeros(3),
    x.new_full((2, 2), 0.5), torch.scalar_tensor(3.0)), rand(2, 3))
case("create", "arange", lambda x: (
    torch.arange(5), torch.arange(2, 7), torch.arange(0, 10, 3),
    torch.arange(5.0), torch.arange(0.0, 1.0, 0.1),
    torch.arange(7, 0, -2), torch.arange(4, dtype=F32) + x), rand(4))
case("create", "linspace", lambda x: torch.linspace(-1.0, 2.0, 7) + x, rand(7))
case("create", "eye", lambda x: torch.eye(3) + x, rand(3, 3))
case("create", "triangle", lambda x: (x.tril(), x.triu(1), x.tril(-1)),
     rand(2, 4, 5))
case("create", "one_hot", lambda x: F.one_hot(x, 6), ints(0, 6, 2, 3))
case("create", "causal-mask", lambda x: x.masked_fill(
    torch.ones(4, 4, dtype=BOOL).triu(1), -INF), rand(4, 4))

# --------------------------------------------------------------- normalization

case("norm", "softmax", lambda x: (x.softmax(-1), x.softmax(0)),
     rand(4, 5, scale=5.0))
case("norm", "softmax-masked", lambda x: x.softmax(-1),
     torch.tensor([[-INF, 1.0, 2.0], [-INF, -INF, -INF], [NAN, 0.0, 1.0],
                   [INF, 0.0, 1.0]]))
case("norm", "softmax-bf16", lambda x: x.softmax(-1),
     rand(4, 50, dtype=BF16, scale=3.0))
case("norm", "softmax-dtype", lambda x: x.softmax(-1, dtype=F32),
     rand(4, 50, dtype=BF16))
case("norm", "log_softmax", lambda x: (x.log_softmax(-1), x.log_softmax(0)),
     rand(4, 5, scale=5.0))
case("norm", "layer_norm", lambda x, w, b: (
    F.layer_norm(x, (6,), w, b), F.layer_norm(x, (6,)),
    F.layer_norm(x, (4, 6), eps=1e-3)), rand(3, 4, 6, shift=5.0), rand(6),
     rand(6))
case("norm", "layer_norm-bf16", lambda x, w, b: F.layer_norm(x, (60,), w, b),
     rand(3, 4, 60, dtype=BF16), rand(60, dtype=BF16), rand(60, dtype=BF16))
case("norm", "rms_norm", lambda x, w: (F.rms_norm(x, (6,), w),
                                       F.rms_norm(x, (6,), eps=1e-5)),
     rand(3, 6), rand(6))
case("norm", "rms_norm-written-out",
     lambda x, w: w * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)),
     rand(1, 3, 6), rand(6))
case("norm", "batch_norm", lambda x, m, v, w, b: F.batch_norm(x, m, v, w, b),
     rand(2, 3, 4, 5), rand(3), rand(3).abs() + 0.1, rand(3), rand(3))
case("norm", "batch_norm-plain", lambda x, m, v: F.batch_norm(x, m, v),
     rand(2, 3), rand(3), rand(3).abs() + 0.1)
case("norm", "batch_norm-of-the-batch", lambda x, w: (
    F.batch_norm(x, None, None, w, training=True),
    F.batch_norm(x[:, :, 0], None, None, training=True, eps=1e-3)),
     rand(2, 3, 4, shift=5.0), rand(3))
case("norm", "group_norm", lambda x, w, b: (F.group_norm(x, 2, w, b),
                                            F.group_norm(x, 4)),
     rand(2, 4, 3, 5), rand(4), rand(4))
case("norm", "instance_norm", F.instance_norm, rand(2, 3, 4, 5))

# ------------------------------------------------------------------- attention

_Q, _K, _V = rand(2, 4, 5, 8), rand(2, 4, 7, 8), rand(2, 4, 7, 6)
_MASK = flags(2, 1, 5, 7)
_MASK[..., 0] = True
_HIDDEN = _MASK.clone()
_HIDDEN[0, 0, 2] = False
case("attention", "plain", F.scaled_dot_product_attention, _Q, _K, _V)
case("attention", "bool-mask",
     lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m),
     _Q, _K, _V, _MASK)
case("attention", "hidden-row",
     lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m),
     _Q, _K, _V, _HIDDEN)
case("attention", "float-mask",
     lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m, scale=0.3),
     _Q, _K, _V, rand(5, 7))
case("attention", "causal",
     lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
     rand(2, 4, 7, 8), _K, _V)
case("attention", "grouped",
     lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
     rand(2, 4, 5, 8), rand(2, 2, 7, 8), rand(2, 2, 7, 8))
case("attention", "grouped-mask",
     lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m,
                                                       enable_gqa=True),
     rand(1, 4, 5, 8), rand(1, 2, 7, 8), rand(1, 2, 7, 8), _MASK[:1])
case("attention", "repeated-heads",
     lambda q, k, v: F.scaled_dot_product_attention(
         q, k[:, :, None].expand(2, 2, 3, 7, 8).reshape(2, 6, 7, 8),
         v[:, :, None].expand(2, 2, 3, 7, 8).reshape(2, 6, 7, 8)),
     rand(2, 6, 5, 8), rand(2, 2, 7, 8), rand(2, 2, 7, 8))
case("attention", "bf16", F.scaled_dot_product_attention,
     rand(1, 2, 5, 16, dtype=BF16), rand(1, 2, 7, 16, dtype=BF16),
     rand(1, 2, 7, 16, dtype=BF16))
case("attention", "rank-3", F.scaled_dot_product_attention, rand(4, 5, 8),
     rand(4, 7, 8), rand(4, 7, 8))
case("attention", "one-query", F.scaled_dot_product_attention,
     rand(1, 4, 1, 8), rand(1, 4, 7, 8), rand(1, 4, 7, 8))

# ---------------------------------------------------------- windows and pooling

case("conv", "conv2d", lambda x, w, b: F.conv2d(x, w, b, padding=1),
     rand(2, 3, 6, 7), rand(4, 3, 3, 3), rand(4))
case("conv", "conv2d-stride", lambda x, w: F.conv2d(x, w, stride=2,
                                                    padding=(2, 1)),
     rand(2, 3, 9, 8), rand(4, 3, 3, 3))
case("conv", "conv2d-dilated", lambda x, w: F.conv2d(x, w, dilation=2),
     rand(1, 3, 9, 8), rand(4, 3, 3, 2))
case("conv", "conv2d-groups", lambda x, w: F.conv2d(x, w, groups=2),
     rand(2, 4, 5, 5), rand(6, 2, 3, 3))
case("conv", "conv2d-depthwise", lambda x, w: F.conv2d(x, w, groups=4,
                                                       padding=1),
     rand(1, 4, 5, 5), rand(4, 1, 3, 3))
case("conv", "conv2d-pointwise", lambda x, w, b: F.conv2d(x, w, b),
     rand(1, 4, 5, 5), rand(6, 4, 1, 1), rand(6))
case("conv", "conv2d-pointwise-stride", lambda x, w: F.conv2d(x, w, stride=2),
     rand(1, 4, 5, 5), rand(6, 4, 1, 1))
case("conv", "conv2d-same", lambda x, w: F.conv2d(x, w, padding="same"),
     rand(1, 3, 6, 7), rand(4, 3, 4, 3))
case("conv", "conv2d-unbatched", lambda x, w, b: F.conv2d(x, w, b),
     rand(3, 6, 7), rand(4, 3, 3, 3), rand(4))
case("conv", "conv2d-patch", lambda x, w, b: F.conv2d(x, w, b, stride=4),
     rand(1, 3, 8, 8), rand(5, 3, 4, 4), rand(5))
case("conv", "conv2d-bf16", lambda x, w, b: F.conv2d(x, w, b, padding=1),
     rand(1, 8, 6, 7, dtype=BF16), rand(4, 8, 3, 3, dtype=BF16),
     rand(4, dtype=BF16))
case("conv", "conv1d", lambda x, w, b: F.conv1d(x, w, b, padding=2, stride=2),
     rand(2, 3, 11), rand(4, 3, 5), rand(4))
case("conv", "conv1d-causal", lambda x, w: F.conv1d(x, w, padding=3,
                                                    groups=4)[..., :-3],
     rand(1, 4, 9), rand(4, 1, 4))
case("conv", "conv3d", lambda x, w: F.conv3d(x, w, padding=1),
     rand(1, 2, 4, 5, 3), rand(3, 2, 3, 3, 3))
case("conv", "conv_transpose2d", lambda x, w, b: F.conv_transpose2d(
    x, w, b, stride=2, padding=1, output_padding=1),
     rand(1, 3, 4, 5), rand(3, 4, 3, 3), rand(4))
case("conv", "conv_transpose2d-groups", lambda x, w: F.conv_transpose2d(
    x, w, groups=2, dilation=2), rand(1, 4, 4, 5), rand(4, 3, 2, 2))
case("conv", "conv_transpose1d", lambda x, w: F.conv_transpose1d(
    x, w, stride=3), rand(2, 3, 5), rand(3, 2, 4))
case("pool", "max_pool2d", lambda x: (F.max_pool2d(x, 2),
                                      F.max_pool2d(x, 3, 2, 1),
                                      F.max_pool2d(x, 3, 2, ceil_mode=True),
                                      F.max_pool2d(x, 2, 1, dilation=2)),
     rand(2, 3, 7, 8))
case("pool", "max_pool2d-indices", lambda x: F.max_pool2d(
    x, 3, 2, 1, return_indices=True), ints(0, 4, 1, 2, 7, 6).float())
case("pool", "max_pool1d", lambda x: F.max_pool1d(x, 3), rand(2, 3, 10))
case("pool", "max_pool3d", lambda x: F.max_pool3d(x, 2), rand(1, 2, 4, 5, 6))
case("pool", "avg_pool2d", lambda x: (
    F.avg_pool2d(x, 2), F.avg_pool2d(x, 3, 2, 1),
    F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    F.avg_pool2d(x, 3, 2, ceil_mode=True),
    F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    F.avg_pool2d(x, 2, divisor_override=3)), rand(2, 3, 7, 8))
case("pool", "avg_pool1d", lambda x: F.avg_pool1d(x, 3, 2), rand(2, 3, 10))
case("pool", "adaptive_avg_pool2d", lambda x: (
    F.adaptive_avg_pool2d(x, 1), F.adaptive_avg_pool2d(x, (3, 4)),
    F.adaptive_avg_pool2d(x, (5, 3)), F.adaptive_avg_pool2d(x, (None, 2))),
     rand(2, 3, 6, 8))
case("pool", "adaptive_avg_pool1d", lambda x: F.adaptive_avg_pool1d(x, 3),
     rand(2, 3, 7))
case("pool", "adaptive_max_pool2d", lambda x: F.adaptive_max_pool2d(x, (2, 3)),
     rand(2, 3, 6, 7))

# -------------------------------------------------------------------- indexing

case("index", "embedding", F.embedding, ints(0, 9, 2, 3), rand(9, 4))
case("index", "index-one", lambda x, i: x[i], rand(5, 3), ints(-5, 5, 2, 4))
case("index", "index-two", lambda x, i, j: x[i, j], rand(5, 3, 2),
     ints(-5, 5, 4), ints(0, 3, 4))
case("index", "index-second", lambda x, i: x[:, i], rand(5, 3, 2),
     ints(0, 3, 4))
case("index", "index-apart", lambda x, i, j: x[i, :, j], rand(5, 3, 2),
     ints(0, 5, 4), ints(0, 2, 4))
case("index", "index-broadcast", lambda x, i, j: x[i, j], rand(5, 3),
     ints(0, 5, 4, 1), ints(0, 3, 2))
case("index", "index-i32", lambda x, i: x[i], rand(5, 3),
     ints(0, 5, 4, dtype=I32))
case("index", "gather", lambda x, i: (x.gather(1, i), x.gather(0, i % 3)),
     rand(3, 5), ints(0, 5, 3, 4))
case("index", "index_select", lambda x, i: (x.index_select(1, i % 3),
                                            x.index_select(0, i)),
     rand(5, 3), ints(0, 5, 4))
case("index", "take_along_dim", lambda x, i: x.take_along_dim(i, 1),
     rand(3, 5), ints(-7, 12, 3, 2))  # modulo the size
case("index", "index_put", lambda x, i, v: x.index_put((i,), v), rand(5, 3),
     torch.tensor([3, 0, -1]), rand(3, 3))
case("index", "index_put-accumulate",
     lambda x, i, v: x.index_put((i,), v, accumulate=True), rand(5, 3),
     torch.tensor([3, 0, 3]), rand(3))
case("index", "index_put-mask",
     lambda x, m: x.index_put((m,), torch.tensor(7.0)), rand(5, 3), flags(5, 3))
case("index", "scatter", lambda x, i, s: (x.scatter(1, i, s),
                                          x.scatter(0, i % 3, 9.0)),
     rand(3, 5), torch.tensor([[0, 4], [1, 3], [2, 0]]), rand(3, 4))
case("index", "scatter_add", lambda x, i, s: x.scatter_add(1, i, s),
     rand(3, 5), ints(0, 5, 3, 4), rand(3, 4))
case("index", "scatter_reduce", lambda x, i, s: (
    x.scatter_reduce(1, i, s, "amax"), x.scatter_reduce(1, i, s, "prod")),
     rand(3, 5), ints(0, 5, 3, 4), rand(3, 4))
case("index", "index_copy", lambda x, i, s: x.index_copy(1, i, s),
     rand(3, 5), torch.tensor([4, 1]), rand(3, 2))
case("index", "index_add", lambda x, i, s: x.index_add(0, i, s, alpha=2.0),
     rand(3, 5), torch.tensor([2, 0, 2]), rand(3, 5))
case("index", "writes_rank_0", lambda x, i, s: (
    x.index_fill(0, i, 7.0), x.index_add(0, i, s), x.index_copy(0, i, s)),
     torch.tensor(2.5), torch.tensor([0]), torch.tensor(-1.25))
case("index", "index_fill", lambda x, i: x.index_fill(1, i, 7.0), rand(3, 5),
     torch.tensor([4, 1]))
case("index", "take", torch.take, rand(3, 5), ints(0, 15, 4))

# --------------------------------------------------------------------- sorting

_DISTINCT = torch.randperm(60, generator=_generator).reshape(3, 20).float()
_LONG = torch.randperm(900, generator=_generator).reshape(3, 300).float()
case("sort", "topk", lambda x: (*x.topk(4), *x.topk(3, dim=0),
                                *x.topk(2, largest=False)), _DISTINCT)
case("sort", "topk-long", lambda x: (*x.topk(4), *x.topk(3, largest=False)),
     _LONG)
case("sort", "topk-long-nan", lambda x: (*x.topk(3),
                                         *x.topk(2, largest=False)),
     torch.cat([_LONG, torch.full((3, 1), NAN)], 1))
case("sort", "topk-int", lambda x: tuple(x.topk(4)), _DISTINCT.long())
case("sort", "sort", lambda x: (*x.sort(), *x.sort(0, descending=True)),
     _DISTINCT)
case("sort", "sort-stable-ties", lambda x: (
    *x.sort(stable=True), *x.sort(stable=True, descending=True)),
     ints(0, 4, 3, 9).float())
case("sort", "sort-nan", lambda x: (*x.sort(stable=True), x.argsort()),
     torch.tensor([1.0, NAN, -INF, INF, 0.5]))
case("sort", "kthvalue", lambda x: tuple(x.kthvalue(5)), _DISTINCT)
case("sort", "median", lambda x: tuple(x.median(1)), _DISTINCT)

# ----------------------------------------------------------- fused operators

case("fused", "long-running-sum", lambda x: (x.cumsum(0), x.cumsum(1)),
     rand(300, 3, shift=2.0))
case("fused", "long-running-product", lambda x: x.cumprod(0),
     rand(300, 3, scale=0.01, shift=1.0))

case("fused", "product-of-computed-with-itself",
     lambda x: (x * 2) @ (x * 2).transpose(-1, -2), rand(5, 1))
case("fused", "outer-product-of-cast", lambda x: (
    x.to(BF16) @ x.to(BF16).transpose(-1, -2)), rand(5, 1))
case("fused", "sum-plus-its-transpose",
     lambda x: x.sum(2) + x.sum(2).t(), rand(9, 9, 4))
case("fused", "sum-minus-its-first-row",
     lambda x: x.sum(2) - x.sum(2)[:1], rand(9, 9, 4))
case("fused", "softmax-of-long-batch",
     lambda x, y: torch.softmax(y, -1) @ x, rand(70, 3, 9), rand(70, 2, 3))
case("fused", "softmax-of-product-with-itself",
     lambda x: torch.softmax(x @ x.transpose(-1, -2), -1) @ x,
     rand(50, 2, 2))
case("fused", "empty-reshaped", lambda x: (
    x.unflatten(0, (2, 1)), x.repeat(3, 2).tril(), x.reshape(0, 5) + 1),
     rand(2, 0))

# ------------------------------------------------------------------ resampling

case("resample", "nearest", lambda x: (
    F.interpolate(x, scale_factor=2), F.interpolate(x, size=(5, 9)),
    F.interpolate(x, scale_factor=1.5)), rand(1, 2, 3, 4))
case("resample", "nearest-exact", lambda x: F.interpolate(
    x, size=(5, 9), mode="nearest-exact"), rand(1, 2, 3, 4))
case("resample", "bilinear", lambda x: (
    F.interpolate(x, size=(5, 9), mode="bilinear"),
    F.interpolate(x, size=(5, 9), mode="bilinear", align_corners=True),
    F.interpolate(x, scale_factor=2.5, mode="bilinear"),
    F.interpolate(x, size=(2, 2), mode="bilinear")), rand(1, 2, 3, 4))
case("resample", "linear", lambda x: F.interpolate(x, size=7, mode="linear"),
     rand(1, 2, 4))
case("resample", "bicubic", lambda x: (
    F.interpolate(x, size=(5, 9), mode="bicubic"),
    F.interpolate(x, size=(7, 6), mode="bicubic", align_corners=True)),
     rand(1, 2, 4, 5))
case("resample", "im2col", lambda x: F.unfold(x, 3, padding=1, stride=2),
     rand(2, 3, 5, 6))


# -------------------------------------------------- counting and searching

_edges = torch.tensor([-2.0, -0.5, 0.0, 0.0, 1.5, 3.0])
_wanted = torch.tensor([[-3.0, -2.0, 0.0], [1.0, NAN, 9.0]])
case("counting", "histc", lambda x: torch.histc(x, 7, -2, 2), rand(31))
case("counting", "histc-own-range", lambda x: torch.histc(x, 5), rand(4, 6))
case("counting", "histc-ends", lambda x: torch.histc(x, 4, 0, 3),
     torch.tensor([0.0, 3.0, 3.0, 1.0, 2.9, NAN, -1.0, 3.1]))
case("counting", "histc-one-value", lambda x: torch.histc(x, 4),
     torch.full((3,), 2.0))
case("counting", "histc-ids", lambda x: torch.histc(x.float(), 8, 0, 7),
     ints(0, 8, 20))
for _right in (False, True):
    case("counting", f"bucketize-{_right}",
         lambda x, e, r=_right: torch.bucketize(x, e, right=r), _wanted,
         _edges)
    case("counting", f"searchsorted-rows-{_right}",
         lambda e, x, r=_right: torch.searchsorted(e, x, right=r),
         torch.stack([_edges, _edges * 2]), _wanted)
case("counting", "bucketize-int32",
     lambda x, e: torch.bucketize(x, e, out_int32=True), ints(-3, 9, 7),
     torch.tensor([0, 2, 4]))
case("counting", "searchsorted-sorter",
     lambda e, x, o: torch.searchsorted(e, x, sorter=o),
     torch.tensor([3.0, 1.0, 2.0]), torch.tensor([1.5, 2.5]),
     torch.tensor([1, 2, 0]))
case("counting", "isin", torch.isin, ints(0, 9, 4, 5), ints(0, 9, 3))
case("counting", "isin-invert", lambda x, y: torch.isin(x, y, invert=True),
     ints(0, 9, 6), ints(0, 9, 2, 2))
case("counting", "isin-number", lambda x: torch.isin(x, 3), ints(0, 5, 6))
case("counting", "isin-empty", torch.isin, ints(0, 9, 4), ints(0, 9, 0))

# -------------------------------------------------------- further products

case("product", "vecdot", lambda x, y: torch.linalg.vecdot(x, y),
     rand(2, 3, 5), rand(3, 5))
case("product", "vecdot-dim", lambda x, y: torch.linalg.vecdot(x, y, dim=1),
     rand(2, 3, 5), rand(2, 3, 5))
case("product", "addr", lambda s, x, y: torch.addr(s, x, y, beta=0.5, alpha=2),
     rand(4, 3), rand(4), rand(3))
case("product", "multi_dot", lambda *m: torch.linalg.multi_dot(m), rand(4),
     rand(4, 5), rand(5, 3))
case("product", "chain_matmul", lambda *m: torch.chain_matmul(*m), rand(2, 4),
     rand(4, 5), rand(5, 3))
case("product", "kron", torch.kron, rand(2, 3), rand(4, 2))
case("product", "kron-ranks", torch.kron, ints(0, 9, 3), ints(0, 9, 2, 2))
case("product", "cross", lambda x, y: torch.linalg.cross(x, y), rand(4, 3),
     rand(1, 3))
case("product", "cross-dim", lambda x, y: torch.cross(x, y, dim=0), rand(3, 4),
     rand(3, 4))
case("product", "bilinear", F.bilinear, rand(2, 3, 4), rand(2, 3, 5),
     rand(6, 4, 5), rand(6))

# ----------------------------------------------- diagonals, turns, splitting

case("view", "diag-vector", lambda x: torch.diag(x, 1), rand(4))
case("view", "diag-vector-below", lambda x: torch.diag(x, -2), ints(0, 9, 3))
case("view", "diag-matrix", lambda x: torch.diag(x, -1), rand(4, 3))
case("view", "diag_embed", lambda x: torch.diag_embed(x), rand(2, 3))
case("view", "diag_embed-dims",
     lambda x: torch.diag_embed(x, offset=1, dim1=0, dim2=2), rand(2, 3))
case("view", "diagflat", lambda x: torch.diagflat(x, 1), rand(2, 2))
case("view", "trace", torch.trace, rand(3, 5))
case("view", "trace-int", torch.trace, ints(0, 9, 3, 3, dtype=I32))
for _k in (-1, 0, 1, 2, 3):
    case("view", f"rot90-{_k}", lambda x, k=_k: torch.rot90(x, k, (0, 2)),
         rand(2, 2, 3))
case("view", "fliplr", torch.fliplr, rand(2, 3))
case("view", "flipud", torch.flipud, rand(2, 3))
case("view", "hsplit", lambda x: torch.hsplit(x, 2), rand(3, 4))
case("view", "hsplit-vector", lambda x: torch.hsplit(x, [1, 3]), rand(4))
case("view", "vsplit", lambda x: torch.vsplit(x, [1]), rand(3, 4))
case("view", "dsplit", lambda x: torch.dsplit(x, 2), rand(2, 3, 4))
case("joining", "column_stack", lambda *p: torch.column_stack(p), rand(3),
     rand(3, 2))
case("joining", "block_diag", lambda *p: torch.block_diag(*p), rand(2, 3),
     rand(2), rand(1, 1))

# ------------------------------------------------------ further elementwise

for _name in ("absolute", "arcsin", "arccos", "arctan", "arcsinh", "arctanh"):
    case("unary", _name, getattr(torch, _name), torch.linspace(-0.9, 0.9, 11))
case("unary", "arccosh", torch.arccosh, torch.linspace(1.0, 9.0, 11))
for _name in ("exp2", "log1p", "ndtr", "entr", "sinc"):
    _fn = getattr(torch.special, _name)
    case("unary", f"special_{_name}", _fn, rand(4, 7).abs())
    case("unary", f"special_{_name}-special", _fn, special())
case("unary", "isreal", torch.isreal, rand(3))
case("binary", "logaddexp2", torch.logaddexp2, rand(5), rand(5))
case("binary", "logaddexp2-special", torch.logaddexp2,
     special().reshape(12, 1), special())
case("binary", "xlog1py", torch.special.xlog1py, special().reshape(12, 1),
     special())
case("binary", "ldexp", torch.ldexp, rand(5), ints(-4, 5, 5))
case("binary", "float_power", torch.float_power, rand(5).abs(), rand(5))
case("binary", "float_power-number", lambda x: torch.float_power(x, 3),
     ints(-3, 4, 6))
case("binary", "isclose", torch.isclose, special().reshape(12, 1), special())
case("binary", "isclose-nan",
     lambda x, y: torch.isclose(x, y, rtol=0.1, equal_nan=True),
     special().reshape(12, 1), special() * 1.05)
case("binary", "isclose-int", torch.isclose, ints(0, 4, 6), ints(0, 4, 6))

# ------------------------------------------------------------ longer sorting

for _dtype in (F32, F64, BF16, I64, I32, U8):
    # Many ties: their order is that of a stable sort.
    case("sorting", f"sort-long-{_dtype}",
         lambda x: tuple(torch.sort(x, dim=1, stable=True)),
         ints(0, 40, 2, 100, 3).to(_dtype))
case("sorting", "sort-long-descending",
     lambda x: tuple(torch.sort(x, descending=True, stable=True)),
     torch.cat([special().repeat(9), rand(60)]))
case("sorting", "sort-long-bool", lambda x: tuple(torch.sort(x, stable=True)),
     flags(3, 70))
case("sorting", "topk-long", lambda x: tuple(torch.topk(x, 20)),
     torch.randperm(300, generator=_generator).reshape(3, 100) / 7.0)
case("sorting", "argsort-long", lambda x: torch.argsort(x, dim=0, stable=True),
     rand(70, 2))
case("sorting", "median-long", lambda x: torch.median(x, 0)[0], rand(71, 2))
case("sorting", "kthvalue-long", lambda x: torch.kthvalue(x, 9)[0],
     rand(2, 80))

# ------------------------------------------------- further scans and indexing

case("scan", "cummax", lambda x: tuple(torch.cummax(x, 1)),
     ints(-3, 4, 3, 9).to(F32))
case("scan", "cummin-nan", lambda x: tuple(torch.cummin(x, 0)), special())
case("scan", "cummax-uint8", lambda x: tuple(torch.cummax(x, 0)),
     ints(0, 255, 9, dtype=U8))
case("sorting", "median-all", torch.median, rand(4, 5))
case("sorting", "median-all-nan", torch.median, special())
case("sorting", "msort", torch.msort, rand(5, 3))
case("indexing", "masked_scatter", torch.masked_scatter, rand(3, 4),
     flags(3, 4), rand(12))
case("indexing", "masked_scatter-broadcast", torch.masked_scatter, rand(3, 4),
     flags(4), rand(5, 3))
case("indexing", "put", lambda x, i, s: x.put(i, s), rand(3, 4),
     torch.tensor([[1, -2], [5, 0]]), rand(2, 2))
case("indexing", "put-accumulate",
     lambda x, i, s: x.put(i, s, accumulate=True), rand(3, 4),
     torch.tensor([1, 1, 5]), rand(3))
for _reduce in ("sum", "prod", "amax", "amin", "mean"):
    for _self in (True, False):
        case("indexing", f"scatter_reduce-{_reduce}-{_self}",
             lambda x, i, s, r=_reduce, w=_self: torch.scatter_reduce(
                 x, 1, i, s, r, include_self=w),
             rand(3, 5), ints(0, 5, 3, 7), rand(3, 7))
case("indexing", "scatter_reduce-mean-int",
     lambda x, i, s: torch.scatter_reduce(x, 0, i, s, "mean"),
     ints(0, 9, 4), ints(0, 4, 6), ints(-9, 9, 6))
for _p in (0.0, 1.0, 2.0, 3.0, INF):
    case("product", f"cdist-{_p}", lambda x, y, p=_p: torch.cdist(x, y, p=p),
         rand(2, 4, 5), rand(1, 3, 5))

# ---------------------------------------------------------- patches and grids

for _options in (dict(kernel_size=3, padding=1),
                 dict(kernel_size=(2, 3), stride=(2, 1), dilation=(1, 2))):
    case("resampling", f"fold-{len(_options)}",
         lambda x, o=_options: F.fold(F.unfold(x, **o), (6, 7), **o),
         rand(2, 3, 6, 7))
case("resampling", "fold-unbatched",
     lambda x: F.fold(x, (4, 4), kernel_size=2, stride=2), rand(12, 4))
for _mode in ("bilinear", "nearest"):
    for _padding in ("zeros", "border", "reflection"):
        for _align in (False, True):
            case("resampling", f"grid_sample-{_mode}-{_padding}-{_align}",
                 lambda x, g, m=_mode, p=_padding, a=_align: F.grid_sample(
                     x, g, mode=m, padding_mode=p, align_corners=a),
                 rand(2, 3, 5, 6), rand(2, 4, 3, 2) * 1.3)

# ------------------------------------------------------------ edges of the above

# New cases at the end: the values of those before stay what they are.
# Rows whose last vector has one element: a wider store would reach the next row.
case("edge", "narrowing-rows", lambda x, y: (x.to(I8), x.to(I16), y.to(I32),
                                             x.to(F16), x.to(BF16)),
     ints(-99, 99, 3, 2, 129, dtype=I32), ints(-99, 99, 3, 2, 33))
case("edge", "narrow-rows", torch.sign, rand(3, 2, 129, dtype=BF16))
case("edge", "product-of-nothing", lambda x: x @ x.transpose(-1, -2), rand(3, 0))
case("edge", "product-of-nothing-bf16", lambda x: x @ x.transpose(-1, -2) + 1,
     rand(2, 3, 0, dtype=BF16))
case("edge", "product-of-broadcasts", lambda x, y: torch.dot(x.expand(5),
                                                         y.expand(5)),
     rand(1), rand(1))
case("edge", "sum-of-a-part", lambda x: (torch.logical_and(x, x.abs()),
                                       torch.logical_and(x, x.abs())[:, :-1]
                                       .sum((0, 1, 2))),
     ints(-1, 2, 31, 7, 12))
case("edge", "pool-of-one-value", lambda x: F.avg_pool2d(
    x.masked_fill(torch.ones(7, dtype=BOOL), 3), 2, 1), rand(2, 3, 5, 7))
case("edge", "all-of-one-value", lambda x, y: y | x.masked_fill(
    torch.ones(1, dtype=BOOL), 0).all(1), rand(1, 128, 1), flags(3, 4))
case("edge", "reductions-of-one-value", lambda x: (
    (x * 0).prod(1), (x * 0 + 1).prod(1), (x * 0).sum(0), (x * 0).amax(1),
    (x * 0).any(0), (x * 0 + 1).all(1)), ints(-9, 9, 5, 33))
for _causal in (False, True):
    case("edge", f"attention-without-keys-{_causal}",
         lambda q, k, v, c=_causal: F.scaled_dot_product_attention(
             q, k, v, is_causal=c),
         rand(2, 3, 8), rand(2, 0, 8), rand(2, 0, 8))
case("edge", "softmax-of-nothing", lambda x, y: torch.softmax(x, -1) @ y,
     rand(3, 0), rand(0, 5))
case("edge", "scan-of-nothing", lambda x, y: (x.cumsum(-1), y.cumsum(0),
                                              y.cumprod(1), x.cummax(-1)[0]),
     rand(6, 0), rand(0, 6))
case("edge", "sort-of-nothing", lambda x, y: (x.sort(-1)[0], y.sort(0)[1],
                                              y.sort(1)[0]),
     rand(6, 0), rand(0, 6))
# Softmax weights that the program rounds to the values' type, and exact ones.
case("edge", "weights-rounded",
     lambda e, v: torch.softmax(e, -1, dtype=F32).to(BF16) @ v,
     rand(3, 40, 51, dtype=BF16), rand(3, 51, 24, dtype=BF16))
case("edge", "weights-not-rounded",
     lambda e, v: torch.softmax(e, -1) @ v.to(F32),
     rand(3, 40, 51), rand(3, 51, 24, dtype=BF16))

# ------------------------------------- numbers that sums of numbers find hard

# Means that are not exact: rows of one number, numbers that are far from zero
# for how far they are apart, squares that overflow or vanish. The contract
# leaves no room where eager is exact.
_FAR = {
    "equal": lambda *s: torch.full(s, 0.1),
    "offset": lambda *s: rand(*s, scale=0.01, shift=1000.0),
    "far": lambda *s: rand(*s, scale=1000.0, shift=1.7e9),
    "huge": lambda *s: rand(*s, scale=1e30),
    "tiny": lambda *s: rand(*s, scale=1e-30),
}
for _kind, _make in _FAR.items():
    # On a few far numbers eager's roundings are luck, and so is the bound.
    for _rows, _length in ((1, 7), (3, 300))[_kind == "far":]:
        case("moments", f"layer_norm-{_kind}-{_length}",
             lambda x: F.layer_norm(x, (x.shape[-1],), eps=1e-12),
             _make(_rows, _length))
        case("moments", f"group_norm-{_kind}-{_length}",
             lambda x: F.group_norm(x[None], x.shape[0], eps=1e-12),
             _make(_rows, _length))
        case("moments", f"var-{_kind}-{_length}",
             lambda x: (x.var(-1), x.std(-1), x.std(), x.var(0, correction=0),
                        *torch.var_mean(x, -1)), _make(_rows, _length))
    case("moments", f"instance_norm-{_kind}",
         lambda x: F.instance_norm(x, eps=1e-12), _make(2, 3, 40))
    case("moments", f"batch_norm-{_kind}",
         lambda x: F.batch_norm(x, None, None, training=True, eps=1e-12),
         _make(2, 3, 40))
    case("moments", f"statistics-{_kind}",
         lambda x: torch.ops.aten._native_batch_norm_legit.no_stats(
             x, None, None, True, 0.1, 1e-12)[1:], _make(2, 3, 40))
case("moments", "layer_norm-equal-sizes",
     lambda *rows: tuple(F.layer_norm(x, (x.shape[-1],), eps=1e-12)
                         for x in rows),
     *(torch.full((2, n), 0.1 * n) for n in (2, 3, 33, 70, 1000, 5003)))
case("moments", "layer_norm-equal-bf16",
     lambda x: F.layer_norm(x, (77,), eps=1e-12),
     torch.full((2, 77), 0.1, dtype=BF16))
case("moments", "var-equal-long", lambda x: (x.var(-1), x.var()),
     torch.full((2, 20011), 0.1))
case("moments", "native-around-zero",
     lambda x: torch.native_layer_norm(x, (9000,), None, None, 1e-5),
     rand(2, 9000))
for _value in (INF, NAN):
    case("moments", f"of-{_value}",
         lambda x: (F.layer_norm(x, (20,)), x.var(-1),
                    *torch.var_mean(x, -1)),
         rand(3, 20).index_fill(1, torch.tensor([4]), _value))
case("moments", "mean-of-equal", lambda x: (x.mean(-1), x.mean(0), x.mean()),
     torch.full((5, 77), 0.1))

# Products of as many factors as register tiles, blocks of sums and what is left
# over take; long ones whose terms have one sign.
for _rows, _depth, _columns in ((1, 256, 40), (3, 97, 33), (8, 256, 48),
                                (40, 256, 50), (33, 130, 96), (70, 600, 17)):
    case("sums", f"linear-{_rows}-{_depth}", F.linear,
         rand(_rows, _depth, shift=0.5), rand(_columns, _depth, shift=0.5))
case("sums", "linear-int", lambda x, w: x @ w.t(), ints(-9, 9, 20, 300),
     ints(-9, 9, 40, 300))
case("sums", "cancelling", lambda x, y: torch.cat([x, x], 1) @ torch.cat(
    [y, -y + 1e-3], 0), rand(20, 100), rand(100, 40))
case("sums", "attention", F.scaled_dot_product_attention,
     rand(1, 2, 70, 100, scale=0.5), rand(1, 2, 150, 100, scale=0.5),
     rand(1, 2, 150, 33, shift=1.0))



def _recur(x: torch.Tensor, w: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    state = torch.zeros(1, u.shape[0])
    for step in x:
        state = torch.tanh(step @ w + state @ u)
    return state


case("sums", "recurrence", _recur, rand(6, 1, 64), rand(64, 128, scale=0.2),
     rand(128, 128, scale=0.1))

# The signs of zeros, which a quotient shows.
_ZEROS = torch.tensor([0.0, -0.0, 1.0, -1.0, 0.4, -0.4, 5e-324, -1e-45])
for _name, _fn in {
        "neg": torch.neg, "abs": torch.abs, "round": torch.round,
        "trunc": torch.trunc, "ceil": torch.ceil, "floor": torch.floor,
        "sqrt": lambda x: torch.sqrt(x * 0), "sin": torch.sin,
        "tanh": torch.tanh, "atan": torch.atan, "erf": torch.erf,
        "expm1": torch.expm1, "log1p": lambda x: torch.log1p(x * 0.5),
        "asinh": torch.asinh, "add": lambda x: x + -0.0,
        "add-zero": lambda x: x + 0.0, "sub": lambda x: x - 0.0,
        "rsub": lambda x: 0.0 - x, "mul": lambda x: x * -2.0,
        "div": lambda x: x / -3.0, "minus-itself": lambda x: x - x,
        "bf16": lambda x: x.to(BF16).to(F32),
        "where": lambda x: torch.where(x > 0, x, -x)}.items():
    case("zeros", _name, lambda x, f=_fn: 1.0 / f(x), _ZEROS)
case("zeros", "sums", lambda x: (1.0 / x.sum(-1), 1.0 / x.mean(-1),
                                 1.0 / x.cumsum(-1)),
     torch.full((2, 40), -0.0))
case("zeros", "products", lambda x, y: 1.0 / (x @ y),
     torch.full((3, 20), -0.0), torch.ones(20, 5))
case("zeros", "copies", lambda x: (1.0 / x.flip(0), 1.0 / torch.cat([x, x]),
                                   1.0 / x.masked_fill(x > 0, -0.0)), _ZEROS)

# An element as a vector of windows of one, or of none.
_ELEMENT = torch.tensor(2.5)
case("view", "unfold-rank-0", lambda x: (x.unfold(0, 1, 1), x.unfold(-1, 1, 2),
                                         x.unfold(0, 0, 1),
                                         x * x.unfold(0, 1, 1)), _ELEMENT)
case("view", "rank-0", lambda x: (
    x.transpose(0, -1), x.permute(()), x.t(), x.movedim(0, 0), x.flip(()),
    x.roll(1), x.expand(2, 3), x.squeeze(0), x.unsqueeze(-1), x.reshape(1, 1),
    x.repeat(2, 3), x.as_strided((3,), (0,)), torch.diagflat(x), x[None, ...],
    torch.block_diag(x, x)), _ELEMENT)

_IMAGE = ints(0, 256, 1, 2, 5, 7, dtype=U8)
for _mode in ("nearest", "nearest-exact"):
    case("resample", f"uint8-{_mode}", lambda x, m=_mode: (
        F.interpolate(x, size=(4, 9), mode=m),
        F.interpolate(x, scale_factor=1.5, mode=m),
        F.interpolate(x, scale_factor=2, mode=m)), _IMAGE)
