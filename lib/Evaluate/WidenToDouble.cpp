//===- WidenToDouble.cpp - The program in f64 -----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Types are changed in place: no operation of the `tensor` phase fixes which
// float it works on. What names a float's width is a constant, a weight, a
// state, and an operation on bits.
//
//===----------------------------------------------------------------------===//

#include "EvaluateBody.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Evaluate/Passes.h"

using namespace mlir;
using namespace headrace;

namespace headrace {
#define GEN_PASS_DEF_WIDENTODOUBLEPASS
#include "headrace/Evaluate/Passes.h.inc"
} // namespace headrace

/// The type with f64 for every float.
static Type widen(Type type) {
  auto wide = Float64Type::get(type.getContext());
  if (isa<FloatType>(type))
    return wide;
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    if (isa<FloatType>(tensor.getElementType()))
      return tensor.clone(wide);
  return type;
}

static void widenConstant(arith::ConstantOp op) {
  auto toDouble = [](APFloat value) {
    bool ignored;
    value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                  &ignored);
    return value;
  };
  Type type = widen(op.getType());
  if (auto scalar = dyn_cast<FloatAttr>(op.getValue()))
    op.setValueAttr(FloatAttr::get(type, toDouble(scalar.getValue())));
  else if (auto dense = dyn_cast<DenseFPElementsAttr>(op.getValue()))
    op.setValueAttr(dense.mapValues(
        Float64Type::get(op.getContext()), [&](const APFloat &value) {
          return toDouble(value).bitcastToAPInt();
        }));
}

/// Makes the bytes of a weight those of its values in f64.
static LogicalResult widenWeight(WeightStore &store, StringRef name,
                                 RankedTensorType type) {
  FailureOr<WeightStore::Bytes> bytes = store.read(name);
  if (failed(bytes))
    return failure();
  Type element = type.getElementType(), wide = widen(element);
  int64_t width = getElementBytes(element);
  std::vector<char> result(type.getNumElements() * sizeof(double));
  for (int64_t n = 0; n < type.getNumElements(); ++n) {
    evaluate::Cell cell;
    evaluate::load(element, bytes->data.data() + n * width, 1, 1, &cell);
    if (!element.isF64())
      cell.d = cell.f;
    evaluate::store(wide, &cell, 1, 1, result.data() + n * sizeof(double));
  }
  store.addOwned(name, cast<RankedTensorType>(widen(type)), std::move(result));
  return success();
}

/// An argument keeps its type; what reads it reads it in f64.
static void widenArgument(BlockArgument argument) {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  if (!type || widen(type) == type)
    return;
  OpBuilder b(argument.getContext());
  b.setInsertionPointToStart(argument.getOwner());
  Location loc = argument.getLoc();
  Value empty = hr::createEmpty(b, loc, *hr::getDims(argument),
                                b.getF64Type());
  AffineMap map = b.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> iterators(type.getRank(),
                                             utils::IteratorType::parallel);
  auto cast = linalg::GenericOp::create(
      b, loc, empty.getType(), argument, empty, ArrayRef<AffineMap>{map, map},
      iterators, [](OpBuilder &nested, Location at, ValueRange args) {
        Value wide = arith::ExtFOp::create(nested, at, nested.getF64Type(),
                                           args[0]);
        linalg::YieldOp::create(nested, at, wide);
      });
  argument.replaceAllUsesExcept(cast.getResult(0), cast);
}

namespace {
struct WidenToDouble : headrace::impl::WidenToDoublePassBase<WidenToDouble> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    // 1. Refuse what works on bits.
    WalkResult walk = module.walk([](Operation *op) {
      if (auto cast = dyn_cast<arith::BitcastOp>(op))
        if (isa<FloatType>(getElementTypeOrSelf(cast.getIn().getType())) ||
            isa<FloatType>(getElementTypeOrSelf(cast.getType()))) {
          op->emitError("the bits of floats have no counterpart in f64");
          return WalkResult::interrupt();
        }
      return WalkResult::advance();
    });
    if (walk.wasInterrupted())
      return signalPassFailure();

    // 2. Types, in place.
    for (auto func : module.getOps<func::FuncOp>()) {
      if (!hr::isEntry(func) || func.isExternal())
        continue;
      SmallVector<Operation *> casts;
      func.walk([&](Operation *op) {
        if (isa<arith::ExtFOp, arith::TruncFOp>(op))
          casts.push_back(op);
        else if (auto constant = dyn_cast<arith::ConstantOp>(op))
          widenConstant(constant);
        for (OpResult result : op->getResults())
          result.setType(widen(result.getType()));
        if (op == func)
          return;
        for (Region &region : op->getRegions())
          for (Block &block : region)
            for (BlockArgument argument : block.getArguments())
              argument.setType(widen(argument.getType()));
      });
      for (Operation *op : casts) {
        op->getResult(0).replaceAllUsesWith(op->getOperand(0));
        op->erase();
      }
      for (BlockArgument argument : func.getArguments())
        widenArgument(argument);
      SmallVector<Type> results;
      for (Type type : func.getResultTypes())
        results.push_back(widen(type));
      func.setType(FunctionType::get(&getContext(), func.getArgumentTypes(),
                                     results));
    }

    // 3. Weights and state.
    WeightStore &store =
        getContext().getOrLoadDialect<hr::HRDialect>()->getWeights();
    for (Operation &op : *module.getBody()) {
      if (auto state = dyn_cast<hr::StateOp>(op))
        state.setType(cast<RankedTensorType>(widen(state.getType())));
      auto weight = dyn_cast<hr::WeightOp>(op);
      if (!weight || widen(weight.getType()) == weight.getType())
        continue;
      if (failed(widenWeight(store, weight.getSymName(),
                             cast<RankedTensorType>(weight.getType())))) {
        weight.emitError("the bytes of weight '")
            << weight.getSymName() << "' are missing";
        return signalPassFailure();
      }
      weight.setType(cast<RankedTensorType>(widen(weight.getType())));
    }
  }
};
} // namespace
