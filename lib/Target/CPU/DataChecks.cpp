//===- DataChecks.cpp - Conditions on data, checked by stages -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The indices of gathers and scatters, and hr.check in bodies. What breaks a
// condition is reported to the context as headrace/Target/StageABI.h says, in a
// branch that is not taken as long as the data is good: there the good path has
// one comparison and nothing else. At a bad position nothing is read and nothing
// is written; there need not be a good one, where an extent is zero.
//
//===----------------------------------------------------------------------===//

#include "StageEmitter.h"

#include "headrace/Target/StageABI.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

//===----------------------------------------------------------------------===//
// Reports
//===----------------------------------------------------------------------===//

int64_t StageEmitter::siteOf(Operation *op, StringRef what, StringRef message,
                             bool ranged) {
  auto module = func->getParentOfType<ModuleOp>();
  auto sites = module->getAttrOfType<ArrayAttr>(sitesAttribute);
  SmallVector<Attribute> list;
  if (sites)
    list.assign(sites.begin(), sites.end());
  Attribute site = hr::getSiteAttr(op->getLoc(), what, message, ranged);
  int64_t number = llvm::find(list, site) - list.begin();
  if (number == static_cast<int64_t>(list.size())) {
    list.push_back(site);
    module->setAttr(sitesAttribute, b.getArrayAttr(list));
  }
  return number;
}

/// The runtime's function, declared in the module.
static func::FuncOp getErrorFunction(OpBuilder &b, Location loc,
                                     ModuleOp module) {
  if (auto callee = module.lookupSymbol<func::FuncOp>(stageErrorFunction))
    return callee;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(module.getBody());
  Type i64 = b.getI64Type();
  auto callee = func::FuncOp::create(
      b, loc, stageErrorFunction, b.getFunctionType({i64, i64, i64, i64}, {}));
  callee.setPrivate();
  // Branches that lead there are unlikely.
  callee->setAttr("passthrough", b.getStrArrayAttr({"cold"}));
  return callee;
}

void StageEmitter::reportWhere(int64_t site, Value isBad, Value value,
                               Value bound) {
  Type i64 = b.getI64Type();
  auto wide = [&](Value number) -> Value {
    if (number.getType() == i64)
      return number;
    if (number.getType().isIndex())
      return arith::IndexCastOp::create(b, loc, i64, number);
    return arith::ExtSIOp::create(b, loc, i64, number);
  };
  func::FuncOp callee =
      getErrorFunction(b, loc, func->getParentOfType<ModuleOp>());
  auto report = [&](Value number, Value limit) {
    Value context = memref::ExtractAlignedPointerAsIndexOp::create(
        b, loc, func.getArgument(3));
    Value where =
        arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(site));
    func::CallOp::create(
        b, loc, callee,
        ValueRange{wide(context), where, wide(number), wide(limit)});
  };
  auto lanes = dyn_cast<VectorType>(isBad.getType());
  if (!lanes)
    return report(value, bound);
  auto onLane = [&](Value of, int64_t lane) -> Value {
    return isa<VectorType>(of.getType())
               ? vector::ExtractOp::create(b, loc, of, lane).getResult()
               : of;
  };
  for (int64_t lane = 0; lane < lanes.getDimSize(0); ++lane) {
    auto branch = scf::IfOp::create(b, loc, onLane(isBad, lane));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    report(onLane(value, lane), onLane(bound, lane));
  }
}

Value StageEmitter::ifGood(Value isBad, Type type, function_ref<Value()> bad,
                           function_ref<Value()> good) {
  auto branch = scf::IfOp::create(b, loc, TypeRange{type}, isBad,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, loc, bad());
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, loc, good());
  return branch.getResult(0);
}

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

DataAddress StageEmitter::dataAddress(const Node *node,
                                      ArrayRef<Value> indices,
                                      ArrayRef<LaneIndex> loops,
                                      Place &place) {
  const hr::TileRegion &region = *node->region;
  SmallVector<SizeExpr> extents =
      *hr::getDims(node->op->getOperand(region.operand));
  const Access &access = *node->source;
  DataAddress result{{size(access.address.offset), SizeExpr(0)}, {}};
  LaneIndex &at = result.at;
  Value laneOffsets; // vector of index: the data-dependent part
  for (auto [d, k] : llvm::enumerate(region.data)) {
    SizeExpr stride = access.address.coef[d];
    if (k < 0) {
      LaneIndex direct = evalLinear(access.logical[d], loops);
      at.base = add(at.base, mul(direct.base, size(stride)));
      at.step = at.step + stride * direct.step;
      continue;
    }
    Value index = indices[k], original = index;
    bool vector = isa<VectorType>(index.getType());
    // An extent that the index's type cannot hold is compared in 64 bits.
    unsigned width =
        getElementTypeOrSelf(index.getType()).getIntOrFloatBitWidth();
    if (width < 64 &&
        extents[d].bounds(symbolRanges).max > llvm::maxIntN(width)) {
      Type wide = b.getI64Type();
      if (vector)
        wide = VectorType::get({place.lanes}, wide);
      index = arith::ExtSIOp::create(b, loc, wide, index);
    }
    Type indexType = getElementTypeOrSelf(index.getType());
    auto like = [&](Value scalar) {
      return vector ? toVector(scalar, place.lanes) : scalar;
    };
    Value bound = size(extents[d]);
    Value limit = like(arith::IndexCastOp::create(b, loc, indexType, bound));
    if (region.wraps) {
      Value zero = like(scalarConstant(indexType, 0));
      Value negative = arith::CmpIOp::create(
          b, loc, arith::CmpIPredicate::slt, index, zero);
      Value shifted = arith::AddIOp::create(b, loc, index, limit);
      index = arith::SelectOp::create(b, loc, negative, shifted, index);
    }
    // Unsigned: a negative index is out of range too.
    Value isBad = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::uge,
                                        index, limit);
    if (vector && place.mask)
      isBad = arith::AndIOp::create(b, loc, isBad, place.mask);
    result.checks.push_back({original, bound, isBad});

    Type positionType = b.getIndexType();
    if (vector)
      positionType = VectorType::get({place.lanes}, positionType);
    Value position =
        arith::IndexCastOp::create(b, loc, positionType, index);
    if (!vector) {
      at.base = add(at.base, mul(position, size(stride)));
      continue;
    }
    Value scaled = arith::MulIOp::create(
        b, loc, position, toVector(size(stride), place.lanes));
    laneOffsets = laneOffsets ? arith::AddIOp::create(b, loc, laneOffsets,
                                                      scaled)
                                    .getResult()
                              : scaled;
  }
  if (laneOffsets) {
    // Fold the linear part in: `base` becomes a vector of positions.
    if (at.step != SizeExpr(0)) {
      Value steps = arith::MulIOp::create(
          b, loc, laneNumbers(place.lanes, b.getIndexType()),
          toVector(size(at.step), place.lanes));
      laneOffsets = arith::AddIOp::create(b, loc, laneOffsets, steps);
    }
    at.base = arith::AddIOp::create(b, loc, laneOffsets,
                                    toVector(at.base, place.lanes));
    at.step = SizeExpr(0);
  }
  return result;
}

Value StageEmitter::anyBad(ArrayRef<IndexCheck> checks) {
  // Lanes with lanes, scalars with scalars, so that lanes are reduced once.
  Value lanes, scalar;
  for (const IndexCheck &check : checks) {
    Value &all = isa<VectorType>(check.isBad.getType()) ? lanes : scalar;
    all = all ? arith::OrIOp::create(b, loc, all, check.isBad).getResult()
              : check.isBad;
  }
  if (!lanes)
    return scalar;
  Value any =
      vector::ReductionOp::create(b, loc, vector::CombiningKind::OR, lanes);
  return scalar ? arith::OrIOp::create(b, loc, any, scalar).getResult() : any;
}

void StageEmitter::reportBad(const Node *node, ArrayRef<IndexCheck> checks) {
  int64_t site =
      siteOf(node->op, node->region->what, "index", /*ranged=*/true);
  for (const IndexCheck &check : checks) {
    // Which of several it was is not known yet.
    if (isa<VectorType>(check.isBad.getType()) || checks.size() == 1) {
      reportWhere(site, check.isBad, check.index, check.bound);
      continue;
    }
    auto branch = scf::IfOp::create(b, loc, check.isBad);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    reportWhere(site, check.isBad, check.index, check.bound);
  }
}

Value StageEmitter::evalGather(const Node *node, ArrayRef<LaneIndex> loops,
                               Place &place) {
  SmallVector<Value> indices;
  for (unsigned i = 0; i < node->operands.size(); ++i)
    indices.push_back(evalOperand(node, i, loops, place));
  DataAddress address = dataAddress(node, indices, loops, place);
  Type elementType =
      cast<RankedTensorType>(node->op->getResult(0).getType())
          .getElementType();
  Value memref = inputs.lookup(node->source->source);
  if (address.checks.empty())
    return loadAt(memref, address.at, elementType, place);
  // One element, or one per lane.
  bool onLanes = place.lanes > 1 &&
                 (isa<VectorType>(address.at.base.getType()) ||
                  address.at.step != SizeExpr(0));
  Type type = elementType;
  if (onLanes)
    type = VectorType::get({place.lanes}, elementType);
  return ifGood(
      anyBad(address.checks), type,
      [&] {
        reportBad(node, address.checks);
        return toVector(scalarConstant(elementType, 0),
                        onLanes ? place.lanes : 1);
      },
      [&] { return loadAt(memref, address.at, elementType, place); });
}

Value StageEmitter::getDataOffset(const Access &access,
                                  ArrayRef<LaneIndex> loops) {
  const Node *gather = access.gather;
  SmallVector<LaneIndex> point;
  for (const Linear &linear : access.gatherPoint)
    point.push_back(evalLinear(linear, loops));
  Place place;
  SmallVector<Value> indices;
  for (unsigned i = 0; i < gather->operands.size(); ++i)
    indices.push_back(evalOperand(gather, i, point, place));
  // What the loops add is in the access's own address.
  SmallVector<LaneIndex> origin(gather->loops.size(), uniform(constant(0)));
  DataAddress address = dataAddress(gather, indices, origin, place);
  if (address.checks.empty())
    return address.at.base;
  // There is an element at index 0 (StageAnalysis::lookThrough).
  SizeExpr first = gather->source->address.offset;
  for (auto [d, map] : llvm::enumerate(gather->source->logical))
    if (!gather->region->hasData(d))
      first = first + map.offset * gather->source->address.coef[d];
  return ifGood(
      anyBad(address.checks), b.getIndexType(),
      [&] {
        reportBad(gather, address.checks);
        return size(first);
      },
      [&] { return address.at.base; });
}

//===----------------------------------------------------------------------===//
// hr.check
//===----------------------------------------------------------------------===//

Value StageEmitter::evalCheck(hr::CheckOp check, ArrayRef<Value> operands,
                              Place &place) {
  // As the op's: holds, value, otherwise, and a number with its bound.
  Value holds = operands[0], value = operands[1], otherwise = operands[2];
  auto lanes = dyn_cast<VectorType>(holds.getType());
  Value yes = arith::ConstantOp::create(b, loc, b.getBoolAttr(true));
  Value isBad = arith::XOrIOp::create(
      b, loc, holds, toVector(yes, lanes ? place.lanes : 1));
  if (lanes && place.mask)
    isBad = arith::AndIOp::create(b, loc, isBad, place.mask);
  if (lanes || isa<VectorType>(value.getType()) ||
      isa<VectorType>(otherwise.getType())) {
    value = toVector(value, place.lanes);
    otherwise = toVector(otherwise, place.lanes);
  }
  bool ranged = !check.getRange().empty();
  int64_t site =
      siteOf(check, check.getWhat(), check.getMessage(), ranged);
  Value any = isBad;
  if (lanes)
    any = vector::ReductionOp::create(b, loc, vector::CombiningKind::OR, isBad);
  return ifGood(
      any, value.getType(),
      [&]() -> Value {
        Value none = arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(0));
        // Without a number it does not matter on which lane.
        if (ranged)
          reportWhere(site, isBad, operands[3], operands[4]);
        else
          reportWhere(site, any, none, none);
        return lanes ? arith::SelectOp::create(b, loc, holds, value, otherwise)
                           .getResult()
                     : otherwise;
      },
      [&] { return value; });
}
