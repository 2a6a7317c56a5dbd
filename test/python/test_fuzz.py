# ===- test_fuzz.py - The fuzzer of graphs ---------------------------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""A short run of tools/headrace-fuzz-graphs, and that it sees what is wrong."""

import pathlib
import subprocess
import sys

import pytest
import torch

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FUZZER = ROOT / "tools" / "headrace-fuzz-graphs"
sys.path.insert(0, str(FUZZER))

import generate  # noqa: E402
import judge  # noqa: E402
import minimize  # noqa: E402
from program import Line, Program, Tensor, write_reproducer  # noqa: E402


def test_seeds_are_right(tmp_path):
    """Two dozen programs, beside one another in few artifacts."""
    done = subprocess.run(
        [sys.executable, str(FUZZER / "fuzz.py"), "--seed", "0", "--count",
         "24", "--failures", str(tmp_path / "failures")],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "24 done" in done.stdout
    assert not (tmp_path / "failures").exists()


def test_seeds_name_programs():
    texts = [generate.generate(seed).source() for seed in range(8)]
    assert texts == [generate.generate(seed).source() for seed in range(8)]
    assert len(set(texts)) == 8


def program(*lines, outputs=("v3",), tensors=None):
    return Program(7, tensors or [Tensor("x0", (5, 6), "f32", seed=1),
                                  Tensor("x1", (5, 6), "f32", seed=2)],
                   [Line(*line) for line in lines], list(outputs))


LINES = [("v1", "x0 * 2"), ("v2", "torch.tanh(v1)"), ("v3", "v2 + x1")]


def compile_instead(monkeypatch, other):
    """Whatever is compiled is `other`."""
    real = judge.compile_entries

    def compiled(paths, output, level, target):
        judge.Exported(other).save(next(iter(paths.values())))
        return real(paths, output, level, target)
    monkeypatch.setattr(judge, "compile_entries", compiled)


def test_right_program_is_right():
    verdict, = judge.judge([program(*LINES)], judge.Setup((2,)))
    assert verdict.kind == "right", verdict


@pytest.mark.parametrize("line", ["v2 - x1", "v2 + x1 * 1.0001", "v2 + x0"])
def test_wrong_result_is_seen(monkeypatch, line):
    wrong = program(*LINES[:2], ("v3", line))
    compile_instead(monkeypatch, wrong)
    verdict, = judge.judge([program(*LINES)], judge.Setup((2,)))
    assert verdict.kind == "wrong", verdict
    assert "largest error" in verdict.message


def test_write_that_is_missing_is_seen(monkeypatch):
    write = [("", "x0[1:].add_(1)"), ("v3", "x0 + x1")]
    compile_instead(monkeypatch, program(("v3", "x0 + x1 * 1")))
    verdict, = judge.judge([program(*write)], judge.Setup((2,)))
    assert verdict.kind == "wrong", verdict


def test_another_rounding_is_excused():
    exported = judge.Exported(program(*LINES))
    (eager, true), = exported.expected

    def off_by(factor):
        off = tuple(leaf * (1 + factor * 2 ** -23) for leaf in eager)
        return judge.is_rounding(exported, 0, off, eager, true, False)
    assert off_by(1)
    assert not off_by(64)


def test_failure_is_made_small():
    """Only `torch.sin` fails: all else goes, and the sizes with it."""
    def run(p, setup):
        used = any("torch.sin" in line.text for line in p.lines)
        kept = {u for line in p.lines for u in line.uses} | set(p.outputs)
        assert p.inputs and kept
        return judge.Verdict("wrong" if used else "right")
    start = program(*LINES, ("v4", "torch.sin(v3)"), ("", "v4[1:] = v3[1:]"),
                    ("v5", "v4.sum(1)"), outputs=("v5", "v2"))
    start.settings = [{}, {}]
    small = minimize.Minimizer(start, judge.Setup((0, 2)),
                               judge.Verdict("wrong"), run)
    small.minimize()
    assert [line.text for line in small.program.lines] == [
        f"torch.sin({small.program.inputs[0].name})"]
    assert len(small.program.inputs) == 1
    assert small.program.settings == [{}]
    assert small.setup.levels == (0,)
    assert small.program.inputs[0].make({}).numel() == 1


def test_reproducer_stands_alone(tmp_path):
    text = write_reproducer(program(*LINES), "r.py", "title", "message",
                            "native", [2])
    path = tmp_path / "r.py"
    path.write_text(text)
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True,
        env={"PYTHONPATH": f"{ROOT / 'python'}:{ROOT / 'test' / 'python'}",
             "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "right"


def test_shapes_in_symbols():
    """Lines run at several sizes, exported once."""
    seeds = [s for s in range(40) if generate.generate(s).symbols]
    assert len(seeds) >= 4
    p = generate.generate(seeds[0])
    sizes = {tuple(s.items()) for s in p.settings}
    assert len(sizes) > 1
    assert all(isinstance(t, torch.Tensor) for t in p.arguments(1))
