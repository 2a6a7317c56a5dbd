//===- Elementwise.cpp - Operators that work point by point ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Arithmetic, comparison, logic, math functions, selection, casts. Each is a
// line of a table: name, how its types follow from its operands', body.
//
//===----------------------------------------------------------------------===//

#include "Lowering.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

using Args = ArrayRef<Scalar>;
using Compare = Body::Compare;
using BodyFunction = Scalar (*)(Body &, Args);

/// How the type that the body computes in follows from the operands.
enum class Typing {
  /// The promoted type.
  Promote,
  /// The promoted type; integers become f32.
  Float,
  /// The promoted type, of which the body makes a bool.
  ToBool,
  /// Each operand becomes a bool first.
  Logical,
};

/// A number as the 16-bit float it would be rounded to as a tensor: torch
/// compares in the common type.
static Operand roundNumber(Lowering &c, const Operand &operand, DType type) {
  if (!operand.number() || !isHalf(type) || !operand.number()->constant())
    return operand;
  auto attr = cast<FloatAttr>(c.getAttr(*operand.number(), type));
  return Number(attr.getValueAsDouble());
}

static void lowerPointwise(Lowering &c, ArrayRef<Operand> operands,
                           Typing typing, BodyFn body) {
  DType compute = resultType(operands);
  switch (typing) {
  case Typing::Promote:
    return c.yieldCast(c.map(operands, compute, compute, body));
  case Typing::Float:
    compute = getFloatType(compute);
    return c.yieldCast(c.map(operands, compute, compute, body));
  case Typing::ToBool: {
    SmallVector<Operand> rounded;
    for (const Operand &operand : operands)
      rounded.push_back(roundNumber(c, operand, compute));
    return c.yieldCast(c.map(rounded, compute, DType::Bool, body));
  }
  case Typing::Logical: {
    return c.yieldCast(c.map(operands, compute, DType::Bool,
                             [&](Body &b, Args args) {
                               SmallVector<Scalar> flags;
                               for (Scalar arg : args)
                                 flags.push_back(b.cast(arg, DType::Bool));
                               return body(b, flags);
                             }));
  }
  }
}

namespace {
struct Unary {
  StringRef name;
  Typing typing;
  BodyFunction body;
};
struct Binary {
  StringRef name;
  Typing typing;
  BodyFunction body;
};
} // namespace

//===----------------------------------------------------------------------===//
// Bodies
//===----------------------------------------------------------------------===//

template <typename Op> static Scalar mathBody(Body &b, Args a) {
  return b.math<Op>(a[0]);
}

/// Runs `body` in f64 where the operand is narrower: for formulas that lose
/// more bits than f32 has to spare.
static Scalar inDouble(Body &b, Scalar x,
                       function_ref<Scalar(Body &, Scalar)> body) {
  return b.cast(body(b, b.cast(x, DType::Float64)), x.dtype);
}

static Scalar rounding(Body &b, Scalar x, Scalar (*op)(Body &, Args)) {
  return isFloat(x.dtype) ? op(b, {x}) : x;
}
template <typename Op> static Scalar roundBody(Body &b, Args a) {
  return rounding(b, a[0], mathBody<Op>);
}

static Scalar reciprocal(Body &b, Args a) {
  return b.div(b.constant(1.0, a[0].dtype), a[0]);
}

static Scalar rsqrt(Body &b, Args a) {
  return b.div(b.constant(1.0, a[0].dtype), b.math<math::SqrtOp>(a[0]));
}

static Scalar square(Body &b, Args a) { return b.mul(a[0], a[0]); }

static Scalar sign(Body &b, Args a) {
  Scalar x = a[0];
  Scalar zero = b.integer(0, x.dtype), one = b.integer(1, x.dtype);
  if (isUnsigned(x.dtype))
    return b.select(b.compare(Compare::NE, x, zero), one, zero);
  Scalar negative = b.select(b.compare(Compare::LT, x, zero),
                             b.integer(-1, x.dtype), zero);
  return b.select(b.compare(Compare::GT, x, zero), one, negative);
}

static Scalar sigmoid(Body &b, Args a) {
  Scalar one = b.constant(1.0, a[0].dtype);
  return b.div(one, b.add(one, b.math<math::ExpOp>(b.neg(a[0]))));
}

static Scalar asin(Body &b, Args a) {
  return inDouble(b, a[0], [](Body &b, Scalar x) {
    Scalar one = b.constant(1.0, x.dtype);
    Scalar root =
        b.math<math::SqrtOp>(b.mul(b.sub(one, x), b.add(one, x)));
    return b.math<math::Atan2Op>(x, root);
  });
}

static Scalar acos(Body &b, Args a) {
  return inDouble(b, a[0], [](Body &b, Scalar x) {
    Scalar one = b.constant(1.0, x.dtype);
    Scalar root =
        b.math<math::SqrtOp>(b.mul(b.sub(one, x), b.add(one, x)));
    return b.math<math::Atan2Op>(root, x);
  });
}

/// Both signs of the hyperbolic functions share expm1 of the magnitude.
static Scalar sinh(Body &b, Args a) {
  return inDouble(b, a[0], [](Body &b, Scalar x) {
    Scalar magnitude = b.abs(x), half = b.constant(0.5, x.dtype);
    // e^|x| overflows before sinh does: take it in two factors there.
    Scalar large = b.math<math::ExpOp>(b.mul(magnitude, half));
    Scalar far = b.mul(b.mul(half, large), large);
    Scalar m = b.math<math::ExpM1Op>(magnitude);
    Scalar one = b.constant(1.0, x.dtype);
    Scalar near = b.mul(half, b.add(m, b.div(m, b.add(m, one))));
    Scalar isFar =
        b.compare(Compare::GT, magnitude, b.constant(40.0, x.dtype));
    return b.math<math::CopySignOp>(b.select(isFar, far, near), x);
  });
}

static Scalar cosh(Body &b, Args a) {
  return inDouble(b, a[0], [](Body &b, Scalar x) {
    Scalar half = b.constant(0.5, x.dtype);
    Scalar root = b.math<math::ExpOp>(b.mul(b.abs(x), half));
    Scalar e = b.mul(root, root);
    Scalar near = b.add(b.mul(half, e), b.div(half, e));
    Scalar far = b.mul(b.mul(half, root), root);
    Scalar isFar =
        b.compare(Compare::GT, b.abs(x), b.constant(40.0, x.dtype));
    return b.select(isFar, far, near);
  });
}

static Scalar asinh(Body &b, Args a) {
  return inDouble(b, a[0], [](Body &b, Scalar x) {
    Scalar m = b.abs(x), one = b.constant(1.0, x.dtype);
    Scalar square = b.mul(m, m);
    Scalar root = b.math<math::SqrtOp>(b.add(square, one));
    Scalar near = b.math<math::Log1pOp>(
        b.add(m, b.div(square, b.add(one, root))));
    Scalar far = b.add(b.math<math::LogOp>(m),
                       b.constant(0.69314718055994530942, x.dtype));
    Scalar isFar = b.compare(Compare::GT, m, b.constant(1e10, x.dtype));
    return b.math<math::CopySignOp>(b.select(isFar, far, near), x);
  });
}

static Scalar acosh(Body &b, Args a) {
  return inDouble(b, a[0], [](Body &b, Scalar x) {
    Scalar t = b.sub(x, b.constant(1.0, x.dtype));
    Scalar root = b.math<math::SqrtOp>(
        b.mul(t, b.add(t, b.constant(2.0, x.dtype))));
    Scalar near = b.math<math::Log1pOp>(b.add(t, root));
    Scalar far = b.add(b.math<math::LogOp>(x),
                       b.constant(0.69314718055994530942, x.dtype));
    Scalar isFar = b.compare(Compare::GT, x, b.constant(1e10, x.dtype));
    return b.select(isFar, far, near);
  });
}

static Scalar atanh(Body &b, Args a) {
  return inDouble(b, a[0], [](Body &b, Scalar x) {
    Scalar one = b.constant(1.0, x.dtype), m = b.abs(x);
    Scalar ratio = b.div(b.add(m, m), b.sub(one, m));
    Scalar half =
        b.mul(b.constant(0.5, x.dtype), b.math<math::Log1pOp>(ratio));
    return b.math<math::CopySignOp>(half, x);
  });
}

static Scalar log10(Body &b, Args a) {
  return inDouble(b, a[0], [](Body &b, Scalar x) {
    return b.mul(b.math<math::LogOp>(x),
                 b.constant(0.43429448190325182765, x.dtype));
  });
}

static Scalar erfc(Body &b, Args a) {
  return inDouble(b, a[0], [](Body &b, Scalar x) {
    return b.sub(b.constant(1.0, x.dtype), b.math<math::ErfOp>(x));
  });
}

static Scalar isInf(Body &b, Args a) {
  if (!isFloat(a[0].dtype))
    return b.constant(Number(false), DType::Bool);
  return b.compare(Compare::EQ, b.abs(a[0]), b.infinity(a[0].dtype));
}

static Scalar isFinite(Body &b, Args a) {
  if (!isFloat(a[0].dtype))
    return b.constant(Number(true), DType::Bool);
  return b.compare(Compare::LT, b.abs(a[0]), b.infinity(a[0].dtype));
}

static Scalar signBit(Body &b, Args a) {
  Scalar one = b.integer(1, a[0].dtype);
  if (isFloat(a[0].dtype))
    return b.compare(Compare::LT, b.math<math::CopySignOp>(one, a[0]),
                     b.integer(0, a[0].dtype));
  return b.compare(Compare::LT, a[0], b.integer(0, a[0].dtype));
}

static Scalar frac(Body &b, Args a) {
  return b.sub(a[0], b.math<math::TruncOp>(a[0]));
}

template <Compare predicate> static Scalar compareBody(Body &b, Args a) {
  return b.compare(predicate, a[0], a[1]);
}

/// base to the power of a constant that is not negative, by squaring.
static Scalar integerPower(Body &b, Scalar base, uint64_t exponent) {
  std::optional<Scalar> result;
  for (Scalar square = base; exponent; exponent >>= 1) {
    if (exponent & 1)
      result = result ? b.mul(*result, square) : square;
    if (exponent > 1)
      square = b.mul(square, square);
  }
  return result ? *result : b.integer(1, base.dtype);
}

/// Integer powers modulo the type's range, by squaring: a step per bit of the
/// exponent. A negative exponent leaves only the powers of one and minus one.
static Scalar integerPower(Body &b, Scalar base, Scalar exponent) {
  DType type = base.dtype;
  if (isBool(type))
    return b.bitOr(base, b.bitNot(exponent));
  Scalar zero = b.integer(0, type), one = b.integer(1, type);
  Scalar power = one, square = base, bits = exponent;
  unsigned width = getBitWidth(type) - (isUnsigned(type) ? 0 : 1);
  for (unsigned bit = 0; bit < width; ++bit) {
    Scalar isSet = b.compare(Compare::NE, b.bitAnd(bits, one), zero);
    power = b.select(isSet, b.mul(power, square), power);
    square = b.mul(square, square);
    bits = b.math<arith::ShRUIOp>(bits, one);
  }
  if (isUnsigned(type))
    return power;
  Scalar minusOne = b.integer(-1, type);
  Scalar odd = b.compare(Compare::NE, b.bitAnd(exponent, one), zero);
  Scalar inverse = b.select(
      b.compare(Compare::EQ, base, one), one,
      b.select(b.compare(Compare::EQ, base, minusOne),
               b.select(odd, minusOne, one), zero));
  return b.select(b.compare(Compare::LT, exponent, zero), inverse, power);
}

static Scalar power(Body &b, Args a) {
  if (isFloat(a[0].dtype))
    return b.math<math::PowFOp>(a[0], a[1]);
  return integerPower(b, a[0], a[1]);
}

/// x to the power of a constant: exact where a few operations do it.
static Scalar constantPower(Body &b, Scalar x, double exponent) {
  DType type = x.dtype;
  if (isFloat(type)) {
    if (exponent == 0.5)
      return b.math<math::SqrtOp>(x);
    if (exponent == -0.5)
      return rsqrt(b, {x});
    if (exponent == -1.0)
      return reciprocal(b, {x});
    if (exponent == -2.0)
      return reciprocal(b, {b.mul(x, x)});
  }
  if (exponent == 0.0)
    return b.integer(1, type);
  if (exponent == 1.0)
    return x;
  if (exponent == 2.0)
    return b.mul(x, x);
  if (exponent == 3.0)
    return b.mul(b.mul(x, x), x);
  if (isFloat(type))
    return b.math<math::PowFOp>(x, b.constant(exponent, type));
  return integerPower(b, x, static_cast<uint64_t>(exponent));
}

static Scalar shiftLeft(Body &b, Args a) {
  DType type = a[0].dtype;
  int64_t width = getBitWidth(type);
  // Also negative amounts are out of range when taken as unsigned.
  Value tooFar = arith::CmpIOp::create(b.builder, b.loc,
                                       arith::CmpIPredicate::uge, a[1].value,
                                       b.integer(width, type).value);
  Scalar amount =
      b.select({tooFar, DType::Bool}, b.integer(0, type), a[1]);
  Scalar shifted = b.math<arith::ShLIOp>(a[0], amount);
  return b.select({tooFar, DType::Bool}, b.integer(0, type), shifted);
}

static Scalar shiftRight(Body &b, Args a) {
  DType type = a[0].dtype;
  int64_t width = getBitWidth(type);
  Value tooFar = arith::CmpIOp::create(b.builder, b.loc,
                                       arith::CmpIPredicate::uge, a[1].value,
                                       b.integer(width, type).value);
  if (isUnsigned(type)) {
    Scalar amount =
        b.select({tooFar, DType::Bool}, b.integer(0, type), a[1]);
    Scalar shifted = b.math<arith::ShRUIOp>(a[0], amount);
    return b.select({tooFar, DType::Bool}, b.integer(0, type), shifted);
  }
  Scalar amount =
      b.select({tooFar, DType::Bool}, b.integer(width - 1, type), a[1]);
  return b.math<arith::ShRSIOp>(a[0], amount);
}

static Scalar logAddExp(Body &b, Args a) {
  Scalar high = b.max(a[0], a[1]);
  Scalar gap = b.neg(b.abs(b.sub(a[0], a[1])));
  Scalar sum = b.add(high, b.math<math::Log1pOp>(b.math<math::ExpOp>(gap)));
  // Of two equal infinities the gap is NaN, and the sum is either.
  Scalar same = b.bitAnd(b.compare(Compare::EQ, a[0], a[1]), isInf(b, a));
  return b.select(same, a[0], sum);
}

static Scalar hypot(Body &b, Args a) {
  DType type = a[0].dtype;
  Scalar x = b.cast(a[0], DType::Float64), y = b.cast(a[1], DType::Float64);
  // Infinite where one operand is, whatever the other.
  Scalar infinite = b.bitOr(
      b.compare(Compare::EQ, b.abs(a[0]), b.infinity(type)),
      b.compare(Compare::EQ, b.abs(a[1]), b.infinity(type)));
  Scalar infinity = b.infinity(type);
  if (type == DType::Float64) {
    // Scaled, so that the squares neither overflow nor vanish.
    Scalar high = b.max(b.abs(x), b.abs(y)), low = b.min(b.abs(x), b.abs(y));
    Scalar zero = b.constant(0.0, type);
    Scalar ratio = b.div(low, high);
    Scalar root = b.mul(
        high, b.math<math::SqrtOp>(b.add(b.constant(1.0, type),
                                         b.mul(ratio, ratio))));
    Scalar result =
        b.select(b.compare(Compare::EQ, low, zero), high, root);
    return b.select(infinite, infinity, result);
  }
  Scalar root =
      b.cast(b.math<math::SqrtOp>(b.add(b.mul(x, x), b.mul(y, y))), type);
  return b.select(infinite, infinity, root);
}

/// x * log, zero where x is, NaN where y is.
static Scalar xlogPlus(Body &b, Scalar x, Scalar y, Scalar log) {
  Scalar zero = b.constant(0.0, x.dtype);
  Scalar result =
      b.select(b.compare(Compare::EQ, x, zero), zero, b.mul(x, log));
  return b.select(b.isNaN(y), y, result);
}

static Scalar xlogy(Body &b, Args a) {
  return xlogPlus(b, a[0], a[1], b.math<math::LogOp>(a[1]));
}

static Scalar xlog1py(Body &b, Args a) {
  return xlogPlus(b, a[0], a[1], b.math<math::Log1pOp>(a[1]));
}

static Scalar logAddExp2(Body &b, Args a) {
  Scalar high = b.max(a[0], a[1]);
  Scalar gap = b.neg(b.abs(b.sub(a[0], a[1])));
  Scalar log = b.math<math::Log1pOp>(b.math<math::Exp2Op>(gap));
  Scalar sum = b.add(
      high, b.mul(log, b.constant(1.44269504088896340736, a[0].dtype)));
  Scalar same = b.bitAnd(b.compare(Compare::EQ, a[0], a[1]), isInf(b, a));
  return b.select(same, a[0], sum);
}

/// sin(pi x) / (pi x), 1 at zero.
static Scalar sinc(Body &b, Args a) {
  return inDouble(b, a[0], [](Body &b, Scalar x) {
    Scalar angle = b.mul(x, b.constant(3.14159265358979323846, x.dtype));
    Scalar zero = b.constant(0.0, x.dtype), one = b.constant(1.0, x.dtype);
    return b.select(b.compare(Compare::EQ, x, zero), one,
                    b.div(b.math<math::SinOp>(angle), angle));
  });
}

/// The normal distribution's integral up to x.
static Scalar ndtr(Body &b, Args a) {
  return inDouble(b, a[0], [](Body &b, Scalar x) {
    Scalar half = b.constant(0.5, x.dtype);
    Scalar scaled = b.mul(x, b.constant(0.70710678118654752440, x.dtype));
    return b.add(half, b.mul(half, b.math<math::ErfOp>(scaled)));
  });
}

/// -x log x; 0 at zero, -inf below.
static Scalar entr(Body &b, Args a) {
  Scalar x = a[0], zero = b.constant(0.0, x.dtype);
  Scalar inside = b.neg(b.mul(x, b.math<math::LogOp>(x)));
  Scalar below = b.select(b.compare(Compare::LT, x, zero),
                          b.infinity(x.dtype, true), inside);
  return b.select(b.compare(Compare::EQ, x, zero), zero, below);
}

static constexpr Unary unaries[] = {
    {"abs", Typing::Promote, [](Body &b, Args a) { return b.abs(a[0]); }},
    {"absolute", Typing::Promote, [](Body &b, Args a) { return b.abs(a[0]); }},
    {"neg", Typing::Promote, [](Body &b, Args a) { return b.neg(a[0]); }},
    {"negative", Typing::Promote, [](Body &b, Args a) { return b.neg(a[0]); }},
    {"positive", Typing::Promote, [](Body &, Args a) { return a[0]; }},
    {"sign", Typing::Promote, sign},
    {"sgn", Typing::Promote, sign},
    {"square", Typing::Promote, square},
    {"ceil", Typing::Promote, roundBody<math::CeilOp>},
    {"floor", Typing::Promote, roundBody<math::FloorOp>},
    {"trunc", Typing::Promote, roundBody<math::TruncOp>},
    {"fix", Typing::Promote, roundBody<math::TruncOp>},
    {"round", Typing::Promote, roundBody<math::RoundEvenOp>},
    {"frac", Typing::Promote, frac},
    {"bitwise_not", Typing::Promote,
     [](Body &b, Args a) { return b.bitNot(a[0]); }},
    {"exp", Typing::Float, mathBody<math::ExpOp>},
    {"exp2", Typing::Float, mathBody<math::Exp2Op>},
    {"expm1", Typing::Float, mathBody<math::ExpM1Op>},
    {"log", Typing::Float, mathBody<math::LogOp>},
    {"log2", Typing::Float, mathBody<math::Log2Op>},
    {"log10", Typing::Float, log10},
    {"log1p", Typing::Float, mathBody<math::Log1pOp>},
    {"sqrt", Typing::Float, mathBody<math::SqrtOp>},
    {"rsqrt", Typing::Float, rsqrt},
    {"reciprocal", Typing::Float, reciprocal},
    {"sin", Typing::Float, mathBody<math::SinOp>},
    {"cos", Typing::Float, mathBody<math::CosOp>},
    {"tan", Typing::Float, mathBody<math::TanOp>},
    {"tanh", Typing::Float, mathBody<math::TanhOp>},
    {"atan", Typing::Float, mathBody<math::AtanOp>},
    {"arctan", Typing::Float, mathBody<math::AtanOp>},
    {"asin", Typing::Float, asin},
    {"arcsin", Typing::Float, asin},
    {"arccos", Typing::Float, acos},
    {"acos", Typing::Float, acos},
    {"sinh", Typing::Float, sinh},
    {"cosh", Typing::Float, cosh},
    {"arcsinh", Typing::Float, asinh},
    {"arccosh", Typing::Float, acosh},
    {"arctanh", Typing::Float, atanh},
    {"asinh", Typing::Float, asinh},
    {"acosh", Typing::Float, acosh},
    {"atanh", Typing::Float, atanh},
    {"erf", Typing::Float, mathBody<math::ErfOp>},
    {"erfc", Typing::Float, erfc},
    {"special_erf", Typing::Float, mathBody<math::ErfOp>},
    {"special_erfc", Typing::Float, erfc},
    {"special_expm1", Typing::Float, mathBody<math::ExpM1Op>},
    {"special_expit", Typing::Float, sigmoid},
    {"special_exp2", Typing::Float, mathBody<math::Exp2Op>},
    {"special_log1p", Typing::Float, mathBody<math::Log1pOp>},
    {"special_ndtr", Typing::Float, ndtr},
    {"special_entr", Typing::Float, entr},
    {"sinc", Typing::Float, sinc},
    {"special_sinc", Typing::Float, sinc},
    {"sigmoid", Typing::Float, sigmoid},
    {"deg2rad", Typing::Float,
     [](Body &b, Args a) {
       return b.mul(a[0], b.constant(0.017453292519943295769, a[0].dtype));
     }},
    {"rad2deg", Typing::Float,
     [](Body &b, Args a) {
       return b.mul(a[0], b.constant(57.295779513082320877, a[0].dtype));
     }},
    {"logical_not", Typing::Logical,
     [](Body &b, Args a) { return b.bitNot(a[0]); }},
    {"isnan", Typing::ToBool, [](Body &b, Args a) { return b.isNaN(a[0]); }},
    {"isinf", Typing::ToBool, isInf},
    {"isfinite", Typing::ToBool, isFinite},
    {"isposinf", Typing::ToBool,
     [](Body &b, Args a) {
       if (!isFloat(a[0].dtype))
         return b.constant(Number(false), DType::Bool);
       return b.compare(Compare::EQ, a[0], b.infinity(a[0].dtype));
     }},
    {"isneginf", Typing::ToBool,
     [](Body &b, Args a) {
       if (!isFloat(a[0].dtype))
         return b.constant(Number(false), DType::Bool);
       return b.compare(Compare::EQ, a[0], b.infinity(a[0].dtype, true));
     }},
    {"signbit", Typing::ToBool, signBit},
    {"isreal", Typing::ToBool,
     [](Body &b, Args) { return b.constant(Number(true), DType::Bool); }},
};

static constexpr Binary binaries[] = {
    {"mul", Typing::Promote,
     [](Body &b, Args a) { return b.mul(a[0], a[1]); }},
    {"multiply", Typing::Promote,
     [](Body &b, Args a) { return b.mul(a[0], a[1]); }},
    {"div", Typing::Float, [](Body &b, Args a) { return b.div(a[0], a[1]); }},
    {"divide", Typing::Float,
     [](Body &b, Args a) { return b.div(a[0], a[1]); }},
    {"true_divide", Typing::Float,
     [](Body &b, Args a) { return b.div(a[0], a[1]); }},
    {"floor_divide", Typing::Promote,
     [](Body &b, Args a) {
       return b.floorDiv(a[0], b.nonZero(a[1], "floor_divide"));
     }},
    {"remainder", Typing::Promote,
     [](Body &b, Args a) {
       return b.remainder(a[0], b.nonZero(a[1], "remainder"));
     }},
    {"fmod", Typing::Promote,
     [](Body &b, Args a) { return b.fmod(a[0], b.nonZero(a[1], "fmod")); }},
    {"maximum", Typing::Promote,
     [](Body &b, Args a) { return b.max(a[0], a[1]); }},
    {"minimum", Typing::Promote,
     [](Body &b, Args a) { return b.min(a[0], a[1]); }},
    {"fmax", Typing::Promote,
     [](Body &b, Args a) { return b.fmax(a[0], a[1]); }},
    {"fmin", Typing::Promote,
     [](Body &b, Args a) { return b.fmin(a[0], a[1]); }},
    {"atan2", Typing::Float,
     [](Body &b, Args a) { return b.math<math::Atan2Op>(a[0], a[1]); }},
    {"arctan2", Typing::Float,
     [](Body &b, Args a) { return b.math<math::Atan2Op>(a[0], a[1]); }},
    {"copysign", Typing::Float,
     [](Body &b, Args a) { return b.math<math::CopySignOp>(a[0], a[1]); }},
    {"hypot", Typing::Promote, hypot},
    {"logaddexp", Typing::Promote, logAddExp},
    {"logaddexp2", Typing::Promote, logAddExp2},
    {"xlogy", Typing::Float, xlogy},
    {"special_xlog1py", Typing::Float, xlog1py},
    {"ldexp", Typing::Float,
     [](Body &b, Args a) {
       return b.mul(a[0], b.math<math::Exp2Op>(a[1]));
     }},
    {"special_xlogy", Typing::Float, xlogy},
    {"heaviside", Typing::Promote,
     [](Body &b, Args a) {
       Scalar zero = b.integer(0, a[0].dtype), one = b.integer(1, a[0].dtype);
       Scalar step =
           b.select(b.compare(Compare::GT, a[0], zero), one, zero);
       return b.select(b.compare(Compare::EQ, a[0], zero), a[1], step);
     }},
    {"bitwise_and", Typing::Promote,
     [](Body &b, Args a) { return b.bitAnd(a[0], a[1]); }},
    {"bitwise_or", Typing::Promote,
     [](Body &b, Args a) { return b.bitOr(a[0], a[1]); }},
    {"bitwise_xor", Typing::Promote,
     [](Body &b, Args a) { return b.bitXor(a[0], a[1]); }},
    {"__and__", Typing::Promote,
     [](Body &b, Args a) { return b.bitAnd(a[0], a[1]); }},
    {"__or__", Typing::Promote,
     [](Body &b, Args a) { return b.bitOr(a[0], a[1]); }},
    {"__xor__", Typing::Promote,
     [](Body &b, Args a) { return b.bitXor(a[0], a[1]); }},
    {"bitwise_left_shift", Typing::Promote, shiftLeft},
    {"bitwise_right_shift", Typing::Promote, shiftRight},
    {"__lshift__", Typing::Promote, shiftLeft},
    {"__rshift__", Typing::Promote, shiftRight},
    {"eq", Typing::ToBool, compareBody<Compare::EQ>},
    {"ne", Typing::ToBool, compareBody<Compare::NE>},
    {"not_equal", Typing::ToBool, compareBody<Compare::NE>},
    {"lt", Typing::ToBool, compareBody<Compare::LT>},
    {"less", Typing::ToBool, compareBody<Compare::LT>},
    {"le", Typing::ToBool, compareBody<Compare::LE>},
    {"less_equal", Typing::ToBool, compareBody<Compare::LE>},
    {"gt", Typing::ToBool, compareBody<Compare::GT>},
    {"greater", Typing::ToBool, compareBody<Compare::GT>},
    {"ge", Typing::ToBool, compareBody<Compare::GE>},
    {"greater_equal", Typing::ToBool, compareBody<Compare::GE>},
    {"logical_and", Typing::Logical,
     [](Body &b, Args a) { return b.bitAnd(a[0], a[1]); }},
    {"logical_or", Typing::Logical,
     [](Body &b, Args a) { return b.bitOr(a[0], a[1]); }},
    {"logical_xor", Typing::Logical,
     [](Body &b, Args a) { return b.bitXor(a[0], a[1]); }},
};

//===----------------------------------------------------------------------===//
// Entries with arguments of their own
//===----------------------------------------------------------------------===//

/// self + alpha * other, or with a minus.
static void lowerAddSub(Lowering &c, bool subtract, bool reverse) {
  Operand lhs = c.operand("self"), rhs = c.operand("other");
  if (reverse)
    std::swap(lhs, rhs);
  Number alpha = c.has("alpha") ? c.number("alpha") : Number(int64_t(1));
  bool scaled = alpha.constant() != 1.0;
  lowerPointwise(c, {lhs, rhs}, Typing::Promote, [&](Body &b, Args a) {
    Scalar value =
        scaled ? b.mul(a[1], b.constant(alpha, a[1].dtype)) : a[1];
    return subtract ? b.sub(a[0], value) : b.add(a[0], value);
  });
}

static void lowerDivMode(Lowering &c) {
  StringRef mode = c.text("rounding_mode");
  SmallVector<Operand> operands{c.operand("self"), c.operand("other")};
  if (mode.empty())
    return lowerPointwise(
        c, operands, Typing::Float,
        [](Body &b, Args a) { return b.div(a[0], a[1]); });
  bool floor = mode == "floor";
  lowerPointwise(c, operands, Typing::Promote, [&](Body &b, Args a) {
    Scalar divisor = b.nonZero(a[1], "div");
    if (floor)
      return b.floorDiv(a[0], divisor);
    Scalar quotient = b.div(a[0], divisor);
    return isFloat(quotient.dtype) ? b.math<math::TruncOp>(quotient)
                                   : quotient;
  });
}

static void lowerPow(Lowering &c) {
  Operand base = c.operand("self"), exponent = c.operand("exponent");
  std::optional<double> constant;
  if (exponent.number())
    constant = exponent.number()->constant();
  if (constant && *constant < 0.0 && !isFloat(resultType({base, exponent})))
    return c.fail("an integer to a negative power");
  lowerPointwise(c, {base, exponent}, Typing::Promote, [&](Body &b, Args a) {
    return constant ? constantPower(b, a[0], *constant) : power(b, a);
  });
}

/// clamp, clip, clamp_min, clamp_max, hardtanh: bounds that may be absent.
static void lowerClamp(Lowering &c, StringRef lowName, StringRef highName) {
  SmallVector<Operand> operands{c.operand("self")};
  std::optional<unsigned> low, high;
  if (!lowName.empty() && !c.isNone(lowName)) {
    low = operands.size();
    operands.push_back(c.operand(lowName));
  }
  if (!highName.empty() && !c.isNone(highName)) {
    high = operands.size();
    operands.push_back(c.operand(highName));
  }
  lowerPointwise(c, operands, Typing::Promote, [&](Body &b, Args a) {
    Scalar value = a[0];
    if (low)
      value = b.max(value, a[*low]);
    if (high)
      value = b.min(value, a[*high]);
    return value;
  });
}

static void lowerWhere(Lowering &c) {
  Operand yes = c.operand("self"), no = c.operand("other");
  DType type = resultType({yes, no});
  c.yieldCast(c.where(c.tensor("condition"), yes, no, type));
}

static void lowerMaskedFill(Lowering &c) {
  Tensor self = c.tensor("self");
  c.yield(c.where(c.tensor("mask"), c.operand("value"), self, self.dtype));
}

static void lowerNanToNum(Lowering &c) {
  Tensor self = c.tensor("self");
  if (!isFloat(self.dtype))
    return c.yield(self);
  // The largest finite value of the tensor's own type stands for infinity.
  auto type = cast<FloatType>(getElementType(c.context(), self.dtype));
  double largest =
      FloatAttr::get(type, APFloat::getLargest(type.getFloatSemantics()))
          .getValueAsDouble();
  auto given = [&](StringRef name, double otherwise) {
    return c.isNone(name) ? otherwise : c.real(name);
  };
  double nan = given("nan", 0.0), high = given("posinf", largest);
  double low = given("neginf", -largest);
  lowerPointwise(c, {self}, Typing::Promote, [&](Body &b, Args a) {
    DType t = a[0].dtype;
    Scalar value =
        b.select(b.compare(Compare::EQ, a[0], b.infinity(t)),
                 b.constant(high, t), a[0]);
    value = b.select(b.compare(Compare::EQ, a[0], b.infinity(t, true)),
                     b.constant(low, t), value);
    return b.select(b.isNaN(a[0]), b.constant(nan, t), value);
  });
}

static void lowerRoundDecimals(Lowering &c) {
  int64_t decimals = c.integer("decimals");
  if (std::abs(decimals) > 18)
    return c.fail("decimals is " + Twine(decimals) +
                  ", which is not in [-18, 18]");
  double factor = 1.0;
  for (int64_t i = 0; i < std::abs(decimals); ++i)
    factor *= 10.0;
  lowerPointwise(c, {c.operand("self")}, Typing::Promote,
                 [&](Body &b, Args a) {
                   if (!isFloat(a[0].dtype) || decimals == 0)
                     return rounding(b, a[0], mathBody<math::RoundEvenOp>);
                   Scalar by = b.constant(factor, a[0].dtype);
                   Scalar scaled =
                       decimals > 0 ? b.mul(a[0], by) : b.div(a[0], by);
                   Scalar whole = b.math<math::RoundEvenOp>(scaled);
                   return decimals > 0 ? b.div(whole, by) : b.mul(whole, by);
                 });
}

/// self + value * (tensor1 op tensor2).
static void lowerAddProduct(Lowering &c, bool divide) {
  Number value = c.number("value");
  bool scaled = value.constant() != 1.0;
  lowerPointwise(
      c, {c.operand("self"), c.operand("tensor1"), c.operand("tensor2")},
      divide ? Typing::Float : Typing::Promote, [&](Body &b, Args a) {
        Scalar term = a[1];
        if (scaled)
          term = b.mul(b.constant(value, term.dtype), term);
        term = divide ? b.div(term, a[2]) : b.mul(term, a[2]);
        return b.add(a[0], term);
      });
}

static void lowerLerp(Lowering &c) {
  lowerPointwise(
      c, {c.operand("self"), c.operand("end"), c.operand("weight")},
      Typing::Promote, [](Body &b, Args a) {
        // Exact at both ends: from the nearer one, as torch does.
        DType t = a[0].dtype;
        Scalar gap = b.sub(a[1], a[0]);
        Scalar fromStart = b.add(a[0], b.mul(a[2], gap));
        Scalar rest = b.sub(b.constant(1.0, t), a[2]);
        Scalar fromEnd = b.sub(a[1], b.mul(gap, rest));
        Scalar near =
            b.compare(Compare::LT, b.abs(a[2]), b.constant(0.5, t));
        return b.select(near, fromStart, fromEnd);
      });
}

/// float_power: both in f64.
static void lowerFloatPower(Lowering &c) {
  c.yieldCast(c.map({c.operand("self"), c.operand("exponent")}, DType::Float64,
                    DType::Float64, [](Body &b, Args a) {
                      return b.math<math::PowFOp>(a[0], a[1]);
                    }));
}

/// |self - other| <= atol + |rtol * other|, or equal.
static void lowerIsClose(Lowering &c) {
  Operand self = c.operand("self"), other = c.operand("other");
  DType type = getComputeType(getFloatType(resultType({self, other})));
  double rtol = c.real("rtol"), atol = c.real("atol");
  bool nan = c.flag("equal_nan");
  c.yield(c.map({self, other}, type, DType::Bool, [&](Body &b, Args a) {
    Scalar gap = b.abs(b.sub(a[0], a[1]));
    Scalar allowed =
        b.add(b.constant(atol, type),
              b.abs(b.mul(b.constant(rtol, type), a[1])));
    // A gap that is infinite is not close, whatever is allowed.
    Scalar close = b.bitAnd(b.compare(Compare::LE, gap, allowed),
                            b.compare(Compare::LT, gap, b.infinity(type)));
    close = b.bitOr(close, b.compare(Compare::EQ, a[0], a[1]));
    if (nan)
      close = b.bitOr(close, b.bitAnd(b.isNaN(a[0]), b.isNaN(a[1])));
    return close;
  }));
}

/// to.*, _to_copy, type_as, convert_element_type: a cast, or nothing; the
/// result's type says which.
static void lowerCast(Lowering &c) {
  if (c.has("device") && !c.isNone("device"))
    if (auto device = dyn_cast<aten::DeviceAttr>(c.call.getArg("device")))
      if (!device.getName().starts_with("cpu"))
        return c.fail("device '" + device.getName() + "' is not cpu");
  c.yieldCast(c.tensor(c.has("self") ? "self" : "a"));
}

static void lowerIdentity(Lowering &c) { c.yield(c.tensor("self")); }

/// Dropout that drops nothing.
static void lowerDropout(Lowering &c) {
  if (c.flag("train") && c.real("p") != 0.0)
    return c.fail("it draws random numbers; call model.eval() before export");
  c.yield(c.tensor("input"));
}

static void lowerNativeDropout(Lowering &c) {
  if (!c.isNone("train") && c.flag("train") && c.real("p") != 0.0)
    return c.fail("it draws random numbers; call model.eval() before export");
  c.yield(c.tensor("input"));
  c.yield(c.fill(c.resultDims(1), Number(true), DType::Bool));
}

void conversion::registerElementwise(Registry &r) {
  for (const Unary &entry : unaries) {
    r.add(("aten." + entry.name + ".default").str(), [entry](Lowering &c) {
      lowerPointwise(c, {c.operand("self")}, entry.typing, entry.body);
    });
  }
  for (const Binary &entry : binaries) {
    for (StringRef overload : {"default", "Tensor", "Scalar", "Scalar_Tensor",
                               "Tensor_Scalar", "Tensor_Tensor",
                               "Scalar_Self", "Scalar_Other", "Self",
                               "self_scalar", "other_scalar"}) {
      std::string name = ("aten." + entry.name + "." + overload).str();
      if (!aten::lookupSchema(name))
        continue;
      r.add(name, [entry](Lowering &c) {
        // The second operand has one of two names.
        StringRef other = c.has("values") ? "values" : "other";
        lowerPointwise(c, {c.operand("self"), c.operand(other)},
                       entry.typing, entry.body);
      });
    }
  }
  // max.other and min.other are maximum and minimum.
  r.add("aten.max.other", *r.lookup("aten.maximum.default"));
  r.add("aten.min.other", *r.lookup("aten.minimum.default"));

  for (StringRef overload : {"Tensor", "Scalar"}) {
    auto name = [&](StringRef base) {
      return ("aten." + base + "." + overload).str();
    };
    r.add(name("add"), [](Lowering &c) { lowerAddSub(c, false, false); });
    r.add(name("sub"), [](Lowering &c) { lowerAddSub(c, true, false); });
    r.add(name("subtract"), [](Lowering &c) { lowerAddSub(c, true, false); });
    r.add(name("rsub"), [](Lowering &c) { lowerAddSub(c, true, true); });
  }
  r.add({"aten.div.Tensor_mode", "aten.div.Scalar_mode",
         "aten.divide.Tensor_mode", "aten.divide.Scalar_mode"},
        lowerDivMode);
  r.add({"aten.pow.Tensor_Scalar", "aten.pow.Tensor_Tensor",
         "aten.pow.Scalar"},
        lowerPow);
  auto clamp = [](Lowering &c) { lowerClamp(c, "min", "max"); };
  r.add({"aten.clamp.default", "aten.clamp.Tensor", "aten.clip.default",
         "aten.clip.Tensor"},
        clamp);
  r.add({"aten.clamp_min.default", "aten.clamp_min.Tensor"},
        [](Lowering &c) { lowerClamp(c, "min", ""); });
  r.add({"aten.clamp_max.default", "aten.clamp_max.Tensor"},
        [](Lowering &c) { lowerClamp(c, "", "max"); });
  r.add("aten.hardtanh.default",
        [](Lowering &c) { lowerClamp(c, "min_val", "max_val"); });
  r.add({"aten.where.self", "aten.where.ScalarSelf", "aten.where.ScalarOther",
         "aten.where.Scalar"},
        lowerWhere);
  r.add({"aten.masked_fill.Scalar", "aten.masked_fill.Tensor"},
        lowerMaskedFill);
  r.add("aten.nan_to_num.default", lowerNanToNum);
  r.add("aten.round.decimals", lowerRoundDecimals);
  r.add("aten.addcmul.default",
        [](Lowering &c) { lowerAddProduct(c, false); });
  r.add("aten.addcdiv.default", [](Lowering &c) { lowerAddProduct(c, true); });
  r.add({"aten.lerp.Scalar", "aten.lerp.Tensor"}, lowerLerp);
  r.add("aten.isclose.default", lowerIsClose);
  r.add({"aten.float_power.Tensor_Tensor", "aten.float_power.Tensor_Scalar",
         "aten.float_power.Scalar"},
        lowerFloatPower);
  r.add("aten.special_round.default", *r.lookup("aten.round.decimals"));

  r.add({"aten.to.dtype", "aten.to.dtype_layout", "aten.to.device",
         "aten.to.other", "aten._to_copy.default", "aten.type_as.default",
         "aten.to.prim_Device", "aten.to.prim_dtype",
         "prims.convert_element_type.default"},
        lowerCast);
  r.add({"aten.clone.default", "aten.contiguous.default",
         "aten.detach.default", "aten.alias.default",
         "aten.lift_fresh_copy.default", "aten.lift.default",
         "aten.lift_fresh.default", "aten.detach_copy.default",
         "aten.alias_copy.default", "aten.real.default",
         "aten.resolve_conj.default", "aten.resolve_neg.default",
         "aten.conj.default", "aten._conj.default",
         "aten.pin_memory.default",
         "aten.cpu.default"},
        lowerIdentity);
  r.add({"aten.dropout.default", "aten.feature_dropout.default",
         "aten.alpha_dropout.default", "aten.feature_alpha_dropout.default"},
        lowerDropout);
  r.add("aten.native_dropout.default", lowerNativeDropout);
}
