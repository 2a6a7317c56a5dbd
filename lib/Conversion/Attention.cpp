//===- Attention.cpp - Scaled dot product attention -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Written out: scores = q k^T, scale and mask, softmax, times v; all between in
// the compute type. A model that writes attention out by itself gives the same
// ops, and both are streamed by the same rewrite.
//
// Grouped queries: the query's heads are split in [key heads, group], so that
// keys and values are read by all heads of a group and never repeated. Where
// the program repeats them itself (expand and reshape), that is undone.
//
//===----------------------------------------------------------------------===//

#include "Contractions.h"
#include "Reductions.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Args = ArrayRef<Scalar>;
using Compare = Body::Compare;
using Labels = SmallVector<unsigned>;

/// If dimension `d` of the tensor is [n, repeat] merged, and the repetition
/// only broadcasts, the tensor with size n there.
static std::optional<Tensor> undoRepeat(Emitter &e, const Tensor &tensor,
                                        int64_t d) {
  auto reshape = tensor.value.getDefiningOp<hr::ReshapeOp>();
  if (!reshape)
    return std::nullopt;
  auto view = reshape.getSource().getDefiningOp<hr::ViewOp>();
  if (!view)
    return std::nullopt;
  SmallVector<SizeExpr> from = hr::getSizes(view.getDims());
  for (unsigned p = 0; p + 1 < from.size(); ++p) {
    if (view.getMap().isFunctionOfDim(p + 1) || isOne(from[p + 1]))
      continue;
    // The other dimensions are the same, size-1 ones aside.
    Dims merged(from.begin(), from.end());
    merged[p] = from[p] * from[p + 1];
    merged.erase(merged.begin() + p + 1);
    Dims want = tensor.dims;
    if (merged[p] != want[d])
      continue;
    auto dropUnits = [](Dims dims) {
      llvm::erase_if(dims, isOne);
      return dims;
    };
    Dims beforeHave(merged.begin(), merged.begin() + p);
    Dims beforeWant(want.begin(), want.begin() + d);
    if (dropUnits(merged) != dropUnits(want) ||
        dropUnits(beforeHave) != dropUnits(beforeWant))
      continue;
    Tensor source{view.getResult(), Dims(from.begin(), from.end()),
                  tensor.dtype};
    Tensor single = e.select(source, p + 1, SizeExpr(0));
    Dims dims = want;
    dims[d] = from[p];
    return e.reshape(single, dims);
  }
  return std::nullopt;
}

namespace {
/// One call of attention. A step that fails has told the call why.
class AttentionLowering {
public:
  explicit AttentionLowering(Lowering &c) : c(c) {}

  void lower();

private:
  LogicalResult readArguments();
  LogicalResult readScale();
  LogicalResult groupHeads();
  void splitHeads(int64_t heads, const SizeExpr &keyHeads);
  void label();
  AffineMap getMaskMap(const Tensor &scores);
  Tensor scaleAndMask(const Tensor &scores);
  void yieldResults(Tensor result);

  Lowering &c;
  Tensor q, k, v;
  std::optional<Tensor> mask;
  bool causal = false;
  double scale = 1.0;
  /// Of the query; with the group, once its heads are split.
  int64_t rank = 0;
  /// Heads of the query per head of the key, if there are several.
  std::optional<SizeExpr> group;
  Labels queryLabels, keyLabels, scoreLabels, valueLabels, outLabels;
};
} // namespace

LogicalResult AttentionLowering::readArguments() {
  q = c.tensor("query");
  k = c.tensor("key");
  v = c.tensor("value");
  rank = q.rank();
  if (rank < 2 || k.rank() != rank || v.rank() != rank) {
    c.fail("expected query, key and value of one rank, 2 or more, but "
           "got ranks " +
           Twine(rank) + ", " + Twine(k.rank()) + " and " + Twine(v.rank()));
    return failure();
  }
  if (c.real("dropout_p") != 0.0) {
    c.fail("it draws random numbers (dropout_p is not 0); call "
           "model.eval() before export");
    return failure();
  }
  causal = c.flag("is_causal");
  mask = c.optionalTensor("attn_mask");
  if (failed(readScale()))
    return failure();
  if (mask && mask->rank() > rank) {
    c.fail("the mask has a higher rank than the query");
    return failure();
  }
  return success();
}

LogicalResult AttentionLowering::readScale() {
  if (!c.isNone("scale")) {
    scale = c.real("scale");
  } else if (std::optional<int64_t> depth = q.dims.back().getConstant()) {
    scale = 1.0 / std::sqrt(static_cast<double>(*depth));
  } else {
    c.fail("the depth of a head is not constant");
    return failure();
  }
  return success();
}

/// Finds groups of heads that share keys and values, and takes these before
/// the program repeats them.
LogicalResult AttentionLowering::groupHeads() {
  int64_t heads = rank - 3;
  if (heads < 0)
    return success();
  std::optional<Tensor> key = undoRepeat(c, k, heads);
  std::optional<Tensor> value = undoRepeat(c, v, heads);
  if (key && value && key->dims[heads] == value->dims[heads]) {
    k = *key;
    v = *value;
  }
  SizeExpr keyHeads = k.dims[heads];
  if (q.dims[heads] == keyHeads || isOne(q.dims[heads]))
    return success();
  group = q.dims[heads].exactDiv(keyHeads);
  if (!group || v.dims[heads] != keyHeads) {
    c.fail(q.dims[heads].str() + " heads do not divide into " +
           keyHeads.str() + " groups");
    return failure();
  }
  splitHeads(heads, keyHeads);
  return success();
}

/// Splits the heads of query and mask, dimension `heads` of the query, in
/// [key heads, group].
void AttentionLowering::splitHeads(int64_t heads, const SizeExpr &keyHeads) {
  auto split = [&](const Tensor &tensor, int64_t d) {
    Dims dims = tensor.dims;
    dims[d] = keyHeads;
    dims.insert(dims.begin() + d + 1, *group);
    return c.reshape(tensor, dims);
  };
  q = split(q, heads);
  if (mask && mask->rank() >= 3) {
    int64_t d = mask->rank() - 3;
    mask = isOne(mask->dims[d]) ? c.unsqueeze(*mask, d) : split(*mask, d);
  }
  ++rank;
}

/// Labels the dimensions: rows 0, columns 1, depth 2, batch 3 and on.
void AttentionLowering::label() {
  for (int64_t d = 0; d < rank - 2; ++d) {
    queryLabels.push_back(3 + d);
    outLabels.push_back(3 + d);
    // Keys lack the group, which comes last of the batch.
    if (!group || d != rank - 3)
      keyLabels.push_back(3 + d);
  }
  valueLabels = keyLabels;
  scoreLabels = outLabels;
  queryLabels.append({0, 2});
  keyLabels.append({1, 2});
  scoreLabels.append({0, 1});
  valueLabels.append({1, 2});
  outLabels.append({0, 2});
}

/// From loops over the scores to the mask, which broadcasts from the right.
AffineMap AttentionLowering::getMaskMap(const Tensor &scores) {
  SmallVector<AffineExpr> exprs;
  int64_t lead = rank - mask->rank();
  for (int64_t d = 0; d < mask->rank(); ++d) {
    bool stretched = isOne(mask->dims[d]) && !isOne(scores.dims[lead + d]);
    exprs.push_back(stretched ? c.zero() : c.dim(lead + d));
  }
  return c.getMap(rank, exprs);
}

Tensor AttentionLowering::scaleAndMask(const Tensor &scores) {
  DType type = scores.dtype;
  AffineMap identity = c.builder.getMultiDimIdentityMap(rank);
  SmallVector<Access> inputs{{scores, identity}};
  if (mask)
    inputs.push_back({*mask, getMaskMap(scores)});
  return c.structured(
      scores.dims, inputs, identity, type, std::nullopt,
      [&](Body &b, Args a) {
        Scalar value = a[0];
        if (scale != 1.0)
          value = b.mul(value, b.constant(scale, type));
        Scalar masked = b.infinity(type, true);
        if (mask && isBool(mask->dtype))
          value = b.select(a[1], value, masked);
        else if (mask)
          value = b.add(value, b.cast(a[1], type));
        if (causal) {
          Scalar key = b.index(rank - 1), query = b.index(rank - 2);
          Scalar seen = b.compare(Compare::LE, key, query);
          value = b.select(seen, value, masked);
        }
        return value;
      });
}

void AttentionLowering::yieldResults(Tensor result) {
  result = c.cast(result, c.resultDType(0));
  c.yield(group ? c.reshape(result, c.resultDims()) : result);
  while (c.results.size() < c.numResults()) {
    if (c.isUsed(c.results.size()))
      return c.fail("its second result, the log-sum-exp, is used");
    c.yieldUnused();
  }
}

void AttentionLowering::lower() {
  if (failed(readArguments()) || failed(groupHeads()))
    return;
  label();
  Tensor logits = scaleAndMask(
      contractLabels(c, q, queryLabels, k, keyLabels, scoreLabels));
  // A row that a mask hides wholly gives zeros, and weights are of the values'
  // type, as torch defines it.
  Tensor weights = softmax(c, logits, rank - 1, false, mask.has_value());
  weights = c.cast(weights, v.dtype);
  yieldResults(
      contractLabels(c, weights, scoreLabels, v, valueLabels, outLabels));
}

static void lowerAttention(Lowering &c) { AttentionLowering(c).lower(); }

void conversion::registerAttention(Registry &r) {
  r.add("aten.scaled_dot_product_attention.default", lowerAttention);
  r.add("aten._scaled_dot_product_flash_attention_for_cpu.default",
        lowerAttention);
}
