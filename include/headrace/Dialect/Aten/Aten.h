//===- Aten.h - The aten dialect ------------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Declarations of the aten dialect, and questions about its tensor types.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_ATEN_ATEN_H
#define HEADRACE_DIALECT_ATEN_ATEN_H

#include "headrace/Dialect/Aten/Schema.h"
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Support/SizeExpr.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace headrace::aten {
/// An argument when building a call: an attribute, a value, or a list of both.
struct CallArg {
  CallArg(mlir::Attribute attribute) : attribute(attribute) {}
  CallArg(mlir::Value value) : values({value}) {}
  /// A list of tensors; null values are None.
  CallArg(mlir::ValueRange list) : values(list), isList(true) {}
  mlir::Attribute attribute;
  llvm::SmallVector<mlir::Value, 1> values;
  bool isList = false;
};
} // namespace headrace::aten

#include "headrace/Dialect/Aten/AtenDialect.h.inc"
#include "headrace/Dialect/Aten/AtenEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "headrace/Dialect/Aten/AtenAttrs.h.inc"
#define GET_OP_CLASSES
#include "headrace/Dialect/Aten/AtenOps.h.inc"

namespace headrace::aten {

/// The type of a tensor of the given shape and strides (in elements), with an
/// encoding only where one is needed.
mlir::RankedTensorType getTensorType(llvm::ArrayRef<SizeExpr> dims,
                                     llvm::ArrayRef<SizeExpr> strides,
                                     mlir::Type elementType);
/// The same with row-major strides.
mlir::RankedTensorType getTensorType(llvm::ArrayRef<SizeExpr> dims,
                                     mlir::Type elementType);

/// The shape of a tensor of the aten dialect, one size per dimension.
llvm::SmallVector<SizeExpr> getDims(mlir::Type tensor);
/// The strides that eager gives it, in elements.
llvm::SmallVector<SizeExpr> getStrides(mlir::Type tensor);
/// Row-major strides of a shape.
llvm::SmallVector<SizeExpr> getRowMajorStrides(llvm::ArrayRef<SizeExpr> dims);
/// The type without its encoding.
mlir::RankedTensorType dropLayout(mlir::Type tensor);

/// The node's name in the exported graph, from the location; empty if unknown.
llvm::StringRef getNodeName(mlir::Location loc);
/// The innermost FileLineColLoc, for messages; `loc` itself if there is none.
mlir::Location getUserLocation(mlir::Location loc);
/// The same as text: `model.py:12`; nothing if it is no line of a program.
std::string describeUser(mlir::Location loc);

/// The source dimension of each dimension after `movedim(sources,
/// destinations)`, which may count from the end; nothing if they are no
/// different dimensions of a tensor of `rank`, or not equally many.
std::optional<llvm::SmallVector<int64_t>>
getMovedOrder(llvm::ArrayRef<int64_t> sources,
              llvm::ArrayRef<int64_t> destinations, int64_t rank);

/// What `copy_` writes to a tensor of type `target`: `value` converted to its
/// element type and expanded to its shape, which must be possible.
mlir::Value createCopyOf(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::Value value, mlir::Type target);

} // namespace headrace::aten
#endif // HEADRACE_DIALECT_ATEN_ATEN_H
