//===- Verifier.cpp - Is a schedule right? --------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Commands are looked at once, in an order in which each stands after all that
// comes before it. Per unit there is a list of accesses that a later one might
// conflict with. An access drops out when a later one that is ordered after it
// covers it: whatever is ordered after the later one is ordered after it too.
//
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/Verifier.h"
#include "AllSizes.h"
#include "llvm/ADT/STLExtras.h"
#include <set>

using namespace mlir;
using namespace headrace;
using namespace headrace::schedule;

//===----------------------------------------------------------------------===//
// What does not need an order
//===----------------------------------------------------------------------===//

static void walk(ArrayRef<Command> commands,
                 llvm::function_ref<void(const Command &)> visit) {
  for (const Command &command : commands) {
    visit(command);
    walk(command.body, visit);
  }
}

/// The order of commands is the same for all sizes.
static void checkOrderIsFixed(const Program &program, const Command &command,
                              std::string &error) {
  SymbolRanges sizes = program.symbolRanges();
  auto check = [&](const SizeExpr &expr, const Twine &what) {
    expr.walkSymbols([&](StringRef name) {
      if (sizes.contains(name))
        error = (what + " '" + expr.str() + "' depends on the size '" + name +
                 "'")
                    .str();
    });
  };
  for (const BufferRef &ref : command.operands)
    check(ref.slot, "slot of %" + program.buffers[ref.buffer].name);
  if (command.kind != Command::Kind::Wait)
    return;
  const std::string &family = program.families[command.family].name;
  check(command.from, "number of a timeline that a wait for @" + family +
                          " names,");
  check(command.to, "number of a timeline that a wait for @" + family +
                        " names,");
  check(command.count, "count of a wait for @" + family);
}

/// Numbers refer to something, lists have the right lengths.
static bool isWellFormed(const Program &program, std::string &error) {
  auto inRange = [](int64_t number, size_t size) {
    return number >= 0 && number < int64_t(size);
  };
  for (const Buffer &buffer : program.buffers) {
    if (buffer.slots < 1 || buffer.align < 1 || buffer.elementBytes < 1)
      error = "%" + buffer.name + " has no slots, alignment or elements";
    if (buffer.arena >= int64_t(program.arenas.size()))
      error = "%" + buffer.name + " lies in an arena that does not exist";
  }
  for (const Stage &stage : program.stages)
    for (const StageOperand &operand : stage.operands)
      for (const FootprintDim &dim : operand.footprint.dims)
        if (dim.coefficients.size() != stage.grid.size() && !dim.origin)
          error = "a footprint of @" + stage.name + " has " +
                  std::to_string(dim.coefficients.size()) +
                  " coefficients, expected " +
                  std::to_string(stage.grid.size());
  for (const Family &family : program.families)
    walk(family.commands, [&](const Command &command) {
      switch (command.kind) {
      case Command::Kind::Run: {
        if (!inRange(command.stage, program.stages.size())) {
          error = "a run of a stage that does not exist";
          return;
        }
        const Stage &stage = program.stages[command.stage];
        if (command.operands.size() != stage.operands.size() ||
            command.parts < 1) {
          error = "a run of @" + stage.name + " has " +
                  std::to_string(command.operands.size()) +
                  " operands, expected " +
                  std::to_string(stage.operands.size());
          return;
        }
        for (auto [ref, operand] :
             llvm::zip(command.operands, stage.operands)) {
          if (!inRange(ref.buffer, program.buffers.size())) {
            error = "an operand that does not exist";
            return;
          }
          const Buffer &buffer = program.buffers[ref.buffer];
          if (!operand.footprint.whole &&
              operand.footprint.dims.size() != buffer.dims.size())
            error = "a footprint of @" + stage.name + " has " +
                    std::to_string(operand.footprint.dims.size()) +
                    " dimensions, but %" + buffer.name + " has " +
                    std::to_string(buffer.dims.size());
          if (writes(operand.access) && (buffer.kind == BufferKind::Input ||
                                         buffer.kind == BufferKind::Const))
            error = "@" + stage.name + " writes %" + buffer.name +
                    ", which cannot be written";
        }
        break;
      }
      case Command::Kind::Copy:
        if (command.operands.size() != 2 ||
            !inRange(command.operands[0].buffer, program.buffers.size()) ||
            !inRange(command.operands[1].buffer, program.buffers.size())) {
          error = "a copy between buffers that do not exist";
          return;
        }
        for (const BufferRef &ref : command.operands)
          if (program.buffers[ref.buffer].dims.size() !=
                  command.extent.size() ||
              command.sourceOrigin.size() != command.extent.size() ||
              command.destOrigin.size() != command.extent.size())
            error = "a copy whose corners do not fit its buffers";
        break;
      case Command::Kind::Wait:
        if (!inRange(command.family, program.families.size()))
          error = "a wait for a timeline that does not exist";
        break;
      case Command::Kind::Repeat:
        if (command.iterations < 1)
          error = "a repeat without iterations";
        break;
      }
      if (error.empty())
        checkOrderIsFixed(program, command, error);
    });
  return error.empty();
}

static void verifyFences(const Program &program, std::vector<Fault> &faults) {
  for (const Family &family : program.families)
    walk(family.commands, [&](const Command &command) {
      if (command.kind != Command::Kind::Run)
        return;
      const Stage &stage = program.stages[command.stage];
      auto fence = program.fences.find(stage.stores);
      if (fence == program.fences.end() || fence->second == command.fence)
        return;
      faults.push_back(
          {Fault::Kind::Fence,
           "the signal of run @" + stage.name + " needs the fence \"" +
               fence->second + "\" but has " +
               (command.fence.empty() ? "none" : "\"" + command.fence + "\""),
           {{command.id, "the run"}}});
    });
}

//===----------------------------------------------------------------------===//
// One binding
//===----------------------------------------------------------------------===//

namespace {
struct Entry {
  Box box;
  int timeline;
  uint32_t signal; // 1: the first
  int command;
  bool write;
};

struct Unit {
  int buffer = 0;
  int64_t slot = 0;
  std::vector<Entry> entries;
  /// Per timeline, the last signal that reads or writes.
  std::vector<uint32_t> lastRead, lastWrite;
  BoxSet unwritten;
  /// Units that share bytes, and whose write emptied this one last.
  SmallVector<int, 4> aliases;
  int clobberedBy = -1;
  /// Byte range, if it lies in an arena.
  int arena = -1;
  int64_t begin = 0, end = 0;
};

/// Checks one expanded program.
class Checker {
public:
  Checker(const FlatProgram &flat, const Order &order,
          const VerifyOptions &options, std::vector<Fault> &faults)
      : flat(flat), program(*flat.program), order(order), options(options),
        faults(faults), width(flat.timelines.size()) {}

  void run();

private:
  bool full() const { return faults.size() >= options.maxFaults; }
  void placeUnits();
  void check(int timeline, int command);
  void update(int timeline, int command);
  void reportRace(const Unit &unit, const FlatAccess &access, int timeline,
                  int command, const Entry &entry);
  std::string name(const Unit &unit) const;
  std::string missingWait(int timeline, uint32_t signal) const;

  const FlatProgram &flat;
  const Program &program;
  const Order &order;
  const VerifyOptions &options;
  std::vector<Fault> &faults;
  size_t width;
  std::vector<Unit> units;
  std::vector<int> firstUnit;
  /// Per timeline, signals of commands already looked at.
  std::vector<uint32_t> signals;
  /// Pairs of commands and what was said about them.
  std::set<std::tuple<const Command *, const Command *, Fault::Kind>> said;
  struct UnwrittenRead {
    int timeline, command, unit, clobberedBy;
    Box box;
  };
  std::vector<UnwrittenRead> unwrittenReads;
  std::set<std::tuple<int, int, int>> racing; // timeline, command, unit
};
} // namespace

std::string Checker::name(const Unit &unit) const {
  const Buffer &buffer = program.buffers[unit.buffer];
  std::string text = "%" + buffer.name;
  if (buffer.slots > 1)
    text += "[" + std::to_string(unit.slot) + "]";
  return text;
}

std::string Checker::missingWait(int timeline, uint32_t signal) const {
  const FlatTimeline &line = flat.timelines[timeline];
  return "wait @" + program.families[line.family].name + "[" +
         std::to_string(line.number) +
         "] >= " + std::to_string(line.counts[signal - 1]);
}

void Checker::placeUnits() {
  for (auto [b, buffer] : llvm::enumerate(program.buffers)) {
    firstUnit.push_back(units.size());
    for (int64_t slot = 0; slot < buffer.slots; ++slot) {
      Unit &unit = units.emplace_back();
      unit.buffer = b;
      unit.slot = slot;
      unit.lastRead.assign(width, 0);
      unit.lastWrite.assign(width, 0);
      if (buffer.kind == BufferKind::Temp || buffer.kind == BufferKind::Output)
        unit.unwritten = BoxSet(flat.wholes[b]);
    }
  }

  std::vector<std::optional<int64_t>> arenaBytes;
  for (const Arena &arena : program.arenas) {
    std::optional<int64_t> bytes;
    if (arena.bytes)
      bytes = arena.bytes->evaluate(flat.bindings);
    arenaBytes.push_back(bytes);
  }
  std::vector<int> placed;
  for (auto [b, buffer] : llvm::enumerate(program.buffers)) {
    if (buffer.arena < 0 || !buffer.offset)
      continue;
    std::optional<int64_t> offset = buffer.offset->evaluate(flat.bindings);
    std::optional<int64_t> stride = buffer.stride.evaluate(flat.bindings);
    int64_t size = flat.wholes[b].volume() * buffer.elementBytes;
    if (!offset || !stride) {
      faults.push_back({Fault::Kind::Arena,
                        "the offset of %" + buffer.name + " has no value",
                        {}});
      continue;
    }
    int64_t end = *offset + *stride * (buffer.slots - 1) + size;
    const std::optional<int64_t> &bytes = arenaBytes[buffer.arena];
    if (*offset < 0 || *stride < 0 || !bytes || end > *bytes)
      faults.push_back(
          {Fault::Kind::Arena,
           "%" + buffer.name + " takes bytes [" + std::to_string(*offset) +
               ", " + std::to_string(end) + ") of arena @" +
               program.arenas[buffer.arena].name + ", which has " +
               (bytes ? std::to_string(*bytes) : "no size"),
           {}});
    if (*offset % buffer.align || (buffer.slots > 1 && *stride % buffer.align))
      faults.push_back({Fault::Kind::Arena,
                        "%" + buffer.name + " lies at byte " +
                            std::to_string(*offset) + " stride " +
                            std::to_string(*stride) +
                            ", which is not a multiple of " +
                            std::to_string(buffer.align),
                        {}});
    for (int64_t slot = 0; slot < buffer.slots; ++slot) {
      Unit &unit = units[firstUnit[b] + slot];
      unit.arena = buffer.arena;
      unit.begin = *offset + slot * *stride;
      unit.end = unit.begin + size;
      if (size > 0)
        placed.push_back(firstUnit[b] + slot);
    }
  }
  llvm::sort(placed, [&](int a, int b) {
    return std::make_tuple(units[a].arena, units[a].begin, a) <
           std::make_tuple(units[b].arena, units[b].begin, b);
  });
  for (size_t i = 0; i < placed.size(); ++i) {
    for (size_t j = i + 1; j < placed.size(); ++j) {
      Unit &a = units[placed[i]], &b = units[placed[j]];
      if (a.arena != b.arena || b.begin >= a.end)
        break;
      a.aliases.push_back(placed[j]);
      b.aliases.push_back(placed[i]);
    }
  }
}

static Box intersection(const FlatAccess &access, const Box &box) {
  for (const Box &own : access.boxes)
    if (own.overlaps(box))
      return own.intersect(box);
  return box;
}

void Checker::reportRace(const Unit &unit, const FlatAccess &access,
                         int timeline, int command, const Entry &entry) {
  racing.insert({timeline, command, int(&unit - units.data())});
  racing.insert({entry.timeline, entry.command, int(&unit - units.data())});
  const Command *one = flat.timelines[timeline].commands[command].command;
  const Command *other =
      flat.timelines[entry.timeline].commands[entry.command].command;
  if (!said.insert({one, other, Fault::Kind::Race}).second || full())
    return;
  std::string verb = writes(access.access) ? "writes" : "reads";
  faults.push_back(
      {Fault::Kind::Race,
       "race on " + name(unit) + " " + intersection(access, entry.box).str() +
           ": '" + flat.describe(timeline, command) + "' " + verb +
           " what '" + flat.describe(entry.timeline, entry.command) + "' " +
           (entry.write ? "writes" : "reads") + "; missing before the former: " +
           missingWait(entry.timeline, entry.signal),
       {{one->id, "this " + verb}, {other->id, "the other"}}});
}

void Checker::check(int timeline, int command) {
  const FlatCommand &work = flat.timelines[timeline].commands[command];
  const uint32_t *clock = order.getClock(timeline, command);
  auto isBefore = [&](int other, uint32_t signal) {
    return other == timeline || clock[other] >= signal;
  };
  for (const FlatAccess &access : work.accesses) {
    int number = firstUnit[access.buffer] + access.slot;
    Unit &unit = units[number];
    const Buffer &buffer = program.buffers[access.buffer];
    bool write = writes(access.access);

    for (const Entry &entry : unit.entries) {
      if (!write && !entry.write)
        continue;
      bool before = isBefore(entry.timeline, entry.signal);
      bool stateRead = entry.write && buffer.kind == BufferKind::State &&
                       !buffer.readBack && reads(access.access);
      if (before && !stateRead)
        continue;
      for (const Box &box : access.boxes) {
        if (!box.overlaps(entry.box))
          continue;
        if (!before) {
          reportRace(unit, access, timeline, command, entry);
          break;
        }
        const Command *writer =
            flat.timelines[entry.timeline].commands[entry.command].command;
        if (said.insert({work.command, writer, Fault::Kind::State}).second &&
            !full())
          faults.push_back(
              {Fault::Kind::State,
               "'" + flat.describe(timeline, command) + "' reads " +
                   name(unit) + " " + box.intersect(entry.box).str() +
                   " after '" +
                   flat.describe(entry.timeline, entry.command) +
                   "' wrote it; state is read back only where it says so",
               {{work.command->id, "reads"}, {writer->id, "writes"}}});
        break;
      }
    }

    for (int alias : unit.aliases) {
      const Unit &other = units[alias];
      for (size_t t = 0; t < width; ++t) {
        if (int(t) == timeline)
          continue;
        uint32_t last = other.lastWrite[t];
        if (write)
          last = std::max(last, other.lastRead[t]);
        if (clock[t] >= last)
          continue;
        racing.insert({timeline, command, number});
        const FlatTimeline &line = flat.timelines[t];
        int theirs = line.signals[last - 1];
        const Command *command2 = line.commands[theirs].command;
        if (!said.insert({work.command, command2, Fault::Kind::Overlap})
                 .second ||
            full())
          break;
        faults.push_back(
            {Fault::Kind::Overlap,
             name(unit) + " and " + name(other) + " share bytes [" +
                 std::to_string(std::max(unit.begin, other.begin)) + ", " +
                 std::to_string(std::min(unit.end, other.end)) +
                 ") of arena @" + program.arenas[unit.arena].name + ": '" +
                 flat.describe(timeline, command) + "' uses the one and '" +
                 flat.describe(t, theirs) +
                 "' the other; missing before the former: " +
                 missingWait(t, last),
             {{work.command->id, "uses the one"},
              {command2->id, "uses the other"}}});
        break;
      }
    }

    // A command may not use both while it writes one: its tiles would meet.
    if (write && !unit.aliases.empty())
      for (const FlatAccess &second : work.accesses) {
        int alias = firstUnit[second.buffer] + second.slot;
        if (!llvm::is_contained(unit.aliases, alias) ||
            !said.insert({work.command, work.command, Fault::Kind::Overlap})
                 .second ||
            full())
          continue;
        const Unit &other = units[alias];
        faults.push_back(
            {Fault::Kind::Overlap,
             "'" + flat.describe(timeline, command) + "' writes " + name(unit) +
                 " and uses " + name(other) + ", but both share bytes [" +
                 std::to_string(std::max(unit.begin, other.begin)) + ", " +
                 std::to_string(std::min(unit.end, other.end)) +
                 ") of arena @" + program.arenas[unit.arena].name,
             {{work.command->id, "the run"}}});
      }

    if (reads(access.access) && !unit.unwritten.empty())
      for (const Box &box : access.boxes)
        if (unit.unwritten.overlaps(box))
          for (const Box &hole : unit.unwritten.getBoxes())
            if (hole.overlaps(box)) {
              unwrittenReads.push_back({timeline, command, number,
                                        unit.clobberedBy,
                                        hole.intersect(box)});
              break;
            }
  }
}

void Checker::update(int timeline, int command) {
  const FlatCommand &work = flat.timelines[timeline].commands[command];
  const uint32_t *clock = order.getClock(timeline, command);
  uint32_t signal = ++signals[timeline];
  for (const FlatAccess &access : work.accesses) {
    int number = firstUnit[access.buffer] + access.slot;
    Unit &unit = units[number];
    bool write = writes(access.access);
    for (const Box &box : access.boxes) {
      llvm::erase_if(unit.entries, [&](const Entry &entry) {
        if (!write && (entry.write || entry.timeline != timeline))
          return false;
        if (entry.timeline != timeline && clock[entry.timeline] < entry.signal)
          return false;
        return box.contains(entry.box);
      });
      unit.entries.push_back({box, timeline, signal, command, write});
    }
    if (reads(access.access))
      unit.lastRead[timeline] = signal;
    if (!write)
      continue;
    unit.lastWrite[timeline] = signal;
    if (access.exact)
      for (const Box &box : access.boxes)
        unit.unwritten.subtract(box);
    for (int alias : unit.aliases) {
      Unit &other = units[alias];
      if (other.clobberedBy == number)
        continue;
      other.clobberedBy = number;
      other.unwritten = BoxSet(flat.wholes[other.buffer]);
    }
    unit.clobberedBy = -1;
  }
}

void Checker::run() {
  placeUnits();
  signals.assign(width, 0);
  for (auto [timeline, command] : order.getSequence()) {
    if (full())
      return;
    check(timeline, command);
    update(timeline, command);
  }

  for (const UnwrittenRead &read : unwrittenReads) {
    if (full())
      return;
    // Where the write is there but not ordered, the race says it better.
    if (racing.count({read.timeline, read.command, read.unit}))
      continue;
    const Command *command =
        flat.timelines[read.timeline].commands[read.command].command;
    if (!said.insert({command, nullptr, Fault::Kind::Unwritten}).second)
      continue;
    const Unit &unit = units[read.unit];
    std::string why = ", which nothing wrote before";
    if (read.clobberedBy >= 0)
      why = ", which was overwritten through " + name(units[read.clobberedBy]) +
            ": both share bytes of arena @" + program.arenas[unit.arena].name;
    faults.push_back({Fault::Kind::Unwritten,
                      "'" + flat.describe(read.timeline, read.command) +
                          "' reads " + name(unit) + " " + read.box.str() + why,
                      {{command->id, "reads"}}});
  }
  for (const Unit &unit : units) {
    if (full())
      return;
    if (program.buffers[unit.buffer].kind != BufferKind::Output ||
        unit.unwritten.empty())
      continue;
    faults.push_back({Fault::Kind::Output,
                      "nothing writes " + name(unit) + " " +
                          unit.unwritten.getBoxes().front().str() +
                          " of the output",
                      {}});
  }
}

static void reportDeadlock(const FlatProgram &flat, const Order &order,
                           std::vector<Fault> &faults) {
  Fault fault;
  fault.kind = Fault::Kind::Deadlock;
  fault.message = "deadlock";
  unsigned named = 0;
  for (auto [t, position] : llvm::enumerate(order.getPositions())) {
    const FlatTimeline &line = flat.timelines[t];
    if (position >= int(line.commands.size()) || ++named > 4)
      continue;
    const FlatCommand &wait = line.commands[position];
    // One that has not come so far.
    auto countDone = [&](int v) {
      int64_t done = 0;
      for (int c = 0; c < order.getPositions()[v]; ++c)
        done += flat.timelines[v].commands[c].kind == FlatCommand::Kind::Work;
      return done;
    };
    int late = wait.target;
    while (late + 1 < wait.targetEnd &&
           (late == int(t) || countDone(late) >= wait.count))
      ++late;
    const FlatTimeline &target = flat.timelines[late];
    int at = order.getPositions()[late];
    int64_t done = countDone(late);
    fault.message += (named == 1 ? ": '" : "; '") +
                     flat.describe(t, position) + "' never goes on, " +
                     (at < int(target.commands.size())
                          ? "the other stands at " + std::to_string(done) +
                                " before '" + flat.describe(late, at) +
                                "'"
                          : "the other ends at " + std::to_string(done));
    fault.commands.push_back({wait.command->id, "waits here"});
  }
  faults.push_back(std::move(fault));
}

/// Arenas and scratch that do not fit their memory even at the least sizes. What
/// larger sizes need is known when the program is called, and checked then.
static void verifyCapacities(const Program &program,
                             std::vector<Fault> &faults) {
  const Scratch &scratch = program.scratch;
  if (!scratch.memory.empty() && scratch.capacity &&
      scratch.bytes > *scratch.capacity)
    faults.push_back({Fault::Kind::Arena,
                      "each worker needs " + std::to_string(scratch.bytes) +
                          " bytes of scratch but @" + scratch.memory +
                          " has " + std::to_string(*scratch.capacity),
                      {}});
  for (const Arena &arena : program.arenas) {
    if (!arena.bytes || !arena.capacity)
      continue;
    int64_t least = arena.bytes->bounds(program.symbolRanges()).min;
    bool hasScratch = &arena == &program.arenas.front() &&
                      scratch.memory.empty() && scratch.bytes > 0;
    if (hasScratch)
      least += scratch.bytes * program.timelineCount();
    if (least > *arena.capacity)
      faults.push_back({Fault::Kind::Arena,
                        std::string(hasScratch ? "arena and scratch need "
                                               : "the arena needs ") +
                            std::string(program.symbols.empty() ? ""
                                                                : "at least ") +
                            std::to_string(least) + " bytes but @" +
                            arena.name + " has " +
                            std::to_string(*arena.capacity),
                        {}});
  }
}

std::vector<Fault> schedule::verify(const Program &program,
                                    const VerifyOptions &options) {
  std::vector<Fault> faults;
  std::string error;
  if (!isWellFormed(program, error))
    return {{Fault::Kind::Malformed, error, {}}};
  verifyFences(program, faults);
  verifyCapacities(program, faults);

  bool first = true;
  for (const SymbolBindings &bindings :
       sampleBindings(program, options.samples)) {
    ExpandOptions expandOptions;
    expandOptions.shorten = !options.fullExpansion;
    FailureOr<FlatProgram> flat =
        expand(program, bindings, expandOptions, error);
    if (failed(flat)) {
      faults.push_back({Fault::Kind::Malformed, error, {}});
      return faults;
    }
    Order order(*flat);
    if (!order.isComplete()) {
      reportDeadlock(*flat, order, faults);
      return faults;
    }
    size_t before = faults.size();
    Checker(*flat, order, options, faults).run();
    if (!program.symbols.empty())
      for (size_t k = before; k < faults.size(); ++k) {
        faults[k].message += " (at ";
        for (auto [n, symbol] : llvm::enumerate(program.symbols))
          faults[k].message += (n ? ", " : "") + symbol.name + " = " +
                               std::to_string(bindings.lookup(symbol.name));
        faults[k].message += ")";
      }
    if (first && !program.symbols.empty()) {
      // The order is that of every binding; accesses are needed even where
      // they are empty at this one.
      expandOptions.emptyAccesses = true;
      FailureOr<FlatProgram> all =
          expand(program, bindings, expandOptions, error);
      if (failed(all)) {
        faults.push_back({Fault::Kind::Malformed, error, {}});
        return faults;
      }
      if (faults.size() == before)
        verifyForAllSizes(*all, Order(*all), options, faults);
    }
    first = false;
    if (faults.size() > before)
      break;
  }
  if (faults.size() > options.maxFaults)
    faults.resize(options.maxFaults);
  return faults;
}
