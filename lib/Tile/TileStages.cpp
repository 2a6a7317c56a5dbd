//===- TileStages.cpp - Stages become functions, values buffers -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Destination-passing by construction: every base value (argument, weight,
// state, result of a stage, uninitialized storage) gets one buffer; an update
// shares its base's, what an entry returns is stored in the output's, what a
// repeat carries alternates between the two slots of one buffer. Views need no
// buffer: they are part of the stages that read through them.
//
// Each stage becomes a function, which a target emits (StageFunction.h), and an
// `hr.run` that says which part of which buffer a tile touches (StageOperands).
//
//===----------------------------------------------------------------------===//

#include "StageOperands.h"

#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Plan/StageAnalysis.h"
#include "headrace/Plan/StagePlan.h"
#include "headrace/Target/StageABI.h"
#include "headrace/Target/StageFunction.h"
#include "headrace/Tile/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/UB/IR/UBOps.h"

namespace headrace {
#define GEN_PASS_DEF_TILESTAGESPASS
#include "headrace/Tile/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

namespace {

class EntryTiler {
public:
  EntryTiler(func::FuncOp entry, bool checkAccesses)
      : entry(entry), checkAccesses(checkAccesses), context(entry.getContext()),
        module(entry->getParentOfType<ModuleOp>()), buffers(context),
        ranges(hr::getSymbolRanges(entry)) {}

  LogicalResult run();

private:
  BufferRef createBuffer(hr::BufferKind kind, IntegerAttr number,
                         ArrayAttr symbols, int64_t slots,
                         ArrayRef<SizeExpr> dims, Type elementType,
                         Location loc);
  BufferRef createTemp(Value value, int64_t slots = 1);
  AffineMap constantSlot(int64_t slot) {
    return AffineMap::get(1, 0, getAffineConstantExpr(slot, context));
  }
  Value getRoot(Value value);
  LogicalResult assign(Block &block);
  LogicalResult emitRuns(Block &block, OpBuilder &runs, bool inLoop);
  LogicalResult emitStage(hr::StageOp stage, OpBuilder &runs, bool inLoop);
  /// The buffers of the stage, and what its tiles touch of them.
  FailureOr<StageOperands> getOperands(hr::StageOp stage,
                                       const StageAnalysis &analysis,
                                       const StagePlan &plan);
  /// Emits the function; returns the bytes of scratch that it needs.
  FailureOr<int64_t> emitFunction(hr::StageOp stage,
                                  const StageAnalysis &analysis,
                                  const StagePlan &plan,
                                  const StageOperands &operands, bool inLoop);

  func::FuncOp entry;
  bool checkAccesses;
  MLIRContext *context;
  ModuleOp module;
  OpBuilder buffers; // at the start of the new body
  SymbolRanges ranges;
  DenseMap<Value, BufferRef> refs;
  DenseMap<Value, BufferRef> destinations; // by root
  llvm::MapVector<ArrayAttr, Value> constants, states;
};

} // namespace

BufferRef EntryTiler::createBuffer(hr::BufferKind kind, IntegerAttr number,
                                   ArrayAttr symbols, int64_t slots,
                                   ArrayRef<SizeExpr> dims, Type elementType,
                                   Location loc) {
  auto op = hr::BufferOp::create(
      buffers, loc, hr::BufferType::get(context, elementType),
      hr::BufferKindAttr::get(context, kind), number, symbols,
      buffers.getI64IntegerAttr(slots), hr::getSizeArrayAttr(context, dims),
      buffers.getI64IntegerAttr(64));
  return {op.getResult(), constantSlot(0)};
}

BufferRef EntryTiler::createTemp(Value value, int64_t slots) {
  return createBuffer(
      hr::BufferKind::Temp, IntegerAttr(), ArrayAttr(), slots,
      *hr::getDims(value),
      cast<RankedTensorType>(value.getType()).getElementType(),
      value.getLoc());
}

/// The input of the stage that the result overwrites, if it does.
static std::optional<unsigned> getAliasedInput(hr::StageOp stage,
                                               unsigned result) {
  Operation *def = stage.getBody()
                       .front()
                       .getTerminator()
                       ->getOperand(result)
                       .getDefiningOp();
  std::optional<hr::TileRegion> region = getRegion(def);
  if (!region || !region->isOverwritten)
    return std::nullopt;
  return cast<BlockArgument>(def->getOperand(region->operand)).getArgNumber();
}

/// Where the chain of in-place updates that made `value` begins.
Value EntryTiler::getRoot(Value value) {
  while (auto stage = value.getDefiningOp<hr::StageOp>()) {
    std::optional<unsigned> input =
        getAliasedInput(stage, cast<OpResult>(value).getResultNumber());
    if (!input)
      break;
    value = stage.getInputs()[*input];
  }
  return value;
}

LogicalResult EntryTiler::assign(Block &block) {
  Operation *terminator = block.getTerminator();
  if (isa<func::ReturnOp>(terminator))
    for (OpOperand &operand : terminator->getOpOperands()) {
      Value base = getViewBase(operand.get());
      Value root = getRoot(base);
      auto type = cast<RankedTensorType>(base.getType());
      destinations[root] = createBuffer(
          hr::BufferKind::Output,
          buffers.getI64IntegerAttr(operand.getOperandNumber()), ArrayAttr(),
          1, *hr::getDims(base), type.getElementType(), base.getLoc());
    }
  for (Operation &op : block) {
    auto repeat = dyn_cast<hr::RepeatOp>(op);
    if (!repeat)
      continue;
    AffineExpr iteration = getAffineDimExpr(0, context);
    Block &body = repeat.getBody().front();
    Operation *yield = body.getTerminator();
    for (auto [k, init] : llvm::enumerate(repeat.getInits())) {
      BufferRef carried = createTemp(init, 2);
      destinations[getRoot(init)] = carried;
      refs[body.getArgument(k + 1)] = {carried.buffer,
                                       AffineMap::get(1, 0, iteration % 2)};
      destinations[getRoot(yield->getOperand(k))] = {
          carried.buffer, AffineMap::get(1, 0, (iteration + 1) % 2)};
      refs[repeat.getResult(k)] = {
          carried.buffer,
          constantSlot(static_cast<int64_t>(repeat.getCount()) % 2)};
    }
    if (failed(assign(body)))
      return failure();
  }
  for (Operation &op : block) {
    bool stacked = op.getNumOperands() == 1;
    AffineMap slot = stacked ? AffineMap::getMultiDimIdentityMap(1, context)
                             : constantSlot(0);
    if (auto constant = dyn_cast<hr::ConstantOp>(op)) {
      Value &buffer = constants[constant.getWeights()];
      if (!buffer)
        buffer = createBuffer(hr::BufferKind::Const, IntegerAttr(),
                              constant.getWeights(),
                              constant.getWeights().size(),
                              *hr::getDims(constant.getResult()),
                              constant.getType().getElementType(),
                              op.getLoc())
                     .buffer;
      refs[constant.getResult()] = {buffer, slot};
    } else if (auto read = dyn_cast<hr::ReadStateOp>(op)) {
      Value &buffer = states[read.getStates()];
      if (!buffer)
        buffer = createBuffer(hr::BufferKind::State, IntegerAttr(),
                              read.getStates(), read.getStates().size(),
                              *hr::getDims(read.getResult()),
                              read.getType().getElementType(), op.getLoc())
                     .buffer;
      refs[read.getResult()] = {buffer, slot};
    } else if (isa<tensor::EmptyOp>(op)) {
      auto it = destinations.find(op.getResult(0));
      refs[op.getResult(0)] =
          it != destinations.end() ? it->second : createTemp(op.getResult(0));
    } else if (auto stage = dyn_cast<hr::StageOp>(op)) {
      for (OpResult result : stage->getResults()) {
        if (std::optional<unsigned> input =
                getAliasedInput(stage, result.getResultNumber())) {
          refs[result] = refs.lookup(stage.getInputs()[*input]);
          continue;
        }
        auto it = destinations.find(result);
        refs[result] =
            it != destinations.end() ? it->second : createTemp(result);
      }
    }
  }
  return success();
}

/// What the stage spends on sums of products, one attribute per combination of
/// types.
static ArrayAttr getContractions(MLIRContext *context,
                                 const StageAnalysis &analysis) {
  llvm::MapVector<std::tuple<Type, Type, Type>, SizeExpr> flops;
  for (const auto &node : analysis.getNodes()) {
    if (node->kind != NodeKind::Contraction &&
        node->kind != NodeKind::SoftmaxSum)
      continue;
    auto typeOf = [&](Value value) { return getElementTypeOrSelf(value); };
    SizeExpr points(2);
    for (const Loop &loop : node->loops)
      points = points * loop.extent;
    auto key = std::make_tuple(typeOf(node->op->getOperand(0)),
                               typeOf(node->op->getOperand(1)),
                               typeOf(node->op->getResult(0)));
    auto [entry, inserted] = flops.insert({key, points});
    if (!inserted)
      entry->second = entry->second + points;
  }
  SmallVector<Attribute> list;
  for (auto &[types, size] : flops)
    list.push_back(hr::ContractionAttr::get(
        context, std::get<0>(types), std::get<1>(types), std::get<2>(types),
        hr::SizeAttr::get(context, size)));
  return ArrayAttr::get(context, list);
}

/// Where the operations of the stage are in the user's program.
static ArrayAttr getSources(MLIRContext *context,
                            const StageAnalysis &analysis) {
  llvm::SetVector<Attribute> places;
  for (const auto &node : analysis.getNodes())
    places.insert(LocationAttr(node->op->getLoc()));
  return ArrayAttr::get(context, places.getArrayRef());
}

/// The operations of all tiles.
static SizeExpr countFlops(const StageAnalysis &analysis) {
  SizeExpr flops(0);
  for (const auto &node : analysis.getNodes()) {
    if (analysis.isLookedThrough(node.get()))
      continue;
    SizeExpr points(1);
    for (const Loop &loop : node->loops)
      points = points * loop.extent;
    int64_t perPoint = node->kind == NodeKind::Contraction ||
                               node->kind == NodeKind::SoftmaxSum
                           ? 2
                           : static_cast<int64_t>(node->flopsPerPoint);
    flops = flops + points * SizeExpr(perPoint);
  }
  return flops;
}

/// What one worker computes for in all tiles, in femtoseconds, as the plan
/// predicts it.
static hr::SizeAttr sumCompute(MLIRContext *context,
                               const StageAnalysis &analysis,
                               const StagePlan &plan) {
  SizeExpr sum(0);
  for (auto [nest, nestPlan] : llvm::zip(analysis.getNests(), plan.nests)) {
    SizeExpr cost(nestPlan.cost);
    for (const Loop &loop : nest.anchor->loops)
      cost = cost * loop.extent;
    sum = sum + cost;
  }
  return sum == SizeExpr(0) ? hr::SizeAttr() : hr::SizeAttr::get(context, sum);
}

FailureOr<StageOperands>
EntryTiler::getOperands(hr::StageOp stage, const StageAnalysis &analysis,
                        const StagePlan &plan) {
  StageOperands operands(context, analysis, plan);
  Block &body = stage.getBody().front();
  for (auto [arg, input] : llvm::zip(body.getArguments(), stage.getInputs())) {
    if (!refs.count(input))
      return stage.emitError() << "an input has no buffer";
    operands.add(arg, refs.lookup(input));
  }
  for (auto [value, result] :
       llvm::zip(body.getTerminator()->getOperands(), stage.getResults()))
    operands.add(value, refs.lookup(result));
  operands.findFootprints();
  return operands;
}

FailureOr<int64_t>
EntryTiler::emitFunction(hr::StageOp stage, const StageAnalysis &analysis,
                         const StagePlan &plan, const StageOperands &operands,
                         bool inLoop) {
  OpBuilder b(context);
  b.setInsertionPoint(entry);
  Type index = b.getIndexType();
  auto flat = [&](Type elementType) -> Type {
    return MemRefType::get({ShapedType::kDynamic},
                           getStageMemoryType(elementType));
  };
  SmallVector<Type> types{index, index, flat(b.getI8Type()),
                          flat(b.getI8Type())};
  for (const StageOperand &operand : operands.get())
    types.push_back(flat(operand.elementType));
  SmallVector<StringRef> symbols = hr::getSymbolNames(entry);
  types.append(symbols.size() + (inLoop ? 1 : 0), index);
  auto func = func::FuncOp::create(b, stage.getLoc(), stage.getSymName(),
                                   b.getFunctionType(types, {}));
  func.setPrivate();
  func->setAttr(hr::HRDialect::getOriginAttrName(),
                hr::OriginAttr::get(context, stage.getPlanAttr(),
                                    getContractions(context, analysis),
                                    getSources(context, analysis)));
  Block *block = func.addEntryBlock();
  StageFunction function{func, stage, analysis, plan, ranges};
  for (auto [value, i] : operands.getNumbers()) {
    Value memref = block->getArgument(stageOperandsBegin + i);
    if (isa<BlockArgument>(value))
      function.inputs[value] = memref;
    else
      function.results[value] = memref;
  }
  for (auto [i, symbol] : llvm::enumerate(symbols))
    function.symbols[symbol] =
        block->getArgument(stageOperandsBegin + operands.get().size() + i);
  if (checkAccesses) {
    function.checkedParts.emplace();
    for (const StageOperand &operand : operands.get())
      function.checkedParts->push_back({operand.print, operand.dims});
  }
  FailureOr<int64_t> scratch = emitStageFunction(function);
  if (failed(scratch))
    return stage.emitError() << "cannot emit the stage";
  return scratch;
}

LogicalResult EntryTiler::emitStage(hr::StageOp stage, OpBuilder &runs,
                                    bool inLoop) {
  std::string why;
  FailureOr<std::unique_ptr<StageAnalysis>> made =
      StageAnalysis::create(stage, &why);
  if (failed(made))
    return stage.emitError() << "cannot tile the stage: " << why;
  const StageAnalysis &analysis = **made;
  if (!stage.getPlanAttr())
    return stage.emitError() << "the stage has no plan";
  StagePlan plan = StagePlan::fromAttr(stage.getPlanAttr());
  if (failed(verifyPlan(analysis, plan, why)))
    return stage.emitError() << why;
  FailureOr<StageOperands> operands = getOperands(stage, analysis, plan);
  if (failed(operands))
    return failure();
  FailureOr<int64_t> scratch =
      emitFunction(stage, analysis, plan, *operands, inLoop);
  if (failed(scratch))
    return failure();

  SmallVector<Value> values;
  SmallVector<Attribute> access, prints, symbols;
  SmallVector<AffineMap> slots;
  SmallVector<int64_t> keeps;
  for (auto [i, operand] : llvm::enumerate(operands->get())) {
    values.push_back(operand.ref.buffer);
    slots.push_back(operand.ref.slot);
    access.push_back(hr::AccessAttr::get(
        context, operand.write ? (operand.read ? hr::Access::ReadWrite
                                               : hr::Access::Write)
                               : hr::Access::Read));
    prints.push_back(operand.print);
    if (operand.keeps)
      keeps.push_back(i);
  }
  for (StringRef symbol : hr::getSymbolNames(entry))
    symbols.push_back(runs.getStringAttr(symbol));
  hr::RunOp::create(
      runs, stage.getLoc(),
      FlatSymbolRefAttr::get(context, stage.getSymName()),
      hr::getSizeArrayAttr(context, operands->getGrid()), values,
      runs.getArrayAttr(access), runs.getAffineMapArrayAttr(slots),
      runs.getArrayAttr(prints), runs.getArrayAttr(symbols),
      runs.getI64IntegerAttr(*scratch),
      hr::SizeAttr::get(context, countFlops(analysis)),
      sumCompute(context, analysis, plan),
      plan.bypass ? runs.getUnitAttr() : UnitAttr(),
      keeps.empty() ? DenseI64ArrayAttr() : runs.getDenseI64ArrayAttr(keeps));
  return success();
}

LogicalResult EntryTiler::emitRuns(Block &block, OpBuilder &runs,
                                   bool inLoop) {
  for (Operation &op : block) {
    if (auto stage = dyn_cast<hr::StageOp>(op)) {
      if (failed(emitStage(stage, runs, inLoop)))
        return failure();
      continue;
    }
    if (auto repeat = dyn_cast<hr::RepeatOp>(op)) {
      auto loop = hr::LoopOp::create(runs, op.getLoc(), repeat.getCount());
      OpBuilder inner(context);
      inner.createBlock(&loop.getBody());
      if (failed(emitRuns(repeat.getBody().front(), inner, true)))
        return failure();
      continue;
    }
  }
  return success();
}

LogicalResult EntryTiler::run() {
  Block &old = entry.getBody().front();
  // New ops go before the old ones, which are dropped at the end.
  OpBuilder atStart = OpBuilder::atBlockBegin(&old);
  Operation *marker =
      arith::ConstantIndexOp::create(atStart, entry.getLoc(), 0);
  buffers.setInsertionPoint(marker);
  for (BlockArgument arg : old.getArguments()) {
    auto type = cast<RankedTensorType>(arg.getType());
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(arg);
    if (failed(dims))
      return entry.emitError()
             << "argument " << arg.getArgNumber() << " has unknown sizes";
    refs[arg] = createBuffer(hr::BufferKind::Input,
                             buffers.getI64IntegerAttr(arg.getArgNumber()),
                             ArrayAttr(), 1, *dims, type.getElementType(),
                             entry.getLoc());
  }
  if (failed(assign(old)))
    return failure();
  OpBuilder runs(marker);
  if (failed(emitRuns(old, runs, false)))
    return failure();

  // What stands before the marker stays. The tensors of the entry are only its
  // signature from here on, so it returns nothing in particular.
  Operation *terminator = old.getTerminator();
  OpBuilder b(terminator);
  for (OpOperand &operand : terminator->getOpOperands())
    operand.set(ub::PoisonOp::create(b, entry.getLoc(),
                                     operand.get().getType()));
  SmallVector<Operation *> dead;
  for (Operation *op = marker; op != terminator; op = op->getNextNode())
    if (!isa<ub::PoisonOp>(op))
      dead.push_back(op);
  for (Operation *op : llvm::reverse(dead)) {
    op->dropAllUses();
    op->erase();
  }
  return success();
}

namespace {
struct TileStagesPass : headrace::impl::TileStagesPassBase<TileStagesPass> {
  using TileStagesPassBase::TileStagesPassBase;

  void runOnOperation() override {
    SmallVector<func::FuncOp> entries;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (hr::isEntry(func))
        entries.push_back(func);
    for (func::FuncOp entry : entries)
      if (failed(EntryTiler(entry, checkAccesses).run()))
        return signalPassFailure();
  }
};
} // namespace
