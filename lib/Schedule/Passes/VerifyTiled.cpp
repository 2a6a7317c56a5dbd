//===- VerifyTiled.cpp - hr-verify-tiled ----------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Schedule/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/UB/IR/UBOps.h"

using namespace mlir;
using namespace headrace;

namespace headrace {
#define GEN_PASS_DEF_VERIFYTILEDPASS
#include "headrace/Schedule/Passes.h.inc"
} // namespace headrace

namespace {
struct VerifyTiledPass
    : headrace::impl::VerifyTiledPassBase<VerifyTiledPass> {
  void runOnOperation() override {
    bool isValid = true;
    SymbolTable symbols(getOperation());
    llvm::DenseSet<Operation *> stages;
    for (auto entry : getOperation().getOps<func::FuncOp>()) {
      if (!hr::isEntry(entry))
        continue;
      for (Operation &op : entry.getBody().front())
        if (!isa<hr::BufferOp, hr::RunOp, hr::LoopOp, ub::PoisonOp,
                 func::ReturnOp>(op)) {
          op.emitError() << "'" << op.getName()
                         << "' is not of the tiled phase: nothing would "
                            "execute it";
          isValid = false;
        }
      entry.walk([&](hr::RunOp run) {
        auto stage = symbols.lookup<func::FuncOp>(run.getStage());
        if (!stage || stage.isExternal()) {
          run.emitError() << "no function '" << run.getStage() << "'";
          isValid = false;
          return;
        }
        stages.insert(stage);
        isValid &= succeeded(verifyArguments(run, stage));
      });
    }
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (stages.contains(function))
        isValid &= succeeded(verifyBody(function));
    if (!isValid)
      signalPassFailure();
  }

  /// What `hr.run` says a stage takes.
  LogicalResult verifyArguments(hr::RunOp run, func::FuncOp stage) {
    Builder b(run.getContext());
    auto flat = [&](Type type) -> Type {
      return MemRefType::get({ShapedType::kDynamic}, type);
    };
    Type index = b.getIndexType(), bytes = flat(b.getI8Type());
    SmallVector<Type> types{index, index, bytes, bytes};
    for (Value operand : run.getOperands_()) {
      Type type = cast<hr::BufferType>(operand.getType()).getElementType();
      // A truth value takes a byte; narrow floats are their bits.
      if (type.isInteger(1))
        type = b.getI8Type();
      else if (type.isBF16() || type.isF16())
        type = b.getIntegerType(16);
      types.push_back(flat(type));
    }
    bool inLoop = isa<hr::LoopOp>(run->getParentOp());
    types.append(run.getSymbols().size() + inLoop, index);
    auto type = FunctionType::get(run.getContext(), types, {});
    if (stage.getFunctionType() == type)
      return success();
    return run.emitError() << "expected stage '" << run.getStage()
                           << "' to be of type " << type << " but got "
                           << stage.getFunctionType();
  }

  /// All memory that a stage uses is its operands' and its scratch.
  LogicalResult verifyBody(func::FuncOp stage) {
    WalkResult result = stage.walk([](Operation *op) {
      if (!isa<memref::AllocOp, memref::AllocaOp, memref::ReallocOp,
               memref::DeallocOp, memref::CopyOp>(op) &&
          !isa_and_nonnull<tensor::TensorDialect, linalg::LinalgDialect>(
              op->getDialect()))
        return WalkResult::advance();
      op->emitError() << "'" << op->getName()
                      << "' is not of the tiled phase: the stage's plan names "
                         "no memory for it";
      return WalkResult::interrupt();
    });
    return failure(result.wasInterrupted());
  }
};
} // namespace
