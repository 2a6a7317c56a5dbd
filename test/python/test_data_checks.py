# ===- test_data_checks.py - Data that breaks a condition is an error -------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""What eager checks in data, a compiled program checks too.

Good data gives eager's result. Bad data makes the call raise an error with the
operator and the line of the user's program, at every level, on any number of
workers; no address is touched that is not an element's, also where there are no
elements at all; and state is what it was.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

import headrace
from contract import compare_trees

LEVELS = (0, 2)
WORKERS = (1, 2)


class Call(torch.nn.Module):
    """A function as a module."""

    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, *args):
        return self.fn(*args)


def dim(name):
    return torch.export.Dim(name, min=0, max=64)


def export(module, args, dynamic=None):
    shapes = None if dynamic is None else {"args": tuple(dynamic)}
    return torch.export.export(module, args, dynamic_shapes=shapes)


def compile_all(programs, **options):
    """Every program an entry; each level and number of workers its contexts."""
    for opt in LEVELS:
        model = headrace.compile(programs, opt=opt, **options)
        for workers in WORKERS:
            yield f"-O{opt}, {workers} workers", model.context(workers)


def rows(n, columns=3):
    return torch.arange(n * columns, dtype=torch.float32).view(n, columns) + 1


def ints(*values, dtype=torch.int64):
    return torch.tensor(values, dtype=dtype)


# ===-----------------------------------------------------------------------===#
# Indices
# ===-----------------------------------------------------------------------===#

#: Name -> function of (x [n, 3], index [m]). `n` and `m` may be zero.
READS = {
    "embedding": lambda x, i: F.embedding(i, x),
    "index": lambda x, i: x[i],
    "index_middle": lambda x, i: x.t()[:, i],
    "index_select": lambda x, i: x.index_select(0, i),
    "gather": lambda x, i: x.gather(0, i[:, None].expand(-1, 3)),
    "gather_lanes": lambda x, i: x.t().gather(1, i[None].expand(3, -1)),
    "take": lambda x, i: x.take(i),
}
WRITES = {
    "scatter": lambda x, i: x.scatter(0, i[:, None].expand(-1, 3), 7.0),
    "scatter_add": lambda x, i: x.scatter_add(
        0, i[:, None].expand(-1, 3), torch.ones(i.shape[0], 3)),
    "scatter_amax": lambda x, i: x.scatter_reduce(
        0, i[:, None].expand(-1, 3), torch.full((i.shape[0], 3), 5.0), "amax"),
    "index_copy": lambda x, i: x.index_copy(0, i, torch.ones(i.shape[0], 3)),
    "index_add": lambda x, i: x.index_add(0, i, torch.ones(i.shape[0], 3)),
    "index_fill": lambda x, i: x.index_fill(0, i, 2.0),
    "index_put": lambda x, i: x.index_put((i,), torch.ones(i.shape[0], 3)),
    "put": lambda x, i: x.put(i, torch.ones(i.shape[0])),
}
#: Those that count negative indices from the end.
WRAPPING = {"index", "index_middle", "take", "index_fill", "index_put", "put"}


@pytest.fixture(scope="module")
def indexing():
    programs = {
        name: export(Call(fn), (rows(5), ints(0, 2, 1, 3)),
                     ({0: dim("n")}, {0: dim("m")}))
        for name, fn in {**READS, **WRITES}.items()}
    return list(compile_all(programs))


@pytest.mark.parametrize("name", [*READS, *WRITES])
def test_indices(indexing, name):
    fn = {**READS, **WRITES}[name]
    extent = 3 if name in ("take", "put") else 1
    for where, context in indexing:
        run = getattr(context, name)
        # A whole number of vectors and a rest; nothing at all, on both sides.
        for n, m in ((5, 4), (40, 37), (4, 0), (0, 0)):
            x = rows(n)
            i = torch.randperm(n * extent)[:m]
            expected = fn(x, i)
            compare_trees(run(x, i), expected, expected, f"{name} {where}")
        for n, m, at, bad in ((5, 4, 0, 5 * extent), (5, 1, 0, 1 << 40),
                              (40, 37, 36, 40 * extent), (40, 37, 17, -1),
                              (0, 1, 0, 0), (0, 20, 3, 0), (0, 3, 0, -1)):
            i = torch.arange(m) % max(n * extent, 1)
            i[at] = bad
            x = rows(n)
            if bad == -1 and n and name in WRAPPING:
                expected = fn(x, i)
                compare_trees(run(x, i), expected, expected, f"{name} {where}")
                continue
            if n:  # of nothing, eager looks at some indices only
                with pytest.raises((IndexError, RuntimeError)):
                    fn(x, i)
            with pytest.raises(headrace.Error) as caught:
                run(x, i)
            text = str(caught.value)
            assert "is out of range" in text, (where, text)
            assert "test_data_checks.py:" in text, text
            if n:
                assert f"index {bad} is" in text, (where, text)
            assert f"expected 0 to {n * extent - 1}" in text or not n, text


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_types_of_indices(dtype):
    table = rows(7)
    programs = {"main": export(Call(F.embedding),
                               (ints(0, 1, 2, 3, dtype=dtype), table))}
    for where, context in compile_all(programs):
        compare_trees(context(ints(6, 0, 5, 1, dtype=dtype), table),
                      *[table[[6, 0, 5, 1]]] * 2, where)
        for bad in (7, -1, torch.iinfo(dtype).max, torch.iinfo(dtype).min):
            with pytest.raises(headrace.Error, match=f"index {bad} is out"):
                context(ints(0, 1, 2, bad, dtype=dtype), table)


def test_masked_scatter():
    def masked(x, mask, source):
        return x.masked_scatter(mask, source)

    args = (torch.zeros(6), torch.tensor([True, False] * 3), torch.ones(4))
    programs = {"main": export(Call(masked), args,
                               (None, None, {0: dim("n")}))}
    for where, context in compile_all(programs):
        for mask, n in (([1, 0, 1, 0, 1, 0], 3), ([0] * 6, 0), ([1] * 6, 9),
                        ([0, 0, 0, 0, 0, 1], 1)):
            x, m = torch.zeros(6), torch.tensor(mask, dtype=torch.bool)
            source = torch.arange(n, dtype=torch.float32) + 1
            expected = masked(x, m, source)
            compare_trees(context(x, m, source), expected, expected, where)
        for n in (0, 2):
            with pytest.raises(headrace.Error,
                               match="masked_scatter: the mask has more true"):
                context(args[0], args[1], torch.ones(n))


# ===-----------------------------------------------------------------------===#
# State
# ===-----------------------------------------------------------------------===#


class Cache(torch.nn.Module):
    """Several states, of which one is written at positions that are given."""

    def __init__(self):
        super().__init__()
        self.register_buffer("keys", torch.arange(24.0).view(1, 2, 4, 3))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("last", torch.zeros(2, 3))
        self.register_buffer("table", torch.randn(9, 3))

    def forward(self, tokens, positions):
        self.count.add_(1)
        row = F.embedding(tokens, self.table)
        self.last.copy_(row[:2])
        self.keys.index_copy_(2, positions, row.expand(1, 2, -1, 3) + 1)
        return self.keys * 2, self.last + self.count


class Computed(Cache):
    """As above, at positions that are computed: found on the way."""

    def forward(self, tokens, positions):
        self.last.copy_(self.table[:2] + self.count)
        self.count.add_(1)
        self.keys.index_copy_(2, positions * 2 - 1,
                              self.table[tokens].expand(1, 2, -1, 3) + 1)
        return self.keys * 2, self.last + self.count


class Large(Cache):
    """More than a call keeps a copy of; one scatter writes all or nothing."""

    def __init__(self):
        super().__init__()
        self.keys = torch.arange(2.0 * 4096 * 64).view(1, 2, 4096, 64)

    def forward(self, tokens, positions):
        self.keys.index_copy_(2, positions * 2 - 1,
                              self.table[tokens][:, :1].expand(1, 2, -1, 64))
        return self.keys * 2


class Quotients(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(3, dtype=torch.int64))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x, y):
        self.calls.add_(1)
        self.total.add_(x // y)
        return self.total + self.calls


@pytest.mark.parametrize("kind", [Cache, Computed, Large, Quotients])
def test_state_is_as_before(kind):
    module = kind().eval()
    start = 0 if kind is Cache else 1
    good = (ints(1, 2), ints(start, start + 1))
    again = (good[0], good[1].flip(0))
    bad = [(ints(1, 2), ints(2, 4096)), (ints(1, 2), ints(-4, 2))]
    if kind is Cache:
        bad += [(ints(1, 9), ints(0, 1)), (ints(-1, 0), ints(0, 1))]
    if kind is Quotients:
        good, again = (ints(7, 8, 9), ints(1, 2, 3)), (ints(1, 2, 3),) * 2
        bad = [(ints(1, 2, 3), ints(1, 2, 0)), (ints(1, 2, 3), ints(0, 0, 0))]
    with torch.no_grad():
        program = torch.export.export(module, good)
    for where, context in compile_all({"main": program}):
        eager = copy.deepcopy(module)
        expected = eager(*good)
        compare_trees(context(*good), expected, expected, where)
        for args in bad:
            with pytest.raises(headrace.Error,
                               match="is out of range|ZeroDivisionError"):
                context(*args)
            # As if the bad call had not been.
            expected = eager(*again)
            compare_trees(context(*again), expected, expected, where)


# ===-----------------------------------------------------------------------===#
# Integer division
# ===-----------------------------------------------------------------------===#

DIVISIONS = {
    "floor_divide": torch.floor_divide,
    "remainder": torch.remainder,
    "fmod": torch.fmod,
    "div_trunc": lambda x, y: torch.div(x, y, rounding_mode="trunc"),
    "div_floor": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "by_scalar": lambda x, y: 17 // y,
    "scalar_remainder": lambda x, y: 17 % y,
}
INTEGERS = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)


def test_integer_division():
    programs, cases = {}, {}
    for kind, fn in DIVISIONS.items():
        for dtype in INTEGERS:
            name = f"{kind}_{dtype}".replace("torch.", "")
            x = torch.arange(37).sub(0 if dtype is torch.uint8 else 18).to(dtype)
            y = torch.arange(37).remainder(7).add(1).to(dtype)
            if dtype is not torch.uint8:
                y[::3] *= -1
                # Eager traps on the wider ones; all wrap around.
                x[0], y[0] = torch.iinfo(dtype).min, -1
            programs[name] = export(Call(fn), (x, y))
            cases[name] = (fn, x, y)
    for where, context in compile_all(programs):
        for name, (fn, x, y) in cases.items():
            run = getattr(context, name)
            result = run(x, y)
            expected = fn(x[1:], y[1:])
            compare_trees(result[1:], expected, expected, f"{name} {where}")
            for at in (0, 36):
                zero = y.clone()
                zero[at] = 0
                with pytest.raises(RuntimeError, match="ZeroDivisionError"):
                    fn(x[1:], zero[1:] if at else zero[:36])
                with pytest.raises(headrace.Error,
                                   match="ZeroDivisionError") as caught:
                    run(x, zero)
                assert "py:" in str(caught.value), caught.value


def test_float_division_by_zero_is_no_error():
    def fn(x, y):
        return x // y, x % y, torch.div(x, y, rounding_mode="trunc"), x / y

    x, y = torch.tensor([1.0, -1.0, 0.0]), torch.zeros(3)
    for where, context in compile_all({"main": export(Call(fn), (x, y))}):
        compare_trees(context(x, y), fn(x, y), fn(x.double(), y.double()), where)


def test_constant_divisors():
    """Folded in the compiler, where bad data must not stop it either."""
    zero = torch.tensor([0, 1, 2])

    def by_constant(x):
        return x // zero

    def folded(x):
        return x + torch.tensor([7, 7, 7]) // zero

    x = ints(1, 2, 3)
    programs = {"by_constant": export(Call(by_constant), (x,)),
                "folded": export(Call(folded), (x,)),
                "scalar": export(Call(lambda x: x // 0), (x,))}
    for _, context in compile_all(programs):
        for name in programs:
            with pytest.raises(headrace.Error, match="ZeroDivisionError"):
                getattr(context, name)(x)


# ===-----------------------------------------------------------------------===#
# Other conditions
# ===-----------------------------------------------------------------------===#


def test_one_hot():
    def fn(x):
        return F.one_hot(x, 5)

    x = torch.arange(21) % 5
    for where, context in compile_all(
            {"main": export(Call(fn), (x,), ({0: dim("n")},))}):
        for good in (x, ints(4), x[:0]):
            compare_trees(context(good), fn(good), fn(good), where)
        for at, bad in ((0, 5), (20, -1), (7, 1 << 33)):
            broken = x.clone()
            broken[at] = bad
            with pytest.raises(headrace.Error, match=(
                    f"one_hot: class {bad} is out of range, expected 0 to 4")):
                context(broken)


def test_histc_of_what_is_not_finite():
    def fn(x):
        return torch.histc(x, 4)

    x = torch.linspace(-1, 1, 19)
    for where, context in compile_all({"main": export(Call(fn), (x,))}):
        compare_trees(context(x), fn(x), fn(x), where)
        for bad in ("nan", "inf", "-inf"):
            broken = x.clone()
            broken[3] = float(bad)
            with pytest.raises(headrace.Error, match="range of the data is not"):
                context(broken)


#: Over an empty dimension, eager raises for each of these.
NEEDS_ELEMENTS = {
    "argmax": lambda x: x.argmax(1), "argmin": lambda x: x.argmin(1),
    "argmax_all": lambda x: x.argmax(), "max": lambda x: tuple(x.max(1)),
    "max_all": lambda x: x.max(), "min": lambda x: tuple(x.min(1)),
    "amax": lambda x: x.amax(1), "amin": lambda x: x.amin((0, 1)),
    "aminmax": lambda x: tuple(x.aminmax(dim=1)), "median": lambda x: tuple(x.median(1)),
    "kthvalue": lambda x: tuple(x.kthvalue(1, 1)), "topk": lambda x: tuple(x.topk(1)),
    "norm": lambda x: torch.linalg.vector_norm(x, float("inf"), dim=1),
    "adaptive_max_pool": lambda x: torch.nn.functional.adaptive_max_pool1d(x, 3),
    "adaptive_avg_pool": lambda x: torch.nn.functional.adaptive_avg_pool1d(x, 3),
}


@pytest.mark.parametrize("name", NEEDS_ELEMENTS)
def test_reductions_of_nothing(name):
    fn = Call(NEEDS_ELEMENTS[name])
    with pytest.raises((RuntimeError, IndexError)):
        fn(torch.zeros(3, 0))
    # A size that may be zero: refused when compiling, or by the call.
    program = export(fn, (torch.zeros(3, 4),), ({1: dim("n")},))
    with pytest.raises(headrace.Error):
        headrace.compile(program)(torch.zeros(3, 0))
    # One that may not is no trouble.
    some = torch.export.Dim("n", min=1, max=64)
    x = torch.randn(3, 4)
    result = headrace.compile(export(fn, (x,), ({1: some},)))(x)
    compare_trees(result, fn(x), fn(x.double()), name)


def test_median_of_nothing_at_all():
    def fn(x):
        return x.median()

    program = export(Call(fn), (torch.randn(4),), ({0: dim("n")},))
    for _, context in compile_all({"main": program}):
        for n in (0, 1, 4, 5):
            x = torch.randn(n)
            torch.testing.assert_close(context(x), fn(x), equal_nan=True,
                                       rtol=0, atol=0)


def test_assertions():
    def fn(x, y):
        torch._assert_async((x > 0).all(), "x must be positive")
        torch._assert_async(y.sum() < 100)
        return y[:2] * 2, x + 1

    x, y = torch.rand(19) + 0.5, torch.rand(7)
    for where, context in compile_all({"main": export(Call(fn), (x, y))}):
        compare_trees(context(x, y), fn(x, y), fn(x.double(), y.double()), where)
        with pytest.raises(headrace.Error, match="x must be positive"):
            context(-x, y)
        with pytest.raises(headrace.Error, match="assertion does not hold"):
            context(x, y + 100)
