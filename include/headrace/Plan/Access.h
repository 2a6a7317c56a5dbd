//===- Access.h - Where an operation finds what it reads ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Between an operation's operand and the value that has the elements lie views.
// An `Access` is what is left when they are looked through: the element that is
// read at each point of the operation's loops, as linear functions of the loops'
// indices. There is one walk through views, so that the addresses that are
// emitted, and the parts of buffers that schedules are proved by, are the same
// functions.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_PLAN_ACCESS_H
#define HEADRACE_PLAN_ACCESS_H

#include "headrace/Support/SizeExpr.h"
#include "llvm/ADT/SmallBitVector.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Value.h"
#include <optional>

namespace headrace::plan {

struct Node;

/// `offset + sum of coef[d] * loop d`.
struct Linear {
  SizeExpr offset;
  llvm::SmallVector<SizeExpr> coef;

  /// The loop if this is just one loop's index.
  std::optional<unsigned> getPlainLoop() const;
  bool isZero() const;
};

/// `map` (of loops, no symbols) as linear functions; fails on floordiv, mod.
mlir::FailureOr<llvm::SmallVector<Linear>> getLinear(mlir::AffineMap map);

/// `outer` of `inner`: inner's functions (of `numLoops` loops) in place of
/// outer's dimensions.
Linear compose(const Linear &outer, llvm::ArrayRef<Linear> inner,
               unsigned numLoops);

/// A tensor seen as a strided window on a contiguous, row-major base.
struct StridedView {
  mlir::Value base;
  SizeExpr offset;
  llvm::SmallVector<SizeExpr> strides;
};

/// Strides (in elements) of a contiguous tensor.
llvm::SmallVector<SizeExpr> rowMajorStrides(llvm::ArrayRef<SizeExpr> dims);

/// Strides under which `strides` over `from` reads in row-major order as
/// `to`; std::nullopt if there are none.
std::optional<llvm::SmallVector<SizeExpr>>
reshapeStrides(llvm::ArrayRef<SizeExpr> from, llvm::ArrayRef<SizeExpr> strides,
               llvm::ArrayRef<SizeExpr> to);

/// Looks through hr.view and hr.reshape. Fails if a reshape on the way needs a
/// copy, or sizes cannot be traced. The base has these strides, or, without any,
/// is row-major.
mlir::FailureOr<StridedView>
getStridedView(mlir::Value tensor, llvm::ArrayRef<SizeExpr> baseStrides = {});

/// `index`, one function of `numLoops` loops per dimension of `tensor`, as one
/// per dimension of the base under its views. Fails, and says at which view and
/// why, where a reshape merges dimensions, or sizes cannot be traced.
mlir::FailureOr<llvm::SmallVector<Linear>>
getBaseIndex(mlir::Value tensor, llvm::ArrayRef<Linear> index,
             unsigned numLoops, std::string *why = nullptr);

/// The first value above all views of `tensor`.
mlir::Value getViewBase(mlir::Value tensor);
bool isViewLike(mlir::Operation *op);

/// Where a node finds one operand.
struct Access {
  /// An operand of the stage (block argument) or the result of `producer`.
  mlir::Value source;
  Node *producer = nullptr;
  /// One function per dimension of the source's value. Of a stage's input it is
  /// empty where views merge dimensions: then only the address is known.
  llvm::SmallVector<Linear> index;
  /// For a stage input: the element's position in the flat, row-major buffer.
  Linear address;
  /// The input is stored packed: panels of `panel` along the loop `panelLoop`
  /// (see hr.stage's `linalg.unpack`), in which `group` iterations of the loop
  /// `groupLoop` lie side by side; `address` and `index` are then unused.
  int64_t panel = 0;
  unsigned panelLoop = 0;
  int64_t group = 1;
  unsigned groupLoop = 0; // where `group` is not 1
  /// The index in the unpacked tensor, its dimensions in the order in which the
  /// panels have them.
  llvm::SmallVector<Linear> logical;

  /// The input is read at positions that are data: it is the region of `gather`,
  /// which is looked through, at these functions of its loops. The index
  /// operands add what they say to `address`; they depend on `dataLoops` alone.
  Node *gather = nullptr;
  llvm::SmallVector<Linear> gatherPoint;
  llvm::SmallBitVector dataLoops;

  bool isInput() const { return !producer; }
  /// Whether the place changes along a loop of the reader.
  bool dependsOn(unsigned loop) const;
};

} // namespace headrace::plan
#endif // HEADRACE_PLAN_ACCESS_H
