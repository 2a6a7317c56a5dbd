//===- Views.cpp - Operators that only rearrange --------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is a view in eager and what is a copy there makes no difference here:
// values have no strides. Operators whose result has the same elements in the
// same order are one hr.reshape to the declared shape.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

/// The same elements in order, under the declared shape.
static void lowerReshape(Lowering &c) {
  Tensor self = c.tensor("self");
  Dims dims = c.resultDims();
  if (auto from = product(self.dims).getConstant())
    if (auto to = product(dims).getConstant(); to && *to != *from)
      return c.fail("expected " + Twine(*from) + " elements but got " +
                    Twine(*to));
  c.yield(c.reshape(self, dims));
}

static void lowerViewDType(Lowering &c) {
  Tensor self = c.tensor("self");
  DType to = c.resultDType();
  if (to == self.dtype)
    return c.yield(self);
  if (getBitWidth(to) != getBitWidth(self.dtype) || isBool(to) ||
      isBool(self.dtype))
    return c.fail("reinterprets " + getName(self.dtype) + " as " +
                  getName(to) + ", which is of another size");
  // int8 and uint8 are one element type.
  if (getElementType(c.context(), to) ==
      getElementType(c.context(), self.dtype))
    return c.yield({self.value, self.dims, to});
  AffineMap identity = c.builder.getMultiDimIdentityMap(self.rank());
  Type type = getElementType(c.context(), to);
  // 16-bit floats reach a body as f32, so the bits are taken from the tensor.
  if (isHalf(self.dtype) || isHalf(to))
    return c.fail("reinterprets the bits of a 16-bit float");
  c.yield(c.structured(self.dims, {{self, identity}}, identity, to,
                       std::nullopt, [&](Body &b, ArrayRef<Scalar> a) {
                         return Scalar{arith::BitcastOp::create(
                                           b.builder, b.loc, type, a[0].value),
                                       to};
                       }));
}

static void lowerPermute(Lowering &c) {
  Tensor self = c.tensor("self");
  SmallVector<int64_t> order;
  llvm::SmallBitVector seen(self.rank());
  for (int64_t d : c.integers("dims")) {
    int64_t dim = c.wrapDimension(d, self.rank());
    if (dim >= self.rank() || seen.test(dim))
      return c.fail("dims is not a permutation");
    seen.set(dim);
    order.push_back(dim);
  }
  if (static_cast<int64_t>(order.size()) != self.rank())
    return c.fail("dims is not a permutation");
  c.yield(c.permute(self, order));
}

static void lowerTranspose(Lowering &c, StringRef first, StringRef second) {
  Tensor self = c.tensor("self");
  int64_t dim0 = c.dimension(first, self.rank());
  int64_t dim1 = c.dimension(second, self.rank());
  if (self.rank() == 0)
    return c.yield(self);
  c.yield(c.transpose(self, dim0, dim1));
}

/// t, numpy_T, mT: reversal of the dimensions, or of the last two.
static void lowerReverseDims(Lowering &c, bool lastTwo) {
  Tensor self = c.tensor("self");
  auto order = llvm::to_vector(llvm::seq<int64_t>(0, self.rank()));
  if (lastTwo && order.size() >= 2)
    std::swap(order[order.size() - 1], order[order.size() - 2]);
  else if (!lastTwo)
    std::reverse(order.begin(), order.end());
  c.yield(c.permute(self, order));
}

static void lowerMovedim(Lowering &c) {
  Tensor self = c.tensor("self");
  if (self.rank() == 0)
    return c.yield(self);
  std::optional<SmallVector<int64_t>> order = aten::getMovedOrder(
      c.integers("source"), c.integers("destination"), self.rank());
  if (!order)
    return c.fail("source and destination name no different dimensions");
  c.yield(c.permute(self, *order));
}

static void lowerExpand(Lowering &c) {
  Tensor self = c.tensor("self");
  Dims dims = c.resultDims();
  if (static_cast<int64_t>(dims.size()) < self.rank())
    return c.fail("expands to a lower rank");
  c.yield(c.expand(self, dims));
}

/// A position counted from the end if negative, held in [0, size].
static std::optional<SizeExpr> clampPosition(Lowering &c, SizeExpr position,
                                             const SizeExpr &size) {
  if (c.assumeAtMost(position, SizeExpr(-1)))
    position = position + size;
  else if (!c.assumeAtMost(SizeExpr(0), position))
    return std::nullopt;
  return c.min(c.max(position, SizeExpr(0)), size);
}

/// The first element of a slice; fails if its side is not known.
static SizeExpr getSliceStart(Lowering &c, const SizeExpr &size) {
  if (c.isNone("start"))
    return SizeExpr(0);
  SizeExpr start = c.size("start");
  if (std::optional<SizeExpr> position = clampPosition(c, start, size))
    return *position;
  c.fail("start " + Twine(start.str()) +
         " can be negative or not, depending on the input's shape");
  return SizeExpr(0);
}

static void lowerSlice(Lowering &c) {
  Tensor self = c.tensor("self");
  if (self.rank() == 0)
    return c.fail("slices a tensor of rank 0");
  int64_t d = c.dimension("dim", self.rank());
  int64_t step = c.integer("step");
  SizeExpr start = getSliceStart(c, self.dims[d]);
  Dims dims = c.resultDims();
  if (c.failed() || dims.size() != self.dims.size())
    return c.fail("changes the rank");
  // How many there are is declared.
  c.yield(c.slice(self, d, start, dims[d], step));
}

/// The element that a select takes, counted from the end if negative.
static SizeExpr getSelectIndex(Lowering &c, const SizeExpr &size) {
  SizeExpr index = c.size("index");
  if (c.assumeAtMost(index, SizeExpr(-1)))
    return index + size;
  if (!c.assumeAtMost(SizeExpr(0), index))
    c.fail("index " + Twine(index.str()) +
           " can be negative or not, depending on the input's shape");
  if (auto constant = index.getConstant(), limit = size.getConstant();
      constant && limit && *constant >= *limit)
    c.fail("index " + Twine(*constant) + " is not in [0, " + Twine(*limit) +
           ")");
  return index;
}

static void lowerSelect(Lowering &c) {
  Tensor self = c.tensor("self");
  if (self.rank() == 0)
    return c.fail("selects from a tensor of rank 0");
  int64_t d = c.dimension("dim", self.rank());
  c.yield(c.select(self, d, getSelectIndex(c, self.dims[d])));
}

static void lowerNarrow(Lowering &c) {
  Tensor self = c.tensor("self");
  if (self.rank() == 0)
    return c.fail("narrows a tensor of rank 0");
  int64_t d = c.dimension("dim", self.rank());
  SizeExpr start = getSliceStart(c, self.dims[d]);
  c.yield(c.slice(self, d, start, c.size("length")));
}

/// split, chunk, split_with_sizes, unbind: the declared results lie one after
/// the other.
static void lowerSplit(Lowering &c, bool unbind,
                       std::optional<int64_t> dim = std::nullopt) {
  Tensor self = c.tensor("self");
  if (self.rank() == 0)
    return c.fail("splits a tensor of rank 0");
  int64_t d = dim ? *dim : c.dimension("dim", self.rank());
  SizeExpr start(0);
  for (unsigned i = 0; i < c.numResults(); ++i) {
    if (unbind) {
      c.yield(c.select(self, d, start));
      start = start + SizeExpr(1);
      continue;
    }
    Dims dims = c.resultDims(i);
    if (dims.size() != self.dims.size())
      return c.fail("changes the rank");
    c.yield(c.slice(self, d, start, dims[d]));
    start = start + dims[d];
  }
}

static void lowerFlip(Lowering &c) {
  Tensor self = c.tensor("self");
  for (int64_t d : c.dimensions("dims", self.rank(), /*emptyIsAll=*/false))
    self = c.flip(self, d);
  c.yield(self);
}

static void lowerRoll(Lowering &c) {
  Tensor self = c.tensor("self");
  Dims shifts = c.sizes("shifts");
  SmallVector<int64_t> dims = c.integers("dims");
  Dims shape = self.dims;
  if (dims.empty() && shifts.size() == 1) {
    self = c.reshape(self, {product(shape)});
    dims.push_back(0);
  }
  if (dims.size() != shifts.size())
    return c.fail("shifts and dims differ in length");
  for (auto [shift, given] : llvm::zip(shifts, dims)) {
    int64_t d = c.wrapDimension(given, self.rank());
    if (self.rank() == 0)
      continue;
    if (self.dims[d].getConstant() == 0)
      continue;
    // The last `by` elements come first. A shift that is known to be shorter
    // than the dimension needs no remainder.
    SizeExpr size = self.dims[d], by = shift.mod(size);
    if (SizeExpr(0).isLessEqual(shift, c.ranges) &&
        (shift + SizeExpr(1)).isLessEqual(size, c.ranges))
      by = shift;
    else if ((shift + SizeExpr(1)).isLessEqual(SizeExpr(0), c.ranges) &&
             SizeExpr(0).isLessEqual(shift + size, c.ranges))
      by = shift + size;
    if (by == SizeExpr(0))
      continue;
    SizeExpr rest = self.dims[d] - by;
    self = c.concat(
        {c.slice(self, d, rest, by), c.slice(self, d, SizeExpr(0), rest)}, d);
  }
  c.yield(c.reshape(self, shape));
}

/// A new last dimension that runs over windows of another.
static void lowerUnfold(Lowering &c) {
  Tensor self = c.tensor("self");
  int64_t d = c.dimension("dimension", self.rank());
  int64_t step = c.integer("step");
  Dims dims = c.resultDims();
  if (static_cast<int64_t>(dims.size()) != self.rank() + 1)
    return c.fail("does not add one dimension");
  // Of one element, a window of one or of none.
  if (self.rank() == 0)
    return c.yield(c.view(self, {}, c.getMap(1, {}), dims));
  SmallVector<AffineExpr> exprs;
  for (int64_t i = 0; i < self.rank(); ++i)
    exprs.push_back(i == d ? c.dim(i) * step + c.dim(self.rank()) : c.dim(i));
  c.yield(c.view(self, Dims(self.rank(), SizeExpr(0)),
                 c.getMap(dims.size(), exprs), dims));
}

/// The offsets and the map of a diagonal, which becomes the last dimension.
static AffineMap getDiagonal(Lowering &c, const Dims &dims, Dims &offsets) {
  int64_t rank = dims.size();
  int64_t dim1 = c.dimension("dim1", rank), dim2 = c.dimension("dim2", rank);
  int64_t offset = c.integer("offset");
  if (rank < 2 || dim1 == dim2) {
    c.fail("the diagonal's dimensions are not two");
    return c.getMap(0, {});
  }
  offsets = Dims(rank, SizeExpr(0));
  offsets[offset < 0 ? dim1 : dim2] = SizeExpr(std::abs(offset));
  SmallVector<AffineExpr> exprs;
  unsigned next = 0;
  for (int64_t d = 0; d < rank; ++d)
    exprs.push_back(d == dim1 || d == dim2 ? c.dim(rank - 2)
                                           : c.dim(next++));
  return c.getMap(rank - 1, exprs);
}

static void lowerDiagonal(Lowering &c) {
  Tensor self = c.tensor("self");
  Dims offsets;
  AffineMap map = getDiagonal(c, self.dims, offsets);
  if (!c.failed())
    c.yield(c.view(self, offsets, map, c.resultDims()));
}

/// unfold's and as_strided's general case: strides into the row-major elements
/// of the whole tensor, which is what eager's storage holds if it is so laid
/// out there.
static void lowerAsStrided(Lowering &c) {
  Tensor self = c.tensor("self");
  Value value = c.call.getTensor("self");
  SmallVector<SizeExpr> strides = aten::getStrides(value.getType());
  if (strides != aten::getRowMajorStrides(self.dims))
    return c.fail("reads a tensor that is not contiguous in eager");
  Dims dims = c.resultDims();
  SmallVector<int64_t> steps = c.integers("stride");
  SizeExpr offset =
      c.isNone("storage_offset") ? SizeExpr(0) : c.size("storage_offset");
  if (c.failed() || steps.size() != dims.size())
    return c.fail("size and stride differ in length");
  SizeExpr last = offset;
  AffineExpr expr = c.zero();
  for (auto [d, step] : llvm::enumerate(steps)) {
    expr = expr + c.dim(d) * step;
    last = last + (dims[d] - SizeExpr(1)) * SizeExpr(step);
  }
  SizeExpr count = product(self.dims);
  if (!c.assumeAtMost(last + SizeExpr(1), count))
    return c.fail("reads beyond the tensor");
  c.yield(c.view(c.reshape(self, {count}), {offset},
                 c.getMap(dims.size(), {expr}), dims));
}

//===----------------------------------------------------------------------===//
// Functional writes to a view
//===----------------------------------------------------------------------===//

/// A value of the shape of a view, broadcast and cast to fit the base.
static Tensor fitValue(Lowering &c, const Tensor &base, const Tensor &value,
                       ArrayRef<SizeExpr> dims) {
  return c.expand(c.cast(value, base.dtype), dims);
}

static void lowerSliceScatter(Lowering &c) {
  Tensor self = c.tensor("self"), src = c.tensor("src");
  if (self.rank() == 0 || src.rank() != self.rank())
    return c.fail("src is not of self's rank");
  int64_t d = c.dimension("dim", self.rank());
  SizeExpr start = getSliceStart(c, self.dims[d]);
  int64_t step = c.integer("step");
  Dims offsets(self.rank(), SizeExpr(0));
  offsets[d] = start;
  SmallVector<AffineExpr> exprs;
  for (int64_t i = 0; i < self.rank(); ++i)
    exprs.push_back(i == d ? c.dim(i) * step : c.dim(i));
  c.yield(c.update(self, fitValue(c, self, src, src.dims), offsets,
                   c.getMap(self.rank(), exprs)));
}

static void lowerSelectScatter(Lowering &c) {
  Tensor self = c.tensor("self"), src = c.tensor("src");
  if (self.rank() == 0)
    return c.fail("self is of rank 0");
  int64_t d = c.dimension("dim", self.rank());
  Dims offsets(self.rank(), SizeExpr(0)), dims;
  offsets[d] = getSelectIndex(c, self.dims[d]);
  SmallVector<AffineExpr> exprs;
  for (int64_t i = 0; i < self.rank(); ++i) {
    exprs.push_back(i == d ? c.zero() : c.dim(dims.size()));
    if (i != d)
      dims.push_back(self.dims[i]);
  }
  c.yield(c.update(self, fitValue(c, self, src, dims), offsets,
                   c.getMap(dims.size(), exprs)));
}

/// copy: all of self is replaced.
static void lowerCopy(Lowering &c) {
  Tensor self = c.tensor("self");
  c.yield(fitValue(c, self, c.tensor("src"), c.resultDims()));
}

static void lowerDiagonalScatter(Lowering &c) {
  Tensor self = c.tensor("self"), src = c.tensor("src");
  Dims offsets;
  AffineMap map = getDiagonal(c, self.dims, offsets);
  if (!c.failed())
    c.yield(c.update(self, c.cast(src, self.dtype), offsets, map));
}

//===----------------------------------------------------------------------===//
// Matrices from diagonals, turns
//===----------------------------------------------------------------------===//

/// The last dimension on a diagonal of zeros, `offset` beside the main one.
static void embedDiagonal(Lowering &c, const Tensor &self, int64_t offset,
                          int64_t dim1, int64_t dim2) {
  Dims dims = c.resultDims();
  int64_t rank = dims.size();
  if (rank != self.rank() + 1 || dim1 == dim2)
    return c.fail("the diagonal's dimensions are not two");
  Dims offsets(rank, SizeExpr(0));
  offsets[offset < 0 ? dim1 : dim2] = SizeExpr(std::abs(offset));
  SmallVector<AffineExpr> exprs;
  unsigned next = 0;
  for (int64_t d = 0; d < rank; ++d)
    exprs.push_back(d == dim1 || d == dim2 ? c.dim(rank - 2)
                                           : c.dim(next++));
  Tensor zeros = c.fill(dims, Number(int64_t(0)), self.dtype);
  c.yield(c.update(zeros, self, offsets, c.getMap(rank - 1, exprs)));
}

static void lowerDiagEmbed(Lowering &c) {
  Tensor self = c.tensor("self");
  int64_t rank = self.rank() + 1;
  embedDiagonal(c, self, c.integer("offset"), c.dimension("dim1", rank),
                c.dimension("dim2", rank));
}

/// diag: the matrix of a vector, or the diagonal of a matrix.
static void lowerDiag(Lowering &c) {
  Tensor self = c.tensor("self");
  int64_t offset = c.integer("diagonal");
  if (self.rank() == 1)
    return embedDiagonal(c, self, offset, 0, 1);
  if (!c.checkRank(self, 2, "self"))
    return;
  Dims offsets(2, SizeExpr(0));
  offsets[offset < 0 ? 0 : 1] = SizeExpr(std::abs(offset));
  c.yield(c.view(self, offsets, c.getMap(1, {c.dim(0), c.dim(0)}),
                 c.resultDims()));
}

static void lowerDiagflat(Lowering &c) {
  Tensor self = c.tensor("self");
  embedDiagonal(c, c.reshape(self, {product(self.dims)}), c.integer("offset"),
                0, 1);
}

static void lowerTrace(Lowering &c) {
  Tensor self = c.tensor("self");
  if (!c.checkRank(self, 2, "self"))
    return;
  Tensor diagonal = c.view(self, Dims(2, SizeExpr(0)),
                           c.getMap(1, {c.dim(0), c.dim(0)}),
                           {c.min(self.dims[0], self.dims[1])});
  c.yieldCast(c.reduce(diagonal, {0}, false, Combine::Add,
                       getComputeType(c.resultDType())));
}

/// rot90: `k` quarter turns from the first dimension toward the second.
static void lowerRot90(Lowering &c) {
  Tensor self = c.tensor("self");
  SmallVector<int64_t> dims = c.integers("dims", 2);
  int64_t k = ((c.integer("k") % 4) + 4) % 4;
  if (c.failed())
    return;
  int64_t from = c.wrapDimension(dims[0], self.rank());
  int64_t to = c.wrapDimension(dims[1], self.rank());
  if (k == 1 || k == 2)
    self = c.flip(self, to);
  if (k == 2 || k == 3)
    self = c.flip(self, from);
  if (k == 1 || k == 3)
    self = c.transpose(self, from, to);
  c.yield(self);
}

static void lowerFlipOne(Lowering &c, int64_t d) {
  Tensor self = c.tensor("self");
  if (self.rank() <= d)
    return c.fail("expected rank " + Twine(d + 1) + " or more but got rank " +
                  Twine(self.rank()));
  c.yield(c.flip(self, d));
}

/// block_diag: matrices along the diagonal, zeros elsewhere.
static void lowerBlockDiag(Lowering &c) {
  Tensor result = c.fill(c.resultDims(), Number(int64_t(0)), c.resultDType());
  if (result.rank() != 2)
    return c.fail("does not give a matrix");
  SizeExpr row(0), column(0);
  for (Tensor block : c.tensors("tensors")) {
    while (block.rank() < 2)
      block = c.unsqueeze(block, 0);
    result = c.update(result, c.cast(block, result.dtype), {row, column},
                      c.builder.getMultiDimIdentityMap(2));
    row = row + block.dims[0];
    column = column + block.dims[1];
  }
  c.yield(result);
}

void conversion::registerViews(Registry &r) {
  r.add({"aten.view.default", "aten.reshape.default",
         "aten._unsafe_view.default", "aten.view_copy.default",
         "aten._reshape_alias.default", "aten._reshape_copy.default",
         "aten.flatten.using_ints", "aten.unflatten.int",
         "aten.unsqueeze.default", "aten.unsqueeze_copy.default",
         "aten.squeeze.default", "aten.squeeze.dim", "aten.squeeze.dims",
         "aten.squeeze_copy.default", "aten.squeeze_copy.dim",
         "aten.squeeze_copy.dims", "aten.view_as.default",
         "aten.reshape_as.default", "aten.ravel.default",
         "aten.atleast_1d.default", "aten.atleast_2d.default",
         "aten.atleast_3d.default"},
        lowerReshape);
  r.add({"aten.view.dtype", "aten.view_copy.dtype"}, lowerViewDType);
  r.add({"aten.permute.default", "aten.permute_copy.default"}, lowerPermute);
  r.add({"aten.transpose.int", "aten.transpose_copy.int"},
        [](Lowering &c) { lowerTranspose(c, "dim0", "dim1"); });
  r.add("aten.swapaxes.default",
        [](Lowering &c) { lowerTranspose(c, "axis0", "axis1"); });
  r.add("aten.swapdims.default",
        [](Lowering &c) { lowerTranspose(c, "dim0", "dim1"); });
  r.add({"aten.t.default", "aten.t_copy.default", "aten.numpy_T.default"},
        [](Lowering &c) { lowerReverseDims(c, false); });
  r.add({"aten.mT.default", "aten.adjoint.default", "aten.mH.default",
         "aten.matrix_H.default"},
        [](Lowering &c) { lowerReverseDims(c, true); });
  r.add({"aten.movedim.intlist", "aten.movedim.int", "aten.moveaxis.intlist",
         "aten.moveaxis.int"},
        lowerMovedim);
  r.add({"aten.expand.default", "aten.expand_as.default",
         "aten.broadcast_to.default", "aten.expand_copy.default"},
        lowerExpand);
  r.add({"aten.slice.Tensor", "aten.slice_copy.Tensor"}, lowerSlice);
  r.add({"aten.select.int", "aten.select_copy.int"}, lowerSelect);
  r.add("aten.narrow.default", lowerNarrow);
  r.add("aten.narrow_copy.default", lowerNarrow);
  auto split = [](Lowering &c) { lowerSplit(c, false); };
  r.add({"aten.split.Tensor", "aten.split.sizes", "aten.chunk.default",
         "aten.split_with_sizes.default", "aten.split_copy.Tensor",
         "aten.split_with_sizes_copy.default", "aten.tensor_split.sections",
         "aten.tensor_split.indices", "aten.unsafe_split.Tensor",
         "aten.unsafe_split_with_sizes.default", "aten.unsafe_chunk.default"},
        split);
  r.add({"aten.unbind.int", "aten.unbind_copy.int"},
        [](Lowering &c) { lowerSplit(c, true); });
  r.add("aten.flip.default", lowerFlip);
  r.add("aten.roll.default", lowerRoll);
  r.add({"aten.unfold.default", "aten.unfold_copy.default"}, lowerUnfold);
  r.add({"aten.diagonal.default", "aten.diagonal_copy.default"},
        lowerDiagonal);
  r.add({"aten.as_strided.default", "aten.as_strided_copy.default"},
        lowerAsStrided);
  r.add("aten.copy.default", lowerCopy);
  r.add("aten.slice_scatter.default", lowerSliceScatter);
  r.add("aten.select_scatter.default", lowerSelectScatter);
  r.add("aten.diagonal_scatter.default", lowerDiagonalScatter);
  r.add("aten.diag_embed.default", lowerDiagEmbed);
  r.add("aten.diag.default", lowerDiag);
  r.add("aten.diagflat.default", lowerDiagflat);
  r.add("aten.trace.default", lowerTrace);
  r.add("aten.rot90.default", lowerRot90);
  r.add("aten.fliplr.default", [](Lowering &c) { lowerFlipOne(c, 1); });
  r.add("aten.flipud.default", [](Lowering &c) { lowerFlipOne(c, 0); });
  r.add("aten.block_diag.default", lowerBlockDiag);
  // hsplit of a vector splits its only dimension.
  for (StringRef overload : {"int", "array"}) {
    r.add(("aten.hsplit." + overload).str(), [](Lowering &c) {
      lowerSplit(c, false, c.tensor("self").rank() == 1 ? 0 : 1);
    });
    r.add(("aten.vsplit." + overload).str(),
          [](Lowering &c) { lowerSplit(c, false, 0); });
    r.add(("aten.dsplit." + overload).str(),
          [](Lowering &c) { lowerSplit(c, false, 2); });
  }
}
