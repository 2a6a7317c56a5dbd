//===- Passes.td - Passes of the evaluator -----------------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each pass has one sentence that says what is true after it.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_EVALUATE_PASSES
#define HEADRACE_EVALUATE_PASSES

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// Verification (hrcc --verify)
//===----------------------------------------------------------------------===//

def WidenToDoublePass : Pass<"hr-widen-to-double", "::mlir::ModuleOp"> {
  let summary = "computes everything that is a float in f64";
  let description = [{
    After it, arguments have the types that they had; from there on every float
    is f64: values, weights, state and results. Casts between floats are gone.
    The program that comes of it is the oracle that errors are measured against.

    Refuses programs that look at the bits of floats.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
}

//===----------------------------------------------------------------------===//
// Tests
//===----------------------------------------------------------------------===//

def FillWeightsPass : Pass<"hr-fill-weights", "::mlir::ModuleOp"> {
  let summary = "gives weights that have no bytes reproducible ones";
  let description = [{
    For tests on textual IR: a weight that the `WeightStore` does not know gets
    the elements of its attribute `hr.value` (a dense attribute), and otherwise
    pseudo-random elements that depend on its name only.
  }];
}

def EvaluateEntriesPass : Pass<"hr-evaluate-entries", "::mlir::ModuleOp"> {
  let summary = "runs every entry in the evaluator and prints the results";
  let description = [{
    For tests: runs the entries on reproducible pseudo-random inputs, with the C
    library's math functions, and prints per result the number of elements, the
    sum, the sum of magnitudes and the first elements. Two programs that mean
    the same print the same up to rounding. Symbols take the value `symbol`
    (clamped to their range), plus their position. Integer inputs are in
    [0, `integers`).
  }];
  let options = [
    Option<"symbol", "symbol", "int64_t", "5", "value of the first symbol">,
    Option<"integers", "integers", "int64_t", "2", "bound of integer inputs">,
    Option<"compare", "compare", "std::string", "\"\"",
           "passes to run then; an error where the results differ">,
    Option<"tolerance", "tolerance", "double", "1e-5",
           "largest difference relative to the result's largest magnitude">
  ];
}

#endif // HEADRACE_EVALUATE_PASSES
