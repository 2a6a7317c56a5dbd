//===- AllSizes.cpp - Is a schedule right for all sizes? ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Who comes before whom does not depend on sizes. What does is which indices a
// command touches and which buffers share bytes; both are taken from expressions
// (Structure.h, Regions.h), in the worst case: a worker whose range of tiles is
// not empty for all sizes works, accesses that are not provably apart meet, and
// buffers that are not provably apart share all their bytes.
//
// Commands are looked at once, in one order that fits all waits. Since accesses
// that may meet are ordered by waits, what is true in this order is true in
// every other: so reads are held against what was written so far.
//
//===----------------------------------------------------------------------===//
#include "AllSizes.h"
#include "Regions.h"
#include "SharedBytes.h"
#include "Structure.h"
#include "headrace/Support/SizeCondition.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/STLExtras.h"
#include <set>

using namespace mlir;
using namespace headrace;
using namespace headrace::schedule;

namespace {
struct Use {
  const Command *command;
  int operand;
  int index; // of the flat command
  uint32_t signal;
  bool write;
};

struct Unit {
  int buffer = 0;
  int64_t slot = 0;
  /// Per timeline, the latest use by each operand of each command.
  std::vector<std::vector<Use>> uses;
  /// Per timeline, the last signal that reads or writes.
  std::vector<uint32_t> lastRead, lastWrite;
  bool touched = false;
  /// What is known to be written, and still there.
  SymbolicBoxes written;
  /// Who overwrote what it held, if anyone did: a unit.
  int clobberedBy = -1;
  /// Grows whenever something is overwritten.
  unsigned age = 0;
};

/// What all timelines do of one command in one iteration.
using Execution = std::pair<const Command *, SmallVector<int64_t, 1>>;

struct Progress {
  int64_t pieces = 0;
  /// Per operand, the age of its unit when the first piece was done.
  SmallVector<std::pair<int, unsigned>, 4> ages;
};

class AllSizes {
public:
  AllSizes(const FlatProgram &flat, const Order &order,
           const VerifyOptions &options, std::vector<Fault> &faults)
      : flat(flat), program(*flat.program), order(order), options(options),
        faults(faults), structure(program), regions(program),
        ranges(program.symbolRanges()), width(flat.timelines.size()) {}

  void run();

private:
  bool full() const { return faults.size() >= options.maxFaults; }
  void add(Fault::Kind kind, const Twine &message,
           std::vector<std::pair<int, std::string>> commands = {}) {
    if (!full())
      faults.push_back({kind, ("for some sizes, " + message).str(),
                        std::move(commands)});
  }
  bool isLessEqual(const SizeExpr &a, const SizeExpr &b) const {
    return condition::isLessEqual(a, b, ranges, program.conditions);
  }
  std::string name(const Unit &unit) const;
  std::string missingWait(int timeline, uint32_t signal) const;

  void checkRanges();
  void checkRange(const Family &family, const Command &command,
                  SymbolRanges inside);
  void checkPlaces();
  void check(int timeline, int command);
  void checkOrder(int timeline, int command, const FlatAccess &access);
  void checkShared(int timeline, int command, const FlatAccess &access);
  void checkWritten(int timeline, int command, const FlatAccess &access);
  void update(int timeline, int command);
  void clobber(int number);
  void checkOutputs();

  int numberOf(const FlatAccess &access) const {
    return firstUnit[access.buffer] + access.slot;
  }

  const FlatProgram &flat;
  const Program &program;
  const Order &order;
  const VerifyOptions &options;
  std::vector<Fault> &faults;
  Structure structure;
  Regions regions;
  SymbolRanges ranges;
  size_t width;
  std::vector<Unit> units;
  std::vector<int> firstUnit;
  /// Per buffer, those that may share bytes with it.
  std::vector<SmallVector<int>> sharing;
  /// Per timeline, signals of commands already looked at.
  std::vector<uint32_t> signals;
  std::map<Execution, Progress> open;
  std::set<std::tuple<const Command *, const Command *, Fault::Kind>> said;
  /// Reads of an execution that were found good, at what age of the unit.
  std::map<std::pair<Execution, int>, unsigned> covered;
};
} // namespace

std::string AllSizes::name(const Unit &unit) const {
  const Buffer &buffer = program.buffers[unit.buffer];
  std::string text = "%" + buffer.name;
  if (buffer.slots > 1)
    text += "[" + std::to_string(unit.slot) + "]";
  return text;
}

std::string AllSizes::missingWait(int timeline, uint32_t signal) const {
  const FlatTimeline &line = flat.timelines[timeline];
  return "wait @" + program.families[line.family].name + "[" +
         std::to_string(line.number) +
         "] >= " + std::to_string(line.counts[signal - 1]);
}

//===----------------------------------------------------------------------===//
// Tiles and places
//===----------------------------------------------------------------------===//

/// Runs stay among the tiles of their stage, copies inside their buffers;
/// `inside` has the ranges of all names that the command may use.
void AllSizes::checkRange(const Family &family, const Command &command,
                          SymbolRanges inside) {
  if (command.kind == Command::Kind::Repeat) {
    inside[command.index] = {0, command.iterations - 1};
    for (const Command &inner : command.body)
      checkRange(family, inner, inside);
    return;
  }
  auto holds = [&](const SizeExpr &a, const SizeExpr &b) {
    return condition::isLessEqual(a, b, inside, program.conditions);
  };
  if (command.kind == Command::Kind::Copy) {
    for (int side : {0, 1}) {
      const Buffer &buffer = program.buffers[command.operands[side].buffer];
      const auto &origin = side ? command.destOrigin : command.sourceOrigin;
      for (auto [from, extent, size] :
           llvm::zip(origin, command.extent, buffer.dims))
        if (!holds(0, from) || !holds(from + extent, size))
          add(Fault::Kind::Malformed,
              "a copy of [" + from.str() + ", " + (from + extent).str() +
                  ") may be outside %" + buffer.name + ", which is " +
                  size.str(),
              {{command.id, "the copy"}});
    }
    return;
  }
  if (command.kind != Command::Kind::Run)
    return;
  const Stage &stage = program.stages[command.stage];
  SizeExpr tiles = stage.tileCount();
  int number = &family - program.families.data();
  if (!regions.getSplit(command, number).isInside &&
      !(holds(0, command.from) && holds(command.to, tiles)))
    add(Fault::Kind::Malformed,
        "tiles [" + command.from.str() + ", " + command.to.str() + ") of @" +
            stage.name + " may not be among its " + tiles.str(),
        {{command.id, "the run"}});
}

void AllSizes::checkRanges() {
  for (const Family &family : program.families)
    for (const Command &command : family.commands) {
      SymbolRanges inside = ranges;
      inside[family.index] = {0, family.count - 1};
      checkRange(family, command, std::move(inside));
    }
}

/// Buffers lie inside their arenas, aligned.
void AllSizes::checkPlaces() {
  for (const Buffer &buffer : program.buffers) {
    if (buffer.arena < 0 || !buffer.offset)
      continue;
    const Arena &arena = program.arenas[buffer.arena];
    SizeExpr end = *buffer.offset + buffer.stride * (buffer.slots - 1) +
                   buffer.slotBytes();
    if (!isLessEqual(0, *buffer.offset) || !isLessEqual(0, buffer.stride) ||
        !arena.bytes || !isLessEqual(end, *arena.bytes))
      add(Fault::Kind::Arena,
          "%" + buffer.name + " at " + buffer.offset->str() +
              " may not lie inside arena @" + arena.name + ", which has " +
              (arena.bytes ? arena.bytes->str() + " bytes" : "no size"));
    if (!buffer.offset->isMultipleOf(buffer.align) ||
        (buffer.slots > 1 && !buffer.stride.isMultipleOf(buffer.align)))
      add(Fault::Kind::Arena, "%" + buffer.name + " at " +
                                  buffer.offset->str() +
                                  " may not be aligned to " +
                                  std::to_string(buffer.align) + " bytes");
    if (buffer.slots > 1 && !isLessEqual(buffer.slotBytes(), buffer.stride))
      add(Fault::Kind::Overlap, "slots of %" + buffer.name + ", " +
                                    buffer.stride.str() +
                                    " bytes apart, may share bytes");
  }
}

//===----------------------------------------------------------------------===//
// Commands
//===----------------------------------------------------------------------===//

/// Accesses of a unit that may meet are ordered; state is not read back.
void AllSizes::checkOrder(int timeline, int command,
                          const FlatAccess &access) {
  const FlatTimeline &line = flat.timelines[timeline];
  const FlatCommand &work = line.commands[command];
  const uint32_t *clock = order.getClock(timeline, command);
  const Unit &unit = units[numberOf(access)];
  const Buffer &buffer = program.buffers[access.buffer];
  bool write = writes(access.access);
  bool stateRead = reads(access.access) && buffer.kind == BufferKind::State &&
                   !buffer.readBack;
  for (size_t v = 0; v < width; ++v) {
    const FlatTimeline &other = flat.timelines[v];
    for (const Use &use : unit.uses[v]) {
      if (!write && !use.write)
        continue;
      bool before = int(v) == timeline || clock[v] >= use.signal;
      bool readsBack = stateRead && use.write && before;
      if ((before && !readsBack) ||
          !structure.mayOverlap(*use.command, use.operand, other.family,
                                other.number, *work.command, access.operand,
                                line.family, line.number))
        continue;
      Fault::Kind kind = before ? Fault::Kind::State : Fault::Kind::Race;
      if (full() || !said.insert({work.command, use.command, kind}).second)
        continue;
      if (before) {
        add(kind,
            "'" + flat.describe(timeline, command) + "' reads " + name(unit) +
                " after '" + flat.describe(v, use.index) +
                "' wrote it; state is read back only where it says so",
            {{work.command->id, "reads"}, {use.command->id, "writes"}});
        continue;
      }
      add(kind,
          "race on " + name(unit) + ": '" + flat.describe(timeline, command) +
              "' " + (write ? "writes" : "reads") + " what '" +
              flat.describe(v, use.index) + "' " +
              (use.write ? "writes" : "reads") +
              "; missing before the former: " + missingWait(v, use.signal),
          {{work.command->id, write ? "this writes" : "this reads"},
           {use.command->id, "the other"}});
    }
  }
}

/// Whoever uses bytes that another buffer may have comes after all who use them
/// as that.
void AllSizes::checkShared(int timeline, int command,
                           const FlatAccess &access) {
  const FlatCommand &work = flat.timelines[timeline].commands[command];
  const uint32_t *clock = order.getClock(timeline, command);
  const Unit &unit = units[numberOf(access)];
  bool write = writes(access.access);
  for (int other : sharing[access.buffer]) {
    const Buffer &shared = program.buffers[other];
    for (int64_t slot = 0; slot < shared.slots; ++slot) {
      const Unit &alias = units[firstUnit[other] + slot];
      if (!alias.touched)
        continue;
      for (size_t t = 0; t < width; ++t) {
        uint32_t last = alias.lastWrite[t];
        if (write)
          last = std::max(last, alias.lastRead[t]);
        if (int(t) == timeline || clock[t] >= last)
          continue;
        const FlatTimeline &line = flat.timelines[t];
        int theirs = line.signals[last - 1];
        const Command *second = line.commands[theirs].command;
        if (!said.insert({work.command, second, Fault::Kind::Overlap}).second ||
            full())
          break;
        add(Fault::Kind::Overlap,
            name(unit) + " and " + name(alias) + " may share bytes of arena @" +
                program.arenas[shared.arena].name + ": '" +
                flat.describe(timeline, command) + "' uses the one and '" +
                flat.describe(t, theirs) +
                "' the other; missing before the former: " +
                missingWait(t, last),
            {{work.command->id, "uses the one"},
             {second->id, "uses the other"}});
        break;
      }
    }
    // A command may not use both while it writes one: its tiles would meet.
    if (!write)
      continue;
    for (const FlatAccess &second : work.accesses)
      if (second.buffer == other &&
          said.insert({work.command, work.command, Fault::Kind::Overlap})
              .second)
        add(Fault::Kind::Overlap,
            "'" + flat.describe(timeline, command) + "' writes " + name(unit) +
                " and uses " + name(units[numberOf(second)]) +
                ", but both may share bytes of arena @" +
                program.arenas[shared.arena].name,
            {{work.command->id, "the run"}});
  }
}

/// What is read was written, and is still there.
void AllSizes::checkWritten(int timeline, int command,
                            const FlatAccess &access) {
  const FlatTimeline &line = flat.timelines[timeline];
  const FlatCommand &work = line.commands[command];
  const Buffer &buffer = program.buffers[access.buffer];
  const Unit &unit = units[numberOf(access)];
  if (buffer.kind != BufferKind::Temp && buffer.kind != BufferKind::Output)
    return;
  auto isNew = [&] {
    return said.insert({work.command, nullptr, Fault::Kind::Unwritten}).second;
  };
  // What an update leaves as it was has to be there still, if it ever was.
  if (access.keeps && unit.clobberedBy >= 0 && isNew())
    add(Fault::Kind::Unwritten,
        "'" + flat.describe(timeline, command) + "' updates " + name(unit) +
            ", which was overwritten through " +
            name(units[unit.clobberedBy]) + ": both may share bytes of arena @" +
            program.arenas[buffer.arena].name,
        {{work.command->id, "updates"}});
  if (!reads(access.access))
    return;
  std::pair<Execution, int> key{{work.command, work.iterations},
                                access.operand};
  auto known = covered.find(key);
  if (known != covered.end() && known->second == unit.age)
    return;
  SymbolicBoxes rest = regions.getUncovered(
      regions.getOuter(*work.command, line.family, access.operand),
      unit.written);
  if (rest.empty()) {
    covered[key] = unit.age;
    return;
  }
  if (!isNew())
    return;
  std::string why = ", which may not have been written before";
  if (unit.clobberedBy >= 0)
    why = ", which was overwritten through " + name(units[unit.clobberedBy]) +
          ": both may share bytes of arena @" +
          program.arenas[buffer.arena].name;
  add(Fault::Kind::Unwritten,
      "'" + flat.describe(timeline, command) + "' reads " + name(unit) + " " +
          rest.front().str() + why,
      {{work.command->id, "reads"}});
}

void AllSizes::check(int timeline, int command) {
  const FlatTimeline &line = flat.timelines[timeline];
  const FlatCommand &work = line.commands[command];
  if (!structure.mayBeActive(*work.command, line.family, line.number))
    return;
  for (const FlatAccess &access : work.accesses) {
    checkOrder(timeline, command, access);
    checkShared(timeline, command, access);
    checkWritten(timeline, command, access);
  }
}

/// Takes from all units that may share bytes with `number` what they hold.
void AllSizes::clobber(int number) {
  for (int other : sharing[units[number].buffer])
    for (int64_t slot = 0; slot < program.buffers[other].slots; ++slot) {
      Unit &unit = units[firstUnit[other] + slot];
      if (!unit.touched || unit.clobberedBy == number)
        continue;
      unit.clobberedBy = number;
      unit.written.clear();
      ++unit.age;
    }
}

void AllSizes::update(int timeline, int command) {
  const FlatTimeline &line = flat.timelines[timeline];
  const FlatCommand &work = line.commands[command];
  uint32_t signal = ++signals[timeline];
  bool active =
      structure.mayBeActive(*work.command, line.family, line.number);
  for (const FlatAccess &access : work.accesses) {
    if (!active)
      break;
    Unit &unit = units[numberOf(access)];
    bool write = writes(access.access);
    auto &own = unit.uses[timeline];
    llvm::erase_if(own, [&](const Use &use) {
      return use.command == work.command && use.operand == access.operand;
    });
    own.push_back({work.command, access.operand, command, signal, write});
    if (reads(access.access))
      unit.lastRead[timeline] = signal;
    unit.touched = true;
    if (!write)
      continue;
    unit.lastWrite[timeline] = signal;
    clobber(numberOf(access));
  }

  // What the execution writes counts once all its pieces are done.
  auto it = open.try_emplace({work.command, work.iterations}).first;
  Progress &progress = it->second;
  if (progress.pieces++ == 0)
    for (const FlatAccess &access : work.accesses)
      progress.ages.push_back({numberOf(access), units[numberOf(access)].age});
  if (progress.pieces < program.families[line.family].count *
                            std::max<int64_t>(work.command->parts, 1))
    return;
  for (auto [access, begun] : llvm::zip(work.accesses, progress.ages)) {
    if (!writes(access.access) || units[begun.first].age != begun.second)
      continue;
    Unit &unit = units[begun.first];
    for (const SymbolicBox &region : regions.getInner(*work.command, line.family,
                                                 access.operand)) {
      if (llvm::none_of(unit.written, [&](const SymbolicBox &known) {
            return known.dims == region.dims;
          }))
        unit.written.push_back(region);
      unit.clobberedBy = -1;
    }
  }
  open.erase(it);
}

/// Every index of every output is written.
void AllSizes::checkOutputs() {
  for (const Unit &unit : units) {
    if (program.buffers[unit.buffer].kind != BufferKind::Output)
      continue;
    SymbolicBoxes rest =
        regions.getUncovered(regions.getWhole(unit.buffer), unit.written);
    if (!rest.empty())
      add(Fault::Kind::Output, "nothing may write " + name(unit) + " " +
                                   rest.front().str() + " of the output");
  }
}

void AllSizes::run() {
  for (auto [b, buffer] : llvm::enumerate(program.buffers)) {
    firstUnit.push_back(units.size());
    for (int64_t slot = 0; slot < buffer.slots; ++slot) {
      Unit &unit = units.emplace_back();
      unit.buffer = b;
      unit.slot = slot;
      unit.uses.resize(width);
      unit.lastRead.assign(width, 0);
      unit.lastWrite.assign(width, 0);
    }
  }
  signals.assign(width, 0);
  checkRanges();
  checkPlaces();
  sharing = findSharedBytes(program);
  for (auto [timeline, command] : order.getSequence()) {
    if (full())
      return;
    check(timeline, command);
    update(timeline, command);
  }
  checkOutputs();
}

void schedule::verifyForAllSizes(const FlatProgram &flat, const Order &order,
                                 const VerifyOptions &options,
                                 std::vector<Fault> &faults) {
  AllSizes(flat, order, options, faults).run();
}
