//===- SoftmaxSumEmitter.cpp - Streamed softmax-weighted sums -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "SoftmaxSumEmitter.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

SoftmaxSumEmitter::SoftmaxSumEmitter(StageEmitter &e, const Nest &nest,
                                     const NestPlan &nestPlan)
    : e(e), b(e.b), loc(e.loc), nest(nest), nestPlan(nestPlan),
      anchor(nest.anchor),
      loops(anchor->loops.size(), e.uniform(e.constant(0))) {
  auto softmax = cast<hr::SoftmaxSumOp>(anchor->op);
  zeroMasked = softmax.getZeroMaskedRows();
  lanes = e.plan.lanes;
  auto maps =
      llvm::to_vector(softmax.getMaps().getAsValueRange<AffineMapAttr>());
  for (auto [l, loop] : llvm::enumerate(anchor->loops)) {
    if (!loop.parallel)
      streamed = l;
    else if (maps[0].isFunctionOfDim(l))
      rowLoops.push_back(l);
    else
      columnLoops.push_back(l);
  }
  if (!columnLoops.empty())
    columnLoop = columnLoops.back();
  logitsType = softmax.getLogits().getType().getElementType();
  valueType = softmax.getValue().getType().getElementType();
  resultType = softmax.getType().getElementType();
  stateType = logitsType.isF64() ? logitsType : b.getF32Type();
  rowLanes = nestPlan.vector >= 0 &&
             llvm::is_contained(rowLoops, unsigned(nestPlan.vector));
  // A loop of the batch is one of the rows, and the value has it too.
  valueOnLanes =
      !rowLanes || maps[1].isFunctionOfDim(unsigned(nestPlan.vector));
  if (nestPlan.atom) {
    step = nestPlan.atom.getK();
    group =
        stateType.getIntOrFloatBitWidth() / valueType.getIntOrFloatBitWidth();
    fragments = nestPlan.atom.getFragments();
  }
}

LogicalResult SoftmaxSumEmitter::emit() {
  e.allocSlots(nest, nestPlan);
  const Loop &loop = anchor->loops[streamed];
  TileRange whole = e.rangeOf(loop);
  int64_t block =
      std::max<int64_t>(1, std::min<int64_t>(e.plan.stream, whole.maxLen));

  // State, with the vector loop innermost.
  m = allocate(rowLoops, 0);
  l = allocate(rowLoops, 0);
  scale = allocate(rowLoops, 0);
  p = allocate(rowLoops, llvm::alignTo(block, step), group);
  if (nestPlan.atom)
    allocatePacked(block);
  SmallVector<unsigned> all(rowLoops);
  llvm::append_range(all, columnLoops);
  sum = allocate(all, 0);

  fill(rowLoops, [&](Place &place) {
    store(m, splat(-std::numeric_limits<double>::infinity()), place);
    store(l, splat(0), place);
  });
  fill(all, [&](Place &place) { store(sum, splat(0), place); });

  LogicalResult status = success();
  e.forLoop(whole.lo, e.add(whole.lo, whole.len), block, [&](Value first) {
    TileRange range;
    range.lo = first;
    range.maxLen = block;
    if (whole.staticLen && *whole.staticLen % block == 0) {
      range.staticLen = block;
      range.len = e.constant(block);
    } else {
      Value left =
          arith::SubIOp::create(b, loc, e.add(whole.lo, whole.len), first);
      range.len = arith::MinSIOp::create(b, loc, left, e.constant(block));
    }
    e.ranges[loop.cls] = range;
    for (unsigned n = 0; n < e.analysis.getNests().size(); ++n)
      if (e.analysis.getNests()[n].streamedBy == anchor &&
          failed(e.emitNest(n)))
        status = failure();
    updateRows();
    updateSums();
  });
  e.ranges.erase(loop.cls);
  if (failed(status))
    return failure();
  finish();
  return success();
}

SoftmaxSumEmitter::State SoftmaxSumEmitter::allocate(ArrayRef<unsigned> over,
                                                     int64_t block,
                                                     int64_t group) {
  State state;
  state.loops.assign(over.begin(), over.end());
  state.strides.assign(over.size(), 0);
  int64_t count = 1;
  auto place = [&](size_t i) {
    state.strides[i] = count;
    int64_t len =
        std::max<int64_t>(e.rangeOf(anchor->loops[over[i]]).maxLen, 1);
    if (static_cast<int64_t>(over[i]) == nestPlan.vector)
      len = llvm::alignTo(len, lanes);
    count *= len;
  };
  // Innermost: the row loop of the lanes; else j (for p) or the last loop.
  for (size_t i = 0; i < over.size(); ++i)
    if (rowLanes && static_cast<int64_t>(over[i]) == nestPlan.vector)
      place(i);
  if (block) {
    state.streamStride = count;
    count *= rowLanes ? block : llvm::alignTo(block, lanes);
  }
  for (size_t i = over.size(); i-- > 0;)
    if (state.strides[i] == 0)
      place(i);
  if (group > 1)
    state.strides[llvm::find(over, unsigned(nestPlan.vector)) - over.begin()] =
        group;
  state.memref = e.allocScratch(group > 1 ? valueType : stateType, count);
  return state;
}

LaneIndex SoftmaxSumEmitter::address(const State &state) {
  LaneIndex at = e.uniform(e.constant(0));
  for (auto [l, stride] : llvm::zip(state.loops, state.strides)) {
    TileRange range = e.rangeOf(anchor->loops[l]);
    Value local = loops[l].base;
    if (e.asConstant(range.lo) != 0)
      local = arith::SubIOp::create(b, loc, local, range.lo);
    at.base = e.add(at.base, e.mul(local, e.constant(stride)));
    at.step = at.step + SizeExpr(stride) * loops[l].step;
  }
  if (state.streamStride) {
    TileRange range = e.rangeOf(anchor->loops[streamed]);
    Value local = arith::SubIOp::create(b, loc, loops[streamed].base, range.lo);
    at.base = e.add(at.base, e.mul(local, e.constant(state.streamStride)));
    at.step = at.step + SizeExpr(state.streamStride) * loops[streamed].step;
  }
  return at;
}

Value SoftmaxSumEmitter::toState(Value value, int64_t width) {
  Type type = getElementTypeOrSelf(value.getType());
  if (type != stateType) {
    Type to = stateType;
    if (isa<VectorType>(value.getType()))
      to = VectorType::get({width}, stateType);
    value = arith::ExtFOp::create(b, loc, to, value);
  }
  return value;
}

void SoftmaxSumEmitter::fill(ArrayRef<unsigned> over,
                             function_ref<void(Place &)> body) {
  std::function<void(unsigned)> emitLoop = [&](unsigned d) {
    if (d == over.size()) {
      if (!rowLanes || !llvm::is_contained(over, unsigned(nestPlan.vector))) {
        Place place;
        return body(place);
      }
      e.vectorLoop(e.rangeOf(anchor->loops[nestPlan.vector]), lanes,
                   [&](Value iv, Value mask) {
                     loops[nestPlan.vector] = {iv, SizeExpr(1)};
                     Place place;
                     place.lanes = lanes;
                     place.mask = mask;
                     body(place);
                   });
      return;
    }
    if (rowLanes && static_cast<int64_t>(over[d]) == nestPlan.vector)
      return emitLoop(d + 1);
    TileRange range = e.rangeOf(anchor->loops[over[d]]);
    e.forLoop(range.lo, e.add(range.lo, range.len), 1, [&](Value iv) {
      loops[over[d]] = e.uniform(iv);
      emitLoop(d + 1);
    });
  };
  emitLoop(0);
}

Value SoftmaxSumEmitter::larger(Value a, Value b) {
  Value isLarger =
      arith::CmpFOp::create(this->b, loc, arith::CmpFPredicate::OGT, a, b);
  return arith::SelectOp::create(this->b, loc, isLarger, a, b);
}

Value SoftmaxSumEmitter::shiftOf(Value top, int64_t width) {
  Value infinity =
      e.toVector(splat(-std::numeric_limits<double>::infinity()), width);
  Value zero = e.toVector(splat(0), width);
  Value none =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, top, infinity);
  return arith::SelectOp::create(b, loc, none, zero, top);
}

Value SoftmaxSumEmitter::storeWeights(const TileRange &range, Place &place,
                                      function_ref<Value(Value)> weightAt) {
  // A lane adds up a row one by one, often many equal weights, whose
  // roundings all go one way: compensated (Kahan 1965, "Further remarks
  // on reducing truncation errors").
  Value zero = e.toVector(splat(0), place.lanes);
  SmallVector<Value> sums =
      e.forCarry(range.lo, e.add(range.lo, range.len), 1, {zero, zero},
                 [&](Value iv, ValueRange carried) {
                   Value weight = weightAt(iv);
                   store(p, weight, place);
                   Value sum = carried[0], excess = carried[1];
                   Value term = arith::SubFOp::create(b, loc, weight, excess);
                   Value next = arith::AddFOp::create(b, loc, sum, term);
                   Value added = arith::SubFOp::create(b, loc, next, sum);
                   return SmallVector<Value>{
                       next, arith::SubFOp::create(b, loc, added, term)};
                 });
  return arith::SubFOp::create(b, loc, sums[0], sums[1]);
}

void SoftmaxSumEmitter::updateRows() {
  TileRange range = e.rangeOf(anchor->loops[streamed]);
  Value hi = e.add(range.lo, range.len);
  if (rowLanes) {
    fill(rowLoops, [&](Place &place) {
      int64_t width = place.lanes;
      auto logitsAt = [&](Value iv) {
        loops[streamed] = e.uniform(iv);
        Place inner;
        inner.lanes = place.lanes;
        inner.mask = place.mask;
        return toState(
            e.toVector(e.evalOperand(anchor, 0, loops, inner), width), width);
      };
      Value old = load(m, place);
      Value top =
          e.forCarry(range.lo, hi, 1, old, [&](Value iv, ValueRange carried) {
            return SmallVector<Value>{larger(logitsAt(iv), carried[0])};
          })[0];
      Value shift = shiftOf(top, width);
      Value factor = exp(arith::SubFOp::create(b, loc, old, shift));
      auto weightAt = [&](Value iv) -> Value {
        return exp(arith::SubFOp::create(b, loc, logitsAt(iv), shift));
      };
      Value part = nestPlan.atom ? storeGroups(range, place, weightAt)
                                 : storeWeights(range, place, weightAt);
      Value total = arith::MulFOp::create(b, loc, load(l, place), factor);
      total = arith::AddFOp::create(b, loc, total, part);
      store(l, total, place);
      store(m, top, place);
      store(scale, factor, place);
    });
    return;
  }
  // Lanes along j; rows one by one.
  fill(rowLoops, [&](Place &scalar) {
    auto reduceLanes = [&](Value value, function_ref<Value(Value, Value)> by) {
      return lanes == 1 ? value : e.reduceLanes(value, by);
    };
    auto overLanes =
        [&](Value init,
            function_ref<Value(Value, Value, Place &)> combine) -> Value {
      if (lanes == 1)
        return e.forCarry(
            range.lo, hi, 1, init, [&](Value iv, ValueRange carried) {
              loops[streamed] = e.uniform(iv);
              Place place;
              return SmallVector<Value>{combine(carried[0], Value(), place)};
            })[0];
      Value rest = arith::RemSIOp::create(b, loc, range.len, e.constant(lanes));
      Value whole = arith::SubIOp::create(b, loc, hi, rest);
      auto run = [&](Value lo, Value end, Value from, bool masked) {
        return e.forCarry(lo, end, lanes, from,
                          [&](Value iv, ValueRange carried) {
                            loops[streamed] = {iv, SizeExpr(1)};
                            Place place;
                            place.lanes = lanes;
                            if (masked)
                              place.mask = e.maskUpTo(rest, lanes);
                            Value next = combine(carried[0], place.mask, place);
                            if (masked)
                              next = arith::SelectOp::create(b, loc, place.mask,
                                                             next, carried[0]);
                            return SmallVector<Value>{next};
                          })[0];
      };
      Value value = run(range.lo, whole, e.toVector(init, lanes), false);
      return run(whole, hi, value, true);
    };
    auto logitsHere = [&](Place &place) {
      return toState(
          e.toVector(e.evalOperand(anchor, 0, loops, place), place.lanes),
          place.lanes);
    };
    Value old = load(m, scalar);
    Value top = overLanes(splat(-std::numeric_limits<double>::infinity()),
                          [&](Value acc, Value, Place &place) -> Value {
                            return larger(logitsHere(place), acc);
                          });
    top = larger(
        reduceLanes(top, [&](Value x, Value y) { return larger(x, y); }), old);
    Value shift = shiftOf(top, 1);
    Value factor = exp(arith::SubFOp::create(b, loc, old, shift));
    Value part =
        overLanes(splat(0), [&](Value acc, Value, Place &place) -> Value {
          Value logits = logitsHere(place);
          Value weight = exp(arith::SubFOp::create(
              b, loc, logits, e.toVector(shift, place.lanes)));
          store(p, weight, place);
          return arith::AddFOp::create(b, loc, acc, weight);
        });
    part = reduceLanes(part, [&](Value x, Value y) -> Value {
      return arith::AddFOp::create(b, loc, x, y);
    });
    loops[streamed] = e.uniform(range.lo);
    Value total = arith::MulFOp::create(b, loc, load(l, scalar), factor);
    total = arith::AddFOp::create(b, loc, total, part);
    store(l, total, scalar);
    store(m, top, scalar);
    store(scale, factor, scalar);
  });
}

Value SoftmaxSumEmitter::multiplyAdd(Value lhs, Value rhs, Value acc) {
  if (lanes == 1) {
    Value product = arith::MulFOp::create(b, loc, lhs, rhs);
    return arith::AddFOp::create(b, loc, product, acc);
  }
  return math::FmaOp::create(b, loc, lhs, rhs, acc);
}

Place SoftmaxSumEmitter::SumTile::placeOf(int64_t v) const {
  Place place;
  place.lanes = width;
  place.mask = masks[v];
  return place;
}

void SoftmaxSumEmitter::moveTo(const SumTile &tile, int64_t c, int64_t v) {
  if (rowLanes) {
    loops[nestPlan.vector] = tile.laneOf[v];
    if (columnLoop >= 0)
      loops[columnLoop] = e.uniform(e.addConstant(tile.firstColumn, c));
  } else if (columnLoop >= 0) {
    loops[columnLoop] = tile.laneOf[v];
  }
}

SmallVector<Value> SoftmaxSumEmitter::addProducts(const SumTile &tile, Value j,
                                                  ValueRange sums) {
  int64_t width = tile.width, vectors = tile.vectors();
  loops[streamed] = e.uniform(j);
  if (nestPlan.atom)
    return addGroups(j, sums, vectors, tile.columns, tile.firstColumn,
                     [&](int64_t c, int64_t v) { moveTo(tile, c, v); });
  SmallVector<Value> weights, values;
  for (int64_t v = 0; v < (rowLanes ? vectors : 1); ++v) {
    moveTo(tile, 0, v);
    Place place = tile.placeOf(v);
    weights.push_back(e.toVector(load(p, place), width));
  }
  for (int64_t c = 0; c < tile.columns; ++c)
    for (int64_t v = 0; v < (valueOnLanes ? vectors : 1); ++v) {
      moveTo(tile, c, v);
      Place place = tile.placeOf(v);
      Value value = e.evalOperand(anchor, 1, loops, place);
      values.push_back(e.toVector(toState(value, width), width));
    }
  SmallVector<Value> next;
  for (int64_t c = 0; c < tile.columns; ++c)
    for (int64_t v = 0; v < vectors; ++v)
      next.push_back(multiplyAdd(weights[rowLanes ? v : 0],
                                 values[valueOnLanes ? c * vectors + v : c],
                                 sums[c * vectors + v]));
  return next;
}

void SoftmaxSumEmitter::updateTile(const SumTile &tile) {
  int64_t width = tile.width, vectors = tile.vectors();
  TileRange range = e.rangeOf(anchor->loops[streamed]);
  // A block's products are a sum of their own: one running sum over a long
  // stream would round as often as it is long.
  Value zero = e.toVector(splat(0), width);
  SmallVector<Value> sums(tile.columns * vectors, zero);
  if (fragments)
    sums = multiplyFragments(
        range, vectors, tile.columns, tile.firstColumn,
        [&](int64_t c, int64_t v) { moveTo(tile, c, v); });
  else
    sums = e.forCarry(range.lo, blockEnd, step, sums,
                      [&](Value j, ValueRange carried) {
                        return addProducts(tile, j, carried);
                      });
  loops[streamed] = e.uniform(range.lo);
  for (int64_t c = 0; c < tile.columns; ++c)
    for (int64_t v = 0; v < vectors; ++v) {
      moveTo(tile, c, v);
      Place place = tile.placeOf(v);
      Value old = e.toVector(load(sum, place), width);
      Value factor = e.toVector(load(scale, place), width);
      store(sum, multiplyAdd(old, factor, sums[c * vectors + v]), place);
    }
}

void SoftmaxSumEmitter::updateColumns(ArrayRef<LaneIndex> laneOf,
                                      ArrayRef<Value> masks) {
  if (columnLoop < 0)
    return updateTile({lanes, laneOf, masks, Value(), 1});
  TileRange columns = e.rangeOf(anchor->loops[columnLoop]);
  int64_t at = std::max<int64_t>(nestPlan.rows, 1);
  if (columns.staticLen) {
    int64_t whole = *columns.staticLen / at * at;
    Value middle = e.addConstant(columns.lo, whole);
    e.forLoop(columns.lo, middle, at,
              [&](Value iv) { updateTile({lanes, laneOf, masks, iv, at}); });
    if (int64_t rest = *columns.staticLen - whole)
      updateTile({lanes, laneOf, masks, middle, rest});
    return;
  }
  e.forLoop(columns.lo, e.add(columns.lo, columns.len), 1,
            [&](Value iv) { updateTile({lanes, laneOf, masks, iv, 1}); });
}

void SoftmaxSumEmitter::updateRowVectors() {
  if (nestPlan.atom)
    packValues();
  TileRange rows = e.rangeOf(anchor->loops[nestPlan.vector]);
  int64_t wide = lanes * nestPlan.vectors;
  TileRange rest = rows;
  if (rows.staticLen) {
    int64_t whole = *rows.staticLen / wide * wide;
    rest.lo = e.addConstant(rows.lo, whole);
    rest.staticLen = *rows.staticLen - whole;
    rest.len = e.constant(*rest.staticLen);
  } else {
    rest.len = arith::RemSIOp::create(b, loc, rows.len, e.constant(wide));
    rest.lo = e.add(rows.lo,
                    arith::SubIOp::create(b, loc, rows.len, rest.len));
  }
  e.forLoop(rows.lo, rest.lo, wide, [&](Value iv) {
    SmallVector<LaneIndex> laneOf;
    SmallVector<Value> masks(nestPlan.vectors);
    for (int64_t v = 0; v < nestPlan.vectors; ++v)
      laneOf.push_back({e.addConstant(iv, v * lanes), SizeExpr(1)});
    updateColumns(laneOf, masks);
  });
  if (rest.staticLen != 0)
    e.vectorLoop(rest, lanes, [&](Value iv, Value mask) {
      updateColumns(LaneIndex{iv, SizeExpr(1)}, mask);
    });
}

void SoftmaxSumEmitter::updateColumnVectors() {
  if (columnLoop < 0)
    return updateTile({1, e.uniform(e.constant(0)), Value(), Value(), 1});
  TileRange columns = e.rangeOf(anchor->loops[columnLoop]);
  if (lanes == 1) {
    e.forLoop(columns.lo, e.add(columns.lo, columns.len), 1, [&](Value iv) {
      updateTile({1, e.uniform(iv), Value(), Value(), 1});
    });
    return;
  }
  e.vectorLoop(columns, lanes, [&](Value iv, Value mask) {
    updateTile({lanes, LaneIndex{iv, SizeExpr(1)}, mask, Value(), 1});
  });
}

void SoftmaxSumEmitter::updateSums() {
  TileRange range = e.rangeOf(anchor->loops[streamed]);
  blockEnd = e.add(range.lo, range.len);
  SmallVector<unsigned> outer;
  for (unsigned r : rowLoops)
    if (!(rowLanes && static_cast<int64_t>(r) == nestPlan.vector))
      outer.push_back(r);
  for (unsigned c : columnLoops)
    if (static_cast<int64_t>(c) != columnLoop)
      outer.push_back(c);
  e.forLoops(anchor, outer, loops, [&] {
    if (rowLanes)
      updateRowVectors();
    else
      updateColumnVectors();
  });
}

Value SoftmaxSumEmitter::quotient(Value value, Value total) {
  int64_t width = 1;
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    width = vector.getDimSize(0);
  total = e.toVector(total, width);
  Value result = arith::DivFOp::create(b, loc, value, total);
  const SizeExpr &extent = anchor->loops[streamed].extent;
  if (!zeroMasked && extent.isConstant() && extent != SizeExpr(0))
    return result;
  Value zero = e.toVector(splat(0), width), none;
  if (zeroMasked)
    none =
        arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, total, zero);
  else // the sum of nothing
    none = e.toVector(arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq,
                                            e.size(extent), e.constant(0)),
                      width);
  return arith::SelectOp::create(b, loc, none, zero, result).getResult();
}

void SoftmaxSumEmitter::storeResult(Value result, Place &place) {
  if (resultType != stateType) {
    Type to = resultType;
    if (auto vector = dyn_cast<VectorType>(result.getType()))
      to = VectorType::get(vector.getShape(), to);
    result = arith::TruncFOp::create(b, loc, to, result);
  }
  e.emitSinks(nest,
              [&](unsigned cls) {
                for (auto [l, loop] : llvm::enumerate(anchor->loops))
                  if (loop.cls == cls)
                    return loops[l];
                return e.uniform(e.constant(0));
              },
              place, {result});
}

void SoftmaxSumEmitter::finishPoint(Place &place) {
  storeResult(quotient(load(sum, place), load(l, place)), place);
}

void SoftmaxSumEmitter::finishRow(Value row, const TileRange &columns) {
  loops[nestPlan.vector] = e.uniform(row);
  e.vectorLoop(columns, lanes, [&](Value iv, Value mask) {
    loops[columnLoop] = {iv, SizeExpr(1)};
    Place place;
    place.lanes = lanes;
    place.mask = mask;
    finishPoint(place);
  });
}

void SoftmaxSumEmitter::finishSquare(Value firstRow, Value firstColumn) {
  Place place;
  place.lanes = lanes;
  SmallVector<Value> columns;
  loops[nestPlan.vector] = {firstRow, SizeExpr(1)};
  Value total = load(l, place);
  for (int64_t c = 0; c < lanes; ++c) {
    loops[columnLoop] = e.uniform(e.addConstant(firstColumn, c));
    columns.push_back(quotient(load(sum, place), total));
  }
  loops[columnLoop] = {firstColumn, SizeExpr(1)};
  for (auto [r, value] : llvm::enumerate(e.transpose(columns))) {
    loops[nestPlan.vector] = e.uniform(e.addConstant(firstRow, r));
    Place row;
    row.lanes = lanes;
    storeResult(value, row);
  }
}

Value SoftmaxSumEmitter::wholeVectors(const TileRange &range) {
  if (range.staticLen)
    return e.constant(*range.staticLen / lanes * lanes);
  Value rest = arith::RemSIOp::create(b, loc, range.len, e.constant(lanes));
  return arith::SubIOp::create(b, loc, range.len, rest);
}

void SoftmaxSumEmitter::finishSquares(const TileRange &rows,
                                      const TileRange &columns) {
  Value rowsEnd = e.add(rows.lo, wholeVectors(rows));
  Value wholeColumns = wholeVectors(columns);
  Value columnsEnd = e.add(columns.lo, wholeColumns);
  TileRange rest = columns;
  rest.lo = columnsEnd;
  if (columns.staticLen) {
    rest.staticLen = *columns.staticLen % lanes;
    rest.len = e.constant(*rest.staticLen);
  } else {
    rest.len = arith::SubIOp::create(b, loc, columns.len, wholeColumns);
  }
  e.forLoop(rows.lo, rowsEnd, lanes, [&](Value row) {
    e.forLoop(columns.lo, columnsEnd, lanes,
              [&](Value first) { finishSquare(row, first); });
    if (rest.staticLen != 0)
      e.forLoop(row, e.addConstant(row, lanes), 1,
                [&](Value iv) { finishRow(iv, rest); });
  });
  if (!rows.staticLen || *rows.staticLen % lanes)
    e.forLoop(rowsEnd, e.add(rows.lo, rows.len), 1,
              [&](Value iv) { finishRow(iv, columns); });
}

void SoftmaxSumEmitter::finish() {
  // Lanes along the columns where results are contiguous, else rows.
  SmallVector<unsigned> outer(rowLoops);
  for (unsigned c : columnLoops)
    if (static_cast<int64_t>(c) != columnLoop)
      outer.push_back(c);
  loops[streamed] = e.uniform(e.constant(0));
  if (rowLanes && lanes > 1 && columnLoop >= 0) {
    llvm::erase(outer, unsigned(nestPlan.vector));
    TileRange rows = e.rangeOf(anchor->loops[nestPlan.vector]);
    TileRange columns = e.rangeOf(anchor->loops[columnLoop]);
    return e.forLoops(anchor, outer, loops,
                      [&] { finishSquares(rows, columns); });
  }
  e.forLoops(anchor, outer, loops, [&] {
    if (columnLoop < 0) {
      Place place;
      return finishPoint(place);
    }
    e.vectorLoop(e.rangeOf(anchor->loops[columnLoop]), lanes,
                 [&](Value iv, Value mask) {
                   Place place;
                   place.lanes = lanes;
                   place.mask = mask;
                   loops[columnLoop] = {iv, SizeExpr(lanes == 1 ? 0 : 1)};
                   finishPoint(place);
                 });
  });
}

LogicalResult StageEmitter::emitSoftmaxSum(const Nest &nest,
                                           const NestPlan &nestPlan) {
  return SoftmaxSumEmitter(*this, nest, nestPlan).emit();
}
