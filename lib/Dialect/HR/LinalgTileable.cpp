//===- LinalgTileable.cpp - linalg's operations as nests of loops ---------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::hr;
using linalg::LinalgOp;

/// Whether the body is acc + f(a) * g(b) for conversions f and g.
static bool isMultiplyAdd(LinalgOp op) {
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1)
    return false;
  Block *block = op.getBlock();
  auto stripCast = [](Value v) {
    while (Operation *def = v.getDefiningOp()) {
      if (!isa<arith::ExtFOp, arith::ExtSIOp, arith::ExtUIOp>(def))
        break;
      v = def->getOperand(0);
    }
    return v;
  };
  Operation *add = block->getTerminator()->getOperand(0).getDefiningOp();
  if (!add || !isa<arith::AddFOp, arith::AddIOp>(add))
    return false;
  Value acc = block->getArgument(2);
  Value product = add->getOperand(0) == acc   ? add->getOperand(1)
                  : add->getOperand(1) == acc ? add->getOperand(0)
                                              : Value();
  if (!product)
    return false;
  Operation *mul = product.getDefiningOp();
  if (!mul || !isa<arith::MulFOp, arith::MulIOp>(mul))
    return false;
  Value lhs = stripCast(mul->getOperand(0));
  Value rhs = stripCast(mul->getOperand(1));
  return (lhs == block->getArgument(0) && rhs == block->getArgument(1)) ||
         (lhs == block->getArgument(1) && rhs == block->getArgument(0));
}

static FailureOr<SmallVector<TileLoop>> getLoops(LinalgOp op) {
  SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
  SmallVector<std::optional<SizeExpr>> extents(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<RankedTensorType>(operand.get().getType()))
      continue;
    FailureOr<SmallVector<SizeExpr>> dims = getDims(operand.get());
    if (failed(dims))
      return failure();
    AffineMap map = op.getMatchingIndexingMap(&operand);
    bool isInit = op.isDpsInit(&operand);
    if (isInit && !map.isProjectedPermutation())
      return failure();
    for (auto [p, expr] : llvm::enumerate(map.getResults()))
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        // A broadcast dimension of size 1 is not spelled as a loop, so any
        // plain use gives the extent; prefer the result's.
        if (!extents[dim.getPosition()] || isInit)
          extents[dim.getPosition()] = (*dims)[p];
  }
  SmallVector<TileLoop> loops;
  for (auto [extent, iterator] : llvm::zip(extents, iterators)) {
    if (!extent)
      return failure();
    loops.push_back({*extent, iterator == utils::IteratorType::parallel});
  }
  return loops;
}

static SmallVector<TileRead> getReads(LinalgOp op) {
  bool reduces = op.getNumReductionLoops() > 0;
  SmallVector<TileRead> reads;
  for (OpOperand &operand : op->getOpOperands()) {
    TileRead read;
    read.operand = operand.getOperandNumber();
    if (isa<RankedTensorType>(operand.get().getType()))
      read.map = op.getMatchingIndexingMap(&operand);
    // A reduction starts with it even where its body was folded to what does not
    // depend on it: there may be nothing to reduce.
    read.isRead = !op.isDpsInit(&operand) || reduces ||
                  op.payloadUsesValueFromOperand(&operand);
    reads.push_back(read);
  }
  return reads;
}

static PointCost getCost(LinalgOp op) {
  PointCost cost{0, false};
  for (Operation &inner : op.getBlock()->without_terminator()) {
    if (isa<arith::ConstantOp, linalg::IndexOp, arith::ExtFOp>(inner))
      continue;
    bool math = inner.getName().getDialectNamespace() == "math" &&
                !isa<math::AbsFOp, math::AbsIOp, math::FmaOp>(inner);
    if (math)
      cost.hasMath = true;
    bool slow = isa<arith::DivFOp, arith::DivSIOp, arith::RemFOp,
                    arith::RemSIOp>(inner);
    cost.operations += math ? 16 : slow ? 8 : 1;
  }
  return cost;
}

static bool hasMonoids(LinalgOp op) {
  for (unsigned r = 0; r < op.getNumDpsInits(); ++r) {
    SmallVector<Operation *, 4> combiners;
    Value reduced = matchReduction(op.getRegionOutputArgs(), r, combiners);
    if (!reduced || combiners.size() != 1 ||
        !arith::getNeutralElement(combiners.front()))
      return false;
  }
  return true;
}

namespace {
template <typename OpType>
struct Model : TileableOp::ExternalModel<Model<OpType>, OpType> {
  NestKind getNestKind(Operation *op) const {
    auto linalgOp = cast<LinalgOp>(op);
    return linalgOp.getNumReductionLoops() == 0 ? NestKind::Map
           : isMultiplyAdd(linalgOp)            ? NestKind::Contraction
                                                : NestKind::Reduction;
  }
  FailureOr<SmallVector<TileLoop>> getTileLoops(Operation *op) const {
    return getLoops(cast<LinalgOp>(op));
  }
  SmallVector<TileRead> getTileReads(Operation *op) const {
    return getReads(cast<LinalgOp>(op));
  }
  SmallVector<unsigned> getResultLoops(Operation *op, unsigned result) const {
    auto linalgOp = cast<LinalgOp>(op);
    AffineMap map =
        linalgOp.getMatchingIndexingMap(linalgOp.getDpsInitOperand(result));
    SmallVector<unsigned> loops;
    for (AffineExpr expr : map.getResults())
      loops.push_back(cast<AffineDimExpr>(expr).getPosition());
    return loops;
  }
  PointCost getPointCost(Operation *op) const {
    return getCost(cast<LinalgOp>(op));
  }
  std::optional<ProductTypes> getProductTypes(Operation *op) const {
    if (getNestKind(op) != NestKind::Contraction)
      return std::nullopt;
    auto typeOf = [&](unsigned i) {
      return getElementTypeOrSelf(op->getOperand(i));
    };
    return ProductTypes{typeOf(0), typeOf(1), typeOf(2)};
  }
  bool mergesPartialResults(Operation *op) const {
    return hasMonoids(cast<LinalgOp>(op));
  }
  /// What a register tile multiplies is loaded many times.
  bool readsFromMemory(Operation *op, unsigned read) const {
    return getNestKind(op) == NestKind::Contraction && read < 2;
  }
  StringRef getStageWord(Operation *op) const {
    auto linalgOp = cast<LinalgOp>(op);
    if (linalgOp.getNumReductionLoops() == 0)
      return "";
    return linalgOp.getNumDpsInputs() == 2 ? "contract" : "reduce";
  }
};

template <typename... OpTypes> void attachTo(MLIRContext *context) {
  (OpTypes::template attachInterface<Model<OpTypes>>(*context), ...);
}
} // namespace

void hr::registerTileableModels(DialectRegistry &registry) {
  registry.addExtension(
      +[](MLIRContext *context, linalg::LinalgDialect *dialect) {
        attachTo<
#define GET_OP_LIST
#include "mlir/Dialect/Linalg/IR/LinalgStructuredOps.cpp.inc"
            >(context);
      });
}
