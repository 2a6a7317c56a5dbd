"""What the benchmarks share: the machine's name, its load, the compiler."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("HEADRACE_BUILD") or os.path.join(ROOT, "build")
sys.path.insert(0, os.path.join(ROOT, "test", "python"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
#: Above this share of the CPUs taken by others, figures are not recorded.
BUSY = 0.05


def describe_machine() -> str:
    """CPU, its vector features, and how many of it this process may use."""
    name, flags = platform.machine(), set()
    with open("/proc/cpuinfo") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() == "flags":
                flags = set(value.split())
                break
    known = {"avx512f": "AVX-512", "avx512_vnni": "VNNI",
             "avx512_bf16": "BF16", "amx_tile": "AMX"}
    features = [text for flag, text in known.items() if flag in flags]
    if not features and "avx2" in flags:
        features = ["AVX2"]
    cpus = len(os.sched_getaffinity(0))
    return f"{name} ({', '.join(features) or 'no AVX2'}), {cpus} CPUs"


class Load:
    """How much of the CPUs others took since this was made."""

    def __init__(self) -> None:
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._begin = time.monotonic()
        self._busy = self._read()
        self._own = self._read_own()

    def _read(self) -> float:
        """Seconds that all CPUs have worked, or were taken from us."""
        with open("/proc/stat") as file:
            fields = file.readline().split()[1:]
        user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
        return (user + nice + system + irq + softirq + steal) / self._ticks

    def _read_own(self) -> float:
        """Seconds of this process and of its children that have ended."""
        times = os.times()
        return (times.user + times.system + times.children_user
                + times.children_system)

    def others(self) -> float:
        """The share of the CPUs' time, 0 to 1. Children must have ended."""
        elapsed = (time.monotonic() - self._begin) * (os.cpu_count() or 1)
        taken = (self._read() - self._busy) - (self._read_own() - self._own)
        return max(0.0, min(1.0, taken / elapsed)) if elapsed > 0 else 0.0

    def is_busy(self) -> bool:
        return self.others() > BUSY

    def describe(self) -> str:
        return f"others took {self.others():.0%} of the CPUs' time"


def hrcc(*arguments: str) -> float:
    """Runs the compiler; returns the seconds it took."""
    begin = time.perf_counter()
    subprocess.run([os.path.join(BUILD, "bin", "hrcc"), *arguments],
                   check=True)
    return time.perf_counter() - begin


def write_between(path: str, mark: str, text: str) -> None:
    """Puts the text between the marks `<!-- mark -->` and
    `<!-- end of mark -->` of a page."""
    with open(path) as file:
        page = file.read()
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    head, rest = page.split(begin)
    tail = rest.split(end)[1]
    with open(path, "w") as file:
        file.write(head + begin + text + "\n" + end + tail)
