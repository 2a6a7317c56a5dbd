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

void SoftmaxSumEmitter::updateSums() {
  TileRange range = e.rangeOf(anchor->loops[streamed]);
  Value hi = e.add(range.lo, range.len);
  int64_t column = columnLoops.empty() ? -1 : int64_t(columnLoops.back());
  SmallVector<unsigned> outer;
  for (unsigned r : rowLoops)
    if (!(rowLanes && static_cast<int64_t>(r) == nestPlan.vector))
      outer.push_back(r);
  for (unsigned c : columnLoops)
    if (static_cast<int64_t>(c) != column)
      outer.push_back(c);

  auto block = [&](int64_t width, ArrayRef<LaneIndex> laneOf,
                   ArrayRef<Value> masks, Value firstColumn, int64_t columns) {
    // laneOf: the index of the lane loop per vector.
    auto set = [&](int64_t c, int64_t v) {
      if (rowLanes) {
        loops[nestPlan.vector] = laneOf[v];
        if (column >= 0)
          loops[column] = e.uniform(e.addConstant(firstColumn, c));
      } else if (column >= 0) {
        loops[column] = laneOf[v];
      }
    };
    int64_t vectors = laneOf.size();
    SmallVector<Value> sums;
    auto placeOf = [&](int64_t v) {
      Place place;
      place.lanes = width;
      place.mask = masks[v];
      return place;
    };
    // A block's products are a sum of their own: one running sum over a long
    // stream would round as often as it is long.
    Value zero = e.toVector(splat(0), width);
    sums.assign(columns * vectors, zero);
    auto addProducts = [&](Value iv, ValueRange carried) {
      loops[streamed] = e.uniform(iv);
      if (nestPlan.atom)
        return addGroups(iv, carried, vectors, columns, firstColumn, set);
      SmallVector<Value> weights, values;
      for (int64_t v = 0; v < (rowLanes ? vectors : 1); ++v) {
        set(0, v);
        Place place = placeOf(v);
        weights.push_back(e.toVector(load(p, place), width));
      }
      for (int64_t c = 0; c < columns; ++c)
        for (int64_t v = 0; v < (valueOnLanes ? vectors : 1); ++v) {
          set(c, v);
          Place place = placeOf(v);
          Value value = e.evalOperand(anchor, 1, loops, place);
          values.push_back(e.toVector(toState(value, width), width));
        }
      SmallVector<Value> next;
      for (int64_t c = 0; c < columns; ++c)
        for (int64_t v = 0; v < vectors; ++v)
          next.push_back(multiplyAdd(weights[rowLanes ? v : 0],
                                     values[valueOnLanes ? c * vectors + v : c],
                                     carried[c * vectors + v]));
      return next;
    };
    sums = fragments
               ? multiplyFragments(range, vectors, columns, firstColumn, set)
               : e.forCarry(range.lo, hi, step, sums, addProducts);
    loops[streamed] = e.uniform(range.lo);
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t v = 0; v < vectors; ++v) {
        set(c, v);
        Place place = placeOf(v);
        Value old = e.toVector(load(sum, place), width);
        Value factor = e.toVector(load(scale, place), width);
        store(sum, multiplyAdd(old, factor, sums[c * vectors + v]), place);
      }
  };

  auto emitLanes = [&]() {
    if (rowLanes) {
      if (nestPlan.atom)
        packValues();
      // Panels of vectors of rows; blocks of columns.
      auto columnsOf = [&](ArrayRef<LaneIndex> laneOf, ArrayRef<Value> masks) {
        if (column < 0)
          return block(lanes, laneOf, masks, Value(), 1);
        TileRange columns = e.rangeOf(anchor->loops[column]);
        int64_t at = std::max<int64_t>(nestPlan.rows, 1);
        if (columns.staticLen) {
          int64_t whole = *columns.staticLen / at * at;
          Value middle = e.addConstant(columns.lo, whole);
          e.forLoop(columns.lo, middle, at,
                    [&](Value iv) { block(lanes, laneOf, masks, iv, at); });
          if (int64_t rest = *columns.staticLen - whole)
            block(lanes, laneOf, masks, middle, rest);
          return;
        }
        e.forLoop(columns.lo, e.add(columns.lo, columns.len), 1,
                  [&](Value iv) { block(lanes, laneOf, masks, iv, 1); });
      };
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
        rest.lo =
            e.add(rows.lo, arith::SubIOp::create(b, loc, rows.len, rest.len));
      }
      e.forLoop(rows.lo, rest.lo, wide, [&](Value iv) {
        SmallVector<LaneIndex> laneOf;
        SmallVector<Value> masks(nestPlan.vectors);
        for (int64_t v = 0; v < nestPlan.vectors; ++v)
          laneOf.push_back({e.addConstant(iv, v * lanes), SizeExpr(1)});
        columnsOf(laneOf, masks);
      });
      if (rest.staticLen != 0)
        e.vectorLoop(rest, lanes, [&](Value iv, Value mask) {
          columnsOf(LaneIndex{iv, SizeExpr(1)}, mask);
        });
      return;
    }
    if (column < 0 || lanes == 1) {
      if (column < 0)
        return block(1, e.uniform(e.constant(0)), Value(), Value(), 1);
      TileRange columns = e.rangeOf(anchor->loops[column]);
      e.forLoop(columns.lo, e.add(columns.lo, columns.len), 1, [&](Value iv) {
        block(1, e.uniform(iv), Value(), Value(), 1);
      });
      return;
    }
    e.vectorLoop(e.rangeOf(anchor->loops[column]), lanes,
                 [&](Value iv, Value mask) {
                   block(lanes, LaneIndex{iv, SizeExpr(1)}, mask, Value(), 1);
                 });
  };
  e.forLoops(anchor, outer, loops, emitLanes);
}

void SoftmaxSumEmitter::finish() {
  // Lanes along the columns where results are contiguous, else rows.
  int64_t column = columnLoops.empty() ? -1 : int64_t(columnLoops.back());
  SmallVector<unsigned> outer(rowLoops);
  for (unsigned c : columnLoops)
    if (static_cast<int64_t>(c) != column)
      outer.push_back(c);
  auto quotient = [&](Value value, Value total) {
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
  };
  auto hand = [&](Value result, Place &place) {
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
  };
  auto point = [&](Place &place) {
    hand(quotient(load(sum, place), load(l, place)), place);
  };
  loops[streamed] = e.uniform(e.constant(0));
  // Sums lie with rows on lanes, results want columns: squares of both are
  // transposed in registers.
  auto square = [&](Value firstRow, Value firstColumn) {
    Place place;
    place.lanes = lanes;
    SmallVector<Value> columns;
    loops[nestPlan.vector] = {firstRow, SizeExpr(1)};
    Value total = load(l, place);
    for (int64_t c = 0; c < lanes; ++c) {
      loops[column] = e.uniform(e.addConstant(firstColumn, c));
      columns.push_back(quotient(load(sum, place), total));
    }
    loops[column] = {firstColumn, SizeExpr(1)};
    for (auto [r, value] : llvm::enumerate(e.transpose(columns))) {
      loops[nestPlan.vector] = e.uniform(e.addConstant(firstRow, r));
      Place row;
      row.lanes = lanes;
      hand(value, row);
    }
  };
  auto wholeOf = [&](const TileRange &range) -> Value {
    if (range.staticLen)
      return e.constant(*range.staticLen / lanes * lanes);
    Value rest = arith::RemSIOp::create(b, loc, range.len, e.constant(lanes));
    return arith::SubIOp::create(b, loc, range.len, rest);
  };
  if (rowLanes && lanes > 1 && column >= 0) {
    llvm::erase(outer, unsigned(nestPlan.vector));
    TileRange rows = e.rangeOf(anchor->loops[nestPlan.vector]);
    TileRange columns = e.rangeOf(anchor->loops[column]);
    auto emitTile = [&]() {
      Value rowsEnd = e.add(rows.lo, wholeOf(rows));
      Value wholeColumns = wholeOf(columns);
      Value columnsEnd = e.add(columns.lo, wholeColumns);
      TileRange rest = columns;
      rest.lo = columnsEnd;
      if (columns.staticLen) {
        rest.staticLen = *columns.staticLen % lanes;
        rest.len = e.constant(*rest.staticLen);
      } else {
        rest.len = arith::SubIOp::create(b, loc, columns.len, wholeColumns);
      }
      auto oneRow = [&](Value row, const TileRange &range) {
        loops[nestPlan.vector] = e.uniform(row);
        e.vectorLoop(range, lanes, [&](Value iv, Value mask) {
          loops[column] = {iv, SizeExpr(1)};
          Place place;
          place.lanes = lanes;
          place.mask = mask;
          point(place);
        });
      };
      e.forLoop(rows.lo, rowsEnd, lanes, [&](Value row) {
        e.forLoop(columns.lo, columnsEnd, lanes,
                  [&](Value first) { square(row, first); });
        if (rest.staticLen != 0)
          e.forLoop(row, e.addConstant(row, lanes), 1,
                    [&](Value iv) { oneRow(iv, rest); });
      });
      if (!rows.staticLen || *rows.staticLen % lanes)
        e.forLoop(rowsEnd, e.add(rows.lo, rows.len), 1,
                  [&](Value iv) { oneRow(iv, columns); });
    };
    return e.forLoops(anchor, outer, loops, emitTile);
  }
  e.forLoops(anchor, outer, loops, [&]() {
    if (column < 0) {
      Place place;
      return point(place);
    }
    e.vectorLoop(e.rangeOf(anchor->loops[column]), lanes,
                 [&](Value iv, Value mask) {
                   Place place;
                   place.lanes = lanes;
                   place.mask = mask;
                   loops[column] = {iv, SizeExpr(lanes == 1 ? 0 : 1)};
                   point(place);
                 });
  });
}

LogicalResult StageEmitter::emitSoftmaxSum(const Nest &nest,
                                           const NestPlan &nestPlan) {
  return SoftmaxSumEmitter(*this, nest, nestPlan).emit();
}
