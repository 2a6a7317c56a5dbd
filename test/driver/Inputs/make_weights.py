"""Writes, or with --check compares, a safetensors file of counting floats.

    make_weights.py [--check] [--truncate] FILE NAME:SHAPE...
"""
import json
import struct
import sys

flags = [a for a in sys.argv[1:] if a.startswith("--")]
path, *specs = [a for a in sys.argv[1:] if not a.startswith("--")]
header, data = {}, b""
for spec in specs:
    name, shape = spec.split(":")
    shape = [int(size) for size in shape.split(",")]
    count = 1
    for size in shape:
        count *= size
    values = struct.pack(f"<{count}f", *range(count))
    header[name] = {"dtype": "F32", "shape": shape,
                    "data_offsets": [len(data), len(data) + len(values)]}
    data += values
if "--check" in flags:
    with open(path, "rb") as file:
        content = file.read()
    size = struct.unpack("<Q", content[:8])[0]
    assert json.loads(content[8:8 + size]) == header, content[8:8 + size]
    assert content[8 + size:] == data
    assert (8 + size) % 64 == 0
else:
    text = json.dumps(header).encode()
    if "--truncate" in flags:
        data = data[:-4]
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
