//===- Promotion.h - The dtype that torch computes in ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_ATEN_PROMOTION_H
#define HEADRACE_DIALECT_ATEN_PROMOTION_H

#include "headrace/Dialect/Aten/Aten.h"

namespace headrace::aten {

/// torch.result_type of the arguments named; of all tensors and scalars if none
/// is named. Null if they hold neither. Python's floats count as f32.
mlir::Type getPromotedType(CallOp call,
                           llvm::ArrayRef<llvm::StringRef> names = {});


/// The element type of the functional form of an in-place operator, before it
/// is converted to that of the tensor written to: in-place operators compute
/// in the promoted type of their operands and round once, at the end.
mlir::Type getComputedType(CallOp call, mlir::Type written);

} // namespace headrace::aten
#endif // HEADRACE_DIALECT_ATEN_PROMOTION_H
