//===- Reductions.h - Reductions that other operators are made of ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_CONVERSION_REDUCTIONS_H
#define HEADRACE_LIB_CONVERSION_REDUCTIONS_H

#include "Lowering.h"

namespace headrace::conversion {

/// The number of elements that a reduction over `dims` combines into one.
SizeExpr countElements(const Tensor &tensor, llvm::ArrayRef<int64_t> dims);
/// The float tensor divided by a count.
Tensor divideBy(Emitter &e, const Tensor &tensor, const SizeExpr &count);

/// Mean and variance over some dimensions, which are dropped; in the compute
/// type. Two passes, so that a large mean does not swallow the variance.
struct Moments {
  Tensor mean;
  Tensor variance;
};
Moments getMoments(Emitter &e, const Tensor &tensor,
                   llvm::ArrayRef<int64_t> dims, double correction);

/// A reduction's result with the reduced dimensions of `from` put back as 1.
Tensor keepDims(Emitter &e, const Tensor &reduced,
                llvm::ArrayRef<SizeExpr> from, llvm::ArrayRef<int64_t> dims);

/// Along dimension `d` (dropped), the first index of `extremum`, which is the
/// tensor reduced by a minimum or maximum.
Tensor findPosition(Emitter &e, const Tensor &tensor, const Tensor &extremum,
                    int64_t d);

/// Softmax over a dimension in the compute type; `logarithm` gives its log. A
/// row of nothing but -inf gives NaN, or zeros with `zeroMaskedRows`.
Tensor softmax(Emitter &e, const Tensor &tensor, int64_t d, bool logarithm,
               bool zeroMaskedRows = false);

} // namespace headrace::conversion
#endif // HEADRACE_LIB_CONVERSION_REDUCTIONS_H
