//===- Parts.h - The parts that a report is made of -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Times are whole nanoseconds and bytes whole numbers everywhere in a report;
// arrays "per memory" are in the order of `machine.memories`, from the
// innermost outward.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_REPORT_PARTS_H
#define HEADRACE_LIB_REPORT_PARTS_H

#include "headrace/Dialect/HR/HR.h"
#include "headrace/Dialect/Sched/Sched.h"
#include "headrace/Report/Report.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <cmath>

namespace headrace::report {

inline int64_t toNanoseconds(double seconds) {
  return std::llround(seconds * 1e9);
}

std::string toText(mlir::Type type);
/// File, line, node, and the line itself where it can be read.
llvm::json::Object describePlace(mlir::Location location);

/// The description, every figure with where it comes from.
llvm::json::Object describeMachine(const hw::System &system);

/// Operations per second of one worker for sums of products of these types:
/// that of the fastest atom for the operands whatever it sums in, else of the
/// f32 atom.
double getBestRate(const hw::Worker &worker, mlir::Type lhs, mlir::Type rhs);

/// One schedule: what is predicted, what the machine allows at best, and what
/// was measured if `profile` is given. `stages` numbers the report's stages.
mlir::FailureOr<llvm::json::Object>
describeProgram(sched::ProgramOp program, const hw::System &system,
                const SymbolBindings &sizes,
                const llvm::StringMap<int64_t> &stages, const Profile *profile);

/// Every program of every entry as a process of its own, and what was measured
/// of it as another.
void writeTrace(const llvm::json::Object &report, llvm::raw_ostream &os);
/// The page, with the report inside.
void writePage(const llvm::json::Object &report, llvm::raw_ostream &os);

} // namespace headrace::report
#endif // HEADRACE_LIB_REPORT_PARTS_H
