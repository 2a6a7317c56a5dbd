//===- DimName.h - What users call dimensions -----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_IMPORT_DIMNAME_H
#define HEADRACE_IMPORT_DIMNAME_H

#include <cstdint>
#include <string>

namespace headrace {

/// What the user calls dimension `dimension` of input `input`: an identifier,
/// for messages, headers and reports. Archives hold no names of their own.
struct DimName {
  std::string input;
  int64_t dimension = 0;
  std::string name;
};

} // namespace headrace
#endif // HEADRACE_IMPORT_DIMNAME_H
