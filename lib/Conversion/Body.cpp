//===- Body.cpp - Scalar arithmetic as torch does it ----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The bodies of structured ops. Integer division never traps: a divisor that
// would (zero, or -1 under the least value) is replaced before dividing. Where
// the divisor is the program's, zero is an error of the call besides.
//
//===----------------------------------------------------------------------===//

#include "Emitter.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

DType Number::dtype() const {
  if (std::holds_alternative<bool>(value))
    return DType::Bool;
  if (std::holds_alternative<double>(value))
    return DType::Float32;
  return DType::Int64;
}

std::optional<double> Number::constant() const {
  if (const bool *flag = std::get_if<bool>(&value))
    return *flag ? 1.0 : 0.0;
  if (const double *number = std::get_if<double>(&value))
    return *number;
  if (std::optional<int64_t> size = std::get<SizeExpr>(value).getConstant())
    return static_cast<double>(*size);
  return std::nullopt;
}

std::optional<int64_t> Number::integer() const {
  if (const bool *flag = std::get_if<bool>(&value))
    return *flag;
  if (const SizeExpr *size = std::get_if<SizeExpr>(&value))
    return size->getConstant();
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

static int64_t saturatingCast(double value) {
  if (value >= -0x1p63 && value < 0x1p63)
    return static_cast<int64_t>(value);
  return std::numeric_limits<int64_t>::min();
}

static TypedAttr getFloatAttr(FloatType type, double value) {
  APFloat number(value);
  bool losesInfo = false;
  // As torch does: doubles go to 16 bits by way of f32.
  if (type.getWidth() == 16)
    number.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                   &losesInfo);
  number.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                 &losesInfo);
  return FloatAttr::get(type, number);
}

static TypedAttr getIntegerAttr(Type type, int64_t value) {
  return IntegerAttr::get(
      type, APInt(type.getIntOrFloatBitWidth(), static_cast<uint64_t>(value),
                  /*isSigned=*/false, /*implicitTrunc=*/true));
}

TypedAttr Emitter::getAttr(const Number &value, DType dtype) {
  Type type = getElementType(context(), dtype);
  if (auto floatType = dyn_cast<FloatType>(type))
    return getFloatAttr(floatType, value.constant().value_or(0.0));
  if (isBool(dtype))
    return getIntegerAttr(type, value.constant().value_or(0.0) != 0.0);
  if (std::optional<int64_t> integer = value.integer())
    return getIntegerAttr(type, *integer);
  return getIntegerAttr(type, saturatingCast(value.constant().value_or(0.0)));
}

Scalar Body::constant(double value, DType dtype) {
  return constant(Number(value), dtype);
}

Scalar Body::constant(const Number &value, DType dtype) {
  if (const SizeExpr *expr = std::get_if<SizeExpr>(&value.value))
    if (!expr->isConstant())
      return cast(size(*expr), dtype);
  SymbolRanges none;
  TypedAttr attr = Emitter(builder, loc, none).getAttr(value, dtype);
  return {arith::ConstantOp::create(builder, loc, attr), dtype};
}

Scalar Body::integer(int64_t value, DType dtype) {
  return constant(Number(value), dtype);
}

Scalar Body::infinity(DType dtype, bool negative) {
  double value = std::numeric_limits<double>::infinity();
  return constant(negative ? -value : value, dtype);
}

Scalar Body::nan(DType dtype) {
  return constant(std::numeric_limits<double>::quiet_NaN(), dtype);
}

Scalar Body::lowest(DType dtype) {
  return constant(Emitter::neutral(Combine::Max, dtype), dtype);
}

Scalar Body::largest(DType dtype) {
  return constant(Emitter::neutral(Combine::Min, dtype), dtype);
}

Scalar Body::size(const SizeExpr &expr) {
  Value index = hr::createSize(builder, loc, expr);
  return {arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index),
          DType::Int64};
}

Scalar Body::index(unsigned loop) {
  if (!loops[loop])
    return integer(0, DType::Int64);
  Value index = linalg::IndexOp::create(builder, loc, *loops[loop]);
  return {arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index),
          DType::Int64};
}

//===----------------------------------------------------------------------===//
// Casts
//===----------------------------------------------------------------------===//

/// A float as a signed integer of 32 or 64 bits; the least value where it does
/// not fit, which is what the processors torch runs on give.
static Value convertToInteger(OpBuilder &builder, Location loc, Value value,
                              unsigned width) {
  auto floatType = cast<FloatType>(value.getType());
  auto type = builder.getIntegerType(width);
  Value limit = arith::ConstantOp::create(
      builder, loc, getFloatAttr(floatType, width == 32 ? 0x1p31 : 0x1p63));
  Value magnitude = math::AbsFOp::create(builder, loc, value);
  Value fits = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT,
                                     magnitude, limit);
  Value least = arith::ConstantOp::create(
      builder, loc, IntegerAttr::get(type, APInt::getSignedMinValue(width)));
  // Converting what does not fit is undefined, even where it is not selected.
  Value zero =
      arith::ConstantOp::create(builder, loc, getFloatAttr(floatType, 0.0));
  Value safe = arith::SelectOp::create(builder, loc, fits, value, zero);
  Value converted = arith::FPToSIOp::create(builder, loc, type, safe);
  return arith::SelectOp::create(builder, loc, fits, converted, least);
}

Scalar Body::cast(Scalar value, DType to) {
  DType from = value.dtype;
  if (from == to)
    return value;
  Type target = type(to);
  Value in = value.value;

  if (isBool(to)) {
    Scalar zero = integer(0, from);
    return compare(Compare::NE, value, zero);
  }

  if (isFloat(from) && isFloat(to)) {
    // A 16-bit float reaches the other 16-bit type, and a double reaches 16
    // bits, by way of f32.
    if (isHalf(to) && from != DType::Float32)
      return cast(cast(value, DType::Float32), to);
    if (getBitWidth(from) < getBitWidth(to))
      return {arith::ExtFOp::create(builder, loc, target, in), to};
    return {arith::TruncFOp::create(builder, loc, target, in), to};
  }

  if (isFloat(to)) {
    if (isHalf(to))
      return cast(cast(value, DType::Float32), to);
    if (isUnsigned(from))
      return {arith::UIToFPOp::create(builder, loc, target, in), to};
    return {arith::SIToFPOp::create(builder, loc, target, in), to};
  }

  if (isFloat(from)) {
    if (isHalf(from))
      return cast(cast(value, DType::Float32), to);
    // Narrow types are reached from 32 bits (uint8 from 64), as torch does.
    unsigned width = to == DType::Int64 || to == DType::UInt8 ? 64 : 32;
    Value wide = convertToInteger(builder, loc, in, width);
    if (getBitWidth(to) < width)
      wide = arith::TruncIOp::create(builder, loc, target, wide);
    return {wide, to};
  }

  unsigned fromWidth = getBitWidth(from), toWidth = getBitWidth(to);
  if (fromWidth == toWidth)
    return {in, to};
  if (fromWidth > toWidth)
    return {arith::TruncIOp::create(builder, loc, target, in), to};
  if (isUnsigned(from))
    return {arith::ExtUIOp::create(builder, loc, target, in), to};
  return {arith::ExtSIOp::create(builder, loc, target, in), to};
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Scalar Body::add(Scalar lhs, Scalar rhs) {
  if (isFloat(lhs.dtype))
    return math<arith::AddFOp>(lhs, rhs);
  if (isBool(lhs.dtype))
    return bitOr(lhs, rhs);
  return math<arith::AddIOp>(lhs, rhs);
}

Scalar Body::sub(Scalar lhs, Scalar rhs) {
  if (isFloat(lhs.dtype))
    return math<arith::SubFOp>(lhs, rhs);
  return math<arith::SubIOp>(lhs, rhs);
}

Scalar Body::mul(Scalar lhs, Scalar rhs) {
  if (isFloat(lhs.dtype))
    return math<arith::MulFOp>(lhs, rhs);
  if (isBool(lhs.dtype))
    return bitAnd(lhs, rhs);
  return math<arith::MulIOp>(lhs, rhs);
}

Scalar Body::check(Scalar holds, Scalar value, Scalar otherwise,
                   StringRef what, StringRef message) {
  return {hr::CheckOp::create(builder, loc, holds.value, value.value,
                              otherwise.value, ValueRange{}, what, message),
          value.dtype};
}

Scalar Body::checkBelow(Scalar value, const SizeExpr &bound, StringRef what,
                        StringRef subject) {
  Scalar limit = constant(Number(bound), DType::Int64);
  // Unsigned: what is negative is not below either.
  Value below = arith::CmpIOp::create(
      builder, loc, arith::CmpIPredicate::ult, value.value, limit.value);
  return {hr::CheckOp::create(builder, loc, below, value.value,
                              integer(0, DType::Int64).value,
                              ValueRange{value.value, limit.value}, what,
                              subject),
          value.dtype};
}

Scalar Body::nonZero(Scalar divisor, StringRef what) {
  APInt constant;
  if (isFloat(divisor.dtype) ||
      (matchPattern(divisor.value, m_ConstantInt(&constant)) &&
       !constant.isZero()))
    return divisor;
  Scalar holds = compare(Compare::NE, divisor, integer(0, divisor.dtype));
  return check(holds, divisor, integer(1, divisor.dtype), what,
               "integer division by zero (ZeroDivisionError)");
}

/// A divisor under which integer division is defined.
static Scalar getSafeDivisor(Body &body, Scalar lhs, Scalar rhs) {
  APInt constant;
  if (matchPattern(rhs.value, m_ConstantInt(&constant)) &&
      !constant.isZero() && !constant.isAllOnes())
    return rhs;
  Scalar one = body.integer(1, rhs.dtype);
  Scalar traps =
      body.compare(Body::Compare::EQ, rhs, body.integer(0, rhs.dtype));
  if (!isUnsigned(rhs.dtype)) {
    Scalar least = body.lowest(rhs.dtype);
    Scalar overflows = body.bitAnd(
        body.compare(Body::Compare::EQ, lhs, least),
        body.compare(Body::Compare::EQ, rhs, body.integer(-1, rhs.dtype)));
    traps = body.bitOr(traps, overflows);
  }
  return body.select(traps, one, rhs);
}

Scalar Body::div(Scalar lhs, Scalar rhs) {
  if (isFloat(lhs.dtype))
    return math<arith::DivFOp>(lhs, rhs);
  Scalar divisor = getSafeDivisor(*this, lhs, rhs);
  if (isUnsigned(lhs.dtype))
    return math<arith::DivUIOp>(lhs, divisor);
  return math<arith::DivSIOp>(lhs, divisor);
}

Scalar Body::fmod(Scalar lhs, Scalar rhs) {
  if (isFloat(lhs.dtype))
    return math<arith::RemFOp>(lhs, rhs);
  Scalar divisor = getSafeDivisor(*this, lhs, rhs);
  if (isUnsigned(lhs.dtype))
    return math<arith::RemUIOp>(lhs, divisor);
  return math<arith::RemSIOp>(lhs, divisor);
}

Scalar Body::remainder(Scalar lhs, Scalar rhs) {
  Scalar rest = fmod(lhs, rhs);
  if (isUnsigned(lhs.dtype))
    return rest;
  Scalar zero = integer(0, lhs.dtype);
  Scalar inexact = compare(Compare::NE, rest, zero);
  Scalar differs = bitXor(compare(Compare::LT, rest, zero),
                          compare(Compare::LT, rhs, zero));
  return select(bitAnd(inexact, differs), add(rest, rhs), rest);
}

Scalar Body::floorDiv(Scalar lhs, Scalar rhs) {
  DType dtype = lhs.dtype;
  if (isUnsigned(dtype))
    return div(lhs, rhs);
  Scalar zero = integer(0, dtype);
  if (!isFloat(dtype)) {
    Scalar divisor = getSafeDivisor(*this, lhs, rhs);
    Scalar quotient = math<arith::DivSIOp>(lhs, divisor);
    Scalar rest = sub(lhs, mul(quotient, divisor));
    Scalar inexact = compare(Compare::NE, rest, zero);
    Scalar differs = bitXor(compare(Compare::LT, rest, zero),
                            compare(Compare::LT, divisor, zero));
    return select(bitAnd(inexact, differs),
                  sub(quotient, integer(1, dtype)), quotient);
  }
  // c10::div_floor_floating: from the exact remainder, so that the quotient is
  // right where lhs / rhs rounds up to an integer.
  Scalar rest = fmod(lhs, rhs);
  Scalar quotient = div(sub(lhs, rest), rhs);
  Scalar inexact = compare(Compare::NE, rest, zero);
  Scalar differs = bitXor(compare(Compare::LT, rest, zero),
                          compare(Compare::LT, rhs, zero));
  Scalar one = integer(1, dtype);
  quotient = select(bitAnd(inexact, differs), sub(quotient, one), quotient);
  Scalar floor = math<mlir::math::FloorOp>(quotient);
  floor = select(compare(Compare::GT, sub(quotient, floor),
                         constant(0.5, dtype)),
                 add(floor, one), floor);
  Scalar plain = div(lhs, rhs);
  Scalar signedZero = math<mlir::math::CopySignOp>(zero, plain);
  floor = select(compare(Compare::EQ, quotient, zero), signedZero, floor);
  return select(compare(Compare::EQ, rhs, zero), plain, floor);
}

Scalar Body::min(Scalar lhs, Scalar rhs) {
  if (isFloat(lhs.dtype))
    return math<arith::MinimumFOp>(lhs, rhs);
  if (isUnsigned(lhs.dtype))
    return math<arith::MinUIOp>(lhs, rhs);
  return math<arith::MinSIOp>(lhs, rhs);
}

Scalar Body::max(Scalar lhs, Scalar rhs) {
  if (isFloat(lhs.dtype))
    return math<arith::MaximumFOp>(lhs, rhs);
  if (isUnsigned(lhs.dtype))
    return math<arith::MaxUIOp>(lhs, rhs);
  return math<arith::MaxSIOp>(lhs, rhs);
}

Scalar Body::fmin(Scalar lhs, Scalar rhs) {
  if (isFloat(lhs.dtype))
    return math<arith::MinNumFOp>(lhs, rhs);
  return min(lhs, rhs);
}

Scalar Body::fmax(Scalar lhs, Scalar rhs) {
  if (isFloat(lhs.dtype))
    return math<arith::MaxNumFOp>(lhs, rhs);
  return max(lhs, rhs);
}

Scalar Body::neg(Scalar value) {
  if (isFloat(value.dtype))
    return math<arith::NegFOp>(value);
  return sub(integer(0, value.dtype), value);
}

Scalar Body::abs(Scalar value) {
  if (isFloat(value.dtype))
    return math<mlir::math::AbsFOp>(value);
  if (isUnsigned(value.dtype))
    return value;
  Scalar negative = compare(Compare::LT, value, integer(0, value.dtype));
  return select(negative, neg(value), value);
}

Scalar Body::select(Scalar condition, Scalar yes, Scalar no) {
  return {arith::SelectOp::create(builder, loc, condition.value, yes.value,
                                  no.value),
          yes.dtype};
}

Scalar Body::compare(Compare predicate, Scalar lhs, Scalar rhs) {
  if (isFloat(lhs.dtype)) {
    // NaN is unequal to all, and neither less nor greater.
    static constexpr arith::CmpFPredicate predicates[] = {
        arith::CmpFPredicate::OEQ, arith::CmpFPredicate::UNE,
        arith::CmpFPredicate::OLT, arith::CmpFPredicate::OLE,
        arith::CmpFPredicate::OGT, arith::CmpFPredicate::OGE};
    return {arith::CmpFOp::create(builder, loc,
                                  predicates[static_cast<int>(predicate)],
                                  lhs.value, rhs.value),
            DType::Bool};
  }
  static constexpr arith::CmpIPredicate signedPredicates[] = {
      arith::CmpIPredicate::eq,  arith::CmpIPredicate::ne,
      arith::CmpIPredicate::slt, arith::CmpIPredicate::sle,
      arith::CmpIPredicate::sgt, arith::CmpIPredicate::sge};
  static constexpr arith::CmpIPredicate unsignedPredicates[] = {
      arith::CmpIPredicate::eq,  arith::CmpIPredicate::ne,
      arith::CmpIPredicate::ult, arith::CmpIPredicate::ule,
      arith::CmpIPredicate::ugt, arith::CmpIPredicate::uge};
  const auto &predicates =
      isUnsigned(lhs.dtype) ? unsignedPredicates : signedPredicates;
  return {arith::CmpIOp::create(builder, loc,
                                predicates[static_cast<int>(predicate)],
                                lhs.value, rhs.value),
          DType::Bool};
}

Scalar Body::isNaN(Scalar value) {
  if (!isFloat(value.dtype))
    return constant(Number(false), DType::Bool);
  return compare(Compare::NE, value, value);
}

Scalar Body::bitAnd(Scalar lhs, Scalar rhs) {
  return math<arith::AndIOp>(lhs, rhs);
}
Scalar Body::bitOr(Scalar lhs, Scalar rhs) {
  return math<arith::OrIOp>(lhs, rhs);
}
Scalar Body::bitXor(Scalar lhs, Scalar rhs) {
  return math<arith::XOrIOp>(lhs, rhs);
}
Scalar Body::bitNot(Scalar value) {
  if (isBool(value.dtype))
    return bitXor(value, constant(Number(true), DType::Bool));
  return bitXor(value, integer(-1, value.dtype));
}
