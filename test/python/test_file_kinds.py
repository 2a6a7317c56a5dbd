# ===- test_file_kinds.py - Files that are no exported programs -------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""What users give by mistake is named for what it is, with what to do."""

import io
import struct
import subprocess
import warnings
import zipfile

import pytest
import torch
from torch import nn

from test_hostile import Archive, refuse


@pytest.fixture(scope="module")
def sound():
    out = io.BytesIO()
    torch.export.save(torch.export.export(
        nn.Linear(3, 3), (torch.randn(2, 3),)), out)
    return out.getvalue()


def zipped(names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"{}")
    return out.getvalue()


def saved(value, **options):
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def scripted():
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(nn.Linear(3, 3), torch.randn(2, 3)), out)
    return out.getvalue()


WEIGHTS = {"weight": torch.zeros(3)}
EXPORT = "torch.export.save(torch.export.export("

FILES = {
    "empty": (b"", "an empty file", ""),
    "state_dict": (saved(WEIGHTS), "a file of torch.save", EXPORT),
    "old_state_dict": (
        saved(WEIGHTS, _use_new_zipfile_serialization=False),
        "a file of torch.save in the form before torch 1.6", EXPORT),
    "pickle": (b"\x80\x04\x95" + bytes(40), "a pickle", EXPORT),
    "torchscript": (scripted(), "a TorchScript model", EXPORT),
    "torch_2_6": (
        zipped(["serialized_exported_program.json", "version"]),
        "an exported program of torch 2.7 or earlier",
        "save it again with torch 2.8 or later"),
    "aotinductor": (
        zipped(["p/data/aotinductor/model/a.so", "p/archive_format"]),
        "a package of AOTInductor", "the exported program"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.0.0\x3a" + bytes(60),
             "an ONNX model", "export the PyTorch model"),
    "safetensors": (struct.pack("<Q", 20) + b'{"a":{"dtype":"F32"}}' + bytes(9),
                    "a safetensors file", EXPORT),
    "gguf": (b"GGUF\x03" + bytes(40), "a GGUF file", EXPORT),
    "numpy": (b"\x93NUMPY\x01\x00" + bytes(40), "a NumPy array", EXPORT),
    "npz": (zipped(["a.npy"]), "NumPy arrays", EXPORT),
    "gzip": (b"\x1f\x8b\x08" + bytes(40), "compressed by gzip", "unpack it"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "a pointer of Git LFS", "git lfs pull"),
    "page": (b"<!DOCTYPE html>\n<html></html>" + bytes(9), "a web page",
             "download"),
    "mlir": (b"module {\n  func.func @main()\n}\n", "MLIR text", ".mlir"),
    "library": (b"\x7fELF" + bytes(60), "a shared library", ""),
    "text": (b"nothing that anybody knows, at some length",
             "it is no zip archive", "torch.export.save"),
    "zip": (zipped(["a.txt", "b.txt"]), "no entry 'models/*.json'",
            "torch.export.save"),
}


@pytest.mark.parametrize("name", FILES)
def test_named(hrcc, tmp_path, name):
    data, what, advice = FILES[name]
    error = refuse(hrcc, tmp_path, data, what)
    assert advice in error and "expected all entries" not in error


def test_artifact(hrcc, tmp_path, sound):
    program, artifact = tmp_path / "p.pt2", tmp_path / "a.so"
    program.write_bytes(sound)
    subprocess.run([hrcc, str(program), "-O0", "-o", str(artifact)], check=True)
    data = artifact.read_bytes()
    program.unlink()
    artifact.unlink()
    assert "headrace.load" in refuse(hrcc, tmp_path, data, "an artifact")


def test_cut_off(hrcc, tmp_path, sound):
    error = refuse(hrcc, tmp_path, sound[:-30], "cut off or damaged")
    assert "copy or write it again" in error


def test_two_programs(hrcc, tmp_path, sound):
    archive = Archive(sound)
    archive.entries[archive.top + "models/other.json"] = b"{}"
    error = refuse(hrcc, tmp_path, archive.write(),
                   "holds several models, 'model', 'other'")
    assert "prefill=a.pt2 decode=b.pt2" in error


@pytest.mark.parametrize("entry, value, message", [
    ("archive_format", b"pt3", "expected archive format 'pt2' but got 'pt3'"),
    ("archive_version", b"1\n", "expected archive version '0' but got '1'"),
    ("archive_version", b"\x1b[31m", "but got something else"),
    ("byteorder", b"big", "expected byte order 'little' but got 'big'"),
])
def test_other_forms(hrcc, tmp_path, sound, entry, value, message):
    archive = Archive(sound)
    archive.entries[archive.top + entry] = value
    assert "; " in refuse(hrcc, tmp_path, archive.write(), message)


def test_compressed(hrcc, tmp_path, sound):
    error = refuse(hrcc, tmp_path, Archive(sound).write(zipfile.ZIP_DEFLATED),
                   "is compressed")
    assert "zip -0" in error
