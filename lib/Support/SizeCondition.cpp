//===- SizeCondition.cpp - Conditions on symbolic sizes -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Support/SizeCondition.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/MathExtras.h"
#include <random>
#include <vector>

using namespace mlir;
using namespace headrace;

/// Bindings that are tried.
static constexpr unsigned kMaxTries = 1024;

bool condition::narrow(const SizeExpr &condition, SymbolRanges &ranges) {
  std::optional<std::string> symbol;
  bool several = false;
  condition.walkSymbols([&](StringRef name) {
    several |= symbol && *symbol != name;
    symbol = name.str();
  });
  if (!symbol || several)
    return false;
  auto range = ranges.find(*symbol);
  if (range == ranges.end())
    return false;
  SymbolBindings zero, one;
  zero[*symbol] = 0;
  one[*symbol] = 1;
  std::optional<int64_t> at0 = condition.evaluate(zero),
                         at1 = condition.evaluate(one);
  int64_t factor;
  if (!at0 || !at1 || *at0 == *at1 ||
      *at0 == std::numeric_limits<int64_t>::min() ||
      __builtin_sub_overflow(*at1, *at0, &factor) ||
      condition !=
          SizeExpr::symbol(*symbol) * SizeExpr(factor) + SizeExpr(*at0))
    return false;
  // factor * s >= -at0
  Interval narrowed = range->second;
  if (factor > 0)
    narrowed.min =
        std::max(narrowed.min, llvm::divideCeilSigned(-*at0, factor));
  else
    narrowed.max =
        std::min(narrowed.max, llvm::divideFloorSigned(*at0, -factor));
  // No size at all is said where conditions are checked.
  if (narrowed.min > narrowed.max)
    return false;
  range->second = narrowed;
  return true;
}

bool condition::isLessEqual(const SizeExpr &a, const SizeExpr &b,
                            const SymbolRanges &ranges,
                            ArrayRef<SizeExpr> conditions) {
  if (a == b || a.isLessEqual(b, ranges))
    return true;
  // Programs have few; of one that has many, the first are enough.
  constexpr size_t kMaxConditions = 16;
  SizeExpr difference = b - a;
  llvm::StringSet<> symbols;
  difference.walkSymbols([&](StringRef name) { symbols.insert(name); });
  return llvm::any_of(
      conditions.take_front(kMaxConditions), [&](const SizeExpr &condition) {
        bool related = false;
        condition.walkSymbols(
            [&](StringRef name) { related |= symbols.contains(name); });
        return related && condition.isLessEqual(difference, ranges);
      });
}

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
