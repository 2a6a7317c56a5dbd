"""What the benchmarks share: models, timing in turns, the machine's name."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from typing import Any, Callable, Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("HEADRACE_BUILD") or os.path.join(ROOT, "build")
sys.path.insert(0, os.path.join(ROOT, "test", "python"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def describe_machine() -> str:
    """CPU, how many of it this process may use, and versions."""
    import torch
    name = platform.machine()
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    cpus = len(os.sched_getaffinity(0))
    return f"{name}, {cpus} CPUs, torch {torch.__version__}"


def hrcc(*arguments: str) -> float:
    """Runs the compiler; returns the seconds it took."""
    begin = time.perf_counter()
    subprocess.run([os.path.join(BUILD, "bin", "hrcc"), *arguments],
                   check=True)
    return time.perf_counter() - begin


def compare(calls: Sequence[Callable[[], Any]], seconds: float,
            warm_up: int = 5) -> tuple[list[float], list[float]]:
    """Runs the calls in turns for so many seconds.

    Returns the median time of each call, and per call the median over all
    rounds of (time of the first call / time of this one): what disturbs the
    machine disturbs a whole round, and cancels out of its ratios.
    """
    for call in calls:
        for _ in range(warm_up):
            call()
    times: list[list[float]] = [[] for _ in calls]
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds or len(times[0]) < 10:
        for call, samples in zip(calls, times):
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


def write_readme(text: str) -> None:
    """Puts the text between the two marks in README.md."""
    path = os.path.join(ROOT, "README.md")
    with open(path) as file:
        page = file.read()
    begin, end = "<!-- figures -->\n", "<!-- end of figures -->"
    head, rest = page.split(begin)
    tail = rest.split(end)[1]
    with open(path, "w") as file:
        file.write(head + begin + text + "\n" + end + tail)
