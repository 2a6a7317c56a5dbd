//===- FileStamp.cpp - Whether a file is what it was ----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Support/FileStamp.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace headrace;
namespace fs = llvm::sys::fs;

std::optional<FileStamp> FileStamp::take(const std::string &path,
                                         const std::string &label) {
  fs::file_status status;
  if (fs::status(path, status) || !fs::is_regular_file(status))
    return std::nullopt;
  FileStamp stamp;
  stamp.path = path;
  stamp.label = label;
  stamp.bytes = status.getSize();
  stamp.modified = status.getLastModificationTime();
  return stamp;
}

std::string FileStamp::describeChange() const {
  fs::file_status status;
  // A file that lost its name, or whose name another one has now, is still
  // mapped as it was.
  if (fs::status(path, status))
    return "";
  if (status.getSize() != bytes)
    return formatv("'{0}' was changed while it was read: it had {1} bytes and "
                   "has {2} now",
                   label, bytes, status.getSize());
  if (status.getLastModificationTime() != modified)
    return formatv("'{0}' was changed while it was read", label);
  return "";
}
