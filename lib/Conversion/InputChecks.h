//===- InputChecks.h - Indices that are known before the call runs --------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_CONVERSION_INPUTCHECKS_H
#define HEADRACE_LIB_CONVERSION_INPUTCHECKS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace headrace::conversion {

/// Gives an entry that writes state the attribute `hr.checks`: which inputs are
/// indices, and of how many elements.
void recordInputChecks(mlir::func::FuncOp entry);

} // namespace headrace::conversion
#endif // HEADRACE_LIB_CONVERSION_INPUTCHECKS_H
