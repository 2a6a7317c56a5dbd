//===- ResultRulesOfIndexing.cpp - Operators that look up positions -------===//
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

static void giveEmbedding(Call &c) {
  Sizes weight = c.tensor("weight"), dims = c.tensor("indices");
  if (!c.rank(weight, 2, "weight"))
    return;
  dims.push_back(weight[1]);
  c.give(dims, c.type("weight"));
}

/// The shape of `self[indices]`; nothing if it depends on data.
static std::optional<Sizes> getIndexed(Call &c, const Sizes &self) {
  SmallVector<Value> given = c.op.getTensorList("indices");
  if (!c.require(given.size() <= self.size(),
                 "there are " + Twine(given.size()) + " indices for " +
                     Twine(self.size()) + " dimensions"))
    return std::nullopt;
  SmallVector<Sizes> shapes;
  std::optional<size_t> first;
  size_t last = 0;
  for (auto [i, index] : llvm::enumerate(given)) {
    if (!index)
      continue;
    Type type = cast<RankedTensorType>(index.getType()).getElementType();
    if (type.isInteger(1) || type.isUnsignedInteger(8))
      return std::nullopt;
    c.require(isa<IntegerType>(type), "an index is no integer");
    shapes.push_back(getDims(index.getType()));
    if (!first)
      first = i;
    last = i;
  }
  if (!first)
    return self;
  Sizes common = c.broadcast(shapes);
  bool isAdjacent = last - *first + 1 == shapes.size();
  Sizes dims;
  if (!isAdjacent)
    dims = common;
  for (size_t d = 0; d < self.size(); ++d) {
    if (isAdjacent && d == *first)
      dims.append(common);
    if (d >= given.size() || !given[d])
      dims.push_back(self[d]);
  }
  return dims;
}

static void giveIndexed(Call &c) {
  if (std::optional<Sizes> dims = getIndexed(c, c.tensor("self")))
    return c.give(*dims, c.type("self"));
  c.giveAny(c.type("self"));
}

static void giveIndexPut(Call &c) {
  Sizes self = c.tensor("self");
  if (std::optional<Sizes> dims = getIndexed(c, self)) {
    // More dimensions of size 1 may stand before.
    Sizes values = c.tensor("values");
    while (values.size() > dims->size() && values.front() == SizeExpr(1))
      values.erase(values.begin());
    c.expandable(values, *dims, "values");
  }
  c.give(self, c.type("self"));
}

/// A scalar counts as a vector of one element.
static Sizes atLeastVector(Sizes dims) {
  return dims.empty() ? Sizes{SizeExpr(1)} : dims;
}

/// No dimension of `index` but `d` is larger than that of `dims`.
static void checkWithin(Call &c, const Sizes &index, const Sizes &dims,
                        std::optional<int64_t> d, const Twine &what) {
  if (!c.require(index.size() == dims.size(),
                 what + " and the index differ in rank"))
    return;
  for (size_t i = 0; i < dims.size(); ++i)
    if (static_cast<int64_t>(i) != d)
      c.atMost(index[i], dims[i], "the index beside " + what);
}

static void giveGathered(Call &c) {
  Sizes self = c.tensor("self"), index = c.tensor("index");
  int64_t d = c.dimension("dim", self.size());
  // An empty index takes nothing, whatever its shape.
  if (product(index).getConstant() != 0)
    checkWithin(c, atLeastVector(index), atLeastVector(self), d, "self");
  c.give(index, c.type("self"));
}

static void giveTakenAlong(Call &c) {
  Sizes self = c.tensor("self"), index = c.tensor("indices");
  if (c.isNone("dim"))
    return c.give({product(index)}, c.type("self"));
  int64_t d = c.dimension("dim", self.size());
  if (!c.require(self.size() == index.size(),
                 "self and indices differ in rank"))
    return;
  SmallVector<Sizes> shapes{self, index};
  if (!self.empty())
    shapes[0][d] = index[d];
  c.give(c.broadcast(shapes), c.type("self"));
}

static void giveScattered(Call &c) {
  Sizes self = c.tensor("self"), index = c.tensor("index");
  int64_t d = c.dimension("dim", self.size());
  if (product(index).getConstant() != 0) {
    checkWithin(c, atLeastVector(index), atLeastVector(self), d, "self");
    if (c.has("src"))
      checkWithin(c, atLeastVector(index), atLeastVector(c.tensor("src")),
                  std::nullopt, "src");
  }
  c.give(self, c.type("self"));
}

/// An index of one dimension at most, and its length.
static SizeExpr getIndexLength(Call &c) {
  Sizes index = c.tensor("index");
  c.require(index.size() <= 1, "index has more than one dimension");
  return index.empty() ? SizeExpr(1) : index[0];
}

static void giveIndexSelect(Call &c) {
  Sizes self = c.tensor("self");
  int64_t d = c.dimension("dim", self.size());
  SizeExpr count = getIndexLength(c);
  if (!self.empty())
    self[d] = count;
  c.give(self, c.type("self"));
}

static void giveIndexWritten(Call &c) {
  Sizes self = c.tensor("self");
  int64_t d = c.dimension("dim", self.size());
  SizeExpr count = getIndexLength(c);
  if (c.has("source")) {
    Sizes source = c.tensor("source"), part = self;
    if (!part.empty())
      part[d] = count;
    // One element may be written as a scalar.
    if (!source.empty())
      c.equal(source, atLeastVector(part), "source");
  }
  c.give(self, c.type("self"));
}

static void giveTaken(Call &c) { c.give(c.tensor("index"), c.type("self")); }

static void givePut(Call &c) {
  c.equal(product(c.tensor("index")), product(c.tensor("source")),
          "the elements of index and source");
  c.give(c.tensor("self"), c.type("self"));
}

//===----------------------------------------------------------------------===//
// Counting
//===----------------------------------------------------------------------===//

static void giveHistogram(Call &c) {
  int64_t bins = c.integer("bins");
  c.require(bins > 0 || c.isUnknown, "bins is " + Twine(bins));
  c.give({SizeExpr(bins)}, c.type("self"));
}

static Element getIndexType(Call &c) {
  return c.flag("out_int32") ? IntegerType::get(c.op.getContext(), 32)
                             : IntegerType::get(c.op.getContext(), 64);
}

static void giveBuckets(Call &c) {
  c.rank(c.tensor("boundaries"), 1, "boundaries");
  c.give(c.tensor("self"), getIndexType(c));
}

static void giveSearched(Call &c) {
  Sizes sequence = c.tensor("sorted_sequence"), self = c.tensor("self");
  if (sequence.size() > 1) {
    if (!c.rank(self, sequence.size(), "self"))
      return;
    for (size_t d = 0; d + 1 < self.size(); ++d)
      c.equal(self[d], sequence[d], "self and sorted_sequence");
  }
  if (std::optional<Sizes> sorter = c.optionalTensor("sorter"))
    c.equal(*sorter, sequence, "sorter");
  c.give(self, getIndexType(c));
}

static void giveIsIn(Call &c) {
  StringRef name = c.has("elements") ? "elements" : "element";
  c.give(c.tensor(name), c.i1());
}

void rules::addIndexing(Table &table) {
  auto add = [&](Rule rule, std::initializer_list<StringRef> names) {
    for (StringRef name : names)
      table[name] = rule;
  };
  add(giveEmbedding, {"embedding"});
  add(giveIndexed, {"index", "_unsafe_index"});
  add(giveIndexPut, {"index_put", "_unsafe_index_put"});
  add(giveGathered, {"gather"});
  add(giveTakenAlong, {"take_along_dim"});
  add(giveScattered, {"scatter", "scatter_add", "scatter_reduce"});
  add(giveIndexSelect, {"index_select"});
  add(giveIndexWritten, {"index_copy", "index_add", "index_reduce",
                         "index_fill"});
  add(giveTaken, {"take"});
  add(givePut, {"put"});
  add(giveHistogram, {"histc"});
  add(giveBuckets, {"bucketize"});
  add(giveSearched, {"searchsorted"});
  add(giveIsIn, {"isin"});
}
