//===- Synchronizer.cpp - Waits where data crosses workers ----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The table is gone through once, for all workers in step. `known[w][v]` is how
// many signals of v come before what w does now. Where w conflicts with a use of
// v that it does not know to be done, a wait is put before the command.
//
// Repeats are gone through twice, over as many iterations as stand for all:
// first as if everything before were known to be done, which finds the waits
// between iterations; then with those in place, which finds what is missing
// before the first iteration; that is waited for ahead of the repeat.
//
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/Synchronizer.h"
#include "Structure.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::schedule;

namespace {
/// A wait of all workers of the family in [byFrom, byTo) for those in
/// [from, to), plus their own number if `relative`.
struct Form {
  bool relative = false;
  int64_t from = 0, to = 0;
  int64_t byFrom = 0, byTo = 0;
  /// Signals, in the shortened program; plus those of the iterations before if
  /// `perIteration`.
  bool perIteration = false;
  int64_t count = 0;

  std::pair<int64_t, int64_t> range(int64_t w, int64_t width) const {
    int64_t shift = relative ? w : 0;
    return {std::max<int64_t>(0, from + shift), std::min(width, to + shift)};
  }
};

struct Use {
  const Command *command;
  int operand;
  uint32_t signal;
  bool write;
};

struct State {
  std::vector<std::vector<uint32_t>> known;
  /// Unit -> timeline -> the latest use by each operand of each command.
  std::vector<std::vector<std::vector<Use>>> uses;
};

class Synchronizer {
public:
  Synchronizer(Program &program, std::string &error)
      : program(program), family(program.families.front()), error(error),
        structure(program), width(family.count) {}

  LogicalResult run();

private:
  struct TopLevel {
    const Command *command;
    size_t begin, end;     // positions
    int64_t perIteration;  // of a repeat
    int64_t shift;         // full minus short count of what comes before
    int64_t skipped;       // signals of iterations left out
  };

  LogicalResult prepare();
  const TopLevel &topLevelOf(size_t position) const;
  void step(size_t position, State &state, bool add);
  void applyForm(const Form &form, int64_t iteration, int64_t perIteration,
                 std::vector<std::vector<uint32_t>> &known);
  bool findNeeds(size_t position, const State &state,
                 std::vector<std::map<int64_t, uint32_t>> &needs);
  Form chooseForm(const std::vector<std::map<int64_t, uint32_t>> &needs) const;
  bool isSufficient();
  void prune();
  Command emit(const Form &form, const TopLevel &top) const;
  int64_t toFull(int64_t count) const;

  Program &program;
  Family &family;
  std::string &error;
  Structure structure;
  int64_t width;
  FlatProgram flat;
  std::vector<TopLevel> tops;
  std::vector<int> firstUnit;
  int unitCount = 0;
  std::map<const Command *, std::vector<Form>> before;
  /// known, when the position was reached; to know what its signal implies.
  std::vector<std::vector<std::vector<uint32_t>>> atPosition;
  bool missing = false;
};
} // namespace

LogicalResult Synchronizer::prepare() {
  for (const Command &command : family.commands) {
    if (command.kind == Command::Kind::Wait) {
      error = "the program has waits already";
      return failure();
    }
    for (const Command &inner : command.body)
      if (inner.kind == Command::Kind::Repeat ||
          inner.kind == Command::Kind::Wait) {
        error = "a repeat in a repeat, or a wait in it";
        return failure();
      }
  }
  ExpandOptions options;
  options.emptyAccesses = true;
  FailureOr<FlatProgram> expanded = expand(
      program, sampleBindings(program, 0).front(), options, error);
  if (failed(expanded))
    return failure();
  flat = std::move(*expanded);

  for (const Buffer &buffer : program.buffers) {
    firstUnit.push_back(unitCount);
    unitCount += buffer.slots;
  }
  // Pieces of the table.
  const std::vector<FlatCommand> &commands = flat.timelines.front().commands;
  size_t position = 0;
  int64_t shift = 0;
  for (const Command &command : family.commands) {
    TopLevel top;
    top.command = &command;
    top.begin = position;
    top.shift = shift;
    top.skipped = 0;
    bool isRepeat = command.kind == Command::Kind::Repeat;
    top.perIteration =
        isRepeat ? countSignals(command.body) : countSignals(command);
    if (isRepeat) {
      int64_t iterations = 0;
      while (position < commands.size() &&
             llvm::any_of(command.body, [&](const Command &inner) {
               return commands[position].command == &inner;
             }))
        ++position;
      if (top.perIteration)
        iterations = (position - top.begin) / top.perIteration;
      top.skipped = (command.iterations - iterations) * top.perIteration;
      shift += top.skipped;
    } else {
      position += top.perIteration;
    }
    top.end = position;
    tops.push_back(top);
  }
  return success();
}

const Synchronizer::TopLevel &Synchronizer::topLevelOf(size_t position) const {
  auto it = llvm::partition_point(
      tops, [&](const TopLevel &top) { return top.end <= position; });
  return *it;
}

void Synchronizer::applyForm(const Form &form, int64_t iteration,
                             int64_t perIteration,
                             std::vector<std::vector<uint32_t>> &known) {
  int64_t count =
      form.count + (form.perIteration ? iteration * perIteration : 0);
  if (count <= 0)
    return;
  for (int64_t w = std::max<int64_t>(0, form.byFrom),
               e = std::min(width, form.byTo);
       w < e; ++w) {
    auto [from, to] = form.range(w, width);
    for (int64_t v = from; v < to; ++v) {
      if (v == w || int64_t(known[w][v]) >= count)
        continue;
      const std::vector<uint32_t> &theirs = atPosition[count - 1][v];
      for (int64_t u = 0; u < width; ++u)
        known[w][u] = std::max(known[w][u], theirs[u]);
      known[w][v] = count;
    }
  }
}

bool Synchronizer::findNeeds(size_t position, const State &state,
                             std::vector<std::map<int64_t, uint32_t>> &needs) {
  bool any = false;
  needs.assign(width, {});
  for (int64_t w = 0; w < width; ++w) {
    const FlatCommand &work = flat.timelines[w].commands[position];
    if (!structure.mayBeActive(*work.command, 0, w))
      continue;
    for (const FlatAccess &access : work.accesses) {
      const auto &unit = state.uses[firstUnit[access.buffer] + access.slot];
      bool write = writes(access.access);
      for (int64_t v = 0; v < width; ++v) {
        if (v == w)
          continue;
        for (const Use &use : unit[v]) {
          if ((!write && !use.write) || state.known[w][v] >= use.signal)
            continue;
          auto need = needs[w].find(v);
          if (need != needs[w].end() && need->second >= use.signal)
            continue;
          if (!structure.mayOverlap(*use.command, use.operand, 0, v,
                                    *work.command, access.operand, 0, w))
            continue;
          needs[w][v] = use.signal;
          any = true;
        }
      }
    }
  }
  return any;
}

Form Synchronizer::chooseForm(
    const std::vector<std::map<int64_t, uint32_t>> &needs) const {
  Form absolute, relative;
  relative.relative = true;
  absolute.from = relative.from = width;
  absolute.to = 0;
  relative.to = -width;
  int64_t byFrom = width, byTo = 0, count = 0;
  for (int64_t w = 0; w < width; ++w) {
    for (auto [v, signal] : needs[w]) {
      absolute.from = std::min(absolute.from, v);
      absolute.to = std::max(absolute.to, v + 1);
      relative.from = std::min(relative.from, v - w);
      relative.to = std::max(relative.to, v - w + 1);
      byFrom = std::min(byFrom, w);
      byTo = w + 1;
      count = std::max<int64_t>(count, signal);
    }
  }
  auto cost = [&](const Form &form, int64_t by, int64_t to) {
    int64_t waits = 0;
    for (int64_t w = by; w < to; ++w) {
      auto [first, last] = form.range(w, width);
      waits += std::max<int64_t>(0, last - first) -
               (first <= w && w < last ? 1 : 0);
    }
    return waits;
  };
  bool near = cost(relative, byFrom, byTo) < cost(absolute, byFrom, byTo);
  Form form = near ? relative : absolute;
  form.count = count;
  form.byFrom = byFrom;
  form.byTo = byTo;
  // Whoever would wait for nobody need not be named.
  if (cost(form, 0, byFrom) == 0 && cost(form, byTo, width) == 0) {
    form.byFrom = 0;
    form.byTo = width;
  }
  return form;
}

/// One position, for all workers. With `add`, puts waits where one is needed;
/// otherwise notes that one is missing.
void Synchronizer::step(size_t position, State &state, bool add) {
  const FlatCommand &work = flat.timelines.front().commands[position];
  const TopLevel &top = topLevelOf(position);
  bool inRepeat = top.command->kind == Command::Kind::Repeat;
  int64_t iteration = inRepeat ? work.iterations.front() : 0;

  auto apply = [&](const Command *command, int64_t i) {
    auto forms = before.find(command);
    if (forms != before.end())
      for (const Form &form : forms->second)
        applyForm(form, i, top.perIteration, state.known);
  };
  if (inRepeat && position == top.begin)
    apply(top.command, 0);
  if (work.part == 0)
    apply(work.command, iteration);

  std::vector<std::map<int64_t, uint32_t>> needs;
  if (findNeeds(position, state, needs)) {
    if (!add) {
      missing = true;
    } else {
      // What is before the repeat and what is in it are waited for apart.
      for (bool inside : {false, true}) {
        std::vector<std::map<int64_t, uint32_t>> some(width);
        bool any = false;
        for (int64_t w = 0; w < width; ++w)
          for (auto [v, signal] : needs[w])
            if ((inRepeat && signal > top.begin) == inside) {
              some[w][v] = signal;
              any = true;
            }
        if (!any)
          continue;
        Form form = chooseForm(some);
        if (inside) {
          form.perIteration = true;
          form.count -= iteration * top.perIteration;
        }
        applyForm(form, iteration, top.perIteration, state.known);
        before[inRepeat && !inside ? top.command : work.command].push_back(
            form);
      }
    }
  }

  atPosition[position] = state.known;
  for (int64_t w = 0; w < width; ++w) {
    const FlatCommand &own = flat.timelines[w].commands[position];
    if (!structure.mayBeActive(*own.command, 0, w))
      continue;
    for (const FlatAccess &access : own.accesses) {
      auto &uses = state.uses[firstUnit[access.buffer] + access.slot][w];
      llvm::erase_if(uses, [&](const Use &use) {
        return use.command == own.command && use.operand == access.operand;
      });
      uses.push_back({own.command, access.operand, uint32_t(position + 1),
                      writes(access.access)});
    }
  }
}

static State makeState(int64_t width, int units) {
  State state;
  state.known.assign(width, std::vector<uint32_t>(width, 0));
  state.uses.assign(units, std::vector<std::vector<Use>>(width));
  return state;
}

/// Whether the waits that are there suffice.
bool Synchronizer::isSufficient() {
  missing = false;
  State state = makeState(width, unitCount);
  for (size_t position = 0, e = atPosition.size(); position < e && !missing;
       ++position)
    step(position, state, /*add=*/false);
  return !missing;
}

/// Takes out waits that the others make superfluous.
void Synchronizer::prune() {
  size_t waits = 0;
  for (auto &[command, forms] : before)
    waits += forms.size();
  if (waits * width * width * atPosition.size() > (1 << 20))
    return;
  // In the order of the table, so that the result does not depend on addresses.
  SmallVector<const Command *> order;
  for (const Command &command : family.commands) {
    order.push_back(&command);
    for (const Command &inner : command.body)
      order.push_back(&inner);
  }
  for (const Command *command : order) {
    auto forms = before.find(command);
    if (forms == before.end())
      continue;
    for (size_t k = 0; k < forms->second.size();) {
      Form form = forms->second[k];
      forms->second.erase(forms->second.begin() + k);
      if (isSufficient())
        continue;
      forms->second.insert(forms->second.begin() + k, form);
      ++k;
    }
  }
}

int64_t Synchronizer::toFull(int64_t count) const {
  if (count <= 0)
    return count;
  const TopLevel &top = topLevelOf(count - 1);
  // Seen from behind, the last iterations are the last.
  return count + top.shift + top.skipped;
}

Command Synchronizer::emit(const Form &form, const TopLevel &top) const {
  SizeExpr shift = form.relative ? SizeExpr::symbol(family.index) : 0;
  SizeExpr from = shift + form.from, to = shift + form.to;
  if (!form.relative && form.from == 0 && form.to == width)
    to = 0x7fffffff;
  SizeExpr count = form.perIteration
                       ? SizeExpr::symbol(top.command->index) *
                                 top.perIteration +
                             (form.count + top.shift)
                       : SizeExpr(toFull(form.count));
  Command wait = Command::wait(0, from, to, count);
  if (form.byFrom > 0 || form.byTo < width) {
    wait.byFrom = form.byFrom;
    wait.byTo = form.byTo;
  }
  return wait;
}

LogicalResult Synchronizer::run() {
  if (width == 1)
    return success();
  if (failed(prepare()))
    return failure();
  size_t positions = flat.timelines.front().commands.size();
  atPosition.assign(positions, {});
  State state = makeState(width, unitCount);
  for (const TopLevel &top : tops) {
    if (top.command->kind == Command::Kind::Repeat) {
      State ideal = state;
      for (auto &row : ideal.known)
        for (uint32_t &count : row)
          count = top.begin;
      for (size_t position = top.begin; position < top.end; ++position)
        step(position, ideal, /*add=*/true);
    }
    for (size_t position = top.begin; position < top.end; ++position)
      step(position, state, /*add=*/true);
  }
  prune();

  std::vector<Command> commands;
  auto emitBefore = [&](const Command &command, const TopLevel &top,
                        std::vector<Command> &into) {
    auto forms = before.find(&command);
    if (forms != before.end())
      for (const Form &form : forms->second)
        into.push_back(emit(form, top));
  };
  for (const TopLevel &top : tops) {
    emitBefore(*top.command, top, commands);
    Command copy = *top.command;
    if (copy.kind == Command::Kind::Repeat) {
      copy.body.clear();
      for (const Command &inner : top.command->body) {
        emitBefore(inner, top, copy.body);
        copy.body.push_back(inner);
      }
    }
    commands.push_back(std::move(copy));
  }
  family.commands = std::move(commands);
  return success();
}

LogicalResult schedule::insertWaits(Program &program, std::string &error) {
  if (program.families.size() != 1) {
    error = "expected one family but got " +
            std::to_string(program.families.size());
    return failure();
  }
  return Synchronizer(program, error).run();
}
