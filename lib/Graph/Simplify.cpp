//===- Simplify.cpp - Whole-graph simplification --------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// hr-simplify: the patterns of SimplifyPatterns.h to a fixpoint, then common
// subexpressions, and again until nothing changes: what CSE joins may let a
// pattern see that a value has one user.
//
//===----------------------------------------------------------------------===//

#include "SimplifyPatterns.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Graph/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace headrace;

namespace headrace {
#define GEN_PASS_DEF_SIMPLIFYPASS
#include "headrace/Graph/Passes.h.inc"
} // namespace headrace

/// The greedy driver gathers constants at the head of the function; a body is
/// easier to read, to move and to compare with its own constants inside.
static void sinkConstants(func::FuncOp func) {
  func.walk([](linalg::GenericOp op) {
    Block *body = op.getBody();
    OpBuilder builder = OpBuilder::atBlockBegin(body);
    llvm::MapVector<Operation *, Operation *> clones;
    body->walk([&](Operation *inner) {
      for (OpOperand &operand : inner->getOpOperands()) {
        auto constant = operand.get().getDefiningOp<arith::ConstantOp>();
        if (!constant || constant->getBlock() == body)
          continue;
        Operation *&clone = clones[constant];
        if (!clone)
          clone = builder.clone(*constant);
        operand.set(clone->getResult(0));
      }
    });
  });
  for (auto constant :
       llvm::make_early_inc_range(func.getOps<arith::ConstantOp>()))
    if (constant->use_empty())
      constant.erase();
}

namespace {
struct Simplify : headrace::impl::SimplifyPassBase<Simplify> {
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    populateUnitDimPatterns(set);
    populateViewPatterns(set);
    populateBodyPatterns(set);
    patterns = std::move(set);
    return success();
  }

  void runOnOperation() override {
    GreedyRewriteConfig config;
    config.setUseTopDownTraversal(true);
    config.setMaxIterations(GreedyRewriteConfig::kNoLimit);
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func.isExternal())
        continue;
      bool changed = true;
      // Each round removes or shortens something; the bound is a net only.
      for (unsigned round = 0; changed && round < 16; ++round) {
        changed = false;
        if (failed(applyPatternsGreedily(func, patterns, config, &changed))) {
          func.emitError("simplification does not come to an end");
          return signalPassFailure();
        }
        IRRewriter rewriter(&getContext());
        DominanceInfo dominance(func);
        bool joined = false;
        eliminateCommonSubExpressions(rewriter, dominance, func, &joined);
        changed |= joined;
      }
      sinkConstants(func);
    }
  }

  FrozenRewritePatternSet patterns;
};
} // namespace
