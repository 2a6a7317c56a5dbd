//===- ResultRulesOfJoins.cpp - Operators that join, repeat and pad -------===//
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
// Joining
//===----------------------------------------------------------------------===//

static void join(Call &c, ArrayRef<Sizes> shapes, int64_t dim, Element type) {
  if (!c.require(!shapes.empty(), "it joins nothing"))
    return;
  // A vector of no elements joins anything, for reasons of history.
  SmallVector<Sizes> parts;
  for (const Sizes &shape : shapes)
    if (shape.size() != 1 || shape[0].getConstant() != 0)
      parts.push_back(shape);
  if (parts.empty())
    return c.give({SizeExpr(0)}, type);
  Sizes dims = parts.front();
  if (!c.rankAtLeast(dims, 1, "a part"))
    return;
  int64_t d = c.wrap(dim, dims.size());
  for (const Sizes &part : llvm::drop_begin(parts)) {
    if (!c.require(part.size() == dims.size(), "the parts' ranks differ"))
      return;
    for (size_t i = 0; i < dims.size(); ++i)
      if (static_cast<int64_t>(i) != d)
        c.equal(part[i], dims[i], "the parts' shapes " + toText(part) +
                                      " and " + toText(dims) + " differ");
    dims[d] = dims[d] + part[d];
  }
  c.give(dims, type);
}

static void giveCat(Call &c) {
  // Left out, it is the first.
  join(c, c.tensors("tensors"), c.integerOr("dim", 0), c.promoted());
}

static void giveStack(Call &c) {
  SmallVector<Sizes> parts = c.tensors("tensors");
  if (!c.require(!parts.empty(), "it joins nothing"))
    return;
  int64_t d = c.dimension("dim", parts.front().size() + 1);
  for (const Sizes &part : parts)
    c.equal(part, parts.front(), "the parts' shapes differ");
  Sizes dims = parts.front();
  dims.insert(dims.begin() + d,
              SizeExpr(static_cast<int64_t>(parts.size())));
  c.give(dims, c.promoted());
}

/// hstack, vstack, dstack, column_stack: each part gets dimensions first.
static void giveStackAlong(Call &c) {
  SmallVector<Sizes> parts = c.tensors("tensors");
  StringRef name = c.op.getBaseName();
  bool isColumns = name == "aten.column_stack";
  size_t rank = name == "aten.hstack" ? 1 : name == "aten.dstack" ? 3 : 2;
  int64_t d = name == "aten.vstack" ? 0 : name == "aten.dstack" ? 2 : 1;
  for (Sizes &part : parts)
    while (part.size() < rank)
      // A vector is a row for vstack and dstack, a column for column_stack.
      part.insert(isColumns || part.size() == 2 ? part.end() : part.begin(),
                  SizeExpr(1));
  if (rank == 1)
    d = !parts.empty() && parts.front().size() == 1 ? 0 : 1;
  join(c, parts, d, c.promoted());
}

//===----------------------------------------------------------------------===//
// Repeating
//===----------------------------------------------------------------------===//

static void giveRepeated(Call &c) {
  bool isTile = c.has("dims");
  Sizes self = c.tensor("self"), repeats = c.sizes(isTile ? "dims" : "repeats");
  if (isTile)
    while (repeats.size() < self.size())
      repeats.insert(repeats.begin(), SizeExpr(1));
  if (!c.require(repeats.size() >= self.size() || c.isUnknown,
                 "there are fewer repeats than dimensions") ||
      c.isUnknown)
    return;
  while (self.size() < repeats.size())
    self.insert(self.begin(), SizeExpr(1));
  for (auto [dim, count] : llvm::zip_equal(self, repeats)) {
    c.atLeast(count, 0, "a repeat");
    dim = dim * count;
  }
  c.give(self, c.type("self"));
}

static void giveRepeatInterleave(Call &c) {
  if (c.op.getOverload() != "self_int")
    return void(c.isUnknown = true);
  Sizes self = c.tensor("self");
  SizeExpr repeats = c.size("repeats");
  c.atLeast(repeats, 0, "repeats");
  if (c.isNone("dim"))
    return c.give({product(self) * repeats}, c.type("self"));
  int64_t d = c.dimension("dim", self.size());
  if (self.empty())
    return c.give({repeats}, c.type("self"));
  self[d] = self[d] * repeats;
  c.give(self, c.type("self"));
}

static void giveMeshgrid(Call &c) {
  Sizes dims;
  for (const Sizes &shape : c.tensors("tensors")) {
    c.require(shape.size() <= 1, "a part has more than one dimension");
    dims.push_back(shape.empty() ? SizeExpr(1) : shape[0]);
  }
  if (c.op.getString("indexing") == "xy" && dims.size() >= 2)
    std::swap(dims[0], dims[1]);
  for (Value part : c.op.getTensorList("tensors"))
    c.give(dims, cast<RankedTensorType>(part.getType()).getElementType());
}

//===----------------------------------------------------------------------===//
// Padding
//===----------------------------------------------------------------------===//

/// Pairs of amounts, from the last dimension on.
static void givePadded(Call &c) {
  Sizes self = c.tensor("self");
  Sizes amounts = c.sizes(c.has("padding") ? "padding" : "pad");
  StringRef name = c.op.getBaseName();
  std::string mode = c.has("mode") ? c.op.getString("mode").value_or("").str()
                     : name.contains("reflection")  ? "reflect"
                     : name.contains("replication") ? "replicate"
                                                    : "constant";
  if (!c.require(amounts.size() % 2 == 0 &&
                     amounts.size() / 2 <= self.size(),
                 "it pads " + Twine(amounts.size() / 2) + " of " +
                     Twine(self.size()) + " dimensions"))
    return;
  for (size_t i = 0; i < amounts.size() / 2; ++i) {
    SizeExpr &dim = self[self.size() - 1 - i];
    const SizeExpr &low = amounts[2 * i], &high = amounts[2 * i + 1];
    if (mode == "reflect")
      for (const SizeExpr &amount : {low, high})
        c.atMost(amount + SizeExpr(1), dim, "a reflected padding");
    if (mode == "circular")
      for (const SizeExpr &amount : {low, high})
        c.atMost(amount, dim, "a circular padding");
    SizeExpr padded = dim + low + high;
    c.atLeast(padded, 0, "a padded size");
    if (mode == "replicate")
      c.atLeast(dim, 1, "the size of what is replicated");
    dim = padded;
  }
  c.give(self, c.type("self"));
}

//===----------------------------------------------------------------------===//
// Channels
//===----------------------------------------------------------------------===//

static void givePixels(Call &c) {
  bool isInverse = c.op.getBaseName() == "aten.pixel_unshuffle";
  Sizes self = c.tensor("self");
  int64_t by = c.integer(isInverse ? "downscale_factor" : "upscale_factor");
  if (!c.rankAtLeast(self, 3, "self") ||
      !c.require(by > 0 && by < (1 << 20), "the factor is " + Twine(by)))
    return;
  SizeExpr &channels = self[self.size() - 3];
  SizeExpr square(by * by);
  if (!isInverse) {
    c.equal(channels.mod(square), SizeExpr(0),
            "the channels are no multiple of the squared factor");
    channels = channels.floorDiv(square);
  } else {
    channels = channels * square;
  }
  for (size_t d : {self.size() - 2, self.size() - 1}) {
    if (isInverse) {
      c.equal(self[d].mod(SizeExpr(by)), SizeExpr(0),
              "the size is no multiple of the factor");
      self[d] = self[d].floorDiv(SizeExpr(by));
    } else {
      self[d] = self[d] * SizeExpr(by);
    }
  }
  c.give(self, c.type("self"));
}

static void giveShuffled(Call &c) {
  Sizes self = c.tensor("self");
  int64_t groups = c.integer("groups");
  if (!c.rankAtLeast(self, 3, "self") ||
      !c.require(groups > 0, "groups is " + Twine(groups)))
    return;
  c.equal(self[1].mod(SizeExpr(groups)), SizeExpr(0),
          "the channels are no multiple of groups");
  c.give(self, c.type("self"));
}

void rules::addJoins(Table &table) {
  auto add = [&](Rule rule, std::initializer_list<StringRef> names) {
    for (StringRef name : names)
      table[name] = rule;
  };
  add(giveCat, {"cat", "concat", "concatenate"});
  add(giveStack, {"stack"});
  add(giveStackAlong, {"hstack", "vstack", "dstack", "column_stack"});
  add(giveRepeated, {"repeat", "tile"});
  add(giveRepeatInterleave, {"repeat_interleave"});
  add(giveMeshgrid, {"meshgrid"});
  add(givePadded,
      {"pad", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d",
       "reflection_pad3d", "replication_pad1d", "replication_pad2d",
       "replication_pad3d"});
  add(givePixels, {"pixel_shuffle", "pixel_unshuffle"});
  add(giveShuffled, {"channel_shuffle", "native_channel_shuffle"});
}
