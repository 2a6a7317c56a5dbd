"""Reports: their figures agree with each other and with what is known."""

import json
import os
import re
import subprocess

import pytest

import models


def run(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, text=True,
                          capture_output=True, **options)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    """MiniLM compiled, profiled on one and two workers, and reported on."""
    from headrace._native import find_hrcc
    folder = tmp_path_factory.mktemp("minilm")
    hrcc = find_hrcc()
    runner = os.path.join(os.path.dirname(hrcc), "headrace-run")
    models.minilm().save(folder / "m.pt2")
    run(hrcc, folder / "m.pt2", "-o", folder / "m.so")
    profiles = []
    for workers in (1, 2):
        profile = folder / f"{workers}.json"
        run(runner, folder / "m.so", f"--workers={workers}", "--repeat=3",
            f"--profile={profile}")
        profiles.append(f"--profile-use={profile}")
    run(hrcc, folder / "m.pt2", *profiles, f"--report={folder / 'r.json'}",
        f"--report={folder / 'r.html'}", f"--report={folder / 'r.trace.json'}")
    return folder


@pytest.fixture(scope="module")
def report(minilm):
    return json.loads((minilm / "r.json").read_text())


def programs(report):
    return [p for entry in report["entries"] for p in entry["programs"]]


def commands(program):
    columns = program["commands"]["columns"]
    return [dict(zip(columns, row)) for row in program["commands"]["rows"]]


def test_header(report):
    assert report["format"] == "headrace.report" and report["version"] == 1
    assert report["name"] == "m" and report["opt_level"] == 2


def test_flops_are_known(report):
    rows, width, hidden, layers = 128, 384, 1536, 6
    matmuls = layers * 2 * rows * (
        4 * width * width + 2 * width * hidden  # projections
        + 2 * rows * width)  # scores, and the sums weighted by them
    for program in programs(report):
        assert program["least"]["flops"] == matmuls
        # The rest: normalizations, activations, softmax.
        assert matmuls < program["predicted"]["flops"] < 1.05 * matmuls


def test_weights_are_counted_once(report):
    # Two entries of 384 columns per token are gathered from the table of words.
    table = 30522 * 384 * 4
    stored = sum(c["bytes"] for c in report["constants"])
    for program in programs(report):
        least = program["least"]["bytes"]
        assert least["all"] == sum(
            v for k, v in least.items() if k != "all")
        assert least["inputs"] == 2 * 128 * 8 and least["outputs"] == 384 * 4
        assert least["constants"] == pytest.approx(
            stored - table + 128 * 384 * 4, rel=1e-3)


def test_sums_agree(report):
    memories = [m["name"] for m in report["machine"]["memories"]]
    for program in programs(report):
        rows, predicted = commands(program), program["predicted"]
        for i, memory in enumerate(memories):
            total = sum(row[f"bytes {memory}"] for row in rows)
            assert total == pytest.approx(predicted["bytes"][i], abs=len(rows))
            assert total == pytest.approx(
                sum(s["bytes"][i] for s in program["stages"]), abs=len(rows))
        for stage in program["stages"]:
            own = [r for r in rows if r["stage"] == stage["stage"]]
            assert len(own) == stage["runs"]
            assert sum(r["end_ns"] - r["begin_ns"] for r in own) == stage[
                "predicted_ns"]
        for w, worker in enumerate(predicted["workers"]):
            busy = sum(r["end_ns"] - r["begin_ns"] for r in rows
                       if r["worker"] == w)
            assert busy == pytest.approx(worker["busy_ns"], abs=len(rows))


def test_times_lie_within_the_call(report):
    for program in programs(report):
        last = {}
        for row in commands(program):
            assert last.get(row["worker"], 0) <= row["begin_ns"] <= row["end_ns"]
            assert row["end_ns"] <= program["predicted"]["ns"] + 1
            last[row["worker"]] = row["end_ns"]
        for buffer in program["buffers"]:
            for slot, begin, end, stage in buffer.get("lives", []):
                assert 0 <= slot < buffer["slots"]
                assert 0 <= begin <= end <= program["predicted"]["ns"] + 1
                assert stage < len(report["stages"])


def test_nothing_beats_the_least(report):
    for program in programs(report):
        assert program["least"]["ns"] <= program["predicted"]["ns"]
        assert 0 < program["predicted"]["share_of_least"] <= 1
        for arena in program["arenas"]:
            assert arena["least_bytes"] <= arena["bytes"]
        for stage in program["stages"]:
            # All that a stage touches passes through the innermost memory.
            assert stage["least_bytes"] <= stage["bytes"][0] + 1


def test_buffers_that_are_alive_do_not_overlap(report):
    for program in programs(report):
        blocks = []
        for buffer in program["buffers"]:
            for slot, begin, end, _ in buffer.get("lives", []):
                at = buffer["offset"] + slot * buffer["stride"]
                assert at + buffer["bytes"] <= program["arenas"][0]["bytes"]
                blocks.append((begin, end, at, at + buffer["bytes"]))
        for i, a in enumerate(blocks):
            for b in blocks[:i]:
                apart = (a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2]
                         or b[3] <= a[2])
                assert apart, (a, b)


def test_measured_beside_predicted(report):
    for program in programs(report):
        if program["workers"] > 2:
            continue
        measured = program["measured"]
        assert measured["runs"] == 3
        assert 0 < measured["least_ns"] <= measured["ns"] <= measured["p90_ns"]
        for stage in program["stages"]:
            own = [r for r in commands(program) if r["stage"] == stage["stage"]]
            assert stage["measured_ns"] == sum(
                r["measured_end_ns"] - r["measured_begin_ns"] for r in own)
    assert {p["workers"] for p in programs(report) if "measured" in p} == {1, 2}


def test_stages_know_where_they_come_from(report):
    for stage in report["stages"]:
        assert stage["code_bytes"] > 0
        assert stage["plan"]["predicted_ns"] > 0
        assert all(place["line"] > 0 for place in stage["places"] if "file" in place)
    places = {os.path.basename(p.get("file", "")) for s in report["stages"]
              for p in s["places"]}
    assert "modeling_bert.py" in places


def test_page_stands_alone(minilm):
    page = (minilm / "r.html").read_text()
    data = re.search(r'<script type="application/json" id="report">(.*?)</script>',
                     page, re.S)
    assert json.loads(data[1]) == json.loads((minilm / "r.json").read_text())
    rest = page.replace(data[0], "")
    for word in ("http", "//cdn", "src=", "href=", "url(", "@import", "fetch(",
                 "XMLHttpRequest", "import("):
        assert word not in rest, word


def test_trace_opens(minilm):
    events = json.loads((minilm / "r.trace.json").read_text())["traceEvents"]
    names = [e["args"]["name"] for e in events if e["name"] == "process_name"]
    assert "main, 1 worker, predicted" in names
    assert "main, 2 workers, measured" in names
    assert all(e["dur"] >= 0 for e in events if e["ph"] == "X")


def test_workers_share_the_reading_of_packed_weights(tmp_path):
    """A tile reads its own panels: two workers take half the time, and a call
    takes two, where reading the weights is all there is to do."""
    import torch
    from headrace._native import find_hrcc
    linear = torch.nn.Linear(1024, 2048, bias=False).eval()
    torch.export.save(torch.export.export(linear, (torch.randn(1, 1024),)),
                      tmp_path / "l.pt2")
    run(find_hrcc(), tmp_path / "l.pt2", "-o", tmp_path / "l.so",
        "--target=intel-sapphire-rapids", f"--report={tmp_path / 'r.json'}")
    report = json.loads((tmp_path / "r.json").read_text())
    one, two = report["entries"][0]["programs"][:2]
    assert (one["workers"], two["workers"]) == (1, 2)
    assert two["predicted"]["ns"] < 0.6 * one["predicted"]["ns"]
