//===- ResultTypes.h - What operators make of their arguments -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An exported program says for every call which types its results have. What is
// built of it later (views, windows, loops) believes these types, so that a
// program that lies about them would read or write what is not there. Here each
// operator says what it takes, and what its results are by its arguments alone.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_ATEN_RESULTTYPES_H
#define HEADRACE_DIALECT_ATEN_RESULTTYPES_H

#include "headrace/Dialect/Aten/Aten.h"

namespace headrace::aten {

/// Told what a call relies on and the symbols' ranges neither ensure nor
/// exclude: the expression has to be at least 0.
using UnprovedFn = llvm::function_ref<void(const SizeExpr &nonNegative)>;

/// Emits an error at the call, which must be a verified one, and fails if its
/// arguments are none that its operator takes, or if its results are not what
/// the operator makes of them, for any sizes within `ranges`. Operators
/// without a rule pass.
mlir::LogicalResult verifyResultTypes(CallOp call, const SymbolRanges &ranges,
                                      UnprovedFn unproved);

/// Whether there is a rule for an operator (`aten.add.Tensor`).
bool hasResultRule(llvm::StringRef callee);

} // namespace headrace::aten
#endif // HEADRACE_DIALECT_ATEN_RESULTTYPES_H
