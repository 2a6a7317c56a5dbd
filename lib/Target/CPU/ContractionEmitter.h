//===- ContractionEmitter.h - Contractions in register tiles --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A contraction is any linalg.generic that sums products of two operands:
// matrix products, batched or not, and convolutions alike. Terms:
//
//   lane operand  the one that varies with the vector loop: read as vectors.
//   row operand   the other one: an element, or a group, on all lanes.
//   group         the iterations of the reduction that lie side by side in an
//                 element of the sum: 2 for bf16 under an atom that sums in
//                 f32, 1 for multiply-adds.
//   panel         the lane operand for one set of lanes and the whole
//                 reduction, in the order in which it is read:
//                 [the other reduction loops][group loop / group][lane][group].
//
// Shapes of code:
//
//   outer product  The vector loop is parallel. `rows` x `vectors` vectors of
//                  sums stay in registers over the reduction; per step each
//                  operand is loaded once per index it depends on, as a vector
//                  or as a scalar that is broadcast. An atom of vectors takes
//                  a group per step.
//   fragments      The same with fragments for vectors. The sums go through
//                  scratch, so that all that follows sees vectors.
//   dot product    The vector loop is a reduction: `rows` vectors of partial
//                  sums, added up as a tree at the end. For operands that are
//                  contiguous along the reduction.
//
// Sums of more than `block` products are summed in blocks, which bounds the
// rounding error as well as any library does. Multiply-adds are fused: this is
// the contraction atom.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_CPU_CONTRACTIONEMITTER_H
#define HEADRACE_LIB_TARGET_CPU_CONTRACTIONEMITTER_H

#include "StageEmitter.h"

namespace headrace {

class ContractionEmitter {
public:
  ContractionEmitter(StageEmitter &e, const plan::Nest &nest,
                     const plan::NestPlan &nestPlan);
  void emit();

private:
  // --- loops
  /// Whether operand `number` varies with loop `l`.
  bool dependsOn(unsigned number, int64_t l) const;
  /// `body(rows)` for blocks of rows that cover the row loop; the row's first
  /// index is in `firstRow`.
  void rowBlocks(llvm::function_ref<void(int64_t)> body);
  /// Panels of `vectors` vectors, then single ones, the last one masked.
  void panels();
  void setRow(int64_t r);
  void setLanes(int64_t v);
  /// The loops over the reduction, the innermost `step` at a time; `body`
  /// advances the sums. With a block size, so many products are summed by
  /// themselves before they join the rest.
  llvm::SmallVector<mlir::Value>
  reduce(llvm::ArrayRef<unsigned> over, llvm::SmallVector<mlir::Value> sums,
         int64_t step,
         llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::ValueRange)>
             body);
  /// Sums over `block` indices of `range` at a time, each begun at zero by
  /// `body(lo, hi, zeros)`, added up.
  llvm::SmallVector<mlir::Value>
  sumInBlocks(const TileRange &range, int64_t block, mlir::ValueRange sums,
              llvm::function_ref<llvm::SmallVector<mlir::Value>(
                  mlir::Value, mlir::Value, mlir::ValueRange)>
                  body);
  /// Sums in scratch, to which those of blocks are added.
  void storeTotals(llvm::ArrayRef<mlir::Value> sums);
  void addToTotals(llvm::ArrayRef<mlir::Value> sums);
  llvm::SmallVector<mlir::Value> loadTotals(llvm::ArrayRef<mlir::Value> like);
  mlir::Value totalPlace(int64_t i, bool isRead);
  LaneIndex atClass(unsigned cls);
  mlir::Value maskOf(int64_t v);

  // --- arithmetic
  /// The body's conversion of this operand, applied to lanes.
  mlir::Value convert(unsigned number, mlir::Value value, int64_t width);
  mlir::Value multiplyAdd(mlir::Value lhs, mlir::Value rhs, mlir::Value acc);
  mlir::Value addTo(mlir::Value lhs, mlir::Value rhs);
  mlir::Value zeroLike(mlir::Value value);
  llvm::SmallVector<mlir::Value> zerosLike(mlir::ValueRange values);
  /// Where a block of `range` that begins at `begin` ends.
  mlir::Value blockEnd(const TileRange &range, mlir::Value begin,
                       int64_t block);

  // --- blocks
  void outerBlock(int64_t rows, int64_t vectors);
  void fragmentBlock(int64_t rows, int64_t vectors);
  void dotBlock(int64_t rows);
  /// Stores the sums of a block, row by row as vectors of lanes, or lane by
  /// lane as vectors of rows.
  void storeSums(llvm::ArrayRef<mlir::Value> sums, int64_t rows,
                 int64_t vectors, llvm::ArrayRef<mlir::Value> masks);
  void storeTransposed(llvm::ArrayRef<mlir::Value> sums, int64_t rows,
                       int64_t vectors);

  // --- panels (ContractionPanels.cpp)
  /// A copy in scratch: elements per iteration of each loop.
  struct Copy {
    mlir::Value memref;
    mlir::Type elementType;
    llvm::SmallVector<int64_t> strides;
    /// Subtracted from the row's index.
    mlir::Value origin;
    /// Elements from one panel of the lanes to the next.
    int64_t panel = 0;
  };
  /// How many panels of the lanes are copied at a time.
  int64_t getPanelsPerCopy();
  int64_t groupRoom(int64_t multiple);
  Copy &getCopy(unsigned number);
  mlir::Value addressIn(const Copy &copy);
  /// Fills the copy of the lane operand for the current lanes.
  void packLanes(int64_t vectors);
  void packAcross(int64_t vectors);
  /// Fills the copy of the row operand for all rows of the tile.
  void packRows();
  /// Vector `v` of the lane operand at the current place of the reduction:
  /// `group` elements per lane.
  mlir::Value loadLanes(int64_t v);
  /// The row operand's copy at the current place.
  mlir::Value loadRow();
  /// The row operand's group at the current place, on all lanes.
  mlir::Value loadGroup(int64_t r);
  struct Address {
    mlir::Value memref, at, stride;
  };
  Address rowFragment(int64_t r);
  Address laneFragment(int64_t v);
  llvm::SmallVector<mlir::Value> transpose(llvm::ArrayRef<mlir::Value> rows);
  int64_t strideAlong(unsigned number, int64_t l) const;

  StageEmitter &e;
  mlir::OpBuilder &b;
  mlir::Location loc;
  const plan::Nest &nest;
  const plan::NestPlan &nestPlan;
  const plan::Node *anchor;
  mlir::linalg::LinalgOp linalgOp;
  llvm::SmallVector<LaneIndex> loops;
  llvm::SmallVector<unsigned> outer, reduced;
  int64_t lanes = 1, group = 1;
  unsigned laneOperand = 1, rowOperand = 0;
  mlir::Type accType;
  mlir::Value firstRow, firstLane, laneCount;
  /// The first lane of the copy that the current panel is in; null: its own.
  mlir::Value firstCopied;
  std::optional<Copy> copies[2];
  mlir::Value sumScratch, totalScratch;
  /// An index that is 0.
  mlir::Value hiddenZero;
};

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_CPU_CONTRACTIONEMITTER_H
