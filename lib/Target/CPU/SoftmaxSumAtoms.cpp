//===- SoftmaxSumAtoms.cpp - Weights and values as atoms take them --------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With lanes along rows: weights and values in groups of consecutive j, or the
// values transposed for fragments, and their products. Zeros fill up what an
// atom takes at once.
//
//===----------------------------------------------------------------------===//

#include "SoftmaxSumEmitter.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

void SoftmaxSumEmitter::allocatePacked(int64_t block) {
  int64_t columns =
      std::max<int64_t>(e.rangeOf(anchor->loops[columnLoops.back()]).maxLen, 1);
  int64_t depth = llvm::alignTo(block, step);
  if (!fragments) {
    packedStride = llvm::alignTo(columns, lanes);
    packed = e.allocScratch(valueType, depth * packedStride);
    return;
  }
  // A fragment may begin at any column, and a stride of many lines would put
  // its rows in few sets of a cache.
  int64_t m = nestPlan.atom.getM();
  packedStride = depth + lanes * group;
  packed =
      e.allocScratch(valueType, (llvm::alignTo(columns, m) + m) * packedStride);
  product = e.allocScratch(stateType, llvm::alignTo(nestPlan.rows, m) *
                                          nestPlan.vectors * lanes);
}

Value SoftmaxSumEmitter::storeGroups(const TileRange &range, Place &place,
                                     function_ref<Value(Value)> weightAt) {
  auto narrow = VectorType::get({place.lanes * group}, valueType);
  Value zero = e.toVector(splat(0), place.lanes);
  StringRef instruction = nestPlan.atom.getInstruction();
  // One group of which `count` elements exist.
  auto fill = [&](Value iv, int64_t count, Value sum) {
    SmallVector<Value> parts;
    for (int64_t k = 0; k < group; ++k)
      parts.push_back(k < count ? weightAt(e.addConstant(iv, k)) : zero);
    Value weights =
        hr::GroupRoundOp::create(b, loc, narrow, instruction, parts);
    loops[streamed] = e.uniform(iv);
    LaneIndex at = address(p);
    at.step = SizeExpr(1);
    Place whole; // scratch has room for lanes that do not exist
    whole.lanes = place.lanes * group;
    e.storeAt(p.memref, at, weights, whole);
    return addGroup(weights, sum);
  };
  Value sum = zero;
  forGroups(range, sum, fill);
  if (step > group && (!range.staticLen || *range.staticLen % step)) {
    Value nothing =
        e.toVector(e.scalarConstant(valueType, 0), place.lanes * group);
    e.forLoop(roundUp(range, group), roundUp(range, step), group,
              [&](Value iv) {
                loops[streamed] = e.uniform(iv);
                LaneIndex at = address(p);
                at.step = SizeExpr(1);
                Place whole;
                whole.lanes = place.lanes * group;
                e.storeAt(p.memref, at, nothing, whole);
              });
  }
  return sum;
}

Value SoftmaxSumEmitter::roundUp(const TileRange &range, int64_t multiple) {
  if (range.staticLen)
    return e.addConstant(range.lo, llvm::alignTo(*range.staticLen, multiple));
  Value sum = e.addConstant(range.len, multiple - 1);
  Value over = arith::RemSIOp::create(b, loc, sum, e.constant(multiple));
  return e.add(range.lo, arith::SubIOp::create(b, loc, sum, over));
}

Value SoftmaxSumEmitter::addGroup(Value weights, Value sum) {
  if (!fragments) {
    auto type = cast<VectorType>(weights.getType());
    Value one = e.toVector(e.scalarConstant(valueType, 1), type.getDimSize(0));
    return hr::GroupDotOp::create(b, loc, sum.getType(),
                                  nestPlan.atom.getInstruction(), one, weights,
                                  sum);
  }
  Value wide = arith::ExtFOp::create(
      b, loc,
      VectorType::get(cast<VectorType>(weights.getType()).getShape(),
                      stateType),
      weights);
  // Halves of the groups, until one element is left of each.
  for (int64_t left = group; left > 1; left /= 2) {
    auto halves = vector::DeinterleaveOp::create(b, loc, wide);
    wide = arith::AddFOp::create(b, loc, halves.getRes1(), halves.getRes2());
  }
  return arith::AddFOp::create(b, loc, sum, wide);
}

void SoftmaxSumEmitter::forGroups(
    const TileRange &range, Value &value,
    function_ref<Value(Value, int64_t, Value)> fill) {
  Value rest, whole;
  Value hi = e.add(range.lo, range.len);
  if (range.staticLen) {
    int64_t left = *range.staticLen % group;
    rest = e.constant(left);
    whole = e.addConstant(range.lo, *range.staticLen - left);
  } else {
    rest = arith::RemSIOp::create(b, loc, range.len, e.constant(group));
    whole = arith::SubIOp::create(b, loc, hi, rest);
  }
  auto run = [&](Value lo, Value end, int64_t count) {
    SmallVector<Value> init;
    if (value)
      init.push_back(value);
    SmallVector<Value> results =
        e.forCarry(lo, end, group, init, [&](Value iv, ValueRange carried) {
          Value next = fill(iv, count, carried.empty() ? Value() : carried[0]);
          return next ? SmallVector<Value>{next} : SmallVector<Value>{};
        });
    if (value)
      value = results[0];
  };
  run(range.lo, whole, group);
  for (int64_t count = 1; count < group; ++count) {
    if (range.staticLen) {
      if (*range.staticLen % group == count)
        run(whole, hi, count);
      continue;
    }
    // At most one iteration; a loop rather than an `if` keeps one shape.
    Value here = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, rest,
                                       e.constant(count));
    Value end = arith::SelectOp::create(b, loc, here, hi, whole);
    run(whole, end, count);
  }
}

void SoftmaxSumEmitter::packValues() {
  TileRange range = e.rangeOf(anchor->loops[streamed]);
  TileRange columns = e.rangeOf(anchor->loops[columnLoops.back()]);
  loops[nestPlan.vector] = e.uniform(e.constant(0)); // no value differs there
  if (fragments)
    return packTransposed(range, columns);
  Value none;
  forGroups(range, none, [&](Value iv, int64_t count, Value) {
    e.vectorLoop(columns, lanes, [&](Value column, Value mask) {
      loops[columnLoops.back()] = {column, SizeExpr(1)};
      Place place;
      place.lanes = lanes;
      place.mask = mask;
      SmallVector<Value> parts;
      for (int64_t k = 0; k < group; ++k) {
        loops[streamed] = e.uniform(e.addConstant(iv, std::min(k, count - 1)));
        Value part = e.toVector(e.evalOperand(anchor, 1, loops, place), lanes);
        if (k >= count)
          part =
              arith::ConstantOp::create(b, loc, b.getZeroAttr(part.getType()));
        parts.push_back(part);
      }
      Place whole;
      whole.lanes = lanes * group;
      e.storeAt(packed, {packedAddress(iv, column), SizeExpr(1)},
                e.interleave(parts), whole);
    });
    return Value();
  });
}

void SoftmaxSumEmitter::packTransposed(const TileRange &range,
                                       const TileRange &columns) {
  Type stored = getStageMemoryType(valueType);
  auto vectorType = VectorType::get({lanes}, stored);
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(vectorType));
  Value hi = e.add(range.lo, range.len);
  auto square = [&](Value first, bool isWhole) {
    e.vectorLoop(columns, lanes, [&](Value column, Value mask) {
      loops[columnLoops.back()] = {column, SizeExpr(1)};
      Place place;
      place.lanes = lanes;
      place.mask = mask;
      SmallVector<Value> rows;
      for (int64_t r = 0; r < lanes; ++r) {
        Value j = e.addConstant(first, r), exists;
        if (!isWhole) {
          exists =
              arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, j, hi);
          j = arith::MinSIOp::create(b, loc, j, e.addConstant(hi, -1));
        }
        loops[streamed] = e.uniform(j);
        Value row = e.toVector(e.evalOperand(anchor, 1, loops, place), lanes);
        if (row.getType() != vectorType)
          row = arith::BitcastOp::create(b, loc, vectorType, row);
        if (exists)
          row = arith::SelectOp::create(b, loc, exists, row, zero);
        rows.push_back(row);
      }
      for (auto [c, value] : llvm::enumerate(e.transpose(rows)))
        vector::StoreOp::create(
            b, loc, value, packed,
            ValueRange{packedAddress(first, e.addConstant(column, c))});
    });
  };
  Value whole =
      range.staticLen
          ? e.addConstant(range.lo, *range.staticLen / lanes * lanes)
          : arith::SubIOp::create(
                b, loc, hi,
                arith::RemSIOp::create(b, loc, range.len, e.constant(lanes)))
                .getResult();
  e.forLoop(range.lo, whole, lanes, [&](Value j) { square(j, true); });
  if (!range.staticLen || *range.staticLen % step)
    e.forLoop(whole, roundUp(range, step), lanes,
              [&](Value j) { square(j, false); });
}

Value SoftmaxSumEmitter::packedAddress(Value j, Value column) {
  TileRange range = e.rangeOf(anchor->loops[streamed]);
  TileRange columns = e.rangeOf(anchor->loops[columnLoops.back()]);
  Value row = arith::SubIOp::create(b, loc, j, range.lo);
  if (e.asConstant(columns.lo) != 0)
    column = arith::SubIOp::create(b, loc, column, columns.lo);
  if (fragments)
    return e.add(row, e.mul(column, e.constant(packedStride)));
  return e.add(e.mul(row, e.constant(packedStride)),
               e.mul(column, e.constant(group)));
}

Value SoftmaxSumEmitter::loadPacked(Value j, Value column) {
  Place place;
  place.lanes = group;
  Value value = e.loadAt(packed, {packedAddress(j, column), SizeExpr(1)},
                         valueType, place);
  return e.broadcastGroup(value, lanes);
}

SmallVector<Value>
SoftmaxSumEmitter::addGroups(Value j, ValueRange sums, int64_t vectors,
                             int64_t columns, Value firstColumn,
                             function_ref<void(int64_t, int64_t)> set) {
  SmallVector<Value> weights, next;
  for (int64_t v = 0; v < vectors; ++v) {
    set(0, v);
    LaneIndex at = address(p);
    at.step = SizeExpr(1);
    Place whole;
    whole.lanes = lanes * group;
    weights.push_back(e.loadAt(p.memref, at, valueType, whole));
  }
  for (int64_t c = 0; c < columns; ++c) {
    Value values = loadPacked(j, e.addConstant(firstColumn, c));
    for (int64_t v = 0; v < vectors; ++v) {
      Value acc = sums[c * vectors + v];
      next.push_back(hr::GroupDotOp::create(b, loc, acc.getType(),
                                            nestPlan.atom.getInstruction(),
                                            values, weights[v], acc));
    }
  }
  return next;
}

SmallVector<Value>
SoftmaxSumEmitter::multiplyFragments(const TileRange &range, int64_t vectors,
                                     int64_t columns, Value firstColumn,
                                     function_ref<void(int64_t, int64_t)> set) {
  hr::AtomAttr atom = nestPlan.atom;
  MLIRContext *context = b.getContext();
  int64_t m = atom.getM(), n = atom.getN(), k = atom.getK();
  int64_t down = llvm::divideCeil(columns, m);
  auto valuesType = hr::FragmentType::get(context, m, k, valueType);
  auto weightsType =
      hr::FragmentType::get(context, k / group, n * group, valueType);
  auto sumType = hr::FragmentType::get(context, m, n, stateType);
  SmallVector<Value> sums;
  for (int64_t i = 0; i < down * vectors; ++i)
    sums.push_back(hr::FragmentZeroOp::create(b, loc, sumType));
  sums = e.forCarry(range.lo, e.add(range.lo, range.len), k, sums,
                    [&](Value j, ValueRange carried) {
                      loops[streamed] = e.uniform(j);
                      SmallVector<Value> weights, next;
                      for (int64_t v = 0; v < vectors; ++v) {
                        set(0, v);
                        weights.push_back(hr::FragmentLoadOp::create(
                            b, loc, weightsType, p.memref, address(p).base,
                            e.constant(p.streamStride * group)));
                      }
                      for (int64_t d = 0; d < down; ++d) {
                        Value values = hr::FragmentLoadOp::create(
                            b, loc, valuesType, packed,
                            packedAddress(j, e.addConstant(firstColumn, d * m)),
                            e.constant(packedStride));
                        for (int64_t v = 0; v < vectors; ++v)
                          next.push_back(hr::FragmentMultiplyOp::create(
                              b, loc, sumType, atom.getInstruction(), values,
                              weights[v], carried[d * vectors + v]));
                      }
                      return next;
                    });
  int64_t width = vectors * n;
  for (int64_t d = 0; d < down; ++d)
    for (int64_t v = 0; v < vectors; ++v)
      hr::FragmentStoreOp::create(b, loc, sums[d * vectors + v], product,
                                  e.constant(d * m * width + v * n),
                                  e.constant(width));
  SmallVector<Value> result;
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t v = 0; v < vectors; ++v)
      result.push_back(vector::LoadOp::create(
          b, loc, VectorType::get({lanes}, stateType), product,
          ValueRange{e.constant(c * width + v * n)}));
  return result;
}
