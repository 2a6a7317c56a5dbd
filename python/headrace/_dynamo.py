"""The backend of torch.compile: ``torch.compile(model, backend="headrace")``.

Dynamo hands over one graph per part of the user's code that it could trace.
AOTAutograd then makes a graph without mutations and aliases of it, and puts
both back around what we return: that is why arguments may be written in place
and outputs may be views. What is left here is to hand the graph to hrcc, and to
decide what happens when that does not work: the graph runs in eager mode, and
one `FallbackWarning` has all the reasons.

Parameters and buffers are arguments of a graph, so that what the user assigns
to them counts. With the option ``freeze`` they are compiled in; a change that
torch's version counters show is noticed and leads to a new compilation.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import warnings
from typing import Any, Callable, Mapping, Sequence

import sympy  # type: ignore[import-untyped]
import torch
from torch._dynamo.backends.common import aot_autograd
from torch._export.verifier import Verifier
from torch.export import (ExportedProgram, ModuleCallEntry, ModuleCallSignature)
from torch.export.graph_signature import (ExportGraphSignature, InputKind,
                                          InputSpec, OutputKind, OutputSpec,
                                          TensorArgument)
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map_only
from torch.utils._sympy.numbers import int_oo
from torch.utils._sympy.value_ranges import ValueRanges
from torch.utils._sympy.printers import PythonPrinter

from ._compile import compile as compile_program
from ._compile import check_options, check_target
from ._errors import Error, FallbackWarning, UnsupportedOpError
from ._fork import Lock
from ._model import Model, Pool, _convert
from ._native import find_hrcc

#: Keys of ``options`` that are arguments of `headrace.compile`.
_ARGUMENTS = ("target", "opt", "workers")
#: How often a frozen graph is compiled anew before its weights become inputs.
_MAX_THAWS = 3


def headrace(graph_module: torch.fx.GraphModule, example_inputs: Sequence[Any],
             *, options: Mapping[str, Any] | None = None,
             mode: str | None = None) -> Callable[..., Any]:
    """Compiles one of Dynamo's graphs; what torch.compile calls.

    ``options``: ``target``, ``opt`` and ``workers`` as for `headrace.compile`
    and the keys of its ``options``; ``freeze`` compiles the weights in;
    ``fallback=False`` raises an `Error` where a graph would run in eager mode.
    """
    if mode not in (None, "default"):
        raise ValueError(f"the backend headrace has no mode {mode!r}; the "
                         "option 'opt' is its optimization level")
    settings = _Settings(options or {})
    where = _describe(graph_module)
    needing = _inputs_that_need_gradients(graph_module, example_inputs)
    if needing:
        settings.fall_back(where, [
            f"gradients are enabled, and {needing}: call it under "
            "torch.no_grad() or torch.inference_mode()"])
        return graph_module.forward

    def compile_graph(graph: torch.fx.GraphModule,
                      inputs: Sequence[Any]) -> Callable[[list[Any]], Any]:
        context = torch._guards.TracingContext.try_get()
        metadata = context.fw_metadata if context is not None else None
        static = metadata.static_input_indices if metadata is not None else ()
        runner = _Runner(graph, settings, where, list(static or ()))

        def run(arguments: list[Any]) -> Any:
            taken = list(arguments)
            arguments.clear()  # as the boxed convention wants
            return runner(taken)

        run._boxed_call = True  # type: ignore[attr-defined]
        return run

    backend = aot_autograd(fw_compiler=compile_graph,
                           inference_compiler=compile_graph)
    return backend(graph_module, example_inputs)


class _Settings:
    def __init__(self, options: Mapping[str, Any]) -> None:
        rest = dict(options)
        self.freeze = bool(rest.pop("freeze", False))
        self.fallback = bool(rest.pop("fallback", True))
        find_hrcc()  # that there is none is no reason to run in eager mode
        check_target(str(rest.get("target", "native")))
        self.arguments = {key: rest.pop(key) for key in _ARGUMENTS
                          if key in rest}
        check_options(rest, (*_ARGUMENTS, "freeze", "fallback"))
        self.options = rest
        self.key = repr((sorted(self.arguments.items()), sorted(rest.items())))

    def fall_back(self, where: "_Place", causes: Sequence[str]) -> None:
        text = "\n  ".join([f"{where.text} runs in eager mode:", *causes])
        if not self.fallback:
            raise Error(text)
        if where.file is None:
            warnings.warn(text, FallbackWarning, stacklevel=2)
            return
        warnings.warn_explicit(text, FallbackWarning, where.file, where.line,
                               registry=_warned.setdefault(where.file, {}))


#: What has been warned of, by file; for filters like "once per line".
_warned: dict[str, dict[Any, Any]] = {}


@dataclasses.dataclass
class _Place:
    """A graph in words, and the user's line that it comes from."""

    text: str
    file: str | None = None
    line: int = 0


def _inputs_that_need_gradients(graph_module: torch.fx.GraphModule,
                                inputs: Sequence[Any]) -> str:
    """Says how many inputs would need a backward pass; empty if none."""
    if not torch.is_grad_enabled():
        return ""
    tensors = [*inputs, *graph_module.parameters(), *graph_module.buffers()]
    count = sum(isinstance(tensor, torch.Tensor) and tensor.requires_grad
                for tensor in tensors)
    if not count:
        return ""
    return f"{count} {'inputs' if count > 1 else 'input'} of it " + (
        "require them" if count > 1 else "requires them")


_FRAME = re.compile(r'File "(.*)", line (\d+), in ')
_TORCH = os.path.dirname(torch.__file__) + os.sep


def _describe(graph_module: torch.fx.GraphModule) -> _Place:
    """Names a graph by its size and by the user's lines it stands for."""
    calls = [node for node in graph_module.graph.nodes
             if node.op.startswith("call_")]
    places = [trace.strip().split("\n") for node in calls
              if (trace := node.meta.get("stack_trace"))]
    place = _Place(f"a graph of {len(calls)} call"
                   f"{'s' if len(calls) != 1 else ''}")
    frames = [frame.strip() for lines in places[:1] for frame in lines
              if frame.lstrip().startswith("File ")]
    # The innermost that is not torch's own.
    own = [frame for frame in frames if _TORCH not in frame]
    for frame in (own or frames)[-1:]:
        place.text += f", from {frame[len('File '):]}"
        if found := _FRAME.match(frame):
            place.file, place.line = found[1], int(found[2])
    return place


# ------------------------------------------------------------------- programs


class Refused(Exception):
    """A graph that no program can be made of, with all reasons."""

    def __init__(self, causes: Sequence[str]) -> None:
        super().__init__("\n".join(causes))
        self.causes = list(causes)


def _is_expr(value: Any) -> bool:
    return isinstance(value, torch.SymInt)


def _expr(value: Any) -> sympy.Expr:
    return value.node.expr if _is_expr(value) else sympy.Integer(value)


def _contiguous_strides(sizes: Sequence[sympy.Expr]) -> list[sympy.Expr]:
    strides = [sympy.Integer(1)] * len(sizes)
    for d in reversed(range(len(sizes) - 1)):
        strides[d] = strides[d + 1] * sizes[d + 1]
    return strides


class _Expression:
    """A size, computed from the sizes that a call's arguments have."""

    def __init__(self, expr: sympy.Expr) -> None:
        self.symbols = {str(symbol) for symbol in expr.free_symbols}
        self._code = compile(PythonPrinter().doprint(expr), "<size>", "eval")

    def __call__(self, sizes: Mapping[str, int]) -> int:
        import math
        import operator
        return int(eval(self._code, {"math": math, "operator": operator,
                                     "torch": torch, "min": min, "max": max},
                        dict(sizes)))


class _Output:
    """How one value that a graph returns is made after a run.

    From the ``result`` of the program or the ``argument`` of the call with that
    number, by ``views`` of it; or it is a ``size`` that is computed, or a
    ``constant``. A result whose strides are not the row-major ones gets them by
    a copy: what was traced counts on them.
    """

    def __init__(self, *, result: int | None = None, argument: int | None = None,
                 size: _Expression | None = None, constant: Any = None,
                 strides: list[_Expression] | None = None,
                 views: Sequence[_View] = ()) -> None:
        self.result, self.argument, self.size = result, argument, size
        self.constant, self.strides, self.views = constant, strides, views

    @property
    def symbols(self) -> set[str]:
        sizes = [*(self.strides or ()), *([self.size] if self.size else ()),
                 *(size for view in self.views for size in view.sizes)]
        return {symbol for size in sizes for symbol in size.symbols}

    def get(self, results: list[torch.Tensor], arguments: list[Any],
            sizes: Mapping[str, int]) -> Any:
        if self.size is not None:
            return self.size(sizes)
        if self.argument is not None:
            value = arguments[self.argument]
        elif self.result is not None:
            value = results[self.result]
        else:
            return self.constant
        if self.strides is not None:
            value = _with_strides(value, [s(sizes) for s in self.strides])
        for view in self.views:
            value = view(value, sizes)
        return value


class _View:
    """A call that looks at a tensor in another way, left to torch."""

    def __init__(self, node: torch.fx.Node,
                 expression: Callable[[Any], _Expression]) -> None:
        self._target: Any = node.target
        self.sizes: list[_Expression] = []

        def replace(other: torch.fx.Node) -> Any:
            value = expression(_expr(other.meta["val"]))
            self.sizes.append(value)
            return value

        self._args = torch.fx.node.map_arg(node.args[1:], replace)
        self._kwargs = torch.fx.node.map_arg(node.kwargs, replace)

    def __call__(self, value: torch.Tensor,
                 sizes: Mapping[str, int]) -> torch.Tensor:
        args, kwargs = self._args, self._kwargs
        if self.sizes:
            args, kwargs = tree_map_only(
                _Expression, lambda size: size(sizes), (args, kwargs))
        result: torch.Tensor = self._target(value, *args, **kwargs)
        return result


#: Views that see all elements of what they look at: they cost torch nothing,
#: while to the program they would be copies.
_aten = torch.ops.aten
_WHOLE_VIEWS = {
    _aten.alias.default, _aten.detach.default, _aten.expand.default,
    _aten.permute.default, _aten.squeeze.default, _aten.squeeze.dim,
    _aten.squeeze.dims, _aten.t.default, _aten.transpose.int,
    _aten.unsqueeze.default, _aten.view.default}
#: Those that see some of them.
_PART_VIEWS = {
    _aten.as_strided.default, _aten.diagonal.default, _aten.select.int,
    _aten.slice.Tensor}


def _with_strides(value: torch.Tensor, strides: list[int]) -> torch.Tensor:
    if list(value.stride()) == strides:
        return value
    shape = value.shape
    for dim, stride in enumerate(strides):
        if stride == 0 and value.shape[dim] > 1:  # one element, seen often
            value = value.narrow(dim, 0, 1)
    out = torch.empty_strided(value.shape, strides, dtype=value.dtype)
    out.copy_(value)
    return out.expand(shape) if out.shape != shape else out


class _Program:
    """A graph of AOTAutograd as an ExportedProgram, and what surrounds it.

    ``graph`` is the graph; ``frozen`` maps numbers of its arguments to tensors
    that become weights. Arguments that are integers are found as a dimension of
    some tensor; one that no tensor has comes as the length of an empty one.
    """

    def __init__(self, graph: torch.fx.GraphModule,
                 frozen: Mapping[int, torch.Tensor]) -> None:
        self._module = graph
        self._frozen = frozen
        self._causes: list[str] = []
        self._new = torch.fx.Graph()
        self._map: dict[torch.fx.Node, torch.fx.Node] = {}
        self._specs: list[Any] = []
        self._constants: dict[str, Any] = {}
        #: The program's inputs: numbers of arguments, or symbols.
        self.inputs: list[int | str] = []
        #: Where a size is seen: number of the argument, and dimension.
        self.places: dict[str, tuple[int, int | None]] = {}
        self.outputs: list[_Output] = []
        self._results: list[torch.fx.Node] = []
        self._submodules: dict[str, Any] = {}
        self._placeholders = {node: number for number, node in enumerate(
            n for n in graph.graph.nodes if n.op == "placeholder")}
        self._read_inputs()
        self._read_calls()
        if self._causes:
            raise Refused(self._causes)

    @property
    def is_trivial(self) -> bool:
        """Whether nothing is computed."""
        return not self._results

    @property
    def result_count(self) -> int:
        return len(self._results)

    def _refuse(self, cause: str) -> None:
        if cause not in self._causes:
            self._causes.append(cause)

    def _read_inputs(self) -> None:
        nodes = list(self._placeholders)
        integers: list[tuple[int, torch.fx.Node]] = []
        for number, node in enumerate(nodes):
            value = node.meta.get("val")
            if isinstance(value, torch.Tensor):
                self._check_tensor(value)
                for dim, size in enumerate(value.shape):
                    if _expr(size).is_Symbol:
                        self.places.setdefault(str(_expr(size)), (number, dim))
                if number not in self._frozen:
                    self._map[node] = self._add_input(f"arg{number}", value)
                    self.inputs.append(number)
            elif _is_expr(value) and _expr(value).is_Symbol:
                integers.append((number, node))
            elif node.users:
                what = (f"the number {value.node.expr}"
                        if hasattr(value, "node") else
                        f"a {type(value).__name__}")
                self._refuse(f"an argument is {what}: only tensors and their "
                             "sizes can be")
        sizes = []
        for number, node in integers:
            value = node.meta["val"]
            symbol = str(_expr(value))
            place = self.places.setdefault(symbol, (number, None))
            if not node.users:
                continue
            if place[1] is None:
                if not value >= 0:
                    self._refuse("an argument is a negative integer")
                    value = -value
                with self._fake_mode():
                    carrier = torch.empty((value, 0), dtype=torch.bool)
                self._map[node] = self._add_input(f"size_{symbol}", carrier)
                sizes.append((node, node, 0))
                self.inputs.append(symbol)
            else:
                sizes.append((node, nodes[place[0]], place[1]))
        # Weights come after all that calls give.
        for number, tensor in self._frozen.items():
            self._add_constant(nodes[number], f"weight{number}", tensor)
        for node in self._module.graph.nodes:
            if node.op == "get_attr":
                value = _attribute(self._module, node.target)
                if isinstance(value, torch.Tensor):
                    self._add_constant(node, f"constant_{node.name}", value)
        for node, seen, dim in sizes:
            new = self._new.call_function(torch.ops.aten.sym_size.int,
                                          (self._map[seen], dim))
            new.meta = {"val": node.meta["val"]}
            self._map[node] = new

    def _fake_mode(self) -> Any:
        return torch._guards.detect_fake_mode(
            [node.meta.get("val") for node in self._module.graph.nodes])

    def _add_input(self, name: str, value: torch.Tensor) -> torch.fx.Node:
        new = self._new.placeholder(name)
        new.meta = {"val": value}
        self._specs.append(InputSpec(InputKind.USER_INPUT,
                                     TensorArgument(name=new.name), None))
        return new

    def _add_constant(self, node: torch.fx.Node, name: str,
                      tensor: torch.Tensor) -> None:
        new = self._new.placeholder(f"c_{name}")
        new.meta = {"val": node.meta.get("val", tensor)}
        self._map[node] = new
        self._constants[name] = tensor.detach()
        self._specs.append(InputSpec(InputKind.CONSTANT_TENSOR,
                                     TensorArgument(name=new.name), name))

    def _check_tensor(self, value: torch.Tensor) -> None:
        if value.device.type != "cpu":
            self._refuse(f"a tensor is on the device '{value.device}'")
        elif value.layout != torch.strided:
            self._refuse(f"a tensor has the layout {value.layout}")

    def _read_calls(self) -> None:
        for node in self._module.graph.nodes:
            if node.op == "get_attr" and node not in self._map:
                self._submodules[node.target] = _attribute(self._module,
                                                           node.target)
                new = self._new.get_attr(node.target)
                new.meta = dict(node.meta)
                self._map[node] = new
            elif node.op == "call_function":
                for value in _tensors_of(node.meta.get("val")):
                    self._check_tensor(value)
                new = self._new.node_copy(node, self._look_up)
                new.meta = {key: node.meta[key] for key in
                            ("val", "stack_trace", "torch_fn") if
                            key in node.meta}
                self._map[node] = new
            elif node.op == "output":
                for value in node.args[0]:
                    self._add_output(value)

    def _look_up(self, node: torch.fx.Node) -> torch.fx.Node:
        if node in self._map:
            return self._map[node]
        # Only of what has been refused.
        new = self._new.get_attr("refused")
        new.meta = dict(node.meta)
        return new

    def _add_output(self, value: Any) -> None:
        if not isinstance(value, torch.fx.Node):
            self.outputs.append(_Output(constant=value))
            return
        example = value.meta.get("val")
        if isinstance(example, (torch.SymInt, int)):
            self.outputs.append(
                _Output(size=self._expression(_expr(example))))
            return
        node, views = self._peel(value)
        example = node.meta.get("val")
        if node.op == "placeholder":
            self.outputs.append(_Output(argument=self._placeholders[node],
                                        views=views))
        elif isinstance(example, torch.Tensor):
            new = self._map[node]
            if new not in self._results:
                self._results.append(new)
            strides = [_expr(s) for s in example.stride()]
            plain = _contiguous_strides([_expr(s) for s in example.shape])
            self.outputs.append(_Output(
                result=self._results.index(new), views=views,
                strides=(None if strides == plain else
                         [self._expression(s) for s in strides])))
        else:
            self._refuse(f"a result is a {type(example).__name__}")

    def _peel(self, node: torch.fx.Node) -> tuple[torch.fx.Node, list[_View]]:
        """What a result is a view of, and the views that lead from it there;
        a part is taken of an argument only, since else less is computed."""
        chains: list[list[torch.fx.Node]] = [[]]
        bases = [node]
        while bases[-1].op == "call_function" and (
                bases[-1].target in _WHOLE_VIEWS or
                bases[-1].target in _PART_VIEWS):
            base = bases[-1].args[0]
            if not isinstance(base, torch.fx.Node):
                break
            chains.append([bases[-1], *chains[-1]])
            bases.append(base)
        last = len(bases) - 1
        if bases[last].op != "placeholder":
            last = next((i for i, base in enumerate(bases)
                         if base.target not in _WHOLE_VIEWS), last)
        return bases[last], [_View(view, self._expression)
                             for view in chains[last]]

    def _expression(self, expr: sympy.Expr) -> _Expression:
        expression = _Expression(expr)
        for symbol in expression.symbols - set(self.places):
            self._refuse(f"a size depends on data ('{symbol}')")
        return expression

    def export(self) -> ExportedProgram:
        """The ExportedProgram."""
        self._new.output(tuple(self._results))
        self._new.eliminate_dead_code()
        module = torch.fx.GraphModule(self._submodules, self._new)
        tensors: list[Any] = [TensorArgument(name=node.name)
                              for node in self._results]
        signature = ExportGraphSignature(
            self._specs, [OutputSpec(OutputKind.USER_OUTPUT, tensor, None)
                          for tensor in tensors])
        _, in_spec = tree_flatten(((0,) * len(self.inputs), {}))
        _, out_spec = tree_flatten((0,) * len(tensors))
        users = [spec.arg for spec in self._specs
                 if spec.kind.name == "USER_INPUT"]
        program = ExportedProgram(
            root=module, graph=self._new, graph_signature=signature,
            state_dict={}, range_constraints=self._ranges(),
            module_call_graph=[ModuleCallEntry("", ModuleCallSignature(
                users, tensors, in_spec, out_spec))],
            constants=self._constants, verifiers=[Verifier])
        # Dynamo checks what it assumed before each call, of arguments that the
        # graph may not even have.
        program._guards_code = []
        return program

    def _ranges(self) -> dict[Any, Any]:
        ranges = {}
        for node in self._new.nodes:
            for value in _tensors_of(node.meta.get("val")):
                for size in (*value.shape, *value.stride()):
                    if not _is_expr(size):
                        continue
                    env = size.node.shape_env
                    for symbol in size.node.expr.free_symbols:
                        found = env.var_to_range.get(
                            symbol, ValueRanges(0, int_oo))
                        ranges[symbol] = found & ValueRanges(0, int_oo)
        return ranges

    def key(self) -> str:
        """Equal for graphs that compile to the same."""
        if self._frozen:
            return ""
        names: dict[Any, str] = {}
        symbols: dict[Any, Any] = {}

        def name(node: torch.fx.Node) -> str:
            return names.setdefault(node, f"%{len(names)}")

        def canonical(value: Any) -> str:
            if _is_expr(value):
                expr = value.node.expr
                for symbol in sorted(expr.free_symbols, key=str):
                    symbols.setdefault(symbol,
                                       sympy.Symbol(f"d{len(symbols)}"))
                return str(expr.xreplace(symbols))
            if isinstance(value, torch.Tensor):
                shape = ",".join(map(canonical, value.shape))
                strides = ",".join(map(canonical, value.stride()))
                return f"{value.dtype}[{shape}][{strides}]"
            if isinstance(value, (tuple, list)):
                return "(" + ";".join(map(canonical, value)) + ")"
            return repr(value)

        lines = []
        for node in self._new.nodes:
            arguments = torch.fx.node.map_arg(
                (node.args, tuple(node.kwargs.items())),
                lambda n: name(n))
            lines.append(f"{name(node)} = {node.op} "
                         f"{node.target if node.op[0] == 'c' else ''} "
                         f"{arguments} {canonical(node.meta.get('val'))}")
        lines.append(repr([name(node) for node in self._results]))
        ranges = self._ranges()
        lines += [f"{new}: {ranges.get(old)}" for old, new in symbols.items()]
        for constant, tensor in self._constants.items():
            data = tensor.contiguous().reshape(-1).view(torch.uint8)
            lines.append(constant + hashlib.sha256(
                data.numpy().tobytes()).hexdigest())
        if self._submodules:
            lines += [module.print_readable(print_output=False)
                      for module in self._submodules.values()]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _tensors_of(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in _tensors_of(part)]
    return []


def _attribute(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name)
    return module


# --------------------------------------------------------------------- running


class _Compiled:
    """A program's artifact and what is made of its results."""

    def __init__(self, program: _Program, model: Model | None) -> None:
        self._context = model.default_context if model is not None else None
        self._inputs = program.inputs
        self._outputs = program.outputs
        self._count = program.result_count
        needed = {symbol for output in program.outputs
                  for symbol in output.symbols}
        needed |= {symbol for symbol in program.inputs
                   if isinstance(symbol, str)}
        self._places = [(symbol, *program.places[symbol])
                        for symbol in sorted(needed)]

    def __call__(self, arguments: list[Any]) -> list[Any]:
        sizes = {symbol: int(arguments[number] if dim is None
                             else arguments[number].shape[dim])
                 for symbol, number, dim in self._places}
        results: list[torch.Tensor] = []
        if self._context is not None:
            given = [_plain(arguments[place]) if isinstance(place, int) else
                     torch.empty((sizes[place], 0), dtype=torch.bool)
                     for place in self._inputs]
            results = [_convert(result, torch) for result in
                       self._context._run(0, given, self._count, True)]
        return [output.get(results, arguments, sizes)
                for output in self._outputs]


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach()
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    return tensor


class _Frozen:
    """Which tensors were compiled in, and in what version."""

    def __init__(self, tensors: Mapping[int, torch.Tensor]) -> None:
        # Kept alive: an address is not given to another meanwhile.
        self._tensors = [(number, tensor, _version(tensor))
                         for number, tensor in tensors.items()]

    def holds_for(self, arguments: list[Any]) -> bool:
        return all(arguments[number] is tensor and _version(tensor) == version
                   for number, tensor, version in self._tensors)


def _version(tensor: torch.Tensor) -> int:
    # Tensors made in inference mode have no counter.
    return -1 if tensor.is_inference() else tensor._version


#: By number of workers: however many graphs there are, no thread of theirs
#: waits beside another's.
_pools: dict[int | None, Pool] = {}
#: Models by key: a graph that comes again is not compiled again.
_cache: dict[str, Model] = {}
_cache_lock = Lock()


def _compile(program: _Program, settings: _Settings) -> Model:
    key = program.key()
    if key:
        key += settings.key
        with _cache_lock:
            found = _cache.get(key)
        if found is not None:
            return found
    with _cache_lock:
        workers = settings.arguments.get("workers")
        pool = _pools.setdefault(workers, Pool(workers))
    model: Model = compile_program(program.export(), **settings.arguments,
                                   pool=pool, options=settings.options)
    if key:
        with _cache_lock:
            model = _cache.setdefault(key, model)
    return model


class _Runner:
    """One graph: compiled, or in eager mode for good."""

    def __init__(self, graph: torch.fx.GraphModule, settings: _Settings,
                 where: _Place, static: list[int]) -> None:
        self._graph = graph
        self._settings = settings
        self._where = where
        self._static = static if settings.freeze else []
        self._frozen = _Frozen({})
        self._compiled: _Compiled | None = None
        self._is_eager = False
        self._thaws = 0
        self._lock = Lock()
        if not self._static:
            self._prepare({})

    def __call__(self, arguments: list[Any]) -> Any:
        if self._static and not self._is_eager and (
                self._compiled is None or
                not self._frozen.holds_for(arguments)):
            with self._lock:
                self._freeze(arguments)
        compiled = self._compiled
        if compiled is None or any(isinstance(value, int) and value < 0
                                   for value in arguments):
            return self._graph(*arguments)
        return compiled(arguments)

    def _freeze(self, arguments: list[Any]) -> None:
        if self._compiled is not None:
            if self._frozen.holds_for(arguments):
                return  # another thread was here
            self._thaws += 1
        if self._thaws > _MAX_THAWS:  # what changes that often is no constant
            self._static = []
        tensors = {number: arguments[number] for number in self._static
                   if type(arguments[number]) in (torch.Tensor,
                                                  torch.nn.Parameter)}
        self._prepare(tensors)
        self._frozen = _Frozen(tensors)

    def _prepare(self, frozen: Mapping[int, torch.Tensor]) -> None:
        try:
            # Compilers are called where tensors are fake; weights are not.
            with _disable_current_modes():
                program = _Program(self._graph, frozen)
                model = (None if program.is_trivial
                         else _compile(program, self._settings))
                self._compiled = _Compiled(program, model)
        except Refused as refused:
            self._run_eager(refused.causes)
        except UnsupportedOpError as error:
            self._run_eager(error.messages)
        except Error as error:
            self._run_eager(str(error).split("\n"))
        except Exception as error:  # torch could not make a program of it
            self._run_eager([f"{type(error).__name__}: {error}"])

    def _run_eager(self, causes: Sequence[str]) -> None:
        self._is_eager, self._compiled = True, None
        self._settings.fall_back(self._where, causes)


__all__ = ["headrace"]
