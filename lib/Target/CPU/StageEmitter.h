//===- StageEmitter.h - From a planned stage to loops and vectors ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Emits the body of a stage function: for each tile, the nests of the stage in
// order, each as scf loops around vector operations. Terms:
//
//   lane index   an index of which consecutive lanes of a vector take values
//                `base + lane * step`; step 0 is a uniform index.
//   point        the lane indices of a node's loops at one place of the
//                emission, with the mask of the lanes that exist.
//   slot         where a stored value lives: a flat memref, an offset and
//                strides. Indices are always global, whatever the tile; for
//                scratch the offset makes up for the tile's origin.
//
// A value of the stage that no nest stores is evaluated where it is read, by
// recursion over the inlined maps.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_CPU_STAGEEMITTER_H
#define HEADRACE_LIB_TARGET_CPU_STAGEEMITTER_H

#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Target/StageFunction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace headrace {

/// An index on lanes: `base + lane * step`. In a block of rows (see
/// `TransposedLoads`) `base` is that of the first row and `rowStep` what each
/// further row adds.
struct LaneIndex {
  mlir::Value base;
  SizeExpr step;
  SizeExpr rowStep = SizeExpr(0);
};

/// The lane index of every loop of a node, and what goes with the place.
struct Point {
  llvm::SmallVector<LaneIndex> loops;
};

/// Operands that lie contiguously along the rows of a square block and at a
/// stride along its lanes: loaded along the rows and transposed in registers,
/// one vector along the lanes per row.
using TransposedLoads =
    llvm::DenseMap<std::pair<const plan::Node *, unsigned>,
                   llvm::SmallVector<mlir::Value>>;

/// What is shared by all evaluations at one place.
struct Place {
  /// Lanes of a vector here; 1 where everything is scalar.
  int64_t lanes = 1;
  /// i1 vector of the lanes that exist; null if all do.
  mlir::Value mask;
  /// Values of anchors at this point (in the epilogue of a nest).
  llvm::DenseMap<mlir::Value, mlir::Value> bound;
  /// The block that this place is row `row` of, or null.
  const TransposedLoads *block = nullptr;
  unsigned row = 0;
};

/// The range of a class in the current tile: [lo, lo + len).
struct TileRange {
  mlir::Value lo, len;
  /// `len` where it is known.
  std::optional<int64_t> staticLen;
  /// The largest `len`; sizes scratch.
  int64_t maxLen = 0;
};

/// One index of a gather or scatter at a place.
struct IndexCheck {
  /// Of the program, before negative ones are counted from the end.
  mlir::Value index;
  /// The extent that it is an index of.
  mlir::Value bound;
  /// Whether it is outside: i1, or one per lane, false where a lane is masked.
  mlir::Value isBad;
};

/// Where a gather reads or a scatter writes, provided that no index is bad.
struct DataAddress {
  LaneIndex at;
  llvm::SmallVector<IndexCheck, 2> checks;
};

struct Slot {
  mlir::Value memref;
  mlir::Value offset; // null: 0
  llvm::SmallVector<SizeExpr> strides;
};

class StageEmitter {
public:
  /// `function` has to outlive the emitter.
  explicit StageEmitter(const StageFunction &function);

  /// Emits the tile loop and the nests. Returns the bytes of scratch needed.
  mlir::FailureOr<int64_t> emit();

  /// Puts a check before every load and store of what `emit` made
  /// (AccessChecks.cpp).
  void checkAccesses(llvm::ArrayRef<StageFunction::OperandPart> parts);

private:
  friend class AccessChecker;
  friend class ContractionEmitter;
  friend class ReductionEmitter;
  friend class SoftmaxSumEmitter;
  friend class SortEmitter;

  // --- sizes and constants (hoisted to the function's entry)
  mlir::Value constant(int64_t value);
  mlir::Value size(const SizeExpr &expr);
  mlir::Value add(mlir::Value lhs, mlir::Value rhs);
  mlir::Value addConstant(mlir::Value lhs, int64_t rhs);
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs);
  std::optional<int64_t> asConstant(mlir::Value value);
  mlir::Value scalarConstant(mlir::Type type, double value);

  // --- loops
  using Body = llvm::function_ref<void(mlir::Value)>;
  void forLoop(mlir::Value lo, mlir::Value hi, int64_t step, Body body);
  /// The loop may carry values: `body` gets and returns them.
  llvm::SmallVector<mlir::Value> forCarry(
      mlir::Value lo, mlir::Value hi, int64_t step, mlir::ValueRange init,
      llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value,
                                                        mlir::ValueRange)>
          body);
  /// Loops over the tile's part of the node's loops `over`, the first outermost;
  /// sets their indices in `points`.
  void forLoops(const plan::Node *node, llvm::ArrayRef<unsigned> over,
                llvm::MutableArrayRef<LaneIndex> points,
                llvm::function_ref<void()> body);
  /// The lanes of a vector combined to one, as a tree.
  mlir::Value reduceLanes(
      mlir::Value vector,
      llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine);
  /// Whole vectors, then one masked. `body` gets the first index and the mask
  /// (null for whole vectors).
  void vectorLoop(const TileRange &range, int64_t lanes,
                  llvm::function_ref<void(mlir::Value, mlir::Value)> body);
  mlir::Value maskUpTo(mlir::Value count, int64_t lanes);

  // --- evaluation
  TileRange rangeOf(const plan::Loop &loop);
  LaneIndex evalLinear(const plan::Linear &linear,
                       llvm::ArrayRef<LaneIndex> loops);
  /// The element of a packed operand. `wholeGroups`: the place is at a multiple
  /// of the group.
  LaneIndex panelAddress(const plan::Access &access,
                         llvm::ArrayRef<LaneIndex> loops,
                         bool wholeGroups = false);
  /// The value of an operand of `node` at a point of `node`'s loops.
  mlir::Value evalOperand(const plan::Node *node, unsigned operand,
                          llvm::ArrayRef<LaneIndex> loops, Place &place);
  /// The place of an input at a point, what data adds to it included.
  LaneIndex inputAddress(const plan::Access &access,
                         llvm::ArrayRef<LaneIndex> loops);
  /// What the index operands of an access add to its address (DataChecks.cpp);
  /// in `dataOffsets` while the loops that they depend on do not change.
  mlir::Value getDataOffset(const plan::Access &access,
                            llvm::ArrayRef<LaneIndex> loops);
  /// Where an operand is loaded from at a point; std::nullopt if it is computed
  /// there or read from packed panels.
  std::optional<std::pair<mlir::Value, LaneIndex>>
  getLoad(const plan::Node *node, unsigned operand,
          llvm::ArrayRef<LaneIndex> loops);
  /// The point of the producer's loops at which an operand is made.
  llvm::SmallVector<LaneIndex> getProducerPoint(const plan::Access &access,
                                                llvm::ArrayRef<LaneIndex> loops);
  /// Loads what `node` and the maps inlined into it read across the block of
  /// rows at `loops`.
  void loadTransposed(const plan::Node *node, llvm::ArrayRef<LaneIndex> loops,
                      TransposedLoads &loads,
                      llvm::DenseSet<std::pair<const plan::Node *, unsigned>>
                          &seen);
  /// The transpose of a square of as many vectors as each has lanes.
  llvm::SmallVector<mlir::Value>
  transpose(llvm::ArrayRef<mlir::Value> rows);
  mlir::Value evalNode(const plan::Node *node, unsigned result,
                       llvm::ArrayRef<LaneIndex> loops, Place &place);
  mlir::Value evalGather(const plan::Node *node,
                         llvm::ArrayRef<LaneIndex> loops, Place &place);
  /// The body of a linalg op on given block arguments.
  llvm::SmallVector<mlir::Value> evalBody(const plan::Node *node,
                                          llvm::ArrayRef<mlir::Value> args,
                                          llvm::ArrayRef<LaneIndex> loops,
                                          Place &place);
  mlir::Value cloneOnLanes(mlir::Operation *op,
                           llvm::ArrayRef<mlir::Value> operands, Place &place);
  mlir::Value toVector(mlir::Value value, int64_t lanes);
  /// Elements of `values` in turns: the first of each, the second of each, ...
  mlir::Value interleave(llvm::ArrayRef<mlir::Value> values);
  /// A vector of a few elements, `lanes` times.
  mlir::Value broadcastGroup(mlir::Value group, int64_t lanes);
  mlir::Value lanePositions(const SizeExpr &step, int64_t lanes);
  mlir::Value laneNumbers(int64_t lanes, mlir::Type elementType);

  // --- memory
  const Slot &slotOf(mlir::Value value);
  LaneIndex slotIndex(const Slot &slot, llvm::ArrayRef<LaneIndex> index);
  mlir::Value loadAt(mlir::Value memref, LaneIndex at, mlir::Type elementType,
                     Place &place);
  mlir::Value loadStrided(mlir::Value memref, mlir::Value base, int64_t step,
                          Place &place);
  /// Elements as they are in memory, in the type that they are computed in.
  mlir::Value fromMemory(mlir::Value stored, mlir::Type elementType,
                         Place &place);
  /// A value of any type in the type that its elements have in memory.
  mlir::Value toMemory(mlir::Value value, mlir::Type stored);
  void storeAt(mlir::Value memref, LaneIndex at, mlir::Value value,
               Place &place);
  /// The same past the caches where the address is that of a whole vector.
  void storePast(mlir::Value memref, LaneIndex at, mlir::Value value,
                 Place &place);

  // --- conditions on data (DataChecks.cpp)
  /// The flat address that a gather or scatter has at a point, and what has to
  /// be checked before it is used.
  DataAddress dataAddress(const plan::Node *node,
                          llvm::ArrayRef<mlir::Value> indices,
                          llvm::ArrayRef<LaneIndex> loops, Place &place);
  /// Whether any of the checks fails on any lane, as i1.
  mlir::Value anyBad(llvm::ArrayRef<IndexCheck> checks);
  /// Reports the failing checks of `node`.
  void reportBad(const plan::Node *node, llvm::ArrayRef<IndexCheck> checks);
  /// Reports `value` and `bound` at a site where `isBad` (per lane).
  void reportWhere(int64_t site, mlir::Value isBad, mlir::Value value,
                   mlir::Value bound);
  /// The number of a site in the module's list.
  int64_t siteOf(mlir::Operation *op, llvm::StringRef what,
                 llvm::StringRef message, bool ranged);
  /// The value of `good`, which may count on what `isBad` denies, else of `bad`.
  mlir::Value ifGood(mlir::Value isBad, mlir::Type type,
                     llvm::function_ref<mlir::Value()> bad,
                     llvm::function_ref<mlir::Value()> good);
  mlir::Value evalCheck(hr::CheckOp check,
                        llvm::ArrayRef<mlir::Value> operands, Place &place);
  mlir::Value allocScratch(mlir::Type elementType, int64_t count);
  void allocSlots(const plan::Nest &nest, const plan::NestPlan &nestPlan);
  /// Stores the sinks of a nest at a point given per class.
  void emitSinks(const plan::Nest &nest,
                 llvm::function_ref<LaneIndex(unsigned cls)> at, Place &place,
                 llvm::ArrayRef<mlir::Value> anchorResults);
  /// Evaluates and stores the prologues of a nest at a point of its anchor's
  /// loops, and binds their values there.
  void storePrologues(const plan::Nest &nest, llvm::ArrayRef<LaneIndex> loops,
                      Place &place);
  LaneIndex uniform(mlir::Value base) { return {base, SizeExpr(0)}; }

  // --- nests
  mlir::LogicalResult emitNest(unsigned number);
  void emitMap(const plan::Nest &nest, const plan::NestPlan &nestPlan);
  /// A map in square blocks of the vector loop and the row loop.
  void emitMapBlocks(const plan::Nest &nest, const plan::NestPlan &nestPlan);
  void emitReduction(const plan::Nest &nest, const plan::NestPlan &nestPlan);
  void emitScan(const plan::Nest &nest, const plan::NestPlan &nestPlan);
  void emitSort(const plan::Nest &nest);
  void emitScatter(const plan::Nest &nest, const plan::NestPlan &nestPlan);
  void emitContraction(const plan::Nest &nest, const plan::NestPlan &nestPlan);
  mlir::LogicalResult emitSoftmaxSum(const plan::Nest &nest,
                                     const plan::NestPlan &nestPlan);

  mlir::func::FuncOp func;
  hr::StageOp stage;
  const plan::StageAnalysis &analysis;
  const plan::StagePlan &plan;
  const SymbolRanges &symbolRanges;
  const llvm::DenseMap<mlir::Value, mlir::Value> &inputs, &results;
  const llvm::StringMap<mlir::Value> &symbols;

  mlir::OpBuilder b;
  mlir::Location loc;
  mlir::OpBuilder entry; // at the start of the function
  llvm::DenseMap<int64_t, mlir::Value> constants;
  llvm::StringMap<mlir::Value> sizes;
  llvm::DenseMap<unsigned, TileRange> ranges; // by class; absent: the whole
  llvm::DenseMap<mlir::Value, Slot> slots;
  /// Addresses of buffers, as far as somebody asked.
  llvm::DenseMap<mlir::Value, mlir::Value> pointers;
  /// Of loads that read more than they use: the lanes that count.
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<int64_t>> usedLanes;
  llvm::DenseMap<const plan::Access *, mlir::Value> dataOffsets;
  mlir::Value tileNumber;
  /// The tile's index in each tiled class.
  llvm::SmallVector<mlir::Value> coordinates;
  mlir::Value scratch;
  int64_t scratchBytes = 0;
  bool broken = false;
};

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_CPU_STAGEEMITTER_H
