//===- Passes.h - Passes between phases -----------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From `aten` to `tensor`, and the proof that a module is there.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_CONVERSION_PASSES_H
#define HEADRACE_CONVERSION_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

namespace headrace {

#define GEN_PASS_DECL
#include "headrace/Conversion/Passes.h.inc"

/// The ATen operators that `aten-convert-to-tensor` knows, by full name
/// (`aten.add.Tensor`), sorted.
llvm::SmallVector<llvm::StringRef> getSupportedOperators();
bool isSupportedOperator(llvm::StringRef name);

#define GEN_PASS_REGISTRATION
#include "headrace/Conversion/Passes.h.inc"

} // namespace headrace
#endif // HEADRACE_CONVERSION_PASSES_H
