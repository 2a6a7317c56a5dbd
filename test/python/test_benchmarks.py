"""The benchmarks run, and say so when something cannot."""

import json
import os
import subprocess
import sys

import pytest

from conftest import ROOT

sys.path.insert(0, os.path.join(ROOT, "benchmarks"))


def run(*arguments):
    return subprocess.run(
        [sys.executable, os.path.join(ROOT, "benchmarks", "run.py"),
         *arguments], capture_output=True, text=True)


def test_smoke(tmp_path):
    """One row with eager and the limit: every figure of it is there."""
    path, picture = tmp_path / "result.json", tmp_path / "result.svg"
    result = run("--smoke", "--json", str(path), "--svg", str(picture))
    assert result.returncode == 0, result.stderr
    (row,) = json.loads(path.read_text())["rows"]
    assert set(row["peers"]) == {"headrace", "eager", "limit"}
    for name, entry in row["peers"].items():
        assert entry["state"] == "ok", entry
        assert entry["wall_seconds"] > 0
        if name != "limit":
            assert entry["breaks_contract"] == ""
            assert 0 < entry["error_ulp"] < 100
            assert len(entry["share_of_limit"]) == 3
    assert row["peers"]["eager"]["times_headrace"][1] > 0
    assert "| ln_gelu_res_f32 |" in result.stdout
    assert "headrace" in picture.read_text()

    # What was measured while nobody else used the machine is not again.
    measured = json.loads(path.read_text())
    measured["rows"][0]["others"] = 0.0
    path.write_text(json.dumps(measured))
    again = run("--smoke", "--json", str(path), "--resume")
    assert again.returncode == 0, again.stderr
    assert "ln_gelu_res_f32: taken from" in again.stderr
    assert json.loads(path.read_text())["rows"] == measured["rows"]
    other = run("--smoke", "--json", str(path), "--resume", "--threads", "1")
    assert "was measured elsewhere or in another way" in other.stderr


def test_limits(tmp_path):
    path = tmp_path / "limits.json"
    subprocess.run([sys.executable,
                    os.path.join(ROOT, "benchmarks", "limits.py"),
                    "--seconds", "0.01", "--json", str(path)], check=True,
                   capture_output=True)
    figures = json.loads(path.read_text())["limits"]["1"]
    # How high they are is the machine's business.
    assert {"fma_f32", "fma_f64", "read_L1", "read_memory", "write_memory",
            "copy_memory", "copy_nt_memory"} <= set(figures)
    assert all(value > 0 for value in figures.values())


def test_unknown_names():
    assert "unknown row 'mathmul'" in run("mathmul").stderr
    assert "unknown peer 'onyx'" in run("--peers", "onyx").stderr


def test_peer_that_dies_or_hangs(tmp_path):
    """Its reason is told, the others go on."""
    import race

    class Odd(race.Server):
        def __init__(self, code):
            self.log = str(tmp_path / "log")
            with open(self.log, "w") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-c", code], stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=log,
                    start_new_session=True)
            self._rest = b""

    cases = {"import os; os.abort()": "killed by SIGABRT",
             "raise ValueError('no such thing')":
                 "ended with 1: ValueError: no such thing",
             "import time; time.sleep(60)": "no answer within 1 s",
             "print('{\"fails\": \"cannot\"}')": "cannot"}
    for code, reason in cases.items():
        server = Odd(code)
        with pytest.raises(race.Failure) as raised:
            server.receive(1 if "sleep" in code else 30)
        server.close()
        assert str(raised.value) == reason


def test_sessions_fit_the_memory():
    import race
    options = race.Options(memory=8 << 30)
    names = ["headrace", "eager", "ort", "openvino", "limit"]
    assert race.divide(names, 1 << 20, options) == [
        ["headrace", "limit", "eager", "ort", "openvino"]]
    assert race.divide(names, 5 << 28, options) == [
        ["headrace", "limit", "eager"], ["headrace", "limit", "ort"],
        ["headrace", "limit", "openvino"]]
