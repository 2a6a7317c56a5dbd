//===- Sched.h - The sched dialect ----------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Declarations of the sched dialect: who runs what when, where every byte lies,
// who waits for whom. See SchedOps.td.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_SCHED_SCHED_H
#define HEADRACE_DIALECT_SCHED_SCHED_H

#include "headrace/Dialect/HR/HR.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include <vector>

#include "headrace/Dialect/Sched/SchedDialect.h.inc"
#include "headrace/Dialect/Sched/SchedEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "headrace/Dialect/Sched/SchedAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "headrace/Dialect/Sched/SchedTypes.h.inc"

namespace headrace::sched {
/// The end of the range that `wait @family[*]` stands for.
inline constexpr int64_t allTimelines = 0x7fffffff;

class ArenaOp;
class StageOp;
class TimelineOp;
class BufferOp;
} // namespace headrace::sched

#define GET_OP_CLASSES
#include "headrace/Dialect/Sched/SchedOps.h.inc"

#endif // HEADRACE_DIALECT_SCHED_SCHED_H
