//===- Profile.h - Measured times of an artifact --------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What `headrace-run --profile=FILE.json` writes (docs/report.md): for one entry
// and number of workers, when each command of each timeline began and ended,
// as medians over many calls.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_REPORT_PROFILE_H
#define HEADRACE_REPORT_PROFILE_H

#include "headrace/Support/SizeExpr.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace headrace::report {

struct Profile {
  /// One execution of a run or copy.
  struct Record {
    int64_t command = 0, iteration = 0;
    /// From the start of the call.
    int64_t beginNs = 0, durationNs = 0;
  };

  /// Where it was read from, for messages.
  std::string path;
  /// The artifact's `schedule`, as in its signature.
  std::string schedule;
  std::string entry;
  int64_t workers = 1;
  SymbolBindings sizes;
  int64_t runs = 0;
  /// Of a whole call.
  int64_t medianNs = 0, leastNs = 0, p90Ns = 0;
  std::string machine;
  /// Per worker, in the order of execution.
  std::vector<std::vector<Record>> timelines;
};

/// The error names the file and what is wrong with it.
llvm::Expected<Profile> readProfile(llvm::StringRef path);

} // namespace headrace::report
#endif // HEADRACE_REPORT_PROFILE_H
