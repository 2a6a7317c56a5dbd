//===- SizeCondition.h - Conditions on symbolic sizes ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A condition on sizes is an expression that is at least 0 exactly where the
// condition holds. Integers make that enough for all of logic: "and" is a
// minimum, "or" a maximum, and "not e >= 0" is "-1 - e >= 0". So what proves
// bounds of sizes proves conditions, and what evaluates sizes checks them.
// A condition that cannot be evaluated (a division by zero) does not hold.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SUPPORT_SIZECONDITION_H
#define HEADRACE_SUPPORT_SIZECONDITION_H

#include "headrace/Support/SizeExpr.h"

namespace headrace::condition {

inline SizeExpr always() { return SizeExpr(0); }
inline SizeExpr never() { return SizeExpr(-1); }

inline SizeExpr both(const SizeExpr &a, const SizeExpr &b) {
  return SizeExpr::min(a, b);
}
inline SizeExpr either(const SizeExpr &a, const SizeExpr &b) {
  return SizeExpr::max(a, b);
}
inline SizeExpr negation(const SizeExpr &a) {
  return SizeExpr(-1) - a;
}

inline SizeExpr atMost(const SizeExpr &a, const SizeExpr &b) { return b - a; }
inline SizeExpr less(const SizeExpr &a, const SizeExpr &b) {
  return b - a - SizeExpr(1);
}
inline SizeExpr equal(const SizeExpr &a, const SizeExpr &b) {
  return both(a - b, b - a);
}
inline SizeExpr unequal(const SizeExpr &a, const SizeExpr &b) {
  return either(less(a, b), less(b, a));
}

/// Holds for all bindings in `ranges`, provably.
inline bool holds(const SizeExpr &condition, const SymbolRanges &ranges) {
  return SizeExpr(0).isLessEqual(condition, ranges);
}
/// Holds for no binding in `ranges`, provably.
inline bool fails(const SizeExpr &condition, const SymbolRanges &ranges) {
  return condition.isLessEqual(SizeExpr(-1), ranges);
}
/// Holds at one binding.
inline bool holdsAt(const SizeExpr &condition,
                    const SymbolBindings &bindings) {
  return condition.evaluate(bindings).value_or(-1) >= 0;
}

/// Narrows the range of a symbol by a condition that is linear in it and in
/// nothing else, and then says nothing more than the range; returns whether it
/// was one.
bool narrow(const SizeExpr &condition, SymbolRanges &ranges);

/// Provably `a <= b` over all bindings in `ranges` for which the conditions
/// hold: by the ranges alone, or with one of the conditions.
bool isLessEqual(const SizeExpr &a, const SizeExpr &b,
                 const SymbolRanges &ranges,
                 llvm::ArrayRef<SizeExpr> conditions);

/// Sizes in `ranges` for which all conditions hold, as near to `wanted` as a
/// bounded search finds some; nothing if it finds none. Deterministic. `wanted`
/// binds every symbol.
std::optional<SymbolBindings> satisfy(llvm::ArrayRef<SizeExpr> conditions,
                                      const SymbolRanges &ranges,
                                      const SymbolBindings &wanted);

} // namespace headrace::condition
#endif // HEADRACE_SUPPORT_SIZECONDITION_H
