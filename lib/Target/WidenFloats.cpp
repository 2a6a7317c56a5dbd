//===- WidenFloats.cpp - Compute f16 and bf16 in f32 ----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Target/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

namespace headrace {
#define GEN_PASS_DEF_TARGETWIDENFLOATS
#include "headrace/Target/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;

static bool isNarrow(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isF16() || element.isBF16();
}

/// `type` with f32 for its elements.
static Type widen(Type type) {
  Type f32 = Float32Type::get(type.getContext());
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.clone(f32);
  return f32;
}

/// Ops that compute with the values of their operands, as opposed to moving
/// their bits.
static bool computes(Operation *op) {
  if (isa<math::MathDialect>(op->getDialect()))
    return true;
  return isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp,
             arith::RemFOp, arith::NegFOp, arith::MaximumFOp, arith::MinimumFOp,
             arith::MaxNumFOp, arith::MinNumFOp, arith::CmpFOp, arith::FPToSIOp,
             arith::FPToUIOp, arith::SIToFPOp, arith::UIToFPOp, vector::FMAOp,
             vector::ReductionOp, vector::MultiDimReductionOp,
             vector::ContractionOp, vector::OuterProductOp, vector::ScanOp>(op);
}

/// Clones `op` with f32 for every narrow type, conversions around it.
static void widenOp(Operation *op) {
  OpBuilder builder(op);
  Location loc = op->getLoc();
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    if (isNarrow(operand.getType()))
      operand = arith::ExtFOp::create(builder, loc, widen(operand.getType()),
                                      operand);
    operands.push_back(operand);
  }
  SmallVector<Type> types;
  for (Type type : op->getResultTypes())
    types.push_back(isNarrow(type) ? widen(type) : type);
  OperationState state(loc, op->getName(), operands, types, op->getAttrs());
  state.propertiesAttr = op->getPropertiesAsAttribute();
  Operation *wide = builder.create(state);
  for (auto [before, after] : llvm::zip(op->getResults(), wide->getResults())) {
    Value result = after;
    if (isNarrow(before.getType()))
      result = arith::TruncFOp::create(builder, loc, before.getType(), after);
    before.replaceAllUsesWith(result);
  }
  op->erase();
}

/// Puts f32 between a narrow type and f64.
static void splitConversion(Operation *op) {
  Value source = op->getOperand(0);
  Type from = source.getType(), to = op->getResult(0).getType();
  OpBuilder builder(op);
  if (isa<arith::ExtFOp>(op) && getElementTypeOrSelf(to).isF64()) {
    Value middle =
        arith::ExtFOp::create(builder, op->getLoc(), widen(from), source);
    op->setOperand(0, middle);
  } else if (isa<arith::TruncFOp>(op) && getElementTypeOrSelf(from).isF64()) {
    Value middle =
        arith::TruncFOp::create(builder, op->getLoc(), widen(from), source);
    op->setOperand(0, middle);
  }
}

namespace {
struct WidenFloatsPass
    : headrace::impl::TargetWidenFloatsBase<WidenFloatsPass> {
  void runOnOperation() override {
    SmallVector<Operation *> compute, convert;
    getOperation()->walk([&](Operation *op) {
      bool narrow = llvm::any_of(op->getOperandTypes(), isNarrow) ||
                    llvm::any_of(op->getResultTypes(), isNarrow);
      if (!narrow)
        return;
      if (computes(op))
        compute.push_back(op);
      else if (isa<arith::ExtFOp, arith::TruncFOp>(op))
        convert.push_back(op);
    });
    for (Operation *op : compute)
      widenOp(op);
    for (Operation *op : convert)
      splitConversion(op);
  }
};
} // namespace
