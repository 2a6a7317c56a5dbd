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
// Each stage becomes a function (StageEmitter) and an `hr.run` that says which
// part of which buffer a tile touches.
//
//===----------------------------------------------------------------------===//

#include "StageEmitter.h"

#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Plan/StageAnalysis.h"
#include "headrace/Plan/StagePlan.h"
#include "headrace/Target/StageABI.h"
#include "headrace/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/UB/IR/UBOps.h"

namespace headrace {
#define GEN_PASS_DEF_TILESTAGESPASS
#include "headrace/Transforms/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

namespace {

/// A buffer and which of its slots, as a function of the loop's iteration.
struct BufferRef {
  Value buffer;
  AffineMap slot;
  bool operator==(const BufferRef &other) const = default;
};

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
  hr::FootprintAttr footprint(const StageAnalysis &analysis,
                              const StagePlan &plan, const Node *node,
                              ArrayRef<Linear> index,
                              ArrayRef<SizeExpr> dims);
  hr::SizeAttr countTouched(const StagePlan &plan, const Node *node,
                            ArrayRef<Linear> index);
  hr::FootprintAttr whole() {
    return hr::FootprintAttr::get(
        context, AffineMap::get(std::max<size_t>(tiled.size(), 1), 0, context),
        ArrayAttr::get(context, {}));
  }
  hr::FootprintAttr join(hr::FootprintAttr a, hr::FootprintAttr b,
                         ArrayRef<SizeExpr> dims);

  func::FuncOp entry;
  bool checkAccesses;
  MLIRContext *context;
  ModuleOp module;
  OpBuilder buffers; // at the start of the new body
  SymbolRanges ranges;
  DenseMap<Value, BufferRef> refs;
  DenseMap<Value, BufferRef> destinations; // by root
  llvm::MapVector<ArrayAttr, Value> constants, states;
  SmallVector<unsigned> tiled; // tiled classes of the stage at hand
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

/// How many indices a tile of the node touches of what it reads or writes once
/// per iteration of the loops that `index` (if known) depends on.
hr::SizeAttr EntryTiler::countTouched(const StagePlan &plan, const Node *node,
                                      ArrayRef<Linear> index) {
  SizeExpr count(1);
  for (auto [l, loop] : llvm::enumerate(node->loops)) {
    bool depends = index.empty() || llvm::any_of(index, [&](const Linear &one) {
                     return one.coef[l] != SizeExpr(0);
                   });
    if (depends)
      count = count * (llvm::is_contained(tiled, loop.cls)
                           ? SizeExpr::min(plan.tile[loop.cls], loop.extent)
                           : loop.extent);
  }
  return hr::SizeAttr::get(context, count);
}

/// The part of a buffer that a node touches at `index` (one linear function of
/// its loops per dimension) in a tile.
hr::FootprintAttr EntryTiler::footprint(const StageAnalysis &analysis,
                                        const StagePlan &plan,
                                        const Node *node,
                                        ArrayRef<Linear> index,
                                        ArrayRef<SizeExpr> dims) {
  SmallVector<AffineExpr> origin;
  SmallVector<SizeExpr> extent;
  bool allExact = true;
  for (auto [p, linear] : llvm::enumerate(index)) {
    AffineExpr lo = getAffineConstantExpr(0, context);
    SizeExpr length(1);
    bool exact = true;
    if (std::optional<int64_t> offset = linear.offset.getConstant())
      lo = lo + *offset;
    else
      exact = false;
    for (auto [l, coef] : llvm::enumerate(linear.coef)) {
      if (coef == SizeExpr(0))
        continue;
      std::optional<int64_t> factor = coef.getConstant();
      if (!factor || *factor < 0) {
        exact = false;
        break;
      }
      unsigned cls = node->loops[l].cls;
      auto it = llvm::find(tiled, cls);
      if (it == tiled.end()) {
        length = length + coef * (node->loops[l].extent - SizeExpr(1));
        continue;
      }
      lo = lo + getAffineDimExpr(it - tiled.begin(), context) *
                    (*factor * plan.tile[cls]);
      length = length + coef * SizeExpr(plan.tile[cls] - 1);
    }
    if (!exact) {
      lo = getAffineConstantExpr(0, context);
      length = dims[p];
      allExact = false;
    }
    origin.push_back(lo);
    extent.push_back(length);
  }
  return hr::FootprintAttr::get(
      context,
      AffineMap::get(std::max<size_t>(tiled.size(), 1), 0, origin, context),
      hr::getSizeArrayAttr(context, extent),
      allExact ? hr::SizeAttr() : countTouched(plan, node, index));
}

/// The smallest footprint we can say that covers both.
hr::FootprintAttr EntryTiler::join(hr::FootprintAttr a, hr::FootprintAttr b,
                                   ArrayRef<SizeExpr> dims) {
  if (!a || a == b)
    return b;
  if (!b)
    return a;
  if (a.isWhole() || b.isWhole())
    return whole(); // without a count: the two may differ
  SmallVector<AffineExpr> origin;
  SmallVector<Attribute> extent;
  for (unsigned p = 0; p < dims.size(); ++p) {
    AffineExpr ao = a.getOrigin().getResult(p), bo = b.getOrigin().getResult(p);
    if (ao == bo && a.getExtent()[p] == b.getExtent()[p]) {
      origin.push_back(ao);
      extent.push_back(a.getExtent()[p]);
      continue;
    }
    origin.push_back(getAffineConstantExpr(0, context));
    extent.push_back(hr::SizeAttr::get(context, dims[p]));
  }
  return hr::FootprintAttr::get(
      context, AffineMap::get(a.getOrigin().getNumDims(), 0, origin, context),
      ArrayAttr::get(context, extent));
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
  tiled.clear();
  SmallVector<SizeExpr> grid;
  for (auto [c, tile] : llvm::enumerate(plan.tile))
    if (tile > 0) {
      tiled.push_back(c);
      grid.push_back(
          analysis.getClasses()[c].extent.ceilDiv(SizeExpr(tile)));
    }
  if (grid.empty())
    grid.push_back(SizeExpr(1));

  // Operands of the run: each buffer slot once.
  struct Operand {
    BufferRef ref;
    bool read = false, write = false;
    /// What is not written keeps its value: the footprint may be too large.
    bool keeps = false;
    hr::FootprintAttr print;
    SmallVector<SizeExpr> dims;
    Type elementType;
  };
  SmallVector<Operand> operands;
  auto getOperand = [&](BufferRef ref) -> unsigned {
    for (auto [i, operand] : llvm::enumerate(operands))
      if (operand.ref == ref)
        return i;
    auto buffer = ref.buffer.getDefiningOp<hr::BufferOp>();
    Operand &operand = operands.emplace_back();
    operand.ref = ref;
    operand.dims = hr::getSizes(buffer.getDims());
    operand.elementType =
        cast<hr::BufferType>(buffer.getType()).getElementType();
    return operands.size() - 1;
  };
  Block &body = stage.getBody().front();
  llvm::MapVector<Value, unsigned> operandOf;
  for (auto [arg, input] :
       llvm::zip(body.getArguments(), stage.getInputs())) {
    if (!refs.count(input))
      return stage.emitError() << "an input has no buffer";
    operandOf[arg] = getOperand(refs.lookup(input));
  }
  for (auto [value, result] :
       llvm::zip(body.getTerminator()->getOperands(), stage.getResults()))
    operandOf[value] = getOperand(refs.lookup(result));

  // Footprints.
  for (const auto &node : analysis.getNodes()) {
    auto noteRead = [&](const Access &access, bool gathers = false) {
      if (!access.source || !access.isInput() ||
          !isa<RankedTensorType>(access.source.getType()))
        return;
      auto at = operandOf.find(access.source);
      if (at == operandOf.end())
        return; // an empty tensor, which has nothing to read
      Operand &operand = operands[at->second];
      operand.read = true;
      hr::FootprintAttr print = whole();
      if (access.gather) {
        Linear touched{SizeExpr(0), {}};
        for (unsigned l = 0; l < node->loops.size(); ++l)
          touched.coef.push_back(SizeExpr(access.dependsOn(l)));
        print = hr::FootprintAttr::get(context, print.getOrigin(),
                                       print.getExtent(),
                                       countTouched(plan, node.get(), touched));
      } else if (access.panel)
        // Panels are no rectangle of what is stored, but only so many.
        print = hr::FootprintAttr::get(
            context, print.getOrigin(), print.getExtent(),
            countTouched(plan, node.get(), access.logical));
      else if (gathers)
        print = hr::FootprintAttr::get(context, print.getOrigin(),
                                       print.getExtent(),
                                       countTouched(plan, node.get(), {}));
      else if (!access.index.empty() &&
               access.index.size() == operand.dims.size())
        print = footprint(analysis, plan, node.get(), access.index,
                          operand.dims);
      operand.print = join(operand.print, print, operand.dims);
    };
    for (const Access &access : node->operands)
      noteRead(access);
    if (node->source && node->kind == NodeKind::Map &&
        !analysis.isLookedThrough(node.get()))
      noteRead(*node->source, /*gathers=*/true);
    if (node->kind == NodeKind::Update || node->kind == NodeKind::Scatter) {
      Operand &operand = operands[operandOf[node->source->source]];
      operand.write = operand.keeps = true;
      hr::FootprintAttr print = whole();
      print = hr::FootprintAttr::get(context, print.getOrigin(),
                                     print.getExtent(),
                                     countTouched(plan, node.get(), {}));
      if (node->kind == NodeKind::Update)
        print = footprint(analysis, plan, node.get(), node->source->logical,
                          operand.dims);
      else
        operand.read = true;
      operand.print = join(operand.print, print, operand.dims);
      continue;
    }
    for (OpResult result : node->op->getResults()) {
      auto it = operandOf.find(result);
      if (it == operandOf.end())
        continue;
      Operand &operand = operands[it->second];
      operand.write = true;
      SmallVector<Linear> index;
      for (unsigned loop : node->resultLoops[result.getResultNumber()]) {
        Linear &linear = index.emplace_back();
        linear.coef.assign(node->loops.size(), SizeExpr(0));
        linear.coef[loop] = SizeExpr(1);
      }
      operand.print = join(
          operand.print,
          footprint(analysis, plan, node.get(), index, operand.dims),
          operand.dims);
    }
  }

  // The function.
  OpBuilder b(context);
  b.setInsertionPoint(entry);
  Type index = b.getIndexType();
  auto flat = [&](Type elementType) -> Type {
    return MemRefType::get({ShapedType::kDynamic},
                           getStageMemoryType(elementType));
  };
  SmallVector<Type> types{index, index, flat(b.getI8Type()),
                          flat(b.getI8Type())};
  for (Operand &operand : operands)
    types.push_back(flat(operand.elementType));
  SmallVector<StringRef> symbols = hr::getSymbolNames(entry);
  types.append(symbols.size() + (inLoop ? 1 : 0), index);
  StringRef name = stage.getSymName();
  auto func = func::FuncOp::create(b, stage.getLoc(), name,
                                   b.getFunctionType(types, {}));
  func.setPrivate();
  func->setAttr(hr::HRDialect::getOriginAttrName(),
                hr::OriginAttr::get(context, stage.getPlanAttr(),
                                    getContractions(context, analysis),
                                    getSources(context, analysis)));
  Block *block = func.addEntryBlock();
  StageEmitter emitter(func, stage, analysis, plan, ranges);
  for (auto [value, i] : operandOf) {
    Value memref = block->getArgument(stageOperandsBegin + i);
    if (isa<BlockArgument>(value))
      emitter.inputs[value] = memref;
    else
      emitter.results[value] = memref;
  }
  for (auto [i, symbol] : llvm::enumerate(symbols))
    emitter.symbols[symbol] =
        block->getArgument(stageOperandsBegin + operands.size() + i);
  FailureOr<int64_t> scratch = emitter.emit();
  if (failed(scratch))
    return stage.emitError() << "cannot emit the stage";
  if (checkAccesses) {
    SmallVector<StageEmitter::OperandPart> parts;
    for (const Operand &operand : operands)
      parts.push_back({operand.print ? operand.print : whole(), operand.dims});
    emitter.checkAccesses(parts);
  }

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
  SmallVector<Value> values;
  SmallVector<Attribute> access, prints;
  SmallVector<AffineMap> slots;
  for (Operand &operand : operands) {
    values.push_back(operand.ref.buffer);
    slots.push_back(operand.ref.slot);
    access.push_back(hr::AccessAttr::get(
        context, operand.write ? (operand.read ? hr::Access::ReadWrite
                                               : hr::Access::Write)
                               : hr::Access::Read));
    prints.push_back(operand.print ? operand.print : whole());
  }
  SmallVector<Attribute> symbolAttrs;
  for (StringRef symbol : symbols)
    symbolAttrs.push_back(b.getStringAttr(symbol));
  SmallVector<int64_t> keeps;
  for (auto [i, operand] : llvm::enumerate(operands))
    if (operand.keeps)
      keeps.push_back(i);
  hr::RunOp::create(
      runs, stage.getLoc(), FlatSymbolRefAttr::get(context, name),
      hr::getSizeArrayAttr(context, grid), values, b.getArrayAttr(access),
      b.getAffineMapArrayAttr(slots), b.getArrayAttr(prints),
      b.getArrayAttr(symbolAttrs), b.getI64IntegerAttr(*scratch),
      hr::SizeAttr::get(context, flops), StringAttr(), UnitAttr(),
      keeps.empty() ? DenseI64ArrayAttr() : b.getDenseI64ArrayAttr(keeps));
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
