//===- SimplifyBodies.cpp - What bodies compute for nothing ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Operands that are one constant move into bodies; copies become views;
// producers that read no tensor (iota, comparisons of positions) and lone
// casts are computed where they are used; comparisons that the ranges of
// indices and sizes decide become constants, and gathers at linear positions
// become views. The rest of the arithmetic is left to the folders of arith,
// which change floating-point results in no bit.
//
//===----------------------------------------------------------------------===//

#include "LinearIndex.h"
#include "SimplifyPatterns.h"
#include "TensorUtils.h"

using namespace mlir;
using namespace headrace;

/// Removes the inputs marked in `drop`; `scalar` gives what stands for them.
static linalg::GenericOp
dropInputs(PatternRewriter &rewriter, linalg::GenericOp op,
           GenericParts parts, const llvm::SmallBitVector &drop,
           function_ref<Value(OpBuilder &, Block &, unsigned)> scalar) {
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  SmallVector<unsigned> numbers;
  for (unsigned n = 0; n < parts.inputs.size(); ++n) {
    numbers.push_back(inputs.size());
    if (drop.test(n))
      continue;
    inputs.push_back(parts.inputs[n]);
    maps.push_back(parts.inputMaps[n]);
  }
  unsigned oldInputs = parts.inputs.size();
  parts.inputs = inputs;
  parts.inputMaps = maps;
  return rebuildGeneric(
      rewriter, op, parts, [&](OpBuilder &builder, Block &block, unsigned n) {
        if (n >= oldInputs)
          return Value(block.getArgument(inputs.size() + n - oldInputs));
        if (drop.test(n))
          return scalar(builder, block, n);
        return Value(block.getArgument(numbers[n]));
      });
}

static Value createScalar(OpBuilder &builder, Location loc, Attribute value) {
  return arith::ConstantOp::create(builder, loc, cast<TypedAttr>(value));
}

namespace {

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

/// Inputs that hold one constant, are not used, or are there twice.
struct RedundantInputs : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    GenericParts parts(op);
    unsigned count = parts.inputs.size();
    llvm::SmallBitVector drop(count);
    SmallVector<Attribute> splats(count);
    SmallVector<unsigned> same(count);
    for (unsigned n = 0; n < count; ++n) {
      same[n] = n;
      for (unsigned k = 0; k < n && same[n] == n; ++k)
        if (parts.inputs[k] == parts.inputs[n] &&
            parts.inputMaps[k] == parts.inputMaps[n] && !drop.test(k))
          same[n] = k;
      splats[n] = getSplat(parts.inputs[n]);
      if (same[n] == n && !splats[n] &&
          !op.getBody()->getArgument(n).use_empty())
        continue;
      // The loops' extents must still be some operand's.
      drop.set(n);
      SmallVector<AffineMap> left(parts.initMaps);
      for (unsigned k = 0; k < count; ++k)
        if (!drop.test(k))
          left.push_back(parts.inputMaps[k]);
      if (!coverLoops(left, op.getNumLoops()))
        drop.reset(n);
    }
    if (drop.none())
      return failure();
    auto result = dropInputs(
        rewriter, op, parts, drop,
        [&](OpBuilder &builder, Block &block, unsigned n) -> Value {
          if (splats[n])
            return createScalar(builder, op.getLoc(), splats[n]);
          unsigned position = 0;
          for (unsigned k = 0; k < same[n]; ++k)
            position += !drop.test(k);
          return block.getArgument(position);
        });
    rewriter.replaceOp(op, result.getResults());
    return success();
  }
};

/// A reduction that has lost its loops reads its init once: a constant.
struct ConstantInit : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getNumParallelLoops() != op.getNumLoops())
      return failure();
    GenericParts parts(op);
    SmallVector<Attribute> splats(parts.inits.size());
    bool any = false;
    for (auto [n, init] : llvm::enumerate(parts.inits)) {
      OpOperand *operand = op.getDpsInitOperand(n);
      if (!op.payloadUsesValueFromOperand(operand) ||
          !parts.initMaps[n].isPermutation())
        continue;
      splats[n] = getSplat(init);
      FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(init);
      if (!splats[n] || failed(dims))
        continue;
      init = hr::createEmpty(rewriter, op.getLoc(), *dims,
                             getElementTypeOrSelf(init.getType()));
      any = true;
    }
    if (!any)
      return failure();
    unsigned inputs = parts.inputs.size();
    auto result = rebuildGeneric(
        rewriter, op, parts,
        [&](OpBuilder &builder, Block &block, unsigned n) -> Value {
          if (n >= inputs && splats[n - inputs])
            return createScalar(builder, op.getLoc(), splats[n - inputs]);
          return block.getArgument(n);
        });
    rewriter.replaceOp(op, result.getResults());
    return success();
  }
};

/// A body that yields an input or a constant: a view or a fill.
struct CopyGeneric : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    if (!isElementwise(op))
      return failure();
    Value yielded = op.getBody()->getTerminator()->getOperand(0);
    FailureOr<SmallVector<SizeExpr>> dims =
        hr::getDims(op.getDpsInitOperand(0)->get());
    if (failed(dims))
      return failure();
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    Attribute constant;
    if (matchPattern(yielded, m_Constant(&constant)) &&
        isa<IntegerAttr, FloatAttr>(constant)) {
      Value scalar = createScalar(rewriter, op.getLoc(), constant);
      Value empty = hr::createEmpty(rewriter, op.getLoc(), *dims,
                                    type.getElementType());
      rewriter.replaceOpWithNewOp<linalg::FillOp>(op, ValueRange{scalar},
                                                  ValueRange{empty});
      return success();
    }
    auto argument = dyn_cast<BlockArgument>(yielded);
    if (!argument || argument.getOwner() != op.getBody())
      return failure();
    GenericParts parts(op);
    unsigned n = argument.getArgNumber();
    AffineMap map =
        parts.inputMaps[n].compose(inversePermutation(parts.initMaps[0]));
    // Constant terms are the view's offsets.
    MLIRContext *context = getContext();
    SmallVector<AffineExpr> zeros(map.getNumDims(),
                                  getAffineConstantExpr(0, context));
    Sizes offsets;
    SmallVector<AffineExpr> exprs;
    for (AffineExpr expr : map.getResults()) {
      auto start = dyn_cast<AffineConstantExpr>(
          simplifyAffineExpr(expr.replaceDims(zeros), 0, 0));
      for (unsigned d = 0; d < map.getNumDims(); ++d)
        if (!getCoefficient(expr, d, map.getNumDims()))
          return failure();
      if (!start)
        return failure();
      offsets.push_back(start.getValue());
      exprs.push_back(simplifyAffineExpr(expr - start.getValue(),
                                         map.getNumDims(), 0));
    }
    rewriter.replaceOp(
        op, createView(rewriter, op.getLoc(), parts.inputs[n], offsets,
                       AffineMap::get(map.getNumDims(), 0, exprs, context),
                       *dims));
    return success();
  }
};

/// A loop that only repeats what is computed becomes a broadcast of the result,
/// which the readers take into their maps.
struct RepeatedLoop : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    if (!isElementwise(op) || op.getNumDpsInputs() == 0)
      return failure();
    GenericParts parts(op);
    unsigned rank = op.getNumLoops();
    llvm::SmallBitVector repeated(rank, true);
    for (AffineMap map : parts.inputMaps)
      for (unsigned d = 0; d < rank; ++d)
        if (map.isFunctionOfDim(d))
          repeated.reset(d);
    for (auto index : op.getBody()->getOps<linalg::IndexOp>())
      repeated.reset(index.getDim());
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(parts.inits[0]);
    if (repeated.none() || failed(dims))
      return failure();

    MLIRContext *context = getContext();
    SmallVector<AffineExpr> loops;
    SmallVector<unsigned> numbers;
    for (unsigned d = 0; d < rank; ++d) {
      numbers.push_back(loops.size());
      if (!repeated.test(d))
        loops.push_back(getAffineDimExpr(loops.size(), context));
    }
    SmallVector<AffineExpr> replacements;
    for (unsigned d = 0; d < rank; ++d)
      replacements.push_back(getAffineDimExpr(numbers[d], context));
    for (AffineMap &map : parts.inputMaps)
      map = AffineMap::get(
          loops.size(), 0,
          llvm::map_to_vector(map.getResults(),
                              [&](AffineExpr e) {
                                return e.replaceDims(replacements);
                              }),
          context);
    // The result keeps the order of its dimensions.
    Sizes kept;
    SmallVector<AffineExpr> written, read;
    for (auto [r, expr] : llvm::enumerate(parts.initMaps[0].getResults())) {
      unsigned d = cast<AffineDimExpr>(expr).getPosition();
      if (repeated.test(d))
        continue;
      kept.push_back((*dims)[r]);
      written.push_back(replacements[d]);
      read.push_back(getAffineDimExpr(r, context));
    }
    parts.initMaps[0] = AffineMap::get(loops.size(), 0, written, context);
    parts.inits[0] =
        hr::createEmpty(rewriter, op.getLoc(), kept,
                        getElementTypeOrSelf(op->getResult(0).getType()));
    parts.iterators.assign(loops.size(), utils::IteratorType::parallel);
    auto result = rebuildGeneric(
        rewriter, op, parts,
        [](OpBuilder &, Block &block, unsigned n) {
          return Value(block.getArgument(n));
        },
        [&](OpBuilder &builder, Location loc, unsigned d) -> Value {
          return linalg::IndexOp::create(builder, loc, numbers[d]);
        });
    rewriter.replaceOp(
        op, createView(rewriter, op.getLoc(), result.getResult(0),
                       Sizes(kept.size(), SizeExpr(0)),
                       AffineMap::get(rank, 0, read, context), *dims));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Producers
//===----------------------------------------------------------------------===//

/// Whether computing the producer once per use costs no more than reading it.
static bool isFree(linalg::GenericOp producer) {
  Block *body = producer.getBody();
  unsigned numInputs = producer.getNumDpsInputs();
  if (numInputs == 0)
    return llvm::all_of(body->without_terminator(), [](Operation &op) {
      return (isa<hr::SizeOp>(op) ||
              isa<arith::ArithDialect, linalg::LinalgDialect>(
                  op.getDialect())) &&
             !isa<arith::DivFOp, arith::RemFOp, arith::DivSIOp,
                  arith::RemSIOp, arith::DivUIOp, arith::RemUIOp,
                  arith::FloorDivSIOp>(op);
    });
  if (numInputs != 1)
    return false;
  // A widening cast; a narrowing one for a single reader.
  auto cast = dyn_cast_or_null<CastOpInterface>(
      body->getTerminator()->getOperand(0).getDefiningOp());
  if (!cast || llvm::range_size(body->without_terminator()) != 1)
    return false;
  return isa<arith::ExtFOp, arith::ExtSIOp, arith::ExtUIOp>(cast) ||
         (producer->hasOneUse() && isa<arith::ArithDialect>(
                                       cast->getDialect()));
}

/// A free producer is computed in its consumer.
struct InlineProducer : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    for (OpOperand *operand : op.getDpsInputOperands()) {
      auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
      if (!producer || !isElementwise(producer) || !isFree(producer))
        continue;
      if (succeeded(inlineInto(op, operand->getOperandNumber(), producer,
                               rewriter)))
        return success();
    }
    return failure();
  }

  static LogicalResult inlineInto(linalg::GenericOp op, unsigned number,
                                  linalg::GenericOp producer,
                                  PatternRewriter &rewriter) {
    GenericParts parts(op), inner(producer);
    // From the consumer's loops to the producer's.
    AffineMap loops = inversePermutation(inner.initMaps[0])
                          .compose(parts.inputMaps[number]);
    if (!llvm::all_of(loops.getResults(),
                      [](AffineExpr e) { return isa<AffineDimExpr>(e); }))
      return failure();
    SmallVector<Value> inputs;
    SmallVector<AffineMap> maps;
    SmallVector<unsigned> numbers;
    for (unsigned n = 0; n < parts.inputs.size(); ++n) {
      numbers.push_back(inputs.size());
      if (n == number) {
        for (auto [value, map] : llvm::zip(inner.inputs, inner.inputMaps)) {
          inputs.push_back(value);
          maps.push_back(map.compose(loops));
        }
        continue;
      }
      inputs.push_back(parts.inputs[n]);
      maps.push_back(parts.inputMaps[n]);
    }
    SmallVector<AffineMap> all(maps);
    all.append(parts.initMaps);
    if (!coverLoops(all, op.getNumLoops()))
      return failure();
    unsigned oldInputs = parts.inputs.size();
    parts.inputs = inputs;
    parts.inputMaps = maps;
    auto result = rebuildGeneric(
        rewriter, op, parts,
        [&](OpBuilder &builder, Block &block, unsigned n) -> Value {
          if (n >= oldInputs)
            return block.getArgument(inputs.size() + n - oldInputs);
          if (n != number)
            return block.getArgument(numbers[n]);
          IRMapping mapping;
          for (unsigned k = 0; k < inner.inputs.size(); ++k)
            mapping.map(producer.getBody()->getArgument(k),
                        block.getArgument(numbers[n] + k));
          for (Operation &inside : producer.getBody()->without_terminator()) {
            if (auto index = dyn_cast<linalg::IndexOp>(inside)) {
              unsigned dim =
                  cast<AffineDimExpr>(loops.getResult(index.getDim()))
                      .getPosition();
              mapping.map(index.getResult(),
                          linalg::IndexOp::create(builder, index.getLoc(),
                                                  dim)
                              .getResult());
              continue;
            }
            builder.clone(inside, mapping);
          }
          return mapping.lookupOrDefault(
              producer.getBody()->getTerminator()->getOperand(0));
        });
    rewriter.replaceOp(op, result.getResults());
    return success();
  }
};

/// A view of what positions alone determine is computed at the new positions.
struct ViewOfPositions : OpRewritePattern<hr::ViewOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::ViewOp op,
                                PatternRewriter &rewriter) const override {
    auto producer = op.getSource().getDefiningOp<linalg::GenericOp>();
    if (!producer || !isElementwise(producer) ||
        producer.getNumDpsInputs() != 0 || !isFree(producer))
      return failure();
    Sizes dims = hr::getSizes(op.getDims());
    Sizes offsets = hr::getSizes(op.getOffsets());
    AffineMap loops =
        inversePermutation(GenericParts(producer).initMaps[0])
            .compose(op.getMap());
    // The view's offsets, per producer loop.
    Sizes starts(loops.getNumResults(), SizeExpr(0));
    AffineMap initMap = GenericParts(producer).initMaps[0];
    for (auto [r, expr] : llvm::enumerate(initMap.getResults()))
      starts[cast<AffineDimExpr>(expr).getPosition()] = offsets[r];
    for (AffineExpr expr : loops.getResults())
      for (unsigned d = 0; d < loops.getNumDims(); ++d)
        if (!getCoefficient(expr, d, loops.getNumDims()))
          return failure();

    GenericParts parts(producer);
    parts.inits[0] = hr::createEmpty(rewriter, op.getLoc(), dims,
                                     op.getType().getElementType());
    parts.initMaps[0] =
        AffineMap::getMultiDimIdentityMap(dims.size(), getContext());
    parts.iterators.assign(dims.size(), utils::IteratorType::parallel);
    // Sizes are made outside of the body.
    SmallVector<Value> startValues;
    for (const SizeExpr &start : starts)
      startValues.push_back(
          isZero(start) ? Value()
                        : hr::createSize(rewriter, op.getLoc(), start));
    auto result = rebuildGeneric(
        rewriter, producer, parts,
        [](OpBuilder &, Block &block, unsigned n) {
          return Value(block.getArgument(n));
        },
        [&](OpBuilder &builder, Location loc, unsigned loop) -> Value {
          Value sum = startValues[loop];
          for (unsigned d = 0; d < loops.getNumDims(); ++d) {
            int64_t step = *getCoefficient(loops.getResult(loop), d,
                                           loops.getNumDims());
            if (step == 0)
              continue;
            Value term = linalg::IndexOp::create(builder, loc, d);
            if (step != 1)
              term = arith::MulIOp::create(
                  builder, loc, term,
                  arith::ConstantIndexOp::create(builder, loc, step));
            sum = sum ? arith::AddIOp::create(builder, loc, sum, term)
                      : term;
          }
          return sum ? sum : arith::ConstantIndexOp::create(builder, loc, 0);
        });
    rewriter.replaceOp(op, result.getResults());
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Ranges
//===----------------------------------------------------------------------===//

/// Comparisons of positions and sizes whose outcome is always the same.
struct KnownComparison : OpRewritePattern<arith::CmpIOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::CmpIOp op,
                                PatternRewriter &rewriter) const override {
    auto generic = dyn_cast<linalg::GenericOp>(op->getParentOp());
    if (!generic)
      return failure();
    std::optional<LinearIndex> lhs = getLinearIndex(op.getLhs(), generic);
    std::optional<LinearIndex> rhs = getLinearIndex(op.getRhs(), generic);
    FailureOr<Sizes> loops = getLoopSizes(generic);
    if (!lhs || !rhs || failed(loops))
      return failure();
    SymbolRanges ranges = getRangesAround(op);
    auto [least, largest] = (*lhs - *rhs).bounds(*loops);
    bool below = (largest + SizeExpr(1)).isLessEqual(SizeExpr(0), ranges);
    bool notAbove = largest.isLessEqual(SizeExpr(0), ranges);
    bool above = SizeExpr(1).isLessEqual(least, ranges);
    bool notBelow = SizeExpr(0).isLessEqual(least, ranges);
    // For an unsigned comparison both sides must be proved to be positive.
    auto isPositive = [&](const LinearIndex &form) {
      return SizeExpr(0).isLessEqual(form.bounds(*loops).first, ranges);
    };
    using P = arith::CmpIPredicate;
    P predicate = op.getPredicate();
    if (predicate == P::ult || predicate == P::ule || predicate == P::ugt ||
        predicate == P::uge)
      if (!isPositive(*lhs) || !isPositive(*rhs))
        return failure();
    std::optional<bool> outcome;
    auto decide = [&](bool yes, bool no) {
      if (yes || no)
        outcome = yes;
    };
    switch (predicate) {
    case P::eq: decide(notAbove && notBelow, below || above); break;
    case P::ne: decide(below || above, notAbove && notBelow); break;
    case P::slt: case P::ult: decide(below, notBelow); break;
    case P::sle: case P::ule: decide(notAbove, above); break;
    case P::sgt: case P::ugt: decide(above, notAbove); break;
    case P::sge: case P::uge: decide(notBelow, below); break;
    }
    if (!outcome)
      return failure();
    rewriter.replaceOpWithNewOp<arith::ConstantOp>(
        op, rewriter.getBoolAttr(*outcome));
    return success();
  }
};

/// Indices that are linear in the position, and in bounds, address a view.
struct LinearGather : OpRewritePattern<hr::GatherOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(hr::GatherOp op,
                                PatternRewriter &rewriter) const override {
    Sizes dims = hr::getSizes(op.getDims());
    FailureOr<SmallVector<SizeExpr>> source = hr::getDims(op.getSource());
    if (failed(source))
      return failure();
    SymbolRanges ranges = getRangesAround(op);
    SmallVector<AffineMap> maps =
        llvm::to_vector(op.getIndexMaps().getAsValueRange<AffineMapAttr>());
    unsigned rank = dims.size();
    MLIRContext *context = getContext();

    SmallVector<AffineExpr> exprs(op.getSourceMap().getResults());
    Sizes offsets(exprs.size(), SizeExpr(0));
    for (auto [d, k] : llvm::enumerate(op.getSourceDims())) {
      if (k < 0)
        continue;
      std::optional<LinearIndex> form = getForm(op.getIndices()[k], maps[k]);
      if (!form)
        return failure();
      auto [least, largest] = form->bounds(dims);
      if (!SizeExpr(0).isLessEqual(least, ranges) ||
          !largest.isLessEqual((*source)[d] - SizeExpr(1), ranges))
        return failure();
      AffineExpr expr = getAffineConstantExpr(0, context);
      for (auto [loop, c] : llvm::enumerate(form->coefficients))
        expr = expr + getAffineDimExpr(loop, context) * c;
      exprs[d] = expr;
      offsets[d] = form->constant;
    }
    rewriter.replaceOp(op, createView(rewriter, op.getLoc(), op.getSource(),
                                      offsets,
                                      AffineMap::get(rank, 0, exprs, context),
                                      dims));
    return success();
  }

  /// The values of the index tensor, as a function of the gather's position.
  static std::optional<LinearIndex> getForm(Value index, AffineMap map) {
    unsigned rank = map.getNumDims();
    if (auto integer = dyn_cast_or_null<IntegerAttr>(getSplat(index)))
      return LinearIndex{SizeExpr(integer.getInt()),
                         SmallVector<int64_t>(rank, 0)};
    auto producer = index.getDefiningOp<linalg::GenericOp>();
    if (!producer || !isElementwise(producer))
      return std::nullopt;
    std::optional<LinearIndex> inner = getLinearIndex(
        producer.getBody()->getTerminator()->getOperand(0), producer);
    if (!inner)
      return std::nullopt;
    AffineMap loops =
        inversePermutation(GenericParts(producer).initMaps[0]).compose(map);
    LinearIndex form{inner->constant, SmallVector<int64_t>(rank, 0)};
    for (auto [loop, c] : llvm::enumerate(inner->coefficients)) {
      if (c == 0)
        continue;
      SmallVector<AffineExpr> zeros(
          rank, getAffineConstantExpr(0, map.getContext()));
      auto start = dyn_cast<AffineConstantExpr>(simplifyAffineExpr(
          loops.getResult(loop).replaceDims(zeros), 0, 0));
      if (!start)
        return std::nullopt;
      form.constant = form.constant + SizeExpr(c * start.getValue());
      for (unsigned d = 0; d < rank; ++d) {
        std::optional<int64_t> step =
            getCoefficient(loops.getResult(loop), d, rank);
        if (!step)
          return std::nullopt;
        form.coefficients[d] += c * *step;
      }
    }
    return form;
  }
};

} // namespace

void headrace::populateBodyPatterns(RewritePatternSet &patterns) {
  patterns.add<RedundantInputs, ConstantInit, CopyGeneric, RepeatedLoop,
               InlineProducer, ViewOfPositions, KnownComparison, LinearGather>(
      patterns.getContext());
}
