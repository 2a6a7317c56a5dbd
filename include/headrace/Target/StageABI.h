//===- StageABI.h - What stage functions may call -------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stage is a function of
//
//     (first tile, behind the last tile, scratch, context,
//      operands..., symbols..., [iteration of the loop around it])
//
// A stage that meets data which breaks a condition (an index outside its range,
// a divisor of zero) records that in the context and goes on: all counters
// advance. Nothing is read or written at a bad position. It does so by calling
//
//     func.func private @hr_stage_error(
//         %context: i64, %site: i64, %value: i64, %bound: i64)
//
// `context` is the address of the stage's context operand
// (memref.extract_aligned_pointer_as_index), `site` a number in the module's
// attribute `hr.sites`, an array of [what, where, message, ranged]: the operator,
// the user's line, and either the condition in words or, where `ranged` (a bool),
// the name of what should be in [0, bound) and is `value`. Where not, the numbers
// are zero.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TARGET_STAGEABI_H
#define HEADRACE_TARGET_STAGEABI_H

#include "llvm/ADT/StringRef.h"

namespace headrace {

/// The number of the first operand among the function's arguments.
inline constexpr unsigned stageOperandsBegin = 4;
inline constexpr llvm::StringLiteral stageErrorFunction = "hr_stage_error";
inline constexpr llvm::StringLiteral sitesAttribute = "hr.sites";

} // namespace headrace
#endif // HEADRACE_TARGET_STAGEABI_H
