//===- ProgramIR.cpp - Between sched.program and schedule::Program --------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/ProgramIR.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/AsmState.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace headrace;

SizeExpr headrace::importAffine(AffineExpr expr, ArrayRef<StringRef> names) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    unsigned k = dim.getPosition();
    return k < names.size()
               ? SizeExpr::symbol(names[k])
               : SizeExpr::symbol(("d" + Twine(k)).str());
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return SizeExpr::symbol("unknown");
  SizeExpr lhs = importAffine(binary.getLHS(), names);
  SizeExpr rhs = importAffine(binary.getRHS(), names);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return lhs + rhs;
  case AffineExprKind::Mul:
    return lhs * rhs;
  case AffineExprKind::Mod:
    return lhs.mod(rhs);
  case AffineExprKind::FloorDiv:
    return lhs.floorDiv(rhs);
  default:
    return lhs.ceilDiv(rhs);
  }
}

/// Without divisions and remainders.
static bool isLinear(AffineExpr expr) {
  bool linear = true;
  expr.walk([&](AffineExpr part) {
    linear &= part.getKind() != AffineExprKind::Mod &&
              part.getKind() != AffineExprKind::FloorDiv &&
              part.getKind() != AffineExprKind::CeilDiv;
  });
  return linear && expr.isPureAffine();
}

schedule::Footprint headrace::importFootprint(hr::FootprintAttr footprint) {
  schedule::Footprint result;
  if (hr::SizeAttr touched = footprint.getTouched())
    result.touched = touched.getExpr();
  result.whole = footprint.isWhole();
  if (result.whole)
    return result;
  AffineMap origin = footprint.getOrigin();
  MLIRContext *context = footprint.getContext();
  SmallVector<AffineExpr> point(origin.getNumDims(),
                                getAffineConstantExpr(0, context));
  auto valueAt = [&](AffineExpr expr) {
    return cast<AffineConstantExpr>(
               simplifyAffineExpr(expr.replaceDims(point), 0, 0))
        .getValue();
  };
  for (auto [expr, extent] :
       llvm::zip(origin.getResults(),
                 footprint.getExtent().getAsRange<hr::SizeAttr>())) {
    schedule::FootprintDim &dim = result.dims.emplace_back();
    dim.extent = extent.getExpr();
    dim.coefficients.assign(origin.getNumDims(), 0);
    if (!isLinear(expr)) {
      dim.origin = importAffine(expr);
      continue;
    }
    dim.base = valueAt(expr);
    for (unsigned k = 0; k < origin.getNumDims(); ++k) {
      point[k] = getAffineConstantExpr(1, context);
      dim.coefficients[k] = valueAt(expr) - dim.base;
      point[k] = getAffineConstantExpr(0, context);
    }
  }
  return result;
}

namespace {
class Importer {
public:
  explicit Importer(ImportedProgram &result)
      : result(result), program(result.program) {}
  void run(sched::ProgramOp op);

private:
  schedule::BufferRef getRef(Value buffer, hr::SizeAttr slot) {
    return {buffers.lookup(buffer), slot.getExpr()};
  }
  std::vector<schedule::Command> getCommands(Block &block);

  ImportedProgram &result;
  schedule::Program &program;
  DenseMap<Value, int> buffers;
  llvm::StringMap<int> arenas, stages, families;
};
} // namespace

schedule::Access headrace::importAccess(hr::Access access) {
  switch (access) {
  case hr::Access::Read:
    return schedule::Access::Read;
  case hr::Access::Write:
    return schedule::Access::Write;
  case hr::Access::ReadWrite:
    break;
  }
  return schedule::Access::ReadWrite;
}

schedule::BufferKind headrace::importKind(hr::BufferKind kind) {
  switch (kind) {
  case hr::BufferKind::Input:
    return schedule::BufferKind::Input;
  case hr::BufferKind::Output:
    return schedule::BufferKind::Output;
  case hr::BufferKind::Temp:
    return schedule::BufferKind::Temp;
  case hr::BufferKind::Const:
    return schedule::BufferKind::Const;
  case hr::BufferKind::State:
    break;
  }
  return schedule::BufferKind::State;
}

static schedule::StoreClass getStores(sched::StoreClass stores) {
  switch (stores) {
  case sched::StoreClass::Normal:
    return schedule::StoreClass::Normal;
  case sched::StoreClass::NonTemporal:
    return schedule::StoreClass::NonTemporal;
  case sched::StoreClass::Async:
    break;
  }
  return schedule::StoreClass::Async;
}

std::vector<schedule::Command> Importer::getCommands(Block &block) {
  std::vector<schedule::Command> commands;
  for (Operation &op : block) {
    schedule::Command command;
    if (auto run = dyn_cast<sched::RunOp>(op)) {
      std::vector<schedule::BufferRef> operands;
      for (auto [buffer, slot] : llvm::zip(
               run.getBuffers(), run.getSlots().getAsRange<hr::SizeAttr>()))
        operands.push_back(getRef(buffer, slot));
      command = schedule::Command::run(
          stages.lookup(run.getStage()), run.getFrom().getExpr(),
          run.getTo().getExpr(), std::move(operands));
      command.parts = run.getParts();
      command.fence = run.getFence().value_or("").str();
    } else if (auto copy = dyn_cast<sched::CopyOp>(op)) {
      command.kind = schedule::Command::Kind::Copy;
      command.operands = {getRef(copy.getSource(), copy.getSourceSlot()),
                          getRef(copy.getDest(), copy.getDestSlot())};
      auto sizes = [](ArrayAttr attr) {
        SmallVector<SizeExpr> list = hr::getSizes(attr);
        return std::vector<SizeExpr>(list.begin(), list.end());
      };
      command.sourceOrigin = sizes(copy.getSourceOrigin());
      command.destOrigin = sizes(copy.getDestOrigin());
      command.extent = sizes(copy.getExtent());
      command.fence = copy.getFence().value_or("").str();
    } else if (auto wait = dyn_cast<sched::WaitOp>(op)) {
      command = schedule::Command::wait(
          families.lookup(wait.getTimeline()), wait.getFrom().getExpr(),
          wait.getTo().getExpr(), wait.getCount().getExpr());
      if (wait.getByFrom()) {
        command.byFrom = *wait.getByFrom();
        command.byTo = *wait.getByTo();
      }
    } else if (auto repeat = dyn_cast<sched::RepeatOp>(op)) {
      command = schedule::Command::repeat(
          repeat.getCount(), repeat.getIndex().str(),
          getCommands(repeat.getBody().front()));
    }
    command.id = result.commands.size();
    result.commands.push_back(&op);
    commands.push_back(std::move(command));
  }
  return commands;
}

void Importer::run(sched::ProgramOp op) {
  program.name = op.getSymName().str();
  program.scratch.bytes = op.getScratchBytes();
  program.scratch.memory = op.getScratchMemory().value_or("").str();
  if (std::optional<ArrayAttr> symbols = op.getSymbols())
    for (auto symbol : symbols->getAsRange<hr::SymbolAttr>())
      program.symbols.push_back(
          {symbol.getName().str(), {symbol.getLeast(), symbol.getLargest()}});
  if (auto entry = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
          op, op.getEntryAttr()))
    llvm::append_range(program.conditions, hr::getRequirements(entry));
  if (std::optional<DictionaryAttr> fences = op.getFences())
    for (NamedAttribute fence : *fences)
      program.fences[getStores(*sched::symbolizeStoreClass(fence.getName()))] =
          cast<StringAttr>(fence.getValue()).str();

  AsmState state(op);
  Block &body = op.getBody().front();
  for (Operation &inner : body) {
    if (auto arena = dyn_cast<sched::ArenaOp>(inner)) {
      arenas[arena.getName()] = program.arenas.size();
      schedule::Arena &own = program.arenas.emplace_back();
      own.name = arena.getName().str();
      if (hr::SizeAttr bytes = arena.getBytesAttr())
        own.bytes = bytes.getExpr();
      result.arenas.push_back(arena);
    } else if (auto buffer = dyn_cast<sched::BufferOp>(inner)) {
      buffers[buffer] = program.buffers.size();
      schedule::Buffer &own = program.buffers.emplace_back();
      llvm::raw_string_ostream os(own.name);
      buffer.getResult().printAsOperand(os, state);
      own.name.erase(0, 1); // the percent sign
      own.kind = importKind(buffer.getKind());
      SmallVector<SizeExpr> dims = hr::getSizes(buffer.getDims());
      own.dims.assign(dims.begin(), dims.end());
      own.elementBytes = buffer.getElementBytes();
      own.slots = buffer.getSlots();
      own.align = buffer.getAlign();
      own.readBack = buffer.getReadBack();
      if (buffer.getArena())
        own.arena = arenas.lookup(*buffer.getArena());
      if (hr::SizeAttr offset = buffer.getOffsetAttr())
        own.offset = offset.getExpr();
      if (hr::SizeAttr stride = buffer.getStrideAttr())
        own.stride = stride.getExpr();
      result.buffers.push_back(buffer);
    } else if (auto stage = dyn_cast<sched::StageOp>(inner)) {
      stages[stage.getName()] = program.stages.size();
      schedule::Stage &own = program.stages.emplace_back();
      own.name = stage.getName().str();
      SmallVector<SizeExpr> grid = hr::getSizes(stage.getGrid());
      own.grid.assign(grid.begin(), grid.end());
      own.stores = getStores(stage.getStores());
      if (hr::SizeAttr flops = stage.getFlopsAttr())
        own.flops = flops.getExpr();
      if (hr::SizeAttr compute = stage.getComputeAttr())
        own.compute = compute.getExpr();
      for (auto [access, footprint] : llvm::zip(
               stage.getAccess().getAsRange<hr::AccessAttr>(),
               stage.getFootprints().getAsRange<hr::FootprintAttr>()))
        own.operands.push_back(
            {importAccess(access.getValue()), importFootprint(footprint)});
      if (std::optional<ArrayRef<int64_t>> keeps = stage.getKeeps())
        for (int64_t k : *keeps)
          own.operands[k].keeps = true;
    } else if (auto timeline = dyn_cast<sched::TimelineOp>(inner)) {
      families[timeline.getName()] = program.families.size();
      schedule::Family &own = program.families.emplace_back();
      own.name = timeline.getName().str();
      own.index = timeline.getIndex().str();
      own.count = timeline.getCount();
      own.mover = timeline.getKind() == sched::TimelineKind::Mover;
    }
  }
  // Once all families are known: waits name them.
  for (auto [k, timeline] : llvm::enumerate(body.getOps<sched::TimelineOp>()))
    program.families[k].commands = getCommands(timeline.getBody().front());
}

ImportedProgram headrace::importProgram(sched::ProgramOp op) {
  ImportedProgram result;
  Importer(result).run(op);
  return result;
}

uint64_t headrace::hashSchedules(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  for (Operation &op : *module.getBody()) {
    if (isa<sched::ProgramOp>(op))
      op.print(os);
    else if (auto function = dyn_cast<func::FuncOp>(op)) {
      os << function.getName();
      if (hr::OriginAttr origin = hr::HRDialect::getOrigin(function))
        os << origin.getPlan();
    }
    os << '\n';
  }
  return llvm::xxh3_64bits(text);
}

std::vector<Operation *> headrace::getWork(sched::ProgramOp op) {
  std::vector<Operation *> work;
  op.walk<WalkOrder::PreOrder>([&](Operation *inner) {
    if (isa<sched::RunOp, sched::CopyOp>(inner))
      work.push_back(inner);
  });
  return work;
}
