//===- AccessChecks.cpp - Every access against its footprint --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A schedule is proved by footprints: which part of which buffer a tile touches.
// Whether the code touches no more than that is a matter of both being made of
// the same accesses; this is the test of it. After a stage's body is emitted,
// each load and store of it is preceded by a check, element by element: of an
// operand, that the index lies in the footprint; of scratch, that it lies in
// what was allocated. A violation is an error of the call, as bad data is.
//
//===----------------------------------------------------------------------===//

#include "StageEmitter.h"

#include "headrace/Target/StageABI.h"
#include "mlir/Dialect/Affine/Utils.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

namespace {
/// Elements that one operation touches: one per lane, or, of a fragment, one per
/// column and row.
struct Touched {
  Value memref;
  /// Of the first, or one per lane.
  Value position;
  /// As many, side by side, where `position` is one.
  int64_t lanes = 1;
  /// Null: all lanes exist.
  Value mask;
  /// Null: all lanes are used. Others only have to be in what the memref is:
  /// what a load reads and nobody uses may change meanwhile.
  Value used;
  /// Rows of `lanes` elements, `stride` apart.
  int64_t rows = 1;
  Value stride;
  bool isStore = false;
};
} // namespace

static int64_t getLanes(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? vector.getNumElements() : 1;
}

static std::optional<Touched> getTouched(Operation *op, OpBuilder &b) {
  Location loc = op->getLoc();
  Touched result;
  auto touch = [&](Value memref, Value position, Type elements,
                   Value mask = Value()) {
    result.memref = memref;
    result.position = position;
    result.lanes = getLanes(elements);
    result.mask = mask;
    result.isStore =
        op->getNumResults() == 0; // each of these loads or stores, not both
    return result;
  };
  auto scattered = [&](Value memref, Value base, Value positions, Value mask) {
    auto type = VectorType::get(getLanes(positions.getType()),
                                b.getIndexType());
    Value all = positions;
    if (all.getType() != type)
      all = arith::IndexCastOp::create(b, loc, type, positions);
    all = arith::AddIOp::create(
        b, loc, all, vector::BroadcastOp::create(b, loc, type, base));
    return touch(memref, all, type, mask);
  };
  auto fragment = [&](Value memref, Value at, Value stride, Type type) {
    auto shape = cast<hr::FragmentType>(type);
    touch(memref, at, type);
    result.lanes = shape.getColumns();
    result.rows = shape.getRows();
    result.stride = stride;
    return result;
  };
  if (auto load = dyn_cast<memref::LoadOp>(op))
    return touch(load.getMemref(), load.getIndices()[0], load.getType());
  if (auto store = dyn_cast<memref::StoreOp>(op))
    return touch(store.getMemref(), store.getIndices()[0],
                 store.getValue().getType());
  if (auto load = dyn_cast<vector::LoadOp>(op))
    return touch(load.getBase(), load.getIndices()[0], load.getType());
  if (auto store = dyn_cast<vector::StoreOp>(op))
    return touch(store.getBase(), store.getIndices()[0],
                 store.getValueToStore().getType());
  if (auto load = dyn_cast<vector::MaskedLoadOp>(op))
    return touch(load.getBase(), load.getIndices()[0], load.getType(),
                 load.getMask());
  if (auto store = dyn_cast<vector::MaskedStoreOp>(op))
    return touch(store.getBase(), store.getIndices()[0],
                 store.getValueToStore().getType(), store.getMask());
  if (auto gather = dyn_cast<vector::GatherOp>(op))
    return scattered(gather.getBase(), gather.getOffsets()[0],
                     gather.getIndices(), gather.getMask());
  if (auto scatter = dyn_cast<vector::ScatterOp>(op))
    return scattered(scatter.getBase(), scatter.getOffsets()[0],
                     scatter.getIndices(), scatter.getMask());
  if (auto load = dyn_cast<hr::FragmentLoadOp>(op))
    return fragment(load.getMemref(), load.getAt(), load.getStride(),
                    load.getType());
  if (auto store = dyn_cast<hr::FragmentStoreOp>(op))
    return fragment(store.getMemref(), store.getAt(), store.getStride(),
                    store.getValue().getType());
  return std::nullopt;
}

namespace headrace {
/// Checks accesses of a stage whose body is emitted.
class AccessChecker {
public:
  AccessChecker(StageEmitter &e, ArrayRef<StageFunction::OperandPart> parts);
  /// Puts the checks of `op`, if it loads or stores, before it.
  void check(Operation *op);

private:
  /// The corners of a footprint in this tile, and sizes.
  struct Box {
    SmallVector<Value> low, high, dims; // whole: `low` is empty
    Value total;
  };
  Box makeBox(const StageFunction::OperandPart &part);
  /// What each element that an operation touches has to lie in.
  struct Bounds {
    const Box *box = nullptr; // null: all of the memref
    /// Elements of the memref.
    Value total;
    /// What a violation is reported as.
    int64_t site = 0;

    bool isWhole() const { return !box || box->low.empty(); }
  };
  Bounds getBounds(const Touched &touched);
  /// The lanes that count of a load that reads more than it uses, else null.
  Value makeUsedLanes(Operation *op, int64_t lanes);
  void checkElements(const Touched &touched, const Bounds &bounds);
  void checkElement(const Bounds &bounds, Value at, Value isUsed);
  Value isOutside(const Bounds &bounds, Value at, Value isUsed);
  /// A loop only if there is more than one iteration.
  void repeat(int64_t count, function_ref<void(Value)> body);

  StageEmitter &e;
  OpBuilder &b;
  Location loc;
  SmallVector<Box> boxes; // one per operand
};
} // namespace headrace

AccessChecker::AccessChecker(StageEmitter &e,
                             ArrayRef<StageFunction::OperandPart> parts)
    : e(e), b(e.b), loc(e.loc) {
  OpBuilder::InsertionGuard guard(b);
  // The first coordinate is what is left when the others are divided off.
  b.setInsertionPointAfterValue(e.coordinates.empty() ? e.tileNumber
                                                      : e.coordinates.front());
  for (const StageFunction::OperandPart &part : parts)
    boxes.push_back(makeBox(part));
}

AccessChecker::Box
AccessChecker::makeBox(const StageFunction::OperandPart &part) {
  Box box;
  SizeExpr total(1);
  for (const SizeExpr &dim : part.dims) {
    total = total * dim;
    box.dims.push_back(e.size(SizeExpr::max(dim, 1)));
  }
  box.total = e.size(total);
  if (part.print.isWhole())
    return box;
  SmallVector<Value> at(e.coordinates);
  at.resize(part.print.getOrigin().getNumDims(), e.constant(0));
  std::optional<SmallVector<Value, 8>> origin =
      affine::expandAffineMap(b, loc, part.print.getOrigin(), at);
  for (auto [d, low] : llvm::enumerate(*origin)) {
    SizeExpr extent = hr::getSizes(part.print.getExtent())[d];
    box.low.push_back(low);
    box.high.push_back(e.add(low, e.size(extent)));
  }
  return box;
}

void AccessChecker::check(Operation *op) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(op);
  std::optional<Touched> touched = getTouched(op, b);
  if (!touched)
    return;
  touched->used = makeUsedLanes(op, touched->lanes);
  checkElements(*touched, getBounds(*touched));
}

Value AccessChecker::makeUsedLanes(Operation *op, int64_t lanes) {
  auto it = e.usedLanes.find(op);
  if (it == e.usedLanes.end())
    return Value();
  SmallVector<bool> used(lanes);
  for (int64_t lane : it->second)
    used[lane] = true;
  return arith::ConstantOp::create(
      b, loc,
      DenseElementsAttr::get(VectorType::get(lanes, b.getI1Type()), used));
}

AccessChecker::Bounds AccessChecker::getBounds(const Touched &touched) {
  Bounds bounds;
  std::string name = "scratch";
  if (auto arg = dyn_cast<BlockArgument>(touched.memref)) {
    unsigned number = arg.getArgNumber() - stageOperandsBegin;
    bounds.box = &boxes[number];
    bounds.total = bounds.box->total;
    name = "operand " + std::to_string(number);
  } else {
    bounds.total = e.constant(
        cast<MemRefType>(touched.memref.getType()).getDimSize(0));
  }
  std::string what = "stage '" + e.func.getSymName().str() + "' " +
                     (touched.isStore ? "stores to " : "loads from ") + name;
  bounds.site = e.siteOf(e.func, what,
                         bounds.isWhole()
                             ? "position"
                             : "outside the part that its schedule says",
                         /*ranged=*/bounds.isWhole());
  return bounds;
}

void AccessChecker::checkElements(const Touched &touched,
                                  const Bounds &bounds) {
  repeat(touched.rows, [&](Value row) {
    repeat(touched.lanes, [&](Value lane) {
      Value at = touched.position;
      if (isa<VectorType>(at.getType()))
        at = vector::ExtractOp::create(b, loc, at, lane);
      else
        at = arith::AddIOp::create(b, loc, at, lane);
      if (touched.stride)
        at = arith::AddIOp::create(
            b, loc, at, arith::MulIOp::create(b, loc, row, touched.stride));
      Value isUsed;
      if (touched.used)
        isUsed = vector::ExtractOp::create(b, loc, touched.used, lane);
      if (!touched.mask)
        return checkElement(bounds, at, isUsed);
      auto exists = scf::IfOp::create(
          b, loc, vector::ExtractOp::create(b, loc, touched.mask, lane));
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(exists.thenBlock());
      checkElement(bounds, at, isUsed);
    });
  });
}

void AccessChecker::checkElement(const Bounds &bounds, Value at,
                                 Value isUsed) {
  Value isBad = isOutside(bounds, at, isUsed);
  auto branch = scf::IfOp::create(b, loc, isBad);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  Value none = e.constant(0);
  bool isWhole = bounds.isWhole();
  e.reportWhere(bounds.site, isBad, isWhole ? at : none,
                isWhole ? bounds.total : none);
}

Value AccessChecker::isOutside(const Bounds &bounds, Value at, Value isUsed) {
  auto compare = [&](arith::CmpIPredicate predicate, Value x, Value y) {
    return arith::CmpIOp::create(b, loc, predicate, x, y).getResult();
  };
  Value isBad = compare(arith::CmpIPredicate::uge, at, bounds.total);
  if (bounds.isWhole())
    return isBad;
  const Box &box = *bounds.box;
  Value rest = at;
  for (size_t d = box.low.size(); d-- > 0;) {
    Value index = rest;
    if (d > 0) {
      index = arith::RemUIOp::create(b, loc, rest, box.dims[d]);
      rest = arith::DivUIOp::create(b, loc, rest, box.dims[d]);
    }
    Value below = compare(arith::CmpIPredicate::slt, index, box.low[d]);
    Value above = compare(arith::CmpIPredicate::sge, index, box.high[d]);
    Value isOut = arith::OrIOp::create(b, loc, below, above);
    if (isUsed)
      isOut = arith::AndIOp::create(b, loc, isOut, isUsed);
    isBad = arith::OrIOp::create(b, loc, isBad, isOut);
  }
  return isBad;
}

void AccessChecker::repeat(int64_t count, function_ref<void(Value)> body) {
  if (count == 1)
    return body(e.constant(0));
  auto loop = scf::ForOp::create(b, loc, e.constant(0), e.constant(count),
                                 e.constant(1));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void StageEmitter::checkAccesses(ArrayRef<StageFunction::OperandPart> parts) {
  // What is there before the checks' own code.
  SmallVector<Operation *> ops;
  func.walk([&](Operation *op) { ops.push_back(op); });
  AccessChecker checker(*this, parts);
  for (Operation *op : ops)
    checker.check(op);
}
