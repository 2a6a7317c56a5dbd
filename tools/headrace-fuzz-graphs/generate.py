# ===- generate.py - Random programs ---------------------------------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""Makes a program from a seed, line by line, while running it.

Every line runs in the program's own dtypes and in f64, at every setting of the
dynamic sizes. So what is known of a value is what it is: its shape at each
setting, whether it is exact (the same in both precisions), how large it gets. A
line that raises, or whose values are of no use, is taken back.

Terms:

  exact    equal in the program's dtypes and in f64: what discrete operators may
           be applied to, because a choice near a tie is nobody's fault
  root     the storage of a value; a frozen root is not written to any more
"""

from __future__ import annotations

import random
from typing import Any, Callable, Iterator

import torch

from program import (FLOATS, NAMES, Line, Program, Symbol, Tensor, copy_of,
                     scope)

SIZES = [1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 8, 12, 13, 16, 16, 17, 24, 31, 32, 33,
         48, 63, 64, 65, 96, 100, 127, 128, 129, 200, 257, 384]
LARGEST = 24000
INTEGERS = ["i64", "i32", "i16", "i8", "u8"]


class Reject(Exception):
    """The line cannot be made here."""


class Broken(Exception):
    """A write that failed half way: the program is given up."""


class Value:
    """A name, and what it holds: own[i] and wide[i] at setting i."""

    def __init__(self, name: str, own: list[torch.Tensor],
                 wide: list[torch.Tensor]) -> None:
        self.name, self.own, self.wide = name, own, wide

    def __str__(self) -> str:
        return self.name

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.own[0].shape)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(v.shape) for v in self.own)

    @property
    def rank(self) -> int:
        return self.own[0].dim()

    @property
    def dtype(self) -> torch.dtype:
        return self.own[0].dtype

    @property
    def is_float(self) -> bool:
        return self.dtype in FLOATS

    @property
    def is_bool(self) -> bool:
        return self.dtype == torch.bool

    @property
    def is_integer(self) -> bool:
        return not self.is_float and not self.is_bool

    @property
    def exact(self) -> bool:
        return all(torch.equal(a.double().nan_to_num(7.5, 8.5, 9.5),
                               b.double().nan_to_num(7.5, 8.5, 9.5))
                   for a, b in zip(self.own, self.wide))

    @property
    def finite(self) -> bool:
        return all(bool(torch.isfinite(v).all()) for v in self.own)

    @property
    def largest(self) -> float:
        return max(float(v.double().abs().max()) if v.numel() else 0.0
                   for v in self.own)

    @property
    def roots(self) -> set[int]:
        return {v.untyped_storage()._cdata for v in (*self.own, *self.wide)}

    @property
    def overlaps(self) -> bool:
        return any(stride == 0 and size != 1 for v in self.own
                   for size, stride in zip(v.shape, v.stride()))

    def is_static(self, dim: int) -> bool:
        return len({shape[dim] for shape in self.shapes}) == 1

    def size(self, dim: int) -> str:
        """The size as Python text."""
        if self.is_static(dim):
            return str(self.shape[dim])
        return f"{self.name}.shape[{dim % self.rank}]"

    @property
    def static(self) -> bool:
        return len(set(self.shapes)) == 1

    def elements(self) -> int:
        return self.own[0].numel()


class Generator:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.program = Program(seed, [], [], [])
        self.values: list[Value] = []
        self.own = [scope()]
        self.wide = [scope(double=True)]
        self.frozen: set[int] = set()
        self.owned_roots: set[int] = set()
        self.counter = 0

    # ------------------------------------------------------------ small picks

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    def choose(self, items: Any) -> Any:
        items = list(items)
        if not items:
            raise Reject
        return self.random.choice(items)

    def weighted(self, items: dict[Any, float]) -> Any:
        return self.random.choices(list(items), list(items.values()))[0]

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def size(self) -> int:
        return self.random.choice(SIZES)

    # ----------------------------------------------------------------- values

    def find(self, wanted: Callable[[Value], bool] = lambda v: True) -> Value:
        """A value; the later ones are likelier."""
        candidates = [v for v in self.values if wanted(v)]
        if not candidates:
            raise Reject
        if self.chance(0.6):
            return self.random.choice(candidates[-3:])
        return self.random.choice(candidates)

    def floating(self, rank: int = 0, also: Callable[[Value], bool]
                 = lambda v: True) -> Value:
        return self.find(lambda v: v.is_float and v.rank >= rank and also(v))

    def dim(self, value: Value, also: Callable[[int], bool] = lambda d: True
            ) -> int:
        """A dimension; negative or not."""
        dim = self.choose(d for d in range(value.rank) if also(d))
        return dim - value.rank if self.chance(0.4) else dim

    def dims(self, value: Value) -> tuple[int, ...]:
        if value.rank == 0:
            raise Reject
        count = self.number(1, value.rank)
        return tuple(self.random.sample(range(value.rank), count))

    def static_dim(self, value: Value) -> int:
        return self.dim(value, value.is_static)

    def broadcastable(self, to: Value, dtype: Callable[[Value], bool]
                      = lambda v: True) -> Value:
        """A value that broadcasts with `to`: found, or a new tensor."""
        def fits(v: Value) -> bool:
            if not dtype(v):
                return False
            try:
                for a, b in zip(v.shapes, to.shapes):
                    torch.broadcast_shapes(a, b)
            except RuntimeError:
                return False
            return True
        found = [v for v in self.values if fits(v)]
        if found and self.chance(0.75):
            return self.choose(found)
        shape = []
        for dim in range(to.rank):
            static = to.is_static(dim)
            shape.append(to.shape[dim] if static and self.chance(0.7) else 1)
        shape = shape[self.number(0, len(shape)) if self.chance(0.3) else 0:]
        value = self.tensor(tuple(shape), NAMES[to.dtype])
        if not dtype(value):
            raise Reject
        return value

    def tensor(self, shape: tuple[Any, ...], dtype: str, kind: str = "",
               role: str = "") -> Value:
        """A new input or owned tensor."""
        if not role:
            static = all(isinstance(s, int) for s in shape)
            role = self.weighted({"input": 5, "parameter": 3, "buffer": 1,
                                  "constant": 1}) if static else "input"
        if not kind:
            kind = self.weighted({"normal": 10, "small": 4, "positive": 2,
                                  "distinct": 1, "special": 0.4, "equal": 0.6,
                                  "offset": 0.5, "far": 0.3,
                                  "cancelling": 0.4, "zeros": 0.4})
            if kind == "far" and dtype == "f16":
                kind = "normal"
        layout = "plain"
        if role != "constant" and self.chance(0.12):
            layout = self.choose(["reversed", "strided"])
        letter = {"input": "x", "parameter": "p", "buffer": "b",
                  "constant": "c"}[role]
        tensor = Tensor(f"{letter}{self.counter}", shape, dtype, kind, layout,
                        role, seed=self.program.seed * 1000 + self.counter * 10)
        self.counter += 1
        self.program.tensors.append(tensor)
        for number, (own, wide) in enumerate(zip(self.own, self.wide)):
            call = number if role == "input" else 0
            value = tensor.make(self.program.settings[number], call)
            own[tensor.name] = value
            wide[tensor.name] = copy_of(value, double=True)
            if role in ("parameter", "constant"):
                self.frozen |= {value.untyped_storage()._cdata}
        value = self.value(tensor.name)
        self.values.append(value)
        if role == "input":
            self.owned_roots |= value.roots
        return value

    def value(self, name: str) -> Value:
        return Value(name, [own[name] for own in self.own],
                     [wide[name] for wide in self.wide])

    # ------------------------------------------------------------------ lines

    def define(self, text: str, cap: float = 2000.0) -> Value:
        """Adds `vN = text` and returns the value, or raises Reject."""
        name = f"v{self.counter}"
        self.counter += 1
        self.run(f"{name} = {text}")
        value = self.value(name)
        used = [v for v in self.values if v.name in Line("", text).uses]
        good = all(isinstance(v, torch.Tensor) for v in value.own)
        good = good and all(v.numel() <= LARGEST for v in value.own)
        good = good and len({v.dtype for v in value.own}) == 1
        good = good and value.dtype in NAMES
        if good and all(v.finite for v in used):
            good = value.finite and all(bool(torch.isfinite(v).all())
                                        for v in value.wide)
        if good and all(v.finite for v in used):
            good = value.largest <= (cap if value.is_float else 1e9)
        if not good:
            raise Reject
        self.program.lines.append(Line(name, text))
        self.values.append(value)
        return value

    def write(self, target: Value, text: str) -> None:
        """Adds a line that writes to `target`'s storage."""
        if target.roots & self.frozen or target.overlaps:
            raise Reject
        if target.roots & self.owned_roots and not self.mutates_inputs:
            raise Reject
        try:
            self.run(text)
        except Reject as error:
            raise Broken from error
        self.program.lines.append(Line("", text))

    def run(self, text: str) -> None:
        try:
            with torch.no_grad():
                for own, wide in zip(self.own, self.wide):
                    exec(text, own)
                for own, wide in zip(self.own, self.wide):
                    exec(text, wide)
        except Reject:
            raise
        except Exception as error:  # torch raises whatever it likes
            raise Reject from error

    def freeze(self, value: Value) -> None:
        self.frozen |= value.roots

    # ---------------------------------------------------------------- program

    def start(self) -> None:
        r, program = self.random, self.program
        dynamic = self.chance(0.25)
        self.mutates_inputs = self.chance(0.12)
        self.stateful = self.chance(0.15)
        program.decomposed = self.chance(0.12)
        if dynamic:
            for name in ("n", "m")[:self.number(1, 2)]:
                low = self.choose([2, 3, 3, 4])
                program.symbols.append(Symbol(name, low, self.choose(
                    [16, 64, 150])))
            sizes = [5, 6, 7, 8, 9, 12, 15, 16]
            first = {}
            for s, size in zip(program.symbols, r.sample(sizes, 2)):
                first[s.name] = size
            program.settings = [first]
            for _ in range(2):
                program.settings.append(
                    {s.name: self.choose([s.low + 1, s.low + 2, s.high,
                                          self.number(s.low + 1, s.high)])
                     for s in program.symbols})
            program.auto = self.chance(0.4)
            if program.auto:
                program.probes = [
                    {s.name: self.choose([0, 1, 2, 3, s.high + 1,
                                          self.number(0, 40)])
                     for s in program.symbols} for _ in range(4)]
        elif self.stateful or self.chance(0.1):
            program.settings = [{} for _ in range(self.number(2, 3))]
        self.own = [scope() for _ in program.settings]
        self.wide = [scope(double=True) for _ in program.settings]
        main = self.weighted({"f32": 6, "bf16": 2, "f16": 1, "f64": 1,
                              "i64": 0.7, "i32": 0.5, "boolean": 0.1})
        for number in range(self.number(1, 3)):
            rank = self.weighted({0: 0.3, 1: 1.5, 2: 4, 3: 4, 4: 2, 5: 0.4})
            while True:
                shape: list[Any] = [self.size() for _ in range(rank)]
                if self.chance(0.03) and rank:
                    shape[r.randrange(rank)] = 0
                count = 1
                for size in shape:
                    count *= size
                if count <= LARGEST:
                    break
            if dynamic and rank:
                for s in program.symbols:
                    if number == 0 or self.chance(0.5):
                        shape[r.randrange(rank)] = s.name
                # One dimension each; the others are small, for large settings.
                shape = [s if isinstance(s, str) or s < 9 else s % 8 + 1
                         for s in shape]
            dtype = main if number == 0 or self.chance(0.7) else self.weighted(
                {"f32": 4, "bf16": 2, "f16": 1, "f64": 1, "i64": 2, "i32": 1,
                 "u8": 0.5, "i8": 0.3, "i16": 0.3, "boolean": 1})
            role = "input" if number == 0 else ""
            if any(isinstance(s, str) for s in shape):
                role = "input"
            self.tensor(tuple(shape), dtype, role=role)

    def finish(self) -> Program:
        program = self.program
        used = set().union(*(line.uses for line in program.lines), set())
        results = [v for v in self.values if v.name[0] == "v"]
        unused = [v for v in results if v.name not in used]
        outputs = unused[-4:] or results[-1:]
        if results and self.chance(0.35):
            outputs.append(self.choose(results))
        if self.chance(0.05):
            outputs.append(self.choose(self.values))
        if self.chance(0.03):
            outputs.append(outputs[0] if outputs else self.values[0])
        if not outputs:
            raise Reject
        self.random.shuffle(outputs)
        program.outputs = [v.name for v in outputs]
        prune(program)
        return program


def prune(program: Program) -> None:
    """Takes away what no output or written tensor needs."""
    needed = set(program.outputs)
    kept = []
    for line in reversed(program.lines):
        if not line.target or line.target in needed:
            kept.append(line)
            needed |= line.uses
    program.lines = kept[::-1]
    program.tensors = [t for t in program.tensors
                       if t.name in needed or t.role == "input"]
    if sum(t.role == "input" for t in program.tensors) > 1:
        inputs = [t for t in program.inputs if t.name in needed]
        inputs = inputs or program.inputs[:1]
        program.tensors = inputs + program.owned
    named = {s for t in program.inputs for s in t.shape if isinstance(s, str)}
    program.symbols = [s for s in program.symbols if s.name in named]


def generate(seed: int) -> Program:
    import operators
    for attempt in range(20):
        g = Generator(seed * 20 + attempt)
        g.program.seed = seed
        try:
            g.start()
            wanted = g.number(1, 12)
            tries = 0
            while len(g.program.lines) < wanted and tries < 80:
                tries += 1
                before = (len(g.program.lines), len(g.values))
                try:
                    g.weighted(operators.TABLE)(g)
                except Reject:
                    # Lines of a group that were made already may stay.
                    pass
            if g.program.lines:
                return g.finish()
        except (Reject, Broken):
            continue
    raise RuntimeError(f"no program for seed {seed}")
