//===- LeastBytesTest.cpp - Bytes that no schedule can save ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/LeastBytes.h"
#include "ScheduleTestUtils.h"

using namespace headrace;
using namespace headrace::schedule;
using namespace headrace::schedule::test;

namespace {
constexpr int64_t n = 64;
constexpr int64_t matrix = n * n * 4;

LeastBytes find(const Builder &b,
                std::function<int64_t(int, int64_t)> identity = nullptr) {
  std::string error;
  ExpandOptions options;
  options.shorten = false;
  auto flat = expand(b.program, {}, options, error);
  EXPECT_TRUE(succeeded(flat)) << error;
  if (failed(flat))
    return {};
  if (!identity)
    identity = [](int buffer, int64_t slot) {
      return int64_t(buffer) * 1000 + slot;
    };
  return findLeastBytes(*flat, identity);
}

/// y = f(x, w), z = g(y, w): rows of everything but the whole of w per tile.
Builder makeChain(int64_t workers) {
  Builder b(workers);
  Footprint rows = stepping({16, n}, {0}), all = stepping({n, n}, {});
  int x = b.buffer(BufferKind::Input, {n, n});
  int w = b.buffer(BufferKind::Const, {n, n});
  int y = b.buffer(BufferKind::Temp, {n, n});
  int z = b.buffer(BufferKind::Output, {n, n});
  int f = b.stage(n / 16, {{Access::Read, rows},
                           {Access::Read, all},
                           {Access::Write, rows}});
  int g = b.stage(n / 16, {{Access::Read, rows},
                           {Access::Read, all},
                           {Access::Write, rows}});
  b.table().push_back(b.run(f, {{x, 0}, {w, 0}, {y, 0}}));
  b.table().push_back(b.run(g, {{y, 0}, {w, 0}, {z, 0}}));
  return b;
}
} // namespace

TEST(LeastBytes, CountsEveryIndexOnce) {
  LeastBytes least = find(makeChain(1));
  EXPECT_EQ(least.constants, matrix);
  EXPECT_EQ(least.inputs, matrix);
  EXPECT_EQ(least.outputs, matrix);
  EXPECT_EQ(least.states, 0);
  // The temp between the two is part of the stages, not of the call.
  EXPECT_EQ(least.call(), 3 * matrix);
  EXPECT_EQ(least.stages[0].operands, 3 * matrix);
  EXPECT_EQ(least.stages[1].operands, 3 * matrix);
  // The first to read the constant has it.
  EXPECT_EQ(least.stages[0].home, 2 * matrix);
  EXPECT_EQ(least.stages[1].home, matrix);
}

TEST(LeastBytes, DoesNotDependOnTheNumberOfWorkers) {
  LeastBytes one = find(makeChain(1));
  for (int64_t workers : {2, 3, 8}) {
    LeastBytes many = find(makeChain(workers));
    EXPECT_EQ(many.call(), one.call());
    for (size_t stage = 0; stage < 2; ++stage) {
      EXPECT_EQ(many.stages[stage].operands, one.stages[stage].operands);
      EXPECT_EQ(many.stages[stage].home, one.stages[stage].home);
    }
  }
}

TEST(LeastBytes, CountsOnlyWhatIsTouched) {
  Builder b(1);
  int x = b.buffer(BufferKind::Input, {n, n});
  int y = b.buffer(BufferKind::Output, {n, n});
  // The first 16 columns of four overlapping windows of rows.
  Footprint window = stepping({16, 16}, {0});
  window.dims[0].coefficients[0] = 8;
  Footprint rows = stepping({16, n}, {0});
  int f = b.stage(4, {{Access::Read, window}, {Access::Write, rows}});
  b.table().push_back(b.run(f, {{x, 0}, {y, 0}}));
  LeastBytes least = find(b);
  EXPECT_EQ(least.inputs, (3 * 8 + 16) * 16 * 4);
}

TEST(LeastBytes, CountsExecutionsOfARepeatApart) {
  Builder b(2);
  Footprint rows = stepping({16, n}, {0}), all = stepping({n, n}, {});
  int x = b.buffer(BufferKind::Temp, {n, n}, 2);
  int w = b.buffer(BufferKind::Const, {n, n}, 5);
  int f = b.stage(n / 16, {{Access::Read, rows},
                           {Access::Read, all},
                           {Access::Write, rows}});
  b.table().push_back(Command::repeat(
      5, "i",
      {b.run(f, {{x, i().mod(2)}, {w, i()}, {x, (i() + 1).mod(2)}})}));
  LeastBytes least = find(b);
  EXPECT_EQ(least.constants, 5 * matrix);
  EXPECT_EQ(least.stages[0].operands, 5 * 3 * matrix);
}

TEST(LeastBytes, KnowsEqualConstantsByIdentity) {
  Builder b(1);
  Footprint rows = stepping({16, n}, {0});
  int v = b.buffer(BufferKind::Const, {n, n});
  int w = b.buffer(BufferKind::Const, {n, n});
  int y = b.buffer(BufferKind::Output, {n, n});
  int f = b.stage(n / 16, {{Access::Read, rows},
                           {Access::Read, rows},
                           {Access::Write, rows}});
  b.table().push_back(b.run(f, {{v, 0}, {w, 0}, {y, 0}}));
  EXPECT_EQ(find(b).constants, 2 * matrix);
  auto same = [&](int buffer, int64_t) -> int64_t {
    return buffer == w ? v : buffer;
  };
  EXPECT_EQ(find(b, same).constants, matrix);
}

TEST(LeastBytes, CountsGatheredIndicesAsDifferent) {
  Builder b(2);
  Footprint rows = stepping({16, n}, {0}), gathered = Footprint::all();
  gathered.touched = 2 * n;
  int w = b.buffer(BufferKind::Const, {n, n});
  int y = b.buffer(BufferKind::Output, {n, n});
  int f = b.stage(n / 16, {{Access::Read, gathered}, {Access::Write, rows}});
  b.table().push_back(b.run(f, {{w, 0}, {y, 0}}));
  // Two rows for each of the four tiles.
  EXPECT_EQ(find(b).constants, 8 * n * 4);
  // Never more than there are.
  b.program.stages[f].operands[0].footprint.touched = 64 * n;
  EXPECT_EQ(find(b).constants, matrix);
}

TEST(LeastBytes, StateIsReadAndWritten) {
  Builder b(1);
  Footprint rows = stepping({16, n}, {0});
  int s = b.buffer(BufferKind::State, {n, n});
  int f = b.stage(n / 16, {{Access::ReadWrite, rows}});
  b.table().push_back(b.run(f, {{s, 0}}));
  EXPECT_EQ(find(b).states, 2 * matrix);
}

TEST(LeastBytes, IsBelowWhatRandomProgramsMove) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    Builder b = makeRandomProgram(random, 1 + int64_t(random() % 3));
    LeastBytes least = find(b);
    int64_t home = 0;
    for (const LeastBytes::Stage &stage : least.stages) {
      EXPECT_LE(stage.home, stage.operands);
      home += stage.home;
    }
    EXPECT_EQ(home, least.call());
  }
}
