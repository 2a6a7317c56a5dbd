//===- SoftmaxSumEmitter.h - Streamed softmax-weighted sums ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// hr.softmax_sum over blocks of its streamed loop j. Loops of the op: *rows*
// are in the logits and the result, *columns* in the value and the result.
// Per tile, with state (m, l, sum) in scratch:
//
//   m = -inf, l = 0, sum = 0
//   for each block of j:
//     the nests that make this block's logits
//     for each row:    new = max(m, max of logits)
//                      p = exp(logits - new), scale = exp(m - new)
//                      l = l * scale + sum of p, m = new
//     for each column: sum = sum * scale + sum over j of p * value
//   result = sum / l
//
// Lanes are rows where there are enough of them: maxima and sums then need no
// horizontal step, and p is laid out as the second product wants it. Otherwise
// (decoding one token) lanes are j in the first part and columns in the second.
// With lanes along rows the second product may be done by an atom: weights, and
// for one on vectors the values, then lie in groups of `group` consecutive j.
// For one on fragments the sums are transposed (values times weights), so that
// they come out as they are kept, and the values lie with j innermost. Zeros
// fill up what the atom takes at once. (Milakov and Gimelshein, arXiv
// 1805.02867; Dao et al., arXiv 2205.14135.)
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_CPU_SOFTMAXSUMEMITTER_H
#define HEADRACE_LIB_TARGET_CPU_SOFTMAXSUMEMITTER_H

#include "StageEmitter.h"

#include "mlir/Dialect/Math/IR/Math.h"

namespace headrace {

class SoftmaxSumEmitter {
public:
  SoftmaxSumEmitter(StageEmitter &e, const plan::Nest &nest,
                    const plan::NestPlan &nestPlan);
  mlir::LogicalResult emit();

private:
  /// A scratch tensor over some loops, and j if `block` is not 0.
  struct State {
    mlir::Value memref;
    llvm::SmallVector<unsigned> loops;
    llvm::SmallVector<int64_t> strides;
    int64_t streamStride = 0;
  };
  /// In groups, `group` consecutive j lie side by side, as elements of the
  /// value's type.
  State allocate(llvm::ArrayRef<unsigned> over, int64_t block,
                 int64_t group = 1);
  LaneIndex address(const State &state);
  mlir::Value load(const State &state, Place &place) {
    return e.loadAt(state.memref, address(state), stateType, place);
  }
  void store(const State &state, mlir::Value value, Place &place) {
    e.storeAt(state.memref, address(state), value, place);
  }
  mlir::Value splat(double value) { return e.scalarConstant(stateType, value); }
  mlir::Value toState(mlir::Value value, int64_t width);
  /// Loops over `over`, lanes along the vector loop where it is among them.
  void fill(llvm::ArrayRef<unsigned> over,
            llvm::function_ref<void(Place &)> body);
  mlir::Value exp(mlir::Value value) {
    return mlir::math::ExpOp::create(b, loc, value);
  }
  /// The larger of two, the second where one is NaN: a logit that is NaN makes
  /// its weight NaN, so the maximum need not be.
  mlir::Value larger(mlir::Value a, mlir::Value b);
  /// new = max(m, top), where a row that saw only -inf so far subtracts 0:
  /// exp(-inf - 0) is the 0 that is meant, exp(-inf - -inf) is not.
  mlir::Value shiftOf(mlir::Value top, int64_t width);
  /// Stores a block's weights, given by j. Returns their sum per lane.
  mlir::Value
  storeWeights(const TileRange &range, Place &place,
               llvm::function_ref<mlir::Value(mlir::Value)> weightAt);
  void updateRows();

  // --- the second product
  mlir::Value multiplyAdd(mlir::Value lhs, mlir::Value rhs, mlir::Value acc);
  /// A register tile of sums: vectors along the loop of the lanes, consecutive
  /// columns.
  struct SumTile {
    /// Lanes of a vector.
    int64_t width;
    /// The index of the lanes' loop per vector, and the mask.
    llvm::ArrayRef<LaneIndex> laneOf;
    llvm::ArrayRef<mlir::Value> masks;
    /// Null where lanes are along the columns or there are no columns; then
    /// `columns` is 1.
    mlir::Value firstColumn;
    int64_t columns;

    int64_t vectors() const { return laneOf.size(); }
    Place placeOf(int64_t v) const;
  };
  /// Sets the indices of the lanes' loop and of the columns to those of vector
  /// `v` and column `c` of a tile.
  void moveTo(const SumTile &tile, int64_t c, int64_t v);
  /// `sums` [column][vector] with the products at `j` added.
  llvm::SmallVector<mlir::Value>
  addProducts(const SumTile &tile, mlir::Value j, mlir::ValueRange sums);
  /// The sums of a tile, with those of this block's products.
  void updateTile(const SumTile &tile);
  /// The tiles of some vectors of rows: all columns, `rows` at once.
  void updateColumns(llvm::ArrayRef<LaneIndex> laneOf,
                     llvm::ArrayRef<mlir::Value> masks);
  /// The tiles at the place of the outer loops, with lanes along rows.
  void updateRowVectors();
  /// As `updateRowVectors`, with lanes along columns or none.
  void updateColumnVectors();
  /// sum = sum * scale + p * value, in register tiles: lanes are rows (or
  /// columns), `rows` consecutive columns at once.
  void updateSums();

  // --- results
  /// value / total, or 0 where nothing was added up: no j at all or, if the op
  /// asks for it, a row that is masked whole.
  mlir::Value quotient(mlir::Value value, mlir::Value total);
  void storeResult(mlir::Value result, Place &place);
  /// The results at the current indices.
  void finishPoint(Place &place);
  /// One row's results, lanes along the columns.
  void finishRow(mlir::Value row, const TileRange &columns);
  /// Sums lie with rows on lanes, results want columns: squares of both are
  /// transposed in registers.
  void finishSquare(mlir::Value firstRow, mlir::Value firstColumn);
  /// Squares of rows and columns, and row by row what is left of both.
  void finishSquares(const TileRange &rows, const TileRange &columns);
  /// The length of a range without what does not fill a vector.
  mlir::Value wholeVectors(const TileRange &range);
  void finish();

  // --- operands of atoms (SoftmaxSumAtoms.cpp)
  /// Room for the block's values: [j / group][column][group] for vectors,
  /// [column][j] for fragments.
  void allocatePacked(int64_t block);
  /// As `storeWeights`, in groups and rounded to the value's type. Added up are
  /// the rounded weights, so that they still sum up to 1, by the same atom;
  /// with as few bits as they have, a block's sum needs no compensation.
  mlir::Value
  storeGroups(const TileRange &range, Place &place,
              llvm::function_ref<mlir::Value(mlir::Value)> weightAt);
  /// The end of a block if its length is rounded up to a multiple.
  mlir::Value roundUp(const TileRange &range, int64_t multiple);
  /// The elements of each group added up, per lane.
  mlir::Value addGroup(mlir::Value weights, mlir::Value sum);
  /// `fill(j, count, value)` for each group of a block, of which all but the
  /// last are whole; the value is handed on.
  void forGroups(
      const TileRange &range, mlir::Value &value,
      llvm::function_ref<mlir::Value(mlir::Value, int64_t, mlir::Value)> fill);
  /// Copies the block's values, at the place of the outer loops, to `packed`.
  void packValues();
  /// Squares of `lanes` j and columns, transposed in registers; zeros behind
  /// the last j.
  void packTransposed(const TileRange &range, const TileRange &columns);
  /// Where the values that begin at `j` are in `packed`.
  mlir::Value packedAddress(mlir::Value j, mlir::Value column);
  /// A group of one column's values on all lanes.
  mlir::Value loadPacked(mlir::Value j, mlir::Value column);
  /// `sums` [column][vector] with the products of the group at `j` added.
  llvm::SmallVector<mlir::Value>
  addGroups(mlir::Value j, mlir::ValueRange sums, int64_t vectors,
            int64_t columns, mlir::Value firstColumn,
            llvm::function_ref<void(int64_t, int64_t)> set);
  /// [column][vector] of a block's products, for `columns` columns.
  llvm::SmallVector<mlir::Value>
  multiplyFragments(const TileRange &range, int64_t vectors, int64_t columns,
                    mlir::Value firstColumn,
                    llvm::function_ref<void(int64_t, int64_t)> set);

  StageEmitter &e;
  mlir::OpBuilder &b;
  mlir::Location loc;
  const plan::Nest &nest;
  const plan::NestPlan &nestPlan;
  const plan::Node *anchor;
  llvm::SmallVector<LaneIndex> loops;
  llvm::SmallVector<unsigned> rowLoops, columnLoops;
  /// The last of `columnLoops`, along which results are contiguous; -1: none.
  int64_t columnLoop = -1;
  unsigned streamed = 0;
  bool zeroMasked = false, rowLanes = false;
  /// The value differs between the vectors of a register tile.
  bool valueOnLanes = false;
  int64_t lanes = 1;
  /// How many j an atom takes at once, and how many of them lie side by side;
  /// 1 without one.
  int64_t step = 1, group = 1;
  /// The atom's operands are fragments.
  bool fragments = false;
  /// The block's values as the atom takes them, and what their addresses change
  /// by per j (per column for fragments); a register tile of fragments.
  mlir::Value packed, product;
  int64_t packedStride = 0;
  mlir::Type logitsType, valueType, resultType, stateType;
  State m, l, scale, p, sum;
  /// Where the block of j ends whose products `updateSums` adds.
  mlir::Value blockEnd;
};

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_CPU_SOFTMAXSUMEMITTER_H
