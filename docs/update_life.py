#!/usr/bin/env python3
"""Keeps docs/life-of-a-model.md true.

    docs/update_life.py [--check] [--build DIR]

Exports the page's small model, runs hrcc once per marker and puts its output
into the block after the marker; with --check, compares instead and fails with
the difference. A marker is a comment alone on its line:

    <!-- hrcc --emit=tensor -->            all of the output
    <!-- hrcc --emit=tiled : @stage_0 -->  the op in whose first line this stands

The target is a shipped description, so that every host gives the same page.
"""
import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "docs", "life-of-a-model.md")
TARGET = "generic-x86-64-v3"
MARKER = re.compile(r"^<!-- hrcc (?P<flags>[^:]*?)(?: : (?P<symbol>\S+))? -->$")


def get_model_source(page):
    """The page's first Python block: it defines `model` and `args`."""
    return re.search(r"^```python\n(.*?)^```$", page, re.M | re.S).group(1)


def export(page, path):
    import torch
    # Compiled under the page's name: the lines of the block are what messages
    # and locations show.
    scope = {}
    torch.manual_seed(0)
    exec(compile(get_model_source(page), "life-of-a-model.md", "exec"), scope)
    torch.export.save(scope["program"], path)


def pick(text, symbol):
    """The op in whose first line `symbol` stands, by its indentation."""
    lines = text.splitlines()
    for first, line in enumerate(lines):
        if re.search(re.escape(symbol) + r"\b", line):
            indent = len(line) - len(line.lstrip())
            last = first
            while last + 1 < len(lines) and (
                    not lines[last + 1].strip()
                    or len(lines[last + 1]) - len(lines[last + 1].lstrip())
                    > indent or lines[last + 1].strip() in ("}", "})")):
                last += 1
                if lines[last].startswith(" " * indent + "}"):
                    break
            return "\n".join(l[indent:] for l in lines[first:last + 1])
    sys.exit(f"docs/update_life.py: no {symbol} in what hrcc printed")


def run(hrcc, program, flags, symbol):
    command = [hrcc, program, f"--target={TARGET}", "-o", "-", *flags.split()]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(" ".join(command) + "\n" + result.stderr)
    text = result.stdout.strip()
    return pick(text, symbol) if symbol else text


def render(page, hrcc):
    out, lines = [], iter(page.splitlines())
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "small.pt2")
        export(page, program)
        for line in lines:
            out.append(line)
            marker = MARKER.match(line)
            if not marker:
                continue
            opening = next(lines)
            assert opening.startswith("```"), f"no block after: {line}"
            out.append(opening)
            for old in lines:
                if old == "```":
                    break
            out += run(hrcc, program, marker["flags"],
                       marker["symbol"]).splitlines()
            out.append("```")
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--build", default=os.environ.get("HEADRACE_BUILD")
                        or os.path.join(ROOT, "build"))
    options = parser.parse_args()
    with open(PAGE) as file:
        old = file.read()
    new = render(old, os.path.join(options.build, "bin", "hrcc"))
    if options.check:
        difference = list(difflib.unified_diff(
            old.splitlines(), new.splitlines(), "docs/life-of-a-model.md",
            "what hrcc does now", lineterm=""))
        if difference:
            print("\n".join(difference))
            print("run docs/update_life.py and read the difference")
            return 1
        return 0
    with open(PAGE, "w") as file:
        file.write(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
