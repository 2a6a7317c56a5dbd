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
//         %context: memref<?xi8>, %site: i64, %index: i64, %bound: i64)
//
// `site` is a number in the module's attribute `hr.sites`, an array of pairs
// [what, where]: the operator, and the user's line. The helpers here add the
// declaration and the site.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TARGET_STAGEABI_H
#define HEADRACE_TARGET_STAGEABI_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

namespace headrace {

inline constexpr llvm::StringLiteral indexErrorFunction =
    "hr_stage_index_error";
inline constexpr llvm::StringLiteral sitesAttribute = "hr.sites";

/// The number of the site (`what`, the user's line in `location`) of the
/// module, added if it is new.
int64_t getSite(mlir::ModuleOp module, llvm::StringRef what,
                mlir::Location location);

/// Emits the call; `index` and `bound` are i64 or index values. Adds the
/// function's declaration to the module if it is not there.
void createIndexError(mlir::OpBuilder &builder, mlir::Location location,
                      mlir::ModuleOp module, mlir::Value context, int64_t site,
                      mlir::Value index, mlir::Value bound);

} // namespace headrace
#endif // HEADRACE_TARGET_STAGEABI_H
