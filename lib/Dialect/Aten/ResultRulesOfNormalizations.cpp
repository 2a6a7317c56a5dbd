//===- ResultRulesOfNormalizations.cpp - Normalization and attention ------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ResultRules.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::aten;
using namespace headrace::aten::rules;

static void giveSoftmax(Call &c) {
  Sizes self = c.tensor("self");
  c.dimension("dim", self.size());
  Element type = c.dtypeOr("dtype", c.type("self"));
  if (c.has("half_to_float") && c.flag("half_to_float"))
    type = Float32Type::get(c.op.getContext());
  c.give(self, type);
}

/// The last dimensions of `input`, which `weight` and `bias` have too.
static size_t checkNormalized(Call &c, const Sizes &input) {
  Sizes shape = c.sizes("normalized_shape");
  if (!c.require(shape.size() <= input.size() && !shape.empty(),
                 "normalized_shape " + toText(shape) + " does not fit " +
                     toText(input)))
    return 0;
  c.equal(Sizes(input.end() - shape.size(), input.end()), shape,
          "normalized_shape");
  for (StringRef name : {"weight", "bias"})
    if (c.has(name))
      if (std::optional<Sizes> given = c.optionalTensor(name))
        c.equal(*given, shape, name);
  return shape.size();
}

/// `input` with size 1 in the last `count` dimensions.
static Sizes keepOthers(Sizes input, size_t count) {
  for (size_t i = 0; i < count; ++i)
    input[input.size() - 1 - i] = SizeExpr(1);
  return input;
}

static void giveLayerNorm(Call &c) {
  Sizes input = c.tensor("input");
  size_t count = checkNormalized(c, input);
  if (c.failed())
    return;
  c.give(input, c.type("input"));
  StringRef name = c.op.getBaseName();
  if (name == "aten.native_layer_norm") {
    c.give(keepOthers(input, count), Element::anyFloat());
    c.give(keepOthers(input, count), Element::anyFloat());
  } else if (name == "aten._fused_rms_norm") {
    c.results.back().element = Element::anyFloat();
    c.give(keepOthers(input, count), Element::anyFloat());
  } else if (name == "aten.rms_norm") {
    c.results.back().element = Element::anyFloat();
  }
}

/// Weights and statistics have an element per channel.
static void checkChannels(Call &c, const SizeExpr &channels) {
  for (StringRef name : {"weight", "bias", "running_mean", "running_var"})
    if (c.has(name))
      if (std::optional<Sizes> given = c.optionalTensor(name))
        c.equal(*given, {channels}, name);
}

static void giveBatchNorm(Call &c) {
  StringRef name = c.has("input") ? "input" : "self";
  Sizes input = c.tensor(name);
  if (!c.rankAtLeast(input, 2, name))
    return;
  checkChannels(c, input[1]);
  c.give(input, c.type(name));
  // What is saved for training: statistics per channel, or nothing.
  for (size_t i = 1; i < c.numDeclared(); ++i)
    c.giveAny();
}

static void giveGroupNorm(Call &c) {
  bool isNative = c.has("group");
  Sizes input = c.tensor("input");
  int64_t groups = c.integer(isNative ? "group" : "num_groups");
  if (!c.rankAtLeast(input, 2, "input") ||
      !c.require(groups > 0, "the number of groups is " + Twine(groups)))
    return;
  c.equal(input[1].mod(SizeExpr(groups)), SizeExpr(0),
          "the channels are no multiple of the groups");
  checkChannels(c, input[1]);
  c.give(input, c.type("input"));
  if (!isNative)
    return;
  c.equal(c.size("N"), input[0], "N");
  c.equal(c.size("C"), input[1], "C");
  c.equal(c.size("HxW"), product(ArrayRef<SizeExpr>(input).drop_front(2)),
          "HxW");
  for (int i = 0; i < 2; ++i)
    c.give({input[0], SizeExpr(groups)}, Element::anyFloat());
}

static void giveWeightNorm(Call &c) {
  Sizes v = c.tensor("v"), g = c.tensor("g");
  int64_t d = c.integer("dim");
  if (d != -1)
    c.wrap(d, v.size());
  c.expandable(g, v, "g");
  c.give(v, c.type("v"));
  if (c.op.getBaseName().ends_with("interface"))
    c.give(g, Element::anyFloat());
}

static void giveAttention(Call &c) {
  Sizes query = c.tensor("query"), key = c.tensor("key"),
        value = c.tensor("value");
  for (auto [dims, name] : {std::pair(&query, "query"), {&key, "key"},
                            {&value, "value"}})
    if (!c.rankAtLeast(*dims, 2, name))
      return;
  SizeExpr rows = query[query.size() - 2], columns = key[key.size() - 2];
  c.equal(query.back(), key.back(), "the last dimensions of query and key");
  c.equal(value[value.size() - 2], columns, "the rows of key and value");
  Sizes heads(query.begin(), query.end() - 2);
  Sizes others(key.begin(), key.end() - 2);
  Sizes last(value.begin(), value.end() - 2);
  Sizes batch;
  if (c.has("enable_gqa") && c.flag("enable_gqa") && heads.size() >= 1 &&
      others.size() == heads.size() && last.size() == heads.size()) {
    // Several heads of the query share one of key and value.
    c.equal(others.back(), last.back(), "the heads of key and value");
    c.atLeast(others.back(), 1, "the number of heads of key");
    if (!c.failed() && heads.back() != others.back())
      c.equal(heads.back().mod(others.back()), SizeExpr(0),
              "the heads of query are no multiple of those of key");
    others.back() = last.back() = heads.back();
  }
  batch = c.broadcast({heads, others, last});
  Sizes scores = batch;
  scores.push_back(rows);
  scores.push_back(columns);
  if (std::optional<Sizes> mask = c.optionalTensor("attn_mask"))
    c.expandable(*mask, scores, "attn_mask");
  batch.push_back(rows);
  batch.push_back(value.back());
  c.give(batch, c.type("query"));
  if (c.op.getBaseName() != "aten.scaled_dot_product_attention")
    c.giveAny();
}

void rules::addNormalizations(Table &table) {
  auto add = [&](Rule rule, std::initializer_list<StringRef> names) {
    for (StringRef name : names)
      table[name] = rule;
  };
  add(giveSoftmax, {"softmax", "_softmax", "_safe_softmax", "log_softmax",
                    "_log_softmax"});
  add(giveLayerNorm, {"layer_norm", "native_layer_norm", "rms_norm",
                      "_fused_rms_norm"});
  add(giveBatchNorm,
      {"batch_norm", "native_batch_norm",
       "_native_batch_norm_legit_no_training", "_batch_norm_no_update",
       "_native_batch_norm_legit", "instance_norm"});
  add(giveGroupNorm, {"group_norm", "native_group_norm"});
  add(giveWeightNorm, {"_weight_norm", "_weight_norm_interface"});
  add(giveAttention, {"scaled_dot_product_attention",
                      "_scaled_dot_product_flash_attention_for_cpu"});
}
