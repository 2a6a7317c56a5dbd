//===- Pooling.cpp - Windows that average or take the largest -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Over the last one to three dimensions, whatever comes before them. The
// declared result says how many windows there are (ceil_mode and all); the
// input is padded to what the last one reaches.
//
//===----------------------------------------------------------------------===//

#include "Reductions.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Args = ArrayRef<Scalar>;
using Compare = Body::Compare;

namespace {
struct PoolWindow {
  SmallVector<int64_t> size, stride, padding, dilation;
};
} // namespace

static std::optional<PoolWindow> getWindow(Lowering &c, unsigned spatial) {
  PoolWindow window;
  window.size = c.integers("kernel_size", spatial);
  window.stride = window.size;
  if (!c.integers("stride").empty())
    window.stride = c.integers("stride", spatial);
  window.padding = c.integers("padding", spatial, 0);
  window.dilation = c.has("dilation") ? c.integers("dilation", spatial, 1)
                                      : SmallVector<int64_t>(spatial, 1);
  for (unsigned i = 0; i < spatial; ++i)
    if (window.size[i] < 1 || window.stride[i] < 1 || window.padding[i] < 0 ||
        window.dilation[i] < 1)
      c.fail("the window is not a window");
  if (c.failed())
    return std::nullopt;
  return window;
}

/// Pads the last dimensions for the windows of the result.
static Tensor padForWindows(Lowering &c, const Tensor &x,
                            const PoolWindow &window,
                            ArrayRef<SizeExpr> outDims, const Number &value) {
  unsigned spatial = window.size.size();
  Dims low(x.rank(), SizeExpr(0)), high = low;
  for (unsigned i = 0; i < spatial; ++i) {
    unsigned d = x.rank() - spatial + i;
    low[d] = SizeExpr(window.padding[i]);
    // Where the last window ends, from the start of the padded input.
    SizeExpr reach = (outDims[d] - SizeExpr(1)) * SizeExpr(window.stride[i]) +
                     SizeExpr((window.size[i] - 1) * window.dilation[i] + 1);
    high[d] = c.max(reach - x.dims[d] - low[d], SizeExpr(0));
  }
  return c.pad(x, low, high, value);
}

/// One nest over the result and the window.
static Tensor reduceWindows(Lowering &c, const Tensor &x,
                            const PoolWindow &window,
                            ArrayRef<SizeExpr> outDims, DType type,
                            const Number &init, BodyFn body) {
  unsigned spatial = window.size.size();
  int64_t rank = x.rank();
  Dims loops(outDims.begin(), outDims.end());
  SmallVector<AffineExpr> in, out;
  for (int64_t d = 0; d < rank; ++d)
    out.push_back(c.dim(d));
  for (int64_t d = 0; d < rank - spatial; ++d)
    in.push_back(c.dim(d));
  for (unsigned i = 0; i < spatial; ++i) {
    loops.push_back(SizeExpr(window.size[i]));
    in.push_back(c.dim(rank - spatial + i) * window.stride[i] +
                 c.dim(rank + i) * window.dilation[i]);
  }
  return c.structured(loops, {{x, c.getMap(loops.size(), in)}},
                      c.getMap(loops.size(), out), type, init, body);
}

/// The input and the declared result agree with a window of the rank.
static bool checkPooling(Lowering &c, const Tensor &x, unsigned spatial) {
  if (x.rank() != spatial + 1 && x.rank() != spatial + 2) {
    c.fail("expected an input of rank " + Twine(spatial + 1) + " or " +
           Twine(spatial + 2) + " but got rank " + Twine(x.rank()));
    return false;
  }
  if (static_cast<int64_t>(c.resultDims().size()) != x.rank()) {
    c.fail("changes the rank");
    return false;
  }
  return true;
}

static void lowerMaxPool(Lowering &c, unsigned spatial) {
  Tensor x = c.tensor("self");
  std::optional<PoolWindow> window = getWindow(c, spatial);
  if (!window || !checkPooling(c, x, spatial))
    return;
  Dims outDims = c.resultDims();
  Number lowest = Emitter::neutral(Combine::Max, x.dtype);
  Tensor padded = padForWindows(c, x, *window, outDims, lowest);
  Tensor high = reduceWindows(
      c, padded, *window, outDims, x.dtype, lowest, [](Body &b, Args a) {
        return b.max(a[1], b.cast(a[0], a[1].dtype));
      });
  c.yield(high);
  if (c.numResults() == 1)
    return;
  if (!c.isUsed(1))
    return c.yieldUnused();

  // The first position in the window, as a number in the unpadded plane.
  int64_t rank = x.rank();
  Dims loops = outDims;
  SmallVector<AffineExpr> in, out;
  for (int64_t d = 0; d < rank; ++d)
    out.push_back(c.dim(d));
  for (int64_t d = 0; d < rank - spatial; ++d)
    in.push_back(c.dim(d));
  for (unsigned i = 0; i < spatial; ++i) {
    loops.push_back(SizeExpr(window->size[i]));
    in.push_back(c.dim(rank - spatial + i) * window->stride[i] +
                 c.dim(rank + i) * window->dilation[i]);
  }
  unsigned n = loops.size();
  AffineMap outMap = c.getMap(n, out);
  DType t = DType::Int64;
  c.yield(c.structured(
      loops, {{padded, c.getMap(n, in)}, {high, outMap}}, outMap, t,
      Emitter::neutral(Combine::Min, t), [&](Body &b, Args a) {
        Scalar found = b.compare(Compare::EQ, a[0], a[1]);
        if (isFloat(a[0].dtype))
          found = b.bitOr(found, b.bitAnd(b.isNaN(a[0]), b.isNaN(a[1])));
        Scalar number = b.integer(0, t);
        for (unsigned i = 0; i < spatial; ++i) {
          unsigned d = rank - spatial + i;
          Scalar at = b.add(
              b.mul(b.index(d), b.integer(window->stride[i], t)),
              b.mul(b.index(rank + i), b.integer(window->dilation[i], t)));
          at = b.sub(at, b.integer(window->padding[i], t));
          // The border is never the answer, even where all is -inf.
          Scalar size = b.constant(Number(x.dims[d]), t);
          Scalar inside = b.bitAnd(
              b.compare(Compare::GE, at, b.integer(0, t)),
              b.compare(Compare::LT, at, size));
          found = b.bitAnd(found, inside);
          number = b.add(b.mul(number, size), at);
        }
        return b.min(a[2], b.select(found, number, b.largest(t)));
      }));
}

static void lowerAvgPool(Lowering &c, unsigned spatial) {
  Tensor x = c.tensor("self");
  std::optional<PoolWindow> window = getWindow(c, spatial);
  if (!window || !checkPooling(c, x, spatial))
    return;
  bool includePad = c.flag("count_include_pad");
  bool ceil = c.flag("ceil_mode");
  std::optional<int64_t> divisor;
  if (c.has("divisor_override") && !c.isNone("divisor_override"))
    divisor = c.integer("divisor_override");
  Dims outDims = c.resultDims();
  int64_t rank = x.rank();
  DType type = getComputeType(x.dtype);
  Tensor padded = padForWindows(c, x, *window, outDims, Number(0.0));
  Tensor sum = reduceWindows(c, padded, *window, outDims, type, Number(0.0),
                             [&](Body &b, Args a) {
                               return b.add(a[1], b.cast(a[0], type));
                             });
  bool padding = llvm::any_of(window->padding, [](int64_t p) { return p != 0; });
  if (!divisor && !ceil && (includePad || !padding)) {
    divisor = 1;
    for (int64_t size : window->size)
      *divisor *= size;
  }
  AffineMap identity = c.builder.getMultiDimIdentityMap(rank);
  c.yield(c.structured(
      outDims, {{sum, identity}}, identity, c.resultDType(), std::nullopt,
      [&](Body &b, Args a) {
        if (divisor)
          return b.div(a[0], b.constant(static_cast<double>(*divisor), type));
        // How many elements the window has within the input (or within the
        // input and its declared border).
        DType t = DType::Int64;
        Scalar count = b.integer(1, t);
        for (unsigned i = 0; i < spatial; ++i) {
          unsigned d = rank - spatial + i;
          Scalar start =
              b.sub(b.mul(b.index(d), b.integer(window->stride[i], t)),
                    b.integer(window->padding[i], t));
          Scalar end = b.add(start, b.integer(window->size[i], t));
          Scalar limit = b.constant(Number(x.dims[d]), t);
          if (includePad) {
            limit = b.add(limit, b.integer(window->padding[i], t));
          } else {
            start = b.max(start, b.integer(0, t));
          }
          count = b.mul(count, b.sub(b.min(end, limit), start));
        }
        return b.div(a[0], b.cast(count, type));
      }));
}

/// Averages or maxima over [floor(i * in / out), ceil((i + 1) * in / out)), one
/// dimension at a time.
static void lowerAdaptivePool(Lowering &c, unsigned spatial, bool average) {
  Tensor x = c.tensor("self");
  if (!checkPooling(c, x, spatial))
    return;
  Dims outDims = c.resultDims();
  if (!average && c.isUsed(1))
    return c.fail("the positions of the maxima are used");
  DType type = average ? getComputeType(x.dtype) : x.dtype;
  Combine kind = average ? Combine::Add : Combine::Max;
  Tensor result = x;
  SizeExpr count(1);
  SmallVector<unsigned> uneven;
  for (unsigned i = 0; i < spatial; ++i) {
    int64_t d = x.rank() - spatial + i;
    SizeExpr in = x.dims[d], out = outDims[d];
    if (in == out)
      continue;
    c.requireAtLeast(in, 1, "there are no elements to pool");
    std::optional<SizeExpr> each = in.exactDiv(out);
    if (each) {
      Dims dims = result.dims;
      dims[d] = out;
      dims.insert(dims.begin() + d + 1, *each);
      result = c.reduce(c.reshape(result, dims), {d + 1}, false, kind, type);
      count = count * *each;
      continue;
    }
    // Windows of several lengths: each result walks the whole dimension.
    uneven.push_back(d);
    Dims loops = result.dims;
    loops[d] = out;
    loops.push_back(in);
    unsigned n = loops.size();
    SmallVector<AffineExpr> inExprs, outExprs;
    for (unsigned k = 0; k + 1 < n; ++k) {
      inExprs.push_back(static_cast<int64_t>(k) == d ? c.dim(n - 1)
                                                     : c.dim(k));
      outExprs.push_back(c.dim(k));
    }
    result = c.structured(
        loops, {{result, c.getMap(n, inExprs)}}, c.getMap(n, outExprs), type,
        Emitter::neutral(kind, type), [&](Body &b, Args a) {
          DType t = DType::Int64;
          Scalar inSize = b.constant(Number(in), t);
          Scalar outSize = b.constant(Number(out), t);
          Scalar o = b.index(d), k = b.index(n - 1);
          // start <= k < end, without dividing:
          // floor(o * in / out) <= k  iff  o * in < (k + 1) * out
          // k < ceil((o + 1) * in / out)  iff  k * out < (o + 1) * in
          Scalar one = b.integer(1, t);
          Scalar after = b.compare(Compare::LT, b.mul(o, inSize),
                                   b.mul(b.add(k, one), outSize));
          Scalar before = b.compare(Compare::LT, b.mul(k, outSize),
                                    b.mul(b.add(o, one), inSize));
          Scalar value = b.select(
              b.bitAnd(after, before), b.cast(a[0], a[1].dtype),
              b.constant(Emitter::neutral(kind, type), a[1].dtype));
          return Emitter::combine(b, kind, a[1], value);
        });
  }
  if (!average) {
    c.yieldCast(result);
    if (c.numResults() > 1)
      c.yieldUnused();
    return;
  }
  AffineMap identity = c.builder.getMultiDimIdentityMap(x.rank());
  c.yield(c.structured(
      outDims, {{result, identity}}, identity, c.resultDType(), std::nullopt,
      [&](Body &b, Args a) {
        DType t = DType::Int64;
        Scalar n = b.constant(Number(count), t);
        for (unsigned d : uneven) {
          Scalar inSize = b.constant(Number(x.dims[d]), t);
          Scalar outSize = b.constant(Number(outDims[d]), t);
          Scalar o = b.index(d), one = b.integer(1, t);
          Scalar start = b.floorDiv(b.mul(o, inSize), outSize);
          Scalar end = b.floorDiv(
              b.sub(b.add(b.mul(b.add(o, one), inSize), outSize), one),
              outSize);
          n = b.mul(n, b.sub(end, start));
        }
        return b.div(a[0], b.cast(n, type));
      }));
}

void conversion::registerPooling(Registry &r) {
  for (unsigned spatial : {1, 2, 3}) {
    std::string n = std::to_string(spatial) + "d";
    auto maxPool = [spatial](Lowering &c) { lowerMaxPool(c, spatial); };
    auto average = [spatial](Lowering &c) { lowerAvgPool(c, spatial); };
    auto adaptive = [spatial](Lowering &c) {
      lowerAdaptivePool(c, spatial, true);
    };
    r.add("aten.max_pool" + n + ".default", maxPool);
    r.add("aten.max_pool" + n + "_with_indices.default", maxPool);
    r.add("aten.avg_pool" + n + ".default", average);
    r.add("aten.adaptive_avg_pool" + n + ".default", adaptive);
    if (spatial > 1)
      r.add("aten._adaptive_avg_pool" + n + ".default", adaptive);
    r.add("aten.adaptive_max_pool" + n + ".default", [spatial](Lowering &c) {
      lowerAdaptivePool(c, spatial, false);
    });
  }
}
