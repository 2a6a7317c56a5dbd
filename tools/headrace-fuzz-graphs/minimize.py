# ===- minimize.py - The smallest program that fails alike -----------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""Takes away from a program whatever its failure does not need.

Tried in turn until nothing more goes: outputs, lines (their values become new
inputs, or other values of that shape), decomposition, calls, dynamic sizes,
sizes, dtypes, kinds of data, the target and one of the levels.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from typing import Callable, Iterator

import torch

from generate import prune
from judge import Setup, Verdict, judge
from program import NAMES, Program, Tensor, copy_of, scope

TRIALS = 400


class Minimizer:
    def __init__(self, program: Program, setup: Setup, verdict: Verdict,
                 run: Callable[[Program, Setup], Verdict]) -> None:
        self.program, self.setup, self.verdict = program, setup, verdict
        self.run = run
        self.trials = 0

    def accept(self, program: Program, setup: Setup | None = None) -> bool:
        """Takes the program if it fails as the first one did."""
        if self.trials >= TRIALS:
            return False
        self.trials += 1
        setup = setup or self.setup
        try:
            prune(program)
            if not program.outputs or not program.inputs:
                return False
        except Exception:
            return False
        verdict = self.run(program, setup)
        if not verdict.failed or not verdict.same_failure(self.verdict):
            return False
        self.program, self.setup, self.verdict = program, setup, verdict
        return True

    def minimize(self) -> None:
        for level in self.setup.levels:
            if len(self.setup.levels) > 1:
                self.accept(copy.deepcopy(self.program),
                            dataclasses.replace(self.setup, levels=(level,)))
        if self.setup.target != "native":
            self.accept(copy.deepcopy(self.program),
                        dataclasses.replace(self.setup, target="native"))
        while self.trials < TRIALS:
            before = self.size()
            self.fewer_outputs()
            self.fewer_lines()
            self.simpler_calls()
            self.smaller_sizes()
            self.simpler_tensors()
            if self.size() >= before:
                return

    def size(self) -> tuple[int, ...]:
        p = self.program
        elements = sum(t.make(p.settings[0]).numel() for t in p.tensors)
        return (len(p.lines), len(p.outputs), len(p.settings), len(p.symbols),
                len(p.tensors), elements,
                sum(t.dtype != "f32" for t in p.tensors),
                sum(t.kind != "normal" or t.layout != "plain"
                    or t.role != "input" for t in p.tensors))

    def fewer_outputs(self) -> None:
        for name in list(self.program.outputs):
            if len(self.program.outputs) > 1:
                p = copy.deepcopy(self.program)
                p.outputs = [name]
                if self.accept(p):
                    return
        for name in list(self.program.outputs):
            if len(self.program.outputs) > 1:
                p = copy.deepcopy(self.program)
                p.outputs.remove(name)
                self.accept(p)

    def fewer_lines(self) -> None:
        number = len(self.program.lines)
        while number > 0:
            number = min(number, len(self.program.lines)) - 1
            if number < 0:
                break
            line = self.program.lines[number]
            if not line.target:
                p = copy.deepcopy(self.program)
                del p.lines[number]
                self.accept(p)
                continue
            for change in (self.end_at, self.input_instead,
                           self.operand_instead):
                p = copy.deepcopy(self.program)
                if change(p, number) and self.accept(p):
                    break

    def end_at(self, p: Program, number: int) -> bool:
        """The line's value is the only output, and what follows goes."""
        if number == len(p.lines) - 1:
            return False
        p.outputs = [p.lines[number].target]
        del p.lines[number + 1:]
        return True

    def input_instead(self, p: Program, number: int) -> bool:
        target = p.lines[number].target
        shape, dtype = self.describe(target)
        if shape is None:
            return False
        seed = p.seed * 1000 + 500 + number
        name = f"x{100 + number}"
        while any(t.name == name for t in p.tensors):
            name += "0"
        del p.lines[number]
        rename(p, target, name)
        p.tensors.append(Tensor(name, shape, dtype, seed=seed))
        return True

    def operand_instead(self, p: Program, number: int) -> bool:
        """One of the line's own operands, if it has the same shape."""
        target = p.lines[number].target
        shape, dtype = self.describe(target)
        for use in p.lines[number].uses:
            if self.describe(use) == (shape, dtype) and shape is not None:
                del p.lines[number]
                rename(p, target, use)
                return True
        return False

    def describe(self, name: str):
        """Shape, in symbols where it is dynamic, and dtype; or None."""
        p = self.program
        shapes, dtype = [], ""
        for setting in p.settings:
            env = scope()
            for t in p.tensors:
                env[t.name] = copy_of(t.make(setting))
            try:
                with torch.no_grad():
                    for line in p.lines:
                        exec(str(line), env)
                        if line.target == name:
                            break
            except Exception:
                return None, ""
            value = env.get(name)
            if not isinstance(value, torch.Tensor) or value.dtype not in NAMES:
                return None, ""
            shapes.append(tuple(value.shape))
            dtype = NAMES[value.dtype]
        shape = []
        for sizes in zip(*shapes):
            if len(set(sizes)) == 1:
                shape.append(sizes[0])
                continue
            found = [s.name for s in p.symbols
                     if tuple(x[s.name] for x in p.settings) == sizes]
            if not found:
                return None, ""
            shape.append(found[0])
        return tuple(shape), dtype

    def simpler_calls(self) -> None:
        if self.program.decomposed:
            p = copy.deepcopy(self.program)
            p.decomposed = False
            self.accept(p)
        if self.program.symbols:
            for setting in self.program.settings:
                p = copy.deepcopy(self.program)
                for t in p.tensors:
                    t.shape = tuple(setting[s] if isinstance(s, str) else s
                                    for s in t.shape)
                p.symbols, p.settings, p.probes = [], [{}], []
                if self.accept(p):
                    break
        for number in range(len(self.program.probes) - 1, -1, -1):
            p = copy.deepcopy(self.program)
            del p.probes[number]
            self.accept(p)
        if self.program.auto and not self.program.probes:
            p = copy.deepcopy(self.program)
            p.auto = False
            self.accept(p)
        for number in range(len(self.program.settings) - 1, -1, -1):
            if len(self.program.settings) > 1:
                p = copy.deepcopy(self.program)
                del p.settings[number]
                self.accept(p)

    def smaller_sizes(self) -> None:
        """Each size that occurs, wherever it does."""
        sizes = sorted({s for t in self.program.tensors for s in t.shape
                        if isinstance(s, int) and s > 1}, reverse=True)
        for size in sizes:
            for smaller in dict.fromkeys((1, 2, 3, size // 2, size - 1)):
                if smaller < size and self.accept(resize(self.program, size,
                                                         smaller)):
                    break

    def simpler_tensors(self) -> None:
        for number in range(len(self.program.tensors)):
            for field, value in (("dtype", "f32"), ("kind", "normal"),
                                 ("layout", "plain"), ("role", "input")):
                if number >= len(self.program.tensors):
                    return
                if getattr(self.program.tensors[number], field) == value:
                    continue
                p = copy.deepcopy(self.program)
                setattr(p.tensors[number], field, value)
                self.accept(p)


def rename(p: Program, old: str, new: str) -> None:
    word = re.compile(rf"\b{old}\b")
    for line in p.lines:
        line.text = word.sub(new, line.text)
    p.outputs = [new if name == old else name for name in p.outputs]


def resize(program: Program, old: int, new: int) -> Program:
    """The program with one number for another in shapes and lines."""
    p = copy.deepcopy(program)
    for t in p.tensors:
        t.shape = tuple(new if s == old else s for s in t.shape)
        if t.kind.partition(":")[2] == str(old):
            t.kind = t.kind.partition(":")[0] + f":{new}"
    if old > 3:
        word = re.compile(rf"(?<![\w.]){old}(?![\w.])")
        for line in p.lines:
            line.text = word.sub(str(new), line.text)
    return p
