//===- ReductionEmitter.cpp - Reductions of any combiner ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lanes are along a parallel loop, several vectors of them side by side, or along
// the reduction itself: then partial results are merged as a tree, in an order
// that does not depend on the machine's load.
//
// Long sums are sums of sums, `sumBlock` terms in each: the rounding error of one
// running sum grows with its length.
//
//===----------------------------------------------------------------------===//
#include "StageEmitter.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

/// What is not known, or has no end, counts as so many.
static constexpr int64_t kMost = int64_t(1) << 30;
/// Levels of sums enough for a dimension of so many; a longer one has longer outer
/// sums.
static constexpr int64_t kLongest = int64_t(1) << 24;

/// The op that combines the accumulator with a new value, if the body is
/// `combine(acc, f(inputs))` for result `number`.
static Operation *matchCombiner(linalg::LinalgOp op, unsigned number) {
  SmallVector<Operation *, 4> combiners;
  Value reduced =
      matchReduction(op.getRegionOutputArgs(), number, combiners);
  if (!reduced || combiners.size() != 1)
    return nullptr;
  return combiners.front();
}

namespace headrace {
class ReductionEmitter {
public:
  ReductionEmitter(StageEmitter &e, const Nest &nest, const NestPlan &nestPlan);
  void emit() { parallelLoops(0); }

private:
  using Values = SmallVector<Value>;
  using Step = function_ref<Values(ValueRange)>;
  using LoopStep = function_ref<Values(Value, ValueRange)>;

  void parallelLoops(unsigned d);
  /// One element of the results, on no lanes.
  void emitScalar();
  /// The results of the vector loop, which is parallel.
  void emitVectors();
  void emitVectorBlock(Value iv, Value mask, int64_t vectors);
  /// One element of the results; the vector loop is a reduction.
  void emitLaneReduction();
  /// The part of it for one point of the other reduction loops.
  Values accumulateLanes(ValueRange carried, int64_t most);
  /// Vector `v` of a step at `iv`, joined to its accumulators.
  Values stepLanes(Value iv, int64_t v, ValueRange from, Value mask);
  Values mergeLanes(ValueRange acc, ValueRange init);

  /// Accumulators to accumulators.
  Values step(ValueRange acc, Place &place);
  Values initial(Place &place);
  Value combine(Operation *combiner, Value lhs, Value rhs);
  Value getNeutral(Operation *combiner);
  /// `body` on neutral elements, joined to `acc`.
  Values partially(ValueRange acc, Step body);
  /// A loop of at most `count` iterations, `terms` sums in each.
  Values sumLoop(Value lo, Value hi, int64_t stride, int64_t count,
                 int64_t terms, ValueRange acc, LoopStep body);
  /// How many sums loops `d` and up of `reduced` make, `innermost` in each point.
  int64_t termsFrom(unsigned d, int64_t innermost);
  /// The loops `d` and up of `reduced`, carrying accumulators; `innermost` sums
  /// per point.
  Values reduceLoops(unsigned d, ValueRange acc, int64_t innermost, Step body);

  void setVector(Value iv, int64_t v) {
    loops[nestPlan.vector] = {e.addConstant(iv, v * lanes), SizeExpr(1)};
  }
  void store(Place &place, ArrayRef<Value> results);

  StageEmitter &e;
  OpBuilder &b;
  Location loc;
  const Nest &nest;
  const NestPlan &nestPlan;
  const Node *anchor;
  linalg::LinalgOp linalgOp;
  unsigned numInputs, numResults;
  int64_t lanes;
  SmallVector<Operation *> combiners;
  SmallVector<unsigned> parallel, reduced;
  SmallVector<LaneIndex> loops;
  bool isSum;
  int64_t sumBlock;
};
} // namespace headrace

ReductionEmitter::ReductionEmitter(StageEmitter &e, const Nest &nest,
                                   const NestPlan &nestPlan)
    : e(e), b(e.b), loc(e.loc), nest(nest), nestPlan(nestPlan),
      anchor(nest.anchor), linalgOp(cast<linalg::LinalgOp>(anchor->op)),
      numInputs(linalgOp.getNumDpsInputs()),
      numResults(linalgOp.getNumDpsInits()), lanes(e.plan.lanes),
      loops(anchor->loops.size(), e.uniform(e.constant(0))) {
  for (unsigned r = 0; r < numResults; ++r)
    combiners.push_back(matchCombiner(linalgOp, r));
  for (auto [l, loop] : llvm::enumerate(anchor->loops))
    if (int64_t(l) != nestPlan.vector)
      (loop.parallel ? parallel : reduced).push_back(l);
  isSum = llvm::all_of(combiners, [](Operation *combiner) {
    return combiner && arith::getNeutralElement(combiner);
  }) && llvm::any_of(combiners, [](Operation *combiner) {
    return isa<arith::AddFOp>(combiner);
  });
  // Libraries sum on lanes, so what has none is summed in shorter blocks.
  sumBlock = lanes == 1 ? 4 : 16;
}

void StageEmitter::emitReduction(const Nest &nest, const NestPlan &nestPlan) {
  ReductionEmitter(*this, nest, nestPlan).emit();
}

//===----------------------------------------------------------------------===//
// Points
//===----------------------------------------------------------------------===//

void ReductionEmitter::parallelLoops(unsigned d) {
  if (d < parallel.size()) {
    TileRange range = e.rangeOf(anchor->loops[parallel[d]]);
    return e.forLoop(range.lo, e.add(range.lo, range.len), 1, [&](Value iv) {
      loops[parallel[d]] = e.uniform(iv);
      parallelLoops(d + 1);
    });
  }
  if (nestPlan.vector < 0)
    emitScalar();
  else if (anchor->loops[nestPlan.vector].parallel)
    emitVectors();
  else
    emitLaneReduction();
}

void ReductionEmitter::store(Place &place, ArrayRef<Value> results) {
  auto at = [&](unsigned cls) {
    for (auto [l, loop] : llvm::enumerate(anchor->loops))
      if (loop.cls == cls)
        return loops[l];
    return e.uniform(e.constant(0));
  };
  e.emitSinks(nest, at, place, results);
}

void ReductionEmitter::emitScalar() {
  Place place;
  Values acc = reduceLoops(0, initial(place), 1, [&](ValueRange carried) {
    Place inner;
    return step(carried, inner);
  });
  store(place, acc);
}

void ReductionEmitter::emitVectors() {
  TileRange range = e.rangeOf(anchor->loops[nestPlan.vector]);
  int64_t wide = lanes * nestPlan.vectors;
  TileRange rest = range;
  // Several vectors side by side hide the latency of the combiner.
  if (nestPlan.vectors > 1) {
    Value whole;
    if (range.staticLen) {
      int64_t count = *range.staticLen / wide * wide;
      whole = e.constant(count);
      rest.staticLen = *range.staticLen - count;
      rest.len = e.constant(*rest.staticLen);
    } else {
      rest.len = arith::RemSIOp::create(b, loc, range.len, e.constant(wide));
      whole = arith::SubIOp::create(b, loc, range.len, rest.len);
    }
    rest.lo = e.add(range.lo, whole);
    e.forLoop(range.lo, rest.lo, wide, [&](Value iv) {
      emitVectorBlock(iv, Value(), nestPlan.vectors);
    });
    if (rest.staticLen == 0)
      return;
  }
  e.vectorLoop(rest, lanes,
               [&](Value iv, Value mask) { emitVectorBlock(iv, mask, 1); });
}

void ReductionEmitter::emitVectorBlock(Value iv, Value mask, int64_t vectors) {
  Values acc;
  SmallVector<Place> places(vectors);
  for (int64_t v = 0; v < vectors; ++v) {
    places[v].lanes = lanes;
    places[v].mask = mask;
    setVector(iv, v);
    for (Value init : initial(places[v]))
      acc.push_back(e.toVector(init, lanes));
  }
  acc = reduceLoops(0, acc, 1, [&](ValueRange carried) {
    Values next;
    for (int64_t v = 0; v < vectors; ++v) {
      Place inner;
      inner.lanes = lanes;
      inner.mask = mask;
      setVector(iv, v);
      llvm::append_range(
          next, step(carried.slice(v * numResults, numResults), inner));
    }
    return next;
  });
  for (int64_t v = 0; v < vectors; ++v) {
    setVector(iv, v);
    store(places[v], ArrayRef<Value>(acc).slice(v * numResults, numResults));
  }
}

//===----------------------------------------------------------------------===//
// Lanes along the reduction
//===----------------------------------------------------------------------===//

void ReductionEmitter::emitLaneReduction() {
  // `vectors` partial results of `lanes` each, merged as a tree.
  TileRange range = e.rangeOf(anchor->loops[nestPlan.vector]);
  Place scalar;
  Values init = initial(scalar), neutral, acc;
  for (Operation *combiner : combiners)
    neutral.push_back(getNeutral(combiner));
  for (int64_t v = 0; v < nestPlan.vectors; ++v)
    for (Value value : neutral)
      acc.push_back(e.toVector(value, lanes));
  int64_t most =
      llvm::divideCeil(std::clamp<int64_t>(range.maxLen, 1, kLongest),
                       lanes * nestPlan.vectors);
  acc = reduceLoops(0, acc, most, [&](ValueRange carried) {
    return accumulateLanes(carried, most);
  });
  Values finals = mergeLanes(acc, init);
  loops[nestPlan.vector] = e.uniform(e.constant(0));
  Place place;
  store(place, finals);
}

ReductionEmitter::Values
ReductionEmitter::accumulateLanes(ValueRange carried, int64_t most) {
  TileRange range = e.rangeOf(anchor->loops[nestPlan.vector]);
  int64_t wide = lanes * nestPlan.vectors;
  Value hi = e.add(range.lo, range.len);
  Value wholeEnd, vectorEnd, rest;
  if (range.staticLen) {
    int64_t len = *range.staticLen;
    wholeEnd = e.addConstant(range.lo, len / wide * wide);
    vectorEnd = e.addConstant(range.lo, len / lanes * lanes);
    rest = e.constant(len % lanes);
  } else {
    Value wideRest =
        arith::RemSIOp::create(b, loc, range.len, e.constant(wide));
    rest = arith::RemSIOp::create(b, loc, range.len, e.constant(lanes));
    wholeEnd = arith::SubIOp::create(b, loc, hi, wideRest);
    vectorEnd = arith::SubIOp::create(b, loc, hi, rest);
  }
  Values values = sumLoop(range.lo, wholeEnd, wide, most, 1, carried,
                          [&](Value iv, ValueRange from) {
    Values next;
    for (int64_t v = 0; v < nestPlan.vectors; ++v)
      llvm::append_range(next, stepLanes(iv, v, from, Value()));
    return next;
  });
  auto first = [&](Value iv, ValueRange from, Value mask) {
    Values next(from.begin(), from.end());
    Values updated = stepLanes(iv, 0, from, mask);
    std::copy(updated.begin(), updated.end(), next.begin());
    return next;
  };
  // Less than a step of the loop before: not a sum of its own.
  values = e.forCarry(wholeEnd, vectorEnd, lanes, values,
                      [&](Value iv, ValueRange from) {
                        return first(iv, from, Value());
                      });
  if (e.asConstant(rest) != 0)
    values = e.forCarry(vectorEnd, hi, lanes, values,
                        [&](Value iv, ValueRange from) {
                          return first(iv, from, e.maskUpTo(rest, lanes));
                        });
  return values;
}

ReductionEmitter::Values
ReductionEmitter::stepLanes(Value iv, int64_t v, ValueRange from, Value mask) {
  Place place;
  place.lanes = lanes;
  place.mask = mask;
  setVector(iv, v);
  ValueRange own = from.slice(v * numResults, numResults);
  Values next = step(own, place);
  if (mask)
    for (auto [value, old] : llvm::zip(next, own))
      value = arith::SelectOp::create(b, loc, mask, value, old);
  return next;
}

ReductionEmitter::Values ReductionEmitter::mergeLanes(ValueRange acc,
                                                      ValueRange init) {
  Values finals;
  for (unsigned r = 0; r < numResults; ++r) {
    Values parts;
    for (int64_t v = 0; v < nestPlan.vectors; ++v)
      parts.push_back(acc[v * numResults + r]);
    while (parts.size() > 1) {
      Values half;
      for (size_t i = 0; i + 1 < parts.size(); i += 2)
        half.push_back(combine(combiners[r], parts[i], parts[i + 1]));
      if (parts.size() % 2)
        half.push_back(parts.back());
      parts = half;
    }
    Value value = e.reduceLanes(parts.front(), [&](Value x, Value y) {
      return combine(combiners[r], x, y);
    });
    finals.push_back(combine(combiners[r], init[r], value));
  }
  return finals;
}

//===----------------------------------------------------------------------===//
// Steps and sums
//===----------------------------------------------------------------------===//

ReductionEmitter::Values ReductionEmitter::step(ValueRange acc, Place &place) {
  e.storePrologues(nest, loops, place);
  Values args;
  for (unsigned i = 0; i < numInputs; ++i)
    args.push_back(linalgOp.getBlock()->getArgument(i).use_empty()
                       ? Value()
                       : e.evalOperand(anchor, i, loops, place));
  llvm::append_range(args, acc);
  Values next = e.evalBody(anchor, args, loops, place);
  for (auto [value, old] : llvm::zip(next, acc))
    if (isa<VectorType>(old.getType()))
      value = e.toVector(value, place.lanes);
  return next;
}

ReductionEmitter::Values ReductionEmitter::initial(Place &place) {
  Values init;
  for (unsigned r = 0; r < numResults; ++r)
    init.push_back(e.evalOperand(anchor, numInputs + r, loops, place));
  return init;
}

Value ReductionEmitter::combine(Operation *combiner, Value lhs, Value rhs) {
  Place place;
  if (auto vector = dyn_cast<VectorType>(lhs.getType()))
    place.lanes = vector.getDimSize(0);
  return e.cloneOnLanes(combiner, {lhs, rhs}, place);
}

Value ReductionEmitter::getNeutral(Operation *combiner) {
  return arith::ConstantOp::create(b, loc, *arith::getNeutralElement(combiner));
}

ReductionEmitter::Values ReductionEmitter::partially(ValueRange acc,
                                                     Step body) {
  Values neutral;
  for (auto [i, value] : llvm::enumerate(acc)) {
    auto vector = dyn_cast<VectorType>(value.getType());
    neutral.push_back(e.toVector(getNeutral(combiners[i % numResults]),
                                 vector ? vector.getDimSize(0) : 1));
  }
  Values next = body(neutral);
  for (auto [i, value] : llvm::enumerate(next))
    value = combine(combiners[i % numResults], acc[i], value);
  return next;
}

ReductionEmitter::Values
ReductionEmitter::sumLoop(Value lo, Value hi, int64_t stride, int64_t count,
                          int64_t terms, ValueRange acc, LoopStep body) {
  int64_t inner =
      std::max<int64_t>(sumBlock / std::max<int64_t>(terms, 1), 1);
  if (!isSum || count <= inner)
    return e.forCarry(lo, hi, stride, acc, body);
  int64_t span = stride * inner;
  return sumLoop(lo, hi, span, llvm::divideCeil(count, inner), 1, acc,
                 [&](Value iv, ValueRange total) {
    Value end = e.addConstant(iv, span);
    std::optional<int64_t> l = e.asConstant(lo), h = e.asConstant(hi);
    if (!l || !h || (*h - *l) % span)
      end = arith::MinSIOp::create(b, loc, end, hi);
    return partially(total, [&](ValueRange from) {
      return e.forCarry(iv, end, stride, from, body);
    });
  });
}

int64_t ReductionEmitter::termsFrom(unsigned d, int64_t innermost) {
  int64_t terms = innermost;
  for (unsigned i = d; i < reduced.size(); ++i) {
    int64_t len = e.rangeOf(anchor->loops[reduced[i]]).maxLen;
    terms = std::min(terms, kMost) * std::clamp<int64_t>(len, 1, kMost);
  }
  return terms;
}

ReductionEmitter::Values ReductionEmitter::reduceLoops(unsigned d,
                                                       ValueRange acc,
                                                       int64_t innermost,
                                                       Step body) {
  if (d == reduced.size())
    return body(acc);
  TileRange range = e.rangeOf(anchor->loops[reduced[d]]);
  int64_t terms = termsFrom(d + 1, innermost);
  bool isLong = isSum && terms > sumBlock;
  int64_t count = std::min(range.maxLen, kLongest);
  return sumLoop(range.lo, e.add(range.lo, range.len), 1, count,
                 isLong ? 1 : terms, acc, [&](Value iv, ValueRange carried) {
    loops[reduced[d]] = e.uniform(iv);
    auto inside = [&](ValueRange from) {
      return reduceLoops(d + 1, from, innermost, body);
    };
    return isLong ? partially(carried, inside) : inside(carried);
  });
}
