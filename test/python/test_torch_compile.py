"""torch.compile(model, backend="headrace"): what comes back, and how often."""

import importlib.metadata
import os
import subprocess
import sys
import threading

import pytest
import torch
import torch._dynamo.testing

import headrace
from headrace import _dynamo, _register

pytestmark = pytest.mark.filterwarnings("error::headrace.FallbackWarning")


@pytest.fixture(autouse=True)
def fresh():
    torch.manual_seed(0)
    torch._dynamo.reset()
    with torch.no_grad():
        yield


@pytest.fixture
def compilations(monkeypatch):
    """The programs that hrcc was run on."""
    seen = []
    real = _dynamo.compile_program

    def compile_program(program, **kwargs):
        seen.append({k: v for k, v in kwargs.items() if k != "pool"})
        return real(program, **kwargs)

    monkeypatch.setattr(_dynamo, "compile_program", compile_program)
    return seen


def both(function, *args, **options):
    """Runs eager and compiled on copies of the arguments; all must agree, what
    is written to them too."""
    compiled = torch.compile(function, backend="headrace", **options)

    def copy(value):
        return value.clone() if isinstance(value, torch.Tensor) else value

    theirs_in, ours_in = list(map(copy, args)), list(map(copy, args))
    theirs, ours = function(*theirs_in), compiled(*ours_in)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(ours_in, theirs_in)
    return compiled, ours, ours_in


@pytest.mark.parametrize("code", [
    "import headrace, torch", """
import torch
assert "headrace" not in torch._dynamo.list_backends()  # or so torch thinks
import headrace"""], ids=["before", "after"])
def test_the_backend_is_found_by_name(code):
    """Whether headrace is imported before torch or after it has looked."""
    if "not in" in code and _is_installed():
        code = "import torch"  # without any import of headrace
    code += """
fast = torch.compile(lambda x: x * 2, backend="headrace")
assert fast(torch.ones(2)).tolist() == [2, 2]
assert "headrace" in torch._dynamo.list_backends()
"""
    result = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c",
                             code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def _is_installed():
    """Whether there is real metadata."""
    found = importlib.metadata.distribution("headrace")
    return not isinstance(found, _register._SourceTree)


class Broken(torch.nn.Module):
    """Its graph breaks once."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(8, 8)
        self.second = torch.nn.Linear(8, 8)

    def forward(self, x):
        y = torch.relu(self.first(x))
        torch._dynamo.graph_break()
        return self.second(y).softmax(-1)


def test_every_part_between_graph_breaks_is_compiled(compilations):
    both(Broken().eval(), torch.randn(3, 8))
    assert len(compilations) == 2


def test_graphs_share_their_threads():
    """However many graphs there are."""
    def threads():
        return len(os.listdir("/proc/self/task"))

    compiled = torch.compile(Broken().eval(), backend="headrace",
                             options={"workers": 2})
    compiled(torch.randn(2, 8))
    before = threads()
    for rows in range(3, 6):
        torch.compile(Broken().eval(), backend="headrace", dynamic=False,
                      options={"workers": 2})(torch.randn(rows, 8))
    assert threads() <= before + 1  # torch may start one


def test_equal_graphs_are_compiled_once(compilations):
    def layer(x, weight):
        return torch.tanh(x @ weight) * 3.25

    _, ours, _ = both(layer, torch.randn(4, 4), torch.randn(4, 4))
    torch._dynamo.reset()
    both(layer, torch.randn(4, 4), torch.randn(4, 4))
    assert len(compilations) == 1
    both(layer, torch.randn(5, 4), torch.randn(4, 4), dynamic=False)
    assert len(compilations) == 2


@pytest.mark.parametrize("change", [
    lambda x: x * 2.5 + 1, lambda x: x * 2.5 - 1, lambda x: x * 2.25 + 1,
    lambda x: 1 - x * 2.5])
def test_graphs_that_differ_a_little_are_not_confused(change):
    both(change, torch.randn(5))


def test_dynamic_sizes(compilations):
    def function(x, y):
        return torch.cat([x, y]).reshape(-1) + x.shape[0] * x.shape[1]

    compiled, _, _ = both(function, torch.randn(3, 4), torch.randn(2, 4),
                          dynamic=True)
    before = len(compilations)
    for rows, columns in ((7, 6), (4, 10), (2, 2)):
        args = torch.randn(rows, columns), torch.randn(rows + 1, columns)
        torch.testing.assert_close(compiled(*args), function(*args))
    assert len(compilations) <= before + 1  # both sizes may be found equal


def test_integers_that_are_no_size_of_a_tensor():
    def function(x, n):
        return x[:, :n] * n

    x = torch.randn(3, 16)
    compiled, _, _ = both(function, x, 5, dynamic=True)
    for n in (2, 9, 16, 0, 1):
        torch.testing.assert_close(compiled(x, n), function(x, n))
    with pytest.warns(headrace.FallbackWarning, match="negative integer"):
        torch.testing.assert_close(compiled(x, -3), function(x, -3))


def test_numbers_that_vary():
    """torch makes them tensors of no dimension."""
    def function(x, factor):
        return x * factor

    compiled, _, _ = both(function, torch.randn(3), 2.5, dynamic=True)
    x = torch.randn(3)
    torch.testing.assert_close(compiled(x, 0.125), function(x, 0.125))


def test_sizes_are_results_too():
    def function(x):
        y = torch.cat([x, x])
        torch._dynamo.graph_break()
        return y.shape[0] * 2, y + 1

    both(function, torch.randn(3), dynamic=True)


def test_arguments_are_written_in_place():
    def function(x, y):
        x.add_(y)
        y[0].mul_(2)
        return x * 2

    both(function, torch.randn(4, 4), torch.randn(4, 4))


def test_results_alias_what_eager_ones_do():
    def function(x):
        x.mul_(2)
        return x.view(-1), x[1], x

    x = torch.randn(2, 3)
    compiled = torch.compile(function, backend="headrace")
    flat, row, whole = compiled(x)
    assert whole is x
    flat[3] = 7
    assert row[0] == 7 and x[1, 0] == 7


def test_the_same_tensor_twice():
    def function(x, y):
        x.add_(1)
        return x * y

    compiled = torch.compile(function, backend="headrace")
    ours, theirs = torch.arange(4.0), torch.arange(4.0)
    torch.testing.assert_close(compiled(ours, ours), function(theirs, theirs))
    torch.testing.assert_close(ours, theirs)


def test_strides_of_results_are_those_of_eager():
    def function(x):
        y = x + 1
        return (y.t(), (x * 2).t() * 3, torch.tanh(x).expand(2, -1, -1),
                x[1:].sin()[:, 1], x.cos()[None].view(-1))

    expected = [(1, 4), (1, 4), (0, 4, 1), (4,), (1,)]
    _, ours, _ = both(function, torch.randn(3, 4))
    assert [y.stride() for y in ours] == expected
    compiled, ours, _ = both(function, torch.randn(3, 4), dynamic=True)
    assert [y.stride() for y in ours] == expected
    x = torch.randn(5, 6)
    torch.testing.assert_close(compiled(x), function(x))
    assert [y.stride() for y in compiled(x)] == [
        y.stride() for y in function(x)]


def test_arguments_with_other_strides():
    both(lambda x, y: x + y, torch.randn(4, 3).t(), torch.randn(3, 8)[:, ::2])


def test_constants_of_the_graph():
    table = torch.randn(4, 4)

    def function(x):
        return x @ table + torch.tensor([1.0, 2.0, 3.0, 4.0])

    both(function, torch.randn(2, 4))


def test_nothing_to_compute(compilations):
    both(lambda x: (x, x.shape[0], None), torch.randn(3))
    both(lambda x: (x.view(-1), x[1:].t()[0], x.expand(2, 3, 2)),
         torch.randn(3, 2))
    both(lambda x: x.view(-1, x.shape[0]), torch.randn(3, 2), dynamic=True)
    assert not compilations


def test_state_of_a_module_is_written():
    class Counter(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.zeros(2))

        def forward(self, x):
            self.count += x
            return self.count * 2

    module = Counter()
    compiled = torch.compile(module, backend="headrace")
    assert compiled(torch.ones(2)).tolist() == [2, 2]
    assert compiled(torch.ones(2)).tolist() == [4, 4]
    assert module.count.tolist() == [2, 2]


def test_new_weights_count():
    module = torch.nn.Linear(3, 3)
    compiled = torch.compile(module, backend="headrace")
    x = torch.randn(2, 3)
    torch.testing.assert_close(compiled(x), module(x))
    module.weight.data.mul_(2)  # no version counter sees this
    torch.testing.assert_close(compiled(x), module(x))


def test_frozen_weights_are_compiled_in(compilations):
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(),
                                 torch.nn.Linear(4, 4))
    compiled = torch.compile(module, backend="headrace",
                             options={"freeze": True})
    x = torch.randn(2, 4)
    torch.testing.assert_close(compiled(x), module(x))
    torch.testing.assert_close(compiled(x + 1), module(x + 1))
    assert len(compilations) == 1
    module[0].weight.mul_(2)
    torch.testing.assert_close(compiled(x), module(x))
    assert len(compilations) == 2
    for _ in range(5):  # what changes all the time is an input again
        module[0].weight.mul_(1.5)
        torch.testing.assert_close(compiled(x), module(x))
    assert len(compilations) == 2 + _dynamo._MAX_THAWS


def test_inference_mode():
    module = Broken().eval()
    compiled = torch.compile(module, backend="headrace")
    with torch.inference_mode():
        x = torch.randn(3, 8)
        torch.testing.assert_close(compiled(x), module(x))


def test_gradients_work_in_eager_mode():
    module = torch.nn.Linear(3, 1)
    compiled = torch.compile(module, backend="headrace")
    x = torch.randn(2, 3)
    with torch.enable_grad():
        with pytest.warns(headrace.FallbackWarning,
                          match="a graph of 1 calls?.*test_torch_compile|"
                                "torch.no_grad") as caught:
            compiled(x).sum().backward()
    assert len(caught) == 1 and "2 inputs" in str(caught[0].message)
    assert module.weight.grad is not None
    with torch.no_grad():  # and without them it is compiled
        torch.testing.assert_close(compiled(x), module(x))


def test_one_warning_has_all_causes():
    def function(x):
        y = x + 1
        return torch.linalg.svdvals(y), torch.fft.fft(y).real

    compiled = torch.compile(function, backend="headrace")
    x = torch.randn(4, 4)
    with pytest.warns(headrace.FallbackWarning) as caught:
        ours = compiled(x)
        compiled(x)
    torch.testing.assert_close(ours, function(x))
    assert len(caught) == 1, list(map(str, caught))
    text = str(caught[0].message)
    assert "svd" in text and "fft" in text and "test_torch_compile.py" in text
    # It points at the user's line, not at ours or torch's.
    assert caught[0].filename == __file__
    assert caught[0].lineno == function.__code__.co_firstlineno + 1


def test_one_graph_falls_back_and_the_others_do_not(compilations):
    def function(x):
        y = x * 3
        torch._dynamo.graph_break()
        y = torch.linalg.inv(y)
        torch._dynamo.graph_break()
        return y + 5

    compiled = torch.compile(function, backend="headrace")
    x = torch.eye(3) * 2
    with pytest.warns(headrace.FallbackWarning, match="inv") as caught:
        torch.testing.assert_close(compiled(x), function(x))
    assert len(caught) == 1 and len(compilations) == 3


def test_what_torch_cannot_export_runs_in_eager_mode(monkeypatch):
    def fail(self):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(_dynamo._Program, "export", fail)
    compiled = torch.compile(lambda x: x * 77, backend="headrace")
    with pytest.warns(headrace.FallbackWarning,
                      match="RuntimeError: on purpose"):
        assert compiled(torch.ones(1)).item() == 77


def test_fallback_may_be_forbidden():
    compiled = torch.compile(torch.linalg.inv, backend="headrace",
                             options={"fallback": False})
    with pytest.raises(torch._dynamo.exc.BackendCompilerFailed,
                       match="linalg_inv"):
        compiled(torch.eye(3))


def test_options(compilations):
    both(lambda x: x * 4.5, torch.randn(7),
         options={"opt": 0, "workers": 1, "threads": 1, "target": "generic-x86-64-v3"})
    assert compilations == [{"opt": 0, "workers": 1, "target": "generic-x86-64-v3",
                             "options": {"threads": 1}}]
    with pytest.raises(Exception, match="unknown option 'optt'; the options "
                                        "are .*freeze.*opt,"):
        torch.compile(lambda x: x + 1, backend="headrace",
                      options={"optt": 1})(torch.ones(1))
    with pytest.raises(Exception, match="no mode 'max-autotune'"):
        torch.compile(lambda x: x + 1, backend="headrace",
                      mode="max-autotune")(torch.ones(1))


def test_threads_share_a_compiled_function():
    module = torch.nn.Sequential(torch.nn.Linear(16, 16), torch.nn.Tanh())
    compiled = torch.compile(module, backend="headrace")
    compiled(torch.randn(2, 16))
    failures = []

    def work(seed):
        with torch.no_grad():
            generator = torch.Generator().manual_seed(seed)
            for _ in range(50):
                x = torch.randn(2, 16, generator=generator)
                if not torch.allclose(compiled(x), module(x), atol=1e-6):
                    failures.append(seed)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_model_of_transformers():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, vocab_size=100)
    model = transformers.BertModel(config).eval()
    compiled = torch.compile(model, backend="headrace")
    for length in (8, 12):
        ids = torch.randint(0, 100, (2, length))
        torch.testing.assert_close(compiled(ids).last_hidden_state,
                                   model(ids).last_hidden_state,
                                   rtol=1e-4, atol=1e-5)
