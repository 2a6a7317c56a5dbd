//===- SizeExpr.cpp - Canonical integer expressions of symbolic sizes -----===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rules applied when an atom is made, all true for every integer:
//   (c*a + r) floordiv c        = a + r floordiv c
//   (g*a + r) floordiv (g*c)    = (a + r floordiv g) floordiv c      (g > 0)
//   (a floordiv b) floordiv c   = a floordiv (b*c)                   (b, c > 0)
//   (c*a + r) mod c             = r mod c
//   (g*a) mod (g*c)             = g * (a mod c)                      (g > 0)
//   min and max: flattened, sorted, duplicates and arguments that differ from
//   another one by a constant dropped.
// Dividing by an expression that is not constant assumes it is not zero.
//
//===----------------------------------------------------------------------===//
#include "SizeExprImpl.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <numeric>

using namespace mlir;
using namespace headrace;
using namespace headrace::sizes;

/// A product that would expand to more terms than this stays a product.
static constexpr size_t kMaxExpandedTerms = 1024;

static int64_t modInt(int64_t a, int64_t b) {
  return saturate(Wide(a) - floorDivWide(a, b) * Wide(b));
}

/// gcd with the sign dropped; gcd(0, x) = |x|. The least int64_t counts as 1,
/// because its absolute value does not fit.
static int64_t gcd(int64_t a, int64_t b) {
  if (a == kMin || b == kMin)
    return 1;
  return std::gcd(a, b);
}

SizeExpr SizeExprImpl::fromSorted(Terms terms) {
  if (terms.empty())
    return SizeExpr();
  unsigned depth = 0;
  size_t size = 0;
  for (const Term &term : terms) {
    ++size;
    for (const AtomRef &atom : term.factors) {
      if (atom->kind == AtomKind::Symbol ||
          atom->kind == AtomKind::Unknown) {
        ++size;
        continue;
      }
      depth = std::max({depth, atom->lhs.depth() + 1, atom->rhs.depth() + 1});
      size = llvm::SaturatingAdd(size, atom->lhs.size(), atom->rhs.size());
    }
  }
  return SizeExpr(std::make_shared<const SizeExpr::Node>(
      SizeExpr::Node{std::move(terms), depth, size}));
}

SizeExpr SizeExprImpl::unknown() {
  static const SizeExpr expr = fromSorted(
      {Term{1,
            {std::make_shared<const Atom>(
                Atom{AtomKind::Unknown, {}, SizeExpr(), SizeExpr()})}}});
  return expr;
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

int sizes::compare(const Atom &a, const Atom &b) {
  if (&a == &b)
    return 0;
  if (a.kind != b.kind)
    return a.kind < b.kind ? -1 : 1;
  if (a.kind == AtomKind::Symbol)
    return llvm::StringRef(a.name).compare(b.name);
  if (int c = compare(a.lhs, b.lhs))
    return c;
  return compare(a.rhs, b.rhs);
}

int sizes::compareFactors(ArrayRef<AtomRef> a, ArrayRef<AtomRef> b) {
  if (a.size() != b.size())
    return a.size() > b.size() ? -1 : 1;
  for (auto [x, y] : llvm::zip_equal(a, b))
    if (int c = compare(*x, *y))
      return c;
  return 0;
}

int sizes::compare(const SizeExpr &a, const SizeExpr &b) {
  if (SizeExprImpl::same(a, b))
    return 0;
  const Terms &x = termsOf(a), &y = termsOf(b);
  for (size_t i = 0, e = std::min(x.size(), y.size()); i != e; ++i) {
    if (int c = compareFactors(x[i].factors, y[i].factors))
      return c;
    if (x[i].coefficient != y[i].coefficient)
      return x[i].coefficient < y[i].coefficient ? -1 : 1;
  }
  if (x.size() != y.size())
    return x.size() < y.size() ? -1 : 1;
  return 0;
}

//===----------------------------------------------------------------------===//
// Sums and products
//===----------------------------------------------------------------------===//

/// Sorts, merges equal monomials and drops zeros.
static SizeExpr makeSum(Terms terms) {
  llvm::sort(terms, [](const Term &a, const Term &b) {
    return compareFactors(a.factors, b.factors) < 0;
  });
  Terms merged;
  for (Term &term : terms) {
    if (merged.empty() ||
        compareFactors(merged.back().factors, term.factors) != 0)
      merged.push_back(std::move(term));
    else if (llvm::AddOverflow(merged.back().coefficient, term.coefficient,
                               merged.back().coefficient))
      return unknown();
  }
  llvm::erase_if(merged, [](const Term &t) { return t.coefficient == 0; });
  return SizeExprImpl::fromSorted(std::move(merged));
}

static SizeExpr makeAtom(AtomKind kind, SizeExpr lhs, SizeExpr rhs) {
  auto atom = std::make_shared<const Atom>(
      Atom{kind, {}, std::move(lhs), std::move(rhs)});
  return SizeExprImpl::fromSorted({Term{1, {std::move(atom)}}});
}

/// Fails if the coefficient does not fit.
static std::optional<Term> multiply(const Term &a, const Term &b) {
  Term result{0, {}};
  if (llvm::MulOverflow(a.coefficient, b.coefficient, result.coefficient))
    return std::nullopt;
  result.factors.reserve(a.factors.size() + b.factors.size());
  std::merge(a.factors.begin(), a.factors.end(), b.factors.begin(),
             b.factors.end(), std::back_inserter(result.factors),
             [](const AtomRef &x, const AtomRef &y) {
               return compare(*x, *y) < 0;
             });
  return result;
}

/// `a / b` if every factor of `b` is one of `a` and the coefficients divide.
static std::optional<Term> divide(const Term &a, const Term &b) {
  if (b.coefficient == 0 || Wide(a.coefficient) % Wide(b.coefficient) != 0 ||
      (a.coefficient == kMin && b.coefficient == -1))
    return std::nullopt;
  Term result{a.coefficient / b.coefficient, {}};
  const auto *next = b.factors.begin();
  for (const AtomRef &factor : a.factors) {
    if (next != b.factors.end() && compare(*factor, **next) == 0)
      ++next;
    else
      result.factors.push_back(factor);
  }
  if (next != b.factors.end())
    return std::nullopt;
  return result;
}

SizeExpr::SizeExpr() = default;
SizeExpr::SizeExpr(std::shared_ptr<const Node> node) : node(std::move(node)) {}

SizeExpr::SizeExpr(int64_t value) {
  if (value != 0)
    *this = SizeExprImpl::fromSorted({Term{value, {}}});
}

SizeExpr SizeExpr::symbol(StringRef name) {
  auto atom = std::make_shared<const Atom>(
      Atom{AtomKind::Symbol, name.str(), SizeExpr(), SizeExpr()});
  return SizeExprImpl::fromSorted({Term{1, {std::move(atom)}}});
}

SizeExpr SizeExpr::operator+(const SizeExpr &rhs) const {
  if (!node)
    return rhs;
  if (!rhs.node)
    return *this;
  if (isUnknown(*this) || isUnknown(rhs))
    return unknown();
  Terms terms = termsOf(*this);
  llvm::append_range(terms, termsOf(rhs));
  return makeSum(std::move(terms));
}

SizeExpr SizeExpr::operator-(const SizeExpr &rhs) const {
  return *this + rhs * SizeExpr(-1);
}

SizeExpr SizeExpr::operator*(const SizeExpr &rhs) const {
  const Terms &a = termsOf(*this), &b = termsOf(rhs);
  if (a.empty() || b.empty())
    return SizeExpr();
  if (isUnknown(*this) || isUnknown(rhs))
    return unknown();
  if (a.size() > 1 && b.size() > 1 && a.size() * b.size() > kMaxExpandedTerms)
    return compare(*this, rhs) <= 0 ? makeAtom(AtomKind::Product, *this, rhs)
                                    : makeAtom(AtomKind::Product, rhs, *this);
  Terms terms;
  terms.reserve(a.size() * b.size());
  for (const Term &x : a)
    for (const Term &y : b) {
      std::optional<Term> product = multiply(x, y);
      if (!product)
        return unknown();
      terms.push_back(std::move(*product));
    }
  return makeSum(std::move(terms));
}

bool SizeExpr::operator==(const SizeExpr &rhs) const {
  // What is not known is not known to be equal either.
  return compare(*this, rhs) == 0 && !isUnknown(*this);
}
bool SizeExpr::operator<(const SizeExpr &rhs) const {
  return compare(*this, rhs) < 0;
}

std::pair<SizeExpr, SizeExpr> SizeExpr::splitSigns() const {
  Terms positive, negative;
  for (const Term &term : termsOf(*this)) {
    if (term.coefficient > 0)
      positive.push_back(term);
    else if (term.coefficient == kMin)
      return {unknown(), unknown()};
    else
      negative.push_back(Term{-term.coefficient, term.factors});
  }
  return {SizeExprImpl::fromSorted(std::move(positive)),
          SizeExprImpl::fromSorted(std::move(negative))};
}

unsigned SizeExpr::depth() const { return node ? node->depth : 0; }
size_t SizeExpr::size() const { return node ? node->size : 0; }

std::optional<int64_t> SizeExpr::getConstant() const {
  const Terms &terms = termsOf(*this);
  if (terms.empty())
    return 0;
  if (terms.size() == 1 && terms.front().factors.empty())
    return terms.front().coefficient;
  return std::nullopt;
}

const Atom *sizes::getSingleAtom(const SizeExpr &expr) {
  const Terms &terms = termsOf(expr);
  if (terms.size() != 1 || terms.front().coefficient != 1 ||
      terms.front().factors.size() != 1)
    return nullptr;
  return terms.front().factors.front().get();
}

std::optional<StringRef> SizeExpr::getSymbol() const {
  const Atom *atom = getSingleAtom(*this);
  if (!atom || atom->kind != AtomKind::Symbol)
    return std::nullopt;
  return StringRef(atom->name);
}

//===----------------------------------------------------------------------===//
// Division, remainder, minimum, maximum
//===----------------------------------------------------------------------===//

std::optional<SizeExpr> SizeExpr::exactDiv(const SizeExpr &divisor) const {
  const Terms &by = termsOf(divisor);
  if (by.empty() || isUnknown(*this) || isUnknown(divisor))
    return std::nullopt;
  SizeExpr rest = *this;
  Terms quotient;
  // Each step removes the leading monomial of the rest for good, so that the
  // loop ends; the bound is against pathological fill-in only.
  for (unsigned step = 0; rest.node; ++step) {
    if (step == 256)
      return std::nullopt;
    std::optional<Term> q = divide(termsOf(rest).front(), by.front());
    if (!q)
      return std::nullopt;
    quotient.push_back(*q);
    rest = rest - SizeExprImpl::fromSorted({*q}) * divisor;
    if (isUnknown(rest))
      return std::nullopt;
  }
  return makeSum(std::move(quotient));
}

/// Splits `expr` into `divisor * whole + rest`, moving to `whole` every term
/// that `divisor`, a monomial, divides.
static void splitMultiples(const SizeExpr &expr, const Term &divisor,
                           SizeExpr &whole, SizeExpr &rest) {
  Terms wholeTerms, restTerms;
  for (const Term &term : termsOf(expr)) {
    if (std::optional<Term> q = divide(term, divisor)) {
      wholeTerms.push_back(*q);
      continue;
    }
    // A coefficient (and the constant) can be split by a constant divisor.
    if (divisor.factors.empty() && divisor.coefficient > 0) {
      int64_t q = floorDivInt(term.coefficient, divisor.coefficient);
      if (q != 0)
        wholeTerms.push_back(Term{q, term.factors});
      restTerms.push_back(
          Term{modInt(term.coefficient, divisor.coefficient), term.factors});
      continue;
    }
    restTerms.push_back(term);
  }
  whole = makeSum(std::move(wholeTerms));
  rest = makeSum(std::move(restTerms));
}

SizeExpr SizeExpr::floorDiv(const SizeExpr &rhs) const {
  if (!node)
    return SizeExpr();
  if (isUnknown(*this) || isUnknown(rhs))
    return unknown();
  if (!rhs.node) // Evaluates to nothing; see evaluate.
    return makeAtom(AtomKind::FloorDiv, *this, rhs);
  if (std::optional<SizeExpr> exact = exactDiv(rhs))
    return *exact;
  std::optional<int64_t> divisor = rhs.getConstant();
  if (divisor) {
    if (std::optional<int64_t> value = getConstant()) {
      if (*value == kMin && *divisor == -1)
        return unknown();
      return SizeExpr(floorDivInt(*value, *divisor));
    }
    if (*divisor < 0 && *divisor != kMin)
      return (*this * SizeExpr(-1)).floorDiv(SizeExpr(-*divisor));
  }
  if (termsOf(rhs).size() != 1)
    return makeAtom(AtomKind::FloorDiv, *this, rhs);

  SizeExpr whole, rest;
  splitMultiples(*this, termsOf(rhs).front(), whole, rest);
  if (!rest.node)
    return whole;
  if (!divisor || *divisor <= 0)
    return whole + makeAtom(AtomKind::FloorDiv, rest, rhs);

  // Divide both by what all symbolic coefficients and the divisor share.
  int64_t common = *divisor;
  for (const Term &term : termsOf(rest))
    if (!term.factors.empty())
      common = gcd(common, term.coefficient);
  int64_t reduced = *divisor / common;
  if (common > 1) {
    Terms terms;
    for (const Term &term : termsOf(rest))
      terms.push_back(
          Term{floorDivInt(term.coefficient, common), term.factors});
    rest = makeSum(std::move(terms));
  }
  if (std::optional<int64_t> value = rest.getConstant())
    return whole + SizeExpr(floorDivInt(*value, reduced));
  if (reduced == 1)
    return whole + rest;
  if (const Atom *atom = getSingleAtom(rest);
      atom && atom->kind == AtomKind::FloorDiv) {
    std::optional<int64_t> inner = atom->rhs.getConstant();
    if (inner && *inner > 0 && Wide(*inner) * Wide(reduced) < Wide(kMax))
      return whole + atom->lhs.floorDiv(SizeExpr(*inner * reduced));
  }
  return whole + makeAtom(AtomKind::FloorDiv, rest, SizeExpr(reduced));
}

SizeExpr SizeExpr::ceilDiv(const SizeExpr &rhs) const {
  if (std::optional<int64_t> divisor = rhs.getConstant();
      divisor && *divisor > 0)
    return (*this + SizeExpr(*divisor - 1)).floorDiv(rhs);
  return (*this * SizeExpr(-1)).floorDiv(rhs) * SizeExpr(-1);
}

SizeExpr SizeExpr::truncDiv(const SizeExpr &rhs) const {
  if (bounds({}).min >= 0)
    return floorDiv(rhs);
  return max(floorDiv(rhs), SizeExpr(0)) + min(ceilDiv(rhs), SizeExpr(0));
}

SizeExpr SizeExpr::mod(const SizeExpr &rhs) const {
  if (!node)
    return SizeExpr();
  if (isUnknown(*this) || isUnknown(rhs))
    return unknown();
  if (!rhs.node)
    return makeAtom(AtomKind::Mod, *this, rhs);
  if (exactDiv(rhs))
    return SizeExpr();
  std::optional<int64_t> divisor = rhs.getConstant();
  if (divisor)
    if (std::optional<int64_t> value = getConstant())
      return SizeExpr(modInt(*value, *divisor));
  if (termsOf(rhs).size() != 1)
    return makeAtom(AtomKind::Mod, *this, rhs);

  SizeExpr whole, rest;
  splitMultiples(*this, termsOf(rhs).front(), whole, rest);
  if (!rest.node)
    return SizeExpr();
  if (!divisor || *divisor <= 0)
    return makeAtom(AtomKind::Mod, rest, rhs);
  if (std::optional<int64_t> value = rest.getConstant())
    return SizeExpr(modInt(*value, *divisor));

  int64_t common = *divisor;
  for (const Term &term : termsOf(rest))
    common = gcd(common, term.coefficient);
  if (common > 1) {
    Terms terms;
    for (const Term &term : termsOf(rest))
      terms.push_back(Term{term.coefficient / common, term.factors});
    return makeAtom(AtomKind::Mod, makeSum(std::move(terms)),
                    SizeExpr(*divisor / common)) *
           SizeExpr(common);
  }
  if (const Atom *atom = getSingleAtom(rest);
      atom && atom->kind == AtomKind::Mod && atom->rhs == rhs)
    return rest;
  return makeAtom(AtomKind::Mod, rest, rhs);
}

/// The canonical minimum or maximum of `lhs` and `rhs`.
static SizeExpr makeExtremum(AtomKind kind, const SizeExpr &lhs,
                             const SizeExpr &rhs) {
  if (isUnknown(lhs) || isUnknown(rhs))
    return unknown();
  // No value is beyond the ends of int64_t: `min(s0, 9223372036854775807)`.
  int64_t end = kind == AtomKind::Min ? kMax : kMin;
  if (rhs.getConstant() == end)
    return lhs;
  if (lhs.getConstant() == end)
    return rhs;
  SmallVector<SizeExpr, 4> pending{lhs, rhs}, arguments;
  while (!pending.empty()) {
    SizeExpr expr = pending.pop_back_val();
    if (const Atom *atom = getSingleAtom(expr); atom && atom->kind == kind) {
      pending.push_back(atom->lhs);
      pending.push_back(atom->rhs);
      continue;
    }
    bool absorbed = false;
    for (SizeExpr &other : arguments) {
      std::optional<int64_t> difference = (expr - other).getConstant();
      if (!difference)
        continue;
      if ((*difference < 0) == (kind == AtomKind::Min))
        other = expr;
      absorbed = true;
      break;
    }
    if (!absorbed)
      arguments.push_back(expr);
  }
  llvm::sort(arguments);
  SizeExpr result = arguments.front();
  for (const SizeExpr &argument : llvm::drop_begin(arguments))
    result = makeAtom(kind, result, argument);
  return result;
}

SizeExpr SizeExpr::min(const SizeExpr &lhs, const SizeExpr &rhs) {
  return makeExtremum(AtomKind::Min, lhs, rhs);
}
SizeExpr SizeExpr::max(const SizeExpr &lhs, const SizeExpr &rhs) {
  return makeExtremum(AtomKind::Max, lhs, rhs);
}

//===----------------------------------------------------------------------===//
// Divisibility
//===----------------------------------------------------------------------===//

/// A positive number that divides `expr` for all bindings; 0 for the constant
/// 0.
static int64_t knownFactor(const SizeExpr &expr) {
  int64_t result = 0;
  for (const Term &term : termsOf(expr)) {
    int64_t factor = gcd(term.coefficient, 0);
    for (const AtomRef &atom : term.factors) {
      int64_t known = 1;
      switch (atom->kind) {
      case AtomKind::Symbol:
      case AtomKind::Unknown:
      case AtomKind::FloorDiv:
        break;
      case AtomKind::Mod:
      case AtomKind::Min:
      case AtomKind::Max:
        known = gcd(knownFactor(atom->lhs), knownFactor(atom->rhs));
        break;
      case AtomKind::Product:
        // What does not fit divides nothing that is known: one side does.
        if (llvm::MulOverflow(knownFactor(atom->lhs), knownFactor(atom->rhs),
                              known))
          known = knownFactor(atom->lhs);
        break;
      }
      Wide product = Wide(factor) * Wide(known);
      // Not fitting means that part of the knowledge is dropped.
      factor = product > Wide(kMax) ? factor : int64_t(product);
    }
    result = gcd(result, factor);
  }
  return result;
}

bool SizeExpr::isMultipleOf(int64_t factor) const {
  if (factor == 0 || factor == kMin)
    return !node;
  return knownFactor(*this) % factor == 0;
}
