# ===- test_contradictions.py - Programs that lie about themselves ----------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""What a call declares is compared with what its operator makes of it.

Each case exports a sound program of a few operators, changes an argument or a
declared type, and expects one error that names the operator. What has no case
of its own is found by `test_every_size`, which lies about each result of each
program here.
"""

import io

import pytest
import torch
from torch.nn import functional as F

from test_hostile import Archive, refuse

X = torch.randn(2, 6)
IMAGE = torch.randn(1, 4, 8, 8)
VOICE = torch.randn(1, 4, 16)
WEIGHT = torch.randn(6, 4, 3, 3)
INDEX = torch.tensor([[0, 1], [1, 0]])


def exported(fn, *args):
    class Program(torch.nn.Module):
        def forward(self, *inputs):
            return fn(*inputs)

    out = io.BytesIO()
    torch.export.save(torch.export.export(Program(), args), out)
    return out.getvalue()


def set_argument(name, value):
    """Gives the argument of the first node that has it, or adds it there."""
    def damage(archive, target):
        node = archive.find(target)
        for given in node["inputs"]:
            if given["name"] == name:
                given["arg"] = value
                return
        node["inputs"].append({"name": name, "arg": value, "kind": 1})
    return damage


def declare(sizes=None, strides=None, dtype=None):
    """Changes what the first result of the node is declared as."""
    def damage(archive, target):
        output = archive.find(target)["outputs"][0]
        tensor = output.get("as_tensor") or output["as_tensors"][0]
        meta = archive.graph["tensor_values"][tensor["name"]]
        if sizes is not None:
            meta["sizes"] = [{"as_int": size} for size in sizes]
            steps = strides or [1] * len(sizes)
            if strides is None:
                for d in range(len(sizes) - 1, 0, -1):
                    steps[d - 1] = steps[d] * max(sizes[d], 1)
            meta["strides"] = [{"as_int": step} for step in steps]
        if dtype is not None:
            meta["dtype"] = dtype
    return damage


def fewer_outputs(archive, target):
    archive.find(target)["outputs"][0]["as_tensors"].pop()


def multiply_by_itself(archive, target):
    first, second = archive.find(target)["inputs"][:2]
    second["arg"] = first["arg"]


def ints(*values):
    return {"as_ints": list(values)}


def integer(value):
    return {"as_int": value}


def conv(x, w):
    return F.conv2d(x, w, stride=(2, 2), padding=(1, 1))


# name: (program, arguments, operator, damage, words of the error)
CASES = {
    "view_of_more": (lambda x: x.view(3, 4) + 1, (X,), "view",
                     set_argument("size", ints(3, 5)), "number of elements"),
    "view_declared_otherwise": (
        lambda x: x.view(3, 4) + 1, (X,), "view", declare([4, 4]),
        "is declared as [4, 4]"),
    "two_open_sizes": (lambda x: x.view(3, 4) + 1, (X,), "view",
                       set_argument("size", ints(-1, -1)), "two sizes are -1"),
    "negative_size": (lambda x: x.view(3, 4) + 1, (X,), "view",
                      set_argument("size", ints(3, -4)), "a size is -4"),
    "open_size_of_nothing": (
        lambda x: x.view(3, 4) + 1, (X,), "view",
        set_argument("size", ints(-1, 0)), "number of elements"),
    "step_zero": (lambda x: x[:, ::2] + 1, (X,), "slice",
                  set_argument("step", integer(0)), "a step is 0"),
    "step_negative": (lambda x: x[:, ::2] + 1, (X,), "slice",
                      set_argument("step", integer(-2)), "a step is -2"),
    "slice_declared_longer": (lambda x: x[:, 1:3] + 1, (X,), "slice.Tensor",
                              declare([2, 600]), "is declared as"),
    "select_behind": (lambda x: x[:, 1] + 1, (X,), "select",
                      set_argument("index", integer(6)), "an index"),
    "select_before": (lambda x: x[:, 1] + 1, (X,), "select",
                      set_argument("index", integer(-7)), "an index"),
    "narrow_behind": (lambda x: x.narrow(1, 2, 3) + 1, (X,), "narrow",
                      set_argument("start", integer(4)), "start and length"),
    "expand_shrinks": (lambda x: x.expand(3, 2, 6) + 1, (X,), "expand",
                       set_argument("size", ints(3, 2, 2)), "broadcast"),
    "expand_of_two": (lambda x: x.expand(3, 2, 6) + 1, (X,), "expand",
                      set_argument("size", ints(3, 4, 6)), "broadcast"),
    "strides_and_sizes": (
        lambda x: x.as_strided((2, 2), (1, 1)) + 1, (X,), "as_strided",
        set_argument("stride", ints(1)), "differ in length"),
    "negative_offset": (
        lambda x: x.as_strided((2, 2), (1, 1)) + 1, (X,), "as_strided",
        set_argument("storage_offset", integer(-4)), "storage offset is -4"),
    "negative_stride": (
        lambda x: x.as_strided((2, 2), (1, 1)) + 1, (X,), "as_strided",
        set_argument("stride", ints(-1, 1)), "a stride is -1"),
    "unfold_beyond": (lambda x: x.unfold(1, 3, 2) + 1, (X,), "unfold",
                      set_argument("size", integer(7)), "a window"),
    "unfold_step": (lambda x: x.unfold(1, 3, 2) + 1, (X,), "unfold",
                    set_argument("step", integer(0)), "a step is 0"),
    "permutation": (lambda x: x.permute(1, 0) + 1, (X,), "permute",
                    set_argument("dims", ints(0, 0)), "not a permutation"),
    "no_such_dimension": (lambda x: x.transpose(0, 1) + 1, (X,), "transpose",
                          set_argument("dim0", integer(2)), "dimension 2"),
    "cat_of_nothing": (lambda x: torch.cat([x, x]), (X,), "cat",
                       set_argument("tensors", {"as_tensors": []}),
                       "it joins nothing"),
    "stack_of_nothing": (lambda x: torch.stack([x, x]), (X,), "stack",
                         set_argument("tensors", {"as_tensors": []}),
                         "it joins nothing"),
    "cat_declared_longer": (lambda x: torch.cat([x, x]) + 1, (X,), "cat",
                            declare([5, 6]), "is declared as [5, 6]"),
    "too_few_outputs": (lambda x: x.split(2, 1)[0] + 1, (X,), "split",
                        fewer_outputs, "results do not hold all"),
    "too_few_pieces": (
        lambda x: x.unbind(1)[0] + 1, (X,), "unbind", fewer_outputs,
        "the number of results"),
    "pieces_of_another_sum": (
        lambda x: x.split([2, 4], 1)[0] + 1, (X,), "split_with_sizes",
        set_argument("split_sizes", ints(2, 5)), "the sum of the pieces"),
    "padding_of_terabytes": (
        lambda x: F.pad(x, (1, 1)) + 1, (X,), "pad",
        set_argument("pad", ints(1 << 40, 1 << 40)), "is declared as"),
    "crop_of_more": (lambda x: F.pad(x, (1, 1)) + 1, (X,), "pad",
                     set_argument("pad", ints(-4, -4)), "a padded size is -2"),
    "reflection_of_all": (
        lambda x: F.pad(x, (2, 2, 2, 2), mode="reflect"), (IMAGE,), "pad",
        set_argument("pad", ints(8, 8, 8, 8)), "a reflected padding"),
    "stride_zero": (conv, (IMAGE, WEIGHT), "conv2d",
                    set_argument("stride", ints(0, 0)), "stride is 0"),
    "dilation_negative": (conv, (IMAGE, WEIGHT), "conv2d",
                          set_argument("dilation", ints(-1, -1)),
                          "dilation is -1"),
    "groups_zero": (conv, (IMAGE, WEIGHT), "conv2d",
                    set_argument("groups", integer(0)), "groups is 0"),
    "padding_negative": (conv, (IMAGE, WEIGHT), "conv2d",
                         set_argument("padding", ints(-1, -1)),
                         "padding is -1"),
    "padding_huge": (conv, (IMAGE, WEIGHT), "conv2d",
                     set_argument("padding", ints(1 << 62, 1 << 62)),
                     "padding is"),
    "window_beyond": (conv, (IMAGE, WEIGHT), "conv2d",
                      set_argument("dilation", ints(5, 5)), "the window"),
    "conv_declared_larger": (conv, (IMAGE, WEIGHT), "conv2d",
                             declare([1, 6, 8, 8]), "is declared as"),
    "pool_of_nothing": (lambda x: F.max_pool2d(x, 2), (IMAGE,), "max_pool2d",
                        set_argument("kernel_size", ints(0, 0)),
                        "kernel_size is 0"),
    "pool_stride": (lambda x: F.avg_pool2d(x, 2), (IMAGE,), "avg_pool2d",
                    set_argument("stride", ints(-2, -2)), "stride is -2"),
    "pool_padding": (lambda x: F.max_pool2d(x, 2), (IMAGE,), "max_pool2d",
                     set_argument("padding", ints(2, 2)), "more than half"),
    "matrices": (lambda x: x @ x.t(), (X,), "matmul",
                 multiply_by_itself,
                 "are multiplied"),
    "broadcast": (lambda x, y: x + y, (X, torch.randn(6)), "add",
                  declare([3, 6]), "is declared as [3, 6]"),
    "in_place": (lambda x, y: x.clone().add_(y), (X, torch.randn(6)), "add_",
                 declare([3, 6]), "is declared as [3, 6]"),
    "reduced": (lambda x: x.sum(1) + 1, (X,), "sum", declare([3]),
                "is declared as [3]"),
    "reduced_twice": (lambda x: x.sum((0, 1)) + 1, (X,), "sum",
                      set_argument("dim", ints(1, -1)), "is given twice"),
    "top_of_more": (lambda x: x.topk(2)[0] + 1, (X,), "topk",
                    set_argument("k", integer(7)), "k: 7 is more than 6"),
    "embedding": (lambda w, i: F.embedding(i, w), (X, INDEX), "embedding",
                  declare([2, 2, 60]), "is declared as"),
    "gather_beyond": (lambda x, i: x.gather(1, i), (X, INDEX), "gather",
                      declare([2, 4]), "is declared as"),
    "layer_norm": (lambda x: F.layer_norm(x, (6,)), (X,), "layer_norm",
                   set_argument("normalized_shape", ints(4)),
                   "normalized_shape"),
    "group_norm": (lambda x: F.group_norm(x, 2), (IMAGE,), "group_norm",
                   set_argument("num_groups", integer(3)), "groups"),
    "comparison_of_floats": (lambda x: x > 0, (X,), "gt", declare(dtype=7),
                             "the arguments give i1"),
    "sum_of_another_type": (lambda x: x.sum() + 1, (X,), "sum",
                            declare(dtype=8), "elements of type f64"),
    "range_without_end": (
        lambda x: x + torch.arange(0, 6, 2).sum(), (X,), "arange",
        set_argument("step", integer(0)), "step is 0"),
    "einsum": (lambda x: torch.einsum("ij,kj->ik", x, x), (X,), "einsum",
               set_argument("equation", {"as_string": "ij,jk->ik"}),
               "the label 'j'"),
    "attention": (
        lambda x: F.scaled_dot_product_attention(x, x, x), (IMAGE,),
        "scaled_dot", declare([1, 4, 9, 8]), "is declared as"),
    "resized": (lambda x: F.interpolate(x, (4, 4)), (IMAGE,), "upsample",
                set_argument("output_size", ints(0, 4)), "result is 0"),
    "one_class_less": (lambda i: F.one_hot(i, 3), (INDEX,), "one_hot",
                       set_argument("num_classes", integer(0)),
                       "num_classes is 0"),
}


@pytest.mark.parametrize("name", CASES)
def test_contradiction(hrcc, tmp_path, name):
    fn, args, target, damage, words = CASES[name]
    archive = Archive(exported(fn, *args))
    damage(archive, target)
    archive.put_texts()
    error = refuse(hrcc, tmp_path, archive.write(), words)
    assert "contradicts itself" in error


STRIDES = {
    "transpose": (lambda x: x.transpose(0, 1).add_(1), (X,), "transpose",
                  declare([6, 2], [2, 1]),
                  "strides [2, 1] but the arguments give [1, 6]"),
    "slice": (lambda x: x[:, ::2].add_(1), (X,), "slice",
              declare([2, 3], [3, 1]),
              "strides [3, 1] but the arguments give [6, 2]"),
    "view": (lambda x: x.view(3, 4).add_(1), (X,), "view",
             declare([3, 4], [1, 3]),
             "strides [1, 3] but the arguments give [4, 1]"),
    "expand": (lambda x: (x.add_(1), x[:1].expand(4, 6))[1] + 1, (X,),
               "expand", declare([4, 6]),
               "strides [6, 1] but the arguments give [0, 1]"),
    "new": (lambda x: (x + 1).add_(1), (X,), "add.Tensor",
            declare([2, 6], [1, 1]), "two elements into one place"),
}


@pytest.mark.parametrize("name", STRIDES)
def test_declared_strides(hrcc, tmp_path, name):
    """They decide what a write in place reaches."""
    fn, args, target, damage, words = STRIDES[name]
    archive = Archive(exported(lambda x: fn(x.clone()), *args))
    damage(archive, target)
    archive.put_texts()
    error = refuse(hrcc, tmp_path, archive.write(), words, phase="tensor")
    assert "contradicts itself" in error


def test_every_size(hrcc, tmp_path):
    """No size of any result is believed, larger or smaller."""
    cases = list(CASES.values())
    counts = [len(args) for _, args, *_ in cases]

    def all_of_them(*inputs):
        inputs = iter(inputs)
        return [fn(*(next(inputs) for _ in range(count)))
                for (fn, *_), count in zip(cases, counts)]

    sound = Archive(exported(
        all_of_them, *(arg for _, args, *_ in cases for arg in args)))
    tensors = [tensor["name"] for node in sound.graph["nodes"]
               for output in node["outputs"]
               for tensor in output.get("as_tensors") or [output["as_tensor"]]]
    for i, name in enumerate(tensors):
        sizes = sound.graph["tensor_values"][name]["sizes"]
        if not sizes:
            continue
        change = 1 if i % 2 else -1
        sizes[-1]["as_int"] += change
        sound.put_texts()
        refuse(hrcc, tmp_path, sound.write(), "contradicts itself")
        sizes[-1]["as_int"] -= change
        (tmp_path / "hostile.pt2").unlink()
