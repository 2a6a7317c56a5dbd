//===- SizeExprImpl.h - What the files of SizeExpr share ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An expression is a sum of terms in descending graded lexicographic order
// (higher degree first, the constant last); a term is a non-zero coefficient
// times a sorted list of atoms. The order is compatible with multiplication,
// so that exact division is ordinary polynomial long division.
//
// A coefficient that does not fit makes the whole expression *unknown*: one
// atom that nothing is known of, which every operation hands on. A value in its
// place, say the largest there is, would be proved equal to others and to fit.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_SUPPORT_SIZEEXPRIMPL_H
#define HEADRACE_LIB_SUPPORT_SIZEEXPRIMPL_H

#include "headrace/Support/SizeExpr.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <vector>

namespace headrace {
namespace sizes {

inline constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
inline constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

using Wide = __int128;

enum class AtomKind { Symbol, Unknown, FloorDiv, Mod, Min, Max, Product };

struct Atom {
  AtomKind kind;
  std::string name;
  SizeExpr lhs, rhs;
};
using AtomRef = std::shared_ptr<const Atom>;

struct Term {
  int64_t coefficient;
  llvm::SmallVector<AtomRef, 2> factors;
};
using Terms = std::vector<Term>;

inline int64_t saturate(Wide value) {
  if (value > Wide(kMax))
    return kMax;
  if (value < Wide(kMin))
    return kMin;
  return static_cast<int64_t>(value);
}

inline Wide floorDivWide(Wide a, Wide b) {
  Wide q = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? q - 1 : q;
}

inline int64_t floorDivInt(int64_t a, int64_t b) {
  return saturate(floorDivWide(a, b));
}

} // namespace sizes

struct SizeExpr::Node {
  sizes::Terms terms;
  unsigned depth;
  size_t size;
};

/// Reaches into SizeExpr on behalf of these files.
struct SizeExprImpl {
  static const sizes::Terms &terms(const SizeExpr &expr) {
    static const sizes::Terms none;
    return expr.node ? expr.node->terms : none;
  }
  /// `terms` must be sorted and merged already.
  static SizeExpr fromSorted(sizes::Terms terms);
  static bool same(const SizeExpr &a, const SizeExpr &b) {
    return a.node == b.node;
  }
  static SizeExpr unknown();
  static bool isUnknown(const SizeExpr &expr) { return same(expr, unknown()); }
};

namespace sizes {

inline const Terms &termsOf(const SizeExpr &expr) {
  return SizeExprImpl::terms(expr);
}

inline SizeExpr unknown() { return SizeExprImpl::unknown(); }
inline bool isUnknown(const SizeExpr &expr) {
  return SizeExprImpl::isUnknown(expr);
}

/// The order of expressions and of the factors of a term; 0 for what is alike.
int compare(const SizeExpr &a, const SizeExpr &b);
int compare(const Atom &a, const Atom &b);
/// Negative if the monomial `a` comes first: higher degree, then lexicographic.
int compareFactors(llvm::ArrayRef<AtomRef> a, llvm::ArrayRef<AtomRef> b);

/// The atom, if the expression is nothing else.
const Atom *getSingleAtom(const SizeExpr &expr);

/// An enclosing interval; see SizeExpr::bounds, which looks a second time.
Interval boundsOf(const SizeExpr &expr, const SymbolRanges &ranges);
Interval boundsOf(const Atom &atom, const SymbolRanges &ranges);

} // namespace sizes
} // namespace headrace
#endif // HEADRACE_LIB_SUPPORT_SIZEEXPRIMPL_H
