//===- Sorting.cpp - Operators that order elements ------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One order, total and stable, serves all: NaN is greater than every number,
// and of equal elements the earlier one comes first. Three ways to find the
// elements at given places of it:
//
//   rank    of every element, how many come before it; then, of every place,
//           the element whose rank it is. n * n comparisons, all parallel:
//           right for experts, beams, and anything that is short.
//   sort    hr.sort: n log n comparisons, one row after the other.
//   select  the first, then the first after that one, and so on: k * n
//           comparisons, for a few of many (the next token).
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Args = ArrayRef<Scalar>;
using Compare = Body::Compare;

namespace {
struct Sorted {
  Tensor values;
  Tensor indices;
};
} // namespace

/// Whether element (x, i) comes before (y, j).
static Scalar comesBefore(Body &b, Scalar x, Scalar i, Scalar y, Scalar j,
                          bool descending) {
  Scalar before =
      b.compare(descending ? Compare::GT : Compare::LT, x, y);
  Scalar equal = b.compare(Compare::EQ, x, y);
  if (isFloat(x.dtype)) {
    Scalar xNaN = b.isNaN(x), yNaN = b.isNaN(y);
    Scalar only = descending ? b.bitAnd(xNaN, b.bitNot(yNaN))
                             : b.bitAnd(yNaN, b.bitNot(xNaN));
    before = b.bitOr(before, only);
    equal = b.bitOr(equal, b.bitAnd(xNaN, yNaN));
  }
  return b.bitOr(before, b.bitAnd(equal, b.compare(Compare::LT, i, j)));
}

/// The elements of `x` along `d` at the positions `indices`, of the same shape
/// but for that dimension.
static Tensor takeAlong(Lowering &c, const Tensor &x, const Tensor &indices,
                        int64_t d) {
  SmallVector<Emitter::Position> at;
  for (int64_t i = 0; i < x.rank(); ++i)
    at.push_back(i == d ? Emitter::Position{c.zero(), 0u}
                        : Emitter::Position{c.dim(i), {}});
  return c.gather(
      x, at, {{indices, c.builder.getMultiDimIdentityMap(x.rank())}},
      indices.dims, "sort", false);
}

/// The first `count` places of the order along `d`, by ranks.
static Sorted sortByRank(Lowering &c, const Tensor &x, int64_t d,
                         const SizeExpr &count, bool descending) {
  int64_t rank = x.rank();
  // Loops: the element's coordinates, then the other's place along d.
  Dims loops = x.dims;
  loops.push_back(x.dims[d]);
  SmallVector<AffineExpr> self, other;
  for (int64_t i = 0; i < rank; ++i) {
    self.push_back(c.dim(i));
    other.push_back(i == d ? c.dim(rank) : c.dim(i));
  }
  DType t = DType::Int64;
  AffineMap selfMap = c.getMap(rank + 1, self);
  Tensor ranks = c.structured(
      loops, {{x, selfMap}, {x, c.getMap(rank + 1, other)}}, selfMap, t,
      Number(int64_t(0)), [&](Body &b, Args a) {
        Scalar earlier = comesBefore(b, a[1], b.index(rank), a[0], b.index(d),
                                     descending);
        return b.add(a[2], b.cast(earlier, t));
      });

  // Of every place, the element of that rank.
  Dims placeLoops = x.dims;
  placeLoops[d] = count;
  placeLoops.push_back(x.dims[d]);
  Tensor indices = c.structured(
      placeLoops, {{ranks, c.getMap(rank + 1, other)}}, selfMap, t,
      Number(int64_t(0)), [&](Body &b, Args a) {
        Scalar isIt = b.compare(Compare::EQ, a[0], b.index(d));
        return b.add(a[1], b.select(isIt, b.index(rank), b.integer(0, t)));
      });
  return {takeAlong(c, x, indices, d), indices};
}

/// The first `count` places of the order along `d`, by sorting the row.
static Sorted sortRow(Lowering &c, const Tensor &x, int64_t d,
                      const SizeExpr &count, bool descending) {
  DType type = x.dtype;
  Tensor keys = c.cast(x, isUnsigned(type) ? DType::Int16
                                           : getComputeType(type));
  Tensor indices = c.sort(keys, d, descending);
  if (count != x.dims[d])
    indices = c.slice(indices, d, SizeExpr(0), count);
  return {takeAlong(c, x, indices, d), indices};
}

/// The first `count` places, one after the other.
static Sorted sortBySelection(Lowering &c, const Tensor &x, int64_t d,
                              int64_t count, bool descending) {
  int64_t rank = x.rank();
  SmallVector<AffineExpr> outer;
  for (int64_t i = 0; i < rank; ++i)
    if (i != d)
      outer.push_back(c.dim(i));
  AffineMap identity = c.builder.getMultiDimIdentityMap(rank);
  AffineMap row = c.getMap(rank, outer);
  DType t = DType::Int64;
  SmallVector<Tensor> indices, values;
  for (int64_t k = 0; k < count; ++k) {
    // The place of the best element that comes after the last one chosen: the
    // extreme value among those first, then its least index.
    SmallVector<Access> inputs{{x, identity}};
    if (k > 0) {
      inputs.push_back({values.back(), row});
      inputs.push_back({indices.back(), row});
    }
    auto isLeft = [&](Body &b, Args a, Scalar i) {
      if (k == 0)
        return b.constant(Number(true), DType::Bool);
      return comesBefore(b, a[1], a[2], a[0], i, descending);
    };
    Combine kind = descending ? Combine::Max : Combine::Min;
    DType wide = getComputeType(x.dtype);
    bool floats = isFloat(wide);
    Number neutral = Emitter::neutral(kind, wide);
    Tensor best = c.structured(
        x.dims, inputs, row, wide, neutral, [&](Body &b, Args a) {
          Scalar left = isLeft(b, a, b.index(d));
          Scalar value = a[0];
          // Ascending, NaN is the last choice and must not win the minimum.
          if (floats && !descending)
            left = b.bitAnd(left, b.bitNot(b.isNaN(value)));
          value = b.select(left, value, b.constant(neutral, wide));
          return Emitter::combine(b, kind, a.back(), value);
        });
    SmallVector<Access> search = inputs;
    search.push_back({best, row});
    unsigned bestAt = search.size() - 1;
    Tensor index = c.structured(
        x.dims, search, row, t, Emitter::neutral(Combine::Min, t),
        [&](Body &b, Args a) {
          Scalar found = b.compare(Compare::EQ, a[0], a[bestAt]);
          if (floats)
            found = b.bitOr(found,
                            b.bitAnd(b.isNaN(a[0]), b.isNaN(a[bestAt])));
          found = b.bitAnd(found, isLeft(b, a, b.index(d)));
          return b.min(a.back(),
                       b.select(found, b.index(d), b.largest(t)));
        });
    // Only NaN left: the first of them.
    if (floats && !descending) {
      Tensor missing = c.structured(
          x.dims, inputs, row, t, Emitter::neutral(Combine::Min, t),
          [&](Body &b, Args a) {
            Scalar found = b.bitAnd(b.isNaN(a[0]), isLeft(b, a, b.index(d)));
            return b.min(a.back(),
                         b.select(found, b.index(d), b.largest(t)));
          });
      index = c.map({index, missing}, t, t, [&](Body &b, Args a) {
        Scalar none = b.compare(Compare::EQ, a[0], b.largest(t));
        return b.select(none, a[1], a[0]);
      });
    }
    indices.push_back(index);
    values.push_back(
        c.squeeze(takeAlong(c, x, c.unsqueeze(index, d), d), {d}));
  }
  for (auto [index, value] : llvm::zip_equal(indices, values)) {
    index = c.unsqueeze(index, d);
    value = c.unsqueeze(value, d);
  }
  return {c.concat(values, d), c.concat(indices, d)};
}

static Sorted sortAlong(Lowering &c, const Tensor &x, int64_t d,
                        const SizeExpr &count, bool descending) {
  // Beyond this many elements n * n is felt.
  constexpr int64_t shortRow = 64, fewPlaces = 16;
  std::optional<int64_t> places = count.getConstant();
  std::optional<int64_t> length = x.dims[d].getConstant();
  if (length && *length <= shortRow)
    return sortByRank(c, x, d, count, descending);
  if (places && *places > 0 && *places <= fewPlaces)
    return sortBySelection(c, x, d, *places, descending);
  return sortRow(c, x, d, count, descending);
}

static void lowerTopK(Lowering &c) {
  Tensor self = c.tensor("self");
  if (self.rank() == 0) {
    c.yield(self);
    c.yield(c.fill({}, Number(int64_t(0)), DType::Int64));
    return;
  }
  int64_t d = c.dimension("dim", self.rank());
  SizeExpr k = c.size("k");
  c.requireAtLeast(k, 0, "k is negative");
  c.requireAtLeast(self.dims[d] - k, 0,
                   "k is " + k.str() + " but there are " +
                       self.dims[d].str() + " elements");
  Sorted sorted = sortAlong(c, self, d, k, c.flag("largest"));
  c.yield(sorted.values);
  c.yield(sorted.indices);
}

static void lowerSort(Lowering &c, bool withValues) {
  Tensor self = c.tensor("self");
  if (self.rank() == 0) {
    if (withValues)
      c.yield(self);
    return c.yield(c.fill({}, Number(int64_t(0)), DType::Int64));
  }
  int64_t d = c.dimension("dim", self.rank());
  Sorted sorted =
      sortAlong(c, self, d, self.dims[d], c.flag("descending"));
  if (withValues)
    c.yield(sorted.values);
  c.yield(sorted.indices);
}

static void lowerMsort(Lowering &c) {
  Tensor self = c.tensor("self");
  if (self.rank() == 0)
    return c.yield(self);
  c.yield(sortAlong(c, self, 0, self.dims[0], false).values);
}

/// kthvalue and median: one place of the ascending order, along a dimension or
/// of all elements.
static void lowerPlace(Lowering &c, bool median) {
  Tensor self = c.tensor("self");
  bool all = !c.has("dim");
  if (self.rank() == 0) {
    c.yield(self);
    if (!all)
      c.yield(c.fill({}, Number(int64_t(0)), DType::Int64));
    return;
  }
  if (all)
    self = c.reshape(self, {product(self.dims)});
  int64_t d = all ? 0 : c.dimension("dim", self.rank());
  SizeExpr n = self.dims[d];
  SizeExpr place;
  if (median) {
    if (!all)
      c.requireAtLeast(n, 1, "there are no elements to take the median of");
    place = (n - SizeExpr(1)).floorDiv(SizeExpr(2));
  } else {
    SizeExpr k = c.size("k");
    std::string otherwise = "k is " + k.str() + " but there are " + n.str() +
                            " elements";
    c.requireAtLeast(k, 1, otherwise);
    c.requireAtLeast(n - k, 0, otherwise);
    place = k - SizeExpr(1);
  }
  Sorted sorted = sortAlong(c, self, d, n, false);
  if (all && n.bounds(c.ranges).min < 1) {
    // The median of nothing at all is NaN, or the least integer.
    Number none = isFloat(self.dtype)
                      ? Number(std::numeric_limits<double>::quiet_NaN())
                      : Emitter::neutral(Combine::Max, self.dtype);
    SizeExpr zero(0), one(1);
    sorted.values = c.pad(sorted.values, {zero}, {one}, none);
    sorted.indices = c.pad(sorted.indices, {zero}, {one}, Number(int64_t(0)));
    place = c.max(place, zero);
  }
  Tensor values = c.slice(sorted.values, d, place, SizeExpr(1));
  Tensor indices = c.slice(sorted.indices, d, place, SizeExpr(1));
  // The median of a row with NaN is NaN; the last place holds one.
  if (median && isFloat(self.dtype)) {
    Tensor last = c.slice(sorted.values, d, c.max(n - SizeExpr(1), SizeExpr(0)),
                          SizeExpr(1));
    Tensor firstNaN = c.structured(
        self.dims, {{self, c.builder.getMultiDimIdentityMap(self.rank())}},
        [&] {
          SmallVector<AffineExpr> outer;
          for (int64_t i = 0; i < self.rank(); ++i)
            if (i != d)
              outer.push_back(c.dim(i));
          return c.getMap(self.rank(), outer);
        }(),
        DType::Int64, Emitter::neutral(Combine::Min, DType::Int64),
        [&](Body &b, Args a) {
          return b.min(a[1], b.select(b.isNaN(a[0]), b.index(d),
                                      b.largest(DType::Int64)));
        });
    firstNaN = c.unsqueeze(firstNaN, d);
    indices = c.map({firstNaN, indices}, DType::Int64, DType::Int64,
                    [](Body &b, Args a) {
                      Scalar none = b.compare(Compare::EQ, a[0],
                                              b.largest(DType::Int64));
                      return b.select(none, a[1], a[0]);
                    });
    values = c.map({values, last}, self.dtype, self.dtype,
                   [](Body &b, Args a) {
                     return b.select(b.isNaN(a[1]), a[1], a[0]);
                   });
  }
  if (all)
    return c.yield(c.squeeze(values, {0}));
  bool keep = c.flag("keepdim");
  c.yield(keep ? values : c.squeeze(values, {d}));
  c.yield(keep ? indices : c.squeeze(indices, {d}));
}

void conversion::registerSorting(Registry &r) {
  r.add("aten.topk.default", lowerTopK);
  r.add({"aten.sort.default", "aten.sort.stable"},
        [](Lowering &c) { lowerSort(c, true); });
  r.add({"aten.argsort.default", "aten.argsort.stable"},
        [](Lowering &c) { lowerSort(c, false); });
  r.add("aten.kthvalue.default", [](Lowering &c) { lowerPlace(c, false); });
  r.add({"aten.median.dim", "aten.median.default"},
        [](Lowering &c) { lowerPlace(c, true); });
  r.add("aten.msort.default", lowerMsort);
}
