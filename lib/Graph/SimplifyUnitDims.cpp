//===- SimplifyUnitDims.cpp - Ops without dimensions of size one ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Models carry dimensions of size one (a batch of one, keepdim, unsqueeze).
// Each pattern here makes an op work on operands without them; the reshapes
// that it puts around cancel with those of its neighbours, so that only the
// borders of an entry keep any.
//
//===----------------------------------------------------------------------===//

#include "SimplifyPatterns.h"
#include "TensorUtils.h"

using namespace mlir;
using namespace headrace;

/// Which dimensions have size one, except `keep`.
static llvm::SmallBitVector findUnits(ArrayRef<SizeExpr> dims,
                                      int64_t keep = -1) {
  llvm::SmallBitVector units(dims.size());
  for (auto [d, size] : llvm::enumerate(dims))
    if (isOne(size) && static_cast<int64_t>(d) != keep)
      units.set(d);
  return units;
}

template <typename T>
static SmallVector<T> dropAt(ArrayRef<T> values,
                             const llvm::SmallBitVector &drop) {
  SmallVector<T> kept;
  for (auto [d, value] : llvm::enumerate(values))
    if (!drop.test(d))
      kept.push_back(value);
  return kept;
}

static Sizes dropSizes(ArrayRef<SizeExpr> values,
                       const llvm::SmallBitVector &drop) {
  return dropAt<SizeExpr>(values, drop);
}

/// `map` with the loops of `dims` at zero and gone, and the results of
/// `results` gone.
static AffineMap dropFromMap(AffineMap map, const llvm::SmallBitVector &dims,
                             const llvm::SmallBitVector &results) {
  MLIRContext *context = map.getContext();
  SmallVector<AffineExpr> replacements;
  unsigned next = 0;
  for (unsigned d = 0; d < map.getNumDims(); ++d)
    replacements.push_back(dims.test(d) ? getAffineConstantExpr(0, context)
                                        : getAffineDimExpr(next++, context));
  SmallVector<AffineExpr> exprs;
  for (auto [r, expr] : llvm::enumerate(map.getResults()))
    if (!results.test(r))
      exprs.push_back(simplifyAffineExpr(expr.replaceDims(replacements), next,
                                         0));
  return AffineMap::get(next, 0, exprs, context);
}


namespace {

struct GenericUnitDims : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    FailureOr<Sizes> loops = getLoopSizes(op);
    if (failed(loops))
      return rewriter.notifyMatchFailure(op, "loop sizes are not known");
    llvm::SmallBitVector units = findUnits(*loops);
    bool any = units.any();
    GenericParts parts(op);
    SmallVector<Sizes> oldResultDims;

    auto drop = [&](Value &value, AffineMap &map,
                    bool isInit) -> LogicalResult {
      FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(value);
      if (failed(dims))
        return failure();
      llvm::SmallBitVector gone = findUnits(*dims);
      any |= gone.any();
      map = dropFromMap(map, units, gone);
      Sizes kept = dropSizes(*dims, gone);
      if (!isInit) {
        if (gone.any())
          value = createReshape(rewriter, op.getLoc(), value, kept);
        return success();
      }
      oldResultDims.push_back(*dims);
      if (gone.none())
        return success();
      Value init = recreateInit(rewriter, value, kept);
      value = init ? init
                   : createReshape(rewriter, op.getLoc(), value, kept);
      return success();
    };
    // Look before building.
    for (Value operand : op->getOperands()) {
      FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(operand);
      if (failed(dims))
        return failure();
      any |= findUnits(*dims).any();
    }
    if (!any)
      return failure();
    for (auto [value, map] : llvm::zip(parts.inputs, parts.inputMaps))
      if (failed(drop(value, map, false)))
        return failure();
    for (auto [value, map] : llvm::zip(parts.inits, parts.initMaps))
      if (failed(drop(value, map, true)))
        return failure();
    parts.iterators =
        dropAt<utils::IteratorType>(parts.iterators, units);

    auto result = rebuildGeneric(
        rewriter, op, parts,
        [](OpBuilder &, Block &block, unsigned n) -> Value {
          return block.getArgument(n);
        },
        [&](OpBuilder &builder, Location loc, unsigned dim) -> Value {
          if (units.test(dim))
            return arith::ConstantIndexOp::create(builder, loc, 0);
          unsigned next = 0;
          for (unsigned d = 0; d < dim; ++d)
            next += !units.test(d);
          return linalg::IndexOp::create(builder, loc, next);
        });
    SmallVector<Value> replacements;
    for (auto [value, dims] : llvm::zip(result->getResults(), oldResultDims))
      replacements.push_back(
          createReshape(rewriter, op.getLoc(), value, dims));
    rewriter.replaceOp(op, replacements);
    return success();
  }
};

struct ViewUnitDims : OpRewritePattern<hr::ViewOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::ViewOp op,
                                PatternRewriter &rewriter) const override {
    FailureOr<SmallVector<SizeExpr>> source = hr::getDims(op.getSource());
    if (failed(source))
      return failure();
    Sizes dims = hr::getSizes(op.getDims());
    llvm::SmallBitVector gone = findUnits(*source), units = findUnits(dims);
    if (gone.none() && units.none())
      return failure();
    // An access in bounds of a dimension of size one is at zero.
    Value from = createReshape(rewriter, op.getLoc(), op.getSource(),
                               dropSizes(*source, gone));
    Sizes offsets = dropSizes(hr::getSizes(op.getOffsets()), gone);
    Value view = createView(rewriter, op.getLoc(), from, offsets,
                            dropFromMap(op.getMap(), units, gone),
                            dropSizes(dims, units));
    rewriter.replaceOp(op, createReshape(rewriter, op.getLoc(), view, dims));
    return success();
  }
};

struct UpdateUnitDims : OpRewritePattern<hr::UpdateOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::UpdateOp op,
                                PatternRewriter &rewriter) const override {
    FailureOr<SmallVector<SizeExpr>> base = hr::getDims(op.getBase());
    FailureOr<SmallVector<SizeExpr>> value = hr::getDims(op.getValue());
    if (failed(base) || failed(value))
      return failure();
    llvm::SmallBitVector gone = findUnits(*base), units = findUnits(*value);
    if (gone.none() && units.none())
      return failure();
    Location loc = op.getLoc();
    Value newBase = createReshape(rewriter, loc, op.getBase(),
                                  dropSizes(*base, gone));
    Value newValue = createReshape(rewriter, loc, op.getValue(),
                                   dropSizes(*value, units));
    Sizes offsets = dropSizes(hr::getSizes(op.getOffsets()), gone);
    auto update = hr::UpdateOp::create(
        rewriter, loc, newBase.getType(), newBase, newValue,
        hr::getSizeArrayAttr(getContext(), offsets),
        AffineMapAttr::get(dropFromMap(op.getMap(), units, gone)));
    rewriter.replaceOp(op,
                       createReshape(rewriter, loc, update.getResult(), *base));
    return success();
  }
};

struct ConcatUnitDims : OpRewritePattern<hr::ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::ConcatOp op,
                                PatternRewriter &rewriter) const override {
    Sizes dims = hr::getSizes(op.getDims());
    int64_t along = op.getDim();
    llvm::SmallBitVector gone = findUnits(dims, along);
    if (gone.none())
      return failure();
    SmallVector<Value> inputs;
    for (Value input : op.getInputs()) {
      FailureOr<SmallVector<SizeExpr>> from = hr::getDims(input);
      if (failed(from))
        return failure();
      inputs.push_back(createReshape(rewriter, op.getLoc(), input,
                                     dropSizes(*from, gone)));
    }
    int64_t newAlong = along;
    for (int64_t d = 0; d < along; ++d)
      newAlong -= gone.test(d);
    Sizes kept = dropSizes(dims, gone);
    auto concat = hr::ConcatOp::create(
        rewriter, op.getLoc(),
        RankedTensorType::get(hr::getStaticShape(kept),
                              op.getType().getElementType()),
        inputs, newAlong, hr::getSizeArrayAttr(getContext(), kept));
    rewriter.replaceOp(
        op, createReshape(rewriter, op.getLoc(), concat.getResult(), dims));
    return success();
  }
};

struct PadUnitDims : OpRewritePattern<hr::PadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::PadOp op,
                                PatternRewriter &rewriter) const override {
    FailureOr<SmallVector<SizeExpr>> source = hr::getDims(op.getSource());
    if (failed(source))
      return failure();
    Sizes dims = hr::getSizes(op.getDims());
    // Size one on both sides: nothing is padded there.
    llvm::SmallBitVector gone = findUnits(dims);
    gone &= findUnits(*source);
    if (gone.none())
      return failure();
    Value from = createReshape(rewriter, op.getLoc(), op.getSource(),
                               dropSizes(*source, gone));
    Sizes kept = dropSizes(dims, gone);
    auto pad = hr::PadOp::create(
        rewriter, op.getLoc(),
        RankedTensorType::get(hr::getStaticShape(kept),
                              op.getType().getElementType()),
        from,
        hr::getSizeArrayAttr(getContext(),
                             dropSizes(hr::getSizes(op.getLow()), gone)),
        hr::getSizeArrayAttr(getContext(),
                             dropSizes(hr::getSizes(op.getHigh()), gone)),
        op.getValue(), hr::getSizeArrayAttr(getContext(), kept));
    rewriter.replaceOp(
        op, createReshape(rewriter, op.getLoc(), pad.getResult(), dims));
    return success();
  }
};

struct ScanUnitDims : OpRewritePattern<hr::ScanOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::ScanOp op,
                                PatternRewriter &rewriter) const override {
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(op.getSource());
    if (failed(dims))
      return failure();
    int64_t along = op.getDim();
    if (isOne((*dims)[along])) {
      rewriter.replaceOp(op, op.getSource());
      return success();
    }
    llvm::SmallBitVector gone = findUnits(*dims);
    if (gone.none())
      return failure();
    int64_t newAlong = along;
    for (int64_t d = 0; d < along; ++d)
      newAlong -= gone.test(d);
    Value from = createReshape(rewriter, op.getLoc(), op.getSource(),
                               dropSizes(*dims, gone));
    auto scan = hr::ScanOp::create(rewriter, op.getLoc(), from.getType(), from,
                                   newAlong, op.getCombiner());
    rewriter.replaceOp(
        op, createReshape(rewriter, op.getLoc(), scan.getResult(), *dims));
    return success();
  }
};

struct SortUnitDims : OpRewritePattern<hr::SortOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::SortOp op,
                                PatternRewriter &rewriter) const override {
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(op.getSource());
    if (failed(dims))
      return failure();
    int64_t along = op.getDim();
    // The order of one element is known without looking at it.
    if (isOne((*dims)[along])) {
      Value zero = arith::ConstantOp::create(rewriter, op.getLoc(),
                                             rewriter.getI64IntegerAttr(0));
      Value empty = hr::createEmpty(rewriter, op.getLoc(), *dims,
                                    rewriter.getI64Type());
      rewriter.replaceOpWithNewOp<linalg::FillOp>(op, ValueRange{zero},
                                                  ValueRange{empty});
      return success();
    }
    llvm::SmallBitVector gone = findUnits(*dims);
    if (gone.none())
      return failure();
    int64_t newAlong = along;
    for (int64_t d = 0; d < along; ++d)
      newAlong -= gone.test(d);
    Sizes kept = dropSizes(*dims, gone);
    Value from = createReshape(rewriter, op.getLoc(), op.getSource(), kept);
    auto sort = hr::SortOp::create(
        rewriter, op.getLoc(),
        RankedTensorType::get(hr::getStaticShape(kept), rewriter.getI64Type()),
        from, rewriter.getI64IntegerAttr(newAlong), op.getDescendingAttr());
    rewriter.replaceOp(
        op, createReshape(rewriter, op.getLoc(), sort.getResult(), *dims));
    return success();
  }
};

/// Gather and scatter share the form of their indices.
template <typename Op> struct IndexedUnitDims : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    constexpr bool isGather = std::is_same_v<Op, hr::GatherOp>;
    Location loc = op.getLoc();
    Value target, moved;
    if constexpr (isGather) {
      target = op.getSource();
      moved = op.getResult();
    } else {
      target = op.getBase();
      moved = op.getUpdates();
    }
    FailureOr<SmallVector<SizeExpr>> targetDims = hr::getDims(target);
    FailureOr<SmallVector<SizeExpr>> loops = hr::getDims(moved);
    if (failed(targetDims) || failed(loops))
      return failure();
    llvm::SmallBitVector units = findUnits(*loops);
    // A dimension that an index addresses is checked against its size: stays.
    llvm::SmallBitVector gone = findUnits(*targetDims);
    for (auto [d, k] : llvm::enumerate(op.getSourceDims()))
      if (k >= 0)
        gone.reset(d);
    bool any = units.any() || gone.any();
    for (Value index : op.getIndices()) {
      FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(index);
      if (failed(dims))
        return failure();
      any |= findUnits(*dims).any();
    }
    if (!any)
      return failure();

    SmallVector<Value> indices;
    SmallVector<AffineMap> maps;
    for (auto [index, attr] : llvm::zip(op.getIndices(), op.getIndexMaps())) {
      Sizes dims = *hr::getDims(index);
      llvm::SmallBitVector drop = findUnits(dims);
      indices.push_back(
          createReshape(rewriter, loc, index, dropSizes(dims, drop)));
      maps.push_back(
          dropFromMap(cast<AffineMapAttr>(attr).getValue(), units, drop));
    }
    Value newTarget = createReshape(rewriter, loc, target,
                                    dropSizes(*targetDims, gone));
    SmallVector<int64_t> sourceDims =
        dropAt<int64_t>(op.getSourceDims(), gone);
    AffineMap sourceMap = dropFromMap(op.getSourceMap(), units, gone);
    Sizes kept = dropSizes(*loops, units);
    if constexpr (isGather) {
      auto result = hr::GatherOp::create(
          rewriter, loc,
          RankedTensorType::get(hr::getStaticShape(kept),
                                op.getType().getElementType()),
          newTarget, indices, AffineMapAttr::get(sourceMap),
          rewriter.getAffineMapArrayAttr(maps),
          rewriter.getDenseI64ArrayAttr(sourceDims),
          hr::getSizeArrayAttr(op.getContext(), kept), op.getWhatAttr(),
          op.getWrapAttr());
      rewriter.replaceOp(
          op, createReshape(rewriter, loc, result.getResult(), *loops));
    } else {
      Value updates = createReshape(rewriter, loc, moved, kept);
      auto result = hr::ScatterOp::create(
          rewriter, loc, newTarget.getType(), updates, newTarget, indices,
          op.getCombinerAttr(), AffineMapAttr::get(sourceMap),
          rewriter.getAffineMapArrayAttr(maps),
          rewriter.getDenseI64ArrayAttr(sourceDims), op.getWhatAttr(),
          op.getWrapAttr());
      rewriter.replaceOp(
          op, createReshape(rewriter, loc, result.getResult(), *targetDims));
    }
    return success();
  }
};

struct SoftmaxSumUnitDims : OpRewritePattern<hr::SoftmaxSumOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::SoftmaxSumOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<AffineMap> maps =
        llvm::to_vector(op.getMaps().getAsValueRange<AffineMapAttr>());
    Value operands[] = {op.getLogits(), op.getValue(), op.getResult()};
    unsigned rank = maps[0].getNumDims();
    SmallVector<SizeExpr> loops(rank, SizeExpr(0));
    SmallVector<Sizes> dims;
    for (auto [map, value] : llvm::zip(maps, operands)) {
      FailureOr<SmallVector<SizeExpr>> known = hr::getDims(value);
      if (failed(known))
        return failure();
      dims.push_back(*known);
      for (auto [expr, size] : llvm::zip(map.getResults(), *known))
        loops[cast<AffineDimExpr>(expr).getPosition()] = size;
    }
    unsigned streamed = 0;
    while (maps[2].isFunctionOfDim(streamed))
      ++streamed;
    llvm::SmallBitVector units = findUnits(loops, streamed);
    if (units.none())
      return failure();
    SmallVector<Value> values;
    for (auto [n, map] : llvm::enumerate(maps)) {
      llvm::SmallBitVector gone(map.getNumResults());
      for (auto [r, expr] : llvm::enumerate(map.getResults()))
        if (units.test(cast<AffineDimExpr>(expr).getPosition()))
          gone.set(r);
      map = dropFromMap(map, units, gone);
      Sizes kept = dropSizes(dims[n], gone);
      if (n < 2)
        values.push_back(
            createReshape(rewriter, op.getLoc(), operands[n], kept));
      else
        dims.push_back(kept);
    }
    auto result = hr::SoftmaxSumOp::create(
        rewriter, op.getLoc(),
        RankedTensorType::get(hr::getStaticShape(dims[3]),
                              op.getType().getElementType()),
        values[0], values[1], rewriter.getAffineMapArrayAttr(maps),
        hr::getSizeArrayAttr(getContext(), dims[3]),
        op.getZeroMaskedRowsAttr(), op.getWeightsAttr());
    rewriter.replaceOp(
        op, createReshape(rewriter, op.getLoc(), result.getResult(), dims[2]));
    return success();
  }
};

/// A fill under another shape is a fill.
struct ReshapeOfFill : OpRewritePattern<hr::ReshapeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::ReshapeOp op,
                                PatternRewriter &rewriter) const override {
    Attribute splat = getSplat(op.getSource());
    if (!splat)
      return failure();
    Value scalar = arith::ConstantOp::create(rewriter, op.getLoc(),
                                             cast<TypedAttr>(splat));
    Value empty =
        hr::createEmpty(rewriter, op.getLoc(), hr::getSizes(op.getDims()),
                        op.getType().getElementType());
    rewriter.replaceOpWithNewOp<linalg::FillOp>(op, ValueRange{scalar},
                                                ValueRange{empty});
    return success();
  }
};

} // namespace

void headrace::populateUnitDimPatterns(RewritePatternSet &patterns) {
  patterns.add<GenericUnitDims, ViewUnitDims, UpdateUnitDims, ConcatUnitDims,
               PadUnitDims, ScanUnitDims, SortUnitDims,
               IndexedUnitDims<hr::GatherOp>,
               IndexedUnitDims<hr::ScatterOp>, SoftmaxSumUnitDims,
               ReshapeOfFill>(patterns.getContext());
}
