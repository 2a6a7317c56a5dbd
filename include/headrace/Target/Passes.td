//===- Passes.td - Passes of the targets -------------------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TARGET_PASSES
#define HEADRACE_TARGET_PASSES

include "mlir/Pass/PassBase.td"

def TargetWidenFloats : Pass<"target-widen-floats"> {
  let summary = "compute f16 and bf16 in f32";
  let description = [{
    Rewrites arithmetic, math functions, comparisons and reductions on f16 and
    bf16 (scalars and vectors) to f32, each result rounded to its type, and
    splits conversions so that only those between f32 and the narrow types are
    left. f32 has more than twice the digits of either, so that add, sub, mul,
    div and sqrt are rounded as if done once; conversions from f64 and integers
    round to f32 first, as PyTorch's do.

    Targets then agree in every bit, and LLVM neither flushes denormals (as the
    machine's bf16 instructions do) nor calls functions of its own library.

    Before:
    ```mlir
    func.func @f(%x: bf16, %y: bf16) -> bf16 {
      %0 = arith.addf %x, %y : bf16
      return %0 : bf16
    }
    ```
    After:
    ```mlir
    func.func @f(%x: bf16, %y: bf16) -> bf16 {
      %0 = arith.extf %x : bf16 to f32
      %1 = arith.extf %y : bf16 to f32
      %2 = arith.addf %0, %1 : f32
      %3 = arith.truncf %2 : f32 to bf16
      return %3 : bf16
    }
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::vector::VectorDialect"];
}

def TargetLowerAtoms : Pass<"target-lower-atoms"> {
  let summary = "turn atoms into the machine's instructions";
  let description = [{
    After it there is no `hr.group_dot`, no `hr.group_round` and no fragment: an
    instruction's name has become a call of LLVM's intrinsic, and fragments have
    the machine's type, also where loops carry them.

    Before:
    ```mlir
    %s = hr.group_dot "x86.vdpbf16ps" %a, %b, %c : vector<32xbf16>, vector<16xf32>
    ```
    After:
    ```mlir
    %s = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%c, %a, %b)
        : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::LLVM::LLVMDialect",
                           "::mlir::vector::VectorDialect"];
  let options = [
    Option<"features", "features", "std::string", /*default=*/"",
           "What the CPU has, as LLVM spells it: +first,+second">
  ];
}

#endif // HEADRACE_TARGET_PASSES
