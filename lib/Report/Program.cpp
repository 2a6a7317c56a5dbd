//===- Program.cpp - One schedule in a report -----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Parts.h"
#include "headrace/Schedule/LeastBytes.h"
#include "headrace/Schedule/MemoryPlanner.h"
#include "headrace/Schedule/SimulateProgram.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::report;
using llvm::json::Array;
using llvm::json::Object;

namespace {
/// A command of the simulated call, with what was measured of it.
struct Execution {
  const schedule::SimulatedCommand *predicted = nullptr;
  const schedule::FlatCommand *work = nullptr;
  const Profile::Record *measured = nullptr;
};

/// Figures of a stage over the whole call.
struct StageSum {
  int64_t runs = 0, tiles = 0, predictedNs = 0, measuredNs = 0;
  double flops = 0;
  std::vector<double> bytes;
  /// Time by what bounds it: operations first, then the memories.
  std::vector<int64_t> boundNs;
};

class ProgramReport {
public:
  ProgramReport(sched::ProgramOp op, const hw::System &system,
                const SymbolBindings &sizes,
                const llvm::StringMap<int64_t> &stages, const Profile *profile)
      : op(op), system(system), worker(system.getDevice().getWorker()),
        sizes(sizes), stageNumbers(stages), profile(profile) {}

  FailureOr<Object> run();

private:
  LogicalResult collect();
  LogicalResult matchProfile();
  Object describeRoofs();
  Object describeLeast();
  Object describePredicted();
  Object describeMeasured();
  Array describeStages();
  Object describeCommands();
  Array describeArenas();
  Array describeBuffers();
  /// A copy: the report outlives the simulation.
  std::string getBoundName(int bound) {
    return bound < 0 ? "operations" : simulated.machine.levels[bound].name;
  }
  std::optional<int64_t> evaluate(hr::SizeAttr size) {
    return size ? size.getExpr().evaluate(sizes) : std::nullopt;
  }

  sched::ProgramOp op;
  const hw::System &system;
  const hw::Worker &worker;
  const SymbolBindings &sizes;
  const llvm::StringMap<int64_t> &stageNumbers;
  const Profile *profile;

  ProgramSimulation simulated;
  schedule::LeastBytes least;
  int64_t leastNs = 0;
  /// Per timeline, in order.
  std::vector<std::vector<Execution>> executions;
  std::vector<StageSum> sums;
};
} // namespace

static int64_t toWhole(double value) { return std::llround(value); }

LogicalResult ProgramReport::collect() {
  FailureOr<ProgramSimulation> result = simulateProgram(op, system, sizes);
  if (failed(result))
    return failure();
  simulated = std::move(*result);
  const schedule::Simulation &simulation = simulated.simulation;
  const schedule::FlatProgram &flat = simulation.flat;

  // Constants of the same name are the same bytes.
  llvm::StringMap<int64_t> names;
  std::vector<std::vector<int64_t>> identities;
  int64_t next = 0;
  for (sched::BufferOp buffer : simulated.imported->buffers) {
    std::vector<int64_t> &own = identities.emplace_back();
    auto symbols = buffer.getSymbols();
    for (int64_t slot = 0; slot < static_cast<int64_t>(buffer.getSlots()) ||
                           (symbols && slot < int64_t(symbols->size()));
         ++slot) {
      if (!symbols) {
        own.push_back(next++);
        continue;
      }
      auto [entry, inserted] = names.try_emplace(
          cast<FlatSymbolRefAttr>((*symbols)[slot]).getValue(), next);
      next += inserted;
      own.push_back(entry->second);
    }
  }
  least = schedule::findLeastBytes(flat, [&](int buffer, int64_t slot) {
    return identities[buffer][slot];
  });

  std::vector<std::vector<const schedule::SimulatedCommand *>> records;
  for (const schedule::FlatTimeline &timeline : flat.timelines)
    records.emplace_back(timeline.commands.size(), nullptr);
  for (const schedule::SimulatedCommand &record : simulation.commands)
    records[record.timeline][record.command] = &record;
  for (auto [t, timeline] : llvm::enumerate(flat.timelines)) {
    std::vector<Execution> &list = executions.emplace_back();
    for (auto [c, command] : llvm::enumerate(timeline.commands))
      if (command.kind == schedule::FlatCommand::Kind::Work)
        list.push_back({records[t][c], &command, nullptr});
  }
  if (profile && failed(matchProfile()))
    return failure();

  size_t levels = simulated.machine.levels.size();
  sums.resize(flat.program->stages.size());
  for (StageSum &sum : sums) {
    sum.bytes.assign(levels, 0);
    sum.boundNs.assign(levels + 1, 0);
  }
  for (const std::vector<Execution> &list : executions)
    for (const Execution &execution : list) {
      if (execution.work->command->kind != schedule::Command::Kind::Run)
        continue;
      StageSum &sum = sums[execution.work->command->stage];
      const schedule::SimulatedCommand &record = *execution.predicted;
      int64_t ns = toNanoseconds(record.end) - toNanoseconds(record.begin);
      ++sum.runs;
      sum.tiles += std::max<int64_t>(0, execution.work->to -
                                            execution.work->from);
      sum.predictedNs += ns;
      sum.flops += record.flops;
      sum.boundNs[record.bound + 1] += ns;
      for (size_t level = 0; level < levels; ++level)
        sum.bytes[level] += record.bytes[level];
      if (execution.measured)
        sum.measuredNs += execution.measured->durationNs;
    }
  return success();
}

/// Timelines of artifact and schedule do the same work in the same order.
LogicalResult ProgramReport::matchProfile() {
  auto mismatch = [&]() {
    return op.emitError() << "profile '" << profile->path
                          << "' does not fit the schedule of entry '"
                          << op.getEntry() << "' for " << op.getWorkers()
                          << " workers";
  };
  DenseMap<Operation *, int64_t> numbers;
  for (auto [i, work] : llvm::enumerate(getWork(op)))
    numbers[work] = i;
  if (profile->timelines.size() != executions.size())
    return mismatch();
  for (auto [list, records] : llvm::zip(executions, profile->timelines)) {
    if (list.size() != records.size())
      return mismatch();
    for (auto [execution, record] : llvm::zip(list, records)) {
      const schedule::FlatCommand &work = *execution.work;
      Operation *command =
          simulated.imported->commands[work.command->id];
      int64_t iteration =
          work.iterations.empty() ? 0 : work.iterations.back();
      if (numbers.lookup(command) != record.command ||
          iteration != record.iteration)
        return mismatch();
      execution.measured = &record;
    }
  }
  return success();
}

/// What the workers of the program reach together at best.
Object ProgramReport::describeRoofs() {
  auto workers = static_cast<int64_t>(op.getWorkers());
  Array bytes, atoms;
  for (const hw::Memory &memory : worker.levels)
    bytes.push_back(memory.readTotal(workers));
  for (const hw::Atom &atom : worker.atoms)
    atoms.push_back(atom.flopsPerSecond() * double(workers));
  return Object{
      {"flops_per_second", worker.f32FlopsPerSecond() * double(workers)},
      {"atom_flops_per_second", std::move(atoms)},
      {"bytes_per_second", std::move(bytes)}};
}

/// The least that the call can take: its sums of products at the rate of the
/// best atoms, its data once through the memory where it is at home.
Object ProgramReport::describeLeast() {
  auto workers = static_cast<int64_t>(op.getWorkers());
  double flops = 0, seconds = 0;
  auto module = op->getParentOfType<ModuleOp>();
  llvm::StringMap<int64_t> executed;
  op.walk([&](sched::RunOp run) {
    auto repeat = dyn_cast<sched::RepeatOp>(run->getParentOp());
    int64_t times = repeat ? static_cast<int64_t>(repeat.getCount()) : 1;
    auto function = module.lookupSymbol<func::FuncOp>(
        run.getStageOp().getFunction());
    auto origin = function ? hr::HRDialect::getOrigin(function)
                           : hr::OriginAttr();
    if (!origin)
      return;
    for (auto contraction :
         origin.getContractions().getAsRange<hr::ContractionAttr>()) {
      double one = double(evaluate(contraction.getFlops()).value_or(0)) *
                   double(times);
      double rate =
          getBestRate(worker, contraction.getLhs(), contraction.getRhs());
      flops += one;
      if (rate > 0)
        seconds += one / (rate * double(workers));
    }
  });
  const hw::Memory *home = worker.getMainMemory();
  double bytesSeconds = 0;
  if (home) {
    double written = double(least.outputs);
    double read = double(least.call()) - written;
    if (double rate = home->readTotal(workers); rate > 0)
      bytesSeconds += read / rate;
    if (double rate = std::max(home->writeTotal(workers),
                               home->writeTotal(workers, true));
        rate > 0)
      bytesSeconds += written / rate;
  }
  leastNs = toNanoseconds(std::max(seconds, bytesSeconds));
  return Object{{"flops", toWhole(flops)},
                {"compute_ns", toNanoseconds(seconds)},
                {"memory", home ? home->name : ""},
                {"memory_ns", toNanoseconds(bytesSeconds)},
                {"ns", leastNs},
                {"bytes", Object{{"constants", least.constants},
                                 {"inputs", least.inputs},
                                 {"outputs", least.outputs},
                                 {"states", least.states},
                                 {"all", least.call()}}}};
}

static std::optional<double> getShare(int64_t leastNs, int64_t ns) {
  if (ns <= 0)
    return std::nullopt;
  return double(leastNs) / double(ns);
}

Object ProgramReport::describePredicted() {
  const schedule::Simulation &simulation = simulated.simulation;
  const schedule::MachineModel &machine = simulated.machine;
  Array bytes, utilization, workers;
  for (auto [level, count] : llvm::enumerate(simulation.bytes)) {
    bytes.push_back(toWhole(count));
    utilization.push_back(simulation.utilization[level]);
  }
  for (const schedule::SimulatedTimeline &timeline : simulation.timelines)
    workers.push_back(Object{{"busy_ns", toNanoseconds(timeline.busy)},
                             {"stalled_ns", toNanoseconds(timeline.stalled)},
                             {"end_ns", toNanoseconds(timeline.end)}});
  Object result{{"ns", toNanoseconds(simulation.seconds)},
                {"flops", toWhole(simulation.flops)},
                {"bytes", std::move(bytes)},
                {"utilization", std::move(utilization)},
                {"workers", std::move(workers)}};
  if (auto share = getShare(leastNs, toNanoseconds(simulation.seconds)))
    result["share_of_least"] = *share;
  bool hasEnergy = machine.watts > 0 || machine.joulesPerFlop > 0;
  for (const hw::Memory &level : machine.levels)
    hasEnergy |= level.joulesPerByte.value > 0;
  if (hasEnergy)
    result["joules"] = simulation.joules;
  if (machine.pricePerHour > 0)
    result["dollars"] = simulation.dollars;
  return result;
}

Object ProgramReport::describeMeasured() {
  Array workers;
  for (const std::vector<Execution> &list : executions) {
    int64_t busy = 0, end = 0;
    for (const Execution &execution : list) {
      busy += execution.measured->durationNs;
      end = std::max(end, execution.measured->beginNs +
                              execution.measured->durationNs);
    }
    workers.push_back(Object{{"busy_ns", busy}, {"end_ns", end}});
  }
  Object result{{"runs", profile->runs},
                {"ns", profile->medianNs},
                {"least_ns", profile->leastNs},
                {"p90_ns", profile->p90Ns},
                {"machine", profile->machine},
                {"workers", std::move(workers)}};
  if (auto share = getShare(leastNs, profile->medianNs))
    result["share_of_least"] = *share;
  return result;
}

Array ProgramReport::describeStages() {
  Array result;
  const schedule::Program &program = simulated.imported->program;
  for (auto [i, stage] : llvm::enumerate(program.stages)) {
    const StageSum &sum = sums[i];
    if (sum.runs == 0)
      continue;
    auto longest = llvm::max_element(sum.boundNs);
    Array bytes;
    for (double count : sum.bytes)
      bytes.push_back(toWhole(count));
    Object one{{"stage", stageNumbers.lookup(stage.name)},
               {"runs", sum.runs},
               {"tiles", sum.tiles},
               {"flops", toWhole(sum.flops)},
               {"bytes", std::move(bytes)},
               {"least_bytes", least.stages[i].operands},
               {"least_main_bytes", least.stages[i].home},
               {"predicted_ns", sum.predictedNs},
               {"bound", getBoundName(longest - sum.boundNs.begin() - 1)}};
    if (profile)
      one["measured_ns"] = sum.measuredNs;
    result.push_back(std::move(one));
  }
  return result;
}

Object ProgramReport::describeCommands() {
  Array columns{"worker",     "stage",    "iteration", "first_tile",
                "end_tile",   "begin_ns", "end_ns",    "bound",
                "flops"};
  for (const hw::Memory &level : simulated.machine.levels)
    columns.push_back("bytes " + level.name);
  if (profile) {
    columns.push_back("measured_begin_ns");
    columns.push_back("measured_end_ns");
  }
  Array rows;
  const schedule::Program &program = simulated.imported->program;
  for (auto [t, list] : llvm::enumerate(executions))
    for (const Execution &execution : list) {
      const schedule::FlatCommand &work = *execution.work;
      const schedule::SimulatedCommand &record = *execution.predicted;
      bool isRun = work.command->kind == schedule::Command::Kind::Run;
      Array row{int64_t(t),
                isRun ? stageNumbers.lookup(
                            program.stages[work.command->stage].name)
                      : int64_t(-1),
                work.iterations.empty() ? 0 : work.iterations.back(),
                work.from,
                work.to,
                toNanoseconds(record.begin),
                toNanoseconds(record.end),
                record.bound,
                toWhole(record.flops)};
      for (double bytes : record.bytes)
        row.push_back(toWhole(bytes));
      if (execution.measured) {
        row.push_back(execution.measured->beginNs);
        row.push_back(execution.measured->beginNs +
                      execution.measured->durationNs);
      }
      rows.push_back(std::move(row));
    }
  return Object{{"columns", std::move(columns)}, {"rows", std::move(rows)}};
}

Array ProgramReport::describeArenas() {
  Array result;
  for (sched::ArenaOp arena : op.getArenas()) {
    Object one{{"memory", arena.getName()}};
    if (auto bytes = evaluate(arena.getBytesAttr()))
      one["bytes"] = *bytes;
    if (auto bound = evaluate(arena.getLowerBoundAttr()))
      one["least_bytes"] = *bound;
    if (arena.getBytesAttr())
      one["text"] = arena.getBytesAttr().getText();
    result.push_back(std::move(one));
  }
  return result;
}

Array ProgramReport::describeBuffers() {
  const schedule::Program &program = simulated.imported->program;
  // When each command runs, by timeline and position.
  const schedule::FlatProgram &flat = simulated.simulation.flat;
  std::vector<std::vector<const schedule::SimulatedCommand *>> records;
  for (const schedule::FlatTimeline &timeline : flat.timelines)
    records.emplace_back(timeline.commands.size(), nullptr);
  for (const schedule::SimulatedCommand &record :
       simulated.simulation.commands)
    records[record.timeline][record.command] = &record;
  std::vector<Array> lives(program.buffers.size());
  for (const schedule::BufferLife &life : schedule::findLives(flat)) {
    double begin = std::numeric_limits<double>::infinity(), end = 0;
    for (auto [timeline, command] : life.commands) {
      begin = std::min(begin, records[timeline][command]->begin);
      end = std::max(end, records[timeline][command]->end);
    }
    auto [timeline, first] = life.commands.front();
    const schedule::Command &writer =
        *flat.timelines[timeline].commands[first].command;
    lives[life.buffer].push_back(
        Array{life.slot, toNanoseconds(begin), toNanoseconds(end),
              writer.kind == schedule::Command::Kind::Run
                  ? stageNumbers.lookup(program.stages[writer.stage].name)
                  : int64_t(-1)});
  }

  static constexpr const char *kinds[] = {"input", "output", "temp", "constant",
                                          "state"};
  Array result;
  for (auto [b, buffer] : llvm::enumerate(program.buffers)) {
    sched::BufferOp source = simulated.imported->buffers[b];
    Array shape;
    for (const SizeExpr &dim : buffer.dims)
      shape.push_back(dim.evaluate(sizes).value_or(-1));
    Object one{{"name", buffer.name},
               {"kind", kinds[static_cast<int>(buffer.kind)]},
               {"type", toText(source.getElementType())},
               {"shape", std::move(shape)},
               {"slots", buffer.slots},
               {"bytes", buffer.slotBytes().evaluate(sizes).value_or(0)}};
    if (auto symbols = source.getSymbols()) {
      Array names;
      for (auto name : symbols->getAsRange<FlatSymbolRefAttr>())
        names.push_back(name.getValue());
      one["names"] = std::move(names);
    }
    if (buffer.kind == schedule::BufferKind::Temp && buffer.arena >= 0) {
      one["arena"] = buffer.arena;
      if (buffer.offset)
        one["offset"] = buffer.offset->evaluate(sizes).value_or(0);
      one["stride"] = buffer.stride.evaluate(sizes).value_or(0);
      one["lives"] = std::move(lives[b]);
    }
    result.push_back(std::move(one));
  }
  return result;
}

FailureOr<Object> ProgramReport::run() {
  if (failed(collect()))
    return failure();
  int64_t scratch = op.getScratchBytes();
  for (auto stage : op.getOps<sched::StageOp>())
    scratch = std::max<int64_t>(scratch, stage.getScratchBytes());
  Object result{{"name", op.getSymName()},
                {"workers", static_cast<int64_t>(op.getWorkers())},
                {"roofs", describeRoofs()},
                {"least", describeLeast()},
                {"predicted", describePredicted()},
                {"stages", describeStages()},
                {"arenas", describeArenas()},
                {"scratch_bytes_per_worker", scratch},
                {"buffers", describeBuffers()},
                {"commands", describeCommands()}};
  if (profile)
    result["measured"] = describeMeasured();
  return result;
}

FailureOr<Object>
report::describeProgram(sched::ProgramOp program, const hw::System &system,
                        const SymbolBindings &sizes,
                        const llvm::StringMap<int64_t> &stages,
                        const Profile *profile) {
  return ProgramReport(program, system, sizes, stages, profile).run();
}
