//===- Expand.cpp - Programs to single commands ---------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Expansion of families and repeats for one binding of the symbols. A repeat
// may be shortened (`getShortCounts`): then signals are numbered as if the
// program had the shorter repeats, and the counts that waits name are
// translated. Terms:
//
//   full count    a number of signals of the program as written
//   short count   the same signal's number in the shortened program
//   layout        per family, the straight pieces and top-level repeats with
//                 the signals of each
//
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/Program.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/ADT/SmallVector.h"
#include <numeric>
#include <random>
#include <set>

using namespace mlir;
using namespace headrace;
using namespace headrace::schedule;

namespace {
/// A straight piece (`repeat` is -1, one iteration) or a top-level repeat.
struct Piece {
  int repeat = -1;
  int64_t perIteration = 0;
  int64_t iterations = 1, shortIterations = 1;
  int64_t fullBegin = 0, shortBegin = 0;

  int64_t fullEnd() const { return fullBegin + perIteration * iterations; }
};

using Layout = std::vector<Piece>;
} // namespace

static Layout getLayout(const Family &family,
                        const std::vector<int64_t> *shortCounts) {
  Layout layout(1);
  int repeats = 0;
  for (const Command &command : family.commands) {
    if (command.kind != Command::Kind::Repeat) {
      if (layout.back().repeat >= 0)
        layout.emplace_back();
      layout.back().perIteration += countSignals(command);
      continue;
    }
    Piece &piece = layout.emplace_back();
    piece.repeat = repeats++;
    piece.perIteration = countSignals(command.body);
    piece.iterations = command.iterations;
    piece.shortIterations =
        shortCounts ? (*shortCounts)[piece.repeat] : command.iterations;
  }
  int64_t full = 0, shortened = 0;
  for (Piece &piece : layout) {
    piece.fullBegin = full;
    piece.shortBegin = shortened;
    full += piece.perIteration * piece.iterations;
    shortened += piece.perIteration * piece.shortIterations;
  }
  return layout;
}

/// The short count of a full count, for a wait in repeat `inRepeat` (-1: in
/// none). nullopt if the shortened program has no such signal.
static std::optional<int64_t> shortenCount(const Layout &layout, int64_t count,
                                           int inRepeat) {
  if (count <= 0)
    return 0;
  for (const Piece &piece : layout) {
    if (count > piece.fullEnd() || count <= piece.fullBegin)
      continue;
    int64_t offset = count - piece.fullBegin;
    if (piece.repeat < 0 || piece.iterations == piece.shortIterations)
      return piece.shortBegin + offset;
    // Inside: the first iterations are the first. From outside: the last are
    // the last.
    if (piece.repeat == inRepeat)
      return piece.shortBegin + offset;
    offset -= (piece.iterations - piece.shortIterations) * piece.perIteration;
    if (offset <= 0)
      return std::nullopt;
    return piece.shortBegin + offset;
  }
  // Beyond the end: never signalled, in either.
  const Piece &last = layout.back();
  return last.shortBegin + last.perIteration * last.shortIterations + count -
         last.fullEnd();
}

//===----------------------------------------------------------------------===//
// Shortening
//===----------------------------------------------------------------------===//

namespace {
/// How a buffer's slots are selected in a repeat.
struct SlotUse {
  /// Least p with slot(i + p) = slot(i) for all i; 0 if there is none.
  int64_t period = 1;
  /// slot(i) = i + shift, if that is so.
  std::optional<int64_t> shift;
};
} // namespace

static constexpr int64_t maxPeriod = 4;

static void walk(ArrayRef<Command> commands,
                 llvm::function_ref<void(const Command &)> visit) {
  for (const Command &command : commands) {
    visit(command);
    walk(command.body, visit);
  }
}

static bool usesSymbol(const SizeExpr &expr, StringRef symbol) {
  bool uses = false;
  expr.walkSymbols([&](StringRef name) { uses |= name == symbol; });
  return uses;
}

static std::optional<SlotUse> getSlotUse(const SizeExpr &slot,
                                         const Command &repeat) {
  if (slot.isConstant())
    return SlotUse();
  SmallVector<int64_t> values;
  bool unknown = false;
  slot.walkSymbols([&](StringRef name) { unknown |= name != repeat.index; });
  if (unknown)
    return std::nullopt;
  SymbolBindings bindings;
  for (int64_t i = 0; i < repeat.iterations; ++i) {
    bindings[repeat.index] = i;
    std::optional<int64_t> value = slot.evaluate(bindings);
    if (!value)
      return std::nullopt;
    values.push_back(*value);
  }
  SlotUse use;
  auto hasPeriod = [&](int64_t p) {
    for (size_t i = p; i < values.size(); ++i)
      if (values[i] != values[i - p])
        return false;
    return true;
  };
  use.period = 1;
  while (use.period <= maxPeriod && !hasPeriod(use.period))
    ++use.period;
  if (use.period > maxPeriod)
    use.period = 0;
  bool shifted = true;
  for (auto [i, value] : llvm::enumerate(values))
    shifted &= value - int64_t(i) == values[0];
  if (shifted)
    use.shift = values[0];
  return use;
}

/// The period of a top-level repeat, or nullopt if it has none.
static std::optional<int64_t> getPeriod(const Program &program,
                                        unsigned number) {
  int64_t period = 1;
  // Buffers whose slot is the iteration's number, with their shifts; they may
  // not be used in any other way.
  std::map<int, std::set<int64_t>> shifted;
  std::set<int> otherwise;
  bool good = true;
  for (const Family &family : program.families) {
    unsigned repeats = 0;
    for (const Command &top : family.commands) {
      bool inside = top.kind == Command::Kind::Repeat && repeats++ == number;
      walk(top, [&](const Command &command) {
        if (command.kind != Command::Kind::Run &&
            command.kind != Command::Kind::Copy)
          return;
        if (inside)
          for (const SizeExpr *expr : {&command.from, &command.to})
            good &= !usesSymbol(*expr, top.index);
        if (inside && command.kind == Command::Kind::Copy)
          for (const auto *list :
               {&command.sourceOrigin, &command.destOrigin, &command.extent})
            for (const SizeExpr &expr : *list)
              good &= !usesSymbol(expr, top.index);
        for (const BufferRef &ref : command.operands) {
          if (program.buffers[ref.buffer].kind == BufferKind::Const ||
              program.buffers[ref.buffer].kind == BufferKind::Input)
            continue;
          if (!inside) {
            otherwise.insert(ref.buffer);
            continue;
          }
          std::optional<SlotUse> use = getSlotUse(ref.slot, top);
          if (!use) {
            good = false;
          } else if (use->period) {
            // As in `slot = i` of a repeat with few iterations.
            period = std::lcm(period, use->period);
            otherwise.insert(ref.buffer);
          } else if (use->shift) {
            shifted[ref.buffer].insert(*use->shift);
          } else {
            good = false;
          }
        }
      });
    }
  }
  for (auto &[buffer, shifts] : shifted) {
    good &= !otherwise.count(buffer);
    good &= *shifts.rbegin() - *shifts.begin() <= period;
  }
  if (!good)
    return std::nullopt;
  return period;
}

/// Whether all waits count as `getShortCounts` demands.
static bool waitsArePeriodic(const Program &program,
                             const std::vector<int64_t> &shortCounts) {
  std::vector<Layout> layouts;
  for (const Family &family : program.families)
    layouts.push_back(getLayout(family, &shortCounts));

  SymbolBindings bindings;
  // The iterations by which a wait inside a repeat looks back; the same for
  // all iterations in which it looks inside the repeat at all.
  auto checkWaits = [&](auto &self, ArrayRef<Command> commands, int repeat,
                        int64_t iteration,
                        std::map<const Command *, int64_t> &distance) -> bool {
    for (const Command &command : commands) {
      if (command.kind == Command::Kind::Repeat) {
        for (int64_t i = 0; i < command.iterations; ++i) {
          bindings[command.index] = i;
          if (!self(self, command.body, repeat, iteration, distance))
            return false;
        }
        bindings.erase(command.index);
        continue;
      }
      if (command.kind != Command::Kind::Wait)
        continue;
      std::optional<int64_t> count = command.count.evaluate(bindings);
      if (!count)
        return false;
      const Layout &layout = layouts[command.family];
      for (const Piece &piece : layout) {
        if (piece.repeat < 0 || *count <= piece.fullBegin ||
            *count > piece.fullEnd())
          continue;
        if (piece.repeat != repeat) {
          if (!shortenCount(layout, *count, repeat))
            return false;
          // A later repeat cannot be looked into from before: its last
          // iterations are not where they seem.
          continue;
        }
        int64_t target = (*count - piece.fullBegin - 1) / piece.perIteration;
        int64_t back = iteration - target;
        if (back < 0 || back > 1)
          return false;
        auto [known, inserted] = distance.insert({&command, back});
        if (!inserted && known->second != back)
          return false;
      }
    }
    return true;
  };

  for (const Family &family : program.families) {
    int repeat = -1;
    int next = 0;
    for (const Command &command : family.commands) {
      std::map<const Command *, int64_t> distance;
      if (command.kind != Command::Kind::Repeat) {
        if (!checkWaits(checkWaits, command, -1, 0, distance))
          return false;
        continue;
      }
      repeat = next++;
      for (int64_t i = 0; i < command.iterations; ++i) {
        bindings[command.index] = i;
        if (!checkWaits(checkWaits, command.body, repeat, i, distance))
          return false;
      }
      bindings.erase(command.index);
    }
  }
  return true;
}

std::optional<std::vector<int64_t>>
schedule::getShortCounts(const Program &program) {
  std::vector<int64_t> counts;
  for (auto [f, family] : llvm::enumerate(program.families)) {
    std::vector<int64_t> own;
    for (const Command &command : family.commands)
      if (command.kind == Command::Kind::Repeat)
        own.push_back(command.iterations);
    if (f == 0)
      counts = own;
    else if (own != counts)
      return std::nullopt;
  }
  std::vector<int64_t> result;
  for (auto [r, count] : llvm::enumerate(counts)) {
    // The checks below look at every iteration.
    if (count > (1 << 16))
      return std::nullopt;
    std::optional<int64_t> period = getPeriod(program, r);
    if (!period)
      return std::nullopt;
    int64_t least = std::max<int64_t>(3, 2 * *period + 1);
    least += ((count - least) % *period + *period) % *period;
    result.push_back(std::min(count, least));
  }
  if (!waitsArePeriodic(program, result))
    return std::nullopt;
  return result;
}

//===----------------------------------------------------------------------===//
// Expansion
//===----------------------------------------------------------------------===//

namespace {
class Expander {
public:
  Expander(const Program &program, const SymbolBindings &bindings,
           const ExpandOptions &options, std::string &error)
      : program(program), options(options), error(error) {
    for (const auto &binding : bindings)
      scope[binding.getKey()] = binding.getValue();
    flat.program = &program;
    flat.bindings = scope;
  }

  FailureOr<FlatProgram> run();

private:
  LogicalResult fail(const Twine &message) {
    if (error.empty())
      error = message.str();
    return failure();
  }
  FailureOr<int64_t> evaluate(const SizeExpr &expr, StringRef what) {
    if (std::optional<int64_t> constant = expr.getConstant())
      return *constant;
    if (std::optional<int64_t> value = expr.evaluate(scope))
      return *value;
    return fail(what + " '" + expr.str() + "' has no value");
  }
  LogicalResult evaluateStages();
  LogicalResult expandCommands(ArrayRef<Command> commands, int repeat);
  LogicalResult expandRun(const Command &command);
  LogicalResult expandCopy(const Command &command);
  LogicalResult expandWait(const Command &command, int repeat);
  FailureOr<FlatAccess> makeAccess(const BufferRef &ref, Access access,
                                   int operand);
  LogicalResult push(FlatCommand command);

  const Program &program;
  const ExpandOptions &options;
  std::string &error;
  SymbolBindings scope;
  FlatProgram flat;
  std::vector<Layout> layouts;
  std::vector<int64_t> shortCounts;
  bool shortened = false;
  size_t total = 0;

  // Of the timeline at hand.
  FlatTimeline *timeline = nullptr;
  SmallVector<int64_t, 1> iterations;

  // Values of the stages' expressions.
  struct OperandValues {
    SmallVector<int64_t, 4> extents;
  };
  struct StageValues {
    SmallVector<int64_t, 4> grid;
    int64_t tiles = 1;
    std::vector<OperandValues> operands;
  };
  std::vector<StageValues> stages;
  std::vector<SmallVector<int64_t, 4>> dims;
  struct Boxes {
    SmallVector<Box, 1> boxes;
    bool exact = true;
  };
  /// (stage, operand, buffer, from, to) -> boxes
  std::map<std::tuple<int, int, int, int64_t, int64_t>, Boxes> cache;
};
} // namespace

LogicalResult Expander::push(FlatCommand command) {
  if (++total > options.maxCommands)
    return fail("more than " + Twine(options.maxCommands) + " commands");
  command.iterations = iterations;
  if (command.kind == FlatCommand::Kind::Work)
    timeline->signals.push_back(timeline->commands.size());
  timeline->commands.push_back(std::move(command));
  return success();
}

LogicalResult Expander::evaluateStages() {
  for (const Buffer &buffer : program.buffers) {
    auto &values = dims.emplace_back();
    Box whole;
    for (const SizeExpr &dim : buffer.dims) {
      FailureOr<int64_t> value = evaluate(dim, "dimension");
      if (failed(value))
        return failure();
      values.push_back(*value);
      whole.dims.push_back({0, *value});
    }
    flat.wholes.push_back(std::move(whole));
  }
  for (const Stage &stage : program.stages) {
    StageValues &values = stages.emplace_back();
    for (const SizeExpr &size : stage.grid) {
      FailureOr<int64_t> value = evaluate(size, "grid");
      if (failed(value))
        return failure();
      values.grid.push_back(*value);
      values.tiles *= *value;
    }
    for (const StageOperand &operand : stage.operands) {
      OperandValues &own = values.operands.emplace_back();
      for (const FootprintDim &dim : operand.footprint.dims) {
        FailureOr<int64_t> value = evaluate(dim.extent, "extent");
        if (failed(value))
          return failure();
        own.extents.push_back(*value);
      }
    }
  }
  return success();
}

FailureOr<FlatAccess> Expander::makeAccess(const BufferRef &ref, Access access,
                                           int operand) {
  FlatAccess result;
  result.buffer = ref.buffer;
  FailureOr<int64_t> slot = evaluate(ref.slot, "slot");
  if (failed(slot))
    return failure();
  const Buffer &buffer = program.buffers[ref.buffer];
  if (*slot < 0 || *slot >= buffer.slots)
    return fail("slot " + Twine(*slot) + " of %" + buffer.name +
                ", which has " + Twine(buffer.slots));
  result.slot = *slot;
  result.access = access;
  result.operand = operand;
  return result;
}

LogicalResult Expander::expandRun(const Command &command) {
  const Stage &stage = program.stages[command.stage];
  StageValues &values = stages[command.stage];
  FailureOr<int64_t> from = evaluate(command.from, "tile");
  FailureOr<int64_t> to = evaluate(command.to, "tile");
  if (failed(from) || failed(to))
    return failure();
  if (*from < *to && (*from < 0 || *to > values.tiles))
    return fail("@" + stage.name + " has " + Twine(values.tiles) +
                " tiles, but @" + program.families[timeline->family].name +
                "[" + Twine(timeline->number) + "] runs [" + Twine(*from) +
                ", " + Twine(*to) + ")");
  int64_t length = std::max<int64_t>(0, *to - *from);
  for (int64_t part = 0; part < command.parts; ++part) {
    FlatCommand flatCommand;
    flatCommand.command = &command;
    flatCommand.part = part;
    flatCommand.from = *from + part * length / command.parts;
    flatCommand.to = *from + (part + 1) * length / command.parts;
    if (options.accesses) {
      for (auto [k, operand] : llvm::enumerate(stage.operands)) {
        FailureOr<FlatAccess> access =
            makeAccess(command.operands[k], operand.access, k);
        if (failed(access))
          return failure();
        Boxes &boxes = cache[{command.stage, k, access->buffer,
                              flatCommand.from, flatCommand.to}];
        if (boxes.boxes.empty() && flatCommand.from < flatCommand.to) {
          std::vector<Box> touched = touchedBoxes(
              operand.footprint, values.grid, values.operands[k].extents,
              dims[access->buffer], flatCommand.from, flatCommand.to,
              flat.bindings, boxes.exact);
          boxes.boxes.assign(touched.begin(), touched.end());
        }
        access->boxes = boxes.boxes;
        access->exact = boxes.exact;
        access->keeps = operand.keeps;
        if (operand.footprint.touched) {
          FailureOr<int64_t> touched =
              evaluate(*operand.footprint.touched, "number of touched indices");
          if (failed(touched))
            return failure();
          access->loose = std::max<int64_t>(*touched, 0) *
                          std::max<int64_t>(flatCommand.to - flatCommand.from,
                                            0);
        }
        // A whole-buffer footprint says that any of it may be written.
        if (operand.footprint.whole && stage.operands[k].access != Access::Read)
          access->exact = values.tiles == flatCommand.to - flatCommand.from &&
                          operand.access == Access::Write;
        if (!access->boxes.empty() || options.emptyAccesses)
          flatCommand.accesses.push_back(std::move(*access));
      }
    }
    if (failed(push(std::move(flatCommand))))
      return failure();
  }
  return success();
}

LogicalResult Expander::expandCopy(const Command &command) {
  FlatCommand flatCommand;
  flatCommand.command = &command;
  if (options.accesses) {
    for (int side : {0, 1}) {
      FailureOr<FlatAccess> access = makeAccess(
          command.operands[side], side ? Access::Write : Access::Read, side);
      if (failed(access))
        return failure();
      Box box;
      for (auto [d, size] : llvm::enumerate(command.extent)) {
        FailureOr<int64_t> origin = evaluate(
            side ? command.destOrigin[d] : command.sourceOrigin[d], "origin");
        FailureOr<int64_t> extent = evaluate(size, "extent");
        if (failed(origin) || failed(extent))
          return failure();
        box.dims.push_back({*origin, *origin + *extent});
      }
      if (!box.empty() && !flat.wholes[access->buffer].contains(box))
        return fail("copy of " + box.str() + " is outside %" +
                    program.buffers[access->buffer].name + ", which is " +
                    flat.wholes[access->buffer].str());
      if (!box.empty())
        access->boxes.push_back(std::move(box));
      if (!access->boxes.empty() || options.emptyAccesses)
        flatCommand.accesses.push_back(std::move(*access));
    }
  }
  return push(std::move(flatCommand));
}

LogicalResult Expander::expandWait(const Command &command, int repeat) {
  if (timeline->number < command.byFrom || timeline->number >= command.byTo)
    return success();
  FailureOr<int64_t> from = evaluate(command.from, "number");
  FailureOr<int64_t> to = evaluate(command.to, "number");
  FailureOr<int64_t> count = evaluate(command.count, "count");
  if (failed(from) || failed(to) || failed(count))
    return failure();
  int64_t target = *count;
  if (shortened) {
    std::optional<int64_t> translated =
        shortenCount(layouts[command.family], *count, repeat);
    if (!translated)
      return fail("wait cannot be shortened");
    target = *translated;
  }
  const Family &family = program.families[command.family];
  int64_t first = program.firstTimeline(command.family);
  int64_t begin = std::max<int64_t>(0, *from);
  int64_t end = std::min(family.count, *to);
  bool own = command.family == timeline->family && begin <= timeline->number &&
             timeline->number < end;
  if (end - begin <= (own ? 1 : 0))
    return success();
  FlatCommand flatCommand;
  flatCommand.kind = FlatCommand::Kind::Wait;
  flatCommand.command = &command;
  flatCommand.target = first + begin;
  flatCommand.targetEnd = first + end;
  flatCommand.count = target;
  return push(std::move(flatCommand));
}

LogicalResult Expander::expandCommands(ArrayRef<Command> commands, int repeat) {
  int next = 0;
  for (const Command &command : commands) {
    LogicalResult result = success();
    switch (command.kind) {
    case Command::Kind::Run:
      result = expandRun(command);
      break;
    case Command::Kind::Copy:
      result = expandCopy(command);
      break;
    case Command::Kind::Wait:
      result = expandWait(command, repeat);
      break;
    case Command::Kind::Repeat: {
      bool top = repeat < 0 && iterations.empty();
      int number = top ? next++ : repeat;
      int64_t count =
          top && shortened ? shortCounts[number] : command.iterations;
      for (int64_t i = 0; i < count && succeeded(result); ++i) {
        scope[command.index] = i;
        iterations.push_back(i);
        result = expandCommands(command.body, number);
        iterations.pop_back();
      }
      scope.erase(command.index);
      break;
    }
    }
    if (failed(result))
      return failure();
  }
  return success();
}

FailureOr<FlatProgram> Expander::run() {
  if (options.shorten)
    if (std::optional<std::vector<int64_t>> counts = getShortCounts(program)) {
      shortCounts = std::move(*counts);
      shortened = true;
    }
  for (const Family &family : program.families)
    layouts.push_back(getLayout(family, shortened ? &shortCounts : nullptr));
  if (failed(evaluateStages()))
    return failure();
  flat.timelines.reserve(program.timelineCount());
  for (auto [f, family] : llvm::enumerate(program.families)) {
    for (int64_t number = 0; number < family.count; ++number) {
      timeline = &flat.timelines.emplace_back();
      timeline->family = f;
      timeline->number = number;
      scope[family.index] = number;
      if (failed(expandCommands(family.commands, -1)))
        return failure();
      for (const Piece &piece : layouts[f])
        for (int64_t n = 0; n < piece.perIteration * piece.shortIterations; ++n)
          timeline->counts.push_back(piece.fullBegin + n + 1);
      scope.erase(family.index);
    }
  }
  return std::move(flat);
}

FailureOr<FlatProgram> schedule::expand(const Program &program,
                                        const SymbolBindings &bindings,
                                        const ExpandOptions &options,
                                        std::string &error) {
  return Expander(program, bindings, options, error).run();
}

size_t FlatProgram::commandCount() const {
  size_t count = 0;
  for (const FlatTimeline &timeline : timelines)
    count += timeline.commands.size();
  return count;
}

std::string FlatProgram::describe(int timeline, int command) const {
  const FlatTimeline &line = timelines[timeline];
  const FlatCommand &flat = line.commands[command];
  std::string text;
  switch (flat.command->kind) {
  case Command::Kind::Run:
    text = "run @" + program->stages[flat.command->stage].name + " tiles [" +
           std::to_string(flat.from) + ", " + std::to_string(flat.to) + ")";
    break;
  case Command::Kind::Copy:
    text = "copy %" + program->buffers[flat.command->operands[0].buffer].name +
           " -> %" + program->buffers[flat.command->operands[1].buffer].name;
    break;
  default: {
    const FlatTimeline &target = timelines[flat.target];
    text = "wait @" + program->families[target.family].name + "[" +
           std::to_string(target.number);
    if (flat.targetEnd - flat.target > 1)
      text += ", " +
              std::to_string(target.number + flat.targetEnd - flat.target) +
              ")";
    else
      text += "]";
    text += " >= " + std::to_string(flat.count);
    break;
  }
  }
  text += " of @" + program->families[line.family].name + "[" +
          std::to_string(line.number) + "]";
  for (int64_t iteration : flat.iterations)
    text += ", iteration " + std::to_string(iteration);
  return text;
}

std::vector<SymbolBindings>
schedule::sampleBindings(ArrayRef<Symbol> symbols, unsigned samples) {
  std::vector<SymbolBindings> result(1);
  if (symbols.empty())
    return result;
  // Sizes beyond this are not met; tile counts would only cost time.
  constexpr int64_t cap = 1 << 12;
  auto least = [](const Symbol &symbol) {
    return std::max<int64_t>(0, symbol.range.min);
  };
  auto largest = [&](const Symbol &symbol) {
    return std::max(least(symbol), std::min(symbol.range.max, cap));
  };
  result.clear();
  auto add = [&](auto choose) {
    SymbolBindings bindings;
    for (auto [k, symbol] : llvm::enumerate(symbols))
      bindings[symbol.name] = choose(k, symbol);
    for (const SymbolBindings &known : result) {
      bool same = true;
      for (const Symbol &symbol : symbols)
        same &= known.lookup(symbol.name) == bindings.lookup(symbol.name);
      if (same)
        return;
    }
    result.push_back(std::move(bindings));
  };
  add([&](size_t, const Symbol &symbol) { return least(symbol); });
  add([&](size_t, const Symbol &symbol) { return largest(symbol); });
  if (symbols.size() > 1)
    for (size_t one = 0; one < symbols.size(); ++one)
      for (bool up : {false, true})
        add([&](size_t k, const Symbol &symbol) {
          return (k == one) == up ? largest(symbol) : least(symbol);
        });
  std::mt19937_64 random(1);
  for (unsigned s = 0; s < samples; ++s)
    add([&](size_t, const Symbol &symbol) {
      return least(symbol) +
             int64_t(random() % uint64_t(largest(symbol) - least(symbol) + 1));
    });
  return result;
}
