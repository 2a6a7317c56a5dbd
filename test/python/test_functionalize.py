# ===- test_functionalize.py - Writes in place against eager ---------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""Programs that write in place, as values, give what eager gives.

Each case is exported plainly (in-place operators and views kept), imported,
functionalized, and run by an interpreter of the text over torch's own
operators. Results, arguments written to and buffers must be eager's bits.
"""

import copy
import subprocess

import pytest
import torch
from torch import nn

import aten_text
import models


def functionalize(hrcc, program, folder):
    """The functional text of an exported program, or the compiler's error."""
    path = folder / "program.pt2"
    torch.export.save(program, str(path))
    aten = folder / "program.mlir"
    subprocess.run([hrcc, str(path), "--emit=aten", "-o", str(aten)],
                   check=True, capture_output=True, text=True)
    opt = str(hrcc)[:-len("hrcc")] + "headrace-opt"
    return subprocess.run([opt, str(aten), "--aten-functionalize"],
                          capture_output=True, text=True)


def check(hrcc, folder, module, args, dynamic_shapes=None, other_args=None):
    """Compares one call, and another one with the state that the first left."""
    module = module.eval()
    program = torch.export.export(module, args, dynamic_shapes=dynamic_shapes)
    done = functionalize(hrcc, program, folder)
    assert done.returncode == 0, done.stderr
    text = aten_text.Program(done.stdout)
    eager = copy.deepcopy(module)
    data = {**dict(program.state_dict), **dict(program.constants)}
    data = {name: value.detach().clone() for name, value in data.items()
            if isinstance(value, torch.Tensor)}
    for given in (args, other_args or args):
        own = [a.clone() for a in given]
        with torch.no_grad():
            expected = eager(*own)
        expected = list(torch.utils._pytree.tree_leaves(expected))
        expected = [e for e in expected if isinstance(e, torch.Tensor)]
        got = text.run([a.clone() for a in given], data)
        assert len(got) == len(expected) + len(text.mutates)
        for want, have in zip(expected, got):
            torch.testing.assert_close(have, want, rtol=0, atol=0,
                                       equal_nan=True)
        written = dict(zip(text.mutates, got[len(expected):]))
        for i, (after, before) in enumerate(zip(own, given)):
            torch.testing.assert_close(written.get(i, before), after,
                                       rtol=0, atol=0, equal_nan=True)
        buffers = dict(eager.named_buffers())
        for name in text.states:
            name = name.strip('"')
            torch.testing.assert_close(data[name], buffers[name], rtol=0,
                                       atol=0)


def function(f):
    class Module(nn.Module):
        def forward(self, *args):
            return f(*args)
    Module.__name__ = f.__name__
    return Module()


def view_of_view(x):
    y = x * 1
    y.transpose(0, 1)[1:5:2][:, 1:].add_(10)
    return y


def write_seen_by_older_view(x):
    y = x * 1
    row, flat = y[1], y.view(-1)
    y.mul_(2)
    row.add_(flat[:6])
    return y, flat, row


def copy_into_slice_of_transposed(x):
    y = x * 1
    y.t()[2:4].copy_(torch.arange(8.0).view(2, 4))
    return y.t().reshape(-1), y


def reshape_that_views(x):
    y = x * 1
    y.reshape(2, 12).reshape(-1)[3:7].zero_()
    return y


def reshape_that_copies(x):
    y = x * 1
    z = y.t().reshape(-1)
    z.add_(100)
    return y, z


def reshape_of_slice(x):
    y = x * 1
    rows = y[1:3].reshape(-1)      # a view: whole rows
    rows.add_(1)
    columns = y[:, 1:3].reshape(-1)  # a copy
    columns.add_(50)
    return y, rows, columns


def contiguous_or_not(x):
    y = x * 1
    a = y.contiguous()
    a.add_(1)
    b = y.t().contiguous()
    b.add_(7)
    return y, a, b


def chunks_and_splits(x):
    y = x * 1
    a, b, c = y.chunk(3, 1)
    d, e = y.split([1, 3], 0)
    b.neg_()
    e[:, 0].fill_(9)
    return y, a, b, c, d, e


def unbound_rows(x):
    y = x * 1
    for i, row in enumerate(y.unbind(0)):
        row.mul_(i)
    return y


def fill_diagonal(x):
    y = x * 1
    y.diagonal(1).fill_(3)
    y[:, :3].diagonal(-1, 1, 0).add_(1)
    return y


def squeeze_and_unsqueeze(x):
    y = x * 1
    y.unsqueeze(1)[:, 0].unsqueeze(-1)[2].squeeze(-1).sub_(4)
    y[0:1].squeeze(0)[1] = 77.0
    return y


def permute_and_flatten(x):
    y = x.view(2, 2, 6) * 1
    y.permute(2, 0, 1)[3].add_(1)
    y.flatten(1)[0, 2:5] = -1
    y.unflatten(2, (2, 3))[:, :, 1, ::2].mul_(3)
    return y


def expand_that_is_read(x):
    y = x[:, :1] * 1
    wide = y.expand(4, 6)
    y.add_(1)
    return wide, y


def to_that_aliases(x):
    y = x * 1
    same = y.to(torch.float32)
    other = y.to(torch.float64)
    same.add_(1)
    other.add_(1)
    return y, same, other


def dropout_in_eval_aliases(x):
    y = x * 1
    z = nn.functional.dropout(y, 0.5, training=False)
    z.add_(1)
    return y, z


def dropout_in_place(x):
    y = x * 1
    z = y[0]
    nn.functional.dropout(y, 0.5, training=False, inplace=True)
    return y, z


def detached(x):
    y = x * 1
    y.detach().add_(5)
    return y


def writes_argument(x):
    x[0].add_(1)
    x.t()[1].mul_(2)
    return x.sum(), x[0]


def argument_and_output(x):
    y = x.view(-1)
    y[::2].add_(1)
    return x, y


def out_variant(x):
    y = x * 1
    torch.add(x, 1, out=y[:])
    return y


def masked_and_indexed(x):
    y = x * 1
    y.masked_fill_(y > 0, 2.0)
    y[torch.tensor([0, 2])] = 5.0
    y.index_add_(0, torch.tensor([1, 1]), torch.ones(2, 6))
    y[1].scatter_(0, torch.tensor([2, 4]), 8.0)
    y.index_fill_(1, torch.tensor([0]), -3)
    return y


def comparison_in_place(x):
    y = x * 1
    y.gt_(0)
    y[0].logical_not_()
    return y


def promotes(x):
    y = x.to(torch.bfloat16)
    y.add_(x)
    y.mul_(1.000123)
    y[1].div_(x[0] + 3)
    return y


def integers(x):
    y = (x * 10).to(torch.int32)
    y[1].add_(y[0])
    y.floor_divide_(3)
    y[:, 2].bitwise_and_(5)
    return y


def twice_the_same_view(x):
    y = x * 1
    y[1] += 1
    y[1] += y[0]
    y[1:2] *= 2
    return y


def zero_dimensions(x):
    y = x.sum()
    z = y.view(1)
    z.add_(1)
    y.mul_(2)
    return y, z


def copy_of_itself(x):
    y = x * 1
    y[1:3].copy_(y[0:2].clone())
    return y


def select_negative(x):
    y = x * 1
    y[-1, -2] = 4.0
    y[-3:-1, -4:].add_(1)
    return y


def view_as_another(x):
    y = x * 1
    z = (x * 2).view(-1)
    z.add_(1)
    y.view_as(z)[1:3].add_(1)
    return y, z


def outputs_of_list(x):
    y = x * 1
    parts = list(y.split(2, 0))
    parts[0].add_(parts[1])
    parts[1].copy_(parts[0])
    return torch.cat(parts), y


def through_moved_dimensions(x):
    y = (x * 1).view(2, 2, 6)
    y.movedim(2, 0)[1:3].add_(1)
    y.moveaxis((0, 2), (2, 1))[0, :2].mul_(3)
    return y


def einsum_is_new(x):
    y = torch.einsum("ij,ik->jk", x, x)
    y[:, 1:].sub_(2)
    return x + 1, y


CASES = [v for v in list(globals().values())
         if callable(v) and getattr(v, "__module__", "") == __name__
         and v.__code__.co_varnames[:1] == ("x",)]


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_against_eager(hrcc, tmp_path, case):
    check(hrcc, tmp_path, function(case), (torch.randn(4, 6),),
          other_args=(torch.randn(4, 6),))


def test_dynamic(hrcc, tmp_path):
    def slices(x):
        y = x * 1
        n = x.shape[0]
        y[n - 2:].add_(1)
        y[: n - 1, 1::2].mul_(3)
        y.view(-1)[n:].sub_(1)
        return y
    n = torch.export.Dim("n", min=4, max=40)
    check(hrcc, tmp_path, function(slices), (torch.randn(6, 5),),
          dynamic_shapes={"args": ({0: n},)},
          other_args=(torch.randn(9, 5),))


class Buffers(nn.Module):
    """State that is written whole, in part, through views, and only read."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("cache", torch.randn(4, 6))
        self.register_buffer("ring", torch.zeros(5), persistent=False)
        self.register_buffer("scale", torch.randn(6))

    def forward(self, x):
        self.count += 1
        before = self.cache.sum()
        self.cache[1:3].copy_(x[:2])
        self.cache.t()[0].mul_(self.scale[0])
        self.ring.roll(1)
        self.ring[0] = before
        return self.cache * self.scale, self.count, self.ring.sum()


def test_buffers(hrcc, tmp_path):
    check(hrcc, tmp_path, Buffers(), (torch.randn(4, 6),))


@pytest.mark.parametrize("style", ["lengths", "positions"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_decoder(hrcc, tmp_path, style, dtype):
    for case in models.decoder(style=style, dtype=dtype, layers=1,
                               capacity=16):
        with torch.no_grad():
            case.module.decoder.reset()
            check(hrcc, tmp_path, case.module, case.args, case.dynamic_shapes)


def test_resnet(hrcc, tmp_path):
    case = models.resnet(size=32)
    with torch.no_grad():
        check(hrcc, tmp_path, case.module, case.args)


# ------------------------------------------------------------------ refusals


def writes_expanded(x):
    y = x[:, :1] * 1
    y.expand(4, 6).add_(1)
    return y


def writes_real_part(x):
    y = torch.complex(x, x)
    y.real.add_(1)
    return y


def writes_window_overlap(x):
    y = x * 1
    y.unfold(1, 3, 1).add_(1)
    return y


REFUSALS = [
    (writes_expanded, "elements overlap"),
    (writes_real_part, "writes through 'aten.real.default'"),
    (writes_window_overlap, "elements overlap"),
]


@pytest.mark.parametrize("case,message", REFUSALS,
                         ids=lambda p: getattr(p, "__name__", ""))
def test_refused(hrcc, tmp_path, case, message):
    try:
        program = torch.export.export(function(case), (torch.randn(4, 6),))
    except RuntimeError:
        pytest.skip("eager itself refuses this program")
    done = functionalize(hrcc, program, tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
