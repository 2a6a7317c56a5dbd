"""Calls: containers as they went in, tensors of every kind, workers that pay."""

from __future__ import annotations

import collections
import copy
import dataclasses
import pickle
import platform
import subprocess
import sys
import textwrap
from typing import Any, Callable, NamedTuple

import numpy as np
import pytest
import torch

import headrace

X = torch.randn(3, 4)


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


@dataclasses.dataclass
class Record:
    value: torch.Tensor
    extra: torch.Tensor | None = None
    more: torch.Tensor | None = None


torch.export.register_dataclass(Record)


class Wrap(torch.nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


def compiled(function: Callable[..., Any], *args: Any, **options: Any
             ) -> headrace.Model:
    return headrace.compile(Wrap(function), args, **options)


# ---------------------------------------------------------------- containers


def local_pair() -> Any:
    return collections.namedtuple("Local", "u v")


def counted(x: torch.Tensor) -> Any:
    result: Any = collections.defaultdict(list)
    result["b"], result["a"] = x + 1, x + 2
    return result


@pytest.mark.parametrize("function", [
    lambda x: Pair(x + 1, x + 2),
    lambda x, Local=local_pair(): [Local(x + 1, (x + 2,))],
    lambda x: Record(x + 1),
    lambda x: Record(x + 1, more=x + 2),
    lambda x: {"a": None, "b": (x + 1, None, 3)},
    lambda x: torch.max(x, 1),
    lambda x: (x + 1, x.shape),
    lambda x: collections.OrderedDict(b=x + 1, a=x + 2),
    lambda x: collections.deque([x + 1, x + 2], maxlen=3),
    counted,
    lambda x: [x + 1],
    lambda x: (x + 1,),
    lambda x: ((), x + 1),
], ids=["namedtuple", "local namedtuple", "dataclass", "fields that are None",
        "None in a dict", "what torch.max returns", "torch.Size", "OrderedDict", "deque",
        "defaultdict", "list of one", "tuple of one", "empty tuple inside"])
def test_results_come_back_as_they_are(function):
    expected, got = function(X), compiled(function, X)(X)

    def check(expected: Any, got: Any) -> None:
        assert type(got) is type(expected)
        if isinstance(expected, torch.Tensor):
            torch.testing.assert_close(got, expected)
        elif dataclasses.is_dataclass(expected):
            check(vars(expected), vars(got))
        elif isinstance(expected, dict):
            assert list(got) == list(expected)
            check(list(expected.values()), list(got.values()))
            if isinstance(expected, collections.defaultdict):
                assert got.default_factory is expected.default_factory
        elif isinstance(expected, (tuple, list, collections.deque)):
            assert len(got) == len(expected)
            for one, other in zip(expected, got):
                check(one, other)
            if isinstance(expected, collections.deque):
                assert got.maxlen == expected.maxlen
        else:
            assert got == expected

    check(expected, got)


def test_arguments_in_containers():
    fast = compiled(lambda pair, record, table: (
        pair.first + record.value + table["x"], None), Pair(X, X), Record(X),
        {"x": X})
    torch.testing.assert_close(fast(Pair(X, X), Record(X), {"x": X})[0], 3 * X)
    with pytest.raises(TypeError, match=r"\.extra: was None when the program was "
                       "exported, got a Tensor"):
        fast(Pair(X, X), Record(X, X), {"x": X})
    with pytest.raises(TypeError, match="Pair with the field 'first', got a Rec"):
        fast(Record(X), Record(X), {"x": X})


def test_a_constant_argument_is_no_tensor():
    fast = compiled(lambda x, scale: x if scale is None else x * scale, X, None)
    with pytest.raises(ValueError, match="exported with the constant None"):
        fast(X, X)
    with pytest.raises(ValueError, match="exported with the constant None"):
        fast(X, X.numpy())


def test_classes_of_a_saved_model(tmp_path):
    compiled(lambda x: Pair(x + 1, x + 2), X).save(tmp_path / "m.so")
    got = headrace.load(tmp_path / "m.so")(X)
    assert isinstance(got, Pair)
    code = """
        import headrace, sys
        y = headrace.load(sys.argv[1])(__import__("numpy").zeros((3, 4), "f4"))
        assert type(y) is tuple and len(y) == 2 and y[1][0, 0] == 2
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code),
                    str(tmp_path / "m.so")], check=True, cwd=tmp_path)


def test_errors_of_the_exporter_are_ours():
    with pytest.raises(headrace.Error, match="torch.export cannot export the "
                       "model: .*Could not guard") as raised:
        compiled(lambda x: x if x.sum() > 0 else -x, X)
    assert raised.value.__cause__ is not None
    with pytest.raises(headrace.Error, match="computes nothing: what it returns "
                       "holds no value"):
        compiled(lambda x: (), X)
    assert compiled(lambda x: None, X)(X) is None

    class Unknown:
        def __init__(self, x: torch.Tensor) -> None:
            self.x = x
    with pytest.raises(headrace.Error, match="torch.export cannot export the "
                       "model: .*Unknown"):
        compiled(lambda x: Unknown(x), X)


def test_a_failed_save_is_ours(monkeypatch):
    def fail(*_: Any) -> None:
        raise NotImplementedError("no way to write this")
    monkeypatch.setattr(torch.export, "save", fail)
    with pytest.raises(headrace.Error, match="torch.export cannot save the "
                       "exported program: NotImplementedError: no way to"):
        compiled(lambda x: x + 1, X)


def test_autocast():
    """The casts of torch.autocast are in no node of what was exported: torch
    writes them, and those that are switched off are none."""
    class Program(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(8, 8)

        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                y = self.linear(x)
                z = torch.cat([y, x])
                with torch.autocast("cpu", enabled=False):
                    z = self.linear(z)
                return y, torch.softmax(z, -1) @ z.T

    model = Program().eval()
    x = torch.randn(4, 8)
    with torch.no_grad():
        want = model(x)
    got = headrace.compile(model, (x,))(x)
    assert [t.dtype for t in got] == [t.dtype for t in want]
    for a, b in zip(got, want):
        torch.testing.assert_close(a, b, rtol=2e-2, atol=2e-2)


def test_signs_of_wider_numbers():
    """f16 of what was f64, with the sign kept apart: no function that only
    compilers' libraries have."""
    class Program(torch.nn.Module):
        def forward(self, x):
            y = x.var(0, correction=0, keepdim=True).to(torch.float16)
            z = x.double().sum()
            return (torch.tanh(y), torch.copysign(x.half(), z.half()),
                    torch.atan(z.half()), torch.sinh(z.bfloat16()))

    x = torch.randn(1)
    for got, want in zip(headrace.compile(Program(), (x,))(x), Program()(x)):
        torch.testing.assert_close(got, want)
    # Linking fails where such a function is needed.
    for target in ("amd-zen3", "amd-zen4", "intel-sapphire-rapids",
                   "generic-aarch64-neon"):
        headrace.compile(Program(), (x,), target=target,
                         load=False)


def test_programs_without_tensor_arguments():
    fast = compiled(lambda: torch.ones(3) * 2)
    assert isinstance(fast(), torch.Tensor)
    torch.testing.assert_close(fast(), torch.full((3,), 2.0))


# ----------------------------------------------------------- what is no method


@pytest.mark.parametrize("attempt, words", [
    (lambda m: pickle.dumps(m), "cannot be copied or pickled.*save"),
    (lambda m: copy.deepcopy(m), "cannot be copied or pickled.*context"),
    (lambda m: pickle.dumps(m.context()), "cannot be copied or pickled"),
    (lambda m: m.eval(), "'eval': in which mode.*before"),
    (lambda m: m.to("cpu"), "'to': it runs on the CPU"),
    (lambda m: m.state_dict(), "'state_dict': its weights are part"),
    (lambda m: m.nothing, "a compiled model has no attribute 'nothing'$"),
    (lambda m: pickle.dumps(m.main), "an entry cannot be copied or pickled"),
    (lambda m: copy.deepcopy(headrace.Pool(1)), "a pool cannot be copied"),
    (lambda m: m.context(workers=-1), "number of threads.*1 to 4096.*got -1"),
    (lambda m: headrace.load(m.path, workers=0), "got 0"),
    (lambda m: headrace.Pool(-3), "got -3"),
    (lambda m: headrace.compile(torch.nn.ReLU(), (X,), workers="two"),
     "an integer; got a str"),
], ids=["pickle", "deepcopy", "context", "eval", "to", "state_dict", "other",
        "pickle of an entry", "deepcopy of a pool",
        "workers", "workers of load", "workers of a pool", "workers of compile"])
def test_words(attempt, words):
    model = compiled(lambda x: x + 1, X)
    with pytest.raises((TypeError, ValueError, AttributeError), match=words):
        attempt(model)


# --------------------------------------------------------- tensors of all kinds


def combine(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return a + 2 * b, a * b


@pytest.fixture(scope="module")
def pair() -> headrace.Model:
    return compiled(combine, torch.randn(6, 8), torch.randn(6, 8))


def kinds() -> dict[str, torch.Tensor]:
    complex_ = torch.randn(6, 8, dtype=torch.complex64)
    return {
        "plain": torch.randn(6, 8),
        "transposed": torch.randn(8, 6).t(),
        "strided": torch.randn(12, 16)[::2, 1::2],
        "expanded": torch.randn(8).expand(6, 8),
        "with an offset": torch.randn(7, 8)[1:],
        "parameter": torch.nn.Parameter(torch.randn(6, 8)),
        "requires grad": torch.randn(6, 8, requires_grad=True) * 2,
        "negated by a mark": complex_.conj().imag,
        "real part": complex_.real,
        "subclass": torch.randn(6, 8).as_subclass(
            type("Sub", (torch.Tensor,), {}))}


@pytest.mark.parametrize("first", kinds())
def test_torch_tensors(pair, first):
    a, b = kinds()[first], torch.randn(6, 8)
    for x, y in ((a, b), (b, a)):
        got = pair(x, y)
        assert isinstance(got, tuple)
        for one, expected in zip(got, combine(x.detach(), y.detach())):
            assert type(one) is torch.Tensor and not one.requires_grad
            torch.testing.assert_close(one, expected.as_subclass(torch.Tensor))
    torch.testing.assert_close(pair(a, b)[0], pair.main(a=a, b=b)[0]
                               if {p["name"] for p in pair.main.inputs} ==
                               {"a", "b"} else pair(a, b)[0])


@pytest.mark.parametrize("array", [
    np.random.rand(6, 8).astype("f4"), np.random.rand(8, 6).astype("f4").T,
    np.random.rand(6, 16).astype("f4")[:, ::-2],
    np.random.rand(6, 8).astype("f4").view(type("Sub", (np.ndarray,), {})),
], ids=["plain", "transposed", "reversed", "subclass"])
def test_numpy_arrays(pair, array):
    read_only = array.copy()
    read_only.flags.writeable = False
    for a, b in ((array, read_only), (read_only, array)):
        sums, products = pair(a, b)
        assert type(sums) is np.ndarray
        np.testing.assert_allclose(sums, np.asarray(a + 2 * b), rtol=1e-6)
        np.testing.assert_allclose(products, np.asarray(a * b), rtol=1e-6)


def test_kinds_may_be_mixed(pair):
    a, b = torch.randn(6, 8), np.random.rand(6, 8).astype("f4")
    for x, y in ((a, b), (b, a)):
        got = pair(x, y)[0]
        assert isinstance(got, torch.Tensor)
        torch.testing.assert_close(got, torch.as_tensor(x) +
                                   2 * torch.as_tensor(y))


@pytest.mark.parametrize("arguments, error", [
    ((torch.randn(6, 9), X), "expected 8 but got 9"),
    ((torch.randn(6, 8, dtype=torch.float64), torch.randn(6, 8)),
     "expected float32 but got float64"),
    ((np.zeros((6, 8), "f4"), np.zeros((6, 8), ">f4")), "no tensor"),
    ((torch.randn(6, 8),), "exported with 2 positional arguments, got 1"),
    ((torch.randn(6, 8), "x"), "expected a tensor, got a str"),
    ((torch.empty(6, 8, device="meta"), torch.randn(6, 8)),
     "dense tensor on the CPU.*meta"),
    ((torch.randn(6, 8), torch.randn(6, 8).to_sparse()), "dense tensor"),
], ids=["size", "dtype", "byte order", "count", "text", "device", "layout"])
def test_what_does_not_fit_is_named(pair, arguments, error):
    with pytest.raises((headrace.Error, TypeError), match=error):
        pair(*arguments)
    good = torch.randn(6, 8)
    torch.testing.assert_close(pair(good, good)[0], 3 * good)


@pytest.mark.parametrize("dtype", [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_types(dtype):
    x = torch.arange(6).to(dtype)
    fast = compiled(lambda x: x.flip(0), x)
    assert torch.equal(fast(x), x.flip(0)) and fast(x).dtype is dtype
    if dtype is not torch.bfloat16:
        got = fast(x.numpy())
        assert np.array_equal(got, x.numpy()[::-1])
        assert got.dtype == x.numpy().dtype


def test_scalars_and_nothing():
    fast = compiled(lambda x, y: (x * 2, y.sum()), torch.tensor(3.0),
                    torch.zeros(0, 4))
    doubled, total = fast(torch.tensor(4.0), torch.zeros(0, 4))
    assert doubled.shape == () and float(doubled) == 8 and float(total) == 0
    doubled, total = fast(np.array(4.0, "f4"), np.zeros((0, 4), "f4"))
    assert doubled.shape == () and float(doubled) == 8 and float(total) == 0


def test_results_outlive_the_model():
    x = torch.randn(300, 400)
    model = compiled(lambda x: x + 1, x)
    results = [model(x), model(x.numpy())]
    del model
    for result in results:
        torch.testing.assert_close(torch.as_tensor(result), x + 1)


# -------------------------------------------------------------------- workers


class Layers(torch.nn.Module):
    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(*(
            torch.nn.Linear(width, width) for _ in range(count)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


#: Has four workers, on every machine that can run it.
TARGET = ("generic-aarch64-neon" if platform.machine() == "aarch64" else
          "generic-x86-64-v3")


def schedules(model: headrace.Model) -> list[dict[str, Any]]:
    result = model.signature["entries"][0]["schedules"]
    assert len(result) > 1 and result[0]["from_work"] == 0
    return list(result)


def test_small_models_run_on_one_worker():
    x = torch.randn(16, 16)
    model = headrace.compile(torch.nn.Linear(16, 16), (x,), target=TARGET)
    never = 2**63 - 1
    assert {s["from_work"] for s in schedules(model)[1:]} == {never}
    assert model.default_context.workers == 1
    assert model.context(2).workers == 1  # at most
    assert model.context(2, fixed=True).workers == 2
    assert torch.equal(model.context(2, fixed=True)(x), model(x))


def test_large_models_run_on_all_workers():
    model = headrace.compile(Layers(512, 8), (torch.randn(64, 512),),
                             target=TARGET)
    assert schedules(model)[1]["from_work"] < 2**62
    assert model.context(2).workers == 2
    assert model.context(1).workers == 1


def test_workers_follow_the_sizes(tmp_path):
    rows = torch.export.Dim("rows", min=1, max=65536)
    module = Layers(32, 4).eval()
    x = torch.randn(2, 32)
    model = headrace.compile(module, (x,), dynamic_shapes=({0: rows},),
                             target=TARGET, output=tmp_path / "m.so")
    two = schedules(model)[1]["from_work"]
    name = model.signature["entries"][0]["symbols"][0]["name"]
    work = model.signature["entries"][0]["work"]

    def get_work(size: int) -> int:
        return int(eval(work, {name: size}))

    assert get_work(1) < two <= get_work(65536)
    small = max(n for n in range(1, 65536) if get_work(n) < two)
    build = headrace._native._build_folder()
    most = model.context().workers  # as many as this machine has, or four
    for size in (1, small, small + 1, 65536):
        workers = max(s["workers"] for s in schedules(model)
                      if s["workers"] <= most and
                      s["from_work"] <= get_work(size))
        assert (workers > 1) == (size > small and most > 1)
        done = subprocess.run(
            [f"{build}/bin/headrace-run", model.path, "--size",
             f"{name}={size}", "--repeat=1"], capture_output=True, text=True,
            check=True)
        assert f" on {workers} worker" in done.stdout
    for size in (small, small + 1):
        x = torch.randn(size, 32)
        assert torch.equal(model(x), model.context(1)(x))


def test_arguments_by_name_as_at_export():
    class Named(torch.nn.Module):
        def forward(self, x: torch.Tensor, *, scale: torch.Tensor,
                    shift: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"y": x * scale + shift}

    x, scale, shift = torch.randn(3, 3, 4)
    fast = headrace.compile(Named(), (x,), {"scale": scale, "shift": shift})
    expected = x * scale + shift
    torch.testing.assert_close(fast(x, scale=scale, shift=shift)["y"], expected)
    torch.testing.assert_close(fast(x, shift=shift, scale=scale)["y"], expected)
    torch.testing.assert_close(
        fast(x, **{"sh" + "ift"[:]: shift, "".join("scale"): scale})["y"],
        expected)
    got = fast(x.numpy(), shift=shift.numpy(), scale=scale.numpy())["y"]
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-5)
    with pytest.raises(TypeError, match="without an argument 'size'"):
        fast(x, scale=scale, shift=shift, size=x)
    with pytest.raises(TypeError, match="argument 'shift', which is missing"):
        fast(x, scale=scale)
    with pytest.raises(TypeError, match="without an argument 'size'|missing"):
        fast(x, scale=scale, size=shift)
