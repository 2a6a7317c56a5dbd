//===- MemoryPlannerTest.cpp - Packing and lives of buffers ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ScheduleTestUtils.h"
#include <algorithm>

using namespace headrace;
using namespace headrace::schedule;
using namespace headrace::schedule::test;

/// The least height over all orders.
static int64_t bruteForce(const PackingProblem &problem) {
  std::vector<size_t> order(problem.sizes.size());
  for (size_t k = 0; k < order.size(); ++k)
    order[k] = k;
  int64_t best = std::numeric_limits<int64_t>::max();
  do {
    std::vector<int64_t> offsets(order.size());
    int64_t height = 0;
    for (size_t k = 0; k < order.size(); ++k) {
      for (size_t j = 0; j < k; ++j)
        if (problem.conflicts[order[k]].test(order[j]))
          offsets[order[k]] =
              std::max(offsets[order[k]],
                       offsets[order[j]] + problem.sizes[order[j]]);
      height = std::max(height, offsets[order[k]] + problem.sizes[order[k]]);
    }
    best = std::min(best, height);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

static PackingProblem makeIntervals(std::mt19937 &random, size_t count,
                                    unsigned length) {
  PackingProblem problem(count);
  std::vector<std::pair<unsigned, unsigned>> lives;
  for (size_t k = 0; k < count; ++k) {
    unsigned from = random() % (2 * count);
    lives.push_back({from, from + 1 + unsigned(random() % length)});
    problem.sizes[k] = 64 * (1 + random() % 40);
    for (size_t j = 0; j < k; ++j)
      if (lives[j].first < lives[k].second && lives[k].first < lives[j].second)
        problem.addConflict(j, k);
  }
  return problem;
}

TEST(MemoryPlanner, Empty) {
  Packing packing = pack(PackingProblem(0));
  EXPECT_EQ(packing.bytes, 0);
  EXPECT_TRUE(packing.optimal);
}

TEST(MemoryPlanner, NoConflictMeansSameBytes) {
  PackingProblem problem(3);
  problem.sizes = {64, 128, 192};
  Packing packing = pack(problem);
  EXPECT_EQ(packing.bytes, 192);
  EXPECT_EQ(packing.lowerBound, 192);
}

// A ring of five equal items: no two neighbours may share, every clique is a
// pair, but two heights do not suffice.
TEST(MemoryPlanner, BoundIsNotAlwaysReached) {
  PackingProblem problem(5);
  problem.sizes.assign(5, 64);
  for (size_t k = 0; k < 5; ++k)
    problem.addConflict(k, (k + 1) % 5);
  Packing packing = pack(problem);
  EXPECT_EQ(packing.lowerBound, 128);
  EXPECT_EQ(packing.bytes, 192);
  EXPECT_TRUE(packing.optimal);
  EXPECT_TRUE(isValid(problem, packing));
}

TEST(MemoryPlanner, BruteForce) {
  std::mt19937 random(3);
  for (unsigned round = 0; round < 150; ++round) {
    size_t count = 2 + round % 6;
    PackingProblem problem(count);
    for (size_t k = 0; k < count; ++k) {
      problem.sizes[k] = 64 * (1 + random() % 9);
      for (size_t j = 0; j < k; ++j)
        if (random() % 2)
          problem.addConflict(j, k);
    }
    Packing packing = pack(problem);
    ASSERT_TRUE(isValid(problem, packing)) << "round " << round;
    EXPECT_TRUE(packing.optimal);
    EXPECT_EQ(packing.bytes, bruteForce(problem)) << "round " << round;
    EXPECT_LE(packing.lowerBound, packing.bytes);
    // The bound is what it says it is.
    int64_t weight = 0;
    for (size_t a : packing.clique) {
      weight += problem.sizes[a];
      for (size_t b : packing.clique) {
        EXPECT_TRUE(a == b || problem.conflicts[a].test(b));
      }
    }
    EXPECT_EQ(weight, packing.lowerBound);
  }
}

// The exact search alone, without a lucky local one before it.
TEST(MemoryPlanner, ExactSearchAlone) {
  std::mt19937 random(5);
  PackingOptions options;
  options.maxOrders = 0;
  unsigned improved = 0;
  for (unsigned round = 0; round < 200; ++round) {
    PackingProblem problem(7);
    for (size_t k = 0; k < 7; ++k) {
      problem.sizes[k] = 64 * (1 + random() % 9);
      for (size_t j = 0; j < k; ++j)
        if (random() % 5 < 2)
          problem.addConflict(j, k);
    }
    Packing packing = pack(problem, options);
    ASSERT_TRUE(isValid(problem, packing));
    EXPECT_EQ(packing.bytes, bruteForce(problem)) << "round " << round;
    PackingOptions greedyOnly;
    greedyOnly.maxOrders = 0;
    greedyOnly.maxNodes = 1;
    improved += pack(problem, greedyOnly).bytes > packing.bytes;
  }
  EXPECT_GT(improved, 0u);
}

// Lives along a line, as in a chain of layers: within a tenth of the bound.
TEST(MemoryPlanner, Quality) {
  std::mt19937 random(9);
  double worst = 1;
  for (unsigned round = 0; round < 30; ++round) {
    PackingProblem problem = makeIntervals(random, 100, 12);
    Packing packing = pack(problem);
    ASSERT_TRUE(isValid(problem, packing));
    worst = std::max(worst, double(packing.bytes) / packing.lowerBound);
  }
  EXPECT_LE(worst, 1.1);
}

TEST(MemoryPlanner, Deterministic) {
  std::mt19937 random(13);
  PackingProblem problem = makeIntervals(random, 60, 15);
  EXPECT_EQ(pack(problem).offsets, pack(problem).offsets);
}

// Of a chain of stages, every other buffer may share bytes; on several workers
// only where waits order the lives.
TEST(MemoryPlanner, LivesFollowTheOrder) {
  Footprint row = stepping({1, 16}, {0}), column = stepping({16, 1}, {1});
  for (bool crossing : {false, true}) {
    Builder b(2);
    int last = b.buffer(BufferKind::Input, {16, 16});
    std::vector<int> temps;
    for (unsigned k = 0; k < 4; ++k) {
      temps.push_back(b.buffer(BufferKind::Temp, {16, 16}));
      int stage = b.stage(16, {{Access::Read, crossing ? column : row},
                               {Access::Write, row}});
      b.table().push_back(b.run(stage, {{last, 0}, {temps.back(), 0}}));
      last = temps.back();
    }
    int out = b.buffer(BufferKind::Output, {16, 16});
    int stage = b.stage(16, {{Access::Read, row}, {Access::Write, row}});
    b.table().push_back(b.run(stage, {{last, 0}, {out, 0}}));
    std::string error;
    ASSERT_TRUE(succeeded(insertWaits(b.program, error))) << error;
    auto conflicts = findConflicts(b.program, error);
    ASSERT_TRUE(succeeded(conflicts)) << error;
    for (unsigned k = 0; k + 1 < 4; ++k)
      EXPECT_TRUE((*conflicts)[temps[k]].test(temps[k + 1]));
    // Without waits one worker may be far behind the other.
    EXPECT_EQ((*conflicts)[temps[0]].test(temps[3]), !crossing);
    auto plans = assignOffsets(b.program, error);
    ASSERT_TRUE(succeeded(plans)) << error;
    EXPECT_EQ(messages(verify(b.program)), "");
    EXPECT_EQ((*plans)[0].largestBytes, crossing ? 2 * 1024 : 4 * 1024);
  }
}

// Random schedules: whatever is placed verifies; moving a buffer onto one that
// it conflicts with does not, and both are named.
TEST(MemoryPlanner, Mutation) {
  std::mt19937 random(17);
  unsigned moved = 0, shared = 0;
  for (unsigned round = 0; round < 100; ++round) {
    Builder b = makeRandomProgram(random, 1 + round % 3);
    std::string error;
    ASSERT_TRUE(succeeded(insertWaits(b.program, error))) << error;
    auto conflicts = findConflicts(b.program, error);
    ASSERT_TRUE(succeeded(conflicts)) << error;
    auto plans = assignOffsets(b.program, error);
    ASSERT_TRUE(succeeded(plans)) << error;
    ASSERT_EQ(messages(verify(b.program)), "") << "round " << round;
    VerifyOptions full;
    full.fullExpansion = true;
    ASSERT_EQ(messages(verify(b.program, full)), "") << "round " << round;
    EXPECT_LE((*plans)[0].largestBytes,
              (*plans)[0].largestLowerBound * 11 / 10);
    for (size_t x = 0; x < b.program.buffers.size(); ++x)
      for (size_t y = 0; y < x; ++y)
        shared += b.program.buffers[x].offset && b.program.buffers[y].offset &&
                  *b.program.buffers[x].offset == *b.program.buffers[y].offset;
    // All apart, but for one pair.
    int64_t end = 0;
    for (Buffer &buffer : b.program.buffers)
      if (buffer.arena >= 0) {
        buffer.offset = end;
        end += 256 * buffer.slots;
      }
    b.program.arenas[0].bytes = end;
    for (Buffer &one : b.program.buffers) {
      for (Buffer &other : b.program.buffers) {
        size_t x = &one - b.program.buffers.data();
        size_t y = &other - b.program.buffers.data();
        if (x == y || one.arena < 0 || other.arena < 0 || one.slots > 1 ||
            other.slots > 1)
          continue;
        SizeExpr offset = *one.offset;
        one.offset = other.offset;
        std::vector<Fault> faults = verify(b.program);
        EXPECT_EQ(faults.empty(), !(*conflicts)[x].test(y))
            << "round " << round << ": " << messages(faults);
        for (const Fault &fault : faults) {
          EXPECT_NE(fault.message.find("%" + one.name), std::string::npos);
          EXPECT_NE(fault.message.find("%" + other.name), std::string::npos);
        }
        one.offset = offset;
        moved += !faults.empty();
      }
    }
  }
  EXPECT_GT(moved, 100u);
  EXPECT_GT(shared, 100u);
}

// Offsets of symbolic sizes are sums and maxima; disjoint at every binding.
TEST(MemoryPlanner, SymbolicSizes) {
  Builder b(1);
  b.program.symbols = {{"s", {1, 512}}, {"t", {1, 64}}};
  SizeExpr s = SizeExpr::symbol("s"), t = SizeExpr::symbol("t");
  auto rows = [](SizeExpr width) {
    Footprint footprint = stepping({16, 1}, {0});
    footprint.dims[1].extent = width;
    return footprint;
  };
  int x = b.buffer(BufferKind::Input, {s, t});
  int p = b.buffer(BufferKind::Temp, {s, t});
  int q = b.buffer(BufferKind::Temp, {s, t * 3});
  int r = b.buffer(BufferKind::Temp, {s, 100});
  int y = b.buffer(BufferKind::Output, {s, t});
  auto add = [&](int from, int to) {
    int stage = b.stage(
        s.ceilDiv(16),
        {{Access::Read, rows(b.program.buffers[from].dims[1])},
         {Access::Write, rows(b.program.buffers[to].dims[1])}});
    b.table().push_back(b.run(stage, {{from, 0}, {to, 0}}));
  };
  add(x, p);
  add(p, q);
  add(q, r);
  add(r, y);
  std::string error;
  auto plans = assignOffsets(b.program, error);
  ASSERT_TRUE(succeeded(plans)) << error;
  EXPECT_EQ(messages(verify(b.program)), "");
  for (int64_t sv : {1, 7, 512})
    for (int64_t tv : {1, 5, 64}) {
      SymbolBindings at;
      at["s"] = sv;
      at["t"] = tv;
      auto value = [&](const SizeExpr &expr) { return *expr.evaluate(at); };
      auto disjoint = [&](int one, int other) {
        const Buffer &a = b.program.buffers[one], &c = b.program.buffers[other];
        return value(*a.offset) + value(a.slotBytes()) <= value(*c.offset) ||
               value(*c.offset) + value(c.slotBytes()) <= value(*a.offset);
      };
      EXPECT_TRUE(disjoint(p, q) && disjoint(q, r));
      EXPECT_GE(value((*plans)[0].bytes), value((*plans)[0].lowerBound));
    }
}

namespace {
/// A chain of stages by rows, cut alike, that gives each of 16 workers a tile
/// only where there are more than 15 * 4096 rows: no size that could be tried
/// would show it.
Builder makeWideChain() {
  Builder b(16);
  b.program.symbols.push_back({"s", {1, 1 << 24}});
  SizeExpr s = SizeExpr::symbol("s");
  Footprint rows = stepping({4096}, {0});
  int last = b.buffer(BufferKind::Input, {s});
  for (BufferKind kind : {BufferKind::Temp, BufferKind::Temp, BufferKind::Temp,
                          BufferKind::Output}) {
    int next = b.buffer(kind, {s});
    int stage = b.stage(s.ceilDiv(4096),
                        {{Access::Read, rows}, {Access::Write, rows}});
    b.table().push_back(b.run(stage, {{last, 0}, {next, 0}}));
    last = next;
  }
  return b;
}
} // namespace

// A worker that has no tiles at the sizes at hand has some at others, where it
// may be far behind the rest.
TEST(MemoryPlanner, WorkersWithoutTilesLiveToo) {
  Builder b = makeWideChain();
  std::string error;
  ASSERT_TRUE(succeeded(insertWaits(b.program, error))) << error;
  ASSERT_EQ(b.table().size(), 4u);
  auto conflicts = findConflicts(b.program, error);
  ASSERT_TRUE(succeeded(conflicts)) << error;
  EXPECT_TRUE((*conflicts)[1].test(3));
  ASSERT_TRUE(succeeded(assignOffsets(b.program, error))) << error;
  EXPECT_EQ(messages(verify(b.program)), "");
  // Nor does the verifier let the first and the last share bytes.
  b.program.buffers[3].offset = b.program.buffers[1].offset;
  std::vector<Fault> faults = verify(b.program);
  ASSERT_FALSE(faults.empty());
  EXPECT_EQ(faults.front().kind, Fault::Kind::Overlap) << messages(faults);
  EXPECT_NE(faults.front().message.find("%b3 and %b1 may share bytes"),
            std::string::npos)
      << messages(faults);
}

// Buffers that conflict at some size conflict; those of one worker that take
// turns in a repeat do not, whatever the size.
TEST(MemoryPlanner, AllSizesAtOnce) {
  std::mt19937 random(23);
  unsigned shared = 0, kept = 0;
  for (unsigned round = 0; round < 60; ++round) {
    int64_t workers = 1 + round % 4;
    Builder b = makeRandomProgram(random, workers);
    std::string error;
    ASSERT_TRUE(succeeded(insertWaits(b.program, error))) << error;
    auto exact = findConflicts(b.program, error);
    ASSERT_TRUE(succeeded(exact)) << error;
    // The same program with 8 as the only value of a size.
    Program symbolic = b.program;
    symbolic.symbols.push_back({"s", {8, 8}});
    auto rename = [](SizeExpr &expr) {
      if (expr == SizeExpr(8))
        expr = SizeExpr::symbol("s");
    };
    for (Buffer &buffer : symbolic.buffers)
      for (SizeExpr &dim : buffer.dims)
        rename(dim);
    for (Stage &stage : symbolic.stages)
      for (StageOperand &operand : stage.operands)
        for (FootprintDim &dim : operand.footprint.dims)
          rename(dim.extent);
    auto structural = findConflicts(symbolic, error);
    ASSERT_TRUE(succeeded(structural)) << error;
    for (size_t x = 0; x < b.program.buffers.size(); ++x)
      for (size_t y = 0; y < x; ++y) {
        if ((*exact)[x].test(y)) {
          EXPECT_TRUE((*structural)[x].test(y)) << "round " << round;
        }
        shared += !(*structural)[x].test(y);
        kept += !(*exact)[x].test(y) && (*structural)[x].test(y);
      }
    ASSERT_TRUE(succeeded(assignOffsets(symbolic, error))) << error;
    EXPECT_EQ(messages(verify(symbolic)), "") << "round " << round;
  }
  EXPECT_GT(shared, 100u);
  EXPECT_LT(kept, shared / 10);
}
