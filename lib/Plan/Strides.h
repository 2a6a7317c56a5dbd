//===- Strides.h - How nests store, shared by the planner's files ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_PLAN_STRIDES_H
#define HEADRACE_LIB_PLAN_STRIDES_H

#include "headrace/Plan/StageAnalysis.h"

namespace headrace::plan {

/// One iteration of `loop`, none of the node's others.
llvm::SmallVector<SizeExpr> unitStep(const Node *node, unsigned loop);

/// The stride of what a nest's sinks store along a loop of its anchor: 0
/// uniform, 1 contiguous, 2 otherwise.
int64_t storeStride(const StageAnalysis &analysis, const Nest &nest,
                    unsigned loop);

} // namespace headrace::plan
#endif // HEADRACE_LIB_PLAN_STRIDES_H
