//===- SymPy.h - Symbolic expressions as sympy writes them ----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads `srepr` texts: `Add(Mul(Integer(2), Symbol('s0', integer=True)),
// Integer(1))`, and the relations that assertions are made of.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_IMPORT_SYMPY_H
#define HEADRACE_LIB_IMPORT_SYMPY_H

#include "headrace/Support/SizeExpr.h"
#include "llvm/Support/Error.h"
#include <optional>
#include <string>

namespace headrace {

/// What a text stands for.
struct SymbolicValue {
  enum class Kind { Integer, Float, Condition };
  Kind kind = Kind::Integer;
  /// Kind::Integer: the integer. Kind::Float: `integer` / `divisor`, as a
  /// number of 64 bits rounds that.
  SizeExpr integer;
  SizeExpr divisor = SizeExpr(1);
  /// Kind::Float: a constant that is no such quotient.
  std::optional<double> real;
  /// Kind::Condition: the condition (SizeCondition.h); std::nullopt if it is
  /// not one on integers.
  std::optional<SizeExpr> condition;
  /// The same as Python writes it, with symbols by their names.
  std::string text;
};

llvm::Expected<SymbolicValue> parseSymPy(llvm::StringRef text);
/// The same, for what must be an integer.
llvm::Expected<SizeExpr> parseSymPyInteger(llvm::StringRef text);

} // namespace headrace
#endif // HEADRACE_LIB_IMPORT_SYMPY_H
