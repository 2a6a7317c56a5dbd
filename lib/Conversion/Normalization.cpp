//===- Normalization.cpp - Softmax and normalization layers ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All are written out as reductions and pointwise steps: what is fused, and
// what streams, is decided later and by algebra, not by the operator's name.
//
//===----------------------------------------------------------------------===//

#include "Reductions.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Args = ArrayRef<Scalar>;
using Compare = Body::Compare;

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// Pointwise over `tensor` and operands that lack dimension `d`.
static Tensor mapRows(Emitter &e, const Tensor &tensor,
                      ArrayRef<Tensor> rowValues, int64_t d, DType type,
                      BodyFn body) {
  int64_t rank = tensor.rank();
  SmallVector<AffineExpr> outer;
  for (int64_t i = 0; i < rank; ++i)
    if (i != d)
      outer.push_back(e.dim(i));
  AffineMap identity = e.builder.getMultiDimIdentityMap(rank);
  SmallVector<Access> inputs{{tensor, identity}};
  for (const Tensor &value : rowValues)
    inputs.push_back({value, e.getMap(rank, outer)});
  return e.structured(tensor.dims, inputs, identity, type, std::nullopt, body);
}

Tensor conversion::softmax(Emitter &e, const Tensor &tensor, int64_t d,
                           bool logarithm, bool zeroMaskedRows) {
  DType type = getComputeType(tensor.dtype);
  Tensor high = e.reduce(tensor, {d}, false, Combine::Max, type);
  if (logarithm) {
    Tensor shifted = mapRows(e, tensor, {high}, d, type, [](Body &b, Args a) {
      return b.sub(a[0], a[1]);
    });
    Tensor sum = e.reduce(
        shifted, {d}, false, Combine::Add, type,
        [](Body &b, Scalar x) { return b.math<math::ExpOp>(x); });
    return mapRows(e, shifted, {sum}, d, type, [](Body &b, Args a) {
      return b.sub(a[0], b.math<math::LogOp>(a[1]));
    });
  }
  Tensor powers = mapRows(e, tensor, {high}, d, type, [](Body &b, Args a) {
    return b.math<math::ExpOp>(b.sub(a[0], a[1]));
  });
  Tensor sum = e.reduce(powers, {d}, false, Combine::Add, type);
  if (!zeroMaskedRows)
    return mapRows(e, powers, {sum}, d, type,
                   [](Body &b, Args a) { return b.div(a[0], a[1]); });
  return mapRows(e, powers, {sum, high}, d, type, [](Body &b, Args a) {
    Scalar masked = b.compare(Compare::EQ, a[2], b.infinity(a[2].dtype, true));
    return b.select(masked, b.constant(0.0, a[0].dtype), b.div(a[0], a[1]));
  });
}

static void lowerSoftmax(Lowering &c, bool logarithm, bool safe) {
  Tensor self = c.tensor("self");
  // A dtype argument converts first; so does half_to_float.
  if (isFloat(c.resultDType()) &&
      getBitWidth(c.resultDType()) > getBitWidth(self.dtype))
    self = c.cast(self, c.resultDType());
  if (!isFloat(self.dtype))
    self = c.cast(self, c.resultDType());
  if (self.rank() == 0)
    return c.yieldCast(c.fill({}, Number(logarithm ? 0.0 : 1.0), self.dtype));
  int64_t d = c.dimension("dim", self.rank());
  c.yieldCast(softmax(c, self, d, logarithm, safe));
}

//===----------------------------------------------------------------------===//
// Layer, group, batch and RMS normalization
//===----------------------------------------------------------------------===//

/// 1 / sqrt(variance + eps)
static Tensor inverseDeviation(Emitter &e, const Tensor &variance,
                               double eps) {
  DType type = getComputeType(variance.dtype);
  return e.map({variance}, type, type, [&](Body &b, Args a) {
    Scalar one = b.constant(1.0, type);
    return b.div(one, b.math<math::SqrtOp>(
                          b.add(a[0], b.constant(eps, type))));
  });
}

/// (x - mean) * inverse * weight + bias; each operand with its map from the
/// tensor's dimensions, in the compute type, rounded once to `result`.
static Tensor normalize(Emitter &e, const Tensor &tensor,
                        std::optional<Access> mean, const Access &inverse,
                        std::optional<Access> weight,
                        std::optional<Access> bias, DType result) {
  AffineMap identity = e.builder.getMultiDimIdentityMap(tensor.rank());
  SmallVector<Access> inputs{{tensor, identity}, inverse};
  for (const std::optional<Access> &access : {mean, weight, bias})
    if (access)
      inputs.push_back(*access);
  return e.structured(tensor.dims, inputs, identity, result, std::nullopt,
                      [&](Body &b, Args a) {
                        DType t = a[0].dtype;
                        unsigned next = 2;
                        Scalar value = a[0];
                        if (mean)
                          value = b.sub(value, b.cast(a[next++], t));
                        value = b.mul(value, b.cast(a[1], t));
                        if (weight)
                          value = b.mul(value, b.cast(a[next++], t));
                        if (bias)
                          value = b.add(value, b.cast(a[next++], t));
                        return value;
                      });
}

/// The map onto the dimensions from `from` on.
static AffineMap mapTail(Emitter &e, int64_t rank, int64_t from) {
  SmallVector<AffineExpr> exprs;
  for (int64_t d = from; d < rank; ++d)
    exprs.push_back(e.dim(d));
  return e.getMap(rank, exprs);
}

static AffineMap mapHead(Emitter &e, int64_t rank, int64_t to) {
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d < to; ++d)
    exprs.push_back(e.dim(d));
  return e.getMap(rank, exprs);
}

/// layer_norm and native_layer_norm (which also gives mean and 1/deviation).
static void lowerLayerNorm(Lowering &c, bool native) {
  Tensor x = c.tensor("input");
  int64_t tail = c.sizes("normalized_shape").size(), rank = x.rank();
  if (tail > rank)
    return c.fail("normalizes over more dimensions than there are");
  int64_t lead = rank - tail;
  auto dims = llvm::to_vector(llvm::seq<int64_t>(lead, rank));
  auto access = [&](StringRef name) -> std::optional<Access> {
    std::optional<Tensor> tensor = c.optionalTensor(name);
    if (!tensor || !c.checkRank(*tensor, tail, name))
      return std::nullopt;
    return Access{*tensor, mapTail(c, rank, lead)};
  };
  std::optional<Access> weight = access("weight"), bias = access("bias");
  if (c.failed())
    return;
  Moments moments = getMoments(c, x, dims, 0.0, getComputeType(x.dtype));
  Tensor inverse = inverseDeviation(c, moments.variance, c.real("eps"));
  AffineMap head = mapHead(c, rank, lead);
  c.yield(normalize(c, x, Access{moments.mean, head}, {inverse, head}, weight,
                    bias, x.dtype));
  if (!native)
    return;
  c.yieldCast(keepDims(c, moments.mean, x.dims, dims));
  c.yieldCast(keepDims(c, inverse, x.dims, dims));
}

static void lowerRMSNorm(Lowering &c) {
  Tensor x = c.tensor("input");
  int64_t tail = c.sizes("normalized_shape").size(), rank = x.rank();
  if (tail > rank)
    return c.fail("normalizes over more dimensions than there are");
  int64_t lead = rank - tail;
  auto dims = llvm::to_vector(llvm::seq<int64_t>(lead, rank));
  DType type = getComputeType(x.dtype);
  // Without eps torch takes the epsilon of the type it computes in.
  double eps = !c.isNone("eps")              ? c.real("eps")
               : type == DType::Float64 ? 0x1p-52
                                             : 0x1p-23;
  Tensor sum = c.reduce(x, dims, false, Combine::Add, type,
                        [](Body &b, Scalar v) { return b.mul(v, v); });
  Tensor mean = divideBy(c, sum, countElements(x, dims));
  Tensor inverse = inverseDeviation(c, mean, eps);
  std::optional<Access> weight;
  if (auto tensor = c.optionalTensor("weight")) {
    if (!c.checkRank(*tensor, tail, "weight"))
      return;
    weight = Access{*tensor, mapTail(c, rank, lead)};
  }
  AffineMap head = mapHead(c, rank, lead);
  c.yieldCast(normalize(c, x, std::nullopt, {inverse, head}, weight,
                        std::nullopt, c.resultDType(0)));
  if (c.numResults() > 1)
    c.yieldCast(keepDims(c, inverse, x.dims, dims));
}

/// Per-channel figures as an access over [N, C, ...].
static Access perChannel(Emitter &e, const Tensor &tensor, int64_t rank) {
  return {tensor, e.getMap(rank, {e.dim(1)})};
}

static void lowerBatchNormNoStats(Lowering &c);

/// Batch normalization with the running statistics; with those of the batch
/// where there are no others.
static void lowerBatchNorm(Lowering &c, StringRef epsName) {
  Tensor x = c.tensor("input");
  if (x.rank() < 2)
    return c.fail("expected an input of rank 2 or more but got rank " +
                  Twine(x.rank()));
  bool isTraining = c.has("training") && c.flag("training");
  if (isTraining && c.numResults() == 1 && c.isNone("running_mean") &&
      c.isNone("running_var"))
    return lowerBatchNormNoStats(c);
  if (isTraining)
    return c.fail("it is in training mode; call model.eval() before export");
  if (c.isNone("running_mean") || c.isNone("running_var"))
    return c.fail("it has no running statistics");
  double eps = c.real(epsName);
  auto access = [&](StringRef name) -> std::optional<Access> {
    std::optional<Tensor> tensor = c.optionalTensor(name);
    if (!tensor || !c.checkRank(*tensor, 1, name))
      return std::nullopt;
    return perChannel(c, *tensor, x.rank());
  };
  std::optional<Access> mean = access("running_mean"),
                        variance = access("running_var"),
                        weight = access("weight"), bias = access("bias");
  if (c.failed())
    return;
  Tensor inverse = inverseDeviation(c, variance->tensor, eps);
  c.yield(normalize(c, x, mean, perChannel(c, inverse, x.rank()), weight, bias,
                    x.dtype));
  // The saved statistics are for training.
  while (c.results.size() < c.numResults()) {
    unsigned i = c.results.size();
    if (!c.isUsed(i)) {
      c.yieldUnused();
      continue;
    }
    c.yield(c.fill(c.resultDims(i), Number(0.0), c.resultDType(i)));
  }
}

/// Batch normalization by the statistics of the batch itself.
static void lowerBatchNormNoStats(Lowering &c) {
  Tensor x = c.tensor("input");
  if (x.rank() < 2)
    return c.fail("expected an input of rank 2 or more but got rank " +
                  Twine(x.rank()));
  SmallVector<int64_t> dims;
  for (int64_t d = 0; d < x.rank(); ++d)
    if (d != 1)
      dims.push_back(d);
  Moments moments = getMoments(c, x, dims, 0.0, getComputeType(x.dtype));
  Tensor inverse = inverseDeviation(c, moments.variance, c.real("eps"));
  auto access = [&](StringRef name) -> std::optional<Access> {
    std::optional<Tensor> tensor = c.optionalTensor(name);
    if (!tensor || !c.checkRank(*tensor, 1, name))
      return std::nullopt;
    return perChannel(c, *tensor, x.rank());
  };
  std::optional<Access> weight = access("weight"), bias = access("bias");
  if (c.failed())
    return;
  c.yield(normalize(c, x, perChannel(c, moments.mean, x.rank()),
                    perChannel(c, inverse, x.rank()), weight, bias, x.dtype));
  if (c.numResults() == 1)
    return;
  // The statistics are those of torch, which has them in f64.
  if (!c.isUsed(1) && !c.isUsed(2)) {
    c.yieldUnused();
    c.yieldUnused();
    return;
  }
  c.yieldCast(getMean(c, x, dims, DType::Float64));
  moments = getMoments(c, x, dims, 0.0, DType::Float64);
  c.yieldCast(inverseDeviation(c, moments.variance, c.real("eps")));
}

/// group_norm: [N, C, ...] as [N, G, C / G, ...].
static void groupNorm(Lowering &c, int64_t groups, bool native) {
  Tensor x = c.tensor("input");
  if (x.rank() < 2 || groups <= 0)
    return c.fail("expected an input of rank 2 or more and at least one group");
  std::optional<SizeExpr> perGroup = x.dims[1].exactDiv(SizeExpr(groups));
  if (!perGroup)
    return c.fail("the channels do not divide into groups");
  SizeExpr channels = x.dims[1];
  Dims split{x.dims[0], SizeExpr(groups), *perGroup};
  split.append(x.dims.begin() + 2, x.dims.end());
  Tensor grouped = c.reshape(x, split);
  int64_t rank = grouped.rank();
  auto dims = llvm::to_vector(llvm::seq<int64_t>(2, rank));
  Moments moments = getMoments(c, grouped, dims, 0.0, getComputeType(x.dtype));
  Tensor inverse = inverseDeviation(c, moments.variance, c.real("eps"));
  AffineMap head = mapHead(c, rank, 2);
  AffineMap channel = c.getMap(rank, {c.dim(1), c.dim(2)});
  auto access = [&](StringRef name) -> std::optional<Access> {
    std::optional<Tensor> tensor = c.optionalTensor(name);
    if (!tensor)
      return std::nullopt;
    return Access{c.reshape(*tensor, {SizeExpr(groups), *perGroup}), channel};
  };
  Tensor result = normalize(c, grouped, Access{moments.mean, head},
                            {inverse, head}, access("weight"), access("bias"),
                            x.dtype);
  c.yield(c.reshape(result, x.dims));
  if (!native)
    return;
  c.yieldCast(moments.mean);
  c.yieldCast(inverse);
}

/// instance_norm without running statistics: a group per channel.
static void lowerInstanceNorm(Lowering &c) {
  if (!c.flag("use_input_stats"))
    return lowerBatchNorm(c, "eps");
  Tensor x = c.tensor("input");
  std::optional<int64_t> channels =
      x.rank() < 2 ? std::nullopt : x.dims[1].getConstant();
  if (!channels)
    return c.fail("the number of channels is not constant");
  groupNorm(c, *channels, false);
}

/// weight_norm: v * g / |v|, the norm over all dimensions but `dim`.
static void lowerWeightNorm(Lowering &c) {
  Tensor v = c.tensor("v"), g = c.tensor("g");
  int64_t rank = v.rank();
  int64_t keep = c.integer("dim");
  SmallVector<int64_t> dims;
  if (keep != -1)
    keep = c.wrapDimension(keep, rank);
  for (int64_t d = 0; d < rank; ++d)
    if (d != keep)
      dims.push_back(d);
  DType type = getComputeType(v.dtype);
  Tensor sum = c.reduce(v, dims, true, Combine::Add, type,
                        [](Body &b, Scalar x) { return b.mul(x, x); });
  Tensor factor = c.map({g, sum}, type, type, [](Body &b, Args a) {
    return b.div(a[0], b.math<math::SqrtOp>(a[1]));
  });
  c.yieldCast(c.map({v, factor}, type, v.dtype, [](Body &b, Args a) {
    return b.mul(a[0], a[1]);
  }));
  if (c.numResults() > 1)
    c.yieldCast(c.map({sum}, type, type, [](Body &b, Args a) {
      return b.math<math::SqrtOp>(a[0]);
    }));
}

void conversion::registerNormalization(Registry &r) {
  r.add({"aten.softmax.int", "aten._softmax.default"},
        [](Lowering &c) { lowerSoftmax(c, false, false); });
  r.add("aten._safe_softmax.default",
        [](Lowering &c) { lowerSoftmax(c, false, true); });
  r.add({"aten.log_softmax.int", "aten._log_softmax.default"},
        [](Lowering &c) { lowerSoftmax(c, true, false); });
  r.add("aten.layer_norm.default",
        [](Lowering &c) { lowerLayerNorm(c, false); });
  r.add("aten.native_layer_norm.default",
        [](Lowering &c) { lowerLayerNorm(c, true); });
  r.add({"aten.rms_norm.default", "aten._fused_rms_norm.default"},
        lowerRMSNorm);
  auto batchNorm = [](Lowering &c) { lowerBatchNorm(c, "eps"); };
  r.add({"aten.batch_norm.default", "aten.native_batch_norm.default",
         "aten._native_batch_norm_legit_no_training.default",
         "aten._batch_norm_no_update.default"},
        batchNorm);
  r.add("aten._native_batch_norm_legit.no_stats", lowerBatchNormNoStats);
  r.add("aten.group_norm.default",
        [](Lowering &c) { groupNorm(c, c.integer("num_groups"), false); });
  r.add("aten.native_group_norm.default",
        [](Lowering &c) { groupNorm(c, c.integer("group"), true); });
  r.add("aten.instance_norm.default", lowerInstanceNorm);
  r.add({"aten._weight_norm.default", "aten._weight_norm_interface.default"},
        lowerWeightNorm);
}
