//===- Place.h - Where an operation is in the user's program --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SUPPORT_PLACE_H
#define HEADRACE_SUPPORT_PLACE_H

#include "mlir/IR/Location.h"
#include <string>

namespace headrace {

/// A line of the user's Python, and the exported node that came from it; empty
/// where it is not known.
struct Place {
  std::string file, node;
  unsigned line = 0, column = 0;

  bool operator==(const Place &) const = default;
};

/// The first file and the first node that the location names: those closest to
/// the operation.
Place getPlace(mlir::Location location);

/// The line of a file without its indentation; empty if it cannot be read.
std::string quoteLine(llvm::StringRef file, unsigned line);

} // namespace headrace
#endif // HEADRACE_SUPPORT_PLACE_H
