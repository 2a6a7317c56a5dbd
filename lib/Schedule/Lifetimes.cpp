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
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/MemoryPlanner.h"
#include "headrace/Schedule/Verifier.h"
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

/// The touches of every slot of every temp, in the sequence of commands.
static std::vector<std::vector<std::vector<Touch>>>
collectTouches(const FlatProgram &flat, const Order &order) {
  const Program &program = *flat.program;
  std::vector<std::vector<std::vector<Touch>>> touches(program.buffers.size());
  for (auto [b, buffer] : llvm::enumerate(program.buffers))
    touches[b].resize(buffer.slots);
  std::vector<uint32_t> signals(flat.timelines.size(), 0);
  for (auto [timeline, command] : order.getSequence()) {
    ++signals[timeline];
    const FlatCommand &work = flat.timelines[timeline].commands[command];
    for (const FlatAccess &access : work.accesses)
      if (program.buffers[access.buffer].kind == BufferKind::Temp)
        touches[access.buffer][access.slot].push_back(
            {timeline, command, signals[timeline], &access});
  }
  return touches;
}

static std::vector<Life> findLives(const FlatProgram &flat, const Order &order,
                                   ArrayRef<Touch> touches) {
  std::vector<Life> lives;
  std::vector<bool> begins = findBeginnings(touches);
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
  for (auto [b, slots] : llvm::enumerate(collectTouches(flat, order)))
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
  std::vector<llvm::BitVector> conflicts(count, llvm::BitVector(count));
  for (const SymbolBindings &bindings : sampleBindings(program, 2)) {
    FailureOr<FlatProgram> flat = expand(program, bindings, {}, error);
    if (failed(flat))
      return failure();
    Order order(*flat);
    if (!order.isComplete()) {
      error = "the schedule has a deadlock";
      return failure();
    }
    std::vector<std::vector<std::vector<Touch>>> touches =
        collectTouches(*flat, order);
    std::vector<std::vector<Life>> lives(count);
    for (size_t b = 0; b < count; ++b)
      for (const std::vector<Touch> &slot : touches[b])
        llvm::append_range(lives[b], ::findLives(*flat, order, slot));

    auto conflict = [&](size_t a, size_t b) {
      for (const Life &one : lives[a])
        for (const Life &other : lives[b])
          if (!one.isBefore(other) && !other.isBefore(one))
            return true;
      return false;
    };
    for (size_t a = 0; a < count; ++a)
      for (size_t b = a + 1; b < count; ++b)
        if (!conflicts[a].test(b) && conflict(a, b)) {
          conflicts[a].set(b);
          conflicts[b].set(a);
        }
  }
  return conflicts;
}
