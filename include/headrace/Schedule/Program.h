//===- Program.h - A schedule without IR ----------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The data model that the verifier, the memory planner, the simulator and the
// synchronizer share; the `sched` dialect is its textual form. Words:
//
//   family     timelines that execute one table of commands, each with its own
//              number (`index`) as a parameter
//   signal     a completed run (one per part) or copy; adds one to the counter
//              of its timeline
//   footprint  what one tile of a stage touches of an operand: a rectangle of
//              the buffer's index space
//   box        a rectangle with known corners
//
// A `Program` is symbolic: sizes, ranges and counts are expressions of the
// entry's symbols, of the number of the timeline and of that of the iteration.
// `expand` gives the commands of every timeline one by one for one binding of
// the symbols: a `FlatProgram`.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SCHEDULE_PROGRAM_H
#define HEADRACE_SCHEDULE_PROGRAM_H

#include "headrace/Support/SizeExpr.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <map>
#include <string>
#include <vector>

namespace headrace::schedule {

enum class BufferKind { Input, Output, Temp, Const, State };
enum class Access { Read, Write, ReadWrite };
enum class StoreClass { Normal, NonTemporal, Async };

inline bool reads(Access access) { return access != Access::Write; }
inline bool writes(Access access) { return access != Access::Read; }

/// One block of one memory.
struct Arena {
  std::string name;
  /// Size in bytes; nullopt until offsets are assigned.
  std::optional<SizeExpr> bytes;
  /// What the memory holds, in bytes; nullopt if unknown.
  std::optional<int64_t> capacity;
};

/// What each worker needs besides.
struct Scratch {
  int64_t bytes = 0;
  /// A memory of which each worker has its own; empty: that of the first arena.
  std::string memory;
  /// What that memory holds, in bytes; nullopt if unknown.
  std::optional<int64_t> capacity;
};

struct Buffer {
  std::string name;
  BufferKind kind = BufferKind::Temp;
  std::vector<SizeExpr> dims;
  int64_t elementBytes = 4;
  int64_t slots = 1;
  int64_t align = 64;
  /// Number of the arena; -1 where the runtime decides (inputs, constants...).
  int arena = -1;
  /// Byte offset of slot 0, and bytes from slot to slot.
  std::optional<SizeExpr> offset;
  SizeExpr stride = 0;
  /// State only: reads after the call's write mean the new value.
  bool readBack = false;

  /// Bytes of one slot, without padding.
  SizeExpr slotBytes() const;
};

/// Where the rectangle of a tile begins and how far it goes, in one dimension:
/// `base + sum of coefficients[k] * coordinate k`, clamped to the buffer.
struct FootprintDim {
  int64_t base = 0;
  llvm::SmallVector<int64_t, 4> coefficients;
  SizeExpr extent = 1;
  /// If set, the origin is this expression of `d0`, `d1`, ... instead.
  std::optional<SizeExpr> origin;

  bool operator==(const FootprintDim &) const = default;
};

struct Footprint {
  /// The whole buffer, whatever the tile: data-dependent accesses.
  bool whole = false;
  std::vector<FootprintDim> dims;
  /// Indices that a tile touches at most, where it is not known which. Proofs
  /// do without; predictions need it.
  std::optional<SizeExpr> touched = std::nullopt;

  static Footprint all() { return {true, {}, std::nullopt}; }
};

struct StageOperand {
  Access access = Access::Read;
  Footprint footprint;
  /// An update in place: some of the footprint may keep its value. The buffer
  /// must not lose what it holds.
  bool keeps = false;
};

struct Stage {
  std::string name;
  std::vector<SizeExpr> grid;
  std::vector<StageOperand> operands;
  StoreClass stores = StoreClass::Normal;
  /// Operations of all tiles together; 0 if unknown.
  SizeExpr flops = 0;
  /// Femtoseconds that one worker would compute for, had it every byte at hand;
  /// 0 if unknown.
  SizeExpr compute = 0;

  SizeExpr tileCount() const;
};

/// A buffer as a command names it.
struct BufferRef {
  int buffer = 0;
  SizeExpr slot = 0;
};

struct Command {
  enum class Kind { Run, Copy, Wait, Repeat };
  Kind kind = Kind::Run;
  /// Whoever made the program finds its own command again by this.
  int id = -1;

  // Run: tiles [from, to) of `stage`, in `parts`. Copy: source, then
  // destination, in `operands`.
  int stage = 0;
  SizeExpr from, to; // also Wait: numbers of timelines
  std::vector<BufferRef> operands;
  int64_t parts = 1;
  std::string fence;
  std::vector<SizeExpr> sourceOrigin, destOrigin, extent;

  // Wait: until the counters of timelines [from, to) of `family` are `count`.
  int family = 0;
  SizeExpr count;
  /// Only timelines [byFrom, byTo) wait.
  int64_t byFrom = 0, byTo = std::numeric_limits<int64_t>::max();

  // Repeat.
  int64_t iterations = 0;
  std::string index;
  std::vector<Command> body;

  static Command run(int stage, SizeExpr from, SizeExpr to,
                     std::vector<BufferRef> operands);
  static Command wait(int family, SizeExpr from, SizeExpr to, SizeExpr count);
  static Command waitAll(int family, SizeExpr count);
  static Command repeat(int64_t iterations, std::string index,
                        std::vector<Command> body);
};

struct Family {
  std::string name;
  /// The name of the number of a timeline in expressions.
  std::string index = "w";
  int64_t count = 1;
  bool mover = false;
  std::vector<Command> commands;
};

struct Symbol {
  std::string name;
  Interval range;
};

struct Program {
  std::string name;
  std::vector<Symbol> symbols;
  /// What holds of the symbols in every call, besides their ranges
  /// (SizeCondition.h).
  std::vector<SizeExpr> conditions;
  std::vector<Arena> arenas;
  Scratch scratch;
  std::vector<Buffer> buffers;
  std::vector<Stage> stages;
  std::vector<Family> families;
  /// Per class of stores that a signal does not order by itself: the fence.
  std::map<StoreClass, std::string> fences;

  SymbolRanges symbolRanges() const;
  int64_t timelineCount() const;
  /// Number of the first timeline of a family.
  int64_t firstTimeline(int family) const;
};

/// What a call adds to the counter of each timeline that runs `commands`.
int64_t countSignals(llvm::ArrayRef<Command> commands);

//===----------------------------------------------------------------------===//
// Boxes
//===----------------------------------------------------------------------===//

/// A rectangle of indices, half open. Without dimensions: one element.
struct Box {
  llvm::SmallVector<std::pair<int64_t, int64_t>, 4> dims;

  bool empty() const;
  bool overlaps(const Box &other) const;
  bool contains(const Box &other) const;
  Box intersect(const Box &other) const;
  int64_t volume() const;
  /// `[0, 16) x [32, 64)`
  std::string str() const;
  bool operator==(const Box &other) const { return dims == other.dims; }
};

/// A set of indices as disjoint boxes.
class BoxSet {
public:
  BoxSet() = default;
  explicit BoxSet(Box box);
  bool empty() const { return boxes.empty(); }
  bool overlaps(const Box &box) const;
  void subtract(const Box &box);
  void add(const Box &box);
  int64_t volume() const;
  llvm::ArrayRef<Box> getBoxes() const { return boxes; }

private:
  std::vector<Box> boxes;
};

/// What the tiles [from, to) of a grid touch of an operand. `exact` is cleared
/// if the boxes may hold indices that no tile touches.
std::vector<Box> touchedBoxes(const Footprint &footprint,
                              llvm::ArrayRef<int64_t> grid,
                              llvm::ArrayRef<int64_t> extents,
                              llvm::ArrayRef<int64_t> dims, int64_t from,
                              int64_t to, const SymbolBindings &bindings,
                              bool &exact);

//===----------------------------------------------------------------------===//
// Expansion
//===----------------------------------------------------------------------===//

struct FlatAccess {
  int buffer = 0;
  int64_t slot = 0;
  Access access = Access::Read;
  /// Number of the operand.
  int operand = 0;
  /// All indices in `boxes` are touched, not just some.
  bool exact = true;
  /// See StageOperand.
  bool keeps = false;
  llvm::SmallVector<Box, 1> boxes;
  /// How many of the indices in `boxes` are touched, where it is not known
  /// which; -1: all.
  int64_t loose = -1;

  /// The number of indices touched.
  int64_t volume() const;
};

/// A part of a run, a copy, or a wait.
struct FlatCommand {
  enum class Kind { Work, Wait };
  Kind kind = Kind::Work;
  const Command *command = nullptr;
  /// Numbers of the iterations around it, as the program counts them.
  llvm::SmallVector<int64_t, 1> iterations;
  /// Which part of a run.
  int64_t part = 0;
  /// Work: tiles.
  int64_t from = 0, to = 0;
  std::vector<FlatAccess> accesses;
  /// Wait: timelines [target, targetEnd), its own passed over, and the signal
  /// that is waited for (1: the first).
  int target = 0, targetEnd = 0;
  int64_t count = 0;
};

struct FlatTimeline {
  int family = 0;
  int64_t number = 0;
  std::vector<FlatCommand> commands;
  /// For each signal, the command that gives it.
  std::vector<int> signals;
  /// For each signal, the value of the counter after it in the program as
  /// written (of the first iterations, where some were left out).
  std::vector<int64_t> counts;
};

struct FlatProgram {
  const Program *program = nullptr;
  SymbolBindings bindings;
  std::vector<FlatTimeline> timelines;
  /// Corners of every buffer's index space.
  std::vector<Box> wholes;

  size_t commandCount() const;
  /// `run @A (tiles [0, 4)) of @core[1], iteration 2`
  std::string describe(int timeline, int command) const;
};

struct ExpandOptions {
  /// Leave out the middle iterations of repeats where they are provably like
  /// those that stay; see `getShortCounts`.
  bool shorten = true;
  /// Give up beyond this number of commands.
  size_t maxCommands = size_t(1) << 20;
  /// Without accesses: only runs, copies and waits.
  bool accesses = true;
  /// Keep accesses that touch nothing at this binding.
  bool emptyAccesses = false;
};

/// All commands of all timelines, or an error.
mlir::FailureOr<FlatProgram> expand(const Program &program,
                                    const SymbolBindings &bindings,
                                    const ExpandOptions &options,
                                    std::string &error);

/// How many iterations of each top-level repeat stand for all of them, or
/// nullopt if the structure does not allow to leave any out. The families'
/// repeats must correspond: the r-th of each has the same number of iterations.
///
/// Let p be the period of the slots in the body (1, 2 for `i mod 2`, ...). If
/// waits inside a body reach no later than the same iteration and no earlier
/// than the one before, the order of commands is the same for every shift by p
/// iterations. A conflict between iterations j and j + g with g > p is ordered
/// because that between j and j + g - p is, and because the second command's
/// timeline executes the same command again p iterations later. So max(3, 2p +
/// 1) iterations, plus as many as make the number congruent to the real one
/// modulo p, hold every kind of conflict; what comes after the repeat sees the
/// same last iterations.
std::optional<std::vector<int64_t>> getShortCounts(const Program &program);

/// Bindings at which symbolic programs are checked: all least, all largest
/// (capped), each symbol alone at its ends, and `samples` in between, the same
/// every time. Where the program's conditions do not hold, a binding near by
/// for which they do. Never empty: of a program for which none was found, it is
/// one that may not fulfil them.
std::vector<SymbolBindings> sampleBindings(const Program &program,
                                           unsigned samples);

} // namespace headrace::schedule
#endif // HEADRACE_SCHEDULE_PROGRAM_H
