//===- HW.h - The hw dialect ----------------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Declarations of the hw dialect. Passes use headrace/Hardware/System.h, not
// this file.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_HW_HW_H
#define HEADRACE_DIALECT_HW_HW_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"

#include "headrace/Dialect/HW/HWDialect.h.inc"
#include "headrace/Dialect/HW/HWEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "headrace/Dialect/HW/HWAttrs.h.inc"
#define GET_OP_CLASSES
#include "headrace/Dialect/HW/HWOps.h.inc"

/// The values of fields, parsed and printed without their brackets.
namespace headrace::hw::detail {
mlir::FailureOr<mlir::Attribute> parseBareFigure(mlir::AsmParser &parser);
mlir::FailureOr<mlir::Attribute> parseBareRegisters(mlir::AsmParser &parser);
mlir::FailureOr<mlir::Attribute> parseBareScale(mlir::AsmParser &parser);
/// A figure, registers or a scale.
void printBare(mlir::AsmPrinter &printer, mlir::Attribute attr);
} // namespace headrace::hw::detail

#endif // HEADRACE_DIALECT_HW_HW_H
