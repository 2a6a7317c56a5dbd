# ===- test_import.py - What the reader makes of exports -------------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""Names, pytrees, symbols, shared weights, state and locations of a module."""

import inspect
import re
import struct
import subprocess
import zipfile
import zlib

import pytest
import torch
from torch import nn

import models


def read(hrcc, folder, *programs, phase="aten"):
    """The text at a phase of one program, or of several named ones."""
    arguments = []
    for i, program in enumerate(programs):
        name, program = program if isinstance(program, tuple) else ("", program)
        path = folder / f"p{i}.pt2"
        if not isinstance(program, torch.export.ExportedProgram):
            program.save(path)
        else:
            torch.export.save(program, str(path))
        arguments.append(f"{name}={path}" if name else str(path))
    output = folder / "out.mlir"
    done = subprocess.run(
        [hrcc, *arguments, f"--emit={phase}", "-o", str(output)],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output.read_text()


def refused(hrcc, folder, module, args, **options):
    path = folder / "p.pt2"
    torch.export.save(torch.export.export(module, args, **options), str(path))
    done = subprocess.run([hrcc, str(path), "--emit=aten"],
                          capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr


class Tree(nn.Module):
    def forward(self, x, pair, *, flag, size=3):
        a, b = pair["a"], pair["b"]
        return {"sum": x + a * size, "rest": (b, None, [flag, "text", x])}


def test_pytree(hrcc, tmp_path):
    x = torch.randn(2, 3)
    program = torch.export.export(
        Tree(), (x, {"a": x, "b": x[0]}), {"flag": True})
    text = read(hrcc, tmp_path, program)
    assert re.findall(r'hr\.name = "([^"]*)"', text) == [
        "x", "pair_a", "pair_b", "sum", "rest.0", "rest.2.2"]
    leaves = re.search(r"hr\.in_leaves = \[(.*?)\]", text)[1]
    assert leaves.split(", ") == ["0", "1", "2", "true"]
    leaves = re.search(r"hr\.out_leaves = \[(.*?)\]", text)[1]
    assert leaves.split(", ") == ["0", "1", "unit", "true", '"text"', "2"]
    assert "hr.in_spec." in text and "hr.out_spec." in text


class Halves(nn.Module):
    def forward(self, x, y):
        n = x.shape[0]
        return (x.view(-1, 2)[: n // 2], torch.cat([x, y]).reshape(-1), n * 3)


def test_symbols(hrcc, tmp_path):
    half = torch.export.Dim("half", min=2, max=50)
    program = torch.export.export(
        Halves(), (torch.randn(8, 6), torch.randn(4, 6)),
        dynamic_shapes=({0: 2 * half}, {0: half}))
    text = read(hrcc, tmp_path, program)
    symbol, = re.findall(r'#hr\.symbol<"(\w+)", 0, 50>', text)
    dims = re.findall(r"hr\.dims = \[(.*?)\], hr\.name", text)
    size = '#hr.size<"{}">'.format
    assert dims[0] == size(f"2 * {symbol}") + ", " + size("6")
    assert dims[1] == size(symbol) + ", " + size("6")
    assert dims[3] == size(f"18 * {symbol}")
    # An integer of the result is a size, not a value.
    assert size(f"6 * {symbol}") in re.search(
        r"hr\.out_leaves = \[(.*?)\]", text)[1]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("window", torch.arange(24.0).view(4, 6)[:, 1:4])

    def forward(self, i):
        return self.head(self.embedding(i)), self.window * 2


def test_tied_weights_are_one(hrcc, tmp_path):
    text = read(hrcc, tmp_path, torch.export.export(
        Tied(), (torch.tensor([1, 2]),)))
    assert len(re.findall(r"hr\.weight @", text)) == 2
    assert "hr.weight @window : tensor<4x3xf32>" in text


def test_entries_share_weights_and_state(hrcc, tmp_path):
    prefill, decode = models.decoder(layers=1, capacity=16)
    text = read(hrcc, tmp_path, ("prefill", prefill), ("decode", decode),
                phase="tensor")
    names = re.findall(r"hr\.(weight|state) @(\S+) :", text)
    assert len(names) == len(set(names))
    states = [name for kind, name in names if kind == "state"]
    assert states == ["decoder.layers.0.attention.k_cache",
                      "decoder.layers.0.attention.v_cache"]
    for entry in ("prefill", "decode"):
        body = text[text.index(f"func.func @{entry}("):]
        body = body[:body.index("return")]
        for state in states:
            assert f"hr.read_state [@{state}]" in body
            assert re.search(rf"hr\.write_state \S+ \[@{state}\]", body)


def test_state_of_one_entry_is_read_by_another(hrcc, tmp_path):
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.ones(3))

    class Add(nn.Module):
        def __init__(self, counter):
            super().__init__()
            self.counter = counter

        def forward(self, x):
            self.counter.count.add_(x)
            return x

    class Peek(Add):
        def forward(self, x):
            return self.counter.count * x

    counter, x = Counter(), torch.randn(3)
    text = read(hrcc, tmp_path,
                ("peek", torch.export.export(Peek(counter), (x,))),
                ("add", torch.export.export(Add(counter), (x,))),
                phase="tensor")
    assert re.search(r"hr\.state @counter\.count : .* initial\(", text)
    assert text.count("hr.read_state [@counter.count]") == 2
    assert text.count("hr.write_state") == 1


def test_same_name_other_bytes(hrcc, tmp_path):
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.bias = first.bias
    x = torch.randn(2, 3)
    text = read(hrcc, tmp_path, ("a", torch.export.export(first, (x,))),
                ("b", torch.export.export(second, (x,))))
    assert sorted(re.findall(r"hr\.weight @(\S+)", text)) == [
        "bias", "weight", "weight.1"]


@pytest.mark.parametrize("decompose", [False, True], ids=["plain", "core"])
@pytest.mark.parametrize("case", [models.resnet(size=32),
                                  *models.decoder(layers=1, capacity=16)],
                         ids=lambda c: c.name)
def test_both_kinds_of_export(hrcc, tmp_path, case, decompose):
    """The same state and results, whether mutations are ops or outputs."""
    with torch.no_grad():
        text = read(hrcc, tmp_path, case.export(decompose), phase="tensor")
    expected = 2 if case.name != "resnet" else 0
    assert len(re.findall(r"hr\.state @", text)) == expected
    assert len(re.findall(r"hr\.write_state ", text)) == expected


def test_gradient_switches_are_inlined(hrcc, tmp_path):
    class Model(nn.Module):
        def forward(self, x):
            with torch.no_grad():
                y = x * 2
            return y + x

    text = read(hrcc, tmp_path, torch.export.export(
        Model(), (torch.randn(3, requires_grad=True),)))
    assert "region_call" not in text and '"aten.mul.Tensor"' in text


def test_branches(hrcc, tmp_path):
    class Model(nn.Module):
        def forward(self, x):
            return torch.cond(x.sum() > 0, lambda a: (a + 1,),
                              lambda a: (a - 1,), (x,))

    text = read(hrcc, tmp_path,
                torch.export.export(Model(), (torch.randn(3),)))
    assert 'aten.region_call "cond"' in text
    assert text.count("aten.yield") == 2


def test_errors_name_the_line(hrcc, tmp_path):
    class Model(nn.Module):
        def forward(self, x):
            return torch.nonzero(x)

    _, line = inspect.getsourcelines(Model.forward)
    error = refused(hrcc, tmp_path, Model(), (torch.randn(3),))
    assert "depends on data" in error
    assert f"{__file__}:{line + 1}" in error


def test_integer_inputs_are_refused(hrcc, tmp_path):
    class Model(nn.Module):
        def forward(self, x, n):
            return x * n

    error = refused(hrcc, tmp_path, Model(), (torch.randn(3), 5),
                    dynamic_shapes=(None, torch.export.Dim.DYNAMIC))
    assert "passed as a tensor" in error


@torch.library.custom_op("headrace_test::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@torch.library.custom_op("headrace_test::thrice", mutates_args=())
def thrice(x: torch.Tensor) -> torch.Tensor:
    return x * 3


twice.register_fake(torch.empty_like)
thrice.register_fake(torch.empty_like)


def test_unknown_operators_are_listed_together(hrcc, tmp_path):
    class Model(nn.Module):
        def forward(self, x):
            return thrice(twice(twice(x)))

    error = refused(hrcc, tmp_path, Model(), (torch.randn(3),))
    assert "unsupported operator headrace_test.twice.default (2 uses" in error
    assert "unsupported operator headrace_test.thrice.default (1 use" in error


def test_everything_missing_is_one_error(hrcc, tmp_path):
    """Sizes that depend on data, operators torch knows and operators it does
    not, graphs as arguments, what has no functional form."""
    class Model(nn.Module):
        def forward(self, x):
            chosen = torch.nonzero(x)
            copy = x.clone()
            copy.unsqueeze_(0)
            branch = torch.cond(x.sum() > 0, lambda a: (a + 1,),
                                lambda a: (torch.polygamma(1, a),), (x,))
            return (chosen.sum(0) + 1, twice(torch.digamma(x)), copy, branch,
                    nn.functional.huber_loss(x, x * 2), x[x > 0].sum())

    error = refused(hrcc, tmp_path, Model(), (torch.rand(3, 4),))
    assert error.count("hrcc: error:") == 1
    for words in ("size 'u0' depends on data", "size 'u1' depends on data",
                  "operator aten.nonzero.default",
                  "operator aten.digamma.default",
                  "operator headrace_test.twice.default", "operator cond",
                  "operator aten.polygamma.default",
                  "'aten.unsqueeze_.default' changes the shape",
                  "use of operator aten.index.Tensor"):
        assert words in error
    # What torch itself can write as others says so.
    note, = (line for line in error.splitlines() if "huber_loss.default" in line)
    assert "run_decompositions()" in note
    note, = (line for line in error.splitlines() if "digamma" in line
             and "unsupported" in line)
    assert "run_decompositions()" not in note


DTYPES = {
    torch.float64: "f64", torch.float32: "f32", torch.float16: "f16",
    torch.bfloat16: "bf16", torch.int64: "i64", torch.int32: "i32",
    torch.int16: "i16", torch.int8: "i8", torch.uint8: "ui8",
    torch.bool: "i1",
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(hrcc, tmp_path, dtype):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("b", torch.ones(2, 2).to(dtype))

        def forward(self, x):
            return self.b.t(), x

    text = read(hrcc, tmp_path, torch.export.export(
        Model(), (torch.ones(3).to(dtype),)))
    assert f"hr.weight @b : tensor<2x2x{DTYPES[dtype]}>" in text
    assert f"%arg0: tensor<3x{DTYPES[dtype]}>" in text


def test_complex_inputs(hrcc, tmp_path):
    class Model(nn.Module):
        def forward(self, x):
            return x * 2

    text = read(hrcc, tmp_path, torch.export.export(
        Model(), (torch.ones(3, dtype=torch.complex64),)))
    assert "%arg0: tensor<3xcomplex<f32>>" in text


def write_zip64(entries, path):
    """A zip whose directory uses 64-bit fields wherever it may."""
    data, directory = bytearray(), bytearray()
    for name, content in entries.items():
        crc, raw = zlib.crc32(content), name.encode()
        at = len(data)
        extra = struct.pack("<HHQQ", 1, 16, len(content), len(content))
        data += struct.pack("<IHHHHHIIIHH", 0x04034b50, 45, 0, 0, 0, 0x21, crc,
                            0xffffffff, 0xffffffff, len(raw), len(extra))
        data += raw + extra + content
        extra = struct.pack("<HHQQQ", 1, 24, len(content), len(content), at)
        directory += struct.pack(
            "<IHHHHHHIIIHHHHHII", 0x02014b50, 45, 45, 0, 0, 0, 0x21, crc,
            0xffffffff, 0xffffffff, len(raw), len(extra), 0, 0, 0, 0,
            0xffffffff)
        directory += raw + extra
    start, end = len(data), len(data) + len(directory)
    tail = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0,
                       len(entries), len(entries), len(directory), start)
    tail += struct.pack("<IIQI", 0x07064b50, 0, end, 1)
    tail += struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 0xffff, 0xffff,
                        0xffffffff, 0xffffffff, 0)
    path.write_bytes(bytes(data + directory + tail))


def test_large_archive_form(hrcc, tmp_path):
    """Archives beyond 4 GiB have 64-bit fields; so can small ones."""
    path = tmp_path / "small.pt2"
    torch.export.save(torch.export.export(nn.Linear(3, 3),
                                          (torch.randn(2, 3),)), str(path))
    with zipfile.ZipFile(path) as archive:
        entries = {n: archive.read(n) for n in archive.namelist()}
    write_zip64(entries, tmp_path / "large.pt2")
    texts = []
    for name in ("small", "large"):
        done = subprocess.run(
            [hrcc, str(tmp_path / f"{name}.pt2"), "--emit=aten", "-o", "-"],
            capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        texts.append(done.stdout.replace(name, ""))
    assert texts[0] == texts[1]
