//===- BuildPrograms.cpp - Runs over buffers become timelines -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Per entry and number of workers: the runs in their order become one table,
// with ranges of tiles that depend on the worker; the synchronizer puts waits
// between them; the result is written as a `sched.program`.
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Dialect/HW/HW.h"
#include "headrace/Hardware/System.h"
#include "headrace/Schedule/Passes.h"
#include "headrace/Schedule/ProgramIR.h"
#include "headrace/Schedule/Synchronizer.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

namespace headrace {
#define GEN_PASS_DEF_BUILDPROGRAMSPASS
#include "headrace/Schedule/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;

namespace {
/// What does not depend on the number of workers.
class EntryBuilder {
public:
  EntryBuilder(func::FuncOp entry, const hw::System &system)
      : entry(entry), device(system.getDevice()),
        ranges(hr::getSymbolRanges(entry)) {}

  LogicalResult collect();
  LogicalResult build(int64_t workers, OpBuilder &builder);

private:
  struct StageInfo {
    std::string name;
    hr::RunOp first;
    SmallVector<hr::FootprintAttr> footprints;
    /// Leading coordinates of the grid over which tiles may be split.
    size_t splitDims = 0;
  };

  LogicalResult collectBlock(Block &block);
  size_t countSplitDims(hr::RunOp run);
  std::pair<SizeExpr, SizeExpr> splitTiles(const StageInfo &stage,
                                           int64_t workers);
  std::vector<schedule::Command> makeTable(Block &block, int64_t workers);
  schedule::Program makeProgram(int64_t workers);
  std::string getArenaName() const;

  void emitProgram(OpBuilder b, const schedule::Program &program,
                   int64_t workers);
  DictionaryAttr getFences(OpBuilder &b) const;
  void emitBuffers(OpBuilder &b);
  void emitStages(OpBuilder &b);
  void emitCommands(OpBuilder &builder,
                    ArrayRef<schedule::Command> commands);

  func::FuncOp entry;
  const hw::Device &device;
  SymbolRanges ranges;
  SmallVector<hr::BufferOp> buffers;
  DenseMap<Value, int> bufferNumbers;
  std::vector<StageInfo> stages;
  DenseMap<Operation *, int> stageOf;
  std::vector<hr::RunOp> runs;
  llvm::DenseSet<Value> readBack, written;
  std::string worker, iteration;
  /// Of the program at hand.
  SmallVector<Value> values;
  std::vector<Operation *> origins;
};
} // namespace

/// The footprint in the one form that `sched.stage` has for whole buffers.
static hr::FootprintAttr canonicalize(hr::FootprintAttr footprint,
                                      size_t gridRank) {
  if (!footprint.isWhole())
    return footprint;
  MLIRContext *context = footprint.getContext();
  return hr::FootprintAttr::get(context, AffineMap::get(gridRank, 0, context),
                                ArrayAttr::get(context, {}),
                                footprint.getTouched());
}

/// How many leading coordinates of the grid keep the writes of tiles apart:
/// tiles that differ in one of them never write the same index, nor one that
/// the other reads.
size_t EntryBuilder::countSplitDims(hr::RunOp run) {
  SmallVector<SizeExpr> grid = hr::getSizes(run.getGrid());
  SmallVector<schedule::Footprint> footprints;
  for (auto footprint : run.getFootprints().getAsRange<hr::FootprintAttr>())
    footprints.push_back(importFootprint(footprint));
  auto isApart = [&](size_t a, size_t b, size_t k) {
    const schedule::Footprint &one = footprints[a], &other = footprints[b];
    if (one.whole || other.whole || one.dims.size() != other.dims.size())
      return false;
    for (auto [dimA, dimB] : llvm::zip(one.dims, other.dims)) {
      if (dimA.origin || dimB.origin || dimA.base != dimB.base ||
          dimA.coefficients != dimB.coefficients)
        continue;
      bool alone = true;
      for (auto [j, coefficient] : llvm::enumerate(dimA.coefficients))
        alone &= j == k || coefficient == 0;
      int64_t step = dimA.coefficients[k];
      if (alone && step > 0 && dimA.extent.isLessEqual(step, ranges) &&
          dimB.extent.isLessEqual(step, ranges))
        return true;
    }
    return false;
  };
  for (auto [k, size] : llvm::enumerate(grid)) {
    if (size == SizeExpr(1))
      continue;
    for (size_t a = 0; a < footprints.size(); ++a) {
      auto access = cast<hr::AccessAttr>(run.getAccess()[a]).getValue();
      if (access == hr::Access::Read)
        continue;
      for (size_t b = 0; b < footprints.size(); ++b)
        if (run.getOperands_()[a] == run.getOperands_()[b] &&
            run.getSlots()[a] == run.getSlots()[b] && !isApart(a, b, k))
          return k;
    }
  }
  return grid.size();
}

LogicalResult EntryBuilder::collectBlock(Block &block) {
  for (Operation &op : block) {
    if (auto loop = dyn_cast<hr::LoopOp>(op)) {
      if (isa<hr::LoopOp>(loop->getParentOp()))
        return loop.emitError() << "a loop in a loop cannot be scheduled";
      if (failed(collectBlock(loop.getBody().front())))
        return failure();
      continue;
    }
    if (auto buffer = dyn_cast<hr::BufferOp>(op)) {
      bufferNumbers[buffer] = buffers.size();
      buffers.push_back(buffer);
      continue;
    }
    auto run = dyn_cast<hr::RunOp>(op);
    if (!run) {
      // A schedule has commands for nothing else.
      if (!isa<func::ReturnOp, ub::PoisonOp>(op))
        return op.emitError() << "'" << op.getName()
                              << "' cannot be scheduled: it is neither a run "
                                 "nor a loop of runs";
      continue;
    }
    runs.push_back(run);
    for (auto [operand, accessAttr] :
         llvm::zip(run.getOperands_(),
                   run.getAccess().getAsRange<hr::AccessAttr>())) {
      hr::Access access = accessAttr.getValue();
      if (access != hr::Access::Write && written.contains(operand))
        readBack.insert(operand);
    }
    for (auto [operand, accessAttr] :
         llvm::zip(run.getOperands_(),
                   run.getAccess().getAsRange<hr::AccessAttr>()))
      if (accessAttr.getValue() != hr::Access::Read)
        written.insert(operand);

    SmallVector<hr::FootprintAttr> footprints;
    for (auto footprint : run.getFootprints().getAsRange<hr::FootprintAttr>())
      footprints.push_back(canonicalize(footprint, run.getGrid().size()));
    // The same function with the same footprints is one stage.
    int found = -1;
    unsigned namesakes = 0;
    for (auto [k, stage] : llvm::enumerate(stages)) {
      if (stage.first.getStage() != run.getStage())
        continue;
      ++namesakes;
      hr::RunOp first = stage.first;
      if (first.getGrid() == run.getGrid() &&
          first.getAccess() == run.getAccess() &&
          stage.footprints == footprints &&
          first.getSymbols() == run.getSymbols() &&
          first.getFlops() == run.getFlops() &&
          first.getCompute() == run.getCompute() &&
          first.getNonTemporal() == run.getNonTemporal() &&
          first.getKeeps() == run.getKeeps() &&
          stage.splitDims == countSplitDims(run))
        found = k;
    }
    if (found < 0) {
      found = stages.size();
      StageInfo &stage = stages.emplace_back();
      stage.name = run.getStage().str();
      if (namesakes)
        stage.name += "." + std::to_string(namesakes);
      stage.first = run;
      stage.footprints = std::move(footprints);
      stage.splitDims = countSplitDims(run);
    }
    stageOf[run] = found;
  }
  return success();
}

LogicalResult EntryBuilder::collect() {
  auto choose = [&](StringRef wanted) {
    std::string name = wanted.str();
    while (ranges.contains(name))
      name += "_";
    return name;
  };
  worker = choose("w");
  iteration = choose("i");
  return collectBlock(entry.getBody().front());
}

/// Tiles of worker `w` of `workers`: an even share of the leading coordinates
/// that may be split.
std::pair<SizeExpr, SizeExpr>
EntryBuilder::splitTiles(const StageInfo &stage, int64_t workers) {
  SmallVector<SizeExpr> grid = hr::getSizes(hr::RunOp(stage.first).getGrid());
  SizeExpr groups = 1, perGroup = 1;
  for (auto [k, size] : llvm::enumerate(grid))
    (k < stage.splitDims ? groups : perGroup) =
        (k < stage.splitDims ? groups : perGroup) * size;
  if (workers == 1)
    return {0, groups * perGroup};
  SizeExpr w = SizeExpr::symbol(worker);
  auto boundary = [&](const SizeExpr &number) {
    if (std::optional<SizeExpr> share = groups.exactDiv(workers))
      return number * *share * perGroup;
    return (number * groups).floorDiv(workers) * perGroup;
  };
  return {boundary(w), boundary(w + 1)};
}

std::vector<schedule::Command> EntryBuilder::makeTable(Block &block,
                                                       int64_t workers) {
  std::vector<schedule::Command> table;
  for (Operation &op : block) {
    if (auto loop = dyn_cast<hr::LoopOp>(op)) {
      table.push_back(schedule::Command::repeat(
          loop.getCount(), iteration,
          makeTable(loop.getBody().front(), workers)));
    } else if (auto run = dyn_cast<hr::RunOp>(op)) {
      int number = stageOf.lookup(run);
      const StageInfo &stage = stages[number];
      auto [from, to] = splitTiles(stage, workers);
      std::vector<schedule::BufferRef> operands;
      for (auto [operand, slot] :
           llvm::zip(run.getOperands_(),
                     run.getSlots().getAsValueRange<AffineMapAttr>()))
        operands.push_back({bufferNumbers.lookup(operand),
                            importAffine(slot.getResult(0),
                                         StringRef(iteration))});
      schedule::Command command = schedule::Command::run(
          number, from, to, std::move(operands));
      if (run.getNonTemporal())
        command.fence = device.facts.ntStoreFence;
      table.push_back(std::move(command));
    } else {
      continue;
    }
    table.back().id = origins.size();
    origins.push_back(&op);
  }
  return table;
}

/// Where buffers are put: the main memory of the workers.
std::string EntryBuilder::getArenaName() const {
  const hw::Memory *main = device.getWorker().getMainMemory();
  return main ? main->name : "memory";
}

/// The schedule without IR and without waits, for the synchronizer.
schedule::Program EntryBuilder::makeProgram(int64_t workers) {
  schedule::Program program;
  program.name = (entry.getName() + "_" + Twine(workers)).str();
  for (StringRef symbol : hr::getSymbolNames(entry))
    program.symbols.push_back({symbol.str(), ranges.lookup(symbol)});
  llvm::append_range(program.conditions, hr::getRequirements(entry));
  program.arenas.push_back({getArenaName(), std::nullopt, std::nullopt});
  for (auto [b, buffer] : llvm::enumerate(buffers)) {
    schedule::Buffer &own = program.buffers.emplace_back();
    own.name = std::to_string(b);
    own.kind = importKind(buffer.getKind());
    SmallVector<SizeExpr> dims = hr::getSizes(buffer.getDims());
    own.dims.assign(dims.begin(), dims.end());
    own.slots = buffer.getSlots();
  }
  for (StageInfo &stage : stages) {
    schedule::Stage &own = program.stages.emplace_back();
    own.name = stage.name;
    SmallVector<SizeExpr> grid = hr::getSizes(stage.first.getGrid());
    own.grid.assign(grid.begin(), grid.end());
    for (auto [access, footprint] :
         llvm::zip(stage.first.getAccess().getAsRange<hr::AccessAttr>(),
                   stage.footprints))
      own.operands.push_back(
          {importAccess(access.getValue()), importFootprint(footprint)});
  }
  origins.clear();
  schedule::Family &family = program.families.emplace_back();
  family.name = device.getWorker().name;
  family.index = worker;
  family.count = workers;
  family.commands = makeTable(entry.getBody().front(), workers);
  return program;
}

void EntryBuilder::emitCommands(OpBuilder &b,
                                ArrayRef<schedule::Command> commands) {
  MLIRContext *context = b.getContext();
  auto size = [&](const SizeExpr &expr) {
    return hr::SizeAttr::get(context, expr);
  };
  for (const schedule::Command &command : commands) {
    Location loc =
        command.id >= 0 ? origins[command.id]->getLoc() : entry.getLoc();
    switch (command.kind) {
    case schedule::Command::Kind::Run: {
      SmallVector<Value> operands;
      SmallVector<SizeExpr> slots;
      for (const schedule::BufferRef &ref : command.operands) {
        operands.push_back(values[ref.buffer]);
        slots.push_back(ref.slot);
      }
      sched::RunOp::create(
          b, loc, b.getStringAttr(stages[command.stage].name),
          size(command.from), size(command.to), operands,
          hr::getSizeArrayAttr(context, slots),
          b.getI64IntegerAttr(command.parts),
          command.fence.empty() ? StringAttr()
                                : b.getStringAttr(command.fence));
      break;
    }
    case schedule::Command::Kind::Wait: {
      IntegerAttr byFrom, byTo;
      if (command.byTo != std::numeric_limits<int64_t>::max()) {
        byFrom = b.getI64IntegerAttr(command.byFrom);
        byTo = b.getI64IntegerAttr(command.byTo);
      }
      sched::WaitOp::create(b, loc, b.getStringAttr(device.getWorker().name),
                            size(command.from), size(command.to),
                            size(command.count), byFrom, byTo);
      break;
    }
    case schedule::Command::Kind::Repeat: {
      auto repeat = sched::RepeatOp::create(
          b, loc, b.getI64IntegerAttr(command.iterations),
          b.getStringAttr(command.index));
      OpBuilder inner(context);
      inner.createBlock(&repeat.getBody());
      emitCommands(inner, command.body);
      break;
    }
    case schedule::Command::Kind::Copy: {
      const schedule::BufferRef &source = command.operands[0],
                                &dest = command.operands[1];
      sched::CopyOp::create(
          b, loc, values[source.buffer], values[dest.buffer],
          size(source.slot), size(dest.slot),
          hr::getSizeArrayAttr(context, command.sourceOrigin),
          hr::getSizeArrayAttr(context, command.destOrigin),
          hr::getSizeArrayAttr(context, command.extent),
          command.fence.empty() ? StringAttr()
                                : b.getStringAttr(command.fence));
      break;
    }
    }
  }
}

/// What orders stores of a class that the machine does not order; null if
/// there are none.
DictionaryAttr EntryBuilder::getFences(OpBuilder &b) const {
  SmallVector<NamedAttribute> fences;
  if (!device.facts.ntStoreFence.empty())
    fences.push_back(b.getNamedAttr(
        sched::stringifyStoreClass(sched::StoreClass::NonTemporal),
        b.getStringAttr(device.facts.ntStoreFence)));
  if (!device.facts.asyncFence.empty())
    fences.push_back(
        b.getNamedAttr(sched::stringifyStoreClass(sched::StoreClass::Async),
                       b.getStringAttr(device.facts.asyncFence)));
  return fences.empty() ? DictionaryAttr() : b.getDictionaryAttr(fences);
}

/// Emits the buffers, which become the program's values.
void EntryBuilder::emitBuffers(OpBuilder &b) {
  values.clear();
  for (hr::BufferOp buffer : buffers) {
    bool temp = buffer.getKind() == hr::BufferKind::Temp;
    bool back = buffer.getKind() == hr::BufferKind::State &&
                readBack.contains(buffer);
    values.push_back(sched::BufferOp::create(
        b, buffer.getLoc(), sched::BufferType::get(b.getContext()),
        buffer.getKindAttr(), buffer.getNumberAttr(), buffer.getSymbolsAttr(),
        buffer.getSlotsAttr(), buffer.getDimsAttr(),
        TypeAttr::get(buffer.getResult().getType().getElementType()),
        buffer.getAlignAttr(),
        temp ? b.getStringAttr(getArenaName()) : StringAttr(), hr::SizeAttr(),
        hr::SizeAttr(), back ? b.getUnitAttr() : UnitAttr()));
  }
}

void EntryBuilder::emitStages(OpBuilder &b) {
  for (StageInfo &stage : stages) {
    hr::RunOp run = stage.first;
    SmallVector<Attribute> names;
    for (Attribute symbol : run.getSymbols()) {
      if (auto declared = dyn_cast<hr::SymbolAttr>(symbol))
        symbol = b.getStringAttr(declared.getName());
      else if (auto size = dyn_cast<hr::SizeAttr>(symbol))
        symbol = b.getStringAttr(size.getText());
      names.push_back(symbol);
    }
    SmallVector<Attribute> footprints(stage.footprints.begin(),
                                      stage.footprints.end());
    sched::StageOp::create(
        b, run.getLoc(), b.getStringAttr(stage.name), run.getStageAttr(),
        run.getGridAttr(), run.getAccessAttr(), b.getArrayAttr(footprints),
        b.getArrayAttr(names), run.getScratchBytesAttr(),
        sched::StoreClassAttr::get(b.getContext(),
                                   run.getNonTemporal()
                                       ? sched::StoreClass::NonTemporal
                                       : sched::StoreClass::Normal),
        run.getFlopsAttr(), run.getComputeAttr(), run.getKeepsAttr());
  }
}

/// Writes the schedule as a `sched.program`. The builder is a copy: the
/// caller's stays outside the program.
void EntryBuilder::emitProgram(OpBuilder b, const schedule::Program &program,
                               int64_t workers) {
  int64_t scratch = 0;
  for (hr::RunOp run : runs)
    scratch = std::max<int64_t>(scratch, run.getScratchBytes());
  const hw::Memory *scratchpad = device.getWorker().getScratchpad();
  bool isApart = scratchpad && scratchpad->name != getArenaName();
  auto symbols = entry->getAttrOfType<ArrayAttr>("hr.symbols");
  if (symbols && symbols.empty())
    symbols = ArrayAttr();
  auto op = sched::ProgramOp::create(
      b, entry.getLoc(), b.getStringAttr(program.name),
      FlatSymbolRefAttr::get(entry), b.getI64IntegerAttr(workers), symbols,
      b.getI64IntegerAttr(scratch),
      isApart && scratch > 0 ? b.getStringAttr(scratchpad->name) : StringAttr(),
      getFences(b), /*work=*/hr::SizeAttr(),
      /*from_work=*/IntegerAttr());
  b.createBlock(&op.getBody());
  sched::ArenaOp::create(b, entry.getLoc(), b.getStringAttr(getArenaName()),
                         hr::SizeAttr(), hr::SizeAttr());
  emitBuffers(b);
  emitStages(b);
  const schedule::Family &family = program.families.front();
  auto timeline = sched::TimelineOp::create(
      b, entry.getLoc(), b.getStringAttr(family.name), b.getStringAttr(worker),
      b.getI64IntegerAttr(workers),
      sched::TimelineKindAttr::get(b.getContext(),
                                   sched::TimelineKind::Worker));
  b.createBlock(&timeline.getBody());
  emitCommands(b, family.commands);
}

LogicalResult EntryBuilder::build(int64_t workers, OpBuilder &builder) {
  schedule::Program program = makeProgram(workers);
  std::string error;
  if (failed(schedule::insertWaits(program, error)))
    return entry.emitError() << "cannot schedule for " << workers
                             << " workers: " << error;
  emitProgram(builder, program, workers);
  return success();
}

/// The numbers of workers that programs are built for. CPUs are given to a process
/// one by one: one, two, four and so on up to all. Workers that are teams come
/// together, or in parts of a device.
static SmallVector<int64_t> getWorkerCounts(const hw::Worker &worker,
                                            int64_t most) {
  SmallVector<int64_t> counts;
  if (worker.threads > 1) {
    for (int64_t count : {int64_t(1), most / 2})
      if (count > 0 && count < most && !llvm::is_contained(counts, count))
        counts.push_back(count);
  } else {
    for (int64_t count = 1; count < most; count *= 2)
      counts.push_back(count);
  }
  counts.push_back(most);
  return counts;
}

namespace {
struct BuildProgramsPass
    : headrace::impl::BuildProgramsPassBase<BuildProgramsPass> {
  using BuildProgramsPassBase::BuildProgramsPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    std::string error;
    FailureOr<hw::System> system = hw::System::load(target, error);
    if (failed(system)) {
      module.emitError() << error;
      return signalPassFailure();
    }
    int64_t most = system->getDevice().getWorker().count;
    if (maxWorkers > 0)
      most = std::min<int64_t>(most, maxWorkers);
    for (auto entry : llvm::to_vector(module.getOps<func::FuncOp>())) {
      if (!hr::isEntry(entry))
        continue;
      EntryBuilder builder(entry, *system);
      if (failed(builder.collect()))
        return signalPassFailure();
      OpBuilder b(entry);
      b.setInsertionPointAfter(entry);
      for (int64_t workers :
           getWorkerCounts(system->getDevice().getWorker(), most)) {
        OpBuilder::InsertionGuard guard(b);
        if (failed(builder.build(workers, b)))
          return signalPassFailure();
      }
      // A declaration from here on: its type and attributes say what a caller
      // sees.
      for (Operation &op : llvm::make_early_inc_range(
               llvm::reverse(entry.getBody().front())))
        op.erase();
      entry.getBody().getBlocks().clear();
      entry.setPrivate();
      entry->setAttr("hr.entry", UnitAttr::get(&getContext()));
    }
  }
};
} // namespace
