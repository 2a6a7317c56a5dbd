//===- Phases.h - The phases of a compilation -----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One table names the phases. `--emit`, the names of `-save-temps` files, the
// help text, progress messages and the documentation all come from it; a new
// phase is added here and, if it works on MLIR, gets its build function in
// Pipelines.h.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DRIVER_PHASES_H
#define HEADRACE_DRIVER_PHASES_H

#include "mlir/IR/BuiltinOps.h"
#include <optional>

namespace headrace {

/// In the order a program passes through them.
enum class Phase { Aten, Tensor, Fused, Tiled, Schedule, LLVM, Asm, Obj, So };

struct PhaseInfo {
  Phase phase;
  /// As in `--emit=<name>`.
  llvm::StringLiteral name;
  /// Of the file that holds what stands after the phase.
  llvm::StringLiteral extension;
  /// What stands after the phase, for the help text.
  llvm::StringLiteral what;

  /// Whether what stands after it is MLIR, which can be read back.
  bool isMLIR() const { return phase <= Phase::Schedule; }
};

llvm::ArrayRef<PhaseInfo> getPhases();
const PhaseInfo &getPhaseInfo(Phase phase);
std::optional<Phase> parsePhase(llvm::StringRef name);

/// The phase after which a module stands, told from the operations in it.
/// Modules that hold none of ours count as `tensor`.
Phase detectPhase(mlir::ModuleOp module);

} // namespace headrace
#endif // HEADRACE_DRIVER_PHASES_H
