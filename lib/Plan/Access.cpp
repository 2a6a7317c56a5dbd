//===- Access.cpp - Where an operation finds what it reads ----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Plan/Access.h"

#include "headrace/Dialect/HR/HR.h"
#include "headrace/Dialect/HR/HRUtils.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

std::optional<unsigned> Linear::getPlainLoop() const {
  if (offset != SizeExpr(0))
    return std::nullopt;
  std::optional<unsigned> loop;
  for (auto [d, c] : llvm::enumerate(coef)) {
    if (c == SizeExpr(0))
      continue;
    if (c != SizeExpr(1) || loop)
      return std::nullopt;
    loop = d;
  }
  return loop;
}

bool Linear::isZero() const {
  return offset == SizeExpr(0) && llvm::all_of(coef, [](const SizeExpr &c) {
           return c == SizeExpr(0);
         });
}

SmallVector<SizeExpr> plan::rowMajorStrides(ArrayRef<SizeExpr> dims) {
  SmallVector<SizeExpr> strides(dims.size(), SizeExpr(1));
  for (int64_t d = static_cast<int64_t>(dims.size()) - 2; d >= 0; --d)
    strides[d] = strides[d + 1] * dims[d + 1];
  return strides;
}

std::optional<SmallVector<SizeExpr>>
plan::reshapeStrides(ArrayRef<SizeExpr> from, ArrayRef<SizeExpr> strides,
                     ArrayRef<SizeExpr> to) {
  // Nothing is read of an empty tensor, wherever it is.
  if (llvm::is_contained(from, SizeExpr(0)) &&
      llvm::is_contained(to, SizeExpr(0)))
    return rowMajorStrides(to);
  // Chunks of source dimensions that are contiguous among themselves, last
  // first; each must be covered exactly by consecutive result dimensions.
  struct Chunk {
    SizeExpr count, stride;
  };
  SmallVector<Chunk> chunks;
  for (int64_t d = static_cast<int64_t>(from.size()) - 1; d >= 0; --d) {
    if (from[d] == SizeExpr(1))
      continue;
    if (!chunks.empty() &&
        strides[d] == chunks.back().stride * chunks.back().count) {
      chunks.back().count = chunks.back().count * from[d];
      continue;
    }
    chunks.push_back({from[d], strides[d]});
  }
  SmallVector<SizeExpr> result(to.size(), SizeExpr(1));
  int64_t d = static_cast<int64_t>(to.size()) - 1;
  for (const Chunk &chunk : chunks) {
    SizeExpr covered(1);
    // As both shapes have as many elements, the outermost chunk is what is left
    // over: `n floordiv 4` rows of 4 need no proof that n is a multiple.
    bool isLast = &chunk == &chunks.back();
    while (isLast ? d >= 0 : covered != chunk.count) {
      if (d < 0)
        return std::nullopt;
      result[d] = covered * chunk.stride;
      covered = covered * to[d];
      --d;
    }
  }
  for (; d >= 0; --d) {
    if (to[d] != SizeExpr(1))
      return std::nullopt;
    result[d] = SizeExpr(1);
  }
  return result;
}

bool plan::isViewLike(Operation *op) {
  return isa<hr::ViewOp, hr::ReshapeOp>(op);
}

Value plan::getViewBase(Value tensor) {
  while (Operation *op = tensor.getDefiningOp()) {
    if (!isViewLike(op))
      break;
    tensor = op->getOperand(0);
  }
  return tensor;
}

FailureOr<SmallVector<Linear>> plan::getLinear(AffineMap map) {
  SmallVector<Linear> result;
  MLIRContext *context = map.getContext();
  unsigned rank = map.getNumDims();
  auto evaluate = [&](AffineExpr expr,
                      ArrayRef<AffineExpr> point) -> std::optional<int64_t> {
    auto value = dyn_cast<AffineConstantExpr>(
        simplifyAffineExpr(expr.replaceDims(point), 0, 0));
    return value ? std::optional(value.getValue()) : std::nullopt;
  };
  SmallVector<AffineExpr> zeros(rank, getAffineConstantExpr(0, context));
  for (AffineExpr expr : map.getResults()) {
    bool linear = true;
    expr.walk([&](AffineExpr e) {
      if (e.getKind() == AffineExprKind::FloorDiv ||
          e.getKind() == AffineExprKind::CeilDiv ||
          e.getKind() == AffineExprKind::Mod ||
          e.getKind() == AffineExprKind::SymbolId)
        linear = false;
    });
    if (!linear)
      return failure();
    std::optional<int64_t> constant = evaluate(expr, zeros);
    if (!constant)
      return failure();
    Linear &out = result.emplace_back();
    out.offset = *constant;
    for (unsigned d = 0; d < rank; ++d) {
      SmallVector<AffineExpr> unit = zeros;
      unit[d] = getAffineConstantExpr(1, context);
      out.coef.push_back(SizeExpr(*evaluate(expr, unit) - *constant));
    }
  }
  return result;
}

FailureOr<StridedView>
plan::getStridedView(Value tensor, ArrayRef<SizeExpr> baseStrides) {
  SmallVector<Operation *> views;
  Value base = tensor;
  while (Operation *op = base.getDefiningOp()) {
    if (!isViewLike(op))
      break;
    views.push_back(op);
    base = op->getOperand(0);
  }
  FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(base);
  if (failed(dims))
    return failure();
  StridedView view{base, SizeExpr(0),
                   baseStrides.empty() ? rowMajorStrides(*dims)
                                       : llvm::to_vector(baseStrides)};
  SmallVector<SizeExpr> shape = *dims;
  for (Operation *op : llvm::reverse(views)) {
    if (auto reshape = dyn_cast<hr::ReshapeOp>(op)) {
      SmallVector<SizeExpr> to = hr::getSizes(reshape.getDims());
      std::optional<SmallVector<SizeExpr>> strides =
          reshapeStrides(shape, view.strides, to);
      if (!strides)
        return failure();
      view.strides = *strides;
      shape = to;
      continue;
    }
    auto select = cast<hr::ViewOp>(op);
    FailureOr<SmallVector<Linear>> linear = getLinear(select.getMap());
    if (failed(linear))
      return failure();
    SmallVector<SizeExpr> offsets = hr::getSizes(select.getOffsets());
    shape = hr::getSizes(select.getDims());
    SmallVector<SizeExpr> strides(shape.size(), SizeExpr(0));
    for (auto [j, expr] : llvm::enumerate(*linear)) {
      view.offset = view.offset + offsets[j] * view.strides[j];
      for (unsigned k = 0; k < shape.size(); ++k)
        strides[k] = strides[k] + expr.coef[k] * view.strides[j];
    }
    view.strides = strides;
  }
  return view;
}

Linear plan::compose(const Linear &outer, ArrayRef<Linear> inner,
                     unsigned numLoops) {
  Linear result;
  result.offset = outer.offset;
  result.coef.assign(numLoops, SizeExpr(0));
  for (auto [k, c] : llvm::enumerate(outer.coef)) {
    if (c == SizeExpr(0))
      continue;
    result.offset = result.offset + c * inner[k].offset;
    for (unsigned d = 0; d < numLoops; ++d)
      result.coef[d] = result.coef[d] + c * inner[k].coef[d];
  }
  return result;
}

/// The index into what `reshape` reads. Each source dimension must be a product
/// of result dimensions: then its index is a sum. The strides of a virtual
/// source whose dimensions are independent say which result dimension belongs
/// to which; the outermost has all that is left over.
static FailureOr<SmallVector<Linear>>
throughReshape(hr::ReshapeOp reshape, ArrayRef<Linear> index,
               unsigned numLoops, StringRef &why) {
  FailureOr<SmallVector<SizeExpr>> from = hr::getDims(reshape.getSource());
  if (failed(from)) {
    why = "unknown sizes";
    return failure();
  }
  SmallVector<SizeExpr> to = hr::getSizes(reshape.getDims());
  SmallVector<Linear> next(from->size());
  int64_t d = static_cast<int64_t>(to.size()) - 1;
  int64_t outermost = llvm::find_if(*from, [](const SizeExpr &size) {
                        return size != SizeExpr(1);
                      }) - from->begin();
  why = "a reshape merges dimensions in a stage";
  for (int64_t j = static_cast<int64_t>(from->size()) - 1; j >= 0; --j) {
    Linear &out = next[j];
    out.coef.assign(numLoops, SizeExpr(0));
    if ((*from)[j] == SizeExpr(1))
      continue;
    SizeExpr covered(1);
    while (j == outermost ? d >= 0 : covered != (*from)[j]) {
      if (d < 0)
        return failure();
      out.offset = out.offset + covered * index[d].offset;
      for (unsigned l = 0; l < numLoops; ++l)
        out.coef[l] = out.coef[l] + covered * index[d].coef[l];
      covered = covered * to[d];
      --d;
    }
  }
  for (; d >= 0; --d)
    if (to[d] != SizeExpr(1))
      return failure();
  return next;
}

FailureOr<SmallVector<Linear>> plan::getBaseIndex(Value tensor,
                                                  ArrayRef<Linear> index,
                                                  unsigned numLoops,
                                                  std::string *why) {
  SmallVector<Linear> current(index);
  while (Operation *op = tensor.getDefiningOp()) {
    if (!isViewLike(op))
      break;
    StringRef reason = "a view's map is not linear";
    FailureOr<SmallVector<Linear>> next = failure();
    if (auto reshape = dyn_cast<hr::ReshapeOp>(op)) {
      next = throughReshape(reshape, current, numLoops, reason);
    } else {
      auto select = cast<hr::ViewOp>(op);
      FailureOr<SmallVector<Linear>> map = getLinear(select.getMap());
      if (succeeded(map)) {
        SmallVector<SizeExpr> offsets = hr::getSizes(select.getOffsets());
        next = SmallVector<Linear>();
        for (auto [j, outer] : llvm::enumerate(*map)) {
          outer.offset = outer.offset + offsets[j];
          next->push_back(compose(outer, current, numLoops));
        }
      }
    }
    if (failed(next)) {
      if (why)
        *why = (op->getName().getStringRef() + ": " + reason).str();
      return failure();
    }
    current = std::move(*next);
    tensor = op->getOperand(0);
  }
  return current;
}

bool Access::dependsOn(unsigned loop) const {
  auto varies = [&](const Linear &linear) {
    return linear.coef[loop] != SizeExpr(0);
  };
  if (producer)
    return llvm::any_of(index, varies);
  if (panel)
    return llvm::any_of(logical, varies);
  return (loop < address.coef.size() && varies(address)) ||
         (gather && dataLoops.test(loop));
}
