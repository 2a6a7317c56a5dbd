//===- EvaluatePositions.h - Positions and where they lie -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A *position* is one index per dimension or loop. Tensors are row-major and
// contiguous, and so are the loops over them.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_EVALUATE_EVALUATEPOSITIONS_H
#define HEADRACE_LIB_EVALUATE_EVALUATEPOSITIONS_H

#include "mlir/IR/AffineMap.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

namespace headrace::evaluate {

llvm::SmallVector<int64_t> getStrides(llvm::ArrayRef<int64_t> shape);

/// Advances a row-major position; false past the end.
inline bool advance(llvm::MutableArrayRef<int64_t> at,
                    llvm::ArrayRef<int64_t> shape) {
  for (int64_t d = static_cast<int64_t>(shape.size()) - 1; d >= 0; --d) {
    if (++at[d] < shape[d])
      return true;
    at[d] = 0;
  }
  return false;
}

inline bool isEmpty(llvm::ArrayRef<int64_t> shape) {
  return llvm::is_contained(shape, 0);
}

/// A linear map from positions to an element's number in some tensor.
struct Address {
  llvm::SmallVector<int64_t> coefficients;
  int64_t constant = 0;
  int64_t at(llvm::ArrayRef<int64_t> position) const {
    int64_t number = constant;
    for (auto [c, p] : llvm::zip(coefficients, position))
      number += c * p;
    return number;
  }
};

/// Adds `scale` times a linear expression; fails for floordiv and mod.
mlir::LogicalResult addExpr(mlir::AffineExpr expr, int64_t scale,
                            Address &address);

/// Where a map leads in a tensor of the strides; fails if it is not linear.
mlir::FailureOr<Address> getAddress(mlir::AffineMap map,
                                    llvm::ArrayRef<int64_t> strides);

} // namespace headrace::evaluate
#endif // HEADRACE_LIB_EVALUATE_EVALUATEPOSITIONS_H
