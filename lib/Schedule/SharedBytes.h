//===- SharedBytes.h - Buffers that may share bytes -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_SCHEDULE_SHAREDBYTES_H
#define HEADRACE_LIB_SCHEDULE_SHAREDBYTES_H

#include "headrace/Schedule/Program.h"

namespace headrace::schedule {

/// Per buffer that has a place, those of the same arena that are not provably
/// apart from it, for all sizes.
std::vector<mlir::SmallVector<int>> findSharedBytes(const Program &program);

} // namespace headrace::schedule
#endif // HEADRACE_LIB_SCHEDULE_SHAREDBYTES_H
