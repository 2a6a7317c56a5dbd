//===- SimplifyViews.cpp - Views into maps, and what moves for nothing ----===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every hr.view becomes a *slice* (selects, keeps the order of dimensions)
// followed by a *renaming* (permutes, broadcasts, takes diagonals; see
// TensorUtils.h). A renaming folds into the indexing maps of whoever reads it;
// where a reader has no maps (a reshape, a return), a permutation folds into
// the map with which its producer writes. A slice stays: it is a strided alias
// of its source.
//
//===----------------------------------------------------------------------===//

#include "SimplifyPatterns.h"
#include "TensorUtils.h"

using namespace mlir;
using namespace headrace;


namespace {

//===----------------------------------------------------------------------===//
// The form of views
//===----------------------------------------------------------------------===//

/// view(view(x)) is one view, except where it already is a renaming of a slice.
struct ComposeViews : OpRewritePattern<hr::ViewOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::ViewOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getSource().getDefiningOp<hr::ViewOp>();
    if (!inner || (isRenaming(op) && !isSlice(op) && isSlice(inner) &&
                   !isRenaming(inner)))
      return failure();
    AffineMap innerMap = inner.getMap();
    Sizes offsets = hr::getSizes(inner.getOffsets());
    Sizes outer = hr::getSizes(op.getOffsets());
    for (auto [d, expr] : llvm::enumerate(innerMap.getResults()))
      for (unsigned k = 0; k < innerMap.getNumDims(); ++k) {
        std::optional<int64_t> factor =
            getCoefficient(expr, k, innerMap.getNumDims());
        if (!factor)
          return failure();
        offsets[d] = offsets[d] + outer[k] * SizeExpr(*factor);
      }
    rewriter.replaceOp(op, createView(rewriter, op.getLoc(), inner.getSource(),
                                      offsets, innerMap.compose(op.getMap()),
                                      hr::getSizes(op.getDims())));
    return success();
  }
};

/// A view that both selects and renames becomes two.
struct SplitView : OpRewritePattern<hr::ViewOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::ViewOp op,
                                PatternRewriter &rewriter) const override {
    if (isSlice(op) || isRenaming(op))
      return failure();
    // Each source dimension is at one index, or walks along one result
    // dimension; windows (two dimensions added) are left alone.
    AffineMap map = op.getMap();
    unsigned rank = map.getNumDims();
    Sizes dims = hr::getSizes(op.getDims());
    SmallVector<AffineExpr> sliceExprs, renamed;
    Sizes sliceDims;
    MLIRContext *context = getContext();
    for (AffineExpr expr : map.getResults()) {
      std::optional<unsigned> walked;
      for (unsigned d = 0; d < rank; ++d) {
        if (!expr.isFunctionOfDim(d))
          continue;
        if (walked)
          return failure();
        walked = d;
      }
      if (!walked) {
        sliceExprs.push_back(getAffineConstantExpr(0, context));
        continue;
      }
      std::optional<int64_t> step = getCoefficient(expr, *walked, rank);
      if (!step)
        return failure();
      sliceExprs.push_back(getAffineDimExpr(sliceDims.size(), context) *
                           *step);
      renamed.push_back(getAffineDimExpr(*walked, context));
      sliceDims.push_back(dims[*walked]);
    }
    Value slice = createView(
        rewriter, op.getLoc(), op.getSource(), hr::getSizes(op.getOffsets()),
        AffineMap::get(sliceDims.size(), 0, sliceExprs, context), sliceDims);
    rewriter.replaceOp(
        op, createView(rewriter, op.getLoc(), slice,
                       Sizes(sliceDims.size(), SizeExpr(0)),
                       AffineMap::get(rank, 0, renamed, context), dims));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Renamings into maps
//===----------------------------------------------------------------------===//

struct ViewIntoGeneric : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    GenericParts parts(op);
    bool any = false;
    for (unsigned n = 0; n < parts.inputs.size(); ++n) {
      auto view = parts.inputs[n].getDefiningOp<hr::ViewOp>();
      if (!view || !isRenaming(view))
        continue;
      AffineMap old = parts.inputMaps[n];
      parts.inputMaps[n] = view.getMap().compose(old);
      if (!coverLoops(parts.maps(), op.getNumLoops())) {
        parts.inputMaps[n] = old;
        continue;
      }
      parts.inputs[n] = view.getSource();
      any = true;
    }
    if (!any)
      return failure();
    auto result = rebuildGeneric(
        rewriter, op, parts, [](OpBuilder &, Block &block, unsigned n) {
          return Value(block.getArgument(n));
        });
    rewriter.replaceOp(op, result.getResults());
    return success();
  }
};

struct ViewIntoSoftmaxSum : OpRewritePattern<hr::SoftmaxSumOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::SoftmaxSumOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<AffineMap> maps =
        llvm::to_vector(op.getMaps().getAsValueRange<AffineMapAttr>());
    unsigned streamed = 0;
    while (maps[2].isFunctionOfDim(streamed))
      ++streamed;
    Value operands[] = {op.getLogits(), op.getValue()};
    bool any = false;
    for (unsigned n = 0; n < 2; ++n) {
      auto view = operands[n].getDefiningOp<hr::ViewOp>();
      if (!view || !isRenaming(view))
        continue;
      AffineMap map = view.getMap().compose(maps[n]);
      if (!map.isProjectedPermutation() || !map.isFunctionOfDim(streamed))
        continue;
      maps[n] = map;
      operands[n] = view.getSource();
      any = true;
    }
    if (!any)
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      op.getLogitsMutable().assign(operands[0]);
      op.getValueMutable().assign(operands[1]);
      op.setMapsAttr(rewriter.getAffineMapArrayAttr(maps));
    });
    return success();
  }
};

template <typename Op> struct ViewIntoIndices : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    SmallVector<AffineMap> maps = llvm::to_vector(
        op.getIndexMaps().template getAsValueRange<AffineMapAttr>());
    SmallVector<Value> indices(op.getIndices());
    bool any = false;
    for (auto [map, index] : llvm::zip(maps, indices)) {
      auto view = index.template getDefiningOp<hr::ViewOp>();
      if (!view || !isRenaming(view))
        continue;
      map = view.getMap().compose(map);
      index = view.getSource();
      any = true;
    }
    if (!any)
      return failure();
    rewriter.modifyOpInPlace(op, [&] {
      op.getIndicesMutable().assign(indices);
      op.setIndexMapsAttr(rewriter.getAffineMapArrayAttr(maps));
    });
    return success();
  }
};

/// A gather from a renamed source reads the source itself.
struct ViewIntoGatherSource : OpRewritePattern<hr::GatherOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::GatherOp op,
                                PatternRewriter &rewriter) const override {
    auto view = op.getSource().getDefiningOp<hr::ViewOp>();
    if (!view || !isRenaming(view))
      return failure();
    // A broadcast dimension that an index addresses would lose its check.
    for (auto [d, k] : llvm::enumerate(op.getSourceDims()))
      if (k >= 0 && !view.getMap().isFunctionOfDim(d))
        return failure();
    SmallVector<AffineExpr> exprs;
    SmallVector<int64_t> sourceDims;
    for (AffineExpr expr : view.getMap().getResults()) {
      unsigned dim = cast<AffineDimExpr>(expr).getPosition();
      exprs.push_back(op.getSourceMap().getResult(dim));
      sourceDims.push_back(op.getSourceDims()[dim]);
    }
    AffineMap map =
        AffineMap::get(op.getSourceMap().getNumDims(), 0, exprs, getContext());
    rewriter.modifyOpInPlace(op, [&] {
      op.getSourceMutable().assign(view.getSource());
      op.setSourceMapAttr(AffineMapAttr::get(map));
      op.setSourceDims(sourceDims);
    });
    return success();
  }
};

/// Whether the user will take the renaming into its maps.
static bool takesViews(OpOperand &use) {
  if (auto generic = dyn_cast<linalg::GenericOp>(use.getOwner()))
    return generic.isDpsInput(&use);
  if (auto gather = dyn_cast<hr::GatherOp>(use.getOwner()))
    return true;
  return isa<hr::SoftmaxSumOp>(use.getOwner());
}

/// The map of results from iteration points, for a result that is permuted by
/// `view`: result[i] = source[view(i)].
static AffineMap permuteResult(AffineMap map, hr::ViewOp view) {
  return inversePermutation(view.getMap()).compose(map);
}

/// A permutation of what one op produces, where the readers have no maps:
/// produced in that order.
struct PermutationIntoProducer : OpRewritePattern<hr::ViewOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::ViewOp op,
                                PatternRewriter &rewriter) const override {
    if (!isPermutation(op) || !op.getSource().hasOneUse() ||
        llvm::all_of(op->getUses(), takesViews))
      return failure();
    Operation *producer = op.getSource().getDefiningOp();
    if (!producer)
      return failure();
    Sizes dims = hr::getSizes(op.getDims());
    if (auto generic = dyn_cast<linalg::GenericOp>(producer)) {
      unsigned n = cast<OpResult>(op.getSource()).getResultNumber();
      GenericParts parts(generic);
      rewriter.setInsertionPoint(generic);
      Value init = recreateInit(rewriter, parts.inits[n], dims);
      if (!init)
        return failure();
      parts.inits[n] = init;
      parts.initMaps[n] = permuteResult(parts.initMaps[n], op);
      auto result = rebuildGeneric(
          rewriter, generic, parts, [](OpBuilder &, Block &block, unsigned k) {
            return Value(block.getArgument(k));
          });
      rewriter.replaceOp(op, result.getResult(n));
      for (auto [k, old] : llvm::enumerate(generic.getResults()))
        if (k != n)
          rewriter.replaceAllUsesWith(old, result.getResult(k));
      rewriter.eraseOp(generic);
      return success();
    }
    if (auto sum = dyn_cast<hr::SoftmaxSumOp>(producer)) {
      SmallVector<AffineMap> maps =
          llvm::to_vector(sum.getMaps().getAsValueRange<AffineMapAttr>());
      maps[2] = permuteResult(maps[2], op);
      rewriter.setInsertionPoint(sum);
      auto result = hr::SoftmaxSumOp::create(
          rewriter, sum.getLoc(), op.getType(), sum.getLogits(),
          sum.getValue(), rewriter.getAffineMapArrayAttr(maps),
          op.getDimsAttr(), sum.getZeroMaskedRowsAttr(),
          sum.getWeightsAttr());
      rewriter.replaceOp(op, result.getResult());
      rewriter.eraseOp(sum);
      return success();
    }
    if (auto gather = dyn_cast<hr::GatherOp>(producer)) {
      // Result dimensions are the iteration space: old = view(new).
      SmallVector<AffineMap> maps;
      for (AffineMap map :
           gather.getIndexMaps().getAsValueRange<AffineMapAttr>())
        maps.push_back(map.compose(op.getMap()));
      rewriter.setInsertionPoint(gather);
      auto result = hr::GatherOp::create(
          rewriter, gather.getLoc(), op.getType(), gather.getSource(),
          gather.getIndices(),
          AffineMapAttr::get(gather.getSourceMap().compose(op.getMap())),
          rewriter.getAffineMapArrayAttr(maps), gather.getSourceDimsAttr(),
          op.getDimsAttr(), gather.getWhatAttr(), gather.getWrapAttr());
      rewriter.replaceOp(op, result.getResult());
      rewriter.eraseOp(gather);
      return success();
    }
    return failure();
  }
};

//===----------------------------------------------------------------------===//
// Moved for nothing
//===----------------------------------------------------------------------===//

/// A view of a fill is a fill.
struct ViewOfFill : OpRewritePattern<hr::ViewOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::ViewOp op,
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

/// Reading back what an update has just written.
struct ViewOfUpdate : OpRewritePattern<hr::ViewOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::ViewOp op,
                                PatternRewriter &rewriter) const override {
    auto update = op.getSource().getDefiningOp<hr::UpdateOp>();
    if (!update || update.getOffsets() != op.getOffsets() ||
        update.getMap() != op.getMap())
      return failure();
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(update.getValue());
    if (failed(dims) || *dims != hr::getSizes(op.getDims()))
      return failure();
    rewriter.replaceOp(op, update.getValue());
    return success();
  }
};

struct WholeUpdate : OpRewritePattern<hr::UpdateOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::UpdateOp op,
                                PatternRewriter &rewriter) const override {
    FailureOr<SmallVector<SizeExpr>> base = hr::getDims(op.getBase());
    FailureOr<SmallVector<SizeExpr>> value = hr::getDims(op.getValue());
    if (failed(base) || failed(value))
      return failure();
    // Writes back what was read from the same place.
    if (auto view = op.getValue().getDefiningOp<hr::ViewOp>())
      if (view.getSource() == op.getBase() && view.getMap() == op.getMap() &&
          view.getOffsets() == op.getOffsets()) {
        rewriter.replaceOp(op, op.getBase());
        return success();
      }
    // Overwrites everything.
    if (llvm::all_of(hr::getSizes(op.getOffsets()), isZero) &&
        op.getMap().isPermutation() &&
        llvm::all_of(llvm::enumerate(op.getMap().getResults()), [&](auto it) {
          unsigned k = cast<AffineDimExpr>(it.value()).getPosition();
          return (*base)[it.index()] == (*value)[k];
        })) {
      if (op.getMap().isIdentity())
        rewriter.replaceOp(op, op.getValue());
      else
        rewriter.replaceOp(
            op, createView(rewriter, op.getLoc(), op.getValue(),
                           Sizes(value->size(), SizeExpr(0)),
                           inversePermutation(op.getMap()), *base));
      return success();
    }
    // A second update of the same place hides the first.
    if (auto first = op.getBase().getDefiningOp<hr::UpdateOp>())
      if (first.getMap() == op.getMap() &&
          first.getOffsets() == op.getOffsets() &&
          first.getValue().getType() == op.getValue().getType() &&
          first->hasOneUse()) {
        FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(first.getValue());
        if (failed(dims) || *dims != *value)
          return failure();
        rewriter.modifyOpInPlace(
            op, [&] { op.getBaseMutable().assign(first.getBase()); });
        return success();
      }
    return failure();
  }
};

struct SimplifyConcat : OpRewritePattern<hr::ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::ConcatOp op,
                                PatternRewriter &rewriter) const override {
    int64_t along = op.getDim();
    SmallVector<Value> inputs;
    for (Value input : op.getInputs()) {
      FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(input);
      if (succeeded(dims) && isZero((*dims)[along]))
        continue;
      auto inner = input.getDefiningOp<hr::ConcatOp>();
      if (inner && inner.getDim() == op.getDim() && inner->hasOneUse())
        llvm::append_range(inputs, inner.getInputs());
      else
        inputs.push_back(input);
    }
    // Neighbouring slices of one source are one slice.
    SmallVector<Value> joined;
    for (Value input : inputs) {
      Value both = joined.empty()
                       ? Value()
                       : join(joined.back(), input, along, rewriter);
      if (both)
        joined.back() = both;
      else
        joined.push_back(input);
    }
    if (joined.size() == 1 && joined[0].getType() == op.getType()) {
      rewriter.replaceOp(op, joined[0]);
      return success();
    }
    if (joined.empty() || (joined.size() == op.getInputs().size() &&
                           llvm::equal(joined, op.getInputs())))
      return failure();
    rewriter.modifyOpInPlace(op,
                             [&] { op.getInputsMutable().assign(joined); });
    return success();
  }

  /// One view for `a` followed by `b`, or null.
  static Value join(Value a, Value b, int64_t along,
                    PatternRewriter &rewriter) {
    auto first = a.getDefiningOp<hr::ViewOp>();
    auto second = b.getDefiningOp<hr::ViewOp>();
    if (!first || !second || first.getSource() != second.getSource() ||
        first.getMap() != second.getMap())
      return {};
    AffineMap map = first.getMap();
    Sizes dims = hr::getSizes(first.getDims());
    Sizes otherDims = hr::getSizes(second.getDims());
    Sizes offsets = hr::getSizes(first.getOffsets());
    Sizes otherOffsets = hr::getSizes(second.getOffsets());
    for (auto [d, expr] : llvm::enumerate(map.getResults())) {
      SizeExpr expected = offsets[d];
      if (expr.isFunctionOfDim(along)) {
        std::optional<int64_t> step =
            getCoefficient(expr, along, map.getNumDims());
        if (!step)
          return {};
        expected = expected + dims[along] * SizeExpr(*step);
      }
      if (otherOffsets[d] != expected)
        return {};
    }
    if (!map.isFunctionOfDim(along))
      return {};
    dims[along] = dims[along] + otherDims[along];
    return createView(rewriter, first.getLoc(), first.getSource(), offsets,
                      map, dims);
  }
};

/// A slice that lies within one input of a concat reads that input.
struct SliceOfConcat : OpRewritePattern<hr::ViewOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::ViewOp op,
                                PatternRewriter &rewriter) const override {
    auto concat = op.getSource().getDefiningOp<hr::ConcatOp>();
    if (!concat)
      return failure();
    int64_t along = concat.getDim();
    AffineExpr expr = op.getMap().getResult(along);
    Sizes dims = hr::getSizes(op.getDims());
    Sizes offsets = hr::getSizes(op.getOffsets());
    // First and last index that are read.
    SizeExpr least = offsets[along], largest = offsets[along];
    for (unsigned d = 0; d < op.getMap().getNumDims(); ++d) {
      std::optional<int64_t> step =
          getCoefficient(expr, d, op.getMap().getNumDims());
      if (!step)
        return failure();
      SizeExpr reach = (dims[d] - SizeExpr(1)) * SizeExpr(*step);
      (*step < 0 ? least : largest) = (*step < 0 ? least : largest) + reach;
    }
    SymbolRanges ranges = getRangesAround(op);
    SizeExpr start(0);
    for (Value input : concat.getInputs()) {
      FailureOr<SmallVector<SizeExpr>> from = hr::getDims(input);
      if (failed(from))
        return failure();
      SizeExpr end = start + (*from)[along];
      if (start.isLessEqual(least, ranges) &&
          (largest + SizeExpr(1)).isLessEqual(end, ranges)) {
        offsets[along] = offsets[along] - start;
        rewriter.replaceOp(op, createView(rewriter, op.getLoc(), input,
                                          offsets, op.getMap(), dims));
        return success();
      }
      start = end;
    }
    return failure();
  }
};

struct EmptyPad : OpRewritePattern<hr::PadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::PadOp op,
                                PatternRewriter &rewriter) const override {
    if (!llvm::all_of(hr::getSizes(op.getLow()), isZero) ||
        !llvm::all_of(hr::getSizes(op.getHigh()), isZero))
      return failure();
    rewriter.replaceOp(op, op.getSource());
    return success();
  }
};

} // namespace

void headrace::populateViewPatterns(RewritePatternSet &patterns) {
  patterns.add<ComposeViews, SplitView, ViewIntoGeneric, ViewIntoSoftmaxSum,
               ViewIntoIndices<hr::GatherOp>, ViewIntoIndices<hr::ScatterOp>,
               ViewIntoGatherSource, PermutationIntoProducer, ViewOfFill,
               ViewOfUpdate, WholeUpdate, SimplifyConcat, SliceOfConcat,
               EmptyPad>(patterns.getContext());
}
