//===- ConvertToTensor.cpp - aten-convert-to-tensor -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Walks each entry from top to bottom and gives every call to its entry of the
// registry. A call that cannot be converted gets a placeholder for its results,
// so that the walk goes on and everything that stands in the way is reported at
// once; the module is not used after that.
//
//===----------------------------------------------------------------------===//

#include "InputChecks.h"
#include "Lowering.h"
#include "headrace/Conversion/Passes.h"
#include "headrace/Dialect/Aten/Obstacles.h"

namespace headrace {
#define GEN_PASS_DEF_CONVERTTOTENSORPASS
#include "headrace/Conversion/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

SmallVector<StringRef> headrace::getSupportedOperators() {
  return Registry::get().getNames();
}

bool headrace::isSupportedOperator(StringRef name) {
  return Registry::get().lookup(name) != nullptr;
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

static std::string toString(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

/// The type at the tensor level: no encoding, no signs. Null if there is none.
static RankedTensorType convertType(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return {};
  std::optional<DType> dtype = getDType(tensor.getElementType());
  if (!dtype)
    return {};
  return RankedTensorType::get(
      tensor.getShape(), getElementType(type.getContext(), *dtype));
}

static Tensor asTensor(Value value, Type atenType) {
  SmallVector<SizeExpr> dims = aten::getDims(atenType);
  DType dtype =
      getDType(cast<RankedTensorType>(atenType).getElementType()).value();
  return {value, Dims(dims.begin(), dims.end()), dtype};
}

namespace {
class ConvertToTensorPass
    : public headrace::impl::ConvertToTensorPassBase<ConvertToTensorPass> {
  void runOnOperation() override;

  void convertDeclarations();
  void convertEntry(func::FuncOp func);
  void convertCall(aten::CallOp call, const SymbolRanges &ranges,
                   Requirements &requirements);
  void convertRegions(aten::RegionCallOp op);
  void convertOther(Operation *op);
  void dropDeadCalls(func::FuncOp func);

  DenseMap<Value, Tensor> values;
  /// Of the entry.
  SmallVector<Assertion> assertions;
  aten::Obstacles obstacles;
};
} // namespace

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

/// Stands for a value that cannot be converted and lets the walk go on.
static Tensor createPlaceholder(OpBuilder &builder, Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  RankedTensorType converted = convertType(value.getType());
  SmallVector<SizeExpr> dims =
      type ? aten::getDims(type) : SmallVector<SizeExpr>();
  Type elementType =
      converted ? converted.getElementType() : builder.getF32Type();
  DType dtype =
      converted ? *getDType(type.getElementType()) : DType::Float32;
  return {hr::createEmpty(builder, value.getLoc(), dims, elementType),
          Dims(dims.begin(), dims.end()), dtype};
}

/// Assertions have no results, and hold by the types or are checked here.
static bool hasNoResult(aten::CallOp call) {
  return call.getNumResults() == 0;
}

void ConvertToTensorPass::convertCall(aten::CallOp call,
                                      const SymbolRanges &ranges,
                                      Requirements &requirements) {
  OpBuilder builder(call);
  StringRef name = call.getCallee();
  const LoweringFn *entry = Registry::get().lookup(name);
  std::string reason;
  SmallVector<std::optional<Tensor>, 2> results;
  auto isConvertible = [](Type type) { return bool(convertType(type)); };

  if (!entry) {
    obstacles.add(name, "", call.getLoc());
  } else if (!llvm::all_of(call.getInputs().getTypes(), isConvertible) ||
             !llvm::all_of(call.getResultTypes(), isConvertible)) {
    Type bad;
    for (Type type : llvm::concat<Type>(
             llvm::to_vector(call.getInputs().getTypes()),
             llvm::to_vector(call.getResultTypes())))
      if (!isConvertible(type))
        bad = type;
    auto tensor = dyn_cast<RankedTensorType>(bad);
    reason = "element type " +
             toString(tensor ? tensor.getElementType() : bad) +
             " is not supported";
  } else {
    Lowering lowering(builder, call, ranges, values, requirements);
    (*entry)(lowering);
    reason = lowering.reason;
    results = std::move(lowering.results);
    llvm::append_range(assertions, lowering.assertions);
    if (reason.empty() && !hasNoResult(call) &&
        results.size() != call.getNumResults())
      reason = "gives " + std::to_string(results.size()) + " of " +
               std::to_string(call.getNumResults()) + " results";
  }
  if (!reason.empty())
    obstacles.add(name, reason, call.getLoc());

  results.resize(call.getNumResults());
  for (auto [result, value] : llvm::zip_equal(call.getResults(), results)) {
    if (value)
      values[result] = *value;
    else if (!result.use_empty())
      values[result] = createPlaceholder(builder, result);
  }
}

/// A call of graphs cannot be converted; nor can what is in them, if the table
/// lacks it.
void ConvertToTensorPass::convertRegions(aten::RegionCallOp op) {
  obstacles.add(op.getCallee(), "", op.getLoc());
  op->walk([&](aten::CallOp inner) {
    if (!Registry::get().lookup(inner.getCallee()) &&
        !(inner.getSchema() && inner.getSchema()->isMutating()))
      obstacles.add(inner.getCallee(), "", inner.getLoc());
  });
  OpBuilder builder(op);
  for (Value result : op.getResults())
    if (!result.use_empty())
      values[result] = createPlaceholder(builder, result);
}

/// The tensor, which is there only if the assertion holds: what nothing depends
/// on is not computed.
static Tensor attach(const Assertion &assertion, OpBuilder &builder,
                     const SymbolRanges &ranges, const Tensor &tensor) {
  Emitter e(builder, assertion.loc, ranges);
  AffineMap identity = builder.getMultiDimIdentityMap(tensor.rank());
  return e.structured(
      tensor.dims,
      {{tensor, identity}, {assertion.holds, e.getMap(tensor.rank(), {})}},
      identity, tensor.dtype, std::nullopt, [&](Body &b, ArrayRef<Scalar> a) {
        return b.check(b.cast(a[1], DType::Bool), a[0], a[0], "_assert_async",
                       assertion.message);
      });
}

/// Ops that are already of the tensor level: constants, state, and the region
/// updates that in-place operators became.
void ConvertToTensorPass::convertOther(Operation *op) {
  for (OpOperand &operand : op->getOpOperands()) {
    auto it = values.find(operand.get());
    if (it != values.end())
      operand.set(it->second.value);
  }
  for (Value result : op->getResults()) {
    Type type = result.getType();
    if (!isa<RankedTensorType>(type))
      continue;
    RankedTensorType converted = convertType(type);
    if (!converted) {
      obstacles.add("", "values of type " + toString(type) +
                            " are not supported",
                    op->getLoc());
      OpBuilder builder(op->getContext());
      builder.setInsertionPointAfter(op);
      values[result] = createPlaceholder(builder, result);
      continue;
    }
    result.setType(converted);
    values[result] = asTensor(result, type);
  }
}

/// From the last to the first, so that what only feeds a dead call dies too.
void ConvertToTensorPass::dropDeadCalls(func::FuncOp func) {
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(func.front())))
    if (isOpTriviallyDead(&op))
      op.erase();
}

//===----------------------------------------------------------------------===//
// Entries and the module
//===----------------------------------------------------------------------===//

void ConvertToTensorPass::convertEntry(func::FuncOp func) {
  values.clear();
  assertions.clear();
  Block &body = func.front();
  SymbolRanges ranges = hr::getSymbolRanges(func);
  Requirements requirements(func);
  dropDeadCalls(func);

  for (BlockArgument arg : body.getArguments()) {
    Type type = arg.getType();
    if (!isa<RankedTensorType>(type))
      continue;
    RankedTensorType converted = convertType(type);
    if (!converted) {
      obstacles.add("", "arguments of type " + toString(type) +
                            " are not supported",
                    arg.getLoc());
      OpBuilder builder(&body, body.begin());
      values[arg] = createPlaceholder(builder, arg);
      continue;
    }
    arg.setType(converted);
    values[arg] = asTensor(arg, type);
    // The signature still says what the caller gives.
    if (values[arg].dtype == DType::UInt8)
      func.setArgAttr(arg.getArgNumber(), "hr.unsigned",
                      UnitAttr::get(func.getContext()));
  }

  SmallVector<Operation *> ops =
      llvm::map_to_vector(body, [](Operation &op) { return &op; });
  SmallVector<Operation *> calls;
  for (Operation *op : ops) {
    if (auto call = dyn_cast<aten::CallOp>(op)) {
      convertCall(call, ranges, requirements);
      calls.push_back(op);
      continue;
    }
    if (auto call = dyn_cast<aten::RegionCallOp>(op)) {
      convertRegions(call);
      calls.push_back(op);
      continue;
    }
    if (auto returnOp = dyn_cast<func::ReturnOp>(op)) {
      OpBuilder builder(returnOp);
      SmallVector<Type> types;
      auto first = llvm::find_if(returnOp.getOperands(), [&](Value operand) {
        return values.contains(operand);
      });
      for (const Assertion &assertion : assertions) {
        if (first == returnOp.operand_end()) {
          obstacles.add("aten._assert_async.msg",
                        "the program has no result that could depend on it",
                        assertion.loc);
          break;
        }
        Tensor &tensor = values[*first];
        tensor = attach(assertion, builder, ranges, tensor);
      }
      for (auto [i, operand] : llvm::enumerate(returnOp->getOpOperands())) {
        auto it = values.find(operand.get());
        if (it == values.end()) {
          types.push_back(operand.get().getType());
          continue;
        }
        // As the signature says it.
        SmallVector<SizeExpr> dims =
            aten::getDims(func.getResultTypes()[i]);
        for (auto [have, want] : llvm::zip(it->second.dims, dims))
          requirements.requireEqual(have, want, returnOp.getLoc());
        operand.set(Emitter(builder, returnOp.getLoc(), ranges)
                        .reshape(it->second, dims)
                        .value);
        types.push_back(operand.get().getType());
        if (it->second.dtype == DType::UInt8)
          func.setResultAttr(i, "hr.unsigned",
                             UnitAttr::get(func.getContext()));
      }
      func.setType(FunctionType::get(func.getContext(),
                                     body.getArgumentTypes(), types));
      continue;
    }
    convertOther(op);
  }
  for (Operation *call : llvm::reverse(calls)) {
    call->dropAllUses();
    call->erase();
  }
  dropDeadCalls(func);
  if (obstacles.empty()) {
    requirements.addThoseOfOps();
    requirements.finish();
  }
  recordInputChecks(func);
}

/// Weights and states of type `ui8` become `i8`, in the table of bytes too.
void ConvertToTensorPass::convertDeclarations() {
  WeightStore &store =
      getContext().getOrLoadDialect<hr::HRDialect>()->getWeights();
  for (Operation &op : getOperation().getOps()) {
    auto convert = [&](auto decl) {
      RankedTensorType converted = convertType(decl.getType());
      if (!converted) {
        obstacles.add("", "weights of type " + toString(decl.getType()) +
                              " are not supported",
                      op.getLoc());
        return;
      }
      if (converted == decl.getType())
        return;
      decl.setType(converted);
      if (const WeightStore::Entry *entry = store.lookup(decl.getSymName())) {
        WeightStore::Entry copy = *entry;
        copy.type = converted;
        store.add(decl.getSymName(), copy);
      }
    };
    if (auto weight = dyn_cast<hr::WeightOp>(op))
      convert(weight);
    else if (auto state = dyn_cast<hr::StateOp>(op))
      convert(state);
  }
}

void ConvertToTensorPass::runOnOperation() {
  obstacles = {};
  // What the reader and functionalization met.
  obstacles.take(getOperation());
  convertDeclarations();
  for (auto func : getOperation().getOps<func::FuncOp>())
    if (!func.isExternal())
      convertEntry(func);
  if (obstacles.empty())
    return;
  obstacles.report(getOperation());
  signalPassFailure();
}
