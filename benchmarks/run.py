#!/usr/bin/env python3
"""Measures Headrace beside its peers and beside the machine's own limits.

    benchmarks/run [row or group ...] [--peers NAMES] [--json FILE] ...
    benchmarks/run --list
    benchmarks/run --readme

A row is measured in rounds in which every peer has its turn, in a process of
its own that is stopped the rest of the time (race.py). The limit is one more
peer: the row's operations or bytes and nothing else, on as many threads. A peer
that is not installed is skipped, one that fails says why. requirements.txt
tells how to install the peers.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shlex
import sys
import tempfile

import common
import peers
import race
import report
import rows

SMOKE = ["ln_gelu_res_f32"]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help="rows or groups; default: all")
    parser.add_argument("--list", action="store_true",
                        help="print the rows and the peers")
    parser.add_argument("--peers", metavar="NAMES",
                        help="comma-separated; default: all")
    parser.add_argument("--seconds", type=float, default=10,
                        help="how long the rounds of a row go on")
    parser.add_argument("--threads", type=int,
                        default=len(os.sched_getaffinity(0)),
                        help="of each peer")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall",
                        help="the time that is compared: the clock's, or the "
                             "CPUs' over all threads of the peer")
    parser.add_argument("--timeout", type=float, default=300,
                        help="seconds for a peer to get ready")
    parser.add_argument("--memory", type=float, default=8, metavar="GB",
                        help="for the peers of a row at once")
    parser.add_argument("--peer-python", action="append", default=[],
                        metavar="PEER=PYTHON",
                        help="the interpreter of a peer that needs packages "
                             "of its own")
    parser.add_argument("--json", metavar="FILE", help="write all figures")
    parser.add_argument("--resume", action="store_true",
                        help="take rows that --json's file has from there: "
                             "those measured on this machine, in the same way, "
                             "while nobody else used it")
    parser.add_argument("--markdown", metavar="FILE", help="write the table")
    parser.add_argument("--svg", metavar="FILE",
                        help="write a picture of the shares of the limits")
    parser.add_argument("--record", action="store_true",
                        help="write the table into benchmarks/results.md, "
                             "the picture beside it, and what limits the rows "
                             "into docs/performance.md, unless others used "
                             "the machine")
    parser.add_argument("--readme", action="store_true",
                        help="measure README's table instead and write it, "
                             "unless others used the machine")
    parser.add_argument("--smoke", action="store_true",
                        help="seconds only: shows that it runs")
    return parser.parse_args()


def list_everything() -> None:
    for row in rows.ROWS.values():
        print(f"{row.name:22} {row.group:10} limit: {row.limit}")
    print("\npeers: headrace, " + ", ".join(
        name for name in peers.PEERS if name not in ("headrace", "limit")))


def choose_peers(text: str | None) -> list[str]:
    """Headrace first, the limit last; both always."""
    others = [name for name in peers.PEERS
              if name not in ("headrace", "limit")]
    if text is not None:
        chosen = [name for name in text.split(",") if name]
        unknown = set(chosen) - set(peers.PEERS)
        if unknown:
            sys.exit(f"run: error: unknown peer {unknown.pop()!r}; there are "
                     + ", ".join(others))
        others = [name for name in others if name in chosen]
    return ["headrace", *others, "limit"]


def read_versions() -> dict[str, str]:
    versions = {}
    for package in ("torch", "transformers", "onnx", "onnxscript",
                    "onnxruntime", "openvino", "iree-base-compiler",
                    "llama_cpp_python", "numpy"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return versions


def main() -> int:
    arguments = parse()
    if arguments.list:
        list_everything()
        return 0
    if arguments.readme:
        import figures
        return figures.main(arguments.seconds, arguments.smoke)
    names = arguments.rows or (SMOKE if arguments.smoke else [])
    try:
        selected = rows.select(names)
    except ValueError as error:
        sys.exit(f"run: error: {error}")
    chosen = choose_peers("eager" if arguments.smoke and not arguments.peers
                          else arguments.peers)
    options = race.Options(
        threads=arguments.threads, timeout=arguments.timeout,
        seconds=0.5 if arguments.smoke else arguments.seconds,
        rounds=2 if arguments.smoke else 5, clock=arguments.clock,
        memory=int(arguments.memory * 1e9),
        peer_python=dict(text.split("=", 1)
                         for text in arguments.peer_python))
    before = read_rows(arguments) if arguments.resume else {}
    results = []
    for row in selected:
        if row.name in before:
            print(f"{row.name}: taken from {arguments.json}", file=sys.stderr,
                  flush=True)
            results.append(before[row.name])
        else:
            print(f"{row.name} ...", file=sys.stderr, flush=True)
            load = common.Load()
            with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
                results.append(race.run_row(row, chosen, folder, options))
            results[-1]["others"] = load.others()
        write(arguments, results)
    table, what = write(arguments, results)
    print(table)
    reasons = report.format_reasons(results)
    print(f"\n{reasons}\n\n{what}" if reasons else f"\n{what}")
    if arguments.record and not is_busy(results):
        record(results, table, what)
    elif arguments.record:
        print("Nothing was recorded: the machine was busy.")
    failed = [result["name"] for result in results if "fails" in result
              or "seconds" not in result["peers"].get("headrace", {})]
    return 1 if failed else 0


def describe_command() -> str:
    """The command, without the names of the files that it writes."""
    words, skipped = [], False
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        takes = name in ("--json", "--markdown", "--svg")
        if not (takes or skipped or word == "--resume"):
            words.append(word)
        skipped = takes and not value
    return shlex.join(["benchmarks/run", *words])


def is_busy(results: list) -> bool:
    return any(result["others"] > common.BUSY for result in results)


def describe_setup(arguments: argparse.Namespace) -> dict[str, object]:
    """What figures must have in common to stand in one table."""
    return {"machine": common.describe_machine(),
            "threads": arguments.threads, "clock": arguments.clock,
            "seconds": arguments.seconds, "peers": arguments.peers,
            "versions": read_versions()}


def read_rows(arguments: argparse.Namespace) -> dict[str, dict]:
    """The rows of --json's file that need not be measured again."""
    if not arguments.json:
        sys.exit("run: error: --resume needs --json")
    try:
        with open(arguments.json) as file:
            measured = json.load(file)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        sys.exit(f"run: error: {arguments.json}: {error}")
    if measured.get("setup") != describe_setup(arguments):
        sys.exit(f"run: error: {arguments.json} was measured elsewhere or in "
                 "another way")
    return {row["name"]: row for row in measured["rows"]
            if "fails" not in row and row["others"] <= common.BUSY}


def write(arguments: argparse.Namespace, results: list) -> tuple[str, str]:
    """The files asked for, after each row: a long run may be cut short."""
    others = max(result["others"] for result in results)
    what = (f"`{describe_command()}` on {common.describe_machine()}, "
            f"{arguments.threads} threads; others took at most {others:.0%} of "
            "the CPUs' time of a row.")
    if is_busy(results):
        what += " The machine was busy: do not quote these figures."
    table = report.format_markdown(results)
    if arguments.json:
        save(arguments.json, json.dumps(
            {"setup": describe_setup(arguments), "arguments": sys.argv[1:],
             "rows": results}, indent=1))
    if arguments.markdown:
        save(arguments.markdown, f"{table}\n\n{what}\n")
    if arguments.svg:
        save(arguments.svg, report.draw(results, common.describe_machine()))
    return table, what


def save(path: str, text: str) -> None:
    with open(path + ".part", "w") as file:
        file.write(text)
    os.replace(path + ".part", path)


def record(results: list, table: str, what: str) -> None:
    versions = ", ".join(f"{name} {version}" for name, version
                         in read_versions().items())
    common.write_between(
        os.path.join(common.ROOT, "benchmarks", "results.md"), "table",
        f"![shares of the limits](results.svg)\n\n{table}\n\n{what} "
        f"{versions}.")
    common.write_between(
        os.path.join(common.ROOT, "docs", "performance.md"), "rows",
        f"{report.format_work(results)}\n\n{what}")
    save(os.path.join(common.ROOT, "benchmarks", "results.svg"),
         report.draw(results, common.describe_machine()))


if __name__ == "__main__":
    sys.exit(main())
