"""Constants that are computed at compile time, and what they weigh."""

from __future__ import annotations

import json
import subprocess

import pytest
import torch
import torch.nn.functional as F

from contract import Case, check

ROWS, COLUMNS = 96, 384


def stored(module: torch.nn.Module, args, hrcc, folder) -> tuple[int, str]:
    """The bytes of the artifact's weights, and the decisions about folding."""
    torch.export.save(torch.export.export(module, args), folder / "m.pt2")
    subprocess.run([hrcc, str(folder / "m.pt2"), f"--report={folder / 'r.json'}",
                    "--target=generic-x86-64-v4"], check=True)
    report = json.loads((folder / "r.json").read_text())
    decisions = [str(decision) for decision in report["decisions"]
                 if "computed here" in str(decision)
                 or "computed where it is read" in str(decision)]
    return (sum(weight["bytes"] for weight in report["constants"]),
            "\n".join(decisions))


class Scaled(torch.nn.Module):
    """A weight of int8 and a scale per row."""

    def __init__(self, dtype: torch.dtype, product: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.product = product
        self.dtype = dtype
        self.register_buffer("w", torch.randint(-127, 128, (ROWS, COLUMNS),
                                                dtype=torch.int8))
        self.register_buffer("scale", (torch.rand(ROWS, 1) * 0.02).to(dtype))

    def forward(self, x):
        w = self.w.to(self.dtype) * self.scale
        return F.linear(x, w) if self.product else x + w


class Unpacked(torch.nn.Module):
    """Two weights in a byte, a scale per group."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.dtype = dtype
        self.register_buffer("w", torch.randint(0, 256, (ROWS, COLUMNS // 2),
                                                dtype=torch.uint8))
        self.register_buffer("scale",
                             (torch.rand(ROWS, COLUMNS // 64, 1) * 0.02).to(dtype))

    def forward(self, x):
        w = torch.stack([self.w & 15, self.w >> 4], -1)
        w = w.reshape(ROWS, COLUMNS // 64, 64)
        w = ((w.to(self.dtype) - 8) * self.scale).reshape(ROWS, COLUMNS)
        return F.linear(x, w)


class Narrowed(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer("w", torch.randn(ROWS, COLUMNS) * 0.05)

    def forward(self, x):
        return F.linear(x, self.w.to(torch.bfloat16))


class Looked(torch.nn.Module):
    """A table of int8, of which some rows are read."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer("w", torch.randint(-127, 128, (ROWS, COLUMNS),
                                                dtype=torch.int8))

    def forward(self, i):
        return (self.w.to(torch.float32) * 0.01)[i]


FLOATS = (torch.float32, torch.bfloat16)


@pytest.mark.parametrize("rows", (1, 9))
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: str(d)[6:])
def test_scaled_product(dtype, rows) -> None:
    x = torch.randn(rows, COLUMNS).to(dtype)
    check(Case("scaled", Scaled(dtype, True), (x,)))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: str(d)[6:])
def test_scaled_sum(dtype) -> None:
    x = torch.randn(ROWS, COLUMNS).to(dtype)
    check(Case("sum", Scaled(dtype, False), (x,)))


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: str(d)[6:])
def test_unpacked(dtype) -> None:
    check(Case("unpacked", Unpacked(dtype), (torch.randn(3, COLUMNS).to(dtype),)))


def test_narrowed() -> None:
    check(Case("narrowed", Narrowed(), (torch.randn(3, COLUMNS).bfloat16(),)))


def test_looked_up() -> None:
    check(Case("looked", Looked(), (torch.tensor([3, 0, 95]),)))


ELEMENTS = ROWS * COLUMNS


def test_what_narrows_is_stored_narrow(hrcc, tmp_path) -> None:
    size, decisions = stored(Narrowed(), (torch.randn(3, COLUMNS).bfloat16(),),
                             hrcc, tmp_path)
    assert size == 2 * ELEMENTS and not decisions


def test_what_widens_stays_narrow(hrcc, tmp_path) -> None:
    x = torch.randn(ROWS, COLUMNS)
    size, decisions = stored(Scaled(torch.float32, False), (x,), hrcc, tmp_path)
    assert size == ELEMENTS + 4 * ROWS
    assert "computed where it is read" in decisions
    # Four times the bytes are too much for a product as well.
    size, decisions = stored(Scaled(torch.float32, True), (x,), hrcc, tmp_path)
    assert size == ELEMENTS + 4 * ROWS
    assert "computed where it is read" in decisions


def test_more_bytes_are_a_decision(hrcc, tmp_path) -> None:
    x = torch.randn(3, COLUMNS).bfloat16()
    size, decisions = stored(Scaled(torch.bfloat16, True), (x,), hrcc, tmp_path)
    assert size == 2 * ELEMENTS
    assert f"{2 * ELEMENTS} bytes in place of {ELEMENTS + 2 * ROWS}" in decisions
    assert "a product reads it" in decisions
