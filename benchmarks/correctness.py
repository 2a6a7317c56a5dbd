#!/usr/bin/env python3
"""Holds full-size models to the contract, with one worker and with two.

    .venv/bin/python benchmarks/correctness.py [--opt=2] [model ...]
    .venv/bin/python benchmarks/correctness.py --list

Models are the programs of test/python/families.py at their full size, and
`minilm` and `resnet` of models.py. Takes minutes per model: run once per
release, and recorded in benchmarks/results.md.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import warnings

import common


def main() -> int:
    import torch

    import contract
    import families
    import models
    known = {"minilm": models.minilm, "resnet": models.resnet}
    for name, program in families.PROGRAMS.items():
        known[name] = lambda program=program: program.case("full")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="model",
                        help="default: all of them")
    parser.add_argument("--opt", type=int, action="append",
                        help="levels; default: 2")
    parser.add_argument("--list", action="store_true",
                        help="print the models' names")
    options = parser.parse_args()
    if options.list:
        print("\n".join(known))
        return 0
    for name in options.models:
        if name not in known:
            parser.error(f"unknown model {name!r}: see --list")
    torch.set_num_threads(2)
    warnings.simplefilter("ignore", FutureWarning)
    failures = 0
    print("| model | level | contract | seconds, all told |\n|---|---|---|---|")
    for name in options.models or known:
        for opt in options.opt or [2]:
            torch.manual_seed(0)
            begin = time.monotonic()
            try:
                case = known[name]()
                contract.check(
                    contract.Case(name, case.module, case.args,
                                  decomposed=False), opts=(opt,))
                state = "kept"
            except Exception:
                traceback.print_exc()
                state = "BROKEN"
                failures += 1
            print(f"| {name} | -O{opt} | {state} | "
                  f"{time.monotonic() - begin:.0f} |", flush=True)
    print(common.describe_machine())
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
