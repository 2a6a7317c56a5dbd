"""Sizes of calls: what the exported program allows runs, and is right; all else
is an error of the call that says what is expected, in the program's words."""

import subprocess

import pytest
import torch

import headrace

AUTO, DYNAMIC = torch.export.Dim.AUTO, torch.export.Dim.DYNAMIC


class Module(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *a):
        return self.function(*a)


def random(*shapes):
    return tuple(torch.randn(shape) for shape in shapes)


def check(function, shapes, dynamic, runs, errors, opt=2):
    """`runs` give what torch gives; of `errors`, shapes with the message."""
    program = torch.export.export(
        Module(function), random(*shapes), dynamic_shapes=(tuple(dynamic),))
    fast = headrace.compile(program, opt=opt)
    reference = program.module()
    for shapes in runs:
        args = random(*shapes)
        want, got = reference(*args), fast(*args)
        assert got.shape == want.shape
        torch.testing.assert_close(got, want, equal_nan=True, rtol=1e-4,
                                   atol=1e-5)
    for shapes, message in errors:
        args = random(*shapes)
        # What is refused here is refused by torch, too.
        with pytest.raises(AssertionError):
            reference(*args)
        with pytest.raises(headrace.Error) as caught:
            fast(*args)
        assert message in str(caught.value)


def windows(x):
    b, h, w, c = x.shape
    x = x.view(b, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5)
    return x.contiguous().view(-1, 16, c).mean(1)


def patches(x):
    b, c, _, _ = x.shape
    x = x.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5)
    return x.reshape(b, -1, c * 16).sum(-1)


def frames(x):
    b, t, c = x.shape
    return x[:, :(t // 3) * 3].reshape(b, t // 3, 3 * c).tanh()


def padded_blocks(x):
    return torch.nn.functional.pad(x, (0, (-x.shape[0]) % 8)).view(-1, 8).sum(0)


def skip_connection(x):
    down = torch.nn.functional.max_pool2d(x, 2)
    return torch.cat(
        [x, torch.nn.functional.interpolate(down, scale_factor=2.0)], 1)


def branch(x, y):
    if x.shape[0] * 2 > y.shape[0] + 3:
        return x.sum() + y.sum()
    return x.sum() - y.sum()


def checked(x):
    torch._check(x.shape[0] != 9)
    torch._check(x.shape[0] % 3 == 0)
    torch._check(x.shape[0] / 2 < 10.5)
    return x * 2


@pytest.mark.parametrize("opt", [0, 2])
def test_halves(opt):
    check(lambda x: x[0::2] + x[1::2], [(8,)], [{0: AUTO}],
          [[(8,)], [(4,)], [(100,)], [(10000,)]],
          [([(9,)], "input 'a_0': dimension 0: expected a multiple of 2 but "
                    "got 9"),
           ([(2,)], "expected at least 4 but got 2"),
           ([(0,)], "expected at least 4 but got 0")], opt)


def test_chunks():
    check(lambda x: x.chunk(2)[0] * x.chunk(2)[1], [(8, 3)], [{0: AUTO}],
          [[(8, 3)], [(100, 3)]],
          [([(7, 3)], "expected a multiple of 2 but got 7")])
    check(lambda x: torch.cat([c * 2 for c in x.chunk(2)]), [(8, 3)],
          [{0: AUTO}], [[(8, 3)], [(7, 3)], [(9, 3)]],
          [([(2, 3)], "expected at least 4 but got 2")])


@pytest.mark.parametrize("opt", [0, 2])
def test_views(opt):
    check(lambda x: x.view(-1, 4).sum(1), [(8,)], [{0: AUTO}],
          [[(8,)], [(12,)], [(4004,)]],
          [([(6,)], "expected a multiple of 4 but got 6"),
           ([(4,)], "expected at least 8 but got 4")], opt)
    check(padded_blocks, [(13,)], [{0: AUTO}], [[(13,)], [(16,)], [(9,)]],
          [([(5,)], "expected at least 9 but got 5")], opt)


def test_stack():
    check(lambda x: torch.stack([x[0::2], x[1::2]], -1), [(8,)], [{0: AUTO}],
          [[(8,)], [(6,)]], [([(7,)], "expected a multiple of 2 but got 7")])


def test_checks_of_the_user():
    check(checked, [(12,)], [{0: DYNAMIC}], [[(12,)], [(3,)], [(18,)], [(0,)]],
          [([(10,)], "expected a multiple of 3 but got 10"),
           ([(21,)], "expected 0 to 18 but got 21"),
           ([(9,)], "expected sizes with a_0.shape[0] != 9, but got "
                    "a_0.shape[0] = 9")])


def test_branch():
    check(branch, [(9,), (5,)], [{0: AUTO}, {0: AUTO}],
          [[(9,), (5,)], [(5,), (5,)], [(2,), (0,)]],
          [([(4,), (5,)], "expected sizes with 2*a_0.shape[0] > 3 + "
                          "a_1.shape[0], but got a_0.shape[0] = 4, "
                          "a_1.shape[0] = 5")])


def test_a_dimension_that_another_tells():
    check(lambda x, y: x.sum() + y if 2 * x.shape[0] == y.shape[0] else x,
          [(4,), (8,)], [{0: AUTO}, {0: AUTO}], [[(4,), (8,)], [(9,), (18,)]],
          [([(5,), (5,)], "input 'a_1': dimension 0: expected 10 "
                          "(2 * a_0.shape[0]) but got 5")])


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("scale", [1.5, 0.5, 2.25])
def test_fractions_of_sizes(mode, scale):
    """A factor that is short in binary is exact, and so is what it makes of a
    size."""
    check(lambda x: torch.nn.functional.interpolate(
              x, scale_factor=scale, mode=mode) + 0,
          [(1, 2, 8, 8)], [{2: AUTO, 3: AUTO}],
          [[(1, 2, 9, 7)], [(1, 2, 5, 16)], [(1, 2, 31, 6)]], [])


def test_quotients_of_sizes():
    def function(x):
        half, third = int(x.shape[0] / 2), int((x.shape[0] - 3) / 3)
        return x[:half].sum() - x[:third].sum()
    # torch has compared both with what the example gave.
    check(function, [(12,)], [{0: AUTO}], [[(12,)], [(13,)]],
          [([(11,)], "'a_0': dimension 0"), ([(14,)], "a_0.shape[0]"),
           ([(15,)], "a_0.shape[0]")])


def test_factors_that_round():
    """0.7 * 10 is 7 for torch; what rounds so is no arithmetic of integers."""
    program = torch.export.export(
        Module(lambda x: x[:int(x.shape[0] * 0.7)] + 1), random((8,)),
        dynamic_shapes=(({0: AUTO},),))
    with pytest.raises(headrace.Error, match="short in binary"):
        headrace.compile(program)


def test_all_that_is_not_supported_is_one_error():
    """A condition or a result of another kind hides no operator."""
    def function(x):
        torch._check(round(x.shape[0] / 4) == 2)
        return x.nanmedian(), x.sum().item()
    program = torch.export.export(Module(function), random((8,)),
                                  dynamic_shapes=(({0: DYNAMIC},),))
    with pytest.raises(headrace.Error) as caught:
        headrace.compile(program)
    message = str(caught.value)
    assert "'round' is not understood" in message
    assert "an output of kind 'as_sym_float' is not supported" in message
    assert "unsupported operator aten.nanmedian.default" in message


def test_images():
    every = {2: AUTO, 3: AUTO}
    check(lambda x: torch.nn.functional.pixel_unshuffle(x, 2), [(1, 3, 8, 8)],
          [every], [[(1, 3, 8, 8)], [(1, 3, 6, 10)], [(1, 3, 4, 4)]],
          [([(1, 3, 7, 8)], "dimension 2: expected a multiple of 2 but got 7"),
           ([(1, 3, 8, 7)], "dimension 3: expected a multiple of 2 but got 7")])
    check(skip_connection, [(1, 2, 8, 8)], [every],
          [[(1, 2, 8, 8)], [(1, 2, 10, 6)]],
          [([(1, 2, 9, 8)], "dimension 2: expected a multiple of 2 but got 9")])
    check(patches, [(2, 3, 8, 12)], [{0: AUTO, **every}],
          [[(2, 3, 8, 12)], [(1, 3, 8, 8)], [(2, 3, 9, 12)]],
          [([(2, 3, 16, 4)], "expected at least 8 but got 4")])
    check(windows, [(2, 8, 12, 5)], [{0: AUTO, 1: AUTO, 2: AUTO}],
          [[(2, 8, 12, 5)], [(1, 8, 8, 5)], [(2, 12, 20, 5)]],
          [([(3, 8, 10, 5)], "expected a multiple of 4 but got 10"),
           ([(2, 16, 4, 5)], "expected at least 8 but got 4")])
    check(frames, [(2, 10, 4)], [{0: AUTO, 1: AUTO}],
          [[(2, 10, 4)], [(3, 11, 4)], [(1, 100, 4)]],
          [([(2, 9, 4)], "(4*a_0.shape[1]) != (12*(a_0.shape[1] // 3))")])


@pytest.mark.parametrize("opt", [0, 2])
def test_zero_and_one(opt):
    """Tracing takes sizes for at least 2; torch lets 0 and 1 through."""
    runs = [[(4, 6)], [(1, 6)], [(2, 6)], [(0, 6)]]
    for dim in (AUTO, torch.export.Dim.AUTO(min=1)):
        check(lambda x: (x @ x.t()).softmax(-1), [(4, 6)], [{0: dim}], runs,
              [], opt)
    check(lambda x, y: x * y, [(4, 6), (4, 1)],
          [{0: AUTO, 1: AUTO}, {0: AUTO, 1: AUTO}],
          [[(5, 7), (5, 1)], [(1, 1), (1, 1)], [(0, 3), (0, 1)]], [], opt)
    check(lambda x, y: x @ y, [(3, 8), (8, 5)],
          [{0: AUTO, 1: AUTO}, {0: AUTO, 1: AUTO}],
          [[(3, 7), (7, 5)], [(1, 7), (7, 1)], [(2, 0), (0, 3)]], [], opt)


@pytest.mark.parametrize("opt", [0, 2])
def test_sizes_without_bounds(opt):
    """The number of elements passes 2^63 long before the sizes do: whoever looks
    for the sizes from which on more workers are faster stops there."""
    check(lambda x: x.flip(0), [(8, 6, 6)], [{0: AUTO, 1: AUTO, 2: AUTO}],
          [[(8, 6, 6)], [(3, 2, 5)]], [], opt)


class Nested(torch.nn.Module):
    def forward(self, x, d, *rest, n=3, z=None):
        return (x.view(-1, 4).sum(1), d["k"][0].view(-1, 2) * n,
                rest[0].view(-1, 5), z.view(-1, 3))


@pytest.mark.parametrize("strict", [False, True])
def test_names_of_nested_inputs(strict):
    args = (torch.randn(8), {"k": [torch.randn(6)], "a": torch.randn(3)},
            torch.randn(10))
    kwargs = {"z": torch.randn(9), "n": 4}
    one = (AUTO,)
    program = torch.export.export(
        Nested(), args, kwargs, strict=strict,
        dynamic_shapes={"x": one, "d": {"k": [one], "a": one}, "rest": (one,),
                        "n": None, "z": one})
    fast = headrace.compile(program)

    def call(x, k, rest, z):
        return fast(torch.randn(x), {"k": [torch.randn(k)],
                                     "a": torch.randn(3)},
                    torch.randn(rest), z=torch.randn(z), n=4)

    assert [tuple(t.shape) for t in call(12, 8, 15, 12)] == [
        (3,), (4, 2), (3, 5), (4, 3)]
    for sizes, message in [((9, 8, 15, 12), "'x': dimension 0"),
                           ((12, 7, 15, 12), "'d_k_0': dimension 0"),
                           ((12, 8, 14, 12), "'rest_0': dimension 0"),
                           ((12, 8, 15, 13), "'z': dimension 0")]:
        with pytest.raises(headrace.Error, match=message):
            call(*sizes)


def test_too_large_for_the_machine():
    """The largest sizes are no reason to refuse a program; a call that does not
    fit says so before anything runs."""
    def function(x):
        y = torch.exp(x[:, None, None] + x[None, :, None] + x[None, None, :])
        return y.sum() / torch.cumsum(y, 0).mean()

    batch = torch.export.Dim("batch")
    program = torch.export.export(
        Module(function), random((8,)), dynamic_shapes=(({0: batch},),))
    fast = headrace.compile(program)
    fast(torch.randn(20))
    with pytest.raises(headrace.Error) as caught:
        fast(torch.randn(200_000))
    assert "out of memory: an arena of" in str(caught.value)
    assert "a_0.shape[0] = 200000" in str(caught.value)
    assert "this process can have" in str(caught.value)
    fast(torch.randn(20))


@pytest.mark.parametrize("opt", [0, 2])
def test_rows_without_a_bound(opt):
    """What has to be there at once in a tile is bounded, or in a buffer."""
    def function(x, y, z):
        logits = y @ y.transpose(-1, -2)
        sums = torch.softmax(logits, -1) @ x
        return (logits + z) @ sums
    check(function, [(5, 130), (5, 1), (1, 1)],
          [{0: AUTO, 1: AUTO}, {0: AUTO}, None],
          [[(5, 130), (5, 1), (1, 1)], [(70, 3), (70, 1), (1, 1)]], [], opt)

    def itself(x):
        return torch.softmax(x @ x.transpose(-1, -2), -1) @ x
    check(itself, [(7, 5)], [{0: AUTO, 1: AUTO}],
          [[(7, 5)], [(90, 33)], [(3, 300)]], [], opt)

    columns = torch.tensor([3])

    def attention(x, y):
        value = x[:, columns]
        return torch.nn.functional.scaled_dot_product_attention(
            value[1:5], y, value, is_causal=True)
    check(attention, [(12, 8), (12, 1)], [{0: AUTO, 1: AUTO}, {0: AUTO}],
          [[(12, 8), (12, 1)], [(90, 5), (90, 1)]], [], opt)


def test_parts_that_end_with_the_whole():
    """A tile of the second part reaches over the end of the result where the
    third part has no rows."""
    check(lambda x, p: torch.cat([p, p, x], -2), [(5, 3), (3, 3)],
          [{0: DYNAMIC}, None], [[(5, 3), (3, 3)], [(2, 3), (3, 3)],
                                 [(16, 3), (3, 3)]], [])
    bounded = torch.export.Dim("n", min=2, max=16)
    check(lambda x, p: torch.cat([p, p, x], -2), [(5, 3), (3, 3)],
          [{0: bounded}, None], [[(5, 3), (3, 3)], [(16, 3), (3, 3)]], [])


@pytest.mark.parametrize("opt", [0, 2])
def test_places_of_sizes_that_do_not_compare(opt):
    """Sizes of buffers that no proof orders: a minimum, and what joins it."""
    def function(x, y):
        joined = torch.cat([torch.diagonal(x, -2, -2, -1), y, y], 2)
        return torch.nn.functional.hardsigmoid(joined)

    rows = torch.export.Dim("rows", min=4, max=150)
    columns = torch.export.Dim("columns", min=3, max=150)
    program = torch.export.export(
        Module(function), random((1, 1, 9, 5), (1, 1, 1)),
        dynamic_shapes=(({2: rows, 3: columns}, {}),))
    fast = headrace.compile(program, opt=opt)
    for shape in [(9, 5), (5, 9), (4, 3), (150, 150)]:
        args = random((1, 1, *shape), (1, 1, 1))
        torch.testing.assert_close(fast(*args), function(*args))


def test_names_of_dimensions():
    batch = torch.export.Dim("batch", max=64)
    width = torch.export.Dim("width")
    fast = headrace.compile(
        Module(lambda x, y: x + y.sum(1)[:, None]), random((4, 6), (4, 5)),
        dynamic_shapes=(({0: batch, 1: width}, {0: batch}),))
    assert fast(*random((9, 7), (9, 5))).shape == (9, 7)
    symbols = fast.signature["entries"][0]["symbols"]
    assert [symbol["name"] for symbol in symbols] == ["batch", "width"]
    for shapes, message in [
            (((65, 6), (65, 5)), "'a_0': dimension 0 (batch): expected 0 to 64 "
                                 "but got 65"),
            (((5, 6), (4, 5)), "'a_1': dimension 0: expected 5 (batch) but got "
                               "4")]:
        with pytest.raises(headrace.Error) as caught:
            fast(*random(*shapes))
        assert message in str(caught.value)


@pytest.mark.parametrize("names, message", [
    (["x.0"], "--dim-name= wants [<entry>:]<input>.<dimension>=<identifier>, "
              "not 'x.0'"),
    (["x.0=4"], "not 'x.0=4'"),
    (["other:x.0=n"], "there is no entry 'other'"),
    (["y.0=n"], "the name 'n' is for dimension 0 of input 'y', which is not "
                "there; inputs: x"),
    (["x.2=n"], "the name 'n' is for dimension 2 of input 'x', which has 2 "
                "dimensions"),
    (["x.0=min"], "a dimension may not be called 'min'"),
    (["x.0=n", "x.1=n"], "is that of another size")])
def test_names_that_do_not_fit(hrcc, tmp_path, names, message):
    class Twice(torch.nn.Module):
        def forward(self, x):
            return x * 2

    program = torch.export.export(Twice(), random((4, 6)),
                                  dynamic_shapes=({0: AUTO, 1: AUTO},))
    path = str(tmp_path / "p.pt2")
    torch.export.save(program, path)
    options = [f"--dim-name={name}" for name in names]
    done = subprocess.run([hrcc, path, "-o", str(tmp_path / "p.so"), *options],
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert message in done.stderr


def test_copies_that_are_none_for_one_row():
    """A transposed matrix of one row or column is row-major: eager writes to the
    argument, where the program as exported wrote to a copy."""
    class Writes(torch.nn.Module):
        def forward(self, x):
            y = x.contiguous()
            y.mul_(2)
            return y.sum()

    class Harmless(torch.nn.Module):
        def forward(self, x):
            y = (x * 3).mT.contiguous()
            y.mul_(2)
            return y

    def transposed(*shape):
        return torch.randn(*shape).mT

    shapes = ({0: AUTO, 1: AUTO},)
    writes = headrace.compile(torch.export.export(
        Writes(), (transposed(5, 6),), dynamic_shapes=shapes))
    x = transposed(3, 4)
    before = x.clone()
    torch.testing.assert_close(writes(x), 2 * x.sum())
    assert torch.equal(x, before)
    for shape in (1, 2), (2, 1):
        with pytest.raises(headrace.Error, match="a layout that "
                           "'aten.contiguous.default' has to copy"):
            writes(transposed(*shape))
    harmless = headrace.compile(torch.export.export(
        Harmless(), random((5, 6))[:1], dynamic_shapes=shapes))
    for shape in (5, 6), (1, 4), (4, 1):
        x = torch.randn(shape)
        torch.testing.assert_close(harmless(x), x.mT * 6)
