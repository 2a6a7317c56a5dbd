//===- ResultTypes.cpp - What operators make of their arguments -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The mechanism: arguments, relations of sizes, comparison with what is
// declared. Rules are in ResultRulesOf*.cpp.
//
// A relation holds for all sizes within the ranges, for none, or for some. None
// is the program's contradiction. Some is what torch's guards decide: the caller
// is told of it.
//
//===----------------------------------------------------------------------===//
#include "ResultRules.h"
#include "headrace/Dialect/Aten/Promotion.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::aten;
using namespace headrace::aten::rules;

std::string rules::toText(ArrayRef<SizeExpr> dims) {
  std::string text = "[";
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(dims, os,
                        [&](const SizeExpr &size) { os << size.str(); });
  return text + "]";
}

SizeExpr rules::product(ArrayRef<SizeExpr> sizes) {
  SizeExpr result(1);
  for (const SizeExpr &size : sizes)
    result = result * size;
  return result;
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Sizes Call::tensor(StringRef name) {
  if (Value value = op.getTensor(name))
    return getDims(value.getType());
  return {};
}

std::optional<Sizes> Call::optionalTensor(StringRef name) {
  if (isNone(name))
    return std::nullopt;
  return tensor(name);
}

SmallVector<Sizes> Call::tensors(StringRef name) {
  SmallVector<Sizes> shapes;
  for (Value value : op.getTensorList(name))
    shapes.push_back(value ? getDims(value.getType()) : Sizes());
  return shapes;
}

Type Call::type(StringRef name) {
  Value value = op.getTensor(name);
  return value ? cast<RankedTensorType>(value.getType()).getElementType()
               : Type();
}

Element Call::dtypeOr(StringRef name, Element otherwise) {
  Type given = op.getDType(name);
  return given ? Element(given) : otherwise;
}

Element Call::promoted(ArrayRef<StringRef> names) {
  // A factor is converted to the others' type.
  SmallVector<StringRef> operands(names);
  if (operands.empty())
    for (const SchemaArg &arg : op.getSchema()->args)
      if ((arg.type.base == SchemaType::Base::Tensor ||
           arg.type.base == SchemaType::Base::Scalar) &&
          arg.name != "alpha" && arg.name != "beta" && arg.name != "value")
        operands.push_back(arg.name);
  Type type = getPromotedType(op, operands);
  // Python's floats have the default float type of the export, and a size that
  // was converted to a float is told from one that was not nowhere.
  bool hasFloats = llvm::any_of(op.getInputs().getTypes(), [](Type input) {
    return isa<FloatType>(cast<RankedTensorType>(input).getElementType());
  });
  if (isa_and_nonnull<FloatType>(type))
    return hasFloats ? Element(type) : Element::anyFloat();
  bool hasSizes = llvm::any_of(op.getArgs(), [](Attribute value) {
    return isa<hr::SizeAttr>(value);
  });
  return hasSizes ? Element() : Element(type);
}

Element Call::promotedFloat(ArrayRef<StringRef> names) {
  Element element = promoted(names);
  if (element.kind == Element::Kind::Exact && isa<FloatType>(element.type))
    return element;
  return Element::anyFloat();
}

int64_t Call::integer(StringRef name) {
  if (std::optional<int64_t> value = op.getInt(name))
    return *value;
  isUnknown = true;
  return 0;
}

int64_t Call::integerOr(StringRef name, int64_t otherwise) {
  return isNone(name) ? otherwise : integer(name);
}

SizeExpr Call::size(StringRef name) {
  if (std::optional<SizeExpr> value = op.getSize(name))
    return *value;
  isUnknown = true;
  return SizeExpr(0);
}

Sizes Call::sizes(StringRef name) {
  if (std::optional<Sizes> list = op.getSizeList(name))
    return *list;
  isUnknown = true;
  return {};
}

SmallVector<int64_t> Call::integers(StringRef name) {
  if (std::optional<SmallVector<int64_t>> list = op.getIntList(name))
    return *list;
  isUnknown = true;
  return {};
}

SmallVector<int64_t> Call::integers(StringRef name, size_t count,
                                    int64_t ifEmpty) {
  SmallVector<int64_t> list = integers(name);
  if (list.empty())
    list.push_back(ifEmpty);
  if (list.size() == 1)
    list.assign(count, list.front());
  if (!require(list.size() == count, "'" + name + "' has " +
                                         Twine(list.size()) +
                                         " values, not " + Twine(count)))
    list.assign(count, ifEmpty);
  return list;
}

bool Call::flag(StringRef name) { return op.getBool(name).value_or(false); }

int64_t Call::wrap(int64_t dim, int64_t rank) {
  int64_t count = std::max<int64_t>(rank, 1);
  if (dim >= -count && dim < count)
    return dim < 0 ? dim + count : dim;
  fail("dimension " + Twine(dim) + " is not in [" + Twine(-count) + ", " +
       Twine(count) + ")");
  return 0;
}

int64_t Call::dimension(StringRef name, int64_t rank) {
  return wrap(integer(name), rank);
}

SmallVector<int64_t> Call::dimensions(StringRef name, int64_t rank) {
  SmallVector<int64_t> dims;
  if (has(name) && !isNone(name))
    for (int64_t dim : integers(name))
      dims.push_back(wrap(dim, rank));
  llvm::sort(dims);
  for (size_t i = 1; i < dims.size(); ++i)
    require(dims[i] != dims[i - 1],
            "dimension " + Twine(dims[i]) + " is given twice");
  if (dims.empty())
    dims = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  // A scalar has dimension 0 in name only.
  if (rank == 0)
    dims.clear();
  return dims;
}

//===----------------------------------------------------------------------===//
// Relations
//===----------------------------------------------------------------------===//

void Call::relate(const SizeExpr &nonNegative, const Twine &why) {
  if (failed())
    return;
  Interval bounds = nonNegative.bounds(ranges);
  if (bounds.max < 0)
    return fail(why);
  if (bounds.min < 0)
    unproved(nonNegative);
}

void Call::equal(const SizeExpr &a, const SizeExpr &b, const Twine &what) {
  if (a == b)
    return;
  SizeExpr difference = a - b;
  Interval bounds = difference.bounds(ranges);
  if (bounds.min > 0 || bounds.max < 0)
    return fail(what + ": " + a.str() + " is not " + b.str());
  relate(difference, what);
  relate(SizeExpr(0) - difference, what);
}

void Call::equal(const Sizes &a, const Sizes &b, const Twine &what) {
  if (!require(a.size() == b.size(),
               what + ": " + toText(a) + " is not " + toText(b)))
    return;
  for (auto [x, y] : llvm::zip_equal(a, b))
    equal(x, y, what);
}

void Call::atLeast(const SizeExpr &size, int64_t least, const Twine &what) {
  relate(size - SizeExpr(least), what + " is " + size.str());
}

void Call::atMost(const SizeExpr &a, const SizeExpr &b, const Twine &what) {
  relate(b - a, what + ": " + a.str() + " is more than " + b.str());
}

void Call::expandable(const Sizes &dims, const Sizes &target,
                      const Twine &what) {
  if (!require(dims.size() <= target.size(),
               what + " of shape " + toText(dims) +
                   " does not broadcast to " + toText(target)))
    return;
  for (auto [from, to] :
       llvm::zip(llvm::reverse(dims), llvm::reverse(target)))
    if (from.getConstant() != 1)
      equal(from, to,
            what + " of shape " + toText(dims) + " does not broadcast to " +
                toText(target));
}

bool Call::rank(const Sizes &dims, size_t rank, StringRef what) {
  return require(dims.size() == rank, what + " has rank " +
                                          Twine(dims.size()) + ", not " +
                                          Twine(rank));
}

bool Call::rankAtLeast(const Sizes &dims, size_t rank, StringRef what) {
  return require(dims.size() >= rank, what + " has rank " +
                                          Twine(dims.size()) +
                                          ", less than " + Twine(rank));
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

SizeExpr Call::min(const SizeExpr &a, const SizeExpr &b) const {
  return isLessEqual(a, b)   ? a
         : isLessEqual(b, a) ? b
                             : SizeExpr::min(a, b);
}

SizeExpr Call::max(const SizeExpr &a, const SizeExpr &b) const {
  return isLessEqual(a, b)   ? b
         : isLessEqual(b, a) ? a
                             : SizeExpr::max(a, b);
}

Sizes Call::broadcast(ArrayRef<Sizes> shapes) {
  size_t rank = 0;
  for (const Sizes &shape : shapes)
    rank = std::max(rank, shape.size());
  Sizes result(rank, SizeExpr(1));
  // A constant is preferred to a symbol that the guards make equal to it.
  for (bool constants : {true, false})
    for (const Sizes &shape : shapes)
      for (auto [to, from] :
           llvm::zip(llvm::reverse(result), llvm::reverse(shape)))
        if (from.isConstant() == constants && to == SizeExpr(1))
          to = from;
  for (const Sizes &shape : shapes)
    expandable(shape, result, "an operand");
  return result;
}

std::optional<SizeExpr> Call::clamped(SizeExpr position,
                                      const SizeExpr &size) {
  Interval bounds = position.bounds(ranges);
  if (bounds.max < 0)
    position = position + size;
  else if (bounds.min < 0)
    return std::nullopt;
  return min(max(position, SizeExpr(0)), size);
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

Sizes Call::declared(unsigned i) {
  if (i < numDeclared())
    if (auto type = dyn_cast<RankedTensorType>(op.getResult(i).getType()))
      return getDims(type);
  return {};
}

void Call::give(const Sizes &dims, Element element) {
  giveSome(SmallVector<std::optional<SizeExpr>>(dims.begin(), dims.end()),
           element);
}

void Call::giveSome(SmallVector<std::optional<SizeExpr>> dims,
                    Element element) {
  results.push_back({std::move(dims), element});
}

static std::string toText(const Element &element) {
  if (element.kind == Element::Kind::AnyFloat)
    return "a float type";
  std::string text;
  llvm::raw_string_ostream(text) << element.type;
  return text;
}

/// Compares result `i` with what the rule says of it.
static void compare(Call &call, unsigned i, const Result &expected) {
  auto type = dyn_cast<RankedTensorType>(call.op.getResult(i).getType());
  if (!type)
    return;
  std::string which =
      call.numDeclared() == 1 ? "the result" : "result " + std::to_string(i);
  if (expected.dims) {
    Sizes declared = getDims(type);
    Sizes shown;
    for (const std::optional<SizeExpr> &dim : *expected.dims)
      shown.push_back(dim.value_or(SizeExpr::symbol("any")));
    std::string text = which + " is declared as " + toText(declared) +
                       " but the arguments give " + toText(shown);
    if (!call.require(declared.size() == expected.dims->size(), text))
      return;
    for (auto [have, dim] : llvm::zip_equal(declared, *expected.dims)) {
      if (!dim)
        continue;
      SizeExpr difference = have - *dim;
      Interval bounds = difference.bounds(call.ranges);
      if (!call.require(bounds.min <= 0 && bounds.max >= 0, text))
        return;
      call.equal(have, *dim, text);
    }
  }
  Type element = type.getElementType();
  const Element &want = expected.element;
  bool fits = want.kind == Element::Kind::Any ||
              (want.kind == Element::Kind::Exact && want.type == element) ||
              (want.kind == Element::Kind::AnyFloat && isa<FloatType>(element));
  call.require(fits, which + " is declared with elements of type " +
                         toText(Element(element)) +
                         " but the arguments give " + toText(want));
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

static const Table &getTable() {
  static const Table table = [] {
    Table result;
    addElementwise(result);
    addViews(result);
    addJoins(result);
    addReductions(result);
    addContractions(result);
    addWindows(result);
    addNormalizations(result);
    addIndexing(result);
    return result;
  }();
  return table;
}

/// The rule of an operator; in-place forms and copies have that of the operator
/// they are forms of.
static Rule lookup(StringRef callee) {
  StringRef base = callee.rsplit('.').first;
  std::string name =
      (base.consume_front("aten.") ? base : callee.rsplit('.').first).str();
  // What gives its tensor another shape in place is refused, by name.
  if (llvm::is_contained({"squeeze_", "unsqueeze_", "transpose_", "t_",
                          "as_strided_", "swapaxes_", "swapdims_"},
                         name))
    return nullptr;
  const Table &table = getTable();
  if (auto it = table.find(name); it != table.end())
    return it->second;
  StringRef stem = name;
  if (stem.starts_with("__i"))
    name = ("__" + stem.drop_front(3)).str();
  else if (stem.consume_back("_copy") || stem.consume_back("_"))
    name = stem.str();
  auto it = table.find(name);
  return it == table.end() ? nullptr : it->second;
}

bool aten::hasResultRule(StringRef callee) { return lookup(callee); }

/// The rule for complex numbers is that of others but for the element type.
static bool hasComplex(CallOp op) {
  return llvm::any_of(op.getInputs().getTypes(), [](Type type) {
    return isa<ComplexType>(cast<RankedTensorType>(type).getElementType());
  });
}

LogicalResult aten::verifyResultTypes(CallOp op, const SymbolRanges &ranges,
                                      UnprovedFn unproved) {
  Rule rule = lookup(op.getCallee());
  const Schema *schema = op.getSchema();
  bool hasTensors = llvm::all_of(op.getInputs().getTypes(), [](Type type) {
    return isa<RankedTensorType>(type);
  });
  if (!rule || !schema || !hasTensors)
    return success();
  Call call(op, ranges, unproved);
  rule(call);
  if (call.isUnknown)
    return success();
  // What is written to in place keeps its type: the operator computes in its
  // own and converts.
  bool isInPlace = false;
  for (const SchemaArg &arg : schema->args)
    if (arg.type.isWritten && arg.type.isTensor() && op.getTensor(arg.name)) {
      isInPlace = true;
      if (call.results.size() == 1 && call.results[0].dims &&
          op.getNumResults() > 0)
        compare(call, 0, {call.results[0].dims, Element()});
      call.results.clear();
      if (!schema->results.empty())
        call.give(call.tensor(arg.name), call.type(arg.name));
    }
  if (!isInPlace)
    call.require(call.results.size() == op.getNumResults(),
                 "it gives " + Twine(call.results.size()) +
                     (call.results.size() == 1 ? " result" : " results") +
                     " but the program declares " + Twine(op.getNumResults()));
  if (!call.failed() && call.results.size() == op.getNumResults())
    for (auto [i, result] : llvm::enumerate(call.results)) {
      Result expected = result;
      if (hasComplex(op))
        expected.element = {};
      compare(call, i, expected);
    }
  if (!call.failed())
    return success();
  return op.emitError() << "'" << op.getCallee()
                        << "' contradicts itself: " << call.error;
}
