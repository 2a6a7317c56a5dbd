//===- Passes.td - Passes on the tensor level and below ----*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each pass has one sentence that says what is true after it.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TRANSFORMS_PASSES
#define HEADRACE_TRANSFORMS_PASSES

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// Tensor level
//===----------------------------------------------------------------------===//

def SimplifyPass : Pass<"hr-simplify", "::mlir::ModuleOp"> {
  let summary = "whole-graph simplification to a fixpoint";
  let description = [{
    After it, no op has a dimension of size one in its iteration space, views
    that a structured op can express in its indexing maps are there, nothing is
    computed twice or for nobody, and arithmetic whose result is known is gone.

    - Size-one dimensions are dropped from structured ops, gathers, views and
      all other hr ops; `hr.reshape` puts them back where an entry's type asks.
    - `hr.view`s that permute, broadcast or take a diagonal fold into the
      indexing maps of their consumers, else into those of their producer.
    - Copies, identity updates, concats and pads disappear; reads of what was
      just written read the value itself.
    - Ops without tensor operands (iota, constants) and single-use casts are
      computed inside their consumers; comparisons whose outcome follows from
      the ranges of indices and sizes become constants. Floating-point
      arithmetic is only rewritten where the result is the same bit for bit.
    - Gathers whose indices are linear in the position become views.
  }];
  let dependentDialects = ["::headrace::hr::HRDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
}

def FoldConstantsPass : Pass<"hr-fold-constants", "::mlir::ModuleOp"> {
  let summary = "what depends on weights alone is computed at compile time";
  let description = [{
    After it, of what depends on weights alone those values are weights that
    have the least bytes, over all entries together: what narrows is computed,
    what widens is left to its readers. More bytes are stored, and a remark says
    so, for what readers cannot compute element by element, for what products
    read (up to twice the bytes that it is made from), and where the difference
    is negligible. No weight is declared that nothing reads.

    Results become new weights, named after the first weight that they are made
    from, or fills where all elements are equal. Integer weights that are one
    value or an arithmetic sequence become computations of positions. The
    evaluator (Evaluate.h), with our own math library written out as exact
    operations, gives the same bytes on every host. Sine and cosine of arguments
    beyond 2^40 are left to run.
  }];
  let dependentDialects = ["::headrace::hr::HRDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect",
                           "::mlir::vector::VectorDialect"];
  let statistics = [
    Statistic<"numFolded", "folded", "values computed">,
    Statistic<"numDead", "dead", "weights removed">
  ];
}

def FormSoftmaxSumPass : Pass<"hr-form-softmax-sum", "::mlir::ModuleOp"> {
  let summary = "weighted sums under a softmax become hr.softmax_sum";
  let description = [{
    After it, no contraction reads normalized exponentials that it could stream:
    every `sum_j exp(e - max_j e) / sum_j exp(e - max_j e) * v` is one
    `hr.softmax_sum`, whether the division comes before the contraction or
    after it, is a product with a reciprocal, or is spread over several ops;
    with any mask in `e`, any casts between float types, any broadcasting.

    Matched is the algebra (see FormSoftmaxSum.cpp), never a name. Left alone:
    exponentials without the maximum subtracted, a maximum or a sum over other
    elements than the contraction's, weights that have another reader.
  }];
  let dependentDialects = ["::headrace::hr::HRDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numFormed", "formed", "softmax sums formed">
  ];
}

def MergeContractionsPass
    : Pass<"hr-merge-contractions", "::mlir::ModuleOp"> {
  let summary = "contractions of one tensor with several weights become one";
  let description = [{
    After it, no two contractions of the same tensor differ only in weights that
    nothing else reads: there is one contraction with the weights joined (the
    queries, keys and values of attention; gate and up), then the elementwise
    ops that all results go through, joined likewise, then slices. The tensor is
    read once. Runs after constants are folded and before layers are rolled.
  }];
  let dependentDialects = ["::headrace::hr::HRDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numMerged", "merged", "groups merged">];
}

def RollLayersPass : Pass<"hr-roll-layers", "::mlir::ModuleOp"> {
  let summary = "identical layers become one hr.repeat";
  let description = [{
    After it, no run of layers that differ in nothing but their weights and
    states, and pass values from each to the next, is written out more than
    once: it is an `hr.repeat` whose body indexes stacks of weights and states.
    What all layers share is used from above. No run crosses a result that anyone but
    the next layer reads; what is left on either side is rolled. The result
    depends on the dataflow alone, not on the order of ops.
  }];
  let dependentDialects = ["::headrace::hr::HRDialect"];
  let statistics = [
    Statistic<"numRuns", "runs", "runs of layers rolled">,
    Statistic<"numLayers", "layers", "layers rolled into them">
  ];
}

//===----------------------------------------------------------------------===//
// From tensors to stages to functions over tiles
//===----------------------------------------------------------------------===//

def PrepareStagesPass : Pass<"hr-prepare-stages", "::mlir::ModuleOp"> {
  let summary = "makes every copy explicit before stages form";
  let description = [{
    After it, every value can be given a buffer without a hidden copy: concats
    and pads are updates of regions, views are strided windows on stored values,
    updates and states are written in place, and what an entry or a repeat hands
    out is stored by a compute op of its own.
  }];
  let dependentDialects = ["::headrace::hr::HRDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
}

def FormStagesPass : Pass<"hr-form-stages", "::mlir::ModuleOp"> {
  let summary = "groups operations into stages, each with its plan";
  let description = [{
    After it, every compute op is in an `hr.stage` that has a plan for the
    machine `target`, and what a stage reads is a value that another one stores,
    an argument, a weight or a state.

    Operations join the stage of their producer where the tiles still line up
    and the predicted time falls; each decision is a remark. With `fuse=false`
    every operation is a stage with a scalar plan: the oracle.
  }];
  let dependentDialects = ["::headrace::hr::HRDialect",
                           "::mlir::linalg::LinalgDialect"];
  let options = [
    Option<"target", "target", "std::string", "\"native\"",
           "description to plan for, as `hw::System::load` takes it">,
    Option<"fuse", "fuse", "bool", "true", "join operations into stages">,
    Option<"quick", "quick", "bool", "false", "consider fewer plans">,
    Option<"within", "within", "double", "1",
           "take the slowest plans that are predicted to be so many times as slow "
           "as the best, to check predictions">
  ];
}

def TileStagesPass : Pass<"hr-tile-stages", "::mlir::ModuleOp"> {
  let summary = "turns stages into functions over tiles, values into buffers";
  let description = [{
    After it, every stage is a private function of loops and vectors over tiles,
    every entry a list of `hr.run`s over `hr.buffer`s; tensors are left only in
    the signatures of entries.
  }];
  let options = [
    Option<"checkAccesses", "check-accesses", "bool", "false",
           "precede every load and store by a check against its footprint">
  ];
  let dependentDialects = [
    "::headrace::hr::HRDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect", "::mlir::memref::MemRefDialect",
    "::mlir::math::MathDialect", "::mlir::arith::ArithDialect",
    "::mlir::func::FuncDialect", "::mlir::ub::UBDialect"];
}

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

def ExposeStagesPass : Pass<"hr-expose-stages", "::mlir::ModuleOp"> {
  let summary = "makes what stages hand on results of their entries";
  let description = [{
    After it, each entry also returns, in the order of its stages, every value
    that a stage or a repeat stores in a buffer of its own, named after the
    stage: not what is a result already, nor what is written in place. With
    `plain`, stages keep what they compute and are planned as plain loops. Two
    compilations of one module, with and without, tell which stage is compiled
    wrongly.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"native\"",
           "description to plan for, as `hw::System::load` takes it">,
    Option<"plain", "plain", "bool", "false", "plan stages as plain loops">
  ];
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

#endif // HEADRACE_TRANSFORMS_PASSES
