//===- ViewStep.cpp - What a view operator does to its tensor -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Schemas say which results may alias an argument; the types say which do: the
// exporter recorded the strides that eager gave each tensor. Some operators
// that are composed of others return their argument without their schema
// saying so; they are listed here.
//
//===----------------------------------------------------------------------===//
#include "ViewStep.h"
#include "headrace/Support/SizeCondition.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace headrace;
using Kind = ViewStep::Kind;

//===----------------------------------------------------------------------===//
// Strided selections
//===----------------------------------------------------------------------===//

static ViewStep makeStrided(unsigned sourceRank, unsigned resultRank) {
  ViewStep step;
  step.kind = Kind::Strided;
  step.offsets.assign(sourceRank, SizeExpr(0));
  step.coefficients.assign(sourceRank,
                           SmallVector<int64_t>(resultRank, 0));
  return step;
}

ViewStep ViewStep::identityMap(unsigned rank) {
  ViewStep step = makeStrided(rank, rank);
  for (unsigned d = 0; d < rank; ++d)
    step.coefficients[d][d] = 1;
  return step;
}

ViewStep ViewStep::then(const ViewStep &inner) const {
  unsigned middle = inner.coefficients.size();
  unsigned rank = middle ? inner.coefficients.front().size() : 0;
  ViewStep step = makeStrided(coefficients.size(), rank);
  for (auto [d, row] : llvm::enumerate(coefficients)) {
    step.offsets[d] = offsets[d];
    for (unsigned m = 0; m < middle; ++m) {
      step.offsets[d] =
          step.offsets[d] + inner.offsets[m] * SizeExpr(row[m]);
      for (unsigned r = 0; r < rank; ++r)
        step.coefficients[d][r] += row[m] * inner.coefficients[m][r];
    }
  }
  return step;
}

AffineMap ViewStep::getMap(MLIRContext *context, unsigned resultRank) const {
  SmallVector<AffineExpr> results;
  for (const SmallVector<int64_t> &row : coefficients) {
    AffineExpr sum = getAffineConstantExpr(0, context);
    for (auto [d, coefficient] : llvm::enumerate(row))
      sum = sum + getAffineDimExpr(d, context) * coefficient;
    results.push_back(sum);
  }
  return AffineMap::get(resultRank, 0, results, context);
}

bool ViewStep::isInjective(ArrayRef<SizeExpr> dims) const {
  // Dimensions of size 1 (or 0) move nothing.
  SmallVector<unsigned> pending;
  for (auto [d, dim] : llvm::enumerate(dims)) {
    std::optional<int64_t> size = dim.getConstant();
    if (!size || *size > 1)
      pending.push_back(d);
  }
  // A source dimension that depends on one open result dimension fixes it; on
  // several, if each stride exceeds the reach of the smaller ones.
  bool changed = true;
  while (changed && !pending.empty()) {
    changed = false;
    for (const SmallVector<int64_t> &row : coefficients) {
      SmallVector<std::pair<int64_t, unsigned>> used;
      for (unsigned d : pending)
        if (row[d] != 0)
          used.emplace_back(std::abs(row[d]), d);
      llvm::sort(used);
      int64_t reach = 0;
      bool isUnique = !used.empty();
      for (auto [i, entry] : llvm::enumerate(used)) {
        auto [stride, d] = entry;
        if (stride <= reach) {
          isUnique = false;
          break;
        }
        std::optional<int64_t> size = dims[d].getConstant();
        if (!size && i + 1 != used.size()) {
          isUnique = false;
          break;
        }
        if (size)
          reach += stride * (*size - 1);
      }
      if (!isUnique)
        continue;
      for (auto [stride, d] : used)
        llvm::erase(pending, d);
      changed = true;
    }
  }
  return pending.empty();
}

//===----------------------------------------------------------------------===//
// Strides
//===----------------------------------------------------------------------===//

static bool isRowMajor(Type type, ArrayRef<SizeExpr> strides) {
  SmallVector<SizeExpr> dims = aten::getDims(type);
  SmallVector<SizeExpr> rowMajor = aten::getRowMajorStrides(dims);
  for (auto [d, dim] : llvm::enumerate(dims))
    if (dim.getConstant() != 1 && strides[d] != rowMajor[d])
      return false;
  return true;
}

/// Eager's strides of a value: of a weight they are an attribute.
static SmallVector<SizeExpr> getEagerStrides(Value value) {
  if (Operation *op = value.getDefiningOp())
    if (auto strides = op->getAttrOfType<ArrayAttr>("aten.strides"))
      return llvm::map_to_vector(strides, [](Attribute size) {
        return cast<hr::SizeAttr>(size).getExpr();
      });
  return aten::getStrides(value.getType());
}

/// Equal strides wherever they matter.
static bool hasSameStrides(Value a, Value b) {
  SmallVector<SizeExpr> dims = aten::getDims(a.getType());
  SmallVector<SizeExpr> x = getEagerStrides(a), y = getEagerStrides(b);
  if (x.size() != y.size())
    return false;
  for (auto [d, dim] : llvm::enumerate(dims))
    if (dim.getConstant() != 1 && x[d] != y[d])
      return false;
  return true;
}

/// A copy, because the source has not these strides. It has where each dimension
/// that differs is of one element. (Nobody can tell of an empty one.)
static ViewStep makeCopyUnless(Value source, ArrayRef<SizeExpr> strides) {
  ViewStep step;
  SmallVector<SizeExpr> dims = aten::getDims(source.getType());
  SmallVector<SizeExpr> own = getEagerStrides(source);
  if (own.size() != strides.size() || dims.size() != own.size())
    return step;
  SizeExpr same = condition::always();
  for (auto [dim, mine, theirs] : llvm::zip_equal(dims, own, strides))
    same = condition::both(
        same, condition::either(condition::atMost(dim, 1),
                                condition::equal(mine, theirs)));
  step.aliasesIf = same;
  return step;
}

/// A reshape is a view unless eager has to reorder: then its result is
/// row-major and its source was not.
static Kind classifyReshape(Value source, Value result) {
  if (isRowMajor(source.getType(), getEagerStrides(source)))
    return Kind::Reshape;
  if (!isRowMajor(result.getType(), aten::getStrides(result.getType())))
    return Kind::Reshape;
  // A tensor of one element can always be viewed.
  if (llvm::all_of(aten::getDims(source.getType()), [](const SizeExpr &dim) {
        return dim.getConstant() == 1;
      }))
    return Kind::Reshape;
  // Row-major and the same strides: the same view.
  return Kind::Copy;
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

namespace {
/// The step of one result of one call.
class Classifier {
public:
  Classifier(aten::CallOp call, unsigned number, Value source,
             const SymbolRanges &ranges)
      : call(call), number(number), source(source),
        result(call.getResult(number)), ranges(ranges),
        from(aten::getDims(source.getType())),
        to(aten::getDims(result.getType())) {}

  ViewStep run() {
    StringRef name = call.getBaseName();
    name.consume_front("aten.");
    using Method = ViewStep (Classifier::*)();
    Method method =
        llvm::StringSwitch<Method>(name)
            .Cases({"alias", "detach", "lift_fresh", "detach_", "lift"},
                   &Classifier::identity)
            .Cases({"resolve_conj", "resolve_neg", "conj", "_conj"},
                   &Classifier::ofReal)
            .Cases({"dropout", "feature_dropout", "alpha_dropout",
                    "feature_alpha_dropout"},
                   &Classifier::dropout)
            .Cases({"to", "type_as", "contiguous"}, &Classifier::conversion)
            .Cases({"view", "_unsafe_view", "_reshape_alias", "view_as",
                    "reshape", "reshape_as", "flatten", "unflatten", "ravel"},
                   &Classifier::reshape)
            .Cases({"transpose", "swapaxes", "swapdims"},
                   &Classifier::transpose)
            .Cases({"t", "numpy_T", "mT", "matrix_H", "mH", "adjoint"},
                   &Classifier::transposeAll)
            .Case("permute", &Classifier::permute)
            .Cases({"movedim", "moveaxis"}, &Classifier::moveDimensions)
            .Case("unsqueeze", &Classifier::unsqueeze)
            .Case("squeeze", &Classifier::squeeze)
            .Case("select", &Classifier::select)
            .Case("unbind", &Classifier::unbind)
            .Cases({"slice", "narrow"}, &Classifier::slice)
            .Cases({"split", "split_with_sizes", "chunk", "tensor_split"},
                   &Classifier::split)
            .Cases({"expand", "expand_as", "broadcast_to"},
                   &Classifier::expand)
            .Case("diagonal", &Classifier::diagonal)
            .Case("unfold", &Classifier::unfold)
            .Default(&Classifier::opaque);
    return (this->*method)();
  }

private:
  static ViewStep ofKind(Kind kind) {
    ViewStep step;
    step.kind = kind;
    return step;
  }
  ViewStep strided() { return makeStrided(from.size(), to.size()); }

  ViewStep identity() { return ofKind(Kind::Identity); }
  ViewStep opaque() { return ofKind(Kind::Opaque); }

  ViewStep ofReal() {
    auto type = cast<RankedTensorType>(source.getType());
    return ofKind(isa<ComplexType>(type.getElementType()) ? Kind::Opaque
                                                          : Kind::Identity);
  }

  ViewStep dropout() {
    bool isIdentity = call.getBool("train") == false || call.getFloat("p") == 0;
    return ofKind(isIdentity ? Kind::Identity : Kind::Copy);
  }

  /// `to` and the like return the tensor itself if nothing changes.
  ViewStep conversion() {
    if (call.getBool("copy") == true)
      return ofKind(Kind::Copy);
    auto type = cast<RankedTensorType>(source.getType());
    auto resultType = cast<RankedTensorType>(result.getType());
    if (type.getElementType() != resultType.getElementType())
      return ofKind(Kind::Copy);
    // Changed strides mean another memory format.
    return hasSameStrides(source, result)
               ? ofKind(Kind::Identity)
               : makeCopyUnless(source, getEagerStrides(result));
  }

  ViewStep reshape() {
    auto type = cast<RankedTensorType>(source.getType());
    auto resultType = cast<RankedTensorType>(result.getType());
    // `view.dtype`.
    if (type.getElementType() != resultType.getElementType())
      return ofKind(Kind::Opaque);
    StringRef name = call.getBaseName();
    if (from == to) {
      if (name == "aten.view" || hasSameStrides(source, result))
        return ofKind(Kind::Identity);
    } else if (name == "aten.view" || name == "aten._unsafe_view" ||
               name == "aten.view_as" || name == "aten._reshape_alias") {
      return ofKind(Kind::Reshape);
    }
    Kind kind = classifyReshape(source, result);
    return kind == Kind::Copy
               ? makeCopyUnless(source, aten::getRowMajorStrides(from))
               : ofKind(kind);
  }

  /// A dimension argument, counted from the end if negative.
  std::optional<unsigned> dimension(StringRef name, size_t rank) {
    return wrap(call.getInt(name), rank);
  }
  static std::optional<unsigned> wrap(std::optional<int64_t> dim,
                                      size_t rank) {
    if (!dim)
      return std::nullopt;
    int64_t size = static_cast<int64_t>(std::max<size_t>(rank, 1));
    int64_t wrapped = *dim < 0 ? *dim + size : *dim;
    if (wrapped < 0 || wrapped >= size)
      return std::nullopt;
    return static_cast<unsigned>(wrapped);
  }

  ViewStep permuted(ArrayRef<unsigned> order) {
    if (order.size() != from.size() || from.size() != to.size())
      return opaque();
    ViewStep step = strided();
    for (auto [d, source] : llvm::enumerate(order))
      step.coefficients[source][d] = 1;
    return step;
  }

  ViewStep transpose() {
    std::optional<unsigned> a = dimension(call.hasArg("dim0")    ? "dim0"
                                          : call.hasArg("axis0") ? "axis0"
                                                                 : "dim0",
                                          from.size());
    std::optional<unsigned> b =
        dimension(call.hasArg("dim1") ? "dim1" : "axis1", from.size());
    if (!a || !b)
      return opaque();
    if (from.empty())
      return identity();
    auto order = llvm::to_vector(llvm::seq<unsigned>(0, from.size()));
    std::swap(order[*a], order[*b]);
    return permuted(order);
  }

  ViewStep transposeAll() {
    auto order = llvm::to_vector(llvm::seq<unsigned>(0, from.size()));
    StringRef name = call.getBaseName();
    if (name == "aten.t" || name == "aten.numpy_T")
      std::reverse(order.begin(), order.end());
    else if (order.size() >= 2 && name == "aten.mT")
      std::swap(order[order.size() - 1], order[order.size() - 2]);
    else
      return opaque();
    return permuted(order);
  }

  ViewStep moveDimensions() {
    auto list = [&](StringRef name) {
      if (std::optional<int64_t> one = call.getInt(name))
        return SmallVector<int64_t>{*one};
      return call.getIntList(name).value_or(SmallVector<int64_t>());
    };
    std::optional<SmallVector<int64_t>> order =
        aten::getMovedOrder(list("source"), list("destination"), from.size());
    if (!order)
      return opaque();
    return permuted(SmallVector<unsigned>(order->begin(), order->end()));
  }

  ViewStep permute() {
    std::optional<SmallVector<int64_t>> dims = call.getIntList("dims");
    if (!dims)
      return opaque();
    SmallVector<unsigned> order;
    for (int64_t dim : *dims) {
      std::optional<unsigned> wrapped = wrap(dim, from.size());
      if (!wrapped || llvm::is_contained(order, *wrapped))
        return opaque();
      order.push_back(*wrapped);
    }
    return permuted(order);
  }

  ViewStep unsqueeze() {
    std::optional<unsigned> dim = dimension("dim", to.size());
    if (!dim || to.size() != from.size() + 1)
      return opaque();
    ViewStep step = strided();
    for (unsigned d = 0; d < from.size(); ++d)
      step.coefficients[d][d < *dim ? d : d + 1] = 1;
    return step;
  }

  ViewStep squeeze() {
    std::optional<SmallVector<int64_t>> dims = call.getIntList("dim");
    SmallVector<bool> asked(from.size(), !call.hasArg("dim"));
    if (call.hasArg("dim")) {
      if (!dims)
        return opaque();
      for (int64_t dim : *dims)
        if (std::optional<unsigned> wrapped = wrap(dim, from.size()))
          if (!from.empty())
            asked[*wrapped] = true;
    }
    ViewStep step = strided();
    unsigned next = 0;
    for (unsigned d = 0; d < from.size(); ++d) {
      if (asked[d] && from[d].getConstant() == 1)
        continue;
      if (next >= to.size())
        return opaque();
      step.coefficients[d][next++] = 1;
    }
    return next == to.size() ? step : opaque();
  }

  bool isAtLeast(const SizeExpr &a, const SizeExpr &b) {
    return b.isLessEqual(a, ranges);
  }

  /// All dimensions but `dim`, in order.
  ViewStep withoutDimension(unsigned dim, SizeExpr offset) {
    if (to.size() + 1 != from.size())
      return opaque();
    ViewStep step = strided();
    step.offsets[dim] = std::move(offset);
    for (unsigned d = 0; d < to.size(); ++d)
      step.coefficients[d < dim ? d : d + 1][d] = 1;
    return step;
  }

  ViewStep select() {
    std::optional<unsigned> dim = dimension("dim", from.size());
    std::optional<SizeExpr> index = call.getSize("index");
    if (!dim || from.empty() || !index)
      return opaque();
    if (isAtLeast(SizeExpr(-1), *index))
      index = *index + from[*dim];
    else if (!isAtLeast(*index, SizeExpr(0)))
      return opaque();
    return withoutDimension(*dim, *index);
  }

  ViewStep unbind() {
    std::optional<unsigned> dim = dimension("dim", from.size());
    if (!dim || from.empty())
      return opaque();
    return withoutDimension(*dim, SizeExpr(number));
  }

  /// One dimension shifted by `offset` and spread by `factor`.
  ViewStep window(unsigned dim, SizeExpr offset, int64_t factor) {
    if (to.size() != from.size())
      return opaque();
    ViewStep step = ViewStep::identityMap(from.size());
    step.offsets[dim] = std::move(offset);
    step.coefficients[dim][dim] = factor;
    return step;
  }

  ViewStep slice() {
    std::optional<unsigned> dim = dimension("dim", from.size());
    if (!dim || from.empty())
      return opaque();
    SizeExpr start(0);
    if (!call.isNone("start")) {
      std::optional<SizeExpr> given = call.getSize("start");
      if (!given)
        return opaque();
      start = *given;
    }
    const SizeExpr &size = from[*dim];
    if (isAtLeast(SizeExpr(-1), start))
      start = SizeExpr::max(start + size, SizeExpr(0));
    else if (!isAtLeast(start, SizeExpr(0)))
      return opaque();
    if (!start.isLessEqual(size, ranges))
      start = SizeExpr::min(start, size);
    std::optional<int64_t> step = 1;
    if (call.hasArg("step"))
      step = call.getInt("step");
    if (!step || *step < 1)
      return opaque();
    return window(*dim, start, *step);
  }

  ViewStep split() {
    std::optional<unsigned> dim = dimension("dim", from.size());
    if (!dim || from.empty())
      return opaque();
    SizeExpr offset(0);
    for (unsigned i = 0; i < number; ++i) {
      SmallVector<SizeExpr> before =
          aten::getDims(call.getResult(i).getType());
      if (*dim >= before.size())
        return opaque();
      offset = offset + before[*dim];
    }
    return window(*dim, offset, 1);
  }

  ViewStep expand() {
    if (to.size() < from.size())
      return opaque();
    ViewStep step = strided();
    size_t added = to.size() - from.size();
    for (unsigned d = 0; d < from.size(); ++d)
      if (from[d] == to[d + added])
        step.coefficients[d][d + added] = 1;
      else if (from[d].getConstant() != 1)
        return opaque();
    return step;
  }

  ViewStep diagonal() {
    std::optional<unsigned> a = dimension("dim1", from.size());
    std::optional<unsigned> b = dimension("dim2", from.size());
    std::optional<int64_t> offset = call.getInt("offset");
    if (!a || !b || *a == *b || !offset || to.size() + 1 != from.size())
      return opaque();
    ViewStep step = strided();
    unsigned next = 0, last = to.size() - 1;
    for (unsigned d = 0; d < from.size(); ++d)
      step.coefficients[d][d == *a || d == *b ? last : next++] = 1;
    step.offsets[*a] = SizeExpr(std::max<int64_t>(-*offset, 0));
    step.offsets[*b] = SizeExpr(std::max<int64_t>(*offset, 0));
    return step;
  }

  ViewStep unfold() {
    std::optional<unsigned> dim = dimension("dimension", from.size());
    std::optional<int64_t> stride = call.getInt("step");
    if (!dim || !stride || to.size() != from.size() + 1)
      return opaque();
    ViewStep step = strided();
    for (unsigned d = 0; d < from.size(); ++d)
      step.coefficients[d][d] = d == *dim ? *stride : 1;
    // Rank 0 has dimension 0 in name only: its element is all of the window.
    if (!from.empty())
      step.coefficients[*dim][to.size() - 1] = 1;
    return step;
  }

  aten::CallOp call;
  unsigned number;
  Value source, result;
  const SymbolRanges &ranges;
  SmallVector<SizeExpr> from, to;
};
} // namespace

/// Operators that may return an argument, or a view of it, although their
/// schema does not say so, because they are composed of others.
static bool mayAliasSilently(StringRef name) {
  return llvm::StringSwitch<bool>(name)
      .Cases({"aten.dropout", "aten.feature_dropout", "aten.alpha_dropout",
              "aten.feature_alpha_dropout", "aten.type_as", "aten.ravel",
              "aten.lift"},
             true)
      .Default(false);
}

/// The same, where it cannot be said of which argument.
static bool isUnclear(aten::CallOp call, StringRef name) {
  // Several operands are multiplied into a new tensor; one may come back.
  if (name == "aten.einsum" || name == "aten.cartesian_prod")
    return call.getTensorList("tensors").size() < 2;
  return llvm::StringSwitch<bool>(name)
      .Cases({"aten.meshgrid", "aten.broadcast_tensors", "aten.atleast_1d",
              "aten.atleast_2d", "aten.atleast_3d", "aten.resolve_conj"},
             true)
      .Default(false);
}

ViewStep headrace::getViewStep(aten::CallOp call, unsigned number,
                               const SymbolRanges &ranges, Value &source) {
  source = Value();
  ViewStep step;
  const aten::Schema *schema = call.getSchema();
  if (!schema || !isa<RankedTensorType>(call.getResult(number).getType()))
    return step;
  StringRef name = schema->getBaseName();
  if (isUnclear(call, name)) {
    step.kind = Kind::Unknown;
    return step;
  }
  bool isList =
      schema->results.size() == 1 && schema->results[0].isTensorList();
  const aten::SchemaType &type = schema->results[isList ? 0 : number];
  // `Tensor(a -> *) self` gives `Tensor(a)[]`: the first argument with an alias
  // set that is not written.
  for (const aten::SchemaArg &arg : schema->args) {
    if (!arg.type.isTensor() || arg.type.isWritten)
      continue;
    bool isAlias = !type.alias.empty() && !arg.type.alias.empty() &&
                   (type.alias == arg.type.alias || isList);
    if (!isAlias && !mayAliasSilently(name))
      continue;
    source = call.getTensor(arg.name);
    break;
  }
  if (!source)
    return step;
  return Classifier(call, number, source, ranges).run();
}

/// Whether two elements of a new tensor would share memory. Constants only.
static bool overlaps(ArrayRef<SizeExpr> dims, ArrayRef<SizeExpr> strides) {
  SmallVector<std::pair<int64_t, int64_t>> steps; // stride and size
  for (auto [dim, stride] : llvm::zip_equal(dims, strides)) {
    std::optional<int64_t> size = dim.getConstant();
    std::optional<int64_t> step = stride.getConstant();
    if (!size || *size == 0 || !step)
      return false;
    if (*size > 1)
      steps.emplace_back(*step, *size);
  }
  llvm::sort(steps);
  int64_t reach = 0;
  for (auto [step, size] : steps) {
    if (step <= reach)
      return true;
    reach = llvm::SaturatingMultiplyAdd<uint64_t>(step, size - 1, reach);
  }
  return false;
}

/// Why the declared strides of result `number`, which is `step` of `source`
/// (null: a new tensor), cannot be eager's; empty if they may be.
static std::string getStrideError(aten::CallOp call, unsigned number,
                                  const ViewStep &step, Value source) {
  Value result = call.getResult(number);
  SmallVector<SizeExpr> dims = aten::getDims(result.getType());
  SmallVector<SizeExpr> declared = aten::getStrides(result.getType());
  auto toText = [](ArrayRef<SizeExpr> strides) {
    return "[" +
           llvm::join(llvm::map_range(strides, [](const SizeExpr &stride) {
                        return stride.str();
                      }), ", ") + "]";
  };
  if (!source || step.kind == Kind::Copy) {
    // Whoever asks for strides may ask for any.
    if (call.getBaseName().contains("strided") || !overlaps(dims, declared))
      return {};
    return "the strides " + toText(declared) +
           " of a new tensor put two elements into one place";
  }
  SmallVector<SizeExpr> from = getEagerStrides(source), expected;
  if (step.kind == Kind::Identity) {
    expected = from;
  } else if (step.kind == Kind::Strided) {
    expected.assign(dims.size(), SizeExpr(0));
    for (auto [row, stride] : llvm::zip_equal(step.coefficients, from))
      for (auto [sum, coefficient] : llvm::zip_equal(expected, row))
        sum = sum + stride * SizeExpr(coefficient);
  } else if (step.kind == Kind::Reshape &&
             isRowMajor(source.getType(), from)) {
    expected = aten::getRowMajorStrides(dims);
  }
  if (expected.size() != dims.size() ||
      llvm::is_contained(dims, SizeExpr(0)))
    return {};
  for (auto [dim, want, have] : llvm::zip_equal(dims, expected, declared))
    if (dim.getConstant() != 1 && (want - have).getConstant().value_or(0) != 0)
      return "its result is declared with the strides " + toText(declared) +
             " but the arguments give " + toText(expected);
  return {};
}

LogicalResult headrace::verifyStrides(aten::CallOp call,
                                      const SymbolRanges &ranges) {
  // What is written in place comes back as it is.
  if (!call.getSchema() || call.getSchema()->isMutating())
    return success();
  for (unsigned i = 0; i < call.getNumResults(); ++i) {
    if (!isa<RankedTensorType>(call.getResult(i).getType()))
      continue;
    Value source;
    ViewStep step = getViewStep(call, i, ranges, source);
    if (step.kind == Kind::Unknown)
      continue;
    if (std::string why = getStrideError(call, i, step, source); !why.empty())
      return call.emitError("'")
             << call.getCallee() << "' contradicts itself: " << why;
  }
  return success();
}
