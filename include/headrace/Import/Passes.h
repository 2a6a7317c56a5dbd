//===- Passes.h - Passes on exported programs -----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_IMPORT_PASSES_H
#define HEADRACE_IMPORT_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace headrace {
#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "headrace/Import/Passes.h.inc"
} // namespace headrace

#endif // HEADRACE_IMPORT_PASSES_H
