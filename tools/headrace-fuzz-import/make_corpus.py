#!/usr/bin/env python3
# ===- make_corpus.py - Seeds for the fuzzers of the reader ----------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""Exports small programs and writes their archives and their JSON.

usage: make_corpus.py FOLDER      (FOLDER/text and FOLDER/archive are made)
"""

import json
import pathlib
import sys
import zipfile

import torch
from torch import nn
from torch.nn import functional as F

Dim = torch.export.Dim


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.constant = torch.arange(3.0)

    def forward(self, x):
        return {"y": F.relu(self.linear(x)) + self.constant, "n": None, "k": 3}


class State(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("cache", torch.zeros(4, 8))
        self.register_buffer("scale", torch.ones(8).bfloat16(),
                             persistent=False)

    def forward(self, x, position):
        self.cache.index_copy_(0, position, x)
        self.cache[1:2] += 1
        x.add_(1)
        return self.cache.t().reshape(-1) * 2, self.cache * self.scale


class Shapes(nn.Module):
    def forward(self, x):
        y = x * 1
        a, b = y.chunk(2, 1)
        a.copy_(b)
        y.view(-1)[: x.shape[0]].zero_()
        y[x.shape[0] - 2:, ::2].mul_(3)
        z = torch.cat([x, x]).reshape(2, -1, x.shape[1])
        return y, z.permute(2, 0, 1).flatten(1), x.shape[0] * 2


class Branches(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            y = x * 2
        return torch.cond(x.sum() > 0, lambda a: (a + 1,), lambda a: (a - 1,),
                          (y,))


class Indexing(nn.Module):
    def forward(self, x, i):
        y = x[:, None, i]
        y = torch.where(y > 0, y, torch.full((), -1.0))
        values, places = y.topk(2, -1)
        return values.to(torch.float64), places, x.masked_fill(x > 0, 2)


class Views(nn.Module):
    """What contradicts itself most dangerously."""

    def forward(self, x):
        a, b = x.split(2, 0)
        return (x.as_strided((2, 2), (1, 1), 1), x.unfold(1, 2, 1) + 1,
                x[1:, ::2].expand(3, 3, 2) * 2, torch.cat([a, b, x], 0),
                torch.stack([a, b]).flatten(0, 1), x.diagonal(1) + 1,
                x.roll(1, 0), x.repeat(1, 2), x.view(-1, 8).t().unbind(0)[1],
                F.pad(x, (1, -1)), torch.arange(0, 8, 2) + x[0])


class Windows(nn.Module):
    def forward(self, x, w):
        return (F.conv2d(x, w, stride=2, padding=1), F.max_pool2d(x, 2),
                F.conv_transpose2d(x, w.transpose(0, 1), stride=2),
                F.avg_pool2d(x, 3, 1, 1), F.interpolate(x, scale_factor=2.0),
                F.unfold(x, 3), F.adaptive_max_pool2d(x, 3),
                F.group_norm(x, 1), F.pixel_unshuffle(x, 2))


PROGRAMS = {
    "linear": (Linear(), (torch.randn(2, 4),), None),
    "state": (State(), (torch.randn(1, 8), torch.tensor([2])), None),
    "shapes": (Shapes(), (torch.randn(6, 4),),
               ({0: Dim("n", min=4, max=64)},)),
    "branches": (Branches(), (torch.randn(4),), None),
    "indexing": (Indexing(), (torch.randn(3, 5), torch.tensor([0, 2, 4])),
                 None),
    "views": (Views(), (torch.randn(4, 4),), None),
    "windows": (Windows(), (torch.randn(1, 2, 8, 8), torch.randn(3, 2, 3, 3)),
                None),
    "conv": (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3),
                           nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)),
             (torch.randn(1, 2, 8, 8),), None),
}


def main():
    folder = pathlib.Path(sys.argv[1])
    (folder / "text").mkdir(parents=True, exist_ok=True)
    (folder / "archive").mkdir(parents=True, exist_ok=True)
    for name, (module, args, shapes) in PROGRAMS.items():
        program = torch.export.export(module.eval(), args,
                                      dynamic_shapes=shapes)
        for suffix, version in (("", program),
                                ("_core", program.run_decompositions({}))):
            path = folder / "archive" / f"{name}{suffix}.pt2"
            torch.export.save(version, str(path))
            with zipfile.ZipFile(path) as archive:
                parts = {}
                for entry in archive.namelist():
                    if entry.endswith("models/model.json"):
                        parts["model"] = json.loads(archive.read(entry))
                    elif entry.endswith("_config.json"):
                        key = "weights" if "weights" in entry else "constants"
                        config = json.loads(archive.read(entry))
                        parts[key] = config["config"]
            # Metadata is most of the text and little of the reader.
            for node in parts["model"]["graph_module"]["graph"]["nodes"]:
                trace = node["metadata"].get("stack_trace", "")
                node["metadata"] = {"stack_trace": trace[-200:]}
            (folder / "text" / f"{name}{suffix}.json").write_text(
                json.dumps(parts))


if __name__ == "__main__":
    main()
