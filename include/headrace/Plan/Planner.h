//===- Planner.h - Tile sizes and register tiles of a stage ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Given a stage and a machine, the fastest plan by prediction. The predicted
// time of a plan is the worst of
//
//   compute  what the busiest worker computes, at the atom's rate, padding of
//            vectors and register tiles included;
//   memory   the bytes all tiles bring in from beyond the private memories, at
//            the shared memory's bandwidth, and the stage's own data once, at
//            main memory's;
//
// plus one synchronization and a cost per tile. Inside a tile, the nests hand
// their values on in the innermost memory that holds all of the tile; each nest
// takes at least what its bytes take at that memory's bandwidth. The planner
// counts, the cost library (headrace/Cost) says what that takes. (Zhu et al.,
// "Roller", OSDI'22; Shi et al., "Welder", OSDI'23.)
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_PLAN_PLANNER_H
#define HEADRACE_PLAN_PLANNER_H

#include "headrace/Cost/Contraction.h"
#include "headrace/Plan/StageAnalysis.h"
#include "headrace/Plan/StagePlan.h"
#include "llvm/ADT/SmallBitVector.h"

#include <functional>

namespace headrace::plan {

/// Sizes of a typical call, at which plans for dynamic sizes are compared: 128
/// where the range is wide (lengths), else the middle of the range in orders of
/// magnitude; or the nearest sizes found that the entry's requirements allow.
SymbolBindings getTypicalSizes(mlir::func::FuncOp entry);

/// Sizes of small calls: the least ones (but 1 for a size that may be 0), and
/// those between them and the typical ones in orders of magnitude; or the
/// nearest that the entry's requirements allow.
llvm::SmallVector<SymbolBindings> getSmallSizes(mlir::func::FuncOp entry);

class Planner {
public:
  struct Options {
    /// One tile, no vectors: the oracle.
    bool scalar = false;
    /// Consider fewer candidates.
    bool quick = false;
    /// For checking predictions: instead of the best plan of a stage, the slowest
    /// one that is predicted to take at most so many times as long.
    double within = 1;
    /// Whether the target can emit an atom; null: vector multiply-adds only.
    std::function<bool(const hw::Atom &)> emits;
  };
  Planner(const hw::Device &device, mlir::func::FuncOp entry,
          Options options);

  /// A constant that may be repacked for the contraction that reads it; null:
  /// none may.
  std::function<bool(mlir::Value)> isPackable;

  /// `isFinal`: code is made of the plan.
  StagePlan plan(const StageAnalysis &analysis, bool isFinal = false) const;

  /// Operands of contractions that the plan wants contiguous along the vector
  /// loop but are not: (nest, operand).
  struct Repack {
    unsigned nest;
    unsigned operand;
  };
  llvm::SmallVector<Repack> getRepacks(const StageAnalysis &analysis,
                                       const StagePlan &plan) const;
  /// How many elements of the vector loop a panel of the nest's weight holds:
  /// depends on the loop's extent and on types alone, so that all entries agree.
  int64_t getWeightPanel(const StageAnalysis &analysis, const Nest &nest,
                         const NestPlan &nestPlan) const;
  int64_t getLanes() const { return lanes; }
  const cost::Machine &getMachine() const { return machine; }
  /// Values given to symbols when times are predicted.
  const SymbolBindings &getBindings() const { return bindings; }
  int64_t getWorkers() const { return workers; }

private:
  /// The class that is innermost in the scratch of each stored node, as far as
  /// it is decided; -1: the last dimension.
  using Layouts = llvm::DenseMap<const Node *, int64_t>;
  NestPlan planNest(const StageAnalysis &analysis, const Nest &nest,
                    int64_t forcedClass) const;
  /// Chooses the vector loops of the nests that are free to choose, so that
  /// what one stores contiguously the others read contiguously.
  void planVectors(const StageAnalysis &analysis,
                   const llvm::SmallBitVector &isFree,
                   llvm::MutableArrayRef<NestPlan> plans) const;
  /// The loop of a map that, together with vector loop `l`, spans square blocks
  /// in which most of what lies at a stride along `l` is contiguous; -1 if
  /// none does.
  int64_t getRowLoop(const StageAnalysis &analysis, const Nest &nest,
                     unsigned l, const Layouts &layouts) const;
  /// Cycles, up to a factor, that a nest without register tiles takes for the
  /// whole stage with lanes along loop `l` (-1: none); std::nullopt where it
  /// cannot have them.
  std::optional<double> getVectorCost(const StageAnalysis &analysis,
                                      const Nest &nest, int64_t l,
                                      const Layouts &layouts) const;
  void planContraction(const StageAnalysis &analysis, const Nest &nest,
                       int64_t forcedClass, NestPlan &result) const;
  /// What the planner asks of a contraction over and over.
  struct Contraction : cost::Contraction {
    const Node *node = nullptr;

    unsigned getLaneOperand(const NestPlan &plan) const {
      return cost::Contraction::getLaneOperand(plan.vector);
    }
  };
  int64_t getPanel(int64_t extent, int64_t lanes, const hw::Atom *atom) const;
  Contraction inspect(const StageAnalysis &analysis, const Nest &nest) const;
  /// Rows that `vectors` sums each leave registers for.
  int64_t getMostRows(int64_t vectors, int64_t perSum) const;
  /// Numbers of rows of a register tile that are worth a prediction, given its
  /// vectors; the last one is the largest.
  llvm::SmallVector<int64_t> getRows(const Contraction &info,
                                     const NestPlan &nestPlan) const;
  int64_t getDotLoop(const Contraction &info) const;
  /// Elements from one iteration of a loop to the next, at typical sizes; 0 of
  /// what is stored in panels.
  int64_t getStep(const Access &access, unsigned loop) const;
  /// How many products of a nest with vectors are summed before they join the
  /// rest, and where that is.
  void planBlock(const Contraction &info, NestPlan &nestPlan) const;
  /// `plan` with every instruction it can be made of, and with what has to be
  /// copied for each.
  void addVariants(const Contraction &info, const NestPlan &plan,
                   llvm::function_ref<void(const NestPlan &)> consider) const;
  struct TileOperands;
  /// `plan` with multiply-adds of what is copied to panels, and with an atom.
  void addCopies(const TileOperands &operands, const NestPlan &plan,
                 llvm::function_ref<void(const NestPlan &)> consider) const;
  void addAtom(const TileOperands &operands, const NestPlan &plan,
               const hw::Atom &atom,
               llvm::function_ref<void(const NestPlan &)> consider) const;
  /// Seconds of a contraction whose classes have these lengths.
  double predictContraction(const Contraction &info, const NestPlan &nestPlan,
                            llvm::ArrayRef<double> length) const;
  /// The rows that are lanes, and what multiplies weights and values.
  void planSoftmaxSum(const Nest &nest, NestPlan &result) const;
  /// Null: vector multiply-adds.
  const hw::Atom *getSoftmaxSumAtom(const Node *node) const;
  /// Seconds of a streamed softmax sum whose classes have these lengths.
  double predictSoftmaxSum(const StageAnalysis &analysis, const Nest &nest,
                           const NestPlan &nestPlan, int64_t stream,
                           llvm::ArrayRef<double> length) const;
  /// Loops, register tiles and instructions of every nest, before tile sizes.
  llvm::SmallVector<NestPlan> planNests(const StageAnalysis &analysis) const;
  /// Per class, what its tiles are multiples of.
  llvm::SmallVector<int64_t>
  getTileUnits(const StageAnalysis &analysis,
               llvm::ArrayRef<NestPlan> nestPlans) const;
  /// Per tileable class, the sizes that are worth a prediction.
  llvm::SmallVector<llvm::SmallVector<int64_t>>
  getTileSizes(const StageAnalysis &analysis,
               llvm::ArrayRef<NestPlan> nestPlans) const;
  /// What `predict` has to know of each nest; null where it is no contraction.
  std::vector<std::unique_ptr<Contraction>>
  inspectAll(const StageAnalysis &analysis) const;
  /// Of plans that take about as long as the best, the one that is fastest for
  /// small calls.
  void preferSmallCalls(const StageAnalysis &analysis,
                        llvm::ArrayRef<StagePlan> plans, StagePlan &best) const;
  class Prediction;
  /// `contractions` has an entry per nest, null where it is none.
  double predict(const StageAnalysis &analysis,
                 llvm::ArrayRef<std::unique_ptr<Contraction>> contractions,
                 const StagePlan &plan) const;
  /// Sets what each nest of a plan costs per point, and its edges.
  void setCosts(const StageAnalysis &analysis,
                llvm::ArrayRef<std::unique_ptr<Contraction>> contractions,
                StagePlan &plan) const;
  int64_t extentOf(const SizeExpr &size) const;
  /// The stride of the loads of an operand along a loop: 0 uniform, 1
  /// contiguous, otherwise strided; through inlined maps, the worst.
  int64_t strideAlong(const StageAnalysis &analysis, const Node *node,
                      unsigned operand, llvm::ArrayRef<SizeExpr> steps,
                      const Layouts *layouts = nullptr) const;
  bool readsPackable(const Access &access, unsigned loop) const;

  cost::Machine machine;
  const hw::Worker &worker;
  SymbolRanges ranges;
  SymbolBindings bindings;
  /// Sizes at which plans that are about as fast at `bindings` are compared.
  llvm::SmallVector<SymbolBindings> smallBindings;
  Options options;
  int64_t lanes = 1, registers = 16, workers = 1;
};

/// Whether what the nest stores is contiguous along its rows but not along its
/// lanes: then the sums are stored as vectors of rows.
bool storesAlongRows(const StageAnalysis &analysis, const Nest &nest,
                     const NestPlan &nestPlan);

} // namespace headrace::plan
#endif // HEADRACE_PLAN_PLANNER_H
