//===- NestFormer.h - Which nodes of a stage become one loop nest ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The last step of a stage's analysis (see StageAnalysis.h): which values are
// stored, and which nests store them.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_PLAN_NESTFORMER_H
#define HEADRACE_LIB_PLAN_NESTFORMER_H

#include "headrace/Plan/StageAnalysis.h"

namespace headrace::plan {

class NestFormer {
public:
  NestFormer(llvm::ArrayRef<std::unique_ptr<Node>> nodes,
             const llvm::SetVector<mlir::Value> &outputs);
  void run();

  llvm::SmallVector<Nest> nests;
  /// Nodes whose results some nest stores.
  llvm::DenseSet<const Node *> materialized;

private:
  struct Use {
    Node *consumer;
    unsigned operand;
  };
  bool isOutputNode(const Node *node) const;
  /// Which maps are stored, and which nests read each value.
  void chooseStored();
  /// The maps inlined into a sink, and the stored values they start from.
  void collectInlined(Node *sink, llvm::SetVector<Node *> &inlined,
                      llvm::SetVector<Node *> &leaves) const;
  /// Stored maps that are computed where an anchor's results are.
  void formEpilogues();
  /// An anchor is stored itself only if somebody outside its epilogue reads it.
  void dropUnreadAnchors();
  void createNests();
  /// Nests over a streamed class whose results only the stream needs run inside
  /// its loop.
  void moveIntoStreams();
  void formPrologues();

  llvm::ArrayRef<std::unique_ptr<Node>> nodes;
  const llvm::SetVector<mlir::Value> &outputs;
  llvm::DenseMap<const Node *, llvm::SmallVector<Use>> uses;
  llvm::DenseMap<const Node *, llvm::SetVector<const Node *>> readers;
  /// Of a stored map: the anchor in whose epilogue it is, and what is inlined
  /// into it; of an anchor, its epilogue.
  llvm::DenseMap<const Node *, Node *> nestOf;
  llvm::DenseMap<const Node *, llvm::SetVector<Node *>> trees;
  llvm::DenseMap<const Node *, llvm::SmallVector<Node *>> epilogues;
};

/// Whether a nest reads what `stored` is, through what is inlined too: all nodes
/// but those that are `materialized`.
bool readsStored(const Nest &nest, const Node *stored,
                 const llvm::DenseSet<const Node *> &materialized);

} // namespace headrace::plan
#endif // HEADRACE_LIB_PLAN_NESTFORMER_H
