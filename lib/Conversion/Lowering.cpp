//===- Lowering.cpp - One call of an operator on its way down -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

void Lowering::fail(const Twine &why) {
  // The first reason is the cause of the others.
  if (reason.empty())
    reason = why.str();
}

void Lowering::requireAtLeast(const SizeExpr &size, int64_t least,
                              const Twine &otherwise) {
  SizeExpr rest = size - SizeExpr(least);
  auto bounds = rest.bounds(ranges);
  if (bounds.min >= 0)
    return;
  if (bounds.max < 0)
    return fail(otherwise);
  requireAtMost(SizeExpr(least), size);
}

bool Lowering::checkRank(const Tensor &tensor, int64_t rank, StringRef what) {
  if (tensor.rank() == rank)
    return true;
  fail("expected " + what + " of rank " + Twine(rank) + " but got rank " +
       Twine(tensor.rank()));
  return false;
}

Tensor Lowering::missing(StringRef name, StringRef expected) {
  fail("argument '" + name + "' is not " + expected);
  return fill({}, Number(0.0), DType::Float32);
}

Tensor Lowering::lookup(Value value) { return values.lookup(value); }

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

Operand Lowering::operand(StringRef name) {
  if (Value value = call.getTensor(name))
    return lookup(value);
  if (!isNone(name) && optionalNumber(name))
    return number(name);
  return missing(name, "a tensor or a number");
}

std::optional<Operand> Lowering::optionalOperand(StringRef name) {
  if (isNone(name))
    return std::nullopt;
  return operand(name);
}

Tensor Lowering::tensor(StringRef name) {
  if (Value value = call.getTensor(name))
    return lookup(value);
  if (std::optional<Number> value = optionalNumber(name))
    return fill({}, *value, value->dtype());
  return missing(name, "a tensor");
}

std::optional<Tensor> Lowering::optionalTensor(StringRef name) {
  if (isNone(name))
    return std::nullopt;
  return tensor(name);
}

SmallVector<Tensor> Lowering::tensors(StringRef name) {
  SmallVector<Tensor> list;
  for (Value value : call.getTensorList(name)) {
    if (!value) {
      list.push_back(missing(name, "a list of tensors"));
      continue;
    }
    list.push_back(lookup(value));
  }
  return list;
}

SmallVector<std::optional<Tensor>> Lowering::optionalTensors(StringRef name) {
  SmallVector<std::optional<Tensor>> list;
  for (Value value : call.getTensorList(name))
    list.push_back(value ? std::optional(lookup(value)) : std::nullopt);
  return list;
}

std::optional<Number> Lowering::optionalNumber(StringRef name) {
  Attribute attr = call.getArg(name);
  if (auto flag = dyn_cast_or_null<BoolAttr>(attr))
    return Number(flag.getValue());
  if (auto real = dyn_cast_or_null<FloatAttr>(attr))
    return Number(real.getValueAsDouble());
  if (std::optional<SizeExpr> size = call.getSize(name))
    return Number(*size);
  return std::nullopt;
}

Number Lowering::number(StringRef name) {
  if (std::optional<Number> value = optionalNumber(name))
    return *value;
  missing(name, "a number");
  return Number(0.0);
}

int64_t Lowering::integer(StringRef name) {
  if (std::optional<int64_t> value = call.getInt(name))
    return *value;
  missing(name, "a constant integer");
  return 0;
}

SizeExpr Lowering::size(StringRef name) {
  if (std::optional<SizeExpr> value = call.getSize(name))
    return *value;
  missing(name, "an integer");
  return SizeExpr(0);
}

Dims Lowering::sizes(StringRef name) {
  if (std::optional<SmallVector<SizeExpr>> list = call.getSizeList(name))
    return Dims(list->begin(), list->end());
  missing(name, "a list of integers");
  return {};
}

SmallVector<int64_t> Lowering::integers(StringRef name) {
  if (std::optional<SmallVector<int64_t>> list = call.getIntList(name))
    return *list;
  missing(name, "a list of constant integers");
  return {};
}

SmallVector<int64_t> Lowering::integers(StringRef name, unsigned count,
                                        int64_t ifEmpty) {
  SmallVector<int64_t> list = integers(name);
  if (list.empty())
    return SmallVector<int64_t>(count, ifEmpty);
  if (list.size() == 1)
    return SmallVector<int64_t>(count, list.front());
  if (list.size() != count) {
    fail("expected " + Twine(count) + " values for '" + name + "' but got " +
         Twine(list.size()));
    return SmallVector<int64_t>(count, ifEmpty);
  }
  return list;
}

double Lowering::real(StringRef name) {
  if (std::optional<double> value = call.getFloat(name))
    return *value;
  missing(name, "a constant number");
  return 0.0;
}

bool Lowering::flag(StringRef name) {
  if (std::optional<bool> value = call.getBool(name))
    return *value;
  if (std::optional<int64_t> value = call.getInt(name))
    return *value != 0;
  missing(name, "a bool");
  return false;
}

StringRef Lowering::text(StringRef name) {
  return call.getString(name).value_or("");
}

std::optional<DType> Lowering::dtype(StringRef name) {
  Type type = call.getDType(name);
  if (!type)
    return std::nullopt;
  if (std::optional<DType> dtype = getDType(type))
    return dtype;
  std::string spelled;
  llvm::raw_string_ostream(spelled) << type;
  fail("element type " + Twine(spelled) + " is not supported");
  return std::nullopt;
}

int64_t Lowering::wrapDimension(int64_t value, int64_t rank) {
  int64_t count = std::max<int64_t>(rank, 1);
  if (value >= -count && value < count)
    return value < 0 ? value + count : value;
  fail("dimension " + Twine(value) + " is not in [" + Twine(-count) + ", " +
       Twine(count) + ")");
  return 0;
}

int64_t Lowering::dimension(StringRef name, int64_t rank) {
  return wrapDimension(integer(name), rank);
}

SmallVector<int64_t> Lowering::dimensions(StringRef name, int64_t rank,
                                          bool emptyIsAll) {
  SmallVector<int64_t> list;
  if (!isNone(name))
    for (int64_t value : integers(name))
      list.push_back(wrapDimension(value, rank));
  if (list.empty() && emptyIsAll)
    return llvm::to_vector(llvm::seq<int64_t>(0, rank));
  llvm::sort(list);
  list.erase(llvm::unique(list), list.end());
  // Rank 0 has dimension 0 in name only.
  if (rank == 0)
    list.clear();
  return list;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

Dims Lowering::resultDims(unsigned i) {
  if (i >= numResults())
    return {};
  SmallVector<SizeExpr> dims = aten::getDims(call.getResult(i).getType());
  return Dims(dims.begin(), dims.end());
}

DType Lowering::resultDType(unsigned i) {
  if (i >= numResults())
    return DType::Float32;
  auto type = cast<RankedTensorType>(call.getResult(i).getType());
  return getDType(type.getElementType()).value_or(DType::Float32);
}

static std::string getText(ArrayRef<SizeExpr> dims) {
  std::string text = "[";
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(dims, os,
                        [&](const SizeExpr &size) { os << size.str(); });
  os << "]";
  return text;
}

void Lowering::yield(const Tensor &tensor) {
  unsigned i = results.size();
  results.push_back(std::nullopt);
  if (failed())
    return;
  if (i >= numResults())
    return fail("has " + Twine(numResults()) + " results, not " +
                Twine(i + 1));
  if (tensor.dtype != resultDType(i))
    return fail("gives " + getName(tensor.dtype) + " where the program says " +
                getName(resultDType(i)));
  Dims dims = resultDims(i);
  // Constant sizes must agree; torch may have simplified symbolic ones by its
  // guards, so there the program's word counts, and is checked at the call.
  bool fits = dims.size() == tensor.dims.size();
  for (auto [have, want] : llvm::zip(tensor.dims, dims))
    fits &= !have.isConstant() || !want.isConstant() || have == want;
  if (!fits)
    return fail("gives the shape " + getText(tensor.dims) +
                " where the program says " + getText(dims));
  for (auto [have, want] : llvm::zip(tensor.dims, dims))
    requireEqual(have, want);
  results[i] = reshape(tensor, dims);
}

//===----------------------------------------------------------------------===//
// Registry
//===----------------------------------------------------------------------===//

const Registry &Registry::get() {
  static const Registry registry = [] {
    Registry result;
    registerElementwise(result);
    registerActivations(result);
    registerCreation(result);
    registerViews(result);
    registerJoining(result);
    registerReductions(result);
    registerContractions(result);
    registerNormalization(result);
    registerAttention(result);
    registerConvolutions(result);
    registerPooling(result);
    registerIndexing(result);
    registerResampling(result);
    registerSorting(result);
    registerCounting(result);
    return result;
  }();
  return registry;
}

const LoweringFn *Registry::lookup(StringRef name) const {
  auto it = entries.find(name);
  return it == entries.end() ? nullptr : &it->second;
}

SmallVector<StringRef> Registry::getNames() const {
  SmallVector<StringRef> names = llvm::to_vector(entries.keys());
  llvm::sort(names);
  return names;
}

void Registry::add(StringRef name, LoweringFn fn) {
  entries[name] = std::move(fn);
}

void Registry::add(std::initializer_list<StringRef> names,
                   const LoweringFn &fn) {
  for (StringRef name : names)
    entries[name] = fn;
}
