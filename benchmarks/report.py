"""The measured rows as Markdown and as a picture."""

from __future__ import annotations

import html
from typing import Any, Sequence

import peers


def peer_names(results: Sequence[dict[str, Any]]) -> list[str]:
    """Those that any row has, in the order of the first."""
    names: list[str] = []
    for result in results:
        names += [name for name in result["peers"]
                  if name not in names and name != "limit"]
    return names


def find_best(result: dict[str, Any]) -> str | None:
    """The fastest other peer that computes as precisely as the row asks."""
    times = {name: entry["seconds"][1]
             for name, entry in result["peers"].items()
             if "seconds" in entry and name not in ("limit", "headrace")
             and peers.is_in_class(name, result["dtype"])}
    return min(times, key=lambda name: times[name]) if times else None


def format_time(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:.0f}"


def format_markdown(results: Sequence[dict[str, Any]]) -> str:
    """A line per row: what each peer took and how far off it is."""
    names = peer_names(results)
    lines = ["| row | " + " | ".join(names) + " | limit | x eager's speed "
             "| x best peer's speed | share of limit | goal |",
             "|---" * (len(names) + 6) + "|"]
    for result in results:
        if "fails" in result:
            lines.append(f"| {result['name']} | fails: {result['fails']} |")
            continue
        best = find_best(result)
        entries = result["peers"]
        cells = []
        for name in names:
            entry = entries.get(name, {"state": ""})
            if "seconds" not in entry:
                cells.append("fails" if entry["state"] == "fails" else "")
                continue
            text = format_time(entry["seconds"][1])
            if name == best:
                text = f"**{text}**"
            if "error_ulp" in entry:
                text += f" ({entry['error_ulp']:.3g}" + (
                    "!" if entry["breaks_contract"] else "") + ")"
            cells.append(text)
        limit = entries.get("limit", {})
        cells.append(format_time(limit["seconds"][1])
                     if "seconds" in limit else "")
        for other in ("eager", best):
            cells.append(_format_speed(entries.get(other or "", {}), other))
        ours = entries.get("headrace", {}).get("share_of_limit")
        cells.append(_format_range(ours, 100, "%") if ours else "")
        cells.append(f"{result['goal']:.0%}")
        lines.append(f"| {result['name']} | " + " | ".join(cells) + " |")
    lines += ["", "Times are medians in ms; in brackets the largest error "
              "against f64 in units in the last place of the output's scale, "
              "with ! where it is over the bound of the contract (2 x eager's "
              "+ 4). Speeds and shares are medians of paired ratios, with "
              "their quartiles. The limit is the machine's own, at the row's "
              "operations or bytes, in the same rounds."]
    return "\n".join(lines)


def _format_speed(entry: dict[str, Any], name: str | None) -> str:
    if "times_headrace" not in entry:
        return ""
    text = _format_range(entry["times_headrace"], 1, "x")
    return text if name == "eager" else f"{text} {name}"


def _format_range(three: Sequence[float], factor: float, unit: str) -> str:
    low, middle, high = (value * factor for value in three)
    digits = 0 if unit == "%" else 2
    return (f"{middle:.{digits}f} {unit} "
            f"[{low:.{digits}f}-{high:.{digits}f}]")


def format_work(results: Sequence[dict[str, Any]]) -> str:
    """A line per row: what it has to do, and what that is limited by."""
    lines = ["| row | operations, G | weights, MB | inputs and outputs, MB "
             "| limit | loop | share reached | goal |", "|---" * 8 + "|"]
    for result in results:
        if "work" not in result:
            continue
        work, entries = result["work"], result["peers"]
        share = entries.get("headrace", {}).get("share_of_limit")
        moved = work["input_bytes"] + work["output_bytes"]
        lines.append("| " + " | ".join([
            result["name"], f"{work['operations'] / 1e9:.3g}",
            f"{work['weight_bytes'] / 1e6:.3g}", f"{moved / 1e6:.3g}",
            result["limit"],
            entries.get("limit", {}).get("notes", {}).get("loop", ""),
            f"{share[1]:.0%}" if share else "", f"{result['goal']:.0%}"])
            + " |")
    return "\n".join(lines)


def format_reasons(results: Sequence[dict[str, Any]]) -> str:
    """One line for each peer that has no figure, and why."""
    lines = []
    for result in results:
        for name, entry in result["peers"].items():
            if entry["state"] != "ok":
                lines.append(f"{result['name']}: {name} {entry['state']}: "
                             f"{entry['reason']}")
    return "\n".join(lines)


# ------------------------------------------------------------------ the picture

COLOURS = {"headrace": "#c8371b", "eager": "#7f7f7f", "inductor": "#9ecae1",
           "inductor-ma": "#6baed6", "aoti": "#2171b5", "ort": "#74a857",
           "openvino": "#8c6bb1", "openvino-default": "#cbb7dd",
           "iree": "#e0a030", "llama.cpp": "#5c4033"}
BAR, GAP, LEFT, WIDTH = 10, 12, 190, 640


def draw(results: Sequence[dict[str, Any]], title: str) -> str:
    """Bars: the share of the machine's limit that each peer reaches. The mark
    is the goal."""
    names = peer_names(results)
    parts: list[str] = []
    y = 56

    def text(x: float, where: float, what: str, more: str = "") -> None:
        parts.append(f'<text x="{x:.1f}" y="{where:.1f}" {more}>'
                     f"{html.escape(what)}</text>")
    text(12, 22, title, 'font-weight="bold"')
    x = float(LEFT)
    for name in names:
        parts.append(f'<rect x="{x:.1f}" y="33" width="10" height="10" '
                     f'fill="{COLOURS.get(name, "#000")}"/>')
        text(x + 14, 42, name)
        x += 28 + 6.4 * len(name)
    body: list[tuple[int, int]] = []
    for result in results:
        shown = [(name, result["peers"][name]) for name in names
                 if "share_of_limit" in result["peers"].get(name, {})]
        if not shown:
            continue
        top = y
        text(LEFT - 8, y + len(shown) * BAR / 2 + 4, result["name"],
             'text-anchor="end"')
        for name, entry in shown:
            share = min(entry["share_of_limit"][1], 1.2)
            length = share * WIDTH
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" '
                f'height="{BAR - 1}" fill="{COLOURS.get(name, "#000")}"/>')
            if name == "headrace":
                text(LEFT + length + 4, y + BAR - 1.5,
                     f"{entry['share_of_limit'][1]:.0%}")
            y += BAR
        goal = LEFT + result["goal"] * WIDTH
        parts.append(f'<path d="M{goal:.1f} {top - 2}V{y + 1}" '
                     'stroke="#000" stroke-width="1.5"/>')
        body.append((top, y))
        y += GAP
    grid = []
    for percent in range(0, 101, 20):
        x = LEFT + percent / 100 * WIDTH
        grid.append(f'<path d="M{x:.1f} 50V{y}" stroke="#ddd"/>')
        text(x, y + 14, f"{percent} %", 'text-anchor="middle"')
    text(LEFT, y + 32, "share of the machine's own limit; the black mark is "
         "the goal")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 150}"'
            f' height="{y + 44}" font-family="sans-serif" font-size="11">\n'
            '<rect width="100%" height="100%" fill="#fff"/>\n'
            + "\n".join(grid + parts) + "\n</svg>\n")
