//===- StageAnalysis.h - What a stage computes, in terms of loops ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The tile graph of one stage. Terms:
//
//   node     an operation of the stage that computes elements: it has loops,
//            operands that it reads at a linear function of the loops, and a
//            result that it writes at one.
//   access   where a node finds an operand: the stage's input or the node that
//            computes it, seen through all views between, so that views cost
//            nothing.
//   class    a set of loops of different nodes that run over the same index,
//            because one node's result is another's operand there. Tiling a
//            class tiles all its loops together. A node has at most one loop
//            of a class.
//   nest     a group of nodes that become one loop nest: an *anchor*
//            (contraction, reduction, streamed reduction, scan, sort, update,
//            or just a map), the maps inlined into its operands, and the maps that
//            consume its result element by element (its epilogue). A map that
//            a reduction reads point by point, and others read later, is stored
//            while the reduction runs (its prologue).
//   sink     a value that a nest stores: to a buffer of the stage's results or
//            to scratch.
//
// Everything here is derived from the IR; nothing is stored in it.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_PLAN_STAGEANALYSIS_H
#define HEADRACE_PLAN_STAGEANALYSIS_H

#include "headrace/Dialect/HR/HR.h"
#include "headrace/Plan/Access.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace headrace::plan {

/// Whether the op computes elements (becomes a node of a stage).
bool isComputeOp(mlir::Operation *op);
/// The region of an op that has one (hr::TileableOp).
std::optional<hr::TileRegion> getRegion(mlir::Operation *op);

using NodeKind = hr::NestKind;

struct Loop {
  bool parallel = true;
  SizeExpr extent;
  unsigned cls = 0;
};

struct Node {
  mlir::Operation *op = nullptr;
  NodeKind kind = NodeKind::Map;
  llvm::SmallVector<Loop> loops;
  /// As hr::TileableOp::getTileReads says; empty where nothing is read.
  std::vector<Access> operands;
  /// The tensor that is read at positions which are data, or overwritten, and
  /// what the operation says of it.
  std::optional<Access> source;
  std::optional<hr::TileRegion> region;
  /// One per result: the loop of each dimension.
  llvm::SmallVector<llvm::SmallVector<unsigned>> resultLoops;

  /// Rough cost of one evaluation of the body.
  double flopsPerPoint = 1;
  bool hasMath = false;
  /// Position in the stage.
  unsigned index = 0;
};

struct ClassInfo {
  SizeExpr extent;
  /// All its loops are parallel, and all internal accesses are plain.
  bool tileable = true;
  /// Nodes with a loop of this class.
  llvm::SmallVector<Node *> members;
  /// Streamed by a softmax_sum.
  bool streamed = false;
};

/// A map that is stored inside the loops of the reduction that reads it.
struct Prologue {
  Node *map = nullptr;
  /// The anchor's loop for each loop of the map.
  llvm::SmallVector<unsigned> anchorLoops;
};

/// A loop nest of the stage.
struct Nest {
  Node *anchor = nullptr;
  /// Values to be stored, with the node that computes each. For an anchor
  /// whose result is stored as it is, the anchor itself.
  llvm::SmallVector<Node *> sinks;
  /// Stored at each point of the anchor's loops, in this order.
  llvm::SmallVector<Prologue> prologues;
  /// Emitted inside the streaming loop of this softmax_sum nest.
  Node *streamedBy = nullptr;

  /// What is computed for itself: the anchor, what is stored; the rest is
  /// inlined into these.
  llvm::SmallVector<const Node *> getRoots() const;
  /// What is stored: prologues, then sinks.
  llvm::SmallVector<const Node *> getStored() const;
};

/// A value that a nest stores for other nests of its tile.
struct ScratchValue {
  /// The nest that stores it, and which of what that stores for others it is.
  int64_t nest = 0, number = 0;
  const Node *node = nullptr;
  mlir::Value value;
};

class StageAnalysis {
public:
  /// Analyses the body of `stage`. On failure, `why` says what cannot be
  /// expressed, at which op.
  static mlir::FailureOr<std::unique_ptr<StageAnalysis>>
  create(hr::StageOp stage, std::string *why = nullptr);
  /// The same for a group of ops that is not yet a stage; values defined
  /// outside the group are inputs.
  static mlir::FailureOr<std::unique_ptr<StageAnalysis>>
  create(llvm::ArrayRef<mlir::Operation *> ops,
         llvm::ArrayRef<mlir::Value> outputs, std::string *why = nullptr);

  llvm::ArrayRef<std::unique_ptr<Node>> getNodes() const { return nodes; }
  llvm::ArrayRef<ClassInfo> getClasses() const { return classes; }
  llvm::ArrayRef<Nest> getNests() const { return nests; }
  Node *getNode(mlir::Value value) const;
  /// Whether what a tile holds at once of a value over these loops of `node` has
  /// a useful bound: all but tiles of `tileable` classes, and blocks of the
  /// stream if it `isStreamed`.
  bool isBounded(const Node *node, llvm::ArrayRef<unsigned> over,
                 llvm::ArrayRef<unsigned> tileable, bool isStreamed,
                 const SymbolRanges &ranges) const;
  bool isOutput(mlir::Value value) const { return outputs.contains(value); }
  /// The node's result is stored by some nest.
  bool isMaterialized(const Node *node) const {
    return materialized.contains(node);
  }
  /// In the order of the nests.
  llvm::SmallVector<ScratchValue> getScratchValues() const;
  /// The last nest that reads it.
  int64_t getLastReader(const ScratchValue &value) const;
  /// Whether a nest reads what `stored` is, through what is inlined too.
  bool readsStored(const Nest &nest, const Node *stored) const;
  /// The node's result is stored by the nest of a contraction that is part of no
  /// stream.
  bool isProduct(const Node *node) const;
  /// The node is a gather that contractions alone read, in place: nobody
  /// computes it.
  bool isLookedThrough(const Node *node) const;
  /// Classes that are tileable and in every nest's anchor: tiling them
  /// computes nothing twice.
  llvm::SmallVector<unsigned> getTileClasses() const;
  double getFlops(const Node *node, const SymbolBindings &bindings) const;

  /// Whether `reader` finds the operand, which another node computes, at the
  /// very point where it is itself: along all dimensions, or those of `cls`.
  static bool isAligned(const Node *reader, const Access &access,
                        std::optional<unsigned> cls = std::nullopt);

private:
  mlir::LogicalResult build(llvm::ArrayRef<mlir::Operation *> ops,
                            std::string *why);
  mlir::FailureOr<Access> resolve(mlir::Value value,
                                  llvm::ArrayRef<Linear> index,
                                  unsigned numLoops, std::string *why);
  /// The access of a contraction to what a gather reads, without the gather: the
  /// contraction reads the gather's source in place. Nothing if the positions
  /// are not there when the stage begins, or if what lies at one of them is too
  /// little for a register tile, in which they are all the same. `own` are the
  /// parallel loops of the operand, `batch` those that the other one has too.
  std::optional<Access> lookThrough(mlir::Value value,
                                    llvm::ArrayRef<Linear> index,
                                    const llvm::SmallBitVector &own,
                                    const llvm::SmallBitVector &batch);
  mlir::FailureOr<Access> resolveRegion(const Node &node, std::string *why);
  mlir::LogicalResult addNode(mlir::Operation *op, std::string *why);
  void formClasses();
  mlir::LogicalResult checkOverwritten(std::string *why);

  std::vector<std::unique_ptr<Node>> nodes;
  llvm::DenseMap<mlir::Operation *, Node *> nodeOf;
  llvm::SetVector<mlir::Value> outputs;
  llvm::SmallVector<ClassInfo> classes;
  llvm::SmallVector<Nest> nests;
  llvm::DenseSet<const Node *> materialized;
};

} // namespace headrace::plan
#endif // HEADRACE_PLAN_STAGEANALYSIS_H
