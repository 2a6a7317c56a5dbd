//===- AssignOffsets.cpp - Buffers get their place in the arenas ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/MemoryPlanner.h"
#include "headrace/Schedule/Passes.h"
#include "headrace/Schedule/ProgramIR.h"

namespace headrace {
#define GEN_PASS_DEF_ASSIGNOFFSETSPASS
#include "headrace/Schedule/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;

namespace {
struct AssignOffsetsPass
    : headrace::impl::AssignOffsetsPassBase<AssignOffsetsPass> {
  using AssignOffsetsPassBase::AssignOffsetsPassBase;

  LogicalResult assign(sched::ProgramOp op) {
    ImportedProgram imported = importProgram(op);
    schedule::PackingOptions options;
    options.maxOrders = maxOrders;
    options.maxNodes = maxNodes;
    std::string error;
    FailureOr<std::vector<schedule::ArenaPlan>> plans =
        schedule::assignOffsets(imported.program, error, options);
    if (failed(plans))
      return op.emitError() << "cannot place the buffers: " << error;

    MLIRContext *context = &getContext();
    for (auto [buffer, placed] :
         llvm::zip(imported.buffers, imported.program.buffers)) {
      if (!placed.offset)
        continue;
      buffer.setOffsetAttr(hr::SizeAttr::get(context, *placed.offset));
      if (placed.slots > 1)
        buffer.setStrideAttr(hr::SizeAttr::get(context, placed.stride));
    }
    for (const schedule::ArenaPlan &plan : *plans) {
      sched::ArenaOp arena = imported.arenas[plan.arena];
      arena.setBytesAttr(hr::SizeAttr::get(context, plan.bytes));
      arena.setLowerBoundAttr(hr::SizeAttr::get(context, plan.lowerBound));
      if (remarks)
        arena.emitRemark() << "arena @" << arena.getName() << " takes "
                           << plan.largestBytes << " bytes, lower bound "
                           << plan.largestLowerBound
                           << (plan.optimal ? ", none is smaller" : "");
    }
    return success();
  }

  void runOnOperation() override {
    for (auto op : getOperation().getOps<sched::ProgramOp>())
      if (failed(assign(op)))
        return signalPassFailure();
  }
};
} // namespace
