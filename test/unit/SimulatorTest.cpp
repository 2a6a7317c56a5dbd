//===- SimulatorTest.cpp - Predicted times --------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ScheduleTestUtils.h"
#include "headrace/Schedule/Simulator.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace headrace;
using namespace headrace::schedule;
using namespace headrace::schedule::test;

namespace {
constexpr int64_t n = 1024;
constexpr double bytes = n * n * 4;

/// One cache per worker and a memory for all; 1 GB/s, 1 GFLOP/s.
MachineModel makeMachine(int64_t cacheBytes = 1 << 26) {
  MachineModel machine;
  auto makeLevel = [](const char *name, double bytesPerSecond) {
    hw::Memory level;
    level.name = name;
    level.read = level.write = level.ntWrite = {bytesPerSecond,
                                                hw::Provenance::Assumed};
    level.workerRead = level.workerWrite = level.workerNtWrite = level.read;
    return level;
  };
  machine.levels = {makeLevel("cache", 100e9), makeLevel("memory", 1e9)};
  machine.levels[0].bytes = {double(cacheBytes), hw::Provenance::Assumed};
  machine.levels[1].sharers = 1 << 20;
  machine.home = 1;
  machine.flopsPerSecond = 1e9;
  machine.syncSeconds = 1e-6;
  return machine;
}

/// y = f(x), z = g(y), by rows or with g reading columns.
Builder makeChain(int64_t workers, bool crossing, int64_t flops) {
  Builder b(workers);
  Footprint rows = stepping({16, n}, {0}), columns = stepping({n, 16}, {1});
  int x = b.buffer(BufferKind::Input, {n, n});
  int y = b.buffer(BufferKind::Temp, {n, n});
  int z = b.buffer(BufferKind::Output, {n, n});
  int f = b.stage(n / 16, {{Access::Read, rows}, {Access::Write, rows}});
  int g = b.stage(n / 16, {{Access::Read, crossing ? columns : rows},
                           {Access::Write, crossing ? columns : rows}});
  b.program.stages[f].flops = b.program.stages[g].flops = flops;
  b.table().push_back(b.run(f, {{x, 0}, {y, 0}}));
  b.table().push_back(b.run(g, {{y, 0}, {z, 0}}));
  std::string error;
  EXPECT_TRUE(succeeded(insertWaits(b.program, error))) << error;
  return b;
}

Simulation run(const Builder &b, const MachineModel &machine) {
  std::string error;
  auto result = simulate(b.program, machine, {}, error);
  EXPECT_TRUE(succeeded(result)) << error;
  return succeeded(result) ? std::move(*result) : Simulation();
}
} // namespace

/// A gather moves what it touches, not the table that it might touch, and does
/// not bring the table into the cache.
TEST(Simulator, GathersTouchSome) {
  Builder b(1);
  Footprint rows = stepping({16, n}, {0}), gathered = Footprint::all();
  gathered.touched = 16 * n;
  int table = b.buffer(BufferKind::Const, {8 * n, n});
  int y = b.buffer(BufferKind::Temp, {n, n});
  int z = b.buffer(BufferKind::Output, {8 * n, n});
  int f = b.stage(4, {{Access::Read, gathered}, {Access::Write, rows}});
  int g = b.stage(8 * n / 16, {{Access::Read, rows}, {Access::Write, rows}});
  b.table().push_back(b.run(f, {{table, 0}, {y, 0}}));
  b.table().push_back(b.run(g, {{table, 0}, {z, 0}}));
  Simulation result = run(b, makeMachine());
  ASSERT_EQ(result.commands.size(), 2u);
  double gatheredBytes = 4 * 16 * n * 4;
  EXPECT_DOUBLE_EQ(result.commands[0].bytes[1], gatheredBytes);
  EXPECT_DOUBLE_EQ(result.commands[0].bytes[0], 2 * gatheredBytes);
  // All of the table comes from memory afterwards.
  EXPECT_GE(result.commands[1].bytes[1], 8 * bytes);
}

TEST(Simulator, BoundByOperations) {
  MachineModel machine = makeMachine();
  Simulation one = run(makeChain(1, false, int64_t(1e9)), machine);
  EXPECT_NEAR(one.seconds, 2, 1e-9);
  EXPECT_EQ(one.commands[0].bound, -1);
  EXPECT_NEAR(one.flops, 2e9, 1);
  // Two workers, no memory to share: half the time.
  Simulation two = run(makeChain(2, false, int64_t(1e9)), machine);
  EXPECT_NEAR(two.seconds, 1, 1e-9);
  EXPECT_NEAR(two.timelines[0].busy, 1, 1e-9);
}

TEST(Simulator, BoundByMemory) {
  MachineModel machine = makeMachine();
  // x comes from memory; y stays in the cache, and z too.
  Simulation one = run(makeChain(1, false, 0), machine);
  EXPECT_NEAR(one.seconds, bytes / 1e9 + (bytes + bytes) / 100e9, 1e-9);
  EXPECT_EQ(one.commands[0].bound, 1);
  EXPECT_NEAR(one.bytes[1], bytes, 1);
  // The one memory is divided: two workers gain nothing on it.
  Simulation two = run(makeChain(2, false, 0), machine);
  EXPECT_NEAR(two.seconds, bytes / 1e9 + bytes / 100e9, 1e-9);
  EXPECT_NEAR(two.utilization[1], bytes / 1e9 / two.seconds, 1e-6);
}

TEST(Simulator, OneWorkerDoesNotReachAll) {
  MachineModel machine = makeMachine();
  machine.levels[1].workerRead.value = 0.5e9;
  Simulation one = run(makeChain(1, false, 0), machine);
  Simulation two = run(makeChain(2, false, 0), machine);
  EXPECT_NEAR(one.commands[0].end, bytes / 0.5e9, 1e-9);
  EXPECT_NEAR(two.commands[0].end, bytes / 1e9, 1e-9);
}

TEST(Simulator, SmallCachesHoldNothing) {
  Simulation small = run(makeChain(1, false, 0), makeMachine(1 << 12));
  // x in, y out, y in, z out.
  EXPECT_NEAR(small.bytes[1], 4 * bytes, 1);
  EXPECT_NEAR(small.seconds, 4 * bytes / 1e9, 1e-9);
}

TEST(Simulator, HalvedBandwidthDoublesTheTime) {
  MachineModel machine = makeMachine(1 << 12);
  double before = run(makeChain(1, false, 0), machine).seconds;
  machine.levels[1].read.value /= 2;
  machine.levels[1].write.value /= 2;
  EXPECT_NEAR(run(makeChain(1, false, 0), machine).seconds, 2 * before, 1e-9);
}

TEST(Simulator, WaitsCostOnlyWhenTheyWait) {
  MachineModel machine = makeMachine();
  Builder b = makeChain(2, true, int64_t(1e9));
  // Even halves: both arrive at once, and the wait is over when they come.
  Simulation even = run(b, machine);
  EXPECT_NEAR(even.seconds, 1, 1e-9);
  // Worker 1 gets three quarters of the first stage.
  b.table()[0].from = w() * 16;
  b.table()[0].to = w() * 48 + 16;
  Simulation uneven = run(b, machine);
  EXPECT_NEAR(uneven.seconds, 0.75 + 0.5 + 1e-6, 1e-9);
  EXPECT_NEAR(uneven.timelines[0].stalled, 0.5 + 1e-6, 1e-9);
  EXPECT_NEAR(uneven.timelines[1].stalled, 0, 1e-12);
}

TEST(Simulator, EnergyAndCost) {
  MachineModel machine = makeMachine(1 << 12);
  machine.levels[1].joulesPerByte = {1e-10, hw::Provenance::Assumed};
  machine.joulesPerFlop = 1e-11;
  machine.pricePerHour = 3.6;
  Simulation result = run(makeChain(1, false, int64_t(1e6)), machine);
  EXPECT_NEAR(result.joules, 4 * bytes * 1e-10 + 2e6 * 1e-11, 1e-9);
  EXPECT_NEAR(result.dollars, result.seconds / 1000, 1e-12);
  machine.watts = 100;
  result = run(makeChain(1, false, int64_t(1e6)), machine);
  EXPECT_NEAR(result.joules, 100 * result.seconds, 1e-9);
}

TEST(Simulator, MoverOverlapsWithWorker) {
  MachineModel machine = makeMachine();
  machine.moverBandwidth = 0.5e9;
  machine.moverLatency = 1e-3;
  Builder b(1);
  Footprint rows = stepping({16, n}, {0});
  int x = b.buffer(BufferKind::Input, {n, n});
  int near = b.buffer(BufferKind::Temp, {n, n});
  int y = b.buffer(BufferKind::Output, {n, n});
  int f = b.stage(n / 16, {{Access::Write, rows}});
  b.program.stages[f].flops = int64_t(1e9);
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
  b.table().push_back(b.run(f, {{y, 0}}));
  Simulation result = run(b, machine);
  EXPECT_NEAR(result.seconds, 1, 1e-9);
  EXPECT_NEAR(result.timelines[1].end, 1e-3 + 2 * bytes / 0.5e9, 2e-3 + bytes);
  EXPECT_GT(result.timelines[1].busy, bytes / 0.5e9);
}

TEST(Simulator, DeadlockIsSaid) {
  Builder b = makeChain(2, true, 0);
  b.table()[1].count = 2;
  std::string error;
  EXPECT_TRUE(failed(simulate(b.program, makeMachine(), {}, error)));
  EXPECT_NE(error.find("deadlock"), std::string::npos);
}

TEST(Simulator, DeterministicAndComplete) {
  std::mt19937 random(23);
  MachineModel machine = makeMachine(512);
  for (unsigned round = 0; round < 40; ++round) {
    Builder b = makeRandomProgram(random, 1 + round % 4);
    std::string error;
    ASSERT_TRUE(succeeded(insertWaits(b.program, error))) << error;
    for (Stage &stage : b.program.stages)
      stage.flops = int64_t(random() % 1000);
    Simulation one = run(b, machine), other = run(b, machine);
    EXPECT_EQ(one.seconds, other.seconds);
    size_t work = 0;
    for (const FlatTimeline &timeline : one.flat.timelines)
      work += timeline.signals.size();
    EXPECT_EQ(one.commands.size(), work);
    // Nothing begins before what it waits for has ended.
    std::vector<std::vector<double>> ends(one.flat.timelines.size());
    for (const SimulatedCommand &command : one.commands)
      ends[command.timeline].push_back(command.end);
    for (const SimulatedCommand &command : one.commands) {
      const auto &line = one.flat.timelines[command.timeline];
      for (int c = 0; c < command.command; ++c) {
        const FlatCommand &wait = line.commands[c];
        if (wait.kind != FlatCommand::Kind::Wait || wait.count <= 0)
          continue;
        for (int v = wait.target; v < wait.targetEnd; ++v)
          if (v != command.timeline) {
            EXPECT_LE(ends[v][wait.count - 1], command.begin + 1e-12);
          }
      }
    }
  }
}

TEST(Simulator, Trace) {
  MachineModel machine = makeMachine();
  Builder b = makeChain(2, true, int64_t(1e9));
  Simulation result = run(b, machine);
  std::string text;
  llvm::raw_string_ostream os(text);
  writeTrace(result, machine, os);
  auto json = llvm::json::parse(text);
  ASSERT_TRUE(bool(json));
  const llvm::json::Array *events =
      json->getAsObject()->getArray("traceEvents");
  ASSERT_NE(events, nullptr);
  size_t commands = 0;
  for (const llvm::json::Value &event : *events)
    commands += event.getAsObject()->getString("cat") == "command";
  EXPECT_EQ(commands, 4u);
}

TEST(Simulator, CallsOfOneWorkerWakeNobody) {
  MachineModel machine = makeMachine();
  machine.wakeSeconds = 10e-6;
  EXPECT_EQ(getCallSeconds(machine, 1), 0);
  EXPECT_DOUBLE_EQ(getCallSeconds(machine, 2), 12e-6);
  EXPECT_DOUBLE_EQ(getCallSeconds(machine, 4), 14e-6);
}
