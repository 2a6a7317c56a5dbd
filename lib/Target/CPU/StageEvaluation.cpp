//===- StageEvaluation.cpp - Values and memory of a planned stage ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a node's operand is at a point of its loops: loaded from a buffer or
// from scratch, or computed on the spot by inlining the node that makes it. And
// where results lie: the stage's buffers, or slots of the tile's scratch.
//
//===----------------------------------------------------------------------===//

#include "StageEmitter.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

Type headrace::getStageMemoryType(Type elementType) {
  if (elementType.isInteger(1))
    return IntegerType::get(elementType.getContext(), 8);
  if (elementType.isBF16() || elementType.isF16())
    return IntegerType::get(elementType.getContext(), 16);
  return elementType;
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

TileRange StageEmitter::rangeOf(const Loop &loop) {
  auto it = ranges.find(loop.cls);
  if (it != ranges.end())
    return it->second;
  TileRange range;
  range.lo = constant(0);
  range.len = size(loop.extent);
  range.staticLen = loop.extent.getConstant();
  range.maxLen = range.staticLen ? *range.staticLen
                                 : loop.extent.bounds(symbolRanges).max;
  return range;
}

LaneIndex StageEmitter::evalLinear(const Linear &linear,
                                   ArrayRef<LaneIndex> loops) {
  LaneIndex result{size(linear.offset), SizeExpr(0)};
  for (auto [d, coef] : llvm::enumerate(linear.coef)) {
    if (coef == SizeExpr(0))
      continue;
    result.base = add(result.base, mul(loops[d].base, size(coef)));
    result.step = result.step + coef * loops[d].step;
    result.rowStep = result.rowStep + coef * loops[d].rowStep;
  }
  return result;
}

Value StageEmitter::toVector(Value value, int64_t lanes) {
  if (lanes == 1 || isa<VectorType>(value.getType()))
    return value;
  return vector::BroadcastOp::create(
      b, loc, VectorType::get({lanes}, value.getType()), value);
}

Value StageEmitter::interleave(ArrayRef<Value> values) {
  if (values.size() == 1)
    return values[0];
  // Of four: (0, 2) and (1, 3), then those two.
  SmallVector<Value> even, odd;
  for (auto [i, value] : llvm::enumerate(values))
    (i % 2 ? odd : even).push_back(value);
  return vector::InterleaveOp::create(b, loc, interleave(even),
                                      interleave(odd));
}

Value StageEmitter::broadcastGroup(Value group, int64_t lanes) {
  // As one integer of the group's bits.
  auto type = cast<VectorType>(group.getType());
  Type bits =
      b.getIntegerType(type.getElementTypeBitWidth() * type.getDimSize(0));
  Value whole = vector::BitCastOp::create(b, loc, VectorType::get({1}, bits),
                                          group);
  whole = vector::ExtractOp::create(b, loc, whole, 0);
  whole = vector::BroadcastOp::create(b, loc, VectorType::get({lanes}, bits),
                                      whole);
  return vector::BitCastOp::create(
      b, loc,
      VectorType::get({lanes * type.getDimSize(0)}, type.getElementType()),
      whole);
}

Value StageEmitter::laneNumbers(int64_t lanes, Type elementType) {
  SmallVector<Attribute> values;
  for (int64_t i = 0; i < lanes; ++i)
    values.push_back(IntegerAttr::get(elementType, i));
  auto type = VectorType::get({lanes}, elementType);
  return arith::ConstantOp::create(b, loc,
                                   DenseElementsAttr::get(type, values));
}

/// lane * step. A known step gives 32-bit positions: machines gather twice as
/// many at once.
Value StageEmitter::lanePositions(const SizeExpr &step, int64_t lanes) {
  std::optional<int64_t> known = step.getConstant();
  if (!known || std::abs(*known) > (int64_t(1) << 30) / lanes)
    return arith::MulIOp::create(b, loc,
                                 laneNumbers(lanes, b.getIndexType()),
                                 toVector(size(step), lanes));
  SmallVector<Attribute> values;
  for (int64_t i = 0; i < lanes; ++i)
    values.push_back(b.getI32IntegerAttr(static_cast<int32_t>(i * *known)));
  auto type = VectorType::get({lanes}, b.getI32Type());
  return arith::ConstantOp::create(b, loc,
                                   DenseElementsAttr::get(type, values));
}

Value StageEmitter::cloneOnLanes(Operation *op, ArrayRef<Value> operands,
                                 Place &place) {
  bool vectorized = llvm::any_of(
      operands, [](Value v) { return isa<VectorType>(v.getType()); });
  SmallVector<Value> args(operands);
  SmallVector<Type> types(op->getResultTypes());
  if (vectorized) {
    for (Value &arg : args)
      arg = toVector(arg, place.lanes);
    for (Type &type : types)
      type = VectorType::get({place.lanes}, type);
  }
  OperationState state(op->getLoc(), op->getName());
  state.addOperands(args);
  state.addTypes(types);
  state.addAttributes(op->getDiscardableAttrDictionary().getValue());
  state.propertiesAttr = op->getPropertiesAsAttribute();
  return b.create(state)->getResult(0);
}

SmallVector<Value> StageEmitter::evalBody(const Node *node,
                                          ArrayRef<Value> args,
                                          ArrayRef<LaneIndex> loops,
                                          Place &place) {
  Block *block = cast<linalg::LinalgOp>(node->op).getBlock();
  IRMapping map;
  for (auto [arg, value] : llvm::zip(block->getArguments(), args))
    if (value)
      map.map(arg, value);
  for (Operation &op : block->without_terminator()) {
    if (isa<arith::ConstantOp>(op)) {
      map.map(op.getResult(0), b.clone(op)->getResult(0));
      continue;
    }
    if (auto extent = dyn_cast<hr::SizeOp>(op)) {
      map.map(extent.getResult(), size(extent.getSize().getExpr()));
      continue;
    }
    if (auto index = dyn_cast<linalg::IndexOp>(op)) {
      const LaneIndex &at = loops[index.getDim()];
      Value value = at.base;
      if (at.step != SizeExpr(0)) {
        Value lanes = laneNumbers(place.lanes, b.getIndexType());
        if (at.step != SizeExpr(1))
          lanes = arith::MulIOp::create(b, loc, lanes,
                                        toVector(size(at.step), place.lanes));
        value = arith::AddIOp::create(b, loc, toVector(value, place.lanes),
                                      lanes);
      }
      map.map(index.getResult(), value);
      continue;
    }
    SmallVector<Value> operands;
    for (Value operand : op.getOperands())
      operands.push_back(map.lookupOrDefault(operand));
    auto check = dyn_cast<hr::CheckOp>(op);
    map.map(op.getResult(0), check ? evalCheck(check, operands, place)
                                   : cloneOnLanes(&op, operands, place));
  }
  SmallVector<Value> results;
  for (Value value : block->getTerminator()->getOperands())
    results.push_back(map.lookupOrDefault(value));
  return results;
}

Value StageEmitter::evalNode(const Node *node, unsigned result,
                             ArrayRef<LaneIndex> loops, Place &place) {
  if (isa<hr::GatherOp>(node->op))
    return evalGather(node, loops, place);
  auto linalgOp = cast<linalg::LinalgOp>(node->op);
  SmallVector<Value> args;
  for (auto [i, arg] : llvm::enumerate(linalgOp.getBlock()->getArguments()))
    args.push_back(arg.use_empty() ? Value()
                                   : evalOperand(node, i, loops, place));
  return evalBody(node, args, loops, place)[result];
}

Value StageEmitter::evalOperand(const Node *node, unsigned operand,
                                ArrayRef<LaneIndex> loops, Place &place) {
  const Access &access = node->operands[operand];
  auto type = dyn_cast<RankedTensorType>(access.source.getType());
  if (!type) {
    // A scalar of the stage: a constant, which may be cloned anywhere.
    return b.clone(*access.source.getDefiningOp())->getResult(0);
  }
  Type elementType = type.getElementType();
  if (place.block)
    if (auto it = place.block->find({node, operand}); it != place.block->end())
      return fromMemory(it->second[place.row], elementType, place);

  if (access.isInput()) {
    Value memref = inputs.lookup(access.source);
    if (access.panel)
      return loadAt(memref, panelAddress(access, loops), elementType, place);
  } else if (Value value = place.bound.lookup(access.source)) {
    return value;
  }
  if (auto load = getLoad(node, operand, loops))
    return loadAt(load->first, load->second, elementType, place);
  return evalNode(access.producer,
                  cast<OpResult>(access.source).getResultNumber(),
                  getProducerPoint(access, loops), place);
}

LaneIndex StageEmitter::panelAddress(const Access &access,
                                     ArrayRef<LaneIndex> loops,
                                     bool wholeGroups) {
  // [n / panel][other dimensions, one of them / group][n % panel][% group]
  auto type = cast<RankedTensorType>(access.source.getType());
  ArrayRef<int64_t> shape = type.getShape();
  bool grouped = access.group > 1;
  int64_t numOuter = static_cast<int64_t>(access.logical.size());
  LaneIndex at{constant(0), SizeExpr(0)};
  auto addTerm = [&](Value index, int64_t stride) {
    at.base = add(at.base, mul(index, constant(stride)));
  };
  // Lanes and rows along other dimensions than those that are split.
  auto addSteps = [&](const LaneIndex &value, int64_t stride) {
    at.step = at.step + value.step * SizeExpr(stride);
    at.rowStep = at.rowStep + value.rowStep * SizeExpr(stride);
  };
  int64_t next = 1;
  for (const Linear &linear : access.logical) {
    LaneIndex value = evalLinear(linear, loops);
    std::optional<unsigned> loop = linear.getPlainLoop();
    auto split = [&](int64_t by, int64_t outer, int64_t inner) {
      Value size = constant(by);
      addTerm(arith::DivUIOp::create(b, loc, value.base, size), outer);
      addTerm(arith::RemUIOp::create(b, loc, value.base, size), inner);
      addSteps(value, inner);
    };
    if (loop == access.panelLoop) {
      split(access.panel, type.getNumElements() / shape[0], access.group);
      continue;
    }
    int64_t stride = access.panel * access.group;
    for (int64_t d = next + 1; d < numOuter; ++d)
      stride *= shape[d];
    ++next;
    if (!grouped || loop != access.groupLoop) {
      addTerm(value.base, stride);
      addSteps(value, stride);
      continue;
    }
    // At a multiple of the group the division is exact.
    if (wholeGroups)
      addTerm(value.base, stride / access.group);
    else
      split(access.group, stride, 1);
  }
  return at;
}

LaneIndex StageEmitter::inputAddress(const Access &access,
                                     ArrayRef<LaneIndex> loops) {
  LaneIndex at = evalLinear(access.address, loops);
  if (!access.gather)
    return at;
  Value offset = dataOffsets.lookup(&access);
  at.base = add(at.base, offset ? offset : getDataOffset(access, loops));
  return at;
}

std::optional<std::pair<Value, LaneIndex>>
StageEmitter::getLoad(const Node *node, unsigned operand,
                      ArrayRef<LaneIndex> loops) {
  const Access &access = node->operands[operand];
  if (access.isInput()) {
    if (access.panel)
      return std::nullopt;
    return std::pair(inputs.lookup(access.source),
                     inputAddress(access, loops));
  }
  if (!analysis.isMaterialized(access.producer))
    return std::nullopt;
  SmallVector<LaneIndex> index;
  for (const Linear &linear : access.index)
    index.push_back(evalLinear(linear, loops));
  const Slot &slot = slotOf(access.source);
  return std::pair(slot.memref, slotIndex(slot, index));
}

SmallVector<LaneIndex>
StageEmitter::getProducerPoint(const Access &access,
                               ArrayRef<LaneIndex> loops) {
  const Node *producer = access.producer;
  unsigned number = cast<OpResult>(access.source).getResultNumber();
  SmallVector<LaneIndex> theirs(producer->loops.size(),
                                uniform(constant(0)));
  for (auto [linear, loop] :
       llvm::zip(access.index, producer->resultLoops[number]))
    theirs[loop] = evalLinear(linear, loops);
  return theirs;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value StageEmitter::fromMemory(Value value, Type elementType, Place &place) {
  Type stored = getStageMemoryType(elementType);
  if (stored == elementType)
    return value;
  if (isa<FloatType>(elementType)) {
    Type type = elementType;
    if (auto vector = dyn_cast<VectorType>(value.getType()))
      type = VectorType::get(vector.getShape(), type);
    return arith::BitcastOp::create(b, loc, type, value);
  }
  Value zero = toVector(scalarConstant(stored, 0),
                        isa<VectorType>(value.getType()) ? place.lanes : 1);
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, value, zero);
}

/// Every `step`-th element from `base` on. Reads nothing behind the last of
/// them: the last vector begins so much earlier.
Value StageEmitter::loadStrided(Value memref, Value base, int64_t step,
                                Place &place) {
  int64_t lanes = place.lanes;
  Type stored = cast<MemRefType>(memref.getType()).getElementType();
  auto type = VectorType::get({lanes}, stored);
  Value pass, none;
  if (place.mask) {
    pass = toVector(scalarConstant(stored, 0), lanes);
    none = toVector(
        arith::ConstantOp::create(b, loc, b.getBoolAttr(false)), lanes);
  }
  Value result;
  for (int64_t j = 0; j < step; ++j) {
    int64_t start = std::min(j * lanes, (lanes - 1) * step + 1 - lanes);
    // Lane i takes element i * step; lanes of other vectors keep theirs.
    SmallVector<int64_t> pick, exists(lanes, lanes);
    for (int64_t i = 0; i < lanes; ++i) {
      bool here = i * step / lanes == j;
      pick.push_back(here ? lanes + i * step - start : i);
      if (here)
        exists[i * step - start] = i;
    }
    Value at = addConstant(base, start), part;
    if (place.mask) {
      Value mask =
          vector::ShuffleOp::create(b, loc, place.mask, none, exists);
      part = vector::MaskedLoadOp::create(b, loc, type, memref, at, mask, pass);
    } else {
      part = vector::LoadOp::create(b, loc, type, memref, at);
    }
    // What lies between is read along, and not used.
    SmallVector<int64_t> used;
    for (int64_t i = 0; i < lanes; ++i)
      if (i * step / lanes == j)
        used.push_back(i * step - start);
    usedLanes[part.getDefiningOp()] = used;
    result = vector::ShuffleOp::create(b, loc, result ? result : part, part,
                                       pick);
  }
  return result;
}

Value StageEmitter::loadAt(Value memref, LaneIndex at, Type elementType,
                           Place &place) {
  Type stored = getStageMemoryType(elementType);
  auto fromMemory = [&](Value value) {
    return this->fromMemory(value, elementType, place);
  };
  bool vectorAddress = isa<VectorType>(at.base.getType());
  if (place.lanes == 1 || (at.step == SizeExpr(0) && !vectorAddress))
    return fromMemory(memref::LoadOp::create(b, loc, memref, at.base));

  auto type = VectorType::get({place.lanes}, stored);
  if (!vectorAddress && at.step == SizeExpr(1)) {
    if (!place.mask)
      return fromMemory(
          vector::LoadOp::create(b, loc, type, memref, at.base));
    Value pass = toVector(scalarConstant(stored, 0), place.lanes);
    return fromMemory(vector::MaskedLoadOp::create(b, loc, type, memref,
                                                   at.base, place.mask, pass));
  }
  // A few steps apart: from as many vectors, by shuffles.
  if (std::optional<int64_t> step = at.step.getConstant();
      step && !vectorAddress && *step > 1 && *step <= 4 &&
      *step <= place.lanes)
    return fromMemory(loadStrided(memref, at.base, *step, place));
  // Lanes at a stride or anywhere.
  Value positions = at.base;
  Value base = constant(0);
  if (!vectorAddress) {
    positions = lanePositions(at.step, place.lanes);
    base = at.base;
  }
  Value mask = place.mask;
  if (!mask)
    mask = toVector(arith::ConstantOp::create(b, loc, b.getBoolAttr(true)),
                    place.lanes);
  Value pass = toVector(scalarConstant(stored, 0), place.lanes);
  return fromMemory(vector::GatherOp::create(b, loc, type, memref,
                                             ValueRange{base}, positions, mask,
                                             pass));
}

Value StageEmitter::toMemory(Value value, Type stored) {
  if (getElementTypeOrSelf(value.getType()) == stored)
    return value;
  Type type = stored;
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    type = VectorType::get(vector.getShape(), stored);
  if (isa<FloatType>(getElementTypeOrSelf(value.getType())))
    return arith::BitcastOp::create(b, loc, type, value);
  return arith::ExtUIOp::create(b, loc, type, value);
}

void StageEmitter::storePast(Value memref, LaneIndex at, Value value,
                             Place &place) {
  Type stored = cast<MemRefType>(memref.getType()).getElementType();
  int64_t bytes = place.lanes * stored.getIntOrFloatBitWidth() / 8;
  // Less than a line's quarter is not worth an instruction of its own.
  constexpr int64_t least = 16;
  if (place.mask || isa<VectorType>(at.base.getType()) ||
      at.step != SizeExpr(1) || bytes < least || !llvm::isPowerOf2_64(bytes))
    return storeAt(memref, at, value, place);
  value = toVector(toMemory(value, stored), place.lanes);
  // Callers align their buffers as they like: the address says whether the
  // vector is whole.
  Value &address = pointers[memref];
  if (!address)
    address = memref::ExtractAlignedPointerAsIndexOp::create(entry, loc, memref);
  Value target = add(address, mul(at.base, constant(bytes / place.lanes)));
  Value rest = arith::AndIOp::create(b, loc, target, constant(bytes - 1));
  Value isWhole = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, rest,
                                        constant(0));
  scf::IfOp::create(
      b, loc, isWhole,
      [&](OpBuilder &inner, Location) {
        vector::StoreOp::create(inner, loc, value, memref, at.base,
                                /*nontemporal=*/true, llvm::MaybeAlign(bytes));
        scf::YieldOp::create(inner, loc);
      },
      [&](OpBuilder &inner, Location) {
        vector::StoreOp::create(inner, loc, value, memref, at.base);
        scf::YieldOp::create(inner, loc);
      });
}

void StageEmitter::storeAt(Value memref, LaneIndex at, Value value,
                           Place &place) {
  Type stored = cast<MemRefType>(memref.getType()).getElementType();
  value = toMemory(value, stored);
  bool vectorAddress = isa<VectorType>(at.base.getType());
  if (place.lanes == 1 || (at.step == SizeExpr(0) && !vectorAddress)) {
    memref::StoreOp::create(b, loc, value, memref, at.base);
    return;
  }
  value = toVector(value, place.lanes);
  if (!vectorAddress && at.step == SizeExpr(1)) {
    if (place.mask)
      vector::MaskedStoreOp::create(b, loc, memref, at.base, place.mask,
                                    value);
    else
      vector::StoreOp::create(b, loc, value, memref, at.base);
    return;
  }
  Value positions = at.base;
  Value base = constant(0);
  if (!vectorAddress) {
    positions = lanePositions(at.step, place.lanes);
    base = at.base;
  }
  Value mask = place.mask;
  if (!mask)
    mask = toVector(arith::ConstantOp::create(b, loc, b.getBoolAttr(true)),
                    place.lanes);
  vector::ScatterOp::create(b, loc, /*resultType=*/Type(), memref,
                            ValueRange{base}, positions, mask, value);
}

LaneIndex StageEmitter::slotIndex(const Slot &slot,
                                  ArrayRef<LaneIndex> index) {
  LaneIndex at{slot.offset ? slot.offset : constant(0), SizeExpr(0)};
  for (auto [stride, i] : llvm::zip(slot.strides, index)) {
    at.base = add(at.base, mul(i.base, size(stride)));
    at.step = at.step + stride * i.step;
    at.rowStep = at.rowStep + stride * i.rowStep;
  }
  return at;
}

const Slot &StageEmitter::slotOf(Value value) {
  auto it = slots.find(value);
  if (it != slots.end())
    return it->second;
  // The order of nests is wrong: a bug, reported rather than emitted.
  if (!broken)
    stage.emitError("a value is read before it is stored in stage '")
        << stage.getSymName() << "'"
        << (value.getDefiningOp()
                ? " (" + value.getDefiningOp()->getName().getStringRef().str() +
                      ")"
                : "");
  broken = true;
  auto type = cast<RankedTensorType>(value.getType());
  Slot slot;
  slot.memref = allocScratch(type.getElementType(), 1);
  slot.strides.assign(type.getRank(), SizeExpr(0));
  return slots[value] = slot;
}

Value StageEmitter::allocScratch(Type elementType, int64_t count) {
  Type stored = getStageMemoryType(elementType);
  constexpr int64_t most = int64_t(1) << 32;
  if (count < 0 || count > most) {
    if (!broken)
      stage.emitError("a tile of stage '")
          << stage.getSymName() << "' needs scratch of " << count
          << " elements, at most " << most
          << " are possible; bound the dynamic dimensions of the export "
             "(torch.export.Dim(..., max=...))";
    broken = true;
    count = 1;
  }
  int64_t bytes = llvm::alignTo(count * getElementBytes(stored), 64);
  Value offset = constant(scratchBytes);
  scratchBytes += bytes;
  auto type = MemRefType::get({count}, stored);
  // Entry, not here: the same bytes for every tile.
  Value view = memref::ViewOp::create(entry, loc, type, scratch, offset,
                                      ValueRange{});
  return view;
}

/// Gives every stored value of the nest its place. Scratch holds the current
/// tile only, with the nest's vector class innermost.
void StageEmitter::allocSlots(const Nest &nest, const NestPlan &nestPlan) {
  SmallVector<Node *> stored(nest.sinks);
  for (const Prologue &prologue : nest.prologues)
    stored.push_back(prologue.map);
  for (Node *sink : stored) {
    for (OpResult value : sink->op->getResults()) {
      if (sink->kind == NodeKind::Update || sink->kind == NodeKind::Scatter)
        continue; // written through the base
      if (Value memref = results.lookup(value)) {
        SmallVector<SizeExpr> dims = *hr::getDims(value);
        slots[value] = {memref, Value(), rowMajorStrides(dims)};
        continue;
      }
      ArrayRef<unsigned> loops = sink->resultLoops[value.getResultNumber()];
      int64_t innermost = -1;
      if (nestPlan.vector >= 0)
        innermost = nest.anchor->loops[nestPlan.vector].cls;
      SmallVector<unsigned> order; // dimensions, outermost first
      for (unsigned p = 0; p < loops.size(); ++p)
        if (static_cast<int64_t>(sink->loops[loops[p]].cls) != innermost)
          order.push_back(p);
      for (unsigned p = 0; p < loops.size(); ++p)
        if (static_cast<int64_t>(sink->loops[loops[p]].cls) == innermost)
          order.push_back(p);
      Slot slot;
      slot.strides.assign(loops.size(), SizeExpr(1));
      int64_t count = 1;
      for (unsigned p : llvm::reverse(order)) {
        slot.strides[p] = SizeExpr(count);
        TileRange range = rangeOf(sink->loops[loops[p]]);
        int64_t len = range.maxLen;
        if (p == order.back() && plan.lanes > 1 && len > plan.lanes &&
            len < (int64_t(1) << 40))
          len = llvm::alignTo(len, plan.lanes);
        count = llvm::SaturatingMultiply<uint64_t>(
                    uint64_t(count), uint64_t(std::max<int64_t>(len, 1))) >
                        uint64_t(std::numeric_limits<int64_t>::max())
                    ? std::numeric_limits<int64_t>::max()
                    : count * std::max<int64_t>(len, 1);
      }
      slot.memref = allocScratch(
          cast<RankedTensorType>(value.getType()).getElementType(), count);
      slot.offset = constant(0);
      if (broken) // the strides may be no numbers
        slot.strides.assign(loops.size(), SizeExpr(0));
      for (auto [p, loop] : llvm::enumerate(loops)) {
        TileRange range = rangeOf(sink->loops[loop]);
        Value back = mul(range.lo, size(slot.strides[p]));
        if (asConstant(back) != 0)
          slot.offset = arith::SubIOp::create(b, loc, slot.offset, back);
      }
      slots[value] = slot;
    }
  }
}

void StageEmitter::emitSinks(const Nest &nest,
                             function_ref<LaneIndex(unsigned)> at,
                             Place &place, ArrayRef<Value> anchorResults) {
  for (auto [i, value] : llvm::enumerate(anchorResults))
    if (value)
      place.bound[nest.anchor->op->getResult(i)] = value;
  for (Node *sink : nest.sinks) {
    SmallVector<LaneIndex> loops;
    for (const Loop &loop : sink->loops)
      loops.push_back(loop.parallel || sink->kind == NodeKind::Scatter
                          ? at(loop.cls)
                          : uniform(constant(0)));
    if (sink->kind == NodeKind::Update) {
      Value value = evalOperand(sink, 0, loops, place);
      storeAt(inputs.lookup(sink->source->source),
              evalLinear(sink->source->address, loops), value, place);
      continue;
    }
    for (OpResult result : sink->op->getResults()) {
      Value value = place.bound.lookup(result);
      if (!value)
        value = evalNode(sink, result.getResultNumber(), loops, place);
      const Slot &slot = slotOf(result);
      SmallVector<LaneIndex> index;
      for (unsigned loop : sink->resultLoops[result.getResultNumber()])
        index.push_back(loops[loop]);
      if (plan.bypass && results.contains(result))
        storePast(slot.memref, slotIndex(slot, index), value, place);
      else
        storeAt(slot.memref, slotIndex(slot, index), value, place);
    }
  }
}
