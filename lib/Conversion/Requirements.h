//===- Requirements.h - What a conversion takes for given of sizes --------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// torch has made sure, while it traced, that the sizes of a program fit each
// other, but a file need not say how. Wherever a conversion takes two sizes for
// equal, or an access for in bounds, and the symbols' ranges do not show it,
// the condition becomes a requirement of the entry (`hr.requires`), and is
// checked when the program is called.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_CONVERSION_REQUIREMENTS_H
#define HEADRACE_LIB_CONVERSION_REQUIREMENTS_H

#include "headrace/Dialect/HR/HRUtils.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"

namespace headrace::conversion {

/// The requirements of one entry.
class Requirements {
public:
  /// Starts with those that the entry has.
  explicit Requirements(mlir::func::FuncOp entry);

  /// `text` says the condition in the user's words; what needs it is at `loc`.
  void require(const SizeExpr &condition, const llvm::Twine &text,
               mlir::Location loc);
  void requireEqual(const SizeExpr &lhs, const SizeExpr &rhs,
                    mlir::Location loc);
  /// Whether `lhs <= rhs` may be taken for given: it holds, or tracing took it
  /// to hold, and then is required.
  bool assumeAtMost(const SizeExpr &lhs, const SizeExpr &rhs,
                    mlir::Location loc);
  void requireAtMost(const SizeExpr &lhs, const SizeExpr &rhs,
                     mlir::Location loc);
  /// What the ops of the entry take for given: that sizes are not negative,
  /// reshapes keep the number of elements, accesses are in bounds.
  void addThoseOfOps();

  /// Writes them to the entry.
  void finish();

private:
  void addView(mlir::ArrayAttr offsets, mlir::AffineMap map,
               llvm::ArrayRef<SizeExpr> region,
               llvm::ArrayRef<SizeExpr> source, mlir::Location loc);
  void addOperand(mlir::AffineMap map, llvm::ArrayRef<SizeExpr> loops,
                  llvm::ArrayRef<SizeExpr> operand, mlir::Location loc);
  /// Of a gather or scatter: positions in `source` that are not data, and the
  /// tensors of positions.
  template <typename Op>
  void addAccesses(Op op, llvm::ArrayRef<SizeExpr> loops,
                   llvm::ArrayRef<SizeExpr> source);
  /// A size is not negative, and can be computed.
  void addSize(const SizeExpr &size, mlir::Location loc);
  void addOp(mlir::Operation *op);

  mlir::func::FuncOp entry;
  SymbolRanges ranges, traced;
  hr::SizeNames names;
  /// Texts of sizes that were looked at.
  llvm::StringSet<> seen;
  /// By condition: each is checked once.
  llvm::MapVector<mlir::StringAttr, hr::RequirementAttr> found;
};

} // namespace headrace::conversion
#endif // HEADRACE_LIB_CONVERSION_REQUIREMENTS_H
