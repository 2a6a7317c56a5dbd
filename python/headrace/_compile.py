"""Compiles modules and exported programs by running hrcc.

The compiler runs as a process of its own: its libraries, threads and memory
stay out of the user's, compilations run side by side, and one that dies takes
nothing along. Messages come back as JSON, one per line.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from typing import IO, Any, Literal, Mapping, Sequence, overload

from ._dim_names import dim_names
from ._errors import Error, UnsupportedOpError
from ._fork import Lock
from ._model import Artifact, Model, Pool, check_workers
from ._native import find_hrcc
from ._treespec import named_types

#: torch.export keeps what it is doing in globals.
_export_lock = Lock()
#: How the reader and the conversion word it.
_UNSUPPORTED = re.compile(
    r"^unsupported (use of )?operator|^operator .* is not supported").search
#: What names of entries are, from the first letter to the last.
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch
#: How a message names an operator that torch can write as others.
_DECOMPOSABLE = re.compile(
    r"unsupported operator (\S+) .*run_decompositions\(\)", re.DOTALL).search
#: Keys of ``options`` and how hrcc spells them.
_OPTIONS = {"weights": "--weights={}", "name": "--name={}", "threads": "-j{}"}
_FLAGS = {"debug_info": "-g"}


@overload
def compile(model: Any, args: Sequence[Any] = ...,
            kwargs: Mapping[str, Any] | None = ..., *,
            dynamic_shapes: Any = ..., target: str = ..., opt: int = ...,
            workers: int | None = ..., pool: Pool | None = ...,
            options: Mapping[str, Any] | None = ...,
            output: str | os.PathLike[str] | None = ...,
            load: Literal[True] = ...) -> Model: ...


@overload
def compile(model: Any, args: Sequence[Any] = ...,
            kwargs: Mapping[str, Any] | None = ..., *,
            dynamic_shapes: Any = ..., target: str = ..., opt: int = ...,
            workers: int | None = ..., pool: Pool | None = ...,
            options: Mapping[str, Any] | None = ...,
            output: str | os.PathLike[str] | None = ...,
            load: Literal[False]) -> Artifact: ...


def compile(model: Any, args: Sequence[Any] = (),
            kwargs: Mapping[str, Any] | None = None, *,
            dynamic_shapes: Any = None, target: str = "native", opt: int = 2,
            workers: int | None = None, pool: Pool | None = None,
            options: Mapping[str, Any] | None = None,
            output: str | os.PathLike[str] | None = None,
            load: bool = True) -> Artifact:
    """Compiles a model and returns it as a callable.

    ``model`` is an ``nn.Module``, which is exported with ``args``, ``kwargs``
    and ``dynamic_shapes`` as torch.export takes them; an ``ExportedProgram``;
    the path of a .pt2 archive; or a mapping of entry names to any of the latter
    two, whose weights are stored once. Operators of modules and
    ``ExportedProgram``s that the compiler lacks are written as others by
    torch's ``run_decompositions`` where that helps. ``target`` is a hardware description
    (`hrcc --print-targets`), ``opt`` the optimization level 0 to 3.
    ``workers`` is how many threads its contexts run on at most, those of ``pool``
    if it is given. ``output`` names the file to be written, else a temporary one
    that goes with the model. With ``load=False`` the result is an `Artifact`,
    which can be saved but not called: so one compiles for other machines.
    ``options``:
    ``weights`` ("embed" or "external"), ``name``, ``threads`` (of the compiler)
    and ``debug_info``.
    """
    if hasattr(args, "__dlpack__"):
        raise TypeError("args is a tensor, and has to be a sequence of "
                        "arguments: (x,)")
    check_workers(workers)
    if load:
        _check_machine(target)
    command = [find_hrcc(), "-fdiagnostics-format=json", f"-O{int(opt)}",
               f"--target={target}", *_translate(options or {})]
    folder = None
    if output is None:
        folder = tempfile.mkdtemp(prefix="headrace-")
        path = os.path.join(folder, "model.so")
    else:
        path = os.path.abspath(os.fsdecode(output))
    try:
        if folder is not None and load:
            _check_folder(folder)
        types = _write(model, args, kwargs, dynamic_shapes, command, path)
        if load:
            return Model(path, workers=workers, pool=pool, _folder=folder,
                         _types=types)
        return Artifact(path, _folder=folder)
    except BaseException:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None,
           dynamic_shapes: Any, command: list[str], path: str) -> dict[str, type]:
    """Exports what has to be, and runs hrcc. Returns the classes of containers
    by the names that the artifact has for them."""
    types: dict[str, type] = {}
    with tempfile.TemporaryDirectory(prefix="headrace-") as programs:
        if isinstance(model, Mapping):
            _check_names(model)
            for name, program in model.items():
                file = _to_file(program, (), None, None, programs, name, types)
                command.append(f"{name}={file}")
        else:
            command.append(_to_file(model, args, kwargs, dynamic_shapes,
                                    programs, "main", types, command))
        stem = os.path.splitext(path)[0]
        command += [f"--report={stem}.report{form}"
                    for form in (".json", ".html")]
        _run_decomposed(command + ["-o", path], programs, types)
    return types


def _run_decomposed(command: list[str], programs: str,
                    types: dict[str, type]) -> None:
    """Runs hrcc; where the programs exported to a folder call operators that it
    lacks and torch writes as others, again on those."""
    try:
        return _run(command, programs)
    except UnsupportedOpError as error:
        first = last = error
    while _decompose(programs, last.messages, types):
        try:
            return _run(command, programs)
        except UnsupportedOpError as error:
            last = error
    # What torch made of them, if that does not help either.
    if last is not first:
        raise last from first
    raise first


def _decompose(programs: str, messages: Sequence[str],
               types: dict[str, type]) -> bool:
    """Writes the operators that messages name as others, in all programs of a
    folder; false if that changes none."""
    import torch
    names = {match[1] for match in map(_DECOMPOSABLE, messages) if match}
    files = sorted(os.listdir(programs))
    if not names or not files:
        return False
    table = torch.export.default_decompositions()
    chosen = {operator: table[operator] for operator in list(table)
              if str(operator) in names}
    changed = False
    for file in files:
        path = os.path.join(programs, file)
        with _export_lock, torch.no_grad():
            program = torch.export.load(path)
            calls = {str(node.target) for node in program.graph.nodes}
            if not calls & names:
                continue
            program = program.run_decompositions(chosen)
            left = {str(node.target) for node in program.graph.nodes}
            if calls & names & left:
                return False
            with named_types(program, types):
                torch.export.save(program, path)
        changed = True
    return changed


def _check_names(entries: Mapping[str, Any]) -> None:
    """Raises a ValueError that names every entry whose name is none."""
    if not entries:
        raise ValueError("there are no entries to compile")
    bad = [repr(name) for name in entries
           if not isinstance(name, str) or not _IDENTIFIER(name)]
    if bad:
        raise ValueError("names of entries are C identifiers, but there is "
                         + ", ".join(bad))


def _check_folder(folder: str) -> None:
    """Raises an Error if what is compiled in there cannot be loaded."""
    if os.statvfs(folder).f_flag & os.ST_NOEXEC:
        raise Error(f"what is compiled is loaded from '{folder}', but its file "
                    "system is mounted noexec: name another folder in TMPDIR")


def _check_machine(target: str) -> None:
    """Raises if what is compiled for the target could not be loaded here."""
    found = re.search(r"\bcodegen = (\w+)", _describe_target(target))
    own = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(),
                                                      platform.machine())
    if found and found[1] != own:
        raise Error(f"'{target}' is for another kind of machine ({found[1]}, this "
                    f"is {own}), where the result cannot be called: pass "
                    "load=False, and output= or save() it")


def check_options(options: Mapping[str, Any],
                  others: Sequence[str] = ()) -> None:
    """Raises a ValueError that names the first key nobody knows."""
    known = [*_OPTIONS, *_FLAGS]
    for key in options:
        if key not in known:
            raise ValueError(f"unknown option {key!r}; the options are "
                             f"{', '.join(sorted([*known, *others]))}")


def check_target(target: str) -> None:
    """Raises an Error if there is no such hardware description, or it is that of
    another kind of machine."""
    _check_machine(target)


@cache
def _describe_target(target: str) -> str:
    """The text of a hardware description; empty of this machine's. Raises an
    Error if there is none."""
    if target == "native":
        return ""
    return _run([find_hrcc(), "-fdiagnostics-format=json",
                 f"--print-target={target}"])


def _translate(options: Mapping[str, Any]) -> list[str]:
    check_options(options)
    arguments = []
    for key, value in options.items():
        if key in _OPTIONS:
            arguments.append(_OPTIONS[key].format(value))
        elif value:
            arguments.append(_FLAGS[key])
    return arguments


def _to_file(program: Any, args: Sequence[Any],
             kwargs: Mapping[str, Any] | None, dynamic_shapes: Any,
             folder: str, name: str, types: dict[str, type],
            command: list[str] | None = None) -> str:
    """The path of a .pt2 archive of the program; adds to ``types``, and to
    ``command`` what the user calls dimensions."""
    if isinstance(program, (str, bytes, os.PathLike)):
        return os.path.abspath(os.fsdecode(program))
    import torch

    if isinstance(program, torch.nn.Module):
        model = program
        with _export_lock, torch.no_grad():
            positions, names = _separate((tuple(args), dict(kwargs or {})))
            try:
                program = torch.export.export(model, positions, names or None,
                                              dynamic_shapes=dynamic_shapes)
            except Exception as error:
                raise Error(_explain("export the model", error)) from error
            if command is not None:
                command += dim_names(model, program, positions, names,
                                     dynamic_shapes)
    if not isinstance(program, torch.export.ExportedProgram):
        raise TypeError("expected an nn.Module, an ExportedProgram or a path, "
                        f"got a {type(program).__name__}")
    if not program.graph_signature.output_specs:
        raise Error("the program computes nothing: what it returns holds no value, "
                    "and it writes to nothing")
    path = os.path.join(folder, name + ".pt2")
    # torch ends the process where the disk turns out to be full.
    needed = _count_bytes([*program.state_dict.values(),
                           *program.constants.values()])
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if needed > free:
        raise Error(f"cannot write the program to '{path}': it has {needed} "
                    f"bytes of weights, and {free} are free; name another folder "
                    "in TMPDIR")
    with _export_lock, named_types(program, types):
        try:
            torch.export.save(program, path)
        except Exception as error:
            raise Error(_explain("save the exported program", error)) from error
    return path


def _count_bytes(values: Sequence[Any]) -> int:
    """Bytes of the tensors' storages, each counted once."""
    import torch
    storages: dict[int, int] = {}
    for value in values:
        if type(value) in (torch.Tensor, torch.nn.Parameter):
            storage = value.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def _explain(what: str, error: Exception) -> str:
    return f"torch.export cannot {what}: {type(error).__name__}: {error}"


def _separate(arguments: Any) -> Any:
    """The same arguments, each tensor an object of its own: torch.export makes
    one input of a tensor that is given twice, and the program would compute
    with one of the two whatever it is called with later."""
    import torch
    import torch.utils._pytree as pytree
    seen: set[int] = set()

    def convert(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor) or id(leaf) not in seen:
            seen.add(id(leaf))
            return leaf
        return leaf.detach().clone()
    return pytree.tree_map(convert, arguments)


def _run(command: list[str], folder: str = "") -> str:
    """Runs hrcc and returns what it writes to standard output; ``folder`` has
    files that messages need not name."""
    messages: list[dict[str, Any]] = []
    other: list[str] = []
    progress = _Progress()
    process, interrupted, written = _start(command)
    with written, process:
        assert process.stderr is not None
        try:
            if interrupted:
                signal.raise_signal(signal.SIGINT)
            for line in process.stderr:
                try:
                    event = json.loads(line)
                except ValueError:
                    other.append(line.rstrip())
                    continue
                if event.get("event") == "step":
                    progress.step(event)
                else:
                    messages.append(event)
        except BaseException:
            process.terminate()
            raise
        finally:
            progress.end()
        status = process.wait()
        written.seek(0)
        output = written.read()
    if status == 0:
        return output
    for message in messages if folder else []:
        if str(message.get("file")).startswith(folder):
            del message["file"]
        message["text"] = re.sub(f" at {re.escape(folder)}[^ ),;]*", "",
                                 message["text"])
    errors = [_render(m) for m in messages if m["event"] == "error"]
    notes = [_render(m) for m in messages if m["event"] == "note"]
    text = "\n".join([*errors, *notes, *other]) or f"hrcc ended with {status}"
    unsupported = [_render(m) for m in messages if _UNSUPPORTED(m["text"])]
    if unsupported:
        raise UnsupportedOpError(text, unsupported)
    raise Error(text)


def _start(command: list[str]
           ) -> tuple[subprocess.Popen[str], bool, IO[str]]:
    """hrcc, whether an interrupt arrived while it was started (raised in there it
    would leave a process that nobody knows), and its standard output."""
    written = tempfile.TemporaryFile("w+", errors="replace")

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                stdout=written, stderr=subprocess.PIPE,
                                text=True, errors="replace")
    handler = signal.getsignal(signal.SIGINT)
    if (threading.current_thread() is not threading.main_thread()
            or handler is None):  # no handler of Python's
        return start(), False, written
    arrived: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: arrived.append(number))
    try:
        process = start()
    finally:
        signal.signal(signal.SIGINT, handler)
    return process, bool(arrived), written


def _render(message: Mapping[str, Any]) -> str:
    text = str(message["text"])
    if "file" in message:
        place = message["file"]
        if message["line"]:  # a file as a whole has none
            place += f":{message['line']}"
        if place not in text:
            text += f" ({place})"
    return text


class _Progress:
    """A line on the terminal, for compilations that take over a second; it moves
    while a step takes long."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._shown = False
        self._active = sys.stderr is not None and sys.stderr.isatty()
        self._step: Mapping[str, Any] | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._clock: threading.Thread | None = None

    def step(self, event: Mapping[str, Any]) -> None:
        if not self._active:
            return
        with self._lock:
            self._step = event
            self._show()
        if self._clock is None:
            self._clock = threading.Thread(target=self._tick, daemon=True)
            self._clock.start()

    def _tick(self) -> None:
        while not self._ended.wait(1):
            with self._lock:
                self._show()

    def _show(self) -> None:
        seconds = time.monotonic() - self._begin
        if self._step is None or not (self._shown or seconds > 1):
            return
        self._shown = True
        sys.stderr.write(f"\r\x1b[Kheadrace: {self._step['step']} "
                         f"({self._step['number']} of {self._step['count']}, "
                         f"{int(seconds)} s)")
        sys.stderr.flush()

    def end(self) -> None:
        self._ended.set()
        if self._clock is not None:
            self._clock.join()
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


__all__ = ["check_options", "check_target", "compile"]
