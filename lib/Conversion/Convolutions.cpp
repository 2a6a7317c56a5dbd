//===- Convolutions.cpp - Windows that multiply ---------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Convolutions of one to three spatial dimensions over [N, C, ...] and weights
// [O, C / groups, ...]: hr.pad, then one linalg.generic whose input map has the
// windows (d * stride + k * dilation).
//
// A transposed convolution is the convolution of its input with stride - 1
// zeros between the elements, padded by what the window reaches over, with the
// weights mirrored and their channels swapped.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Args = ArrayRef<Scalar>;

namespace {
struct Window {
  SmallVector<int64_t> stride, dilation;
  /// Elements added before and after each spatial dimension.
  SmallVector<int64_t> low, high;
};
} // namespace

/// Pads the spatial dimensions; negative amounts crop.
static Tensor padSpatial(Lowering &c, Tensor x, const Window &window) {
  Dims low(x.rank(), SizeExpr(0)), high = low;
  for (unsigned i = 0; i < window.low.size(); ++i) {
    int64_t d = i + 2;
    int64_t cropLow = std::max<int64_t>(0, -window.low[i]);
    int64_t cropHigh = std::max<int64_t>(0, -window.high[i]);
    if (cropLow || cropHigh)
      x = c.slice(x, d, SizeExpr(cropLow),
                  x.dims[d] - SizeExpr(cropLow + cropHigh));
    low[d] = SizeExpr(std::max<int64_t>(0, window.low[i]));
    high[d] = SizeExpr(std::max<int64_t>(0, window.high[i]));
  }
  return c.pad(x, low, high, Number(0.0));
}

/// The sum over channels and window, in the compute type, as [N, O, ...].
/// `weight` is [O, C / groups, ...].
static Tensor convolve(Lowering &c, Tensor x, Tensor weight,
                       const Window &window, int64_t groups,
                       ArrayRef<SizeExpr> outDims) {
  int64_t spatial = x.rank() - 2;
  x = padSpatial(c, x, window);

  // Loops: n, g, o, out..., then c, window...
  SizeExpr outChannels = weight.dims[0];
  std::optional<SizeExpr> perGroup = outChannels.exactDiv(SizeExpr(groups));
  if (!perGroup) {
    c.fail("the output channels do not divide into " + Twine(groups) +
           " groups");
    return x;
  }
  Dims inDims{x.dims[0], SizeExpr(groups), weight.dims[1]};
  inDims.append(x.dims.begin() + 2, x.dims.end());
  Dims weightDims{SizeExpr(groups), *perGroup};
  weightDims.append(weight.dims.begin() + 1, weight.dims.end());
  Tensor input = c.reshape(x, inDims), kernel = c.reshape(weight, weightDims);

  Dims loops{x.dims[0], SizeExpr(groups), *perGroup};
  loops.append(outDims.begin() + 2, outDims.end());
  loops.push_back(weight.dims[1]);
  loops.append(weight.dims.begin() + 2, weight.dims.end());
  unsigned channel = 3 + spatial;
  SmallVector<AffineExpr> inExprs{c.dim(0), c.dim(1), c.dim(channel)};
  SmallVector<AffineExpr> kernelExprs{c.dim(1), c.dim(2), c.dim(channel)};
  SmallVector<AffineExpr> outExprs{c.dim(0), c.dim(1), c.dim(2)};
  for (int64_t i = 0; i < spatial; ++i) {
    inExprs.push_back(c.dim(3 + i) * window.stride[i] +
                      c.dim(channel + 1 + i) * window.dilation[i]);
    kernelExprs.push_back(c.dim(channel + 1 + i));
    outExprs.push_back(c.dim(3 + i));
  }
  unsigned n = loops.size();
  Tensor result =
      c.contract(loops, {input, c.getMap(n, inExprs)},
                 {kernel, c.getMap(n, kernelExprs)}, c.getMap(n, outExprs),
                 promote(x.dtype, weight.dtype));
  return c.reshape(result, outDims);
}

/// Adds the bias in the compute type and rounds.
static void yieldWithBias(Lowering &c, const Tensor &result) {
  std::optional<Tensor> bias = c.optionalTensor("bias");
  if (!bias)
    return c.yieldCast(result);
  if (!c.checkRank(*bias, 1, "bias"))
    return;
  AffineMap identity = c.builder.getMultiDimIdentityMap(result.rank());
  c.yield(c.structured(
      result.dims,
      {{result, identity}, {*bias, c.getMap(result.rank(), {c.dim(1)})}},
      identity, c.resultDType(), std::nullopt, [&](Body &b, Args a) {
        return b.add(a[0], b.cast(a[1], a[0].dtype));
      }));
}

/// [O, ...] from [C, O / groups, ...] with the window mirrored.
static std::optional<Tensor> mirrorWeights(Lowering &c, Tensor weight,
                                           int64_t groups) {
  std::optional<SizeExpr> perGroup =
      weight.dims[0].exactDiv(SizeExpr(groups));
  if (!perGroup) {
    c.fail("the input channels do not divide into " + Twine(groups) +
           " groups");
    return std::nullopt;
  }
  for (int64_t d = 2; d < weight.rank(); ++d)
    weight = c.flip(weight, d);
  Dims split{SizeExpr(groups), *perGroup};
  split.append(weight.dims.begin() + 1, weight.dims.end());
  Tensor swapped = c.transpose(c.reshape(weight, split), 1, 2);
  Dims merged{SizeExpr(groups) * weight.dims[1], *perGroup};
  merged.append(weight.dims.begin() + 2, weight.dims.end());
  return c.reshape(swapped, merged);
}

/// Zeros between the elements of the spatial dimensions.
static Tensor spread(Lowering &c, const Tensor &x, ArrayRef<int64_t> stride) {
  Dims dims = x.dims;
  SmallVector<AffineExpr> exprs{c.dim(0), c.dim(1)};
  bool needed = false;
  for (auto [i, step] : llvm::enumerate(stride)) {
    dims[i + 2] = (dims[i + 2] - SizeExpr(1)) * SizeExpr(step) + SizeExpr(1);
    exprs.push_back(c.dim(i + 2) * step);
    needed |= step != 1;
  }
  if (!needed)
    return x;
  Tensor zeros = c.fill(dims, Number(0.0), x.dtype);
  return c.update(zeros, x, Dims(x.rank(), SizeExpr(0)),
                  c.getMap(x.rank(), exprs));
}

/// All convolutions: `spatial` dimensions (-1: as many as the weight has),
/// `transposed` as said or by an argument of that name.
static void lowerConvolution(Lowering &c, int64_t spatial, bool transposed) {
  Tensor x = c.tensor("input"), weight = c.tensor("weight");
  if (spatial < 0)
    spatial = weight.rank() - 2;
  if (spatial < 1 || spatial > 3)
    return c.fail("expected one to three spatial dimensions but got " +
                  Twine(spatial));
  if (!c.checkRank(weight, spatial + 2, "weight"))
    return;
  // Without a batch there is a batch of one.
  Dims outDims = c.resultDims();
  bool unbatched = x.rank() == spatial + 1;
  if (unbatched) {
    x = c.unsqueeze(x, 0);
    outDims.insert(outDims.begin(), SizeExpr(1));
  }
  if (!c.checkRank(x, spatial + 2, "input") ||
      static_cast<int64_t>(outDims.size()) != spatial + 2)
    return c.fail("input and result differ in rank");
  if (c.has("transposed"))
    transposed = c.flag("transposed");
  int64_t groups = c.integer("groups");
  if (groups < 1)
    return c.fail("expected at least one group but got " + Twine(groups));

  Window window;
  window.stride = c.integers("stride", spatial, 1);
  window.dilation = c.integers("dilation", spatial, 1);
  SmallVector<int64_t> padding;
  SmallVector<int64_t> extent;
  for (int64_t i = 0; i < spatial; ++i) {
    std::optional<int64_t> size = weight.dims[2 + i].getConstant();
    if (!size)
      return c.fail("the window's size is not constant");
    extent.push_back((*size - 1) * window.dilation[i]);
  }
  if (std::optional<StringRef> mode = c.call.getString("padding")) {
    // 'same' adds the odd element at the end.
    for (int64_t e : extent) {
      window.low.push_back(*mode == "same" ? e / 2 : 0);
      window.high.push_back(*mode == "same" ? e - e / 2 : 0);
    }
  } else {
    padding = c.integers("padding", spatial, 0);
    window.low = padding;
    window.high = padding;
  }
  if (c.failed())
    return;

  if (transposed) {
    SmallVector<int64_t> more = c.integers("output_padding", spatial, 0);
    std::optional<Tensor> mirrored = mirrorWeights(c, weight, groups);
    if (!mirrored || c.failed())
      return;
    weight = *mirrored;
    x = spread(c, x, window.stride);
    for (int64_t i = 0; i < spatial; ++i) {
      window.low[i] = extent[i] - padding[i];
      window.high[i] = extent[i] - padding[i] + more[i];
      window.stride[i] = 1;
    }
  }
  Tensor result = convolve(c, x, weight, window, groups, outDims);
  if (c.failed())
    return;
  if (unbatched && !c.isNone("bias")) {
    // The bias goes along the channels of the batched form.
    Tensor bias = c.tensor("bias");
    AffineMap identity = c.builder.getMultiDimIdentityMap(result.rank());
    result = c.structured(
        result.dims,
        {{result, identity}, {bias, c.getMap(result.rank(), {c.dim(1)})}},
        identity, result.dtype, std::nullopt, [&](Body &b, Args a) {
          return b.add(a[0], b.cast(a[1], a[0].dtype));
        });
  }
  if (unbatched)
    return c.yieldCast(c.squeeze(result, {0}));
  yieldWithBias(c, result);
}

void conversion::registerConvolutions(Registry &r) {
  for (int64_t spatial : {1, 2, 3}) {
    std::string n = std::to_string(spatial);
    auto direct = [spatial](Lowering &c) {
      lowerConvolution(c, spatial, false);
    };
    r.add("aten.conv" + n + "d.default", direct);
    r.add("aten.conv" + n + "d.padding", direct);
  }
  r.add({"aten.conv_transpose1d.default", "aten.conv_transpose2d.input",
         "aten.conv_transpose3d.input"},
        [](Lowering &c) { lowerConvolution(c, -1, true); });
  r.add({"aten.convolution.default", "aten._convolution.default"},
        [](Lowering &c) { lowerConvolution(c, -1, false); });
}
