//===- ViewStep.h - What a view operator does to its tensor ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_IMPORT_VIEWSTEP_H
#define HEADRACE_LIB_IMPORT_VIEWSTEP_H

#include "headrace/Dialect/Aten/Aten.h"
#include "mlir/IR/AffineMap.h"

namespace headrace {

/// How one result of an operator relates to the tensor it aliases.
struct ViewStep {
  enum class Kind {
    /// The result is fresh.
    Copy,
    /// The very same tensor.
    Identity,
    /// A strided selection: element i of the result is element
    /// `offsets + coefficients * i` of the source.
    Strided,
    /// The same elements in row-major order.
    Reshape,
    /// An alias whose elements cannot be written through.
    Opaque,
    /// Eager may alias; which it does cannot be said.
    Unknown,
  };
  Kind kind = Kind::Copy;
  /// Of a copy: eager makes none at sizes for which this holds (see
  /// SizeCondition.h), because the layouts are the same there.
  std::optional<SizeExpr> aliasesIf;
  llvm::SmallVector<SizeExpr> offsets;
  /// One row per dimension of the source, one column per one of the result.
  llvm::SmallVector<llvm::SmallVector<int64_t>> coefficients;

  /// The strided selection of nothing but all.
  static ViewStep identityMap(unsigned rank);
  /// First `this`, then `inner` on its result; both strided.
  ViewStep then(const ViewStep &inner) const;
  mlir::AffineMap getMap(mlir::MLIRContext *context,
                         unsigned resultRank) const;
  /// Whether no two points of a result of shape `dims` are the same element.
  bool isInjective(llvm::ArrayRef<SizeExpr> dims) const;
};

/// What result `number` of `call` is to `source`, the tensor operand that the
/// result may alias; null if there is none.
ViewStep getViewStep(aten::CallOp call, unsigned number,
                     const SymbolRanges &ranges, mlir::Value &source);

/// Compares the strides that the program declares of the call's results with
/// what they are of its operands: a new tensor or a view of one. For programs
/// that write in place, where strides decide what is written: torch traces those
/// as they run, but may leave other strides where it has decomposed a program.
mlir::LogicalResult verifyStrides(aten::CallOp call,
                                  const SymbolRanges &ranges);

} // namespace headrace
#endif // HEADRACE_LIB_IMPORT_VIEWSTEP_H
