"""The report of a compilation as an object; its figures are hrcc's."""

import html.parser
import json

import pytest
import torch

import headrace


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(64, 64)
        self.second = torch.nn.Linear(64, 8)

    def forward(self, x):
        return self.second(torch.relu(self.first(x))).softmax(-1)


@pytest.fixture(scope="module")
def fast():
    rows = torch.export.Dim("rows", min=1, max=64)
    torch.manual_seed(0)
    return headrace.compile(Small().eval(), (torch.randn(8, 64),),
                            dynamic_shapes=({0: rows},))


def test_figures(fast):
    report = fast.report()
    assert report["format"] == "headrace.report"
    assert report["schedule"] == fast.signature["schedule"]
    assert {p.workers for p in report.programs} == {
        s["workers"] for s in fast.signature["entries"][0]["schedules"]}
    program = report.program()
    assert program.is_chosen and program.workers == 1  # little to do
    assert [p.workers for p in report.programs if p.is_chosen] == [1]
    assert report.program("main", 1).workers == 1
    assert program.predicted_ms >= program.least_ms > 0
    assert program.measured_ms is None
    rows, = program.sizes.values()
    assert program.flops >= 2 * rows * (64 * 64 + 64 * 8)
    assert set(program.bytes) == set(report.memories)
    stages = program.stages
    assert sum(s["flops"] for s in stages) == pytest.approx(program.flops, abs=9)
    times = [s["predicted_ms"] for s in stages]
    assert times == sorted(times, reverse=True)
    assert any("test_report.py:" in place for s in stages
               for place in s["places"])
    assert "main (1 worker, " in repr(report)
    with pytest.raises(KeyError, match="no program of entry 'main' on 77"):
        report.program("main", 77)


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.page = [], ""

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.page = dict(attributes).get("srcdoc", self.page)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_notebook_shows_a_table_and_the_page(fast):
    report = fast.report()
    tags = Tags()
    tags.feed(report._repr_html_())
    assert not tags.open
    assert tags.page == report.page and "<html" in report.page
    for stage in report.program().stages:
        assert stage["name"] in report._repr_html_()


def test_saved_beside_the_artifact(fast, tmp_path):
    fast.save(tmp_path / "model.so")
    loaded = headrace.load(tmp_path / "model.so")
    with pytest.raises(headrace.Error, match="no report beside .*model.so'"):
        loaded.report()
    fast.report().save(tmp_path / "model.report.json")
    assert loaded.report().data == fast.report().data
    assert "<iframe" not in loaded.report()._repr_html_()
    with pytest.raises(headrace.Error, match="has no page"):
        loaded.report().save(tmp_path / "model.report.html")
    fast.report().save(tmp_path / "model.report.html")
    assert loaded.report().page == fast.report().page


@pytest.mark.parametrize("text, message", [
    ("{", "is not a report"), ('{"format": "x"}', "not a report"),
    ('{"format": "headrace.report", "version": 999}', "version 999"),
    ('{"format": "headrace.report", "version": 1}', "is not a report"),
    ("[]", "is not a report")])
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(headrace.Error, match=message):
        headrace.Report.read(tmp_path / "r.json")


def test_the_report_of_another_compilation_is_refused(fast, tmp_path):
    fast.save(tmp_path / "model.so")
    other = dict(fast.report().data, schedule="0")
    (tmp_path / "model.report.json").write_text(json.dumps(other))
    with pytest.raises(headrace.Error, match="of another compilation"):
        headrace.load(tmp_path / "model.so").report()
