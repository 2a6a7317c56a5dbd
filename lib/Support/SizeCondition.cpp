//===- SizeCondition.cpp - Conditions on symbolic sizes -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Support/SizeCondition.h"
#include "llvm/ADT/STLExtras.h"
#include <random>
#include <vector>

using namespace mlir;
using namespace headrace;

/// Bindings that are tried.
static constexpr unsigned kMaxTries = 1024;

std::optional<SymbolBindings>
condition::satisfy(ArrayRef<SizeExpr> conditions, const SymbolRanges &ranges,
                   const SymbolBindings &wanted) {
  auto fulfils = [&](const SymbolBindings &bindings) {
    return llvm::all_of(conditions, [&](const SizeExpr &condition) {
      return holdsAt(condition, bindings);
    });
  };
  if (fulfils(wanted))
    return wanted;
  // The map has an order of its own.
  std::vector<std::string> names;
  for (const auto &entry : wanted)
    names.push_back(entry.getKey().str());
  llvm::sort(names);
  std::mt19937_64 random(1);
  for (unsigned attempt = 0; attempt < kMaxTries; ++attempt) {
    // Further and further away, in both directions.
    int64_t reach = 1 + attempt / 8;
    SymbolBindings bindings;
    for (const std::string &name : names) {
      int64_t value = wanted.lookup(name);
      int64_t step = int64_t(random() % uint64_t(2 * reach + 1)) - reach;
      Interval range = ranges.lookup(name);
      bindings[name] = std::clamp(value + step, range.min, range.max);
    }
    if (fulfils(bindings))
      return bindings;
  }
  return std::nullopt;
}
