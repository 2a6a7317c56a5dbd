//===- MathTrigonometry.cpp - sin, cos, tan with full range reduction -----===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// x = q pi/2 + r, |r| <= pi/4 (a little more), r as a pair.
//
// Up to 2^40, pi/2 in three parts of 53 bits (Cody and Waite): with a fused
// multiply-add the first step is exact. Beyond that, which no model should
// reach but some do, the product of x's 53 bits with the right 192 bits of
// 2/pi (Payne and Hanek), in integers, lane by lane, behind a branch that is
// taken if any lane is that large.
//
//===----------------------------------------------------------------------===//

#include "MathFunctions.h"

#include "MathCoefficients.inc"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <limits>

using namespace mlir;
using namespace headrace;
using namespace headrace::math_library;

static constexpr double roundMagic = 0x1.8p52;
static constexpr int64_t roundMagicBits = 0x4338000000000000;
/// From here on the slow reduction.
static constexpr double largeFrom = 0x1p40;

/// 2/pi after 64 zeros, 64 bits a word.
static constexpr uint64_t twoOverPi[] = {
    0x0000000000000000, 0xa2f9836e4e441529, 0xfc2757d1f534ddc0,
    0xdb6295993c439041, 0xfe5163abdebbc561, 0xb7246e3a424dd2e0,
    0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484,
    0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b,
    0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d, 0x7527bac7ebe5f17b, 0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab, 0xf0cfbc209af4361d,
    0xa9e391615ee61b08,
};

namespace {
struct Reduced {
  V high, low; // r
  V quarter;   // q as an integer; only its last two bits count
};
} // namespace

static Reduced reduceModerate(V x) {
  V t = fma(x, 0x1.45f306dc9c883p-1, roundMagic);
  V n = t - roundMagic;
  V r = fma(n, -0x1.921fb54442d18p+0, x); // exact
  V p = n * 0x1.1a62633145c07p-54;
  V pLow = fma(n, 0x1.1a62633145c07p-54, -p);
  V s = r - p;
  V part = s - r;
  V sLow = (r - (s - part)) + rsub(-0.0, p + part);
  V low = sLow - fma(n, -0x1.f1976b7ed8fbcp-110, pLow);
  V high = s + low;
  return {high, low - (high - s), toBits(t) - roundMagicBits};
}

/// The reduction of one finite scalar of at least 2^40.
static Reduced reduceLarge(V x) {
  Emitter &e = *x.e;
  OpBuilder &builder = e.builder;
  Location loc = e.loc;
  V bits = toBits(abs(x));
  V mantissa = (bits & int64_t(0x000fffffffffffff)) | int64_t(1ull << 52);
  // x = mantissa 2^exponent. Words of 2/pi whose product is a multiple of 4 are
  // passed over.
  V exponent = shiftRight(bits, 52) - int64_t(1023 + 52);
  V position = exponent + int64_t(64 - 2);
  V index = shiftRight(position, 6);
  V offset = position & int64_t(63);

  auto tableType = VectorType::get({int64_t(std::size(twoOverPi))},
                                   builder.getI64Type());
  Value table = arith::ConstantOp::create(
      builder, loc,
      DenseElementsAttr::get(tableType, ArrayRef<uint64_t>(twoOverPi)));
  auto word = [&](int64_t i) -> V {
    V at = index + i;
    Value position = arith::IndexCastOp::create(
        builder, loc, builder.getIndexType(), at.value);
    return {&e, vector::ExtractOp::create(builder, loc, table,
                                          OpFoldResult(position))};
  };
  V words[4] = {word(0), word(1), word(2), word(3)};
  auto shifted = [&](int i) {
    // A shift by 64 is no shift; hence the two steps.
    V next = shiftRight(shiftRight(words[i + 1], 1), rsub(int64_t(63), offset));
    return shiftLeft(words[i], offset) | next;
  };
  V f[3] = {shifted(0), shifted(1), shifted(2)};

  auto wideMul = [&](V a, V b) -> std::pair<V, V> {
    auto op = arith::MulUIExtendedOp::create(builder, loc, a.value, b.value);
    return {V{&e, op.getLow()}, V{&e, op.getHigh()}};
  };
  auto [low1, high1] = wideMul(mantissa, f[1]);
  auto [low2, high2] = wideMul(mantissa, f[2]);
  V middle = low1 + high2;
  V carried = V{&e, arith::CmpIOp::create(builder, loc,
                                          arith::CmpIPredicate::ult,
                                          middle.value, low1.value)};
  V carry = select(carried, constant(low1, 1), constant(low1, 0));
  V top = mantissa * f[0] + high1 + carry;

  // top.middle is x 2/pi / 4 without its integer part.
  V quarter = shiftRight(top + int64_t(1ll << 61), 62);
  V fraction = top - shiftLeft(quarter, 62);
  auto convert = [&](V part, bool isSigned) -> V {
    Type f64 = builder.getF64Type();
    if (isSigned)
      return {&e, arith::SIToFPOp::create(builder, loc, f64, part.value)};
    return {&e, arith::UIToFPOp::create(builder, loc, f64, part.value)};
  };
  V a = convert(shiftRightSigned(fraction, 32), true) * 0x1p-32;
  V b = convert(fraction & int64_t(0xffffffff), false) * 0x1p-64;
  V c = convert(shiftRight(middle, 32), false) * 0x1p-96;
  V d = convert(middle & int64_t(0xffffffff), false) * 0x1p-128;
  V rest = c + d;
  V sum = a + b;
  V sumLow = b - (sum - a);
  V high = sum + (sumLow + rest);
  V low = (sumLow + rest) - (high - sum);
  // Times 2 pi.
  V r = high * 0x1.921fb54442d18p+2;
  V rLow = fma(high, 0x1.921fb54442d18p+2, -r) +
           fma(high, 0x1.1a62633145c07p-52, low * 0x1.921fb54442d18p+2);
  // Of -x, both are negative.
  V negative = lt(x, 0.0);
  return {select(negative, -r, r), select(negative, -rLow, rLow),
          select(negative, -quarter, quarter)};
}

static Reduced reduce(V x) {
  Reduced moderate = reduceModerate(x);
  Emitter &e = *x.e;
  OpBuilder &builder = e.builder;
  Location loc = e.loc;
  V a = abs(x);
  V isLarge = V{&e, arith::AndIOp::create(
                        builder, loc, ge(a, largeFrom).value,
                        lt(a, std::numeric_limits<double>::infinity()).value)};
  auto shape = dyn_cast<VectorType>(x.type());
  int64_t lanes = shape ? shape.getNumElements() : 1;
  auto flatten = [&](Value value) -> Value {
    if (!shape || shape.getRank() == 1)
      return value;
    auto flat = VectorType::get(
        {lanes}, cast<VectorType>(value.getType()).getElementType());
    return vector::ShapeCastOp::create(builder, loc, flat, value);
  };
  auto unflatten = [&](Value value, Type type) -> Value {
    if (value.getType() == type)
      return value;
    return vector::ShapeCastOp::create(builder, loc, type, value);
  };
  Value any = isLarge.value;
  if (shape)
    any = vector::ReductionOp::create(builder, loc, vector::CombiningKind::OR,
                                      flatten(isLarge.value));
  Type types[3] = {moderate.high.type(), moderate.low.type(),
                   moderate.quarter.type()};
  auto branch = scf::IfOp::create(builder, loc, TypeRange(types), any,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&branch.getElseRegion().front());
  scf::YieldOp::create(builder, loc,
                       ValueRange{moderate.high.value, moderate.low.value,
                                  moderate.quarter.value});
  builder.setInsertionPointToStart(&branch.getThenRegion().front());
  SmallVector<Value, 3> results;
  if (!shape) {
    Reduced large = reduceLarge(x);
    results = {large.high.value, large.low.value, large.quarter.value};
  } else {
    Value flatX = flatten(x.value), flatLarge = flatten(isLarge.value);
    SmallVector<Value, 3> start = {flatten(moderate.high.value),
                                   flatten(moderate.low.value),
                                   flatten(moderate.quarter.value)};
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    Value count = arith::ConstantIndexOp::create(builder, loc, lanes);
    auto loop = scf::ForOp::create(
        builder, loc, zero, count, one, start,
        [&](OpBuilder &, Location, Value lane, ValueRange carried) {
          OpBuilder::InsertionGuard inner(builder);
          builder.setInsertionPointToEnd(lane.getParentBlock());
          auto at = [&](Value vector) -> Value {
            return vector::ExtractOp::create(builder, loc, vector,
                                             OpFoldResult(lane));
          };
          // Lanes that are not large keep what they have; their result here
          // means nothing, but its table index must be in range.
          V take{&e, at(flatLarge)};
          V scalar{&e, at(flatX)};
          Reduced large = reduceLarge(select(take, scalar, largeFrom));
          Value lanesNew[3] = {large.high.value, large.low.value,
                               large.quarter.value};
          SmallVector<Value, 3> next;
          for (auto [vector, value] : llvm::zip(carried, lanesNew)) {
            V kept{&e, at(vector)};
            V chosen = select(take, V{&e, value}, kept);
            next.push_back(vector::InsertOp::create(
                builder, loc, chosen.value, vector, OpFoldResult(lane)));
          }
          scf::YieldOp::create(builder, loc, next);
        });
    for (auto [result, type] : llvm::zip(loop.getResults(), types))
      results.push_back(unflatten(result, type));
  }
  scf::YieldOp::create(builder, loc, results);
  return {V{&e, branch.getResult(0)}, V{&e, branch.getResult(1)},
          V{&e, branch.getResult(2)}};
}

namespace {
/// An unevaluated sum.
struct Pair {
  V high, low;
  V round() const { return high + low; }
};
} // namespace

/// sin(r) and cos(r) of a reduced argument.
static Pair sinOf(const Reduced &r, bool forF32) {
  V z = r.high * r.high;
  V p = forF32 ? polynomial(z, sin64For32Coefficients)
               : polynomial(z, sin64Coefficients);
  // sin(r + low) = sin(r) + low cos(r)
  V tail = fma(r.high * z, p, r.low * fma(z, -0.5, 1.0));
  return {r.high, tail};
}

static Pair cosOf(const Reduced &r, bool forF32) {
  V z = r.high * r.high;
  V p = forF32 ? polynomial(z, cos64For32Coefficients)
               : polynomial(z, cos64Coefficients);
  V half = z * 0.5;
  V w = rsub(1.0, half);
  V lost = rsub(1.0, w) - half;
  // cos(r + low) = cos(r) - low r
  return {w, lost + fma(z * z, p, -(r.high * r.low))};
}

/// sin(r + turns pi/2), for finite x.
static V turned(const Reduced &r, int64_t turns, V x, bool forF32) {
  V quarter = r.quarter + turns;
  V odd = ne(quarter & int64_t(1), int64_t(0));
  V value = select(odd, cosOf(r, forF32).round(), sinOf(r, forF32).round());
  V sign = shiftLeft(quarter & int64_t(2), 62);
  V result = fromBits(toBits(value) ^ sign);
  return select(lt(abs(x), std::numeric_limits<double>::infinity()), result,
                x - x);
}

V math_library::sin64(V x, bool forF32) {
  V r = turned(reduce(x), 0, x, forF32);
  return select(lt(abs(x), 0x1p-27), x, r);
}

V math_library::cos64(V x, bool forF32) {
  return turned(reduce(x), 1, x, forF32);
}

V math_library::tan64(V x, bool forF32) {
  Reduced r = reduce(x);
  Pair s = sinOf(r, forF32), c = cosOf(r, forF32);
  V odd = ne(r.quarter & int64_t(1), int64_t(0));
  auto normalize = [](Pair p) -> Pair {
    V high = p.high + p.low;
    return {high, p.low - (high - p.high)};
  };
  Pair n = normalize({select(odd, c.high, s.high), select(odd, c.low, s.low)});
  Pair d = normalize({select(odd, s.high, c.high), select(odd, s.low, c.low)});
  V t = n.high / d.high;
  if (!forF32) {
    V rest = fma(-t, d.high, n.high) + fma(-t, d.low, n.low);
    t = t + rest / d.high;
  }
  t = select(odd, -t, t);
  t = select(lt(abs(x), std::numeric_limits<double>::infinity()), t, x - x);
  return select(lt(abs(x), 0x1p-27), x, t);
}
