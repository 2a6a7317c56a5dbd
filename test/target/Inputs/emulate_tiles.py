"""Products made of tile instructions, on a machine that has none.

The stage's code is taken as LLVM IR, the tile type becomes a plain vector of the
same bytes and every tile instruction a function that does what the vendor's
manual says; then it is run and compared with numpy.

    emulate_tiles.py FOLDER
"""
import ctypes
import math
import os
import re
import subprocess
import sys

import numpy as np

MODULE = """
func.func @product(%x: tensor<{m}x{k}x{t}> {{hr.name = "x", hr.dims = [#hr.size<"{m}">, #hr.size<"{k}">]}},
                   %w: tensor<{k}x{n}x{t}> {{hr.name = "w", hr.dims = [#hr.size<"{k}">, #hr.size<"{n}">]}})
    -> (tensor<{m}x{n}x{s}> {{hr.name = "y", hr.dims = [#hr.size<"{m}">, #hr.size<"{n}">]}}) {{
  %zero = arith.constant {zero} : {s}
  %e = tensor.empty() : tensor<{m}x{n}x{s}>
  %f = linalg.fill ins(%zero : {s}) outs(%e : tensor<{m}x{n}x{s}>) -> tensor<{m}x{n}x{s}>
  %r = linalg.generic {{indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]}} ins(%x, %w : tensor<{m}x{k}x{t}>, tensor<{k}x{n}x{t}>) outs(%f : tensor<{m}x{n}x{s}>) {{
  ^bb0(%p: {t}, %q: {t}, %o: {s}):
    %a = arith.{ext} %p : {t} to {s}
    %b = arith.{ext} %q : {t} to {s}
    %c = arith.{mul} %a, %b : {s}
    %s = arith.{add} %o, %c : {s}
    linalg.yield %s : {s}
  }} -> tensor<{m}x{n}x{s}>
  return %r : tensor<{m}x{n}x{s}>
}}
"""

# Softmax-weighted sums: k values weighted by logits.
ATTENTION = """
func.func @attention(%e: tensor<{m}x{k}xf32> {{hr.name = "e", hr.dims = [#hr.size<"{m}">, #hr.size<"{k}">]}},
                     %v: tensor<{k}x{n}xbf16> {{hr.name = "v", hr.dims = [#hr.size<"{k}">, #hr.size<"{n}">]}})
    -> (tensor<{m}x{n}xf32> {{hr.name = "y", hr.dims = [#hr.size<"{m}">, #hr.size<"{n}">]}}) {{
  %y = hr.softmax_sum %e, %v maps [affine_map<(i, j, d) -> (i, j)>, affine_map<(i, j, d) -> (j, d)>, affine_map<(i, j, d) -> (i, d)>]
      dims [#hr.size<"{m}">, #hr.size<"{n}">] weights bf16 : tensor<{m}x{k}xf32>, tensor<{k}x{n}xbf16> -> tensor<{m}x{n}xf32>
  return %y : tensor<{m}x{n}xf32>
}}
"""

# A tile is 16 rows of 64 bytes.
FUNCTIONS = """
#include <math.h>
#include <stdint.h>
#include <string.h>
static float widen(uint16_t bits) {
  uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, 4);
  return value;
}
void do_scale(float *out, const float *x, const float *e, uint16_t mask) {
  for (int i = 0; i < 16; ++i)
    if (mask >> i & 1)
      out[i] = isnan(e[i]) ? e[i]
                           : ldexpf(x[i], (int)fmaxf(fminf(floorf(e[i]), 1e4f), -1e4f));
}
void do_bytes(char *out, int16_t rows, int16_t columns, int16_t depth,
              const int32_t *c, const int8_t *a, const int8_t *b) {
  memcpy(out, c, 1024);
  int32_t *sum = (int32_t *)out;
  for (int i = 0; i < rows; ++i)
    for (int k = 0; k < depth / 4; ++k)
      for (int j = 0; j < columns / 4; ++j)
        for (int e = 0; e < 4; ++e)
          sum[16 * i + j] += a[64 * i + 4 * k + e] * b[64 * k + 4 * j + e];
}
void do_round(uint16_t *out, const uint32_t *high, const uint32_t *low) {
  for (int i = 0; i < 32; ++i) {
    uint32_t bits = i < 16 ? low[i] : high[i - 16];
    out[i] = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  }
}
void do_load(char *tile, int16_t rows, int16_t bytes, const char *p, int64_t stride) {
  memset(tile, 0, 1024);
  for (int r = 0; r < rows; ++r) memcpy(tile + 64 * r, p + r * stride, bytes);
}
void do_store(const char *tile, int16_t rows, int16_t bytes, char *p, int64_t stride) {
  for (int r = 0; r < rows; ++r) memcpy(p + r * stride, tile + 64 * r, bytes);
}
void do_multiply(char *out, int16_t rows, int16_t columns, int16_t depth,
                 const float *c, const uint16_t *a, const uint16_t *b) {
  memcpy(out, c, 1024);
  float *sum = (float *)out;
  for (int i = 0; i < rows; ++i)
    for (int k = 0; k < depth / 4; ++k)
      for (int j = 0; j < columns / 4; ++j) {
        sum[16 * i + j] += widen(a[32 * i + 2 * k]) * widen(b[32 * k + 2 * j]);
        sum[16 * i + j] += widen(a[32 * i + 2 * k + 1]) * widen(b[32 * k + 2 * j + 1]);
      }
}
"""
TILE = "<256 x i32>"
# The code around the tiles is compiled for a machine that any x86-64 of the last
# ten years is: what it uses beyond that is emulated as well.
MACHINE = "x86-64-v3"
WRAPPERS = f"""
define internal {TILE} @emulate.zero(i16 %r, i16 %b) {{
  ret {TILE} zeroinitializer
}}
define internal {TILE} @emulate.load(i16 %r, i16 %b, ptr %p, i64 %s) {{
  %t = alloca {TILE}, align 64
  call void @do_load(ptr %t, i16 %r, i16 %b, ptr %p, i64 %s)
  %v = load {TILE}, ptr %t, align 64
  ret {TILE} %v
}}
define internal void @emulate.store(i16 %r, i16 %b, ptr %p, i64 %s, {TILE} %v) {{
  %t = alloca {TILE}, align 64
  store {TILE} %v, ptr %t, align 64
  call void @do_store(ptr %t, i16 %r, i16 %b, ptr %p, i64 %s)
  ret void
}}
define internal {TILE} @emulate.multiply(i16 %m, i16 %n, i16 %k, {TILE} %c, {TILE} %a, {TILE} %b) {{
  %o = alloca {TILE}, align 64
  %pc = alloca {TILE}, align 64
  %pa = alloca {TILE}, align 64
  %pb = alloca {TILE}, align 64
  store {TILE} %c, ptr %pc, align 64
  store {TILE} %a, ptr %pa, align 64
  store {TILE} %b, ptr %pb, align 64
  call void @do_multiply(ptr %o, i16 %m, i16 %n, i16 %k, ptr %pc, ptr %pa, ptr %pb)
  %v = load {TILE}, ptr %o, align 64
  ret {TILE} %v
}}
define internal {TILE} @emulate.bytes(i16 %m, i16 %n, i16 %k, {TILE} %c, {TILE} %a, {TILE} %b) {{
  %o = alloca {TILE}, align 64
  %pc = alloca {TILE}, align 64
  %pa = alloca {TILE}, align 64
  %pb = alloca {TILE}, align 64
  store {TILE} %c, ptr %pc, align 64
  store {TILE} %a, ptr %pa, align 64
  store {TILE} %b, ptr %pb, align 64
  call void @do_bytes(ptr %o, i16 %m, i16 %n, i16 %k, ptr %pc, ptr %pa, ptr %pb)
  %v = load {TILE}, ptr %o, align 64
  ret {TILE} %v
}}
define internal <32 x bfloat> @emulate.round(<16 x float> %h, <16 x float> %l) {{
  %o = alloca <32 x bfloat>, align 64
  %ph = alloca <16 x float>, align 64
  %pl = alloca <16 x float>, align 64
  store <16 x float> %h, ptr %ph, align 64
  store <16 x float> %l, ptr %pl, align 64
  call void @do_round(ptr %o, ptr %ph, ptr %pl)
  %v = load <32 x bfloat>, ptr %o, align 64
  ret <32 x bfloat> %v
}}
define internal <16 x float> @emulate.scale(<16 x float> %x, <16 x float> %e, <16 x float> %s, i16 %mask, i32 %rounding) {{
  %o = alloca <16 x float>, align 64
  %px = alloca <16 x float>, align 64
  %pe = alloca <16 x float>, align 64
  store <16 x float> %s, ptr %o, align 64
  store <16 x float> %x, ptr %px, align 64
  store <16 x float> %e, ptr %pe, align 64
  call void @do_scale(ptr %o, ptr %px, ptr %pe, i16 %mask)
  %v = load <16 x float>, ptr %o, align 64
  ret <16 x float> %v
}}
declare void @do_round(ptr, ptr, ptr)
declare void @do_scale(ptr, ptr, ptr, i16)
declare void @do_load(ptr, i16, i16, ptr, i64)
declare void @do_store(ptr, i16, i16, ptr, i64)
declare void @do_multiply(ptr, i16, i16, i16, ptr, ptr, ptr)
declare void @do_bytes(ptr, i16, i16, i16, ptr, ptr, ptr)
"""
NAMES = {"tilezero.internal": "zero", "tileloadd64.internal": "load",
         "tilestored64.internal": "store", "tdpbf16ps.internal": "multiply",
         "tdpbssd.internal": "bytes", "avx512bf16.cvtne2ps2bf16.512": "round",
         "avx512.mask.scalef.ps.512": "scale"}
TYPES = {"bf16": dict(t="bf16", s="f32", zero="0.0", ext="extf", mul="mulf",
                      add="addf"),
         "i8": dict(t="i8", s="i32", zero="0", ext="extsi", mul="muli",
                    add="addi")}


def tool(name):
    for candidate in (f"/usr/lib/llvm-22/bin/{name}", f"{name}-22", name):
        if subprocess.run(["which", candidate],
                          capture_output=True).returncode == 0:
            return candidate
    sys.exit(f"{name} is not there")


def build(folder, kind, m, k, n):
    """The stage as a function, and the number of its tiles."""
    def path(name):
        return os.path.join(folder, f"{kind}.{m}x{k}x{n}.{name}")
    with open(path("mlir"), "w") as file:
        if kind == "attention":
            file.write(ATTENTION.format(m=m, k=k, n=n))
        else:
            file.write(MODULE.format(m=m, k=k, n=n, **TYPES[kind]))
    hrcc = ["hrcc", path("mlir"), "--target=intel-sapphire-rapids", "-o"]
    subprocess.run(hrcc + [path("tiled"), "--emit=tiled"], check=True)
    with open(path("tiled")) as file:
        run = re.search(r"hr\.run @(\S+) grid \[(.*?)\]\(.*? scratch (\d+)",
                        file.read())
    stage, scratch = "stage." + run[1], int(run[3])
    tiles = math.prod(int(size) for size in re.findall(r'"(\d+)"', run[2]))
    subprocess.run(hrcc + [path("ll"), "-emit-llvm"], check=True)
    subprocess.run([tool("llvm-extract"), "-S", f"--func={stage}", path("ll"),
                    "-o", path("stage.ll")], check=True)
    with open(path("stage.ll")) as file:
        text = file.read()
    instruction = "tdpbssd" if kind == "i8" else "tdpbf16ps"
    assert instruction in text, f"no {instruction} in the code"
    for name, plain in NAMES.items():
        name = f"@llvm.x86.{name}("
        text = re.sub(rf"declare .*{re.escape(name)}.*\n", "", text)
        text = text.replace(name, f"@emulate.{plain}(")
    text = text.replace("x86_amx", TILE).replace("define hidden", "define")
    text = re.sub(r'"(target-cpu|tune-cpu|target-features)"="[^"]*"', "", text)
    with open(path("stage.ll"), "w") as file:
        file.write(text + WRAPPERS)
    with open(path("c"), "w") as file:
        file.write(FUNCTIONS)
    left = set(re.findall(r"@(llvm\.x86\.[\w.]+)\(", text))
    assert not left, f"not emulated: {sorted(left)}"
    subprocess.run([tool("clang"), "-O1", "-w", "-shared", "-fPIC",
                    f"-march={MACHINE}", "-ffp-contract=off", path("stage.ll"),
                    path("c"), "-lm", "-o", path("so")], check=True)
    return getattr(ctypes.CDLL(path("so")), stage), tiles, scratch


def descriptor(array):
    """A flat memref: pointers, offset, size, stride."""
    pointer = ctypes.c_void_p(array.ctypes.data)
    return [pointer, pointer] + [ctypes.c_int64(v) for v in (0, array.size, 1)]


def run(folder, kind, m, k, n, x, w, y):
    stage, tiles, scratch = build(folder, kind, m, k, n)
    room = np.full(scratch + 64, 0xff, dtype=np.uint8)  # NaN, not zero
    room = room[-room.ctypes.data % 64:]
    arguments = [ctypes.c_int64(0), ctypes.c_int64(tiles)]
    for array in (room, np.zeros(64, dtype=np.uint8), x, w, y):
        arguments += descriptor(array)
    stage(*arguments)


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(0)

    def bf16(*shape):
        bits = rng.standard_normal(shape, dtype=np.float32).view(np.uint32)
        return (bits >> 16).astype(np.uint16)

    def wide(bits):
        return (bits.astype(np.uint32) << 16).view(np.float32).astype(float)

    for m, k, n in ((64, 256, 64), (40, 70, 50), (17, 33, 100)):
        x, w = bf16(m, k), bf16(k, n)
        y = np.full((m, n), np.nan, dtype=np.float32)
        run(folder, "bf16", m, k, n, x, w, y)
        error = np.abs(y - wide(x) @ wide(w)).max()
        bound = k * 2.0 ** -24 * (np.abs(wide(x)) @ np.abs(wide(w))).max()
        print(f"{m} x {k} x {n}: error {error:.3g}, bound {bound:.3g}")
        assert error <= bound

    m, k, n = 40, 70, 50
    x = rng.integers(-128, 128, (m, k), dtype=np.int8)
    w = rng.integers(-128, 128, (k, n), dtype=np.int8)
    y = np.full((m, n), -1, dtype=np.int32)
    run(folder, "i8", m, k, n, x, w, y)
    assert (y == x.astype(np.int32) @ w.astype(np.int32)).all()

    # Several blocks of the stream, whole and in part; rows and columns too.
    for m, k, n in ((64, 256, 64), (40, 301, 50), (17, 33, 7), (100, 1, 20)):
        x = 3 * rng.standard_normal((m, k), dtype=np.float32)
        w = bf16(k, n)
        y = np.full((m, n), np.nan, dtype=np.float32)
        run(folder, "attention", m, k, n, x, w, y)
        weights = np.exp(x.astype(float) - x.max(1, keepdims=True))
        weights /= weights.sum(1, keepdims=True)
        error = np.abs(y - weights @ wide(w)).max()
        bound = 2.0 ** -8 * (weights @ np.abs(wide(w))).max()
        print(f"softmax {m} x {k} x {n}: error {error:.3g}, bound {bound:.3g}")
        assert error <= bound


main()
