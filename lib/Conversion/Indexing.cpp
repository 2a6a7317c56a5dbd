//===- Indexing.cpp - Operators whose positions are data ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Lookups and writes through index tensors, as hr.gather and hr.scatter, which
// check every index when they run. Where torch counts negative indices from the
// end (index, index_put), so do they; where it refuses them, they are errors.
//
// Masks select a number of elements that depends on data: that is refused,
// except where the mask can stay a mask.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Args = ArrayRef<Scalar>;
using Compare = Body::Compare;
using Position = Emitter::Position;

/// An index tensor as integers that can be used as such.
static bool checkIndex(Lowering &c, const Tensor &index) {
  if (isInteger(index.dtype) && index.dtype != DType::UInt8)
    return true;
  c.fail(isBool(index.dtype) || index.dtype == DType::UInt8
             ? "a mask as index selects as many elements as it has true ones: "
               "the result's shape depends on data"
             : "an index of type " + getName(index.dtype).str());
  return false;
}

static void lowerEmbedding(Lowering &c) {
  Tensor table = c.tensor("weight"), ids = c.tensor("indices");
  if (!c.checkRank(table, 2, "weight") || !checkIndex(c, ids))
    return;
  int64_t rank = ids.rank();
  Dims loops = ids.dims;
  loops.push_back(table.dims[1]);
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d < rank; ++d)
    exprs.push_back(c.dim(d));
  c.yield(c.gather(table, {Position{c.zero(), 0u}, Position{c.dim(rank), {}}},
                   {{ids, c.getMap(rank + 1, exprs)}}, loops, "embedding",
                   false));
}

//===----------------------------------------------------------------------===//
// index and index_put
//===----------------------------------------------------------------------===//

namespace {
/// How self[indices] walks: a loop per dimension of the result.
struct IndexPlan {
  Dims loops;
  SmallVector<Position> positions;
  SmallVector<Access> indices;
};
} // namespace

/// numpy's rule: the broadcast shape of the indices stands where they are, or
/// first if dimensions without an index lie between them.
static std::optional<IndexPlan>
planIndexing(Lowering &c, const Tensor &self,
             ArrayRef<std::optional<Tensor>> given) {
  if (static_cast<int64_t>(given.size()) > self.rank()) {
    c.fail("has " + Twine(given.size()) + " indices for a tensor of rank " +
           Twine(self.rank()));
    return std::nullopt;
  }
  SmallVector<Operand> indexOperands;
  SmallVector<int64_t> indexed;
  for (auto [d, index] : llvm::enumerate(given)) {
    if (!index)
      continue;
    if (!checkIndex(c, *index))
      return std::nullopt;
    indexOperands.push_back(*index);
    indexed.push_back(d);
  }
  if (indexed.empty()) {
    c.fail("has no index");
    return std::nullopt;
  }
  Dims shape = c.broadcast(indexOperands);
  bool adjacent =
      indexed.back() - indexed.front() + 1 ==
      static_cast<int64_t>(indexed.size());
  int64_t at = adjacent ? indexed.front() : 0;

  IndexPlan plan;
  plan.positions.resize(self.rank());
  int64_t shapeStart = -1;
  auto addShape = [&] {
    shapeStart = plan.loops.size();
    plan.loops.append(shape.begin(), shape.end());
  };
  if (!adjacent || at == 0)
    addShape();
  for (int64_t d = 0; d < self.rank(); ++d) {
    if (llvm::is_contained(indexed, d))
      continue;
    if (shapeStart < 0 && d > at)
      addShape();
    plan.positions[d].expr = c.dim(plan.loops.size());
    plan.loops.push_back(self.dims[d]);
  }
  if (shapeStart < 0)
    addShape();
  for (auto [i, d] : llvm::enumerate(indexed)) {
    plan.positions[d] = {c.zero(), static_cast<unsigned>(i)};
    const Tensor &index = *given[d];
    SmallVector<AffineExpr> exprs;
    int64_t lead = shape.size() - index.rank();
    for (int64_t k = 0; k < index.rank(); ++k) {
      bool stretched = isOne(index.dims[k]) && !isOne(shape[lead + k]);
      exprs.push_back(stretched ? c.zero() : c.dim(shapeStart + lead + k));
    }
    plan.indices.push_back({index, c.getMap(plan.loops.size(), exprs)});
  }
  return plan;
}

static void lowerIndex(Lowering &c) {
  Tensor self = c.tensor("self");
  SmallVector<std::optional<Tensor>> given = c.optionalTensors("indices");
  if (llvm::none_of(given, [](const auto &index) { return index.has_value(); }))
    return c.yield(self);
  std::optional<IndexPlan> plan = planIndexing(c, self, given);
  if (plan)
    c.yield(c.gather(self, plan->positions, plan->indices, plan->loops,
                     "index", /*wrap=*/true));
}

static void lowerIndexPut(Lowering &c) {
  Tensor self = c.tensor("self");
  Tensor values = c.cast(c.tensor("values"), self.dtype);
  SmallVector<std::optional<Tensor>> given = c.optionalTensors("indices");
  bool accumulate = c.flag("accumulate");

  // One mask over leading dimensions, and a value for all: a selection.
  std::optional<Tensor> mask;
  if (!given.empty() && given.front() && isBool(given.front()->dtype) &&
      llvm::count_if(given, [](const auto &i) { return i.has_value(); }) == 1)
    mask = given.front();
  if (mask && mask->rank() <= self.rank()) {
    bool oneRow = true;
    for (auto [d, size] : llvm::enumerate(values.dims))
      oneRow &= static_cast<int64_t>(d) + self.rank() - mask->rank() >=
                        values.rank() ||
                isOne(size);
    // The value may vary along the dimensions that the mask does not cover.
    if (oneRow && !accumulate) {
      Dims dims = mask->dims;
      while (static_cast<int64_t>(dims.size()) < self.rank())
        dims.push_back(SizeExpr(1));
      while (values.rank() > self.rank() - mask->rank() && values.rank() > 0 &&
             isOne(values.dims.front()))
        values = c.squeeze(values, {0});
      return c.yield(
          c.where(c.reshape(*mask, dims), values, self, self.dtype));
    }
  }
  std::optional<IndexPlan> plan = planIndexing(c, self, given);
  if (!plan)
    return;
  c.yield(c.scatter(self, c.expand(values, plan->loops), plan->positions,
                    plan->indices,
                    accumulate ? hr::Combiner::Add : hr::Combiner::Replace,
                    "index_put", /*wrap=*/true));
}

//===----------------------------------------------------------------------===//
// Along one dimension
//===----------------------------------------------------------------------===//

/// The walk of gather and scatter: every loop is a dimension of the index; only
/// dimension `d` of the tensor is looked up.
static SmallVector<Position> alongDimension(Lowering &c, int64_t rank,
                                            int64_t d) {
  SmallVector<Position> positions;
  for (int64_t i = 0; i < rank; ++i)
    positions.push_back(i == d ? Position{c.zero(), 0u}
                               : Position{c.dim(i), {}});
  return positions;
}

/// `part` is no larger than `whole` but for dimension `except`: positions there
/// are not data, and nobody checks them.
static void requireCovered(Lowering &c, const Tensor &whole,
                           const Tensor &part, int64_t except, StringRef what) {
  for (int64_t i = 0; i < whole.rank(); ++i)
    if (i != except)
      c.requireAtLeast(whole.dims[i] - part.dims[i], 0,
                       "the index has " + part.dims[i].str() +
                           " elements along dimension " + Twine(i) + " but " +
                           what + " has " + whole.dims[i].str());
}

/// Sizes that torch takes for equal; a size of one may be stretched.
static void requireEqual(Lowering &c, ArrayRef<SizeExpr> lhs,
                         ArrayRef<SizeExpr> rhs) {
  for (auto [l, r] : llvm::zip(lhs, rhs)) {
    if (isOne(l) || l == r)
      continue;
    std::string otherwise = "the source has " + l.str() +
                            " elements where " + r.str() + " are written";
    c.requireAtLeast(l - r, 0, otherwise);
    c.requireAtLeast(r - l, 0, otherwise);
  }
}

static void lowerGather(Lowering &c) {
  Tensor self = c.tensor("self"), index = c.tensor("index");
  if (!checkIndex(c, index))
    return;
  if (self.rank() == 0) {
    self = c.reshape(self, {SizeExpr(1)});
    index = c.reshape(index, {product(index.dims)});
  }
  if (index.rank() != self.rank())
    return c.fail("self and index differ in rank");
  int64_t d = c.dimension("dim", self.rank());
  requireCovered(c, self, index, d, "self");
  Tensor result = c.gather(
      self, alongDimension(c, self.rank(), d),
      {{index, c.builder.getMultiDimIdentityMap(index.rank())}}, index.dims,
      "gather", false);
  c.yield(c.reshape(result, c.resultDims()));
}

/// take_along_dim: gather with broadcasting.
static void lowerTakeAlongDim(Lowering &c) {
  Tensor self = c.tensor("self"), index = c.tensor("indices");
  if (!checkIndex(c, index))
    return;
  if (c.isNone("dim")) {
    self = c.reshape(self, {product(self.dims)});
    index = c.reshape(index, {product(index.dims)});
    return c.yield(c.gather(
        self, alongDimension(c, 1, 0),
        {{index, c.builder.getMultiDimIdentityMap(1)}}, index.dims,
        "take_along_dim", false));
  }
  int64_t d = c.dimension("dim", self.rank());
  if (index.rank() != self.rank())
    return c.fail("self and indices differ in rank");
  // Along a dimension torch takes indices modulo its size.
  SizeExpr size = SizeExpr::max(self.dims[d], 1);
  index = c.map({index}, DType::Int64, DType::Int64, [&](Body &b, Args a) {
    return b.remainder(b.cast(a[0], DType::Int64),
                       b.constant(Number(size), DType::Int64));
  });
  Dims loops = c.resultDims();
  c.yield(c.gather(c.expand(self, [&] {
                     Dims dims = loops;
                     dims[d] = self.dims[d];
                     return dims;
                   }()),
                   alongDimension(c, self.rank(), d),
                   {{c.expand(index, loops),
                     c.builder.getMultiDimIdentityMap(self.rank())}},
                   loops, "take_along_dim", false));
}

static hr::Combiner getCombiner(Lowering &c, StringRef reduce) {
  if (reduce == "sum" || reduce == "add")
    return hr::Combiner::Add;
  if (reduce == "prod" || reduce == "multiply")
    return hr::Combiner::Mul;
  if (reduce == "amax")
    return hr::Combiner::Max;
  if (reduce == "amin")
    return hr::Combiner::Min;
  c.fail("reduce is '" + reduce + "'");
  return hr::Combiner::Replace;
}

/// What a combination starts from.
static Number getNeutral(hr::Combiner combiner, DType type) {
  switch (combiner) {
  case hr::Combiner::Mul:
    return Emitter::neutral(Combine::Mul, type);
  case hr::Combiner::Min:
    return Emitter::neutral(Combine::Min, type);
  case hr::Combiner::Max:
    return Emitter::neutral(Combine::Max, type);
  case hr::Combiner::Replace:
  case hr::Combiner::Add:
    return Emitter::neutral(Combine::Add, type);
  }
  llvm_unreachable("unknown combiner");
}

/// scatter of a tensor or a value, with or without a combination; with `mean`,
/// what was added up is divided by how many there were.
static void lowerScatter(Lowering &c, hr::Combiner combiner,
                         bool mean = false) {
  Tensor self = c.tensor("self"), index = c.tensor("index");
  if (!checkIndex(c, index))
    return;
  bool includeSelf = !c.has("include_self") || c.flag("include_self");
  Tensor source = c.has("src")
                      ? c.cast(c.tensor("src"), self.dtype)
                      : c.scalarTensor(c.operand("value"), self.dtype);
  Dims shape = self.dims;
  if (self.rank() == 0) {
    self = c.reshape(self, {SizeExpr(1)});
    index = c.reshape(index, {product(index.dims)});
    if (c.has("src"))
      source = c.reshape(source, {product(source.dims)});
  }
  if (index.rank() != self.rank())
    return c.fail("self and index differ in rank");
  int64_t d = c.dimension("dim", self.rank());
  // Of the source only what the index covers is read.
  if (!c.has("src"))
    source = c.expand(source, index.dims);
  if (source.rank() != index.rank())
    return c.fail("src and index differ in rank");
  requireCovered(c, self, index, d, "self");
  requireCovered(c, source, index, -1, "src");
  for (int64_t i = 0; i < source.rank(); ++i)
    if (source.dims[i] != index.dims[i])
      source = c.slice(source, i, SizeExpr(0), index.dims[i]);
  auto scatter = [&](const Tensor &base, const Tensor &updates,
                     hr::Combiner how) {
    return c.scatter(base, updates, alongDimension(c, self.rank(), d),
                     {{index, c.builder.getMultiDimIdentityMap(index.rank())}},
                     how, "scatter", false);
  };
  // Without `self`, the elements that are written start from nothing.
  DType type = self.dtype;
  if (!includeSelf && combiner != hr::Combiner::Replace)
    self = scatter(self, c.fill(index.dims, getNeutral(combiner, type), type),
                   hr::Combiner::Replace);
  Tensor result = scatter(self, source, combiner);
  if (mean) {
    Tensor count = scatter(c.fill(self.dims, Number(int64_t(includeSelf)), type),
                           c.fill(index.dims, Number(int64_t(1)), type),
                           hr::Combiner::Add);
    result = c.map({result, count}, type, type, [](Body &b, Args a) {
      Scalar by = b.max(a[1], b.integer(1, a[1].dtype));
      return isFloat(a[0].dtype) ? b.div(a[0], by) : b.floorDiv(a[0], by);
    });
  }
  c.yield(c.reshape(result, shape));
}

/// The walk of index_select and its kin: dimension `d` runs over a vector.
static Access alongVector(Lowering &c, Tensor index, int64_t rank, int64_t d) {
  if (index.rank() == 0)
    index = c.reshape(index, {SizeExpr(1)});
  return {index, c.getMap(rank, {c.dim(d)})};
}

static void lowerIndexSelect(Lowering &c) {
  Tensor self = c.tensor("self"), index = c.tensor("index");
  if (!checkIndex(c, index) || index.rank() > 1)
    return c.fail("the index is not a vector");
  if (self.rank() == 0)
    return c.yield(self);
  int64_t d = c.dimension("dim", self.rank());
  Dims loops = self.dims;
  loops[d] = product(index.dims);
  c.yield(c.gather(self, alongDimension(c, self.rank(), d),
                   {alongVector(c, index, self.rank(), d)}, loops,
                   "index_select", false));
}

/// index_copy, index_add, index_reduce.
static void lowerIndexWrite(Lowering &c, hr::Combiner combiner) {
  Tensor self = c.tensor("self"), index = c.tensor("index");
  Tensor source = c.cast(c.tensor("source"), self.dtype);
  if (!checkIndex(c, index) || index.rank() > 1)
    return c.fail("the index is not a vector");
  if (c.has("include_self") && !c.flag("include_self"))
    return c.fail("include_self is false");
  // Rank 0 has dimension 0 in name only: one element.
  Dims shape = self.dims;
  if (self.rank() == 0)
    self = c.reshape(self, {SizeExpr(1)});
  int64_t d = c.dimension("dim", self.rank());
  Dims loops = self.dims;
  loops[d] = product(index.dims);
  if (source.rank() != self.rank())
    source = c.reshape(source, loops);
  if (c.has("alpha") && c.number("alpha").constant() != 1.0) {
    Number alpha = c.number("alpha");
    source = c.map({source, alpha}, source.dtype, source.dtype,
                   [](Body &b, Args a) { return b.mul(a[0], a[1]); });
  }
  requireEqual(c, source.dims, loops);
  source = c.expand(source, loops);
  Tensor result = c.scatter(
      self, source, alongDimension(c, self.rank(), d),
      {alongVector(c, index, self.rank(), d)}, combiner,
      combiner == hr::Combiner::Replace ? "index_copy" : "index_add", false);
  c.yield(c.reshape(result, shape));
}

static void lowerIndexFill(Lowering &c) {
  Tensor self = c.tensor("self"), index = c.tensor("index");
  if (!checkIndex(c, index) || index.rank() > 1)
    return c.fail("the index is not a vector");
  Dims shape = self.dims;
  if (self.rank() == 0)
    self = c.reshape(self, {SizeExpr(1)});
  int64_t d = c.dimension("dim", self.rank());
  Dims loops = self.dims;
  loops[d] = product(index.dims);
  Tensor value =
      c.expand(c.scalarTensor(c.operand("value"), self.dtype), loops);
  // Counts from the end, unlike index_copy.
  Tensor result = c.scatter(self, value, alongDimension(c, self.rank(), d),
                            {alongVector(c, index, self.rank(), d)},
                            hr::Combiner::Replace, "index_fill", true);
  c.yield(c.reshape(result, shape));
}

static void lowerTake(Lowering &c) {
  Tensor self = c.tensor("self"), index = c.tensor("index");
  if (!checkIndex(c, index))
    return;
  Tensor flat = c.reshape(self, {product(self.dims)});
  c.yield(c.gather(flat, {Position{c.zero(), 0u}},
                   {{index, c.builder.getMultiDimIdentityMap(index.rank())}},
                   index.dims, "take", true));
}

/// put: into the flattened tensor.
static void lowerPut(Lowering &c) {
  Tensor self = c.tensor("self"), index = c.tensor("index");
  Tensor source = c.cast(c.tensor("source"), self.dtype);
  if (!checkIndex(c, index))
    return;
  Tensor flat = c.reshape(self, {product(self.dims)});
  requireEqual(c, {product(source.dims)}, {product(index.dims)});
  Tensor result = c.scatter(
      flat, c.reshape(source, index.dims), {Position{c.zero(), 0u}},
      {{index, c.builder.getMultiDimIdentityMap(index.rank())}},
      c.flag("accumulate") ? hr::Combiner::Add : hr::Combiner::Replace, "put",
      true);
  c.yield(c.reshape(result, self.dims));
}

/// masked_scatter: where the mask is true, the source's elements in order.
static void lowerMaskedScatter(Lowering &c) {
  Tensor self = c.tensor("self"), source = c.tensor("source");
  Dims dims = c.resultDims();
  DType t = DType::Int64;
  Tensor mask = c.expand(c.cast(c.tensor("mask"), DType::Bool), dims);
  Tensor flags = c.reshape(mask, {product(dims)});
  Tensor before = c.scan(c.cast(flags, t), 0, hr::Combiner::Add);
  // The position counts only where the mask is true. Elsewhere it is that of any
  // element; one is added where there may be none.
  SizeExpr count = product(source.dims);
  Tensor at = c.map({flags, before}, t, t, [&](Body &b, Args a) {
    Scalar zero = b.integer(0, t);
    Scalar place = b.select(b.cast(a[0], DType::Bool),
                            b.sub(a[1], b.integer(1, t)), b.integer(-1, t));
    Scalar enough = b.compare(Compare::LT, place, b.constant(Number(count), t));
    return b.max(b.check(enough, place, zero, "masked_scatter",
                         "the mask has more true elements than the source has "
                         "elements"),
                 zero);
  });
  Tensor elements = c.reshape(source, {count});
  if (count.bounds(c.ranges).min < 1)
    elements = c.pad(elements, {SizeExpr(0)}, {SizeExpr(1)},
                     Number(int64_t(0)));
  Tensor values = c.gather(elements, {Position{c.zero(), 0u}},
                           {{at, c.builder.getMultiDimIdentityMap(1)}},
                           {product(dims)}, "masked_scatter", false);
  c.yield(c.where(mask, c.reshape(values, dims), c.expand(self, dims),
                  self.dtype));
}

void conversion::registerIndexing(Registry &r) {
  r.add("aten.embedding.default", lowerEmbedding);
  r.add({"aten.index.Tensor", "aten._unsafe_index.Tensor"}, lowerIndex);
  r.add({"aten.index_put.default", "aten._unsafe_index_put.default"},
        lowerIndexPut);
  r.add("aten.gather.default", lowerGather);
  r.add("aten.take_along_dim.default", lowerTakeAlongDim);
  r.add({"aten.scatter.src", "aten.scatter.value"},
        [](Lowering &c) { lowerScatter(c, hr::Combiner::Replace); });
  r.add("aten.scatter_add.default",
        [](Lowering &c) { lowerScatter(c, hr::Combiner::Add); });
  r.add({"aten.scatter_reduce.two", "aten.scatter.reduce",
         "aten.scatter.value_reduce"},
        [](Lowering &c) {
          bool mean = c.text("reduce") == "mean";
          lowerScatter(c, mean ? hr::Combiner::Add
                               : getCombiner(c, c.text("reduce")),
                       mean);
        });
  r.add("aten.index_select.default", lowerIndexSelect);
  r.add("aten.index_copy.default",
        [](Lowering &c) { lowerIndexWrite(c, hr::Combiner::Replace); });
  r.add("aten.index_add.default",
        [](Lowering &c) { lowerIndexWrite(c, hr::Combiner::Add); });
  r.add("aten.index_reduce.default", [](Lowering &c) {
    lowerIndexWrite(c, getCombiner(c, c.text("reduce")));
  });
  r.add({"aten.index_fill.int_Scalar", "aten.index_fill.int_Tensor"},
        lowerIndexFill);
  r.add("aten.take.default", lowerTake);
  r.add("aten.put.default", lowerPut);
  r.add("aten.masked_scatter.default", lowerMaskedScatter);
}
