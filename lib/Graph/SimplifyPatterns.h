//===- SimplifyPatterns.h - The rewrites of hr-simplify -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_GRAPH_SIMPLIFYPATTERNS_H
#define HEADRACE_LIB_GRAPH_SIMPLIFYPATTERNS_H

#include "mlir/IR/PatternMatch.h"

namespace headrace {

/// Structured and hr ops without dimensions of size one.
void populateUnitDimPatterns(mlir::RewritePatternSet &patterns);
/// Views into indexing maps; what is moved for nothing.
void populateViewPatterns(mlir::RewritePatternSet &patterns);
/// Bodies: constants, copies, producers that cost nothing, known comparisons.
void populateBodyPatterns(mlir::RewritePatternSet &patterns);

} // namespace headrace
#endif // HEADRACE_LIB_GRAPH_SIMPLIFYPATTERNS_H
