"""The report of a compilation: what ``hrcc --report=FILE.json`` writes.

The schema is docs/report.md of the project; here are only the few figures that
one asks for first, and a table of stages.
"""

from __future__ import annotations

import html
import json
import os
from typing import Any, Iterator, Mapping

from ._errors import Error

#: The version of the schema that is read here.
_VERSION = 1


class Program:
    """One entry on one number of workers. Times are milliseconds."""

    def __init__(self, report: "Report", entry: Mapping[str, Any],
                 data: Mapping[str, Any]) -> None:
        self._report = report
        self.data = data
        self.entry: str = entry["name"]
        self.workers: int = data["workers"]
        #: Whether a call of these sizes takes it, if it may have all workers.
        self.is_chosen: bool = entry.get("workers") == self.workers
        #: Symbolic sizes, and the values that times are predicted at.
        self.sizes: dict[str, int] = {
            symbol["name"]: symbol["value"] for symbol in entry["symbols"]}
        #: By the simulator, of one call.
        self.predicted_ms: float = data["predicted"]["ns"] / 1e6
        #: What the machine allows at best.
        self.least_ms: float = data["least"]["ns"] / 1e6
        measured = data.get("measured")
        #: The median of a profile, if there was one.
        self.measured_ms: float | None = measured and measured["ns"] / 1e6
        self.flops: int = data["predicted"]["flops"]
        #: Bytes that cross each memory, from the innermost outward.
        self.bytes: dict[str, int] = dict(zip(
            report.memories, data["predicted"]["bytes"]))
        self.arena_bytes: int = sum(a["bytes"] for a in data["arenas"])

    @property
    def stages(self) -> list[dict[str, Any]]:
        """One row per stage, those that take longest first."""
        rows = []
        for stage in self.data["stages"]:
            known = self._report.data["stages"][stage["stage"]]
            row = {"name": known["name"],
                   "predicted_ms": stage["predicted_ns"] / 1e6,
                   "bound": stage["bound"], "flops": stage["flops"],
                   "bytes": dict(zip(self._report.memories, stage["bytes"])),
                   "least_bytes": stage["least_bytes"],
                   "runner_up": known["plan"].get("runner_up", ""),
                   "places": [_place(place) for place in
                              known.get("places", [])]}
            if "measured_ns" in stage:
                row["measured_ms"] = stage["measured_ns"] / 1e6
            rows.append(row)
        return sorted(rows, key=lambda row: -row["predicted_ms"])

    def __repr__(self) -> str:
        sizes = "".join(f", {k}={v}" for k, v in self.sizes.items())
        count = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        text = (f"{self.entry} ({count}{sizes}): predicted "
                f"{_time(self.predicted_ms)}, at least {_time(self.least_ms)}")
        if self.measured_ms is not None:
            text += f", measured {_time(self.measured_ms)}"
        return text


class Report:
    """The figures of a compilation; in a notebook, a table.

    ``data`` is the whole of it as hrcc wrote it, and what ``report[key]`` looks
    in; ``page`` is the same as an HTML page, where that was kept.
    """

    def __init__(self, data: Mapping[str, Any], page: str | None = None) -> None:
        if data.get("format") != "headrace.report":
            raise Error("not a report of hrcc")
        if data.get("version") != _VERSION:
            raise Error(f"a report of version {data.get('version')}; this "
                        f"package reads version {_VERSION}")
        self.data = data
        self.page = page
        self.memories: list[str] = [
            memory["name"] for memory in data["machine"]["memories"]]
        self.programs = [Program(self, entry, program)
                         for entry in data["entries"]
                         for program in entry["programs"]]

    @staticmethod
    def read(path: str | os.PathLike[str]) -> "Report":
        """Reads what ``hrcc --report=FILE.json`` wrote."""
        try:
            with open(path, encoding="utf-8") as file:
                return Report(json.load(file))
        except OSError as error:
            raise Error(f"cannot read '{os.fspath(path)}': "
                        f"{error.strerror}") from None
        except (ValueError, KeyError, AttributeError) as error:
            raise Error(f"'{os.fspath(path)}' is not a report of hrcc "
                        f"({error})") from None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the page if the name ends in .html, else the JSON."""
        text = json.dumps(self.data)
        if os.fspath(path).endswith(".html"):
            if self.page is None:
                raise Error("this report has no page: hrcc writes it, with "
                            "--report=FILE.html")
            text = self.page
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def program(self, entry: str | None = None,
                workers: int | None = None) -> Program:
        """That of an entry (default: the first) on so many workers (default:
        as many as a call of these sizes takes)."""
        found = [p for p in self.programs
                 if p.entry == (entry or self.programs[0].entry) and
                 workers in (None, p.workers)]
        if not found:
            known = ", ".join(f"{p.entry} on {p.workers}"
                              for p in self.programs)
            raise KeyError(f"no program of entry {entry!r} on {workers} "
                           f"workers; there are {known}")
        return max(found, key=lambda program: (program.is_chosen,
                                               program.workers))

    def __getitem__(self, key: str) -> Any:
        return self.data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def keys(self) -> Any:
        return self.data.keys()

    def __repr__(self) -> str:
        return "\n".join([f"headrace.Report of {self.data['name']!r} on "
                          f"{self.data['machine']['name']}:",
                          *(f"  {program!r}" for program in self.programs)])

    def _repr_html_(self) -> str:
        parts = [f"<h4>{_text(self.data['name'])} on "
                 f"{_text(self.data['machine']['name'])}</h4>"]
        parts.append(_table(
            ["entry", "workers", "sizes", "predicted", "least", "measured",
             "flops", "arena", *self.memories],
            [[p.entry, p.workers,
              ", ".join(f"{k}={v}" for k, v in p.sizes.items()),
              _time(p.predicted_ms), _time(p.least_ms),
              "" if p.measured_ms is None else _time(p.measured_ms),
              _count(p.flops), _count(p.arena_bytes, "B"),
              *(_count(p.bytes[m], "B") for m in self.memories)]
             for p in self.programs]))
        seen = set()
        for program in self.programs:
            if program.entry in seen:
                continue
            seen.add(program.entry)
            program = self.program(program.entry)
            rows = program.stages
            parts.append(
                f"<details><summary>{len(rows)} stages of "
                f"{_text(program.entry)} on {program.workers} workers"
                "</summary>" + _table(
                    ["stage", "predicted", "measured", "bound", "flops",
                     *self.memories, "from"],
                    [[row["name"], _time(row["predicted_ms"]),
                      _time(row["measured_ms"]) if "measured_ms" in row else "",
                      row["bound"], _count(row["flops"]),
                      *(_count(row["bytes"][m], "B") for m in self.memories),
                      "; ".join(row["places"][:2])] for row in rows[:200]])
                + "</details>")
        if self.page is not None:
            parts.append(
                "<details><summary>the whole report</summary><iframe "
                'sandbox="allow-scripts" style="width:100%;height:40em;'
                f'border:0" srcdoc="{_text(self.page)}"></iframe></details>')
        return "".join(parts)


def _place(place: Mapping[str, Any]) -> str:
    name = os.path.basename(str(place.get("file", "")))
    line = f"{name}:{place['line']}" if "line" in place else name
    return f"{line} {place['node']}".strip() if "node" in place else line


def _time(ms: float) -> str:
    return f"{ms:.3g} ms" if ms >= 1 else f"{ms * 1e3:.3g} µs"


def _count(value: float, unit: str = "") -> str:
    for prefix in ("", "k", "M", "G", "T"):
        if value < 1000 or prefix == "T":
            break
        value /= 1000
    return f"{value:.3g} {prefix}{unit}".strip()


def _text(value: Any) -> str:
    return html.escape(str(value), quote=True)


def _table(heads: list[str], rows: list[list[Any]]) -> str:
    def line(cells: list[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{_text(cell)}</{tag}>"
                                for cell in cells) + "</tr>"
    return ("<table>" + line(heads, "th") +
            "".join(line(row, "td") for row in rows) + "</table>")


__all__ = ["Program", "Report"]
