//===- RandomTensor.h - Reproducible tensors for tests --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_EVALUATE_RANDOMTENSOR_H
#define HEADRACE_LIB_EVALUATE_RANDOMTENSOR_H

#include "headrace/Evaluate/Evaluate.h"

namespace headrace {

/// Floats uniform in [-1, 1), integers in [0, integers), from `seed` alone.
HostTensor makeRandomTensor(mlir::RankedTensorType type,
                            llvm::ArrayRef<int64_t> shape,
                            llvm::StringRef seed, int64_t integers);

} // namespace headrace
#endif // HEADRACE_LIB_EVALUATE_RANDOMTENSOR_H
