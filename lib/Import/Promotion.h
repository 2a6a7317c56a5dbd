//===- Promotion.h - The dtype that torch computes in ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_IMPORT_PROMOTION_H
#define HEADRACE_LIB_IMPORT_PROMOTION_H

#include "headrace/Dialect/Aten/Aten.h"

namespace headrace {

/// The element type of the functional form of an in-place operator, before it
/// is converted to that of the tensor written to: in-place operators compute
/// in the promoted type of their operands and round once, at the end.
mlir::Type getComputedType(aten::CallOp call, mlir::Type written);

} // namespace headrace
#endif // HEADRACE_LIB_IMPORT_PROMOTION_H
