//===- StageEmitter.cpp - From a planned stage to loops and vectors -------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The tile loop, sizes and the builders of loops. Values and memory are in
// StageEvaluation.cpp; the nests in SimpleNests.cpp, ContractionEmitter.cpp and
// SoftmaxSumEmitter.cpp.
//
//===----------------------------------------------------------------------===//

#include "StageEmitter.h"

#include "mlir/IR/Matchers.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

StageEmitter::StageEmitter(const StageFunction &function)
    : func(function.func), stage(function.stage), analysis(function.analysis),
      plan(function.plan), symbolRanges(function.symbolRanges),
      inputs(function.inputs), results(function.results),
      symbols(function.symbols), b(func.getContext()), loc(stage.getLoc()),
      entry(func.getContext()) {}

//===----------------------------------------------------------------------===//
// Sizes and constants
//===----------------------------------------------------------------------===//

Value StageEmitter::constant(int64_t value) {
  Value &slot = constants[value];
  if (!slot)
    slot = arith::ConstantIndexOp::create(entry, loc, value);
  return slot;
}

Value StageEmitter::size(const SizeExpr &expr) {
  if (std::optional<int64_t> value = expr.getConstant())
    return constant(*value);
  Value &slot = sizes[expr.str()];
  if (!slot)
    slot = hr::materializeSize(entry, loc, expr, [&](StringRef name) {
      return symbols.lookup(name);
    });
  return slot;
}

std::optional<int64_t> StageEmitter::asConstant(Value value) {
  APInt constant;
  if (value && matchPattern(value, m_ConstantInt(&constant)))
    return constant.getSExtValue();
  return std::nullopt;
}

Value StageEmitter::add(Value lhs, Value rhs) {
  std::optional<int64_t> l = asConstant(lhs), r = asConstant(rhs);
  if (l && r)
    return constant(*l + *r);
  if (l && *l == 0)
    return rhs;
  if (r && *r == 0)
    return lhs;
  return arith::AddIOp::create(b, loc, lhs, rhs,
                               arith::IntegerOverflowFlags::nsw);
}

Value StageEmitter::addConstant(Value lhs, int64_t rhs) {
  return rhs == 0 ? lhs : add(lhs, constant(rhs));
}

Value StageEmitter::mul(Value lhs, Value rhs) {
  std::optional<int64_t> l = asConstant(lhs), r = asConstant(rhs);
  if (l && r)
    return constant(*l * *r);
  if ((l && *l == 0) || (r && *r == 0))
    return constant(0);
  if (l && *l == 1)
    return rhs;
  if (r && *r == 1)
    return lhs;
  return arith::MulIOp::create(b, loc, lhs, rhs,
                               arith::IntegerOverflowFlags::nsw);
}

Value StageEmitter::scalarConstant(Type type, double value) {
  if (isa<FloatType>(type))
    return arith::ConstantOp::create(b, loc, FloatAttr::get(type, value));
  return arith::ConstantOp::create(
      b, loc, IntegerAttr::get(type, static_cast<int64_t>(value)));
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

void StageEmitter::forLoop(Value lo, Value hi, int64_t step, Body body) {
  std::optional<int64_t> l = asConstant(lo), h = asConstant(hi);
  if (l && h) {
    if (*h <= *l)
      return;
    if (*h - *l <= step) {
      body(lo);
      return;
    }
  }
  auto loop = scf::ForOp::create(b, loc, lo, hi, constant(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

SmallVector<Value> StageEmitter::forCarry(
    Value lo, Value hi, int64_t step, ValueRange init,
    function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  std::optional<int64_t> l = asConstant(lo), h = asConstant(hi);
  if (l && h) {
    if (*h <= *l)
      return init;
    if (*h - *l <= step)
      return body(lo, init);
  }
  auto loop = scf::ForOp::create(b, loc, lo, hi, constant(step), init);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next =
      body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!init.empty()) // else the loop has its end already
    scf::YieldOp::create(b, loc, next);
  return loop.getResults();
}

void StageEmitter::forLoops(const Node *node, ArrayRef<unsigned> over,
                            MutableArrayRef<LaneIndex> points,
                            function_ref<void()> body) {
  if (over.empty())
    return body();
  TileRange range = rangeOf(node->loops[over.front()]);
  forLoop(range.lo, add(range.lo, range.len), 1, [&](Value iv) {
    points[over.front()] = uniform(iv);
    forLoops(node, over.drop_front(), points, body);
  });
}

Value StageEmitter::reduceLanes(
    Value vector, function_ref<Value(Value, Value)> combine) {
  int64_t lanes = cast<VectorType>(vector.getType()).getDimSize(0);
  for (int64_t width = lanes / 2; width >= 1; width /= 2) {
    Value low = vector::ExtractStridedSliceOp::create(
        b, loc, vector, ArrayRef<int64_t>{0}, ArrayRef<int64_t>{width},
        ArrayRef<int64_t>{1});
    Value high = vector::ExtractStridedSliceOp::create(
        b, loc, vector, ArrayRef<int64_t>{width}, ArrayRef<int64_t>{width},
        ArrayRef<int64_t>{1});
    vector = combine(low, high);
  }
  return vector::ExtractOp::create(b, loc, vector, 0);
}

Value StageEmitter::maskUpTo(Value count, int64_t lanes) {
  auto type = VectorType::get({lanes}, b.getI1Type());
  return vector::CreateMaskOp::create(b, loc, type, count);
}

void StageEmitter::vectorLoop(const TileRange &range, int64_t lanes,
                              function_ref<void(Value, Value)> body) {
  if (lanes == 1) {
    forLoop(range.lo, add(range.lo, range.len), 1,
            [&](Value iv) { body(iv, Value()); });
    return;
  }
  Value hi = add(range.lo, range.len);
  if (range.staticLen) {
    int64_t whole = *range.staticLen / lanes * lanes;
    Value middle = addConstant(range.lo, whole);
    forLoop(range.lo, middle, lanes, [&](Value iv) { body(iv, Value()); });
    if (whole != *range.staticLen)
      body(middle, maskUpTo(constant(*range.staticLen - whole), lanes));
    return;
  }
  Value rest = arith::RemSIOp::create(b, loc, range.len, constant(lanes));
  Value whole = arith::SubIOp::create(b, loc, range.len, rest);
  Value middle = add(range.lo, whole);
  forLoop(range.lo, middle, lanes, [&](Value iv) { body(iv, Value()); });
  // At most one iteration; a loop rather than an `if` keeps one shape.
  forLoop(middle, hi, lanes,
          [&](Value iv) { body(iv, maskUpTo(rest, lanes)); });
}

//===----------------------------------------------------------------------===//
// The stage
//===----------------------------------------------------------------------===//

LogicalResult StageEmitter::emitNest(unsigned number) {
  const Nest &nest = analysis.getNests()[number];
  const NestPlan &nestPlan = plan.nests[number];
  if (nest.anchor->kind != NodeKind::SoftmaxSum)
    allocSlots(nest, nestPlan);
  // No results, no loops: a reduction over nothing has some, a scan none.
  bool isScan = nest.anchor->kind == NodeKind::Scan;
  if (llvm::any_of(nest.anchor->loops, [&](const Loop &loop) {
        return (loop.parallel || isScan) && loop.extent == SizeExpr(0);
      }))
    return success();
  switch (nest.anchor->kind) {
  case NodeKind::Map:
  case NodeKind::Update:
    emitMap(nest, nestPlan);
    return success();
  case NodeKind::Reduction:
    emitReduction(nest, nestPlan);
    return success();
  case NodeKind::Contraction:
    // Where no loop can have lanes (a sum over nothing, or of what does not
    // change along it), there is no register tile.
    if (plan.lanes == 1 || nestPlan.vector < 0)
      emitReduction(nest, nestPlan);
    else
      emitContraction(nest, nestPlan);
    return success();
  case NodeKind::SoftmaxSum:
    return emitSoftmaxSum(nest, nestPlan);
  case NodeKind::Scan:
    emitScan(nest, nestPlan);
    return success();
  case NodeKind::Sort:
    emitSort(nest);
    return success();
  case NodeKind::Scatter:
    emitScatter(nest, nestPlan);
    return success();
  }
  return failure();
}

FailureOr<int64_t> StageEmitter::emit() {
  Block *block = &func.getBody().front();
  // Constants and sizes go before a marker at the start; the rest after it.
  b.setInsertionPointToEnd(block);
  auto anchor = func::ReturnOp::create(b, loc);
  entry.setInsertionPoint(anchor);
  Value first = func.getArgument(0), last = func.getArgument(1);
  scratch = func.getArgument(2);

  auto loop = scf::ForOp::create(b, loc, first, last, constant(1));
  loop->moveBefore(anchor);
  entry.setInsertionPoint(loop);
  b.setInsertionPointToStart(loop.getBody());

  // The tile's coordinates, last tiled class fastest.
  SmallVector<unsigned> tiled;
  for (auto [c, tile] : llvm::enumerate(plan.tile))
    if (tile > 0)
      tiled.push_back(c);
  tileNumber = loop.getInductionVar();
  coordinates.resize(tiled.size());
  Value rest = tileNumber;
  for (size_t i = tiled.size(); i-- > 0;) {
    unsigned c = tiled[i];
    const SizeExpr &extent = analysis.getClasses()[c].extent;
    int64_t tile = plan.tile[c];
    Value coordinate = rest;
    if (i > 0) {
      Value count = size(extent.ceilDiv(SizeExpr(tile)));
      coordinate = arith::RemUIOp::create(b, loc, rest, count);
      rest = arith::DivUIOp::create(b, loc, rest, count);
    }
    coordinates[i] = coordinate;
    TileRange range;
    range.lo = mul(coordinate, constant(tile));
    range.maxLen = tile;
    if (extent.isMultipleOf(tile) || tile == 1) {
      range.staticLen = tile;
      range.len = constant(tile);
    } else {
      Value left = arith::SubIOp::create(b, loc, size(extent), range.lo);
      range.len = arith::MinSIOp::create(b, loc, left, constant(tile));
    }
    ranges[c] = range;
  }

  for (unsigned n = 0; n < analysis.getNests().size(); ++n) {
    if (analysis.getNests()[n].streamedBy)
      continue; // emitted by the stream
    if (failed(emitNest(n)))
      return failure();
  }
  if (broken)
    return failure();
  return scratchBytes;
}

FailureOr<int64_t> headrace::emitStageFunction(const StageFunction &function) {
  StageEmitter emitter(function);
  FailureOr<int64_t> scratch = emitter.emit();
  if (succeeded(scratch) && function.checkedParts)
    emitter.checkAccesses(*function.checkedParts);
  return scratch;
}
