//===- Contractions.cpp - Sums of products --------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Matrix products of all ranks, linear layers, einsum. Products of 16-bit
// floats are accumulated in f32; a bias is added before the one rounding.
//
//===----------------------------------------------------------------------===//

#include "Contractions.h"
#include <cmath>

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Args = ArrayRef<Scalar>;
using Compare = Body::Compare;
using Labels = SmallVector<unsigned>;

/// The tensor with each label once (a repeated one is a diagonal) and without
/// the size-1 dimensions that another operand broadcasts.
static Tensor prepare(Emitter &e, Tensor tensor, Labels &labels,
                      const llvm::MapVector<unsigned, SizeExpr> &sizes) {
  SmallVector<int64_t> drop;
  for (auto [d, label] : llvm::enumerate(labels))
    if (isOne(tensor.dims[d]) && !isOne(sizes.lookup(label)))
      drop.push_back(d);
  tensor = e.squeeze(tensor, drop);
  for (int64_t d : llvm::reverse(drop))
    labels.erase(labels.begin() + d);

  Labels unique;
  SmallVector<AffineExpr> exprs;
  Dims dims;
  for (auto [d, label] : llvm::enumerate(labels)) {
    auto it = llvm::find(unique, label);
    exprs.push_back(e.dim(it - unique.begin()));
    if (it != unique.end())
      continue;
    unique.push_back(label);
    dims.push_back(tensor.dims[d]);
  }
  if (unique.size() != labels.size()) {
    tensor = e.view(tensor, Dims(labels.size(), SizeExpr(0)),
                    e.getMap(unique.size(), exprs), dims);
    labels = unique;
  }
  return tensor;
}

static void noteSizes(llvm::MapVector<unsigned, SizeExpr> &sizes,
                      const Tensor &tensor, ArrayRef<unsigned> labels) {
  for (auto [label, size] : llvm::zip(labels, tensor.dims)) {
    auto [it, isNew] = sizes.insert({label, size});
    if (!isNew && (isOne(it->second) || (size.isConstant() && !isOne(size))))
      it->second = size;
  }
}

Tensor conversion::contractLabels(Emitter &e, const Tensor &lhs,
                                  ArrayRef<unsigned> lhsLabels,
                                  const Tensor &rhs,
                                  ArrayRef<unsigned> rhsLabels,
                                  ArrayRef<unsigned> out) {
  llvm::MapVector<unsigned, SizeExpr> sizes;
  noteSizes(sizes, lhs, lhsLabels);
  noteSizes(sizes, rhs, rhsLabels);
  Labels left(lhsLabels), right(rhsLabels);
  Tensor a = prepare(e, lhs, left, sizes), b = prepare(e, rhs, right, sizes);

  // Loops: the result's dimensions in order, then what is summed.
  Labels loops(out.begin(), out.end());
  for (const auto &[label, size] : sizes)
    if (!llvm::is_contained(loops, label))
      loops.push_back(label);
  Dims extents;
  for (unsigned label : loops)
    extents.push_back(sizes.lookup(label));
  auto getAccessMap = [&](ArrayRef<unsigned> labels) {
    SmallVector<AffineExpr> exprs;
    for (unsigned label : labels)
      exprs.push_back(e.dim(llvm::find(loops, label) - loops.begin()));
    return e.getMap(loops.size(), exprs);
  };
  return e.contract(extents, {a, getAccessMap(left)}, {b, getAccessMap(right)},
                    getAccessMap(out), promote(lhs.dtype, rhs.dtype));
}

Tensor conversion::matmul(Lowering &c, const Tensor &lhs, const Tensor &rhs) {
  if (lhs.rank() == 0 || rhs.rank() == 0) {
    c.fail("expected operands of rank 1 or more");
    return lhs;
  }
  // Labels: m 0, n 1, k 2, batch dimensions counted from the last one 3, ...
  unsigned batch =
      std::max<int64_t>({lhs.rank() - 2, rhs.rank() - 2, int64_t(0)});
  Labels left, right, out;
  for (unsigned i = 0; i < batch; ++i) {
    unsigned label = 3 + (batch - 1 - i);
    if (label - 3 < static_cast<unsigned>(std::max<int64_t>(0, lhs.rank() - 2)))
      left.push_back(label);
    if (label - 3 < static_cast<unsigned>(std::max<int64_t>(0, rhs.rank() - 2)))
      right.push_back(label);
    out.push_back(label);
  }
  if (lhs.rank() > 1) {
    left.push_back(0);
    out.push_back(0);
  }
  left.push_back(2);
  right.push_back(2);
  if (rhs.rank() > 1) {
    right.push_back(1);
    out.push_back(1);
  }
  return contractLabels(c, lhs, left, rhs, right, out);
}

Tensor conversion::linear(Lowering &c, const Tensor &x, const Tensor &weight) {
  if (x.rank() == 0 || weight.rank() == 0 || weight.rank() > 2) {
    c.fail("expected an input of rank 1 or more and a weight of rank 1 or 2");
    return x;
  }
  Labels left, out;
  for (int64_t d = 0; d + 1 < x.rank(); ++d) {
    left.push_back(2 + d);
    out.push_back(2 + d);
  }
  left.push_back(0);
  Labels right{0};
  if (weight.rank() == 2) {
    right.insert(right.begin(), 1);
    out.push_back(1);
  }
  return contractLabels(c, x, left, weight, right, out);
}

static void lowerLinear(Lowering &c) {
  Tensor x = c.tensor("input"), weight = c.tensor("weight");
  Tensor result = linear(c, x, weight);
  if (auto bias = c.optionalTensor("bias"); bias && !c.failed())
    return c.yield(c.map({result, *bias}, result.dtype, c.resultDType(),
                         [](Body &b, Args a) { return b.add(a[0], a[1]); }));
  c.yieldCast(result);
}

static void lowerMatmul(Lowering &c, StringRef lhs, StringRef rhs) {
  c.yieldCast(matmul(c, c.tensor(lhs), c.tensor(rhs)));
}

/// beta * self + alpha * product, in the compute type.
static void yieldScaledSum(Lowering &c, const Tensor &self,
                           const Tensor &product) {
  Number beta = c.has("beta") ? c.number("beta") : Number(int64_t(1));
  Number alpha = c.has("alpha") ? c.number("alpha") : Number(int64_t(1));
  DType type = product.dtype;
  auto times = [&](Body &b, Scalar value, const Number &by) {
    return by.constant() == 1.0 ? value : b.mul(value, b.constant(by, type));
  };
  // With beta zero torch does not read self, NaN or not.
  if (beta.constant() == 0.0)
    return c.yieldCast(c.expand(
        c.map({product}, type, type,
              [&](Body &b, Args a) { return times(b, a[0], alpha); }),
        c.resultDims()));
  c.yieldCast(c.map({self, product}, type, c.resultDType(),
                    [&](Body &b, Args a) {
                      return b.add(times(b, a[0], beta),
                                   times(b, a[1], alpha));
                    }));
}

static void lowerAddMatmul(Lowering &c, StringRef lhs, StringRef rhs) {
  Tensor product = matmul(c, c.tensor(lhs), c.tensor(rhs));
  if (!c.failed())
    yieldScaledSum(c, c.tensor("self"), product);
}

/// addbmm: the batch is summed too.
static void lowerAddbmm(Lowering &c) {
  Tensor lhs = c.tensor("batch1"), rhs = c.tensor("batch2");
  if (!c.checkRank(lhs, 3, "batch1") || !c.checkRank(rhs, 3, "batch2"))
    return;
  yieldScaledSum(c, c.tensor("self"),
                 contractLabels(c, lhs, {0, 1, 3}, rhs, {0, 3, 2}, {1, 2}));
}

static void lowerOuter(Lowering &c) {
  Tensor lhs = c.tensor("self"), rhs = c.tensor("vec2");
  if (!c.checkRank(lhs, 1, "self") || !c.checkRank(rhs, 1, "vec2"))
    return;
  lhs = c.reshape(lhs, {lhs.dims[0], SizeExpr(1)});
  DType type = resultType({lhs, rhs});
  c.yieldCast(c.map({lhs, rhs}, type, type, [](Body &b, Args a) {
    return b.mul(a[0], a[1]);
  }));
}

static void lowerTensordot(Lowering &c) {
  Tensor lhs = c.tensor("self"), rhs = c.tensor("other");
  SmallVector<int64_t> lhsDims = c.integers("dims_self"),
                       rhsDims = c.integers("dims_other");
  if (lhsDims.size() != rhsDims.size())
    return c.fail("dims_self and dims_other differ in length");
  Labels left, right, out;
  for (int64_t d = 0; d < lhs.rank(); ++d)
    left.push_back(d);
  for (int64_t d = 0; d < rhs.rank(); ++d)
    right.push_back(lhs.rank() + d);
  Labels summed;
  for (auto [l, r] : llvm::zip(lhsDims, rhsDims)) {
    unsigned d = c.wrapDimension(l, lhs.rank());
    right[c.wrapDimension(r, rhs.rank())] = d;
    summed.push_back(d);
  }
  for (unsigned label : left)
    if (!llvm::is_contained(summed, label))
      out.push_back(label);
  for (unsigned label : right)
    if (!llvm::is_contained(summed, label))
      out.push_back(label);
  c.yieldCast(contractLabels(c, lhs, left, rhs, right, out));
}

static void lowerVecdot(Lowering &c) {
  Tensor lhs = c.tensor("x"), rhs = c.tensor("y");
  Dims dims = c.broadcast({lhs, rhs});
  int64_t d = c.dimension("dim", dims.size());
  Labels labels, out;
  for (int64_t i = 0; i < static_cast<int64_t>(dims.size()); ++i) {
    labels.push_back(i);
    if (i != d)
      out.push_back(i);
  }
  c.yieldCast(contractLabels(c, c.expand(lhs, dims), labels,
                             c.expand(rhs, dims), labels, out));
}

/// addr: beta * self + alpha * the outer product.
static void lowerAddr(Lowering &c) {
  Tensor lhs = c.tensor("vec1"), rhs = c.tensor("vec2");
  if (!c.checkRank(lhs, 1, "vec1") || !c.checkRank(rhs, 1, "vec2"))
    return;
  yieldScaledSum(c, c.tensor("self"),
                 contractLabels(c, lhs, {0}, rhs, {1}, {0, 1}));
}

/// Products of many matrices, from left to right; vectors at the ends.
static void lowerMatrices(Lowering &c, StringRef name) {
  SmallVector<Tensor> matrices = c.tensors(name);
  if (matrices.empty())
    return c.fail("multiplies no matrices");
  Tensor result = matrices.front();
  for (const Tensor &next : llvm::drop_begin(matrices))
    result = matmul(c, result, next);
  c.yieldCast(result);
}

/// kron: each element of one times all of the other.
static void lowerKron(Lowering &c) {
  Tensor lhs = c.tensor("self"), rhs = c.tensor("other");
  int64_t rank = std::max(lhs.rank(), rhs.rank());
  auto spread = [&](const Tensor &tensor, bool outer) {
    Dims dims;
    for (int64_t d = 0; d < rank; ++d) {
      int64_t own = d - (rank - tensor.rank());
      SizeExpr size = own < 0 ? SizeExpr(1) : tensor.dims[own];
      dims.push_back(outer ? size : SizeExpr(1));
      dims.push_back(outer ? SizeExpr(1) : size);
    }
    return c.reshape(tensor, dims);
  };
  DType type = resultType({lhs, rhs});
  Tensor product =
      c.map({spread(lhs, true), spread(rhs, false)}, type, type,
            [](Body &b, Args a) { return b.mul(a[0], a[1]); });
  c.yieldCast(c.reshape(product, c.resultDims()));
}

static void lowerCross(Lowering &c) {
  Tensor lhs = c.tensor("self"), rhs = c.tensor("other");
  Dims dims = c.broadcast({lhs, rhs});
  int64_t d = 0, rank = dims.size();
  if (c.isNone("dim")) {
    while (d < rank && dims[d].getConstant() != 3)
      ++d;
  } else {
    d = c.dimension("dim", rank);
  }
  if (d >= rank || dims[d].getConstant() != 3)
    return c.fail("no dimension has 3 elements");
  DType type = resultType({lhs, rhs});
  // Element i + by of the three.
  auto turn = [&](const Tensor &tensor, int64_t by) {
    Tensor wide = c.expand(tensor, dims);
    return c.concat({c.slice(wide, d, SizeExpr(by), SizeExpr(3 - by)),
                     c.slice(wide, d, SizeExpr(0), SizeExpr(by))},
                    d);
  };
  c.yieldCast(c.map({turn(lhs, 1), turn(rhs, 2), turn(lhs, 2), turn(rhs, 1)},
                    type, type, [](Body &b, Args a) {
                      return b.sub(b.mul(a[0], a[1]), b.mul(a[2], a[3]));
                    }));
}

/// cdist: the p-norm of the difference of every pair of rows.
static void lowerCdist(Lowering &c) {
  Tensor lhs = c.tensor("x1"), rhs = c.tensor("x2");
  double p = c.real("p");
  DType type = getComputeType(c.resultDType());
  Dims dims = c.resultDims();
  if (lhs.rank() < 2 || rhs.rank() < 2 || dims.size() < 2)
    return c.fail("expected tensors of rank 2 or more");
  Dims batch(dims.begin(), dims.end() - 2);
  auto widen = [&](const Tensor &tensor) {
    Dims full = batch;
    full.append(tensor.dims.end() - 2, tensor.dims.end());
    return c.cast(c.expand(tensor, full), type);
  };
  // Loops: the batch, row of one, row of the other, column.
  int64_t n = batch.size();
  Dims loops = dims;
  loops.push_back(lhs.dims.back());
  SmallVector<AffineExpr> left, right, out;
  for (int64_t d = 0; d < n; ++d)
    left.push_back(c.dim(d));
  right = out = left;
  left.append({c.dim(n), c.dim(n + 2)});
  right.append({c.dim(n + 1), c.dim(n + 2)});
  out.append({c.dim(n), c.dim(n + 1)});
  auto map = [&](ArrayRef<AffineExpr> exprs) { return c.getMap(n + 3, exprs); };
  Tensor sum = c.structured(
      loops, {{widen(lhs), map(left)}, {widen(rhs), map(right)}}, map(out),
      type, Number(0.0), [&](Body &b, Args a) {
        Scalar gap = b.abs(b.sub(a[0], a[1]));
        if (std::isinf(p))
          return b.max(a[2], gap);
        if (p == 0.0)
          gap = b.cast(b.compare(Compare::NE, gap, b.constant(0.0, type)),
                       type);
        else if (p == 2.0)
          gap = b.mul(gap, gap);
        else if (p != 1.0)
          gap = b.math<math::PowFOp>(gap, b.constant(p, type));
        return b.add(a[2], gap);
      });
  if (std::isinf(p) || p == 0.0 || p == 1.0)
    return c.yieldCast(sum);
  c.yieldCast(c.map({sum}, type, type, [&](Body &b, Args a) {
    if (p == 2.0)
      return b.math<math::SqrtOp>(a[0]);
    return b.math<math::PowFOp>(a[0], b.constant(1.0 / p, type));
  }));
}

/// bilinear: x1[.., i] * weight[o, i, j] * x2[.., j].
static void lowerBilinear(Lowering &c) {
  Tensor x = c.tensor("input1"), y = c.tensor("input2");
  Tensor weight = c.tensor("weight");
  if (!c.checkRank(weight, 3, "weight"))
    return;
  if (x.rank() == 0 || x.rank() != y.rank())
    return c.fail("input1 and input2 differ in rank");
  // Labels: i 0, j 1, o 2, the others 3, ...
  Labels batch;
  for (int64_t d = 0; d + 1 < x.rank(); ++d)
    batch.push_back(3 + d);
  Labels xLabels = batch, yLabels = batch, half = batch, out = batch;
  xLabels.push_back(0);
  yLabels.push_back(1);
  half.append({2, 1});
  out.push_back(2);
  Tensor result = contractLabels(
      c, contractLabels(c, x, xLabels, weight, {2, 0, 1}, half), half, y,
      yLabels, out);
  if (auto bias = c.optionalTensor("bias"))
    return c.yieldCast(c.map({result, *bias}, result.dtype, c.resultDType(),
                             [](Body &b, Args a) { return b.add(a[0], a[1]); }));
  c.yieldCast(result);
}

/// The rows of `lhs` [S, K] are in groups: those from offs[e - 1] to offs[e]
/// are multiplied by rhs[e], of [E, K, N]. Rows beyond the last offset, which
/// torch leaves undefined, are zero.
static void lowerGroupedMatmul(Lowering &c, StringRef lhsName,
                               StringRef rhsName) {
  Tensor lhs = c.tensor(lhsName), rhs = c.tensor(rhsName);
  std::optional<Tensor> offsets = c.optionalTensor("offs");
  if (c.has("bias") && !c.isNone("bias"))
    return c.fail("has a bias");
  if (lhs.rank() == 3 && rhs.rank() == 3 && !offsets)
    return c.yieldCast(matmul(c, lhs, rhs));
  if (lhs.rank() != 2 || rhs.rank() != 3 || !offsets)
    return c.fail("the groups are of ranks " + Twine(lhs.rank()) + " and " +
                  Twine(rhs.rank()) + ", not of rows with a matrix each");
  DType t = DType::Int64;
  SizeExpr rows = lhs.dims[0], groups = rhs.dims[0];
  // A row's group is the number of groups that end before it.
  Tensor group = c.structured(
      {rows, groups}, {{*offsets, c.getMap(2, {c.dim(1)})}},
      c.getMap(2, {c.dim(0)}), t, Number(int64_t(0)), [&](Body &b, Args a) {
        Scalar ended =
            b.compare(Compare::LE, b.cast(a[0], t), b.index(0));
        return b.add(a[1], b.cast(ended, t));
      });
  Tensor matrix = c.map({group}, t, t, [&](Body &b, Args a) {
    return b.min(a[0], b.constant(Number(groups - SizeExpr(1)), t));
  });
  Tensor matrices = c.gather(
      rhs, {{c.zero(), 0u}, {c.dim(1), {}}, {c.dim(2), {}}},
      {{matrix, c.getMap(3, {c.dim(0)})}}, {rows, rhs.dims[1], rhs.dims[2]},
      "grouped_mm", false);
  Tensor product = contractLabels(c, lhs, {0, 1}, matrices, {0, 1, 2}, {0, 2});
  Tensor inGroup = c.map({group}, t, DType::Bool, [&](Body &b, Args a) {
    return b.compare(Compare::LT, a[0], b.constant(Number(groups), t));
  });
  c.yieldCast(c.where(c.unsqueeze(inGroup, 1), product, Number(0.0),
                      product.dtype));
}

//===----------------------------------------------------------------------===//
// einsum
//===----------------------------------------------------------------------===//

/// Labels of one operand's term. Letters are their character codes; the
/// dimensions of an ellipsis are 256 and on, counted from its last.
static std::optional<Labels> parseTerm(Lowering &c, StringRef term,
                                       int64_t rank, unsigned &ellipsis) {
  Labels labels;
  size_t letters = llvm::count_if(term, [](char ch) { return isalpha(ch); });
  for (size_t i = 0; i < term.size(); ++i) {
    if (isspace(term[i]))
      continue;
    if (term.substr(i).starts_with("...")) {
      unsigned count = rank >= 0 ? rank - letters : ellipsis;
      if (rank >= 0 && static_cast<int64_t>(letters) > rank)
        break;
      ellipsis = std::max(ellipsis, count);
      for (unsigned k = count; k > 0; --k)
        labels.push_back(256 + k - 1);
      i += 2;
      continue;
    }
    if (!isalpha(term[i])) {
      c.fail("the equation has the character '" + Twine(term[i]) + "'");
      return std::nullopt;
    }
    labels.push_back(static_cast<unsigned char>(term[i]));
  }
  if (rank >= 0 && static_cast<int64_t>(labels.size()) != rank) {
    c.fail("the term '" + term + "' does not fit a tensor of rank " +
           Twine(rank));
    return std::nullopt;
  }
  return labels;
}

static void lowerEinsum(Lowering &c) {
  StringRef equation = c.text("equation");
  SmallVector<Tensor> tensors = c.tensors("tensors");
  auto [inputs, output] = equation.split("->");
  SmallVector<StringRef> terms;
  inputs.split(terms, ',');
  if (terms.size() != tensors.size() || tensors.empty())
    return c.fail("the equation has " + Twine(terms.size()) +
                  " terms for " + Twine(tensors.size()) + " tensors");
  unsigned ellipsis = 0;
  SmallVector<Labels> labels;
  for (auto [term, tensor] : llvm::zip(terms, tensors)) {
    std::optional<Labels> parsed =
        parseTerm(c, term.trim(), tensor.rank(), ellipsis);
    if (!parsed)
      return;
    labels.push_back(*parsed);
  }
  Labels out;
  if (equation.contains("->")) {
    std::optional<Labels> parsed = parseTerm(c, output.trim(), -1, ellipsis);
    if (!parsed)
      return;
    out = *parsed;
  } else {
    // The ellipsis, then the labels that occur once, in order (capitals first,
    // as torch sorts them).
    std::map<unsigned, unsigned> counts;
    for (const Labels &list : labels)
      for (unsigned label : list)
        ++counts[label];
    for (unsigned k = ellipsis; k > 0; --k)
      out.push_back(256 + k - 1);
    for (auto [label, count] : counts)
      if (label < 256 && count == 1)
        out.push_back(label);
  }
  for (unsigned label : out)
    if (llvm::none_of(labels, [&](const Labels &list) {
          return llvm::is_contained(list, label);
        }))
      return c.fail("the equation's output has a label of no operand");

  // From left to right; a label is summed as soon as nobody else has it.
  Tensor result = tensors[0];
  Labels have = labels[0];
  auto neededLater = [&](size_t from) {
    Labels kept;
    auto note = [&](unsigned label) {
      if (llvm::is_contained(kept, label))
        return;
      bool needed = llvm::is_contained(out, label);
      for (size_t i = from; i < labels.size(); ++i)
        needed |= llvm::is_contained(labels[i], label);
      if (needed)
        kept.push_back(label);
    };
    for (unsigned label : have)
      note(label);
    if (from > 0 && from <= labels.size())
      for (unsigned label : labels[from - 1])
        note(label);
    return kept;
  };
  if (tensors.size() == 1) {
    Tensor one = c.fill({}, Number(1.0), result.dtype);
    return c.yieldCast(contractLabels(c, result, have, one, {}, out));
  }
  for (size_t i = 1; i < tensors.size(); ++i) {
    Labels kept = i + 1 == tensors.size() ? out : neededLater(i + 1);
    result =
        contractLabels(c, result, have, tensors[i], labels[i], kept);
    have = kept;
  }
  c.yieldCast(result);
}

void conversion::registerContractions(Registry &r) {
  r.add("aten.linear.default", lowerLinear);
  r.add({"aten.matmul.default", "aten.linalg_matmul.default",
         "aten.inner.default"},
        [](Lowering &c) {
          if (c.call.getBaseName() == "aten.inner") {
            Tensor lhs = c.tensor("self"), rhs = c.tensor("other");
            return c.yieldCast(linear(c, lhs, rhs));
          }
          lowerMatmul(c, "self", "other");
        });
  r.add("aten.mm.default",
        [](Lowering &c) { lowerMatmul(c, "self", "mat2"); });
  r.add("aten.bmm.default",
        [](Lowering &c) { lowerMatmul(c, "self", "mat2"); });
  r.add("aten.mv.default", [](Lowering &c) { lowerMatmul(c, "self", "vec"); });
  r.add("aten.dot.default",
        [](Lowering &c) { lowerMatmul(c, "self", "tensor"); });
  r.add("aten.vdot.default",
        [](Lowering &c) { lowerMatmul(c, "self", "other"); });
  r.add("aten.addmm.default",
        [](Lowering &c) { lowerAddMatmul(c, "mat1", "mat2"); });
  r.add("aten.addmv.default",
        [](Lowering &c) { lowerAddMatmul(c, "mat", "vec"); });
  r.add("aten.baddbmm.default",
        [](Lowering &c) { lowerAddMatmul(c, "batch1", "batch2"); });
  r.add("aten.addbmm.default", lowerAddbmm);
  r.add({"aten.outer.default", "aten.ger.default"}, lowerOuter);
  r.add("aten.tensordot.default", lowerTensordot);
  r.add("aten.linalg_vecdot.default", lowerVecdot);
  r.add("aten.addr.default", lowerAddr);
  r.add("aten.linalg_multi_dot.default",
        [](Lowering &c) { lowerMatrices(c, "tensors"); });
  r.add("aten.chain_matmul.default",
        [](Lowering &c) { lowerMatrices(c, "matrices"); });
  r.add("aten.kron.default", lowerKron);
  r.add({"aten.cross.default", "aten.linalg_cross.default"}, lowerCross);
  r.add("aten.bilinear.default", lowerBilinear);
  r.add({"aten.cdist.default", "aten._cdist_forward.default"}, lowerCdist);
  r.add("aten._grouped_mm.default",
        [](Lowering &c) { lowerGroupedMatmul(c, "self", "mat2"); });
  // What transformers calls for types that torch's own does not take.
  r.add("transformers.grouped_mm_fallback.default",
        [](Lowering &c) { lowerGroupedMatmul(c, "input", "weight"); });
  r.add("aten.einsum.default", lowerEinsum);
}
