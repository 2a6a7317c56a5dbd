"""Artifacts as callables."""

from __future__ import annotations

import json
import os
import shutil
import sys
import weakref
from functools import cache
from typing import Any, Mapping

from ._errors import Error
from ._fork import Lock
from ._native import runtime
from ._pytree import Spec
from ._report import Report
from ._save import save

Tensor = runtime.Tensor


class _Function:
    """What an entry takes and gives, and the general way to call it: any kind of
    tensor, by position or by name, in containers. Knows nothing of the `Entry`,
    so that no cycle keeps a context alive."""

    def __init__(self, context: Any, number: int, signature: Mapping[str, Any],
                 types: Mapping[str, type]) -> None:
        self._context = context
        self._number = number
        self.name: str = signature["name"]
        self.inputs: list[dict[str, Any]] = signature["inputs"]
        self.outputs: list[dict[str, Any]] = signature["outputs"]
        self._in = _spec(signature, "in_spec", types)
        self._out = _spec(signature, "out_spec", types)
        self._in_leaves = signature.get("in_leaves",
                                        list(range(len(self.inputs))))
        self._out_leaves = signature.get("out_leaves",
                                         list(range(len(self.outputs))))
        self._mutated = [(number, port["mutates"]) for number, port
                         in enumerate(self.outputs) if "mutates" in port]

    def make_call(self) -> Any:
        """The callable for users: without a detour if all arguments are tensors
        of one library, given as at export."""
        names = self._find_names()
        if names is None:
            return self.call
        _tell_libraries()
        return runtime.Call(self._context, self._number, len(self.inputs),
                            len(self.outputs), names, self._get_form(),
                            self.call)

    def _find_names(self) -> tuple[str, ...] | None:
        """Names of the last inputs, which are given by name; None if calls are
        not that plain."""
        count = len(self.inputs)
        if (self._mutated or self._in_leaves != list(range(count)) or
                any(not isinstance(leaf, int) for leaf in self._out_leaves)):
            return None
        return self._in.find_names(count) if self._in is not None else ()

    def _get_form(self) -> Any:
        """What `runtime.Call` makes of the results."""
        if self._out is not None:
            kind = self._out.kind
        else:
            kind = "single" if len(self._out_leaves) == 1 else "tuple"
        if kind and self._out_leaves == list(range(len(self.outputs))):
            return kind
        return self._finish

    def _finish(self, results: list[Any]) -> Any:
        leaves = [results[leaf] for leaf in self._out_leaves]
        if self._out is not None:
            return self._out.unflatten(leaves)
        return leaves[0] if len(leaves) == 1 else tuple(leaves)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        given = self._flatten(args, kwargs)
        torch = _torch_of(given)
        _tell_libraries()
        prepared = [_prepare(leaf, torch, port["name"])
                    for leaf, port in zip(given, self.inputs)]
        results = self._context.run(self._number, prepared, len(self.outputs),
                                    torch is not None)
        results = [_convert(result, torch) for result in results]
        for result, argument in self._mutated:
            _assign(given[argument], results[result],
                    self.inputs[argument]["name"])
        leaves = [self._get_output(leaf, results, prepared)
                  for leaf in self._out_leaves]
        if self._out is not None:
            return self._out.unflatten(leaves)
        return leaves[0] if len(leaves) == 1 else tuple(leaves)

    def _flatten(self, args: tuple[Any, ...],
                 kwargs: dict[str, Any]) -> list[Any]:
        """The tensors of a call, in the order of `inputs`."""
        if self._in is None:
            leaves = [*args, *kwargs.values()]
            if len(leaves) != len(self._in_leaves):
                names = ", ".join(port["name"] for port in self.inputs)
                raise TypeError(f"{self.name}() takes {len(self.inputs)} "
                                f"tensors ({names}), got {len(leaves)}")
        else:
            bound = self._bind(args, kwargs)
            self._check_count(*bound)
            leaves = self._in.flatten(bound)
        given: list[Any] = [None] * len(self.inputs)
        for place, leaf in zip(self._in_leaves, leaves):
            if isinstance(place, int):
                given[place] = leaf
            elif "constant" in place and (_is_tensor(leaf) or
                                          leaf != place["constant"]):
                # The exported graph holds for this value only.
                raise ValueError(
                    f"{self.name}() was exported with the constant "
                    f"{place['constant']!r} where {leaf!r} was given")
        return given

    def _check_count(self, args: tuple[Any, ...],
                     kwargs: Mapping[str, Any]) -> None:
        """In the words of a call; containers inside have the spec's."""
        assert self._in is not None
        root = self._in.root
        if root.type != "builtins.tuple" or len(root.children) != 2:
            return
        count, names = len(root.children[0].children), root.children[1].keys
        if len(args) != count:
            raise TypeError(
                f"{self.name}() was exported with {count} positional "
                f"argument{'s' if count != 1 else ''}, got {len(args)}")
        for key in kwargs:
            if key not in names:
                raise TypeError(f"{self.name}() was exported without an "
                                f"argument {key!r}")
        for key in names:
            if key not in kwargs:
                raise TypeError(f"{self.name}() was exported with an argument "
                                f"{key!r}, which is missing")

    def _get_output(self, leaf: Any, results: list[Any],
                    inputs: list[Any]) -> Any:
        if isinstance(leaf, int):
            return results[leaf]
        if "constant" in leaf:
            return leaf["constant"]
        symbols: dict[str, int] = {}
        for port, value in zip(self.inputs, inputs):
            for size, actual in zip(port["shape"], value.shape):
                if isinstance(size, str) and size.isidentifier():
                    symbols[size] = int(actual)
        return _evaluate(leaf["size"], symbols)

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]
              ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Moves arguments between positions and names as at export."""
        assert self._in is not None
        root = self._in.root
        if root.type != "builtins.tuple" or len(root.children) != 2:
            return args, kwargs
        positions, names = root.children
        wanted = [str(key) for key in names.keys]
        if set(kwargs) == set(wanted):
            return args, kwargs
        kwargs = dict(kwargs)
        args_list = list(args)
        # Names as positions: the inputs' own names, in order, one leaf each.
        ports = [port["name"] for port in self.inputs]
        while (len(args_list) < len(positions.children)
               and len(args_list) < len(ports)
               and ports[len(args_list)] in kwargs):
            args_list.append(kwargs.pop(ports[len(args_list)]))
        # Positions as names.
        extra = args_list[len(positions.children):]
        for name, value in zip([w for w in wanted if w not in kwargs], extra):
            kwargs[name] = value
            args_list.pop(len(positions.children))
        return tuple(args_list), kwargs

    def __repr__(self) -> str:
        def port(p: dict[str, Any]) -> str:
            return f"{p['name']}: {p['dtype']}{p['shape']}"
        inputs = ", ".join(map(port, self.inputs))
        outputs = ", ".join(map(port, self.outputs))
        return f"{self.name}({inputs}) -> ({outputs})"


class Entry:
    """One function of an artifact, run in one context.

    Called with the arguments of the module's ``forward``; returns what it
    returns. Tensors may be torch's, numpy's, or anything with ``__dlpack__``.
    Results are torch tensors if an argument was one, else numpy arrays, or
    `headrace.Tensor` where numpy is not installed. A program without tensor
    arguments gives torch tensors if torch has been imported.
    """

    def __init__(self, context: Any, number: int, signature: Mapping[str, Any],
                 types: Mapping[str, type]) -> None:
        self._function = _Function(context, number, signature, types)
        self._call = self._function.make_call()

    @property
    def name(self) -> str:
        return self._function.name

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Name, dtype and shape of each tensor it takes."""
        return self._function.inputs

    @property
    def outputs(self) -> list[dict[str, Any]]:
        return self._function.outputs

    def __reduce__(self) -> Any:
        raise TypeError("an entry cannot be copied or pickled: it is that of a "
                        "running model's context. model.save(path) and "
                        "headrace.load(path) take the model to another process")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __repr__(self) -> str:
        return repr(self._function)


class Context:
    """Arena and state of a running model; contexts are independent.

    Calls on one context take turns. Entries are attributes and items:
    ``context.decode(...)``, ``context["decode"](...)``; a context of a model
    with one entry can be called itself.
    """

    def __init__(self, model: "Model", workers: int | None = None,
                 pool: "Pool | None" = None, fixed: bool = False) -> None:
        check_workers(workers)
        self._native = runtime.Context(
            model._artifact, workers or 0,
            pool._get(model._artifact) if pool is not None else None, fixed)
        self.entries: dict[str, Entry] = {
            entry["name"]: Entry(self._native, number, entry, model._types)
            for number, entry in enumerate(model.signature["entries"])}

    @property
    def workers(self) -> int:
        """How many workers (threads) a call takes at most."""
        return int(self._native.workers)

    def reset(self) -> None:
        """Gives the state its initial values."""
        self._native.reset()

    def _run(self, number: int, inputs: list[Any], outputs: int,
             torch: bool) -> list[Any]:
        results: list[Any] = self._native.run(number, inputs, outputs, torch)
        return results

    def __getitem__(self, name: str) -> Entry:
        try:
            return self.entries[name]
        except KeyError:
            raise KeyError(f"no entry {name!r}; there are "
                           f"{', '.join(self.entries)}") from None

    def __getattr__(self, name: str) -> Entry:
        if name != "entries" and name in self.entries:
            return self.entries[name]
        raise AttributeError(_explain_attribute(name, "context"))

    def __reduce__(self) -> Any:
        raise TypeError("a context cannot be copied or pickled: its memory is "
                        "that of a running model. model.context() makes another")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._default()(*args, **kwargs)

    def _default(self) -> Entry:
        if len(self.entries) == 1:
            return next(iter(self.entries.values()))
        if "main" in self.entries:
            return self.entries["main"]
        raise TypeError("this model has several entries; call one of "
                        f"{', '.join(self.entries)}")


class Pool:
    """Worker threads that contexts, of any models, share.

    Without one, every context has threads of its own. Contexts that share one
    take turns. ``workers`` is how many (default: one per CPU that this process
    may use), the thread that calls included. The threads run code of the model
    whose context needed them first, which stays loaded as long as the pool.
    """

    def __init__(self, workers: int | None = None) -> None:
        check_workers(workers)
        self._workers = workers or 0
        self._native: Any = None
        self._lock = Lock()

    def __reduce__(self) -> Any:
        raise TypeError("a pool cannot be copied or pickled: it is threads of "
                        "this process. headrace.Pool(workers) makes another")

    def _get(self, artifact: Any) -> Any:
        """The threads, which the first artifact to use them starts."""
        with self._lock:
            if self._native is None:
                self._native = runtime.Pool(artifact, self._workers)
            return self._native


class Artifact:
    """A file that hrcc wrote, checked but not loaded: what `compile` returns with
    ``load=False``, for this machine or another. `load` opens it where it runs."""

    def __init__(self, path: str | bytes | os.PathLike[Any],
                 weights: str | bytes | os.PathLike[Any] | None = None,
                 _folder: str | None = None) -> None:
        self.path = os.path.abspath(os.fsdecode(path))
        self._weights = os.fsdecode(weights) if weights is not None else None
        if _folder is not None:  # deleted with the artifact
            weakref.finalize(self, shutil.rmtree, _folder, ignore_errors=True)
        self.signature: dict[str, Any] = json.loads(runtime.check(
            os.fsencode(self.path), False, os.fsencode(self._weights or "")))

    def report(self) -> Report:
        """Where every byte and microsecond goes, as hrcc predicts it.

        Of a model that was compiled in this process; of a loaded ``model.so``,
        what ``model.report.json`` beside it says.
        """
        stem = os.path.splitext(self.path)[0] + ".report"
        if not os.path.exists(stem + ".json"):
            raise Error(f"there is no report beside '{self.path}': hrcc writes "
                        f"it, with --report='{stem}.json', and so does "
                        "report().save() of a model just compiled")
        report = Report.read(stem + ".json")
        if report["schedule"] != self.signature.get("schedule"):
            raise Error(f"'{stem}.json' is the report of another compilation")
        if os.path.exists(stem + ".html"):
            with open(stem + ".html", encoding="utf-8") as file:
                report.page = file.read()
        return report

    def check(self) -> None:
        """Compares the weights with their checksum; raises if they differ."""
        runtime.check(os.fsencode(self.path), True,
                      os.fsencode(self._weights or ""))

    def save(self, path: str | bytes | os.PathLike[Any]) -> None:
        """Writes the artifact to ``path``, and the file with its weights, if it
        has one, beside it, as hrcc would have: its names follow the file's,
        unless it was given one."""
        save(self.path, self.signature, self._weights, os.fsdecode(path))

    def _find_weights(self, name: str) -> str:
        """Beside the name that was given, or else beside what it links to."""
        if self._weights:
            return self._weights
        beside = os.path.join(os.path.dirname(self.path), name)
        if os.path.exists(beside):
            return beside
        return os.path.join(os.path.dirname(os.path.realpath(self.path)), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"'{self.path}' is not loaded: headrace.load opens it on "
                        "the machine that it was compiled for")

    def __repr__(self) -> str:
        names = ", ".join(e["name"] for e in self.signature["entries"])
        return f"headrace.{type(self).__name__}({self.path!r}: {names})"


class Model(Artifact):
    """A compiled model: what `compile` and `load` return.

    It is called as the module was, on a context of its own that is made at the
    first call. `context()` makes more, for threads that run at once or for
    independent state. When it, its contexts and their entries are gone, so are
    its memory, its address space and the file it held open.
    """

    def __init__(self, path: str | bytes | os.PathLike[Any],
                 workers: int | None = None,
                 weights: str | bytes | os.PathLike[Any] | None = None,
                 pool: Pool | None = None, _folder: str | None = None,
                 _types: Mapping[str, type] | None = None) -> None:
        check_workers(workers)
        super().__init__(path, weights, _folder)
        self._workers = workers
        self._pool = pool
        self._types = _types or {}
        self._artifact = runtime.Artifact(os.fsencode(self.path),
                                          os.fsencode(self._weights or ""))
        # Of what is loaded, should the file have been replaced just now.
        self.signature = json.loads(self._artifact.signature)
        self._own: Context | None = None
        self._call: Any = None
        self._lock = Lock()

    def context(self, workers: int | None = None, pool: Pool | None = None,
                fixed: bool = False) -> Context:
        """A new context, on at most ``workers`` threads (default: all CPUs),
        those of ``pool`` if one is given.

        A call takes as many of them as are predicted to be fastest at its sizes;
        with ``fixed`` always all, to measure or to compare.
        """
        return Context(self, workers if workers is not None else self._workers,
                       pool if pool is not None else self._pool, fixed)

    @property
    def default_context(self) -> Context:
        """The context that calls of the model itself run in."""
        if self._own is None:
            with self._lock:
                if self._own is None:
                    self._own = self.context()
        return self._own

    @property
    def entries(self) -> dict[str, Entry]:
        return self.default_context.entries

    def reset(self) -> None:
        """Gives the state its initial values."""
        self.default_context.reset()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._call is None:
            self._call = self.default_context._default()._call
        return self._call(*args, **kwargs)

    def __getitem__(self, name: str) -> Entry:
        return self.default_context[name]

    def __getattr__(self, name: str) -> Entry:
        signature = self.__dict__.get("signature")
        if signature is not None and any(entry["name"] == name
                                         for entry in signature["entries"]):
            return self.default_context[name]
        raise AttributeError(_explain_attribute(name, "model"))

    def __reduce__(self) -> Any:
        raise TypeError(
            "a compiled model cannot be copied or pickled: it is code and memory "
            "of this process. model.save(path) and headrace.load(path) take it to "
            "another; model.context() has state of its own")


#: Of modules, which are asked of models too.
_OF_MODULES = {
    **dict.fromkeys(("eval", "train"),
                    "in which mode it runs was decided when it was exported: call "
                    "{0}() on the module before that"),
    **dict.fromkeys(("to", "cuda", "cpu", "xpu", "half", "float", "double",
                     "bfloat16", "type"),
                    "it runs on the CPU, in the types it was exported with: call "
                    "{0}() on the module before that"),
    **dict.fromkeys(("parameters", "named_parameters", "buffers",
                     "named_buffers", "state_dict", "load_state_dict",
                     "requires_grad_", "modules", "named_modules"),
                    "its weights are part of the compiled program: ask the module "
                    "for {0}, and compile again when they change")}


def _explain_attribute(name: str, kind: str) -> str:
    text = f"a compiled {kind} has no attribute {name!r}"
    if name in _OF_MODULES:
        text += ": " + _OF_MODULES[name].format(name)
    return text


def check_workers(workers: Any) -> None:
    """Raises unless it is a number of workers, or None."""
    if workers is None:
        return
    if not isinstance(workers, int) or isinstance(workers, bool):
        raise TypeError("workers is the number of threads at most, an integer; "
                        f"got a {type(workers).__name__}")
    if not 1 <= workers <= 4096:
        raise ValueError("workers is the number of threads at most, 1 to 4096, or "
                         "None for as many as this process has CPUs; got "
                         f"{workers}")


def load(path: str | bytes | os.PathLike[Any], *, workers: int | None = None,
         weights: str | bytes | os.PathLike[Any] | None = None,
         pool: Pool | None = None) -> Model:
    """Opens an artifact. torch is not needed.

    The file's code and signature are compared with their checksums before any
    of its code runs. What the file holds now is what is opened, also if another
    one was loaded from that path before. ``weights`` names the file with the
    weights if it is not where the artifact says; ``workers`` (at most) and
    ``pool`` are the defaults for its contexts.
    """
    return Model(path, workers=workers, pool=pool, weights=weights)


def _spec(signature: Mapping[str, Any], key: str,
          types: Mapping[str, type]) -> Spec | None:
    text = signature.get(key)
    return Spec(text, types) if text else None


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "__dlpack__")


def _find_torch() -> Any:
    """The torch module if it has been imported; never imports it."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "Tensor") else None


def _torch_of(leaves: list[Any]) -> Any:
    """The torch module if a leaf is one of its tensors, or if there is none to
    tell and torch is there."""
    torch = _find_torch()
    if torch is not None and (not leaves or any(
            isinstance(leaf, torch.Tensor) for leaf in leaves)):
        return torch
    return None


_told: set[str] = set()


def _tell_libraries() -> None:
    """Tells the extension the types of libraries that have been imported."""
    torch = _find_torch()
    if torch is not None and "torch" not in _told and hasattr(torch, "nn"):
        _told.add("torch")
        runtime.set_torch(torch.Tensor, torch.nn.Parameter)
    numpy = sys.modules.get("numpy")
    if numpy is not None and "numpy" not in _told and hasattr(numpy, "asarray"):
        _told.add("numpy")
        runtime.set_numpy(numpy.ndarray, numpy.asarray)


def _evaluate(size: str, symbols: Mapping[str, int]) -> int:
    """The value of a symbolic size, which has Python's syntax but for words."""
    text = size.replace(" floordiv ", " // ").replace(" mod ", " % ")
    return int(eval(text, {"__builtins__": {}, "min": min, "max": max},
                    dict(symbols)))


def _assign(target: Any, value: Any, name: str) -> None:
    """Writes what the program wrote to an argument in place."""
    if hasattr(target, "copy_"):
        target.copy_(value)
    elif hasattr(target, "__setitem__"):
        target[...] = value
    else:
        raise TypeError(f"the program writes to {name!r}, but a "
                        f"{type(target).__name__} cannot be written to")


@cache
def _import_numpy() -> Any:
    """The module, or None where it is not installed."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def _prepare(leaf: Any, torch: Any, name: str) -> Any:
    if torch is not None and isinstance(leaf, torch.Tensor):
        if leaf.device.type != "cpu" or leaf.layout is not torch.strided:
            raise TypeError(f"argument {name!r}: expected a dense tensor on "
                            f"the CPU, got a {leaf.layout} one on "
                            f"'{leaf.device}'")
        leaf = leaf.detach()
        if leaf.is_conj() or leaf.is_neg():
            leaf = leaf.resolve_conj().resolve_neg()
        return leaf
    numpy = _import_numpy()
    if _is_tensor(leaf) and not (numpy and isinstance(leaf, numpy.ndarray)):
        return leaf
    if numpy is not None and not isinstance(leaf, (str, bytes)):
        array = numpy.asarray(leaf)
        if array.dtype.kind in "biufc" and array.dtype.isnative:
            return array
        if leaf is array:
            raise TypeError(f"argument {name!r}: an array of type "
                            f"{array.dtype} is no tensor")
    raise TypeError(f"argument {name!r}: expected a tensor, got a "
                    f"{type(leaf).__name__}")


def _convert(result: Any, torch: Any) -> Any:
    if torch is not None:  # where it has no exchange in C, not made yet
        return (result if isinstance(result, torch.Tensor)
                else torch.from_dlpack(result))
    numpy = _import_numpy()
    if numpy is None:
        return result
    if result.dtype == "bfloat16":  # numpy has no such type
        return result
    return numpy.asarray(memoryview(result))


__all__ = ["Artifact", "Context", "Entry", "Error", "Model", "Pool", "Tensor",
           "check_workers", "load"]
