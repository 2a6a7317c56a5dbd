//===- DType.cpp - torch's element types and their promotion --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DType.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

StringRef conversion::getName(DType type) {
  static constexpr const char *names[] = {
      "bool",  "uint8",   "int8",     "int16",   "int32",
      "int64", "float16", "bfloat16", "float32", "float64"};
  return names[static_cast<unsigned>(type)];
}

std::optional<DType> conversion::getDType(Type elementType) {
  if (auto integer = dyn_cast<IntegerType>(elementType)) {
    if (integer.isUnsigned() && integer.getWidth() != 8)
      return std::nullopt;
    switch (integer.getWidth()) {
    case 1:
      return DType::Bool;
    case 8:
      return integer.isUnsigned() ? DType::UInt8 : DType::Int8;
    case 16:
      return DType::Int16;
    case 32:
      return DType::Int32;
    case 64:
      return DType::Int64;
    default:
      return std::nullopt;
    }
  }
  if (elementType.isF16())
    return DType::Float16;
  if (elementType.isBF16())
    return DType::BFloat16;
  if (elementType.isF32())
    return DType::Float32;
  if (elementType.isF64())
    return DType::Float64;
  return std::nullopt;
}

Type conversion::getElementType(MLIRContext *context, DType type) {
  switch (type) {
  case DType::Bool:
    return IntegerType::get(context, 1);
  case DType::UInt8:
  case DType::Int8:
    return IntegerType::get(context, 8);
  case DType::Int16:
    return IntegerType::get(context, 16);
  case DType::Int32:
    return IntegerType::get(context, 32);
  case DType::Int64:
    return IntegerType::get(context, 64);
  case DType::Float16:
    return Float16Type::get(context);
  case DType::BFloat16:
    return BFloat16Type::get(context);
  case DType::Float32:
    return Float32Type::get(context);
  case DType::Float64:
    return Float64Type::get(context);
  }
  return {};
}

unsigned conversion::getBitWidth(DType type) {
  static constexpr unsigned widths[] = {1, 8, 8, 16, 32, 64, 16, 16, 32, 64};
  return widths[static_cast<unsigned>(type)];
}

DType conversion::promote(DType lhs, DType rhs) {
  if (lhs == rhs)
    return lhs;
  if (lhs > rhs)
    std::swap(lhs, rhs);
  // From here on lhs comes first in the order of the enumeration.
  if (lhs == DType::Float16 && rhs == DType::BFloat16)
    return DType::Float32;
  if (lhs == DType::UInt8 && rhs == DType::Int8)
    return DType::Int16;
  return rhs;
}
