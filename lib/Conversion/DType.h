//===- DType.h - torch's element types and their promotion ----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A dtype says more than an element type of the `tensor` level: `uint8` and
// `int8` are both i8 there. The conversion computes with dtypes, so that the
// right signed or unsigned operation is chosen.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_CONVERSION_DTYPE_H
#define HEADRACE_LIB_CONVERSION_DTYPE_H

#include "mlir/IR/BuiltinTypes.h"
#include <optional>

namespace headrace::conversion {

enum class DType : uint8_t {
  Bool,
  UInt8,
  Int8,
  Int16,
  Int32,
  Int64,
  Float16,
  BFloat16,
  Float32,
  Float64,
};

inline bool isFloat(DType type) { return type >= DType::Float16; }
inline bool isBool(DType type) { return type == DType::Bool; }
/// An integer type; bool is not one.
inline bool isInteger(DType type) {
  return type > DType::Bool && type < DType::Float16;
}
inline bool isUnsigned(DType type) {
  return type == DType::Bool || type == DType::UInt8;
}
inline bool isHalf(DType type) {
  return type == DType::Float16 || type == DType::BFloat16;
}
/// As torch spells it: `bfloat16`.
llvm::StringRef getName(DType type);

/// The dtype of an element type of the aten level (`ui8` is uint8); nothing
/// for what is not supported (complex, quantized, 8-bit floats).
std::optional<DType> getDType(mlir::Type elementType);
/// The element type at the tensor level.
mlir::Type getElementType(mlir::MLIRContext *context, DType type);
unsigned getBitWidth(DType type);

/// torch.promote_types.
DType promote(DType lhs, DType rhs);
/// What arithmetic on the type is done in: f32 for the 16-bit floats, so that
/// an operator rounds once, at its end; the type itself otherwise.
inline DType getComputeType(DType type) {
  return isHalf(type) ? DType::Float32 : type;
}
/// Integers and bools become the default float type.
inline DType getFloatType(DType type) {
  return isFloat(type) ? type : DType::Float32;
}

} // namespace headrace::conversion
#endif // HEADRACE_LIB_CONVERSION_DTYPE_H
