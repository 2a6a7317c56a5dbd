//===- StageFunction.h - What a target emits a stage from -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Who tiles an entry declares the function of each stage and says which of its
// arguments is what; loops, vectors and scratch are the target's. So tiling
// knows buffers and footprints, but no instruction.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TARGET_STAGEFUNCTION_H
#define HEADRACE_TARGET_STAGEFUNCTION_H

#include "headrace/Dialect/HR/HR.h"
#include "headrace/Plan/StageAnalysis.h"
#include "headrace/Plan/StagePlan.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include <optional>

namespace headrace {

/// What a stage's memrefs hold for elements of this type: a byte for a boolean,
/// the bits of a narrow float (few machines have vectors of those, and moving
/// them must not go through conversions).
mlir::Type getStageMemoryType(mlir::Type elementType);

/// A stage and the function that it becomes.
struct StageFunction {
  /// The part of an operand that a tile touches, and the operand's sizes.
  struct OperandPart {
    hr::FootprintAttr print;
    llvm::SmallVector<SizeExpr> dims;
  };

  /// With the arguments that StageABI.h names, and one empty block.
  mlir::func::FuncOp func;
  hr::StageOp stage;
  const plan::StageAnalysis &analysis;
  /// One that `verifyPlan` takes.
  const plan::StagePlan &plan;
  const SymbolRanges &symbolRanges;

  llvm::DenseMap<mlir::Value, mlir::Value> inputs{}; // block argument -> memref
  llvm::DenseMap<mlir::Value, mlir::Value> results{}; // yielded value -> memref
  llvm::StringMap<mlir::Value> symbols{};
  /// One per operand, in the order of the arguments: every load and store is
  /// preceded by a check against it. Absent: there are no checks.
  std::optional<llvm::SmallVector<OperandPart>> checkedParts{};
};

/// Fills the function. Returns the bytes of scratch that it takes; fails where
/// the target cannot emit the stage, which the caller reports.
mlir::FailureOr<int64_t> emitStageFunction(const StageFunction &function);

} // namespace headrace
#endif // HEADRACE_TARGET_STAGEFUNCTION_H
