//===- ExposeStages.cpp - What stages hand on, as results -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Plan/Passes.h"
#include "headrace/Plan/Planner.h"
#include "headrace/Support/Place.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

namespace headrace {
#define GEN_PASS_DEF_EXPOSESTAGESPASS
#include "headrace/Plan/Passes.h.inc"
} // namespace headrace

/// What an in-place operation writes to, if `op` is one.
static Value getBase(Operation *op) {
  if (auto update = dyn_cast_or_null<hr::UpdateOp>(op))
    return update.getBase();
  if (auto scatter = dyn_cast_or_null<hr::ScatterOp>(op))
    return scatter.getBase();
  return Value();
}

/// Whether `value` is a result already, or something later may store other
/// elements where it lies.
static bool isTaken(Value value) {
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (isa<func::ReturnOp>(user))
      return true;
    if (auto stage = dyn_cast<hr::StageOp>(user)) {
      Value argument =
          stage.getBody().front().getArgument(use.getOperandNumber());
      for (Operation *inner : argument.getUsers())
        if (getBase(inner) == argument)
          return true;
    } else if (isa<hr::RepeatOp>(user)) {
      // Carried values take turns in their buffers.
      return true;
    } else if (isViewLike(user) && isTaken(user->getResult(0))) {
      return true;
    }
  }
  return false;
}

static bool isInPlace(OpResult result) {
  auto stage = dyn_cast<hr::StageOp>(result.getOwner());
  if (!stage)
    return false;
  Value inside = stage.getBody().front().getTerminator()->getOperand(
      result.getResultNumber());
  return getBase(inside.getDefiningOp()) != Value();
}

static std::string describe(OpResult result, unsigned number) {
  Operation *op = result.getOwner();
  std::string name = "repeat";
  if (auto stage = dyn_cast<hr::StageOp>(op))
    name = "stage " + stage.getSymName().str();
  else
    name += " " + std::to_string(number);
  if (op->getNumResults() > 1)
    name += " result " + std::to_string(result.getResultNumber());
  Place place = getPlace(op->getLoc());
  if (!place.file.empty())
    name += " (" + place.file + ":" + std::to_string(place.line) + ")";
  return name;
}

namespace {
struct ExposeStages : headrace::impl::ExposeStagesPassBase<ExposeStages> {
  using ExposeStagesPassBase::ExposeStagesPassBase;

  void runOnOperation() override {
    std::string error;
    FailureOr<hw::System> system = hw::System::load(target, error);
    if (failed(system)) {
      getOperation().emitError() << error;
      return signalPassFailure();
    }
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (!hr::isEntry(func) || func.isExternal())
        continue;
      if (plain && failed(planPlainly(func, *system)))
        return signalPassFailure();
      expose(func);
    }
  }

  LogicalResult planPlainly(func::FuncOp func, const hw::System &system) {
    Planner::Options options;
    options.scalar = true;
    Planner planner(system.getDevice(), func, options);
    WalkResult walk = func.walk([&](hr::StageOp stage) {
      std::string why;
      auto analysis = StageAnalysis::create(stage, &why);
      if (failed(analysis)) {
        stage.emitError() << "cannot plan a stage: " << why;
        return WalkResult::interrupt();
      }
      stage.setPlanAttr(planner.plan(**analysis).toAttr(&getContext()));
      return WalkResult::advance();
    });
    return failure(walk.wasInterrupted());
  }

  void expose(func::FuncOp func) {
    Block &body = func.getBody().front();
    Builder b(&getContext());
    SmallVector<Value> values;
    SmallVector<std::string> names;
    unsigned repeats = 0;
    for (Operation &op : body.without_terminator()) {
      if (!isa<hr::StageOp, hr::RepeatOp>(op))
        continue;
      for (OpResult result : op.getResults()) {
        if (!isa<RankedTensorType>(result.getType()) || isInPlace(result) ||
            isTaken(result) || failed(hr::getDims(result)))
          continue;
        values.push_back(result);
        names.push_back(describe(result, repeats));
      }
      repeats += isa<hr::RepeatOp>(op);
    }
    Operation *end = body.getTerminator();
    end->insertOperands(end->getNumOperands(), values);
    SmallVector<Type> results(func.getResultTypes());
    for (Value value : values)
      results.push_back(value.getType());
    unsigned first = func.getNumResults();
    func.setType(
        FunctionType::get(&getContext(), func.getArgumentTypes(), results));
    SmallVector<Attribute> attrs;
    if (ArrayAttr old = func.getResAttrsAttr())
      attrs.assign(old.begin(), old.end());
    attrs.resize(first, b.getDictionaryAttr({}));
    for (auto [value, name] : llvm::zip(values, names))
      attrs.push_back(b.getDictionaryAttr(
          {b.getNamedAttr("hr.dims", hr::getSizeArrayAttr(
                                         &getContext(), *hr::getDims(value))),
           b.getNamedAttr("hr.name", b.getStringAttr(name))}));
    func.setResAttrsAttr(b.getArrayAttr(attrs));
  }
};
} // namespace
