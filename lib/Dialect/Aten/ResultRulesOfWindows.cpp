//===- ResultRulesOfWindows.cpp - Convolutions, pools, resampling ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ResultRules.h"
#include <cmath>

using namespace mlir;
using namespace headrace;
using namespace headrace::aten;
using namespace headrace::aten::rules;

/// More than any tensor has; what windows are made of stays far below.
static constexpr int64_t kMaxWindow = int64_t(1) << 40;

static bool isSane(Call &c, ArrayRef<int64_t> values, int64_t least,
                   StringRef what) {
  for (int64_t value : values)
    if (!c.require(value >= least && value < kMaxWindow,
                   what + " is " + Twine(value)))
      return false;
  return true;
}

/// The extent of a window of `size` elements; it may be beyond all integers.
static SizeExpr getReach(const SizeExpr &size, int64_t dilation) {
  return (size - SizeExpr(1)) * SizeExpr(dilation) + SizeExpr(1);
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

static void giveConvolution(Call &c) {
  Sizes input = c.tensor("input"), weight = c.tensor("weight");
  StringRef name = c.op.getBaseName();
  name.consume_front("aten.");
  if (!c.require(weight.size() >= 3 && weight.size() <= 5,
                 "weight has rank " + Twine(weight.size())))
    return;
  size_t spatial = weight.size() - 2;
  if (name.starts_with("conv") && name.ends_with("d"))
    c.require(spatial == size_t(name.drop_back().back() - '0'),
              "weight has rank " + Twine(weight.size()));
  bool isBatched = input.size() == spatial + 2;
  if (!c.require(isBatched || input.size() == spatial + 1,
                 "input has rank " + Twine(input.size())))
    return;
  bool isTransposed = name.starts_with("conv_transpose") ||
                      (c.has("transposed") && c.flag("transposed"));
  int64_t groups = c.integer("groups");
  SmallVector<int64_t> stride = c.integers("stride", spatial, 1),
                       dilation = c.integers("dilation", spatial, 1), padding,
                       more(spatial, 0);
  std::optional<StringRef> mode = c.op.getString("padding");
  if (mode)
    padding.assign(spatial, 0);
  else
    padding = c.integers("padding", spatial, 0);
  if (isTransposed)
    more = c.integers("output_padding", spatial, 0);
  if (c.isUnknown || c.failed() || !isSane(c, groups, 1, "groups") ||
      !isSane(c, stride, 1, "stride") || !isSane(c, dilation, 1, "dilation") ||
      !isSane(c, padding, 0, "padding") ||
      !isSane(c, more, 0, "output_padding"))
    return;
  SizeExpr channels = input[isBatched ? 1 : 0];
  c.equal(weight[0].mod(SizeExpr(groups)), SizeExpr(0),
          "the channels are no multiple of groups");
  c.equal(channels,
          isTransposed ? weight[0] : weight[1] * SizeExpr(groups),
          "the channels of input and weight");
  SizeExpr out = isTransposed ? weight[1] * SizeExpr(groups) : weight[0];
  if (std::optional<Sizes> bias = c.optionalTensor("bias"))
    c.equal(*bias, {out}, "bias");
  Sizes dims(input.begin(), input.begin() + (isBatched ? 1 : 0));
  dims.push_back(out);
  for (size_t i = 0; i < spatial; ++i) {
    const SizeExpr &size = input[input.size() - spatial + i];
    SizeExpr reach = getReach(weight[2 + i], dilation[i]);
    c.atLeast(weight[2 + i], 1, "the window's size");
    if (mode == "same") {
      c.require(stride[i] == 1, "padding 'same' has stride " +
                                    Twine(stride[i]));
      dims.push_back(size);
      continue;
    }
    SizeExpr around(2 * padding[i]);
    if (isTransposed) {
      dims.push_back((size - SizeExpr(1)) * SizeExpr(stride[i]) - around +
                     reach + SizeExpr(more[i]));
      c.atLeast(dims.back(), 0, "a size of the result");
      continue;
    }
    c.atMost(reach, size + around, "the window of the padded input");
    dims.push_back((size + around - reach).floorDiv(SizeExpr(stride[i])) +
                   SizeExpr(1));
  }
  c.give(dims, c.type("input"));
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

/// The number of spatial dimensions in a name like `max_pool2d_with_indices`.
static size_t getSpatial(StringRef name) {
  size_t at = name.find_first_of("123");
  return at == StringRef::npos ? 1 : name[at] - '0';
}

static bool checkImage(Call &c, const Sizes &self, size_t spatial) {
  return c.require(self.size() == spatial + 1 || self.size() == spatial + 2,
                   "self has rank " + Twine(self.size()));
}

static void givePooled(Call &c) {
  size_t spatial = getSpatial(c.op.getBaseName());
  Sizes self = c.tensor("self");
  if (!checkImage(c, self, spatial))
    return;
  SmallVector<int64_t> size = c.integers("kernel_size", spatial);
  SmallVector<int64_t> stride = c.integers("stride").empty()
                                    ? size
                                    : c.integers("stride", spatial);
  SmallVector<int64_t> padding = c.integers("padding", spatial);
  SmallVector<int64_t> dilation(spatial, 1);
  if (c.has("dilation"))
    dilation = c.integers("dilation", spatial, 1);
  if (c.isUnknown || c.failed() || !isSane(c, size, 1, "kernel_size") ||
      !isSane(c, stride, 1, "stride") || !isSane(c, padding, 0, "padding") ||
      !isSane(c, dilation, 1, "dilation"))
    return;
  if (c.has("divisor_override") && !c.isNone("divisor_override"))
    c.require(c.integer("divisor_override") != 0, "divisor_override is 0");
  SmallVector<std::optional<SizeExpr>> dims(self.begin(), self.end());
  for (size_t i = 0; i < spatial; ++i) {
    std::optional<SizeExpr> &dim = dims[self.size() - spatial + i];
    c.require(padding[i] <= size[i] / 2, "padding is more than half of "
                                         "kernel_size");
    SizeExpr reach = getReach(size[i], dilation[i]), step(stride[i]);
    SizeExpr span = *dim + SizeExpr(2 * padding[i]) - reach;
    if (!c.flag("ceil_mode")) {
      c.atLeast(span, 0, "the input beyond one window");
      dim = span.floorDiv(step) + SizeExpr(1);
      continue;
    }
    // The last window begins within the input or its padding before.
    SizeExpr count = span.ceilDiv(step) + SizeExpr(1);
    SizeExpr begin = (count - SizeExpr(1)) * step;
    SizeExpr limit = *dim + SizeExpr(padding[i]);
    if (c.isLessEqual(begin + SizeExpr(1), limit))
      dim = count;
    else if (c.isLessEqual(limit, begin))
      dim = count - SizeExpr(1);
    else
      dim = std::nullopt;
    if (dim)
      c.atLeast(*dim, 1, "a size of the result");
  }
  c.giveSome(dims, c.type("self"));
  if (c.op.getBaseName().ends_with("_with_indices"))
    c.giveSome(dims, c.i64());
}

static void giveAdaptive(Call &c) {
  size_t spatial = getSpatial(c.op.getBaseName());
  Sizes self = c.tensor("self"), size = c.sizes("output_size");
  if (!checkImage(c, self, spatial))
    return;
  if (size.size() == 1)
    size.assign(spatial, size.front());
  if (!c.require(size.size() == spatial || c.isUnknown,
                 "output_size has " + Twine(size.size()) + " values") ||
      c.isUnknown)
    return;
  for (size_t i = 0; i < spatial; ++i) {
    c.atLeast(size[i], 0, "a size of the result");
    self[self.size() - spatial + i] = size[i];
  }
  c.give(self, c.type("self"));
  if (c.op.getBaseName().contains("max"))
    c.give(self, c.i64());
}

//===----------------------------------------------------------------------===//
// Resampling
//===----------------------------------------------------------------------===//

static void giveResampled(Call &c) {
  size_t spatial = getSpatial(c.op.getBaseName());
  StringRef name = c.has("input") ? "input" : "self";
  Sizes self = c.tensor(name);
  if (!c.rank(self, spatial + 2, name))
    return;
  SmallVector<std::optional<SizeExpr>> dims(self.begin(), self.end());
  if (!c.isNone("output_size")) {
    Sizes size = c.sizes("output_size");
    if (size.size() == 1)
      size.assign(spatial, size.front());
    if (!c.require(size.size() == spatial || c.isUnknown,
                   "output_size has " + Twine(size.size()) + " values") ||
        c.isUnknown)
      return;
    for (size_t i = 0; i < spatial; ++i) {
      c.atLeast(size[i], 1, "a size of the result");
      dims[2 + i] = size[i];
    }
    return c.giveSome(dims, c.type(name));
  }
  auto factors = c.op.getFloatList("scale_factors");
  if (!c.require(factors && factors->size() == spatial,
                 "there are not " + Twine(spatial) + " scale factors"))
    return;
  for (auto [i, factor] : llvm::enumerate(*factors)) {
    if (!c.require(factor > 0 && factor < kMaxWindow,
                   "a scale factor is " + Twine(std::to_string(factor))))
      return;
    std::optional<SizeExpr> &dim = dims[2 + i];
    if (factor == std::floor(factor)) {
      dim = *dim * SizeExpr(static_cast<int64_t>(factor));
    } else if (std::optional<int64_t> constant = dim->getConstant()) {
      double size = std::floor(static_cast<double>(*constant) * factor);
      if (!c.require(size < 0x1p62, "the result is too large"))
        return;
      dim = SizeExpr(static_cast<int64_t>(size));
    } else {
      dim = std::nullopt;
    }
  }
  c.giveSome(dims, c.type(name));
}

/// The number of places that a kernel has in an image; fails if it has none.
static SizeExpr countPlaces(Call &c, const SizeExpr *image,
                            ArrayRef<int64_t> (&args)[4]) {
  auto [size, dilation, padding, stride] = args;
  SizeExpr places(1);
  for (unsigned i = 0; i < 2; ++i) {
    SizeExpr span = image[i] + SizeExpr(2 * padding[i]) -
                    getReach(size[i], dilation[i]);
    c.atLeast(span, 0, "the image beyond one patch");
    places = places * (span.floorDiv(SizeExpr(stride[i])) + SizeExpr(1));
  }
  return places;
}

/// im2col and col2im: images and their patches.
static void givePatches(Call &c) {
  bool isInverse = c.has("output_size");
  Sizes self = c.tensor("self");
  SmallVector<int64_t> size = c.integers("kernel_size", 2),
                       dilation = c.integers("dilation", 2, 1),
                       padding = c.integers("padding", 2, 0),
                       stride = c.integers("stride", 2, 1);
  if (c.isUnknown || !isSane(c, size, 1, "kernel_size") ||
      !isSane(c, dilation, 1, "dilation") ||
      !isSane(c, padding, 0, "padding") || !isSane(c, stride, 1, "stride"))
    return;
  ArrayRef<int64_t> args[4] = {size, dilation, padding, stride};
  SizeExpr kernel = SizeExpr(size[0]) * SizeExpr(size[1]);
  size_t full = isInverse ? 3 : 4;
  if (!c.require(self.size() == full || self.size() == full - 1,
                 "self has rank " + Twine(self.size())))
    return;
  Sizes dims(self.begin(), self.end() - (full - 1));
  if (!isInverse) {
    SizeExpr places = countPlaces(c, self.end() - 2, args);
    dims.push_back(self[self.size() - 3] * kernel);
    dims.push_back(places);
    return c.give(dims, c.type("self"));
  }
  Sizes image = c.sizes("output_size");
  if (!c.require(image.size() == 2 || c.isUnknown,
                 "output_size has " + Twine(image.size()) + " values") ||
      c.isUnknown)
    return;
  c.equal(self.back(), countPlaces(c, image.begin(), args),
          "the number of patches");
  const SizeExpr &rows = self[self.size() - 2];
  c.equal(rows.mod(kernel), SizeExpr(0),
          "the channels are no multiple of the kernel");
  dims.push_back(rows.floorDiv(kernel));
  dims.append(image);
  c.give(dims, c.type("self"));
}

static void giveSampled(Call &c) {
  Sizes input = c.tensor("input"), grid = c.tensor("grid");
  if (!c.require(input.size() == 4 || input.size() == 5,
                 "input has rank " + Twine(input.size())) ||
      !c.rank(grid, input.size(), "grid"))
    return;
  c.equal(input[0], grid[0], "the batches differ");
  c.equal(grid.back(), SizeExpr(static_cast<int64_t>(input.size()) - 2),
          "the coordinates of a position");
  Sizes dims{input[0], input[1]};
  dims.append(grid.begin() + 1, grid.end() - 1);
  c.give(dims, c.type("input"));
}

void rules::addWindows(Table &table) {
  auto add = [&](Rule rule, std::initializer_list<StringRef> names) {
    for (StringRef name : names)
      table[name] = rule;
  };
  add(giveConvolution,
      {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
       "conv_transpose3d", "convolution", "_convolution"});
  add(givePooled,
      {"max_pool1d", "max_pool2d", "max_pool3d", "max_pool1d_with_indices",
       "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d",
       "avg_pool2d", "avg_pool3d"});
  add(giveAdaptive,
      {"adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
       "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool1d",
       "adaptive_max_pool2d", "adaptive_max_pool3d"});
  add(giveResampled,
      {"upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
       "_upsample_nearest_exact1d", "_upsample_nearest_exact2d",
       "_upsample_nearest_exact3d", "upsample_linear1d", "upsample_bilinear2d",
       "upsample_trilinear3d", "upsample_bicubic2d"});
  add(givePatches, {"im2col", "col2im"});
  add(giveSampled, {"grid_sampler", "grid_sampler_2d"});
}
