//===- Passes.td - From tensors to planned stages ----------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each pass has one sentence that says what is true after it.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_PLAN_PASSES
#define HEADRACE_PLAN_PASSES

include "mlir/Pass/PassBase.td"

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

def ChooseLayoutsPass : Pass<"hr-choose-layouts", "::mlir::ModuleOp"> {
  let summary = "chooses the order in which buffers keep their dimensions";
  let description = [{
    After it, every value that a compute op stores has its dimensions in the order
    in which the operations around it are fastest by prediction; who reads it in
    another one does so through a view.

    What a caller sees, weights, states and what is read at positions which are
    data stay row-major. Each decision is a remark with both times.
  }];
  let dependentDialects = ["::headrace::hr::HRDialect",
                           "::mlir::linalg::LinalgDialect",
                           "::mlir::tensor::TensorDialect"];
  let options = [
    Option<"target", "target", "std::string", "\"native\"",
           "description to plan for, as `hw::System::load` takes it">,
    Option<"always", "always", "bool", "false",
           "make every move that can be made, whatever is predicted">
  ];
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

def VerifyPlansPass : Pass<"hr-verify-plans", "::mlir::ModuleOp"> {
  let summary = "checks that plans fit their stages and the machine";
  let description = [{
    After it, every stage has a plan that code can be made of (`plan::verifyPlan`),
    and what its nests hand over lies in memories that the machine `target` has
    and that hold it.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"native\"",
           "description that was planned for, as `hw::System::load` takes it">
  ];
}

//===----------------------------------------------------------------------===//
// Verification (hrcc --verify)
//===----------------------------------------------------------------------===//

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

#endif // HEADRACE_PLAN_PASSES
