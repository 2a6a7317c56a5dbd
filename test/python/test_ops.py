"""Every case of op_cases, compiled and held to the contract.

The cases of a group are compiled some at a time, as one program with an output
for each: what is tested is the operators, not how often the compiler starts.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional as F

import op_cases
from contract import Case, check

AT_A_TIME = 16


class Bundle(torch.nn.Module):
    """Calls every case with its own share of the arguments."""

    def __init__(self, cases):
        super().__init__()
        self.functions = [case.fn for case in cases]
        self.counts = [len(case.args) for case in cases]

    def forward(self, *args):
        args = iter(args)
        return [fn(*itertools.islice(args, count))
                for fn, count in zip(self.functions, self.counts)]


def bundles():
    groups = itertools.groupby(
        sorted(op_cases.CASES, key=lambda case: case.group),
        key=lambda case: case.group)
    for group, cases in groups:
        cases = list(cases)
        for start in range(0, len(cases), AT_A_TIME):
            some = cases[start:start + AT_A_TIME]
            yield pytest.param(some, id=f"{group}-{start // AT_A_TIME}")


@pytest.mark.parametrize("cases", bundles())
def test_operators(cases):
    name = ", ".join(case.id for case in cases)
    args = tuple(arg for case in cases for arg in case.args)
    check(Case(name, Bundle(cases), args))


class Dynamic(torch.nn.Module):
    """Operators over x [B, S, 12] and positions [B, S], both sizes symbolic."""

    def views(self, x, at):
        b, s, _ = x.shape
        heads = x.view(b, s, 3, 4).transpose(1, 2)
        return (heads.reshape(b, 3, -1), x.flatten(0, 1) * 2, x[:, -1],
                x[:, 1:] - x[:, :-1], x[:, ::2] + 1, x.flip(1), x.roll(1, 1), x.roll(5, 1),
                torch.cat([x, x[:, :2]], 1), torch.stack([x, -x], 1),
                x.repeat(2, 1, 2), x.repeat_interleave(2, 1),
                x[0].expand(b, s, 12) + 0.5, F.pad(x, (0, 0, 1, 2), value=3.0),
                x.unfold(1, 2, 1) + 0)

    def reductions(self, x, at):
        return (x.mean(1), x.sum((0, 1)), x.amax(1), x.var(1), x.argmax(1),
                x.softmax(1), x.log_softmax(-1), x.cumsum(1),
                F.layer_norm(x, (12,)), *x.topk(3), x.sort(1)[0],
                torch.linalg.vector_norm(x, dim=(1, 2)))

    def positions(self, x, at):
        b, s, _ = x.shape
        columns = torch.arange(s)
        mask = columns[None, :] <= columns[:, None]
        return (x[0][at], x.gather(1, at[..., None].expand(b, s, 12)),
                mask, torch.full((s,), 2.5) + columns, torch.ones(b, s).tril(),
                torch.scatter_add(torch.zeros(b, s), 1, at, x[..., 0]),
                F.one_hot(at % 5, 5), x.index_select(1, at[0]))

    def products(self, x, at):
        b, s, _ = x.shape
        heads = x.view(b, s, 3, 4).transpose(1, 2)
        image = x.transpose(1, 2)
        return (x @ x.transpose(1, 2), torch.einsum("bsd,btd->st", x, x),
                F.scaled_dot_product_attention(heads, heads, heads,
                                               is_causal=True),
                F.conv1d(image, self.window, padding=1, stride=2),
                F.conv_transpose1d(image, self.window.transpose(0, 1),
                                   stride=2),
                F.max_pool2d(image[:, None], (1, 2)), F.avg_pool1d(image, 3, 2, 1),
                F.adaptive_avg_pool1d(image, 1),
                F.interpolate(image, scale_factor=2.0))

    def __init__(self, part):
        super().__init__()
        self.window = torch.nn.Parameter(
            torch.randn(5, 12, 3, generator=torch.Generator().manual_seed(3)))
        self.part = part

    def forward(self, x, at):
        return getattr(self, self.part)(x, at)


@pytest.mark.parametrize("part",
                         ["views", "reductions", "positions", "products"])
def test_symbolic_sizes(part):
    def arguments(batch, length):
        g = torch.Generator().manual_seed(batch * 100 + length)
        # No two elements alike: the order of equal ones is nobody's promise.
        x = torch.randperm(batch * length * 12, generator=g)
        x = x.reshape(batch, length, 12) / 50.0 - 1.0
        return x, torch.randint(0, length, (batch, length), generator=g)

    b, s = torch.export.Dim("b", min=2, max=9), torch.export.Dim("s", min=4,
                                                                 max=64)
    shapes = ({0: b, 1: s}, {0: b, 1: s})
    check(Case(f"symbolic {part}", Dynamic(part).eval(), arguments(3, 7),
               dynamic_shapes=shapes,
               runs=[arguments(2, 4), arguments(5, 33)]))
