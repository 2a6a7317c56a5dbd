#!/usr/bin/env python3
# ===- fuzz.py - Random programs against eager and f64 ---------------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""Differential fuzzer: random tensor programs, compiled and held to the
contract of test/python/contract.py against eager and f64.

    fuzz.py [--seed N] [--count N] [--jobs N] [--failures DIR]

Program number N is the same whenever and beside whatever it runs. Programs are
compiled BLOCK at a time, at -O0 and another level, for this machine or another
description that it can execute. A failure is made smaller and written to DIR as
a Python file that fails on its own. The last line says how many were right.

Exit status: 0 if nothing failed, 1 if something did.
"""

from __future__ import annotations

import argparse
import collections
import logging
import multiprocessing
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
for folder in (ROOT / "python", ROOT / "test" / "python", HERE):
    sys.path.insert(0, str(folder))

import torch  # noqa: E402

from generate import generate  # noqa: E402
from judge import Setup, Verdict, judge  # noqa: E402
from minimize import Minimizer  # noqa: E402
from program import Program, write_reproducer  # noqa: E402
from headrace._native import find_hrcc  # noqa: E402

BLOCK = 8
#: A process keeps every artifact it ever loaded: it is replaced now and then.
BLOCKS_PER_PROCESS = 30


def find_targets() -> list[str]:
    """Names of the descriptions that this machine can execute."""
    flags = set(re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo")
                          .read_text(), re.MULTILINE)[1].split())
    flags = {flag.replace("_", "").replace(".", "") for flag in flags}
    # What the kernel calls otherwise.
    for kernel, name in (("abm", "lzcnt"), ("bmi1", "bmi")):
        if kernel in flags:
            flags.add(name)
    listing = subprocess.run([find_hrcc(), "--print-targets"], check=True,
                             capture_output=True, text=True).stdout
    names = []
    for line in listing.splitlines():
        name = line.split()[0] if line.strip() else ""
        shown = subprocess.run([find_hrcc(), f"--print-target={name}"],
                               capture_output=True, text=True)
        if shown.returncode or "codegen = x86_64" not in shown.stdout:
            continue
        needed = re.search(r"features = \[(.*?)\]", shown.stdout, re.DOTALL)
        wanted = {f.replace("_", "").replace(".", "").replace("-", "")
                  for f in re.findall(r'"(.*?)"', needed[1])}
        if wanted <= flags:
            names.append(name)
    return names


def make_descriptions(targets: list[str], folder: str, count: int = 12
                      ) -> list[str]:
    """Files like the targets', with other caches: other tiles are planned."""
    files = []
    for number in range(count):
        r = random.Random(number)
        name = r.choice(targets)
        text = subprocess.run([find_hrcc(), f"--print-target={name}"],
                              check=True, capture_output=True,
                              text=True).stdout
        for level, sizes in (("l1", [4, 8, 16, 64]), ("l2", [32, 64, 256, 4096]),
                             ("l3", [512, 2048, 65536])):
            text = re.sub(rf"(@{level} \(bytes = )\d+ [KM]iB",
                          rf"\g<1>{r.choice(sizes)} KiB", text)
        path = os.path.join(folder, f"description{number}.mlir")
        pathlib.Path(path).write_text(text)
        files.append(path)
    return files


def pick_setup(block: int, targets: list[str], files: list[str],
               check_accesses: bool, layouts: str) -> Setup:
    r = random.Random(block)
    levels = r.choices([(2,), (0, 2), (0,), (1,), (3,)], [10, 3, 1, 1, 1])[0]
    target = "native"
    if r.random() < 0.5:
        target = r.choice([*targets, *files])
    return Setup(levels, target, check_accesses, layouts)


class Server:
    """A process that judges programs one at a time; a wrong program may take
    it down, and the next one gets another."""

    LIFE = 200

    def __init__(self) -> None:
        self.process = None
        self.left = 0

    def __call__(self, program: Program, setup: Setup) -> Verdict:
        if self.left <= 0:
            self.stop()
        if self.process is None:
            self.pipe, other = multiprocessing.Pipe()
            self.process = multiprocessing.get_context("fork").Process(
                target=serve, args=(other,), daemon=True)
            self.process.start()
            other.close()
            self.left = self.LIFE
        self.left -= 1
        try:
            self.pipe.send((program, setup))
            if self.pipe.poll(300):
                return self.pipe.recv()
            message = "no end after 300 s"
        except (EOFError, OSError):
            self.process.join(5)
            message = f"the process died ({self.process.exitcode})"
        self.stop()
        return Verdict("crash", message)

    def stop(self) -> None:
        if self.process is not None:
            self.pipe.close()
            self.process.kill()
            self.process.join()
            self.process = None


def serve(pipe) -> None:
    quiet()
    while True:
        try:
            program, setup = pipe.recv()
        except EOFError:
            return
        pipe.send(judge([program], setup)[0])


def dies_generating(number: int) -> bool:
    """Whether eager mode takes the process with it: programs are run as they
    are made."""
    process = multiprocessing.get_context("fork").Process(
        target=generate, args=(number,), daemon=True)
    process.start()
    process.join()
    return process.exitcode < 0


def quiet() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def work(blocks, seeds, pick, results) -> None:
    """Judges blocks; says which one it is at before, in case it dies."""
    quiet()
    for block in blocks:
        results.send(("begin", block))
        numbers = [n for n in range(block * BLOCK, (block + 1) * BLOCK)
                   if n in seeds]
        programs = [generate(n) for n in numbers]
        verdicts = judge(programs, pick(block))
        results.send(("done", block, list(zip(numbers, verdicts))))


class Fuzzer:
    def __init__(self, options: argparse.Namespace, folder: str) -> None:
        self.options = options
        self.seeds = range(options.seed, options.seed + options.count)
        self.targets = find_targets()
        self.files = make_descriptions(self.targets, folder)
        self.counts: collections.Counter[str] = collections.Counter()
        self.reasons: collections.Counter[str] = collections.Counter()
        self.begin = time.monotonic()
        self.judge = Server()

    def pick(self, block: int) -> Setup:
        return pick_setup(block, self.targets, self.files,
                          self.options.check_accesses, self.options.layouts)

    def run(self) -> int:
        first, last = self.seeds[0] // BLOCK, self.seeds[-1] // BLOCK
        waiting = collections.deque(range(first, last + 1))
        workers: dict[object, tuple[object, list[int]]] = {}
        context = multiprocessing.get_context("fork")
        printed = self.begin
        while waiting or workers:
            while waiting and len(workers) < self.options.jobs:
                blocks = [waiting.popleft() for _ in range(
                    min(BLOCKS_PER_PROCESS, len(waiting)))]
                receive, send = context.Pipe(False)
                process = context.Process(target=work, args=(
                    blocks, self.seeds, self.pick, send))
                process.start()
                send.close()
                workers[receive] = (process, blocks)
            for receive in multiprocessing.connection.wait(list(workers), 5):
                process, blocks = workers[receive]
                try:
                    message = receive.recv()
                except EOFError:
                    process.join()
                    del workers[receive]
                    if blocks:
                        # It died in the first of them.
                        waiting.extendleft(reversed(blocks[1:]))
                        self.one_by_one(blocks[0])
                    continue
                if message[0] == "done":
                    blocks.remove(message[1])
                    for number, verdict in message[2]:
                        self.note(number, verdict)
            if time.monotonic() - printed > 20:
                printed = time.monotonic()
                print(self.summary(), flush=True)
        for reason, count in self.reasons.most_common(40):
            print(f"  {count} {reason}")
        print(self.summary())
        return 1 if self.failures() else 0

    def one_by_one(self, block: int) -> None:
        setup = self.pick(block)
        for number in range(block * BLOCK, (block + 1) * BLOCK):
            if number not in self.seeds:
                continue
            if dies_generating(number):
                self.note(number, Verdict(
                    "skipped", "torch itself dies while the program is made"))
            else:
                self.note(number, self.judge(generate(number), setup))

    def failures(self) -> int:
        return sum(count for kind, count in self.counts.items()
                   if kind not in ("right", "excused", "skipped", "refused"))

    def summary(self) -> str:
        done = sum(self.counts.values())
        seconds = time.monotonic() - self.begin
        parts = ", ".join(f"{count} {kind}" for kind, count
                          in sorted(self.counts.items()))
        return (f"seeds {self.seeds[0]}..{self.seeds[-1]}: {done} done in "
                f"{seconds:.0f} s ({done / max(seconds, 1e-3):.1f}/s): {parts}")

    def note(self, number: int, verdict: Verdict) -> None:
        if verdict.failed:
            setup = self.pick(number // BLOCK)
            alone = self.judge(generate(number), setup)
            if not alone.failed:
                verdict = Verdict("batch", "fails only beside others: "
                                  + verdict.message)
        self.counts[verdict.kind] += 1
        if verdict.kind in ("refused", "skipped", "excused"):
            line = next(iter(verdict.message.splitlines()), "")
            line = re.sub(r"seed \d+|\d+", "N", line)[:110]
            self.reasons[f"{verdict.kind}: {line}"] += 1
        if self.options.verbose and verdict.kind != "right":
            print(f"seed {number}: {verdict.kind}: {verdict.message}",
                  flush=True)
        if not verdict.failed:
            return
        print(f"seed {number}: {verdict.kind}: {verdict.message}", flush=True)
        self.report(number, verdict)

    def report(self, number: int, verdict: Verdict) -> None:
        setup = self.pick(number // BLOCK)
        program = generate(number)
        if verdict.kind != "batch" and self.options.minimize:
            minimizer = Minimizer(program, setup, verdict, self.judge)
            try:
                minimizer.minimize()
            except Exception:
                traceback.print_exc()
            program, setup = minimizer.program, minimizer.setup
            verdict = minimizer.verdict
        folder = pathlib.Path(self.options.failures)
        folder.mkdir(parents=True, exist_ok=True)
        target = setup.target
        if target.endswith(".mlir"):
            kept = folder / f"seed{number}.mlir"
            kept.write_text(pathlib.Path(target).read_text())
            target = str(kept)
        path = folder / f"seed{number}.py"
        path.write_text(write_reproducer(
            program, str(path), f"Seed {number}: {verdict.kind}",
            verdict.message, target, list(setup.levels)))
        print(program.source() + f"  written to {path}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse
                                     .RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--failures", default="fuzz-failures")
    parser.add_argument("--no-minimize", dest="minimize",
                        action="store_false")
    parser.add_argument("--layouts", default="predicted",
                        choices=["predicted", "row-major", "products"],
                        help="compile with -flayouts=")
    parser.add_argument("--check-accesses", action="store_true",
                        help="compile with -fcheck-accesses")
    parser.add_argument("--verbose", action="store_true",
                        help="print every verdict that is not 'right'")
    parser.add_argument("--show", action="store_true",
                        help="print the programs and do nothing else")
    options = parser.parse_args()
    if options.show:
        for number in range(options.seed, options.seed + options.count):
            print(generate(number).source())
        return 0
    # Processes are forked from this one: torch must have no threads in it.
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="headrace-fuzz-") as folder:
        return Fuzzer(options, folder).run()


if __name__ == "__main__":
    sys.exit(main())
