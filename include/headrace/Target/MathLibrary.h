//===- MathLibrary.h - Elementary functions, at most 1 ulp off ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Our own math functions, made of arith ops and math.fma for any vector shape;
// see docs/math.md. Upstream's approximations are 4 to 40 ulp off and worse.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TARGET_MATHLIBRARY_H
#define HEADRACE_TARGET_MATHLIBRARY_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/Pass.h"

namespace headrace {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "headrace/Target/MathPasses.h.inc"

/// Whether `op` is a math op that expandMathFunction replaces.
bool isMathFunction(mlir::Operation *op);

/// The value of `op` as straight arithmetic, created at the rewriter's
/// insertion point; null if the op or its type is not one of the library's.
mlir::Value expandMathFunction(mlir::OpBuilder &builder, mlir::Operation *op,
                               bool fma = true, bool scalef = false);

} // namespace headrace
#endif // HEADRACE_TARGET_MATHLIBRARY_H
