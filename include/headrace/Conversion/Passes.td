//===- Passes.td - Passes between phases -------------------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_CONVERSION_PASSES
#define HEADRACE_CONVERSION_PASSES

include "mlir/Pass/PassBase.td"

def ConvertToTensorPass : Pass<"aten-convert-to-tensor", "mlir::ModuleOp"> {
  let summary = "writes every ATen call out as structured ops on tensors";
  let description = [{
    Each call is replaced by what its entry in the registry builds of
    linalg.generic and hr ops. Tensor types lose their `#aten.layout`; `ui8`
    becomes `i8`. Calls whose results nobody uses are dropped first.

    Fails, once, with everything that stands in the way: every operator that
    has no entry, and every use that its entry refuses with the reason, each
    with how often and where first.

    ```mlir
    %0 = aten.call "aten.relu.default"(%x) [#aten.value<0>]
        : (tensor<4xf32>) -> tensor<4xf32>
    ```
    becomes a linalg.generic of `arith.maximumf`.
  }];
  let dependentDialects = [
    "mlir::arith::ArithDialect", "mlir::linalg::LinalgDialect",
    "mlir::math::MathDialect", "mlir::tensor::TensorDialect",
    "headrace::hr::HRDialect"];
}

def VerifyTensorPass : Pass<"hr-verify-tensor", "mlir::ModuleOp"> {
  let summary = "proves that a module stands at the tensor phase";
  let description = [{
    Every op is of linalg (generic or fill), hr, tensor.empty, arith, math or
    func; no type has an encoding; the shape of every tensor is known as an
    expression of the entry's symbols. At the fused phase, linalg.unpack inside a
    stage reads a weight by its panels.
  }];
  let options = [Option<"fused", "fused", "bool", "false",
                        "the module stands at the fused phase">];
}

#endif // HEADRACE_CONVERSION_PASSES
