"""Copies an artifact and damages the copy: damage.py FROM TO WHAT."""
import struct
import sys

source, target, what = sys.argv[1:]
data = bytearray(open(source, "rb").read())
footer = len(data) - 128
assert data[footer:footer + 8] == b"HEADRACE"
(code, weights, weight_bytes, signature, signature_bytes) = struct.unpack(
    "<5Q", data[footer + 16:footer + 56])


def xxh64(data):
    """The checksum of the footer, so that a forged one passes."""
    m = (1 << 64) - 1
    p1, p2, p3, p4, p5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F,
                          0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                          0x27D4EB2F165667C5)
    rot = lambda x, r: ((x << r) | (x >> (64 - r))) & m
    step = lambda v, lane: rot((v + lane * p2) & m, 31) * p1 & m
    n, i = len(data), 0
    word = lambda i: int.from_bytes(data[i:i + 8], "little")
    v = [(p1 + p2) & m, p2, 0, -p1 & m]
    while n - i >= 32:
        v = [step(v[k], word(i + 8 * k)) for k in range(4)]
        i += 32
    h = sum(rot(v[k], r) for k, r in enumerate((1, 7, 12, 18))) & m
    for x in v:
        h = ((h ^ step(0, x)) * p1 + p4) & m
    h = (h + n) & m
    while n - i >= 8:
        h = (rot(h ^ step(0, word(i)), 27) * p1 + p4) & m
        i += 8
    assert i == n
    h = ((h ^ h >> 33) * p2) & m
    h = ((h ^ h >> 29) * p3) & m
    return h ^ h >> 32


if what == "code":
    data[code // 2] ^= 1
elif what == "weights":
    data[weights + weight_bytes // 2] ^= 1
elif what == "signature":
    data[signature + 10] ^= 1
elif what == "footer":
    data[footer + 20] ^= 1
elif what == "truncate":
    del data[len(data) * 2 // 3:]
elif what == "empty":
    data.clear()
elif what == "strip":
    del data[code:]
elif what == "id":
    data[footer + 80] ^= 1
    data[-8:] = struct.pack("<Q", xxh64(bytes(data[footer:-8])))
elif what == "offsets":
    data[footer + 32:footer + 40] = struct.pack("<Q", (1 << 64) - 65536)
    data[-8:] = struct.pack("<Q", xxh64(bytes(data[footer:-8])))
else:
    sys.exit("what?")
open(target, "wb").write(data)
