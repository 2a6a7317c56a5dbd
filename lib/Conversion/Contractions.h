//===- Contractions.h - Sums of products ----------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_CONVERSION_CONTRACTIONS_H
#define HEADRACE_LIB_CONVERSION_CONTRACTIONS_H

#include "Lowering.h"

namespace headrace::conversion {

/// The contraction of tensors whose dimensions carry labels: the sum of the
/// products over all labels that `out` lacks. A label is a small number; a
/// size-1 dimension is broadcast where another operand's is larger. The result
/// is in the compute type.
Tensor contractLabels(Emitter &e, const Tensor &lhs,
                      llvm::ArrayRef<unsigned> lhsLabels, const Tensor &rhs,
                      llvm::ArrayRef<unsigned> rhsLabels,
                      llvm::ArrayRef<unsigned> out);

/// torch.matmul in the compute type: vectors, matrices and batches, broadcast.
Tensor matmul(Lowering &c, const Tensor &lhs, const Tensor &rhs);

/// x * weight^T in the compute type; `weight` is [N, K] or [K].
Tensor linear(Lowering &c, const Tensor &x, const Tensor &weight);

} // namespace headrace::conversion
#endif // HEADRACE_LIB_CONVERSION_CONTRACTIONS_H
