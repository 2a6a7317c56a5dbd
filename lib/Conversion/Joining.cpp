//===- Joining.cpp - Operators that join, repeat and pad ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

static SmallVector<Tensor> castAll(Lowering &c, ArrayRef<Tensor> tensors,
                                   DType type) {
  return llvm::map_to_vector(
      tensors, [&](const Tensor &tensor) { return c.cast(tensor, type); });
}

static void lowerCat(Lowering &c) {
  SmallVector<Tensor> parts;
  // An empty vector joins with anything, by old custom.
  for (const Tensor &tensor : c.tensors("tensors"))
    if (tensor.rank() != 1 || tensor.dims[0] != SizeExpr(0))
      parts.push_back(tensor);
  if (parts.empty())
    return c.yield(c.fill(c.resultDims(), Number(int64_t(0)),
                          c.resultDType()));
  int64_t rank = parts.front().rank();
  int64_t d = c.dimension("dim", rank);
  for (const Tensor &part : parts)
    if (!c.checkRank(part, rank, "tensors"))
      return;
  if (rank == 0)
    return c.fail("joins tensors of rank 0");
  c.yield(c.concat(castAll(c, parts, c.resultDType()), d));
}

static void lowerStack(Lowering &c) {
  SmallVector<Tensor> parts = c.tensors("tensors");
  if (parts.empty())
    return c.fail("joins no tensors");
  int64_t rank = parts.front().rank();
  int64_t d = c.dimension("dim", rank + 1);
  for (Tensor &part : parts) {
    if (!c.checkRank(part, rank, "tensors"))
      return;
    part = c.unsqueeze(c.cast(part, c.resultDType()), d);
  }
  c.yield(c.concat(parts, d));
}

/// hstack, vstack, dstack, column_stack: cat of tensors of a least rank.
static void lowerStackAlong(Lowering &c, int64_t leastRank, int64_t dim) {
  SmallVector<Tensor> parts = c.tensors("tensors");
  if (parts.empty())
    return c.fail("joins no tensors");
  for (Tensor &part : parts) {
    part = c.cast(part, c.resultDType());
    while (part.rank() < leastRank) {
      // A vector becomes a row; a matrix gets a depth.
      bool row = leastRank >= 2 && part.rank() < 2;
      part = c.unsqueeze(part, row ? 0 : part.rank());
    }
  }
  c.yield(c.concat(parts, parts.front().rank() == 1 ? 0 : dim));
}

/// column_stack: vectors become columns.
static void lowerColumnStack(Lowering &c) {
  SmallVector<Tensor> parts = c.tensors("tensors");
  if (parts.empty())
    return c.fail("joins no tensors");
  for (Tensor &part : parts) {
    part = c.cast(part, c.resultDType());
    while (part.rank() < 2)
      part = c.unsqueeze(part, part.rank());
  }
  c.yield(c.concat(parts, 1));
}

/// The tensor n times along each dimension: a view with a broadcast dimension
/// before each, flattened.
static void lowerRepeat(Lowering &c, StringRef name) {
  Tensor self = c.tensor("self");
  Dims repeats = c.sizes(name);
  while (static_cast<int64_t>(repeats.size()) < self.rank())
    repeats.insert(repeats.begin(), SizeExpr(1));
  Dims lead(repeats.size() - self.rank(), SizeExpr(1));
  lead.append(self.dims.begin(), self.dims.end());
  self = c.reshape(self, lead);
  Dims dims;
  SmallVector<AffineExpr> exprs;
  for (auto [size, count] : llvm::zip(lead, repeats)) {
    if (!isOne(count))
      dims.push_back(count);
    exprs.push_back(c.dim(dims.size()));
    dims.push_back(size);
  }
  Tensor repeated = c.view(self, Dims(lead.size(), SizeExpr(0)),
                           c.getMap(dims.size(), exprs), dims);
  c.yield(c.reshape(repeated, c.resultDims()));
}

/// Each element n times in a row.
static void lowerRepeatInterleave(Lowering &c) {
  Tensor self = c.tensor("self");
  if (c.isNone("dim"))
    self = c.reshape(self, {product(self.dims)});
  int64_t d = c.isNone("dim") ? 0 : c.dimension("dim", self.rank());
  if (self.rank() == 0)
    self = c.reshape(self, {SizeExpr(1)});
  SizeExpr repeats = c.size("repeats");
  Dims dims = self.dims;
  dims.insert(dims.begin() + d + 1, repeats);
  SmallVector<AffineExpr> exprs;
  for (int64_t i = 0; i < self.rank(); ++i)
    exprs.push_back(c.dim(i <= d ? i : i + 1));
  Tensor repeated = c.view(self, Dims(self.rank(), SizeExpr(0)),
                           c.getMap(dims.size(), exprs), dims);
  c.yield(c.reshape(repeated, c.resultDims()));
}

static void lowerMeshgrid(Lowering &c) {
  SmallVector<Tensor> tensors = c.tensors("tensors");
  bool swap = c.has("indexing") && c.text("indexing") == "xy" &&
              tensors.size() >= 2;
  for (auto [i, tensor] : llvm::enumerate(tensors)) {
    int64_t at = swap && i < 2 ? 1 - i : i;
    Dims dims = c.resultDims(i);
    if (at >= static_cast<int64_t>(dims.size()))
      return c.fail("gives a tensor of rank " + Twine(dims.size()));
    Dims shape(dims.size(), SizeExpr(1));
    shape[at] = product(tensor.dims);
    c.yield(c.expand(c.reshape(tensor, shape), dims));
  }
}

//===----------------------------------------------------------------------===//
// Padding
//===----------------------------------------------------------------------===//

enum class PadMode { Constant, Reflect, Replicate, Circular };

/// One dimension: negative amounts crop, the others add what the mode says.
static Tensor padDimension(Lowering &c, Tensor tensor, int64_t d, int64_t low,
                           int64_t high, PadMode mode) {
  int64_t cropLow = std::max<int64_t>(0, -low);
  int64_t cropHigh = std::max<int64_t>(0, -high);
  if (cropLow || cropHigh)
    tensor = c.slice(tensor, d, SizeExpr(cropLow),
                     tensor.dims[d] - SizeExpr(cropLow + cropHigh));
  SmallVector<Tensor> parts;
  const SizeExpr size = tensor.dims[d];
  auto border = [&](int64_t count, bool isLow) {
    switch (mode) {
    case PadMode::Reflect: {
      // Without the edge itself, nearest to the edge first.
      SizeExpr start =
          isLow ? SizeExpr(1) : size - SizeExpr(count + 1);
      return c.flip(c.slice(tensor, d, start, SizeExpr(count)), d);
    }
    case PadMode::Replicate: {
      Tensor edge = c.slice(tensor, d,
                            isLow ? SizeExpr(0) : size - SizeExpr(1),
                            SizeExpr(1));
      Dims dims = edge.dims;
      dims[d] = SizeExpr(count);
      return c.expand(edge, dims);
    }
    case PadMode::Circular:
    case PadMode::Constant:
      break;
    }
    SizeExpr start = isLow ? size - SizeExpr(count) : SizeExpr(0);
    return c.slice(tensor, d, start, SizeExpr(count));
  };
  if (low > 0)
    parts.push_back(border(low, true));
  parts.push_back(tensor);
  if (high > 0)
    parts.push_back(border(high, false));
  return c.concat(parts, d);
}

static void lowerPadMode(Lowering &c, PadMode mode, StringRef padName) {
  Tensor self = c.tensor("self");
  SmallVector<int64_t> amounts = c.integers(padName);
  if (c.failed() || amounts.size() % 2 != 0 ||
      static_cast<int64_t>(amounts.size()) > 2 * self.rank())
    return c.fail("pad has " + Twine(amounts.size()) +
                  " values for a tensor of rank " + Twine(self.rank()));
  if (mode != PadMode::Constant) {
    for (size_t i = 0; i < amounts.size(); i += 2)
      self = padDimension(c, self, self.rank() - 1 - i / 2, amounts[i],
                          amounts[i + 1], mode);
    return c.yield(self);
  }
  Number value = c.has("value") && !c.isNone("value") ? c.number("value")
                                                      : Number(int64_t(0));
  Dims low(self.rank(), SizeExpr(0)), high = low;
  for (size_t i = 0; i < amounts.size(); i += 2) {
    int64_t d = self.rank() - 1 - i / 2;
    int64_t cropLow = std::max<int64_t>(0, -amounts[i]);
    int64_t cropHigh = std::max<int64_t>(0, -amounts[i + 1]);
    if (cropLow || cropHigh)
      self = c.slice(self, d, SizeExpr(cropLow),
                     self.dims[d] - SizeExpr(cropLow + cropHigh));
    low[d] = SizeExpr(std::max<int64_t>(0, amounts[i]));
    high[d] = SizeExpr(std::max<int64_t>(0, amounts[i + 1]));
  }
  c.yield(c.pad(self, low, high, value));
}

/// constant_pad_nd with symbolic amounts that are provably not negative.
static void lowerPadSymbolic(Lowering &c) {
  Tensor self = c.tensor("self");
  Dims amounts = c.sizes("pad");
  if (amounts.size() % 2 != 0 ||
      static_cast<int64_t>(amounts.size()) > 2 * self.rank())
    return c.fail("pad has " + Twine(amounts.size()) +
                  " values for a tensor of rank " + Twine(self.rank()));
  Number value = c.has("value") && !c.isNone("value") ? c.number("value")
                                                      : Number(int64_t(0));
  Dims low(self.rank(), SizeExpr(0)), high = low;
  for (size_t i = 0; i < amounts.size(); ++i) {
    if (!c.assumeAtMost(SizeExpr(0), amounts[i]))
      return c.fail("pad amount " + amounts[i].str() +
                    " can be negative or not, depending on the input's shape");
    (i % 2 ? high : low)[self.rank() - 1 - i / 2] = amounts[i];
  }
  c.yield(c.pad(self, low, high, value));
}

static void lowerPad(Lowering &c) {
  StringRef mode = c.has("mode") ? c.text("mode") : "constant";
  if (mode == "reflect")
    return lowerPadMode(c, PadMode::Reflect, "pad");
  if (mode == "replicate")
    return lowerPadMode(c, PadMode::Replicate, "pad");
  if (mode == "circular")
    return lowerPadMode(c, PadMode::Circular, "pad");
  if (mode != "constant")
    return c.fail("mode is '" + mode + "'");
  if (!c.call.getIntList("pad"))
    return lowerPadSymbolic(c);
  lowerPadMode(c, PadMode::Constant, "pad");
}

//===----------------------------------------------------------------------===//
// Shuffles between channels and space
//===----------------------------------------------------------------------===//

static void lowerPixelShuffle(Lowering &c, bool inverse) {
  Tensor self = c.tensor("self");
  int64_t rank = self.rank();
  SizeExpr factor(
      c.integer(inverse ? "downscale_factor" : "upscale_factor"));
  if (rank < 3)
    return c.fail("expected rank 3 or more but got rank " + Twine(rank));
  int64_t lead = rank - 3;
  Dims dims(self.dims.begin(), self.dims.begin() + lead);
  auto order = llvm::to_vector(llvm::seq<int64_t>(0, lead));
  if (!inverse) {
    Dims result = c.resultDims();
    if (static_cast<int64_t>(result.size()) != rank)
      return c.fail("changes the rank");
    dims.append({result[lead], factor, factor, self.dims[lead + 1],
                 self.dims[lead + 2]});
    order.append({lead, lead + 3, lead + 1, lead + 4, lead + 2});
  } else {
    Dims result = c.resultDims();
    if (static_cast<int64_t>(result.size()) != rank)
      return c.fail("changes the rank");
    dims.append({self.dims[lead], result[lead + 1], factor, result[lead + 2],
                 factor});
    order.append({lead, lead + 2, lead + 4, lead + 1, lead + 3});
  }
  c.yield(c.reshape(c.permute(c.reshape(self, dims), order), c.resultDims()));
}

static void lowerChannelShuffle(Lowering &c) {
  Tensor self = c.tensor("self");
  if (self.rank() < 2)
    return c.fail("expected rank 2 or more");
  SizeExpr groups(c.integer("groups"));
  std::optional<SizeExpr> rest = self.dims[1].exactDiv(groups);
  if (!rest)
    return c.fail("the channels do not divide into groups");
  Dims dims{self.dims[0], groups, *rest};
  dims.append(self.dims.begin() + 2, self.dims.end());
  Tensor split = c.transpose(c.reshape(self, dims), 1, 2);
  c.yield(c.reshape(split, self.dims));
}

void conversion::registerJoining(Registry &r) {
  r.add({"aten.cat.default", "aten.concat.default", "aten.concatenate.default"},
        lowerCat);
  r.add("aten.stack.default", lowerStack);
  r.add("aten.hstack.default",
        [](Lowering &c) { lowerStackAlong(c, 1, 1); });
  r.add("aten.vstack.default",
        [](Lowering &c) { lowerStackAlong(c, 2, 0); });
  r.add("aten.dstack.default",
        [](Lowering &c) { lowerStackAlong(c, 3, 2); });
  r.add("aten.column_stack.default", lowerColumnStack);
  r.add("aten.repeat.default",
        [](Lowering &c) { lowerRepeat(c, "repeats"); });
  r.add("aten.tile.default", [](Lowering &c) { lowerRepeat(c, "dims"); });
  r.add("aten.repeat_interleave.self_int", lowerRepeatInterleave);
  r.add({"aten.meshgrid.default", "aten.meshgrid.indexing"}, lowerMeshgrid);
  r.add({"aten.pad.default", "aten.constant_pad_nd.default"}, lowerPad);
  for (StringRef rank : {"1", "2", "3"}) {
    r.add(("aten.reflection_pad" + rank + "d.default").str(),
          [](Lowering &c) { lowerPadMode(c, PadMode::Reflect, "padding"); });
    r.add(("aten.replication_pad" + rank + "d.default").str(),
          [](Lowering &c) { lowerPadMode(c, PadMode::Replicate, "padding"); });
  }
  r.add("aten.pixel_shuffle.default",
        [](Lowering &c) { lowerPixelShuffle(c, false); });
  r.add("aten.pixel_unshuffle.default",
        [](Lowering &c) { lowerPixelShuffle(c, true); });
  r.add({"aten.channel_shuffle.default",
         "aten.native_channel_shuffle.default"},
        lowerChannelShuffle);
}
