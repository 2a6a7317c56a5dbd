//===- ContractionEmitter.cpp - Contractions in register tiles ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A contraction is any linalg.generic that sums products of two operands:
// matrix products, batched or not, and convolutions alike. Two shapes of code:
//
//   outer product  The vector loop is parallel. `rows` x `vectors` vectors of
//                  sums stay in registers over the reduction; per step each
//                  operand is loaded once per index it depends on, as a vector
//                  or as a scalar that is broadcast.
//   dot product    The vector loop is a reduction: `rows` vectors of partial
//                  sums, added up as a tree at the end. For operands that are
//                  contiguous along the reduction.
//
// Sums of more than `block` products are summed in blocks, which bounds the
// rounding error as well as any library does. Multiply-adds are fused: this is
// the contraction atom.
//
//===----------------------------------------------------------------------===//

#include "StageEmitter.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

namespace headrace {

class ContractionEmitter {
public:
  ContractionEmitter(StageEmitter &e, const Nest &nest,
                     const NestPlan &nestPlan)
      : e(e), b(e.b), loc(e.loc), nest(nest), nestPlan(nestPlan),
        anchor(nest.anchor), linalgOp(cast<linalg::LinalgOp>(anchor->op)),
        loops(anchor->loops.size(), e.uniform(e.constant(0))) {
    lanes = e.plan.lanes;
    accType = cast<RankedTensorType>(anchor->op->getResult(0).getType())
                  .getElementType();
    for (auto [l, loop] : llvm::enumerate(anchor->loops)) {
      if (static_cast<int64_t>(l) == nestPlan.vector ||
          static_cast<int64_t>(l) == nestPlan.row)
        continue;
      (loop.parallel ? outer : reduced).push_back(l);
    }
  }

  void emit() {
    bool dot = nestPlan.vector >= 0 && !anchor->loops[nestPlan.vector].parallel;
    std::function<void(unsigned)> outerLoops = [&](unsigned d) {
      if (d == outer.size())
        return dot ? rowBlocks([&](int64_t rows) { dotBlock(rows); })
                   : panels();
      TileRange range = e.rangeOf(anchor->loops[outer[d]]);
      e.forLoop(range.lo, e.add(range.lo, range.len), 1, [&](Value iv) {
        loops[outer[d]] = e.uniform(iv);
        outerLoops(d + 1);
      });
    };
    outerLoops(0);
  }

private:
  /// Whether operand `number` varies with loop `l`.
  bool dependsOn(unsigned number, int64_t l) const {
    if (l < 0)
      return false;
    const Access &access = anchor->operands[number];
    auto varies = [&](const Linear &linear) {
      return linear.coef[l] != SizeExpr(0);
    };
    if (access.isInput() && !access.panel)
      return varies(access.address);
    return llvm::any_of(access.isInput() ? access.logical : access.index,
                        varies);
  }

  /// `body(rows)` for blocks of rows that cover the row loop; the row's first
  /// index is in `firstRow`.
  void rowBlocks(function_ref<void(int64_t)> body) {
    if (nestPlan.row < 0) {
      firstRow = Value();
      return body(1);
    }
    TileRange range = e.rangeOf(anchor->loops[nestPlan.row]);
    int64_t rows = nestPlan.rows;
    auto blocks = [&](Value lo, Value hi, int64_t count) {
      e.forLoop(lo, hi, count, [&](Value iv) {
        firstRow = iv;
        body(count);
      });
    };
    if (range.staticLen) {
      int64_t whole = *range.staticLen / rows * rows;
      Value middle = e.addConstant(range.lo, whole);
      blocks(range.lo, middle, rows);
      if (int64_t rest = *range.staticLen - whole)
        blocks(middle, e.addConstant(middle, rest), rest);
      return;
    }
    // What is left over goes in ever smaller blocks.
    Value lo = range.lo, rest = range.len;
    for (int64_t count = rows; count >= 1; count = count == 1 ? 0 : count / 2) {
      Value left = count == 1 ? e.constant(0)
                              : arith::RemSIOp::create(b, loc, rest,
                                                       e.constant(count))
                                    .getResult();
      Value covered = arith::SubIOp::create(b, loc, rest, left);
      Value hi = e.add(lo, covered);
      blocks(lo, hi, count);
      lo = hi;
      rest = left;
    }
  }

  /// Panels of `vectors` vectors, then single ones, the last one masked.
  void panels() {
    TileRange range = e.rangeOf(anchor->loops[nestPlan.vector]);
    int64_t width = lanes * nestPlan.vectors;
    auto panel = [&](Value first, int64_t vectors, Value count) {
      firstLane = first;
      laneCount = count;
      rowBlocks([&](int64_t rows) { outerBlock(rows, vectors); });
    };
    if (range.staticLen) {
      int64_t whole = *range.staticLen / width * width;
      Value middle = e.addConstant(range.lo, whole);
      e.forLoop(range.lo, middle, width, [&](Value iv) {
        panel(iv, nestPlan.vectors, Value());
      });
      if (int64_t rest = *range.staticLen - whole)
        panel(middle, llvm::divideCeil(rest, lanes),
              rest % lanes ? e.constant(rest) : Value());
      return;
    }
    Value rest = arith::RemSIOp::create(b, loc, range.len, e.constant(width));
    Value middle = e.add(range.lo,
                         arith::SubIOp::create(b, loc, range.len, rest));
    e.forLoop(range.lo, middle, width, [&](Value iv) {
      panel(iv, nestPlan.vectors, Value());
    });
    Value hi = e.add(range.lo, range.len);
    e.forLoop(middle, hi, lanes, [&](Value iv) {
      panel(iv, 1, arith::SubIOp::create(b, loc, hi, iv));
    });
  }

  void setRow(int64_t r) {
    if (nestPlan.row >= 0)
      loops[nestPlan.row] = e.uniform(e.addConstant(firstRow, r));
  }

  Value convert(unsigned number, Value value, int64_t width) {
    // The body's conversion of this operand, applied to lanes.
    Value arg = linalgOp.getBlock()->getArgument(number);
    Place place;
    place.lanes = width;
    while (true) {
      Operation *user = nullptr;
      for (Operation *candidate : arg.getUsers())
        if (isa<arith::ExtFOp, arith::ExtSIOp, arith::ExtUIOp>(candidate))
          user = candidate;
      if (!user)
        return value;
      value = e.cloneOnLanes(user, {value}, place);
      arg = user->getResult(0);
    }
  }

  Value multiplyAdd(Value lhs, Value rhs, Value acc) {
    int64_t width = 1;
    if (auto vector = dyn_cast<VectorType>(acc.getType()))
      width = vector.getDimSize(0);
    lhs = e.toVector(lhs, width);
    rhs = e.toVector(rhs, width);
    if (isa<FloatType>(accType))
      return math::FmaOp::create(b, loc, lhs, rhs, acc);
    Value product = arith::MulIOp::create(b, loc, lhs, rhs);
    return arith::AddIOp::create(b, loc, product, acc);
  }

  Value addTo(Value lhs, Value rhs) {
    if (isa<FloatType>(accType))
      return arith::AddFOp::create(b, loc, lhs, rhs);
    return arith::AddIOp::create(b, loc, lhs, rhs);
  }

  /// The loops over the reduction; `step` advances the sums at one point. With
  /// a block size, the innermost loop is summed in blocks.
  SmallVector<Value>
  reduce(ArrayRef<unsigned> over, SmallVector<Value> sums,
         function_ref<SmallVector<Value>(ValueRange)> step) {
    std::function<SmallVector<Value>(unsigned, ValueRange)> nestLoops =
        [&](unsigned d, ValueRange carried) -> SmallVector<Value> {
      if (d == over.size())
        return step(carried);
      TileRange range = e.rangeOf(anchor->loops[over[d]]);
      Value hi = e.add(range.lo, range.len);
      auto inner = [&](Value lo, Value end, ValueRange from) {
        return e.forCarry(lo, end, 1, from,
                          [&](Value iv, ValueRange values) {
                            loops[over[d]] = e.uniform(iv);
                            return nestLoops(d + 1, values);
                          });
      };
      bool last = d + 1 == over.size();
      int64_t block = nestPlan.block;
      if (!last || block <= 0 ||
          (range.staticLen && *range.staticLen <= block))
        return inner(range.lo, hi, carried);
      return e.forCarry(
          range.lo, hi, block, carried, [&](Value iv, ValueRange total) {
            Value end = e.addConstant(iv, block);
            if (!range.staticLen || *range.staticLen % block)
              end = arith::MinSIOp::create(b, loc, end, hi);
            SmallVector<Value> zeros;
            for (Value value : total)
              zeros.push_back(zeroLike(value));
            SmallVector<Value> part = inner(iv, end, zeros);
            SmallVector<Value> next;
            for (auto [sum, more] : llvm::zip(total, part))
              next.push_back(addTo(sum, more));
            return next;
          });
    };
    return nestLoops(0, sums);
  }

  Value zeroLike(Value value) {
    return arith::ConstantOp::create(b, loc, b.getZeroAttr(value.getType()));
  }

  LaneIndex atClass(unsigned cls) {
    for (auto [l, loop] : llvm::enumerate(anchor->loops))
      if (loop.cls == cls)
        return loops[l];
    return e.uniform(e.constant(0));
  }

  Value maskOf(int64_t v) {
    if (!laneCount)
      return Value();
    Value count = e.addConstant(laneCount, -v * lanes);
    return e.maskUpTo(count, lanes);
  }

  void outerBlock(int64_t rows, int64_t vectors) {
    bool lanesInUse = nestPlan.vector >= 0;
    int64_t width = lanesInUse ? lanes : 1;
    SmallVector<Value> masks;
    for (int64_t v = 0; v < vectors; ++v)
      masks.push_back(maskOf(v));
    auto setLanes = [&](int64_t v) {
      if (lanesInUse)
        loops[nestPlan.vector] = {e.addConstant(firstLane, v * lanes),
                                  SizeExpr(1)};
    };
    SmallVector<Value> sums;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t v = 0; v < vectors; ++v) {
        setRow(r);
        setLanes(v);
        Place place;
        place.lanes = width;
        place.mask = masks[v];
        sums.push_back(
            e.toVector(e.evalOperand(anchor, 2, loops, place), width));
      }
    sums = reduce(reduced, sums, [&](ValueRange carried) {
      // Each operand once per index it depends on.
      SmallVector<Value> loaded[2];
      bool onRow[2], onLane[2];
      for (unsigned number = 0; number < 2; ++number) {
        onRow[number] = dependsOn(number, nestPlan.row);
        onLane[number] = dependsOn(number, nestPlan.vector);
        for (int64_t r = 0; r < (onRow[number] ? rows : 1); ++r)
          for (int64_t v = 0; v < (onLane[number] ? vectors : 1); ++v) {
            setRow(r);
            setLanes(v);
            Place place;
            place.lanes = width;
            // A packed panel is padded: no mask needed.
            if (!anchor->operands[number].panel)
              place.mask = masks[v];
            loaded[number].push_back(
                convert(number, e.evalOperand(anchor, number, loops, place),
                        width));
          }
      }
      SmallVector<Value> next;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t v = 0; v < vectors; ++v) {
          auto pick = [&](unsigned number) {
            int64_t stride = onLane[number] ? vectors : 1;
            return loaded[number][(onRow[number] ? r : 0) * stride +
                                  (onLane[number] ? v : 0)];
          };
          next.push_back(
              multiplyAdd(pick(0), pick(1), carried[r * vectors + v]));
        }
      return next;
    });
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t v = 0; v < vectors; ++v) {
        setRow(r);
        setLanes(v);
        Place place;
        place.lanes = width;
        place.mask = masks[v];
        e.emitSinks(
            nest, [&](unsigned cls) { return atClass(cls); }, place,
            {sums[r * vectors + v]});
      }
  }

  void dotBlock(int64_t rows) {
    unsigned vectorLoop = nestPlan.vector;
    SmallVector<Value> sums(
        rows, arith::ConstantOp::create(
                  b, loc,
                  b.getZeroAttr(VectorType::get({lanes}, accType)))
                  .getResult());
    bool onRow[2] = {dependsOn(0, nestPlan.row), dependsOn(1, nestPlan.row)};
    auto step = [&](Value at, Value mask, ValueRange carried) {
      loops[vectorLoop] = {at, SizeExpr(1)};
      SmallVector<Value> loaded[2];
      for (unsigned number = 0; number < 2; ++number)
        for (int64_t r = 0; r < (onRow[number] ? rows : 1); ++r) {
          setRow(r);
          Place place;
          place.lanes = lanes;
          place.mask = mask;
          loaded[number].push_back(convert(
              number,
              e.toVector(e.evalOperand(anchor, number, loops, place), lanes),
              lanes));
        }
      SmallVector<Value> next;
      for (int64_t r = 0; r < rows; ++r) {
        Value sum = multiplyAdd(loaded[0][onRow[0] ? r : 0],
                                loaded[1][onRow[1] ? r : 0], carried[r]);
        // Masked lanes load zeros, but a zero times an infinity that is not
        // there must not matter: keep their sums as they are.
        if (mask)
          sum = arith::SelectOp::create(b, loc, mask, sum, carried[r]);
        next.push_back(sum);
      }
      return next;
    };
    sums = reduce(reduced, sums, [&](ValueRange carried) {
      TileRange range = e.rangeOf(anchor->loops[vectorLoop]);
      Value hi = e.add(range.lo, range.len);
      Value rest, whole;
      if (range.staticLen) {
        rest = e.constant(*range.staticLen % lanes);
        whole = e.addConstant(range.lo, *range.staticLen / lanes * lanes);
      } else {
        rest =
            arith::RemSIOp::create(b, loc, range.len, e.constant(lanes));
        whole = arith::SubIOp::create(b, loc, hi, rest);
      }
      SmallVector<Value> values =
          e.forCarry(range.lo, whole, lanes, carried,
                     [&](Value iv, ValueRange from) {
                       return step(iv, Value(), from);
                     });
      if (e.asConstant(rest) == 0)
        return values;
      return e.forCarry(whole, hi, lanes, values,
                        [&](Value iv, ValueRange from) {
                          return step(iv, e.maskUpTo(rest, lanes), from);
                        });
    });
    loops[vectorLoop] = e.uniform(e.constant(0));
    for (int64_t r = 0; r < rows; ++r) {
      Value value = sums[r];
      for (int64_t width = lanes / 2; width >= 1; width /= 2) {
        Value low = vector::ExtractStridedSliceOp::create(
            b, loc, value, ArrayRef<int64_t>{0}, ArrayRef<int64_t>{width},
            ArrayRef<int64_t>{1});
        Value high = vector::ExtractStridedSliceOp::create(
            b, loc, value, ArrayRef<int64_t>{width}, ArrayRef<int64_t>{width},
            ArrayRef<int64_t>{1});
        value = addTo(low, high);
      }
      value = vector::ExtractOp::create(b, loc, value, 0);
      setRow(r);
      Place place;
      Value init = e.evalOperand(anchor, 2, loops, place);
      e.emitSinks(
          nest, [&](unsigned cls) { return atClass(cls); }, place,
          {addTo(init, value)});
    }
  }

  StageEmitter &e;
  OpBuilder &b;
  Location loc;
  const Nest &nest;
  const NestPlan &nestPlan;
  const Node *anchor;
  linalg::LinalgOp linalgOp;
  SmallVector<LaneIndex> loops;
  SmallVector<unsigned> outer, reduced;
  int64_t lanes = 1;
  Type accType;
  Value firstRow, firstLane, laneCount;
};

} // namespace headrace

void StageEmitter::emitContraction(const Nest &nest,
                                   const NestPlan &nestPlan) {
  ContractionEmitter(*this, nest, nestPlan).emit();
}
