//===- ChooseWorkers.cpp - How much work several workers are worth --------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A call chooses by one comparison: its work, an expression of its sizes, with a
// threshold per program. Along one path through the sizes (all symbols the same,
// as far as their ranges allow) the simulator says which program is fastest; the
// work at which that changes is the threshold, for calls off the path too.
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/HW/HW.h"
#include "headrace/Schedule/Passes.h"
#include "headrace/Schedule/SimulateProgram.h"
#include "llvm/ADT/MapVector.h"
#include <cmath>

namespace headrace {
#define GEN_PASS_DEF_CHOOSEWORKERSPASS
#include "headrace/Schedule/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;

static constexpr int64_t never = std::numeric_limits<int64_t>::max();
/// Symbols without a bound are not followed further than this.
static constexpr int64_t largestSample = 1 << 24;

/// Adds up what all runs compute for and what their bytes take at
/// `byteFemtoseconds` each.
static SizeExpr sumWork(const schedule::Program &program,
                        ArrayRef<schedule::Command> commands,
                        int64_t byteFemtoseconds) {
  SizeExpr sum = 0;
  for (const schedule::Command &command : commands) {
    if (command.kind == schedule::Command::Kind::Repeat) {
      sum = sum + sumWork(program, command.body, byteFemtoseconds) *
                      SizeExpr(command.iterations);
      continue;
    }
    if (command.kind != schedule::Command::Kind::Run)
      continue;
    sum = sum + program.stages[command.stage].compute;
    for (const schedule::BufferRef &ref : command.operands) {
      const schedule::Buffer &buffer = program.buffers[ref.buffer];
      SizeExpr time = buffer.elementBytes * byteFemtoseconds;
      for (const SizeExpr &dim : buffer.dims)
        time = time * dim;
      sum = sum + time;
    }
  }
  return sum;
}

namespace {
/// The programs of one entry.
class Choice {
public:
  Choice(ArrayRef<sched::ProgramOp> ops, const schedule::MachineModel &machine)
      : programs(ops), machine(machine), ranges(programs[0].getSymbolRanges()),
        names(programs[0].getSymbolNames()) {
    llvm::sort(programs, [](sched::ProgramOp a, sched::ProgramOp b) {
      return a.getWorkers() < b.getWorkers();
    });
    for (sched::ProgramOp program : programs)
      imported.push_back(importProgram(program));
  }
  LogicalResult run();

private:
  /// Every symbol at `size`, as far as its range allows.
  SymbolBindings bind(int64_t size) const {
    return bindSymbols(programs[0], size);
  }
  /// The number of the fastest program; on failure, `error` says what has no
  /// value at that size.
  FailureOr<size_t> findFastest(int64_t size, std::string &error) const;

  SmallVector<sched::ProgramOp> programs;
  const schedule::MachineModel &machine;
  SymbolRanges ranges;
  SmallVector<StringRef> names;
  std::vector<ImportedProgram> imported;
};
} // namespace

FailureOr<size_t> Choice::findFastest(int64_t size, std::string &error) const {
  size_t best = 0;
  double least = 0;
  for (size_t i = 0; i < programs.size(); ++i) {
    FailureOr<schedule::Simulation> simulation =
        schedule::simulate(imported[i].program, machine, bind(size), error);
    if (failed(simulation))
      return failure();
    int64_t workers = sched::ProgramOp(programs[i]).getWorkers();
    double seconds =
        simulation->seconds + schedule::getCallSeconds(machine, workers);
    if (i == 0 || seconds < least) {
      best = i;
      least = seconds;
    }
  }
  return best;
}

LogicalResult Choice::run() {
  // 1. The measure. Bytes come from where the data is at home, at worst.
  int64_t byteFemtoseconds = 1;
  if (!machine.levels.empty())
    if (double rate = machine.levels[machine.home].readPerWorker(1); rate > 0)
      byteFemtoseconds = std::max<int64_t>(1, std::llround(1e15 / rate));
  const schedule::Program &single = imported[0].program;
  SizeExpr work = 0;
  for (const schedule::Family &family : single.families)
    work = work + sumWork(single, family.commands, byteFemtoseconds);
  SmallVector<int64_t> from(programs.size(), never);
  from[0] = 0;

  // 2. From the least sizes to the largest, or until the last program is fastest.
  // Sizes below the least of all ranges are all the same.
  int64_t size = 1, largest = 1;
  bool first = true;
  for (StringRef name : names) {
    Interval range = ranges.lookup(name);
    int64_t least = std::max<int64_t>(range.min, 1);
    size = first ? least : std::min(size, least);
    largest = std::max(largest, range.max);
    first = false;
  }
  auto isWorth = [&](size_t number, int64_t at) {
    std::optional<int64_t> amount = work.evaluate(bind(at));
    from[number] = std::min(from[number], amount.value_or(never - 1));
  };
  size_t reached = 0;
  for (int64_t before = size; reached + 1 < programs.size();
       size = std::min(largest, 2 * size)) {
    std::string error;
    auto fail = [&] {
      return programs[0].emitError() << "cannot simulate: " << error;
    };
    FailureOr<size_t> fastest = findFastest(size, error);
    // What is counted at the size may be beyond all numbers; then it is beyond
    // all calls, too.
    if (failed(fastest) && size > before)
      break;
    if (failed(fastest))
      return fail();
    for (; reached < *fastest; ++reached) {
      // The least size at which more than the program so far is worth it.
      int64_t low = before, high = size;
      while (low + 1 < high) {
        int64_t middle = low + (high - low) / 2;
        FailureOr<size_t> there = findFastest(middle, error);
        if (failed(there))
          return fail();
        (*there > reached ? high : low) = middle;
      }
      isWorth(reached + 1, high);
    }
    if (size >= largest || size > largestSample)
      break;
    before = size;
  }

  // 3. As attributes.
  MLIRContext *context = programs[0].getContext();
  for (auto [program, amount] : llvm::zip(programs, from)) {
    program.setWorkAttr(hr::SizeAttr::get(context, work));
    program.setFromWork(amount);
  }
  return success();
}

namespace {
struct ChooseWorkersPass
    : headrace::impl::ChooseWorkersPassBase<ChooseWorkersPass> {
  using ChooseWorkersPassBase::ChooseWorkersPassBase;

  void runOnOperation() override {
    std::string error;
    FailureOr<hw::System> system = hw::System::load(target, error);
    if (failed(system)) {
      getOperation().emitError() << error;
      return signalPassFailure();
    }
    // Where workers do not sleep, all take part.
    if (system->getDevice().sync.wake.absent())
      return;
    schedule::MachineModel machine = getMachineModel(*system);
    llvm::MapVector<StringRef, SmallVector<sched::ProgramOp>> entries;
    for (auto program : getOperation().getOps<sched::ProgramOp>())
      entries[program.getEntry()].push_back(program);
    for (auto &[name, programs] : entries)
      if (failed(Choice(programs, machine).run()))
        return signalPassFailure();
  }
};
} // namespace
