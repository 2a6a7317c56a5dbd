//===- StagePlan.h - How a stage is tiled and emitted ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The C++ form of `#hr.plan`; see the attribute for what the fields mean.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_PLAN_STAGEPLAN_H
#define HEADRACE_PLAN_STAGEPLAN_H

#include "headrace/Dialect/HR/HR.h"
#include <vector>

namespace headrace::plan {

class StageAnalysis;

struct NestPlan {
  int64_t vector = -1;
  int64_t vectors = 1;
  int64_t row = -1;
  int64_t rows = 1;
  int64_t block = 0;
  /// What is summed beyond the block is in scratch.
  bool totalsInScratch = false;
  /// The reduction loop that the atom's k runs along.
  int64_t group = -1;
  /// Operands of a contraction that are copied to panels in scratch.
  llvm::SmallVector<int64_t, 2> packed;
  /// Predicted: femtoseconds of one worker per point of the nest.
  int64_t cost = 0;
  /// Null: multiply-adds of vectors.
  hr::AtomAttr atom;

  bool packs(unsigned operand) const {
    return llvm::is_contained(packed, int64_t(operand));
  }
};

/// A value that a nest stores for others of its tile.
struct EdgePlan {
  int64_t nest = 0, value = 0;
  std::string memory;
  int64_t bytes = 0;
};

struct StagePlan {
  llvm::SmallVector<int64_t> tile;
  int64_t lanes = 1;
  int64_t stream = 128;
  llvm::SmallVector<NestPlan> nests;
  std::vector<EdgePlan> edges;
  double seconds = 0;
  std::string runnerUp;
  /// Results are stored past the caches.
  bool bypass = false;

  hr::PlanAttr toAttr(mlir::MLIRContext *context) const;
  static StagePlan fromAttr(hr::PlanAttr attr);
};

/// Whether code can be made of the stage by this plan: tiles are of loops that
/// may be tiled, lanes and rows of loops that are there and may be taken so, and
/// all values that nests store for each other are among its edges. On failure,
/// `why` says what does not fit.
mlir::LogicalResult verifyPlan(const StageAnalysis &analysis,
                               const StagePlan &plan, std::string &why);

} // namespace headrace::plan
#endif // HEADRACE_PLAN_STAGEPLAN_H
