"""What is installed: the tree of `cmake --install`, used by the examples, and
the wheel that has only what loads and runs artifacts."""

import importlib.util
import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import venv

import numpy
import pytest
import torch

import headrace
from headrace import _native

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def run(*command, **kwargs):
    result = subprocess.run(list(map(str, command)), capture_output=True,
                            text=True, **kwargs)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def need(program):
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"no {program}")
    return path


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", _native._build_folder(), "--prefix", folder,
        "--strip")
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """The examples' model: its .pt2, and what it gives for their input."""
    path = tmp_path_factory.mktemp("classifier") / "classifier.pt2"
    example = runpy.run_path(str(EXAMPLES / "export_classifier.py"))
    argv, sys.argv = sys.argv, ["export_classifier.py", str(path)]
    try:
        example["main"]()
    finally:
        sys.argv = argv
    features = (torch.arange(16) - 8 * torch.arange(2)[:, None]) / 16
    return path, torch.export.load(path).module()(features)


def numbers(text):
    return torch.tensor([float(n) for n in re.findall(r"\d\.\d{6}", text)])


def test_what_is_installed(prefix):
    files = {str(path.relative_to(prefix)) for path in prefix.rglob("*")
             if path.is_file()}
    library = "lib64" if (prefix / "lib64").exists() else "lib"
    for expected in (
            "bin/hrcc", "bin/headrace-run", "include/headrace/Runtime/headrace.h",
            "include/headrace/Runtime/headrace.hpp",
            f"{library}/libHeadraceArtifact.a",
            f"{library}/pkgconfig/headrace.pc",
            f"{library}/cmake/Headrace/HeadraceConfig.cmake",
            f"{library}/cmake/Headrace/HeadraceAddModel.cmake",
            "share/man/man1/hrcc.1", "share/man/man1/headrace-run.1",
            "share/doc/Headrace/LICENSE"):
        assert expected in files
    assert run(prefix / "bin/hrcc", "--version").startswith(
        f"hrcc {headrace.__version__}\n")


@pytest.mark.parametrize("program", ["hrcc", "headrace-run"])
def test_manual_pages_have_every_option(prefix, program):
    page = prefix / "share/man/man1" / f"{program}.1"
    groff = need("groff")
    result = subprocess.run([groff, "-man", "-ww", "-Tascii", "-P-c", "-P-b",
                             "-P-u", "-rLL=400n", page], capture_output=True,
                            text=True)
    assert result.returncode == 0 and not result.stderr
    help_text = run(prefix / "bin" / program, "--help")
    options = re.findall(r"^  (-[^\s=<]*)", help_text, re.MULTILINE)
    assert len(options) > 10
    for option in options:
        assert re.search(rf"^ +{re.escape(option)}(?![\w-])", result.stdout,
                         re.MULTILINE), option


def test_examples_in_c_and_cpp(prefix, classifier, tmp_path):
    model, expected = classifier
    run("cmake", "-S", EXAMPLES, "-B", tmp_path, f"-DCLASSIFIER={model}",
        f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_C_FLAGS=-Wall -Werror",
        "-DCMAKE_CXX_FLAGS=-Wall -Werror")
    run("cmake", "--build", tmp_path)
    linked = run(tmp_path / "linked")
    torch.testing.assert_close(numbers(linked).reshape(2, 4), expected,
                               rtol=0, atol=1e-5)
    assert run(tmp_path / "loaded", tmp_path / "classifier.so",
               "classifier") == linked
    assert re.match(r"4 threads agree: (\d\.\d{6} ?){4}\n$",
                    run(tmp_path / "threads"))
    # A model that has changed is compiled again, and only then.
    before = os.stat(tmp_path / "classifier.o").st_mtime_ns
    run("cmake", "--build", tmp_path)
    assert os.stat(tmp_path / "classifier.o").st_mtime_ns == before
    os.utime(model)
    run("cmake", "--build", tmp_path)
    assert os.stat(tmp_path / "classifier.o").st_mtime_ns > before


def test_add_model(prefix, classifier, tmp_path):
    """A shared object of two entries that is linked, and weights in files."""
    model, expected = classifier
    (tmp_path / "CMakeLists.txt").write_text("""
cmake_minimum_required(VERSION 3.25)
project(Models C)
find_package(Headrace REQUIRED)
headrace_add_model(two-entries one=model.pt2 other=${CMAKE_SOURCE_DIR}/model.pt2
  SHARED NAME pair TARGET generic-x86-64-v3 OPT 0)
headrace_add_model(apart model.pt2 OPTIONS --weights=external)
add_executable(program program.c)
target_link_libraries(program PRIVATE two-entries apart)
""")
    (tmp_path / "program.c").write_text("""
#include "apart.h"
#include <stdio.h>
extern const hr_table hr_model_pair;
int main(void) {
  char why[512] = "";
  hr_model *model, *pair;
  hr_context *context;
  float x[16] = {0}, y[4];
  if (hr_model_apart.open(NULL, &model, why, sizeof why) ||
      hr_model_apart.create_context(model, NULL, &context, why, sizeof why) ||
      hr_model_pair.open(NULL, &pair, why, sizeof why) ||
      apart_main(context, 1, x, y))
    return puts(why), 1;
  printf("%d %d", hr_model_pair.find_entry(pair, "one"),
         hr_model_pair.find_entry(pair, "other"));
}
""")
    shutil.copy(model, tmp_path / "model.pt2")
    build = tmp_path / "build"
    run("cmake", "-S", tmp_path, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", build)
    assert run(build / "program", cwd="/") == "0 1"
    os.remove(build / "apart.weights")
    result = subprocess.run([build / "program"], capture_output=True, text=True)
    assert result.returncode == 1 and "apart.weights" in result.stdout
    os.rename(prefix / "bin/hrcc", prefix / "bin/no-hrcc")
    try:
        result = subprocess.run(["cmake", "-S", tmp_path, "-B", build],
                                capture_output=True, text=True)
    finally:
        os.rename(prefix / "bin/no-hrcc", prefix / "bin/hrcc")
    assert result.returncode != 0
    assert "has no compiler" in " ".join(result.stderr.split())


def test_pkg_config(prefix, classifier, tmp_path):
    model, expected = classifier
    library = "lib64" if (prefix / "lib64").exists() else "lib"
    env = dict(os.environ, PKG_CONFIG_PATH=str(prefix / library / "pkgconfig"))
    flags = run(need("pkg-config"), "--cflags", "--libs", "headrace",
                env=env).split()
    run(shutil.which("cc") or need("clang-22"), EXAMPLES / "c/loaded.c", "-o",
        tmp_path / "loaded", *flags)
    run(prefix / "bin/hrcc", model, "-o", tmp_path / "classifier.so")
    text = run(tmp_path / "loaded", tmp_path / "classifier.so", "classifier")
    torch.testing.assert_close(numbers(text).reshape(2, 4), expected, rtol=0,
                               atol=1e-5)
    result = subprocess.run([tmp_path / "loaded", "/dev/null", "classifier"],
                            capture_output=True, text=True)
    assert result.returncode == 1 and "/dev/null" in result.stderr


@pytest.mark.parametrize("name", ["compile_save_load", "torch_compile",
                                  "language_model"])
def test_examples_in_python(prefix, name, monkeypatch, capsys):
    monkeypatch.setenv("HEADRACE_HRCC", str(prefix / "bin/hrcc"))
    torch._dynamo.reset()
    runpy.run_path(str(EXAMPLES / "python" / f"{name}.py"),
                   run_name="__main__")
    assert capsys.readouterr().out


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """A Python with numpy and the runtime-only wheel, and nothing else."""
    for module in ("scikit_build_core", "pybind11", "pip"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"no {module}, with which a wheel is built")
    folder = tmp_path_factory.mktemp("wheel")
    env = dict(os.environ)
    if shutil.which("ccache"):
        env.setdefault("CMAKE_CXX_COMPILER_LAUNCHER", "ccache")
    run(sys.executable, "-m", "pip", "wheel", ROOT, "--no-deps", "--no-index",
        "--no-build-isolation", "--wheel-dir", folder,
        "--config-settings=cmake.define.HEADRACE_COMPILER=OFF",
        f"--config-settings=build-dir={folder}/build",
        env=env)
    wheel, = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv/bin/python"
    run(sys.executable, "-m", "pip", "--python", python, "install",
        "--no-deps", "--no-index", wheel)
    # numpy as it is here: nothing is downloaded.
    site = run(python, "-c", "import sysconfig;"
               "print(sysconfig.get_path('purelib'))").strip()
    source = pathlib.Path(numpy.__file__).parent
    for part in (source, source.with_name("numpy.libs")):
        if part.exists():
            os.symlink(part, os.path.join(site, part.name))
    return python


def test_the_runtime_alone_needs_neither_torch_nor_llvm(bare_python, tmp_path):
    class Small(torch.nn.Module):
        def forward(self, x, extra=None):
            return {"sum": x.sum(0), "both": [x * 2, x > 0]}

    path = tmp_path / "small.so"
    headrace.compile(Small(), (torch.zeros(3, 4),)).save(path)
    code = f"""
import importlib.metadata, importlib.util, numpy, os
assert importlib.util.find_spec("torch") is None
import headrace
assert headrace.__version__ == importlib.metadata.version("headrace")
x = numpy.arange(12, dtype=numpy.float32).reshape(3, 4) - 4
out = headrace.load({str(path)!r})(x)
assert out["sum"].tolist() == x.sum(0).tolist(), out
assert (out["both"][0] == x * 2).all() and (out["both"][1] == (x > 0)).all()
assert type(out["both"][0]) is numpy.ndarray
assert "LLVM" not in open("/proc/self/maps").read()
assert os.path.exists(os.path.join(os.path.dirname(headrace.__file__),
                                   "py.typed"))
try:
    headrace.compile("model.pt2")
except headrace.Error as error:
    print(error)
"""
    env = {"PATH": "/nowhere"}
    out = run(bare_python, "-c", code, env=env)
    assert out.startswith("hrcc is not to be found: this headrace has only "
                          "what loads and runs artifacts")
