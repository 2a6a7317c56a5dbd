"""Compiles modules and exported programs by running hrcc.

The compiler runs as a process of its own: its libraries, threads and memory
stay out of the user's, compilations run side by side, and one that dies takes
nothing along. Messages come back as JSON, one per line.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from typing import Any, Mapping, Sequence

from ._errors import Error, UnsupportedOpError
from ._fork import Lock
from ._model import Model, Pool
from ._native import find_hrcc

#: torch.export keeps what it is doing in globals.
_export_lock = Lock()
#: How the reader and the conversion word it.
_UNSUPPORTED = re.compile(
    r"^unsupported (use of )?operator|^operator .* is not supported").search
#: Keys of ``options`` and how hrcc spells them.
_OPTIONS = {"weights": "--weights={}", "name": "--name={}", "threads": "-j{}"}
_FLAGS = {"debug_info": "-g"}


def compile(model: Any, args: Sequence[Any] = (),
            kwargs: Mapping[str, Any] | None = None, *,
            dynamic_shapes: Any = None, target: str = "native", opt: int = 2,
            workers: int | None = None, pool: Pool | None = None,
            options: Mapping[str, Any] | None = None) -> Model:
    """Compiles a model and returns it as a callable.

    ``model`` is an ``nn.Module``, which is exported with ``args``, ``kwargs``
    and ``dynamic_shapes`` as torch.export takes them; an ``ExportedProgram``;
    the path of a .pt2 archive; or a mapping of entry names to any of the latter
    two, whose weights are stored once. ``target`` is a hardware description
    (`hrcc --print-targets`), ``opt`` the optimization level 0 to 3.
    ``workers`` is how many threads its contexts run on, those of ``pool`` if it
    is given. ``options``:
    ``weights`` ("embed" or "external"), ``name``, ``threads`` (of the compiler)
    and ``debug_info``.
    """
    if hasattr(args, "__dlpack__"):
        raise TypeError("args is a tensor, and has to be a sequence of "
                        "arguments: (x,)")
    command = [find_hrcc(), "-fdiagnostics-format=json", f"-O{int(opt)}",
               f"--target={target}", *_translate(options or {})]
    folder = tempfile.mkdtemp(prefix="headrace-")
    try:
        path = os.path.join(folder, "model.so")
        _write(model, args, kwargs, dynamic_shapes, command, path)
        return Model(path, workers=workers, pool=pool, _folder=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None,
           dynamic_shapes: Any, command: list[str], path: str) -> None:
    """Exports what has to be, and runs hrcc."""
    with tempfile.TemporaryDirectory(prefix="headrace-") as programs:
        if isinstance(model, Mapping):
            for name, program in model.items():
                file = _to_file(program, (), None, None, programs, name)
                command.append(f"{name}={file}")
        else:
            command.append(_to_file(model, args, kwargs, dynamic_shapes,
                                    programs, "main"))
        stem = os.path.splitext(path)[0]
        command += [f"--report={stem}.report{form}"
                    for form in (".json", ".html")]
        _run(command + ["-o", path], programs)


def check_options(options: Mapping[str, Any],
                  others: Sequence[str] = ()) -> None:
    """Raises a ValueError that names the first key nobody knows."""
    known = [*_OPTIONS, *_FLAGS]
    for key in options:
        if key not in known:
            raise ValueError(f"unknown option {key!r}; the options are "
                             f"{', '.join(sorted([*known, *others]))}")


@cache
def check_target(target: str) -> None:
    """Raises an Error if there is no such hardware description."""
    if target != "native":
        _run([find_hrcc(), "-fdiagnostics-format=json",
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
             folder: str, name: str) -> str:
    """The path of a .pt2 archive of the program."""
    if isinstance(program, (str, os.PathLike)):
        return os.path.abspath(os.fspath(program))
    import torch

    if isinstance(program, torch.nn.Module):
        with _export_lock, torch.no_grad():
            args, kwargs = _separate((tuple(args), dict(kwargs or {})))
            program = torch.export.export(program, args, kwargs or None,
                                          dynamic_shapes=dynamic_shapes)
    if not isinstance(program, torch.export.ExportedProgram):
        raise TypeError("expected an nn.Module, an ExportedProgram or a path, "
                        f"got a {type(program).__name__}")
    path = os.path.join(folder, name + ".pt2")
    with _export_lock:
        torch.export.save(program, path)
    return path


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


def _run(command: list[str], folder: str = "") -> None:
    """Runs hrcc; ``folder`` has files that messages need not name."""
    messages: list[dict[str, Any]] = []
    other: list[str] = []
    progress = _Progress()
    process, interrupted = _start(command)
    with process:
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
    if status == 0:
        return
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


def _start(command: list[str]) -> tuple[subprocess.Popen[str], bool]:
    """hrcc, and whether an interrupt arrived while it was started: raised in
    there it would leave a process that nobody knows."""
    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True,
                                errors="replace")
    handler = signal.getsignal(signal.SIGINT)
    if (threading.current_thread() is not threading.main_thread()
            or handler is None):  # no handler of Python's
        return start(), False
    arrived: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: arrived.append(number))
    try:
        process = start()
    finally:
        signal.signal(signal.SIGINT, handler)
    return process, bool(arrived)


def _render(message: Mapping[str, Any]) -> str:
    text = str(message["text"])
    if "file" in message:
        place = f"{message['file']}:{message['line']}"
        if place not in text:
            text += f" ({place})"
    return text


class _Progress:
    """A line on the terminal, for compilations that take over a second."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.shown = False
        self.active = sys.stderr is not None and sys.stderr.isatty()

    def step(self, event: Mapping[str, Any]) -> None:
        seconds = time.monotonic() - self.begin
        if self.active and (self.shown or seconds > 1):
            self.shown = True
            sys.stderr.write(f"\r\x1b[Kheadrace: {event['step']} "
                             f"({event['number']} of {event['count']}, "
                             f"{seconds:.0f} s)")
            sys.stderr.flush()

    def end(self) -> None:
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


__all__ = ["check_options", "check_target", "compile"]
