//===- ResultRulesOfReductions.cpp - Operators over whole dimensions ------===//
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

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// `self` without `dims`, or with size 1 there.
static Sizes reduce(const Sizes &self, ArrayRef<int64_t> dims, bool keep) {
  Sizes result;
  for (auto [d, size] : llvm::enumerate(self)) {
    if (!llvm::is_contained(dims, static_cast<int64_t>(d)))
      result.push_back(size);
    else if (keep)
      result.push_back(SizeExpr(1));
  }
  return result;
}

static Sizes getReduced(Call &c) {
  Sizes self = c.tensor("self");
  return reduce(self, c.dimensions("dim", self.size()), c.flag("keepdim"));
}

/// Sums of integers are of int64.
static Element getSumType(Call &c) {
  Type type = c.type("self");
  bool isInteger = isa_and_nonnull<IntegerType>(type);
  return c.dtypeOr("dtype", isInteger ? c.i64() : type);
}

static void giveSum(Call &c) { c.give(getReduced(c), getSumType(c)); }
static void giveScan(Call &c) {
  Sizes self = c.tensor("self");
  c.dimension("dim", self.size());
  c.give(self, getSumType(c));
}

static void giveTrace(Call &c) {
  if (c.rank(c.tensor("self"), 2, "self"))
    c.give({}, getSumType(c));
}

static void giveReduced(Call &c) {
  c.give(getReduced(c), c.dtypeOr("dtype", c.type("self")));
}


static void giveNorm(Call &c) {
  c.give(getReduced(c), c.dtypeOr("dtype", c.promotedFloat({"self"})));
}

static void giveFloatReduced(Call &c) {
  c.give(getReduced(c), c.promotedFloat({"self"}));
}

static void giveAnyAll(Call &c) {
  // Of bytes they are bytes.
  Type type = c.type("self");
  bool isByte = type && type.isUnsignedInteger(8);
  c.give(getReduced(c), isByte ? Element() : Element(c.i1()));
}

static void giveCount(Call &c) { c.give(getReduced(c), c.i64()); }

/// max and min: of all, along a dimension with positions, or of two tensors.
static void giveExtremum(Call &c) {
  if (c.has("other"))
    return c.give(c.broadcast({c.tensor("self"), c.tensor("other")}),
                  c.promoted());
  Sizes dims = getReduced(c);
  c.give(dims, c.type("self"));
  if (c.has("dim"))
    c.give(dims, c.i64());
}

static void giveBothExtrema(Call &c) {
  Sizes dims = getReduced(c);
  c.give(dims, c.type("self"));
  c.give(dims, c.type("self"));
}

static void givePosition(Call &c) { c.give(getReduced(c), c.i64()); }

static void giveMoments(Call &c) {
  Sizes dims = getReduced(c);
  c.give(dims, c.type("self"));
  if (c.op.getBaseName().ends_with("_mean"))
    c.give(dims, c.type("self"));
}

static void giveScanExtremum(Call &c) {
  Sizes self = c.tensor("self");
  c.dimension("dim", self.size());
  c.give(self, c.type("self"));
  c.give(self, c.i64());
}

static void giveDifference(Call &c) {
  Sizes self = c.tensor("self");
  if (!c.rankAtLeast(self, 1, "self"))
    return;
  int64_t d = c.dimension("dim", self.size()), n = c.integer("n");
  c.require(n >= 0, "n is " + Twine(n));
  for (StringRef name : {"prepend", "append"})
    if (std::optional<Sizes> part = c.optionalTensor(name)) {
      if (!c.rank(*part, self.size(), name))
        return;
      self[d] = self[d] + (*part)[d];
    }
  self[d] = c.max(self[d] - SizeExpr(n), SizeExpr(0));
  Element type = c.type("self");
  c.give(self, c.isNone("prepend") && c.isNone("append") ? type : Element());
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

static void giveSorted(Call &c) {
  Sizes self = c.tensor("self");
  StringRef name = c.op.getBaseName();
  if (c.has("dim"))
    c.dimension("dim", self.size());
  if (name != "aten.argsort")
    c.give(self, c.type("self"));
  if (name != "aten.msort")
    c.give(self, c.i64());
}

static void giveTopK(Call &c) {
  Sizes self = c.tensor("self");
  int64_t d = c.dimension("dim", self.size());
  SizeExpr k = c.size("k");
  c.atLeast(k, 0, "k");
  c.atMost(k, self.empty() ? SizeExpr(1) : self[d], "k");
  if (!self.empty())
    self[d] = k;
  c.give(self, c.type("self"));
  c.give(self, c.i64());
}

/// kthvalue and median along a dimension, or of all.
static void givePlace(Call &c) {
  Sizes self = c.tensor("self");
  if (!c.has("dim"))
    return c.give({}, c.type("self"));
  int64_t d = c.dimension("dim", self.size());
  SizeExpr count = self.empty() ? SizeExpr(1) : self[d];
  if (c.has("k")) {
    SizeExpr k = c.size("k");
    c.atLeast(k, 1, "k");
    c.atMost(k, count, "k");
  }
  Sizes dims = getReduced(c);
  c.give(dims, c.type("self"));
  c.give(dims, c.i64());
}

void rules::addReductions(Table &table) {
  auto add = [&](Rule rule, std::initializer_list<StringRef> names) {
    for (StringRef name : names)
      table[name] = rule;
  };
  add(giveSum, {"sum", "prod", "nansum"});
  add(giveTrace, {"trace"});
  add(giveAnyAll, {"any", "all"});
  add(giveCount, {"count_nonzero"});
  add(giveReduced, {"mean", "amax", "amin"});
  add(giveExtremum, {"max", "min"});
  add(giveBothExtrema, {"aminmax"});
  add(givePosition, {"argmax", "argmin"});
  add(giveMoments, {"var", "std", "var_mean", "std_mean"});
  add(giveNorm, {"linalg_vector_norm", "norm", "linalg_norm"});
  add(giveFloatReduced, {"logsumexp"});
  add(giveScan, {"cumsum", "cumprod"});
  add(giveScanExtremum, {"cummax", "cummin"});
  add(giveDifference, {"diff"});
  add(giveSorted, {"sort", "argsort", "msort"});
  add(giveTopK, {"topk"});
  add(givePlace, {"kthvalue", "median"});
}
