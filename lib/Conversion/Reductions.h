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

/// The mean over some dimensions, which are dropped, by their sum in the type
/// `accumulate`: the compute type of the tensor or a wider one.
Tensor getMean(Emitter &e, const Tensor &tensor, llvm::ArrayRef<int64_t> dims,
               DType accumulate);

/// Mean and variance over some dimensions, which are dropped; in the type
/// `accumulate`, as of getMean.
///
/// Two passes: the sum, then the gaps d from the mean that it gives, and their
/// squares. That mean is off by the roundings of the sum and by its own: of n
/// equal numbers it need not be that number. What the gaps add up to says by
/// how much, c = sum(d) / n, and both moments are put right by it:
///
///   mean + c         and         (sum(d^2) - sum(d) * c) / (n - correction)
///
/// The mean of equal numbers is that number, and the variance of numbers that
/// are close together and far from zero does not hold the mean's rounding.
/// Where the gaps are as large as the mean, c is left out of the mean: they are
/// rounded themselves, all those of a binade the same way, and the sum is the
/// better of the two.
struct Moments {
  Tensor mean;
  Tensor variance;
};
Moments getMoments(Emitter &e, const Tensor &tensor,
                   llvm::ArrayRef<int64_t> dims, double correction,
                   DType accumulate);

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
