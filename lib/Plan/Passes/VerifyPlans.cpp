//===- VerifyPlans.cpp - Plans fit their stages and the machine -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Hardware/System.h"
#include "headrace/Plan/Passes.h"
#include "headrace/Plan/StageAnalysis.h"
#include "headrace/Plan/StagePlan.h"

namespace headrace {
#define GEN_PASS_DEF_VERIFYPLANSPASS
#include "headrace/Plan/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

/// What a plan says of memories.
static LogicalResult verifyMemories(hr::StageOp stage, const StagePlan &plan,
                                    const hw::Device &device) {
  const hw::Worker &worker = device.getWorker();
  SmallVector<const hw::Memory *> memories;
  for (const hw::Memory &level : worker.levels)
    memories.push_back(&level);
  if (const hw::Memory *main = worker.getMainMemory())
    memories.push_back(main);
  for (const EdgePlan &edge : plan.edges) {
    auto memory = llvm::find_if(memories, [&](const hw::Memory *known) {
      return known->name == edge.memory;
    });
    if (memory == memories.end())
      return stage.emitError()
             << "value " << edge.value << " of nest " << edge.nest
             << " is handed over in '" << edge.memory
             << "', a memory that worker '" << worker.name
             << "' does not have";
    if (double(edge.bytes) > (*memory)->bytes.value)
      return stage.emitError()
             << "value " << edge.value << " of nest " << edge.nest << " has "
             << edge.bytes << " bytes, but '" << edge.memory << "' holds "
             << static_cast<int64_t>((*memory)->bytes.value);
  }
  return success();
}

namespace {
struct VerifyPlansPass : headrace::impl::VerifyPlansPassBase<VerifyPlansPass> {
  using VerifyPlansPassBase::VerifyPlansPassBase;

  void runOnOperation() override {
    std::string error;
    FailureOr<hw::System> system = hw::System::load(target, error);
    if (failed(system)) {
      getOperation().emitError() << error;
      return signalPassFailure();
    }
    bool isValid = true;
    getOperation().walk([&](hr::StageOp stage) {
      isValid &= succeeded(verify(stage, system->getDevice()));
    });
    if (!isValid)
      return signalPassFailure();
    markAllAnalysesPreserved();
  }

  static LogicalResult verify(hr::StageOp stage, const hw::Device &device) {
    if (!stage.getPlanAttr())
      return stage.emitError() << "the stage has no plan";
    std::string why;
    FailureOr<std::unique_ptr<StageAnalysis>> analysis =
        StageAnalysis::create(stage, &why);
    if (failed(analysis))
      return stage.emitError() << "cannot tile the stage: " << why;
    StagePlan plan = StagePlan::fromAttr(stage.getPlanAttr());
    if (failed(verifyPlan(**analysis, plan, why)))
      return stage.emitError() << why;
    return verifyMemories(stage, plan, device);
  }
};
} // namespace
