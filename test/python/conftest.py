"""Settings of all Python tests."""

import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "python"))
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(autouse=True)
def fixed_seed():
    """Every test draws the same random numbers whatever ran before it."""
    import torch
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def hrcc():
    """The path of the compiler."""
    from headrace._native import find_hrcc
    return find_hrcc()
