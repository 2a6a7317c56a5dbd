//===- Functionalize.cpp - In-place operators as values -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Terms. A *base* stands for a storage: an argument, a weight, a state, or a
// fresh result. Each tensor value of the program as exported is a *view* of a
// base: the base itself, or a step (ViewStep) on another view. A base has a
// version, which a write raises; a view knows the version for which its present
// value was made.
//
// The ops of an entry are visited in order:
//   1. An operand that is out of date is read again: the steps that lead to it
//      are repeated on the base's present value.
//   2. A writing operator is replaced by its functional form; its result is the
//      new value of the view written to. From there the write goes up the
//      steps: through a strided one as `hr.update` of what it was taken from,
//      through a reshape as `hr.reshape`, until the base has a new value.
//   3. Results are entered as views or as new bases.
// At the end, weights that were written to become states of the module, each
// with one `hr.write_state`, and arguments that were give extra results.
//
// Which operators alias is decided on the program as exported, whose types hold
// eager's strides, never on what this pass makes of it.
//
//===----------------------------------------------------------------------===//
#include "ViewStep.h"
#include "headrace/Dialect/Aten/Aten.h"
#include "headrace/Dialect/Aten/Obstacles.h"
#include "headrace/Dialect/Aten/Promotion.h"
#include "headrace/Dialect/Aten/ResultTypes.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Import/Passes.h"
#include "headrace/Import/State.h"
#include "headrace/Support/SizeCondition.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSwitch.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <tuple>

namespace headrace {
#define GEN_PASS_DEF_FUNCTIONALIZEPASS
#include "headrace/Import/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;
using Kind = ViewStep::Kind;

namespace {

struct Base {
  Value current;
  unsigned version = 0;
  /// What the base is: an argument, a weight (or state), or neither.
  std::optional<unsigned> argument;
  StringAttr weight;
  /// Bases that eager may have put into the same storage, and the operator to
  /// blame.
  SmallVector<std::pair<Base *, Operation *>> suspects;
  /// A write to a suspect that makes this base's elements unknown.
  Operation *spoiledBy = nullptr;
  /// Copies, by number, whose other side was written to.
  SmallVector<unsigned> unsettled;
};

struct View {
  Base *base = nullptr;
  /// The value this one was made from by `step` of `call`; null for the base.
  Value source;
  aten::CallOp call;
  unsigned result = 0;
  ViewStep step;
  Value current;
  unsigned version = 0;
};

class Functionalizer {
public:
  /// With `obstacles`, what cannot be written out is noted there and passed
  /// over; without, it is an error.
  Functionalizer(func::FuncOp func, aten::Obstacles *obstacles)
      : func(func), builder(func.getContext()),
        ranges(hr::getTracedRanges(func)), obstacles(obstacles) {}

  LogicalResult run();

  /// Weights written to, with the location of the first write.
  llvm::MapVector<StringAttr, Location> writtenWeights;

private:
  LogicalResult visitOrNote(Operation *op);
  LogicalResult visit(Operation *op);
  LogicalResult visitCall(aten::CallOp call);
  LogicalResult visitWrite(aten::CallOp call, const aten::Schema &schema);
  LogicalResult finish(func::ReturnOp op);

  Base *newBase(Value value);
  FailureOr<Value> read(Value value, Operation *user);
  LogicalResult refreshOperands(Operation *op);
  LogicalResult write(Value target, Value newValue, Operation *writer);
  /// Where eager makes no copy, what is written to one base is seen in the other:
  /// a requirement of the call, if anybody looks.
  void noteCopies(Base *written);
  void requireCopies(Base *seen);
  FailureOr<Value> compute(aten::CallOp call, const aten::Schema &schema,
                           unsigned writtenArg);

  func::FuncOp func;
  OpBuilder builder;
  SymbolRanges ranges;
  aten::Obstacles *obstacles;
  std::vector<std::unique_ptr<Base>> bases;
  llvm::DenseMap<Value, View> views;
  /// A copy that eager does not make for some sizes, and the sizes.
  struct Copied {
    Base *from, *to;
    SizeExpr aliasesIf;
    aten::CallOp call;
  };
  SmallVector<Copied> copies;
  llvm::SetVector<Attribute> required;
  llvm::MapVector<StringAttr, Base *> weights;
  /// Views already taken, by what they are taken from and how: `x[1:2] += 1`
  /// takes the same view twice.
  llvm::DenseMap<std::tuple<Value, Attribute, Attribute, unsigned>, Value>
      takenViews;
};

class FunctionalizePass
    : public headrace::impl::FunctionalizePassBase<FunctionalizePass> {
  using FunctionalizePassBase::FunctionalizePassBase;
  void runOnOperation() override;
};
} // namespace

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

Base *Functionalizer::newBase(Value value) {
  bases.push_back(std::make_unique<Base>());
  Base *base = bases.back().get();
  base->current = value;
  View &view = views[value];
  view.base = base;
  view.current = value;
  return base;
}

/// The present value of a tensor of the program as exported.
FailureOr<Value> Functionalizer::read(Value value, Operation *user) {
  auto found = views.find(value);
  if (found == views.end())
    return value;
  Base *base = found->second.base;
  requireCopies(base);
  if (base->spoiledBy)
    return user->emitError("reads a tensor that '")
           << aten::getNodeName(base->spoiledBy->getLoc())
           << "' may have written to: whether the two share storage cannot be "
              "decided";
  // Up to the nearest view that is up to date, then down again.
  SmallVector<Value> stale;
  Value at = value;
  while (true) {
    View &view = views[at];
    if (view.version == base->version || !view.source)
      break;
    stale.push_back(at);
    at = view.source;
  }
  View &top = views[at];
  if (top.version != base->version) {
    top.current = base->current;
    top.version = base->version;
  }
  Value current = top.current;
  for (Value next : llvm::reverse(stale)) {
    View &view = views[next];
    if (view.step.kind != Kind::Identity) {
      // The same call on the new value; only the aliased operand differs.
      Operation *copy = builder.clone(*view.call.getOperation());
      for (OpOperand &operand : copy->getOpOperands()) {
        if (operand.get() == view.source)
          operand.set(current);
        // `view_as` and the like take another tensor for its shape alone, so
        // that any version of it will do.
        else if (auto it = views.find(operand.get()); it != views.end())
          operand.set(it->second.current);
      }
      current = copy->getResult(view.result);
    }
    view.current = current;
    view.version = base->version;
  }
  return current;
}

LogicalResult Functionalizer::refreshOperands(Operation *op) {
  for (OpOperand &operand : op->getOpOperands()) {
    FailureOr<Value> value = read(operand.get(), op);
    if (failed(value))
      return failure();
    operand.set(*value);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

void Functionalizer::noteCopies(Base *written) {
  for (auto [i, copy] : llvm::enumerate(copies)) {
    if (copy.from != written && copy.to != written)
      continue;
    Base *other = copy.from == written ? copy.to : copy.from;
    other->unsettled.push_back(i);
    // The caller sees these.
    if (other->argument || other->weight)
      requireCopies(other);
  }
}

void Functionalizer::requireCopies(Base *seen) {
  for (unsigned i : seen->unsettled) {
    Copied &copy = copies[i];
    SizeExpr isCopy = condition::negation(copy.aliasesIf);
    if (!condition::holds(isCopy, hr::getSymbolRanges(func)))
      required.insert(hr::RequirementAttr::get(
          func.getContext(), isCopy.str(),
          ("a layout that '" + copy.call.getCallee() + "' has to copy").str(),
          aten::describeUser(copy.call.getLoc())));
  }
  seen->unsettled.clear();
}

LogicalResult Functionalizer::write(Value target, Value newValue,
                                    Operation *writer) {
  Location loc = writer->getLoc();
  // Writing what is there already: the second half of `x[i] += 1`.
  FailureOr<Value> present = read(target, writer);
  if (failed(present))
    return failure();
  if (*present == newValue)
    return success();
  // The views from the target up to its base.
  SmallVector<Value> path;
  for (Value at = target; at; at = views[at].source)
    path.push_back(at);
  Base *base = views[target].base;

  SmallVector<Value> written{newValue};
  Value value = newValue;
  for (size_t i = 0; i + 1 < path.size();) {
    View &view = views[path[i]];
    switch (view.step.kind) {
    case Kind::Identity:
      written.push_back(value);
      ++i;
      continue;
    case Kind::Reshape: {
      SmallVector<SizeExpr> dims = aten::getDims(path[i + 1].getType());
      Type elementType =
          cast<RankedTensorType>(value.getType()).getElementType();
      value = hr::ReshapeOp::create(
          builder, loc, aten::getTensorType(dims, elementType), value,
          hr::getSizeArrayAttr(builder.getContext(), dims));
      written.push_back(value);
      ++i;
      continue;
    }
    case Kind::Strided: {
      // Strided steps in a row are one update.
      ViewStep step = view.step;
      size_t last = i + 1;
      while (last + 1 < path.size() &&
             (views[path[last]].step.kind == Kind::Strided ||
              views[path[last]].step.kind == Kind::Identity)) {
        if (views[path[last]].step.kind == Kind::Strided)
          step = views[path[last]].step.then(step);
        ++last;
      }
      SmallVector<SizeExpr> dims = aten::getDims(path[i].getType());
      if (!step.isInjective(dims))
        return writer->emitError("writes to a view whose elements overlap, "
                                 "which is not supported");
      FailureOr<Value> source = read(path[last], writer);
      if (failed(source))
        return failure();
      // The elements in between are read again from the updated source.
      written.append(last - i - 1, Value());
      value = hr::UpdateOp::create(
          builder, loc, source->getType(), *source, value,
          hr::getSizeArrayAttr(builder.getContext(), step.offsets),
          AffineMapAttr::get(
              step.getMap(builder.getContext(), dims.size())));
      written.push_back(value);
      i = last;
      continue;
    }
    case Kind::Copy:
    case Kind::Opaque:
    case Kind::Unknown:
      break;
    }
    return writer->emitError("writes through '")
           << (view.call ? view.call.getCallee() : StringRef("a view"))
           << "', which is not supported";
  }

  noteCopies(base);
  base->current = value;
  ++base->version;
  for (auto [view, current] : llvm::zip_equal(path, written)) {
    if (!current)
      continue;
    views[view].current = current;
    views[view].version = base->version;
  }
  for (auto [suspect, cause] : base->suspects)
    suspect->spoiledBy = writer;
  if (base->weight)
    writtenWeights.insert({base->weight, loc});
  return success();
}

/// The functional schema of a writing one: `add_.Tensor` -> `add.Tensor`, or
/// for `add.out` the overload with the same arguments but `out`.
static const aten::Schema *findFunctional(const aten::Schema &schema,
                                          unsigned writtenArg) {
  auto takesSameArgs = [&](const aten::Schema *other, bool withoutWritten) {
    if (!other || other->isMutating() || other->results.size() != 1 ||
        !other->results[0].isTensor())
      return false;
    size_t next = 0;
    for (auto [i, arg] : llvm::enumerate(schema.args)) {
      if (withoutWritten && i == writtenArg)
        continue;
      // What is written has another name in some (`dropout`).
      if (next >= other->args.size() ||
          (other->args[next].name != arg.name && i != writtenArg))
        return false;
      ++next;
    }
    // What the functional form has beyond that must have a default.
    for (; next < other->args.size(); ++next)
      if (!other->args[next].defaultText)
        return false;
    return true;
  };
  std::string base = schema.getBaseName().str();
  std::string overload = schema.getOverload().str();
  if (StringRef(base).ends_with("_") && !StringRef(base).ends_with("__")) {
    base.pop_back();
    // A few (`floor_divide_.Tensor`) call the same overload `default`.
    for (const std::string &candidate : {overload, std::string("default")}) {
      const aten::Schema *other = aten::lookupSchema(base + "." + candidate);
      if (takesSameArgs(other, /*withoutWritten=*/false))
        return other;
    }
    return nullptr;
  }
  // `__iadd__` -> `__add__`.
  if (StringRef(base).contains(".__i")) {
    base.replace(base.find(".__i"), 4, ".__");
    const aten::Schema *other = aten::lookupSchema(base + "." + overload);
    return takesSameArgs(other, false) ? other : nullptr;
  }
  SmallVector<std::string> candidates{"default"};
  StringRef stem = overload;
  if (stem.consume_back("_out") || stem.consume_back("out"))
    if (!stem.empty())
      candidates.insert(candidates.begin(), stem.str());
  for (const char *usual :
       {"Tensor", "Scalar", "self", "dim_IntList", "dim", "int", "Tensor_Scalar",
        "Tensor_Tensor", "start", "start_step"})
    candidates.push_back(usual);
  for (const std::string &candidate : candidates) {
    const aten::Schema *other = aten::lookupSchema(base + "." + candidate);
    if (takesSameArgs(other, /*withoutWritten=*/true))
      return other;
  }
  return nullptr;
}

/// The value that a writing operator gives the tensor it writes to.
FailureOr<Value> Functionalizer::compute(aten::CallOp call,
                                         const aten::Schema &schema,
                                         unsigned writtenArg) {
  Location loc = call.getLoc();
  StringRef name = schema.getBaseName();
  Value target = call.getTensor(schema.args[writtenArg].name);
  Type targetType = target.getType();
  Type elementType = cast<RankedTensorType>(targetType).getElementType();
  MLIRContext *context = builder.getContext();
  SmallVector<SizeExpr> dims = aten::getDims(targetType);

  if (name == "aten.copy_") {
    FailureOr<Value> source = read(call.getTensor("src"), call);
    if (failed(source))
      return failure();
    return aten::createCopyOf(builder, loc, *source, targetType);
  }
  if (name == "aten.fill_" && call.getTensor("value")) {
    FailureOr<Value> source = read(call.getTensor("value"), call);
    if (failed(source))
      return failure();
    return aten::createCopyOf(builder, loc, *source, targetType);
  }
  if (name == "aten.zero_" || name == "aten.fill_") {
    Attribute value = name == "aten.zero_" ? Attribute(builder.getI64IntegerAttr(0))
                                           : call.getArg("value");
    FailureOr<Value> current = read(target, call);
    if (failed(current))
      return failure();
    Attribute none = aten::NoneAttr::get(context);
    return aten::CallOp::create(
               builder, loc, TypeRange(aten::getTensorType(dims, elementType)),
               "aten.full_like.default",
               ArrayRef<aten::CallArg>{*current, value, none, none, none, none,
                                       none})
        .getResult(0);
  }

  const aten::Schema *functional = findFunctional(schema, writtenArg);
  if (!functional)
    return call.emitError("operator '")
           << call.getCallee()
           << "' writes in place and has no functional form";
  // `add_` and `__iadd__` take the arguments of `add`; what an `out` form
  // writes to is none of the functional form's.
  bool isOut = !schema.getBaseName().ends_with("_");
  SmallVector<Value> inputs;
  SmallVector<Attribute> args;
  std::function<FailureOr<Attribute>(Attribute)> convert =
      [&](Attribute attr) -> FailureOr<Attribute> {
    if (auto value = dyn_cast<aten::ValueAttr>(attr)) {
      FailureOr<Value> current = read(call.getInputs()[value.getIndex()], call);
      if (failed(current))
        return failure();
      inputs.push_back(*current);
      return Attribute(aten::ValueAttr::get(context, inputs.size() - 1));
    }
    auto list = dyn_cast<ArrayAttr>(attr);
    if (!list)
      return attr;
    SmallVector<Attribute> elements;
    for (Attribute element : list) {
      FailureOr<Attribute> converted = convert(element);
      if (failed(converted))
        return failure();
      elements.push_back(*converted);
    }
    return Attribute(builder.getArrayAttr(elements));
  };
  for (auto [i, arg] : llvm::enumerate(functional->args)) {
    bool isWritten = !isOut && i == writtenArg;
    Attribute attr =
        call.getArg(isWritten ? schema.args[writtenArg].name : arg.name);
    // For `out`, the dtype asked for is that of the tensor written to.
    if (!attr && arg.name == "dtype")
      attr = TypeAttr::get(elementType);
    if (!attr)
      attr = aten::getDefaultValue(context, arg);
    FailureOr<Attribute> converted = convert(attr);
    if (failed(converted))
      return failure();
    args.push_back(*converted);
  }
  Type computed =
      isOut ? elementType : aten::getComputedType(call, elementType);
  auto result = aten::CallOp::create(
      builder, loc, TypeRange(aten::getTensorType(dims, computed)),
      builder.getStringAttr(functional->name), inputs,
      builder.getArrayAttr(args));
  return aten::createCopyOf(builder, loc, result.getResult(0), targetType);
}

LogicalResult Functionalizer::visitWrite(aten::CallOp call,
                                         const aten::Schema &schema) {
  SmallVector<unsigned> writtenArgs;
  for (auto [i, arg] : llvm::enumerate(schema.args))
    if (arg.type.isWritten)
      writtenArgs.push_back(i);
  StringRef name = schema.getBaseName();
  // Changes what the user may do with the tensor, not its elements.
  if (name == "aten.detach_" || name == "aten.requires_grad_") {
    Value self = call.getTensor("self");
    View source = views[self];
    View &view = views[call.getResult(0)];
    view = View{source.base, self, call, 0, {}, source.current, source.version};
    view.step.kind = Kind::Identity;
    return success();
  }
  bool changesShape =
      llvm::StringSwitch<bool>(name)
          .Cases({"aten.resize_", "aten.resize_as_", "aten.set_",
                  "aten.squeeze_", "aten.unsqueeze_", "aten.transpose_",
                  "aten.t_", "aten.as_strided_", "aten.swapaxes_",
                  "aten.swapdims_"},
                 true)
          .Default(false);
  if (changesShape)
    return call.emitError("operator '")
           << call.getCallee()
           << "' changes the shape of a tensor in place, which is not "
              "supported";
  if (writtenArgs.size() != 1 ||
      !schema.args[writtenArgs.front()].type.isTensor() ||
      schema.results.size() > 1)
    return call.emitError("operator '")
           << call.getCallee()
           << "' writes to several tensors, which is not supported";

  Value target = call.getTensor(schema.args[writtenArgs.front()].name);
  if (!target)
    return call.emitError("operator '")
           << call.getCallee() << "' writes to what is not a tensor";
  FailureOr<Value> value = compute(call, schema, writtenArgs.front());
  if (failed(value) || failed(write(target, *value, call)))
    return failure();
  // The result is the tensor written to.
  if (call.getNumResults() == 1) {
    View written = views[target];
    View &view = views[call.getResult(0)];
    view = View{written.base,    target, call, 0, {}, written.current,
                written.version};
    view.step.kind = Kind::Identity;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Ops in order
//===----------------------------------------------------------------------===//

LogicalResult Functionalizer::visitCall(aten::CallOp call) {
  builder.setInsertionPoint(call);
  const aten::Schema *schema = call.getSchema();
  if (schema->isMutating())
    return visitWrite(call, *schema);
  // Their schemas do not say that they update the running statistics.
  StringRef name = schema->getBaseName();
  bool updatesStatistics =
      (name == "aten.batch_norm" && call.getBool("training") != false) ||
      (name == "aten.instance_norm" &&
       call.getBool("use_input_stats") != false);
  if (updatesStatistics && call.getTensor("running_mean"))
    return call.emitError("operator '")
           << call.getCallee()
           << "' updates its running statistics, which is not supported; "
              "export the module in eval mode";

  // Classified before the operands are brought up to date.
  SmallVector<std::pair<Value, ViewStep>> steps;
  for (unsigned i = 0; i < call.getNumResults(); ++i) {
    Value source;
    ViewStep step = getViewStep(call, i, ranges, source);
    steps.emplace_back(source, std::move(step));
  }
  SmallVector<Base *> operandBases;
  for (Value input : call.getInputs())
    if (auto it = views.find(input); it != views.end())
      operandBases.push_back(it->second.base);

  // A view keeps the call as exported, for reading it again; what is used is a
  // copy on the present values if that differs.
  aten::CallOp present = call;
  SmallVector<Value> operands;
  bool isStale = false;
  for (Value input : call.getInputs()) {
    FailureOr<Value> value = read(input, call);
    if (failed(value))
      return failure();
    isStale |= *value != input;
    operands.push_back(*value);
  }
  bool isView = llvm::any_of(
      steps, [](const auto &entry) { return entry.first != nullptr; });
  if (isStale && !isView) {
    call->setOperands(operands);
  } else if (isStale) {
    present = cast<aten::CallOp>(builder.clone(*call.getOperation()));
    present->setOperands(operands);
  }
  for (auto [i, entry] : llvm::enumerate(steps)) {
    auto &[source, step] = entry;
    Value result = call.getResult(i);
    if (!isa<RankedTensorType>(result.getType()))
      continue;
    if (!source || step.kind == Kind::Copy || step.kind == Kind::Unknown) {
      Base *base = newBase(result);
      base->current = present.getResult(i);
      views[result].current = base->current;
      if (source && step.aliasesIf)
        copies.push_back({views[source].base, base, *step.aliasesIf, call});
      if (step.kind == Kind::Unknown)
        for (Base *operand : operandBases) {
          operand->suspects.emplace_back(base, call);
          base->suspects.emplace_back(operand, call);
        }
      continue;
    }
    Base *base = views[source].base;
    if (call.getInputs().size() == 1) {
      Value origin = source;
      while (views[origin].source && views[origin].step.kind == Kind::Identity)
        origin = views[origin].source;
      auto [taken, isNew] = takenViews.try_emplace(
          {origin, call.getCalleeAttr(), call.getArgs(),
           static_cast<unsigned>(i)},
          result);
      if (!isNew) {
        FailureOr<Value> same = read(taken->second, call);
        if (failed(same))
          return failure();
        source = taken->second;
        step = ViewStep();
        step.kind = Kind::Identity;
        views[result] = View{base, source, call, static_cast<unsigned>(i),
                             step, *same, base->version};
        continue;
      }
    }
    views[result] = View{base, source, call, static_cast<unsigned>(i), step,
                         present.getResult(i), base->version};
  }
  return success();
}

LogicalResult Functionalizer::visit(Operation *op) {
  if (auto call = dyn_cast<aten::CallOp>(op))
    return visitCall(call);
  builder.setInsertionPoint(op);
  if (auto call = dyn_cast<aten::RegionCallOp>(op)) {
    WalkResult walk = op->walk([&](aten::CallOp inner) {
      if (!inner.getSchema()->isMutating())
        return WalkResult::advance();
      inner.emitError("operator '")
          << inner.getCallee() << "' writes in place inside '"
          << call.getCallee() << "', which is not supported";
      return WalkResult::interrupt();
    });
    if (walk.wasInterrupted())
      return failure();
  }
  if (auto returnOp = dyn_cast<func::ReturnOp>(op))
    return finish(returnOp);

  // A weight or state is one base, however often it is read.
  ArrayAttr symbols;
  if (auto constant = dyn_cast<hr::ConstantOp>(op))
    symbols = constant.getWeights();
  else if (auto read = dyn_cast<hr::ReadStateOp>(op))
    symbols = read.getStates();
  if (symbols && symbols.size() == 1) {
    StringAttr name = cast<FlatSymbolRefAttr>(symbols[0]).getAttr();
    Base *&base = weights[name];
    if (!base) {
      base = newBase(op->getResult(0));
      base->weight = name;
      return success();
    }
    views[op->getResult(0)] =
        View{base, Value(), {}, 0, {}, base->current, base->version};
    return success();
  }

  if (failed(refreshOperands(op)))
    return failure();
  for (Value result : op->getResults())
    if (isa<RankedTensorType>(result.getType()))
      newBase(result);
  return success();
}

LogicalResult Functionalizer::finish(func::ReturnOp op) {
  SmallVector<Value> results;
  for (Value operand : op.getOperands()) {
    FailureOr<Value> value = read(operand, op);
    if (failed(value))
      return failure();
    results.push_back(*value);
  }
  // Arguments written to.
  for (BlockArgument arg : func.getArguments()) {
    auto it = views.find(arg);
    if (it == views.end() || it->second.base->version == 0)
      continue;
    unsigned number = arg.getArgNumber();
    FailureOr<Value> value = read(arg, op);
    if (failed(value))
      return failure();
    StringAttr name = func.getArgAttrOfType<StringAttr>(number, "hr.name");
    (void)func.insertResult(
        func.getNumResults(), value->getType(),
        builder.getDictionaryAttr(
            {builder.getNamedAttr("hr.mutates",
                                  builder.getI64IntegerAttr(number)),
             builder.getNamedAttr("hr.name",
                                  name ? name : builder.getStringAttr("")),
             builder.getNamedAttr(
                 "hr.dims", hr::getSizeArrayAttr(
                                builder.getContext(),
                                aten::getDims(arg.getType())))}));
    results.push_back(*value);
  }
  // Weights written to; they become states when all entries are done.
  for (auto &[name, base] : weights) {
    if (base->version == 0)
      continue;
    for (auto write : func.getOps<hr::WriteStateOp>())
      if (cast<FlatSymbolRefAttr>(write.getStates()[0]).getAttr() == name)
        return write.emitError("buffer '")
               << name.getValue() << "' is also written to in place";
    auto type = cast<RankedTensorType>(base->current.getType());
    Value value = base->current;
    if (type.getEncoding()) {
      SmallVector<SizeExpr> dims = aten::getDims(type);
      value = hr::ReshapeOp::create(
          builder, writtenWeights.find(name)->second, aten::dropLayout(type),
          value, hr::getSizeArrayAttr(builder.getContext(), dims));
    }
    hr::WriteStateOp::create(
        builder, writtenWeights.find(name)->second, value,
        builder.getArrayAttr(FlatSymbolRefAttr::get(name)), Value());
  }
  op->setOperands(results);
  func.setType(builder.getFunctionType(
      func.getArgumentTypes(), llvm::to_vector(ValueRange(results).getTypes())));
  return success();
}

/// A call that cannot be written out gives values of nowhere, so that the walk
/// finds the others.
LogicalResult Functionalizer::visitOrNote(Operation *op) {
  if (!obstacles)
    return visit(op);
  bool isNoted = false;
  ScopedDiagnosticHandler handler(op->getContext(), [&](Diagnostic &error) {
    if (error.getSeverity() != DiagnosticSeverity::Error)
      return failure();
    obstacles->add("", error.str(), error.getLocation());
    isNoted = true;
    return success();
  });
  if (succeeded(visit(op)))
    return success();
  if (!isNoted)
    return failure();
  if (op->getNumResults() == 0)
    return success();
  // What it takes stays in use: more may stand in the way there.
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    if (auto it = views.find(operand); it != views.end())
      operands.push_back(it->second.current);
  builder.setInsertionPoint(op);
  auto standIn = UnrealizedConversionCastOp::create(
      builder, op->getLoc(), op->getResultTypes(), operands);
  op->replaceAllUsesWith(standIn.getResults());
  for (Value result : standIn.getResults())
    if (isa<RankedTensorType>(result.getType()))
      newBase(result);
  return success();
}

LogicalResult Functionalizer::run() {
  for (BlockArgument arg : func.getArguments())
    if (isa<RankedTensorType>(arg.getType()))
      newBase(arg)->argument = arg.getArgNumber();
  SmallVector<Operation *> ops = llvm::map_to_vector(
      func.front(), [](Operation &op) { return &op; });
  for (Operation *op : ops)
    if (failed(visitOrNote(op)))
      return failure();
  if (!required.empty()) {
    if (auto present = func->getAttrOfType<ArrayAttr>("hr.requires"))
      required.insert(present.begin(), present.end());
    func->setAttr("hr.requires", ArrayAttr::get(func.getContext(),
                                                required.getArrayRef()));
  }
  // Now nothing that stays uses a writing call or an outdated view.
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(func.front()))) {
    auto call = dyn_cast<aten::CallOp>(op);
    bool isReplaced = call && call->use_empty() && call.getSchema() &&
                      call.getSchema()->isMutating();
    if (isReplaced || (op.use_empty() && isOpTriviallyDead(&op)))
      op.erase();
  }
  return success();
}

/// What is a view, and of what, is taken from the calls' types. A program that
/// was read was compared already; text may say anything.
static LogicalResult verifyCalls(func::FuncOp func) {
  SymbolRanges ranges = hr::getSymbolRanges(func);
  bool writes = false;
  func.walk([&](aten::CallOp call) {
    writes |= call.getSchema() && call.getSchema()->isMutating();
  });
  WalkResult walk = func.walk([&](aten::CallOp call) {
    if (failed(aten::verifyResultTypes(call, ranges,
                                       [](const SizeExpr &) {})))
      return WalkResult::interrupt();
    return WalkResult(writes ? verifyStrides(call, ranges) : success());
  });
  return failure(walk.wasInterrupted());
}

void FunctionalizePass::runOnOperation() {
  ModuleOp module = getOperation();
  aten::Obstacles obstacles;
  if (leaveObstacles)
    obstacles.take(module);
  llvm::MapVector<StringAttr, Location> written;
  for (auto func : module.getOps<func::FuncOp>()) {
    if (func.isExternal())
      continue;
    if (!llvm::hasSingleElement(func.getBody())) {
      func.emitError("expected one block but got ")
          << func.getBody().getBlocks().size();
      return signalPassFailure();
    }
    if (failed(verifyCalls(func)))
      return signalPassFailure();
    Functionalizer functionalizer(func, leaveObstacles ? &obstacles : nullptr);
    if (failed(functionalizer.run()))
      return signalPassFailure();
    for (auto &[name, loc] : functionalizer.writtenWeights)
      written.insert({name, loc});
  }
  for (auto &[name, loc] : written)
    if (failed(makeStates(module, name.getValue(), loc)))
      return signalPassFailure();
  obstacles.leave(module);
}
