//===- MathFunctions64.cpp - Elementary functions in f64 ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Also the functions of f32 that are not worth a version of their own: they
// extend to f64, run the same code with shorter polynomials (`forF32`), and
// round once.
//
// Terms: a *pair* (DD) is an unevaluated sum high + low, |low| at most half a
// unit of high's last place. Integers are rounded to by adding 1.5 * 2^52,
// which leaves them in the low bits of the sum.
//
//===----------------------------------------------------------------------===//

#include "MathFunctions.h"

#include "MathCoefficients.inc"

#include <algorithm>
#include <iterator>
#include <limits>

using namespace headrace;
using namespace headrace::math_library;

static constexpr double infinity = std::numeric_limits<double>::infinity();
static constexpr double notANumber = std::numeric_limits<double>::quiet_NaN();
static constexpr double log2e = 0x1.71547652b82fep+0;
static constexpr double ln2High = 0x1.62e42fefa39efp-1;
static constexpr double ln2Low = 0x1.abc9e3b39803fp-56;
static constexpr double roundMagic = 0x1.8p52;
static constexpr int64_t roundMagicBits = 0x4338000000000000;
static constexpr double pi4High = 0x1.921fb54442d18p-1;
static constexpr double pi4Low = 0x1.1a62633145c07p-55;

/// A polynomial by its long or its short coefficients.
#define POLYNOMIAL(x, name)                                                    \
  (forF32 ? polynomial(x, name##For32Coefficients)                             \
          : polynomial(x, name##Coefficients))

//===----------------------------------------------------------------------===//
// Pairs
//===----------------------------------------------------------------------===//

namespace {
struct DD {
  V high, low;
};
} // namespace

/// a + b, for any a and b.
static DD twoSum(V a, V b) {
  V s = a + b;
  V part = s - a;
  return {s, (a - (s - part)) + (b - part)};
}

/// a + b, where |a| >= |b| or a is 0.
static DD fastTwoSum(V a, V b) {
  V s = a + b;
  return {s, b - (s - a)};
}

static DD twoProduct(V a, Operand b) {
  V p = a * b;
  return {p, fma(a, b, -p)};
}

static DD addPairs(DD a, DD b) {
  DD s = twoSum(a.high, b.high);
  return fastTwoSum(s.high, s.low + (a.low + b.low));
}

static DD mulPairs(DD a, DD b) {
  DD p = twoProduct(a.high, b.high);
  return fastTwoSum(p.high,
                    fma(a.high, b.low, fma(a.low, b.high, p.low)));
}

static DD constantPair(V like, double high, double low) {
  return {constant(like, high), constant(like, low)};
}

/// What n.high / d.high, rounded to q, leaves of n / d.
static V quotientRest(V q, DD n, DD d) {
  V rest = fma(-q, d.high, n.high);
  return (fma(-q, d.low, n.low) + rest) / d.high;
}

/// What sqrt(v.high), rounded to s > 0, leaves of sqrt(v).
static V rootRest(V s, DD v) {
  return (fma(-s, s, v.high) + v.low) / (s + s);
}

//===----------------------------------------------------------------------===//
// exp and what hangs on it
//===----------------------------------------------------------------------===//

/// 2^n for integers (i64) within the normal range.
static V powerOfTwo(V n) { return fromBits(shiftLeft(n + int64_t(1023), 52)); }

/// p * 2^n, right also where 2^n or the result is not normal.
static V scaleBy(V p, V n) {
  // i64 has no arithmetic shift before AVX-512; the bias makes n positive.
  V half = shiftRight(n + int64_t(4096), 1) - int64_t(2048);
  return p * powerOfTwo(half) * powerOfTwo(n - half);
}

namespace {
/// exp(x + low) = 2^n (1 + tail).
struct ExpParts {
  V n; // i64
  DD tail;
};
} // namespace

/// x is within [-800, 800] or NaN, `low` is at most a unit of x's last place.
static ExpParts splitExp(V x, const V *low, bool forF32) {
  V t = fma(x, log2e, roundMagic);
  V n = t - roundMagic;
  V r = fma(n, -ln2High, x);
  // What the reduction loses, to be added at the end.
  DD reduced = twoSum(r, n * -ln2Low);
  V rest = forF32 ? constant(x, 0.0)
                  : reduced.low + fma(n, -ln2Low, -(n * -ln2Low));
  if (low)
    rest = rest + *low;
  r = reduced.high;
  V q = POLYNOMIAL(r, exp64);
  // r + r^2 q, and rest times the derivative, which is 1 + tail
  V square = r * r * q;
  DD tail = forF32 ? DD{r + square, constant(x, 0.0)} : fastTwoSum(r, square);
  if (low || !forF32)
    tail.low = tail.low + fma(rest, tail.high, rest);
  return {toBits(t) - roundMagicBits, tail};
}

/// exp(x + low) as a pair times 2^n, |x| cut to 800.
namespace {
struct ScaledPair {
  DD p;
  V n; // i64
};
} // namespace

static ScaledPair expScaled(V x, const V *low, bool forF32) {
  x = greatest(least(x, 800.0), -800.0);
  ExpParts parts = splitExp(x, low, forF32);
  V p = parts.tail.high + 1.0;
  if (forF32 && !low)
    return {{p, constant(x, 0.0)}, parts.n};
  return {{p, rsub(1.0, p) + parts.tail.high + parts.tail.low}, parts.n};
}

/// exp(x + low).
static V expRounded(V x, const V *low, bool forF32) {
  ScaledPair e = expScaled(x, low, forF32);
  V p = forF32 && !low ? e.p.high : e.p.high + e.p.low;
  return scaleBy(p, e.n);
}

V math_library::exp64(V x, bool forF32) {
  return expRounded(x, nullptr, forF32);
}

V math_library::exp264(V x, bool forF32) {
  x = greatest(least(x, 1100.0), -1100.0);
  V t = x + roundMagic;
  V n = t - roundMagic;
  V f = x - n; // exact
  DD r = twoProduct(f, ln2High);
  V low = fma(f, ln2Low, r.low);
  // |r| is at most ln2 / 2, so that splitExp finds n = 0 or, at the very end,
  // one more or less.
  ExpParts parts = splitExp(r.high, &low, forF32);
  V p = parts.tail.high + 1.0;
  p = p + (rsub(1.0, p) + parts.tail.high + parts.tail.low);
  return scaleBy(p, parts.n + (toBits(t) - roundMagicBits));
}

/// exp(x) - 1 as a pair, for x up to 710; halved, as it may overflow.
static DD halfExpm1(V x, bool forF32) {
  ExpParts parts = splitExp(greatest(least(x, 710.0), -60.0), nullptr, forF32);
  // 2^n (1 + tail) - 1 = (2^n - 1) + 2^n tail; 2^n / 2 is always finite.
  V scale = powerOfTwo(parts.n - int64_t(1));
  V less = scale - 0.5;
  V lost = (scale - less) - 0.5;
  DD sum = twoSum(less, scale * parts.tail.high);
  return fastTwoSum(sum.high,
                    fma(scale, parts.tail.low, sum.low) + lost);
}

V math_library::expm164(V x, bool forF32) {
  DD half = halfExpm1(x, forF32);
  // Keeps the sign of zero, and tiny arguments as they are.
  return select(lt(abs(x), 0x1p-54), x, half.high * 2.0);
}

/// exp(a) / 2 as a pair and what 1 / (2 exp(a)) adds: the halves of sinh and
/// cosh, which do not overflow before the result does.
namespace {
struct HalfExp {
  DD grows;
  V falls;
};
} // namespace

static HalfExp halfExp(V a, bool forF32) {
  ScaledPair e = expScaled(a, nullptr, forF32);
  V n = e.n - int64_t(1);
  DD grows{scaleBy(e.p.high, n), scaleBy(e.p.low, n)};
  V falls = constant(a, 0.25) / grows.high;
  // Where the result overflows, the low part is of no use, and may be infinite.
  grows.low = select(lt(a, 711.0), grows.low, 0.0);
  return {grows, falls};
}

V math_library::sinh64(V x, bool forF32) {
  V a = abs(x);
  // Small: (t + t / (t + 1)) / 2, t = exp(a) - 1.
  DD t = halfExpm1(least(a, 2.0), forF32);
  DD whole{t.high * 2.0, t.low * 2.0};
  DD d = twoSum(whole.high, constant(x, 1.0));
  d.low = d.low + whole.low;
  V q = t.high / d.high;
  V qRest = quotientRest(q, t, d);
  DD small = twoSum(t.high, q);
  V smallSum = small.high + (small.low + (t.low + qRest));
  smallSum = select(lt(a, 0x1p-28), a, smallSum);
  HalfExp e = halfExp(a, forF32);
  DD large = twoSum(e.grows.high, -e.falls);
  V largeSum = large.high +
               select(lt(a, 700.0), large.low + e.grows.low, e.grows.low);
  return copysign(select(lt(a, 1.0), smallSum, largeSum), x);
}

V math_library::cosh64(V x, bool forF32) {
  V a = abs(x);
  HalfExp e = halfExp(a, forF32);
  DD sum = twoSum(e.grows.high, e.falls);
  return sum.high + select(lt(a, 700.0), sum.low + e.grows.low, e.grows.low);
}

V math_library::tanh64(V x, bool forF32) {
  V a = abs(x);
  V z = x * x;
  V nearZero = fma(polynomial(z, tanh64Coefficients) * z, a, a);
  // 1 - 2 / (exp(2 a) + 1), with what the sum and the quotient lose.
  ExpParts parts = splitExp(least(a + a, 40.0), nullptr, forF32);
  V scale = powerOfTwo(parts.n);
  DD d = twoSum(scale + 1.0, scale * parts.tail.high);
  d.low = fma(scale, parts.tail.low, d.low);
  V q = rsub(0.0, constant(x, 2.0) / d.high);
  V remainder = fma(q, d.low, fma(q, d.high, 2.0));
  V r = q + 1.0;
  V rLow = rsub(1.0, r) + q;
  V far = r + fma(remainder * 0.5, q, rLow);
  return copysign(select(lt(a, 0.6), nearZero, far), x);
}

//===----------------------------------------------------------------------===//
// log and what hangs on it
//===----------------------------------------------------------------------===//

namespace {
/// x = 2^e m, m within [sqrt(1/2), sqrt(2)).
struct LogParts {
  V e; // f64
  V m;
};
} // namespace

static LogParts splitLog(V x) {
  V small = lt(x, 0x1p-1022);
  V bits = toBits(select(small, x * 0x1p54, x));
  // The bits of sqrt(1/2) are the lower end. The bias keeps the shifted number
  // positive, as there is no arithmetic shift of i64 before AVX-512.
  auto offset = int64_t((uint64_t(2048) << 52) - 0x3fe6a09e667f3bcd);
  V high = shiftRight(bits + offset, 52);
  V e = fromBits(high + (roundMagicBits - 2048)) - roundMagic;
  V m = fromBits(bits - shiftLeft(high - int64_t(2048), 52));
  return {select(small, e - 54.0, e), m};
}

/// What log gives for 0, negative numbers, infinity and NaN.
static V logSpecial(V result, V x) {
  result = select(lt(x, infinity), result, x);
  result = select(eq(x, 0.0), -infinity, result);
  return select(lt(x, 0.0), notANumber, result);
}

/// e ln2 + log(1 + f) + c.
static V logSum(V e, V f, const V *c, bool forF32) {
  // log(1 + f) = f - f^2/2 + s (f^2/2 + R), s = f / (2 + f).
  V s = f / (f + 2.0);
  V z = s * s;
  V r = POLYNOMIAL(z, log64) * z;
  V half = f * f * 0.5;
  V low = s * (half + r);
  low = c ? low + *c : low;
  // ln2 in two parts, the first of 32 bits: e * ln2 is exact.
  low = fma(e, 0x1.a39ef35793c76p-33, low);
  V high = e * 0x1.62e42feep-1;
  if (forF32)
    return high + (f - (half - low));
  DD sum = fastTwoSum(f, -half);
  DD total = twoSum(high, sum.high);
  // f^2/2 rounded; what it lost.
  V lost = fma(f * -0.5, f, half);
  return total.high + (total.low + (sum.low + (low + lost)));
}

V math_library::log64(V x, bool forF32) {
  LogParts parts = splitLog(x);
  return logSpecial(logSum(parts.e, parts.m - 1.0, nullptr, forF32), x);
}

/// log(1 + x + low), |low| at most a unit of x's last place.
static V log1pOf(V x, const V *low, bool forF32) {
  DD u = twoSum(constant(x, 1.0), x);
  V rest = low ? u.low + *low : u.low;
  LogParts parts = splitLog(u.high);
  // log(u + rest) = log(u) + rest / u, in terms of m.
  V scale = fromBits(rsub(int64_t(0x3ff0000000000000),
                          shiftLeft(toBits(parts.e + roundMagic), 52)));
  V c = select(lt(x, 0x1p60), rest * scale / parts.m, 0.0);
  return logSpecial(logSum(parts.e, parts.m - 1.0, &c, forF32), u.high);
}

V math_library::log1p64(V x, bool forF32) {
  return select(lt(abs(x), 0x1p-54), x, log1pOf(x, nullptr, forF32));
}

/// log(x) of positive x as a pair with about 70 bits.
static DD logPair(V x) {
  LogParts parts = splitLog(x);
  V f = parts.m - 1.0;
  // s = f / (2 + f) as a pair.
  V d = f + 2.0;
  V dLow = f - (d - 2.0);
  V s = f / d;
  V sLow = fma(-s, dLow, fma(-s, d, f)) / d;
  DD sPair{s, sLow};
  DD z = mulPairs(sPair, sPair);
  // 2 s + s z (2/3 + z (2/5 + z (2/7 + z Tail)))
  V c7 = fma(polynomial(z.high, logTail64Coefficients), z.high,
             0x1.2492492492492p-2);
  DD p = twoProduct(z.high, c7);
  p.low = fma(z.low, c7, p.low);
  DD c5 = addPairs(
      constantPair(x, 0x1.999999999999ap-2, -0x1.999999999999ap-56), p);
  DD c3 = addPairs(constantPair(x, 0x1.5555555555555p-1, 0x1.5555555555555p-55),
              mulPairs(z, c5));
  DD series = mulPairs(mulPairs(sPair, z), c3);
  DD log = addPairs(DD{s * 2.0, sLow * 2.0}, series);
  // e ln2, the first part exact.
  DD e{parts.e * 0x1.62e42fefa3800p-1, parts.e * 0x1.ef35793c76730p-45};
  return addPairs(fastTwoSum(e.high, e.low), log);
}

/// log(x) / log(base), 1 / log(base) given as a pair.
static V logOfBase(V x, double high, double low, bool forF32) {
  if (forF32)
    return log64(x, forF32) * high;
  DD r = mulPairs(logPair(x), constantPair(x, high, low));
  return logSpecial(r.high + r.low, x);
}

V math_library::log264(V x, bool forF32) {
  if (!forF32)
    return logOfBase(x, log2e, 0x1.777d0ffda0d24p-56, forF32);
  // Powers of two are exact: the exponent never meets a rounded constant.
  LogParts parts = splitLog(x);
  V r = logSum(constant(x, 0.0), parts.m - 1.0, nullptr, forF32);
  return logSpecial(fma(r, log2e, parts.e), x);
}

V math_library::log1064(V x, bool forF32) {
  return logOfBase(x, 0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57, forF32);
}

V math_library::pow64(V x, V y, bool forF32) {
  V a = abs(x);
  // exp(y log a)
  V r;
  if (forF32) {
    r = exp64(log64(a, /*forF32=*/false) * y, forF32);
  } else {
    DD log = logPair(a);
    DD p = twoProduct(log.high, y);
    V low = fma(log.low, y, p.low);
    low = select(lt(abs(p.high), 800.0), low, 0.0);
    r = expRounded(p.high, &low, forF32);
  }
  // a is 0 or infinite, or y is infinite: the result is 0, 1 or infinite.
  V yNegative = lt(y, 0.0);
  V aLarge = gt(a, 1.0);
  V grows = ne(aLarge, yNegative);
  V edge = select(grows, constant(x, infinity), 0.0);
  V aEdge = select(eq(a, 0.0), eq(a, 0.0), eq(a, infinity));
  V yEdge = eq(abs(y), infinity);
  r = select(aEdge, edge, r);
  r = select(yEdge, select(eq(a, 1.0), 1.0, edge), r);
  // Sign: an odd integer keeps it, another integer loses it, the rest is NaN.
  V yInteger = eq(trunc(y), y);
  V yHalf = y * 0.5;
  V yOdd = select(yInteger, ne(trunc(yHalf), yHalf), yInteger);
  // An infinite y is even.
  V xNegative = lt(toBits(x), 0);
  r = select(xNegative, select(yOdd, -r, r), r);
  V fraction = select(yInteger, lt(y, y), lt(x, 0.0));
  V bad = select(fraction, lt(a, infinity), fraction);
  r = select(bad, notANumber, r);
  // NaN spreads, except from pow(1, y) and pow(x, 0).
  V sum = x + y;
  V nan = select(isNan(x), isNan(x), isNan(y));
  r = select(nan, sum, r);
  V one = select(eq(x, 1.0), eq(x, 1.0), eq(y, 0.0));
  return select(one, 1.0, r);
}

/// log(2 x) for x from 2^28 on.
static V logTwice(V x, bool forF32) {
  LogParts parts = splitLog(x);
  return logSpecial(logSum(parts.e + 1.0, parts.m - 1.0, nullptr, forF32), x);
}

V math_library::asinh64(V x, bool forF32) {
  V a = abs(x);
  V big = gt(a, 0x1p28);
  V b = least(a, 0x1p28);
  // log1p(b + b^2 / (1 + sqrt(1 + b^2)))
  DD square = twoProduct(b, b);
  DD v = twoSum(square.high, constant(x, 1.0));
  v.low = v.low + square.low;
  V root = sqrt(v.high);
  DD d = twoSum(root, constant(x, 1.0));
  d.low = d.low + rootRest(root, v);
  V q = square.high / d.high;
  DD sum = twoSum(b, q);
  V low = sum.low + quotientRest(q, square, d);
  V small = log1pOf(sum.high, &low, forF32);
  small = select(lt(a, 0x1p-28), a, small);
  V large = logTwice(a, forF32);
  return copysign(select(big, large, small), x);
}

V math_library::acosh64(V x, bool forF32) {
  V big = gt(x, 0x1p28);
  // log1p(t + sqrt(t (t + 2))), t = x - 1.
  V b = least(x, 0x1p28);
  DD t = twoSum(b, constant(x, -1.0));
  DD t2 = twoSum(b, constant(x, 1.0));
  DD v = mulPairs(t, t2);
  V root = sqrt(v.high);
  V rest = select(gt(root, 0.0), rootRest(root, v), 0.0);
  DD sum = twoSum(t.high, root);
  V low = sum.low + (t.low + rest);
  V small = log1pOf(sum.high, &low, forF32);
  V large = logTwice(x, forF32);
  return select(lt(x, 1.0), notANumber, select(big, large, small));
}

V math_library::atanh64(V x, bool forF32) {
  V a = abs(x);
  // log1p(2 a / (1 - a)) / 2
  V twice = a + a;
  DD d = twoSum(constant(x, 1.0), -a);
  V q = twice / d.high;
  V low = quotientRest(q, {twice, constant(x, 0.0)}, d);
  low = select(lt(abs(low), 1.0), low, 0.0);
  V r = log1pOf(q, &low, forF32) * 0.5;
  return copysign(select(lt(a, 0x1p-28), a, r), x);
}

//===----------------------------------------------------------------------===//
// atan, asin and theirs
//===----------------------------------------------------------------------===//

/// atan(num / den) for 0 <= num <= den, plus quarters of pi by `turn`:
/// the result is j pi/4 + sign * atan.
namespace {
struct AtanParts {
  V eighth; // 1.0 where pi/4 was split off, else 0.0
  DD angle; // what remains
};
} // namespace

static AtanParts atanQuotient(V num, V den, bool forF32) {
  // atan(n/d) = pi/4 + atan((n - d)/(n + d)).
  V split = gt(num, den * 0x1.a827999fcef32p-2); // tan(pi/8)
  DD difference = fastTwoSum(-den, num), sum = fastTwoSum(den, num);
  V n = select(split, difference.high, num);
  V d = select(split, sum.high, den);
  V t = n / d;
  V z = t * t;
  V p = POLYNOMIAL(z, atan64);
  V tail = t * z * p;
  V zero = constant(num, 0.0);
  if (!forF32) {
    // What sums and quotient lost; at the edges there is nothing to lose.
    V residual = fma(-t, d, n) + select(split, difference.low, zero);
    V lost = fma(-t, select(split, sum.low, zero), residual) / d;
    tail = tail + select(lt(abs(lost), 1.0), lost, zero);
  }
  return {select(split, constant(num, 1.0), zero), {t, tail}};
}

/// j pi/4 + (negative ? -angle : angle).
static V atanSum(V j, V negative, DD angle) {
  DD base = twoProduct(j, pi4High);
  base.low = fma(j, pi4Low, base.low);
  V high = select(negative, -angle.high, angle.high);
  V low = select(negative, -angle.low, angle.low);
  DD sum = fastTwoSum(base.high, high);
  return sum.high + (sum.low + (base.low + low));
}

V math_library::atan64(V x, bool forF32) {
  V a = abs(x);
  V invert = gt(a, 1.0);
  V one = constant(x, 1.0);
  AtanParts parts = atanQuotient(select(invert, one, a),
                                 select(invert, a, one), forF32);
  // pi/2 - (eighth pi/4 + angle)
  V j = select(invert, rsub(2.0, parts.eighth), parts.eighth);
  V r = atanSum(j, invert, parts.angle);
  return copysign(select(isNan(x), x, r), x);
}

V math_library::atan264(V y, V x, bool forF32) {
  V ax = abs(x), ay = abs(y);
  V swap = gt(ay, ax);
  V num = select(swap, ax, ay), den = select(swap, ay, ax);
  // The same scale for both, so that sums do not overflow and quotients keep
  // their bits.
  V scale = select(gt(den, 0x1p1000), constant(x, 0x1p-100),
                   select(lt(den, 0x1p-900), constant(x, 0x1p100), 1.0));
  num = num * scale;
  den = den * scale;
  V equal = eq(num, den);
  // 0/0 is 0, infinity / infinity is 1.
  V zero = eq(den, 0.0);
  num = select(equal, select(zero, constant(x, 0.0), 1.0), num);
  den = select(equal, constant(x, 1.0), den);
  AtanParts parts = atanQuotient(num, den, forF32);
  V j = select(swap, rsub(2.0, parts.eighth), parts.eighth);
  V left = lt(toBits(x), 0);
  j = select(left, rsub(4.0, j), j);
  V r = atanSum(j, ne(swap, left), parts.angle);
  V sum = x + y;
  V nan = select(isNan(x), isNan(x), isNan(y));
  return select(nan, sum, copysign(r, y));
}

/// asin of |x| <= 1/2 is x + tail; of larger x it is pi/2 - 2 (s + tail).
namespace {
struct AsinParts {
  V large; // i1
  V s, tail;
};
} // namespace

static AsinParts splitAsin(V a, bool forF32) {
  V large = gt(a, 0.5);
  V zLarge = fma(a, -0.5, 0.5);
  V z = select(large, zLarge, a * a);
  V s = select(large, sqrt(z), a);
  V tail = s * z * POLYNOMIAL(z, asin64);
  // What the square root lost.
  V lost = fma(-s, s, z) / (s + s);
  lost = select(gt(s, 0.0), lost, 0.0);
  return {large, s, tail + select(large, lost, 0.0)};
}

V math_library::asin64(V x, bool forF32) {
  AsinParts parts = splitAsin(abs(x), forF32);
  V small = parts.s + parts.tail;
  V twice = parts.s * 2.0;
  V high = rsub(pi4High * 2, twice);
  V lost = rsub(pi4High * 2, high) - twice;
  V large = high + (lost + fma(parts.tail, -2.0, pi4Low * 2));
  return copysign(select(parts.large, large, small), x);
}

V math_library::acos64(V x, bool forF32) {
  AsinParts parts = splitAsin(abs(x), forF32);
  V negative = lt(x, 0.0);
  // Small: pi/2 - asin(x).
  V s = select(negative, -parts.s, parts.s);
  V tail = select(negative, -parts.tail, parts.tail);
  V high = rsub(pi4High * 2, s);
  V lost = rsub(pi4High * 2, high) - s;
  V small = high + (lost + rsub(pi4Low * 2, tail));
  // Large: 2 asin(sqrt((1 - |x|) / 2)), or pi less that.
  V twice = parts.s * 2.0;
  V positive = fma(parts.tail, 2.0, twice);
  V far = rsub(pi4High * 4, twice);
  V farLost = rsub(pi4High * 4, far) - twice;
  V other = far + (farLost + fma(parts.tail, -2.0, pi4Low * 4));
  return select(parts.large, select(negative, other, positive), small);
}

//===----------------------------------------------------------------------===//
// erf, erfc
//===----------------------------------------------------------------------===//

/// erfc(a) for a from 0.75 up.
static V erfcFar(V a, bool forF32) {
  V b = least(a, 28.0);
  // (1 + 2 b) exp(b^2) erfc(b), a polynomial of (b - 4) / (b + 4).
  V t = (b - 4.0) / (b + 4.0);
  // The last step as a pair.
  double rest[std::size(erfc64Coefficients) - 1];
  std::copy(erfc64Coefficients + 1, std::end(erfc64Coefficients), rest);
  DD product = twoProduct(t, polynomial(t, rest));
  DD p = fastTwoSum(constant(a, erfc64Coefficients[0]), product.high);
  p.low = p.low + product.low;
  DD square = twoProduct(b, b);
  V low = -square.low;
  ScaledPair e = expScaled(-square.high, &low, forF32);
  DD d = twoSum(b + b, constant(a, 1.0));
  V q = p.high / d.high;
  V qRest = quotientRest(q, p, d);
  V r = fma(e.p.high, q, fma(e.p.high, qRest, e.p.low * q));
  return scaleBy(r, e.n);
}

V math_library::erf64(V x, bool forF32) {
  V a = abs(x);
  V z = x * x;
  V nearZero = fma(polynomial(z, erf64Coefficients), a, a);
  V far = rsub(1.0, erfcFar(a, forF32));
  return copysign(select(lt(a, 1.0), nearZero, far), x);
}

V math_library::erfc64(V x, bool forF32) {
  V a = abs(x);
  V z = x * x;
  // 1 - (x + x E(x^2))
  DD one = fastTwoSum(constant(x, 1.0), -x);
  V nearZero = one.high + fma(polynomial(z, erf64Coefficients), -x, one.low);
  V far = erfcFar(a, forF32);
  far = select(lt(x, 0.0), rsub(2.0, far), far);
  return select(lt(a, 0.75), nearZero, far);
}

//===----------------------------------------------------------------------===//
// Roots
//===----------------------------------------------------------------------===//

V math_library::cbrt64(V x, bool forF32) {
  V a = abs(x);
  V small = lt(a, 0x1p-1022), large = gt(a, 0x1p1000);
  a = select(small, a * 0x1p54, select(large, a * 0x1p-54, a));
  // A third of the bits, read as an integer, is a cube root good to 4 bits.
  V high = shiftRight(toBits(a), 32);
  V third = (fromBits(high | roundMagicBits) - roundMagic) * (1.0 / 3);
  third = toBits(third + roundMagic) - roundMagicBits;
  V y = fromBits(shiftLeft(third + int64_t(715094163), 32));
  // Halley's iteration triples the bits.
  for (int i = 0; i < 3; ++i) {
    V cube = y * y * y;
    y = y * ((cube + a + a) / (cube + cube + a));
  }
  // Newton's, with an exact residual.
  DD square = twoProduct(y, y);
  V residual = fma(square.high, y, -a) + square.low * y;
  y = y - residual / (square.high * 3.0);
  y = select(small, y * 0x1p-18, select(large, y * 0x1p18, y));
  V ordinary = select(lt(a, infinity), gt(a, 0.0), lt(a, infinity));
  return select(ordinary, copysign(y, x), x);
}

V math_library::rsqrt(V x) {
  V y = constant(x, 1.0) / sqrt(x);
  // One Newton step with an exact residual, 1 - x y^2.
  V h = x * y;
  V hLow = fma(x, y, -h);
  V residual = fma(-hLow, y, fma(-h, y, 1.0));
  V better = fma(y * 0.5, residual, y);
  // Zero and infinity have no residual, nor has NaN.
  return select(lt(abs(residual), 1.0), better, y);
}
