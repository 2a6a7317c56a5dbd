//===- ProbeMachine.h - CPUs, caches, and how long loops take -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_HARDWARE_PROBEMACHINE_H
#define HEADRACE_LIB_HARDWARE_PROBEMACHINE_H

#include "ProbeKernels.h"
#include "headrace/Hardware/Probe.h"

namespace headrace::hw {

/// CPUs this process may run on, in order.
std::vector<int> getProbeCpus();
void pinTo(int cpu);

/// A data cache as the operating system reports it.
struct ProbeCache {
  int level = 0;
  int64_t bytes = 0;
  int64_t line = 64, ways = 0;
  /// CPUs that share it.
  int64_t sharers = 1;
};
/// From the innermost outward.
std::vector<ProbeCache> getProbeCaches(int cpu);

/// A block of anonymous memory.
struct MappedBlock {
  explicit MappedBlock(size_t size);
  ~MappedBlock();
  MappedBlock(const MappedBlock &) = delete;
  MappedBlock &operator=(const MappedBlock &) = delete;
  char *data = nullptr;
  size_t size;
};

/// Instructions per second of one worker while it has its CPU: the best of
/// several runs.
double measureRate(probe_kernels::Rate rate, double slice);

/// Measures what memories and signals take.
struct Prober {
  const ProbeOptions &options;
  std::vector<int> cpus;
  int64_t workers;
  probe_kernels::Kernels kernels;
  MappedBlock &block;

  void say(const llvm::Twine &text);
  /// Bytes per second of `active` workers together, each streaming over its
  /// own `bytes` again and again.
  double measureStream(probe_kernels::Stream stream, size_t bytes,
                       int64_t active);
  /// Seconds per dependent load within `bytes`.
  double measureLatency(size_t bytes, int64_t line);
  /// Seconds from one worker's signal until another, spinning, has seen it.
  double measureSpin();
  /// The same when the other sleeps in a futex.
  double measureWake();
};

} // namespace headrace::hw
#endif // HEADRACE_LIB_HARDWARE_PROBEMACHINE_H
