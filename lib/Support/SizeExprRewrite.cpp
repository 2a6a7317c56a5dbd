//===- SizeExprRewrite.cpp - Evaluation, substitution, simplification -----===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What walks an expression from its symbols up: to a value, to an expression of
// other symbols, to a simpler one over the ranges of the symbols.
//
//===----------------------------------------------------------------------===//
#include "SizeExprImpl.h"
#include <algorithm>

using namespace mlir;
using namespace headrace;
using namespace headrace::sizes;

static std::optional<int64_t> evaluateAtom(const Atom &atom,
                                           const SymbolBindings &bindings) {
  if (atom.kind == AtomKind::Symbol) {
    auto it = bindings.find(atom.name);
    if (it == bindings.end())
      return std::nullopt;
    return it->second;
  }
  if (atom.kind == AtomKind::Unknown)
    return std::nullopt;
  std::optional<int64_t> a = atom.lhs.evaluate(bindings);
  std::optional<int64_t> b = atom.rhs.evaluate(bindings);
  if (!a || !b)
    return std::nullopt;
  Wide result = 0;
  switch (atom.kind) {
  case AtomKind::Symbol:
  case AtomKind::Unknown:
    break;
  case AtomKind::FloorDiv:
    if (*b == 0)
      return std::nullopt;
    result = floorDivWide(*a, *b);
    break;
  case AtomKind::Mod:
    if (*b == 0)
      return std::nullopt;
    result = Wide(*a) - floorDivWide(*a, *b) * Wide(*b);
    break;
  case AtomKind::Min:
    return std::min(*a, *b);
  case AtomKind::Max:
    return std::max(*a, *b);
  case AtomKind::Product:
    result = Wide(*a) * Wide(*b);
    break;
  }
  if (result > Wide(kMax) || result < Wide(kMin))
    return std::nullopt;
  return static_cast<int64_t>(result);
}

std::optional<int64_t>
SizeExpr::evaluate(const SymbolBindings &bindings) const {
  Wide sum = 0;
  for (const Term &term : termsOf(*this)) {
    Wide product = term.coefficient;
    for (const AtomRef &atom : term.factors) {
      std::optional<int64_t> value = evaluateAtom(*atom, bindings);
      if (!value || __builtin_mul_overflow(product, Wide(*value), &product))
        return std::nullopt;
    }
    if (__builtin_add_overflow(sum, product, &sum))
      return std::nullopt;
  }
  if (sum > Wide(kMax) || sum < Wide(kMin))
    return std::nullopt;
  return static_cast<int64_t>(sum);
}

SizeExpr SizeExpr::substitute(
    function_ref<std::optional<SizeExpr>(StringRef)> replace) const {
  if (isUnknown(*this))
    return *this;
  SizeExpr result;
  for (const Term &term : termsOf(*this)) {
    SizeExpr product(term.coefficient);
    for (const AtomRef &atom : term.factors) {
      SizeExpr value;
      if (atom->kind == AtomKind::Symbol) {
        std::optional<SizeExpr> replacement = replace(atom->name);
        value = replacement ? *replacement
                            : SizeExprImpl::fromSorted({Term{1, {atom}}});
      } else {
        SizeExpr a = atom->lhs.substitute(replace);
        SizeExpr b = atom->rhs.substitute(replace);
        switch (atom->kind) {
        case AtomKind::Symbol:
        case AtomKind::Unknown:
          break;
        case AtomKind::FloorDiv:
          value = a.floorDiv(b);
          break;
        case AtomKind::Mod:
          value = a.mod(b);
          break;
        case AtomKind::Min:
          value = SizeExpr::min(a, b);
          break;
        case AtomKind::Max:
          value = SizeExpr::max(a, b);
          break;
        case AtomKind::Product:
          value = a * b;
          break;
        }
      }
      product = product * value;
    }
    result = result + product;
  }
  return result;
}

/// `simplify` of one factor of a term.
static SizeExpr simplifyAtom(const AtomRef &atom, const SymbolRanges &ranges) {
  if (atom->kind == AtomKind::Symbol)
    return SizeExprImpl::fromSorted({Term{1, {atom}}});
  SizeExpr a = atom->lhs.simplify(ranges), b = atom->rhs.simplify(ranges);
  SizeExpr result;
  switch (atom->kind) {
  case AtomKind::Min:
  case AtomKind::Max: {
    bool isMin = atom->kind == AtomKind::Min;
    if (a.isLessEqual(b, ranges))
      return isMin ? a : b;
    if (b.isLessEqual(a, ranges))
      return isMin ? b : a;
    return isMin ? SizeExpr::min(a, b) : SizeExpr::max(a, b);
  }
  case AtomKind::FloorDiv:
    result = a.floorDiv(b);
    break;
  case AtomKind::Mod:
    result = a.mod(b);
    break;
  case AtomKind::Product:
  case AtomKind::Symbol:
  case AtomKind::Unknown:
    return a * b;
  }
  Interval bounds = result.bounds(ranges);
  return bounds.min == bounds.max ? SizeExpr(bounds.min) : result;
}

SizeExpr SizeExpr::simplify(const SymbolRanges &ranges) const {
  if (isUnknown(*this))
    return *this;
  SizeExpr result;
  for (const Term &term : termsOf(*this)) {
    SizeExpr product(term.coefficient);
    for (const AtomRef &atom : term.factors)
      product = product * simplifyAtom(atom, ranges);
    result = result + product;
  }
  Interval bounds = result.bounds(ranges);
  if (bounds.min == bounds.max && !result.getSymbol())
    return SizeExpr(bounds.min);
  return result;
}

void SizeExpr::walkSymbols(function_ref<void(StringRef)> visit) const {
  for (const Term &term : termsOf(*this)) {
    for (const AtomRef &atom : term.factors) {
      if (atom->kind == AtomKind::Symbol) {
        visit(atom->name);
        continue;
      }
      atom->lhs.walkSymbols(visit);
      atom->rhs.walkSymbols(visit);
    }
  }
}
