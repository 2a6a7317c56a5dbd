//===- EvaluateIntegers.h - Kernels of integers ---------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Integers of all widths are computed in 64 bits, where they are kept
// sign-extended, and brought back to their width after each op.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_EVALUATE_EVALUATEINTEGERS_H
#define HEADRACE_LIB_EVALUATE_EVALUATEINTEGERS_H

#include "EvaluateBody.h"
#include "mlir/IR/Types.h"
#include "llvm/Support/MathExtras.h"

namespace headrace::evaluate {

inline unsigned widthOf(mlir::Type type) {
  return type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
}

/// The value of `width` bits, sign-extended.
inline int64_t wrap(int64_t value, unsigned width) {
  if (width >= 64)
    return value;
  // i1 is kept as 0 and -1 like every other width.
  return llvm::SignExtend64(static_cast<uint64_t>(value), width);
}
inline uint64_t zeroExtended(int64_t value, unsigned width) {
  return width >= 64 ? static_cast<uint64_t>(value)
                     : static_cast<uint64_t>(value) & ((1ull << width) - 1);
}

/// The kernel of an op that computes on integers alone; null for all others,
/// conversions among them.
Kernel getIntegerKernel(mlir::Operation *op);

} // namespace headrace::evaluate
#endif // HEADRACE_LIB_EVALUATE_EVALUATEINTEGERS_H
