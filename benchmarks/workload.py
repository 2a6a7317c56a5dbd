"""What a row hands to its peers: a folder made by a process of its own.

    python workload.py ROW FOLDER          # program, inputs, what is right
    python workload.py ROW FOLDER --onnx   # model.onnx from the program

In the folder: `program.pt2`; `inputs`, `eager` and `oracle`, lists of tensors
as raw bytes that numpy alone can read; `meta.json` with the work the row is.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Sequence

import common
import rows


# ------------------------------------------------------------ lists of tensors

def save_tensors(path: str, tensors: Sequence[Any]) -> None:
    """Writes torch's or numpy's tensors."""
    described = []
    with open(path + ".bin", "wb") as file:
        for tensor in tensors:
            if hasattr(tensor, "detach"):
                import torch
                tensor = tensor.detach().contiguous()
                name = str(tensor.dtype).removeprefix("torch.")
                shape = list(tensor.shape)
                data = tensor.reshape(-1).view(torch.uint8).numpy()
            else:
                name, shape = str(tensor.dtype), list(tensor.shape)
                data = tensor.tobytes()
            described.append({"dtype": name, "shape": shape})
            file.write(data)
    with open(path + ".json", "w") as file:
        json.dump(described, file)


def load_arrays(path: str) -> list[tuple[str, Any]]:
    """(dtype, array) of each tensor; bfloat16 comes as uint16."""
    import numpy
    with open(path + ".json") as file:
        described = json.load(file)
    result = []
    with open(path + ".bin", "rb") as file:
        for entry in described:
            name = entry["dtype"]
            dtype = numpy.dtype("uint16" if name == "bfloat16" else name)
            count = int(numpy.prod(entry["shape"], dtype=numpy.int64))
            array = numpy.frombuffer(file.read(count * dtype.itemsize), dtype)
            result.append((name, array.reshape(entry["shape"]).copy()))
    return result


def load_tensors(path: str) -> list[Any]:
    """The same as torch's tensors."""
    import torch
    result = []
    for name, array in load_arrays(path):
        tensor = torch.from_numpy(array)
        result.append(tensor.view(torch.bfloat16) if name == "bfloat16"
                      else tensor)
    return result


class Workload:
    """The folder, as a peer sees it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        with open(self.path("meta.json")) as file:
            self.meta: dict[str, Any] = json.load(file)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    @property
    def row(self) -> rows.Row:
        return rows.ROWS[self.meta["row"]]

    def inputs(self) -> list[Any]:
        """The flat list of the program's inputs as torch tensors."""
        return load_tensors(self.path("inputs"))

    def arrays(self) -> list[tuple[str, Any]]:
        """The same for who has no torch."""
        return load_arrays(self.path("inputs"))

    def build(self) -> tuple[Any, tuple[Any, ...]]:
        """The module and its arguments, the same every time."""
        return build(self.row)

    def program(self) -> str:
        """The path of the .pt2 archive; raises if there is none."""
        if "export_error" in self.meta:
            raise RuntimeError("torch.export: " + self.meta["export_error"])
        return self.path("program.pt2")


def build(row: rows.Row) -> tuple[Any, tuple[Any, ...]]:
    import torch
    torch.manual_seed(0)
    module, args = row.make()
    return module.eval(), args


# ------------------------------------------------------------------ the errors

def measure_errors(ours: Sequence[Any], eager: Sequence[Any],
                   oracle: Sequence[Any]) -> tuple[float, str]:
    """The largest error of all outputs, in units in the last place of the
    output's scale; and what of the contract is broken, or ""."""
    import torch

    import contract
    worst, broken = 0.0, ""
    if len(ours) != len(eager):
        return float("nan"), f"{len(ours)} outputs instead of {len(eager)}"
    for number, (mine, base, true) in enumerate(zip(ours, eager, oracle)):
        try:
            contract.compare(mine, base, true, f"output {number}")
        except AssertionError as error:
            broken = broken or str(error)
        if mine.shape != true.shape or not mine.dtype.is_floating_point:
            continue
        error = (mine.double() - true.double()).abs()
        error = error[torch.isfinite(error)]
        if error.numel():
            worst = max(worst, float(error.max())
                        / contract.ulp_of_scale(true.double(), base.dtype))
    return worst, broken


# ------------------------------------------------------------------ preparing

def count_operations(module: Any, args: Sequence[Any]) -> int:
    """Multiplications and additions of matrix products and convolutions."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), \
            FlopCounterMode(display=False) as counter:
        module(*args)
    return counter.get_total_flops()


def prepare(name: str, folder: str) -> None:
    import torch
    import torch.utils._pytree as pytree

    import contract
    row = rows.ROWS[name]
    module, args = build(row)
    inputs = pytree.tree_leaves(args)
    save_tensors(os.path.join(folder, "inputs"), inputs)
    with torch.inference_mode():
        eager = pytree.tree_leaves(module(*args))
    save_tensors(os.path.join(folder, "eager"), eager)

    def total(tensors: Any) -> int:
        return sum(t.numel() * t.element_size() for t in tensors)
    meta = {"row": name, "operations": count_operations(module, args),
            "weight_bytes": total({p.data_ptr(): p for p in
                                   module.parameters()}.values()),
            "input_bytes": total(inputs), "output_bytes": total(eager)}
    try:
        with torch.no_grad():
            program = torch.export.export(module, args)
        torch.export.save(program, os.path.join(folder, "program.pt2"))
        oracle = pytree.tree_leaves(contract.Oracle(program)(*args))
        save_tensors(os.path.join(folder, "oracle"), oracle)
    except Exception as error:  # its peers say so; the others still run
        meta["export_error"] = f"{type(error).__name__}: {error}"
    with open(os.path.join(folder, "meta.json"), "w") as file:
        json.dump(meta, file, indent=1)


def prepare_onnx(folder: str) -> None:
    import torch
    workload = Workload(folder)
    program = torch.export.load(workload.program())
    with torch.no_grad():
        torch.onnx.export(program, f=workload.path("model.onnx"), dynamo=True,
                          verbose=False, external_data=True)


if __name__ == "__main__":
    if sys.argv[3:] == ["--onnx"]:
        prepare_onnx(sys.argv[2])
    else:
        prepare(sys.argv[1], sys.argv[2])
