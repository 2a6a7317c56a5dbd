//===- ResultRulesOfContractions.cpp - Sums of products -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ResultRules.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/StringExtras.h"
#include <map>

using namespace mlir;
using namespace headrace;
using namespace headrace::aten;
using namespace headrace::aten::rules;

//===----------------------------------------------------------------------===//
// Matrices
//===----------------------------------------------------------------------===//

/// The shape of `lhs @ rhs`.
static Sizes matmul(Call &c, Sizes lhs, Sizes rhs) {
  if (!c.rankAtLeast(lhs, 1, "an operand") ||
      !c.rankAtLeast(rhs, 1, "an operand"))
    return {};
  bool isRow = lhs.size() == 1, isColumn = rhs.size() == 1;
  if (isRow)
    lhs.insert(lhs.begin(), SizeExpr(1));
  if (isColumn)
    rhs.push_back(SizeExpr(1));
  SizeExpr inner = rhs[rhs.size() - 2];
  c.equal(lhs.back(), inner,
          "shapes " + toText(lhs) + " and " + toText(rhs) +
              " are multiplied");
  Sizes dims = c.broadcast({Sizes(lhs.begin(), lhs.end() - 2),
                            Sizes(rhs.begin(), rhs.end() - 2)});
  if (!isRow)
    dims.push_back(lhs[lhs.size() - 2]);
  if (!isColumn)
    dims.push_back(rhs.back());
  return dims;
}

static void giveMatmul(Call &c) {
  Sizes dims = matmul(c, c.tensor("self"), c.tensor("other"));
  c.give(dims, c.type("self"));
}

/// mm, bmm, mv, dot: operands of fixed rank.
static void giveFixedMatmul(Call &c) {
  StringRef name = c.op.getBaseName();
  name.consume_front("aten.");
  size_t left = name == "bmm" ? 3 : name.ends_with("dot") ? 1 : 2;
  size_t right = name == "bmm" ? 3 : name == "mm" ? 2 : 1;
  StringRef other = c.has("mat2")     ? "mat2"
                    : c.has("vec")    ? "vec"
                    : c.has("tensor") ? "tensor"
                                      : "other";
  Sizes lhs = c.tensor("self"), rhs = c.tensor(other);
  if (!c.rank(lhs, left, "self") || !c.rank(rhs, right, other))
    return;
  if (name == "bmm")
    c.equal(lhs[0], rhs[0], "the batches differ");
  Sizes dims = matmul(c, lhs, rhs);
  // mm and bmm of other types than the result's have it named.
  c.give(dims, c.dtypeOr("out_dtype", c.type("self")));
}

static void giveAddMatmul(Call &c) {
  StringRef name = c.op.getBaseName();
  StringRef a = "mat1", b = "mat2";
  if (c.has("batch1"))
    a = "batch1", b = "batch2";
  else if (c.has("vec"))
    a = "mat", b = "vec";
  Sizes lhs = c.tensor(a), rhs = c.tensor(b);
  bool isBatch = c.has("batch1");
  if (!c.rank(lhs, isBatch ? 3 : 2, a) ||
      !c.rank(rhs, isBatch ? 3 : b == "vec" ? 1 : 2, b))
    return;
  if (isBatch)
    c.equal(lhs[0], rhs[0], "the batches differ");
  Sizes dims = matmul(c, lhs, rhs);
  if (name.starts_with("aten.addbmm") && dims.size() == 3)
    dims.erase(dims.begin());
  if (c.failed())
    return;
  c.expandable(c.tensor("self"), dims, "self");
  c.give(dims, c.dtypeOr("out_dtype", c.type("self")));
}

static void giveLinear(Call &c) {
  Sizes input = c.tensor("input"), weight = c.tensor("weight");
  if (!c.rankAtLeast(input, 1, "input") ||
      !c.rankAtLeast(weight, 1, "weight") ||
      !c.require(weight.size() <= 2, "weight has rank " +
                                         Twine(weight.size())))
    return;
  c.equal(input.back(), weight.back(),
          "input " + toText(input) + " and weight " + toText(weight));
  input.pop_back();
  if (weight.size() == 2)
    input.push_back(weight[0]);
  if (std::optional<Sizes> bias = c.optionalTensor("bias"))
    c.expandable(*bias, input, "bias");
  c.give(input, c.type("input"));
}

static void giveInner(Call &c) {
  Sizes lhs = c.tensor("self"), rhs = c.tensor("other");
  if (lhs.empty() || rhs.empty())
    return c.give(lhs.empty() ? rhs : lhs, c.type("self"));
  c.equal(lhs.back(), rhs.back(), "the last dimensions differ");
  lhs.pop_back();
  rhs.pop_back();
  lhs.append(rhs);
  c.give(lhs, c.type("self"));
}

static void giveOuter(Call &c) {
  StringRef other = c.has("vec2") ? "vec2" : "other";
  Sizes lhs = c.tensor("self"), rhs = c.tensor(other);
  if (c.rank(lhs, 1, "self") && c.rank(rhs, 1, other))
    c.give({lhs[0], rhs[0]}, c.promoted());
}

static void giveAddOuter(Call &c) {
  Sizes lhs = c.tensor("vec1"), rhs = c.tensor("vec2");
  if (!c.rank(lhs, 1, "vec1") || !c.rank(rhs, 1, "vec2"))
    return;
  Sizes dims{lhs[0], rhs[0]};
  c.expandable(c.tensor("self"), dims, "self");
  c.give(dims, c.promoted({"self", "vec1", "vec2"}));
}

static void giveChain(Call &c) {
  SmallVector<Sizes> parts =
      c.tensors(c.has("tensors") ? "tensors" : "matrices");
  if (!c.require(!parts.empty(), "it multiplies nothing"))
    return;
  Sizes dims = parts.front();
  for (auto [i, part] : llvm::enumerate(llvm::drop_begin(parts))) {
    // A vector may stand first, as a row, and last.
    bool isLast = i + 2 == parts.size();
    if (!c.require(part.size() == 2 || (isLast && part.size() == 1),
                   "part " + Twine(i + 1) + " is no matrix"))
      return;
    dims = matmul(c, dims, part);
    if (c.failed())
      return;
  }
  c.give(dims, {});
}

static void giveKron(Call &c) {
  Sizes lhs = c.tensor("self"), rhs = c.tensor("other");
  while (lhs.size() < rhs.size())
    lhs.insert(lhs.begin(), SizeExpr(1));
  while (rhs.size() < lhs.size())
    rhs.insert(rhs.begin(), SizeExpr(1));
  for (auto [a, b] : llvm::zip_equal(lhs, rhs))
    a = a * b;
  c.give(lhs, c.promoted());
}

static void giveCross(Call &c) {
  Sizes dims = c.broadcast({c.tensor("self"), c.tensor("other")});
  if (!c.failed() && !c.isNone("dim"))
    if (int64_t d = c.dimension("dim", dims.size());
        c.rankAtLeast(dims, 1, "self"))
      c.equal(dims[d], SizeExpr(3), "the vectors' length");
  c.give(dims, c.promoted());
}

static void giveVecdot(Call &c) {
  Sizes dims = c.broadcast({c.tensor("x"), c.tensor("y")});
  if (c.failed() || !c.rankAtLeast(dims, 1, "x"))
    return;
  dims.erase(dims.begin() + c.dimension("dim", dims.size()));
  c.give(dims, c.type("x"));
}

static void giveTensordot(Call &c) {
  Sizes lhs = c.tensor("self"), rhs = c.tensor("other");
  SmallVector<int64_t> left = c.integers("dims_self"),
                       right = c.integers("dims_other");
  if (!c.require(left.size() == right.size(),
                 "the dimensions differ in number"))
    return;
  llvm::SmallBitVector leftUsed(lhs.size()), rightUsed(rhs.size());
  for (auto [a, b] : llvm::zip_equal(left, right)) {
    int64_t x = c.wrap(a, lhs.size()), y = c.wrap(b, rhs.size());
    if (!c.rankAtLeast(lhs, 1, "self") || !c.rankAtLeast(rhs, 1, "other") ||
        !c.require(!leftUsed.test(x) && !rightUsed.test(y),
                   "a dimension is given twice"))
      return;
    // One that is 1 is broadcast.
    if (lhs[x].getConstant() != 1 && rhs[y].getConstant() != 1)
      c.equal(lhs[x], rhs[y], "the contracted dimensions differ");
    leftUsed.set(x);
    rightUsed.set(y);
  }
  Sizes dims;
  for (auto [d, size] : llvm::enumerate(lhs))
    if (!leftUsed.test(d))
      dims.push_back(size);
  for (auto [d, size] : llvm::enumerate(rhs))
    if (!rightUsed.test(d))
      dims.push_back(size);
  c.give(dims, c.type("self"));
}

static void giveBilinear(Call &c) {
  Sizes x = c.tensor("input1"), y = c.tensor("input2");
  Sizes weight = c.tensor("weight");
  if (!c.rank(weight, 3, "weight") || !c.rankAtLeast(x, 1, "input1") ||
      !c.rank(y, x.size(), "input2"))
    return;
  c.equal(x.back(), weight[1], "input1 and weight");
  c.equal(y.back(), weight[2], "input2 and weight");
  x.back() = y.back() = weight[0];
  c.equal(x, y, "input1 and input2");
  if (std::optional<Sizes> bias = c.optionalTensor("bias"))
    c.expandable(*bias, x, "bias");
  c.give(x, c.type("input1"));
}

static void giveDistances(Call &c) {
  Sizes x = c.tensor("x1"), y = c.tensor("x2");
  if (!c.rankAtLeast(x, 2, "x1") || !c.rankAtLeast(y, 2, "x2"))
    return;
  c.equal(x.back(), y.back(), "the columns differ");
  Sizes dims = c.broadcast({Sizes(x.begin(), x.end() - 2),
                            Sizes(y.begin(), y.end() - 2)});
  dims.push_back(x[x.size() - 2]);
  dims.push_back(y[y.size() - 2]);
  c.give(dims, c.promotedFloat({"x1", "x2"}));
}

/// Rows in groups with a matrix each, or a batch of products.
static void giveGrouped(Call &c) {
  bool isOwn = c.has("input");
  Sizes lhs = c.tensor(isOwn ? "input" : "self");
  Sizes rhs = c.tensor(isOwn ? "weight" : "mat2");
  // Other ranks are refused where they are converted.
  if (rhs.size() != 3 || (lhs.size() != 2 && lhs.size() != 3))
    return void(c.isUnknown = true);
  c.equal(lhs.back(), rhs[1], "the rows and the matrices");
  if (lhs.size() == 3)
    c.equal(lhs[0], rhs[0], "the batches differ");
  else if (std::optional<Sizes> offsets = c.optionalTensor("offs"))
    c.equal(*offsets, {rhs[0]}, "there is an offset for each matrix");
  lhs.back() = rhs[2];
  c.give(lhs, c.dtypeOr("out_dtype", c.type(isOwn ? "input" : "self")));
}

//===----------------------------------------------------------------------===//
// Einsum
//===----------------------------------------------------------------------===//

/// Labels of a term; false if it has an ellipsis or what is no letter.
static bool readLabels(StringRef term, SmallVectorImpl<char> &labels) {
  for (char label : term) {
    if (label == ' ')
      continue;
    if (!llvm::isAlpha(label))
      return false;
    labels.push_back(label);
  }
  return true;
}

static void giveEinsum(Call &c) {
  StringRef equation = c.op.getString("equation").value_or("");
  SmallVector<Sizes> tensors = c.tensors("tensors");
  auto [inputs, output] = equation.split("->");
  SmallVector<StringRef> terms;
  inputs.split(terms, ',');
  if (!c.require(terms.size() == tensors.size(),
                 "the equation has " + Twine(terms.size()) + " terms for " +
                     Twine(tensors.size()) + " tensors"))
    return;
  llvm::MapVector<char, SizeExpr> sizes;
  std::map<char, unsigned> counts;
  for (auto [term, dims] : llvm::zip_equal(terms, tensors)) {
    SmallVector<char> labels;
    // What an ellipsis stands for is worked out where it is converted.
    if (!readLabels(term, labels))
      return void(c.isUnknown = true);
    if (!c.require(labels.size() == dims.size(),
                   "the term '" + term + "' does not fit rank " +
                       Twine(dims.size())))
      return;
    for (auto [label, size] : llvm::zip_equal(labels, dims)) {
      ++counts[label];
      auto [it, isNew] = sizes.insert({label, size});
      if (isNew || size == SizeExpr(1))
        continue;
      if (it->second == SizeExpr(1))
        it->second = size;
      c.equal(size, it->second,
              "the label '" + Twine(std::string(1, label)) + "'");
    }
  }
  SmallVector<char> out;
  if (equation.contains("->")) {
    if (!readLabels(output, out))
      return void(c.isUnknown = true);
  } else {
    for (auto [label, count] : counts)
      if (count == 1)
        out.push_back(label);
  }
  Sizes dims;
  for (char label : out) {
    auto it = sizes.find(label);
    if (!c.require(it != sizes.end(),
                   "the equation's output has a label of no operand"))
      return;
    dims.push_back(it->second);
  }
  c.give(dims, {});
}

void rules::addContractions(Table &table) {
  auto add = [&](Rule rule, std::initializer_list<StringRef> names) {
    for (StringRef name : names)
      table[name] = rule;
  };
  add(giveMatmul, {"matmul", "linalg_matmul"});
  add(giveFixedMatmul, {"mm", "bmm", "mv", "dot", "vdot"});
  add(giveAddMatmul, {"addmm", "addmv", "baddbmm", "addbmm"});
  add(giveLinear, {"linear"});
  add(giveInner, {"inner"});
  add(giveOuter, {"outer", "ger"});
  add(giveAddOuter, {"addr"});
  add(giveChain, {"linalg_multi_dot", "chain_matmul"});
  add(giveKron, {"kron"});
  add(giveCross, {"cross", "linalg_cross"});
  add(giveVecdot, {"linalg_vecdot"});
  add(giveTensordot, {"tensordot"});
  add(giveBilinear, {"bilinear"});
  add(giveDistances, {"cdist", "_cdist_forward"});
  add(giveGrouped, {"_grouped_mm", "transformers.grouped_mm_fallback"});
  add(giveEinsum, {"einsum"});
}
