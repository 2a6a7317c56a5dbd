//===- ProgramIR.h - Between sched.program and schedule::Program ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SCHEDULE_PROGRAMIR_H
#define HEADRACE_SCHEDULE_PROGRAMIR_H

#include "headrace/Dialect/Sched/Sched.h"
#include "headrace/Schedule/Program.h"

namespace headrace {

/// A schedule, and which operation each of its parts was.
struct ImportedProgram {
  schedule::Program program;
  /// By `Command::id`.
  std::vector<mlir::Operation *> commands;
  /// By number.
  std::vector<sched::BufferOp> buffers;
  std::vector<sched::ArenaOp> arenas;
};

ImportedProgram importProgram(sched::ProgramOp op);

/// A number that tells schedules apart: of all programs of the module, and of the
/// plans of the stages that they run; not of where it was compiled, nor of the
/// weights.
uint64_t hashSchedules(mlir::ModuleOp module);

/// The runs and copies of a program in the order in which they are written,
/// those of repeats included once: how profiles number them.
std::vector<mlir::Operation *> getWork(sched::ProgramOp op);

schedule::BufferKind importKind(hr::BufferKind kind);
schedule::Access importAccess(hr::Access access);
/// The origin map and extents of `#hr.footprint`.
schedule::Footprint importFootprint(hr::FootprintAttr footprint);

/// An affine expression of dimensions as a size of `names`, or of `d0`, `d1`,
/// ... where there are none.
SizeExpr importAffine(mlir::AffineExpr expr,
                      llvm::ArrayRef<llvm::StringRef> names = {});

} // namespace headrace
#endif // HEADRACE_SCHEDULE_PROGRAMIR_H
