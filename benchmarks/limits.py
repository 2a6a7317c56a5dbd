#!/usr/bin/env python3
"""Measures what this machine can do at most.

    benchmarks/limits [--json FILE] [--seconds S]

Arithmetic in operations (multiplications and additions) per second, memory in
bytes per second over working sets that fit each cache and none, each on one
thread and on all. The loops are those of `hrcc --probe` (Limits.cpp), so are
they in `benchmarks/run`, where a row's limit runs beside what it limits.
"""

from __future__ import annotations

import argparse
import ctypes
import glob
import json
import os
import statistics
import time
from typing import Any, Iterator

import common

#: What numbers of a kind may be multiplied with; the fastest of those that the
#: machine has is the limit.
ARITHMETIC = {
    "f32": ("fma_f32",),
    "bf16": ("tile_bf16", "dot_bf16", "fma_f32"),
}


class Limits:
    """The library, with a pool of threads that spin between the calls."""

    def __init__(self, threads: int) -> None:
        path = os.path.join(common.BUILD, "benchmarks",
                            "libheadrace-limits.so")
        if not os.path.exists(path):
            raise FileNotFoundError(f"{path} is not built: run tools/setup.sh")
        self._library = library = ctypes.CDLL(path)
        library.limits_names.restype = ctypes.c_char_p
        library.limits_create.restype = ctypes.c_void_p
        library.limits_create.argtypes = [ctypes.c_int]
        library.limits_destroy.argtypes = [ctypes.c_void_p]
        library.limits_compute.restype = ctypes.c_double
        library.limits_compute.argtypes = [ctypes.c_void_p, ctypes.c_char_p,
                                           ctypes.c_double]
        library.limits_move.restype = ctypes.c_double
        library.limits_move.argtypes = [ctypes.c_void_p, ctypes.c_char_p,
                                        ctypes.c_int64, ctypes.c_int64]
        library.limits_barrier.restype = ctypes.c_double
        library.limits_barrier.argtypes = [ctypes.c_void_p, ctypes.c_int64]
        library.limits_thread.restype = ctypes.c_double
        self.names: list[str] = library.limits_names().decode().split()
        self._pool = library.limits_create(threads)

    def close(self) -> None:
        """Ends the threads."""
        self._library.limits_destroy(self._pool)

    def compute(self, name: str, operations: float) -> float:
        """Seconds for so many operations."""
        return self._library.limits_compute(self._pool, name.encode(),
                                            operations)

    def move(self, name: str, size: int, passes: int = 1) -> float:
        """Seconds to go over `size` bytes so many times."""
        return self._library.limits_move(self._pool, name.encode(), size,
                                         passes)

    def barrier(self, rounds: int) -> float:
        """Seconds in which all threads wait for each other `rounds` times."""
        return self._library.limits_barrier(self._pool, rounds)

    def thread(self) -> float:
        """Seconds to start a thread and to see it end."""
        return self._library.limits_thread()

    def fastest(self, kind: str) -> str:
        """The fastest way to multiply numbers of the kind, as measured."""
        known = [name for name in ARITHMETIC[kind] if name in self.names]
        return min(known, key=lambda name: min(
            self.compute(name, 2e8) for _ in range(5)))


def best(measure: Any, seconds: float) -> float:
    """The highest of the rates measured in so many seconds."""
    rates = [measure()]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        rates.append(measure())
    return max(rates)


def working_sets(threads: int) -> Iterator[tuple[str, int]]:
    """A name and the bytes of all threads together, per level of memory."""
    sizes: dict[int, tuple[int, int]] = {}
    for folder in glob.glob("/sys/devices/system/cpu/cpu0/cache/index*"):
        def read(name: str) -> str:
            with open(os.path.join(folder, name)) as file:
                return file.read().strip()
        if read("type") == "Instruction":
            continue
        size = read("size")
        unit = {"K": 1024, "M": 1024 ** 2}.get(size[-1], 1)
        count = threads if read("shared_cpu_list").isdigit() else 1
        sizes[int(read("level"))] = (int(size.rstrip("KM")) * unit, count)
    largest = 0
    for level, (size, count) in sorted(sizes.items()):
        yield f"L{level}", max(size * count // 2, 4096 * threads)
        largest = max(largest, size * count)
    yield "memory", min(max(8 * largest, 256 << 20), 1 << 30)


def measure(threads: int, seconds: float) -> dict[str, float]:
    """Every figure on so many threads: a rate per second, or seconds."""
    limits = Limits(threads)
    figures: dict[str, float] = {}
    arithmetic = [name for name in limits.names
                  if not name.startswith(("read", "write", "copy"))]
    for name in arithmetic:
        amount = 1e8 * threads
        while limits.compute(name, amount) < 0.002:
            amount *= 2
        figures[name] = best(
            lambda: amount / limits.compute(name, amount), seconds)
    for level, size in working_sets(threads):
        passes = max(1, (16 << 20) // size)
        for name in limits.names:
            if name in arithmetic:
                continue
            if level != "memory" and name.endswith("_nt"):
                continue  # goes past the caches
            limits.move(name, size, passes)
            figures[f"{name}_{level}"] = best(
                lambda: size * passes / limits.move(name, size, passes),
                seconds)
    if threads > 1:
        figures["barrier"] = min(limits.barrier(1000) / 1000
                                 for _ in range(20))
    figures["thread_start_join"] = statistics.median(
        limits.thread() for _ in range(100))
    limits.close()
    return figures


def format_figure(name: str, value: float) -> str:
    if name in ("barrier", "thread_start_join"):
        return f"{value * 1e9:.0f} ns"
    unit = "GB/s" if name.startswith(("read", "write", "copy")) else "Gop/s"
    return f"{value / 1e9:.1f} {unit}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures")
    parser.add_argument("--seconds", type=float, default=0.3,
                        help="how long each figure is measured")
    parser.add_argument("--threads", type=int,
                        default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    load = common.Load()
    counts = sorted({1, options.threads})
    figures = {count: measure(count, options.seconds) for count in counts}
    print("| limit | " + " | ".join(
        f"{count} thread" + "s" * (count > 1) for count in counts) + " |")
    print("|---|" + "---|" * len(counts))
    for name in figures[counts[-1]]:
        cells = [format_figure(name, figures[count][name])
                 if name in figures[count] else "" for count in counts]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(f"\n{common.describe_machine()}; {load.describe()}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": common.describe_machine(),
                       "others": load.others(),
                       "limits": figures}, file, indent=1)


if __name__ == "__main__":
    main()
