"""The contract of correctness, and how a case is held to it.

The oracle is the same program with every float dtype and cast f64. For each
float output: our largest error is at most twice that of PyTorch eager in the
program's own dtype plus 4 ulp of the output's scale, and so is the 99.9th
percentile of our errors against that of eager's. Integers and bools are exact.
NaN and infinity are where they should be.

    check(Case("softmax", module, (x,)))

compiles at -O0 and -O2, runs with one and with two workers (bit-identical), and
raises AssertionError with the figures of whatever breaks the contract.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any, Callable, Iterable, Mapping, Sequence

import torch
import torch.utils._pytree as pytree
from torch.nn.attention import SDPBackend, sdpa_kernel

import headrace


@dataclasses.dataclass
class Case:
    """A program and what it is run on.

    ``runs`` are further arguments for the same program, of other shapes where
    ``dynamic_shapes`` allows; the arguments exported with always run first.
    ``make`` in place of ``module`` defers the construction to the test.
    """

    name: str
    module: torch.nn.Module | None = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    dynamic_shapes: Any = None
    runs: Sequence[tuple[Any, ...]] = ()
    make: Callable[[], tuple[torch.nn.Module, tuple[Any, ...]]] | None = None
    #: Export as torch.export gives it, and after run_decompositions({}) too.
    decomposed: bool = True

    def build(self) -> tuple[torch.nn.Module, tuple[Any, ...]]:
        if self.module is not None:
            return self.module, self.args
        assert self.make is not None
        return self.make()


LOW_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def in_double(value: Any) -> Any:
    """The same tree with every float tensor f64."""
    def convert(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor) and leaf.dtype in LOW_FLOATS:
            return leaf.detach().double()
        return leaf
    return pytree.tree_map(convert, value)


class Oracle:
    """The program's graph with every float dtype f64; keeps its state.

    Parameters stay as they are and are widened where they are used, so that a
    large model is not in memory four times over.
    """

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self.module = program.module(check_guards=False)
        _to_double(self.module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(*in_double(_clone(args)), **in_double(_clone(kwargs)))

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """As a call, on arguments that are wide already: what the program
        writes to its arguments is written to these."""
        # Factories without a dtype take the default one.
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            # Attention by its definition: the fast kernel takes rows of NaN
            # for rows that are masked.
            with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
                leaves = pytree.arg_tree_leaves(*args, **kwargs)
                results = _Widening(self.module).run(
                    *leaves, enable_io_processing=False)
                return self.module.graph.process_outputs(results)
        finally:
            torch.set_default_dtype(default)


class _Widening(torch.fx.Interpreter):
    """Runs each node on f64."""

    def fetch_args_kwargs_from_env(self, node: torch.fx.Node) -> Any:
        return in_double(super().fetch_args_kwargs_from_env(node))

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target is torch.ops.aten._grouped_mm.default:
            return _grouped_product(*args, **kwargs)
        return super().call_function(target, args, kwargs)


def _grouped_product(rows: torch.Tensor, matrices: torch.Tensor,
                     offs: torch.Tensor) -> torch.Tensor:
    """torch's own takes no f64."""
    result = rows.new_zeros(rows.shape[0], matrices.shape[2])
    start = 0
    for matrix, end in zip(matrices, offs.tolist()):
        result[start:end] = rows[start:end] @ matrix
        start = end
    return result


def _to_double(root: torch.nn.Module) -> None:
    """Buffers, constants, and the dtypes that nodes name."""
    for module in root.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, in_double(buffer).clone())
        for name, value in list(vars(module).items()):
            if isinstance(value, torch.Tensor) and value.dtype in LOW_FLOATS:
                setattr(module, name, value.double())
        if not isinstance(module, torch.fx.GraphModule):
            continue
        for node in list(module.graph.nodes):
            if "_assert_tensor_metadata" in str(node.target):
                module.graph.erase_node(node)
                continue
            def convert(argument: Any) -> Any:
                if argument in LOW_FLOATS:
                    return torch.float64
                return argument
            node.args = torch.fx.node.map_aggregate(node.args, convert)
            node.kwargs = torch.fx.node.map_aggregate(node.kwargs, convert)
        module.recompile()


def ulp_of_scale(oracle: torch.Tensor, dtype: torch.dtype) -> float:
    """One unit in the last place of the largest finite value."""
    finite = oracle[torch.isfinite(oracle)].abs()
    scale = float(finite.max()) if finite.numel() else 0.0
    info = torch.finfo(dtype)
    scale = min(max(scale, info.tiny), info.max)
    return math.ldexp(info.eps, math.frexp(scale)[1] - 1)


def compare(ours: torch.Tensor, eager: torch.Tensor, oracle: torch.Tensor,
            what: str) -> None:
    """Raises AssertionError unless `ours` keeps the contract."""
    assert ours.dtype == eager.dtype, (
        f"{what}: dtype {ours.dtype}, eager has {eager.dtype}")
    assert ours.shape == eager.shape, (
        f"{what}: shape {tuple(ours.shape)}, eager has {tuple(eager.shape)}")
    if not eager.dtype.is_floating_point:
        wrong = (ours != eager).nonzero()
        assert len(wrong) == 0, (
            f"{what}: {len(wrong)} of {ours.numel()} integers differ, first at "
            f"{tuple(wrong[0].tolist())}: {ours[tuple(wrong[0])]} instead of "
            f"{eager[tuple(wrong[0])]}")
        return
    wide, own, true = ours.double(), eager.double(), oracle.double()
    _compare_special(wide, own, true, what)
    both = torch.isfinite(wide) & torch.isfinite(own) & torch.isfinite(true)
    if not both.any():
        return
    our_error = (wide - true)[both].abs()
    eager_error = (own - true)[both].abs()
    ulp = ulp_of_scale(true[both], eager.dtype)
    for name, pick in (("largest", torch.max),
                       ("99.9th percentile", _percentile)):
        mine, base = float(pick(our_error)), float(pick(eager_error))
        bound = 2 * base + 4 * ulp
        if mine > bound:
            index = (wide - true).abs().masked_fill(~both, -1).argmax()
            at = tuple(int(i) for i in torch.unravel_index(index, ours.shape))
            raise AssertionError(
                f"{what}: {name} error {mine:.3g} is over {bound:.3g} = 2 x "
                f"eager's {base:.3g} + 4 ulp of {ulp:.3g}; worst at {at}: "
                f"{float(wide[at])!r}, eager {float(own[at])!r}, oracle "
                f"{float(true[at])!r}")


def _percentile(errors: torch.Tensor) -> torch.Tensor:
    rank = max(math.ceil(errors.numel() * 0.999), 1)
    return errors.flatten().kthvalue(rank).values


def _compare_special(ours: torch.Tensor, eager: torch.Tensor,
                     oracle: torch.Tensor, what: str) -> None:
    """NaN and infinities, where eager and the oracle agree on them. Where they
    do not, the dtype overflowed on the way, and either is right."""
    def kind(value: torch.Tensor) -> torch.Tensor:
        # 0 finite, 1 NaN, 2 infinite, 3 minus infinite
        return (torch.isnan(value) * 1 + torch.isposinf(value) * 2 +
                torch.isneginf(value) * 3)
    agreed = kind(eager) == kind(oracle)
    wrong = (agreed & (kind(ours) != kind(eager))).nonzero()
    assert len(wrong) == 0, (
        f"{what}: {len(wrong)} values are NaN or infinite differently, first at "
        f"{tuple(wrong[0].tolist())}: {float(ours[tuple(wrong[0])])!r} instead "
        f"of {float(eager[tuple(wrong[0])])!r}")


def compare_trees(ours: Any, eager: Any, oracle: Any, what: str) -> None:
    our_leaves, our_spec = pytree.tree_flatten(ours)
    eager_leaves, eager_spec = pytree.tree_flatten(eager)
    oracle_leaves = pytree.tree_leaves(oracle)
    assert our_spec == eager_spec, f"{what}: {our_spec} instead of {eager_spec}"
    for number, leaves in enumerate(
            zip(our_leaves, eager_leaves, oracle_leaves)):
        name = f"{what}, output {number}"
        if isinstance(leaves[1], torch.Tensor):
            compare(*leaves, name)
        else:
            assert leaves[0] == leaves[1], f"{name}: {leaves[0]} != {leaves[1]}"


def same_bits(a: Any, b: Any) -> bool:
    def bits(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor):
            # A clone: one element may have any stride and count as contiguous.
            leaf = leaf.clone(memory_format=torch.contiguous_format)
            return leaf.view(-1).view(torch.uint8)
        return leaf
    return all(
        torch.equal(bits(x), bits(y)) if isinstance(x, torch.Tensor)
        else x == y
        for x, y in zip(pytree.tree_leaves(a), pytree.tree_leaves(b)))


def export(case: Case) -> tuple[torch.export.ExportedProgram, tuple[Any, ...]]:
    module, args = case.build()
    with torch.no_grad():
        program = torch.export.export(module, args, dict(case.kwargs),
                                      dynamic_shapes=case.dynamic_shapes)
    return program, args


def check(case: Case, opts: Sequence[int] = (0, 2),
          workers: Sequence[int] = (1, 2), target: str = "native") -> None:
    """Holds the case to the contract at each level, with each worker count;
    ``target`` has to be one that this machine executes."""
    program, args = export(case)
    variants = {"": program}
    if case.decomposed:
        with torch.no_grad():
            variants[" decomposed"] = program.run_decompositions({})
    runs = [args, *case.runs]
    # State is the program's own: every run starts it afresh.
    expected = []
    for run in runs:
        with torch.no_grad():
            module = copy.deepcopy(program.module(check_guards=False))
            eager = module(*_clone(run), **_clone(dict(case.kwargs)))
        oracle = Oracle(program)(*run, **case.kwargs)
        expected.append((eager, oracle))
    for variant, exported in variants.items():
        for opt in opts:
            model = headrace.compile(exported, opt=opt, target=target)
            for number, run in enumerate(runs):
                what = f"{case.name}{variant} -O{opt}, run {number}"
                results = [model.context(w, fixed=True)(*run, **case.kwargs)
                           for w in workers]
                compare_trees(results[0], *expected[number], what)
                for count, result in zip(workers[1:], results[1:]):
                    assert same_bits(results[0], result), (
                        f"{what}: {workers[0]} and {count} workers differ")


def check_calls(programs: Mapping[str, torch.export.ExportedProgram],
                calls: Sequence[tuple[str, tuple[Any, ...]]], what: str,
                opts: Sequence[int] = (0, 2),
                workers: Sequence[int] = (1, 2)) -> None:
    """Holds a sequence of calls of several entries, which share state by the
    names of their buffers, to the contract; each call by itself."""
    eager = {name: copy.deepcopy(program.module(check_guards=False))
             for name, program in programs.items()}
    oracle = {name: Oracle(program) for name, program in programs.items()}
    expected = []
    for name, args in calls:
        with torch.no_grad():
            result = eager[name](*_clone(args))
        expected.append((result, oracle[name](*args)))
        _share_state(eager[name], eager.values())
        _share_state(oracle[name].module, [o.module for o in oracle.values()])
    for opt in opts:
        model = headrace.compile(programs, opt=opt)
        contexts = [model.context(count, fixed=True) for count in workers]
        for number, (name, args) in enumerate(calls):
            place = f"{what} -O{opt}, call {number} ({name})"
            results = [context[name](*args) for context in contexts]
            compare_trees(results[0], *expected[number], place)
            for count, result in zip(workers[1:], results[1:]):
                assert same_bits(results[0], result), (
                    f"{place}: {workers[0]} and {count} workers differ")


def _share_state(source: torch.nn.Module,
                 modules: Iterable[torch.nn.Module]) -> None:
    buffers = dict(source.named_buffers())
    with torch.no_grad():
        for module in modules:
            for name, buffer in module.named_buffers():
                if module is not source and name in buffers:
                    buffer.copy_(buffers[name])


def _clone(value: Any) -> Any:
    return pytree.tree_map(
        lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf,
        value)
