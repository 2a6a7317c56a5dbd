//===- Pipelines.cpp - The passes of every phase --------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The compiler's table of contents: each phase's passes in order, each with
// the reason of its place. What follows `schedule` is not MLIR passes but the
// target's work: see lib/Target.
//
//===----------------------------------------------------------------------===//
#include "headrace/Driver/Pipelines.h"
#include "headrace/Conversion/Passes.h"
#include "headrace/Evaluate/Passes.h"
#include "headrace/Graph/Passes.h"
#include "headrace/Import/Passes.h"
#include "headrace/Plan/Passes.h"
#include "headrace/Schedule/Passes.h"
#include "headrace/Tile/Passes.h"

using namespace mlir;
using namespace headrace;

void headrace::buildAtenPipeline(OpPassManager &pm,
                                 const PipelineOptions &options) {
  // The reader's work is the phase: the exported graph, exactly.
}

void headrace::buildTensorPipeline(OpPassManager &pm,
                                   const PipelineOptions &options) {
  // The conversion knows values only: what eager does in place, and through
  // views, has to be written out before it.
  FunctionalizePassOptions functionalize;
  functionalize.leaveObstacles = true;
  pm.addPass(createFunctionalizePass(functionalize));
  // Everything that is not understood is refused here, all at once, so that no
  // later pass meets an operator it does not know.
  pm.addPass(createConvertToTensorPass());
  if (options.optLevel > 0) {
    // Simplified first: the rewrites after it match algebra, and see it best
    // without views, casts and dimensions of size one in between.
    pm.addPass(createSimplifyPass());
    // What is known is computed, and may decide masks and positions: simplified
    // again.
    pm.addPass(createFoldConstantsPass());
    pm.addPass(createSimplifyPass());
    pm.addPass(createFormSoftmaxSumPass());
    // Before layers are rolled: it joins the weights of each layer. What reads
    // the joined result is simplified once more.
    pm.addPass(createMergeContractionsPass());
    pm.addPass(createSimplifyPass());
    // Last, so that layers are compared in their final form, and all that
    // follows sees one of them.
    pm.addPass(createRollLayersPass());
  }
  buildVerification(Phase::Tensor, pm, options);
}

void headrace::buildFusedPipeline(OpPassManager &pm,
                                  const PipelineOptions &options) {
  // On a program that is otherwise complete: an oracle of the same steps.
  if (options.inDouble)
    pm.addPass(createWidenToDoublePass());
  // Copies become operations first: a stage can then store every value it
  // hands on where its reader wants it.
  pm.addPass(createPrepareStagesPass());
  // Before stages: which operations join depends on how values lie.
  if (options.optLevel > 0 && options.layouts != "row-major") {
    ChooseLayoutsPassOptions layouts;
    layouts.target = options.target;
    layouts.always = options.layouts == "products";
    pm.addPass(createChooseLayoutsPass(layouts));
  }
  FormStagesPassOptions form;
  form.target = options.target;
  form.fuse = options.optLevel > 0;
  form.quick = options.optLevel == 1;
  form.within = options.planWithin;
  pm.addPass(createFormStagesPass(form));
  buildVerification(Phase::Fused, pm, options);
}

void headrace::buildTiledPipeline(OpPassManager &pm,
                                  const PipelineOptions &options) {
  // Nothing of the plans changes but what is handed on, and to whom.
  if (options.exposeStages) {
    ExposeStagesPassOptions expose;
    expose.target = options.target;
    expose.plain = options.plainStages;
    pm.addPass(createExposeStagesPass(expose));
  }
  TileStagesPassOptions tile;
  tile.checkAccesses = options.checkAccesses;
  pm.addPass(createTileStagesPass(tile));
  // What is no buffer, run or loop by now, no later pass would execute.
  buildVerification(Phase::Tiled, pm, options);
}

void headrace::buildSchedulePipeline(OpPassManager &pm,
                                     const PipelineOptions &options) {
  BuildProgramsPassOptions build;
  build.target = options.target;
  pm.addPass(createBuildProgramsPass(build));
  // After the waits: who may share bytes depends on the order of commands.
  pm.addPass(createAssignOffsetsPass());
  // Always: a schedule that is wrong is found here, not at run time.
  buildVerification(Phase::Schedule, pm, options);
  // Last: it runs the finished schedules in the simulator.
  ChooseWorkersPassOptions choose;
  choose.target = options.target;
  pm.addPass(createChooseWorkersPass(choose));
}

void headrace::buildVerification(Phase phase, OpPassManager &pm,
                                 const PipelineOptions &options) {
  switch (phase) {
  case Phase::Tensor:
    pm.addPass(createVerifyTensorPass());
    return;
  case Phase::Fused: {
    VerifyTensorPassOptions verify;
    verify.fused = true;
    pm.addPass(createVerifyTensorPass(verify));
    VerifyPlansPassOptions plans;
    plans.target = options.target;
    pm.addPass(createVerifyPlansPass(plans));
    return;
  }
  case Phase::Tiled:
    pm.addPass(createVerifyTiledPass());
    return;
  case Phase::Schedule: {
    VerifyPassOptions verify;
    verify.target = options.target;
    pm.addPass(createVerifyPass(verify));
    return;
  }
  default: // ATen is understood as it is converted.
    return;
  }
}

void headrace::buildPipeline(Phase phase, OpPassManager &pm,
                             const PipelineOptions &options) {
  switch (phase) {
  case Phase::Aten:
    return buildAtenPipeline(pm, options);
  case Phase::Tensor:
    return buildTensorPipeline(pm, options);
  case Phase::Fused:
    return buildFusedPipeline(pm, options);
  case Phase::Tiled:
    return buildTiledPipeline(pm, options);
  case Phase::Schedule:
    return buildSchedulePipeline(pm, options);
  case Phase::LLVM:
  case Phase::Asm:
  case Phase::Obj:
  case Phase::So:
    return;
  }
}
