//===- Verify.cpp - Proves schedules right --------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/HW/HW.h"
#include "headrace/Hardware/System.h"
#include "headrace/Schedule/Passes.h"
#include "headrace/Schedule/ProgramIR.h"
#include "headrace/Schedule/Verifier.h"

namespace headrace {
#define GEN_PASS_DEF_VERIFYPASS
#include "headrace/Schedule/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;

namespace {
struct VerifyPass : headrace::impl::VerifyPassBase<VerifyPass> {
  using VerifyPassBase::VerifyPassBase;

  LogicalResult verify(sched::ProgramOp op, const hw::System *system) {
    ImportedProgram imported = importProgram(op);
    if (system) {
      const hw::Worker &worker = system->getDevice().getWorker();
      auto getCapacity = [&](StringRef name) -> std::optional<int64_t> {
        const hw::Memory *memory = worker.getLevel(name);
        if (!memory || !memory->bytes)
          return std::nullopt;
        return memory->bytes.value;
      };
      for (schedule::Arena &arena : imported.program.arenas)
        arena.capacity = getCapacity(arena.name);
      schedule::Scratch &scratch = imported.program.scratch;
      if (!scratch.memory.empty()) {
        if (!worker.getLevel(scratch.memory))
          op.emitError() << "scratch is in @" << scratch.memory
                         << ", a memory that worker '" << worker.name
                         << "' does not have";
        failed |= !worker.getLevel(scratch.memory);
        scratch.capacity = getCapacity(scratch.memory);
      }
    }
    schedule::VerifyOptions options;
    options.fullExpansion = fullExpansion;
    for (const schedule::Fault &fault :
         schedule::verify(imported.program, options)) {
      // The first command named is where the error is; the others are notes.
      Operation *at = op;
      if (!fault.commands.empty() && fault.commands.front().first >= 0)
        at = imported.commands[fault.commands.front().first];
      InFlightDiagnostic diagnostic = at->emitError() << fault.message;
      for (const auto &[number, command] : llvm::enumerate(fault.commands))
        if (const auto &[id, what] = command; number > 0 && id >= 0)
          diagnostic.attachNote(imported.commands[id]->getLoc()) << what;
      failed = true;
    }
    return success();
  }

  void runOnOperation() override {
    std::optional<hw::System> system;
    if (!target.empty()) {
      std::string error;
      FailureOr<hw::System> loaded = hw::System::load(target, error);
      if (mlir::failed(loaded)) {
        getOperation().emitError() << error;
        return signalPassFailure();
      }
      system = std::move(*loaded);
    }
    failed = false;
    for (auto op : getOperation().getOps<sched::ProgramOp>())
      (void)verify(op, system ? &*system : nullptr);
    if (failed)
      signalPassFailure();
  }

  bool failed = false;
};
} // namespace
