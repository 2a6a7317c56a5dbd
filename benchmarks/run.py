#!/usr/bin/env python3
"""Measures the figures of README's table: MiniLM beside PyTorch eager.

    .venv/bin/python benchmarks/run.py [--seconds S] [--smoke] [--readme]

Latencies are measured in one process, in turns, on two threads each; every
figure is of this run on this machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import common

# In a process of its own, since the pages that opening touches stay mapped.
OPEN = """
import sys, time
sys.modules["torch"] = None
import headrace
times = []
for _ in range(20):
    begin = time.perf_counter()
    model = headrace._model.runtime.Artifact(sys.argv[1], sys.argv[2])
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20,
                        help="how long each comparison runs")
    parser.add_argument("--smoke", action="store_true",
                        help="seconds only: shows that it runs")
    parser.add_argument("--readme", action="store_true",
                        help="write the table to README.md, unless the machine "
                             "was busy with something else")
    options = parser.parse_args()
    seconds = 1.0 if options.smoke else options.seconds
    load = os.getloadavg()[0]  # of others: before our own adds to it

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
                       for _ in range(1 if options.smoke else 3)]
            compile_seconds[name] = statistics.median(samples)
        fast = headrace.load(paths["static"], workers=2)
        flexible = headrace.load(paths["dynamic"], workers=2)
        with torch.no_grad():
            times, ratios = common.compare(
                [lambda: encoder(*full), lambda: fast(*full),
                 lambda: flexible(*full)], seconds)
        opening = child(OPEN, paths["static"],
                        "hr_model_" + fast.signature["name"])
        grown = child(MEMORY, paths["static"])
        size = os.path.getsize(paths["static"])

    table = common.format_table([
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
    text = (f"MiniLM, batch 1, 128 tokens, f32, 2 threads, on "
            f"{common.describe_machine()}, by `benchmarks/run.py`:\n\n{table}")
    print(text)
    if load > 1.5:
        print(f"\nThe machine was busy (load {load:.1f}): do not quote these "
              "figures.")
    elif options.readme:
        common.write_readme(text)


if __name__ == "__main__":
    main()
