//===- FileStamp.h - Whether a file is what it was ------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Inputs are mapped, not copied: whoever writes to one while it is read changes
// what is read, and whoever shortens it takes the pages away (SIGBUS).
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SUPPORT_FILESTAMP_H
#define HEADRACE_SUPPORT_FILESTAMP_H

#include "llvm/Support/Chrono.h"
#include <cstdint>
#include <optional>
#include <string>

namespace headrace {

/// A file as it was at some time.
class FileStamp {
public:
  /// Nothing for what cannot be looked at, and for what is no regular file.
  /// Messages call the file `label`.
  static std::optional<FileStamp> take(const std::string &path,
                                       const std::string &label);

  /// What has become of the file since, in words; empty: nothing.
  std::string describeChange() const;

private:
  std::string path, label;
  uint64_t bytes = 0;
  llvm::sys::TimePoint<> modified;
};

} // namespace headrace
#endif // HEADRACE_SUPPORT_FILESTAMP_H
