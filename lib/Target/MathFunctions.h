//===- MathFunctions.h - Elementary functions as IR -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each function takes and gives values of f64 or of f32 (scalars or vectors).
// How they work, and how exact they are, is in docs/math.md.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_MATHFUNCTIONS_H
#define HEADRACE_LIB_TARGET_MATHFUNCTIONS_H

#include "MathIR.h"

namespace headrace::math_library {

// f64. `forF32` shortens polynomials to what an f32 result can see.
V exp64(V x, bool forF32 = false);
V exp264(V x, bool forF32 = false);
V expm164(V x, bool forF32 = false);
V log64(V x, bool forF32 = false);
V log1p64(V x, bool forF32 = false);
V log264(V x, bool forF32 = false);
V log1064(V x, bool forF32 = false);
V pow64(V x, V y, bool forF32 = false);
V sinh64(V x, bool forF32 = false);
V cosh64(V x, bool forF32 = false);
V tanh64(V x, bool forF32 = false);
V asinh64(V x, bool forF32 = false);
V acosh64(V x, bool forF32 = false);
V atanh64(V x, bool forF32 = false);
V sin64(V x, bool forF32 = false);
V cos64(V x, bool forF32 = false);
V tan64(V x, bool forF32 = false);
V asin64(V x, bool forF32 = false);
V acos64(V x, bool forF32 = false);
V atan64(V x, bool forF32 = false);
V atan264(V y, V x, bool forF32 = false);
V erf64(V x, bool forF32 = false);
V erfc64(V x, bool forF32 = false);
V cbrt64(V x, bool forF32 = false);

// f32, without f64: the functions that models spend their time in.
V exp32(V x);
V log32(V x);
V tanh32(V x);
V erf32(V x);

/// 1 / sqrt(x), of either width.
V rsqrt(V x);

} // namespace headrace::math_library
#endif // HEADRACE_LIB_TARGET_MATHFUNCTIONS_H
