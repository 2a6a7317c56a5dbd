//===- MemoryPlanner.h - Where buffers lie in an arena --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Words:
//
//   item      a block of bytes to be placed
//   conflict  two items that may not share bytes
//   stack     an order of the items; each lies on top of those before it that
//             it conflicts with: its offset is the largest end among them
//
// Every packing can be turned into a stack that is no higher (sort by offset,
// let everything fall), so the search is over orders. And a stack has a meaning
// for symbolic sizes: offsets are maxima of prefix sums, so that items that
// conflict are disjoint whatever the sizes are.
//
// The lower bound is the heaviest set of items found that all conflict with each
// other: a clique. It is exact unless the search for it is cut short.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SCHEDULE_MEMORYPLANNER_H
#define HEADRACE_SCHEDULE_MEMORYPLANNER_H

#include "headrace/Schedule/Program.h"
#include "llvm/ADT/BitVector.h"

namespace headrace::schedule {

struct PackingProblem {
  /// Bytes of each item; offsets come out as sums of these, so they are
  /// multiples of what these are multiples of.
  std::vector<int64_t> sizes;
  /// Symmetric; the diagonal is not looked at.
  std::vector<llvm::BitVector> conflicts;

  explicit PackingProblem(size_t count = 0)
      : sizes(count, 0), conflicts(count, llvm::BitVector(count)) {}
  void addConflict(size_t a, size_t b) {
    conflicts[a].set(b);
    conflicts[b].set(a);
  }
};

struct PackingOptions {
  /// Orders that the local search tries.
  size_t maxOrders = 2000;
  /// Nodes of the exact search, which runs if the local one leaves a gap.
  size_t maxNodes = 200000;
};

struct Packing {
  /// Offset of each item.
  std::vector<int64_t> offsets;
  /// The items in the order of the stack.
  std::vector<size_t> order;
  int64_t bytes = 0;
  int64_t lowerBound = 0;
  /// The items that make up the lower bound.
  std::vector<size_t> clique;
  /// Nothing smaller exists.
  bool optimal = false;
};

/// Greedy by size, then a local search, then an exact one; each only if the one
/// before did not reach the lower bound. Deterministic.
Packing pack(const PackingProblem &problem, const PackingOptions &options = {});

/// Whether conflicting items are disjoint and all lie in [0, bytes).
bool isValid(const PackingProblem &problem, const Packing &packing);

/// Figures of an arena.
struct ArenaPlan {
  int arena = 0;
  SizeExpr bytes, lowerBound;
  /// At the largest sizes in range (capped, where there is no largest).
  int64_t largestBytes = 0, largestLowerBound = 0;
  bool optimal = false;
};

/// Which temps may not share bytes: pairs of lives that the order of commands
/// does not keep apart. A buffer's life goes from a write to the last read of
/// what was written; it may have several. Numbers are those of buffers.
mlir::FailureOr<std::vector<llvm::BitVector>>
findConflicts(const Program &program, std::string &error);

/// One life of a slot of a temp: the runs and copies that touch it, as (timeline,
/// command), in the sequence of commands.
struct BufferLife {
  int buffer = 0;
  int64_t slot = 0;
  std::vector<std::pair<int, int>> commands;
};

/// All lives of all temps, by rising buffer and slot. The program has no
/// deadlock.
std::vector<BufferLife> findLives(const FlatProgram &flat);

/// Gives all temps offsets and strides, and arenas their size.
mlir::FailureOr<std::vector<ArenaPlan>>
assignOffsets(Program &program, std::string &error,
              const PackingOptions &options = {});

} // namespace headrace::schedule
#endif // HEADRACE_SCHEDULE_MEMORYPLANNER_H
