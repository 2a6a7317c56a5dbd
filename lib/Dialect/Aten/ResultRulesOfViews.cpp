//===- ResultRulesOfViews.cpp - Operators that only rearrange -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ResultRules.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::aten;
using namespace headrace::aten::rules;

//===----------------------------------------------------------------------===//
// The same elements in order
//===----------------------------------------------------------------------===//

static void giveElementsOf(Call &c, const Sizes &self, const Sizes &dims) {
  SizeExpr have = product(self), want = product(dims);
  c.equal(want, have,
          "a tensor of shape " + toText(self) + " is viewed as " +
              toText(dims) + ", another number of elements");
  c.give(dims, c.type("self"));
}

/// A shape in which one size may be -1: it is what is left.
static Sizes completeShape(Call &c, Sizes size, const Sizes &declared,
                           size_t first) {
  std::optional<size_t> open;
  for (auto [i, dim] : llvm::enumerate(size)) {
    std::optional<int64_t> constant = dim.getConstant();
    if (constant == -1) {
      c.require(!open, "two sizes are -1");
      open = i;
    } else {
      c.atLeast(dim, 0, "a size");
    }
  }
  // That it fits is checked by the number of elements.
  if (open && first + *open < declared.size())
    size[*open] = declared[first + *open];
  return size;
}

static void giveView(Call &c) {
  Sizes self = c.tensor("self");
  if (c.has("dtype")) {
    Type from = c.type("self"), to = c.op.getDType("dtype");
    if (!from || !to || !from.isIntOrFloat() || !to.isIntOrFloat())
      return void(c.isUnknown = true);
    if (from.getIntOrFloatBitWidth() != to.getIntOrFloatBitWidth())
      return c.giveAny(to);
    return c.give(self, to);
  }
  Sizes size = c.sizes(c.has("shape") ? "shape" : "size");
  Sizes declared = c.declared();
  if (!c.require(declared.size() == size.size(),
                 "the result is declared as " + toText(declared) +
                     " but the arguments give rank " + Twine(size.size())))
    return;
  giveElementsOf(c, self, completeShape(c, size, declared, 0));
}

static void giveViewAs(Call &c) {
  giveElementsOf(c, c.tensor("self"), c.tensor("other"));
}

static void giveFlatten(Call &c) {
  Sizes self = c.tensor("self");
  int64_t start = c.dimension("start_dim", self.size());
  int64_t end = c.dimension("end_dim", self.size());
  if (self.empty())
    return c.give({SizeExpr(1)}, c.type("self"));
  if (!c.require(start <= end, "start_dim is behind end_dim"))
    return;
  Sizes dims(self.begin(), self.begin() + start);
  dims.push_back(product(
      ArrayRef<SizeExpr>(self).slice(start, end - start + 1)));
  dims.append(self.begin() + end + 1, self.end());
  c.give(dims, c.type("self"));
}

static void giveUnflatten(Call &c) {
  Sizes self = c.tensor("self"), sizes = c.sizes("sizes");
  if (!c.rankAtLeast(self, 1, "self"))
    return;
  int64_t d = c.dimension("dim", self.size());
  sizes = completeShape(c, sizes, c.declared(), d);
  Sizes dims(self.begin(), self.begin() + d);
  dims.append(sizes.begin(), sizes.end());
  dims.append(self.begin() + d + 1, self.end());
  giveElementsOf(c, self, dims);
}

static void giveUnsqueeze(Call &c) {
  Sizes dims = c.tensor("self");
  int64_t d = c.dimension("dim", dims.size() + 1);
  dims.insert(dims.begin() + d, SizeExpr(1));
  c.give(dims, c.type("self"));
}

static void giveSqueeze(Call &c) {
  Sizes self = c.tensor("self"), dims;
  llvm::SmallBitVector asked(self.size(), !c.has("dim"));
  if (c.has("dim"))
    for (int64_t dim : c.integers("dim"))
      if (int64_t d = c.wrap(dim, self.size()); !self.empty())
        asked.set(d);
  for (auto [d, size] : llvm::enumerate(self))
    if (!asked.test(d) || size.getConstant() != 1)
      dims.push_back(size);
  c.give(dims, c.type("self"));
}

static void giveRavel(Call &c) {
  c.give({product(c.tensor("self"))}, c.type("self"));
}

/// atleast_1d, 2d, 3d. A list of tensors gives a list.
static void giveAtLeast(Call &c) {
  unsigned rank = c.op.getBaseName().drop_back().back() - '0';
  auto give = [&](Sizes dims, Type type) {
    // What has two dimensions gets the third behind them.
    while (dims.size() < rank)
      dims.insert(dims.size() == 2 ? dims.end() : dims.begin(), SizeExpr(1));
    // A vector in three dimensions lies in the middle one.
    if (rank == 3 && !dims.empty() && dims[1] == SizeExpr(1) &&
        c.op.getTensor("self") && c.tensor("self").size() == 1)
      dims = {SizeExpr(1), c.tensor("self")[0], SizeExpr(1)};
    c.give(dims, type);
  };
  if (c.has("self"))
    return give(c.tensor("self"), c.type("self"));
  c.isUnknown = true;
}

//===----------------------------------------------------------------------===//
// Dimensions in another order
//===----------------------------------------------------------------------===//

static void givePermuted(Call &c, const Sizes &self,
                         ArrayRef<int64_t> order) {
  Sizes dims;
  for (int64_t d : order)
    dims.push_back(self[d]);
  c.give(dims, c.type("self"));
}

static void givePermute(Call &c) {
  Sizes self = c.tensor("self");
  SmallVector<int64_t> order;
  for (int64_t dim : c.integers("dims")) {
    int64_t d = c.wrap(dim, self.size());
    c.require(!llvm::is_contained(order, d) && !self.empty(),
              "dims is not a permutation");
    order.push_back(d);
  }
  if (c.require(order.size() == self.size() || c.isUnknown,
                "dims is not a permutation") &&
      !c.failed() && !c.isUnknown)
    givePermuted(c, self, order);
}

static void giveTranspose(Call &c) {
  Sizes self = c.tensor("self");
  bool isAxis = c.has("axis0");
  int64_t a = c.dimension(isAxis ? "axis0" : "dim0", self.size());
  int64_t b = c.dimension(isAxis ? "axis1" : "dim1", self.size());
  if (!self.empty())
    std::swap(self[a], self[b]);
  c.give(self, c.type("self"));
}

static void giveReversed(Call &c) {
  Sizes self = c.tensor("self");
  if (c.op.getBaseName() == "aten.t" || c.op.getBaseName() == "aten.t_" ||
      c.op.getBaseName() == "aten.t_copy")
    c.require(self.size() <= 2, "self has more than two dimensions");
  std::reverse(self.begin(), self.end());
  c.give(self, c.type("self"));
}

static void giveMatrixTranspose(Call &c) {
  Sizes self = c.tensor("self");
  if (!self.empty() && !c.rankAtLeast(self, 2, "self"))
    return;
  if (self.size() >= 2)
    std::swap(self[self.size() - 1], self[self.size() - 2]);
  c.give(self, c.type("self"));
}

static void giveMoved(Call &c) {
  Sizes self = c.tensor("self");
  if (self.empty())
    return c.give(self, c.type("self"));
  std::optional<SmallVector<int64_t>> order = getMovedOrder(
      c.integers("source"), c.integers("destination"), self.size());
  if (c.require(order.has_value(),
                "source and destination name no different dimensions"))
    givePermuted(c, self, *order);
}

static void giveFlip(Call &c) {
  Sizes self = c.tensor("self");
  if (!c.integers("dims").empty())
    c.dimensions("dims", self.size());
  c.give(self, c.type("self"));
}

static void giveFlipOne(Call &c) {
  Sizes self = c.tensor("self");
  c.rankAtLeast(self, c.op.getBaseName() == "aten.fliplr" ? 2 : 1, "self");
  c.give(self, c.type("self"));
}

static void giveRoll(Call &c) {
  Sizes self = c.tensor("self");
  SmallVector<int64_t> dims = c.integers("dims");
  Sizes shifts = c.sizes("shifts");
  c.require(dims.empty() ? shifts.size() == 1 : dims.size() == shifts.size(),
            "shifts and dims differ in length");
  for (int64_t dim : dims)
    c.wrap(dim, self.size());
  c.give(self, c.type("self"));
}

static void giveTurned(Call &c) {
  Sizes self = c.tensor("self");
  SmallVector<int64_t> dims = c.integers("dims");
  if (!c.require(dims.size() == 2, "dims are not two"))
    return;
  int64_t a = c.wrap(dims[0], self.size()), b = c.wrap(dims[1], self.size());
  if (!c.require(a != b, "dims are the same") ||
      !c.rankAtLeast(self, 2, "self"))
    return;
  if (c.integer("k") % 2 != 0)
    std::swap(self[a], self[b]);
  c.give(self, c.type("self"));
}

//===----------------------------------------------------------------------===//
// Broadcasts and parts
//===----------------------------------------------------------------------===//

static void giveExpanded(Call &c) {
  Sizes self = c.tensor("self");
  Sizes dims = c.has("other") ? c.tensor("other") : c.sizes("size");
  if (!c.require(dims.size() >= self.size(), "expands to a lower rank"))
    return;
  size_t added = dims.size() - self.size();
  for (auto [d, dim] : llvm::enumerate(dims)) {
    if (dim.getConstant() != -1) {
      c.atLeast(dim, 0, "a size");
      continue;
    }
    if (c.require(d >= added, "size -1 of a dimension that is new"))
      dim = self[d - added];
  }
  c.expandable(self, dims, "a tensor");
  c.give(dims, c.type("self"));
}

/// How many elements lie from `start` to `end` of a dimension, by `step`.
static std::optional<SizeExpr>
countSlice(Call &c, const SizeExpr &size, std::optional<SizeExpr> start,
           std::optional<SizeExpr> end, const SizeExpr &step) {
  std::optional<SizeExpr> from = c.clamped(start.value_or(SizeExpr(0)), size);
  std::optional<SizeExpr> to = c.clamped(
      end.value_or(SizeExpr(std::numeric_limits<int64_t>::max())), size);
  if (!from || !to || !step.isConstant())
    return std::nullopt;
  return c.max(*to - *from, SizeExpr(0)).ceilDiv(step);
}

static std::optional<SizeExpr> optionalSize(Call &c, StringRef name) {
  return c.isNone(name) ? std::nullopt : std::optional(c.size(name));
}

/// The shape of `self[start:end:step]` along `dim`.
static SmallVector<std::optional<SizeExpr>> getSlice(Call &c) {
  Sizes self = c.tensor("self");
  if (!c.rankAtLeast(self, 1, "self"))
    return {};
  int64_t d = c.dimension("dim", self.size());
  SizeExpr step = c.has("step") ? c.size("step") : SizeExpr(1);
  c.atLeast(step, 1, "a step");
  SmallVector<std::optional<SizeExpr>> dims(self.begin(), self.end());
  if (!c.failed())
    dims[d] = countSlice(c, self[d], optionalSize(c, "start"),
                         optionalSize(c, "end"), step);
  return dims;
}

static void giveSlice(Call &c) { c.giveSome(getSlice(c), c.type("self")); }

/// `self` without dimension `dim`, in which `index` has to lie.
static Sizes getSelected(Call &c) {
  Sizes self = c.tensor("self");
  if (!c.rankAtLeast(self, 1, "self"))
    return {};
  int64_t d = c.dimension("dim", self.size());
  if (c.op.getTensor("index"))
    return c.isUnknown = true, Sizes();
  SizeExpr index = c.size("index");
  Interval bounds = index.bounds(c.ranges);
  if (bounds.min >= 0)
    c.atMost(index + SizeExpr(1), self[d], "an index");
  else if (bounds.max < 0)
    c.atLeast(index + self[d], 0, "an index");
  self.erase(self.begin() + d);
  return self;
}

static void giveSelect(Call &c) { c.give(getSelected(c), c.type("self")); }

static void giveNarrow(Call &c) {
  Sizes self = c.tensor("self");
  if (!c.rankAtLeast(self, 1, "self"))
    return;
  int64_t d = c.dimension("dim", self.size());
  SizeExpr length = c.size("length");
  c.atLeast(length, 0, "a length");
  if (std::optional<SizeExpr> start = c.clamped(c.size("start"), self[d]))
    c.atMost(*start + length, self[d], "start and length");
  self[d] = length;
  c.give(self, c.type("self"));
}

/// A diagonal further away than any tensor is wide.
static bool isSaneOffset(Call &c, int64_t offset) {
  constexpr int64_t most = int64_t(1) << 40;
  return c.require(offset > -most && offset < most,
                   "the diagonal's offset is " + Twine(offset));
}

static void giveDiagonal(Call &c) {
  Sizes self = c.tensor("self");
  bool isDiag = c.has("diagonal");
  if (!c.rankAtLeast(self, 2, "self"))
    return;
  int64_t a = isDiag ? 0 : c.dimension("dim1", self.size());
  int64_t b = isDiag ? 1 : c.dimension("dim2", self.size());
  int64_t offset = c.integer(isDiag ? "diagonal" : "offset");
  if (!c.require(a != b, "the diagonal's dimensions are one") ||
      !isSaneOffset(c, offset))
    return;
  SizeExpr rows = self[a], columns = self[b];
  if (offset >= 0)
    columns = columns - SizeExpr(offset);
  else
    rows = rows + SizeExpr(offset);
  Sizes dims;
  for (auto [d, size] : llvm::enumerate(self))
    if (static_cast<int64_t>(d) != a && static_cast<int64_t>(d) != b)
      dims.push_back(size);
  dims.push_back(c.max(c.min(rows, columns), SizeExpr(0)));
  c.give(dims, c.type("self"));
}

static void giveUnfold(Call &c) {
  Sizes self = c.tensor("self");
  int64_t d = c.dimension("dimension", self.size());
  SizeExpr size = c.size("size");
  SizeExpr step = c.size("step");
  c.atLeast(step, 1, "a step");
  c.atLeast(size, 0, "a size");
  SizeExpr extent = self.empty() ? SizeExpr(1) : self[d];
  c.atMost(size, extent, "a window");
  if (c.failed())
    return;
  if (!self.empty())
    self[d] = (extent - size).floorDiv(step) + SizeExpr(1);
  self.push_back(size);
  c.give(self, c.type("self"));
}

static void giveAsStrided(Call &c) {
  Sizes size = c.sizes("size"), stride = c.sizes("stride");
  c.require(size.size() == stride.size() || c.isUnknown,
            "size and stride differ in length");
  for (const SizeExpr &dim : size)
    c.atLeast(dim, 0, "a size");
  for (const SizeExpr &step : stride)
    c.atLeast(step, 0, "a stride");
  if (!c.isNone("storage_offset"))
    c.atLeast(c.size("storage_offset"), 0, "the storage offset");
  c.give(size, c.type("self"));
}

//===----------------------------------------------------------------------===//
// Splits
//===----------------------------------------------------------------------===//

/// Pieces of `size` elements, the last of what is left.
static void giveChunks(Call &c, const Sizes &self, int64_t d,
                       const SizeExpr &piece) {
  SizeExpr count(static_cast<int64_t>(c.numDeclared()));
  if (!c.require(c.numDeclared() > 0, "a split gives no results"))
    return;
  SizeExpr before = (count - SizeExpr(1)) * piece;
  SizeExpr last = self[d] - before;
  c.atMost(last, piece,
           Twine(c.numDeclared()) + " results do not hold all: the last");
  if (c.numDeclared() > 1)
    c.atLeast(last, 1, "the last result");
  for (unsigned i = 0; i < c.numDeclared(); ++i) {
    Sizes dims = self;
    dims[d] = i + 1 < c.numDeclared() ? piece : last;
    c.give(dims, c.type("self"));
  }
}

static void givePieces(Call &c, const Sizes &self, int64_t d,
                       const Sizes &pieces) {
  SizeExpr sum(0);
  for (const SizeExpr &piece : pieces) {
    c.atLeast(piece, 0, "a size");
    sum = sum + piece;
    Sizes dims = self;
    dims[d] = piece;
    c.give(dims, c.type("self"));
  }
  c.equal(sum, self[d], "the sum of the pieces is not the whole");
}

static void giveSections(Call &c, const Sizes &self, int64_t d,
                         int64_t count) {
  if (!c.require(count > 0, "the number of pieces is " + Twine(count)) ||
      !c.require(count == static_cast<int64_t>(c.numDeclared()),
                 "it gives " + Twine(count) +
                     " results but the program declares " +
                     Twine(c.numDeclared())))
    return;
  for (int64_t i = 0; i < count; ++i) {
    Sizes dims = self;
    dims[d] = (self[d] + SizeExpr(count - 1 - i)).floorDiv(SizeExpr(count));
    c.give(dims, c.type("self"));
  }
}

static void giveCuts(Call &c, const Sizes &self, int64_t d,
                     const Sizes &indices) {
  std::optional<SizeExpr> start = SizeExpr(0);
  for (size_t i = 0; i <= indices.size(); ++i) {
    std::optional<SizeExpr> end;
    if (i < indices.size())
      end = indices[i];
    SmallVector<std::optional<SizeExpr>> dims(self.begin(), self.end());
    dims[d] = countSlice(c, self[d], start, end, SizeExpr(1));
    c.giveSome(std::move(dims), c.type("self"));
    start = end;
  }
}

static void giveSplit(Call &c) {
  Sizes self = c.tensor("self");
  if (!c.rankAtLeast(self, 1, "self"))
    return;
  int64_t d = c.dimension("dim", self.size());
  if (c.has("split_sizes"))
    return givePieces(c, self, d, c.sizes("split_sizes"));
  if (c.has("split_size") && c.op.getSizeList("split_size") &&
      isa<ArrayAttr>(c.op.getArg("split_size")))
    return givePieces(c, self, d, c.sizes("split_size"));
  SizeExpr piece = c.size("split_size");
  c.atLeast(piece, 0, "a size");
  giveChunks(c, self, d, piece);
}

static void giveChunk(Call &c) {
  Sizes self = c.tensor("self");
  if (!c.rankAtLeast(self, 1, "self"))
    return;
  int64_t d = c.dimension("dim", self.size());
  int64_t chunks = c.integer("chunks");
  if (!c.require(chunks > 0 || c.isUnknown,
                 "the number of pieces is " + Twine(chunks)) ||
      c.isUnknown)
    return;
  // An empty dimension is split into that many empty pieces.
  if (self[d].getConstant() == 0)
    return giveSections(c, self, d, chunks);
  giveChunks(c, self, d, self[d].ceilDiv(SizeExpr(chunks)));
}

static void giveTensorSplit(Call &c) {
  Sizes self = c.tensor("self");
  StringRef name = c.op.getBaseName();
  name.consume_front("aten.");
  // hsplit of a vector splits its only dimension.
  int64_t fixed = name == "vsplit"   ? 0
                  : name == "dsplit" ? 2
                  : self.size() == 1 ? 0
                                     : 1;
  bool isFixed = name != "tensor_split";
  if (!c.rankAtLeast(self, isFixed ? fixed + 1 : 1, "self"))
    return;
  int64_t d = isFixed ? fixed : c.dimension("dim", self.size());
  if (c.has("sections"))
    return giveSections(c, self, d, c.integer("sections"));
  if (c.has("indices"))
    return giveCuts(c, self, d, c.sizes("indices"));
  c.isUnknown = true;
}

static void giveUnbound(Call &c) {
  Sizes self = c.tensor("self");
  if (!c.rankAtLeast(self, 1, "self"))
    return;
  int64_t d = c.dimension("dim", self.size());
  c.equal(self[d], SizeExpr(static_cast<int64_t>(c.numDeclared())),
          "the number of results is not the size");
  self.erase(self.begin() + d);
  for (unsigned i = 0; i < c.numDeclared(); ++i)
    c.give(self, c.type("self"));
}

//===----------------------------------------------------------------------===//
// Functional writes, diagonals
//===----------------------------------------------------------------------===//

static void giveCopy(Call &c) {
  c.expandable(c.tensor("src"), c.tensor("self"), "src");
  c.give(c.tensor("self"), c.type("self"));
}

static void giveSliceScatter(Call &c) {
  Sizes src = c.tensor("src");
  auto part = getSlice(c);
  if (c.failed() || !c.rank(src, part.size(), "src"))
    return;
  for (auto [have, want] : llvm::zip_equal(src, part))
    if (want)
      c.equal(have, *want, "src is not of the part's shape");
  c.give(c.tensor("self"), c.type("self"));
}

static void giveSelectScatter(Call &c) {
  Sizes part = getSelected(c);
  if (!c.failed())
    c.equal(c.tensor("src"), part, "src is not of the part's shape");
  c.give(c.tensor("self"), c.type("self"));
}

static void giveDiagonalScatter(Call &c) {
  giveDiagonal(c);
  if (c.failed() || c.results.empty())
    return;
  Sizes part;
  for (const std::optional<SizeExpr> &dim : *c.results.back().dims)
    part.push_back(*dim);
  c.results.clear();
  c.equal(c.tensor("src"), part, "src is not of the diagonal's shape");
  c.give(c.tensor("self"), c.type("self"));
}

static void embed(Call &c, Sizes self, int64_t offset, StringRef dim1,
                  StringRef dim2) {
  int64_t rank = self.size() + 1;
  int64_t a = dim1.empty() ? 0 : c.dimension(dim1, rank);
  int64_t b = dim2.empty() ? 1 : c.dimension(dim2, rank);
  if (!c.require(a != b, "the diagonal's dimensions are one"))
    return;
  if (!isSaneOffset(c, offset))
    return;
  SizeExpr side = self.back() + SizeExpr(std::abs(offset));
  Sizes dims;
  size_t next = 0;
  for (int64_t d = 0; d < rank; ++d)
    dims.push_back(d == a || d == b ? side : self[next++]);
  c.give(dims, c.type("self"));
}

static void giveEmbedded(Call &c) {
  Sizes self = c.tensor("self");
  if (c.rankAtLeast(self, 1, "self"))
    embed(c, self, c.integer("offset"), "dim1", "dim2");
}

static void giveDiag(Call &c) {
  Sizes self = c.tensor("self");
  if (self.size() == 1)
    return embed(c, self, c.integer("diagonal"), "", "");
  if (c.rank(self, 2, "self"))
    giveDiagonal(c);
}

static void giveDiagflat(Call &c) {
  embed(c, {product(c.tensor("self"))}, c.integer("offset"), "", "");
}

static void giveBlocks(Call &c) {
  SizeExpr rows(0), columns(0);
  for (Sizes block : c.tensors("tensors")) {
    if (!c.require(block.size() <= 2, "a block has more than two dimensions"))
      return;
    while (block.size() < 2)
      block.insert(block.begin(), SizeExpr(1));
    rows = rows + block[0];
    columns = columns + block[1];
  }
  c.give({rows, columns}, c.promoted());
}

void rules::addViews(Table &table) {
  auto add = [&](Rule rule, std::initializer_list<StringRef> names) {
    for (StringRef name : names)
      table[name] = rule;
  };
  add(giveView, {"view", "reshape", "_unsafe_view", "_reshape_alias",
                 "_reshape"});
  add(giveViewAs, {"view_as", "reshape_as"});
  add(giveFlatten, {"flatten"});
  add(giveUnflatten, {"unflatten"});
  add(giveUnsqueeze, {"unsqueeze"});
  add(giveSqueeze, {"squeeze"});
  add(giveRavel, {"ravel"});
  add(giveAtLeast, {"atleast_1d", "atleast_2d", "atleast_3d"});
  add(givePermute, {"permute"});
  add(giveTranspose, {"transpose", "swapaxes", "swapdims"});
  add(giveReversed, {"t", "numpy_T"});
  add(giveMatrixTranspose, {"mT", "adjoint", "mH", "matrix_H"});
  add(giveMoved, {"movedim", "moveaxis"});
  add(giveExpanded, {"expand", "expand_as", "broadcast_to"});
  add(giveSlice, {"slice"});
  add(giveSelect, {"select"});
  add(giveNarrow, {"narrow"});
  add(giveSplit, {"split", "split_with_sizes", "unsafe_split",
                  "unsafe_split_with_sizes"});
  add(giveChunk, {"chunk", "unsafe_chunk"});
  add(giveTensorSplit, {"tensor_split", "hsplit", "vsplit", "dsplit"});
  add(giveUnbound, {"unbind"});
  add(giveFlip, {"flip"});
  add(giveFlipOne, {"fliplr", "flipud"});
  add(giveRoll, {"roll"});
  add(giveTurned, {"rot90"});
  add(giveUnfold, {"unfold"});
  add(giveDiagonal, {"diagonal"});
  add(giveAsStrided, {"as_strided"});
  add(giveCopy, {"copy"});
  add(giveSliceScatter, {"slice_scatter"});
  add(giveSelectScatter, {"select_scatter"});
  add(giveDiagonalScatter, {"diagonal_scatter"});
  add(giveEmbedded, {"diag_embed"});
  add(giveDiag, {"diag"});
  add(giveDiagflat, {"diagflat"});
  add(giveBlocks, {"block_diag"});
}
