//===- Reductions.cpp - Operators that combine along dimensions -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sums, extrema, positions of extrema, moments, norms, running combinations.
// 16-bit floats are accumulated in f32 and rounded once; integers are summed in
// int64.
//
// The position of an extremum is a reduction of its own: the least index whose
// element equals the extremum (or is NaN, where that is NaN). Both reductions
// are associative, so they may be split and merged in any order.
//
//===----------------------------------------------------------------------===//

#include "Reductions.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Args = ArrayRef<Scalar>;
using Compare = Body::Compare;

/// Where a reduction is accumulated whose result has the type.
static DType getAccumulator(DType type) { return getComputeType(type); }

SizeExpr conversion::countElements(const Tensor &tensor,
                                   ArrayRef<int64_t> dims) {
  SizeExpr count(1);
  for (int64_t d : dims)
    count = count * tensor.dims[d];
  return count;
}

Tensor conversion::divideBy(Emitter &e, const Tensor &tensor,
                            const SizeExpr &count) {
  return e.map({tensor}, tensor.dtype, tensor.dtype, [&](Body &b, Args a) {
    return b.div(a[0], b.constant(Number(count), a[0].dtype));
  });
}

Tensor conversion::getMean(Emitter &e, const Tensor &tensor,
                           ArrayRef<int64_t> dims, DType accumulate) {
  Tensor sum = e.reduce(tensor, dims, false, Combine::Add, accumulate);
  return divideBy(e, sum, countElements(tensor, dims));
}

Moments conversion::getMoments(Emitter &e, const Tensor &tensor,
                               ArrayRef<int64_t> dims, double correction,
                               DType accumulate) {
  DType type = accumulate;
  SizeExpr count = countElements(tensor, dims);
  Tensor rough = getMean(e, tensor, dims, type);

  // The gaps from it and their squares, summed in one nest.
  SmallVector<AffineExpr> outer;
  for (int64_t d = 0; d < tensor.rank(); ++d)
    if (!llvm::is_contained(dims, d))
      outer.push_back(e.dim(d));
  AffineMap out = e.getMap(tensor.rank(), outer);
  SmallVector<Tensor> sums = e.sums(
      tensor.dims,
      {{tensor, e.builder.getMultiDimIdentityMap(tensor.rank())},
       {rough, out}},
      out, type, 2, [&](Body &b, Args a) {
        Scalar gap = b.sub(b.cast(a[0], type), a[1]);
        return SmallVector<Scalar>{b.add(a[2], gap),
                                   b.add(a[3], b.mul(gap, gap))};
      });

  Tensor shift = e.map(
      {rough, sums[0], sums[1]}, type, type, [&](Body &b, Args a) {
        Scalar n = b.constant(Number(count), type);
        Scalar spread = b.math<math::SqrtOp>(b.div(a[2], n));
        Scalar wide = b.compare(Compare::LE, b.abs(a[0]), b.add(spread, spread));
        return b.select(wide, b.constant(0.0, type), b.div(a[1], n));
      });
  Tensor mean = e.add(rough, shift);
  Tensor variance = e.map({sums[0], sums[1]}, type, type, [&](Body &b, Args a) {
    Scalar n = b.constant(Number(count), type);
    Scalar zero = b.constant(0.0, type);
    Scalar excess = b.mul(a[0], b.div(a[0], n));
    // Never negative, and where squares overflow they say all there is.
    Scalar squares =
        b.select(b.compare(Compare::LT, excess, b.infinity(type)),
                 b.max(b.sub(a[1], excess), zero), a[1]);
    if (correction != 0.0)
      n = b.max(b.sub(n, b.constant(correction, type)), zero);
    return b.div(squares, n);
  });
  return {mean, variance};
}

Tensor conversion::keepDims(Emitter &e, const Tensor &reduced,
                            ArrayRef<SizeExpr> from, ArrayRef<int64_t> dims) {
  Dims full;
  for (auto [d, size] : llvm::enumerate(from))
    full.push_back(llvm::is_contained(dims, static_cast<int64_t>(d))
                       ? SizeExpr(1)
                       : size);
  return e.reshape(reduced, full);
}

//===----------------------------------------------------------------------===//
// Sums and the like
//===----------------------------------------------------------------------===//

/// The dimensions of a reduction: `dim` may be absent, None, one or several.
static SmallVector<int64_t> getReducedDims(Lowering &c, const Tensor &self) {
  if (!c.has("dim"))
    return llvm::to_vector(llvm::seq<int64_t>(0, self.rank()));
  return c.dimensions("dim", self.rank());
}

/// What has no neutral element of its own is not defined over no elements.
static void requireElements(Lowering &c, const Tensor &self,
                            ArrayRef<int64_t> dims) {
  c.requireAtLeast(countElements(self, dims), 1,
                   "there are no elements to reduce, and the operation has no "
                   "value for none");
}

static bool keepsDims(Lowering &c) {
  return c.has("keepdim") && c.flag("keepdim");
}

static void lowerReduction(Lowering &c, Combine kind,
                           function_ref<Scalar(Body &, Scalar)> element =
                               nullptr) {
  Tensor self = c.tensor("self");
  DType type = getAccumulator(c.resultDType());
  c.yieldCast(c.reduce(self, getReducedDims(c, self), keepsDims(c), kind, type,
                       element));
}

static void lowerNanSum(Lowering &c) {
  lowerReduction(c, Combine::Add, [](Body &b, Scalar x) {
    return isFloat(x.dtype)
               ? b.select(b.isNaN(x), b.constant(0.0, x.dtype), x)
               : x;
  });
}

static void lowerMean(Lowering &c) {
  Tensor self = c.tensor("self");
  SmallVector<int64_t> dims = getReducedDims(c, self);
  DType type = getAccumulator(c.resultDType());
  if (!isFloat(type))
    return c.fail("the mean of " + getName(self.dtype) + " is not defined");
  Tensor mean = getMean(c, self, dims, type);
  c.yieldCast(keepsDims(c) ? keepDims(c, mean, self.dims, dims) : mean);
}

/// any and all: of the elements as bools.
static void lowerAnyAll(Lowering &c, Combine kind) {
  Tensor self = c.tensor("self");
  c.yieldCast(c.reduce(self, getReducedDims(c, self), keepsDims(c), kind,
                       DType::Bool));
}

static void lowerCountNonzero(Lowering &c) {
  Tensor self = c.tensor("self");
  Tensor flags = c.cast(self, DType::Bool);
  c.yieldCast(c.reduce(flags, getReducedDims(c, self), false, Combine::Add,
                       DType::Int64));
}

static void lowerExtremum(Lowering &c, Combine kind) {
  Tensor self = c.tensor("self");
  SmallVector<int64_t> dims = getReducedDims(c, self);
  requireElements(c, self, dims);
  c.yield(c.reduce(self, dims, keepsDims(c), kind, self.dtype));
}

static void lowerAminmax(Lowering &c) {
  Tensor self = c.tensor("self");
  SmallVector<int64_t> dims = getReducedDims(c, self);
  requireElements(c, self, dims);
  for (Combine kind : {Combine::Min, Combine::Max})
    c.yield(c.reduce(self, dims, keepsDims(c), kind, self.dtype));
}

Tensor conversion::findPosition(Emitter &e, const Tensor &tensor,
                                const Tensor &extremum, int64_t d) {
  int64_t rank = tensor.rank();
  SmallVector<AffineExpr> outer;
  for (int64_t i = 0; i < rank; ++i)
    if (i != d)
      outer.push_back(e.dim(i));
  AffineMap out = e.getMap(rank, outer);
  return e.structured(
      tensor.dims,
      {{tensor, e.builder.getMultiDimIdentityMap(rank)}, {extremum, out}}, out,
      DType::Int64, Emitter::neutral(Combine::Min, DType::Int64),
      [&](Body &b, Args a) {
        Scalar found = b.compare(Compare::EQ, a[0], a[1]);
        if (isFloat(a[0].dtype))
          found = b.bitOr(found, b.bitAnd(b.isNaN(a[0]), b.isNaN(a[1])));
        Scalar none = b.largest(DType::Int64);
        return b.min(a[2], b.select(found, b.index(d), none));
      });
}

/// max.dim and min.dim: the values and their positions.
static void lowerExtremumDim(Lowering &c, Combine kind) {
  Tensor self = c.tensor("self");
  bool keep = keepsDims(c);
  if (self.rank() == 0) {
    c.yield(self);
    c.yield(c.fill({}, Number(int64_t(0)), DType::Int64));
    return;
  }
  int64_t d = c.dimension("dim", self.rank());
  requireElements(c, self, {d});
  Tensor values = c.reduce(self, {d}, false, kind, self.dtype);
  c.yield(keep ? c.unsqueeze(values, d) : values);
  if (!c.isUsed(1))
    return c.yieldUnused();
  Tensor indices = findPosition(c, self, values, d);
  c.yield(keep ? c.unsqueeze(indices, d) : indices);
}

static void lowerArgExtremum(Lowering &c, Combine kind) {
  Tensor self = c.tensor("self");
  if (c.isNone("dim") || self.rank() == 0) {
    Tensor flat = c.reshape(self, {product(self.dims)});
    requireElements(c, flat, {0});
    Tensor value = c.reduce(flat, {0}, false, kind, self.dtype);
    return c.yield(
        c.reshape(findPosition(c, flat, value, 0), c.resultDims()));
  }
  int64_t d = c.dimension("dim", self.rank());
  requireElements(c, self, {d});
  Tensor values = c.reduce(self, {d}, false, kind, self.dtype);
  Tensor indices = findPosition(c, self, values, d);
  c.yield(keepsDims(c) ? c.unsqueeze(indices, d) : indices);
}

//===----------------------------------------------------------------------===//
// Moments and norms
//===----------------------------------------------------------------------===//

static double getCorrection(Lowering &c) {
  if (c.has("unbiased"))
    return c.flag("unbiased") ? 1.0 : 0.0;
  if (!c.has("correction") || c.isNone("correction"))
    return 1.0;
  return c.real("correction");
}

/// var, std, var_mean, std_mean: in f64 throughout, as torch has them. So the
/// squares neither overflow nor vanish before their root is taken.
static void lowerVariance(Lowering &c, bool root, bool withMean) {
  Tensor self = c.tensor("self");
  SmallVector<int64_t> dims = getReducedDims(c, self);
  Moments moments =
      getMoments(c, self, dims, getCorrection(c), DType::Float64);
  Tensor spread = moments.variance;
  if (root)
    spread = c.map({spread}, spread.dtype, spread.dtype,
                   [](Body &b, Args a) { return b.math<math::SqrtOp>(a[0]); });
  Tensor mean = moments.mean;
  if (keepsDims(c)) {
    spread = keepDims(c, spread, self.dims, dims);
    mean = keepDims(c, mean, self.dims, dims);
  }
  c.yieldCast(spread);
  if (withMean)
    c.yieldCast(mean);
}

static void lowerNorm(Lowering &c, StringRef orderName) {
  Tensor self = c.tensor("self");
  double order = c.isNone(orderName) ? 2.0 : c.real(orderName);
  SmallVector<int64_t> dims = getReducedDims(c, self);
  bool keep = keepsDims(c);
  DType type = getAccumulator(c.resultDType());
  if (!isFloat(type))
    return c.fail("the norm of " + getName(self.dtype) + " is not defined");
  if (std::isinf(order) || order < 0.0)
    requireElements(c, self, dims);
  if (std::isinf(order)) {
    Tensor result = c.reduce(
        self, dims, keep, order > 0 ? Combine::Max : Combine::Min, type,
        [](Body &b, Scalar x) { return b.abs(x); });
    return c.yieldCast(result);
  }
  Tensor sum = c.reduce(
      self, dims, keep, Combine::Add, type, [&](Body &b, Scalar x) {
        if (order == 0.0)
          return b.cast(b.compare(Compare::NE, x, b.constant(0.0, x.dtype)),
                        x.dtype);
        if (order == 1.0)
          return b.abs(x);
        if (order == 2.0)
          return b.mul(x, x);
        return b.math<math::PowFOp>(b.abs(x), b.constant(order, x.dtype));
      });
  if (order == 0.0 || order == 1.0)
    return c.yieldCast(sum);
  c.yieldCast(c.map({sum}, type, type, [&](Body &b, Args a) {
    if (order == 2.0)
      return b.math<math::SqrtOp>(a[0]);
    return b.math<math::PowFOp>(a[0], b.constant(1.0 / order, type));
  }));
}

static void lowerLogSumExp(Lowering &c) {
  Tensor self = c.tensor("self");
  SmallVector<int64_t> dims = c.dimensions("dim", self.rank());
  DType type = getAccumulator(c.resultDType());
  Tensor high = c.reduce(self, dims, true, Combine::Max, type);
  // An infinite maximum is not subtracted: inf - inf is NaN.
  Tensor shift = c.map({high}, type, type, [](Body &b, Args a) {
    Scalar infinite =
        b.compare(Compare::EQ, b.abs(a[0]), b.infinity(a[0].dtype));
    return b.select(infinite, b.constant(0.0, a[0].dtype), a[0]);
  });
  Tensor powers = c.map({self, shift}, type, type, [](Body &b, Args a) {
    return b.math<math::ExpOp>(b.sub(a[0], a[1]));
  });
  Tensor sum = c.reduce(powers, dims, true, Combine::Add, type);
  Tensor result = c.map({sum, shift}, type, type, [](Body &b, Args a) {
    return b.add(b.math<math::LogOp>(a[0]), a[1]);
  });
  c.yieldCast(keepsDims(c) ? result : c.squeeze(result, dims));
}

//===----------------------------------------------------------------------===//
// Running combinations
//===----------------------------------------------------------------------===//

static void lowerScan(Lowering &c, hr::Combiner combiner) {
  Tensor self = c.tensor("self");
  DType type = getAccumulator(c.resultDType());
  Tensor wide = c.cast(self, type);
  if (self.rank() == 0)
    return c.yieldCast(wide);
  int64_t d = c.dimension("dim", self.rank());
  c.yieldCast(c.scan(wide, d, combiner));
}

/// cummax and cummin. The position is that of the latest element that equals
/// the running extremum at its own place.
static void lowerScanExtremum(Lowering &c, hr::Combiner combiner) {
  Tensor self = c.tensor("self");
  if (self.rank() == 0) {
    c.yield(self);
    return c.yield(c.fill({}, Number(int64_t(0)), DType::Int64));
  }
  int64_t d = c.dimension("dim", self.rank());
  // hr.scan takes integers as signed.
  DType type = isUnsigned(self.dtype) ? DType::Int16 : self.dtype;
  Tensor wide = c.cast(self, type);
  Tensor running = c.scan(wide, d, combiner);
  c.yield(c.cast(running, self.dtype));
  if (!c.isUsed(1))
    return c.yieldUnused();
  AffineMap identity = c.builder.getMultiDimIdentityMap(self.rank());
  Tensor own = c.structured(
      self.dims, {{wide, identity}, {running, identity}}, identity,
      DType::Int64, std::nullopt, [&](Body &b, Args a) {
        Scalar equal = b.compare(Compare::EQ, a[0], a[1]);
        if (isFloat(a[0].dtype))
          equal = b.bitOr(equal, b.bitAnd(b.isNaN(a[0]), b.isNaN(a[1])));
        return b.select(equal, b.index(d), b.integer(0, DType::Int64));
      });
  c.yield(c.scan(own, d, hr::Combiner::Max));
}

/// self - its predecessor, n times, with rows before and after.
static void lowerDiff(Lowering &c) {
  Tensor self = c.tensor("self");
  if (self.rank() == 0)
    return c.fail("expected a tensor of rank 1 or more");
  int64_t d = c.dimension("dim", self.rank());
  SmallVector<Tensor> parts;
  if (auto before = c.optionalTensor("prepend"))
    parts.push_back(c.cast(*before, self.dtype));
  parts.push_back(self);
  if (auto after = c.optionalTensor("append"))
    parts.push_back(c.cast(*after, self.dtype));
  self = c.concat(parts, d);
  for (int64_t i = 0, n = c.integer("n"); i < n; ++i) {
    SizeExpr rest = self.dims[d] - SizeExpr(1);
    Tensor later = c.slice(self, d, SizeExpr(1), rest);
    Tensor earlier = c.slice(self, d, SizeExpr(0), rest);
    self = c.map({later, earlier}, self.dtype, self.dtype,
                 [](Body &b, Args a) {
                   return isBool(a[0].dtype) ? b.bitXor(a[0], a[1])
                                             : b.sub(a[0], a[1]);
                 });
  }
  c.yield(self);
}

void conversion::registerReductions(Registry &r) {
  auto combine = [](Combine kind) {
    return [kind](Lowering &c) { lowerReduction(c, kind); };
  };
  r.add({"aten.sum.default", "aten.sum.dim_IntList"}, combine(Combine::Add));
  r.add({"aten.prod.default", "aten.prod.dim_int"}, combine(Combine::Mul));
  r.add({"aten.nansum.default"}, lowerNanSum);
  r.add({"aten.mean.default", "aten.mean.dim"}, lowerMean);
  r.add({"aten.any.default", "aten.any.dim", "aten.any.dims"},
        [](Lowering &c) { lowerAnyAll(c, Combine::Or); });
  r.add({"aten.all.default", "aten.all.dim", "aten.all.dims"},
        [](Lowering &c) { lowerAnyAll(c, Combine::And); });
  r.add({"aten.count_nonzero.default", "aten.count_nonzero.dim_IntList"},
        lowerCountNonzero);
  auto maximum = [](Lowering &c) { lowerExtremum(c, Combine::Max); };
  auto minimum = [](Lowering &c) { lowerExtremum(c, Combine::Min); };
  r.add({"aten.amax.default", "aten.max.default"}, maximum);
  r.add({"aten.amin.default", "aten.min.default"}, minimum);
  r.add("aten.aminmax.default", lowerAminmax);
  r.add("aten.max.dim",
        [](Lowering &c) { lowerExtremumDim(c, Combine::Max); });
  r.add("aten.min.dim",
        [](Lowering &c) { lowerExtremumDim(c, Combine::Min); });
  r.add("aten.argmax.default",
        [](Lowering &c) { lowerArgExtremum(c, Combine::Max); });
  r.add("aten.argmin.default",
        [](Lowering &c) { lowerArgExtremum(c, Combine::Min); });

  r.add({"aten.var.default", "aten.var.dim", "aten.var.correction"},
        [](Lowering &c) { lowerVariance(c, false, false); });
  r.add({"aten.std.default", "aten.std.dim", "aten.std.correction"},
        [](Lowering &c) { lowerVariance(c, true, false); });
  r.add({"aten.var_mean.default", "aten.var_mean.dim",
         "aten.var_mean.correction"},
        [](Lowering &c) { lowerVariance(c, false, true); });
  r.add({"aten.std_mean.default", "aten.std_mean.dim",
         "aten.std_mean.correction"},
        [](Lowering &c) { lowerVariance(c, true, true); });
  r.add("aten.linalg_vector_norm.default",
        [](Lowering &c) { lowerNorm(c, "ord"); });
  r.add({"aten.norm.Scalar", "aten.norm.ScalarOpt_dim",
         "aten.norm.ScalarOpt_dtype", "aten.norm.ScalarOpt_dim_dtype"},
        [](Lowering &c) { lowerNorm(c, "p"); });
  r.add("aten.linalg_norm.default", [](Lowering &c) {
    // With an order and two dimensions it is a matrix norm.
    bool matrix =
        !c.isNone("ord") &&
        ((!c.isNone("dim") && c.integers("dim").size() == 2) ||
         (c.isNone("dim") && c.tensor("self").rank() == 2));
    if (matrix)
      return c.fail("a matrix norm");
    lowerNorm(c, "ord");
  });
  r.add("aten.logsumexp.default", lowerLogSumExp);

  r.add("aten.cumsum.default",
        [](Lowering &c) { lowerScan(c, hr::Combiner::Add); });
  r.add("aten.cumprod.default",
        [](Lowering &c) { lowerScan(c, hr::Combiner::Mul); });
  r.add("aten.cummax.default",
        [](Lowering &c) { lowerScanExtremum(c, hr::Combiner::Max); });
  r.add("aten.cummin.default",
        [](Lowering &c) { lowerScanExtremum(c, hr::Combiner::Min); });
  r.add("aten.diff.default", lowerDiff);
}
