//===- Creation.cpp - Operators that make tensors from nothing ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Constants, ranges, triangles, and the assertions that hold by construction.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Args = ArrayRef<Scalar>;
using Compare = Body::Compare;

static void lowerFill(Lowering &c, const Number &value) {
  c.yield(c.fill(c.resultDims(), value, c.resultDType()));
}

/// fill, full, full_like, new_full: the value is an argument.
static void lowerFillWith(Lowering &c, StringRef name) {
  Operand value = c.operand(name);
  if (value.number())
    return lowerFill(c, *value.number());
  Tensor scalar = c.scalarTensor(value, c.resultDType());
  c.yield(c.expand(scalar, c.resultDims()));
}

/// start + i * step, computed in int64 or f64 as torch does.
static void lowerArange(Lowering &c) {
  Number start = c.has("start") ? c.number("start") : Number(int64_t(0));
  Number step = c.has("step") ? c.number("step") : Number(int64_t(1));
  Dims dims = c.resultDims();
  DType type = c.resultDType();
  if (dims.size() != 1)
    return c.fail("does not give a vector");
  bool isReal = start.dtype() == DType::Float32 ||
                step.dtype() == DType::Float32 || isFloat(type);
  // Integer ranges of a float type are exact in int64 first.
  if (isReal && start.integer() && step.integer())
    isReal = false;
  DType compute = isReal ? DType::Float64 : DType::Int64;
  AffineMap identity = c.builder.getMultiDimIdentityMap(1);
  c.yield(c.structured(dims, {}, identity, type, std::nullopt,
                       [&](Body &b, Args) {
                         Scalar i = b.cast(b.index(0), compute);
                         Scalar scaled =
                             b.mul(i, b.constant(step, compute));
                         return b.add(b.constant(start, compute), scaled);
                       }));
}

/// From both ends toward the middle, as torch does.
static void lowerLinspace(Lowering &c) {
  Dims dims = c.resultDims();
  if (dims.size() != 1)
    return c.fail("does not give a vector");
  double start = c.real("start"), end = c.real("end");
  AffineMap identity = c.builder.getMultiDimIdentityMap(1);
  SizeExpr steps = dims[0];
  c.yield(c.structured(
      dims, {}, identity, c.resultDType(), std::nullopt, [&](Body &b, Args) {
        DType t = DType::Float64;
        Scalar i = b.cast(b.index(0), t);
        Scalar last = b.cast(b.size(steps - SizeExpr(1)), t);
        Scalar gaps = b.max(last, b.constant(1.0, t));
        Scalar step = b.div(b.constant(end - start, t), gaps);
        Scalar near = b.add(b.constant(start, t), b.mul(step, i));
        Scalar far =
            b.sub(b.constant(end, t), b.mul(step, b.sub(last, i)));
        // Integer division, as torch's: the middle belongs to the far end.
        Scalar middle = b.div(b.size(steps), b.integer(2, DType::Int64));
        Scalar isNear = b.compare(Compare::LT, b.index(0), middle);
        Scalar only = b.compare(Compare::EQ, last, b.constant(0.0, t));
        return b.select(only, b.constant(start, t),
                        b.select(isNear, near, far));
      }));
}

static void lowerEye(Lowering &c) {
  Dims dims = c.resultDims();
  if (dims.size() != 2)
    return c.fail("does not give a matrix");
  DType type = c.resultDType();
  c.yield(c.structured(dims, {}, c.builder.getMultiDimIdentityMap(2), type,
                       std::nullopt, [&](Body &b, Args) {
                         return b.compare(Compare::EQ, b.index(0),
                                          b.index(1));
                       }));
}

/// Zero above (tril) or below (triu) a diagonal.
static void lowerTriangle(Lowering &c, bool lower) {
  Tensor self = c.tensor("self");
  SizeExpr diagonal = c.size("diagonal");
  int64_t rank = self.rank();
  if (rank < 2)
    return c.fail("expected a matrix but got rank " + Twine(rank));
  AffineMap identity = c.builder.getMultiDimIdentityMap(rank);
  c.yield(c.structured(
      self.dims, {{self, identity}}, identity, self.dtype, std::nullopt,
      [&](Body &b, Args a) {
        Scalar gap = b.sub(b.index(rank - 1), b.index(rank - 2));
        Scalar limit = b.constant(Number(diagonal), DType::Int64);
        Scalar keep = b.compare(lower ? Compare::LE : Compare::GE, gap, limit);
        return b.select(keep, a[0], b.integer(0, a[0].dtype));
      }));
}

/// The row and column numbers of a triangle of a constant matrix.
static void lowerTriangleIndices(Lowering &c, bool lower) {
  int64_t rows = c.integer("row"), columns = c.integer("col");
  int64_t offset = c.integer("offset");
  if (c.failed() || rows < 0 || columns < 0 || rows > (1 << 12) ||
      columns > (1 << 12))
    return c.fail("expected a matrix of at most 4096 rows and columns");
  SmallVector<int64_t> first, second;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      if (lower ? j - i <= offset : j - i >= offset) {
        first.push_back(i);
        second.push_back(j);
      }
  int64_t count = first.size();
  llvm::append_range(first, second);
  auto type = RankedTensorType::get({2, count}, c.builder.getI64Type());
  Value value = arith::ConstantOp::create(
      c.builder, c.loc, DenseElementsAttr::get(type, ArrayRef<int64_t>(first)));
  c.yieldCast({value, {SizeExpr(2), SizeExpr(count)}, DType::Int64});
}

static void lowerScalarTensor(Lowering &c) { lowerFill(c, c.number("s")); }

static void lowerOneHot(Lowering &c) {
  Tensor self = c.tensor("self");
  Dims dims = c.resultDims();
  if (static_cast<int64_t>(dims.size()) != self.rank() + 1)
    return c.fail("does not add one dimension");
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d < self.rank(); ++d)
    exprs.push_back(c.dim(d));
  c.yield(c.structured(dims, {{self, c.getMap(dims.size(), exprs)}},
                       c.builder.getMultiDimIdentityMap(dims.size()),
                       c.resultDType(), std::nullopt, [&](Body &b, Args a) {
                         Scalar number =
                             b.checkBelow(b.cast(a[0], DType::Int64),
                                          dims.back(), "one_hot", "class");
                         return b.compare(Compare::EQ, number,
                                          b.index(dims.size() - 1));
                       }));
}

/// Assertions on what the types already say.
static void lowerNothing(Lowering &) {}

/// An assertion on data.
static void lowerAssertAsync(Lowering &c) {
  Tensor self = c.tensor("self");
  StringRef message = c.has("assert_msg") ? c.text("assert_msg") : "";
  c.assertions.push_back(
      {c.cast(c.reshape(self, {}), DType::Bool), c.loc,
       message.empty() ? "the assertion does not hold" : message.str()});
  if (c.numResults())
    c.yield(c.tensor("dep_token"));
}

/// An assertion on a condition known when compiling.
static void lowerAssertScalar(Lowering &c) {
  std::optional<Number> condition = c.optionalNumber("self");
  if (condition && condition->constant() == 0.0)
    return c.fail("the assertion never holds: " + c.text("assert_msg"));
}

void conversion::registerCreation(Registry &r) {
  auto zeros = [](Lowering &c) { lowerFill(c, Number(int64_t(0))); };
  auto ones = [](Lowering &c) { lowerFill(c, Number(int64_t(1))); };
  // What an empty tensor holds is any value: zero.
  r.add({"aten.zeros.default", "aten.zeros_like.default",
         "aten.new_zeros.default", "aten.empty.memory_format",
         "aten.empty_like.default", "aten.new_empty.default",
         "aten.empty_strided.default", "aten.new_empty_strided.default",
         "aten.empty_permuted.default", "aten._efficientzerotensor.default",
         "aten.zero.default"},
        zeros);
  r.add({"aten.ones.default", "aten.ones_like.default",
         "aten.new_ones.default"},
        ones);
  auto fillValue = [](Lowering &c) { lowerFillWith(c, "fill_value"); };
  r.add({"aten.full.default", "aten.full_like.default",
         "aten.new_full.default"},
        fillValue);
  r.add({"aten.fill.Scalar", "aten.fill.Tensor"},
        [](Lowering &c) { lowerFillWith(c, "value"); });
  r.add("aten.scalar_tensor.default", lowerScalarTensor);
  r.add({"aten.arange.default", "aten.arange.start", "aten.arange.start_step"},
        lowerArange);
  r.add("aten.linspace.default", lowerLinspace);
  r.add({"aten.eye.default", "aten.eye.m"}, lowerEye);
  r.add("aten.tril.default", [](Lowering &c) { lowerTriangle(c, true); });
  r.add("aten.triu.default", [](Lowering &c) { lowerTriangle(c, false); });
  r.add("aten.tril_indices.default",
        [](Lowering &c) { lowerTriangleIndices(c, true); });
  r.add("aten.triu_indices.default",
        [](Lowering &c) { lowerTriangleIndices(c, false); });
  r.add("aten.one_hot.default", lowerOneHot);
  r.add({"aten._assert_tensor_metadata.default",
         "aten.sym_constrain_range.default",
         "aten.sym_constrain_range_for_size.default",
         "aten._functional_assert_scalar.default"},
        lowerNothing);
  r.add({"aten._functional_assert_async.msg", "aten._assert_async.msg",
         "aten._assert_async.default"},
        lowerAssertAsync);
  r.add("aten._assert_scalar.default", lowerAssertScalar);
}
