//===- Requirements.cpp - What a conversion takes for given of sizes ------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Requirements.h"
#include "headrace/Dialect/Aten/Aten.h"
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Support/SizeCondition.h"
#include "mlir/Analysis/FlatLinearValueConstraints.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::conversion;

Requirements::Requirements(func::FuncOp entry)
    : entry(entry), ranges(hr::getSymbolRanges(entry)),
      traced(hr::getTracedRanges(entry)), names(entry) {
  if (auto required = entry->getAttrOfType<ArrayAttr>("hr.requires"))
    for (auto requirement : required.getAsRange<hr::RequirementAttr>())
      found.insert({StringAttr::get(entry.getContext(),
                                    requirement.getCondition()),
                    requirement});
}

void Requirements::require(const SizeExpr &condition, const Twine &text,
                           Location loc) {
  if (condition::holds(condition, ranges))
    return;
  MLIRContext *context = entry.getContext();
  std::string canonical = condition.str();
  auto key = StringAttr::get(context, canonical);
  if (found.contains(key))
    return;
  found.insert({key, hr::RequirementAttr::get(context, canonical, text.str(),
                                              aten::describeUser(loc))});
}

bool Requirements::assumeAtMost(const SizeExpr &lhs, const SizeExpr &rhs,
                                Location loc) {
  if (lhs.isLessEqual(rhs, ranges))
    return true;
  if (!lhs.isLessEqual(rhs, traced))
    return false;
  requireAtMost(lhs, rhs, loc);
  return true;
}

void Requirements::requireEqual(const SizeExpr &lhs, const SizeExpr &rhs,
                                Location loc) {
  if (lhs == rhs)
    return;
  require(condition::equal(lhs, rhs),
          names.str(lhs) + " == " + names.str(rhs), loc);
}

void Requirements::requireAtMost(const SizeExpr &lhs, const SizeExpr &rhs,
                                 Location loc) {
  // Terms on the side where they are positive, a constant on the right.
  auto [more, less] = (rhs - lhs).splitSigns();
  require(condition::atMost(lhs, rhs),
          less.isConstant() ? names.str(more) + " >= " + names.str(less)
                            : names.str(less) + " <= " + names.str(more),
          loc);
}

//===----------------------------------------------------------------------===//
// Of ops
//===----------------------------------------------------------------------===//

/// The least and the largest value of a linear expression of loops, plus
/// `offset`; nothing if it is not linear. The loops have iterations.
static std::optional<std::pair<SizeExpr, SizeExpr>>
getExtremes(AffineExpr expr, ArrayRef<SizeExpr> loops, const SizeExpr &offset) {
  SmallVector<int64_t> flattened;
  if (failed(getFlattenedAffineExpr(expr, loops.size(), 0, &flattened)) ||
      flattened.size() != loops.size() + 1)
    return std::nullopt;
  SizeExpr least = offset + SizeExpr(flattened.back()), largest = least;
  for (auto [loop, coefficient] : llvm::zip(loops, flattened)) {
    SizeExpr reach = (loop - SizeExpr(1)) * SizeExpr(coefficient);
    if (coefficient > 0)
      largest = largest + reach;
    else
      least = least + reach;
  }
  return std::pair(least, largest);
}

void Requirements::addView(ArrayAttr offsets, AffineMap map,
                           ArrayRef<SizeExpr> region,
                           ArrayRef<SizeExpr> source, Location loc) {
  // Where there is nothing to access, nothing is out of bounds.
  std::optional<SizeExpr> isEmpty;
  for (const SizeExpr &size : region) {
    if (size.bounds(ranges).min > 0)
      continue;
    SizeExpr none = condition::atMost(size, SizeExpr(0));
    isEmpty = isEmpty ? condition::either(*isEmpty, none) : none;
  }
  for (auto [expr, offset, size] :
       llvm::zip_equal(map.getResults(), hr::getSizes(offsets), source)) {
    auto extremes = getExtremes(expr, region, offset);
    if (!extremes)
      continue;
    const auto &[least, largest] = *extremes;
    auto add = [&](const SizeExpr &lhs, const SizeExpr &rhs) {
      SizeExpr condition = condition::atMost(lhs, rhs);
      if (condition::holds(condition, ranges))
        return;
      if (isEmpty)
        require(condition::either(condition, *isEmpty),
                names.str(lhs) + " <= " + names.str(rhs), loc);
      else
        requireAtMost(lhs, rhs, loc);
    };
    add(SizeExpr(0), least);
    add(largest + SizeExpr(1), size);
  }
}

void Requirements::addOperand(AffineMap map, ArrayRef<SizeExpr> loops,
                              ArrayRef<SizeExpr> operand, Location loc) {
  for (auto [expr, size] : llvm::zip_equal(map.getResults(), operand)) {
    if (auto loop = dyn_cast<AffineDimExpr>(expr)) {
      requireEqual(loops[loop.getPosition()], size, loc);
      continue;
    }
    addView(hr::getSizeArrayAttr(entry.getContext(), {SizeExpr(0)}),
            AffineMap::get(loops.size(), 0, expr), loops, size, loc);
  }
}

/// The sizes of the loops of a structured op, from the operands that have them
/// as dimensions.
static SmallVector<SizeExpr> getLoops(linalg::LinalgOp op) {
  SmallVector<SizeExpr> loops(op.getNumLoops(), SizeExpr(0));
  llvm::SmallBitVector known(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands()) {
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(operand.get());
    if (failed(dims))
      continue;
    for (auto [expr, size] : llvm::zip_equal(
             op.getMatchingIndexingMap(&operand).getResults(), *dims))
      if (auto loop = dyn_cast<AffineDimExpr>(expr);
          loop && !known.test(loop.getPosition())) {
        known.set(loop.getPosition());
        loops[loop.getPosition()] = size;
      }
  }
  return loops;
}

template <typename Op>
void Requirements::addAccesses(Op op, ArrayRef<SizeExpr> loops,
                               ArrayRef<SizeExpr> source) {
  for (auto [expr, which, size] :
       llvm::zip_equal(op.getSourceMap().getResults(), op.getSourceDims(),
                       source))
    if (which < 0)
      addView(hr::getSizeArrayAttr(entry.getContext(), {SizeExpr(0)}),
              AffineMap::get(loops.size(), 0, expr), loops, size, op.getLoc());
  for (auto [index, map] :
       llvm::zip_equal(op.getIndices(),
                       op.getIndexMaps().template getAsValueRange<AffineMapAttr>()))
    if (FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(index);
        succeeded(dims))
      addOperand(map, loops, *dims, op.getLoc());
}

namespace {
/// Rebuilds an expression and collects what it divides by.
struct DivisorCollector : SizeExpr::Visitor {
  void constant(int64_t value) override { stack.push_back(SizeExpr(value)); }
  void symbol(StringRef name) override {
    stack.push_back(SizeExpr::symbol(name));
  }
  void binary(StringRef op) override {
    SizeExpr rhs = stack.pop_back_val(), lhs = stack.pop_back_val();
    if (op == "floordiv" || op == "mod")
      divisors.push_back(rhs);
    stack.push_back(op == "+"          ? lhs + rhs
                    : op == "*"        ? lhs * rhs
                    : op == "floordiv" ? lhs.floorDiv(rhs)
                    : op == "mod"      ? lhs.mod(rhs)
                    : op == "min"      ? SizeExpr::min(lhs, rhs)
                                       : SizeExpr::max(lhs, rhs));
  }
  SmallVector<SizeExpr> stack, divisors;
};
} // namespace

void Requirements::addSize(const SizeExpr &size, Location loc) {
  if (size.isConstant() || !seen.insert(size.str()).second)
    return;
  requireAtMost(SizeExpr(0), size, loc);
  DivisorCollector collector;
  size.visit(collector);
  for (const SizeExpr &divisor : collector.divisors)
    if (!divisor.isConstant())
      requireAtMost(SizeExpr(1), divisor, loc);
}

void Requirements::addOp(Operation *op) {
  Location loc = op->getLoc();
  auto dimsOf = [](Value value) {
    FailureOr<SmallVector<SizeExpr>> dims = hr::getDims(value);
    return succeeded(dims) ? *dims : SmallVector<SizeExpr>();
  };
  for (Value result : op->getResults())
    if (auto type = dyn_cast<RankedTensorType>(result.getType());
        type && !type.hasStaticShape())
      for (const SizeExpr &size : dimsOf(result))
        addSize(size, loc);

  if (auto reshape = dyn_cast<hr::ReshapeOp>(op)) {
    auto count = [&](Value value) {
      SizeExpr product(1);
      for (const SizeExpr &size : dimsOf(value))
        product = product * size;
      return product;
    };
    requireEqual(count(reshape.getSource()), count(reshape), loc);
  } else if (auto view = dyn_cast<hr::ViewOp>(op)) {
    addView(view.getOffsets(), view.getMap(), dimsOf(view),
            dimsOf(view.getSource()), loc);
  } else if (auto update = dyn_cast<hr::UpdateOp>(op)) {
    addView(update.getOffsets(), update.getMap(), dimsOf(update.getValue()),
            dimsOf(update.getBase()), loc);
  } else if (auto concat = dyn_cast<hr::ConcatOp>(op)) {
    SmallVector<SizeExpr> dims = dimsOf(concat);
    SizeExpr total(0);
    for (Value input : concat.getInputs())
      for (auto [d, size] : llvm::enumerate(dimsOf(input))) {
        if (d == concat.getDim())
          total = total + size;
        else
          requireEqual(size, dims[d], loc);
      }
    requireEqual(total, dims[concat.getDim()], loc);
  } else if (auto pad = dyn_cast<hr::PadOp>(op)) {
    for (auto [low, high, size, source] :
         llvm::zip_equal(hr::getSizes(pad.getLow()), hr::getSizes(pad.getHigh()),
                         dimsOf(pad), dimsOf(pad.getSource()))) {
      requireAtMost(SizeExpr(0), low, loc);
      requireAtMost(SizeExpr(0), high, loc);
      requireEqual(low + source + high, size, loc);
    }
  } else if (auto gather = dyn_cast<hr::GatherOp>(op)) {
    addAccesses(gather, dimsOf(gather), dimsOf(gather.getSource()));
  } else if (auto scatter = dyn_cast<hr::ScatterOp>(op)) {
    addAccesses(scatter, dimsOf(scatter.getUpdates()),
                dimsOf(scatter.getBase()));
  } else if (auto structured = dyn_cast<linalg::LinalgOp>(op)) {
    SmallVector<SizeExpr> loops = getLoops(structured);
    for (OpOperand &operand : op->getOpOperands())
      if (isa<RankedTensorType>(operand.get().getType()))
        addOperand(structured.getMatchingIndexingMap(&operand), loops,
                   dimsOf(operand.get()), loc);
  }
}

void Requirements::addThoseOfOps() {
  entry.walk([&](Operation *op) {
    if (op != entry)
      addOp(op);
  });
}

/// The symbols of the entry with these ranges.
static void setRanges(func::FuncOp entry, const SymbolRanges &ranges) {
  auto symbols = entry->getAttrOfType<ArrayAttr>("hr.symbols");
  if (!symbols)
    return;
  SmallVector<Attribute> narrowed;
  for (auto symbol : symbols.getAsRange<hr::SymbolAttr>()) {
    Interval range = ranges.lookup(symbol.getName());
    narrowed.push_back(hr::SymbolAttr::get(entry.getContext(),
                                           symbol.getName(), range.min,
                                           range.max));
  }
  entry->setAttr("hr.symbols", ArrayAttr::get(entry.getContext(), narrowed));
}

void Requirements::finish() {
  if (found.empty())
    return;
  // What is said of one symbol is its range, from which more may follow.
  for (auto &[condition, requirement] : found)
    condition::narrow(requirement.getExpr(), ranges);
  setRanges(entry, ranges);
  SmallVector<Attribute> all;
  for (auto &[condition, requirement] : found)
    if (!condition::holds(requirement.getExpr(), ranges))
      all.push_back(requirement);
  if (all.empty())
    entry->removeAttr("hr.requires");
  else
    entry->setAttr("hr.requires", ArrayAttr::get(entry.getContext(), all));
}
