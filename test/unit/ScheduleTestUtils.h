//===- ScheduleTestUtils.h - Small schedules for tests --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TEST_UNIT_SCHEDULETESTUTILS_H
#define HEADRACE_TEST_UNIT_SCHEDULETESTUTILS_H

#include "headrace/Schedule/MemoryPlanner.h"
#include "headrace/Schedule/Program.h"
#include "headrace/Schedule/Synchronizer.h"
#include "headrace/Schedule/Verifier.h"
#include <gtest/gtest.h>
#include <random>

namespace headrace::schedule::test {

inline SizeExpr w() { return SizeExpr::symbol("w"); }
inline SizeExpr i() { return SizeExpr::symbol("i"); }

/// A footprint of a grid of rank one: the dimensions listed in `moving` step
/// with the tile by `extents[d]`, the others begin at 0.
inline Footprint stepping(std::vector<int64_t> extents,
                          std::vector<unsigned> moving) {
  Footprint footprint;
  for (int64_t extent : extents) {
    FootprintDim &dim = footprint.dims.emplace_back();
    dim.extent = extent;
    dim.coefficients = {0};
  }
  for (unsigned d : moving)
    footprint.dims[d].coefficients[0] = extents[d];
  return footprint;
}

struct Builder {
  Program program;

  explicit Builder(int64_t workers) {
    program.name = "test";
    program.arenas.push_back({"dram", std::nullopt, std::nullopt});
    Family family;
    family.name = "core";
    family.count = workers;
    program.families.push_back(family);
  }
  int64_t workers() const { return program.families[0].count; }

  int buffer(BufferKind kind, std::vector<SizeExpr> dims, int64_t slots = 1) {
    Buffer buffer;
    buffer.name = "b" + std::to_string(program.buffers.size());
    buffer.kind = kind;
    buffer.dims = std::move(dims);
    buffer.slots = slots;
    if (kind == BufferKind::Temp)
      buffer.arena = 0;
    program.buffers.push_back(std::move(buffer));
    return program.buffers.size() - 1;
  }
  int stage(SizeExpr tiles, std::vector<StageOperand> operands) {
    Stage stage;
    stage.name = "s" + std::to_string(program.stages.size());
    stage.grid = {tiles};
    stage.operands = std::move(operands);
    program.stages.push_back(std::move(stage));
    return program.stages.size() - 1;
  }
  /// An even share of the stage's tiles for each worker.
  Command run(int stage, std::vector<BufferRef> operands) {
    SizeExpr tiles = program.stages[stage].tileCount();
    Command command = Command::run(stage, (w() * tiles).floorDiv(workers()),
                                   ((w() + 1) * tiles).floorDiv(workers()),
                                   std::move(operands));
    command.id = nextId++;
    return command;
  }
  std::vector<Command> &table() { return program.families[0].commands; }
  int nextId = 0;
};

inline std::string messages(const std::vector<Fault> &faults) {
  std::string text;
  for (const Fault &fault : faults)
    text += fault.message + "\n";
  return text;
}

/// All waits of the table, as (list, position).
inline void collectWaits(std::vector<Command> &commands,
                         std::vector<std::pair<std::vector<Command> *, size_t>>
                             &waits) {
  for (size_t k = 0; k < commands.size(); ++k) {
    if (commands[k].kind == Command::Kind::Wait)
      waits.push_back({&commands, k});
    collectWaits(commands[k].body, waits);
  }
}

/// A random program without waits: stages over rows, columns or everything of
/// square buffers, some in a repeat, the last one into an output.
inline Builder makeRandomProgram(std::mt19937 &random, int64_t workers) {
  Builder b(workers);
  constexpr int64_t size = 8;
  auto pick = [&](unsigned n) { return unsigned(random() % n); };
  auto footprint = [&](unsigned kind) {
    switch (kind) {
    case 0:
      return stepping({1, size}, {0});
    case 1:
      return stepping({size, 1}, {1});
    default:
      return stepping({size, size}, {});
    }
  };
  int input = b.buffer(BufferKind::Input, {size, size});
  std::vector<BufferRef> sources{{input, 0}};
  auto addRun = [&](std::vector<Command> &into, BufferRef target) {
    std::vector<StageOperand> operands;
    std::vector<BufferRef> refs;
    unsigned reads = 1 + pick(2);
    for (unsigned r = 0; r < reads; ++r) {
      BufferRef source = sources[pick(sources.size())];
      if (source.buffer == target.buffer && source.slot == target.slot)
        continue;
      operands.push_back({Access::Read, footprint(pick(3))});
      refs.push_back(source);
    }
    operands.push_back({Access::Write, footprint(pick(2))});
    refs.push_back(target);
    // Some stages have one tile only.
    if (pick(5) == 0) {
      for (StageOperand &operand : operands)
        operand.footprint = stepping({size, size}, {});
      into.push_back(b.run(b.stage(1, operands), refs));
      return;
    }
    into.push_back(b.run(b.stage(size, operands), refs));
  };
  unsigned before = 1 + pick(3), after = 1 + pick(3);
  for (unsigned n = 0; n < before; ++n) {
    BufferRef target{b.buffer(BufferKind::Temp, {size, size}), 0};
    addRun(b.table(), target);
    sources.push_back(target);
  }
  if (pick(3)) {
    int64_t iterations = 1 + pick(8);
    int carried = b.buffer(BufferKind::Temp, {size, size}, 2);
    addRun(b.table(), {carried, 0});
    std::vector<BufferRef> outside = sources;
    sources.push_back({carried, i().mod(2)});
    std::vector<Command> body;
    unsigned inside = pick(3);
    for (unsigned n = 0; n < inside; ++n) {
      BufferRef target{b.buffer(BufferKind::Temp, {size, size}), 0};
      addRun(body, target);
      sources.push_back(target);
    }
    addRun(body, {carried, (i() + 1).mod(2)});
    Command repeat = Command::repeat(iterations, "i", std::move(body));
    repeat.id = b.nextId++;
    b.table().push_back(std::move(repeat));
    sources = std::move(outside);
    sources.push_back({carried, iterations % 2});
  }
  for (unsigned n = 0; n < after; ++n) {
    BufferRef target{b.buffer(BufferKind::Temp, {size, size}), 0};
    addRun(b.table(), target);
    sources.push_back(target);
  }
  addRun(b.table(), {b.buffer(BufferKind::Output, {size, size}), 0});
  return b;
}

} // namespace headrace::schedule::test
#endif // HEADRACE_TEST_UNIT_SCHEDULETESTUTILS_H
