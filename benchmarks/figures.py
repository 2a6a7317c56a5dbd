"""README's table: MiniLM beside PyTorch eager, opening, sizes, memory.

Latencies are measured in one process, in turns, on two threads each.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any, Callable, Sequence

import common

# In a process of its own, since the pages that opening touches stay mapped.
OPEN = """
import sys, time
sys.modules["torch"] = None
import headrace
times = []
for _ in range(20):
    begin = time.perf_counter()
    model = headrace._model.runtime.Artifact(sys.argv[1])
    context = headrace._model.runtime.Context(model, 2)
    times.append(time.perf_counter() - begin)
    del context, model
print(sorted(times)[len(times) // 2])
"""
MEMORY = """
import sys
sys.modules["torch"] = None
import numpy, headrace
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
model = headrace.load(sys.argv[1], workers=2)
ids = numpy.ones((1, 128), dtype=numpy.int64)
before = resident()
entry = model.default_context._default()
for _ in range(3):
    entry(ids, ids)
print(resident() - before)
"""


def child(code: str, *arguments: str) -> float:
    result = subprocess.run([sys.executable, "-c", code, *arguments],
                            check=True, capture_output=True, text=True)
    return float(result.stdout)


#: Longer than any of the runtimes compared here waits busily, in seconds.
PAUSE = 0.05


def compare(calls: Sequence[Callable[[], Any]], seconds: float,
            warm_up: int = 5) -> tuple[list[float], list[float]]:
    """Runs the calls in turns for so many seconds.

    Returns the median time of each call, and per call the median over all
    rounds of (time of the first call / time of this one).
    """
    for call in calls:
        for _ in range(warm_up):
            call()
    times: list[list[float]] = [[] for _ in calls]
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds or len(times[0]) < 10:
        for call, samples in zip(calls, times):
            # Threads of the call before may still spin in the hope of the next.
            time.sleep(PAUSE)
            start = time.perf_counter()
            call()
            samples.append(time.perf_counter() - start)
    medians = [statistics.median(samples) for samples in times]
    ratios = [statistics.median(first / other for first, other
                                in zip(times[0], samples))
              for samples in times]
    return medians, ratios


def format_table(rows: Sequence[tuple[str, str, str]]) -> str:
    """A Markdown table of figure, measured, goal."""
    lines = ["| figure | measured | goal |", "|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def main(seconds: float, smoke: bool) -> int:
    """Prints the table, and writes it to README.md unless others used the
    machine or it is a smoke run."""
    seconds = 1.0 if smoke else seconds
    load = common.Load()

    import headrace
    import torch

    import models
    torch.set_num_threads(2)
    static_case = models.minilm()
    encoder, full = static_case.module, static_case.args
    static = static_case.export()
    dynamic = models.minilm(dynamic=True).export()
    unique = sum(t.numel() * t.element_size() for t in {
        t.untyped_storage().data_ptr(): t for t in
        static.state_dict.values()}.values())

    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        compile_seconds = {}
        for name, program in (("static", static), ("dynamic", dynamic)):
            source = os.path.join(folder, name + ".pt2")
            paths[name] = os.path.join(folder, name + ".so")
            torch.export.save(program, source)
            samples = [common.hrcc(source, "-o", paths[name])
                       for _ in range(1 if smoke else 3)]
            compile_seconds[name] = statistics.median(samples)
        fast = headrace.load(paths["static"], workers=2)
        flexible = headrace.load(paths["dynamic"], workers=2)
        with torch.no_grad():
            times, ratios = compare(
                [lambda: encoder(*full), lambda: fast(*full),
                 lambda: flexible(*full)], seconds)
        opening = child(OPEN, paths["static"])
        grown = child(MEMORY, paths["static"])
        size = os.path.getsize(paths["static"])

    table = format_table([
        ("PyTorch eager", f"{times[0] * 1e3:.2f} ms", ""),
        ("Headrace, static shape",
         f"{times[1] * 1e3:.2f} ms, {ratios[1]:.2f} x eager's speed",
         "at least 1 x"),
        ("Headrace, dynamic batch and length",
         f"{times[2] * 1e3:.2f} ms, {times[2] / times[1]:.2f} x the static",
         "at most 1.15 x"),
        ("open and create a context", f"{opening * 1e3:.2f} ms", "5 ms"),
        ("hrcc, static", f"{compile_seconds['static']:.1f} s", "15 s"),
        ("hrcc, dynamic", f"{compile_seconds['dynamic']:.1f} s", "15 s"),
        ("artifact", f"{size / 1e6:.1f} MB, {size / unique:.4f} x the unique "
         f"weights", f"{(1.02 * unique + 1e6) / 1e6:.1f} MB"),
        ("memory that running adds", f"{grown / 1e6:.1f} MB",
         "arena and weights touched"),
    ])
    print(f"{table}\n\n{load.describe()}")
    if load.is_busy():
        print("Nothing was written: the machine was busy.")
    elif not smoke:
        common.write_between(
            os.path.join(common.ROOT, "README.md"), "figures",
            "MiniLM, batch 1, 128 tokens, f32, 2 threads, on "
            f"{common.describe_machine()}, torch {torch.__version__}, by "
            f"`benchmarks/run --readme`:\n\n{table}")
    return 0
