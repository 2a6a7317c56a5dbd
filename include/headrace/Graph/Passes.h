//===- Passes.h - Rewrites of the whole graph -----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_GRAPH_PASSES_H
#define HEADRACE_GRAPH_PASSES_H

#include "mlir/Pass/Pass.h"

namespace headrace {

#define GEN_PASS_DECL
#include "headrace/Graph/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "headrace/Graph/Passes.h.inc"

} // namespace headrace
#endif // HEADRACE_GRAPH_PASSES_H
