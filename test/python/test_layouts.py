"""Values between operations in other orders than PyTorch's.

Layouts are chosen by prediction (lib/Plan/Passes/ChooseLayouts.cpp). Here they
are what products of matrices want, wherever they can be, and row-major, and the
results of both are held to the contract.
"""

from __future__ import annotations

import subprocess

import pytest
import torch
from torch.nn import functional as F

import headrace
from contract import Case, Oracle, compare_trees, export, same_bits


class Bottleneck(torch.nn.Module):
    """Convolutions of all kinds around values that are read several times."""

    def __init__(self) -> None:
        super().__init__()
        self.up = torch.nn.Conv2d(6, 20, 1)
        self.depth = torch.nn.Conv2d(20, 20, 3, padding=1, groups=20)
        self.wide = torch.nn.Conv2d(20, 18, (3, 5), stride=(1, 2), padding=2)
        self.back = torch.nn.ConvTranspose2d(18, 6, 4, stride=2, padding=1)
        self.norm = torch.nn.BatchNorm2d(20)

    def forward(self, x):
        a = F.relu(self.norm(self.up(x)))
        b = self.depth(a) + a
        c = F.max_pool2d(F.gelu(b), 3, 1, 1)
        d = self.wide(c)
        e = self.back(d).flatten(2)
        f = torch.cat([c, b], 1).mean((2, 3))
        return d, e.transpose(1, 2), f, b.permute(0, 2, 3, 1).reshape(-1, 20)


class Layers(torch.nn.Module):
    """The same layer many times, so that its values are carried."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(
            torch.nn.Conv2d(8, 8, 3, padding=1) for _ in range(5))

    def forward(self, x):
        for layer in self.layers:
            x = x + F.relu(layer(x))
        return x, x.amax((1, 2))


class Heads(torch.nn.Module):
    """Heads times depth in one dimension, and products of two values."""

    def __init__(self) -> None:
        super().__init__()
        self.project = torch.nn.Linear(24, 72)
        self.out = torch.nn.Linear(24, 24)

    def forward(self, x):
        q, k, v = (t.view(*x.shape[:2], 4, 6).transpose(1, 2)
                   for t in self.project(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v)
        return (x + self.out(y.transpose(1, 2).flatten(2)),
                (q @ k.transpose(-1, -2)).softmax(-2) @ v)


class Chain(torch.nn.Module):
    """Products that sum over each other's results, of either factor."""

    def __init__(self) -> None:
        super().__init__()
        self.up = torch.nn.Linear(30, 70)
        self.down = torch.nn.Linear(70, 30)
        self.over = torch.nn.Parameter(torch.randn(30, 17))

    def forward(self, x):
        y = x + self.down(F.gelu(self.up(x)))
        z = (y @ self.over).t()
        return y, z @ y, torch.einsum("ij,kj->ki", y, self.up.weight)


def conv1d(x, w, v):
    a = F.conv1d(x, w, padding=2, dilation=2)
    return F.conv1d(a.tanh(), v, stride=2), a.sum(-1)


class Function(torch.nn.Module):
    def __init__(self, body) -> None:
        super().__init__()
        self.body = body

    def forward(self, *args):
        return self.body(*args)


BATCH = torch.export.Dim("batch", min=1, max=64)
ROWS = torch.export.Dim("rows", min=1, max=500)
CASES = [
    Case("bottleneck", Bottleneck().eval(), (torch.randn(2, 6, 9, 12),)),
    Case("batches", Bottleneck().eval(), (torch.randn(2, 6, 9, 12),),
         dynamic_shapes=({0: BATCH},),
         runs=[(torch.randn(1, 6, 9, 12),), (torch.randn(7, 6, 9, 12),)]),
    Case("layers", Layers().eval(), (torch.randn(1, 8, 7, 10),)),
    Case("heads", Heads().eval(), (torch.randn(2, 9, 24),)),
    Case("chain", Chain().eval(), (torch.randn(19, 30),)),
    Case("rows", Chain().eval(), (torch.randn(19, 30),),
         dynamic_shapes=({0: ROWS},),
         runs=[(torch.randn(1, 30),), (torch.randn(130, 30),)]),
    Case("conv1d", Function(conv1d),
         (torch.randn(2, 5, 40), torch.randn(12, 5, 3), torch.randn(7, 12, 4))),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_layouts(case, hrcc, tmp_path):
    program, args = export(case)
    path = tmp_path / "program.pt2"
    torch.export.save(program, str(path))
    for layouts in ("products", "row-major", "predicted"):
        output = tmp_path / f"{layouts}.so"
        subprocess.run([hrcc, f"-flayouts={layouts}", str(path), "-o",
                        str(output)], check=True)
        model = headrace.load(str(output))
        for number, run in enumerate([args, *case.runs]):
            results = [model.context(workers, fixed=True)(*run)
                       for workers in (1, 2)]
            with torch.no_grad():
                eager = program.module(check_guards=False)(*run)
            compare_trees(results[0], eager, Oracle(program)(*run),
                          f"{case.name}, {layouts}, run {number}")
            assert same_bits(results[0], results[1])
