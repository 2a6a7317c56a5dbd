#!/usr/bin/env python3
"""Compares predicted times with measured ones.

    benchmarks/predictions [row or group ...] [--target NAME] [--json FILE]
    benchmarks/predictions --ranking [row ...] [--target NAME]

Without --ranking: each row of the benchmark table as planned, simulated and
measured (headrace-run --profile), whole and by stage. With it: rows of one stage
each, compiled with plans that are predicted to be up to so many times as slow as
the best (-fplan-within); measured in turns, so that the order of the predictions
can be compared with that of the measurements (Kendall's tau: 1 is the same order,
-1 the opposite one).

Predictions are of a description: run `hrcc --probe` first.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any, Sequence

import common
import rows

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = os.path.join(common.BUILD, "bin", "headrace-run")
RANKED = ["matmul_f32_1024", "linear_f32_2048", "conv3x3_f32_64x56",
          "sdpa_f32_s512", "ln_gelu_res_f32", "softmax_f32_4096"]
FACTORS = [1, 1.1, 1.25, 1.5, 2, 3]


def export(row: rows.Row, folder: str) -> str:
    """Writes the row's program, in a process of its own: torch holds memory."""
    path = os.path.join(folder, row.name + ".pt2")
    code = ("import sys, torch, rows\n"
            "torch.manual_seed(0)\n"
            "module, arguments = rows.select([sys.argv[1]])[0].make()\n"
            "with torch.no_grad():\n"
            "    torch.export.save(torch.export.export(module, arguments), "
            "sys.argv[2])\n")
    subprocess.run([sys.executable, "-c", code, row.name, path], cwd=HERE,
                   check=True, stdout=subprocess.DEVNULL)
    return path


def profile(artifact: str, path: str, repeat: int) -> dict[str, Any]:
    subprocess.run([RUN, artifact, f"--profile={path}", f"--repeat={repeat}"],
                   check=True, stdout=subprocess.DEVNULL)
    with open(path) as file:
        return json.load(file)


def report(program: str, profiled: str, folder: str, *options: str
           ) -> dict[str, Any]:
    """The program of the report that was measured, with its stages' names."""
    path = os.path.join(folder, "report.json")
    common.hrcc(program, f"--profile-use={profiled}", f"--report={path}",
                *options)
    with open(path) as file:
        data = json.load(file)
    entry = data["entries"][0]
    for measured in entry["programs"]:
        if "measured" in measured:
            measured["names"] = [stage["name"] for stage in data["stages"]]
            return measured
    raise SystemExit("the report has no measured program")


def compare(row: rows.Row, target: list[str], folder: str) -> dict[str, Any]:
    program = export(row, folder)
    artifact = os.path.join(folder, row.name + ".so")
    common.hrcc(program, "-o", artifact, *target)
    profiled = os.path.join(folder, "profile.json")
    profile(artifact, profiled, 20)
    measured = report(program, profiled, folder, *target)
    stages = [{"name": measured["names"][stage["stage"]],
               "predicted_ns": stage["predicted_ns"],
               "measured_ns": stage["measured_ns"]}
              for stage in measured["stages"]]
    os.remove(program)
    os.remove(artifact)
    return {"row": row.name, "predicted_ns": measured["predicted"]["ns"],
            "measured_ns": measured["measured"]["ns"], "stages": stages}


def print_comparison(result: dict[str, Any], most: int) -> None:
    ratio = result["predicted_ns"] / result["measured_ns"]
    print(f"{result['row']:22} predicted {result['predicted_ns'] / 1e6:9.3f} ms"
          f"  measured {result['measured_ns'] / 1e6:9.3f} ms  {ratio:5.2f}")
    for stage in sorted(result["stages"],
                        key=lambda stage: -stage["measured_ns"])[:most]:
        ratio = stage["predicted_ns"] / max(stage["measured_ns"], 1)
        print(f"    {stage['name'][:44]:44} {stage['predicted_ns'] / 1e3:10.1f}"
              f" {stage['measured_ns'] / 1e3:10.1f} us  {ratio:5.2f}")


def kendall(pairs: Sequence[tuple[float, float]]) -> float:
    """Of all pairs of pairs, those in the same order less those in the other."""
    signs = [(a[0] - b[0]) * (a[1] - b[1])
             for a, b in itertools.combinations(pairs, 2)]
    agree = sum(sign > 0 for sign in signs) - sum(sign < 0 for sign in signs)
    return agree / len(signs) if signs else 1.0


def rank(row: rows.Row, target: list[str], folder: str, rounds: int
         ) -> dict[str, Any]:
    program = export(row, folder)
    artifacts: dict[str, tuple[float, str]] = {}
    for factor in FACTORS:
        path = os.path.join(folder, f"{row.name}.{factor}.so")
        told = os.path.join(folder, "plan.json")
        common.hrcc(program, "-o", path, f"-fplan-within={factor}",
                    f"--report={told}", *target)
        with open(told) as file:
            stages = json.load(file)["stages"]
        plans = [stage["plan"] for stage in stages if "plan" in stage]
        key = json.dumps([plan["tile"] for plan in plans])
        artifacts.setdefault(
            key, (sum(plan["predicted_ns"] for plan in plans), path))
    times: dict[str, list[float]] = {key: [] for key in artifacts}
    for _ in range(rounds):
        for key, (_, path) in artifacts.items():
            told = profile(path, os.path.join(folder, "profile.json"), 7)
            times[key].append(told["median_ns"])
    os.remove(program)
    plans = [{"tiles": key, "predicted_ns": artifacts[key][0],
              "measured_ns": statistics.median(times[key])}
             for key in artifacts]
    tau = kendall([(plan["predicted_ns"], plan["measured_ns"])
                   for plan in plans])
    return {"row": row.name, "plans": plans, "tau": tau}


def print_ranking(result: dict[str, Any]) -> None:
    best = min(plan["measured_ns"] for plan in result["plans"])
    chosen = result["plans"][0]["measured_ns"]
    print(f"{result['row']:22} tau {result['tau']:5.2f}, the chosen plan at "
          f"{chosen / best:4.2f} of the best measured")
    for plan in result["plans"]:
        print(f"    predicted {plan['predicted_ns'] / 1e3:10.1f} us  measured "
              f"{plan['measured_ns'] / 1e3:10.1f} us  {plan['tiles']}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help="rows or groups")
    parser.add_argument("--ranking", action="store_true",
                        help="compare plans of a stage with each other")
    parser.add_argument("--target", default="native")
    parser.add_argument("--stages", type=int, default=5,
                        help="how many stages of a row are listed")
    parser.add_argument("--rounds", type=int, default=5,
                        help="how often plans are measured")
    parser.add_argument("--json", metavar="FILE", help="write all figures")
    options = parser.parse_args()
    target = [f"--target={options.target}"]
    chosen = rows.select(options.rows or (RANKED if options.ranking else []))
    results = []
    print(common.describe_machine())
    with tempfile.TemporaryDirectory(prefix="headrace-predictions-") as folder:
        for row in chosen:
            if options.ranking:
                results.append(rank(row, target, folder, options.rounds))
                print_ranking(results[-1])
            else:
                results.append(compare(row, target, folder))
                print_comparison(results[-1], options.stages)
            sys.stdout.flush()
    if not options.ranking:
        close = sum(0.8 <= result["predicted_ns"] / result["measured_ns"] <= 1.25
                    for result in results)
        print(f"{close} of {len(results)} rows within 25 %")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
