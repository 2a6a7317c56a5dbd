//===- MathIR.h - Arithmetic on IR values, written as arithmetic ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The functions of the math library read like C code on doubles, but what runs
// is `V`, a handle on a value of the IR: each operator creates the op. A V is a
// scalar or a vector of any shape; a number beside a V becomes a constant of
// its type. Comparisons with NaN are false, `ne` is true.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_MATHIR_H
#define HEADRACE_LIB_TARGET_MATHIR_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include <optional>

namespace headrace::math_library {

/// Where ops go, and how a fused multiply-add of f32 is written.
struct Emitter {
  mlir::OpBuilder &builder;
  mlir::Location loc;
  /// False: no FMA instruction; emulate it exactly (f32) or call (f64).
  bool fma = true;
  /// There is an instruction that multiplies by a power of two (AVX-512).
  bool scalef = false;
};

/// A value of the IR.
struct V {
  Emitter *e = nullptr;
  mlir::Value value;

  mlir::Type type() const { return value.getType(); }
  mlir::Type element() const { return mlir::getElementTypeOrSelf(type()); }
  bool isInteger() const { return mlir::isa<mlir::IntegerType>(element()); }
  unsigned bits() const { return element().getIntOrFloatBitWidth(); }
  /// This value's shape with another element type.
  mlir::Type withElement(mlir::Type elementType) const;
  mlir::Type withInteger(unsigned width) const;
  mlir::Type withFloat(unsigned width) const;
};

/// A V, or a number that takes the type of the V beside it.
struct Operand {
  /*implicit*/ Operand(V v) : v(v) {}
  /*implicit*/ Operand(double d) : d(d), i(truncate(d)) {}
  /*implicit*/ Operand(float d) : d(d), i(truncate(d)) {}
  /*implicit*/ Operand(int i) : d(i), i(i) {}
  /*implicit*/ Operand(int64_t i) : d(double(i)), i(i) {}
  /*implicit*/ Operand(uint64_t i) : d(double(i)), i(int64_t(i)) {}
  V get(V like) const;
  bool isValue() const { return v.e != nullptr; }
  V v;
  double d = 0;
  int64_t i = 0;

private:
  /// 0 for what is no number of the type (infinities): no integer V is beside
  /// one.
  static int64_t truncate(double d) {
    return d > -0x1p63 && d < 0x1p63 ? int64_t(d) : 0;
  }
};

/// A constant of `like`'s type.
V constant(V like, Operand number);
/// A constant float of `like`'s type from its bits.
V constantBits(V like, uint64_t bits);

V add(Operand a, Operand b);
V sub(Operand a, Operand b);
V mul(Operand a, Operand b);
V div(Operand a, Operand b); // floats only
inline V operator+(V a, Operand b) { return add(a, b); }
inline V operator-(V a, Operand b) { return sub(a, b); }
inline V operator*(V a, Operand b) { return mul(a, b); }
inline V operator/(V a, Operand b) { return div(a, b); }
V operator-(V a);
inline V rsub(Operand a, V b) { return sub(a, b); }

/// a * b + c with one rounding.
V fma(Operand a, Operand b, Operand c);
/// a * 2^n with one rounding, n integers as floats, in one instruction; null
/// where the target or the type has none.
std::optional<V> scaleInOneStep(V a, V n);
V sqrt(V a);
V abs(V a);
V trunc(V a);
V copysign(Operand magnitude, V sign);

// Integers.
V operator&(V a, Operand b);
V operator|(V a, Operand b);
V operator^(V a, Operand b);
V shiftLeft(V a, Operand by);
V shiftRight(V a, Operand by);       // zeros come in
V shiftRightSigned(V a, Operand by); // the sign comes in

// Comparisons, of floats (ordered) and of integers (signed).
V lt(Operand a, Operand b);
V le(Operand a, Operand b);
V gt(Operand a, Operand b);
V ge(Operand a, Operand b);
V eq(Operand a, Operand b);
V ne(Operand a, Operand b);
V isNan(V a);
/// `a` and `b` may not both be numbers.
V select(V condition, Operand a, Operand b);

/// The smaller and the larger; `a` where it is NaN.
V least(V a, Operand b);
V greatest(V a, Operand b);

// Conversions.
V toBits(V a);   // float to the integer of its width
V fromBits(V a); // and back
V toFloat(V a, unsigned width);
V toF64(V a);
V toF32(V a);
V extendSigned(V a, unsigned width);
V truncate(V a, unsigned width);

/// c[0] + c[1] x + c[2] x^2 + ... by Horner's rule.
template <typename T, size_t n> V polynomial(V x, const T (&c)[n]) {
  V result = constant(x, c[n - 1]);
  for (size_t i = n - 1; i > 0; --i)
    result = fma(result, x, c[i - 1]);
  return result;
}

} // namespace headrace::math_library
#endif // HEADRACE_LIB_TARGET_MATHIR_H
