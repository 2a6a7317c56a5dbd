//===- StageOperands.h - What the tiles of a stage touch ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TILE_STAGEOPERANDS_H
#define HEADRACE_LIB_TILE_STAGEOPERANDS_H

#include "headrace/Dialect/HR/HR.h"
#include "headrace/Plan/StageAnalysis.h"
#include "headrace/Plan/StagePlan.h"
#include "llvm/ADT/MapVector.h"

namespace headrace {

/// A buffer and which of its slots, as a function of the loop's iteration.
struct BufferRef {
  mlir::Value buffer;
  mlir::AffineMap slot;
  bool operator==(const BufferRef &other) const = default;
};

/// One slot of a buffer, and what a tile does with it.
struct StageOperand {
  BufferRef ref;
  bool read = false, write = false;
  /// What is not written keeps its value: the footprint may be too large.
  bool keeps = false;
  hr::FootprintAttr print;
  llvm::SmallVector<SizeExpr> dims;
  mlir::Type elementType;
};

/// The buffers that a stage works on, each slot once, with the part of each
/// that a tile touches.
class StageOperands {
public:
  StageOperands(mlir::MLIRContext *context,
                const plan::StageAnalysis &analysis,
                const plan::StagePlan &plan);

  /// `value`, an argument of the stage or what it yields, lies in `ref`.
  void add(mlir::Value value, BufferRef ref);
  /// Once all are added.
  void findFootprints();

  llvm::ArrayRef<StageOperand> get() const { return operands; }
  /// The operand of each value.
  const llvm::MapVector<mlir::Value, unsigned> &getNumbers() const {
    return numbers;
  }
  /// The numbers of tiles along the dimensions that are tiled; 1 if none is.
  llvm::ArrayRef<SizeExpr> getGrid() const { return grid; }

private:
  using Node = plan::Node;
  using Linear = plan::Linear;

  void noteRead(const Node *node, const plan::Access &access, bool gathers);
  void noteUpdate(const Node *node);
  void noteResult(const Node *node, mlir::OpResult result);
  void note(StageOperand &operand, hr::FootprintAttr print);

  hr::FootprintAttr getWhole(hr::SizeAttr touched = {});
  hr::FootprintAttr getPart(const Node *node, llvm::ArrayRef<Linear> index,
                            llvm::ArrayRef<SizeExpr> dims);
  hr::SizeAttr countTouched(const Node *node, llvm::ArrayRef<Linear> index);
  hr::FootprintAttr join(hr::FootprintAttr a, hr::FootprintAttr b,
                         llvm::ArrayRef<SizeExpr> dims);

  mlir::MLIRContext *context;
  const plan::StageAnalysis &analysis;
  const plan::StagePlan &plan;
  llvm::SmallVector<unsigned> tiled; // classes, in the order of the grid
  llvm::SmallVector<SizeExpr> grid;
  llvm::SmallVector<StageOperand> operands;
  llvm::MapVector<mlir::Value, unsigned> numbers;
};

} // namespace headrace
#endif // HEADRACE_LIB_TILE_STAGEOPERANDS_H
