//===- TensorUtils.h - What the tensor passes share -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Questions about linalg.generic and hr.view, and ways to rebuild them.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_GRAPH_TENSORUTILS_H
#define HEADRACE_LIB_GRAPH_TENSORUTILS_H

#include "headrace/Dialect/HR/HRUtils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"

namespace headrace {

using Sizes = llvm::SmallVector<SizeExpr>;

inline bool isOne(const SizeExpr &size) { return size == SizeExpr(1); }
inline bool isZero(const SizeExpr &size) { return size == SizeExpr(0); }

/// `value` under the shape `dims`; `value` itself where that is its shape.
mlir::Value createReshape(mlir::OpBuilder &builder, mlir::Location loc,
                          mlir::Value value, llvm::ArrayRef<SizeExpr> dims);
using hr::createView;

/// The ranges of the symbols of the entry around `op`; empty outside of one.
SymbolRanges getRangesAround(mlir::Operation *op);

/// The extent of every loop; fails if an operand's dimensions are unknown or a
/// loop is no operand's dimension.
mlir::FailureOr<Sizes> getLoopSizes(mlir::linalg::GenericOp op);

/// Whether every loop is the whole index of some operand dimension.
bool coverLoops(llvm::ArrayRef<mlir::AffineMap> maps, unsigned numLoops);

/// All loops parallel, one result whose map is a permutation, and the body
/// does not read the init.
bool isElementwise(mlir::linalg::GenericOp op);

/// The scalar constant that fills the whole of `tensor`, if there is one.
mlir::Attribute getSplat(mlir::Value tensor);

/// A fresh init for a result of shape `dims` that replaces `init`: empty or
/// filled as that was; null if `init` is neither.
mlir::Value recreateInit(mlir::OpBuilder &builder, mlir::Value init,
                         llvm::ArrayRef<SizeExpr> dims);

/// What a generic is made of, to change and build again.
struct GenericParts {
  explicit GenericParts(mlir::linalg::GenericOp op);
  llvm::SmallVector<mlir::Value> inputs, inits;
  llvm::SmallVector<mlir::AffineMap> inputMaps, initMaps;
  llvm::SmallVector<mlir::utils::IteratorType> iterators;
  llvm::SmallVector<mlir::AffineMap> maps() const;
};

/// Builds a generic of `parts` whose body is that of `old`. `argument(n)` says
/// what stands for old block argument `n` (inputs, then inits): an argument of
/// the new block, given as a number, or a scalar made by `builder` in the new
/// body. linalg.index ops are cloned; renumber them by `index`, which may be
/// null.
mlir::linalg::GenericOp rebuildGeneric(
    mlir::OpBuilder &builder, mlir::linalg::GenericOp old,
    const GenericParts &parts,
    llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Block &, unsigned)>
        argument,
    llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location, unsigned)>
        index = nullptr);

/// The coefficient of dimension `dim` in the linear expression `expr`, or
/// std::nullopt if it is not linear.
std::optional<int64_t> getCoefficient(mlir::AffineExpr expr, unsigned dim,
                                      unsigned numDims);

/// A view whose map only renames: every source dimension is a whole result
/// dimension (of equal extent), offsets are zero. It permutes, broadcasts and
/// takes diagonals.
bool isRenaming(hr::ViewOp view);
/// A renaming view that only permutes.
bool isPermutation(hr::ViewOp view);
/// A view that only selects: source dimensions keep their order, each result
/// dimension is used once, a source dimension may be dropped at one index.
bool isSlice(hr::ViewOp view);

} // namespace headrace
#endif // HEADRACE_LIB_GRAPH_TENSORUTILS_H
