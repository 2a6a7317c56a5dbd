//===- StageABI.h - What stage functions may call -------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stage that meets an index outside its range records it in the context,
// clamps the access and goes on: all counters advance. It does so by calling
//
//     func.func private @hr_stage_index_error(
//         %context: i64, %site: i64, %index: i64, %bound: i64)
//
// `context` is the address of the stage's context operand
// (memref.extract_aligned_pointer_as_index), `site` a number in the module's
// attribute `hr.sites`, an array of pairs [what, where]: the operator, and the
// user's line.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TARGET_STAGEABI_H
#define HEADRACE_TARGET_STAGEABI_H

#include "llvm/ADT/StringRef.h"

namespace headrace {

inline constexpr llvm::StringLiteral indexErrorFunction =
    "hr_stage_index_error";
inline constexpr llvm::StringLiteral sitesAttribute = "hr.sites";

} // namespace headrace
#endif // HEADRACE_TARGET_STAGEABI_H
