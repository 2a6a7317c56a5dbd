//===- Promotion.cpp - The dtype that torch computes in -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// torch promotes in three classes: tensors with dimensions, tensors without,
// and Python's numbers. A later class matters only if its category (bool,
// integer, float, complex) is higher than that of the earlier ones.
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/Aten/Promotion.h"
#include "llvm/ADT/StringSwitch.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::aten;

static unsigned getCategory(Type type) {
  if (!type || type.isInteger(1))
    return type ? 1 : 0;
  if (isa<IntegerType>(type))
    return 2;
  return isa<FloatType>(type) ? 3 : 4;
}

static Type promote(Type a, Type b) {
  if (!a || a == b)
    return b;
  if (!b)
    return a;
  if (getCategory(a) != getCategory(b)) {
    Type high = getCategory(a) > getCategory(b) ? a : b;
    Type low = high == a ? b : a;
    if (auto complex = dyn_cast<ComplexType>(high);
        complex && isa<FloatType>(low))
      return ComplexType::get(promote(complex.getElementType(), low));
    return high;
  }
  if (auto complex = dyn_cast<ComplexType>(a))
    return ComplexType::get(promote(
        complex.getElementType(), cast<ComplexType>(b).getElementType()));
  unsigned widthA = a.getIntOrFloatBitWidth();
  unsigned widthB = b.getIntOrFloatBitWidth();
  if (isa<FloatType>(a)) {
    // bf16 and f16 have nothing between them and f32.
    if (widthA == widthB)
      return Float32Type::get(a.getContext());
    return widthA > widthB ? a : b;
  }
  bool unsignedA = a.isUnsignedInteger(), unsignedB = b.isUnsignedInteger();
  if (unsignedA == unsignedB)
    return widthA > widthB ? a : b;
  unsigned unsignedWidth = unsignedA ? widthA : widthB;
  unsigned signedWidth = unsignedA ? widthB : widthA;
  if (signedWidth > unsignedWidth)
    return unsignedA ? b : a;
  return IntegerType::get(a.getContext(),
                          std::min(64u, 2 * unsignedWidth));
}

/// Adds the type of an argument, or of each element of a list, to the class of
/// its rank: tensors with dimensions, without, numbers.
static void addToClass(CallOp call, Attribute value, Type (&classes)[3]) {
  MLIRContext *context = call.getContext();
  if (auto list = dyn_cast<ArrayAttr>(value)) {
    for (Attribute element : list)
      addToClass(call, element, classes);
    return;
  }
  if (auto operand = dyn_cast<ValueAttr>(value)) {
    auto type = cast<RankedTensorType>(
        call.getInputs()[operand.getIndex()].getType());
    Type &promoted = classes[type.getRank() == 0 ? 1 : 0];
    promoted = promote(promoted, type.getElementType());
    return;
  }
  Type type;
  if (isa<BoolAttr>(value))
    type = IntegerType::get(context, 1);
  else if (isa<IntegerAttr, hr::SizeAttr>(value))
    type = IntegerType::get(context, 64);
  else if (isa<FloatAttr>(value))
    type = Float32Type::get(context);
  classes[2] = promote(classes[2], type);
}

Type aten::getPromotedType(CallOp call, ArrayRef<StringRef> names) {
  Type classes[3];
  for (auto [value, arg] :
       llvm::zip_equal(call.getArgs(), call.getSchema()->args)) {
    bool isAsked = names.empty() ? arg.type.base == SchemaType::Base::Tensor ||
                                       arg.type.base == SchemaType::Base::Scalar
                                 : llvm::is_contained(names, arg.name);
    if (isAsked)
      addToClass(call, value, classes);
  }
  Type result = classes[0];
  for (Type type : {classes[1], classes[2]})
    if (getCategory(type) > getCategory(result))
      result = promote(result, type);
  return result;
}

Type aten::getComputedType(CallOp call, Type written) {
  StringRef name = call.getBaseName();
  name.consume_front("aten.");
  name.consume_back("_");
  bool isCondition =
      llvm::StringSwitch<bool>(name)
          .Cases({"eq", "ne", "lt", "le", "gt", "ge", "greater", "less",
                  "greater_equal", "less_equal", "not_equal", "logical_and",
                  "logical_or", "logical_xor", "logical_not"},
                 true)
          .Default(false);
  if (isCondition)
    return IntegerType::get(call.getContext(), 1);
  bool promotes =
      llvm::StringSwitch<bool>(name)
          .Cases({"add", "sub", "subtract", "mul", "multiply", "div", "divide",
                  "true_divide", "pow", "fmod", "remainder", "floor_divide",
                  "atan2", "arctan2"},
                 true)
          .Cases({"addcmul", "addcdiv", "lerp", "hypot", "copysign",
                  "bitwise_and", "bitwise_or", "bitwise_xor", "clamp", "clip",
                  "clamp_min", "clamp_max", "xlogy", "nextafter"},
                 true)
          .Cases({"__iand__", "__ior__", "__ixor__", "gcd", "lcm",
                  "heaviside"},
                 true)
          .Default(false);
  if (!promotes)
    return written;
  Type result = getPromotedType(call);
  // True division of integers gives floats, in the default float type.
  if ((name == "div" || name == "true_divide" || name == "divide") &&
      call.isNone("rounding_mode") && getCategory(result) < 3)
    return Float32Type::get(call.getContext());
  return result ? result : written;
}
