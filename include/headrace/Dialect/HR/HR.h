//===- HR.h - The hr dialect ----------------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Declarations of the hr dialect: weights and state by name, symbolic sizes,
// views, streamed reductions, stages, buffers. See HROps.td.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_HR_HR_H
#define HEADRACE_DIALECT_HR_HR_H

#include "headrace/Dialect/HR/TileableOp.h"
#include "headrace/Support/SizeExpr.h"
#include "headrace/Support/WeightStore.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace headrace::hr {
class OriginAttr;
} // namespace headrace::hr

#include "headrace/Dialect/HR/HRDialect.h.inc"
#include "headrace/Dialect/HR/HREnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "headrace/Dialect/HR/HRAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "headrace/Dialect/HR/HRTypes.h.inc"
#define GET_OP_CLASSES
#include "headrace/Dialect/HR/HROps.h.inc"

#endif // HEADRACE_DIALECT_HR_HR_H
