//===- SimulateProgram.h - Predicted figures of a sched.program -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For reports: the simulator, asked with IR and a hardware description.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SCHEDULE_SIMULATEPROGRAM_H
#define HEADRACE_SCHEDULE_SIMULATEPROGRAM_H

#include "headrace/Hardware/System.h"
#include "headrace/Schedule/ProgramIR.h"
#include "headrace/Schedule/Simulator.h"
#include <memory>

namespace headrace {

/// The simulator's view of the device that code is generated for.
schedule::MachineModel getMachineModel(const hw::System &system);

/// Every symbol at `size`, clamped to its range.
SymbolBindings bindSymbols(sched::ProgramOp program, int64_t size);

/// A simulated call, with the program that it refers to.
struct ProgramSimulation {
  std::unique_ptr<ImportedProgram> imported;
  schedule::MachineModel machine;
  schedule::Simulation simulation;
};

/// Emits a diagnostic on failure.
mlir::FailureOr<ProgramSimulation>
simulateProgram(sched::ProgramOp program, const hw::System &system,
                const SymbolBindings &bindings);

} // namespace headrace
#endif // HEADRACE_SCHEDULE_SIMULATEPROGRAM_H
