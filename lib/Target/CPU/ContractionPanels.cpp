//===- ContractionPanels.cpp - Operands in the order they are read --------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Copies of a contraction's operands in scratch, and loads from them and from
// weights that were packed at compile time. Both are padded with zeros along
// the group loop, so that a group that is not full adds nothing.
//
//===----------------------------------------------------------------------===//

#include "ContractionEmitter.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

/// The step of an input's address along a loop, 0 if it is not known.
int64_t ContractionEmitter::strideAlong(unsigned number, int64_t l) const {
  const Access &access = anchor->operands[number];
  if (l < 0 || !access.isInput() || access.panel)
    return 0;
  return access.address.coef[l].getConstant().value_or(0);
}

/// Iterations of the group loop that a copy has room for.
int64_t ContractionEmitter::groupRoom(int64_t multiple) {
  TileRange range = e.rangeOf(anchor->loops[nestPlan.group]);
  return llvm::alignTo(std::max<int64_t>(range.maxLen, 1), multiple);
}

/// A panel is narrow: a step of the reduction reads a line or two of it, each in
/// another page where the operand is a wide matrix. Neighbours copied together
/// read on where the last one stopped, so that their lines come one after the
/// other, and with less waiting.
int64_t ContractionEmitter::getPanelsPerCopy() {
  constexpr int64_t run = 512, mostBytes = 1 << 20;
  if (!nestPlan.packs(laneOperand) || nestPlan.atom ||
      strideAlong(laneOperand, nestPlan.vector) != 1)
    return 1;
  TileRange range = e.rangeOf(anchor->loops[nestPlan.vector]);
  if (!range.staticLen)
    return 1;
  int64_t bytes = lanes * nestPlan.vectors *
                  getElementBytes(getElementTypeOrSelf(
                      linalgOp.getDpsInputOperand(laneOperand)->get().getType()));
  int64_t panels = *range.staticLen / (lanes * nestPlan.vectors);
  int64_t most = std::min<int64_t>(llvm::divideCeil(run, bytes), panels);
  for (unsigned l : reduced)
    if (dependsOn(laneOperand, l))
      bytes *= std::max<int64_t>(e.rangeOf(anchor->loops[l]).maxLen, 1);
  // So many that none is left over: the loops around a panel are there once.
  for (int64_t count = most; count > 1; --count)
    if (panels % count == 0 && count * bytes <= mostBytes)
      return count;
  return 1;
}

ContractionEmitter::Copy &ContractionEmitter::getCopy(unsigned number) {
  std::optional<Copy> &slot = copies[number];
  if (slot)
    return *slot;
  slot.emplace();
  auto operand = linalgOp.getDpsInputOperand(number);
  slot->elementType = getElementTypeOrSelf(operand->get().getType());
  slot->strides.assign(anchor->loops.size(), 0);
  // Innermost first.
  int64_t count = 1;
  if (number == laneOperand) {
    slot->strides[nestPlan.vector] = group;
    count = lanes * nestPlan.vectors;
  }
  if (nestPlan.group >= 0) {
    // A group takes `group` places in a panel, so an iteration takes one per
    // lane; a row has them side by side.
    slot->strides[nestPlan.group] = count;
    int64_t multiple = std::max(lanes, int64_t(1)) * group;
    if (nestPlan.atom)
      multiple = std::max(multiple, nestPlan.atom.getK());
    count *= groupRoom(multiple);
  }
  for (unsigned l : llvm::reverse(reduced)) {
    if (int64_t(l) == nestPlan.group || !dependsOn(number, l))
      continue;
    slot->strides[l] = count;
    count *= std::max<int64_t>(e.rangeOf(anchor->loops[l]).maxLen, 1);
  }
  if (number == laneOperand) {
    slot->panel = count;
    count *= getPanelsPerCopy();
  }
  if (number == rowOperand && nestPlan.row >= 0) {
    TileRange range = e.rangeOf(anchor->loops[nestPlan.row]);
    // Rows a multiple of many lines apart would meet in few sets of a cache.
    int64_t line = 64 / getElementBytes(slot->elementType);
    if (count % (8 * line) == 0)
      count += line;
    slot->strides[nestPlan.row] = count;
    slot->origin = range.lo;
    int64_t multiple = nestPlan.atom ? nestPlan.atom.getM() : 1;
    count *= llvm::alignTo(std::max<int64_t>(range.maxLen, 1), multiple);
  }
  slot->memref = e.allocScratch(slot->elementType, count);
  return *slot;
}

/// Where the current place is in a copy. Vectors within a panel are the
/// caller's.
Value ContractionEmitter::addressIn(const Copy &copy) {
  Value at = e.constant(0);
  for (auto [l, stride] : llvm::enumerate(copy.strides)) {
    if (stride == 0 || int64_t(l) == nestPlan.vector)
      continue;
    Value index = loops[l].base;
    if (int64_t(l) == nestPlan.row && e.asConstant(copy.origin) != 0)
      index = arith::SubIOp::create(b, loc, index, copy.origin);
    at = e.add(at, e.mul(index, e.constant(stride)));
  }
  if (copy.panel && firstCopied) {
    Value lane = arith::SubIOp::create(b, loc, firstLane, firstCopied);
    at = e.add(at, e.mul(lane, e.constant(copy.panel /
                                          (lanes * nestPlan.vectors))));
  }
  return at;
}

/// The columns of a matrix given as rows; both counts are powers of two.
SmallVector<Value> ContractionEmitter::transpose(ArrayRef<Value> rows) {
  int64_t height = rows.size();
  int64_t width = cast<VectorType>(rows[0].getType()).getDimSize(0);
  // Each round interleaves the halves of the list; after all of them the
  // elements lie column by column.
  SmallVector<Value> list(rows);
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < width; ++i) {
    low.push_back(i / 2 + (i % 2) * width);
    high.push_back(width / 2 + i / 2 + (i % 2) * width);
  }
  if (width == 1)
    high = {1};
  for (int64_t round = 1; round < height; round *= 2) {
    SmallVector<Value> next;
    for (int64_t i = 0; i < height / 2; ++i) {
      next.push_back(vector::ShuffleOp::create(b, loc, list[i],
                                               list[i + height / 2], low));
      next.push_back(vector::ShuffleOp::create(b, loc, list[i],
                                               list[i + height / 2], high));
    }
    list = next;
  }
  if (height == width)
    return list;
  SmallVector<Value> columns;
  for (int64_t c = 0; c < width; ++c) {
    int64_t first = c * height;
    if (height < width) {
      columns.push_back(vector::ExtractStridedSliceOp::create(
          b, loc, list[first / width], ArrayRef<int64_t>{first % width},
          ArrayRef<int64_t>{height}, ArrayRef<int64_t>{1}));
      continue;
    }
    // A column is several vectors.
    Value column = list[first / width];
    for (int64_t more = 1; more < height / width; ++more) {
      SmallVector<int64_t> join = llvm::to_vector(
          llvm::seq<int64_t>(0, (more + 1) * width));
      column = vector::ShuffleOp::create(b, loc, column,
                                         list[first / width + more], join);
    }
    columns.push_back(column);
  }
  return columns;
}

//===----------------------------------------------------------------------===//
// Filling
//===----------------------------------------------------------------------===//

void ContractionEmitter::packLanes(int64_t vectors) {
  if (nestPlan.group >= 0 && strideAlong(laneOperand, nestPlan.group) == 1 &&
      strideAlong(laneOperand, nestPlan.vector) != 1)
    return packAcross(vectors);
  Copy &copy = getCopy(laneOperand);
  int64_t groupLoop = nestPlan.group;
  auto store = [&](Value value, int64_t v) {
    Place whole;
    whole.lanes = lanes * group;
    // Vectors beyond a panel are the next one's.
    int64_t place = v / nestPlan.vectors * copy.panel +
                    v % nestPlan.vectors * lanes * group;
    LaneIndex at{e.addConstant(addressIn(copy), place), SizeExpr(1)};
    e.storeAt(copy.memref, at, value, whole);
  };
  auto load = [&](int64_t v) {
    Place place;
    place.lanes = lanes;
    place.mask = maskOf(v);
    setLanes(v);
    return e.toVector(e.evalOperand(anchor, laneOperand, loops, place), lanes);
  };
  /// One group of which `count` elements exist.
  auto fill = [&](Value iv, int64_t count) {
    for (int64_t v = 0; v < vectors; ++v) {
      SmallVector<Value> parts;
      for (int64_t j = 0; j < group; ++j) {
        if (groupLoop >= 0)
          loops[groupLoop] = e.uniform(e.addConstant(iv, std::min(j, count - 1)));
        Value part = load(v);
        parts.push_back(j < count ? part : zeroLike(part));
      }
      if (groupLoop >= 0)
        loops[groupLoop] = e.uniform(iv);
      store(e.interleave(parts), v);
    }
  };
  SmallVector<unsigned> over;
  for (unsigned l : reduced)
    if (int64_t(l) != groupLoop && dependsOn(laneOperand, l))
      over.push_back(l);
  e.forLoops(anchor, over, loops, [&]() {
    if (groupLoop < 0)
      return fill(Value(), 1);
    TileRange range = e.rangeOf(anchor->loops[groupLoop]);
    Value rest = range.staticLen
                     ? e.constant(*range.staticLen % group)
                     : arith::RemSIOp::create(b, loc, range.len,
                                              e.constant(group))
                           .getResult();
    Value hi = e.add(range.lo, range.len);
    Value whole = range.staticLen
                      ? e.addConstant(range.lo, *range.staticLen -
                                                    *e.asConstant(rest))
                      : arith::SubIOp::create(b, loc, hi, rest).getResult();
    e.forLoop(range.lo, whole, group, [&](Value iv) { fill(iv, group); });
    // The last group, and zeros up to what an atom takes at once.
    for (int64_t count = 1; count < group; ++count) {
      if (range.staticLen && *range.staticLen % group != count)
        continue;
      if (range.staticLen) {
        fill(whole, count);
        continue;
      }
      Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                         rest, e.constant(count));
      auto branch = scf::IfOp::create(b, loc, here);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(branch.thenBlock());
      fill(whole, count);
    }
    int64_t step = nestPlan.atom ? nestPlan.atom.getK() : 1;
    if (step == group || (range.staticLen && *range.staticLen % step == 0))
      return;
    auto roundUp = [&](Value value, int64_t multiple) -> Value {
      Value sum = e.addConstant(value, multiple - 1);
      Value over = arith::RemSIOp::create(b, loc, sum, e.constant(multiple));
      return arith::SubIOp::create(b, loc, sum, over);
    };
    Value zero = arith::ConstantOp::create(
        b, loc,
        b.getZeroAttr(VectorType::get({lanes * group}, copy.elementType)));
    e.forLoop(roundUp(hi, group), roundUp(hi, step), group, [&](Value iv) {
      loops[groupLoop] = e.uniform(iv);
      for (int64_t v = 0; v < vectors; ++v)
        store(zero, v);
    });
  });
}

/// The same for an operand that is contiguous along the group loop: squares of
/// `lanes` x `lanes` groups are transposed in registers.
void ContractionEmitter::packAcross(int64_t vectors) {
  Copy &copy = getCopy(laneOperand);
  int64_t groupLoop = nestPlan.group;
  Type stored = getStageMemoryType(copy.elementType);
  auto groupType = b.getIntegerType(stored.getIntOrFloatBitWidth() * group);
  int64_t square = lanes * group;
  auto fill = [&](Value iv, Value groupMask) {
    for (int64_t v = 0; v < vectors; ++v) {
      SmallVector<Value> rows;
      for (int64_t l = 0; l < lanes; ++l) {
        Place place;
        place.lanes = square;
        place.mask = groupMask;
        // Lanes that do not exist read the last one that does.
        Value lane = e.addConstant(firstLane, v * lanes + l);
        if (laneCount) {
          Value last = e.add(firstLane, e.addConstant(laneCount, -1));
          lane = arith::MinSIOp::create(b, loc, lane, last);
        }
        loops[nestPlan.vector] = e.uniform(lane);
        loops[groupLoop] = {iv, SizeExpr(1)};
        Value row = e.evalOperand(anchor, laneOperand, loops, place);
        if (getElementTypeOrSelf(row.getType()) != stored)
          row = arith::BitcastOp::create(b, loc,
                                         VectorType::get({square}, stored), row);
        rows.push_back(vector::BitCastOp::create(
            b, loc, VectorType::get({lanes}, groupType), row));
      }
      SmallVector<Value> columns = transpose(rows);
      loops[groupLoop] = e.uniform(iv);
      Value at = e.addConstant(addressIn(copy), v * lanes * group);
      for (auto [c, column] : llvm::enumerate(columns)) {
        Value value = vector::BitCastOp::create(
            b, loc, VectorType::get({square}, stored), column);
        vector::StoreOp::create(
            b, loc, value, copy.memref,
            ValueRange{e.addConstant(
                at, c * group * copy.strides[groupLoop])});
      }
    }
  };
  SmallVector<unsigned> over;
  for (unsigned l : reduced)
    if (int64_t(l) != groupLoop && dependsOn(laneOperand, l))
      over.push_back(l);
  e.forLoops(anchor, over, loops, [&]() {
    e.vectorLoop(e.rangeOf(anchor->loops[groupLoop]), square, fill);
  });
}

void ContractionEmitter::packRows() {
  Copy &copy = getCopy(rowOperand);
  int64_t groupLoop = nestPlan.group;
  SmallVector<unsigned> over;
  if (nestPlan.row >= 0)
    over.push_back(nestPlan.row);
  for (unsigned l : reduced)
    if (int64_t(l) != groupLoop && dependsOn(rowOperand, l))
      over.push_back(l);
  int64_t step = nestPlan.atom ? nestPlan.atom.getK() : 1;
  e.forLoops(anchor, over, loops, [&]() {
    // The last vector is stored whole: its zeros are the padding.
    TileRange range = e.rangeOf(anchor->loops[groupLoop]);
    e.vectorLoop(range, lanes, [&](Value iv, Value mask) {
      loops[groupLoop] = {iv, SizeExpr(1)};
      Place place;
      place.lanes = lanes;
      place.mask = mask;
      Value value = e.toVector(
          e.evalOperand(anchor, rowOperand, loops, place), lanes);
      loops[groupLoop] = e.uniform(iv);
      Place whole;
      whole.lanes = lanes;
      e.storeAt(copy.memref, {addressIn(copy), SizeExpr(1)}, value, whole);
    });
    if (step <= lanes || (range.staticLen && *range.staticLen % step == 0))
      return;
    Value zero = arith::ConstantOp::create(
        b, loc, b.getZeroAttr(VectorType::get({lanes}, copy.elementType)));
    Value hi = e.add(range.lo, range.len);
    Value from = e.addConstant(hi, lanes - 1);
    from = arith::SubIOp::create(
        b, loc, from,
        arith::RemSIOp::create(b, loc, from, e.constant(lanes)));
    Value to = e.addConstant(hi, step - 1);
    to = arith::SubIOp::create(
        b, loc, to, arith::RemSIOp::create(b, loc, to, e.constant(step)));
    e.forLoop(from, to, lanes, [&](Value iv) {
      loops[groupLoop] = e.uniform(iv);
      Place whole;
      whole.lanes = lanes;
      e.storeAt(copy.memref, {addressIn(copy), SizeExpr(1)}, zero, whole);
    });
  });
}

//===----------------------------------------------------------------------===//
// Loads
//===----------------------------------------------------------------------===//

Value ContractionEmitter::loadLanes(int64_t v) {
  int64_t width = lanes * group;
  const Access &access = anchor->operands[laneOperand];
  Type elementType = getElementTypeOrSelf(
      linalgOp.getDpsInputOperand(laneOperand)->get().getType());
  Place place;
  place.lanes = width;
  if (nestPlan.packs(laneOperand)) {
    Copy &copy = getCopy(laneOperand);
    LaneIndex at{e.addConstant(addressIn(copy), v * width), SizeExpr(1)};
    return e.loadAt(copy.memref, at, elementType, place);
  }
  setLanes(v);
  LaneIndex at = e.panelAddress(access, loops, /*wholeGroups=*/true);
  at.step = SizeExpr(1);
  return e.loadAt(e.inputs.lookup(access.source), at, elementType, place);
}

Value ContractionEmitter::loadRow() {
  Copy &copy = getCopy(rowOperand);
  Place scalar;
  return e.loadAt(copy.memref, e.uniform(addressIn(copy)), copy.elementType,
                  scalar);
}

Value ContractionEmitter::loadGroup(int64_t r) {
  setRow(r);
  Type elementType = getElementTypeOrSelf(
      linalgOp.getDpsInputOperand(rowOperand)->get().getType());
  Place place;
  place.lanes = group;
  Value value;
  if (nestPlan.packs(rowOperand)) {
    Copy &copy = getCopy(rowOperand);
    value = e.loadAt(copy.memref, {addressIn(copy), SizeExpr(1)}, elementType,
                     place);
  } else {
    LaneIndex at = loops[nestPlan.group];
    loops[nestPlan.group] = {at.base, SizeExpr(1)};
    value = e.toVector(e.evalOperand(anchor, rowOperand, loops, place), group);
    loops[nestPlan.group] = at;
  }
  return e.broadcastGroup(value, lanes);
}

ContractionEmitter::Address ContractionEmitter::rowFragment(int64_t r) {
  setRow(r);
  const Access &access = anchor->operands[rowOperand];
  if (nestPlan.packs(rowOperand)) {
    Copy &copy = getCopy(rowOperand);
    return {copy.memref, addressIn(copy),
            e.constant(copy.strides[nestPlan.row])};
  }
  return {e.inputs.lookup(access.source),
          e.inputAddress(access, loops).base,
          e.size(access.address.coef[nestPlan.row])};
}

ContractionEmitter::Address ContractionEmitter::laneFragment(int64_t lane) {
  const Access &access = anchor->operands[laneOperand];
  if (nestPlan.packs(laneOperand)) {
    Copy &copy = getCopy(laneOperand);
    return {copy.memref, e.addConstant(addressIn(copy), lane * group),
            e.constant(copy.strides[nestPlan.group] * group)};
  }
  loops[nestPlan.vector] = {e.addConstant(firstLane, lane), SizeExpr(1)};
  LaneIndex at = e.panelAddress(access, loops, /*wholeGroups=*/true);
  return {e.inputs.lookup(access.source), at.base,
          e.constant(access.panel * group)};
}
