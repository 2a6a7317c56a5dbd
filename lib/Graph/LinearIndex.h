//===- LinearIndex.h - Integer scalars as linear forms of indices ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What an integer in the body of a structured op is worth, as a constant plus
// a multiple of each loop's index. Masks and positions (arange, causal
// comparisons) are of this form; with the loops' extents and the ranges of the
// symbols it bounds them.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_GRAPH_LINEARINDEX_H
#define HEADRACE_LIB_GRAPH_LINEARINDEX_H

#include "TensorUtils.h"

namespace headrace {

/// constant + sum of coefficients[d] * index of loop d.
struct LinearIndex {
  SizeExpr constant;
  llvm::SmallVector<int64_t> coefficients;

  LinearIndex operator-(const LinearIndex &rhs) const;
  /// The least and largest value over loops of the given extents (which are
  /// taken to be at least one).
  std::pair<SizeExpr, SizeExpr> bounds(llvm::ArrayRef<SizeExpr> loops) const;
};

/// The linear form of `scalar`, a value in the body of `op`; std::nullopt if it
/// is not linear, or could wrap around in a type narrower than 64 bits.
std::optional<LinearIndex> getLinearIndex(mlir::Value scalar,
                                          mlir::linalg::GenericOp op);

} // namespace headrace
#endif // HEADRACE_LIB_GRAPH_LINEARINDEX_H
