//===- Guards.h - Conditions that a program puts on its sizes -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// torch keeps every decision that tracing took on a symbolic size, and the
// user's own `torch._check`, as Python text: `(L['x'].size()[0] % 4) == 0`. The
// graph is that of the sizes for which they hold, and of no others.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_IMPORT_GUARDS_H
#define HEADRACE_LIB_IMPORT_GUARDS_H

#include "headrace/Support/SizeExpr.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include <vector>

namespace headrace {

/// A condition on sizes (SizeCondition.h), and the same in the user's words.
struct Guard {
  SizeExpr condition;
  std::string text;
};

/// What a guard may ask of an input.
struct GuardSource {
  /// `L['x'][0]`.
  llvm::StringRef path;
  /// A size, or the distance in elements of neighbours along a dimension.
  enum class Kind { Size, Stride, StorageOffset } kind = Kind::Size;
  int64_t dimension = 0;
};

/// What a source stands for: its expression and its name in messages.
struct GuardTerm {
  SizeExpr expr;
  std::string name;
};

/// Reads a guard as Python writes it: sizes of inputs, integers, rational
/// numbers, + - * / // % **, min, max, math.floor and math.ceil, comparisons,
/// and, or, not. `resolve` gives what a source stands for. The error says which
/// part of the text cannot be expressed.
llvm::Expected<Guard>
parseGuard(llvm::StringRef text,
           llvm::function_ref<llvm::Expected<GuardTerm>(const GuardSource &)>
               resolve);

/// A symbol of which guards leave one residue: `symbol = factor * part + rest`.
struct Congruence {
  std::string symbol;
  int64_t factor = 1, rest = 0;
};

/// The residues that `conditions` leave to the symbols in `ranges`, found by
/// trying all residues modulo the divisors that occur in them: those for which
/// some condition provably fails are out. Only symbols that are left with the
/// residues of one class are listed; nothing is assumed of what cannot be
/// decided.
std::vector<Congruence> findCongruences(llvm::ArrayRef<SizeExpr> conditions,
                                        const SymbolRanges &ranges);

} // namespace headrace
#endif // HEADRACE_LIB_IMPORT_GUARDS_H
