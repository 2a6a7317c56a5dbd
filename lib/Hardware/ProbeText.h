//===- ProbeText.h - Writes what was measured as a description ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_HARDWARE_PROBETEXT_H
#define HEADRACE_LIB_HARDWARE_PROBETEXT_H

#include "headrace/Hardware/System.h"

namespace headrace::hw {

/// An instruction; a negative latency is that of a multiply-add.
struct AtomFigure {
  std::string name, shape, types, instruction;
  std::vector<std::string> needs;
  double perCycle = 0, latency = 0;
  bool tiles = false;
};

struct LevelFigure {
  std::string name;
  bool main = false;
  int64_t bytes = 0;
  std::string bytesSource = "measured";
  int64_t line = 64, ways = 0;
  int64_t sharers = 1;
  double workerRead = 0, workerWrite = 0, workerNtWrite = 0;
  double read = 0, write = 0, ntWrite = 0;
  double latency = 0;
};

/// What a probe has found.
struct ProbeFigures {
  int64_t workers = 1, registers = 0, registerBits = 0;
  double clock = 0;
  std::vector<AtomFigure> atoms;
  double fmaLatency = 0, denormalCycles = 0;
  /// Cycles, as in `hw::Costs`.
  double shuffle = 0, convert = 0, gather = 0, scatter = 0;
  bool tiles = false;
  /// From the innermost outward; main memory is the last.
  std::vector<LevelFigure> levels;
  double crossing = 1;
  /// Seconds; 0 on one CPU.
  double spin = 0, wake = 0;
};

/// A description with these figures, and those of `base` where a program cannot
/// measure.
std::string describe(const ProbeFigures &figures, const System &base,
                     llvm::StringRef baseName, llvm::StringRef name);

} // namespace headrace::hw
#endif // HEADRACE_LIB_HARDWARE_PROBETEXT_H
