//===- ContractionEmitter.cpp - Contractions in register tiles ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ContractionEmitter.h"

#include "headrace/Plan/Planner.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

ContractionEmitter::ContractionEmitter(StageEmitter &e, const Nest &nest,
                                       const NestPlan &nestPlan)
    : e(e), b(e.b), loc(e.loc), nest(nest), nestPlan(nestPlan),
      anchor(nest.anchor), linalgOp(cast<linalg::LinalgOp>(anchor->op)),
      loops(anchor->loops.size(), e.uniform(e.constant(0))) {
  lanes = e.plan.lanes;
  accType = cast<RankedTensorType>(anchor->op->getResult(0).getType())
                .getElementType();
  for (auto [l, loop] : llvm::enumerate(anchor->loops)) {
    if (static_cast<int64_t>(l) == nestPlan.vector ||
        static_cast<int64_t>(l) == nestPlan.row ||
        static_cast<int64_t>(l) == nestPlan.group)
      continue;
    (loop.parallel ? outer : reduced).push_back(l);
  }
  // The atom's k runs along the innermost loop.
  if (nestPlan.group >= 0)
    reduced.push_back(nestPlan.group);
  laneOperand = dependsOn(0, nestPlan.vector) ? 0 : 1;
  rowOperand = 1 - laneOperand;
  if (nestPlan.atom)
    group = accType.getIntOrFloatBitWidth() /
            getElementTypeOrSelf(linalgOp.getDpsInputOperand(laneOperand)
                                     ->get()
                                     .getType())
                .getIntOrFloatBitWidth();
}

void ContractionEmitter::emit() {
  bool dot = nestPlan.vector >= 0 && !anchor->loops[nestPlan.vector].parallel;
  e.forLoops(anchor, outer, loops, [&]() {
    // Positions that are data change along outer loops alone.
    for (const Access &access : anchor->operands)
      if (access.gather)
        e.dataOffsets[&access] = e.getDataOffset(access, loops);
    if (dot)
      return rowBlocks([&](int64_t rows) { dotBlock(rows); });
    if (nestPlan.packs(rowOperand))
      packRows();
    panels();
  });
  for (const Access &access : anchor->operands)
    e.dataOffsets.erase(&access);
}

bool ContractionEmitter::dependsOn(unsigned number, int64_t l) const {
  if (l < 0)
    return false;
  return anchor->operands[number].dependsOn(l);
}

/// `body(rows)` for blocks of rows that cover the row loop; the row's first
/// index is in `firstRow`.
void ContractionEmitter::rowBlocks(function_ref<void(int64_t)> body) {
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
  if (nestPlan.atom && nestPlan.atom.getFragments()) {
    // Whole blocks, then fragments of which some rows do not count.
    Value rest = arith::RemSIOp::create(b, loc, range.len, e.constant(rows));
    Value hi = e.add(range.lo, range.len);
    Value middle = arith::SubIOp::create(b, loc, hi, rest);
    blocks(range.lo, middle, rows);
    blocks(middle, hi, nestPlan.atom.getM());
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
void ContractionEmitter::panels() {
  TileRange range = e.rangeOf(anchor->loops[nestPlan.vector]);
  int64_t width = lanes * nestPlan.vectors;
  auto panel = [&](Value first, int64_t vectors, Value count) {
    firstLane = first;
    laneCount = count;
    if (nestPlan.packs(laneOperand) && !firstCopied)
      packLanes(vectors);
    rowBlocks([&](int64_t rows) {
      if (nestPlan.atom && nestPlan.atom.getFragments())
        fragmentBlock(rows, vectors);
      else
        outerBlock(rows, vectors);
    });
  };
  if (range.staticLen) {
    int64_t whole = *range.staticLen / width * width;
    Value middle = e.addConstant(range.lo, whole);
    if (int64_t together = getPanelsPerCopy(); together > 1) {
      e.forLoop(range.lo, middle, width * together, [&](Value first) {
        firstLane = first;
        laneCount = Value();
        packLanes(nestPlan.vectors * together);
        Value end = e.addConstant(first, width * together);
        e.forLoop(first, end, width, [&](Value iv) {
          firstCopied = first;
          panel(iv, nestPlan.vectors, Value());
          firstCopied = Value();
        });
      });
    } else {
      e.forLoop(range.lo, middle, width, [&](Value iv) {
        panel(iv, nestPlan.vectors, Value());
      });
    }
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

void ContractionEmitter::setLanes(int64_t v) {
  if (nestPlan.vector >= 0)
    loops[nestPlan.vector] = {e.addConstant(firstLane, v * lanes), SizeExpr(1)};
}

void ContractionEmitter::setRow(int64_t r) {
  if (nestPlan.row >= 0)
    loops[nestPlan.row] = e.uniform(e.addConstant(firstRow, r));
}

Value ContractionEmitter::convert(unsigned number, Value value, int64_t width) {
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

Value ContractionEmitter::multiplyAdd(Value lhs, Value rhs, Value acc) {
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

Value ContractionEmitter::addTo(Value lhs, Value rhs) {
  if (isa<FloatType>(accType))
    return arith::AddFOp::create(b, loc, lhs, rhs);
  return arith::AddIOp::create(b, loc, lhs, rhs);
}

SmallVector<Value>
ContractionEmitter::reduce(ArrayRef<unsigned> over, SmallVector<Value> sums,
                           int64_t step,
                           function_ref<SmallVector<Value>(ValueRange)> body) {
  // A block is so many iterations of the innermost loop whose products, with
  // those of the loops inside it, are more than `nestPlan.block`; as many in
  // each, so that the last one is no shorter than it has to be.
  int64_t blockedLoop = -1, iterations = 0, inside = 1;
  for (unsigned d = over.size(); d-- > 0 && nestPlan.block > 0;) {
    int64_t most = std::max<int64_t>(nestPlan.block / inside, 1);
    int64_t len =
        std::max<int64_t>(e.rangeOf(anchor->loops[over[d]]).maxLen, 1);
    if (len > most) {
      blockedLoop = d;
      int64_t unit = d + 1 == over.size() ? step : 1;
      iterations = std::max(most / unit * unit, unit);
      if (std::optional<int64_t> all =
              e.rangeOf(anchor->loops[over[d]]).staticLen) {
        int64_t count = llvm::divideCeil(*all, iterations);
        iterations = llvm::alignTo(llvm::divideCeil(*all, count), unit);
      }
      break;
    }
    inside *= len;
  }
  std::function<SmallVector<Value>(unsigned, ValueRange)> nestLoops =
      [&](unsigned d, ValueRange carried) -> SmallVector<Value> {
    if (d == over.size())
      return body(carried);
    TileRange range = e.rangeOf(anchor->loops[over[d]]);
    Value hi = e.add(range.lo, range.len);
    auto inner = [&](Value lo, Value end, ValueRange from) {
      return e.forCarry(lo, end, d + 1 == over.size() ? step : 1, from,
                        [&](Value iv, ValueRange values) {
                          loops[over[d]] = e.uniform(iv);
                          return nestLoops(d + 1, values);
                        });
    };
    if (static_cast<int64_t>(d) != blockedLoop)
      return inner(range.lo, hi, carried);
    if (!carried.empty())
      return sumInBlocks(range, iterations, carried, inner);
    // Totals are in scratch.
    e.forLoop(range.lo, hi, iterations, [&](Value iv) {
      addToTotals(inner(iv, blockEnd(range, iv, iterations), zerosLike(sums)));
    });
    return {};
  };
  if (blockedLoop < 0 || !nestPlan.totalsInScratch ||
      getStageMemoryType(accType) != accType)
    return nestLoops(0, sums);
  storeTotals(sums);
  nestLoops(0, {});
  return loadTotals(sums);
}

/// Where total `i` is. LLVM would hand what is stored on in registers, of which
/// the sums of the next block then have too few: they are in memory in the
/// innermost loop. So what is read has an address of which LLVM does not know
/// that it is the one that was written: tiles are counted from 0.
Value ContractionEmitter::totalPlace(int64_t i, bool isRead) {
  Value place = e.constant(i * lanes);
  if (!isRead)
    return place;
  if (!hiddenZero)
    hiddenZero = arith::MinSIOp::create(e.entry, loc, e.func.getArgument(0),
                                        e.constant(0));
  return arith::AddIOp::create(b, loc, hiddenZero, place);
}

void ContractionEmitter::storeTotals(ArrayRef<Value> sums) {
  auto most = static_cast<int64_t>(sums.size());
  if (!totalScratch || cast<MemRefType>(totalScratch.getType()).getNumElements() <
                           most * lanes)
    totalScratch = e.allocScratch(
        accType, std::max(most, nestPlan.rows * nestPlan.vectors) * lanes);
  for (auto [i, sum] : llvm::enumerate(sums))
    vector::StoreOp::create(b, loc, sum, totalScratch,
                            ValueRange{totalPlace(i, /*isRead=*/false)});
}

SmallVector<Value> ContractionEmitter::loadTotals(ArrayRef<Value> like) {
  SmallVector<Value> totals;
  for (auto [i, value] : llvm::enumerate(like))
    totals.push_back(
        vector::LoadOp::create(b, loc, cast<VectorType>(value.getType()),
                               totalScratch,
                               ValueRange{totalPlace(i, /*isRead=*/true)}));
  return totals;
}

void ContractionEmitter::addToTotals(ArrayRef<Value> sums) {
  SmallVector<Value> totals = loadTotals(sums);
  for (auto [total, sum] : llvm::zip(totals, sums))
    total = addTo(total, sum);
  storeTotals(totals);
}

SmallVector<Value> ContractionEmitter::sumInBlocks(
    const TileRange &range, int64_t block, ValueRange sums,
    function_ref<SmallVector<Value>(Value, Value, ValueRange)> body) {
  Value hi = e.add(range.lo, range.len);
  if (range.staticLen && *range.staticLen <= block)
    return body(range.lo, hi, sums);
  return e.forCarry(
      range.lo, hi, block, sums, [&](Value iv, ValueRange total) {
        Value end = blockEnd(range, iv, block);
        SmallVector<Value> next;
        for (auto [sum, more] :
             llvm::zip(total, body(iv, end, zerosLike(total))))
          next.push_back(addTo(sum, more));
        return next;
      });
}

Value ContractionEmitter::blockEnd(const TileRange &range, Value begin,
                                   int64_t block) {
  Value end = e.addConstant(begin, block);
  if (range.staticLen && *range.staticLen % block == 0)
    return end;
  return arith::MinSIOp::create(b, loc, end, e.add(range.lo, range.len));
}

Value ContractionEmitter::zeroLike(Value value) {
  return arith::ConstantOp::create(b, loc, b.getZeroAttr(value.getType()));
}

SmallVector<Value> ContractionEmitter::zerosLike(ValueRange values) {
  return llvm::map_to_vector(values,
                             [&](Value value) { return zeroLike(value); });
}

LaneIndex ContractionEmitter::atClass(unsigned cls) {
  for (auto [l, loop] : llvm::enumerate(anchor->loops))
    if (loop.cls == cls)
      return loops[l];
  return e.uniform(e.constant(0));
}

Value ContractionEmitter::maskOf(int64_t v) {
  if (!laneCount)
    return Value();
  Value count = e.addConstant(laneCount, -v * lanes);
  return e.maskUpTo(count, lanes);
}

void ContractionEmitter::outerBlock(int64_t rows, int64_t vectors) {
  int64_t width = nestPlan.vector >= 0 ? lanes : 1;
  SmallVector<Value> masks;
  for (int64_t v = 0; v < vectors; ++v)
    masks.push_back(maskOf(v));
  SmallVector<Value> sums;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t v = 0; v < vectors; ++v) {
      setRow(r);
      setLanes(v);
      Place place;
      place.lanes = width;
      place.mask = masks[v];
      sums.push_back(e.toVector(e.evalOperand(anchor, 2, loops, place), width));
    }
  auto load = [&](unsigned number, int64_t r, int64_t v) -> Value {
    setRow(r);
    setLanes(v);
    if (number == laneOperand && (nestPlan.atom || nestPlan.packs(number)))
      return nestPlan.atom ? loadLanes(v) : convert(number, loadLanes(v), width);
    if (nestPlan.atom)
      return loadGroup(r);
    if (number == rowOperand && nestPlan.packs(number))
      return convert(number, loadRow(), width);
    Place place;
    place.lanes = width;
    // A packed panel is padded: no mask needed along it.
    const Access &access = anchor->operands[number];
    if (!access.panel || int64_t(access.panelLoop) != nestPlan.vector)
      place.mask = masks[v];
    return convert(number, e.evalOperand(anchor, number, loops, place), width);
  };
  sums = reduce(reduced, sums, nestPlan.atom ? group : 1,
                [&](ValueRange carried) {
    // Each operand once per index it depends on.
    SmallVector<Value> loaded[2];
    bool onRow[2], onLane[2];
    for (unsigned number = 0; number < 2; ++number) {
      onRow[number] = dependsOn(number, nestPlan.row);
      onLane[number] = dependsOn(number, nestPlan.vector);
      for (int64_t r = 0; r < (onRow[number] ? rows : 1); ++r)
        for (int64_t v = 0; v < (onLane[number] ? vectors : 1); ++v)
          loaded[number].push_back(load(number, r, v));
    }
    SmallVector<Value> next;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t v = 0; v < vectors; ++v) {
        auto pick = [&](unsigned number) {
          int64_t stride = onLane[number] ? vectors : 1;
          return loaded[number][(onRow[number] ? r : 0) * stride +
                                (onLane[number] ? v : 0)];
        };
        Value acc = carried[r * vectors + v];
        if (nestPlan.atom)
          next.push_back(hr::GroupDotOp::create(
              b, loc, acc.getType(), nestPlan.atom.getInstruction(),
              pick(rowOperand), pick(laneOperand), acc));
        else
          next.push_back(multiplyAdd(pick(0), pick(1), acc));
      }
    return next;
  });
  storeSums(sums, rows, vectors, masks);
}

void ContractionEmitter::storeSums(ArrayRef<Value> sums, int64_t rows,
                                   int64_t vectors, ArrayRef<Value> masks) {
  if (rows > 1 && storesAlongRows(e.analysis, nest, nestPlan))
    return storeTransposed(sums, rows, vectors);
  int64_t width = nestPlan.vector >= 0 ? lanes : 1;
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

void ContractionEmitter::storeTransposed(ArrayRef<Value> sums, int64_t rows,
                                         int64_t vectors) {
  int64_t width = llvm::PowerOf2Ceil(rows);
  Value zero = arith::ConstantOp::create(
      b, loc, b.getZeroAttr(VectorType::get({lanes}, accType)));
  Value mask;
  if (width != rows)
    mask = e.maskUpTo(e.constant(rows), width);
  if (!sumScratch)
    sumScratch = e.allocScratch(
        accType, lanes * llvm::PowerOf2Ceil(uint64_t(nestPlan.rows)));
  for (int64_t v = 0; v < vectors; ++v) {
    SmallVector<Value> block;
    for (int64_t r = 0; r < width; ++r)
      block.push_back(r < rows ? sums[r * vectors + v] : zero);
    SmallVector<Value> columns = transpose(block);
    for (auto [l, column] : llvm::enumerate(columns))
      vector::StoreOp::create(b, loc, column, sumScratch,
                              ValueRange{e.constant(l * width)});
    Value count = e.constant(lanes);
    if (laneCount) {
      count = e.addConstant(laneCount, -v * lanes);
      count = arith::MinSIOp::create(b, loc, count, e.constant(lanes));
    }
    Value first = e.addConstant(firstLane, v * lanes);
    e.forLoop(e.constant(0), count, 1, [&](Value l) {
      Value column = vector::LoadOp::create(
          b, loc, VectorType::get({width}, accType), sumScratch,
          ValueRange{e.mul(l, e.constant(width))});
      loops[nestPlan.vector] = e.uniform(e.add(first, l));
      loops[nestPlan.row] = {firstRow, SizeExpr(1)};
      Place place;
      place.lanes = width;
      place.mask = mask;
      e.emitSinks(
          nest, [&](unsigned cls) { return atClass(cls); }, place, {column});
    });
  }
}

void ContractionEmitter::fragmentBlock(int64_t rows, int64_t vectors) {
  hr::AtomAttr atom = nestPlan.atom;
  int64_t m = atom.getM(), n = atom.getN(), k = atom.getK();
  int64_t down = llvm::divideCeil(rows, m);
  int64_t across = llvm::divideCeil(vectors * lanes, n);
  auto typeOf = [&](unsigned number) {
    return getElementTypeOrSelf(
        linalgOp.getDpsInputOperand(number)->get().getType());
  };
  MLIRContext *context = b.getContext();
  auto rowType = hr::FragmentType::get(context, m, k, typeOf(rowOperand));
  auto laneType = hr::FragmentType::get(context, k / group, n * group,
                                        typeOf(laneOperand));
  auto sumType = hr::FragmentType::get(context, m, n, accType);
  setRow(0);
  setLanes(0);
  SmallVector<Value> sums;
  for (int64_t i = 0; i < down * across; ++i)
    sums.push_back(hr::FragmentZeroOp::create(b, loc, sumType));
  sums = reduce(reduced, sums, k, [&](ValueRange carried) {
    SmallVector<Value> right;
    for (int64_t c = 0; c < across; ++c) {
      Address from = laneFragment(c * n);
      right.push_back(hr::FragmentLoadOp::create(b, loc, laneType, from.memref,
                                                 from.at, from.stride));
    }
    SmallVector<Value> next;
    for (int64_t r = 0; r < down; ++r) {
      Address from = rowFragment(r * m);
      Value left = hr::FragmentLoadOp::create(b, loc, rowType, from.memref,
                                              from.at, from.stride);
      for (int64_t c = 0; c < across; ++c)
        next.push_back(hr::FragmentMultiplyOp::create(
            b, loc, sumType, atom.getInstruction(), left, right[c],
            carried[r * across + c]));
    }
    return next;
  });

  // Through scratch to vectors, for the rows that there are.
  int64_t width = across * n;
  if (!sumScratch)
    sumScratch = e.allocScratch(
        accType, llvm::alignTo(nestPlan.rows, m) *
                     llvm::alignTo(nestPlan.vectors * lanes, n));
  for (int64_t r = 0; r < down; ++r)
    for (int64_t c = 0; c < across; ++c)
      hr::FragmentStoreOp::create(b, loc, sums[r * across + c], sumScratch,
                                  e.constant(r * m * width + c * n),
                                  e.constant(width));
  TileRange range = e.rangeOf(anchor->loops[nestPlan.row]);
  Value count = e.constant(rows);
  if (!range.staticLen)
    count = arith::MinSIOp::create(
        b, loc, count,
        arith::SubIOp::create(b, loc, e.add(range.lo, range.len), firstRow));
  Value first = firstRow;
  SmallVector<Value> masks;
  for (int64_t v = 0; v < vectors; ++v)
    masks.push_back(maskOf(v));
  e.forLoop(e.constant(0), count, 1, [&](Value r) {
    firstRow = e.add(first, r);
    SmallVector<Value> values;
    for (int64_t v = 0; v < vectors; ++v) {
      setRow(0);
      setLanes(v);
      Place place;
      place.lanes = lanes;
      place.mask = masks[v];
      Value init =
          e.toVector(e.evalOperand(anchor, 2, loops, place), lanes);
      Value at = e.addConstant(e.mul(r, e.constant(width)), v * lanes);
      Value sum = vector::LoadOp::create(b, loc,
                                         VectorType::get({lanes}, accType),
                                         sumScratch, ValueRange{at});
      e.emitSinks(
          nest, [&](unsigned cls) { return atClass(cls); }, place,
          {addTo(init, sum)});
    }
  });
  firstRow = first;
}

void ContractionEmitter::dotBlock(int64_t rows) {
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
  sums = reduce(reduced, sums, 1, [&](ValueRange carried) {
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
    auto wholeVectors = [&](Value lo, Value end, ValueRange from) {
      return e.forCarry(lo, end, lanes, from,
                        [&](Value iv, ValueRange values) {
                          return step(iv, Value(), values);
                        });
    };
    SmallVector<Value> values;
    if (nestPlan.block > 0 && range.maxLen / lanes > nestPlan.block) {
      TileRange part = range;
      part.len = arith::SubIOp::create(b, loc, whole, range.lo);
      if (range.staticLen)
        part.staticLen = *range.staticLen / lanes * lanes;
      values = sumInBlocks(part, nestPlan.block * lanes, carried,
                           wholeVectors);
    } else {
      values = wholeVectors(range.lo, whole, carried);
    }
    if (e.asConstant(rest) == 0)
      return values;
    return e.forCarry(whole, hi, lanes, values,
                      [&](Value iv, ValueRange from) {
                        return step(iv, e.maskUpTo(rest, lanes), from);
                      });
  });
  loops[vectorLoop] = e.uniform(e.constant(0));
  for (int64_t r = 0; r < rows; ++r) {
    Value value = e.reduceLanes(
        sums[r], [&](Value x, Value y) { return addTo(x, y); });
    setRow(r);
    Place place;
    Value init = e.evalOperand(anchor, 2, loops, place);
    e.emitSinks(
        nest, [&](unsigned cls) { return atClass(cls); }, place,
        {addTo(init, value)});
  }
}

void StageEmitter::emitContraction(const Nest &nest,
                                   const NestPlan &nestPlan) {
  ContractionEmitter(*this, nest, nestPlan).emit();
}
