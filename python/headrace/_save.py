"""Copies artifacts to files of other names, with names of their own."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
from contextlib import contextmanager
from typing import Any, Iterator, Mapping

from ._errors import Error
from ._native import runtime

#: Letters of a name that there is room for (HR_NAME_ROOM in Rename.h).
_NAME_ROOM = 128 - len("hr_model_") - 1


def save(source: str, signature: Mapping[str, Any], weights: str | None,
         path: str | os.PathLike[str]) -> None:
    """Copies the artifact ``source``, and its weights, to ``path``.

    ``weights`` is where they are, if not where the artifact looks for them.
    """
    target = os.path.abspath(os.fspath(path))
    beside = signature.get("weights_file")
    name = signature["name"]
    # One that is not the file's was asked for: it stays.
    if name == _get_name(source):
        name = _get_name(target)
    weights_target = _get_weights_path(target) if beside else ""
    with _pending(target, 0o777) as file:
        runtime.copy(os.fsencode(source), file, name,
                     os.fsencode(os.path.basename(target)),
                     os.fsencode(os.path.basename(weights_target)))
        if beside:
            # The artifact last: when it is there, so is what it needs.
            with _pending(weights_target, 0o666) as copy, \
                    open(weights or _find(source, beside), "rb") as original:
                with open(copy, "wb", closefd=False) as stream:
                    shutil.copyfileobj(original, stream, 1 << 24)


def _get_name(path: str) -> str:
    """What hrcc calls the model of this file."""
    stem = os.path.splitext(os.path.basename(path))[0]
    name = "".join(chr(c) if chr(c).isalnum() and c < 128 else "_"
                   for c in os.fsencode(stem))
    return ("m" + name if not name or name[0].isdigit() else name)[:_NAME_ROOM]


def _get_weights_path(path: str) -> str:
    """Where hrcc writes the weights of this file."""
    stem, extension = os.path.splitext(path)
    return (stem if extension in (".so", ".o") else path) + ".weights"


def _find(source: str, name: str) -> str:
    """The file with the weights: beside the name that was given, or else beside
    what that links to."""
    beside = os.path.join(os.path.dirname(source), name)
    if os.path.exists(beside):
        return beside
    return os.path.join(os.path.dirname(os.path.realpath(source)), name)


@contextmanager
def _pending(path: str, mode: int) -> Iterator[int]:
    """A file that gets its name when it is complete. Its temporary name and its
    lock are those of hrcc's, which removes what a killed process has left."""
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        raise Error(f"cannot write '{path}': it is no file")
    _remove_abandoned(os.path.dirname(path))
    number = 0
    while True:
        part = os.path.join(os.path.dirname(path),
                            f".hrcc-{os.getpid()}-{number}.tmp")
        number += 1
        try:
            file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)  # another process takes it for abandoned
            continue
        except OSError:
            pass  # a file system without locks
        if os.fstat(file).st_nlink:
            break
        os.close(file)
    try:
        yield file
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
    finally:
        os.close(file)


def _remove_abandoned(folder: str) -> None:
    for name in os.listdir(folder):
        if not re.fullmatch(r"\.hrcc-[1-9][0-9]*-[0-9]+\.tmp", name):
            continue
        path = os.path.join(folder, name)
        try:
            file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            if os.fstat(file).st_uid == os.geteuid():
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
        except OSError:
            pass  # somebody writes it
        finally:
            os.close(file)


__all__ = ["save"]
