//===- TensorUtils.cpp - What the tensor passes share ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorUtils.h"

using namespace mlir;
using namespace headrace;

Value headrace::createReshape(OpBuilder &builder, Location loc, Value value,
                              ArrayRef<SizeExpr> dims) {
  FailureOr<SmallVector<SizeExpr>> from = hr::getDims(value);
  if (succeeded(from) && ArrayRef<SizeExpr>(*from) == dims)
    return value;
  auto type = cast<RankedTensorType>(value.getType());
  return hr::ReshapeOp::create(
      builder, loc,
      RankedTensorType::get(hr::getStaticShape(dims), type.getElementType()),
      value, hr::getSizeArrayAttr(builder.getContext(), dims));
}

SymbolRanges headrace::getRangesAround(Operation *op) {
  auto func = op->getParentOfType<func::FuncOp>();
  return func ? hr::getSymbolRanges(func) : SymbolRanges();
}

FailureOr<Sizes> headrace::getLoopSizes(linalg::GenericOp op) {
  SmallVector<std::optional<SizeExpr>> sizes(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(operand.get());
    if (failed(dims))
      return failure();
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [expr, size] : llvm::zip(map.getResults(), *dims))
      if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
        // Prefer a constant where operands spell one extent in two ways.
        std::optional<SizeExpr> &known = sizes[dim.getPosition()];
        if (!known || (size.isConstant() && !known->isConstant()))
          known = size;
      }
  }
  Sizes result;
  for (std::optional<SizeExpr> &size : sizes) {
    if (!size)
      return failure();
    result.push_back(*size);
  }
  return result;
}

bool headrace::coverLoops(ArrayRef<AffineMap> maps, unsigned numLoops) {
  llvm::SmallBitVector seen(numLoops);
  for (AffineMap map : maps)
    for (AffineExpr expr : map.getResults())
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        seen.set(dim.getPosition());
  return seen.all();
}

bool headrace::isElementwise(linalg::GenericOp op) {
  if (op->getNumResults() != 1 || op.getNumDpsInits() != 1 ||
      op.getNumParallelLoops() != op.getNumLoops())
    return false;
  OpOperand *init = op.getDpsInitOperand(0);
  return op.getMatchingIndexingMap(init).isPermutation() &&
         !op.payloadUsesValueFromOperand(init);
}

Attribute headrace::getSplat(Value tensor) {
  Attribute constant;
  if (auto fill = tensor.getDefiningOp<linalg::FillOp>()) {
    if (matchPattern(fill.getInputs()[0], m_Constant(&constant)) &&
        isa<IntegerAttr, FloatAttr>(constant))
      return constant;
    return {};
  }
  if (auto dense = tensor.getDefiningOp<arith::ConstantOp>())
    if (auto elements = dyn_cast<DenseElementsAttr>(dense.getValue()))
      if (elements.isSplat())
        return elements.getSplatValue<Attribute>();
  return {};
}

Value headrace::recreateInit(OpBuilder &builder, Value init,
                             ArrayRef<SizeExpr> dims) {
  auto type = cast<RankedTensorType>(init.getType());
  auto makeEmpty = [&] {
    return hr::createEmpty(builder, init.getLoc(), dims,
                           type.getElementType());
  };
  if (init.getDefiningOp<tensor::EmptyOp>())
    return makeEmpty();
  auto fill = init.getDefiningOp<linalg::FillOp>();
  if (!fill)
    return {};
  return linalg::FillOp::create(builder, init.getLoc(),
                                ValueRange{fill.getInputs()[0]},
                                ValueRange{makeEmpty()})
      .getResult(0);
}

GenericParts::GenericParts(linalg::GenericOp op)
    : iterators(op.getIteratorTypesArray()) {
  for (OpOperand &operand : op->getOpOperands()) {
    bool isInit = op.isDpsInit(&operand);
    (isInit ? inits : inputs).push_back(operand.get());
    (isInit ? initMaps : inputMaps)
        .push_back(op.getMatchingIndexingMap(&operand));
  }
}

SmallVector<AffineMap> GenericParts::maps() const {
  SmallVector<AffineMap> all(inputMaps);
  all.append(initMaps);
  return all;
}

linalg::GenericOp headrace::rebuildGeneric(
    OpBuilder &builder, linalg::GenericOp old, const GenericParts &parts,
    function_ref<Value(OpBuilder &, Block &, unsigned)> argument,
    function_ref<Value(OpBuilder &, Location, unsigned)> index) {
  SmallVector<Type> types;
  for (Value init : parts.inits)
    types.push_back(init.getType());
  auto result = linalg::GenericOp::create(builder, old.getLoc(), types,
                                          parts.inputs, parts.inits,
                                          parts.maps(), parts.iterators);
  // Discardable attributes travel along (remarks of earlier passes).
  result->setDiscardableAttrs(old->getDiscardableAttrDictionary());
  Block *block = new Block;
  result.getRegion().push_back(block);
  for (Value operand : result->getOperands())
    block->addArgument(getElementTypeOrSelf(operand.getType()), old.getLoc());

  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(block);
  IRMapping mapping;
  for (BlockArgument old : old.getBody()->getArguments())
    if (!old.use_empty())
      mapping.map(old, argument(builder, *block, old.getArgNumber()));
  for (Operation &op : *old.getBody()) {
    if (auto indexOp = dyn_cast<linalg::IndexOp>(op); indexOp && index) {
      mapping.map(indexOp.getResult(),
                  index(builder, op.getLoc(), indexOp.getDim()));
      continue;
    }
    builder.clone(op, mapping);
  }
  return result;
}

std::optional<int64_t> headrace::getCoefficient(AffineExpr expr, unsigned dim,
                                                unsigned numDims) {
  if (!expr.isPureAffine())
    return std::nullopt;
  MLIRContext *context = expr.getContext();
  SmallVector<AffineExpr> point(numDims, getAffineConstantExpr(0, context));
  auto valueAt = [&]() {
    return dyn_cast<AffineConstantExpr>(
        simplifyAffineExpr(expr.replaceDims(point), 0, 0));
  };
  auto zero = valueAt();
  point[dim] = getAffineConstantExpr(1, context);
  auto one = valueAt();
  if (!zero || !one)
    return std::nullopt;
  return one.getValue() - zero.getValue();
}

bool headrace::isRenaming(hr::ViewOp view) {
  Sizes dims = hr::getSizes(view.getDims());
  FailureOr<SmallVector<SizeExpr>> source = hr::getDims(view.getSource());
  if (failed(source))
    return false;
  for (const SizeExpr &offset : hr::getSizes(view.getOffsets()))
    if (!isZero(offset))
      return false;
  for (auto [expr, size] : llvm::zip(view.getMap().getResults(), *source)) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim || dims[dim.getPosition()] != size)
      return false;
  }
  return true;
}

bool headrace::isPermutation(hr::ViewOp view) {
  return view.getMap().isPermutation() && isRenaming(view);
}

bool headrace::isSlice(hr::ViewOp view) {
  unsigned next = 0, rank = view.getMap().getNumDims();
  for (AffineExpr expr : view.getMap().getResults()) {
    bool used = false;
    for (unsigned d = 0; d < rank; ++d) {
      if (!expr.isFunctionOfDim(d))
        continue;
      if (used || d != next)
        return false;
      used = true;
    }
    next += used;
  }
  return next == rank;
}
