"""Locks that are free in a child of fork, whoever held them in the parent."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any


class Lock:
    """A lock for ``with``.

    A child has only the thread that forked. What another one held is free there,
    and what the forking thread itself holds stays so.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(self, *_: Any) -> None:
        self._owner = None
        self._lock.release()


_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


def _renew() -> None:
    for lock in list(_locks):
        if lock._owner != threading.get_ident():
            lock._lock, lock._owner = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)

__all__ = ["Lock"]
