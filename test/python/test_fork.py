"""Children of fork run their parent's models, whatever its threads were doing.

Arrays are numpy's: torch's own threads do not survive a fork.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from typing import Callable

import numpy as np
import pytest
import torch

import headrace

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


def in_child(function: Callable[[], bool]) -> str:
    """What becomes of a child that calls it; one that hangs is killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(30)
        good = False
        try:
            good = function()
        finally:
            os._exit(0 if good else 1)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return "good" if os.WEXITSTATUS(status) == 0 else "bad"


class Slow(torch.nn.Module):
    """Takes long enough for a fork to happen meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.randn(1024, 1024) / 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(12):
            x = torch.tanh(x @ self.w)
        return x


class Counter(Slow):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)
        return super().forward(x) * 0 + self.count


def fork_in_a_call(context: headrace.Context, x: np.ndarray,
                   function: Callable[[], bool]) -> str:
    """Forks while another thread is in calls of the context."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            context(x)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.1)
    try:
        return in_child(function)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("workers", [1, 2])
def test_during_a_call(workers):
    example = torch.randn(512, 1024)
    model, x = headrace.compile(Slow().eval(), (example,)), example.numpy()
    context = model.context(workers)
    expected = context(x)
    assert fork_in_a_call(context, x, lambda: np.array_equal(context(x), expected)
                          ) == "good"
    # Locks that are held for a moment, and a context of the child's own.
    assert fork_in_a_call(context, x, lambda: np.array_equal(
        model.context(2)(x), expected) and np.array_equal(model(x), expected)
    ) == "good"
    assert np.array_equal(context(x), expected)


def test_state_that_a_call_left_half_written():
    x = np.ones((512, 1024), np.float32)
    context = headrace.compile(Counter().eval(),
                               (torch.from_numpy(x),)).context()

    def check() -> bool:
        try:
            context(x)
        except headrace.Error as error:
            if "forked during a call" not in str(error):
                return False
        else:
            return True  # it was between two calls
        context.reset()
        return float(context(x)[0, 0]) == 1

    for _ in range(3):
        assert fork_in_a_call(context, x, check) == "good"


def test_locks_of_other_threads_are_free():
    x = np.ones((4, 1024), np.float32)
    model = headrace.compile(Slow().eval(), (torch.from_numpy(x),))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with model._lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        assert in_child(lambda: model(x).shape == (4, 1024)) == "good"
    finally:
        done.set()
        thread.join()
    with model._lock:
        pass
