"""Prints the example of each op of HWOps.td, inside what it may stand in."""
import re
import sys

FEATURES = '["amx-tile", "amx-bf16"]'
MEMORIES = """
  hw.memory @dram (kind = main, bytes = 1 GiB assumed, read = 1 GB/s assumed)
  hw.memory @hbm (kind = main, bytes = 1 GiB assumed, read = 1 GB/s assumed)"""
WORKER = """hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit,
    tile_registers = 8 x 8192 bit) {
  hw.memory @l1 (bytes = 1 KiB assumed, read = 1 GB/s assumed)
  %s
}"""
DEVICE = """hw.system @s { hw.device @%s (codegen = x86_64, features = """ + \
    FEATURES + ") {" + MEMORIES + "\n%s\n} %s }"
TILE = """hw.atom @tile 1 x 1 x 1 f32, f32 -> f32
    (instruction = "x", per_cycle = 1 assumed)"""


def wrap(op, example):
    if op == "system":
        return example
    if op == "device":
        return "hw.system @s {" + example + "}"
    if op == "worker":
        return DEVICE % ("d", example, "")
    if op == "link":
        return DEVICE % ("gpu", WORKER % "", example)
    if op in ("atom", "costs"):
        return DEVICE % ("d", WORKER % example, "")
    if op == "memory":
        return "hw.system @s {" + example + "hw.device @d (codegen = x86_64) {" \
            + WORKER % "" + "}}"
    return DEVICE % ("d", WORKER % TILE + example, "")


text = open(sys.argv[1]).read()
ops = re.findall(r'def HW_\w+Op : HW_\w+<"(\w+)".*?```mlir\n(.*?)```', text,
                 re.S)
print("\n// -----\n".join(wrap(op, example) for op, example in ops))
