"""Every case of op_cases, compiled and held to the contract.

The cases of a group are compiled some at a time, as one program with an output
for each: what is tested is the operators, not how often the compiler starts.
"""

from __future__ import annotations

import itertools

import pytest
import torch

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
