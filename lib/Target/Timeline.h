//===- Timeline.h - Schedules transcribed to LLVM IR ----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_TIMELINE_H
#define HEADRACE_LIB_TARGET_TIMELINE_H

#include "Image.h"
#include "WeightLayout.h"
#include "headrace/Dialect/Sched/Sched.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/Module.h"

namespace headrace {

/// Where the things lie that outlive a call.
struct Placement {
  const WeightLayout *weights = nullptr;
  /// Offset of each state in the context's block.
  llvm::StringMap<int64_t> states;

  std::optional<int64_t>
  getStateStride(llvm::ArrayRef<std::string> stack) const;
};

/// Emits `void (ptr frame, i64 worker)`, which executes the timeline of one
/// worker of the program: its table of commands, with the worker's number as a
/// parameter. Calls stages by their symbols. `schedule` gets the function and
/// what the runtime must provide for it. Emits diagnostics.
mlir::LogicalResult transcribeProgram(sched::ProgramOp program,
                                      const ImageEntry &entry,
                                      const Placement &placement,
                                      llvm::Module &module,
                                      ImageSchedule &schedule);

/// The names of stage functions that may take their operands to be disjoint:
/// those that no program runs with the same bytes for two operands of which one
/// is written.
llvm::StringSet<> findDisjointStages(mlir::ModuleOp module);

/// Marks the operands of a stage function, lowered to LLVM, as not aliasing.
void markDisjoint(llvm::Function &function, unsigned numOperands);

/// The slots of a constant or state buffer, by name.
llvm::SmallVector<std::string> getSlotNames(sched::BufferOp buffer);

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_TIMELINE_H
