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

static void lowerAttention(Lowering &c) {
  Tensor q = c.tensor("query"), k = c.tensor("key"), v = c.tensor("value");
  int64_t rank = q.rank();
  if (rank < 2 || k.rank() != rank || v.rank() != rank)
    return c.fail("expected query, key and value of one rank, 2 or more, but "
                  "got ranks " +
                  Twine(rank) + ", " + Twine(k.rank()) + " and " +
                  Twine(v.rank()));
  if (c.real("dropout_p") != 0.0)
    return c.fail("it draws random numbers (dropout_p is not 0); call "
                  "model.eval() before export");
  bool causal = c.flag("is_causal");
  std::optional<Tensor> mask = c.optionalTensor("attn_mask");
  double scale;
  if (!c.isNone("scale")) {
    scale = c.real("scale");
  } else if (std::optional<int64_t> depth = q.dims.back().getConstant()) {
    scale = 1.0 / std::sqrt(static_cast<double>(*depth));
  } else {
    return c.fail("the depth of a head is not constant");
  }
  if (mask && mask->rank() > rank)
    return c.fail("the mask has a higher rank than the query");

  // 1. Keys and values that are repeated for groups of heads.
  int64_t heads = rank - 3;
  std::optional<SizeExpr> group;
  SizeExpr keyHeads(1);
  if (heads >= 0) {
    std::optional<Tensor> key = undoRepeat(c, k, heads);
    std::optional<Tensor> value = undoRepeat(c, v, heads);
    if (key && value && key->dims[heads] == value->dims[heads]) {
      k = *key;
      v = *value;
    }
    keyHeads = k.dims[heads];
    if (q.dims[heads] != keyHeads && !isOne(q.dims[heads])) {
      group = q.dims[heads].exactDiv(keyHeads);
      if (!group || v.dims[heads] != keyHeads)
        return c.fail(q.dims[heads].str() + " heads do not divide into " +
                      keyHeads.str() + " groups");
    }
  }
  if (group) {
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

  // 2. Scores. Labels: rows 0, columns 1, depth 2, batch 3 and on.
  Labels queryLabels, keyLabels, outLabels;
  for (int64_t d = 0; d < rank - 2; ++d) {
    queryLabels.push_back(3 + d);
    outLabels.push_back(3 + d);
    // Keys lack the group, which comes last of the batch.
    if (!group || d != rank - 3)
      keyLabels.push_back(3 + d);
  }
  Labels valueLabels = keyLabels, scoreLabels = outLabels;
  queryLabels.append({0, 2});
  keyLabels.append({1, 2});
  scoreLabels.append({0, 1});
  Tensor scores = contractLabels(c, q, queryLabels, k, keyLabels, scoreLabels);

  // 3. Scale and mask.
  DType type = scores.dtype;
  SmallVector<Operand> operands{scores};
  bool boolean = mask && isBool(mask->dtype);
  AffineMap identity = c.builder.getMultiDimIdentityMap(rank);
  SmallVector<Access> inputs{{scores, identity}};
  if (mask) {
    SmallVector<AffineExpr> exprs;
    int64_t lead = rank - mask->rank();
    for (int64_t d = 0; d < mask->rank(); ++d) {
      bool stretched =
          isOne(mask->dims[d]) && !isOne(scores.dims[lead + d]);
      exprs.push_back(stretched ? c.zero() : c.dim(lead + d));
    }
    inputs.push_back({*mask, c.getMap(rank, exprs)});
  }
  Tensor logits = c.structured(
      scores.dims, inputs, identity, type, std::nullopt,
      [&](Body &b, Args a) {
        Scalar value = a[0];
        if (scale != 1.0)
          value = b.mul(value, b.constant(scale, type));
        Scalar masked = b.infinity(type, true);
        if (boolean)
          value = b.select(a[1], value, masked);
        else if (mask)
          value = b.add(value, b.cast(a[1], type));
        if (causal) {
          Scalar seen =
              b.compare(Compare::LE, b.index(rank - 1), b.index(rank - 2));
          value = b.select(seen, value, masked);
        }
        return value;
      });

  // 4. Softmax and the weighted sum. A row that a mask hides wholly gives
  // zeros, and weights are of the values' type, as torch defines it.
  Tensor weights = softmax(c, logits, rank - 1, false, mask.has_value());
  weights = c.cast(weights, v.dtype);
  valueLabels.append({1, 2});
  outLabels.append({0, 2});
  Tensor result =
      contractLabels(c, weights, scoreLabels, v, valueLabels, outLabels);
  result = c.cast(result, c.resultDType(0));
  c.yield(group ? c.reshape(result, c.resultDims()) : result);
  while (c.results.size() < c.numResults()) {
    if (c.isUsed(c.results.size()))
      return c.fail("its second result, the log-sum-exp, is used");
    c.yieldUnused();
  }
}

void conversion::registerAttention(Registry &r) {
  r.add("aten.scaled_dot_product_attention.default", lowerAttention);
  r.add("aten._scaled_dot_product_flash_attention_for_cpu.default",
        lowerAttention);
}
