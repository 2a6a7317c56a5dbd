"""Products, attention and convolutions at sizes that no register tile divides.

What is tested is the way the operands take: in place, packed at compile time or
per tile, contiguous along the lanes or along the sum, whole groups or not. Each
program has many outputs, since the compiler's start is what takes the time.
"""

from __future__ import annotations

import pathlib

import pytest
import torch
from torch.nn import functional as F

import headrace
from contract import Case, check, export

DTYPES = [torch.float32, torch.bfloat16, torch.float16]

#: What this machine executes: itself, and with it narrower vectors.
TARGETS = ["native"]
if {"avx2", "fma"} <= set(pathlib.Path("/proc/cpuinfo").read_text().split()):
    TARGETS.append("generic-x86-64-v3")


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class Products(torch.nn.Module):
    """x [M, 70] and y [M, 71] against weights and against each other."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.even = torch.nn.Linear(70, 37, dtype=dtype)
        self.odd = torch.nn.Linear(71, 100, bias=False, dtype=dtype)
        self.deep = torch.nn.Linear(1100, 16, dtype=dtype)
        self.tall = torch.nn.Parameter(torch.randn(70, 50, dtype=dtype))

    def forward(self, x, y, z):
        return (self.even(x), self.odd(y), x @ self.tall, F.gelu(self.even(x)),
                self.even(x[:1]), self.odd(y[3]), self.deep(z),
                x.transpose(0, 1) @ y,          # sums over the rows
                x @ x.transpose(0, 1),          # contiguous along the sum
                y @ y.transpose(0, 1),
                torch.einsum("ak,bk->ba", x, x[:5]),
                (x @ self.tall).softmax(-1) @ self.tall.transpose(0, 1))


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_products(dtype, dynamic):
    torch.manual_seed(0)

    def inputs(rows):
        return tuple(torch.randn(rows, depth).to(dtype)
                     for depth in (70, 71, 1100))
    rows = torch.export.Dim("rows", min=5, max=300)
    check(Case("products", Products(dtype), inputs(19),
               dynamic_shapes=({0: rows},) * 3 if dynamic else None,
               runs=[inputs(n) for n in (5, 16, 33)] if dynamic else [],
               decomposed=False))


class Batches(torch.nn.Module):
    def forward(self, a, b, c):
        return (a @ b, a @ c.transpose(1, 2), a.transpose(1, 2) @ b[:, :33],
                torch.einsum("bmk,bkn->mbn", a, b),
                torch.einsum("bmk,bkn->mn", a, b))


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
def test_batches(dtype):
    torch.manual_seed(1)
    check(Case("batches", Batches(), tuple(
        torch.randn(*shape).to(dtype)
        for shape in ((2, 33, 46), (2, 46, 51), (2, 19, 46))),
        decomposed=False))


class Attention(torch.nn.Module):
    """q [2, 4, Q, 24], k [2, 2, K, 24] and v [2, 2, K, 40]; mask [Q, K]."""

    def forward(self, q, k, v, mask):
        written_out = q[:, :2] @ k.transpose(-1, -2) * 0.2
        weights = written_out.softmax(-1, dtype=torch.float32).to(v.dtype)
        return (F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
                F.scaled_dot_product_attention(q[:, ::2], k, v, mask),
                F.scaled_dot_product_attention(q, q, q, is_causal=True),
                weights @ v)


class BatchesOfWeights(torch.nn.Module):
    """A weight for each element of a batch, behind an operation that the stage
    of the product may take in: the lanes may end up along another dimension than
    the one that the weights are stored in panels of."""

    SHAPES = [(13, 25, 25, 2), (13, 25, 40, 2), (9, 17, 5, 3), (33, 9, 8, 1),
              (20, 3, 30, 7), (16, 40, 7, 5), (5, 33, 33, 3)]

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.weights = torch.nn.ParameterList(
            torch.randn(b, n, k, dtype=dtype) for b, n, k, _ in self.SHAPES)

    def forward(self, *inputs):
        return tuple(w @ (x / 3) for w, x in zip(self.weights, inputs))


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("target", TARGETS)
def test_batches_of_weights(dtype, target):
    inputs = [torch.randn(b, k, m, dtype=dtype)
              for b, _, k, m in BatchesOfWeights.SHAPES]
    check(Case("batches", BatchesOfWeights(dtype), tuple(inputs)),
          target=target)


class Diagonals(torch.nn.Module):
    """A loop moves along two dimensions of a weight at once, which panels do not
    allow for; `whole` is read as a matrix too."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.cube = torch.nn.Parameter(torch.randn(5, 37, 37, dtype=dtype))
        self.depth = torch.nn.Parameter(torch.randn(20, 9, 20, dtype=dtype))
        self.whole = torch.nn.Parameter(torch.randn(6, 6, 33, dtype=dtype))

    def forward(self, x, y, z):
        return (x @ torch.diagonal(self.cube, 0, -2, -1),
                y @ torch.diagonal(self.depth, 0, 0, 2).mT,
                torch.einsum("bij,ki->bkj", self.whole, z),
                z @ torch.diagonal(self.whole, 0, 0, 1).mT)


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("target", TARGETS)
def test_diagonals_of_weights(dtype, target):
    inputs = [torch.randn(7, k, dtype=dtype) for k in (5, 20, 6)]
    check(Case("diagonals", Diagonals(dtype), tuple(inputs)), target=target)


@pytest.mark.parametrize("rows", [27, 40, 70])
def test_a_small_product_beside_a_large_one(rows):
    """What is light does not hold tiles to whole vectors; vectors of a packed
    weight lie in one panel each all the same."""
    class Program(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(
                torch.randn(3, rows, 2).bfloat16())

        def forward(self, x):
            logits = self.weight @ (x @ self.weight).transpose(-1, -2)
            return torch.softmax(logits, -1, dtype=torch.float32).bfloat16() @ x

    for target in TARGETS:
        check(Case("light", Program(), (torch.randn(3, 2, rows).bfloat16(),)),
              target=target)


def test_attention_to_nothing():
    """All scores are one constant, and so are the weights of the values."""
    class Program(torch.nn.Module):
        def forward(self, x):
            nothing = torch.zeros_like(x)
            return F.scaled_dot_product_attention(nothing, nothing, x / 3,
                                                  is_causal=True)

    x = torch.randn(13, 25, 2)
    for target in TARGETS:
        check(Case("nothing", Program(), (x,)), target=target)


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_attention(dtype, dynamic):
    torch.manual_seed(4)

    def inputs(queries, keys):
        mask = torch.rand(queries, keys) < 0.7
        mask[:, 0] = True
        mask[-1] = False
        return (*(torch.randn(2, heads, length, depth).to(dtype)
                  for heads, length, depth in ((4, queries, 24), (2, keys, 24),
                                               (2, keys, 40))), mask)
    queries = torch.export.Dim("queries", min=2, max=200)
    keys = torch.export.Dim("keys", min=2, max=600)
    check(Case("attention", Attention(), inputs(37, 259),
               dynamic_shapes=({2: queries}, {2: keys}, {2: keys},
                               {0: queries, 1: keys}) if dynamic else None,
               runs=[inputs(*n) for n in ((2, 2), (48, 32), (65, 129))]
               if dynamic else [],
               decomposed=False))


class Convolutions(torch.nn.Module):
    """x [1, 24, H, W]: strides, dilations, groups, padding, odd sizes."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()

        def conv(*args, **kwargs):
            return torch.nn.Conv2d(*args, dtype=dtype, **kwargs)
        self.layers = torch.nn.ModuleList([
            conv(24, 40, 3, padding=1), conv(24, 33, 3, stride=2, padding=1),
            conv(24, 16, (3, 2), dilation=(2, 3)), conv(24, 36, 1),
            conv(24, 36, 1, stride=2, bias=False),
            conv(24, 48, 3, groups=3, padding=1),
            conv(24, 24, 3, groups=24, padding=1),
            conv(24, 24, 3, groups=24, stride=2, padding=1),
            conv(24, 48, 5, groups=24, stride=3, padding=2),
            conv(24, 17, 7, stride=2, padding=3),
        ])

    def forward(self, x):
        outputs = [layer(x) for layer in self.layers]
        # What follows is stored with the sums.
        first = F.relu(self.layers[0](x) + outputs[0])
        return (*outputs, first, first.mean((2, 3)))


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
def test_convolutions(dtype):
    torch.manual_seed(2)
    check(Case("convolutions", Convolutions(dtype),
               (torch.randn(1, 24, 17, 19).to(dtype),), decomposed=False))


def test_convolutions_of_any_size():
    torch.manual_seed(3)
    height = torch.export.Dim("height", min=8, max=64)
    width = torch.export.Dim("width", min=8, max=64)
    check(Case("convolutions", Convolutions(torch.float32),
               (torch.randn(1, 24, 17, 19),),
               dynamic_shapes=({2: height, 3: width},),
               runs=[(torch.randn(1, 24, 8, 33),), (torch.randn(1, 24, 16, 14),)],
               decomposed=False))


class Masked(torch.nn.Module):
    """Attention under a boolean mask, and the same mask by its name."""

    def forward(self, q, k, v, mask):
        return (F.scaled_dot_product_attention(q, k, v, mask),
                F.scaled_dot_product_attention(q, k, v, is_causal=True))


@pytest.mark.parametrize("opt", [0, 2])
@pytest.mark.parametrize("size", [7, 70])
def test_a_hidden_score_does_not_count(opt: int, size: int) -> None:
    g = torch.Generator().manual_seed(size)
    q, k, v = (torch.randn(1, 2, size, 8, generator=g) for _ in range(3))
    mask = torch.ones(size, size, dtype=torch.bool).tril()
    program, _ = export(Case("masked", Masked().eval(), (q, k, v, mask)))
    model = headrace.compile(program, opt=opt)
    expected = model(q, k, v, mask)
    # Only the last row sees the last key.
    for value in (float("nan"), float("inf"), -float("inf")):
        k[:, :, -1] = value
        for result, clean in zip(model(q, k, v, mask), expected):
            assert torch.equal(result[:, :, :-1], clean[:, :, :-1])


class Experts(torch.nn.Module):
    """Matrices out of a table, chosen by data: one for all rows, one per row,
    one per batch; stored either way; as a factor on either side."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(5, 37, 70).to(dtype))
        self.turned = torch.nn.Parameter(torch.randn(5, 70, 37).to(dtype))

    def forward(self, x, y, one, each, pair):
        return (F.linear(x, self.table.index_select(0, one)[0]),
                x @ self.turned[one][0],
                x[0] @ self.turned.index_select(0, one)[0],
                torch.einsum("mk,mnk->mn", x, self.table[each]),
                torch.bmm(self.table[each], x[:, :, None])[:, :, 0],
                torch.einsum("mk,mkn->mn", x, self.turned[each - 5]),
                torch.einsum("k,mnk->mn", x[0], self.table[each]),
                torch.bmm(y, self.turned[pair]),
                torch.bmm(self.table[pair], y.transpose(1, 2)),
                torch.bmm(y, self.table[:, 1:][pair].transpose(1, 2)),
                # Rows out of a table: a copy, so that they fill a tile.
                self.table[:, 0][each] @ self.turned[0])


@pytest.mark.parametrize("dtype", DTYPES, ids=name_of)
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
def test_gathered_matrices(dtype, dynamic):
    torch.manual_seed(0)

    def inputs(rows):
        return (torch.randn(rows, 70).to(dtype),
                torch.randn(2, rows, 70).to(dtype), torch.tensor([3]),
                torch.arange(rows) % 5, torch.tensor([4, 1]))

    shapes = None
    if dynamic:
        m = torch.export.Dim("m", min=2, max=200)
        shapes = ({0: m}, {1: m}, None, {0: m}, None)
    runs = [inputs(n) for n in (2, 33)] if dynamic else []
    module = Experts(dtype)
    check(Case("experts", module, inputs(17), dynamic_shapes=shapes, runs=runs))


def test_few_gathered_rows():
    """Sums on lanes, and rows where the data say."""
    class Program(torch.nn.Module):
        def forward(self, x, y, i):
            return (x.index_select(1, i) @ x.transpose(1, 2),
                    x @ x.index_select(1, i).transpose(1, 2),
                    y[i] @ y.t(), y @ y[i].t(), x[i - 2] @ x.transpose(1, 2))

    for k in 5, 40:
        check(Case("rows", Program(), (torch.randn(2, 2, k), torch.randn(3, k),
                                       torch.tensor([1, 0]))))


def test_gathered_matrices_of_bad_positions():
    """An error; nothing is read where there is no matrix."""
    module = Experts(torch.float32)
    args = (torch.randn(6, 70), torch.randn(2, 6, 70), torch.tensor([3]),
            torch.arange(6) % 5, torch.tensor([4, 1]))
    model = headrace.compile(module, args)
    for bad in (5, -6, 2 ** 40, -2 ** 62):
        for at in (2, 3, 4):
            broken = list(args)
            broken[at] = args[at].clone()
            broken[at][-1] = bad
            with pytest.raises(headrace.Error, match="out of range"):
                model(*broken)
    model(*args)
