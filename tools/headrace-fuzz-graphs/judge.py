# ===- judge.py - Compiled programs against eager and f64 ------------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""Holds programs to the contract of test/python/contract.py.

Several programs are entries of one artifact, which takes less time than an
artifact each; whatever goes wrong is tried again alone.

A program on a few numbers may find eager luckier than the contract's factor of
two allows for. So an error beyond the bound is held against several runs in the
program's own dtypes whose operands and results are changed in the last place at
random (Monte Carlo arithmetic): what these cannot tell from rounding is
*excused*, and counted. A wrong program is wrong by more.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import re
import subprocess
import tempfile
from typing import Any, Sequence

import torch
import torch.utils._pytree as pytree

import headrace
from contract import Oracle, compare_trees, same_bits, ulp_of_scale
from headrace._native import find_hrcc
from program import FLOATS, Program, copy_of

SECONDS = 120


@dataclasses.dataclass(frozen=True)
class Setup:
    """How programs are compiled: levels, a target's name or file, and whether
    artifacts check what they access."""

    levels: tuple[int, ...] = (0, 2)
    target: str = "native"
    check_accesses: bool = False
    layouts: str = "predicted"


@dataclasses.dataclass
class Verdict:
    """``kind``: right, excused, skipped (no such program: eager or the export
    refuses it), refused (hrcc says that it is not supported), or a failure:
    compile, crash, run, wrong, workers, input."""

    kind: str
    message: str = ""

    @property
    def failed(self) -> bool:
        return self.kind not in ("right", "excused", "skipped", "refused")

    def same_failure(self, other: "Verdict") -> bool:
        if self.kind != other.kind:
            return False
        if self.kind not in ("compile", "crash", "run"):
            return True
        return _gist(self.message) == _gist(other.message)


def _gist(message: str) -> str:
    """A message without its figures and names."""
    line = next(iter(message.splitlines()), "")
    line = re.sub(r"\(.*?\)|'[^']*'|\"[^\"]*\"|%\w+", "", line)
    return re.sub(r"\d+", "#", line)[:120]


class Exported:
    """A program's archive, arguments, and what is expected of its calls."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.exported = program.export()
        #: What is compiled. Decomposing may add guards.
        self.compiled = self.exported
        if program.decomposed:
            with torch.no_grad():
                self.compiled = self.exported.run_decompositions({})
        self.calls = []
        # Guards decide whether sizes are taken, those in a dimension's range too.
        eager = copy.deepcopy(
            self.exported.module(check_guards=program.auto))
        guarded = None
        if program.symbols:
            guarded = copy.deepcopy(self.compiled.module(check_guards=True))
        oracle = Oracle(self.exported)
        #: None of a call that is refused.
        self.expected = []
        self.written = []
        for i in range(len(program.settings) + len(program.probes)):
            args = program.arguments(i)
            own = [copy_of(a) for a in args]
            wide = [copy_of(a, double=True) for a in args]
            try:
                with torch.no_grad():
                    if guarded:
                        guarded(*[copy_of(a) for a in args])
                    result = eager(*own)
            except AssertionError:
                if not program.auto and not guarded:
                    raise
                self.expected.append(None)
            except Exception:
                # State may be anything after a call that fails in the middle.
                if i < len(program.settings):
                    raise
                return
            else:
                self._check_decomposed(args, result)
                true = oracle.run(*wide)
                # Results may be views of what later calls write to.
                self.expected.append(pytree.tree_map(copy_leaf, (result, true)))
            self.calls.append(args)
            self.written.append((own, wide))

    def save(self, path: str) -> None:
        torch.export.save(self.compiled, path)

    def _check_decomposed(self, args: Sequence[Any], result: Any) -> None:
        """Raises where decomposing made another program of it: torch drops the
        broadcast of a `copy_`."""
        if not self.program.decomposed:
            return
        module = copy.deepcopy(self.compiled.module(check_guards=False))
        with torch.no_grad():
            other = module(*[copy_of(a) for a in args])
        for ours, theirs in zip(pytree.tree_leaves(other),
                                pytree.tree_leaves(result), strict=True):
            if getattr(ours, "shape", None) != getattr(theirs, "shape", None):
                raise ValueError("decomposing changes the shape of a result")


def copy_leaf(leaf: Any) -> Any:
    return leaf.clone() if isinstance(leaf, torch.Tensor) else leaf


def compile_entries(paths: dict[str, str], output: str, level: int,
                    setup: Setup) -> Verdict:
    command = [find_hrcc(), f"-O{level}", f"--target={setup.target}", "-j1",
               "--name=model", "-o", output]
    if setup.check_accesses:
        command.append("-fcheck-accesses")
    command.append(f"-flayouts={setup.layouts}")
    command += [f"{name}={path}" for name, path in paths.items()]
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              errors="replace", timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return Verdict("compile", f"-O{level}: no end after {SECONDS} s")
    if done.returncode == 0:
        return Verdict("right")
    lines = done.stderr.splitlines()
    errors = [line for line in lines if "error:" in line] or lines[-3:]
    text = "\n".join([*errors[:5], *lines[-5:]])
    if "crashed" in text or "this is a bug" in text:
        return Verdict("crash", text)
    if any(word in text for word in ("not supported", "unsupported")):
        return Verdict("refused", text)
    return Verdict("compile", text)


def judge(programs: Sequence[Program], setup: Setup) -> list[Verdict]:
    """The verdicts, in order."""
    verdicts: list[Verdict | None] = [None] * len(programs)
    ready: dict[int, Exported] = {}
    with tempfile.TemporaryDirectory(prefix="headrace-fuzz-") as folder:
        paths = {}
        for number, program in enumerate(programs):
            try:
                exported = Exported(program)
                paths[number] = os.path.join(folder, f"e{number}.pt2")
                exported.save(paths[number])
                ready[number] = exported
            except Exception as error:  # whatever torch raises
                text = f"{type(error).__name__}: {error}"
                verdicts[number] = Verdict("skipped", text[:500])
                paths.pop(number, None)
        for level in setup.levels:
            left = [n for n in ready if verdicts[n] is None]
            groups = [left] if left else []
            while groups:
                group = groups.pop()
                output = os.path.join(folder, f"o{level}_{group[0]}"
                                              f"_{len(group)}.so")
                made = compile_entries({f"e{n}": paths[n] for n in group},
                                       output, level, setup)
                if made.kind != "right":
                    if len(group) == 1:
                        verdicts[group[0]] = made
                    else:
                        half = len(group) // 2
                        groups += [group[:half], group[half:]]
                    continue
                _run_group(group, output, level, ready, verdicts)
    return [v if v is not None else Verdict("right") for v in verdicts]


def _run_group(group: list[int], output: str, level: int,
               ready: dict[int, Exported],
               verdicts: list[Verdict | None]) -> None:
    try:
        model = headrace.load(output)
        contexts = [model.context(workers, fixed=True) for workers in (1, 2)]
    except headrace.Error as error:
        for number in group:
            verdicts[number] = Verdict("run", f"-O{level}: {error}")
        return
    for number in group:
        verdict = _run(ready[number], f"e{number}", contexts, f"-O{level}")
        if verdict.kind != "right":
            verdicts[number] = verdict


def _run(exported: Exported, entry: str, contexts: list[Any], what: str
         ) -> Verdict:
    kind = "right"
    message = ""
    for call, args in enumerate(exported.calls):
        place = f"{what}, call {call}"
        results, arguments = [], []
        for context in contexts:
            own = [copy_of(a) for a in args]
            try:
                results.append(context[entry](*own))
            except Exception as error:
                if isinstance(error, headrace.Error) and (
                        exported.expected[call] is None
                        or exported.program.is_below_traced(call)):
                    continue
                return Verdict("run", f"{type(error).__name__}: {error}")
            arguments.append(own)
        if not results and exported.program.is_below_traced(call):
            return Verdict(kind, message)  # later calls differ in their state
        if exported.expected[call] is None:
            if results:
                return Verdict("input", f"{place}: sizes that the program's "
                                        "guards refuse were taken")
            continue
        eager, true = exported.expected[call]
        written = exported.written[call]
        for ours, own, wide, label in (
                (results[0], eager, true, place),
                (arguments[0], *written, f"{place}, arguments")):
            try:
                compare_trees(tuple(ours), tuple(own), tuple(wide), label)
            except AssertionError as error:
                if is_rounding(exported, call, tuple(ours), tuple(own),
                               tuple(wide), label.endswith("arguments")):
                    kind, message = "excused", str(error)
                else:
                    return Verdict("wrong", str(error))
        if not (same_bits(results[0], results[1])
                and same_bits(arguments[0], arguments[1])):
            return Verdict("workers", f"{place}: 1 and 2 workers differ")
    return Verdict(kind, message)


# ------------------------------------------------------ Monte Carlo arithmetic

#: Operators whose results are some of their operands' elements.
_EXACT = re.compile(
    r"aten::(_?to|_to_copy|copy|clone|contiguous|view|reshape|_unsafe_view|"
    r"select|slice|index|gather|scatter$|scatter\.|masked_fill|where|cat|stack|"
    r"relu|neg|abs|amax|amin|max|min|maximum|minimum|fmax|fmin|fill|zero|full|"
    r"ones|arange|eye|tril|triu|flip|roll|repeat|expand|permute|transpose|t$|t\.|"
    r"squeeze|unsqueeze|unfold|diagonal|split|chunk|unbind|narrow|constant_pad|"
    r"pad|sort|topk|embedding|index_select|index_copy|index_put|index_fill|"
    r"max_pool|detach|clamp|alias|lift|floor|ceil|round|trunc|sign|flatten|"
    r"unflatten|movedim|hardtanh|sym_size|one_hot|_assert)")


#: Operators that add up many terms: in which order is not said.
_SUMS = re.compile(
    r"aten::(mm|bmm|matmul|addmm|baddbmm|addbmm|linear|dot|vdot|inner|mv|addmv|"
    r"einsum|tensordot|chain_matmul|conv|_conv|sum|mean|scaled_dot_product|norm|"
    r"linalg_vector_norm|var|std|logsumexp|cumsum|avg_pool|adaptive_avg_pool|"
    r"_adaptive_avg_pool)")


def _count_terms(args: Any, result: torch.Tensor) -> float:
    """About how many terms a sum or a product of tensors adds up."""
    sizes = [leaf.numel() for leaf in pytree.tree_leaves(args)
             if isinstance(leaf, torch.Tensor) and leaf.dtype in FLOATS]
    if not sizes or not result.numel():
        return 1
    if len(sizes) == 1:
        return sizes[0] / result.numel()
    return (sizes[0] * sizes[1] / result.numel()) ** 0.5


class Shaken(torch.fx.Interpreter):
    """Runs a graph with operands and results of every operator that rounds
    changed by at most one unit in the last place, and sums by what adding them
    up in another order may change: a random walk of half a unit of the sum of
    the terms' absolute values, a step for each term."""

    def __init__(self, module: torch.fx.GraphModule, seed: int) -> None:
        super().__init__(module)
        self.generator = torch.Generator().manual_seed(seed)

    def shake(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.dtype not in FLOATS:
            return value
        noise = torch.rand(value.shape, generator=self.generator,
                           dtype=torch.float64) * 2 - 1
        info = torch.finfo(value.dtype)
        shaken = value.double() * (1 + noise * info.eps)
        # The largest number does not become infinite.
        shaken = torch.where(torch.isfinite(value),
                             shaken.clamp(info.min, info.max), shaken)
        return shaken.to(value.dtype)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        schema = getattr(target, "_schema", None)
        if schema is None or _EXACT.match(schema.name):
            return super().call_function(target, args, kwargs)
        written = {i for i, a in enumerate(schema.arguments)
                   if a.alias_info is not None}
        shaken = tuple(a if i in written else pytree.tree_map(self.shake, a)
                       for i, a in enumerate(args))
        result = super().call_function(target, shaken, kwargs)
        if written:
            if isinstance(result, torch.Tensor):
                result.copy_(self.shake(result))
            return result
        if _SUMS.match(schema.name) and isinstance(result, torch.Tensor):
            result = self.reorder(target, shaken, kwargs, result)
        return pytree.tree_map(self.shake, result)

    def reorder(self, target: Any, args: Any, kwargs: Any,
                result: torch.Tensor) -> torch.Tensor:
        if result.dtype not in FLOATS:
            return result
        largest = target(*pytree.tree_map(
            lambda leaf: leaf.abs() if isinstance(leaf, torch.Tensor)
            and leaf.dtype in FLOATS else leaf, args), **kwargs)
        # Narrow floats are added up in f32.
        eps = min(torch.finfo(result.dtype).eps, torch.finfo(torch.float32).eps)
        step = eps / 2 * max(_count_terms(args, result), 1) ** 0.5
        noise = torch.rand(result.shape, generator=self.generator,
                           dtype=torch.float64) * 2 - 1
        change = noise * step * largest.double().nan_to_num(0, 0, 0)
        # Finite terms that overflow: the order decides what a sum of them, and
        # of infinities, is.
        finite = target(*pytree.tree_map(
            lambda leaf: leaf.abs().nan_to_num(0, 0, 0)
            if isinstance(leaf, torch.Tensor) and leaf.dtype in FLOATS
            else leaf, args), **kwargs)
        kinds = torch.tensor([math.inf, -math.inf, math.nan],
                             dtype=torch.float64)
        drawn = kinds[torch.randint(3, result.shape,
                                    generator=self.generator)]
        changed = torch.where(torch.isinf(finite), drawn,
                              result.double() + change)
        return changed.to(result.dtype)


def is_rounding(exported: Exported, call: int, ours: Any, own: Any, wide: Any,
                arguments: bool, samples: int = 12) -> bool:
    """Whether what differs would do so if every operator rounded otherwise."""
    shaken = []
    for seed in range(samples):
        module = copy.deepcopy(exported.exported.module(check_guards=False))
        interpreter = Shaken(module, seed)
        try:
            with torch.no_grad():
                for args in exported.calls[:call + 1]:
                    given = [copy_of(a) for a in args]
                    result = interpreter.run(*_flat(module, given))
        except (RuntimeError, IndexError):
            continue  # a position that rounding decides is out of range
        shaken.append(pytree.tree_leaves(given if arguments else result))
    if not shaken:
        return False
    leaves = [pytree.tree_leaves(tree) for tree in (ours, own, wide)]
    for place, (a, b, c) in enumerate(zip(*leaves)):
        if not isinstance(b, torch.Tensor):
            continue
        others = torch.stack([leaf[place].double() for leaf in shaken])
        a, b, c = a.double(), b.double(), c.double()
        if a.shape != b.shape or others.shape[1:] != b.shape:
            return False
        varies = (others.nan_to_num(1e300, 2e300, 3e300)
                  != b.nan_to_num(1e300, 2e300, 3e300)).any(0)
        if leaves[1][place].dtype not in FLOATS:
            if bool(((a != b) & ~varies).any()):
                return False
            continue
        odd = ~(torch.isfinite(a) & torch.isfinite(b) & torch.isfinite(c))
        strange = odd & (a.nan_to_num(1e300, 2e300, 3e300)
                         != b.nan_to_num(1e300, 2e300, 3e300))
        agreed = (b.nan_to_num(1e300, 2e300, 3e300)
                  == c.nan_to_num(1e300, 2e300, 3e300))
        kinds = others.masked_fill(torch.isfinite(others), 0)
        kinds = kinds.nan_to_num(1, 2, 3)
        steady = (kinds == kinds[0]).all(0)
        if bool((strange & agreed & steady).any()):
            return False
        if odd.all():
            continue
        spread = (others - c).abs().masked_fill(odd, 0).nan_to_num(0, 0, 0)
        bound = 2 * float(spread.max()) + 4 * ulp_of_scale(
            c[~odd], leaves[1][place].dtype)
        if float((a - c).abs()[~odd].max()) > bound:
            return False
    return True


def _flat(module: torch.fx.GraphModule, args: list[torch.Tensor]) -> list[Any]:
    """The module's placeholders are its arguments, flattened."""
    return args
