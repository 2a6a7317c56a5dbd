//===- FuzzArchive.cpp - Fuzzes the reader of archives --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The input is a whole `.pt2` file.
//
//===----------------------------------------------------------------------===//
#include "Harness.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // A copy of its own, so that an access beyond it is seen.
  auto bytes = std::make_shared<std::vector<char>>(data, data + size);
  headrace::fuzzOnce([&](mlir::MLIRContext *context) {
    return headrace::importBytes(context, *bytes, bytes);
  });
  return 0;
}
