//===- SizeExprProof.cpp - Proofs that a size is at most another ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A difference is never negative if its bounds say so; else if it is not in
// every case of a minimum or maximum, or if what a quotient is estimated by
// is not. How far the search goes is limited, so that no proof may be found
// where there is one.
//
//===----------------------------------------------------------------------===//
#include "SizeExprImpl.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>

using namespace mlir;
using namespace headrace;
using namespace headrace::sizes;

namespace {
/// Looks for a proof that an expression is never negative.
class NonNegativeProof {
public:
  explicit NonNegativeProof(const SymbolRanges &ranges) : ranges(ranges) {}

  /// `estimates` bounds how many quotients may be estimated one inside another.
  bool prove(const SizeExpr &expr, unsigned estimates = 5);

private:
  enum class Kind { Extrema, Relevant, Any };
  std::optional<bool> split(const SizeExpr &expr, unsigned estimates,
                            Kind kind);
  SizeExpr dropOrdered(const SizeExpr &expr, unsigned estimates);

  const SymbolRanges &ranges;
  /// Cases of minima and maxima that may still be looked at.
  unsigned casesLeft = 256;
  /// Expressions that may still be looked at.
  unsigned stepsLeft = 1024;
};
} // namespace

/// How often the atom occurs, also inside of others.
static unsigned countAtom(const SizeExpr &expr, const Atom &atom) {
  unsigned count = 0;
  for (const Term &term : termsOf(expr))
    for (const AtomRef &factor : term.factors) {
      if (compare(*factor, atom) == 0)
        ++count;
      else
        count += countAtom(factor->lhs, atom) + countAtom(factor->rhs, atom);
    }
  return count;
}

/// The expression with `value` for the atom, wherever it occurs.
static SizeExpr replaceAtom(const SizeExpr &expr, const Atom &atom,
                            const SizeExpr &value) {
  SizeExpr result;
  for (const Term &term : termsOf(expr)) {
    SizeExpr product(term.coefficient);
    for (const AtomRef &factor : term.factors) {
      if (compare(*factor, atom) == 0) {
        product = product * value;
        continue;
      }
      if (factor->kind == AtomKind::Symbol) {
        product = product * SizeExprImpl::fromSorted({Term{1, {factor}}});
        continue;
      }
      SizeExpr a = replaceAtom(factor->lhs, atom, value);
      SizeExpr b = replaceAtom(factor->rhs, atom, value);
      product = product * (factor->kind == AtomKind::FloorDiv ? a.floorDiv(b)
                           : factor->kind == AtomKind::Mod    ? a.mod(b)
                           : factor->kind == AtomKind::Min ? SizeExpr::min(a, b)
                           : factor->kind == AtomKind::Max ? SizeExpr::max(a, b)
                                                           : a * b);
    }
    result = result + product;
  }
  return result;
}

/// The quotient `a floordiv c` as numerator and divisor. With another quotient
/// of a, by a divisor d of c, in the expression it is
/// (a floordiv d) floordiv (c / d): estimated so, the two cancel.
static std::pair<SizeExpr, int64_t>
factorQuotient(const SizeExpr &expr, const Atom &quotient, int64_t c) {
  std::pair<SizeExpr, int64_t> best{quotient.lhs, c};
  for (const Term &term : termsOf(expr))
    for (const AtomRef &other : term.factors) {
      if (other->kind != AtomKind::FloorDiv)
        continue;
      int64_t d = other->rhs.getConstant().value_or(0);
      if (d < 2 || c % d != 0 || c / d >= best.second || d == c)
        continue;
      SizeExpr inner = quotient.lhs.floorDiv(SizeExpr(d));
      bool isPart = llvm::any_of(termsOf(inner), [&](const Term &part) {
        return llvm::any_of(part.factors, [&](const AtomRef &factor) {
          return compare(*factor, *other) == 0;
        });
      });
      if (isPart)
        best = {inner, c / d};
    }
  return best;
}

/// Whether something in `expr` that may be negative could cancel against what
/// the quotient in `term`, whose other factors are `scale`, is estimated by.
static bool isRelevant(const SizeExpr &expr, const Term &term,
                       const Atom &quotient, const SizeExpr &scale) {
  if (term.coefficient < 0)
    return true;
  SizeExpr numerator = quotient.lhs;
  if (std::optional<int64_t> c = quotient.rhs.getConstant(); c && *c > 0)
    numerator = factorQuotient(expr, quotient, *c).first;
  SizeExpr estimate = scale * numerator;
  return llvm::any_of(termsOf(expr), [&](const Term &negative) {
    return negative.coefficient < 0 &&
           llvm::any_of(termsOf(estimate), [&](const Term &part) {
             return compareFactors(part.factors, negative.factors) == 0;
           });
  });
}

/// By cases of the first minimum or maximum (`Extrema`), or estimates of a
/// quotient: one that matters, or any; nullopt if there is none.
std::optional<bool> NonNegativeProof::split(const SizeExpr &expr,
                                            unsigned estimates, Kind kind) {
  const Terms &terms = termsOf(expr);
  auto scaleOf = [](const Term &term, size_t factor) {
    Term others = term;
    others.factors.erase(others.factors.begin() + factor);
    return SizeExprImpl::fromSorted({others});
  };
  auto isWanted = [&](const Term &term, size_t factor) {
    const Atom &atom = *term.factors[factor];
    if (kind == Kind::Extrema)
      return atom.kind == AtomKind::Min || atom.kind == AtomKind::Max;
    return atom.kind == AtomKind::FloorDiv &&
           (kind == Kind::Any ||
            isRelevant(expr, term, atom, scaleOf(term, factor)));
  };
  // Quotients of quotients first: what is inside may cancel.
  unsigned deepest = 0;
  for (const Term &term : terms)
    for (size_t f = 0; f != term.factors.size(); ++f)
      if (kind != Kind::Extrema && isWanted(term, f))
        deepest = std::max(deepest, term.factors[f]->lhs.depth());
  // Those that another one is a part of before that one.
  auto isComposed = [&](const Atom &atom) {
    std::optional<int64_t> c = atom.rhs.getConstant();
    return c && *c > 0 && *c != kMax &&
           factorQuotient(expr, atom, *c).second != *c;
  };
  bool composedOnly = false;
  for (const Term &term : terms)
    for (size_t f = 0; f != term.factors.size(); ++f)
      composedOnly |= kind != Kind::Extrema && isWanted(term, f) &&
                      term.factors[f]->lhs.depth() >= deepest &&
                      isComposed(*term.factors[f]);
  for (size_t i = 0, e = terms.size(); i != e; ++i) {
    // The term `coefficient * atom`, times what is known to be non-negative.
    const Term &term = terms[i];
    for (size_t f = 0; f != term.factors.size(); ++f) {
      const Atom &atom = *term.factors[f];
      if (!isWanted(term, f) ||
          (kind != Kind::Extrema && atom.lhs.depth() < deepest) ||
          (composedOnly && !isComposed(atom)))
        continue;
      SizeExpr scale = scaleOf(term, f);
      Term positive = term;
      positive.coefficient = 1;
      positive.factors.erase(positive.factors.begin() + f);
      if (boundsOf(SizeExprImpl::fromSorted({positive}), ranges).min < 0)
        continue;
      SizeExpr rest = expr - SizeExprImpl::fromSorted({term});
      bool up = term.coefficient > 0;
      if (atom.kind == AtomKind::FloorDiv) {
        std::optional<int64_t> c = atom.rhs.getConstant();
        if (!c || *c <= 0 || *c == kMax)
          continue;
        if (estimates == 0)
          return false;
        // (a - c + 1) / c <= a floordiv c <= a / c
        auto [inner, divisor] = factorQuotient(expr, atom, *c);
        SizeExpr numerator = up ? inner - SizeExpr(divisor - 1) : inner;
        return prove(rest * SizeExpr(divisor) + scale * numerator,
                     estimates - 1);
      }
      if (casesLeft < 2)
        return false;
      casesLeft -= 2;
      // An extremum that is there twice is the same side in both places.
      if (countAtom(expr, atom) > 1)
        return prove(replaceAtom(expr, atom, atom.lhs), estimates) &&
               prove(replaceAtom(expr, atom, atom.rhs), estimates);
      bool first = prove(rest + scale * atom.lhs, estimates);
      bool needsBoth = up == (atom.kind == AtomKind::Min);
      if (first != needsBoth)
        return first;
      return prove(rest + scale * atom.rhs, estimates);
    }
  }
  return std::nullopt;
}

/// The expression without pairs of quotients of which the one that is added is
/// no smaller than the one that is subtracted: where `expr` is negative, what
/// is left is, too.
SizeExpr NonNegativeProof::dropOrdered(const SizeExpr &expr,
                                       unsigned estimates) {
  // A term `coefficient * (a floordiv c)` with a constant c > 0.
  auto getQuotient = [](const Term &term) -> const Atom * {
    if (term.factors.size() != 1 ||
        term.factors.front()->kind != AtomKind::FloorDiv)
      return nullptr;
    const Atom *atom = term.factors.front().get();
    return atom->rhs.getConstant().value_or(0) > 0 ? atom : nullptr;
  };
  const Terms &terms = termsOf(expr);
  for (const Term &added : terms) {
    const Atom *more = added.coefficient > 0 ? getQuotient(added) : nullptr;
    for (const Term &taken : terms) {
      const Atom *less =
          more && taken.coefficient < 0 ? getQuotient(taken) : nullptr;
      if (!less || taken.coefficient == kMin)
        continue;
      // a floordiv c >= b floordiv d if a >= b and, unless c = d, c < d and
      // b >= 0.
      int64_t c = *more->rhs.getConstant(), d = *less->rhs.getConstant();
      if (c > d || (c < d && less->lhs.bounds(ranges).min < 0) ||
          !prove(more->lhs - less->lhs, estimates - 1))
        continue;
      int64_t both = std::min(added.coefficient, -taken.coefficient);
      Term up{both, added.factors}, down{-both, taken.factors};
      return expr - SizeExprImpl::fromSorted({up}) -
             SizeExprImpl::fromSorted({down});
    }
  }
  return expr;
}

bool NonNegativeProof::prove(const SizeExpr &expr, unsigned estimates) {
  if (isUnknown(expr))
    return false;
  if (expr.bounds(ranges).min >= 0)
    return true;
  if (stepsLeft == 0)
    return false;
  --stepsLeft;
  if (estimates > 0)
    if (SizeExpr rest = dropOrdered(expr, estimates);
        rest != expr && prove(rest, estimates))
      return true;
  // Extrema first: splitting them loses nothing, and what they hold may cancel
  // a quotient that would be estimated otherwise.
  for (Kind kind : {Kind::Extrema, Kind::Relevant, Kind::Any})
    if (std::optional<bool> result = split(expr, estimates, kind))
      return *result;
  return false;
}

bool SizeExpr::isLessEqual(const SizeExpr &rhs,
                           const SymbolRanges &ranges) const {
  return NonNegativeProof(ranges).prove(rhs - *this);
}
