//===- SimpleNests.cpp - Maps, scans, sorts, scatters ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The nests that need neither a register tile of two dimensions nor partial
// results.
//
//===----------------------------------------------------------------------===//

#include "StageEmitter.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

//===----------------------------------------------------------------------===//
// Maps and updates
//===----------------------------------------------------------------------===//

void StageEmitter::emitMap(const Nest &nest, const NestPlan &nestPlan) {
  if (nestPlan.vector >= 0 && nestPlan.row >= 0)
    return emitMapBlocks(nest, nestPlan);
  const Node *anchor = nest.anchor;
  SmallVector<LaneIndex> loops(anchor->loops.size());
  std::function<void(unsigned)> emitLoop = [&](unsigned d) {
    if (d == loops.size()) {
      auto finish = [&](Place &place) {
        emitSinks(
            nest,
            [&](unsigned cls) {
              for (auto [l, loop] : llvm::enumerate(anchor->loops))
                if (loop.cls == cls)
                  return loops[l];
              return uniform(constant(0));
            },
            place, {});
      };
      if (nestPlan.vector < 0) {
        Place place;
        finish(place);
        return;
      }
      vectorLoop(rangeOf(anchor->loops[nestPlan.vector]), plan.lanes,
                 [&](Value iv, Value mask) {
                   loops[nestPlan.vector] = {iv, SizeExpr(1)};
                   Place place;
                   place.lanes = plan.lanes;
                   place.mask = mask;
                   finish(place);
                 });
      return;
    }
    if (static_cast<int64_t>(d) == nestPlan.vector)
      return emitLoop(d + 1);
    TileRange range = rangeOf(anchor->loops[d]);
    forLoop(range.lo, add(range.lo, range.len), 1, [&](Value iv) {
      loops[d] = uniform(iv);
      emitLoop(d + 1);
    });
  };
  emitLoop(0);
}

void StageEmitter::storePrologues(const Nest &nest, ArrayRef<LaneIndex> loops,
                                  Place &place) {
  for (const Prologue &prologue : nest.prologues) {
    SmallVector<LaneIndex> theirs;
    for (unsigned loop : prologue.anchorLoops)
      theirs.push_back(loops[loop]);
    OpResult result = prologue.map->op->getResult(0);
    Value value = evalNode(prologue.map, 0, theirs, place);
    const Slot &slot = slotOf(result);
    SmallVector<LaneIndex> index;
    for (unsigned loop : prologue.map->resultLoops[0])
      index.push_back(theirs[loop]);
    storeAt(slot.memref, slotIndex(slot, index), value, place);
    place.bound[result] = value;
  }
}

//===----------------------------------------------------------------------===//
// Scans
//===----------------------------------------------------------------------===//

/// acc `combiner` value, on scalars or vectors.
static Value combineWith(OpBuilder &b, Location loc, hr::Combiner combiner,
                         Value acc, Value value) {
  bool isFloat = isa<FloatType>(getElementTypeOrSelf(value.getType()));
  switch (combiner) {
  case hr::Combiner::Replace:
    return value;
  case hr::Combiner::Add:
    if (isFloat)
      return arith::AddFOp::create(b, loc, acc, value);
    return arith::AddIOp::create(b, loc, acc, value);
  case hr::Combiner::Mul:
    if (isFloat)
      return arith::MulFOp::create(b, loc, acc, value);
    return arith::MulIOp::create(b, loc, acc, value);
  case hr::Combiner::Min:
    if (isFloat)
      return arith::MinimumFOp::create(b, loc, acc, value);
    return arith::MinSIOp::create(b, loc, acc, value);
  case hr::Combiner::Max:
    if (isFloat)
      return arith::MaximumFOp::create(b, loc, acc, value);
    return arith::MaxSIOp::create(b, loc, acc, value);
  }
  llvm_unreachable("unknown combiner");
}

void StageEmitter::emitScan(const Nest &nest, const NestPlan &nestPlan) {
  const Node *anchor = nest.anchor;
  auto scan = cast<hr::ScanOp>(anchor->op);
  unsigned dim = scan.getDim();
  SmallVector<LaneIndex> loops(anchor->loops.size(), uniform(constant(0)));
  auto emitPoint = [&](Value mask) {
    TileRange range = rangeOf(anchor->loops[dim]);
    Place first;
    first.lanes = nestPlan.vector < 0 ? 1 : plan.lanes;
    first.mask = mask;
    // The first element starts the running value, so no rounding is added; a
    // sum starts from zero all the same, because that and -0.0 are 0.0. Every
    // partial result is one, and a running value has no blocks: it is kept in
    // f64.
    Type elementType =
        cast<RankedTensorType>(anchor->op->getResult(0).getType())
            .getElementType();
    bool isWidened =
        isa<FloatType>(elementType) && elementType.getIntOrFloatBitWidth() < 64;
    auto convert = [&](Value value, Type to, bool isWider) -> Value {
      if (!isWidened)
        return value;
      if (auto vector = dyn_cast<VectorType>(value.getType()))
        to = VectorType::get(vector.getShape(), to);
      if (isWider)
        return arith::ExtFOp::create(b, loc, to, value);
      return arith::TruncFOp::create(b, loc, to, value);
    };
    auto widen = [&](Value value) {
      return convert(value, b.getF64Type(), true);
    };
    auto store = [&](Value value) {
      value = convert(value, elementType, false);
      Place place;
      place.lanes = first.lanes;
      place.mask = mask;
      const Slot &slot = slotOf(anchor->op->getResult(0));
      storeAt(slot.memref, slotIndex(slot, loops), value, place);
    };
    Value hi = add(range.lo, range.len);
    Value nonEmpty = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                           range.lo, hi);
    auto branch = scf::IfOp::create(b, loc, nonEmpty);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    loops[dim] = uniform(range.lo);
    Value start =
        widen(toVector(evalOperand(anchor, 0, loops, first), first.lanes));
    if (isa<FloatType>(elementType) &&
        scan.getCombiner() == hr::Combiner::Add)
      start = arith::AddFOp::create(
          b, loc, start,
          arith::ConstantOp::create(b, loc, b.getZeroAttr(start.getType())));
    store(start);
    forCarry(addConstant(range.lo, 1), hi, 1, start,
             [&](Value iv, ValueRange acc) {
               loops[dim] = uniform(iv);
               Place place;
               place.lanes = first.lanes;
               place.mask = mask;
               Value value = widen(toVector(
                   evalOperand(anchor, 0, loops, place), place.lanes));
               Value next =
                   combineWith(b, loc, scan.getCombiner(), acc[0], value);
               store(next);
               return SmallVector<Value>{next};
             });
  };
  std::function<void(unsigned)> emitLoop = [&](unsigned d) {
    if (d == loops.size()) {
      if (nestPlan.vector < 0)
        return emitPoint(Value());
      vectorLoop(rangeOf(anchor->loops[nestPlan.vector]), plan.lanes,
                 [&](Value iv, Value mask) {
                   loops[nestPlan.vector] = {iv, SizeExpr(1)};
                   emitPoint(mask);
                 });
      return;
    }
    if (d == dim || static_cast<int64_t>(d) == nestPlan.vector)
      return emitLoop(d + 1);
    TileRange range = rangeOf(anchor->loops[d]);
    forLoop(range.lo, add(range.lo, range.len), 1, [&](Value iv) {
      loops[d] = uniform(iv);
      emitLoop(d + 1);
    });
  };
  emitLoop(0);
}

//===----------------------------------------------------------------------===//
// Sorts
//===----------------------------------------------------------------------===//

namespace headrace {
/// A heap sort of positions, in the result itself: no scratch, and since the
/// position breaks ties, the order is that of a stable sort.
class SortEmitter {
public:
  SortEmitter(StageEmitter &e, const Nest &nest);
  void emit();

private:
  /// The elements along the sorted dimension, at the place of the other loops.
  void sortLine();
  /// The place of element `at` of the heap, and what it says.
  LaneIndex heapAt(Value at);
  Value load(Value at) {
    return e.loadAt(slot.memref, heapAt(at), i64, place);
  }
  void store(Value at, Value position) {
    e.storeAt(slot.memref, heapAt(at), position, place);
  }
  Value keyOf(Value position);
  Value makeTrue() {
    return arith::ConstantOp::create(b, loc, b.getBoolAttr(true));
  }
  /// Whether key x comes before y, and whether neither comes before the other.
  /// A NaN counts as more than every number, and as much as another NaN.
  std::pair<Value, Value> compareKeys(Value x, Value y);
  /// Whether x, at position i, comes before y, at position j.
  Value isBefore(Value x, Value i, Value y, Value j);
  /// Lets `position` sink from `from` into the heap of `size` elements, at
  /// whose head the last of all stands.
  void sink(Value from, Value size, Value position);
  Value leftChildOf(Value at) { return e.addConstant(e.add(at, at), 1); }
  /// Moves the later child of `at` up to `at` if it comes after `position`,
  /// whose key is `key`. Returns where `position` belongs now, and whether it
  /// sank.
  std::pair<Value, Value> sinkOnce(Value at, Value size, Value position,
                                   Value key);

  StageEmitter &e;
  OpBuilder &b;
  Location loc;
  const Node *anchor;
  hr::SortOp sort;
  unsigned dim;
  const Slot &slot;
  Type i64;
  SmallVector<LaneIndex> loops;
  Place place;
};
} // namespace headrace

SortEmitter::SortEmitter(StageEmitter &e, const Nest &nest)
    : e(e), b(e.b), loc(e.loc), anchor(nest.anchor),
      sort(cast<hr::SortOp>(anchor->op)), dim(sort.getDim()),
      slot(e.slotOf(anchor->op->getResult(0))), i64(b.getI64Type()),
      loops(anchor->loops.size(), e.uniform(e.constant(0))) {}

void SortEmitter::emit() {
  SmallVector<unsigned> outer;
  for (unsigned d = 0; d < loops.size(); ++d)
    if (d != dim)
      outer.push_back(d);
  e.forLoops(anchor, outer, loops, [&] { sortLine(); });
}

void SortEmitter::sortLine() {
  TileRange range = e.rangeOf(anchor->loops[dim]);
  Value size = range.len, zero = e.constant(0);
  e.forLoop(zero, size, 1, [&](Value iv) {
    store(iv, arith::IndexCastOp::create(b, loc, i64, iv));
  });
  Value half = arith::DivSIOp::create(b, loc, size, e.constant(2));
  e.forLoop(zero, half, 1, [&](Value iv) {
    Value at = e.addConstant(
        arith::SubIOp::create(b, loc, half, iv).getResult(), -1);
    sink(at, size, load(at));
  });
  // The last of the heap goes behind it, and what stood there sinks.
  e.forLoop(e.constant(1), size, 1, [&](Value iv) {
    Value end = arith::SubIOp::create(b, loc, size, iv);
    Value last = load(zero), position = load(end);
    store(end, last);
    sink(zero, end, position);
  });
}

LaneIndex SortEmitter::heapAt(Value at) {
  SmallVector<LaneIndex> index = loops;
  index[dim] = e.uniform(at);
  return e.slotIndex(slot, index);
}

Value SortEmitter::keyOf(Value position) {
  SmallVector<LaneIndex> index = loops;
  index[dim] = e.uniform(
      arith::IndexCastOp::create(b, loc, b.getIndexType(), position));
  return e.evalOperand(anchor, 0, index, place);
}

std::pair<Value, Value> SortEmitter::compareKeys(Value x, Value y) {
  Value first = sort.getDescending() ? y : x;
  Value second = sort.getDescending() ? x : y;
  Value less, equal;
  if (!isa<FloatType>(x.getType())) {
    less = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, first,
                                 second);
    equal = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x, y);
    return {less, equal};
  }
  auto isNaN = [&](Value v) {
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, v, v);
  };
  less =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, first, second);
  equal = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, x, y);
  Value firstNaN = isNaN(first), secondNaN = isNaN(second);
  Value isNumber = arith::XOrIOp::create(b, loc, firstNaN, makeTrue());
  less = arith::OrIOp::create(
      b, loc, less, arith::AndIOp::create(b, loc, isNumber, secondNaN));
  equal = arith::OrIOp::create(
      b, loc, equal, arith::AndIOp::create(b, loc, firstNaN, secondNaN));
  return {less, equal};
}

Value SortEmitter::isBefore(Value x, Value i, Value y, Value j) {
  auto [less, equal] = compareKeys(x, y);
  Value earlier =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, i, j);
  return arith::OrIOp::create(b, loc, less,
                              arith::AndIOp::create(b, loc, equal, earlier));
}

void SortEmitter::sink(Value from, Value size, Value position) {
  Value key = keyOf(position);
  auto loop = scf::WhileOp::create(
      b, loc, TypeRange{b.getIndexType(), b.getI1Type()},
      ValueRange{from, makeTrue()},
      [&](OpBuilder &, Location, ValueRange args) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(args.front().getParentBlock());
        Value child = leftChildOf(args[0]);
        Value inside = arith::CmpIOp::create(
            b, loc, arith::CmpIPredicate::slt, child, size);
        Value more = arith::AndIOp::create(b, loc, args[1], inside);
        scf::ConditionOp::create(b, loc, more, args);
      },
      [&](OpBuilder &, Location, ValueRange args) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(args.front().getParentBlock());
        auto [at, down] = sinkOnce(args[0], size, position, key);
        scf::YieldOp::create(b, loc, ValueRange{at, down});
      });
  store(loop.getResult(0), position);
}

std::pair<Value, Value> SortEmitter::sinkOnce(Value at, Value size,
                                              Value position, Value key) {
  Value left = leftChildOf(at);
  Value right = e.addConstant(left, 1);
  // Without a right child the left one is compared with itself.
  Value hasRight =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, right, size);
  right = arith::SelectOp::create(b, loc, hasRight, right, left);
  Value i = load(left), j = load(right);
  Value x = keyOf(i), y = keyOf(j);
  Value useRight = isBefore(x, i, y, j);
  Value child = arith::SelectOp::create(b, loc, useRight, right, left);
  Value k = arith::SelectOp::create(b, loc, useRight, j, i);
  Value z = arith::SelectOp::create(b, loc, useRight, y, x);
  Value down = isBefore(key, position, z, k);
  auto move = scf::IfOp::create(b, loc, down);
  {
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(move.thenBlock());
    store(at, k);
  }
  return {arith::SelectOp::create(b, loc, down, child, at), down};
}

void StageEmitter::emitSort(const Nest &nest) {
  SortEmitter(*this, nest).emit();
}

//===----------------------------------------------------------------------===//
// Scatters
//===----------------------------------------------------------------------===//

void StageEmitter::emitScatter(const Nest &nest, const NestPlan &nestPlan) {
  const Node *anchor = nest.anchor;
  auto scatter = cast<hr::ScatterOp>(anchor->op);
  Value memref = inputs.lookup(anchor->source->source);
  SmallVector<LaneIndex> loops(anchor->loops.size(), uniform(constant(0)));
  auto addressAt = [&](Place &place) {
    SmallVector<Value> indices;
    for (unsigned i = 1; i < anchor->operands.size(); ++i)
      indices.push_back(evalOperand(anchor, i, loops, place));
    return dataAddress(anchor, indices, loops, place);
  };
  // 1. All indices of the tile are checked: with a bad one, nothing is written.
  // Each is looked at once, whatever loops it does not depend on.
  SmallVector<unsigned> varying, fixed;
  for (unsigned d = 0; d < loops.size(); ++d) {
    bool varies = false;
    for (unsigned i = 1; i < anchor->operands.size(); ++i) {
      const Access &access = anchor->operands[i];
      if (access.isInput())
        varies |= access.address.coef[d] != SizeExpr(0);
      for (const Linear &linear : access.index)
        varies |= linear.coef[d] != SizeExpr(0);
    }
    (varies ? varying : fixed).push_back(d);
  }
  Value yes = arith::ConstantOp::create(entry, loc, entry.getBoolAttr(true));
  std::function<Value(unsigned, Value)> checkFrom = [&](unsigned n,
                                                        Value good) -> Value {
    if (n == varying.size()) {
      Place place;
      DataAddress address = addressAt(place);
      if (address.checks.empty())
        return good;
      Value isBad = anyBad(address.checks);
      return ifGood(
          isBad, good.getType(),
          [&] {
            reportBad(anchor, address.checks);
            return arith::XOrIOp::create(b, loc, isBad, yes).getResult();
          },
          [&] { return good; });
    }
    TileRange range = rangeOf(anchor->loops[varying[n]]);
    return forCarry(range.lo, add(range.lo, range.len), 1, good,
                    [&](Value iv, ValueRange carried) {
                      loops[varying[n]] = uniform(iv);
                      return SmallVector<Value>{checkFrom(n + 1, carried[0])};
                    })
        .front();
  };
  for (unsigned d : fixed)
    loops[d] = uniform(rangeOf(anchor->loops[d]).lo);
  auto branch = scf::IfOp::create(b, loc, checkFrom(0, yes));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());

  // 2. The updates, in order.
  auto emitPoint = [&](int64_t lanes, Value mask) {
    Place place;
    place.lanes = lanes;
    place.mask = mask;
    LaneIndex at = addressAt(place).at;
    Value value = evalOperand(anchor, 0, loops, place);
    if (scatter.getCombiner() != hr::Combiner::Replace) {
      Type elementType =
          cast<RankedTensorType>(scatter.getType()).getElementType();
      Value old = loadAt(memref, at, elementType, place);
      if (isa<VectorType>(old.getType()))
        value = toVector(value, lanes);
      value = combineWith(b, loc, scatter.getCombiner(), old, value);
    }
    storeAt(memref, at, value, place);
  };
  std::function<void(unsigned)> emitLoop = [&](unsigned d) {
    if (d == loops.size()) {
      if (nestPlan.vector < 0)
        return emitPoint(1, Value());
      vectorLoop(rangeOf(anchor->loops[nestPlan.vector]), plan.lanes,
                 [&](Value iv, Value mask) {
                   loops[nestPlan.vector] = {iv, SizeExpr(1)};
                   emitPoint(plan.lanes, mask);
                 });
      return;
    }
    if (static_cast<int64_t>(d) == nestPlan.vector)
      return emitLoop(d + 1);
    TileRange range = rangeOf(anchor->loops[d]);
    forLoop(range.lo, add(range.lo, range.len), 1, [&](Value iv) {
      loops[d] = uniform(iv);
      emitLoop(d + 1);
    });
  };
  emitLoop(0);
}
