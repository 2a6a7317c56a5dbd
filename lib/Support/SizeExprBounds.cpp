//===- SizeExprBounds.cpp - Intervals that enclose sizes ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What values an expression can have over the ranges of its symbols, and
// expressions that cover others there.
//
//===----------------------------------------------------------------------===//
#include "SizeExprImpl.h"
#include <algorithm>

using namespace mlir;
using namespace headrace;
using namespace headrace::sizes;

static int64_t saturatingAdd(int64_t a, int64_t b) {
  return saturate(Wide(a) + Wide(b));
}
static int64_t saturatingMul(int64_t a, int64_t b) {
  return saturate(Wide(a) * Wide(b));
}

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

/// The ends of int64_t are infinities here: they absorb, and 0 times one is 0.
static int64_t addBound(int64_t a, int64_t b, int64_t infinity) {
  if (a == infinity || b == infinity)
    return infinity;
  return saturatingAdd(a, b);
}

static Interval addIntervals(Interval a, Interval b) {
  return {addBound(a.min, b.min, kMin), addBound(a.max, b.max, kMax)};
}

static int64_t mulBound(int64_t a, int64_t b) {
  if (a == 0 || b == 0)
    return 0;
  auto isInfinite = [](int64_t v) { return v == kMin || v == kMax; };
  if (isInfinite(a) || isInfinite(b))
    return (a < 0) == (b < 0) ? kMax : kMin;
  return saturatingMul(a, b);
}

static Interval mulIntervals(Interval a, Interval b) {
  int64_t corners[] = {mulBound(a.min, b.min), mulBound(a.min, b.max),
                       mulBound(a.max, b.min), mulBound(a.max, b.max)};
  return {*std::min_element(std::begin(corners), std::end(corners)),
          *std::max_element(std::begin(corners), std::end(corners))};
}

/// `base` to a positive `power`: unlike a product of independent intervals, an
/// even power is never negative.
static Interval powInterval(Interval base, unsigned power) {
  Interval result = base;
  for (unsigned i = 1; i < power; ++i)
    result = mulIntervals(result, base);
  if (power % 2 == 0)
    result.min = std::max<int64_t>(result.min, 0);
  return result;
}

static int64_t floorDivBound(int64_t a, int64_t b) {
  if (a == kMin || a == kMax)
    return (a < 0) == (b < 0) ? kMax : kMin;
  if (b == kMax)
    return a < 0 ? -1 : 0;
  return floorDivInt(a, b);
}

static Interval floorDivIntervals(Interval a, Interval b) {
  if (b.min <= 0) {
    // A size divided by something whose sign is unknown, but not zero: the
    // quotient is no larger in magnitude than the dividend.
    if (b.min < 0)
      return {};
    b.min = 1;
  }
  if (b.max < b.min)
    return {};
  int64_t corners[] = {floorDivBound(a.min, b.min), floorDivBound(a.min, b.max),
                       floorDivBound(a.max, b.min),
                       floorDivBound(a.max, b.max)};
  return {*std::min_element(std::begin(corners), std::end(corners)),
          *std::max_element(std::begin(corners), std::end(corners))};
}

static Interval intersect(Interval a, Interval b) {
  return {std::max(a.min, b.min), std::min(a.max, b.max)};
}

Interval sizes::boundsOf(const Atom &atom, const SymbolRanges &ranges) {
  if (atom.kind == AtomKind::Symbol) {
    auto it = ranges.find(atom.name);
    return it == ranges.end() ? Interval{0, kMax} : it->second;
  }
  if (atom.kind == AtomKind::Unknown)
    return {};
  Interval a = boundsOf(atom.lhs, ranges), b = boundsOf(atom.rhs, ranges);
  switch (atom.kind) {
  case AtomKind::Symbol:
  case AtomKind::Unknown:
    break;
  case AtomKind::FloorDiv:
    return floorDivIntervals(a, b);
  case AtomKind::Mod:
    if (b.min >= 0) {
      // x mod y is in [0, y), and x itself if 0 <= x < y everywhere.
      Interval result{
          0, b.max == kMax ? kMax : std::max<int64_t>(b.max - 1, 0)};
      if (a.min >= 0) {
        result.max = std::min(result.max, a.max);
        if (a.max < b.min)
          result.min = a.min;
      }
      return result;
    }
    return {b.min == kMin ? kMin : b.min + 1,
            b.max == kMax ? kMax : std::max<int64_t>(b.max - 1, 0)};
  case AtomKind::Min:
    return {std::min(a.min, b.min), std::min(a.max, b.max)};
  case AtomKind::Max:
    return {std::max(a.min, b.min), std::max(a.max, b.max)};
  case AtomKind::Product:
    return mulIntervals(a, b);
  }
  return {};
}

Interval sizes::boundsOf(const SizeExpr &expr, const SymbolRanges &ranges) {
  Interval sum{0, 0};
  for (const Term &term : termsOf(expr)) {
    Interval product{term.coefficient, term.coefficient};
    for (size_t i = 0, e = term.factors.size(); i != e;) {
      size_t run = i + 1;
      while (run != e && compare(*term.factors[i], *term.factors[run]) == 0)
        ++run;
      product = mulIntervals(
          product, powInterval(boundsOf(*term.factors[i], ranges), run - i));
      i = run;
    }
    sum = addIntervals(sum, product);
  }
  return sum;
}

/// Rewrites each symbol as its least value plus a symbol of the same name that
/// starts at 0: `s0 * s1 - s0` over s0, s1 >= 1 becomes `s0 * s1 + s1`.
static SizeExpr shiftToZero(const SizeExpr &expr, const SymbolRanges &ranges,
                            SymbolRanges &shifted) {
  return expr.substitute([&](StringRef name) -> std::optional<SizeExpr> {
    auto it = ranges.find(name);
    if (it == ranges.end() || it->second.min == kMin ||
        it->second.min > it->second.max)
      return std::nullopt;
    int64_t max = it->second.max;
    shifted[name] = {0, max == kMax
                            ? kMax
                            : saturate(Wide(max) - Wide(it->second.min))};
    return SizeExpr::symbol(name) + SizeExpr(it->second.min);
  });
}

Interval SizeExpr::bounds(const SymbolRanges &ranges) const {
  Interval direct = boundsOf(*this, ranges);
  if (termsOf(*this).size() < 2 || direct.min == direct.max)
    return direct;
  SymbolRanges shifted = ranges;
  SizeExpr expr = shiftToZero(*this, ranges, shifted);
  return intersect(direct, boundsOf(expr, shifted));
}

//===----------------------------------------------------------------------===//
// Covers
//===----------------------------------------------------------------------===//

/// Per monomial the larger coefficient; nothing if a monomial that only one of
/// them has may be negative.
static std::optional<SizeExpr> coverSums(const SizeExpr &lhs,
                                         const SizeExpr &rhs,
                                         const SymbolRanges &ranges) {
  Terms merged;
  const Terms &x = termsOf(lhs), &y = termsOf(rhs);
  size_t i = 0, j = 0;
  while (i != x.size() || j != y.size()) {
    int order = i == x.size()   ? 1
                : j == y.size() ? -1
                                : compareFactors(x[i].factors, y[j].factors);
    Term term = order <= 0 ? x[i] : y[j];
    int64_t other = order == 0 ? y[j].coefficient : 0;
    i += order <= 0;
    j += order >= 0;
    if (term.coefficient != other &&
        boundsOf(SizeExprImpl::fromSorted({Term{1, term.factors}}), ranges)
                .min < 0)
      return std::nullopt;
    term.coefficient = std::max(term.coefficient, other);
    if (term.coefficient != 0)
      merged.push_back(std::move(term));
  }
  return SizeExprImpl::fromSorted(std::move(merged));
}

/// Replaces the maxima among the terms of a sum by what covers them.
static SizeExpr coverMaxima(const SizeExpr &expr, const SymbolRanges &ranges) {
  SizeExpr result;
  for (const Term &term : termsOf(expr)) {
    const Atom *atom =
        term.factors.size() == 1 ? term.factors.front().get() : nullptr;
    if (!atom || atom->kind != AtomKind::Max || term.coefficient < 0) {
      result = result + SizeExprImpl::fromSorted({term});
      continue;
    }
    result = result + SizeExpr::coverMax(atom->lhs, atom->rhs, ranges) *
                          SizeExpr(term.coefficient);
  }
  return result;
}

SizeExpr SizeExpr::coverMax(const SizeExpr &lhs, const SizeExpr &rhs,
                            const SymbolRanges &ranges) {
  if (isUnknown(lhs) || isUnknown(rhs))
    return unknown();
  SizeExpr a = coverMaxima(lhs, ranges), b = coverMaxima(rhs, ranges);
  return coverSums(a, b, ranges).value_or(max(a, b));
}
