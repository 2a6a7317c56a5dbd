//===- ProbeKernels.cpp - Loops whose time is a figure --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProbeKernels.h"

#include <cstring>
#if defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

using namespace headrace::hw;
using namespace headrace::hw::probe_kernels;

#if defined(__x86_64__)

// Registers 0..11 accumulate: two instructions per cycle of latency 6 need no
// more. All start as zeros.
#define CLOBBER_Z                                                              \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",      \
      "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory",  \
      "cc"

/// A loop over twelve independent instructions `mnemonic` on registers `reg`.
#define RATE_KERNEL(function, attr, mnemonic, reg)                             \
  __attribute__((target(attr))) static void function(int64_t iterations) {    \
    asm volatile("1:\n" mnemonic " %%" reg "12,%%" reg "13,%%" reg "0\n"       \
        mnemonic " %%" reg "12,%%" reg "13,%%" reg "1\n"                       \
        mnemonic " %%" reg "12,%%" reg "13,%%" reg "2\n"                       \
        mnemonic " %%" reg "12,%%" reg "13,%%" reg "3\n"                       \
        mnemonic " %%" reg "12,%%" reg "13,%%" reg "4\n"                       \
        mnemonic " %%" reg "12,%%" reg "13,%%" reg "5\n"                       \
        mnemonic " %%" reg "12,%%" reg "13,%%" reg "6\n"                       \
        mnemonic " %%" reg "12,%%" reg "13,%%" reg "7\n"                       \
        mnemonic " %%" reg "12,%%" reg "13,%%" reg "8\n"                       \
        mnemonic " %%" reg "12,%%" reg "13,%%" reg "9\n"                       \
        mnemonic " %%" reg "12,%%" reg "13,%%" reg "10\n"                      \
        mnemonic " %%" reg "12,%%" reg "13,%%" reg "11\n"                      \
        "dec %0\n jnz 1b\n"                                                    \
        : "+r"(iterations)::CLOBBER_Z);                                        \
  }

/// Clears xmm0..xmm13 and all above them, so that no stale denormal is in the
/// way of what is measured.
__attribute__((target("avx"))) static void clearVectors() {
  asm volatile("vzeroall" ::: CLOBBER_Z);
}

#define CLEARED(function, kernel)                                              \
  static void function(int64_t iterations) {                                   \
    clearVectors();                                                            \
    kernel(iterations);                                                        \
  }

RATE_KERNEL(f32Avx512Loop, "avx512f", "vfmadd231ps", "zmm")
RATE_KERNEL(f64Avx512Loop, "avx512f", "vfmadd231pd", "zmm")
RATE_KERNEL(f16Avx512Loop, "avx512f", "vfmadd231ph", "zmm")
RATE_KERNEL(bf16Avx512Loop, "avx512f", "vdpbf16ps", "zmm")
RATE_KERNEL(vnniAvx512Loop, "avx512f", "vpdpbusd", "zmm")
RATE_KERNEL(vnniAvx2Loop, "avx2", "%{vex%} vpdpbusd", "ymm")
RATE_KERNEL(f32Avx2Loop, "avx2,fma", "vfmadd231ps", "ymm")
RATE_KERNEL(f64Avx2Loop, "avx2,fma", "vfmadd231pd", "ymm")
CLEARED(f32Avx512, f32Avx512Loop)
CLEARED(f64Avx512, f64Avx512Loop)
CLEARED(f16Avx512Run, f16Avx512Loop)
CLEARED(bf16Avx512, bf16Avx512Loop)
CLEARED(vnniAvx512Run, vnniAvx512Loop)
CLEARED(vnniAvx2Run, vnniAvx2Loop)
CLEARED(f32Avx2, f32Avx2Loop)
CLEARED(f64Avx2, f64Avx2Loop)

#define CHAIN_KERNEL(function, attr, reg)                                      \
  __attribute__((target(attr))) static void function(int64_t iterations) {    \
    clearVectors();                                                            \
    asm volatile("1:\n"                                                        \
        "vfmadd231ps %%" reg "12,%%" reg "0,%%" reg "0\n"                      \
        "vfmadd231ps %%" reg "12,%%" reg "0,%%" reg "0\n"                      \
        "vfmadd231ps %%" reg "12,%%" reg "0,%%" reg "0\n"                      \
        "vfmadd231ps %%" reg "12,%%" reg "0,%%" reg "0\n"                      \
        "vfmadd231ps %%" reg "12,%%" reg "0,%%" reg "0\n"                      \
        "vfmadd231ps %%" reg "12,%%" reg "0,%%" reg "0\n"                      \
        "vfmadd231ps %%" reg "12,%%" reg "0,%%" reg "0\n"                      \
        "vfmadd231ps %%" reg "12,%%" reg "0,%%" reg "0\n"                      \
        "dec %0\n jnz 1b\n"                                                    \
        : "+r"(iterations)::CLOBBER_Z);                                        \
  }
CHAIN_KERNEL(chainAvx512, "avx512f", "zmm")
CHAIN_KERNEL(chainAvx2, "avx2,fma", "ymm")

// Eight dependent integer multiplications take 24 cycles; the multiply-adds
// beside them take four or eight and keep the clock at what vector code gets.
#define CYCLE_KERNEL(function, attr, reg)                                      \
  __attribute__((target(attr))) static void function(int64_t iterations) {    \
    clearVectors();                                                            \
    int64_t counter = 0;                                                       \
    asm volatile("1:\n"                                                        \
        "imul $1,%1,%1\n vfmadd231ps %%" reg "12,%%" reg "13,%%" reg "0\n"     \
        "imul $1,%1,%1\n vfmadd231ps %%" reg "12,%%" reg "13,%%" reg "1\n"     \
        "imul $1,%1,%1\n vfmadd231ps %%" reg "12,%%" reg "13,%%" reg "2\n"     \
        "imul $1,%1,%1\n vfmadd231ps %%" reg "12,%%" reg "13,%%" reg "3\n"     \
        "imul $1,%1,%1\n vfmadd231ps %%" reg "12,%%" reg "13,%%" reg "4\n"     \
        "imul $1,%1,%1\n vfmadd231ps %%" reg "12,%%" reg "13,%%" reg "5\n"     \
        "imul $1,%1,%1\n vfmadd231ps %%" reg "12,%%" reg "13,%%" reg "6\n"     \
        "imul $1,%1,%1\n vfmadd231ps %%" reg "12,%%" reg "13,%%" reg "7\n"     \
        "dec %0\n jnz 1b\n"                                                    \
        : "+r"(iterations), "+r"(counter)::CLOBBER_Z);                         \
  }
CYCLE_KERNEL(cyclesAvx512, "avx512f", "zmm")
CYCLE_KERNEL(cyclesAvx2, "avx2,fma", "ymm")

RATE_KERNEL(shuffleAvx512Loop, "avx512f", "vunpcklps", "zmm")
RATE_KERNEL(shuffleAvx2Loop, "avx2", "vunpcklps", "ymm")
CLEARED(shuffleAvx512, shuffleAvx512Loop)
CLEARED(shuffleAvx2, shuffleAvx2Loop)

/// A loop over `body`, which may use sixteen lines at %1.
#define LINES_KERNEL(function, attr, before, body)                             \
  __attribute__((target(attr))) static void function(int64_t iterations) {    \
    alignas(64) static int32_t lines[16 * 16];                                 \
    clearVectors();                                                            \
    asm volatile(before "1:\n" body "dec %0\n jnz 1b\n"                       \
                 : "+r"(iterations)                                            \
                 : "r"(lines)                                                  \
                 : CLOBBER_Z);                                                 \
  }

#define CONVERT(source, target)                                                \
  "vpmovzxwd %%" source "12,%%" target "0\n vpmovzxwd %%" source "12,%%"       \
      target "1\n vpmovzxwd %%" source "12,%%" target                          \
      "2\n vpmovzxwd %%" source "12,%%" target "3\n"
LINES_KERNEL(convertAvx512, "avx512f", "", CONVERT("ymm", "zmm"))
LINES_KERNEL(convertAvx2, "avx2", "", CONVERT("xmm", "ymm"))

#define FOUR_LOADS(first, reg)                                                 \
  "vmovss " #first "*64(%1),%%" reg "\n vinsertps $16," #first                 \
  "*64+64(%1),%%" reg ",%%" reg "\n vinsertps $32," #first                     \
  "*64+128(%1),%%" reg ",%%" reg "\n vinsertps $48," #first                    \
  "*64+192(%1),%%" reg ",%%" reg "\n"
#define FOUR_STORES(first, reg)                                                \
  "vmovss %%" reg "," #first "*64(%1)\n vextractps $1,%%" reg "," #first       \
  "*64+64(%1)\n vextractps $2,%%" reg "," #first                               \
  "*64+128(%1)\n vextractps $3,%%" reg "," #first "*64+192(%1)\n"
LINES_KERNEL(gatherAvx2, "avx2",
             "", FOUR_LOADS(0, "xmm0") FOUR_LOADS(4, "xmm1")
                     "vinsertf128 $1,%%xmm1,%%ymm0,%%ymm0\n")
LINES_KERNEL(scatterAvx2, "avx2", "",
             "vextractf128 $1,%%ymm0,%%xmm1\n" FOUR_STORES(0, "xmm0")
                 FOUR_STORES(4, "xmm1"))
// Lane i is in line i: its position is 16 * i elements.
#define LINES_OF_LANES                                                         \
  "movl $0,(%1)\n movl $16,4(%1)\n movl $32,8(%1)\n movl $48,12(%1)\n"        \
  "movl $64,16(%1)\n movl $80,20(%1)\n movl $96,24(%1)\n"                     \
  "movl $112,28(%1)\n movl $128,32(%1)\n movl $144,36(%1)\n"                  \
  "movl $160,40(%1)\n movl $176,44(%1)\n movl $192,48(%1)\n"                  \
  "movl $208,52(%1)\n movl $224,56(%1)\n movl $240,60(%1)\n"                  \
  "vmovdqa32 (%1),%%zmm12\n"
LINES_KERNEL(gatherAvx512, "avx512f", LINES_OF_LANES,
             "kxnorw %%k1,%%k1,%%k1\n vgatherdps (%1,%%zmm12,4),%%zmm0%{%%k1%}\n"
             "kxnorw %%k2,%%k2,%%k2\n vgatherdps (%1,%%zmm12,4),%%zmm1%{%%k2%}\n")
LINES_KERNEL(scatterAvx512, "avx512f", LINES_OF_LANES,
             "kxnorw %%k1,%%k1,%%k1\n vscatterdps %%zmm0,(%1,%%zmm12,4)%{%%k1%}\n"
             "kxnorw %%k2,%%k2,%%k2\n vscatterdps %%zmm1,(%1,%%zmm12,4)%{%%k2%}\n")

#define STREAM_KERNEL(function, attr, reg, step, first, load)                  \
  __attribute__((target(attr))) static void function(char *data,              \
                                                     size_t bytes) {          \
    char *end = data + bytes;                                                  \
    data += first;                                                             \
    end += first;                                                              \
    asm volatile("1:\n" load(reg, step, 0) load(reg, step, 1)                  \
        load(reg, step, 2) load(reg, step, 3) load(reg, step, 4)               \
        load(reg, step, 5) load(reg, step, 6) load(reg, step, 7)               \
        "add $8*" step ",%0\n cmp %1,%0\n jb 1b\n"                             \
        : "+r"(data)                                                           \
        : "r"(end)                                                             \
        : CLOBBER_Z);                                                          \
  }
#define LOAD(reg, step, i) "vmovups " #i "*" step "(%0),%%" reg #i "\n"
#define STORE(reg, step, i) "vmovaps %%" reg #i "," #i "*" step "(%0)\n"
#define STORE_NT(reg, step, i) "vmovntps %%" reg #i "," #i "*" step "(%0)\n"
STREAM_KERNEL(readAvx512, "avx512f", "zmm", "64", 0, LOAD)
STREAM_KERNEL(readCrossingAvx512, "avx512f", "zmm", "64", 32, LOAD)
STREAM_KERNEL(writeAvx512, "avx512f", "zmm", "64", 0, STORE)
STREAM_KERNEL(streamAvx512, "avx512f", "zmm", "64", 0, STORE_NT)
STREAM_KERNEL(readAvx2, "avx2", "ymm", "32", 0, LOAD)
STREAM_KERNEL(readCrossingAvx2, "avx2", "ymm", "32", 16, LOAD)
STREAM_KERNEL(writeAvx2, "avx2", "ymm", "32", 0, STORE)
STREAM_KERNEL(streamAvx2, "avx2", "ymm", "32", 0, STORE_NT)

static void ntWriteAvx512(char *data, size_t bytes) {
  streamAvx512(data, bytes);
  asm volatile("sfence" ::: "memory");
}
static void ntWriteAvx2(char *data, size_t bytes) {
  streamAvx2(data, bytes);
  asm volatile("sfence" ::: "memory");
}

Rate probe_kernels::f16Avx512() { return {f16Avx512Run, 12}; }
Rate probe_kernels::bf16DotAvx512() { return {bf16Avx512, 12}; }
Rate probe_kernels::vnniAvx512() { return {vnniAvx512Run, 12}; }
Rate probe_kernels::vnniAvx2() { return {vnniAvx2Run, 12}; }

bool probe_kernels::requestTiles() {
  constexpr long requestPermission = 0x1023, tileData = 18;
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}

void probe_kernels::loadTileConfig() {
  // Palette 1; all eight tiles have 16 rows of 64 bytes.
  alignas(64) uint8_t config[64] = {};
  config[0] = 1;
  for (int tile = 0; tile < 8; ++tile) {
    uint16_t columns = 64;
    std::memcpy(config + 16 + 2 * tile, &columns, sizeof(columns));
    config[48 + tile] = 16;
  }
  // The clobber keeps the stores above: they are dead to a compiler that does
  // not know what the instruction reads.
  asm volatile("ldtilecfg (%0)\n"
               "tilezero %%tmm0\n tilezero %%tmm1\n tilezero %%tmm2\n"
               "tilezero %%tmm3\n tilezero %%tmm4\n tilezero %%tmm5\n"
               "tilezero %%tmm6\n tilezero %%tmm7\n" ::"r"(config)
               : "memory");
}

void probe_kernels::releaseTiles() { asm volatile("tilerelease" ::: "memory"); }

#define TILE_KERNEL(function, mnemonic)                                        \
  static void function(int64_t iterations) {                                   \
    asm volatile("1:\n" mnemonic " %%tmm7,%%tmm6,%%tmm0\n"                     \
        mnemonic " %%tmm7,%%tmm6,%%tmm1\n" mnemonic " %%tmm7,%%tmm6,%%tmm2\n"  \
        mnemonic " %%tmm7,%%tmm6,%%tmm3\n" mnemonic " %%tmm7,%%tmm6,%%tmm4\n"  \
        mnemonic " %%tmm7,%%tmm6,%%tmm5\n"                                     \
        "dec %0\n jnz 1b\n"                                                    \
        : "+r"(iterations)::"memory", "cc");                                   \
  }
TILE_KERNEL(tileBf16Run, "tdpbf16ps")
TILE_KERNEL(tileI8Run, "tdpbssd")
Rate probe_kernels::tileBf16() { return {tileBf16Run, 6}; }
Rate probe_kernels::tileI8() { return {tileI8Run, 6}; }

Kernels probe_kernels::select(bool avx512, bool avx2) {
  // imul has a latency of three cycles on every x86 with AVX2.
  if (avx512)
    return {512, 32, {f32Avx512, 12}, {f64Avx512, 12}, {chainAvx512, 8},
            {cyclesAvx512, 8 * 3}, {shuffleAvx512, 12}, {convertAvx512, 4},
            {gatherAvx512, 32}, {scatterAvx512, 32}, readAvx512, writeAvx512,
            ntWriteAvx512, readCrossingAvx512};
  return {256, 16, {f32Avx2, 12}, {f64Avx2, 12}, {chainAvx2, 8},
          {cyclesAvx2, 8 * 3}, {shuffleAvx2, 12}, {convertAvx2, 4},
          {gatherAvx2, 8}, {scatterAvx2, 8}, readAvx2, writeAvx2, ntWriteAvx2,
          readCrossingAvx2};
}

void probe_kernels::relax() { asm volatile("pause"); }

#else // any other CPU: 128-bit vectors, as the compiler sees fit

typedef float F32x4 __attribute__((vector_size(16)));
typedef double F64x2 __attribute__((vector_size(16)));

/// Keeps a value in a vector register and its computation in the loop.
#if defined(__aarch64__)
#define KEEP(value) asm volatile("" : "+w"(value))
#else
#define KEEP(value) asm volatile("" : "+m"(value))
#endif

template <typename V> static V multiplyAdd(V a, V b, V c) {
  V r;
  for (unsigned i = 0; i < sizeof(V) / sizeof(a[0]); ++i)
    r[i] = __builtin_fma(a[i], b[i], c[i]);
  return r;
}

template <typename V> static void rate(int64_t iterations) {
  V acc[12] = {}, a = {}, b = {};
  KEEP(a);
  KEEP(b);
  for (int64_t i = 0; i < iterations; ++i)
#pragma unroll
    for (int j = 0; j < 12; ++j) {
      acc[j] = multiplyAdd(a, b, acc[j]);
      KEEP(acc[j]);
    }
}

static void chain(int64_t iterations) {
  F32x4 acc = {}, a = {};
  KEEP(a);
  for (int64_t i = 0; i < iterations * 8; ++i) {
    acc = multiplyAdd(acc, a, acc);
    KEEP(acc);
  }
}

static void cycles(int64_t iterations) {
  uint64_t x = 0;
  for (int64_t i = 0; i < iterations; ++i)
#pragma unroll
    for (int j = 0; j < 24; ++j) {
      x += 1;
      asm volatile("" : "+r"(x));
    }
}

static void shuffle(int64_t iterations) {
  F32x4 a = {}, b = {};
  KEEP(a);
  KEEP(b);
  for (int64_t i = 0; i < iterations; ++i)
#pragma unroll
    for (int j = 0; j < 12; ++j) {
      F32x4 v = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      KEEP(v);
    }
}

static void convert(int64_t iterations) {
  typedef uint16_t U16x4 __attribute__((vector_size(8)));
  typedef uint32_t U32x4 __attribute__((vector_size(16)));
  U16x4 a = {};
  KEEP(a);
  for (int64_t i = 0; i < iterations; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      U32x4 v = __builtin_convertvector(a, U32x4);
      KEEP(v);
    }
}

static float lines[16 * 4];

static void gather(int64_t iterations) {
  for (int64_t i = 0; i < iterations; ++i) {
    F32x4 v = {lines[0], lines[16], lines[32], lines[48]};
    KEEP(v);
    asm volatile("" ::: "memory");
  }
}

static void scatter(int64_t iterations) {
  F32x4 v = {};
  for (int64_t i = 0; i < iterations; ++i) {
    KEEP(v);
    for (int lane = 0; lane < 4; ++lane)
      lines[16 * lane] = v[lane];
    asm volatile("" ::: "memory");
  }
}

template <int offset> static void readPortable(char *data, size_t bytes) {
  for (char *p = data + offset, *end = p + bytes; p < end; p += 128)
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      F32x4 v;
      std::memcpy(&v, p + 16 * i, 16);
      KEEP(v);
    }
}

static void writePortable(char *data, size_t bytes) {
  F32x4 v = {};
  for (char *p = data, *end = p + bytes; p < end; p += 16) {
    KEEP(v);
    std::memcpy(p, &v, 16);
  }
}

Kernels probe_kernels::select(bool, bool) {
  return {128, 32, {rate<F32x4>, 12}, {rate<F64x2>, 12}, {chain, 8},
          {cycles, 24}, {shuffle, 12}, {convert, 4}, {gather, 4},
          {scatter, 4}, readPortable<0>, writePortable, writePortable,
          readPortable<8>};
}

void probe_kernels::relax() {
#if defined(__aarch64__)
  asm volatile("yield");
#endif
}
#endif

template <uint32_t bits> static void multiplyChain(int64_t iterations) {
  float x, one = 1.0f;
  uint32_t pattern = bits;
  std::memcpy(&x, &pattern, sizeof(x));
  // The value must be opaque in every step, or the loop would fold.
  for (int64_t i = 0; i < iterations * 8; ++i) {
#if defined(__x86_64__)
    asm volatile("mulss %1,%0" : "+x"(x) : "x"(one));
#else
    asm volatile("" : "+m"(x));
    x *= one;
#endif
  }
}

Rate probe_kernels::denormalChain() { return {multiplyChain<0x00000123>, 8}; }
Rate probe_kernels::normalChain() { return {multiplyChain<0x3f800123>, 8}; }
