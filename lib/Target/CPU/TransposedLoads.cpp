//===- TransposedLoads.cpp - Blocks that are transposed in registers ------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is stored along one loop and lies contiguously along another is read in
// square blocks: vectors along the second loop are transposed by a network of
// two-operand shuffles, log2(lanes) of them per vector, where gathering would
// take a load per element.
//
//===----------------------------------------------------------------------===//

#include "StageEmitter.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

SmallVector<Value> StageEmitter::transpose(ArrayRef<Value> rows) {
  SmallVector<Value> result(rows);
  int64_t lanes = rows.size();
  assert(llvm::isPowerOf2_64(lanes) && "expected a square of a power of two");
  // Each step swaps the off-diagonal quarters of all squares of 2 * bit.
  for (int64_t bit = lanes / 2; bit >= 1; bit /= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      low.push_back(lane & bit ? lanes + lane - bit : lane);
      high.push_back(lane & bit ? lanes + lane : lane + bit);
    }
    for (int64_t i = 0; i < lanes; ++i) {
      if (i & bit)
        continue;
      Value a = result[i], c = result[i | bit];
      result[i] = vector::ShuffleOp::create(b, loc, a, c, low);
      result[i | bit] = vector::ShuffleOp::create(b, loc, a, c, high);
    }
  }
  return result;
}

void StageEmitter::loadTransposed(
    const Node *node, ArrayRef<LaneIndex> loops, TransposedLoads &loads,
    DenseSet<std::pair<const Node *, unsigned>> &seen) {
  if (isa<hr::GatherOp>(node->op))
    return; // at positions that are data
  for (unsigned i = 0; i < node->operands.size(); ++i) {
    const Access &access = node->operands[i];
    if (!access.source || !isa<RankedTensorType>(access.source.getType()))
      continue;
    if (auto generic = dyn_cast<linalg::LinalgOp>(node->op))
      if (generic.getBlock()->getArgument(i).use_empty())
        continue;
    // What is read at a second point of the block has no one value per row;
    // nor has what is inlined there.
    bool isFirst = seen.insert({node, i}).second;
    if (!isFirst)
      loads.erase({node, i});
    auto load = getLoad(node, i, loops);
    if (!load) {
      if (access.producer)
        loadTransposed(access.producer, getProducerPoint(access, loops), loads,
                       seen);
      continue;
    }
    const LaneIndex &at = load->second;
    if (!isFirst || at.rowStep != SizeExpr(1) || at.step == SizeExpr(0) ||
        at.step == SizeExpr(1))
      continue;
    Type elementType =
        cast<RankedTensorType>(access.source.getType()).getElementType();
    auto type =
        VectorType::get({plan.lanes}, getStageMemoryType(elementType));
    SmallVector<Value> rows;
    Value position = at.base, step = size(at.step);
    for (int64_t lane = 0; lane < plan.lanes; ++lane) {
      rows.push_back(
          vector::LoadOp::create(b, loc, type, load->first, position));
      position = add(position, step);
    }
    loads[{node, i}] = transpose(rows);
  }
}

void StageEmitter::emitMapBlocks(const Nest &nest, const NestPlan &nestPlan) {
  const Node *anchor = nest.anchor;
  unsigned vector = nestPlan.vector, row = nestPlan.row;
  int64_t lanes = plan.lanes;
  SmallVector<LaneIndex> loops(anchor->loops.size(), uniform(constant(0)));
  auto at = [&](unsigned cls) {
    for (auto [l, loop] : llvm::enumerate(anchor->loops))
      if (loop.cls == cls)
        return loops[l];
    return uniform(constant(0));
  };
  TileRange rowRange = rangeOf(anchor->loops[row]);
  TileRange laneRange = rangeOf(anchor->loops[vector]);
  auto wholeOf = [&](const TileRange &range) -> Value {
    if (range.staticLen)
      return constant(*range.staticLen / lanes * lanes);
    Value rest = arith::RemSIOp::create(b, loc, range.len, constant(lanes));
    return arith::SubIOp::create(b, loc, range.len, rest);
  };
  auto block = [&](Value firstRow, Value firstLane) {
    loops[row] = {firstRow, SizeExpr(0), SizeExpr(1)};
    loops[vector] = {firstLane, SizeExpr(1)};
    TransposedLoads loads;
    DenseSet<std::pair<const Node *, unsigned>> seen;
    for (Node *sink : nest.sinks) {
      SmallVector<LaneIndex> theirs;
      for (const Loop &loop : sink->loops)
        theirs.push_back(at(loop.cls));
      loadTransposed(sink, theirs, loads, seen);
    }
    for (int64_t r = 0; r < lanes; ++r) {
      loops[row] = uniform(addConstant(firstRow, r));
      Place place;
      place.lanes = lanes;
      place.block = &loads;
      place.row = r;
      emitSinks(nest, at, place, {});
    }
  };
  auto single = [&](Value rowIndex, const TileRange &range) {
    loops[row] = uniform(rowIndex);
    vectorLoop(range, lanes, [&](Value iv, Value mask) {
      loops[vector] = {iv, SizeExpr(1)};
      Place place;
      place.lanes = lanes;
      place.mask = mask;
      emitSinks(nest, at, place, {});
    });
  };
  auto emitSquare = [&]() {
    Value wholeRows = wholeOf(rowRange), wholeLanes = wholeOf(laneRange);
    Value middleRow = add(rowRange.lo, wholeRows);
    Value middleLane = add(laneRange.lo, wholeLanes);
    TileRange restLanes = laneRange;
    restLanes.lo = middleLane;
    if (laneRange.staticLen) {
      restLanes.staticLen = *laneRange.staticLen % lanes;
      restLanes.len = constant(*restLanes.staticLen);
    } else {
      restLanes.len =
          arith::SubIOp::create(b, loc, laneRange.len, wholeLanes);
    }
    forLoop(rowRange.lo, middleRow, lanes, [&](Value firstRow) {
      forLoop(laneRange.lo, middleLane, lanes,
              [&](Value firstLane) { block(firstRow, firstLane); });
      if (restLanes.staticLen != 0)
        forLoop(firstRow, addConstant(firstRow, lanes), 1,
                [&](Value iv) { single(iv, restLanes); });
    });
    if (!rowRange.staticLen || *rowRange.staticLen % lanes)
      forLoop(middleRow, add(rowRange.lo, rowRange.len), 1,
              [&](Value iv) { single(iv, laneRange); });
  };
  std::function<void(unsigned)> emitLoop = [&](unsigned d) {
    if (d == loops.size())
      return emitSquare();
    if (d == vector || d == row)
      return emitLoop(d + 1);
    TileRange range = rangeOf(anchor->loops[d]);
    forLoop(range.lo, add(range.lo, range.len), 1, [&](Value iv) {
      loops[d] = uniform(iv);
      emitLoop(d + 1);
    });
  };
  emitLoop(0);
}
