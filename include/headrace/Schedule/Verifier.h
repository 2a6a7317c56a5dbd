//===- Verifier.h - Is a schedule right? ----------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Proves a schedule free of deadlocks, races and overlaps. Words:
//
//   order    the happens-before order of commands: those of one timeline in
//            their order, and what comes after a wait after the signal that it
//            waits for, and so on transitively
//   clock    per command and timeline, how many of that timeline's signals come
//            before the command in the order
//   unit     one slot of one buffer
//
// What is checked, for one binding of the symbols:
//
//   (a) all timelines come to their end when they advance greedily;
//   (b) two accesses to overlapping indices of a unit, one of them a write, are
//       ordered; and any two accesses of units that share bytes of an arena,
//       one of them a write. What a unit held is lost once a unit that shares
//       bytes with it is written;
//   (c) every index read was written before, or is input, constant or state;
//   (d) every index of every output is written;
//   (e) buffers lie inside their arenas, aligned, and arenas fit their memories;
//   (f) state is not read after it was written, unless the buffer says so;
//   (g) runs of stages whose stores a signal does not order carry the fence.
//
// (b) for units that share bytes is finer than "every access of the one before
// every access of the other": it holds per life of a buffer, so that buffers in
// a repeat may take turns.
//
// Repeats: see `getShortCounts`.
//
// Symbolic sizes: the order does not depend on them, which is checked, too. (b) to
// (f) are proved for all bindings at once by structure; what cannot be proved is a
// fault whose message begins with "for some sizes". Then everything is checked at
// the bindings of `sampleBindings` besides.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SCHEDULE_VERIFIER_H
#define HEADRACE_SCHEDULE_VERIFIER_H

#include "headrace/Schedule/Program.h"

namespace headrace::schedule {

struct Fault {
  enum class Kind {
    Malformed,
    Deadlock,
    Race,
    Overlap,
    Unwritten,
    Output,
    Arena,
    State,
    Fence
  };
  Kind kind = Kind::Malformed;
  std::string message;
  /// Ids of the commands concerned (`Command::id`), and what each does.
  std::vector<std::pair<int, std::string>> commands;
};

struct VerifyOptions {
  /// Stop after this many faults.
  size_t maxFaults = 8;
  /// Check all iterations of all repeats.
  bool fullExpansion = false;
  /// Random bindings of a symbolic program, besides the extreme ones.
  unsigned samples = 4;
};

/// All that is wrong with a program; empty if nothing is.
std::vector<Fault> verify(const Program &program,
                          const VerifyOptions &options = {});

/// The order of the commands of an expanded program.
class Order {
public:
  explicit Order(const FlatProgram &flat);

  /// Whether all timelines come to their end.
  bool isComplete() const { return complete; }
  /// Where each timeline stopped.
  llvm::ArrayRef<int> getPositions() const { return positions; }
  /// Runs and copies (timeline, command), each after all that comes before it.
  llvm::ArrayRef<std::pair<int, int>> getSequence() const { return sequence; }
  /// Per timeline, how many of its signals come before the command; of its own
  /// timeline the entry has no meaning.
  const uint32_t *getClock(int timeline, int command) const {
    return &clocks[size_t(epochs[timeline][command]) * width];
  }

private:
  size_t width;
  bool complete = true;
  std::vector<int> positions;
  std::vector<std::pair<int, int>> sequence;
  std::vector<std::vector<uint32_t>> epochs;
  std::vector<uint32_t> clocks;
};

} // namespace headrace::schedule
#endif // HEADRACE_SCHEDULE_VERIFIER_H
