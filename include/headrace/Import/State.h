//===- State.h - Weights that the program writes to -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_IMPORT_STATE_H
#define HEADRACE_IMPORT_STATE_H

#include "headrace/Dialect/HR/HR.h"
#include "mlir/IR/BuiltinOps.h"

namespace headrace {

/// Makes states of the named weights: the declaration becomes an `hr.state`
/// whose initial value is the weight, renamed, or zeros if all its bytes are;
/// every `hr.constant` of it, in every entry, becomes an `hr.read_state`.
/// Fails, with an error at `loc`, where a weight shares its bytes with another
/// one in part, so that a write would have to show in both.
mlir::LogicalResult makeStates(mlir::ModuleOp module,
                               llvm::ArrayRef<llvm::StringRef> names,
                               mlir::Location loc);

} // namespace headrace
#endif // HEADRACE_IMPORT_STATE_H
