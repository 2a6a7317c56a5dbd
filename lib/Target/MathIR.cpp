//===- MathIR.cpp - Arithmetic on IR values, written as arithmetic --------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MathIR.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::math_library;

Type V::withElement(Type elementType) const {
  if (auto vector = dyn_cast<VectorType>(type()))
    return VectorType::get(vector.getShape(), elementType,
                           vector.getScalableDims());
  return elementType;
}

Type V::withInteger(unsigned width) const {
  return withElement(IntegerType::get(type().getContext(), width));
}

Type V::withFloat(unsigned width) const {
  Builder builder(type().getContext());
  return withElement(width == 64 ? Type(builder.getF64Type())
                                 : Type(builder.getF32Type()));
}

static V constantOf(V like, Attribute element) {
  TypedAttr attr;
  if (auto vector = dyn_cast<VectorType>(like.type()))
    attr = DenseElementsAttr::get(vector, element);
  else
    attr = cast<TypedAttr>(element);
  return {like.e,
          arith::ConstantOp::create(like.e->builder, like.e->loc, attr)};
}

V math_library::constant(V like, Operand number) {
  if (like.isInteger())
    return constantOf(like, IntegerAttr::get(like.element(), number.i));
  return constantOf(like, FloatAttr::get(like.element(), number.d));
}

V math_library::constantBits(V like, uint64_t bits) {
  auto type = cast<FloatType>(like.element());
  APFloat value(type.getFloatSemantics(), APInt(like.bits(), bits));
  return constantOf(like, FloatAttr::get(type, value));
}

V Operand::get(V like) const { return isValue() ? v : constant(like, *this); }

/// The one of the two that is a value.
static V either(const Operand &a, const Operand &b) {
  return a.isValue() ? a.v : b.v;
}

template <typename OpT> static V binary(V like, Operand a, Operand b) {
  Value lhs = a.get(like).value, rhs = b.get(like).value;
  return {like.e, OpT::create(like.e->builder, like.e->loc, lhs, rhs)};
}

template <typename FloatOp, typename IntegerOp>
static V arithmetic(Operand a, Operand b) {
  V like = either(a, b);
  return like.isInteger() ? binary<IntegerOp>(like, a, b)
                          : binary<FloatOp>(like, a, b);
}

V math_library::add(Operand a, Operand b) {
  return arithmetic<arith::AddFOp, arith::AddIOp>(a, b);
}
V math_library::sub(Operand a, Operand b) {
  return arithmetic<arith::SubFOp, arith::SubIOp>(a, b);
}
V math_library::mul(Operand a, Operand b) {
  return arithmetic<arith::MulFOp, arith::MulIOp>(a, b);
}
V math_library::div(Operand a, Operand b) {
  return binary<arith::DivFOp>(either(a, b), a, b);
}

V math_library::operator-(V a) {
  if (a.isInteger())
    return sub(0, a);
  return {a.e, arith::NegFOp::create(a.e->builder, a.e->loc, a.value)};
}

/// fma(a, b, c) of f32 without the instruction, bit for bit. The product of two
/// f32 is exact in f64. The sum with c is rounded to odd, that is, its last bit
/// is set if it is not exact; then rounding once more to f32 (29 bits fewer)
/// gives what a single rounding gives.
static V emulateFma32(V a, V b, V c) {
  V product = toF64(a) * toF64(b), addend = toF64(c);
  V sum = product + addend;
  V part = sum - product;
  V error = (product - (sum - part)) + (addend - part);
  V bits = toBits(sum);
  // Toward zero if the sum was rounded away from it: the error points inward.
  V zero = constant(error, 0.0);
  V inexact = select(ne(error, zero), constant(bits, 1), constant(bits, 0));
  V inward = select(ne(lt(error, zero), lt(sum, zero)), inexact,
                    constant(bits, 0));
  V even = ((bits & 1) ^ 1) & inexact;
  // Even and rounded away: one less is odd. Even and rounded down: set it. Odd:
  // it may stay, whichever way it was rounded.
  V odd = (bits - (inward & even)) | even;
  // An error that is not a number means an infinite or undefined sum.
  V usable = lt(abs(error), std::numeric_limits<double>::infinity());
  return toF32(select(usable, fromBits(odd), sum));
}

V math_library::fma(Operand a, Operand b, Operand c) {
  V like = a.isValue() ? a.v : either(b, c);
  V x = a.get(like), y = b.get(like), z = c.get(like);
  if (!like.e->fma && like.bits() == 32)
    return emulateFma32(x, y, z);
  return {like.e, math::FmaOp::create(like.e->builder, like.e->loc, x.value,
                                      y.value, z.value)};
}

std::optional<V> math_library::scaleInOneStep(V a, V n) {
  auto type = dyn_cast<VectorType>(a.type());
  if (!a.e->scalef || !type || type.getRank() != 1 ||
      type.getDimSize(0) != 16 || !type.getElementType().isF32())
    return std::nullopt;
  OpBuilder &builder = a.e->builder;
  Value all = arith::ConstantOp::create(builder, a.e->loc,
                                        builder.getI16IntegerAttr(-1));
  Value rounding = arith::ConstantOp::create(
      builder, a.e->loc, builder.getI32IntegerAttr(4)); // as the CPU is set
  return V{a.e, LLVM::CallIntrinsicOp::create(
                    builder, a.e->loc, a.type(),
                    builder.getStringAttr("llvm.x86.avx512.mask.scalef.ps.512"),
                    ValueRange{a.value, n.value, a.value, all, rounding})
                    .getResult(0)};
}

V math_library::sqrt(V a) {
  return {a.e, math::SqrtOp::create(a.e->builder, a.e->loc, a.value)};
}
V math_library::abs(V a) {
  return {a.e, math::AbsFOp::create(a.e->builder, a.e->loc, a.value)};
}
V math_library::trunc(V a) {
  return {a.e, math::TruncOp::create(a.e->builder, a.e->loc, a.value)};
}
V math_library::copysign(Operand magnitude, V sign) {
  return binary<math::CopySignOp>(sign, magnitude, sign);
}

V math_library::operator&(V a, Operand b) {
  return binary<arith::AndIOp>(a, a, b);
}
V math_library::operator|(V a, Operand b) {
  return binary<arith::OrIOp>(a, a, b);
}
V math_library::operator^(V a, Operand b) {
  return binary<arith::XOrIOp>(a, a, b);
}
V math_library::shiftLeft(V a, Operand by) {
  return binary<arith::ShLIOp>(a, a, by);
}
V math_library::shiftRight(V a, Operand by) {
  return binary<arith::ShRUIOp>(a, a, by);
}
V math_library::shiftRightSigned(V a, Operand by) {
  return binary<arith::ShRSIOp>(a, a, by);
}

static V compare(arith::CmpFPredicate floats, arith::CmpIPredicate integers,
                 Operand a, Operand b) {
  V like = either(a, b);
  OpBuilder &builder = like.e->builder;
  Value lhs = a.get(like).value, rhs = b.get(like).value;
  if (like.isInteger())
    return {like.e, arith::CmpIOp::create(builder, like.e->loc, integers, lhs,
                                          rhs)};
  return {like.e,
          arith::CmpFOp::create(builder, like.e->loc, floats, lhs, rhs)};
}

V math_library::lt(Operand a, Operand b) {
  return compare(arith::CmpFPredicate::OLT, arith::CmpIPredicate::slt, a, b);
}
V math_library::le(Operand a, Operand b) {
  return compare(arith::CmpFPredicate::OLE, arith::CmpIPredicate::sle, a, b);
}
V math_library::gt(Operand a, Operand b) {
  return compare(arith::CmpFPredicate::OGT, arith::CmpIPredicate::sgt, a, b);
}
V math_library::ge(Operand a, Operand b) {
  return compare(arith::CmpFPredicate::OGE, arith::CmpIPredicate::sge, a, b);
}
V math_library::eq(Operand a, Operand b) {
  return compare(arith::CmpFPredicate::OEQ, arith::CmpIPredicate::eq, a, b);
}
V math_library::ne(Operand a, Operand b) {
  return compare(arith::CmpFPredicate::UNE, arith::CmpIPredicate::ne, a, b);
}
V math_library::isNan(V a) {
  return compare(arith::CmpFPredicate::UNO, arith::CmpIPredicate::ne, a, a);
}

V math_library::select(V condition, Operand a, Operand b) {
  V like = either(a, b);
  return {like.e, arith::SelectOp::create(
                      like.e->builder, like.e->loc, condition.value,
                      a.get(like).value, b.get(like).value)};
}

V math_library::least(V a, Operand b) { return select(gt(a, b), b, a); }
V math_library::greatest(V a, Operand b) { return select(lt(a, b), b, a); }

V math_library::toBits(V a) {
  return {a.e, arith::BitcastOp::create(a.e->builder, a.e->loc,
                                        a.withInteger(a.bits()), a.value)};
}
V math_library::fromBits(V a) {
  return {a.e, arith::BitcastOp::create(a.e->builder, a.e->loc,
                                        a.withFloat(a.bits()), a.value)};
}

V math_library::toFloat(V a, unsigned width) {
  if (a.bits() == width)
    return a;
  OpBuilder &builder = a.e->builder;
  Type type = a.withFloat(width);
  if (a.bits() < width)
    return {a.e, arith::ExtFOp::create(builder, a.e->loc, type, a.value)};
  return {a.e, arith::TruncFOp::create(builder, a.e->loc, type, a.value)};
}
V math_library::toF64(V a) { return toFloat(a, 64); }
V math_library::toF32(V a) { return toFloat(a, 32); }

V math_library::extendSigned(V a, unsigned width) {
  return {a.e, arith::ExtSIOp::create(a.e->builder, a.e->loc,
                                      a.withInteger(width), a.value)};
}
V math_library::truncate(V a, unsigned width) {
  return {a.e, arith::TruncIOp::create(a.e->builder, a.e->loc,
                                       a.withInteger(width), a.value)};
}
