//===- HRUtils.h - Questions and small helpers on the hr level ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_HR_HRUTILS_H
#define HEADRACE_DIALECT_HR_HRUTILS_H

#include "headrace/Dialect/HR/HR.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace headrace::hr {

/// The symbolic shape of a tensor value, one expression per dimension: from
/// `hr.dims` for entry arguments, the `dims` of hr ops, the inits of linalg
/// ops, the operands of tensor.empty, and the static type otherwise. Fails if
/// a dynamic dimension cannot be traced.
mlir::FailureOr<llvm::SmallVector<SizeExpr>> getDims(mlir::Value tensor);

/// The expression of an index value made of hr.size, constants and integer
/// arithmetic.
mlir::FailureOr<SizeExpr> getSize(mlir::Value index);

/// The ranges of the symbols of an entry (from `hr.symbols`).
SymbolRanges getSymbolRanges(mlir::func::FuncOp entry);
/// The ranges that tracing took for given (from `hr.traced`), which may be
/// narrower: torch takes every dynamic size for at least 2, and lets 0 and 1
/// through all the same. What is decided by these is required of the call.
SymbolRanges getTracedRanges(mlir::func::FuncOp entry);
/// The names of the symbols of an entry, in order of declaration.
llvm::SmallVector<llvm::StringRef> getSymbolNames(mlir::func::FuncOp entry);

/// What has to hold of the sizes of a call (from `hr.requires`): each is at
/// least 0.
llvm::SmallVector<SizeExpr> getRequirements(mlir::func::FuncOp entry);

/// Sizes in the words of the user's program: `x.shape[0]`, `x.shape[0] // 2`,
/// or the name that the user gave a dimension.
class SizeNames {
public:
  /// From the names and shapes of the arguments of an entry.
  explicit SizeNames(mlir::func::FuncOp entry);
  std::string str(const SizeExpr &size) const;

private:
  /// Per symbol: what it is in terms of a dimension of an argument.
  llvm::StringMap<SizeExpr> names;
  /// The dimensions of arguments that are not constant, by their sizes.
  llvm::StringMap<SizeExpr> dimensions;
};

/// Attribute <-> expression.
mlir::ArrayAttr getSizeArrayAttr(mlir::MLIRContext *context,
                                 llvm::ArrayRef<SizeExpr> sizes);
llvm::SmallVector<SizeExpr> getSizes(mlir::ArrayAttr sizes);
/// `?` for what is not a constant.
llvm::SmallVector<int64_t> getStaticShape(llvm::ArrayRef<SizeExpr> sizes);

/// An `hr.size`, or `arith.constant` where the size is one.
mlir::Value createSize(mlir::OpBuilder &builder, mlir::Location loc,
                       const SizeExpr &size);
/// A tensor.empty of the given symbolic shape.
mlir::Value createEmpty(mlir::OpBuilder &builder, mlir::Location loc,
                        llvm::ArrayRef<SizeExpr> sizes,
                        mlir::Type elementType);

/// An `hr.view`.
mlir::Value createView(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value source, llvm::ArrayRef<SizeExpr> offsets,
                       mlir::AffineMap map, llvm::ArrayRef<SizeExpr> dims);

/// Index arithmetic that computes `size`, symbols given by `symbol`.
mlir::Value
materializeSize(mlir::OpBuilder &builder, mlir::Location loc,
                const SizeExpr &size,
                llvm::function_ref<mlir::Value(llvm::StringRef)> symbol);

/// An element of `hr.sites` (headrace/Target/StageABI.h); the user's line is that
/// of `loc`.
mlir::ArrayAttr getSiteAttr(mlir::Location loc, llvm::StringRef what,
                            llvm::StringRef message, bool ranged);

/// Whether the public function is an entry of the program.
bool isEntry(mlir::func::FuncOp func);

} // namespace headrace::hr
#endif // HEADRACE_DIALECT_HR_HRUTILS_H
