"""The peers: how each makes a row ready, and what it is given.

A peer is a function from a workload and a number of threads to a `Prepared`. It
runs in a process of its own (server.py), so what it imports and which threads
it starts disturb nobody. All compute on the CPU in inference mode with constant
weights; outputs are written to buffers made beforehand where a peer can.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from typing import Any, Callable

import common
from workload import Workload


@dataclasses.dataclass
class Prepared:
    """A row that is ready to run.

    ``call`` runs it once; ``outputs`` gives the flat list of tensors of the
    last call. A call does ``1 / scale`` of the work that counts.
    """

    call: Callable[[], Any]
    outputs: Callable[[], list[Any]]
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)
    scale: float = 1.0


class Skip(Exception):
    """The peer is not here, or the row is not for it: says why."""


PEERS: dict[str, Callable[[Workload, int], Prepared]] = {}


def peer(name: str) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        PEERS[name] = function
        return function
    return register


def is_in_class(name: str, dtype: str) -> bool:
    """Whether a peer's time may be compared with those of its row: a peer that
    computes f32 rows in bf16 is shown, but is no bar."""
    return not (name == "openvino-default" and dtype == "f32")


# -------------------------------------------------------------------- the limit

@peer("limit")
def limit(workload: Workload, threads: int) -> Prepared:
    """The machine: the row's operations or bytes, and nothing else."""
    import limits
    library = limits.Limits(threads)
    row, meta = workload.row, workload.meta
    if row.limit in limits.ARITHMETIC:
        name = library.fastest(row.limit)
        # The rate does not depend on the amount: long rows do a part.
        amount, scale = float(meta["operations"]), 1.0
        seconds = library.compute(name, 2e8) / 2e8 * amount
        if seconds > 0.05:
            scale = seconds / 0.05
            amount /= scale
        return Prepared(lambda: library.compute(name, amount), list,
                        {"loop": name, "operations": meta["operations"]},
                        scale)
    if row.limit == "read":
        total = meta["weight_bytes"] + meta["input_bytes"]
        name, size = "read", total
    else:
        total = meta["input_bytes"] + meta["output_bytes"]
        name, size = "copy_nt", total
    part = min(size, 512 << 20)  # out of every cache already
    return Prepared(lambda: library.move(name, part), list,
                    {"loop": name, "bytes": total}, total / part)


# --------------------------------------------------------------------- headrace

@peer("headrace")
def headrace(workload: Workload, threads: int) -> Prepared:
    import headrace as hr
    path = workload.path("headrace.so")
    result = subprocess.run(
        [os.path.join(common.BUILD, "bin", "hrcc"), workload.program(), "-o",
         path], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(_last_line(result.stderr)
                           or f"hrcc ended with {result.returncode}")
    model = hr.load(path, workers=threads)
    inputs = workload.inputs()
    entry = model.default_context._default()
    last: list[Any] = []

    def call() -> None:
        last[:] = [entry(*inputs)]

    def outputs() -> list[Any]:
        import torch.utils._pytree as pytree
        return pytree.tree_leaves(last)
    return Prepared(call, outputs, {
        "artifact_bytes": os.path.getsize(path),
        "workers": model.default_context.workers,
        "outputs": "the context's own"})


# ---------------------------------------------------------------------- PyTorch

def _torch_peer(workload: Workload, threads: int,
                transform: Callable[[Any], Any]) -> Prepared:
    import torch
    import torch.utils._pytree as pytree
    torch.set_num_threads(threads)
    module, args = workload.build()
    function = transform(module)
    last: list[Any] = []

    def call() -> None:
        with torch.inference_mode():
            last[:] = [function(*args)]
    return Prepared(call, lambda: pytree.tree_leaves(last),
                    {"outputs": "allocated by each call"})


@peer("eager")
def eager(workload: Workload, threads: int) -> Prepared:
    return _torch_peer(workload, threads, lambda module: module)


@peer("inductor")
def inductor(workload: Workload, threads: int) -> Prepared:
    import torch
    return _torch_peer(workload, threads, torch.compile)


@peer("inductor-ma")
def inductor_max_autotune(workload: Workload, threads: int) -> Prepared:
    """max-autotune with frozen weights."""
    import torch
    import torch._inductor.config as config
    config.freezing = True
    return _torch_peer(workload, threads, lambda module: torch.compile(
        module, mode="max-autotune"))


@peer("aoti")
def aoti(workload: Workload, threads: int) -> Prepared:
    import torch
    import torch.utils._pytree as pytree
    torch.set_num_threads(threads)
    program = torch.export.load(workload.program())
    with torch.no_grad():
        path = torch._inductor.aoti_compile_and_package(
            program, package_path=workload.path("aoti.pt2"))
    function = torch._inductor.aoti_load_package(path)
    args = workload.inputs()
    last: list[Any] = []

    def call() -> None:
        with torch.inference_mode():
            last[:] = [function(*args)]
    return Prepared(call, lambda: pytree.tree_leaves(last),
                    {"outputs": "allocated by each call"})


# ------------------------------------------------------------------ from ONNX

def _to_onnx(workload: Workload) -> str:
    """The path of the ONNX model, exported by the first peer that asks."""
    path, failure = workload.path("model.onnx"), workload.path("onnx.error")
    if os.path.exists(failure):
        with open(failure) as file:
            raise RuntimeError(file.read())
    if not os.path.exists(path):
        python = os.environ.get("HEADRACE_PYTHON", sys.executable)
        result = subprocess.run(
            [python, os.path.join(common.ROOT, "benchmarks", "workload.py"),
             workload.row.name, workload.folder, "--onnx"],
            capture_output=True, text=True)
        if result.returncode != 0:
            text = "torch.onnx.export: " + (_last_line(result.stderr)
                                            or str(result.returncode))
            with open(failure, "w") as file:
                file.write(text)
            raise RuntimeError(text)
    return path


@peer("ort")
def onnx_runtime(workload: Workload, threads: int) -> Prepared:
    import numpy
    import onnxruntime as ort
    path = _to_onnx(workload)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options,
                                   providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    kept = []
    for port, (dtype, array) in zip(session.get_inputs(), workload.arrays()):
        if dtype == "bfloat16":
            value = ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, 16)
        else:
            value = ort.OrtValue.ortvalue_from_numpy(array)
        kept.append(value)
        binding.bind_ortvalue_input(port.name, value)
    for port in session.get_outputs():
        binding.bind_output(port.name, "cpu")
    session.run_with_iobinding(binding)
    results = binding.get_outputs()
    binding.clear_binding_outputs()
    for port, value in zip(session.get_outputs(), results):
        binding.bind_ortvalue_output(port.name, value)

    def outputs() -> list[Any]:
        return [_as_bf16(value.numpy()) if "bfloat16" in value.data_type()
                else numpy.asarray(value.numpy()) for value in results]
    def call() -> None:
        session.run_with_iobinding(binding)
    call.inputs = kept  # the binding does not own them
    return Prepared(call, outputs, {"outputs": "bound once"})


def _as_bf16(array: Any) -> Any:
    import ml_dtypes
    return array if array.dtype == ml_dtypes.bfloat16 else array.view(
        ml_dtypes.bfloat16)


def _openvino(workload: Workload, threads: int,
              precision: str | None) -> Prepared:
    import numpy
    import openvino as ov
    core = ov.Core()
    notes: dict[str, Any] = {"precision": precision or "its default"}
    try:
        import torch
        program = torch.export.load(workload.program())
        model = ov.convert_model(program)
        notes["read"] = "the exported program"
    except Exception as error:
        notes["read"] = f"ONNX, since: {_last_line(str(error))[:200]}"
        model = core.read_model(_to_onnx(workload))
    # Shapes are static everywhere; an exported program leaves them open.
    arrays = workload.arrays()
    model.reshape({port: list(array.shape) for port, (_, array)
                   in zip(model.inputs, arrays)})
    config: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
    if precision:
        config["INFERENCE_PRECISION_HINT"] = precision
    compiled = core.compile_model(model, "CPU", config)
    request = compiled.create_infer_request()
    for number, (dtype, array) in enumerate(arrays):
        if dtype == "bfloat16":
            tensor = ov.Tensor(ov.Type.bf16, ov.Shape(array.shape))
            tensor.data.view(numpy.uint16)[...] = array
        else:
            tensor = ov.Tensor(array)
        request.set_input_tensor(number, tensor)

    def outputs() -> list[Any]:
        import ml_dtypes
        results = []
        for number in range(len(compiled.outputs)):
            tensor = request.get_output_tensor(number)
            if tensor.element_type == ov.Type.bf16:
                results.append(numpy.array(tensor.data).view(
                    ml_dtypes.bfloat16))
            else:
                results.append(numpy.array(tensor.data))
        return results
    notes["outputs"] = "the request's own"
    return Prepared(request.infer, outputs, notes)


@peer("openvino")
def openvino(workload: Workload, threads: int) -> Prepared:
    """In the precision of the row."""
    return _openvino(workload, threads, workload.row.dtype)


@peer("openvino-default")
def openvino_default(workload: Workload, threads: int) -> Prepared:
    """As it is out of the box: bf16 where the CPU can."""
    if workload.row.dtype != "f32":
        raise Skip("as openvino on a row that is not f32")
    return _openvino(workload, threads, None)


@peer("llama.cpp")
def llama_cpp(workload: Workload, threads: int) -> Prepared:
    """The Llama rows, in the types of the row. A prompt gives the logits of all
    its tokens; a decode step is a token behind as many as the row's cache has,
    which are decoded once beforehand. It gives logits in f32 and keeps keys and
    values to itself, so that outputs are not compared."""
    if workload.row.group != "llama1b":
        raise Skip("runs language models in files of its own")
    import ctypes

    import gguf  # noqa: F401
    import llama_cpp as lc

    import gguf_file
    module, args = workload.build()
    path = workload.path("model.gguf")
    gguf_file.write(module.model, path)
    tokens = args[0].flatten().tolist()
    cached = args[1].shape[-2] if len(args) > 1 else 0
    vocabulary = module.model.config.vocab_size
    del module
    lc.llama_backend_init()
    model = lc.llama_model_load_from_file(path.encode(),
                                          lc.llama_model_default_params())
    if not model:
        raise RuntimeError("llama.cpp did not load the model")
    options = lc.llama_context_default_params()
    options.n_ctx = max(cached + len(tokens), 64)
    options.n_batch = options.n_ubatch = options.n_ctx
    options.n_threads = options.n_threads_batch = threads
    context = lc.llama_init_from_model(model, options)
    memory = lc.llama_get_memory(context)

    def make_batch(ids: list[int], first: int) -> Any:
        batch = lc.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i] = token, first + i
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
            batch.logits[i] = True
        return batch

    def decode(batch: Any) -> None:
        if lc.llama_decode(context, batch) != 0:
            raise RuntimeError("llama_decode failed")

    if cached:
        decode(make_batch([(7 * i + 1) % vocabulary for i in range(cached)], 0))
    batch = make_batch(tokens, cached)

    def call() -> None:
        lc.llama_memory_seq_rm(memory, 0, cached, -1)
        decode(batch)
        lc.llama_get_logits(context)  # waits for what is under way
    return Prepared(call, list, {
        "keys and values": "f16, its default",
        "system": ctypes.cast(lc.llama_print_system_info(),
                              ctypes.c_char_p).value.decode()})


@peer("iree")
def iree(workload: Workload, threads: int) -> Prepared:
    import numpy
    from iree import runtime
    from iree.compiler import tools
    path = _to_onnx(workload)
    mlir = workload.path("iree.mlir")
    scripts = os.path.dirname(sys.executable)
    importer = shutil.which("iree-import-onnx", path=scripts)
    if not importer:
        raise Skip("iree-import-onnx is not installed")
    result = subprocess.run([importer, path, "-o", mlir],
                            capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError("iree-import-onnx: " + _last_line(result.stderr))
    binary = workload.path("iree.vmfb")
    tools.compile_file(
        mlir, target_backends=["llvm-cpu"], output_file=binary,
        input_type="onnx", extra_args=[
            "--iree-llvmcpu-target-cpu=host", "--iree-opt-level=O3"])
    runtime.flags.parse_flags(f"--task_topology_group_count={threads}")
    config = runtime.Config("local-task")
    context = runtime.SystemContext(config=config)
    with open(binary, "rb") as file:
        module = runtime.VmModule.copy_buffer(context.instance, file.read())
    context.add_vm_module(module)
    functions = [name for name in module.function_names
                 if not name.startswith("__") and "$" not in name]
    function = getattr(getattr(context.modules, module.name), functions[0])
    inputs = [runtime.asdevicearray(
        config.device, _as_bf16(array) if dtype == "bfloat16" else array)
        for dtype, array in workload.arrays()]
    last: list[Any] = []

    def call() -> None:
        last[:] = [function(*inputs)]

    def outputs() -> list[Any]:
        result = last[0] if isinstance(last[0], (tuple, list)) else last
        return [numpy.asarray(value.to_host()) for value in result]
    return Prepared(call, outputs, {"outputs": "allocated by each call"})


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or [""])[-1][:500]
