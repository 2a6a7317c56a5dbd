//===- SchedDialect.cpp - The sched dialect: registration -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/Sched/Sched.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::sched;

#include "headrace/Dialect/Sched/SchedDialect.cpp.inc"
#include "headrace/Dialect/Sched/SchedEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "headrace/Dialect/Sched/SchedAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "headrace/Dialect/Sched/SchedTypes.cpp.inc"

void SchedDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "headrace/Dialect/Sched/SchedAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "headrace/Dialect/Sched/SchedTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "headrace/Dialect/Sched/SchedOps.cpp.inc"
      >();
}
