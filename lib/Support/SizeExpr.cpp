//===- SizeExpr.cpp - Canonical integer expressions of symbolic sizes -----===//
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
// A coefficient that does not fit makes the whole expression *unknown*: one atom
// that nothing is known of, which every operation hands on. A value in its place,
// say the largest there is, would be proved equal to others and to fit.
//
//===----------------------------------------------------------------------===//
#include "headrace/Support/SizeExpr.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>
#include <vector>

using namespace mlir;
using namespace headrace;

namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
/// A product that would expand to more terms than this stays a product.
constexpr size_t kMaxExpandedTerms = 1024;
/// How deep a text may nest.
constexpr unsigned kMaxParseDepth = 128;

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

int64_t saturate(Wide value) {
  if (value > Wide(kMax))
    return kMax;
  if (value < Wide(kMin))
    return kMin;
  return static_cast<int64_t>(value);
}

int64_t saturatingAdd(int64_t a, int64_t b) {
  return saturate(Wide(a) + Wide(b));
}
int64_t saturatingMul(int64_t a, int64_t b) {
  return saturate(Wide(a) * Wide(b));
}

Wide floorDivWide(Wide a, Wide b) {
  Wide q = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? q - 1 : q;
}

int64_t floorDivInt(int64_t a, int64_t b) {
  return saturate(floorDivWide(a, b));
}
int64_t modInt(int64_t a, int64_t b) {
  return saturate(Wide(a) - floorDivWide(a, b) * Wide(b));
}

/// gcd with the sign dropped; gcd(0, x) = |x|. The least int64_t counts as 1,
/// because its absolute value does not fit.
int64_t gcd(int64_t a, int64_t b) {
  if (a == kMin || b == kMin)
    return 1;
  return std::gcd(a, b);
}

} // namespace

struct SizeExpr::Node {
  Terms terms;
  unsigned depth;
  size_t size;
};

namespace headrace {
/// Reaches into SizeExpr on behalf of this file.
struct SizeExprImpl {
  static const Terms &terms(const SizeExpr &expr) {
    static const Terms none;
    return expr.node ? expr.node->terms : none;
  }
  /// `terms` must be sorted and merged already.
  static SizeExpr fromSorted(Terms terms) {
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
  static bool same(const SizeExpr &a, const SizeExpr &b) {
    return a.node == b.node;
  }
  static SizeExpr unknown() {
    static const SizeExpr expr = fromSorted(
        {Term{1,
              {std::make_shared<const Atom>(
                  Atom{AtomKind::Unknown, {}, SizeExpr(), SizeExpr()})}}});
    return expr;
  }
  static bool isUnknown(const SizeExpr &expr) { return same(expr, unknown()); }
};
} // namespace headrace

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

static const Terms &termsOf(const SizeExpr &expr) {
  return SizeExprImpl::terms(expr);
}

static int compare(const SizeExpr &a, const SizeExpr &b);

static int compare(const Atom &a, const Atom &b) {
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

/// Negative if the monomial `a` comes first: higher degree, then lexicographic.
static int compareFactors(ArrayRef<AtomRef> a, ArrayRef<AtomRef> b) {
  if (a.size() != b.size())
    return a.size() > b.size() ? -1 : 1;
  for (auto [x, y] : llvm::zip_equal(a, b))
    if (int c = compare(*x, *y))
      return c;
  return 0;
}

static int compare(const SizeExpr &a, const SizeExpr &b) {
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

static SizeExpr unknown() { return SizeExprImpl::unknown(); }
static bool isUnknown(const SizeExpr &expr) {
  return SizeExprImpl::isUnknown(expr);
}

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

/// The atom, if the expression is nothing else.
static const Atom *getSingleAtom(const SizeExpr &expr) {
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

/// A positive number that divides `expr` for all bindings; 0 for the constant 0.
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

static Interval boundsOf(const SizeExpr &expr, const SymbolRanges &ranges);

static Interval boundsOf(const Atom &atom, const SymbolRanges &ranges) {
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
      Interval result{0, b.max == kMax ? kMax : std::max<int64_t>(b.max - 1, 0)};
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

static Interval boundsOf(const SizeExpr &expr, const SymbolRanges &ranges) {
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

/// The quotient `a floordiv c` as numerator and divisor. With another quotient of
/// a, by a divisor d of c, in the expression it is (a floordiv d) floordiv (c / d):
/// estimated so, the two cancel.
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

/// Whether something in `expr` that may be negative could cancel against what the
/// quotient in `term`, whose other factors are `scale`, is estimated by.
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
/// no smaller than the one that is subtracted: where `expr` is negative, what is
/// left is, too.
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
      // a floordiv c >= b floordiv d if a >= b and, unless c = d, c < d, b >= 0.
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

//===----------------------------------------------------------------------===//
// Evaluation and substitution
//===----------------------------------------------------------------------===//

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

std::optional<int64_t> SizeExpr::evaluate(const SymbolBindings &bindings) const {
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

/// The same of one factor of a term.
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

//===----------------------------------------------------------------------===//
// Visiting, printing, parsing
//===----------------------------------------------------------------------===//

static StringRef spelling(AtomKind kind) {
  switch (kind) {
  case AtomKind::FloorDiv:
    return "floordiv";
  case AtomKind::Mod:
    return "mod";
  case AtomKind::Min:
    return "min";
  case AtomKind::Max:
    return "max";
  case AtomKind::Symbol:
  case AtomKind::Unknown:
  case AtomKind::Product:
    break;
  }
  return "*";
}

void SizeExpr::visit(Visitor &visitor) const {
  if (!node)
    return visitor.constant(0);
  // Larger than what any size is compared with: a call that asks fails.
  if (isUnknown(*this))
    return visitor.constant(kMax);
  bool firstTerm = true;
  for (const Term &term : node->terms) {
    bool firstFactor = true;
    for (const AtomRef &atom : term.factors) {
      if (atom->kind == AtomKind::Symbol) {
        visitor.symbol(atom->name);
      } else {
        atom->lhs.visit(visitor);
        atom->rhs.visit(visitor);
        visitor.binary(spelling(atom->kind));
      }
      if (!firstFactor)
        visitor.binary("*");
      firstFactor = false;
    }
    if (firstFactor || term.coefficient != 1) {
      visitor.constant(term.coefficient);
      if (!firstFactor)
        visitor.binary("*");
    }
    if (!firstTerm)
      visitor.binary("+");
    firstTerm = false;
  }
}

static void print(const SizeExpr &expr, std::string &out);

/// Prints an operand of floordiv, mod or an unexpanded product.
static void printOperand(const SizeExpr &expr, std::string &out) {
  std::optional<int64_t> constant = expr.getConstant();
  const Atom *atom = getSingleAtom(expr);
  bool isSimple = (constant && *constant >= 0) ||
                  (atom && (atom->kind == AtomKind::Symbol ||
                            atom->kind == AtomKind::Min ||
                            atom->kind == AtomKind::Max));
  if (!isSimple)
    out += '(';
  print(expr, out);
  if (!isSimple)
    out += ')';
}

static void print(const Atom &atom, bool isAlone, std::string &out) {
  switch (atom.kind) {
  case AtomKind::Symbol:
    out += atom.name;
    return;
  case AtomKind::Unknown:
    out += '?';
    return;
  case AtomKind::Min:
  case AtomKind::Max:
    out += spelling(atom.kind);
    out += '(';
    print(atom.lhs, out);
    out += ", ";
    print(atom.rhs, out);
    out += ')';
    return;
  case AtomKind::FloorDiv:
  case AtomKind::Mod:
  case AtomKind::Product:
    if (!isAlone)
      out += '(';
    printOperand(atom.lhs, out);
    out += ' ';
    out += spelling(atom.kind);
    out += ' ';
    printOperand(atom.rhs, out);
    if (!isAlone)
      out += ')';
    return;
  }
}

static void print(const SizeExpr &expr, std::string &out) {
  const Terms &terms = termsOf(expr);
  if (terms.empty()) {
    out += '0';
    return;
  }
  bool isFirst = true;
  for (const Term &term : terms) {
    // The least int64_t has no positive counterpart: print it as it is.
    bool negative = term.coefficient < 0 && term.coefficient != kMin;
    if (isFirst)
      out += negative ? "-" : "";
    else
      out += negative ? " - " : " + ";
    isFirst = false;
    int64_t magnitude = negative ? -term.coefficient : term.coefficient;
    bool hasCoefficient = magnitude != 1 || term.factors.empty();
    if (hasCoefficient)
      out += llvm::itostr(magnitude);
    bool isAlone = terms.size() == 1 && !negative && !hasCoefficient &&
                   term.factors.size() == 1;
    bool needsTimes = hasCoefficient;
    for (const AtomRef &atom : term.factors) {
      if (needsTimes)
        out += " * ";
      needsTimes = true;
      print(*atom, isAlone, out);
    }
  }
}

std::string SizeExpr::str() const {
  std::string out;
  print(*this, out);
  return out;
}

namespace {
/// A recursive-descent parser over the grammar of the header; the depth of the
/// recursion is bounded.
class Parser {
public:
  Parser(StringRef text, std::string *error) : text(text), error(error) {}

  FailureOr<SizeExpr> run() {
    FailureOr<SizeExpr> result = parseSum();
    if (failed(result))
      return failure();
    skipSpace();
    if (position != text.size())
      return fail("expected an operator or the end");
    return result;
  }

private:
  FailureOr<SizeExpr> parseSum() {
    FailureOr<SizeExpr> lhs = parseProduct();
    while (succeeded(lhs)) {
      bool plus = consume('+');
      if (!plus && !consume('-'))
        break;
      FailureOr<SizeExpr> rhs = parseProduct();
      if (failed(rhs))
        return failure();
      lhs = plus ? *lhs + *rhs : *lhs - *rhs;
    }
    return lhs;
  }

  FailureOr<SizeExpr> parseProduct() {
    FailureOr<SizeExpr> lhs = parseUnary();
    while (succeeded(lhs)) {
      size_t start = position;
      StringRef op = consume('*') ? "*" : parseIdentifier();
      if (op != "*" && op != "floordiv" && op != "ceildiv" && op != "mod") {
        position = start;
        break;
      }
      FailureOr<SizeExpr> rhs = parseUnary();
      if (failed(rhs))
        return failure();
      if (op == "*") {
        lhs = *lhs * *rhs;
        continue;
      }
      if (rhs->getConstant() == 0) {
        position = start;
        return fail("division by zero");
      }
      lhs = op == "floordiv"  ? lhs->floorDiv(*rhs)
            : op == "ceildiv" ? lhs->ceilDiv(*rhs)
                              : lhs->mod(*rhs);
      // `a mod b floordiv c mod ...` nests without a parenthesis.
      if (lhs->depth() > kMaxParseDepth)
        return fail("nested too deeply");
    }
    return lhs;
  }

  FailureOr<SizeExpr> parseUnary() {
    bool negate = false;
    while (consume('-')) {
      // A literal takes its sign with it, or the least int64_t would not parse.
      if (position < text.size() && llvm::isDigit(text[position]))
        if (!negate)
          return parseNumber(/*isNegative=*/true);
      negate = !negate;
    }
    FailureOr<SizeExpr> operand = parsePrimary();
    if (failed(operand) || !negate)
      return operand;
    return *operand * SizeExpr(-1);
  }

  FailureOr<SizeExpr> parseNumber(bool isNegative) {
    size_t start = position;
    while (position < text.size() && llvm::isDigit(text[position]))
      ++position;
    int64_t value;
    std::string digits =
        (isNegative ? "-" : "") + text.slice(start, position).str();
    if (StringRef(digits).getAsInteger(10, value)) {
      position = start;
      return fail("expected an integer of 64 bits");
    }
    return SizeExpr(value);
  }

  FailureOr<SizeExpr> parsePrimary() {
    skipSpace();
    if (position < text.size() && llvm::isDigit(text[position]))
      return parseNumber(/*isNegative=*/false);
    if (consume('?'))
      return unknown();
    size_t start = position;
    StringRef name = parseIdentifier();
    bool isExtremum = name == "min" || name == "max";
    if (!name.empty() && !isExtremum) {
      if (name == "floordiv" || name == "ceildiv" || name == "mod") {
        position = start;
        return fail("expected an operand");
      }
      return SizeExpr::symbol(name);
    }
    if (!consume('('))
      return fail(isExtremum ? "expected '('" : "expected an operand");
    if (++depth > kMaxParseDepth)
      return fail("nested too deeply");
    FailureOr<SizeExpr> result = parseSum();
    if (failed(result))
      return failure();
    if (isExtremum) {
      if (!consume(','))
        return fail("expected ','");
      FailureOr<SizeExpr> rhs = parseSum();
      if (failed(rhs))
        return failure();
      result = name == "min" ? SizeExpr::min(*result, *rhs)
                             : SizeExpr::max(*result, *rhs);
    }
    if (!consume(')'))
      return fail("expected ')'");
    --depth;
    return result;
  }

  StringRef parseIdentifier() {
    skipSpace();
    size_t start = position;
    auto isStart = [](char c) { return llvm::isAlpha(c) || c == '_'; };
    if (position >= text.size() || !isStart(text[position]))
      return {};
    while (position < text.size() &&
           (isStart(text[position]) || llvm::isDigit(text[position]) ||
            text[position] == '.'))
      ++position;
    return text.slice(start, position);
  }

  bool consume(char c) {
    skipSpace();
    if (position >= text.size() || text[position] != c)
      return false;
    ++position;
    return true;
  }

  void skipSpace() {
    while (position < text.size() && text[position] == ' ')
      ++position;
  }

  FailureOr<SizeExpr> fail(StringRef what) {
    if (error)
      *error = (what + " at column " + llvm::Twine(position + 1)).str();
    return failure();
  }

  StringRef text;
  std::string *error;
  size_t position = 0;
  unsigned depth = 0;
};
} // namespace

FailureOr<SizeExpr> SizeExpr::parse(StringRef text, std::string *error) {
  return Parser(text, error).run();
}
