//===- Passes.h - From tensors to planned stages --------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_PLAN_PASSES_H
#define HEADRACE_PLAN_PASSES_H

#include "mlir/Pass/Pass.h"

namespace headrace {

#define GEN_PASS_DECL
#include "headrace/Plan/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "headrace/Plan/Passes.h.inc"

} // namespace headrace
#endif // HEADRACE_PLAN_PASSES_H
