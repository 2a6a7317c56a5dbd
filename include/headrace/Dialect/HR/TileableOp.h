//===- TileableOp.h - What planning asks of an operation ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The interface of TileableOp.td, and what its methods return. linalg's
// operations have it by `registerTileableModels`.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_HR_TILEABLEOP_H
#define HEADRACE_DIALECT_HR_TILEABLEOP_H

#include "headrace/Support/SizeExpr.h"
#include "mlir/IR/AffineMap.h"
#include "mlir/IR/OpDefinition.h"
#include "llvm/ADT/SmallVector.h"
#include <optional>

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace headrace::hr {

/// How a nest computes its elements.
enum class NestKind {
  Map,         // every element by itself: it may be computed where it is read
  Reduction,   // one value at a time, from values along other loops
  Contraction, // sums of products of two operands
  SoftmaxSum,  // sums with weights exp(x - maximum), streamed
  Scan,        // in order along a loop
  Sort,        // row by row
  Update,      // writes a region of an operand in place
  Scatter,     // the same, at positions that are data
};

struct TileLoop {
  SizeExpr extent;
  /// Its iterations may run in any order, and apart.
  bool parallel = true;
};

/// An operand that is read once per point of the loops.
struct TileRead {
  unsigned operand = 0;
  /// From the loops to the operand's dimensions. Null: a scalar.
  mlir::AffineMap map;
  /// False: it is there only to be counted, and never read.
  bool isRead = true;
};

/// A tensor of which the loops touch a region.
struct TileRegion {
  unsigned operand = 0;
  /// From the loops to the operand's dimensions.
  mlir::AffineMap map;
  /// Added to what the map says; empty: nothing.
  llvm::SmallVector<SizeExpr> offsets;
  /// Per dimension of the operand, the number of the index operand whose element
  /// is added as well, or -1; empty: none.
  llvm::SmallVector<int64_t> data;
  /// Elements are written there, not read.
  bool isOverwritten = false;
  /// Negative indices count from the end.
  bool wraps = false;
  /// What the program calls it, for messages about bad indices.
  llvm::StringRef what;

  bool hasData(unsigned dim) const { return !data.empty() && data[dim] >= 0; }
};

/// Cost of one point, in additions.
struct PointCost {
  double operations = 1;
  /// Some of them are of the math dialect.
  bool hasMath = false;
};

/// The types of a product's factors, and of the sum that it joins.
struct ProductTypes {
  mlir::Type lhs, rhs, sum;
};

/// Gives linalg's structured operations the interface.
void registerTileableModels(mlir::DialectRegistry &registry);

} // namespace headrace::hr

#include "headrace/Dialect/HR/TileableOp.h.inc"

#endif // HEADRACE_DIALECT_HR_TILEABLEOP_H
