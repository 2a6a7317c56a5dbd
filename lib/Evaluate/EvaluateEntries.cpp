//===- EvaluateEntries.cpp - Runs the entries, for tests ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// hr-evaluate-entries: what a program computes, to compare it before and after
// a pass.
//
//===----------------------------------------------------------------------===//

#include "EvaluateBody.h"
#include "RandomTensor.h"
#include "headrace/Evaluate/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/Support/Format.h"
#include <cmath>

using namespace mlir;
using namespace headrace;

namespace headrace {
#define GEN_PASS_DEF_EVALUATEENTRIESPASS
#include "headrace/Evaluate/Passes.h.inc"
} // namespace headrace

static double readElement(const HostTensor &tensor, int64_t n) {
  evaluate::Cell cell;
  evaluate::load(tensor.elementType,
                 tensor.bytes.data() +
                     n * getElementBytes(tensor.elementType),
                 0, 1, &cell);
  if (tensor.elementType.isF64())
    return cell.d;
  return isa<FloatType>(tensor.elementType) ? cell.f
                                            : static_cast<double>(cell.i);
}

namespace {
/// What one entry gave: its results, then the states in order of their names.
struct Outcome {
  std::vector<std::pair<std::string, HostTensor>> tensors;
};

struct EvaluateEntries
    : headrace::impl::EvaluateEntriesPassBase<EvaluateEntries> {
  using EvaluateEntriesPassBase::EvaluateEntriesPassBase;

  void getDependentDialects(DialectRegistry &registry) const override {
    if (compare.empty())
      return;
    OpPassManager pipeline(ModuleOp::getOperationName());
    if (succeeded(parsePassPipeline(compare, pipeline, llvm::nulls())))
      pipeline.getDependentDialects(registry);
  }

  FailureOr<Outcome> runEntry(func::FuncOp entry) {
    SymbolBindings bindings;
    SymbolRanges ranges = hr::getSymbolRanges(entry);
    int64_t position = 0;
    for (StringRef name : hr::getSymbolNames(entry)) {
      Interval range = ranges.lookup(name);
      bindings[name] =
          std::max(range.min, std::min(range.max, symbol + position++));
    }
    SmallVector<HostTensor> arguments;
    for (BlockArgument argument : entry.getArguments()) {
      FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(argument);
      if (failed(dims))
        return entry.emitError("an argument's dimensions are not known");
      SmallVector<int64_t> shape;
      for (const SizeExpr &dim : *dims)
        shape.push_back(dim.evaluate(bindings).value_or(0));
      std::string seed =
          ("argument " + Twine(argument.getArgNumber())).str();
      arguments.push_back(
          makeRandomTensor(cast<RankedTensorType>(argument.getType()), shape,
                           seed, integers));
    }
    WeightStore &store =
        getContext().getOrLoadDialect<hr::HRDialect>()->getWeights();
    Evaluator evaluator(store, bindings, /*hostMath=*/true);
    FailureOr<SmallVector<HostTensor>> results =
        evaluator.run(entry, arguments);
    if (failed(results))
      return entry.emitError("cannot be evaluated: ") << evaluator.getError();
    Outcome outcome;
    for (auto [n, tensor] : llvm::enumerate(*results))
      outcome.tensors.emplace_back(
          (entry.getSymName() + " result " + Twine(n)).str(), tensor);
    SmallVector<StringRef> names;
    for (auto &state : evaluator.states)
      names.push_back(state.getKey());
    llvm::sort(names);
    for (StringRef name : names)
      outcome.tensors.emplace_back(
          (entry.getSymName() + " state " + name).str(),
          evaluator.states[name]);
    return outcome;
  }

  void print(const Outcome &outcome) {
    for (auto &[name, tensor] : outcome.tensors) {
      double sum = 0, magnitude = 0;
      int64_t count = tensor.getNumElements();
      for (int64_t n = 0; n < count; ++n) {
        sum += readElement(tensor, n);
        magnitude += std::fabs(readElement(tensor, n));
      }
      llvm::outs() << name << ": shape";
      for (int64_t size : tensor.shape)
        llvm::outs() << " " << size;
      llvm::outs() << llvm::format(" sum %.5g magnitude %.5g first", sum,
                                   magnitude);
      for (int64_t n = 0; n < std::min<int64_t>(count, 8); ++n)
        llvm::outs() << llvm::format(" %.5g", readElement(tensor, n));
      llvm::outs() << "\n";
    }
  }

  LogicalResult compareOutcomes(func::FuncOp entry, const Outcome &expected,
                                const Outcome &actual) {
    if (expected.tensors.size() != actual.tensors.size())
      return entry.emitError("expected ")
             << expected.tensors.size() << " results but got "
             << actual.tensors.size();
    for (auto [a, b] : llvm::zip(expected.tensors, actual.tensors)) {
      if (a.first != b.first || a.second.shape != b.second.shape)
        return entry.emitError("expected the shape of ")
               << a.first << " to stay";
      double scale = 0, worst = 0;
      int64_t at = -1;
      for (int64_t n = 0, e = a.second.getNumElements(); n < e; ++n) {
        double x = readElement(a.second, n), y = readElement(b.second, n);
        if (std::isfinite(x))
          scale = std::max(scale, std::fabs(x));
        double difference = x == y || (std::isnan(x) && std::isnan(y))
                                ? 0
                                : std::fabs(x - y);
        if (!(difference <= worst)) {
          worst = difference;
          at = n;
        }
      }
      bool exact = !isa<FloatType>(a.second.elementType);
      if (!(worst <= (exact ? 0 : tolerance * scale)))
        return entry.emitError("")
               << a.first << " differs at element " << at << ": expected "
               << readElement(a.second, at) << " but got "
               << readElement(b.second, at);
    }
    return success();
  }

  void runOnOperation() override {
    std::vector<std::pair<std::string, Outcome>> outcomes;
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (!hr::isEntry(func))
        continue;
      FailureOr<Outcome> outcome = runEntry(func);
      if (failed(outcome))
        return signalPassFailure();
      outcomes.emplace_back(func.getSymName().str(), *outcome);
      if (compare.empty())
        print(*outcome);
    }
    if (compare.empty())
      return;
    OpPassManager pipeline(ModuleOp::getOperationName());
    if (failed(parsePassPipeline(compare, pipeline)) ||
        failed(runPipeline(pipeline, getOperation())))
      return signalPassFailure();
    for (auto &[name, expected] : outcomes) {
      auto func = getOperation().lookupSymbol<func::FuncOp>(name);
      FailureOr<Outcome> actual = runEntry(func);
      if (failed(actual) || failed(compareOutcomes(func, expected, *actual)))
        return signalPassFailure();
    }
  }
};
} // namespace
