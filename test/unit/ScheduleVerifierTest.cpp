//===- ScheduleVerifierTest.cpp - Schedules, right and wrong --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ScheduleTestUtils.h"
#include <chrono>

using namespace headrace;
using namespace headrace::schedule;
using namespace headrace::schedule::test;

namespace {
constexpr int64_t n = 8;

Footprint rows() { return stepping({1, n}, {0}); }
Footprint columns() { return stepping({n, 1}, {1}); }
Footprint everything() { return stepping({n, n}, {}); }

/// h = f(x) by rows; y = g(h), where g reads `read` of h and writes by rows.
Builder makeTwoStages(Footprint read, bool wait) {
  Builder b(2);
  int x = b.buffer(BufferKind::Input, {n, n});
  int h = b.buffer(BufferKind::Temp, {n, n});
  int y = b.buffer(BufferKind::Output, {n, n});
  int f = b.stage(n, {{Access::Read, rows()}, {Access::Write, rows()}});
  int g = b.stage(n, {{Access::Read, read}, {Access::Write, rows()}});
  b.table().push_back(b.run(f, {{x, 0}, {h, 0}}));
  if (wait)
    b.table().push_back(Command::waitAll(0, 1));
  b.table().push_back(b.run(g, {{h, 0}, {y, 0}}));
  return b;
}

Fault::Kind onlyKind(const std::vector<Fault> &faults) {
  EXPECT_FALSE(faults.empty());
  return faults.empty() ? Fault::Kind::Malformed : faults.front().kind;
}
} // namespace

TEST(ScheduleVerifier, RowsNeedNoWait) {
  EXPECT_EQ(messages(verify(makeTwoStages(rows(), false).program)), "");
}

TEST(ScheduleVerifier, ColumnsNeedOne) {
  EXPECT_EQ(messages(verify(makeTwoStages(columns(), true).program)), "");
  std::vector<Fault> faults = verify(makeTwoStages(columns(), false).program);
  ASSERT_EQ(onlyKind(faults), Fault::Kind::Race);
  // Both commands, the region, and the wait that is missing.
  const std::string &message = faults.front().message;
  EXPECT_NE(message.find("run @s1 tiles [0, 4) of @core[0]"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("run @s0 tiles [4, 8) of @core[1]"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("%b1 [4, 8) x [0, 4)"), std::string::npos) << message;
  EXPECT_NE(message.find("wait @core[1] >= 1"), std::string::npos) << message;
}

TEST(ScheduleVerifier, Deadlock) {
  Builder b = makeTwoStages(columns(), true);
  b.table()[1].count = 2;
  std::vector<Fault> faults = verify(b.program);
  ASSERT_EQ(onlyKind(faults), Fault::Kind::Deadlock);
  EXPECT_NE(faults.front().message.find("never goes on"), std::string::npos);
}

TEST(ScheduleVerifier, ReadBeforeWrite) {
  Builder b = makeTwoStages(rows(), false);
  std::swap(b.table()[0], b.table()[1]);
  EXPECT_EQ(onlyKind(verify(b.program)), Fault::Kind::Unwritten);
}

TEST(ScheduleVerifier, OutputNotWritten) {
  Builder b = makeTwoStages(rows(), false);
  b.table()[1].to = b.table()[1].to - 1;
  std::vector<Fault> faults = verify(b.program);
  ASSERT_EQ(onlyKind(faults), Fault::Kind::Output);
  EXPECT_NE(faults.front().message.find("[3, 4) x [0, 8)"), std::string::npos)
      << faults.front().message;
}

TEST(ScheduleVerifier, Arena) {
  Builder b = makeTwoStages(rows(), false);
  b.program.arenas[0].bytes = SizeExpr(256);
  b.program.buffers[1].offset = SizeExpr(0);
  EXPECT_EQ(messages(verify(b.program)), "");
  b.program.arenas[0].capacity = 255;
  EXPECT_EQ(onlyKind(verify(b.program)), Fault::Kind::Arena);
  b.program.arenas[0].capacity.reset();
  b.program.arenas[0].bytes = SizeExpr(255);
  EXPECT_EQ(onlyKind(verify(b.program)), Fault::Kind::Arena);
  b.program.arenas[0].bytes = SizeExpr(512);
  b.program.buffers[1].offset = SizeExpr(8);
  EXPECT_EQ(onlyKind(verify(b.program)), Fault::Kind::Arena);
}

TEST(ScheduleVerifier, StateIsNotReadAfterTheWrite) {
  Builder b(1);
  int x = b.buffer(BufferKind::Input, {n, n});
  int s = b.buffer(BufferKind::State, {n, n});
  int y = b.buffer(BufferKind::Output, {n, n});
  int f = b.stage(n, {{Access::Read, rows()}, {Access::Write, rows()}});
  b.table().push_back(b.run(f, {{x, 0}, {s, 0}}));
  b.table().push_back(b.run(f, {{s, 0}, {y, 0}}));
  EXPECT_EQ(onlyKind(verify(b.program)), Fault::Kind::State);
  b.program.buffers[s].readBack = true;
  EXPECT_EQ(messages(verify(b.program)), "");
}

TEST(ScheduleVerifier, Fences) {
  Builder b = makeTwoStages(rows(), false);
  b.program.stages[0].stores = StoreClass::NonTemporal;
  EXPECT_EQ(messages(verify(b.program)), "");
  b.program.fences[StoreClass::NonTemporal] = "sfence";
  EXPECT_EQ(onlyKind(verify(b.program)), Fault::Kind::Fence);
  b.table()[0].fence = "sfence";
  EXPECT_EQ(messages(verify(b.program)), "");
}

TEST(ScheduleVerifier, PartsSignalEach) {
  Builder b = makeTwoStages(columns(), true);
  b.table()[0].parts = 3;
  // One part of three is not enough.
  EXPECT_EQ(onlyKind(verify(b.program)), Fault::Kind::Race);
  b.table()[1].count = 3;
  EXPECT_EQ(messages(verify(b.program)), "");
}

TEST(ScheduleVerifier, CopyOnAMover) {
  Builder b(1);
  int x = b.buffer(BufferKind::Input, {n, n});
  int near = b.buffer(BufferKind::Temp, {n, n});
  int y = b.buffer(BufferKind::Output, {n, n});
  int f = b.stage(n, {{Access::Read, rows()}, {Access::Write, rows()}});
  Family mover;
  mover.name = "dma";
  mover.index = "m";
  mover.mover = true;
  Command copy;
  copy.kind = Command::Kind::Copy;
  copy.operands = {{x, 0}, {near, 0}};
  copy.sourceOrigin = copy.destOrigin = {0, 0};
  copy.extent = {n, n};
  mover.commands.push_back(copy);
  b.program.families.push_back(mover);
  b.table().push_back(Command::waitAll(1, 1));
  b.table().push_back(b.run(f, {{near, 0}, {y, 0}}));
  EXPECT_EQ(messages(verify(b.program)), "");
  b.table().erase(b.table().begin());
  EXPECT_EQ(onlyKind(verify(b.program)), Fault::Kind::Race);
}

// Two buffers that take turns in a repeat may share bytes; two that do not may
// not, and both are named.
TEST(ScheduleVerifier, SharedBytes) {
  for (bool overlapping : {false, true}) {
    Builder b(2);
    int x = b.buffer(BufferKind::Input, {n, n});
    int p = b.buffer(BufferKind::Temp, {n, n});
    int q = b.buffer(BufferKind::Temp, {n, n});
    int y = b.buffer(BufferKind::Output, {n, n});
    int f = b.stage(n, {{Access::Read, rows()}, {Access::Write, rows()}});
    int g = b.stage(n, {{Access::Read, everything()}, {Access::Write, rows()}});
    b.table().push_back(b.run(f, {{x, 0}, {p, 0}}));
    b.table().push_back(Command::waitAll(0, 1));
    b.table().push_back(b.run(g, {{p, 0}, {y, 0}}));
    b.table().push_back(Command::waitAll(0, 2));
    b.table().push_back(b.run(f, {{x, 0}, {q, 0}}));
    b.table().push_back(Command::waitAll(0, 3));
    b.table().push_back(b.run(g, {{overlapping ? p : q, 0}, {y, 0}}));
    b.program.arenas[0].bytes = SizeExpr(256);
    b.program.buffers[p].offset = SizeExpr(0);
    b.program.buffers[q].offset = SizeExpr(0);
    std::vector<Fault> faults = verify(b.program);
    if (!overlapping) {
      EXPECT_EQ(messages(faults), "");
      // Without the second wait the one overtakes the other.
      b.table().erase(b.table().begin() + 3);
      b.table()[3].count = 3;
      faults = verify(b.program);
      ASSERT_EQ(onlyKind(faults), Fault::Kind::Overlap);
      EXPECT_NE(faults.front().message.find("%b2 and %b1 share bytes [0, 256)"),
                std::string::npos)
          << faults.front().message;
      continue;
    }
    ASSERT_EQ(onlyKind(faults), Fault::Kind::Unwritten);
    EXPECT_NE(faults.front().message.find("overwritten through %b2"),
              std::string::npos)
        << faults.front().message;
  }
}

// Whatever the synchronizer makes is right, no wait in it is superfluous, and
// the short form of repeats says the same as the full one.
TEST(ScheduleVerifier, Mutation) {
  std::mt19937 random(7);
  unsigned deleted = 0, shortened = 0;
  for (unsigned round = 0; round < 150; ++round) {
    Builder b = makeRandomProgram(random, 2 + round % 3);
    std::string error;
    ASSERT_TRUE(succeeded(insertWaits(b.program, error))) << error;
    VerifyOptions full;
    full.fullExpansion = true;
    ASSERT_EQ(messages(verify(b.program)), "") << "round " << round;
    ASSERT_EQ(messages(verify(b.program, full)), "") << "round " << round;
    std::optional<std::vector<int64_t>> counts = getShortCounts(b.program);
    ASSERT_TRUE(counts.has_value());
    for (size_t k = 0, r = 0; k < b.table().size(); ++k)
      if (b.table()[k].kind == Command::Kind::Repeat)
        shortened += (*counts)[r++] < b.table()[k].iterations;

    std::vector<std::pair<std::vector<Command> *, size_t>> waits;
    collectWaits(b.table(), waits);
    for (auto [list, position] : waits) {
      Command wait = (*list)[position];
      list->erase(list->begin() + position);
      std::vector<Fault> faults = verify(b.program);
      std::vector<Fault> fullFaults = verify(b.program, full);
      EXPECT_FALSE(faults.empty()) << "round " << round;
      EXPECT_EQ(faults.empty(), fullFaults.empty()) << "round " << round;
      if (!faults.empty()) {
        EXPECT_EQ(faults.front().kind, Fault::Kind::Race);
      }
      list->insert(list->begin() + position, wait);
      ++deleted;

      // One less is too early as well, or was enough anyway: both forms agree.
      (*list)[position].count = wait.count - 1;
      EXPECT_EQ(verify(b.program).empty(), verify(b.program, full).empty());
      (*list)[position].count = wait.count;
    }
  }
  EXPECT_GT(deleted, 300u);
  EXPECT_GT(shortened, 20u);
}

// Brute force: random programs with random waits are executed in many random
// orders; where one of them lets a reader see another writer's data than the
// program order does, the verifier must have found a fault.
TEST(ScheduleVerifier, AgreesWithExecution) {
  std::mt19937 random(11);
  unsigned wrong = 0, right = 0;
  for (unsigned round = 0; round < 200; ++round) {
    Builder b = makeRandomProgram(random, 2);
    std::string error;
    ASSERT_TRUE(succeeded(insertWaits(b.program, error))) << error;
    // Take out a random subset of the waits.
    std::vector<std::pair<std::vector<Command> *, size_t>> waits;
    collectWaits(b.table(), waits);
    std::reverse(waits.begin(), waits.end());
    for (auto [list, position] : waits)
      if (random() % 4 == 0)
        list->erase(list->begin() + position);
    bool faulty = !verify(b.program).empty();

    ExpandOptions options;
    options.shorten = false;
    mlir::FailureOr<FlatProgram> flat = expand(b.program, {}, options, error);
    ASSERT_TRUE(succeeded(flat)) << error;
    // Executes; each index of each unit holds the (timeline, command) that
    // wrote it. Returns what every read saw, by command.
    auto execute = [&](bool inOrder) {
      std::map<std::pair<int, int64_t>, std::vector<int64_t>> memory;
      std::vector<size_t> position(flat->timelines.size(), 0);
      std::vector<int64_t> done(flat->timelines.size(), 0);
      std::map<std::pair<size_t, size_t>, std::vector<int64_t>> seen;
      for (;;) {
        std::vector<size_t> ready;
        for (size_t t = 0; t < flat->timelines.size(); ++t) {
          const auto &commands = flat->timelines[t].commands;
          auto goesOn = [&](const FlatCommand &wait) {
            for (int v = wait.target; v < wait.targetEnd; ++v)
              if (v != int(t) && done[v] < wait.count)
                return false;
            return true;
          };
          while (position[t] < commands.size() &&
                 commands[position[t]].kind == FlatCommand::Kind::Wait &&
                 goesOn(commands[position[t]]))
            ++position[t];
          if (position[t] < commands.size() &&
              commands[position[t]].kind == FlatCommand::Kind::Work)
            ready.push_back(t);
        }
        if (ready.empty())
          return seen;
        // Program order: all timelines in step.
        size_t t = ready[random() % ready.size()];
        if (inOrder)
          for (size_t other : ready)
            if (done[other] < done[t] ||
                (done[other] == done[t] && other < t))
              t = other;
        const FlatCommand &work = flat->timelines[t].commands[position[t]];
        auto visit = [&](const FlatAccess &access, auto each) {
          auto &cells = memory[{access.buffer, access.slot}];
          cells.resize(n * n, -1);
          for (const Box &box : access.boxes)
            for (int64_t r = box.dims[0].first; r < box.dims[0].second; ++r)
              for (int64_t c = box.dims[1].first; c < box.dims[1].second; ++c)
                each(cells[r * n + c]);
        };
        for (const FlatAccess &access : work.accesses)
          if (reads(access.access))
            visit(access, [&](int64_t &cell) {
              seen[{t, size_t(done[t])}].push_back(cell);
            });
        for (const FlatAccess &access : work.accesses)
          if (writes(access.access))
            visit(access, [&](int64_t &cell) {
              cell = int64_t(t) * 1000 + done[t];
            });
        ++done[t];
        ++position[t];
      }
    };
    auto expected = execute(true);
    bool differs = false;
    for (unsigned attempt = 0; attempt < 30 && !differs; ++attempt)
      differs = execute(false) != expected;
    if (differs) {
      EXPECT_TRUE(faulty) << "round " << round;
    }
    wrong += differs;
    right += !faulty;
  }
  EXPECT_GT(wrong, 30u);
  EXPECT_GT(right, 10u);
}

// Sizes that are not known: by structure for all, and at sampled bindings.
TEST(ScheduleVerifier, SymbolicSizes) {
  for (bool aligned : {true, false}) {
    Builder b(2);
    b.program.symbols.push_back({"s", {1, 512}});
    SizeExpr s = SizeExpr::symbol("s");
    SizeExpr tiles = s.ceilDiv(32);
    int x = b.buffer(BufferKind::Input, {s, n});
    int h = b.buffer(BufferKind::Temp, {s, n});
    int y = b.buffer(BufferKind::Output, {s, n});
    Footprint rows32 = stepping({32, n}, {0});
    int f = b.stage(tiles, {{Access::Read, rows32}, {Access::Write, rows32}});
    // Tiles of 16 rows: cut elsewhere for some sizes.
    Footprint rows16 = stepping({16, n}, {0});
    int g = aligned ? f
                    : b.stage(s.ceilDiv(16), {{Access::Read, rows16},
                                              {Access::Write, rows16}});
    b.table().push_back(b.run(f, {{x, 0}, {h, 0}}));
    b.table().push_back(b.run(g, {{h, 0}, {y, 0}}));
    std::vector<Fault> faults = verify(b.program);
    EXPECT_EQ(faults.empty(), aligned) << messages(faults);
    std::string error;
    ASSERT_TRUE(succeeded(insertWaits(b.program, error))) << error;
    EXPECT_EQ(messages(verify(b.program)), "");
    EXPECT_EQ(b.table().size(), aligned ? 2u : 3u);
  }
}

// What no size that could be tried shows is found all the same.
TEST(ScheduleVerifier, SizesBeyondAllSamples) {
  auto make = [](SizeExpr tiles) {
    Builder b(2);
    b.program.symbols.push_back({"s", {1, 1 << 24}});
    SizeExpr s = SizeExpr::symbol("s");
    Footprint rows = stepping({64}, {0});
    int x = b.buffer(BufferKind::Input, {s});
    int h = b.buffer(BufferKind::Temp, {s});
    int y = b.buffer(BufferKind::Output, {s});
    int all = b.stage(s.ceilDiv(64), {{Access::Read, rows},
                                      {Access::Write, rows}});
    int some = b.stage(tiles, {{Access::Read, rows}, {Access::Write, rows}});
    b.table().push_back(b.run(some, {{x, 0}, {h, 0}}));
    b.table().push_back(Command::waitAll(0, 1));
    b.table().push_back(b.run(all, {{h, 0}, {y, 0}}));
    b.program.buffers[h].offset = SizeExpr(0);
    b.program.arenas[0].bytes = s * 4;
    return b;
  };
  SizeExpr tiles = SizeExpr::symbol("s").ceilDiv(64);
  EXPECT_EQ(messages(verify(make(tiles).program)), "");

  // Some rows are written up to 4096 only.
  Builder b = make(SizeExpr::min(tiles, 64));
  std::vector<Fault> faults = verify(b.program);
  ASSERT_EQ(onlyKind(faults), Fault::Kind::Unwritten) << messages(faults);
  EXPECT_NE(faults.front().message.find("for some sizes"), std::string::npos);
  b = make(SizeExpr::min(tiles, 64));
  std::swap(b.table()[0], b.table()[2]);
  std::swap(b.table()[0].operands, b.table()[2].operands);
  EXPECT_EQ(onlyKind(verify(b.program)), Fault::Kind::Output);

  // The arena is large enough up to 4096.
  b = make(tiles);
  b.program.arenas[0].bytes = SizeExpr(4096 * 4);
  EXPECT_EQ(onlyKind(verify(b.program)), Fault::Kind::Arena);

  // More tiles than there are, beyond 4096.
  b = make(tiles);
  b.table()[0].to = SizeExpr::max(b.table()[0].to,
                                  SizeExpr::symbol("s").floorDiv(4097) * 128);
  EXPECT_EQ(onlyKind(verify(b.program)), Fault::Kind::Malformed);

  // What comes before what may not depend on a size.
  b = make(tiles);
  b.table()[1].count = SizeExpr::min(SizeExpr::symbol("s"), 1);
  EXPECT_EQ(onlyKind(verify(b.program)), Fault::Kind::Malformed);
}

// Ranges of tiles that are cut elsewhere in every iteration are not alike, even
// if they are at all sizes that could be tried.
TEST(ScheduleVerifier, RangesMoveWithTheIteration) {
  Builder b(2);
  b.program.symbols.push_back({"s", {8, 1 << 20}});
  SizeExpr s = SizeExpr::symbol("s");
  Footprint row = stepping({1}, {0});
  int x = b.buffer(BufferKind::Input, {s});
  int y = b.buffer(BufferKind::Output, {s});
  int f = b.stage(s, {{Access::Read, row}, {Access::Write, row}});
  Command run = b.run(f, {{x, 0}, {y, 0}});
  b.table().push_back(run);
  EXPECT_EQ(messages(verify(b.program)), "");
  SizeExpr share = s.floorDiv(8192) * i() + 1;
  run.from = w() * share;
  run.to = (w() + 1) * share;
  b.table().push_back(Command::waitAll(0, 1));
  b.table().push_back(Command::repeat(4, "i", {run}));
  std::vector<Fault> faults = verify(b.program);
  EXPECT_TRUE(llvm::any_of(faults, [](const Fault &fault) {
    return fault.kind == Fault::Kind::Race;
  })) << messages(faults);
}

// How many iterations stand for all does not depend on the order in which slots
// are met.
TEST(ScheduleVerifier, PeriodsOfSlots) {
  std::vector<std::vector<int64_t>> counts;
  for (bool swapped : {false, true}) {
    Builder b(2);
    int x = b.buffer(BufferKind::Input, {n, n});
    int three = b.buffer(BufferKind::Temp, {n, n}, 3);
    int four = b.buffer(BufferKind::Temp, {n, n}, 4);
    int y = b.buffer(BufferKind::Output, {n, n});
    int f = b.stage(n, {{Access::Read, rows()}, {Access::Write, rows()}});
    int g = b.stage(n, {{Access::Read, columns()}, {Access::Write, rows()}});
    BufferRef first{three, i().mod(3)}, second{four, i().mod(4)};
    if (swapped)
      std::swap(first, second);
    std::vector<Command> body{b.run(f, {{x, 0}, first}),
                              b.run(g, {first, second}),
                              b.run(g, {second, {y, 0}})};
    b.table().push_back(Command::repeat(100, "i", body));
    std::string error;
    ASSERT_TRUE(succeeded(insertWaits(b.program, error))) << error;
    VerifyOptions full;
    full.fullExpansion = true;
    EXPECT_EQ(messages(verify(b.program)), "");
    EXPECT_EQ(messages(verify(b.program, full)), "");
    ASSERT_TRUE(getShortCounts(b.program).has_value());
    counts.push_back(*getShortCounts(b.program));
  }
  EXPECT_EQ(counts[0], counts[1]);
  // Both come round together after twelve.
  EXPECT_EQ(counts[0].front() % 12, 100 % 12);
  EXPECT_GE(counts[0].front(), 25);
}

// What lies in a stack of states is different bytes in every iteration.
TEST(ScheduleVerifier, StackedState) {
  Builder b(2);
  int x = b.buffer(BufferKind::Input, {n, n});
  int s = b.buffer(BufferKind::State, {n, n}, 12);
  int y = b.buffer(BufferKind::Output, {n, n});
  b.program.buffers[s].readBack = true;
  int f = b.stage(n, {{Access::Read, rows()}, {Access::Write, rows()}});
  int g = b.stage(n, {{Access::Read, columns()}, {Access::Write, rows()}});
  std::vector<Command> body{b.run(f, {{x, 0}, {s, i()}}),
                            b.run(g, {{s, i()}, {y, 0}})};
  b.table().push_back(Command::repeat(12, "i", body));
  std::string error;
  ASSERT_TRUE(succeeded(insertWaits(b.program, error))) << error;
  ASSERT_EQ(b.table().size(), 1u);
  ASSERT_EQ(b.table()[0].body.size(), 3u);
  EXPECT_EQ(b.table()[0].body[1].count.str(), (i() * 2 + 1).str());
  EXPECT_EQ(messages(verify(b.program)), "");
  ASSERT_TRUE(getShortCounts(b.program).has_value());
  EXPECT_EQ(getShortCounts(b.program)->front(), 3);
}

// The budget: 100,000 commands on 132 timelines. Prints the time; the test
// only asks for the right answer.
TEST(ScheduleVerifier, Large) {
  Builder b(132);
  constexpr int64_t size = 132 * 4;
  int x = b.buffer(BufferKind::Input, {size, size});
  int carried = b.buffer(BufferKind::Temp, {size, size}, 2);
  int mid = b.buffer(BufferKind::Temp, {size, size});
  int y = b.buffer(BufferKind::Output, {size, size});
  Footprint row = stepping({1, size}, {0}), column = stepping({size, 1}, {1});
  int f = b.stage(size, {{Access::Read, row}, {Access::Write, row}});
  int g = b.stage(size, {{Access::Read, column}, {Access::Write, column}});
  b.table().push_back(b.run(f, {{x, 0}, {carried, 0}}));
  std::vector<Command> body{b.run(g, {{carried, i().mod(2)}, {mid, 0}}),
                            b.run(f, {{mid, 0}, {carried, (i() + 1).mod(2)}})};
  b.table().push_back(Command::repeat(380, "i", body));
  b.table().push_back(b.run(f, {{carried, 0}, {y, 0}}));
  std::string error;
  auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(succeeded(insertWaits(b.program, error))) << error;
  std::chrono::duration<double> inserting =
      std::chrono::steady_clock::now() - start;
  VerifyOptions full;
  full.fullExpansion = true;
  ExpandOptions expandOptions;
  expandOptions.shorten = false;
  mlir::FailureOr<FlatProgram> flat =
      expand(b.program, {}, expandOptions, error);
  ASSERT_TRUE(succeeded(flat));
  size_t work = 0;
  for (const FlatTimeline &timeline : flat->timelines)
    work += timeline.signals.size();
  auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(messages(verify(b.program, full)), "");
  std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - begin;
  EXPECT_GE(work, 100000u);
  std::printf("%zu runs and %zu waits on %zu timelines: verified in %.2f s, "
              "waits found in %.2f s\n",
              work, flat->commandCount() - work, flat->timelines.size(),
              took.count(), inserting.count());
}
