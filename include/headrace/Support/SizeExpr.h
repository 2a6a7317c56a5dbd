//===- SizeExpr.h - Canonical integer expressions of symbolic sizes -------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every dimension that is not a constant is an integer expression of the
// entry's symbols. Products of symbols occur (`view(b * s, h)`), so these are
// not affine expressions, and upstream's value bounds give up on them without
// a word. SizeExpr keeps such expressions canonical: two expressions that are
// equal as polynomials over the same atoms compare equal and print alike.
//
// A canonical expression is a sum of terms, each an integer coefficient times
// a sorted product of atoms; an atom is a symbol or one of floordiv, mod, min,
// max over canonical expressions. Division rounds toward negative infinity, as
// Python's // and % do. An expression one of whose coefficients does not fit
// int64_t is unknown: it prints as `?`, has no value and no bounds, equals
// nothing, not even itself, and so does whatever is made of it.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SUPPORT_SIZEEXPR_H
#define HEADRACE_SUPPORT_SIZEEXPR_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

namespace headrace {

/// An inclusive range of integers; the ends of int64_t stand for "unbounded".
struct Interval {
  int64_t min = std::numeric_limits<int64_t>::min();
  int64_t max = std::numeric_limits<int64_t>::max();
  bool operator==(const Interval &) const = default;
};

/// The range of each symbol of an entry.
using SymbolRanges = llvm::StringMap<Interval>;
/// A concrete value for each symbol of an entry.
using SymbolBindings = llvm::StringMap<int64_t>;

/// An immutable, canonical integer expression; cheap to copy.
class SizeExpr {
public:
  /// The constant 0.
  SizeExpr();
  /*implicit*/ SizeExpr(int64_t value);
  /// `name` matches [A-Za-z_][A-Za-z_0-9.]*.
  static SizeExpr symbol(llvm::StringRef name);

  SizeExpr operator+(const SizeExpr &rhs) const;
  SizeExpr operator-(const SizeExpr &rhs) const;
  SizeExpr operator*(const SizeExpr &rhs) const;
  /// Rounds toward negative infinity. A constant divisor must not be zero.
  SizeExpr floorDiv(const SizeExpr &rhs) const;
  /// Rounds toward positive infinity.
  SizeExpr ceilDiv(const SizeExpr &rhs) const;
  /// Rounds toward zero; `rhs` is positive.
  SizeExpr truncDiv(const SizeExpr &rhs) const;
  /// Has the sign of the divisor.
  SizeExpr mod(const SizeExpr &rhs) const;
  static SizeExpr min(const SizeExpr &lhs, const SizeExpr &rhs);
  static SizeExpr max(const SizeExpr &lhs, const SizeExpr &rhs);

  /// An expression that is at least `lhs` and `rhs` over all bindings in
  /// `ranges`: per monomial the larger coefficient, and the same for maxima
  /// inside of them. Unlike max it grows with the number of monomials only.
  static SizeExpr coverMax(const SizeExpr &lhs, const SizeExpr &rhs,
                           const SymbolRanges &ranges);

  /// Structural, and by canonicity semantic for polynomials; false for what is
  /// unknown.
  bool operator==(const SizeExpr &rhs) const;
  bool operator!=(const SizeExpr &rhs) const { return !(*this == rhs); }
  /// A total order that depends on nothing but the expressions' structure.
  bool operator<(const SizeExpr &rhs) const;

  std::optional<int64_t> getConstant() const;
  bool isConstant() const { return getConstant().has_value(); }
  /// If the expression is just one symbol, its name.
  std::optional<llvm::StringRef> getSymbol() const;

  /// The terms with positive and with negative coefficients: the expression is
  /// the first less the second.
  std::pair<SizeExpr, SizeExpr> splitSigns() const;

  /// How deeply floordiv, mod, min and max nest. The operations recurse this
  /// deep: whoever builds expressions from untrusted input bounds it.
  unsigned depth() const;
  /// The number of terms and symbols of the expression written out, saturating.
  size_t size() const;

  /// `this / divisor` if the division is provably exact for all bindings
  /// (polynomial division of every term by a constant or a monomial).
  std::optional<SizeExpr> exactDiv(const SizeExpr &divisor) const;
  /// True if provably a multiple of `factor` for all bindings.
  bool isMultipleOf(int64_t factor) const;

  /// An enclosing interval over all bindings in `ranges`; a symbol that is not
  /// listed is taken as [0, unbounded).
  Interval bounds(const SymbolRanges &ranges) const;
  /// Provably `this <= rhs` over all bindings in `ranges`.
  bool isLessEqual(const SizeExpr &rhs, const SymbolRanges &ranges) const;

  /// The value under `bindings`; std::nullopt if a symbol is unbound, a divisor
  /// is zero or the value does not fit.
  std::optional<int64_t> evaluate(const SymbolBindings &bindings) const;

  /// Replaces symbols; those for which `replace` gives std::nullopt stay.
  SizeExpr
  substitute(llvm::function_ref<std::optional<SizeExpr>(llvm::StringRef)>
                 replace) const;
  /// An expression that is equal over all bindings in `ranges`: extrema that
  /// one side decides are that side, quotients and remainders that have one
  /// value are that value. Symbols stay, also where their range is one value.
  SizeExpr simplify(const SymbolRanges &ranges) const;
  void walkSymbols(llvm::function_ref<void(llvm::StringRef)> visit) const;

  /// How a visitor sees the expression; used to materialize it as IR.
  struct Visitor {
    virtual ~Visitor() = default;
    virtual void constant(int64_t value) = 0;
    virtual void symbol(llvm::StringRef name) = 0;
    /// The two operands were visited just before, in order. `op` is one of
    /// + * floordiv mod min max.
    virtual void binary(llvm::StringRef op) = 0;
  };
  /// Visits in post order (a stack machine's order).
  void visit(Visitor &visitor) const;

  /// Canonical text: `s0 * s1 + 4`, `(s0 + 1) floordiv 2`, `min(s0, 8)`.
  std::string str() const;
  /// Parses what `str` prints, and any expression over the same grammar
  /// (+ - * floordiv ceildiv mod min(,) max(,) and parentheses; nesting is
  /// bounded). On failure `error` says what and at which column.
  static mlir::FailureOr<SizeExpr> parse(llvm::StringRef text,
                                         std::string *error = nullptr);

private:
  struct Node;
  explicit SizeExpr(std::shared_ptr<const Node> node);
  std::shared_ptr<const Node> node;
  friend struct SizeExprImpl;
};

} // namespace headrace
#endif // HEADRACE_SUPPORT_SIZEEXPR_H
