//===- Lifetimes.cpp - Which buffers may share bytes ----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A life of a buffer's slot is a run of its accesses, in the sequence of
// commands, between two points at which nothing that it holds is read again.
// For a life it is enough to know, per timeline, the last signal that belongs
// to it, and how many signals come before all of it. One life is before another
// if its last signals come before all of the other.
//
// Where sizes are symbolic, the same holds for all of them at once: who comes
// before whom does not depend on sizes; every worker that has tiles for some
// size touches what its command touches; and a life begins where provably all
// that is read later is written anew.
//
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/MemoryPlanner.h"
#include "headrace/Schedule/Verifier.h"
#include "Regions.h"
#include "Structure.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::schedule;

namespace {
struct Life {
  /// Per timeline: last signal that belongs to it; 0 if none.
  std::vector<uint32_t> last;
  /// Per timeline: signals that come before all of it.
  std::vector<uint32_t> known;

  bool isBefore(const Life &other) const {
    for (size_t t = 0; t < last.size(); ++t)
      if (last[t] > other.known[t])
        return false;
    return true;
  }
};

struct Touch {
  int timeline;
  int command;
  uint32_t signal;
  const FlatAccess *access;
};
} // namespace

/// Whether a life begins at each of the touches of a slot.
static std::vector<bool> findBeginnings(ArrayRef<Touch> touches) {
  // What is read later and not written in between, from the end.
  BoxSet needed;
  std::vector<bool> begins(touches.size(), false);
  for (size_t i = touches.size(); i-- > 0;) {
    const FlatAccess &access = *touches[i].access;
    if (writes(access.access) && access.exact && !access.keeps)
      for (const Box &box : access.boxes)
        needed.subtract(box);
    if (reads(access.access))
      for (const Box &box : access.boxes)
        needed.add(box);
    // A command that also reads the buffer through another operand is one
    // touch with this one.
    bool sameCommand = i > 0 && touches[i - 1].timeline == touches[i].timeline &&
                       touches[i - 1].command == touches[i].command;
    begins[i] = i == 0 || (needed.empty() && !sameCommand);
  }
  return begins;
}

/// The same for all sizes; `structure` and `regions` are of the program.
static std::vector<bool> findBeginnings(const FlatProgram &flat,
                                        ArrayRef<Touch> touches,
                                        Structure &structure,
                                        Regions &regions) {
  const Program &program = *flat.program;
  // An execution of a command: what all timelines do of it in one iteration.
  struct Pieces {
    int64_t count = 0;
    size_t reads = 0; // when the last of them was met
  };
  std::map<std::tuple<const Command *, int, SmallVector<int64_t, 1>>, Pieces>
      executions;
  // What is read later and not written in between, from the end; and how many
  // reads were met.
  SymbolicBoxes needed;
  size_t numReads = 0;
  std::vector<bool> begins(touches.size(), false);
  for (size_t i = touches.size(); i-- > 0;) {
    const FlatTimeline &line = flat.timelines[touches[i].timeline];
    const FlatCommand &work = line.commands[touches[i].command];
    const FlatAccess &access = *touches[i].access;
    if (writes(access.access) && !access.keeps) {
      Pieces &pieces =
          executions[{work.command, access.operand, work.iterations}];
      if (pieces.count++ == 0)
        pieces.reads = numReads;
      int64_t workers = 0;
      for (int64_t w = 0; w < program.families[line.family].count; ++w)
        workers += structure.mayBeActive(*work.command, line.family, w);
      // Who reads in between may read what was there before.
      if (pieces.count == workers * work.command->parts &&
          pieces.reads == numReads)
        for (const SymbolicBox &region :
             regions.getInner(*work.command, line.family, access.operand))
          regions.subtract(needed, region);
    }
    if (reads(access.access)) {
      ++numReads;
      const SymbolicBox &region =
          regions.getOuter(*work.command, line.family, access.operand);
      if (!regions.isEmpty(region) &&
          llvm::none_of(needed, [&](const SymbolicBox &known) {
            return known.dims == region.dims;
          }))
        needed.push_back(region);
    }
    bool sameCommand = i > 0 && touches[i - 1].timeline == touches[i].timeline &&
                       touches[i - 1].command == touches[i].command;
    begins[i] = i == 0 || (needed.empty() && !sameCommand);
  }
  return begins;
}

/// The touches of every slot of every temp, in the sequence of commands; only of
/// those commands of a timeline for which `isActive`.
static std::vector<std::vector<std::vector<Touch>>> collectTouches(
    const FlatProgram &flat, const Order &order,
    llvm::function_ref<bool(const FlatTimeline &, const FlatCommand &)>
        isActive) {
  const Program &program = *flat.program;
  std::vector<std::vector<std::vector<Touch>>> touches(program.buffers.size());
  for (auto [b, buffer] : llvm::enumerate(program.buffers))
    touches[b].resize(buffer.slots);
  std::vector<uint32_t> signals(flat.timelines.size(), 0);
  for (auto [timeline, command] : order.getSequence()) {
    ++signals[timeline];
    const FlatCommand &work = flat.timelines[timeline].commands[command];
    if (!isActive(flat.timelines[timeline], work))
      continue;
    for (const FlatAccess &access : work.accesses)
      if (program.buffers[access.buffer].kind == BufferKind::Temp)
        touches[access.buffer][access.slot].push_back(
            {timeline, command, signals[timeline], &access});
  }
  return touches;
}

static std::vector<Life> makeLives(const FlatProgram &flat, const Order &order,
                                   ArrayRef<Touch> touches,
                                   const std::vector<bool> &begins) {
  std::vector<Life> lives;
  size_t width = flat.timelines.size();
  for (auto [i, touch] : llvm::enumerate(touches)) {
    const uint32_t *clock = order.getClock(touch.timeline, touch.command);
    if (begins[i]) {
      Life &life = lives.emplace_back();
      life.last.assign(width, 0);
      life.known.assign(width, std::numeric_limits<uint32_t>::max());
    }
    Life &life = lives.back();
    life.last[touch.timeline] = touch.signal;
    for (size_t t = 0; t < width; ++t) {
      uint32_t known = int(t) == touch.timeline ? touch.signal - 1 : clock[t];
      life.known[t] = std::min(life.known[t], known);
    }
  }
  return lives;
}

std::vector<BufferLife> schedule::findLives(const FlatProgram &flat) {
  std::vector<BufferLife> lives;
  Order order(flat);
  auto always = [](const FlatTimeline &, const FlatCommand &) { return true; };
  for (auto [b, slots] : llvm::enumerate(collectTouches(flat, order, always)))
    for (auto [slot, touches] : llvm::enumerate(slots)) {
      std::vector<bool> begins = findBeginnings(touches);
      for (auto [i, touch] : llvm::enumerate(touches)) {
        if (begins[i])
          lives.push_back({int(b), int64_t(slot), {}});
        lives.back().commands.push_back({touch.timeline, touch.command});
      }
    }
  return lives;
}

FailureOr<std::vector<llvm::BitVector>>
schedule::findConflicts(const Program &program, std::string &error) {
  size_t count = program.buffers.size();
  bool symbolic = !program.symbols.empty();
  ExpandOptions options;
  options.emptyAccesses = symbolic;
  // The order of commands is that of every binding.
  FailureOr<FlatProgram> flat = expand(
      program, sampleBindings(program.symbols, 0).front(), options, error);
  if (failed(flat))
    return failure();
  Order order(*flat);
  if (!order.isComplete()) {
    error = "the schedule has a deadlock";
    return failure();
  }
  Structure structure(program);
  Regions regions(program);
  auto isActive = [&](const FlatTimeline &line, const FlatCommand &work) {
    return structure.mayBeActive(*work.command, line.family, line.number);
  };
  std::vector<std::vector<Life>> lives(count);
  for (auto [b, slots] :
       llvm::enumerate(collectTouches(*flat, order, isActive)))
    for (const std::vector<Touch> &touches : slots)
      llvm::append_range(
          lives[b],
          makeLives(*flat, order, touches,
                    symbolic
                        ? findBeginnings(*flat, touches, structure, regions)
                        : findBeginnings(touches)));

  std::vector<llvm::BitVector> conflicts(count, llvm::BitVector(count));
  auto conflict = [&](size_t a, size_t b) {
    for (const Life &one : lives[a])
      for (const Life &other : lives[b])
        if (!one.isBefore(other) && !other.isBefore(one))
          return true;
    return false;
  };
  for (size_t a = 0; a < count; ++a)
    for (size_t b = a + 1; b < count; ++b)
      if (conflict(a, b)) {
        conflicts[a].set(b);
        conflicts[b].set(a);
      }
  return conflicts;
}
