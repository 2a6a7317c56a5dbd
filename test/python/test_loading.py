"""Files: what a path holds now is what is loaded, under any name, and what is
dropped is given back."""

from __future__ import annotations

import gc
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import headrace

OPTIONS = {"weights": "external"}
X = torch.randn(2, 4)


class Scaled(torch.nn.Module):
    """No weights: only the code tells two of them apart."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


class Weighted(torch.nn.Module):
    def __init__(self, value: float, rows: int = 4) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.full((rows, 4), value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.w.T


def build(module: torch.nn.Module, path: Path, **options: str) -> None:
    headrace.compile(module, (X,), output=path, load=False,
                     options={"name": "model", **options})


def check(path: str | bytes | os.PathLike[str], module: torch.nn.Module,
          x: torch.Tensor = X) -> headrace.Model:
    model = headrace.load(path)
    torch.testing.assert_close(model(x), module(x))
    return model


@pytest.mark.parametrize("make", [Scaled, Weighted])
@pytest.mark.parametrize("weights", ["embed", "external"])
def test_a_replaced_file_is_the_new_model(tmp_path, make, weights):
    path = tmp_path / "model.so"
    models = []
    for factor in (2.0, 3.0, 4.0):
        build(make(factor), path, weights=weights)
        models.append((check(path, make(factor)), make(factor)))
    for model, module in models:  # the old ones go on
        torch.testing.assert_close(model(X), module(X))


def test_a_file_that_was_written_over_is_refused(tmp_path):
    path, other = tmp_path / "model.so", tmp_path / "other.so"
    build(Scaled(2.0), path)
    build(Weighted(3.0), other)
    model = headrace.load(path)
    content = path.read_bytes()
    with open(path, "r+b") as file:  # as cp does: the same file, other bytes
        file.write(other.read_bytes())
        file.truncate()
    with pytest.raises(headrace.Error, match="was written over while a model of "
                       "it is open.*renaming"):
        headrace.load(path)
    with open(path, "r+b") as file:
        file.write(content)
        file.truncate()
    check(path, Scaled(2.0))
    del model


def test_two_names_of_one_file(tmp_path):
    build(Weighted(2.0), tmp_path / "a.so", weights="external")
    os.link(tmp_path / "a.so", tmp_path / "b.so")
    first, second = (check(tmp_path / name, Weighted(2.0))
                     for name in ("a.so", "b.so"))
    del first
    torch.testing.assert_close(second(X), Weighted(2.0)(X))


@pytest.mark.parametrize("kind", ["beside the link", "beside the target"])
def test_weights_are_found_through_links(tmp_path, kind):
    blobs, names = tmp_path / "blobs", tmp_path / "names"
    blobs.mkdir()
    names.mkdir()
    path = blobs / "model.so"
    build(Weighted(2.0), path, weights="external")
    weights = headrace.load(path).signature["weights_file"]
    if kind == "beside the link":  # a store of blobs, named by their checksums
        path.rename(blobs / "1234")
        (blobs / weights).rename(blobs / "5678")
        (names / "model.so").symlink_to("../blobs/1234")
        (names / weights).symlink_to("../blobs/5678")
    else:
        (names / "model.so").symlink_to("../blobs/model.so")
    model = check(names / "model.so", Weighted(2.0))
    model.check()
    model.save(tmp_path / "copy.so")
    copied = headrace.load(tmp_path / "copy.so").signature["weights_file"]
    assert copied != weights and (tmp_path / copied).exists()
    check(tmp_path / "copy.so", Weighted(2.0))


@pytest.mark.parametrize("name", [b"new\nline", b"a \"quote\" and a \\012",
                                  b"no utf-8 \xff\xfe", "größe".encode()])
@pytest.mark.parametrize("weights", ["embed", "external"])
def test_names_of_files(tmp_path, monkeypatch, name, weights):
    folder = os.fsencode(tmp_path) + b"/in " + name
    os.mkdir(folder)
    path = os.path.join(folder, name + b".so")
    build(Weighted(2.0), path, weights=weights)
    check(path, Weighted(2.0)).check()
    monkeypatch.chdir(os.fsdecode(folder))
    check(name + b".so", Weighted(2.0))
    os.rename(path, path + b".2")  # not the name it was compiled to
    check(path + b".2", Weighted(2.0)).save(path + b".3")
    check(path + b".3", Weighted(2.0))


def test_a_dropped_model_gives_everything_back(tmp_path):
    path = tmp_path / "model.so"
    build(Weighted(2.0, rows=4096), path)
    x = torch.randn(2, 4)

    def is_mapped() -> bool:
        return str(path) in Path("/proc/self/maps").read_text()

    gc.disable()  # nothing waits for it
    try:
        model = headrace.load(path)
        results = model(x)
        entry = model.main
        context = model.context()
        assert is_mapped()
        del model
        assert is_mapped()
        torch.testing.assert_close(entry(x), results)
        del entry
        torch.testing.assert_close(context(x), results)
        del context
        assert not is_mapped()
    finally:
        gc.enable()
    torch.testing.assert_close(results, Weighted(2.0, rows=4096)(x))


def test_a_pool_holds_the_code_that_made_it(tmp_path):
    path = tmp_path / "model.so"
    build(Weighted(2.0), path)
    pool = headrace.Pool(2)
    check_pooled = headrace.load(path, pool=pool)
    check_pooled(X)
    del check_pooled
    gc.collect()
    path.rename(tmp_path / "renamed.so")
    build(Weighted(3.0), path)
    torch.testing.assert_close(headrace.load(path, pool=pool)(X),
                               Weighted(3.0)(X))


def test_temporary_files_go_with_the_model(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = headrace.compile(Weighted(2.0), (X,))
    context = model.context()
    del model
    assert not list(tmp_path.iterdir())
    torch.testing.assert_close(context(X), Weighted(2.0)(X))
    del context
    assert "(deleted)" not in "".join(
        line for line in open("/proc/self/maps") if str(tmp_path) in line)


# ------------------------------------------------------------ other machines


def other_target() -> str:
    return ("generic-x86-64-v3" if platform.machine() == "aarch64" else
            "generic-aarch64-neon")


def test_compiling_for_another_machine(tmp_path):
    model = headrace.compile(Weighted(2.0), (X,), target=other_target(),
                             load=False)
    assert model.report().programs
    model.save(tmp_path / "other.so")
    model.check()
    with pytest.raises(TypeError, match="not loaded.*headrace.load"):
        model(X)
    with pytest.raises(headrace.Error, match="other.so' was compiled for .*, "
                       "this process runs on"):
        headrace.load(tmp_path / "other.so")


def test_compiling_for_another_machine_says_how():
    with pytest.raises(headrace.Error, match="is for another kind of machine.*"
                       "load=False"):
        headrace.compile(Weighted(2.0), (X,), target=other_target())


def test_output_names_the_file(tmp_path):
    path = tmp_path / "here.so"
    model = headrace.compile(Weighted(2.0), (X,), output=path)
    assert model.path == str(path)
    torch.testing.assert_close(model(X), Weighted(2.0)(X))
    del model
    gc.collect()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "here.report.html", "here.report.json", "here.so"]
    check(path, Weighted(2.0)).report()


CPP = r'''
#include "headrace/Runtime/headrace.hpp"
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
static float run(const headrace::Model &model) {
  headrace::Pool pool(model, 2);
  headrace::Context context(model, &pool);
  float x[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  DLTensor y = context.run({headrace::tensor(x, {2, 4})})[0];
  return static_cast<float *>(y.data)[0];
}
static bool isMapped(const std::string &path) {
  std::ifstream maps("/proc/self/maps");
  std::stringstream text;
  text << maps.rdbuf();
  return text.str().find(path) != std::string::npos;
}
int main(int, char **argv) {
  std::string path = argv[1];
  {
    auto first = headrace::Model::load(path, "model");
    std::printf("%g", run(first));
    std::rename((path + ".new").c_str(), path.c_str());
    auto second = headrace::Model::load(path, "model");
    std::printf(" %g %g", run(second), run(first));
  }
  std::printf(" %d\n", isMapped(path));
}
'''


def test_a_replaced_file_in_cpp(tmp_path):
    compiler = shutil.which("clang++-22") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    root = Path(__file__).parents[2]
    (tmp_path / "main.cpp").write_text(CPP)
    subprocess.run([compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror",
                    f"-I{root}/include", "main.cpp", "-o", "main", "-ldl"],
                   cwd=tmp_path, check=True)
    for name, factor in (("m.so", 2.0), ("m.so.new", 3.0)):
        build(Scaled(factor), tmp_path / name)
    done = subprocess.run([tmp_path / "main", tmp_path / "m.so"], check=True,
                          capture_output=True, text=True)
    assert done.stdout == "2 3 2 0\n"
