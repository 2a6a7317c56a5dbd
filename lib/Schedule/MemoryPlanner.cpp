//===- MemoryPlanner.cpp - Where buffers lie in an arena ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Packing by search over stacks. Lives of buffers are in Lifetimes.cpp.
//
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/MemoryPlanner.h"
#include "SharedBytes.h"
#include "headrace/Support/SizeCondition.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include <random>

using namespace mlir;
using namespace headrace;
using namespace headrace::schedule;

//===----------------------------------------------------------------------===//
// Lower bound
//===----------------------------------------------------------------------===//

namespace {
/// Heaviest clique by branch and bound.
class CliqueSearch {
public:
  CliqueSearch(const PackingProblem &problem, size_t maxNodes)
      : problem(problem), nodesLeft(maxNodes) {
    llvm::BitVector all(problem.sizes.size(), true);
    search(all, 0);
  }

  std::vector<size_t> best;
  int64_t weight = 0;

private:
  void search(llvm::BitVector candidates, int64_t current) {
    if (current > weight) {
      weight = current;
      best = chosen;
    }
    for (;;) {
      if (nodesLeft == 0)
        return;
      --nodesLeft;
      int64_t rest = 0;
      int heaviest = -1;
      for (unsigned i : candidates.set_bits()) {
        rest += problem.sizes[i];
        if (heaviest < 0 || problem.sizes[i] > problem.sizes[heaviest])
          heaviest = i;
      }
      if (heaviest < 0 || current + rest <= weight)
        return;
      llvm::BitVector next = candidates;
      next &= problem.conflicts[heaviest];
      next.reset(heaviest);
      chosen.push_back(heaviest);
      search(next, current + problem.sizes[heaviest]);
      chosen.pop_back();
      candidates.reset(heaviest);
    }
  }

  const PackingProblem &problem;
  size_t nodesLeft;
  std::vector<size_t> chosen;
};
} // namespace

//===----------------------------------------------------------------------===//
// Stacks
//===----------------------------------------------------------------------===//

/// Offsets of the stack; returns its height.
static int64_t stack(const PackingProblem &problem, ArrayRef<size_t> order,
                     std::vector<int64_t> &offsets) {
  int64_t height = 0;
  offsets.assign(problem.sizes.size(), 0);
  llvm::BitVector placed(problem.sizes.size());
  for (size_t item : order) {
    int64_t offset = 0;
    for (unsigned other : problem.conflicts[item].set_bits())
      if (placed.test(other))
        offset = std::max(offset, offsets[other] + problem.sizes[other]);
    offsets[item] = offset;
    placed.set(item);
    height = std::max(height, offset + problem.sizes[item]);
  }
  return height;
}

/// Each item at the lowest place that is free, in the given order; then all
/// that are left fall. Returns the order of the stack that results.
static std::vector<size_t> firstFit(const PackingProblem &problem,
                                    ArrayRef<size_t> order,
                                    std::vector<int64_t> &offsets) {
  size_t count = problem.sizes.size();
  offsets.assign(count, 0);
  llvm::BitVector placed(count);
  SmallVector<std::pair<int64_t, int64_t>> taken;
  for (size_t item : order) {
    taken.clear();
    for (unsigned other : problem.conflicts[item].set_bits())
      if (placed.test(other))
        taken.push_back(
            {offsets[other], offsets[other] + problem.sizes[other]});
    llvm::sort(taken);
    int64_t offset = 0;
    for (auto [begin, end] : taken) {
      if (begin - offset >= problem.sizes[item])
        break;
      offset = std::max(offset, end);
    }
    offsets[item] = offset;
    placed.set(item);
  }
  std::vector<size_t> result(order.begin(), order.end());
  llvm::stable_sort(
      result, [&](size_t a, size_t b) { return offsets[a] < offsets[b]; });
  return result;
}

namespace {
/// Branch and bound over stacks built from below: an item that is placed next
/// lies no lower than the one placed before it.
class StackSearch {
public:
  StackSearch(const PackingProblem &problem, int64_t best, int64_t bound,
              size_t maxNodes)
      : problem(problem), best(best), bound(bound), nodesLeft(maxNodes),
        floor(problem.sizes.size(), 0) {
    llvm::BitVector unplaced(problem.sizes.size(), true);
    search(unplaced, 0, 0);
  }

  const PackingProblem &problem;
  int64_t best;
  std::vector<size_t> bestOrder;
  bool exhausted() const { return nodesLeft > 0; }

private:
  void search(const llvm::BitVector &unplaced, int64_t low, int64_t height) {
    if (nodesLeft == 0 || best <= bound)
      return;
    --nodesLeft;
    if (unplaced.none()) {
      if (height < best) {
        best = height;
        bestOrder = order;
      }
      return;
    }
    // Whatever is left must fit above its floor, together with the heaviest
    // neighbour that is left and conflicts.
    SmallVector<std::pair<int64_t, size_t>> candidates;
    for (unsigned item : unplaced.set_bits()) {
      int64_t offset = std::max(floor[item], low);
      if (offset + problem.sizes[item] >= best)
        return;
      candidates.push_back({offset, item});
    }
    for (unsigned item : unplaced.set_bits()) {
      int64_t least = std::max(floor[item], low);
      for (unsigned other : problem.conflicts[item].set_bits()) {
        if (!unplaced.test(other))
          continue;
        int64_t both = std::min(least, std::max(floor[other], low)) +
                       problem.sizes[item] + problem.sizes[other];
        if (both >= best)
          return;
      }
    }
    llvm::sort(candidates, [&](auto a, auto b) {
      return std::make_tuple(a.first, -problem.sizes[a.second], a.second) <
             std::make_tuple(b.first, -problem.sizes[b.second], b.second);
    });
    for (auto [offset, item] : candidates) {
      std::vector<int64_t> saved = floor;
      llvm::BitVector rest = unplaced;
      rest.reset(item);
      for (unsigned other : problem.conflicts[item].set_bits())
        floor[other] =
            std::max(floor[other], offset + problem.sizes[item]);
      order.push_back(item);
      search(rest, offset,
             std::max(height, offset + problem.sizes[item]));
      order.pop_back();
      floor = std::move(saved);
      if (nodesLeft == 0 || best <= bound)
        return;
    }
  }

  int64_t bound;
  size_t nodesLeft;
  std::vector<int64_t> floor;
  std::vector<size_t> order;
};
} // namespace

Packing schedule::pack(const PackingProblem &problem,
                       const PackingOptions &options) {
  Packing result;
  size_t count = problem.sizes.size();
  if (count == 0) {
    result.optimal = true;
    return result;
  }
  CliqueSearch clique(problem, options.maxNodes);
  result.clique = clique.best;
  llvm::sort(result.clique);
  result.lowerBound = clique.weight;

  std::vector<int64_t> weight(count);
  for (size_t i = 0; i < count; ++i)
    for (unsigned other : problem.conflicts[i].set_bits())
      weight[i] += problem.sizes[other];
  std::vector<size_t> bySize(count);
  for (size_t i = 0; i < count; ++i)
    bySize[i] = i;
  std::vector<size_t> byWeight = bySize;
  llvm::stable_sort(bySize, [&](size_t a, size_t b) {
    return std::make_pair(problem.sizes[a], weight[a]) >
           std::make_pair(problem.sizes[b], weight[b]);
  });
  llvm::stable_sort(byWeight, [&](size_t a, size_t b) {
    return weight[a] + problem.sizes[a] > weight[b] + problem.sizes[b];
  });

  result.bytes = std::numeric_limits<int64_t>::max();
  std::vector<int64_t> offsets;
  // Tries an order of placement; keeps the stack it leads to if it is lower.
  auto attempt = [&](ArrayRef<size_t> order) {
    std::vector<size_t> stacked = firstFit(problem, order, offsets);
    int64_t height = stack(problem, stacked, offsets);
    if (height > result.bytes)
      return false;
    bool better = height < result.bytes;
    result.bytes = height;
    if (better) {
      result.order = std::move(stacked);
      result.offsets = offsets;
    }
    return true;
  };
  attempt(bySize);
  if (result.bytes > result.lowerBound)
    attempt(byWeight);

  // Move one item elsewhere in the order; stay where that is not worse.
  if (result.bytes > result.lowerBound && count > 1) {
    std::mt19937_64 random(1);
    std::vector<size_t> order = bySize;
    for (size_t n = 0;
         n < options.maxOrders && result.bytes > result.lowerBound; ++n) {
      std::vector<size_t> next = order;
      size_t from = random() % count, to = random() % count;
      size_t item = next[from];
      next.erase(next.begin() + from);
      next.insert(next.begin() + to, item);
      if (attempt(next))
        order = std::move(next);
    }
  }
  result.optimal = result.bytes == result.lowerBound;
  if (!result.optimal) {
    StackSearch exact(problem, result.bytes, result.lowerBound,
                      options.maxNodes);
    if (!exact.bestOrder.empty()) {
      result.order = exact.bestOrder;
      result.bytes = stack(problem, result.order, result.offsets);
    }
    result.optimal = exact.exhausted() || result.bytes == result.lowerBound;
  }
  return result;
}

bool schedule::isValid(const PackingProblem &problem, const Packing &packing) {
  for (size_t i = 0; i < problem.sizes.size(); ++i) {
    int64_t end = packing.offsets[i] + problem.sizes[i];
    if (packing.offsets[i] < 0 || end > packing.bytes)
      return false;
    for (unsigned j : problem.conflicts[i].set_bits())
      if (packing.offsets[i] < packing.offsets[j] + problem.sizes[j] &&
          packing.offsets[j] < end && problem.sizes[i] && problem.sizes[j])
        return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

static SizeExpr roundUp(const SizeExpr &bytes, int64_t align) {
  if (bytes.isMultipleOf(align))
    return bytes;
  return bytes.ceilDiv(align) * align;
}

/// Whether the places of these buffers can be proved for all sizes: those that
/// conflict apart, all inside of `bytes`.
static bool arePlacesProvable(const Program &program, ArrayRef<int> buffers,
                              const std::vector<llvm::BitVector> &conflicts,
                              const SizeExpr &bytes) {
  std::vector<SmallVector<int>> sharing = findSharedBytes(program);
  SymbolRanges ranges = program.symbolRanges();
  return llvm::all_of(buffers, [&](int b) {
    const Buffer &buffer = program.buffers[b];
    SizeExpr end = *buffer.offset + buffer.stride * (buffer.slots - 1) +
                   buffer.slotBytes();
    return llvm::none_of(sharing[b],
                         [&](int other) { return conflicts[b].test(other); }) &&
           condition::isLessEqual(end, bytes, ranges, program.conditions);
  });
}

/// Sorts items into classes without a conflict inside, in the order given: each
/// into the first that takes it. A stack of classes, each high enough for all of
/// its items, needs no proof that compares sums of different sizes.
static std::vector<SmallVector<size_t>>
makeClasses(const PackingProblem &problem, ArrayRef<size_t> order) {
  std::vector<SmallVector<size_t>> classes;
  for (size_t item : order) {
    auto fits = llvm::find_if(classes, [&](const SmallVector<size_t> &members) {
      return llvm::none_of(members, [&](size_t member) {
        return problem.conflicts[item].test(member);
      });
    });
    if (fits == classes.end()) {
      classes.emplace_back();
      fits = std::prev(classes.end());
    }
    fits->push_back(item);
  }
  return classes;
}

FailureOr<std::vector<ArenaPlan>>
schedule::assignOffsets(Program &program, std::string &error,
                        const PackingOptions &options) {
  FailureOr<std::vector<llvm::BitVector>> conflicts =
      findConflicts(program, error);
  if (failed(conflicts))
    return failure();
  std::vector<SymbolBindings> samples = sampleBindings(program, 0);
  // All symbols at their largest.
  const SymbolBindings &largest =
      samples.size() > 1 ? samples[1] : samples.front();
  SymbolRanges ranges = program.symbolRanges();

  std::vector<ArenaPlan> plans;
  for (size_t arena = 0; arena < program.arenas.size(); ++arena) {
    std::vector<int> buffers;
    for (auto [b, buffer] : llvm::enumerate(program.buffers))
      if (buffer.arena == int(arena))
        buffers.push_back(b);
    // All blocks are multiples of the largest alignment, so all offsets are.
    int64_t align = 64;
    for (int b : buffers)
      align = std::max(align, program.buffers[b].align);
    PackingProblem problem(buffers.size());
    std::vector<SizeExpr> sizes;
    for (auto [i, b] : llvm::enumerate(buffers)) {
      Buffer &buffer = program.buffers[b];
      buffer.stride = roundUp(buffer.slotBytes(), align);
      sizes.push_back(buffer.stride * buffer.slots);
      std::optional<int64_t> bytes = sizes.back().evaluate(largest);
      if (!bytes || (*bytes < 0 && program.conditions.empty())) {
        error = "%" + buffer.name + " has no size: " + sizes.back().str();
        return failure();
      }
      problem.sizes[i] = std::max<int64_t>(*bytes, 0);
      for (size_t j = 0; j < i; ++j)
        if ((*conflicts)[b].test(buffers[j]))
          problem.addConflict(i, j);
    }
    Packing packing = pack(problem, options);

    // The same stack, with expressions. Of those below, the ones that something
    // else below lies on do not matter.
    std::vector<SizeExpr> offsets(buffers.size());
    std::vector<size_t> placed;
    SizeExpr bytes = 0;
    auto raise = [&](const SizeExpr &height, const SizeExpr &end) {
      // A proof is only worth looking for where no sample refutes it.
      bool maybeBelow = true, maybeAbove = true;
      for (const SymbolBindings &sample : samples) {
        std::optional<int64_t> a = height.evaluate(sample);
        std::optional<int64_t> b = end.evaluate(sample);
        if (!a || !b)
          continue;
        maybeBelow &= *b <= *a;
        maybeAbove &= *a <= *b;
      }
      if (maybeBelow && end.isLessEqual(height, ranges))
        return height;
      if (maybeAbove && height.isLessEqual(end, ranges))
        return end;
      // Maxima of sums of maxima double at every step: beyond some size, a
      // few bytes are given up.
      constexpr size_t largestOffset = 64;
      SizeExpr both = SizeExpr::max(height, end);
      if (both.size() <= largestOffset)
        return both;
      return SizeExpr::coverMax(height, end, ranges);
    };
    for (size_t item : packing.order) {
      SizeExpr offset = 0;
      for (auto [k, other] : llvm::enumerate(placed)) {
        if (!problem.conflicts[item].test(other))
          continue;
        bool covered = false;
        for (size_t above : llvm::drop_begin(placed, k + 1))
          covered |= problem.conflicts[item].test(above) &&
                     problem.conflicts[other].test(above);
        if (!covered)
          offset = raise(offset, offsets[other] + sizes[other]);
      }
      offsets[item] = offset;
      placed.push_back(item);
      bytes = raise(bytes, offset + sizes[item]);
      program.buffers[buffers[item]].offset = offset;
    }
    // Maxima of sums that no proof follows: more bytes, and sums alone.
    if (!program.symbols.empty() &&
        !arePlacesProvable(program, buffers, *conflicts, bytes)) {
      bytes = 0;
      for (const SmallVector<size_t> &members :
           makeClasses(problem, packing.order)) {
        SizeExpr height = 0;
        for (size_t item : members) {
          program.buffers[buffers[item]].offset = bytes;
          height = SizeExpr::coverMax(height, sizes[item], ranges);
        }
        bytes = bytes + height;
      }
    }
    for (size_t item = 0; item < buffers.size(); ++item)
      if (program.buffers[buffers[item]].slots == 1)
        program.buffers[buffers[item]].stride = 0;

    ArenaPlan plan;
    plan.arena = arena;
    plan.bytes = bytes;
    for (size_t item : packing.clique)
      plan.lowerBound = plan.lowerBound + sizes[item];
    plan.largestBytes = bytes.evaluate(largest).value_or(packing.bytes);
    plan.largestLowerBound = packing.lowerBound;
    plan.optimal = packing.optimal;
    program.arenas[arena].bytes = bytes;
    plans.push_back(std::move(plan));
  }
  return plans;
}
