//===- ProbeKernels.h - Loops whose time is a figure ----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each kernel is a loop of known work; the caller times it. x86 kernels are
// inline assembly, so that no compiler changes what is measured; they may only
// be called if the CPU has the feature in their name.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_HARDWARE_PROBEKERNELS_H
#define HEADRACE_LIB_HARDWARE_PROBEKERNELS_H

#include <cstddef>
#include <cstdint>

namespace headrace::hw::probe_kernels {

/// Runs `iterations` of a loop of `perIteration` independent instructions.
struct Rate {
  void (*run)(int64_t iterations);
  int64_t perIteration;
};

/// Touches `bytes` (a multiple of 1024) at `data` (aligned to 64) once.
using Stream = void (*)(char *data, size_t bytes);

struct Kernels {
  /// Bits of the widest vector register, and how many there are.
  int64_t registerBits, registers;
  Rate f32, f64;
  /// One dependent f32 multiply-add per step; its time is the latency.
  Rate f32Chain;
  /// An iteration takes `perIteration` cycles: a dependent chain of known
  /// latency beside vector code that keeps the clock where such code keeps it.
  Rate cycles;
  /// Vectors put together of two others, and vectors of widened elements.
  Rate shuffle, convert;
  /// Elements loaded into, and stored from, lanes by themselves, each in a line
  /// of its own, as our code does it.
  Rate gather, scatter;
  Stream read, write, ntWrite;
  /// Like `read` but every load crosses a line.
  Stream readCrossing;
};

/// The kernels for the widest vectors this CPU has.
Kernels select(bool avx512, bool avx2);

#if defined(__x86_64__)
Rate f16Avx512();
Rate bf16DotAvx512();
Rate vnniAvx512();
Rate vnniAvx2();
/// Asks the operating system for tile state; false if it says no. Per thread
/// afterwards: loadTileConfig before a tile kernel, releaseTiles after.
bool requestTiles();
void loadTileConfig();
void releaseTiles();
Rate tileBf16();
Rate tileI8();
#endif

/// `perIteration` dependent multiplications whose operand is a denormal.
Rate denormalChain();
/// The same without denormals.
Rate normalChain();

/// Lets a spinning thread yield the core's resources.
void relax();

} // namespace headrace::hw::probe_kernels
#endif // HEADRACE_LIB_HARDWARE_PROBEKERNELS_H
