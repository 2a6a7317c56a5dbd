#!/usr/bin/env python3
"""Holds full-size models to the contract at -O0 and -O2.

    .venv/bin/python benchmarks/correctness.py [model ...]

The oracle level takes minutes per full-size model, too long for tools/test; run
once per release, and recorded in benchmarks/results.md.
"""

from __future__ import annotations

import sys
import time
import traceback

import common


def main() -> int:
    import torch

    import contract
    import models
    torch.set_num_threads(2)
    failures = 0
    known = {"minilm": models.minilm, "resnet": models.resnet}
    for name in sys.argv[1:] or known:
        if name not in known:
            sys.exit(f"unknown model {name!r}; there are {', '.join(known)}")
        for opt in (0, 2):
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
            print(f"{name} -O{opt}: contract {state} "
                  f"({time.monotonic() - begin:.0f} s)", flush=True)
    print(common.describe_machine())
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
