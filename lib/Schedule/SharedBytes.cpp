//===- SharedBytes.cpp - Buffers that may share bytes ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What lies below what lies below a third is below that as well, so that most
// pairs need no proof of their own.
//
//===----------------------------------------------------------------------===//
#include "SharedBytes.h"
#include "headrace/Support/SizeCondition.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"
#include <map>

using namespace mlir;
using namespace headrace;
using namespace headrace::schedule;

std::vector<SmallVector<int>>
schedule::findSharedBytes(const Program &program) {
  std::vector<SmallVector<int>> sharing(program.buffers.size());
  SymbolRanges ranges = program.symbolRanges();
  std::vector<SymbolBindings> samples = sampleBindings(program, 0);
  struct Place {
    int buffer;
    SizeExpr begin, end;
    int beginNumber, endNumber; // of the expressions, equal ones alike
    SmallVector<std::pair<int64_t, int64_t>> at; // per sample
  };
  std::map<SizeExpr, int> numbers;
  auto numberOf = [&](const SizeExpr &expr) {
    return numbers.insert({expr, int(numbers.size())}).first->second;
  };
  // Many buffers begin or end alike.
  llvm::DenseMap<std::pair<int, int>, bool> proofs;
  auto isBelow = [&](const Place &low, const Place &high) {
    auto [known, isNew] =
        proofs.insert({{low.endNumber, high.beginNumber}, false});
    if (isNew)
      known->second = condition::isLessEqual(low.end, high.begin, ranges,
                                            program.conditions);
    return known->second;
  };
  for (size_t arena = 0; arena < program.arenas.size(); ++arena) {
    std::vector<Place> places;
    for (auto [b, buffer] : llvm::enumerate(program.buffers)) {
      if (buffer.arena != int(arena) || !buffer.offset)
        continue;
      Place place{int(b), *buffer.offset,
                  *buffer.offset + buffer.stride * (buffer.slots - 1) +
                      buffer.slotBytes(),
                  0,
                  0,
                  {}};
      place.beginNumber = numberOf(place.begin);
      place.endNumber = numberOf(place.end);
      for (const SymbolBindings &sample : samples)
        place.at.push_back({place.begin.evaluate(sample).value_or(0),
                            place.end.evaluate(sample).value_or(0)});
      places.push_back(std::move(place));
    }
    llvm::stable_sort(places, [](const Place &a, const Place &b) {
      return a.at.back() < b.at.back();
    });
    // Per place, those that are known to lie below it.
    std::vector<llvm::BitVector> below(places.size(),
                                       llvm::BitVector(places.size()));
    auto mayLieBelow = [](const Place &low, const Place &high) {
      for (auto [a, b] : llvm::zip(low.at, high.at))
        if (a.second > b.first)
          return false;
      return true;
    };
    for (size_t high = 0; high < places.size(); ++high)
      for (size_t low = high; low-- > 0;) {
        if (below[high].test(low) || !mayLieBelow(places[low], places[high]) ||
            !isBelow(places[low], places[high]))
          continue;
        below[high].set(low);
        below[high] |= below[low];
      }
    for (size_t a = 0; a < places.size(); ++a)
      for (size_t b = 0; b < a; ++b) {
        if (below[a].test(b) || below[b].test(a))
          continue;
        if (mayLieBelow(places[a], places[b]) &&
            isBelow(places[a], places[b]))
          continue;
        sharing[places[a].buffer].push_back(places[b].buffer);
        sharing[places[b].buffer].push_back(places[a].buffer);
      }
  }
  return sharing;
}
