"""The models of models.py keep the contract, end to end.

Full-size models at -O0 take minutes: see benchmarks/correctness.py.
"""

import pytest
import torch

import contract
import models


def as_case(case: models.Case, **more) -> contract.Case:
    return contract.Case(case.name, case.module, case.args,
                         dynamic_shapes=case.dynamic_shapes, **more)


def tokens(batch: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids, and a mask that hides a different tail of each row."""
    ids = torch.randint(1000, 30000, (batch, length))
    mask = torch.ones_like(ids)
    for row in range(1, batch):
        mask[row, max(length - row, 1):] = 0
    return ids, mask


def test_minilm_static():
    contract.check(as_case(models.minilm(), runs=[tokens(1, 128)]), opts=(2,))


def test_minilm_dynamic():
    runs = [tokens(1, 2), tokens(1, 128), tokens(3, 17), tokens(5, 64)]
    contract.check(as_case(models.minilm(dynamic=True), runs=runs,
                           decomposed=False), opts=(2,))


@pytest.mark.parametrize("opt", [0, 2])
def test_resnet(opt):
    contract.check(as_case(models.resnet()), opts=(opt,))


@pytest.mark.parametrize("opt", [0, 2])
def test_resnet_dynamic_batch(opt):
    runs = [(torch.randn(batch, 3, 64, 64),) for batch in (1, 3)]
    contract.check(as_case(models.resnet(dynamic=True), runs=runs,
                           decomposed=False), opts=(opt,))


def decode_calls(style: str, prompt: int, steps: int):
    calls = [("prefill", (torch.randint(0, 100, (1, prompt)),))]
    for step in range(steps):
        token = torch.randint(0, 100, (1, 1))
        place = torch.tensor([prompt + step])
        if style != "positions":
            place = torch.ones(1, prompt + step + 1, dtype=torch.int64)
        calls.append(("decode", (token, place)))
    return calls


@pytest.mark.parametrize("opt", [0, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("style", ["lengths", "positions"])
def test_decoder(style, dtype, opt):
    cases = models.decoder(dtype=dtype, style=style)
    programs = {case.name: case.export() for case in cases}
    contract.check_calls(programs, decode_calls(style, 7, 5), "decoder",
                         opts=(opt,))


def test_decoder_of_16_layers():
    cases = models.decoder(layers=16)
    programs = {case.name: case.export() for case in cases}
    contract.check_calls(programs, decode_calls("lengths", 11, 3), "decoder",
                         opts=(2,))


class States(torch.nn.Module):
    """Buffers that are read beside what overwrites them."""

    def __init__(self):
        super().__init__()
        for name in ("sum", "shifted", "flipped", "same", "wide"):
            self.register_buffer(name, torch.randn(6, 5))

    def forward(self, x):
        y = x + self.sum
        self.sum.copy_(torch.tanh(y))
        z = self.shifted * 2
        self.shifted[1:] = self.shifted[:-1].clone()
        self.flipped.copy_(self.flipped.flip(0))
        self.same.mul_(0.5).add_(x)
        self.wide.copy_(x[:1])
        return y, z, self.flipped + 1, self.same - 1, self.wide.sum(0)


@pytest.mark.parametrize("decomposed", [False, True])
def test_state_is_read_before_it_is_overwritten(decomposed):
    program = torch.export.export(States(), (torch.randn(6, 5),))
    if decomposed:
        program = program.run_decompositions({})
    calls = [("main", (torch.randn(6, 5),)) for _ in range(3)]
    contract.check_calls({"main": program}, calls, "states")


class Updates(torch.nn.Module):
    """What buffers held between updates and beside them."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.randn(8, 5))
        self.register_buffer("other", torch.randn(8, 5))
        self.register_buffer("count", torch.arange(6).reshape(1, 6))

    def forward(self, x, rows):
        added = self.table.index_put((rows,), x, accumulate=True)
        self.table[torch.tensor([1, 5])] = x
        self.other[1:3] = x
        between = self.other.clone()
        self.other[2:4] = x * 2
        after = between.index_add(0, rows, x)
        last = self.other.index_add(0, rows, x)
        # Converted on the way to the buffer.
        self.count[...] = x[:, :1].sum() * 10
        return added, between * 2, after, last, self.count + 1


@pytest.mark.parametrize("decomposed", [False, True])
def test_state_between_updates(decomposed):
    args = (torch.randn(2, 5), torch.tensor([0, 3]))
    program = torch.export.export(Updates(), args)
    if decomposed:
        program = program.run_decompositions({})
    calls = [("main", (torch.randn(2, 5), torch.tensor([i, 2])))
             for i in range(3)]
    contract.check_calls({"main": program}, calls, "updates")


class Constants(torch.nn.Module):
    """Sums of parameters, which are done at compile time."""

    def __init__(self, dtype):
        super().__init__()
        self.weight = torch.nn.Parameter(
            torch.rand(300, 70, dtype=torch.float64).to(dtype) + 1)

    def forward(self, x):
        return (x + self.weight.mean(), x + self.weight.var(0).sum(),
                x + (self.weight @ self.weight.t()).sum())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_of_constants(dtype):
    contract.check(contract.Case("constants", Constants(dtype),
                                 (torch.zeros(3, dtype=dtype),)))


class Stretched(torch.nn.Module):
    """Dimensions that are one because of the sizes' ranges."""

    def forward(self, x):
        return torch.diagonal(x, 1, -2, -1).expand(1, -1, 2) + x[..., :2]


def test_sizes_that_the_ranges_decide():
    n = torch.export.Dim("n", min=4, max=64)
    contract.check(contract.Case(
        "stretched", Stretched(), (torch.randn(1, 1, 8),),
        dynamic_shapes=({2: n},),
        runs=[(torch.randn(1, 1, 4),), (torch.randn(1, 1, 64),)]))
