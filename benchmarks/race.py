"""One row, several peers: processes that take turns.

Every peer is a process (server.py). One round is one turn of each, in an order
that rotates; whoever's turn it is not is stopped (SIGSTOP), so that no thread
that spins and no background work takes anything from the one measured. What
disturbs the machine disturbs a whole round, and cancels out of its ratios.
"""

from __future__ import annotations

import dataclasses
import json
import os
import selectors
import signal
import statistics
import subprocess
import sys
import time
from typing import Any, Mapping, Sequence

import common
import peers
import rows
import workload

HERE = os.path.dirname(os.path.abspath(__file__))
#: A turn is at least so long, unless one call is longer: seconds.
TURN = 0.03
#: How long a peer is watched after its first call: seconds.
SPIN = 0.1


class Failure(Exception):
    """A peer died, hung, or said that it cannot."""


class Server:
    """A peer's process."""

    def __init__(self, name: str, folder: str, threads: int,
                 python: str) -> None:
        self.name = name
        self.log = os.path.join(folder, name + ".log")
        environment = dict(
            os.environ, OMP_NUM_THREADS=str(threads),
            MKL_NUM_THREADS=str(threads), HEADRACE_PYTHON=sys.executable,
            TORCHINDUCTOR_COMPILE_THREADS=str(threads),
            TORCHINDUCTOR_CACHE_DIR=os.path.join(folder, "inductor"))
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [python, os.path.join(HERE, "server.py"), name, folder,
                 str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, env=environment, start_new_session=True)
        self._rest = b""

    def receive(self, timeout: float) -> dict[str, Any]:
        """The next answer; raises Failure for a bad or missing one."""
        end = time.monotonic() + timeout
        output = self.process.stdout
        assert output is not None
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise Failure(f"no answer within {timeout:.0f} s")
                data = os.read(output.fileno(), 1 << 16)
                if not data:
                    raise Failure(self._describe_death())
                self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        answer = json.loads(line)
        if "fails" in answer:
            raise Failure(answer["fails"])
        return answer

    def ask(self, command: Mapping[str, Any], timeout: float
            ) -> dict[str, Any]:
        """Lets the process run for one command."""
        assert self.process.stdin is not None
        try:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()
            answer = self.receive(timeout)
        except OSError:
            raise Failure(self._describe_death()) from None
        self.stop()
        return answer

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def peak_memory(self) -> int:
        """The most bytes that were resident."""
        try:
            with open(f"/proc/{self.process.pid}/status") as file:
                for line in file:
                    if line.startswith("VmHWM"):
                        return int(line.split()[1]) * 1024
        except OSError:
            pass
        return 0

    def cpu_seconds(self) -> float:
        """What all its threads have used."""
        total = 0
        for task in os.scandir(f"/proc/{self.process.pid}/task"):
            with open(os.path.join(task.path, "schedstat")) as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def measure_spinning(self) -> float:
        """The CPU seconds that it uses after a call, if it is let."""
        before = self.cpu_seconds()
        time.sleep(SPIN)
        return self.cpu_seconds() - before

    def _describe_death(self) -> str:
        status = self.process.wait()
        how = (f"killed by {signal.Signals(-status).name}" if status < 0
               else f"ended with {status}")
        with open(self.log, errors="replace") as file:
            tail = peers._last_line(file.read())
        return f"{how}: {tail}" if tail else how

    def close(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                pass


@dataclasses.dataclass
class Options:
    threads: int = 2
    seconds: float = 10.0
    #: Least number of rounds, whatever they take.
    rounds: int = 5
    #: For a peer to get ready: seconds.
    timeout: float = 300.0
    #: For the peers of one row together: bytes.
    memory: int = 8 << 30
    clock: str = "wall"
    peer_python: Mapping[str, str] = dataclasses.field(default_factory=dict)


def quartiles(values: Sequence[float]) -> list[float]:
    if len(values) < 2:
        return [values[0]] * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def run_row(row: rows.Row, names: Sequence[str], folder: str,
            options: Options) -> dict[str, Any]:
    """Measures the row; what cannot be measured has a reason instead."""
    result: dict[str, Any] = {"name": row.name, "goal": row.goal,
                              "limit": row.limit, "dtype": row.dtype,
                              "peers": {}}
    # Full-size models in f64 take their time.
    patience = 4 * options.timeout
    try:
        child = subprocess.run(
            [sys.executable, os.path.join(HERE, "workload.py"), row.name,
             folder], capture_output=True, text=True, timeout=patience)
    except subprocess.TimeoutExpired:
        result["fails"] = f"not prepared within {patience:.0f} s"
        return result
    if child.returncode != 0:
        result["fails"] = (peers._last_line(child.stderr)
                           or f"ended with {child.returncode}")
        return result
    meta = workload.Workload(folder).meta
    result["work"] = meta
    for session in divide(names, meta["weight_bytes"], options):
        run_session(row, session, folder, options, result)
    return result


def divide(names: Sequence[str], weights: int, options: Options
           ) -> list[list[str]]:
    """Sessions of peers that fit the memory at once. Headrace and the limit are
    in all of them, so that the ratios to them are those of one round."""
    fixed = [name for name in names if name in ("headrace", "limit")]
    others = [name for name in names if name not in fixed]
    each = (1 << 29) + 3 * weights // 2
    width = max(1, options.memory // each - len(fixed))
    return [fixed + others[at:at + width]
            for at in range(0, max(1, len(others)), width)]


def run_session(row: rows.Row, names: Sequence[str], folder: str,
                options: Options, result: dict[str, Any]) -> None:
    """Adds what the peers' turns gave to `result["peers"]`."""
    servers: dict[str, Server] = {}
    entries = result["peers"]
    try:
        for name in names:
            before = entries.get(name)
            if before and before["state"] != "ok":
                continue
            start(row, name, folder, options, servers, entries)
        samples = take_turns(servers, options, entries)
        for name in list(samples):
            entries[name]["memory_bytes"] = servers[name].peak_memory()
    finally:
        for server in servers.values():
            server.close()
    evaluate(samples, options, entries)


def start(row: rows.Row, name: str, folder: str, options: Options,
          servers: dict[str, Server], entries: dict[str, Any]) -> None:
    python = options.peer_python.get(name, sys.executable)
    server = servers[name] = Server(name, folder, options.threads, python)
    try:
        answer = server.receive(options.timeout)
        if "skip" in answer:
            entries[name] = {"state": "skipped", "reason": answer["skip"]}
            del servers[name]
            server.close()
            return
        entry = {"state": "ok", **{key: answer[key] for key in (
            "notes", "prepare_seconds", "first_call_seconds")},
            "spinning_seconds": server.measure_spinning()}
        if name != "limit":
            path = os.path.join(folder, name + ".out")
            server.ask({"save": path}, options.timeout)
            ours = workload.load_tensors(path)
            if ours and os.path.exists(os.path.join(folder, "oracle.json")):
                error, broken = workload.measure_errors(
                    ours, *(workload.load_tensors(os.path.join(folder, which))
                            for which in ("eager", "oracle")))
                entry["error_ulp"], entry["breaks_contract"] = error, broken
            os.remove(path + ".bin")
        server.stop()
        entries.setdefault(name, entry)
    except Failure as reason:
        entries[name] = {"state": "fails", "reason": str(reason)}
        del servers[name]
        server.close()


Samples = dict[str, list[tuple[float, float]]]


def take_turns(servers: dict[str, Server], options: Options,
               entries: dict[str, Any]) -> Samples:
    """Per peer and round: (wall, CPU) seconds, the medians of a turn's calls.
    Who fails drops out."""
    samples: Samples = {name: [] for name in servers}
    calls = {}

    def turn(name: str, count: int) -> tuple[float, float] | None:
        try:
            answer = servers[name].ask({"run": count}, 60 + options.timeout)
        except Failure as reason:
            entries[name] = {"state": "fails", "reason": str(reason)}
            servers.pop(name).close()
            samples.pop(name)
            return None
        return (statistics.median(answer["wall"]),
                statistics.median(answer["cpu"]))
    for name in list(servers):
        first = turn(name, 1)
        if first:
            calls[name] = int(min(20, max(1, TURN / max(first[0], 1e-6))))
    end = time.monotonic() + options.seconds
    number = 0
    while servers and (time.monotonic() < end or number < options.rounds):
        order = list(servers)
        shift = number % len(order)
        for name in order[shift:] + order[:shift]:
            sample = turn(name, calls[name])
            if sample:
                samples[name].append(sample)
        number += 1
    return samples


def evaluate(samples: Samples, options: Options,
             entries: dict[str, Any]) -> None:
    """Medians, and the quartiles of the paired ratios."""
    which = 0 if options.clock == "wall" else 1
    times = {name: [sample[which] for sample in values]
             for name, values in samples.items() if values}
    for name, own in times.items():
        entry = entries[name]
        if "seconds" in entry:  # of an earlier session of the same row
            continue
        entry["rounds"] = len(own)
        for place, key in ((0, "wall_seconds"), (1, "cpu_seconds")):
            entry[key] = statistics.median(s[place] for s in samples[name])
        entry["seconds"] = quartiles(own)
        if "limit" in times and name != "limit":
            entry["share_of_limit"] = quartiles(
                [a / b for a, b in zip(times["limit"], own)])
        if "headrace" in times and name != "headrace":
            entry["times_headrace"] = quartiles(
                [a / b for a, b in zip(own, times["headrace"])])
