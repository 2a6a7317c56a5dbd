//===- Pipelines.h - The passes of every phase ----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One build function per phase that works on MLIR. Pipelines.cpp is the
// compiler's table of contents: read it first.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DRIVER_PIPELINES_H
#define HEADRACE_DRIVER_PIPELINES_H

#include "headrace/Driver/Phases.h"
#include "mlir/Pass/PassManager.h"
#include <string>

namespace headrace {

struct PipelineOptions {
  /// 0: the oracle; 1: fusion, quick planning; 2: default; 3: wider search.
  unsigned optLevel = 2;
  /// As `hw::System::load` takes it.
  std::string target = "native";
  /// For --verify: compute in f64; return what stages hand on; plan stages as
  /// plain loops.
  bool inDouble = false, exposeStages = false, plainStages = false;
  /// Stages check what they access against what the schedule was proved by.
  bool checkAccesses = false;
  /// Take the slowest plans predicted to be so many times as slow as the best.
  double planWithin = 1;
  /// In which order values between stages lie: as is fastest by prediction
  /// ("predicted"), "row-major", or wherever it can be as products of matrices
  /// want it ("products").
  std::string layouts = "predicted";
};

/// What the reader leaves is the phase already.
void buildAtenPipeline(mlir::OpPassManager &pm, const PipelineOptions &options);
/// ATen -> functional ATen -> structured operations, simplified over the whole
/// graph.
void buildTensorPipeline(mlir::OpPassManager &pm,
                         const PipelineOptions &options);
/// The graph -> stages with plans.
void buildFusedPipeline(mlir::OpPassManager &pm,
                        const PipelineOptions &options);
/// Stages -> functions over tiles, values -> buffers.
void buildTiledPipeline(mlir::OpPassManager &pm,
                        const PipelineOptions &options);
/// Runs over buffers -> timelines of workers, with offsets and waits.
void buildSchedulePipeline(mlir::OpPassManager &pm,
                           const PipelineOptions &options);

/// Checks that a module keeps the rules of `phase`: what its pipeline ends with,
/// and what a file that claims to stand after it has to pass.
void buildVerification(Phase phase, mlir::OpPassManager &pm,
                       const PipelineOptions &options);

/// The pipeline that ends in `phase`, which is one of MLIR.
void buildPipeline(Phase phase, mlir::OpPassManager &pm,
                   const PipelineOptions &options);

} // namespace headrace
#endif // HEADRACE_DRIVER_PIPELINES_H
