"""A peer as a process: makes one row ready, then runs it when told to.

    python server.py PEER FOLDER THREADS

Commands come on stdin and answers go to stdout, one line of JSON each:
`{"run": N}` calls once untimed (a process that was stopped has cold caches and
sleeping threads) and N times timed; `{"save": PATH}` writes the outputs of the
last call. What libraries print goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from typing import Any

import common
import peers
import workload


def main() -> None:
    name, folder, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(**fields: Any) -> None:
        channel.write(json.dumps(fields) + "\n")

    begin = time.perf_counter()
    try:
        prepared = peers.PEERS[name](workload.Workload(folder), threads)
        compiled = time.perf_counter() - begin
        prepared.call()
    except peers.Skip as reason:
        return answer(skip=str(reason))
    except ImportError as reason:
        return answer(skip=f"not installed: {reason}")
    except Exception as reason:
        traceback.print_exc()
        text = peers._last_line(str(reason)) or type(reason).__name__
        return answer(fails=f"{type(reason).__name__}: {text}")
    answer(ready=True, notes=prepared.notes, prepare_seconds=compiled,
           first_call_seconds=time.perf_counter() - begin - compiled)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if "save" in command:
                workload.save_tensors(command["save"], prepared.outputs())
                answer(saved=True)
                continue
            prepared.call()
            wall, cpu = [], []
            for _ in range(command["run"]):
                busy, start = time.process_time(), time.perf_counter()
                prepared.call()
                wall.append(time.perf_counter() - start)
                cpu.append(time.process_time() - busy)
            answer(wall=[t * prepared.scale for t in wall],
                   cpu=[t * prepared.scale for t in cpu])
        except Exception as reason:
            traceback.print_exc()
            return answer(fails=f"{type(reason).__name__}: {reason}")


if __name__ == "__main__":
    main()
