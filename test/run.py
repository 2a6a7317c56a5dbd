#!/usr/bin/env python3
"""Runs the tests and ends with the line "N passed, N failed, N skipped".

    test/run.py [--build DIR] [--lit LIT] [--slow] [--host NAME] unit lit pytest

With --host, `--target=native` means the shipped description of that name, as on
a machine that has no more than it says: tests must not take for granted what the
machine at hand happens to have. It has to be one that this machine can execute.

Each kind reports to a file in the build folder that is read back, so that the
counts are those of the test programs and not of their printed text. A test
program that ends without a report counts as one failure.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Tally:
    def __init__(self):
        self.passed, self.skipped, self.failures = 0, 0, []

    def add(self, name, state):
        if state == "passed":
            self.passed += 1
        elif state == "skipped":
            self.skipped += 1
        else:
            self.failures.append(name)


def run(command, env=None):
    print("$", " ".join(command), flush=True)
    return subprocess.run(command, cwd=ROOT, env=env).returncode


def run_unit(tally, options, report):
    program = os.path.join(options.build, "bin", "headrace-unit-tests")
    status = run([program, "--gtest_brief=1", f"--gtest_output=json:{report}"])
    for suite in json.load(open(report))["testsuites"]:
        for test in suite["testsuite"]:
            state = "failed" if test.get("failures") else "passed"
            if test["result"] == "SKIPPED":
                state = "skipped"
            tally.add(f"unit: {suite['name']}.{test['name']}", state)
    return status


def run_lit(tally, options, report):
    command = [options.lit, "-q", "--output", report,
               os.path.join(options.build, "test")]
    if options.slow:
        command[1:1] = ["--param", "slow=1"]
    status = run(command)
    for test in json.load(open(report))["tests"]:
        code = test["code"]
        state = "failed"
        if code in ("PASS", "XFAIL", "FLAKYPASS"):
            state = "passed"
        elif code in ("UNSUPPORTED", "EXCLUDED", "SKIPPED"):
            state = "skipped"
        tally.add(f"lit: {test['name']}", state)
    return status


def run_pytest(tally, options, report):
    folder = os.path.join(ROOT, "test", "python")
    env = dict(os.environ, HEADRACE_BUILD=os.path.abspath(options.build))
    status = run([sys.executable, "-m", "pytest", "-q", "--tb=short",
                  f"--junit-xml={report}", folder], env)
    for test in ET.parse(report).getroot().iter("testcase"):
        state = "passed"
        if test.find("failure") is not None or test.find("error") is not None:
            state = "failed"
        elif test.find("skipped") is not None:
            state = "skipped"
        tally.add(f"pytest: {test.get('classname')}.{test.get('name')}", state)
    return status


def describe_host(options, folder):
    """A folder of descriptions in which the host is `options.host`."""
    hrcc = os.path.join(options.build, "bin", "hrcc")
    shown = subprocess.run([hrcc, f"--print-target={options.host}"],
                           capture_output=True, text=True)
    if shown.returncode:
        sys.exit(f"run.py: error: {shown.stderr.strip()}")
    with open(os.path.join(folder, "native.mlir"), "w") as file:
        file.write(shown.stdout)
    env = dict(os.environ, HEADRACE_TARGET_DIR=folder)
    named = subprocess.run([hrcc, "--print-target=native"], env=env,
                           capture_output=True, text=True)
    # A description of another machine than this is passed over by hrcc.
    if features(named.stdout) != features(shown.stdout):
        sys.exit(f"run.py: error: this machine cannot execute code for "
                 f"'{options.host}'")
    return folder


def features(description):
    found = re.search(r"features = \[(.*?)\]", description, re.DOTALL)
    return found and found[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--lit", default="lit")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--host", metavar="NAME",
                        help="a shipped description to take for this machine")
    parser.add_argument("kinds", nargs="+",
                        choices=["unit", "lit", "pytest"])
    options = parser.parse_args()
    if not options.host:
        return run_kinds(options)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HEADRACE_TARGET_DIR"] = describe_host(options, folder)
        return run_kinds(options)


def run_kinds(options):
    tally = Tally()
    for kind in options.kinds:
        failures = len(tally.failures)
        with tempfile.TemporaryDirectory() as folder:
            report = os.path.join(folder, "report")
            try:
                status = globals()[f"run_{kind}"](tally, options, report)
            except (OSError, ValueError, ET.ParseError) as error:
                tally.add(f"{kind}: no report ({error})", "failed")
                continue
        if status and len(tally.failures) == failures:
            tally.add(f"{kind}: exit status {status}", "failed")
    for name in tally.failures:
        print("FAILED", name)
    print(f"{tally.passed} passed, {len(tally.failures)} failed, "
          f"{tally.skipped} skipped")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
