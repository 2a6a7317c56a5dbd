//===- TileableOps.cpp - Operations as nests of loops ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// TileableOp of hr's own operations; that of linalg's is in LinalgTileable.cpp.
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Dialect/HR/HRUtils.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::hr;

#include "headrace/Dialect/HR/TileableOp.cpp.inc"

static FailureOr<SmallVector<TileLoop>> parallelLoops(ArrayRef<SizeExpr> sizes) {
  SmallVector<TileLoop> loops;
  for (const SizeExpr &size : sizes)
    loops.push_back({size, true});
  return loops;
}

static FailureOr<SmallVector<TileLoop>> loopsOver(Value tensor) {
  FailureOr<SmallVector<SizeExpr>> dims = getDims(tensor);
  if (failed(dims))
    return failure();
  return parallelLoops(*dims);
}

static AffineMap identityOver(Value tensor) {
  return AffineMap::getMultiDimIdentityMap(
      cast<RankedTensorType>(tensor.getType()).getRank(), tensor.getContext());
}

static SmallVector<unsigned> identityLoops(Value tensor) {
  return llvm::to_vector(llvm::seq<unsigned>(
      0, cast<RankedTensorType>(tensor.getType()).getRank()));
}

static AffineMap mapOf(ArrayAttr maps, unsigned number) {
  return cast<AffineMapAttr>(maps[number]).getValue();
}

/// The index operands, from operand `first` on.
static void addIndexReads(SmallVectorImpl<TileRead> &reads, ArrayAttr maps,
                          unsigned first) {
  for (unsigned k = 0; k < maps.size(); ++k)
    reads.push_back({first + k, mapOf(maps, k)});
}

//===----------------------------------------------------------------------===//
// gather
//===----------------------------------------------------------------------===//

NestKind GatherOp::getNestKind() { return NestKind::Map; }

FailureOr<SmallVector<TileLoop>> GatherOp::getTileLoops() {
  return parallelLoops(getSizes(getDims()));
}

SmallVector<TileRead> GatherOp::getTileReads() {
  SmallVector<TileRead> reads;
  addIndexReads(reads, getIndexMaps(), /*first=*/1);
  return reads;
}

std::optional<TileRegion> GatherOp::getTileRegion() {
  TileRegion region;
  region.operand = 0;
  region.map = getSourceMap();
  region.data.assign(getSourceDims().begin(), getSourceDims().end());
  region.wraps = getWrap();
  region.what = getWhat();
  return region;
}

SmallVector<unsigned> GatherOp::getResultLoops(unsigned) {
  return identityLoops(getResult());
}

PointCost GatherOp::getPointCost() { return {4, false}; }
bool GatherOp::readsFromMemory(unsigned) { return false; }
StringRef GatherOp::getStageWord() { return "gather"; }

//===----------------------------------------------------------------------===//
// update, scatter
//===----------------------------------------------------------------------===//

NestKind UpdateOp::getNestKind() { return NestKind::Update; }

FailureOr<SmallVector<TileLoop>> UpdateOp::getTileLoops() {
  return loopsOver(getValue());
}

SmallVector<TileRead> UpdateOp::getTileReads() {
  return {{1, identityOver(getValue())}};
}

std::optional<TileRegion> UpdateOp::getTileRegion() {
  TileRegion region;
  region.operand = 0;
  region.map = getMap();
  region.offsets = getSizes(getOffsets());
  region.isOverwritten = true;
  return region;
}

SmallVector<unsigned> UpdateOp::getResultLoops(unsigned) { return {}; }
PointCost UpdateOp::getPointCost() { return {}; }
bool UpdateOp::readsFromMemory(unsigned) { return false; }
StringRef UpdateOp::getStageWord() { return "update"; }

NestKind ScatterOp::getNestKind() { return NestKind::Scatter; }

FailureOr<SmallVector<TileLoop>> ScatterOp::getTileLoops() {
  FailureOr<SmallVector<TileLoop>> loops = loopsOver(getUpdates());
  if (failed(loops))
    return failure();
  // Updates may collide along loops that only an index depends on: those run in
  // order.
  for (auto [l, loop] : llvm::enumerate(*loops)) {
    loop.parallel = false;
    for (auto [d, k] : llvm::enumerate(getSourceDims()))
      if (k < 0 && getSourceMap().getResult(d).isFunctionOfDim(l))
        loop.parallel = true;
  }
  return loops;
}

SmallVector<TileRead> ScatterOp::getTileReads() {
  SmallVector<TileRead> reads{{0, identityOver(getUpdates())}};
  addIndexReads(reads, getIndexMaps(), /*first=*/2);
  return reads;
}

std::optional<TileRegion> ScatterOp::getTileRegion() {
  TileRegion region;
  region.operand = 1;
  region.map = getSourceMap();
  region.data.assign(getSourceDims().begin(), getSourceDims().end());
  region.isOverwritten = true;
  region.wraps = getWrap();
  region.what = getWhat();
  return region;
}

SmallVector<unsigned> ScatterOp::getResultLoops(unsigned) { return {}; }
PointCost ScatterOp::getPointCost() { return {}; }
bool ScatterOp::readsFromMemory(unsigned) { return false; }
StringRef ScatterOp::getStageWord() { return "update"; }

//===----------------------------------------------------------------------===//
// softmax_sum
//===----------------------------------------------------------------------===//

NestKind SoftmaxSumOp::getNestKind() { return NestKind::SoftmaxSum; }

FailureOr<SmallVector<TileLoop>> SoftmaxSumOp::getTileLoops() {
  SmallVector<TileLoop> loops(mapOf(getMaps(), 0).getNumDims());
  Value values[] = {getLogits(), getValue(), getResult()};
  for (auto [number, value] : llvm::enumerate(values)) {
    FailureOr<SmallVector<SizeExpr>> sizes = hr::getDims(value);
    if (failed(sizes))
      return failure();
    for (auto [p, expr] : llvm::enumerate(mapOf(getMaps(), number).getResults()))
      loops[cast<AffineDimExpr>(expr).getPosition()].extent = (*sizes)[p];
  }
  for (auto [l, loop] : llvm::enumerate(loops))
    loop.parallel = mapOf(getMaps(), 2).isFunctionOfDim(l);
  return loops;
}

SmallVector<TileRead> SoftmaxSumOp::getTileReads() {
  return {{0, mapOf(getMaps(), 0)}, {1, mapOf(getMaps(), 1)}};
}

SmallVector<unsigned> SoftmaxSumOp::getResultLoops(unsigned) {
  SmallVector<unsigned> loops;
  for (AffineExpr expr : mapOf(getMaps(), 2).getResults())
    loops.push_back(cast<AffineDimExpr>(expr).getPosition());
  return loops;
}

PointCost SoftmaxSumOp::getPointCost() { return {2, true}; }
bool SoftmaxSumOp::mergesPartialResults() { return true; }
std::optional<ProductTypes> SoftmaxSumOp::getProductTypes() {
  // The weights may be rounded; they are summed as wide as the logits, at least.
  Type value = getElementTypeOrSelf(getValue());
  Type logits = getElementTypeOrSelf(getLogits());
  Type f32 = Float32Type::get(getContext());
  return ProductTypes{getWeights().value_or(f32), value,
                      logits.isF64() ? logits : f32};
}
StringRef SoftmaxSumOp::getStageWord() { return "softmax_sum"; }

//===----------------------------------------------------------------------===//
// scan, sort
//===----------------------------------------------------------------------===//

static FailureOr<SmallVector<TileLoop>> loopsInOrder(Value source,
                                                     uint64_t dim) {
  FailureOr<SmallVector<TileLoop>> loops = loopsOver(source);
  if (succeeded(loops))
    (*loops)[dim].parallel = false;
  return loops;
}

NestKind ScanOp::getNestKind() { return NestKind::Scan; }

FailureOr<SmallVector<TileLoop>> ScanOp::getTileLoops() {
  return loopsInOrder(getSource(), getDim());
}

SmallVector<TileRead> ScanOp::getTileReads() {
  return {{0, identityOver(getSource())}};
}

SmallVector<unsigned> ScanOp::getResultLoops(unsigned) {
  return identityLoops(getSource());
}

PointCost ScanOp::getPointCost() { return {}; }
StringRef ScanOp::getStageWord() { return "scan"; }

NestKind SortOp::getNestKind() { return NestKind::Sort; }

FailureOr<SmallVector<TileLoop>> SortOp::getTileLoops() {
  return loopsInOrder(getSource(), getDim());
}

SmallVector<TileRead> SortOp::getTileReads() {
  return {{0, identityOver(getSource())}};
}

SmallVector<unsigned> SortOp::getResultLoops(unsigned) {
  return identityLoops(getSource());
}

// Two comparisons per level of a heap, each behind a dependent load.
PointCost SortOp::getPointCost() { return {64, false}; }
StringRef SortOp::getStageWord() { return "sort"; }
