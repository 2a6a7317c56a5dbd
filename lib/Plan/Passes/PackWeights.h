//===- PackWeights.h - Operands in the order of their reader --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_PLAN_PASSES_PACKWEIGHTS_H
#define HEADRACE_LIB_PLAN_PASSES_PACKWEIGHTS_H

#include "headrace/Dialect/HR/HR.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace headrace {

/// How a weight is to be stored: panels of `panel` along its dimension `dim`,
/// `group` elements of its dimension `groupDim` side by side.
struct Packing {
  mlir::linalg::LinalgOp contraction;
  unsigned operand, dim;
  int64_t panel;
  unsigned groupDim = 0;
  int64_t group = 1;
};

/// Stores the weights that the contraction of `stage` reads in panels; it reads
/// them through a linalg.unpack from then on. Fails where the operand is no
/// strided view of an argument of the stage.
mlir::LogicalResult packWeight(hr::StageOp stage, const Packing &packing);

/// Reads `operand` of the contraction through a copy made per tile.
void copyOperand(mlir::linalg::LinalgOp contraction, unsigned operand);

} // namespace headrace
#endif // HEADRACE_LIB_PLAN_PASSES_PACKWEIGHTS_H
