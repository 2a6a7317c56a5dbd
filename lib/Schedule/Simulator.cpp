//===- Simulator.cpp - How long a schedule takes --------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Events are the ends of commands. Between two events every command that runs
// proceeds at a constant rate, the least that one of its resources allows; when
// one ends, the shares of shared levels are computed anew.
//
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/Simulator.h"
#include "headrace/Cost/Machine.h"
#include "headrace/Schedule/Verifier.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <list>

using namespace mlir;
using namespace headrace;
using namespace headrace::schedule;

namespace {
/// What one instance of a level holds.
class Residency {
public:
  /// Bytes of `box` that are not here any more; notes that it is used now.
  int64_t touch(int buffer, int64_t slot, const Box &box, int64_t elementBytes,
                int64_t capacity) {
    int64_t size = box.volume() * elementBytes;
    BoxSet missing{box};
    auto &entries = held[{buffer, slot}];
    for (auto it = entries.begin(); it != entries.end();) {
      bool gone = capacity > 0 && touched - it->second + size > capacity;
      if (!gone)
        missing.subtract(it->first);
      // What is inside the new box is renewed by it.
      if (gone || box.contains(it->first))
        it = entries.erase(it);
      else
        ++it;
    }
    int64_t absent = missing.volume() * elementBytes;
    touched += size;
    entries.push_back({box, touched});
    return absent;
  }

  /// Bytes of `box` that are not here any more.
  int64_t missing(int buffer, int64_t slot, const Box &box,
                  int64_t elementBytes, int64_t capacity) const {
    BoxSet absent{box};
    if (auto entries = held.find({buffer, slot}); entries != held.end())
      for (const auto &[known, time] : entries->second)
        if (capacity == 0 || touched - time <= capacity)
          absent.subtract(known);
    return absent.volume() * elementBytes;
  }
  /// Bytes that pass through, of which it is not known where they belong.
  void pass(int64_t bytes) { touched += bytes; }

private:
  std::map<std::pair<int, int64_t>, std::list<std::pair<Box, int64_t>>> held;
  /// Bytes touched so far.
  int64_t touched = 0;
};

/// What a command needs.
struct Demand {
  double computeSeconds = 0;
  double fixedSeconds = 0; // latency of a mover
  /// Per level.
  std::vector<double> readBytes, writeBytes;
  bool nonTemporal = false;
  bool mover = false;
};

/// A command that runs.
struct Active {
  size_t record;
  Demand demand;
  double left = 1; // of the whole
  double rate = 0; // of the whole per second
};

class Machine {
public:
  Machine(const Program &program, const MachineModel &model,
          Simulation &result)
      : program(program), model(model), result(result), flat(result.flat) {}
  LogicalResult run(std::string &error);

private:
  size_t instanceOf(size_t level, int timeline) const {
    return (timeline - program.firstTimeline(flat.timelines[timeline].family)) /
           std::max<int64_t>(1, model.levels[level].sharers);
  }
  /// 0 for the home of the data, which holds everything.
  int64_t getCapacity(size_t level) const {
    return level == model.home ? 0 : int64_t(model.levels[level].bytes.value);
  }
  Demand getDemand(int timeline, const FlatCommand &work);
  void setRates();
  void start(int timeline, double now);
  bool tryAdvance(int timeline, double now);

  const Program &program;
  const MachineModel &model;
  Simulation &result;
  const FlatProgram &flat;
  /// Per level, per instance.
  std::vector<std::vector<Residency>> residency;
  std::vector<std::optional<Active>> active;
  std::vector<size_t> position;
  std::vector<int64_t> done;
  /// When the timeline began to wait; negative if it does not.
  std::vector<double> waitingSince;
  /// When a timeline that was woken goes on; negative if none.
  std::vector<double> wakeAt;
  /// (level, instance) -> seconds in use
  std::map<std::pair<size_t, size_t>, double> inUse;
};
} // namespace

Demand Machine::getDemand(int timeline, const FlatCommand &work) {
  Demand demand;
  demand.readBytes.assign(model.levels.size(), 0);
  demand.writeBytes.assign(model.levels.size(), 0);
  const Family &family = program.families[flat.timelines[timeline].family];
  demand.mover = family.mover;

  const Stage *stage = nullptr;
  int64_t tiles = 1, allTiles = 1;
  if (work.command->kind == Command::Kind::Run) {
    stage = &program.stages[work.command->stage];
    allTiles = stage->tileCount().evaluate(flat.bindings).value_or(1);
    tiles = std::max<int64_t>(0, work.to - work.from);
    double share = double(tiles) / double(std::max<int64_t>(1, allTiles));
    if (int64_t compute = stage->compute.evaluate(flat.bindings).value_or(0))
      demand.computeSeconds = 1e-15 * double(compute) * share;
    else if (model.flopsPerSecond > 0)
      demand.computeSeconds =
          double(stage->flops.evaluate(flat.bindings).value_or(0)) * share /
          model.flopsPerSecond;
    demand.computeSeconds += double(tiles) * model.tileSeconds;
    demand.nonTemporal = stage->stores == StoreClass::NonTemporal;
  }
  if (demand.mover)
    demand.fixedSeconds = model.moverLatency;
  if (model.levels.empty())
    return demand;

  // What the command touches in all.
  int64_t working = 0;
  for (const FlatAccess &access : work.accesses)
    working +=
        access.volume() * program.buffers[access.buffer].elementBytes;

  for (const FlatAccess &access : work.accesses) {
    const Buffer &buffer = program.buffers[access.buffer];
    int64_t all = access.volume() * buffer.elementBytes;
    bool isLoose = access.loose >= 0;
    // Tile by tile: a tile's extents, clamped to what there is.
    double byTile = all;
    if (stage && !isLoose &&
        !stage->operands[access.operand].footprint.whole) {
      double one = buffer.elementBytes;
      const Box &whole = flat.wholes[access.buffer];
      for (auto [d, dim] : llvm::enumerate(
               stage->operands[access.operand].footprint.dims))
        one *= std::min<int64_t>(
            dim.extent.evaluate(flat.bindings).value_or(1),
            whole.dims[d].second);
      byTile = std::max<double>(all, one * double(tiles));
    }
    if (reads(access.access)) {
      demand.readBytes[0] += byTile;
      for (size_t level = 0; level < model.home; ++level) {
        int64_t capacity = getCapacity(level);
        bool stays = model.levels[level].kind != hw::Memory::Kind::Scratchpad;
        int64_t missing = stays ? 0 : all;
        Residency &held = residency[level][instanceOf(level, timeline)];
        for (const Box &box : access.boxes)
          if (stays)
            missing += isLoose ? held.missing(access.buffer, access.slot, box,
                                              buffer.elementBytes, capacity)
                               : held.touch(access.buffer, access.slot, box,
                                            buffer.elementBytes, capacity);
        if (isLoose && stays) {
          missing = std::min(missing, all);
          held.pass(all);
        }
        // What does not fit is fetched again for every tile.
        demand.readBytes[level + 1] +=
            capacity > 0 && working > capacity ? std::max<double>(byTile, missing)
                                               : double(missing);
      }
    }
    if (writes(access.access)) {
      if (demand.nonTemporal) {
        demand.writeBytes[model.home] += all;
        continue;
      }
      for (size_t level = 0; level <= model.home; ++level) {
        demand.writeBytes[level] += all;
        int64_t capacity = getCapacity(level);
        if (model.levels[level].kind == hw::Memory::Kind::Scratchpad)
          continue;
        if (level < model.home) {
          Residency &held = residency[level][instanceOf(level, timeline)];
          if (isLoose)
            held.pass(all);
          else
            for (const Box &box : access.boxes)
              held.touch(access.buffer, access.slot, box, buffer.elementBytes,
                         capacity);
        }
        if (capacity == 0 || working <= capacity)
          break;
      }
    }
  }
  return demand;
}

/// Seconds that the demand takes at a level whose instance has `users`.
static double secondsAt(const hw::Memory &level, const Demand &demand,
                        size_t number, size_t users, double unhidden) {
  auto secondsOf = [](double bytes, double rate) {
    return bytes > 0 && rate > 0 ? bytes / rate : 0;
  };
  double sharers = std::max<double>(double(users), 1);
  double read = secondsOf(demand.readBytes[number], level.readShared(sharers));
  double written = secondsOf(demand.writeBytes[number],
                             level.writeShared(sharers, demand.nonTemporal));
  // What is stored past the caches is not read first: the two go on beside each
  // other.
  return demand.nonTemporal ? cost::besideEachOther(read, written, unhidden)
                            : read + written;
}

void Machine::setRates() {
  size_t levels = model.levels.size();
  // Users of every instance.
  std::vector<std::map<size_t, size_t>> users(levels);
  for (auto [t, command] : llvm::enumerate(active)) {
    if (!command)
      continue;
    for (size_t level = 0; level < levels; ++level)
      if (command->demand.readBytes[level] + command->demand.writeBytes[level] >
          0)
        ++users[level][instanceOf(level, t)];
  }
  for (auto [t, command] : llvm::enumerate(active)) {
    if (!command)
      continue;
    double compute = command->demand.computeSeconds, longest = 0;
    int bound = -1;
    for (size_t level = 0; level < levels; ++level) {
      double seconds =
          secondsAt(model.levels[level], command->demand, level,
                    users[level][instanceOf(level, t)], model.unhidden);
      if (seconds > longest) {
        longest = seconds;
        if (seconds > compute)
          bound = level;
      }
    }
    if (command->demand.mover && model.moverBandwidth > 0) {
      double most = 0;
      for (size_t level = 0; level < levels; ++level)
        most = std::max(most, command->demand.readBytes[level] +
                                  command->demand.writeBytes[level]);
      longest = std::max(longest, most / model.moverBandwidth);
    }
    double seconds = cost::besideEachOther(compute, longest, model.unhidden) +
                     command->demand.fixedSeconds;
    command->rate = seconds > 0 ? 1 / seconds : 0;
    result.commands[command->record].bound = bound;
  }
}

/// Begins the next run or copy of the timeline, if its waits are satisfied.
/// Returns whether something began.
bool Machine::tryAdvance(int timeline, double now) {
  const std::vector<FlatCommand> &commands = flat.timelines[timeline].commands;
  size_t &at = position[timeline];
  while (at < commands.size() &&
         commands[at].kind == FlatCommand::Kind::Wait) {
    const FlatCommand &wait = commands[at];
    bool satisfied = true;
    for (int v = wait.target; v < wait.targetEnd && satisfied; ++v)
      satisfied = v == timeline || done[v] >= wait.count;
    if (!satisfied) {
      if (waitingSince[timeline] < 0)
        waitingSince[timeline] = now;
      return false;
    }
    if (waitingSince[timeline] >= 0) {
      // Seen only after the signal has travelled.
      if (wakeAt[timeline] < 0)
        wakeAt[timeline] = now + model.syncSeconds;
      if (wakeAt[timeline] > now)
        return false;
      result.timelines[timeline].stalled += now - waitingSince[timeline];
      waitingSince[timeline] = wakeAt[timeline] = -1;
    }
    ++at;
  }
  if (at >= commands.size())
    return false;
  start(timeline, now);
  return true;
}

void Machine::start(int timeline, double now) {
  const FlatCommand &work =
      flat.timelines[timeline].commands[position[timeline]];
  Active command;
  command.record = result.commands.size();
  command.demand = getDemand(timeline, work);
  SimulatedCommand &record = result.commands.emplace_back();
  record.timeline = timeline;
  record.command = position[timeline];
  record.begin = record.end = now;
  for (size_t level = 0; level < model.levels.size(); ++level) {
    double bytes =
        command.demand.readBytes[level] + command.demand.writeBytes[level];
    record.bytes.push_back(bytes);
    result.bytes[level] += bytes;
    result.joules += bytes * model.levels[level].joulesPerByte.value;
  }
  if (work.command->kind == Command::Kind::Run) {
    const Stage &stage = program.stages[work.command->stage];
    double tiles = stage.tileCount().evaluate(flat.bindings).value_or(1);
    record.flops = double(stage.flops.evaluate(flat.bindings).value_or(0)) *
                   double(std::max<int64_t>(0, work.to - work.from)) /
                   std::max(1.0, tiles);
    result.flops += record.flops;
    result.joules += record.flops * model.joulesPerFlop;
  }
  active[timeline] = std::move(command);
}

LogicalResult Machine::run(std::string &error) {
  size_t count = flat.timelines.size();
  residency.resize(model.levels.size());
  for (size_t level = 0; level < model.levels.size(); ++level)
    residency[level].resize(count);
  active.resize(count);
  position.assign(count, 0);
  done.assign(count, 0);
  waitingSince.assign(count, -1);
  wakeAt.assign(count, -1);
  result.timelines.resize(count);
  result.bytes.assign(model.levels.size(), 0);
  result.utilization.assign(model.levels.size(), 0);

  double now = 0;
  for (;;) {
    for (size_t t = 0; t < count; ++t)
      if (!active[t])
        tryAdvance(t, now);
    setRates();
    // The next end of a command, or the next timeline that sees a signal.
    double step = std::numeric_limits<double>::infinity();
    for (size_t t = 0; t < count; ++t) {
      if (active[t])
        step = std::min(step, active[t]->rate > 0
                                  ? active[t]->left / active[t]->rate
                                  : 0.0);
      else if (wakeAt[t] >= 0)
        step = std::min(step, std::max(0.0, wakeAt[t] - now));
    }
    if (step == std::numeric_limits<double>::infinity())
      break;
    for (size_t level = 0; level < model.levels.size(); ++level) {
      std::map<size_t, bool> used;
      for (size_t t = 0; t < count; ++t)
        if (active[t] &&
            result.commands[active[t]->record].bound == int(level))
          used[instanceOf(level, t)] = true;
      for (auto [instance, yes] : used)
        inUse[{level, instance}] += step;
    }
    now += step;
    for (size_t t = 0; t < count; ++t) {
      if (active[t]) {
        Active &command = *active[t];
        command.left -= command.rate * step;
        // Rounding must not leave a sliver that takes another event.
        if (command.rate > 0 && command.left > 1e-9)
          continue;
        SimulatedCommand &record = result.commands[command.record];
        record.end = now;
        result.timelines[t].busy += record.end - record.begin;
        result.timelines[t].end = now;
        active[t].reset();
        ++done[t];
        ++position[t];
      } else if (wakeAt[t] >= 0 && wakeAt[t] - now < 1e-15) {
        wakeAt[t] = now;
      }
    }
  }
  for (size_t t = 0; t < count; ++t)
    if (position[t] < flat.timelines[t].commands.size()) {
      error = "the schedule has a deadlock: '" +
              flat.describe(t, position[t]) + "' never goes on";
      return failure();
    }
  result.seconds = now;
  for (size_t level = 0; level < model.levels.size(); ++level) {
    size_t instances = 0;
    double seconds = 0;
    for (auto &[key, time] : inUse)
      if (key.first == level) {
        seconds += time;
        ++instances;
      }
    if (instances && now > 0)
      result.utilization[level] = seconds / (double(instances) * now);
  }
  if (model.watts > 0)
    result.joules = model.watts * now;
  result.dollars = model.pricePerHour / 3600 * now;
  return success();
}

FailureOr<Simulation> schedule::simulate(const Program &program,
                                         const MachineModel &machine,
                                         const SymbolBindings &bindings,
                                         std::string &error) {
  Simulation result;
  ExpandOptions options;
  options.shorten = false;
  FailureOr<FlatProgram> flat = expand(program, bindings, options, error);
  if (failed(flat))
    return failure();
  result.flat = std::move(*flat);
  if (failed(Machine(program, machine, result).run(error)))
    return failure();
  return result;
}

double schedule::getCallSeconds(const MachineModel &machine, int64_t workers) {
  if (workers <= 1)
    return 0;
  return machine.wakeSeconds + double(workers) * machine.syncSeconds;
}

//===----------------------------------------------------------------------===//
// Output
//===----------------------------------------------------------------------===//

static std::string timelineName(const FlatProgram &flat, int timeline) {
  const FlatTimeline &line = flat.timelines[timeline];
  return "@" + flat.program->families[line.family].name + "[" +
         std::to_string(line.number) + "]";
}

static std::string commandName(const FlatProgram &flat,
                               const SimulatedCommand &record) {
  const FlatCommand &work =
      flat.timelines[record.timeline].commands[record.command];
  if (work.command->kind == Command::Kind::Run)
    return flat.program->stages[work.command->stage].name;
  return "copy %" +
         flat.program->buffers[work.command->operands[1].buffer].name;
}

static std::string boundName(const MachineModel &machine, int bound) {
  return bound < 0 ? "operations" : machine.levels[bound].name;
}

void schedule::writeTrace(const Simulation &simulation,
                          const MachineModel &machine, llvm::raw_ostream &os) {
  const FlatProgram &flat = simulation.flat;
  llvm::json::OStream json(os, 1);
  auto micro = [](double seconds) { return seconds * 1e6; };
  json.object([&] {
    json.attribute("displayTimeUnit", "ns");
    json.attributeArray("traceEvents", [&] {
      for (size_t t = 0; t < flat.timelines.size(); ++t)
        json.object([&] {
          json.attribute("ph", "M");
          json.attribute("name", "thread_name");
          json.attribute("pid", 0);
          json.attribute("tid", int64_t(t));
          json.attributeObject("args", [&] {
            json.attribute("name", timelineName(flat, t));
          });
        });
      std::vector<double> last(flat.timelines.size(), 0);
      for (const SimulatedCommand &record : simulation.commands) {
        const FlatCommand &work =
            flat.timelines[record.timeline].commands[record.command];
        if (record.begin > last[record.timeline])
          json.object([&] {
            json.attribute("ph", "X");
            json.attribute("name", "wait");
            json.attribute("cat", "stall");
            json.attribute("pid", 0);
            json.attribute("tid", int64_t(record.timeline));
            json.attribute("ts", micro(last[record.timeline]));
            json.attribute("dur", micro(record.begin - last[record.timeline]));
          });
        last[record.timeline] = record.end;
        json.object([&] {
          json.attribute("ph", "X");
          json.attribute("name", commandName(flat, record));
          json.attribute("cat", "command");
          json.attribute("pid", 0);
          json.attribute("tid", int64_t(record.timeline));
          json.attribute("ts", micro(record.begin));
          json.attribute("dur", micro(record.end - record.begin));
          json.attributeObject("args", [&] {
            json.attribute("first tile", work.from);
            json.attribute("last tile", work.to);
            for (int64_t iteration : work.iterations)
              json.attribute("iteration", iteration);
            json.attribute("flops", record.flops);
            json.attribute("bound by", boundName(machine, record.bound));
            for (auto [level, bytes] : llvm::enumerate(record.bytes))
              json.attribute("bytes at " + machine.levels[level].name, bytes);
          });
        });
      }
      // Bytes per second at each level, as steps.
      for (size_t level = 0; level < machine.levels.size(); ++level) {
        std::map<double, double> change;
        for (const SimulatedCommand &record : simulation.commands) {
          double length = record.end - record.begin;
          if (length <= 0 || record.bytes[level] <= 0)
            continue;
          change[record.begin] += record.bytes[level] / length;
          change[record.end] -= record.bytes[level] / length;
        }
        double rate = 0;
        for (auto [time, difference] : change) {
          rate += difference;
          json.object([&] {
            json.attribute("ph", "C");
            json.attribute("name", machine.levels[level].name + " GB/s");
            json.attribute("pid", 0);
            json.attribute("ts", micro(time));
            json.attributeObject("args", [&] {
              json.attribute("GB/s", std::max(0.0, rate) / 1e9);
            });
          });
        }
      }
    });
  });
}

void schedule::printSimulation(const Simulation &simulation,
                               const MachineModel &machine,
                               llvm::raw_ostream &os) {
  const FlatProgram &flat = simulation.flat;
  os << "predicted: "
     << llvm::format("%.3f ms", simulation.seconds * 1e3);
  if (simulation.joules > 0)
    os << llvm::format(", %.3g J", simulation.joules);
  if (simulation.dollars > 0)
    os << llvm::format(", %.3g dollars", simulation.dollars);
  os << "\n";
  for (auto [level, bytes] : llvm::enumerate(simulation.bytes))
    os << "  " << machine.levels[level].name << ": "
       << llvm::format("%.0f bytes, bounds %.0f %% of the time", bytes,
                       simulation.utilization[level] * 100)
       << "\n";
  for (auto [t, timeline] : llvm::enumerate(simulation.timelines))
    os << "  " << timelineName(flat, t) << ": "
       << llvm::format("busy %.3f ms, stalled %.3f ms", timeline.busy * 1e3,
                       timeline.stalled * 1e3)
       << "\n";
  // Per stage, in the order of first appearance.
  struct Sum {
    double seconds = 0;
    size_t runs = 0;
    int bound = -1;
  };
  std::vector<std::string> order;
  std::map<std::string, Sum> sums;
  for (const SimulatedCommand &record : simulation.commands) {
    std::string name = commandName(flat, record);
    auto [entry, inserted] = sums.try_emplace(name);
    if (inserted)
      order.push_back(name);
    entry->second.seconds += record.end - record.begin;
    if (record.end > record.begin)
      entry->second.bound = record.bound;
    ++entry->second.runs;
  }
  for (const std::string &name : order) {
    const Sum &sum = sums[name];
    os << "  " << name << ": "
       << llvm::format("%.3f ms in %zu runs", sum.seconds * 1e3, sum.runs)
       << ", bound by " << boundName(machine, sum.bound) << "\n";
  }
}
