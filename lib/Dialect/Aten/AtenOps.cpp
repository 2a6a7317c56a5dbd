//===- AtenOps.cpp - The aten dialect: verification, access ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/Aten/Aten.h"

#include "llvm/ADT/STLExtras.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::aten;

#define GET_OP_CLASSES
#include "headrace/Dialect/Aten/AtenOps.cpp.inc"

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

/// Whether `value` may stand for one element of type `base`. Their
/// order is checked by `verifyOperands`.
static bool isAcceptable(Attribute value, SchemaType::Base base,
                         ValueRange inputs) {
  using Base = SchemaType::Base;
  auto isInteger = [&](Attribute attr) {
    auto integer = dyn_cast<IntegerAttr>(attr);
    return integer && integer.getType().isSignlessInteger(64);
  };
  auto isFloat = [&](Attribute attr) {
    auto real = dyn_cast<FloatAttr>(attr);
    return real && real.getType().isF64();
  };
  switch (base) {
  case Base::Tensor: {
    // Python's numbers are tensors without a dtype of their own.
    auto operand = dyn_cast<ValueAttr>(value);
    if (!operand)
      return isInteger(value) || isFloat(value) ||
             isa<hr::SizeAttr, BoolAttr, aten::ComplexAttr>(value);
    return operand.getIndex() < inputs.size() &&
           isa<RankedTensorType>(inputs[operand.getIndex()].getType());
  }
  case Base::Int:
  case Base::SymInt:
    return isInteger(value) || isa<hr::SizeAttr, BoolAttr>(value);
  case Base::Float:
    return isFloat(value) || isInteger(value) || isa<hr::SizeAttr>(value);
  case Base::Bool:
    return isa<BoolAttr>(value);
  case Base::Scalar:
    return isInteger(value) || isFloat(value) ||
           isa<hr::SizeAttr, BoolAttr, aten::ComplexAttr>(value);
  case Base::String:
    return isa<StringAttr>(value);
  case Base::Complex:
    return isa<aten::ComplexAttr>(value) || isFloat(value) || isInteger(value);
  case Base::DType:
    return isa<TypeAttr>(value);
  case Base::Layout:
    return isa<TorchLayoutAttr>(value);
  case Base::MemoryFormat:
    return isa<MemoryFormatAttr>(value);
  case Base::Device:
    return isa<DeviceAttr>(value);
  case Base::Generator:
  case Base::Other:
    return false;
  }
  return false;
}

static bool isAcceptable(Attribute value, const SchemaType &type,
                         ValueRange inputs) {
  if (isa<NoneAttr>(value))
    return type.isOptional || type.base == SchemaType::Base::Generator;
  if (!type.isList)
    return isAcceptable(value, type.base, inputs);
  auto list = dyn_cast<ArrayAttr>(value);
  return list && llvm::all_of(list, [&](Attribute element) {
           if (isa<NoneAttr>(element))
             return type.hasOptionalElements;
           return isAcceptable(element, type.base, inputs);
         });
}

/// The operands that `args` names, in the order of their appearance.
static SmallVector<unsigned> getNamedOperands(ArrayAttr args) {
  SmallVector<unsigned> named;
  SmallVector<Attribute> pending(llvm::reverse(args.getValue()));
  while (!pending.empty()) {
    Attribute attr = pending.pop_back_val();
    if (auto value = dyn_cast<ValueAttr>(attr))
      named.push_back(value.getIndex());
    else if (auto list = dyn_cast<ArrayAttr>(attr))
      llvm::append_range(pending, llvm::reverse(list.getValue()));
  }
  return named;
}

/// Operands are named in order, once each.
static LogicalResult verifyOperands(Operation *op, ArrayAttr args,
                                    size_t numInputs) {
  SmallVector<unsigned> named = getNamedOperands(args);
  for (auto [i, index] : llvm::enumerate(named))
    if (index != i)
      return op->emitOpError() << "expected operand " << i
                               << " to be named next but got " << index;
  if (named.size() != numInputs)
    return op->emitOpError() << "args name " << named.size() << " of "
                             << numInputs << " operands";
  return success();
}

LogicalResult CallOp::verify() {
  const Schema *schema = getSchema();
  if (!schema)
    return emitOpError() << "no schema is named '" << getCallee() << "'";
  if (getArgs().size() != schema->args.size())
    return emitOpError() << "expected " << schema->args.size()
                         << " args for '" << getCallee() << "' but got "
                         << getArgs().size();
  for (auto [value, arg] : llvm::zip_equal(getArgs(), schema->args))
    if (!isAcceptable(value, arg.type, getInputs()))
      return emitOpError() << "argument '" << arg.name << "' of '"
                           << getCallee() << "' expects " << arg.type.str()
                           << " but got " << value;

  if (failed(verifyOperands(*this, getArgs(), getInputs().size())))
    return failure();

  bool isListResult =
      schema->results.size() == 1 && schema->results.front().isTensorList();
  if (!isListResult && getNumResults() != schema->results.size())
    return emitOpError() << "expected " << schema->results.size()
                         << " results for '" << getCallee() << "' but got "
                         << getNumResults();
  for (auto [i, type] : llvm::enumerate(getResultTypes())) {
    const SchemaType &expected = schema->results[isListResult ? 0 : i];
    if (expected.base == SchemaType::Base::Tensor &&
        !isa<RankedTensorType>(type))
      return emitOpError() << "expected result " << i
                           << " to be a tensor but got " << type;
  }
  return success();
}

LogicalResult RegionCallOp::verify() {
  if (failed(verifyOperands(*this, getArgs(), getInputs().size())))
    return failure();
  for (Region &region : getGraphs()) {
    Block &block = region.front();
    if (block.empty() || !isa<YieldOp>(block.back()))
      return emitOpError() << "expected every graph to end in aten.yield";
  }
  return success();
}

void CallOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  const Schema *schema = getSchema();
  // An assertion has no result, and must stay; a mutation must stay in order.
  if (!schema || schema->isMutating() || schema->results.empty()) {
    effects.emplace_back(MemoryEffects::Write::get());
    effects.emplace_back(MemoryEffects::Read::get());
  }
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

void CallOp::build(OpBuilder &builder, OperationState &state,
                   TypeRange results, StringRef callee,
                   ArrayRef<CallArg> callArgs) {
  MLIRContext *context = builder.getContext();
  SmallVector<Value> inputs;
  auto add = [&](Value value) -> Attribute {
    if (!value)
      return NoneAttr::get(context);
    inputs.push_back(value);
    return ValueAttr::get(context, inputs.size() - 1);
  };
  SmallVector<Attribute> args;
  for (const CallArg &arg : callArgs) {
    if (arg.isList)
      args.push_back(
          builder.getArrayAttr(llvm::map_to_vector(arg.values, add)));
    else if (arg.attribute)
      args.push_back(arg.attribute);
    else
      args.push_back(add(arg.values.front()));
  }
  build(builder, state, results, builder.getStringAttr(callee), inputs,
        builder.getArrayAttr(args));
}

//===----------------------------------------------------------------------===//
// Access
//===----------------------------------------------------------------------===//

const Schema *CallOp::getSchema() { return lookupSchema(getCallee()); }

StringRef CallOp::getBaseName() { return getCallee().rsplit('.').first; }
StringRef CallOp::getOverload() { return getCallee().rsplit('.').second; }

Attribute CallOp::getArg(StringRef name) {
  const Schema *schema = getSchema();
  std::optional<unsigned> index =
      schema ? schema->findArg(name) : std::nullopt;
  if (!index || *index >= getArgs().size())
    return {};
  return getArgs()[*index];
}

bool CallOp::isNone(StringRef name) {
  Attribute arg = getArg(name);
  return !arg || isa<NoneAttr>(arg);
}

Value CallOp::getTensor(StringRef name) {
  auto value = dyn_cast_or_null<ValueAttr>(getArg(name));
  return value ? getInputs()[value.getIndex()] : Value();
}

SmallVector<Value> CallOp::getTensorList(StringRef name) {
  SmallVector<Value> values;
  auto list = dyn_cast_or_null<ArrayAttr>(getArg(name));
  if (!list)
    return values;
  for (Attribute element : list) {
    auto value = dyn_cast<ValueAttr>(element);
    values.push_back(value ? getInputs()[value.getIndex()] : Value());
  }
  return values;
}

/// A constant or symbolic integer.
static std::optional<SizeExpr> toSize(Attribute attr) {
  if (auto size = dyn_cast_or_null<hr::SizeAttr>(attr))
    return size.getExpr();
  if (auto boolean = dyn_cast_or_null<BoolAttr>(attr))
    return SizeExpr(boolean.getValue() ? 1 : 0);
  if (auto integer = dyn_cast_or_null<IntegerAttr>(attr))
    return SizeExpr(integer.getInt());
  return std::nullopt;
}

static std::optional<double> toDouble(Attribute attr) {
  if (auto real = dyn_cast_or_null<FloatAttr>(attr))
    return real.getValueAsDouble();
  if (auto boolean = dyn_cast_or_null<BoolAttr>(attr))
    return boolean.getValue() ? 1.0 : 0.0;
  if (auto integer = dyn_cast_or_null<IntegerAttr>(attr))
    return static_cast<double>(integer.getInt());
  return std::nullopt;
}

std::optional<int64_t> CallOp::getInt(StringRef name) {
  std::optional<SizeExpr> size = toSize(getArg(name));
  return size ? size->getConstant() : std::nullopt;
}

std::optional<SizeExpr> CallOp::getSize(StringRef name) {
  return toSize(getArg(name));
}

std::optional<SmallVector<SizeExpr>> CallOp::getSizeList(StringRef name) {
  Attribute arg = getArg(name);
  if (std::optional<SizeExpr> size = toSize(arg))
    return SmallVector<SizeExpr>{*size};
  auto list = dyn_cast_or_null<ArrayAttr>(arg);
  if (!list)
    return std::nullopt;
  SmallVector<SizeExpr> sizes;
  for (Attribute element : list) {
    std::optional<SizeExpr> size = toSize(element);
    if (!size)
      return std::nullopt;
    sizes.push_back(*size);
  }
  return sizes;
}

std::optional<SmallVector<int64_t>> CallOp::getIntList(StringRef name) {
  std::optional<SmallVector<SizeExpr>> sizes = getSizeList(name);
  if (!sizes)
    return std::nullopt;
  SmallVector<int64_t> values;
  for (const SizeExpr &size : *sizes) {
    std::optional<int64_t> value = size.getConstant();
    if (!value)
      return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

std::optional<double> CallOp::getFloat(StringRef name) {
  return toDouble(getArg(name));
}

std::optional<SmallVector<double>> CallOp::getFloatList(StringRef name) {
  auto list = dyn_cast_or_null<ArrayAttr>(getArg(name));
  if (!list)
    return std::nullopt;
  SmallVector<double> values;
  for (Attribute element : list) {
    std::optional<double> value = toDouble(element);
    if (!value)
      return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

std::optional<bool> CallOp::getBool(StringRef name) {
  auto value = dyn_cast_or_null<BoolAttr>(getArg(name));
  if (!value)
    return std::nullopt;
  return value.getValue();
}

Type CallOp::getDType(StringRef name) {
  auto type = dyn_cast_or_null<TypeAttr>(getArg(name));
  return type ? type.getValue() : Type();
}

std::optional<StringRef> CallOp::getString(StringRef name) {
  auto text = dyn_cast_or_null<StringAttr>(getArg(name));
  if (!text)
    return std::nullopt;
  return text.getValue();
}

std::optional<SmallVector<int64_t>>
aten::getMovedOrder(ArrayRef<int64_t> sources, ArrayRef<int64_t> destinations,
                    int64_t rank) {
  if (sources.size() != destinations.size())
    return std::nullopt;
  SmallVector<int64_t> order(rank, -1);
  for (auto [source, destination] : llvm::zip(sources, destinations)) {
    int64_t from = source < 0 ? source + rank : source;
    int64_t to = destination < 0 ? destination + rank : destination;
    if (from < 0 || from >= rank || to < 0 || to >= rank || order[to] >= 0 ||
        llvm::is_contained(order, from))
      return std::nullopt;
    order[to] = from;
  }
  // The others keep their order.
  int64_t next = 0;
  for (int64_t &dim : order) {
    if (dim >= 0)
      continue;
    while (llvm::is_contained(order, next))
      ++next;
    dim = next;
  }
  return order;
}

Value aten::createCopyOf(OpBuilder &builder, Location loc, Value value,
                         Type target) {
  MLIRContext *context = builder.getContext();
  Type element = cast<RankedTensorType>(target).getElementType();
  SmallVector<SizeExpr> dims = getDims(target);
  auto create = [&](StringRef callee, ArrayRef<SizeExpr> shape,
                    ArrayRef<CallArg> args) {
    return CallOp::create(builder, loc,
                          TypeRange(getTensorType(shape, element)), callee,
                          args)
        .getResult(0);
  };
  auto no = Attribute(builder.getBoolAttr(false));
  if (cast<RankedTensorType>(value.getType()).getElementType() != element)
    value = create("aten.to.dtype", getDims(value.getType()),
                   {value, Attribute(TypeAttr::get(element)), no, no,
                    Attribute(NoneAttr::get(context))});
  if (getDims(value.getType()) != dims) {
    SmallVector<Attribute> sizes;
    for (const SizeExpr &dim : dims) {
      if (std::optional<int64_t> constant = dim.getConstant())
        sizes.push_back(builder.getI64IntegerAttr(*constant));
      else
        sizes.push_back(hr::SizeAttr::get(context, dim));
    }
    value = create("aten.expand.default", dims,
                   {value, Attribute(builder.getArrayAttr(sizes)), no});
  }
  return value;
}
