//===- Counting.cpp - Operators that count and search by value ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Histograms, places in sorted sequences, membership. Each counts, for every
// result, the elements that meet a condition: all pairs, but parallel and
// without data-dependent control.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Args = ArrayRef<Scalar>;
using Compare = Body::Compare;

/// The elements that fall in each of `bins` equal parts of [min, max]; of the
/// data's own range where the two are equal.
static void lowerHistc(Lowering &c) {
  Tensor self = c.tensor("self");
  Number low = c.number("min"), high = c.number("max");
  SizeExpr count = product(self.dims), bins(c.integer("bins"));
  DType type = self.dtype;
  if (!isFloat(type))
    return c.fail("the histogram of " + getName(type).str() +
                  " is not defined");
  if (!low.constant() || !high.constant())
    return c.fail("the range depends on the input's shape");
  DType wide = getComputeType(type);
  Tensor flat = c.cast(c.reshape(self, {count}), wide);
  Tensor least = c.fill({}, low, wide), largest = c.fill({}, high, wide);
  if (*low.constant() == *high.constant()) {
    if (count.getConstant() != 0) {
      least = c.reduce(flat, {0}, false, Combine::Min, wide);
      largest = c.reduce(flat, {0}, false, Combine::Max, wide);
      // Over no elements they are the neutral ones, and there is no range.
      for (Tensor *end : {&least, &largest})
        *end = c.map({*end}, wide, wide, [&](Body &b, Args a) {
          Scalar zero = b.constant(0.0, wide);
          Scalar any = b.compare(Compare::GT, b.size(count),
                                 b.integer(0, DType::Int64));
          Scalar value = b.select(any, a[0], zero);
          return b.check(
              b.compare(Compare::LT, b.abs(value), b.infinity(wide)), value,
              zero, "histc", "the range of the data is not finite");
        });
    }
    Tensor same = c.map({least, largest}, wide, DType::Bool,
                        [](Body &b, Args a) {
                          return b.compare(Compare::EQ, a[0], a[1]);
                        });
    Tensor one = c.fill({}, Number(1.0), wide);
    least = c.where(same, c.sub(least, one), least, wide);
    largest = c.where(same, c.add(largest, one), largest, wide);
  }
  AffineMap none = c.getMap(2, {});
  c.yieldCast(c.structured(
      {bins, count},
      {{flat, c.getMap(2, {c.dim(1)})}, {least, none}, {largest, none}},
      c.getMap(2, {c.dim(0)}), wide, Number(0.0), [&](Body &b, Args a) {
        Scalar parts = b.constant(Number(bins), wide);
        Scalar place = b.div(b.mul(b.sub(a[0], a[1]), parts),
                             b.sub(a[2], a[1]));
        Scalar bin = b.cast(b.math<math::FloorOp>(place), DType::Int64);
        // The upper end belongs to the last part.
        bin = b.min(bin, b.constant(Number(bins - SizeExpr(1)), DType::Int64));
        Scalar inside = b.bitAnd(b.compare(Compare::GE, a[0], a[1]),
                                 b.compare(Compare::LE, a[0], a[2]));
        Scalar here = b.bitAnd(inside, b.compare(Compare::EQ, bin, b.index(0)));
        return b.add(a[3], b.cast(here, wide));
      }));
}

/// For each value, how many of the sorted row's elements come before it: those
/// that are less, or with `right` no greater. NaN comes after all.
static void lowerSearch(Lowering &c, const Tensor &row, const Tensor &values,
                        bool right) {
  DType type = promote(row.dtype, values.dtype), t = DType::Int64;
  Tensor rows = c.cast(row, type), wanted = c.cast(values, type);
  int64_t rank = wanted.rank(), batch = rows.rank() - 1;
  if (batch != 0 && batch != rank - 1)
    return c.fail("the sequences and the values differ in rank");
  Dims loops = wanted.dims;
  loops.push_back(rows.dims.back());
  SmallVector<AffineExpr> at, from;
  for (int64_t d = 0; d < rank; ++d)
    at.push_back(c.dim(d));
  for (int64_t d = 0; d < batch; ++d)
    from.push_back(c.dim(d));
  from.push_back(c.dim(rank));
  AffineMap out = c.getMap(rank + 1, at);
  c.yieldCast(c.structured(
      loops, {{rows, c.getMap(rank + 1, from)}, {wanted, out}}, out, t,
      Number(int64_t(0)), [&](Body &b, Args a) {
        Scalar after =
            b.compare(right ? Compare::GT : Compare::GE, a[0], a[1]);
        return b.add(a[2], b.cast(b.bitNot(after), t));
      }));
}

static void lowerBucketize(Lowering &c) {
  Tensor boundaries = c.tensor("boundaries");
  if (c.checkRank(boundaries, 1, "boundaries"))
    lowerSearch(c, boundaries, c.tensor("self"), c.flag("right"));
}

static void lowerSearchsorted(Lowering &c) {
  Tensor row = c.tensor("sorted_sequence"), values = c.tensor("self");
  if (row.rank() == 0)
    return c.fail("expected a sequence of rank 1 or more");
  if (!c.isNone("sorter")) {
    Tensor order = c.tensor("sorter");
    SmallVector<Emitter::Position> at;
    for (int64_t d = 0; d + 1 < row.rank(); ++d)
      at.push_back({c.dim(d), {}});
    at.push_back({c.zero(), 0u});
    row = c.gather(row, at,
                   {{order, c.builder.getMultiDimIdentityMap(row.rank())}},
                   order.dims, "searchsorted", false);
  }
  bool right = c.isNone("side") ? c.flag("right") : c.text("side") == "right";
  lowerSearch(c, row, values, right);
}

static void lowerIsIn(Lowering &c, StringRef elementsName,
                      StringRef testName) {
  Operand given = c.operand(elementsName), tests = c.operand(testName);
  DType type = resultType({given, tests});
  Tensor elements = given.tensor() ? c.cast(*given.tensor(), type)
                                   : c.scalarTensor(given, type);
  Tensor set = tests.tensor() ? c.cast(*tests.tensor(), type)
                              : c.scalarTensor(tests, type);
  int64_t rank = elements.rank();
  Dims loops = elements.dims;
  loops.push_back(product(set.dims));
  SmallVector<AffineExpr> at;
  for (int64_t d = 0; d < rank; ++d)
    at.push_back(c.dim(d));
  AffineMap out = c.getMap(rank + 1, at);
  Tensor found = c.structured(
      loops,
      {{elements, out},
       {c.reshape(set, {loops.back()}), c.getMap(rank + 1, {c.dim(rank)})}},
      out, DType::Bool, Number(false), [](Body &b, Args a) {
        return b.bitOr(a[2], b.compare(Compare::EQ, a[0], a[1]));
      });
  if (c.flag("invert"))
    found = c.map({found}, DType::Bool, DType::Bool,
                  [](Body &b, Args a) { return b.bitNot(a[0]); });
  c.yield(found);
}

void conversion::registerCounting(Registry &r) {
  r.add("aten.histc.default", lowerHistc);
  r.add({"aten.bucketize.Tensor", "aten.bucketize.Scalar"}, lowerBucketize);
  r.add({"aten.searchsorted.Tensor", "aten.searchsorted.Scalar"},
        lowerSearchsorted);
  r.add("aten.isin.Tensor_Tensor",
        [](Lowering &c) { lowerIsIn(c, "elements", "test_elements"); });
  r.add("aten.isin.Tensor_Scalar",
        [](Lowering &c) { lowerIsIn(c, "elements", "test_element"); });
  r.add("aten.isin.Scalar_Tensor",
        [](Lowering &c) { lowerIsIn(c, "element", "test_elements"); });
}
