//===- MathPasses.td - Passes of the math library ----------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TARGET_MATHPASSES
#define HEADRACE_TARGET_MATHPASSES

include "mlir/Pass/PassBase.td"

def MathExpandFunctions : Pass<"math-expand-functions"> {
  let summary = "replace math functions by our own implementations";
  let description = [{
    Replaces exp, log, tanh, erf, sin, pow and their relatives (the list is in
    docs/math.md) on scalars and vectors of f16, bf16, f32 and f64 by
    arithmetic that is at most one unit in the last place off, for every f32.
    What is an instruction or exact anyway stays: absf, ceil, floor, trunc,
    roundeven, fma, sqrt; copysign becomes operations on bits.

    f16 and bf16 are computed in f32 and rounded. Results do not depend on the
    vector's width, nor on whether the machine has an FMA instruction: with
    `fma=false`, f32 multiply-adds are emulated bit for bit, and those of f64
    are left to a call of libm's exact `fma`, which is slow.

    Vectors of several dimensions, or of more than `vector-bits` bits, are
    computed in pieces, so that intermediate values stay in registers.

    sin, cos and tan create an `scf.if` around the reduction of arguments of
    2^40 and more; all else is straight-line code.

    Before:
    ```mlir
    func.func @f(%x: vector<16xf32>) -> vector<16xf32> {
      %0 = math.rsqrt %x : vector<16xf32>
      return %0 : vector<16xf32>
    }
    ```
    After, `%0` is a quotient, a square root and one Newton step in
    `math.fma`.
  }];
  let options = [
    Option<"fma", "fma", "bool", /*default=*/"true",
           "the target has fused multiply-add">,
    Option<"scalef", "scalef", "bool", /*default=*/"false",
           "the target multiplies 16 floats by powers of two (AVX-512)">,
    Option<"vectorBits", "vector-bits", "int64_t", /*default=*/"512",
           "largest piece of a vector that is computed at a time">];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::math::MathDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

#endif // HEADRACE_TARGET_MATHPASSES
