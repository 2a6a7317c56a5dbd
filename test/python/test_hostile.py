# ===- test_hostile.py - Files that no export ever wrote -------------------===#
#
# Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===-----------------------------------------------------------------------===#
"""Damaged and malicious archives are refused with a message.

Each case makes a file from a sound one. `hrcc` must print one `hrcc: error:`
with the words that the case names, exit with status 1, leave no output, need
less than 10 seconds and 2 GiB, and not crash.
"""

import copy
import io
import json
import resource
import struct
import subprocess
import sys
import zipfile

import pytest
import torch
from torch import nn

SECONDS, BYTES = 10, 2 << 30


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.register_buffer("cache", torch.zeros(4, 4))

    def forward(self, x):
        self.cache[0].add_(1)
        y = torch.relu(self.linear(x)).view(-1)
        return {"y": y, "cache": self.cache * 2}


class Archive:
    """The entries of a sound archive, to be damaged and written again."""

    def __init__(self, data):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            self.entries = {n: archive.read(n) for n in archive.namelist()}
        self.top = next(iter(self.entries)).split("/")[0] + "/"
        self.model = json.loads(self.entries[self.top + "models/model.json"])
        self.weights = json.loads(
            self.entries[self.top + "data/weights/model_weights_config.json"])

    @property
    def graph(self):
        return self.model["graph_module"]["graph"]

    @property
    def node(self):
        return self.graph["nodes"][0]

    def find(self, target):
        return next(n for n in self.graph["nodes"] if target in n["target"])

    @property
    def meta(self):
        return self.weights["config"]["linear.weight"]["tensor_meta"]

    def put_texts(self):
        self.entries[self.top + "models/model.json"] = json.dumps(
            self.model).encode()
        self.entries[self.top + "data/weights/model_weights_config.json"] = (
            json.dumps(self.weights).encode())

    def write(self, compression=zipfile.ZIP_STORED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", compression) as archive:
            for name, content in self.entries.items():
                archive.writestr(name, content)
        return bytearray(out.getvalue())


@pytest.fixture(scope="module")
def sound():
    out = io.BytesIO()
    program = torch.export.export(Model().eval(), (torch.randn(2, 4),))
    torch.export.save(program, out)
    return out.getvalue()


def directory_of(data):
    """Where the central directory begins."""
    return struct.unpack_from("<I", data, data.rfind(b"PK\x05\x06") + 16)[0]


def limit():
    # The address space counts what is mapped, the resident set is what counts.
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def refuse(hrcc, folder, data, message, phase="aten"):
    path, output = folder / "hostile.pt2", folder / "out.mlir"
    path.write_bytes(bytes(data))
    child = subprocess.Popen(
        [hrcc, str(path), f"--emit={phase}", "-o", str(output)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        errors="replace", preexec_fn=limit)
    out, err = child.communicate(timeout=6 * SECONDS)
    assert child.returncode == 1, (child.returncode, err[-2000:])
    assert "hrcc: error:" in err, err
    assert message in err, err
    assert len(err) < 20000
    assert list(folder.iterdir()) == [path]
    return err


# Cases on the JSON: each damages an Archive, whose texts are then put back.

JSON_CASES = {}


def case(message):
    def register(f):
        JSON_CASES[f.__name__] = (f, message)
        return f
    return register


@case("expected schema version 8 but got 9")
def other_major_version(a):
    a.model["schema_version"]["major"] = 9


@case("schema_version.major: expected an integer but got a string")
def version_is_text(a):
    a.model["schema_version"]["major"] = "8"


@case("schema_version: expected an object but got nothing")
def no_version(a):
    del a.model["schema_version"]


@case("graph_module: expected an object but got an array")
def module_is_array(a):
    a.model["graph_module"] = []


@case("graph.nodes: expected an array but got an object")
def nodes_is_object(a):
    a.graph["nodes"] = {}


@case("target: expected a string but got a number")
def target_is_number(a):
    a.node["target"] = 3


@case("is defined twice")
def repeated_name(a):
    a.graph["nodes"].append(copy.deepcopy(a.find("relu")))


@case("'nowhere' is used but not defined")
def undefined_name(a):
    a.find("relu")["inputs"][0]["arg"]["as_tensor"]["name"] = "nowhere"


@case("is used but not defined")
def used_before_definition(a):
    a.graph["nodes"].reverse()


@case("has no type in graph.tensor_values")
def no_type(a):
    del a.graph["tensor_values"]["relu"]


@case("unsupported operator evil.system.default (1 use")
def unknown_operator(a):
    a.find("relu")["target"] = "torch.ops.evil.system.default"


@case("unsupported operator os.system (1 use")
def python_function(a):
    a.find("relu")["target"] = "os.system"


@case("has no argument 'self2'")
def unknown_argument(a):
    a.find("relu")["inputs"][0]["name"] = "self2"


@case("is given twice")
def argument_twice(a):
    a.find("relu")["inputs"] *= 2


@case("argument 'self' of 'aten.relu.default' is missing")
def missing_argument(a):
    a.find("relu")["inputs"] = []


@case("expects Tensor but got")
def wrong_kind_of_argument(a):
    a.find("relu")["inputs"][0]["arg"] = {"as_string": "x"}


@case("expected an object with one key but got 2")
def union_of_two(a):
    a.find("relu")["inputs"][0]["arg"]["as_int"] = 3


@case("an argument of kind 'as_custom_obj' is not supported")
def custom_object(a):
    a.find("relu")["inputs"][0]["arg"] = {
        "as_custom_obj": {"name": "x", "class_fqn": "y"}}


@case("expected 1 results for 'aten.relu.default' but got 0")
def no_result(a):
    a.find("relu")["outputs"] = []


@case("dtype 99 is not known")
def unknown_dtype(a):
    a.graph["tensor_values"]["relu"]["dtype"] = 99


@case("tensor 'relu'.device: device 'abacus' is not known")
def unknown_device(a):
    a.graph["tensor_values"]["relu"]["device"]["type"] = "abacus"


@case("weight 'linear.weight'.device: device '?[31m' is not known")
def unknown_device_of_weight(a):
    a.meta["device"]["type"] = "\x1b[31m"


@case("size -4 is negative")
def negative_size(a):
    a.graph["tensor_values"]["relu"]["sizes"][0] = {"as_int": -4}


@case("more elements than can be addressed")
def overflowing_sizes(a):
    meta = a.graph["tensor_values"]["relu"]
    meta["sizes"] = [{"as_int": 1 << 40}] * 3
    meta["strides"] = [{"as_int": 1}] * 3


@case("expected equally many sizes and strides, at most 64")
def many_dimensions(a):
    meta = a.graph["tensor_values"]["relu"]
    meta["sizes"] = meta["strides"] = [{"as_int": 1}] * 1000


@case("expected an integer of 64 bits")
def huge_integer(a):
    a.graph["tensor_values"]["relu"]["sizes"][0] = {"as_int": 1 << 80}


def symbolic(text):
    return {"as_expr": {"expr_str": text, "hint": None}}


@case("'u0' is not determined by the shapes of the inputs")
def unbound_symbol(a):
    a.graph["tensor_values"]["relu"]["sizes"][0] = symbolic(
        "Symbol('u0', integer=True)")


@case("symbolic size: 'Exec' is not supported")
def unknown_function(a):
    a.graph["tensor_values"]["relu"]["sizes"][0] = symbolic(
        "Exec(Symbol('s0'))")


@case("symbolic size: nested too deeply")
def deep_expression(a):
    a.graph["tensor_values"]["relu"]["sizes"][0] = symbolic(
        "Add(" * 100000 + ")" * 100000)


@case("symbolic size: the expression is too large")
def exploding_expression(a):
    total = "Add(%s)" % ", ".join(f"Symbol('s{i}')" for i in range(40))
    a.graph["tensor_values"]["relu"]["sizes"][0] = symbolic(
        f"Pow({total}, Integer(8))")


@case("symbolic size: division by zero")
def division_by_zero(a):
    a.graph["tensor_values"]["relu"]["sizes"][0] = symbolic(
        "FloorDiv(Symbol('s0'), Integer(0))")


@case("range of 's0' is empty")
def empty_range(a):
    a.model["range_constraints"] = {"s0": {"min_val": 5, "max_val": 2}}


@case("signature.input_specs: expected")
def fewer_inputs(a):
    a.model["graph_module"]["signature"]["input_specs"].pop()


@case("an input of kind 'custom_obj' is not supported")
def custom_input(a):
    specs = a.model["graph_module"]["signature"]["input_specs"]
    specs[0] = {"custom_obj": {"arg": {"name": "a", "class_fqn": "b"},
                               "custom_obj_name": "c"}}


@case("an output of kind 'loss_output' is not supported")
def loss_output(a):
    specs = a.model["graph_module"]["signature"]["output_specs"]
    specs[0] = {"loss_output": {"arg": {"name": "relu"}}}


@case("subgraphs are nested more than")
def deep_subgraphs(a):
    graph = copy.deepcopy(a.graph)
    for _ in range(20):
        graph = {**graph, "nodes": [{
            "target": "torch.ops.higher_order.cond", "outputs": [],
            "metadata": {}, "inputs": [
                {"name": "", "arg": {"as_graph": {"name": "g",
                                                  "graph": graph}}}]}],
            "inputs": [], "outputs": []}
    a.graph["nodes"] = graph["nodes"]


@case("is a pickle, which is not read")
def pickled_weight(a):
    a.weights["config"]["linear.weight"]["use_pickle"] = True


@case("weight 'linear.weight' is not in the archive")
def no_weight(a):
    del a.weights["config"]["linear.weight"]


@case("the archive has no entry 'data/weights/../../etc/passwd'")
def path_trick_in_table(a):
    a.weights["config"]["linear.weight"]["path_name"] = "../../etc/passwd"


@case("reach beyond the")
def sizes_beyond_storage(a):
    a.meta["sizes"] = [{"as_int": 1 << 20}, {"as_int": 4}]


@case("reach beyond the")
def offset_beyond_storage(a):
    a.meta["storage_offset"] = {"as_int": 1 << 62}


@case("reach beyond the")
def overflowing_strides(a):
    a.meta["strides"] = [{"as_int": (1 << 63) - 1}] * 2


@case("is negative")
def negative_stride(a):
    a.meta["strides"][0] = {"as_int": -1}


@case("is negative")
def negative_offset(a):
    a.meta["storage_offset"] = {"as_int": -4}


@case("more elements than can be addressed")
def too_many_elements(a):
    a.meta["sizes"] = [{"as_int": 1 << 40}] * 3
    a.meta["strides"] = [{"as_int": 0}] * 3


@case("which is not supported")
def expanded_constant(a):
    a.meta["sizes"] = [{"as_int": 1 << 40}, {"as_int": 1}]
    a.meta["strides"] = [{"as_int": 0}] * 2


@case("but the graph expects")
def weight_of_other_shape(a):
    a.meta["sizes"].reverse()
    a.meta["strides"] = [{"as_int": 3}, {"as_int": 1}]


@case("sparse COO tensors are not supported")
def sparse_weight(a):
    a.meta["layout"] = 1


@pytest.mark.parametrize("name", JSON_CASES)
def test_json(hrcc, tmp_path, sound, name):
    damage, message = JSON_CASES[name]
    archive = Archive(sound)
    damage(archive)
    archive.put_texts()
    refuse(hrcc, tmp_path, archive.write(), message)


# Cases on the bytes of the JSON text.

TEXTS = {
    "deep_arrays": (b"[" * 100000, "nested more than 200 deep"),
    "deep_objects": (b'{"a":' * 100000, "nested more than 200 deep"),
    "truncated": (b'{"graph_module": {', "is not valid JSON"),
    "not_json": (b"\x80\x04\x95 a pickle", "is not valid JSON"),
    "bad_utf8": (b'{"a": "\xff\xfe"}', "is not valid JSON"),
    "empty": (b"", "is not valid JSON"),
    "number": (b"3", "the model: expected an object but got a number"),
    "many_values": (b"[" + b"0," * 30_000_000 + b"0]",
                    "its tree would take more than 1400 MiB"),
    "many_objects": (b"[" + b'{"a":0},' * 2_000_000 + b"0]",
                     "its tree would take more than 1400 MiB"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text(hrcc, tmp_path, sound, name):
    text, message = TEXTS[name]
    archive = Archive(sound)
    archive.entries[archive.top + "models/model.json"] = text
    refuse(hrcc, tmp_path, archive.write(), message)


@pytest.mark.parametrize("text", [
    b"[" + b'{"a":0},' * 215_000 + b"0]",
    b"[" + b"0," * 17_000_000 + b"0]",
    b"[" + b'"",' * 17_000_000 + b"0]",
    b"[" + b"[]," * 8_000_000 + b"0]",
], ids=["objects", "numbers", "strings", "arrays"])
def test_largest_trees_within_memory(hrcc, tmp_path, sound, text):
    """The largest trees that are read stay below the limits."""
    archive = Archive(sound)
    archive.entries[archive.top + "models/model.json"] = text
    path = tmp_path / "hostile.pt2"
    path.write_bytes(bytes(archive.write()))
    # A shell of its own, whose only child is the compiler.
    measure = ("import resource, subprocess, sys; "
               "done = subprocess.run(sys.argv[1:], capture_output=True); "
               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, "
               "done.returncode, done.stderr.decode())")
    done = subprocess.run(
        [sys.executable, "-c", measure, hrcc, str(path), "--emit=aten"],
        capture_output=True, text=True, preexec_fn=limit, check=True)
    kilobytes, code, message = done.stdout.split(" ", 2)
    assert int(code) == 1
    assert "the model: expected an object but got an array" in message
    assert int(kilobytes) * 1024 < BYTES


# Cases on the zip.


def test_empty_file(hrcc, tmp_path):
    refuse(hrcc, tmp_path, b"", "not a .pt2 archive")


def test_other_file(hrcc, tmp_path):
    refuse(hrcc, tmp_path, b"\x7fELF" + bytes(5000), "not a .pt2 archive")


def test_truncated(hrcc, tmp_path, sound):
    for part in (1, 2, 3, 7, 15):
        refuse(hrcc, tmp_path, sound[:len(sound) * part // 16],
               "not a .pt2 archive")
        (tmp_path / "hostile.pt2").unlink()


def test_wrong_checksum_of_weight(hrcc, tmp_path, sound):
    archive = Archive(sound)
    weight = archive.entries[archive.top + "data/weights/weight_0"]
    data = archive.write()
    data[data.find(weight) + 5] ^= 0x40
    refuse(hrcc, tmp_path, data, "is damaged: expected checksum")


def test_wrong_checksum_of_model(hrcc, tmp_path, sound):
    data = Archive(sound).write()
    at = data.find(b'"graph_module"')
    data[at + 3] ^= 0x01
    refuse(hrcc, tmp_path, data, "is damaged")


@pytest.mark.parametrize("name", [
    "../evil", "/etc/passwd", "f/../../evil", "f\\evil", "f/\x1b[31m", "f//x"])
def test_path_tricks(hrcc, tmp_path, sound, name):
    archive = Archive(sound)
    archive.entries[name] = b"x"
    refuse(hrcc, tmp_path, archive.write(), "unsafe name")


def test_two_top_folders(hrcc, tmp_path, sound):
    archive = Archive(sound)
    archive.entries["other/file"] = b"x"
    refuse(hrcc, tmp_path, archive.write(), "expected all entries in one folder")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_repeated_entry(hrcc, tmp_path, sound):
    archive = Archive(sound)
    data = io.BytesIO(bytes(archive.write()))
    with zipfile.ZipFile(data, "a") as again:
        again.writestr(archive.top + "models/model.json", b"{}")
    refuse(hrcc, tmp_path, data.getvalue(), "appears twice")


def test_several_models(hrcc, tmp_path, sound):
    archive = Archive(sound)
    archive.entries[archive.top + "models/other.json"] = b"{}"
    refuse(hrcc, tmp_path, archive.write(), "holds several models")


def test_no_model(hrcc, tmp_path, sound):
    archive = Archive(sound)
    del archive.entries[archive.top + "models/model.json"]
    refuse(hrcc, tmp_path, archive.write(), "has no entry 'models/*.json'")


def test_missing_weight_entry(hrcc, tmp_path, sound):
    archive = Archive(sound)
    del archive.entries[archive.top + "data/weights/weight_1"]
    refuse(hrcc, tmp_path, archive.write(),
           "the archive has no entry 'data/weights/weight_1'")


def test_big_endian(hrcc, tmp_path, sound):
    archive = Archive(sound)
    archive.entries[archive.top + "byteorder"] = b"big"
    refuse(hrcc, tmp_path, archive.write(), "expected byte order 'little'")


def test_compressed_weights(hrcc, tmp_path, sound):
    refuse(hrcc, tmp_path, Archive(sound).write(zipfile.ZIP_DEFLATED),
           "is compressed, but data must be stored")


def test_bomb(hrcc, tmp_path, sound):
    """A gigabyte of zeros as the model."""
    archive = Archive(sound)
    archive.entries[archive.top + "models/model.json"] = bytes(1 << 29)
    refuse(hrcc, tmp_path, archive.write(zipfile.ZIP_DEFLATED),
           "more than the limit of")


def test_sizes_that_lie(hrcc, tmp_path, sound):
    """The central directory claims more than the file holds."""
    data = Archive(sound).write()
    at = directory_of(data)
    struct.pack_into("<II", data, at + 20, 0x7fffff00, 0x7fffff00)
    refuse(hrcc, tmp_path, data, "hrcc: error:")


def test_offset_outside(hrcc, tmp_path, sound):
    data = Archive(sound).write()
    at = directory_of(data)
    struct.pack_into("<I", data, at + 42, 0x7fffff00)
    refuse(hrcc, tmp_path, data, "hrcc: error:")


def test_directory_outside(hrcc, tmp_path, sound):
    data = Archive(sound).write()
    at = data.rfind(b"PK\x05\x06")
    struct.pack_into("<I", data, at + 16, 0xfffffff0)
    refuse(hrcc, tmp_path, data, "not a .pt2 archive")


def test_every_byte_damaged(hrcc, tmp_path, sound):
    """A sample of single-byte damage: refused or harmless, never a crash."""
    data = bytearray(sound)
    directory = directory_of(data)
    places = [*range(directory, len(data), 97), *range(0, directory, 1499)]
    path = tmp_path / "hostile.pt2"
    for place in places:
        data[place] ^= 0xff
        path.write_bytes(bytes(data))
        data[place] ^= 0xff
        done = subprocess.run(
            [hrcc, str(path), "--emit=aten", "-o", str(tmp_path / "out")],
            capture_output=True, text=True, errors="replace", timeout=60)
        assert done.returncode in (0, 1), (place, done.stderr)
        if done.returncode:
            assert "hrcc: error:" in done.stderr, (place, done.stderr)


def test_not_a_file(hrcc, tmp_path):
    done = subprocess.run([hrcc, str(tmp_path), "--emit=aten"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "hrcc: error:" in done.stderr


def test_sound_file_is_read(hrcc, tmp_path, sound):
    """The base of all cases above is itself accepted, as is its rewriting."""
    for data in (sound, Archive(sound).write()):
        path = tmp_path / "sound.pt2"
        path.write_bytes(bytes(data))
        done = subprocess.run(
            [hrcc, str(path), "--emit=aten", "-o", str(tmp_path / "out")],
            capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
