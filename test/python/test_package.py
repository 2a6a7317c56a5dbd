"""The Python package: calls, containers, threads, errors, files."""

import collections
import os
import re
import subprocess
import sys
import threading
import time

import numpy
import pytest
import torch

import headrace


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 4)

    def forward(self, x, scale=None):
        y = torch.relu(self.linear(x))
        if scale is not None:
            y = y * scale
        return {"y": y, "parts": (y.sum(-1), [y + 1])}


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return Small().eval()


@pytest.fixture(scope="module")
def fast(module):
    return headrace.compile(module, (torch.randn(3, 8),))


@pytest.fixture(scope="module")
def saved(fast, tmp_path_factory):
    path = tmp_path_factory.mktemp("artifact") / "small.so"
    fast.save(path)
    return path


def test_returns_the_containers_of_the_module(fast, module):
    x = torch.randn(3, 8)
    ours, theirs = fast(x), module(x)
    assert set(ours) == {"y", "parts"}
    assert isinstance(ours["parts"], tuple)
    assert isinstance(ours["parts"][1], list)
    torch.testing.assert_close(ours["y"], theirs["y"])
    torch.testing.assert_close(ours["parts"][0], theirs["parts"][0])


def test_numpy_in_numpy_out(fast, module):
    x = torch.randn(3, 8)
    y = fast(x.numpy())["y"]
    assert isinstance(y, numpy.ndarray)
    numpy.testing.assert_allclose(y, module(x)["y"].detach().numpy(),
                                  rtol=1e-5, atol=1e-6)


def test_read_only_numpy(fast):
    x = numpy.ones((3, 8), dtype=numpy.float32)
    x.flags.writeable = False
    assert fast(x)["y"].shape == (3, 4)


def test_layouts_that_are_not_contiguous_are_copied(fast, module):
    x = torch.randn(8, 3).T
    torch.testing.assert_close(fast(x)["y"], module(x)["y"])
    wide = torch.randn(3, 16)[:, ::2]
    torch.testing.assert_close(fast(wide)["y"], module(wide)["y"])


def test_anything_with_dlpack(fast, module):
    class Wrapped:
        def __init__(self, tensor):
            self.tensor = tensor

        def __dlpack__(self, stream=None):
            return self.tensor.__dlpack__()

        def __dlpack_device__(self):
            return self.tensor.__dlpack_device__()

    x = torch.randn(3, 8)
    y = fast(Wrapped(x))["y"]
    numpy.testing.assert_allclose(y, module(x)["y"].detach().numpy(),
                                  rtol=1e-5, atol=1e-6)


def test_outputs_stay_when_the_model_runs_again(fast):
    first = fast(torch.zeros(3, 8))["y"]
    before = first.clone()
    fast(torch.ones(3, 8))
    assert torch.equal(first, before)


def test_arguments_by_name(module):
    args, kwargs = (torch.randn(3, 8),), {"scale": torch.tensor(2.0)}
    fast = headrace.compile(module, args, kwargs)
    expected = module(*args, **kwargs)["y"]
    torch.testing.assert_close(fast(*args, **kwargs)["y"], expected)
    torch.testing.assert_close(fast(x=args[0], **kwargs)["y"], expected)
    torch.testing.assert_close(fast(args[0], kwargs["scale"])["y"], expected)


def test_wrong_arguments_are_named(fast):
    with pytest.raises(headrace.Error, match="'x': dimension 0: expected 3 but got 4"):
        fast(torch.randn(4, 8))
    with pytest.raises(headrace.Error, match="'x'.*float32"):
        fast(torch.randn(3, 8, dtype=torch.float64))
    x = torch.randn(3, 8)
    with pytest.raises(TypeError, match="main.. was exported with 1 positional "
                                        "argument, got 2"):
        fast(x, x)
    with pytest.raises(TypeError, match="exported without an argument 'w'"):
        fast(x, w=x)
    for bad in ("text", None):
        with pytest.raises(TypeError, match="argument 'x': expected a tensor"):
            fast(bad)
    with pytest.raises(TypeError, match="'x': expected a dense tensor on the "
                                        "CPU, got .* one on 'meta'"):
        fast(x.to("meta"))
    with pytest.raises(TypeError, match="'x': .* got a torch.sparse_coo"):
        fast(x.to_sparse())
    with pytest.raises(TypeError, match="'x': an array of type .*object"):
        fast(numpy.array([object()]))
    with pytest.raises(TypeError, match="'x': an array of type .*>f4"):
        fast(numpy.ones((3, 8), ">f4"))


def test_a_missing_named_argument_is_named(module):
    fast = headrace.compile(module, (torch.randn(3, 8),),
                            {"scale": torch.tensor(2.0)})
    with pytest.raises(TypeError, match="an argument 'scale', which is"):
        fast(torch.randn(3, 8))


def test_one_tensor_may_be_given_twice():
    class Difference(torch.nn.Module):
        def forward(self, x, y, *, z):
            return x - 2 * y + 3 * z

    x = torch.randn(5)
    fast = headrace.compile(Difference(), (x, x), {"z": x})
    given = (torch.randn(5), torch.randn(5))
    z = torch.randn(5)
    torch.testing.assert_close(fast(*given, z=z),
                               Difference()(*given, z=z))


def test_a_tensor_is_no_sequence_of_arguments(module):
    with pytest.raises(TypeError, match=r"sequence of arguments: \(x,\)"):
        headrace.compile(module, torch.randn(3, 8))


def test_model_of_an_exported_program(module):
    program = torch.export.export(module, (torch.randn(2, 8),))
    x = torch.randn(2, 8)
    for opt in (0, 2):
        fast = headrace.compile(program, opt=opt)
        torch.testing.assert_close(fast(x)["y"], module(x)["y"])


def test_entries_share_a_model(module):
    two = torch.export.export(module, (torch.randn(2, 8),))
    five = torch.export.export(module, (torch.randn(5, 8),))
    fast = headrace.compile({"two": two, "five": five})
    assert set(fast.entries) == {"two", "five"}
    assert fast.two(torch.randn(2, 8))["y"].shape == (2, 4)
    assert fast["five"](torch.randn(5, 8))["y"].shape == (5, 4)
    with pytest.raises(KeyError, match="no entry 'six'; there are two, five"):
        fast["six"]
    with pytest.raises(TypeError, match="several entries"):
        fast(torch.randn(2, 8))


def test_many_threads_on_one_model(fast, module):
    inputs = [torch.randn(3, 8) for _ in range(8)]
    expected = [module(x)["y"] for x in inputs]
    failures = []

    def work(number):
        for _ in range(200):
            if not torch.allclose(fast(inputs[number])["y"], expected[number],
                                  atol=1e-6):
                failures.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_other_threads_run_during_a_compilation(module):
    """The interpreter's lock is not held while hrcc works."""
    ticks, done = 0, threading.Event()

    def count():
        nonlocal ticks
        while not done.wait(0.005):
            ticks += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        program = torch.export.export(module, (torch.randn(7, 8),))
        before = ticks
        headrace.compile(program)
        during = ticks - before
    finally:
        done.set()
        thread.join()
    assert during >= 5


def test_other_threads_run_during_a_call():
    """Nor is it held while the model runs."""
    class Slow(torch.nn.Module):
        def forward(self, x):
            for _ in range(12):
                x = torch.sin(x @ x)
            return x

    x = torch.randn(500, 500)
    fast = headrace.compile(Slow(), (x,), workers=1)
    fast(x)
    ticks, done = [], threading.Event()

    def count():
        while not done.wait(0.001):
            ticks.append(time.monotonic())

    thread = threading.Thread(target=count)
    thread.start()
    try:
        begin = time.monotonic()
        for _ in range(5):
            fast(x)
        end = time.monotonic()
    finally:
        done.set()
        thread.join()
    # Held, it would be free between the calls only: a handful of times.
    assert sum(begin < tick < end for tick in ticks) >= 10


def test_contexts_run_side_by_side(module):
    """Many threads, each with a context, results as alone."""
    fast = headrace.compile(Counter(), (torch.ones(2),))
    failures = []

    def work(number):
        context = fast.context(workers=1)
        step = torch.tensor([number, 1.0])
        for count in range(1, 101):
            if context(step).tolist() != [number * count, count]:
                failures.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_models_share_a_pool(saved):
    pool = headrace.Pool(2)
    models = [headrace.load(saved, pool=pool) for _ in range(4)]
    x = torch.randn(3, 8)
    expected = models[0](x)["y"]
    before = len(os.listdir("/proc/self/task"))
    contexts = [m.context() for m in models] + [models[0].context(workers=1)]
    assert len(os.listdir("/proc/self/task")) == before
    failures = []

    def work(context):
        for _ in range(50):
            if not torch.equal(context(x)["y"], expected):
                failures.append(context)

    threads = [threading.Thread(target=work, args=(c,)) for c in contexts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    del pool, models, contexts, thread, threads  # in any order
    import gc
    gc.collect()
    assert len(os.listdir("/proc/self/task")) < before


def test_compilations_run_side_by_side(module):
    results = [None] * 3

    def work(number):
        results[number] = headrace.compile(module,
                                           (torch.randn(number + 2, 8),))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, fast in enumerate(results):
        x = torch.randn(number + 2, 8)
        torch.testing.assert_close(fast(x)["y"], module(x)["y"])


def test_an_interrupt_ends_the_compiler(tmp_path):
    """Ctrl-C while hrcc works: no process, no file is left."""
    compiler = tmp_path / "hrcc"
    compiler.write_text("#!/bin/sh\necho $$ > \"$0.pid\"\nexec sleep 60\n")
    compiler.chmod(0o755)
    code = f"""
import os, signal, sys, threading, time
import headrace
# What is started in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)
def interrupt():
    while not os.path.exists({str(compiler) + '.pid'!r}):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    headrace.compile("model.pt2")
except KeyboardInterrupt:
    print("interrupted")
"""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    result = subprocess.run([sys.executable, "-c", code], text=True, timeout=50,
                            capture_output=True,
                            env=dict(os.environ, HEADRACE_HRCC=str(compiler),
                                     TMPDIR=str(temporary)))
    assert result.stdout == "interrupted\n", result.stderr
    assert not os.listdir(temporary)
    pid = int((tmp_path / "hrcc.pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_on_a_terminal(tmp_path, terminal):
    """Shown after a second, only on a terminal, moving while a step takes long,
    and wiped at the end."""
    compiler = tmp_path / "hrcc"
    compiler.write_text("""#!/bin/sh
step() {
  echo "{\\"event\\": \\"step\\", \\"step\\": \\"$1\\", \\"number\\": $2, \\"count\\": 3}" >&2
}
step aten 1
sleep 2.5
step tensor 2
step fused 3
echo "{\\"event\\": \\"error\\", \\"text\\": \\"on purpose\\"}" >&2
exit 1
""")
    compiler.chmod(0o755)
    code = """
import headrace
try:
    headrace.compile("model.pt2")
except headrace.Error as error:
    print(error)
"""
    ours, theirs = os.openpty()
    result = subprocess.run([sys.executable, "-c", code], text=True,
                            stdout=subprocess.PIPE,
                            stderr=theirs if terminal else subprocess.PIPE,
                            env=dict(os.environ, HEADRACE_HRCC=str(compiler)))
    os.close(theirs)
    assert result.stdout == "on purpose\n"
    if not terminal:
        assert result.stderr == ""
        return
    shown = os.read(ours, 10000).decode()
    os.close(ours)
    assert "aten (1 of 3, 0 s)" not in shown
    assert "headrace: aten (1 of 3, 1 s)" in shown
    assert re.search(r"headrace: tensor \(2 of 3, [2-9] s\)\r\x1b\[Kheadrace: "
                     r"fused \(3 of 3, [2-9] s\)\r\x1b\[K$", shown)


class Counter(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(2))

    def forward(self, x):
        self.total.add_(x)
        return self.total.clone()


def test_state_belongs_to_the_context():
    fast = headrace.compile(Counter(), (torch.ones(2),))
    one, other = fast.context(), fast.context()
    x = torch.tensor([1.0, 2.0])
    one(x)
    assert one(x).tolist() == [2, 4]
    assert other(x).tolist() == [1, 2]
    one.reset()
    assert one(x).tolist() == [1, 2]


class InPlace(torch.nn.Module):
    def forward(self, x):
        x.mul_(2)
        return x + 1


def test_arguments_that_the_program_writes_are_written():
    fast = headrace.compile(InPlace(), (torch.ones(3),))
    x = torch.tensor([1.0, 2.0, 3.0])
    assert fast(x).tolist() == [3, 5, 7]
    assert x.tolist() == [2, 4, 6]


Pair = collections.namedtuple("Pair", ["a", "b"])
torch.utils._pytree._register_namedtuple(
    Pair, serialized_type_name="test_package.Pair")


class Containers(torch.nn.Module):
    def forward(self, given):
        return Pair(given["a"] + given["b"][0], None), 3


def test_containers_and_constants():
    given = {"a": torch.ones(2), "b": (torch.ones(2),)}
    fast = headrace.compile(Containers(), (given,))
    pair, three = fast(given)
    assert type(pair).__name__ == "Pair"
    assert pair.a.tolist() == [2, 2] and pair.b is None and three == 3
    with pytest.raises(TypeError, match="expected the keys"):
        fast({"a": torch.ones(2)})


def test_load_without_torch(saved):
    code = f"""
import sys
sys.modules["torch"] = None
import numpy, headrace
model = headrace.load({str(saved)!r})
out = model(numpy.ones((3, 8), dtype=numpy.float32))
assert out["y"].shape == (3, 4), out
assert sys.modules["torch"] is None
print(repr(model))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stderr
    assert "small.so" in result.stdout


@pytest.mark.parametrize("first", ["torch", "headrace"])
def test_both_import_orders(saved, first):
    second = "headrace" if first == "torch" else "torch"
    code = f"""
import {first}, {second}
model = headrace.load({str(saved)!r})
assert model(torch.ones(3, 8))["y"].shape == (3, 4)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_damaged_artifacts_are_refused(saved, tmp_path, damage):
    content = bytearray(saved.read_bytes())
    if damage == "cut":
        content = content[:len(content) // 2]
    elif damage == "flip":
        content[5000] ^= 1
    elif damage == "empty":
        content = b""
    else:
        content = b"not an artifact" * 100
    bad = tmp_path / "bad.so"
    bad.write_bytes(content)
    with pytest.raises(headrace.Error, match="bad.so"):
        headrace.load(bad)


def test_missing_artifact(tmp_path):
    with pytest.raises(headrace.Error, match="none.so.*No such file"):
        headrace.load(tmp_path / "none.so")


def test_altered_weights_are_found_by_check(saved, tmp_path):
    content = saved.read_bytes()
    weight = headrace.load(saved)
    weight.check()
    linear = torch.nn.Linear(8, 4)
    torch.manual_seed(0)
    linear = Small().linear
    needle = linear.bias.detach().numpy().tobytes()
    at = content.find(needle)
    assert at > 0
    bad = tmp_path / "bad.so"
    bad.write_bytes(content[:at] + b"\1" + content[at + 1:])
    with pytest.raises(headrace.Error, match="weights"):
        headrace.load(bad).check()


def test_weights_beside_the_artifact(module, tmp_path):
    fast = headrace.compile(module, (torch.randn(3, 8),),
                            options={"weights": "external"})
    path = tmp_path / "apart.so"
    fast.save(path)
    assert len(list(tmp_path.iterdir())) == 2
    x = torch.randn(3, 8)
    torch.testing.assert_close(headrace.load(path)(x)["y"], module(x)["y"])


class Unsupported(torch.nn.Module):
    def forward(self, x):
        return torch.fft.fft(x).real, torch.linalg.svd(x)[1]


def test_unsupported_operators_are_listed_all_at_once():
    with pytest.raises(headrace.UnsupportedOpError) as caught:
        headrace.compile(Unsupported(), (torch.randn(4, 4),))
    text = str(caught.value)
    assert "fft" in text and "svd" in text
    assert "test_package.py" in text
    assert isinstance(caught.value, headrace.Error)


class Decomposed(torch.nn.Module):
    def forward(self, x, y):
        return (torch.nn.functional.huber_loss(x, y),
                torch.nn.functional.layer_norm(x, x.shape[-1:]))


def test_operators_that_torch_writes_as_others_are(tmp_path):
    x, y = torch.randn(4, 4), torch.randn(4, 4)
    module = Decomposed()
    program = torch.export.export(module, (x, y))
    for model in (headrace.compile(module, (x, y)), headrace.compile(program)):
        torch.testing.assert_close(model(x, y), module(x, y))
    # A file is compiled as it is; the message says what helps.
    torch.export.save(program, tmp_path / "p.pt2")
    with pytest.raises(headrace.UnsupportedOpError,
                       match=r"huber_loss(.|\n)*run_decompositions\(\)"):
        headrace.compile(tmp_path / "p.pt2")


def test_bad_options_are_named(module):
    with pytest.raises(ValueError, match="unknown option 'wieghts'"):
        headrace.compile(module, (torch.randn(3, 8),),
                         options={"wieghts": "embed"})
    with pytest.raises(headrace.Error, match="no-such-machine"):
        headrace.compile(module, (torch.randn(3, 8),),
                         target="no-such-machine")
    with pytest.raises(TypeError, match="got a int"):
        headrace.compile(3)


def test_nothing_is_left_behind(module, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    import tempfile
    monkeypatch.setattr(tempfile, "tempdir", None)
    fast = headrace.compile(module, (torch.randn(3, 8),))
    assert len(os.listdir(tmp_path)) == 1  # the artifact's own folder
    del fast
    import gc
    gc.collect()
    assert os.listdir(tmp_path) == []
