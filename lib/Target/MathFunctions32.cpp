//===- MathFunctions32.cpp - Elementary functions in f32 alone ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// exp, log, tanh, erf: softmax and activations live on them, so they stay in
// f32 and have no tables and no branches. Rounding to an integer is done by
// adding 1.5 * 2^23, which leaves the integer in the low bits of the sum.
//
//===----------------------------------------------------------------------===//

#include "MathFunctions.h"

#include "MathCoefficients.inc"

#include <limits>

using namespace headrace;
using namespace headrace::math_library;

static constexpr float infinity = std::numeric_limits<float>::infinity();
static constexpr float log2e = 0x1.715476p+0f;
static constexpr float ln2High = 0x1.62e4p-1f; // 15 bits: n * ln2High is exact
static constexpr float ln2Low = 0x1.7f7d1cp-20f;
static constexpr float roundMagic = 0x1.8p23f;

/// 2^n for integers -126 <= n <= 127.
static V powerOfTwo(V n) { return fromBits(shiftLeft(n + 127, 23)); }

/// exp(x) = 2^n (1 + tail), |tail| < 0.42. x is within [-110, 100] or NaN.
namespace {
struct ExpParts {
  V n;     // i32
  V whole; // n as f32
  V r, q;  // tail = r + r^2 q
};
} // namespace

/// `low`, which may be null, is added to x.
static ExpParts splitExp(V x, const V *low = nullptr) {
  V t = fma(x, log2e, roundMagic);
  V n = t - roundMagic;
  V r = fma(n, -ln2High, x);
  r = fma(n, -ln2Low, r);
  if (low)
    r = r + *low;
  return {toBits(t) - int64_t(0x4b400000), n, r,
          polynomial(r, exp32Coefficients)};
}

V math_library::exp32(V x) {
  x = greatest(least(x, 89.0f), -104.0f);
  ExpParts parts = splitExp(x);
  V p = fma(parts.r, fma(parts.r, parts.q, 1.0f), 1.0f);
  if (std::optional<V> scaled = scaleInOneStep(p, parts.whole))
    return *scaled;
  // In two steps: 2^n itself may be infinite or denormal.
  V half = shiftRightSigned(parts.n, 1);
  return p * powerOfTwo(half) * powerOfTwo(parts.n - half);
}

V math_library::log32(V x) {
  // Denormals move into the normal range.
  V small = lt(x, 0x1p-126f);
  V scaled = select(small, x * 0x1p25f, x);
  // x = 2^e m, m in [2/3, 4/3).
  V bits = toBits(scaled);
  V high = shiftRightSigned(bits - int64_t(0x3f2aaaab), 23);
  V m = fromBits(bits - shiftLeft(high, 23));
  V e = fromBits(high + int64_t(0x4b400000)) - roundMagic;
  e = select(small, e - 25.0f, e);
  V f = m - 1.0f;
  V q = fma(polynomial(f, log32Coefficients), f, -0.5f);
  V r = fma(q, f * f, f);
  r = fma(e, 0x1.62e430p-1f, r);
  r = select(lt(x, infinity), r, x); // infinity and NaN stay
  r = select(eq(x, 0.0f), -infinity, r);
  return select(lt(x, 0.0f), std::numeric_limits<float>::quiet_NaN(), r);
}

V math_library::tanh32(V x) {
  V a = abs(x);
  // Near zero.
  V z = x * x;
  V nearZero = fma(polynomial(z, tanh32Coefficients) * z, a, a);
  // 1 - 2 / (exp(2 a) + 1), with what the sum and the quotient lose.
  V twice = least(a + a, 20.0f);
  ExpParts parts = splitExp(twice);
  V scale = powerOfTwo(parts.n);
  V tail = fma(parts.r * parts.r, parts.q, parts.r);
  V one = scale + 1.0f;
  V d = fma(scale, tail, one);
  V dLow = fma(scale, tail, one - d);
  V q = rsub(0.0f, constant(x, 2.0f) / d);
  V remainder = fma(q, dLow, fma(q, d, 2.0f));
  V r = q + 1.0f;
  V rLow = rsub(1.0f, r) + q;
  // 2 / d = -q + remainder / d, and 1 / d = -q / 2.
  V far = r + fma(remainder * 0.5f, q, rLow);
  return copysign(select(lt(a, 0.6f), nearZero, far), x);
}

V math_library::erf32(V x) {
  V a = abs(x);
  V z = x * x;
  V nearZero = fma(polynomial(z, erf32Coefficients), a, a);
  // 1 - exp(-a H(a - 2.5)); erf(4) is 1 already.
  V b = least(a, 4.0f);
  V p = polynomial(b - 2.5f, erfTail32Coefficients);
  V h = p * b;
  V lost = fma(p, -b, h);
  ExpParts parts = splitExp(-h, &lost);
  V e = fma(parts.r, fma(parts.r, parts.q, 1.0f), 1.0f);
  V far = fma(e, -powerOfTwo(parts.n), 1.0f);
  return copysign(select(lt(a, 1.0f), nearZero, far), x);
}
