//===- ProbeLoad.h - What other programs take of the machine --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A measurement beside other work measures the other work. Repeating it and
// taking the fastest does not help against a program that computes all the time.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_HARDWARE_PROBELOAD_H
#define HEADRACE_LIB_HARDWARE_PROBELOAD_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <string>
#include <vector>

namespace headrace::hw {

class ProbeLoad {
public:
  explicit ProbeLoad(llvm::ArrayRef<int> cpus) : cpus(cpus.vec()) {}

  /// Waits at most `patience` seconds until others take no more than `most` of
  /// any of the CPUs. Says so once to `say` if there is something to wait for;
  /// on failure `error` says which CPU is busy.
  bool waitUntilIdle(double most, double patience,
                     llvm::function_ref<void(llvm::StringRef)> say,
                     std::string &error) const;

  /// From here on this process measures.
  void begin();
  /// The part of the time since `begin` that others took, 0 to 1: of the CPUs,
  /// or of the calling thread's turn on its own, whichever is more; a
  /// hypervisor counts as one of them.
  double getTaken() const;

private:
  /// Ticks since the machine was started.
  struct Times {
    int64_t busy = 0, all = 0;
  };
  /// Of each CPU; empty if the system does not say.
  std::vector<Times> readTimes() const;

  std::vector<int> cpus;
  std::vector<Times> before;
  double ownBefore = 0, delayBefore = 0, startedAt = 0;
};

} // namespace headrace::hw
#endif // HEADRACE_LIB_HARDWARE_PROBELOAD_H
