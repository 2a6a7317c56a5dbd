"""The contract's checker notices what it is for."""

import math

import pytest
import torch

import contract


def test_twice_the_error_of_eager_is_allowed_and_more_is_not():
    oracle = torch.linspace(1, 2, 1000, dtype=torch.float64)
    eager = (oracle * (1 + 1e-4)).float()
    contract.compare((oracle * (1 + 1.9e-4)).float(), eager, oracle, "x")
    with pytest.raises(AssertionError, match="largest error"):
        contract.compare((oracle * (1 + 2.2e-4)).float(), eager, oracle, "x")


def test_four_ulp_of_the_scale_are_allowed():
    oracle = torch.tensor([1.0, 1e-9], dtype=torch.float64)
    eager = oracle.float()
    ulp = 2.0 ** -23
    contract.compare(torch.tensor([1.0 + 3 * ulp, 0.0]), eager, oracle, "x")
    with pytest.raises(AssertionError, match="4 ulp"):
        contract.compare(torch.tensor([1.0 + 6 * ulp, 0.0]), eager, oracle,
                         "x")


def test_many_small_errors_break_the_percentile():
    oracle = torch.ones(10000, dtype=torch.float64)
    eager = oracle.float()
    eager[0] += 0.01  # one bad value of eager does not excuse the rest
    ours = oracle.float() + 0.005
    with pytest.raises(AssertionError, match="99.9th percentile"):
        contract.compare(ours, eager, oracle, "x")


@pytest.mark.parametrize("ours", [0.0, math.inf, -math.inf])
def test_nan_belongs_where_eager_has_it(ours):
    value = torch.tensor([math.nan, 1.0])
    with pytest.raises(AssertionError, match="NaN or infinite"):
        contract.compare(torch.tensor([ours, 1.0]), value, value.double(), "x")


def test_infinity_where_there_is_none():
    value = torch.ones(2)
    with pytest.raises(AssertionError, match="NaN or infinite"):
        contract.compare(torch.tensor([math.inf, 1.0]), value, value.double(),
                         "x")


def test_overflow_of_the_dtype_may_go_either_way():
    eager = torch.tensor([math.inf, 1.0], dtype=torch.float16)
    oracle = torch.tensor([70000.0, 1.0], dtype=torch.float64)
    contract.compare(torch.tensor([65504.0, 1.0], dtype=torch.float16), eager,
                     oracle, "x")


def test_integers_are_exact():
    value = torch.arange(10)
    other = value.clone()
    other[3] = 7
    with pytest.raises(AssertionError, match="1 of 10 integers differ"):
        contract.compare(other, value, value, "x")


def test_shape_and_dtype():
    value = torch.ones(2, 3)
    with pytest.raises(AssertionError, match="shape"):
        contract.compare(value.T, value, value, "x")
    with pytest.raises(AssertionError, match="dtype"):
        contract.compare(value.double(), value, value, "x")


def test_oracle_computes_in_double_throughout():
    class Casts(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(3, 3,
                                                        dtype=torch.bfloat16))
            self.constant = torch.tensor([1.0])

        def forward(self, x):
            y = (x @ self.weight).float() + self.constant
            return y.to(torch.float16) / 3, torch.zeros(2)

    program = torch.export.export(
        Casts(), (torch.ones(2, 3, dtype=torch.bfloat16),))
    y, z = contract.Oracle(program)(torch.ones(2, 3))
    assert y.dtype == torch.float64 and z.dtype == torch.float64
    assert float(y[0, 0]) == 4 / 3
