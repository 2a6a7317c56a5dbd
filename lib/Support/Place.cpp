//===- Place.cpp - Where an operation is in the user's program ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Support/Place.h"
#include "llvm/Support/LineIterator.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace headrace;

Place headrace::getPlace(Location location) {
  Place place;
  // Names lie outside of the file position; the first of each is the closest
  // to the operation.
  location->walk([&](Location part) {
    if (auto name = dyn_cast<NameLoc>(part)) {
      if (place.node.empty())
        place.node = name.getName().str();
    } else if (auto file = dyn_cast<FileLineColLoc>(part)) {
      if (place.file.empty()) {
        place.file = file.getFilename().str();
        place.line = file.getLine();
        place.column = file.getColumn();
      }
    }
    return WalkResult::advance();
  });
  return place;
}

std::string headrace::quoteLine(StringRef file, unsigned number) {
  if (number == 0)
    return "";
  auto buffer = llvm::MemoryBuffer::getFile(file, /*IsText=*/true);
  if (!buffer)
    return "";
  for (llvm::line_iterator line(**buffer, /*SkipBlanks=*/false); !line.is_at_eof();
       ++line)
    if (line.line_number() == number)
      return line->trim().str();
  return "";
}
