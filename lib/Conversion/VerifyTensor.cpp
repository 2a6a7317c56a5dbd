//===- VerifyTensor.cpp - hr-verify-tensor --------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Conversion/Passes.h"
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Support/SizeCondition.h"

namespace headrace {
#define GEN_PASS_DEF_VERIFYTENSORPASS
#include "headrace/Conversion/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;

/// The ops of the phase.
static bool isLegal(Operation *op) {
  if (isa<ModuleOp, func::FuncOp, func::ReturnOp, linalg::GenericOp,
          linalg::FillOp, linalg::YieldOp, linalg::IndexOp, tensor::EmptyOp>(
          op))
    return true;
  return isa<arith::ArithDialect, math::MathDialect, hr::HRDialect>(
      op->getDialect());
}

/// Whether the type is one of the phase: plain tensors, scalars, indices.
static bool isLegal(Type type) {
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return !tensor.getEncoding() && isLegal(tensor.getElementType());
  if (auto integer = dyn_cast<IntegerType>(type))
    return integer.isSignless();
  return isa<FloatType, IndexType>(type);
}

namespace {
class VerifyTensorPass
    : public headrace::impl::VerifyTensorPassBase<VerifyTensorPass> {
  using VerifyTensorPassBase::VerifyTensorPassBase;

  void runOnOperation() override {
    bool isValid = true;
    auto check = [&](Value value, Location loc) {
      if (!isLegal(value.getType())) {
        emitError(loc) << "type " << value.getType() << " is not of the "
                       << (fused ? "fused" : "tensor") << " phase";
        isValid = false;
      } else if (isa<RankedTensorType>(value.getType()) &&
                 failed(hr::getDims(value))) {
        emitError(loc) << "the shape of " << value.getType()
                       << " is not known as sizes";
        isValid = false;
      }
    };
    getOperation().walk([&](Operation *op) {
      bool isPanels = fused && isa<linalg::UnPackOp>(op) &&
                      op->getParentOfType<hr::StageOp>();
      if (!isPanels && !isLegal(op)) {
        op->emitError() << "'" << op->getName() << "' is not of the "
                        << (fused ? "fused" : "tensor") << " phase";
        isValid = false;
        return;
      }
      for (Value result : op->getResults())
        check(result, op->getLoc());
      auto func = dyn_cast<func::FuncOp>(op);
      if (!func || func.isExternal())
        return;
      for (BlockArgument arg : func.getArguments())
        check(arg, arg.getLoc());
      // What is required of sizes is checked at each call; what no call can
      // fulfil is an error now.
      auto required = func->getAttrOfType<ArrayAttr>("hr.requires");
      if (!required)
        return;
      SymbolRanges ranges = hr::getSymbolRanges(func);
      for (auto requirement : required.getAsRange<hr::RequirementAttr>()) {
        if (!condition::fails(requirement.getExpr(), ranges))
          continue;
        InFlightDiagnostic diag = func.emitError("'")
                                  << func.getName() << "' needs "
                                  << requirement.getText();
        if (!requirement.getWhere().empty())
          diag << " (" << requirement.getWhere() << ")";
        diag << ", which no sizes in its ranges fulfil";
        isValid = false;
      }
    });
    if (!isValid)
      signalPassFailure();
  }
};
} // namespace
