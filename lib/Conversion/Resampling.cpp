//===- Resampling.cpp - Images at other sizes, patches --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Interpolation one dimension at a time: for each tap a vector of source
// positions (computed from the output's index), a gather along the dimension,
// and a weighted sum of the taps. Positions are computed in the type torch uses
// (f32, f64 for doubles), so that the same neighbours are chosen. Images of
// uint8 are only copied from: torch weights them in fixed point, with roundings
// of its own.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Args = ArrayRef<Scalar>;
using Compare = Body::Compare;

enum class Interpolation { Nearest, NearestExact, Linear, Cubic };

namespace {
/// How one dimension is resampled.
struct Axis {
  int64_t dim;
  SizeExpr in, out;
  /// Of the output over the input, where the program gives it.
  std::optional<double> scale;
  bool alignCorners;
};
} // namespace

/// The step in the input per element of the output.
static Scalar getStep(Body &b, const Axis &axis, DType t) {
  Scalar in = b.cast(b.size(axis.in), t), out = b.cast(b.size(axis.out), t);
  if (axis.alignCorners) {
    Scalar one = b.constant(1.0, t);
    Scalar step = b.div(b.sub(in, one), b.max(b.sub(out, one), one));
    return b.select(b.compare(Compare::GT, out, one), step,
                    b.constant(0.0, t));
  }
  if (axis.scale && *axis.scale > 0.0)
    return b.constant(1.0 / *axis.scale, t);
  return b.div(in, out);
}

/// The position in the input of an element of the output.
static Scalar getPosition(Body &b, const Axis &axis, Interpolation mode,
                          DType t) {
  Scalar o = b.cast(b.index(0), t), step = getStep(b, axis, t);
  Scalar half = b.constant(0.5, t);
  switch (mode) {
  case Interpolation::Nearest:
    return b.mul(o, step);
  case Interpolation::NearestExact:
    return b.mul(b.add(o, half), step);
  case Interpolation::Linear:
  case Interpolation::Cubic:
    break;
  }
  if (axis.alignCorners)
    return b.mul(o, step);
  Scalar position = b.sub(b.mul(step, b.add(o, half)), half);
  return mode == Interpolation::Cubic ? position
                                      : b.max(position, b.constant(0.0, t));
}

/// The elements of `x` at the positions along the axis.
static Tensor take(Lowering &c, const Tensor &x, const Axis &axis,
                   const Tensor &positions) {
  Dims loops = x.dims;
  loops[axis.dim] = axis.out;
  SmallVector<Emitter::Position> at;
  for (int64_t d = 0; d < x.rank(); ++d)
    at.push_back(d == axis.dim ? Emitter::Position{c.zero(), 0u}
                               : Emitter::Position{c.dim(d), {}});
  return c.gather(x, at,
                  {{positions, c.getMap(x.rank(), {c.dim(axis.dim)})}}, loops,
                  "interpolate", false);
}

/// The weight of tap `k` of four at the fraction `t` behind the second.
static Scalar cubicWeight(Body &b, Scalar t, int k) {
  DType type = t.dtype;
  auto number = [&](double value) { return b.constant(value, type); };
  constexpr double a = -0.75;
  // Distances of the taps: 1 + t, t, 1 - t, 2 - t.
  Scalar one = number(1.0);
  Scalar x = k == 0   ? b.add(t, one)
             : k == 1 ? t
             : k == 2 ? b.sub(one, t)
                      : b.sub(number(2.0), t);
  if (k == 1 || k == 2) {
    // ((a + 2) x - (a + 3)) x x + 1
    Scalar inner = b.sub(b.mul(number(a + 2), x), number(a + 3));
    return b.add(b.mul(b.mul(inner, x), x), one);
  }
  // ((a x - 5 a) x + 8 a) x - 4 a
  Scalar inner = b.sub(b.mul(number(a), x), number(5 * a));
  inner = b.add(b.mul(inner, x), number(8 * a));
  return b.sub(b.mul(inner, x), number(4 * a));
}

static Tensor resample(Lowering &c, const Tensor &x, const Axis &axis,
                       Interpolation mode) {
  // Each element repeated a whole number of times is a view.
  bool nearest = mode == Interpolation::Nearest ||
                 mode == Interpolation::NearestExact;
  std::optional<SizeExpr> repeat = axis.out.exactDiv(axis.in);
  if (nearest && repeat &&
      (!axis.scale ||
       (repeat->getConstant() &&
        *axis.scale == static_cast<double>(*repeat->getConstant())))) {
    if (isOne(*repeat))
      return x;
    Dims dims = x.dims;
    dims.insert(dims.begin() + axis.dim + 1, *repeat);
    SmallVector<AffineExpr> exprs;
    for (int64_t d = 0; d < x.rank(); ++d)
      exprs.push_back(c.dim(d <= axis.dim ? d : d + 1));
    Tensor wide = c.view(x, Dims(x.rank(), SizeExpr(0)),
                         c.getMap(dims.size(), exprs), dims);
    Dims result = x.dims;
    result[axis.dim] = axis.out;
    return c.reshape(wide, result);
  }

  DType t = isFloat(x.dtype) ? getComputeType(x.dtype) : DType::Float32;
  AffineMap identity = c.builder.getMultiDimIdentityMap(1);
  auto vector = [&](DType type, function_ref<Scalar(Body &)> body) {
    return c.structured({axis.out}, {}, identity, type, std::nullopt,
                        [&](Body &b, Args) { return body(b); });
  };
  int taps = nearest ? 1 : mode == Interpolation::Linear ? 2 : 4;
  SmallVector<Tensor> parts;
  for (int k = 0; k < taps; ++k) {
    Tensor positions = vector(DType::Int64, [&](Body &b) {
      Scalar floor =
          b.math<math::FloorOp>(getPosition(b, axis, mode, t));
      Scalar at = b.cast(floor, DType::Int64);
      int first = mode == Interpolation::Cubic ? -1 : 0;
      if (k + first != 0)
        at = b.add(at, b.integer(k + first, DType::Int64));
      Scalar last = b.size(axis.in - SizeExpr(1));
      return b.min(b.max(at, b.integer(0, DType::Int64)), last);
    });
    parts.push_back(take(c, x, axis, positions));
  }
  if (nearest)
    return parts.front();
  Tensor fraction = vector(t, [&](Body &b) {
    Scalar position = getPosition(b, axis, mode, t);
    Scalar floor = b.math<math::FloorOp>(position);
    // torch keeps the first tap inside, and so the fraction.
    Scalar last = b.cast(b.size(axis.in - SizeExpr(1)), t);
    return mode == Interpolation::Linear
               ? b.sub(position, b.min(floor, last))
               : b.sub(position, floor);
  });
  Dims dims = parts.front().dims;
  AffineMap all = c.builder.getMultiDimIdentityMap(dims.size());
  SmallVector<Access> inputs;
  for (const Tensor &part : parts)
    inputs.push_back({part, all});
  inputs.push_back({fraction, c.getMap(dims.size(), {c.dim(axis.dim)})});
  return c.structured(
      dims, inputs, all, t, std::nullopt, [&](Body &b, Args a) {
        Scalar f = a[taps];
        if (mode == Interpolation::Linear) {
          Scalar rest = b.sub(b.constant(1.0, t), f);
          return b.add(b.mul(rest, a[0]), b.mul(f, a[1]));
        }
        Scalar sum = b.mul(a[0], cubicWeight(b, f, 0));
        for (int k = 1; k < 4; ++k)
          sum = b.add(sum, b.mul(a[k], cubicWeight(b, f, k)));
        return sum;
      });
}

/// upsample_*: the last `spatial` dimensions, one after the other.
static void lowerUpsample(Lowering &c, unsigned spatial, Interpolation mode) {
  Tensor x = c.tensor(c.has("input") ? "input" : "self");
  if (!c.checkRank(x, spatial + 2, "input"))
    return;
  Dims outDims = c.resultDims();
  if (static_cast<int64_t>(outDims.size()) != x.rank())
    return c.fail("changes the rank");
  bool weighted =
      mode == Interpolation::Linear || mode == Interpolation::Cubic;
  if (weighted && !isFloat(x.dtype))
    return c.fail("weights elements of " + getName(x.dtype) +
                  ", which torch does in fixed point");
  bool align = c.has("align_corners") && c.flag("align_corners");
  SmallVector<std::optional<double>> scales(spatial);
  if (c.has("scale_factors") && !c.isNone("scale_factors")) {
    auto list = c.call.getFloatList("scale_factors");
    if (!list || list->size() != spatial)
      return c.fail("expected " + Twine(spatial) + " scale factors");
    for (unsigned i = 0; i < spatial; ++i)
      scales[i] = (*list)[i];
  }
  static constexpr StringRef names[] = {"scales_d", "scales_h", "scales_w"};
  for (unsigned i = 0; i < spatial; ++i) {
    StringRef name = spatial == 1 ? "scales" : names[3 - spatial + i];
    if (c.has(name) && !c.isNone(name))
      scales[i] = c.real(name);
  }
  for (unsigned i = 0; i < spatial; ++i) {
    int64_t d = 2 + i;
    for (const SizeExpr &size : {x.dims[d], outDims[d]})
      c.requireAtLeast(size, 1, "nothing can be made of no elements");
    x = resample(c, x, {d, x.dims[d], outDims[d], scales[i], align}, mode);
  }
  c.yieldCast(x);
}

//===----------------------------------------------------------------------===//
// Patches
//===----------------------------------------------------------------------===//

/// im2col (unfold): [N, C, H, W] to [N, C * kh * kw, L].
static void lowerIm2col(Lowering &c) {
  Tensor x = c.tensor("self");
  Dims result = c.resultDims();
  bool unbatched = x.rank() == 3;
  if (unbatched)
    x = c.unsqueeze(x, 0);
  if (!c.checkRank(x, 4, "self"))
    return;
  SmallVector<int64_t> size = c.integers("kernel_size", 2),
                       dilation = c.integers("dilation", 2, 1),
                       padding = c.integers("padding", 2, 0),
                       stride = c.integers("stride", 2, 1);
  if (c.failed())
    return;
  Dims border{SizeExpr(0), SizeExpr(0), SizeExpr(padding[0]),
              SizeExpr(padding[1])};
  Tensor padded = c.pad(x, border, border, Number(0.0));
  Dims dims{x.dims[0], x.dims[1], SizeExpr(size[0]), SizeExpr(size[1])};
  SmallVector<AffineExpr> exprs{c.dim(0), c.dim(1)};
  for (unsigned i = 0; i < 2; ++i) {
    SizeExpr reach((size[i] - 1) * dilation[i] + 1);
    dims.push_back(
        (padded.dims[2 + i] - reach).floorDiv(SizeExpr(stride[i])) +
        SizeExpr(1));
    exprs.push_back(c.dim(4 + i) * stride[i] + c.dim(2 + i) * dilation[i]);
  }
  Tensor patches =
      c.view(padded, Dims(4, SizeExpr(0)), c.getMap(6, exprs), dims);
  c.yield(c.reshape(patches, result));
}

/// col2im (fold): patches [N, C * kh * kw, L] added up at their places.
static void lowerCol2im(Lowering &c) {
  Tensor x = c.tensor("self");
  Dims result = c.resultDims();
  if (x.rank() == 2)
    x = c.unsqueeze(x, 0);
  SmallVector<int64_t> size = c.integers("kernel_size", 2),
                       dilation = c.integers("dilation", 2, 1),
                       padding = c.integers("padding", 2, 0),
                       stride = c.integers("stride", 2, 1);
  if (!c.checkRank(x, 3, "self") || c.failed())
    return;
  SizeExpr channels = result[result.size() - 3];
  Dims padded{x.dims[0], channels}, patches{x.dims[0], channels,
                                            SizeExpr(size[0]),
                                            SizeExpr(size[1])};
  for (unsigned i = 0; i < 2; ++i) {
    SizeExpr extent = result[result.size() - 2 + i] + SizeExpr(2 * padding[i]);
    SizeExpr reach((size[i] - 1) * dilation[i] + 1);
    padded.push_back(extent);
    patches.push_back((extent - reach).floorDiv(SizeExpr(stride[i])) +
                      SizeExpr(1));
  }
  x = c.reshape(x, patches);
  DType type = getComputeType(x.dtype);
  Tensor sum = c.fill(padded, Number(0.0), type);
  // Of one place in the kernel no two patches overlap.
  AffineMap steps = c.getMap(4, {c.dim(0), c.dim(1), c.dim(2) * stride[0],
                                 c.dim(3) * stride[1]});
  for (int64_t h = 0; h < size[0]; ++h)
    for (int64_t w = 0; w < size[1]; ++w) {
      Dims at{SizeExpr(0), SizeExpr(0), SizeExpr(h * dilation[0]),
              SizeExpr(w * dilation[1])};
      Tensor part = c.cast(c.select(c.select(x, 2, SizeExpr(h)), 2,
                                    SizeExpr(w)),
                           type);
      Tensor there = c.view(sum, at, steps, part.dims);
      sum = c.update(sum, c.add(there, part), at, steps);
    }
  for (unsigned i = 0; i < 2; ++i)
    sum = c.slice(sum, 2 + i, SizeExpr(padding[i]),
                  result[result.size() - 2 + i]);
  c.yieldCast(c.reshape(sum, result));
}

//===----------------------------------------------------------------------===//
// Sampling at positions that are data
//===----------------------------------------------------------------------===//

/// grid_sampler: [N, C, H, W] read at the positions [N, h, w, (x, y)], where -1
/// and 1 are the ends of the image.
static void lowerGridSampler(Lowering &c) {
  Tensor x = c.tensor("input"), grid = c.tensor("grid");
  int64_t mode = c.integer("interpolation_mode");
  int64_t border = c.integer("padding_mode");
  bool align = c.flag("align_corners");
  if (x.rank() != 4 || grid.rank() != 4)
    return c.fail("samples a volume");
  if (mode > 1)
    return c.fail("interpolates by cubic functions");
  for (int64_t d : {2, 3})
    c.requireAtLeast(x.dims[d], 1, "the image has no elements to sample");
  DType type = getComputeType(x.dtype), t = DType::Int64;
  enum Border { Zeros, Edge, Reflect };
  Dims points(grid.dims.begin(), grid.dims.end() - 1);
  // In units of pixels, inside the image if the border says so.
  auto coordinate = [&](int64_t which) {
    const SizeExpr &size = x.dims[3 - which];
    Tensor given =
        c.cast(c.select(grid, 3, SizeExpr(which)), type);
    return c.map({given}, type, type, [&](Body &b, Args a) {
      Scalar one = b.constant(1.0, type), half = b.constant(0.5, type);
      Scalar extent = b.constant(Number(size), type);
      Scalar last = b.sub(extent, one);
      Scalar at = b.add(a[0], one);
      at = align ? b.mul(b.mul(at, half), last)
                 : b.mul(b.sub(b.mul(at, extent), one), half);
      if (border == Reflect) {
        // Between the ends (or the outer edges of the end pixels).
        Scalar low = b.constant(align ? 0.0 : -0.5, type);
        Scalar span = align ? last : extent;
        Scalar zero = b.constant(0.0, type);
        Scalar away = b.abs(b.sub(at, low));
        Scalar safe = b.select(b.compare(Compare::EQ, span, zero), one, span);
        Scalar rest = b.fmod(away, safe);
        Scalar flips = b.math<math::FloorOp>(b.div(away, safe));
        Scalar odd = b.compare(
            Compare::NE, b.fmod(flips, b.constant(2.0, type)), zero);
        at = b.add(b.select(odd, b.sub(span, rest), rest), low);
        if (align)
          at = b.select(b.compare(Compare::EQ, span, zero), zero, at);
      }
      if (border != Zeros)
        at = b.min(b.max(at, b.constant(0.0, type)), last);
      return at;
    });
  };
  Tensor px = coordinate(0), py = coordinate(1);
  // The image at whole positions; zero outside.
  auto read = [&](const Tensor &column, const Tensor &row) {
    auto inside = [&](const Tensor &at, const SizeExpr &size) {
      return c.map({at}, type, DType::Bool, [&](Body &b, Args a) {
        return b.bitAnd(
            b.compare(Compare::GE, a[0], b.constant(0.0, type)),
            b.compare(Compare::LT, a[0], b.constant(Number(size), type)));
      });
    };
    auto index = [&](const Tensor &at, const Tensor &valid) {
      return c.cast(c.where(valid, at, Number(0.0), type), t);
    };
    Tensor validX = inside(column, x.dims[3]), validY = inside(row, x.dims[2]);
    Dims loops{x.dims[0], x.dims[1], points[1], points[2]};
    AffineMap where = c.getMap(4, {c.dim(0), c.dim(2), c.dim(3)});
    Tensor value = c.gather(
        x, {{c.dim(0), {}}, {c.dim(1), {}}, {c.zero(), 0u}, {c.zero(), 1u}},
        {{index(row, validY), where}, {index(column, validX), where}}, loops,
        "grid_sampler", false);
    Tensor valid =
        c.map({validX, validY}, DType::Bool, DType::Bool,
              [](Body &b, Args a) { return b.bitAnd(a[0], a[1]); });
    return c.where(c.unsqueeze(valid, 1), c.cast(value, type), Number(0.0),
                   type);
  };
  auto rounded = [&](const Tensor &at, bool nearest, double plus) {
    return c.map({at}, type, type, [&](Body &b, Args a) {
      Scalar whole = nearest ? b.math<math::RoundEvenOp>(a[0])
                             : b.math<math::FloorOp>(a[0]);
      return plus == 0.0 ? whole : b.add(whole, b.constant(plus, type));
    });
  };
  if (mode == 1)
    return c.yieldCast(read(rounded(px, true, 0.0), rounded(py, true, 0.0)));
  Tensor left = rounded(px, false, 0.0), right = rounded(px, false, 1.0);
  Tensor top = rounded(py, false, 0.0), bottom = rounded(py, false, 1.0);
  auto corner = [&](const Tensor &column, const Tensor &row,
                    const Tensor &otherColumn, const Tensor &otherRow) {
    Tensor weight = c.map(
        {px, py, otherColumn, otherRow}, type, type, [](Body &b, Args a) {
          return b.mul(b.abs(b.sub(a[0], a[2])), b.abs(b.sub(a[1], a[3])));
        });
    return c.mul(read(column, row), c.unsqueeze(weight, 1));
  };
  Tensor upper = c.add(corner(left, top, right, bottom),
                       corner(right, top, left, bottom));
  Tensor lower = c.add(corner(left, bottom, right, top),
                       corner(right, bottom, left, top));
  c.yieldCast(c.add(upper, lower));
}

void conversion::registerResampling(Registry &r) {
  auto add = [&](StringRef name, unsigned spatial, Interpolation mode) {
    for (StringRef overload : {"vec", "default"})
      r.add(("aten." + name + "." + overload).str(),
            [spatial, mode](Lowering &c) {
              lowerUpsample(c, spatial, mode);
            });
  };
  for (unsigned spatial : {1, 2, 3}) {
    std::string n = std::to_string(spatial) + "d";
    add("upsample_nearest" + n, spatial, Interpolation::Nearest);
    add("_upsample_nearest_exact" + n, spatial, Interpolation::NearestExact);
  }
  add("upsample_linear1d", 1, Interpolation::Linear);
  add("upsample_bilinear2d", 2, Interpolation::Linear);
  add("upsample_trilinear3d", 3, Interpolation::Linear);
  add("upsample_bicubic2d", 2, Interpolation::Cubic);
  r.add("aten.im2col.default", lowerIm2col);
  r.add("aten.col2im.default", lowerCol2im);
  r.add({"aten.grid_sampler.default", "aten.grid_sampler_2d.default"},
        lowerGridSampler);
}
