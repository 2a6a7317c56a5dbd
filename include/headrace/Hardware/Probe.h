//===- Probe.h - Measures the machine at hand -----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes a hardware description of this machine from measurements. What cannot
// be measured here (prices, energy, latencies of instructions) is taken from
// the shipped description with the nearest features; a figure that is labelled
// `measured` there was measured elsewhere and becomes `assumed`.
//
// The probe runs only instructions that CPUID and XGETBV allow, and takes 10 to
// 25 seconds of an otherwise idle machine: it waits for that, or fails.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_HARDWARE_PROBE_H
#define HEADRACE_HARDWARE_PROBE_H

#include "headrace/Hardware/System.h"
#include <functional>

namespace llvm {
class raw_ostream;
}

namespace headrace::hw {

struct ProbeOptions {
  /// Name of the `hw.system`.
  std::string name = "native";
  /// Workers to use; 0 for every CPU that this process may run on.
  int64_t workers = 0;
  /// Seconds per single measurement; there are about 60.
  double slice = 0.1;
  /// The part of a CPU's time that other programs may take; 1: all.
  double mostTaken = 0.1;
  /// Seconds to wait until they take no more.
  double patience = 60;
  /// Told that there is something to wait for; may be empty.
  std::function<void(llvm::StringRef)> note;
  /// Where to say what is being measured; may be null.
  llvm::raw_ostream *log = nullptr;
};

/// Measures, and returns the text of a description that parses.
mlir::FailureOr<std::string> probe(const ProbeOptions &options,
                                   std::string &error);

/// Measures and writes to `path` (a temporary file, renamed when complete);
/// creates missing folders of System::getProbedPath() only.
mlir::LogicalResult probeToFile(llvm::StringRef path,
                                const ProbeOptions &options,
                                std::string &error);

} // namespace headrace::hw
#endif // HEADRACE_HARDWARE_PROBE_H
