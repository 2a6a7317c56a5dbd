//===- StageOperands.cpp - What the tiles of a stage touch ----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "StageOperands.h"

#include "headrace/Dialect/HR/HRUtils.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

StageOperands::StageOperands(MLIRContext *context,
                             const StageAnalysis &analysis,
                             const StagePlan &plan)
    : context(context), analysis(analysis), plan(plan) {
  for (auto [c, tile] : llvm::enumerate(plan.tile))
    if (tile > 0) {
      tiled.push_back(c);
      grid.push_back(
          analysis.getClasses()[c].extent.ceilDiv(SizeExpr(tile)));
    }
  if (grid.empty())
    grid.push_back(SizeExpr(1));
}

void StageOperands::add(Value value, BufferRef ref) {
  auto *known = llvm::find_if(operands, [&](const StageOperand &operand) {
    return operand.ref == ref;
  });
  numbers[value] = known - operands.begin();
  if (known != operands.end())
    return;
  auto buffer = ref.buffer.getDefiningOp<hr::BufferOp>();
  StageOperand &operand = operands.emplace_back();
  operand.ref = ref;
  operand.dims = hr::getSizes(buffer.getDims());
  operand.elementType =
      cast<hr::BufferType>(buffer.getType()).getElementType();
}

//===----------------------------------------------------------------------===//
// Footprints
//===----------------------------------------------------------------------===//

hr::FootprintAttr StageOperands::getWhole(hr::SizeAttr touched) {
  return hr::FootprintAttr::get(
      context, AffineMap::get(std::max<size_t>(tiled.size(), 1), 0, context),
      ArrayAttr::get(context, {}), touched);
}

/// How many indices a tile of the node touches of what it reads or writes once
/// per iteration of the loops that `index` (if known) depends on.
hr::SizeAttr StageOperands::countTouched(const Node *node,
                                         ArrayRef<Linear> index) {
  SizeExpr count(1);
  for (auto [l, loop] : llvm::enumerate(node->loops)) {
    bool depends = index.empty() || llvm::any_of(index, [&](const Linear &one) {
                     return one.coef[l] != SizeExpr(0);
                   });
    if (depends)
      count = count * (llvm::is_contained(tiled, loop.cls)
                           ? SizeExpr::min(plan.tile[loop.cls], loop.extent)
                           : loop.extent);
  }
  return hr::SizeAttr::get(context, count);
}

/// The part of a buffer that a node touches at `index` (one linear function of
/// its loops per dimension) in a tile.
hr::FootprintAttr StageOperands::getPart(const Node *node,
                                         ArrayRef<Linear> index,
                                         ArrayRef<SizeExpr> dims) {
  SmallVector<AffineExpr> origin;
  SmallVector<SizeExpr> extent;
  bool allExact = true;
  for (auto [p, linear] : llvm::enumerate(index)) {
    AffineExpr lo = getAffineConstantExpr(0, context);
    SizeExpr length(1);
    bool exact = true;
    if (std::optional<int64_t> offset = linear.offset.getConstant())
      lo = lo + *offset;
    else
      exact = false;
    for (auto [l, coef] : llvm::enumerate(linear.coef)) {
      if (coef == SizeExpr(0))
        continue;
      std::optional<int64_t> factor = coef.getConstant();
      if (!factor || *factor < 0) {
        exact = false;
        break;
      }
      unsigned cls = node->loops[l].cls;
      auto it = llvm::find(tiled, cls);
      if (it == tiled.end()) {
        length = length + coef * (node->loops[l].extent - SizeExpr(1));
        continue;
      }
      lo = lo + getAffineDimExpr(it - tiled.begin(), context) *
                    (*factor * plan.tile[cls]);
      length = length + coef * SizeExpr(plan.tile[cls] - 1);
    }
    if (!exact) {
      lo = getAffineConstantExpr(0, context);
      length = dims[p];
      allExact = false;
    }
    origin.push_back(lo);
    extent.push_back(length);
  }
  return hr::FootprintAttr::get(
      context,
      AffineMap::get(std::max<size_t>(tiled.size(), 1), 0, origin, context),
      hr::getSizeArrayAttr(context, extent),
      allExact ? hr::SizeAttr() : countTouched(node, index));
}

/// The smallest footprint we can say that covers both.
hr::FootprintAttr StageOperands::join(hr::FootprintAttr a,
                                      hr::FootprintAttr b,
                                      ArrayRef<SizeExpr> dims) {
  if (!a || a == b)
    return b;
  if (!b)
    return a;
  if (a.isWhole() || b.isWhole())
    return getWhole(); // without a count: the two may differ
  SmallVector<AffineExpr> origin;
  SmallVector<Attribute> extent;
  for (unsigned p = 0; p < dims.size(); ++p) {
    AffineExpr ao = a.getOrigin().getResult(p), bo = b.getOrigin().getResult(p);
    if (ao == bo && a.getExtent()[p] == b.getExtent()[p]) {
      origin.push_back(ao);
      extent.push_back(a.getExtent()[p]);
      continue;
    }
    origin.push_back(getAffineConstantExpr(0, context));
    extent.push_back(hr::SizeAttr::get(context, dims[p]));
  }
  return hr::FootprintAttr::get(
      context, AffineMap::get(a.getOrigin().getNumDims(), 0, origin, context),
      ArrayAttr::get(context, extent));
}

//===----------------------------------------------------------------------===//
// Accesses
//===----------------------------------------------------------------------===//

void StageOperands::note(StageOperand &operand, hr::FootprintAttr print) {
  operand.print = join(operand.print, print, operand.dims);
}

void StageOperands::noteRead(const Node *node, const Access &access,
                             bool gathers) {
  if (!access.source || !access.isInput() ||
      !isa<RankedTensorType>(access.source.getType()))
    return;
  auto at = numbers.find(access.source);
  if (at == numbers.end())
    return; // an empty tensor, which has nothing to read
  StageOperand &operand = operands[at->second];
  operand.read = true;
  if (access.gather) {
    Linear touched{SizeExpr(0), {}};
    for (unsigned l = 0; l < node->loops.size(); ++l)
      touched.coef.push_back(SizeExpr(access.dependsOn(l)));
    note(operand, getWhole(countTouched(node, touched)));
  } else if (access.panel) {
    // Panels are no rectangle of what is stored, but only so many.
    note(operand, getWhole(countTouched(node, access.logical)));
  } else if (gathers) {
    note(operand, getWhole(countTouched(node, {})));
  } else if (!access.index.empty() &&
             access.index.size() == operand.dims.size()) {
    note(operand, getPart(node, access.index, operand.dims));
  } else {
    note(operand, getWhole());
  }
}

void StageOperands::noteUpdate(const Node *node) {
  StageOperand &operand = operands[numbers.lookup(node->source->source)];
  operand.write = operand.keeps = true;
  if (node->kind == NodeKind::Update)
    return note(operand, getPart(node, node->source->logical, operand.dims));
  operand.read = true;
  note(operand, getWhole(countTouched(node, {})));
}

void StageOperands::noteResult(const Node *node, OpResult result) {
  auto it = numbers.find(result);
  if (it == numbers.end())
    return;
  StageOperand &operand = operands[it->second];
  operand.write = true;
  SmallVector<Linear> index;
  for (unsigned loop : node->resultLoops[result.getResultNumber()]) {
    Linear &linear = index.emplace_back();
    linear.coef.assign(node->loops.size(), SizeExpr(0));
    linear.coef[loop] = SizeExpr(1);
  }
  note(operand, getPart(node, index, operand.dims));
}

void StageOperands::findFootprints() {
  for (const auto &node : analysis.getNodes()) {
    for (const Access &access : node->operands)
      noteRead(node.get(), access, /*gathers=*/false);
    if (node->source && node->kind == NodeKind::Map &&
        !analysis.isLookedThrough(node.get()))
      noteRead(node.get(), *node->source, /*gathers=*/true);
    if (node->kind == NodeKind::Update || node->kind == NodeKind::Scatter)
      noteUpdate(node.get());
    else
      for (OpResult result : node->op->getResults())
        noteResult(node.get(), result);
  }
  for (StageOperand &operand : operands)
    if (!operand.print)
      operand.print = getWhole();
}
