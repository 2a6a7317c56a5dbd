//===- Passes.td - Rewrites of the whole graph -------------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each pass has one sentence that says what is true after it.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_GRAPH_PASSES
#define HEADRACE_GRAPH_PASSES

include "mlir/Pass/PassBase.td"

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

#endif // HEADRACE_GRAPH_PASSES
