//===- Planner.cpp - Tile sizes and register tiles of a stage -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// First every nest gets its vector loop and register tile (`planNest`), from
// strides and the number of registers; then tile sizes are enumerated per class
// and the prediction picks (`plan`, `predict`).
//
//===----------------------------------------------------------------------===//

#include "headrace/Plan/Planner.h"
#include "Strides.h"

#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Support/SizeCondition.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

SymbolBindings plan::getTypicalSizes(func::FuncOp entry) {
  SymbolRanges ranges = hr::getSymbolRanges(entry);
  SymbolBindings sizes;
  for (const auto &range : ranges) {
    int64_t least = std::max<int64_t>(range.getValue().min, 1);
    int64_t largest = std::max(range.getValue().max, least);
    int64_t typical =
        largest >= 256
            ? 128
            : int64_t(std::sqrt(double(least) * double(largest)));
    sizes[range.getKey()] = std::clamp(typical, least, largest);
  }
  return condition::satisfy(hr::getRequirements(entry), ranges, sizes)
      .value_or(sizes);
}

SmallVector<SymbolBindings> plan::getSmallSizes(func::FuncOp entry) {
  SymbolRanges ranges = hr::getSymbolRanges(entry);
  SymbolBindings typical = getTypicalSizes(entry), least, middle;
  for (const auto &range : ranges) {
    StringRef name = range.getKey();
    least[name] = std::max<int64_t>(range.getValue().min, 1);
    middle[name] = std::max(
        int64_t(std::sqrt(double(least[name]) * double(typical[name]))),
        least[name]);
  }
  SmallVector<SymbolBindings> result;
  for (const SymbolBindings &sizes : {least, middle})
    result.push_back(
        condition::satisfy(hr::getRequirements(entry), ranges, sizes)
            .value_or(sizes));
  return result;
}

Planner::Planner(const hw::Device &device, func::FuncOp entry,
                 Options options)
    : machine(device, options.scalar), worker(machine.getWorker()),
      ranges(hr::getSymbolRanges(entry)), options(options),
      lanes(machine.getLanes()),
      registers(std::max<int64_t>(worker.registers, 8)),
      workers(machine.getWorkers()) {
  bindings = getTypicalSizes(entry);
  smallBindings = getSmallSizes(entry);
}

int64_t Planner::extentOf(const SizeExpr &size) const {
  return std::max<int64_t>(size.evaluate(bindings).value_or(128), 1);
}

bool Planner::readsPackable(const Access &access, unsigned loop) const {
  if (!isPackable || !access.isInput() || access.panel || access.gather)
    return false;
  auto type = dyn_cast<RankedTensorType>(access.source.getType());
  return type && type.hasStaticShape() && isPackable(access.source) &&
         access.address.coef[loop] != SizeExpr(0);
}

int64_t Planner::strideAlong(const StageAnalysis &analysis, const Node *node,
                             unsigned operand, ArrayRef<SizeExpr> steps,
                             const Layouts *layouts) const {
  const Access &access = node->operands[operand];
  if (!access.source || !isa<RankedTensorType>(access.source.getType()))
    return 0;
  auto along = [&](const Linear &linear) {
    SizeExpr sum(0);
    for (auto [c, s] : llvm::zip(linear.coef, steps))
      sum = sum + c * s;
    return sum;
  };
  auto classify = [](const SizeExpr &step) -> int64_t {
    if (step == SizeExpr(0))
      return 0;
    return step == SizeExpr(1) ? 1 : 2;
  };
  if (access.isInput()) {
    for (unsigned l = 0; access.gather && l < steps.size(); ++l)
      if (steps[l] != SizeExpr(0) && access.dataLoops.test(l))
        return 2;
    if (!access.panel)
      return classify(along(access.address));
    int64_t worst = 0;
    for (const Linear &linear : access.logical) {
      SizeExpr step = along(linear);
      if (linear.getPlainLoop() == access.panelLoop)
        worst = std::max(worst, classify(step));
      else if (step != SizeExpr(0))
        worst = 2;
    }
    return worst;
  }
  SmallVector<SizeExpr> theirs(access.producer->loops.size(), SizeExpr(0));
  unsigned number = cast<OpResult>(access.source).getResultNumber();
  bool any = false;
  for (auto [linear, loop] :
       llvm::zip(access.index, access.producer->resultLoops[number])) {
    theirs[loop] = along(linear);
    any |= theirs[loop] != SizeExpr(0);
  }
  if (!any)
    return 0;
  if (analysis.isMaterialized(access.producer)) {
    auto layout = layouts ? layouts->find(access.producer) : Layouts::iterator();
    bool isDecided = layouts && layout != layouts->end();
    // A product's results have its lanes innermost, and those are along the last
    // dimension; other values are laid out for their readers.
    if (!isDecided && !analysis.isProduct(access.producer))
      return 1;
    // Contiguous if only the innermost dimension moves, by one.
    const Node *producer = access.producer;
    ArrayRef<unsigned> loops = producer->resultLoops[number];
    size_t innermost = loops.size() - 1;
    for (auto [p, loop] : llvm::enumerate(loops))
      if (isDecided && !analysis.isOutput(access.source) &&
          int64_t(producer->loops[loop].cls) == layout->second)
        innermost = p;
    for (auto [p, loop] : llvm::enumerate(loops))
      if (theirs[loop] != SizeExpr(0) &&
          (p != innermost || theirs[loop] != SizeExpr(1)))
        return 2;
    return 1;
  }
  if (access.producer->source) // a gather
    return 1;
  int64_t worst = 0;
  for (unsigned i = 0; i < access.producer->operands.size(); ++i)
    worst = std::max(worst, strideAlong(analysis, access.producer, i, theirs,
                                        layouts));
  return worst;
}

SmallVector<SizeExpr> plan::unitStep(const Node *node, unsigned loop) {
  SmallVector<SizeExpr> steps(node->loops.size(), SizeExpr(0));
  steps[loop] = SizeExpr(1);
  return steps;
}

int64_t plan::storeStride(const StageAnalysis &analysis, const Nest &nest,
                           unsigned loop) {
  unsigned cls = nest.anchor->loops[loop].cls;
  int64_t worst = 0;
  for (const Node *sink : nest.sinks) {
    if (sink->source && sink->kind != NodeKind::Map) {
      for (auto [l, info] : llvm::enumerate(sink->loops))
        if (info.cls == cls && sink->kind == NodeKind::Update)
          worst = std::max<int64_t>(
              worst, sink->source->address.coef[l] == SizeExpr(1)   ? 1
                     : sink->source->address.coef[l] == SizeExpr(0) ? 0
                                                                    : 2);
      continue;
    }
    for (OpResult value : sink->op->getResults()) {
      if (!analysis.isOutput(value))
        continue; // scratch takes any order
      ArrayRef<unsigned> loops = sink->resultLoops[value.getResultNumber()];
      for (auto [p, l] : llvm::enumerate(loops))
        if (sink->loops[l].cls == cls) {
          bool inner = true;
          for (unsigned q = p + 1; q < loops.size(); ++q)
            inner &= sink->loops[loops[q]].extent == SizeExpr(1);
          worst = std::max<int64_t>(worst, inner ? 1 : 2);
        }
    }
  }
  return worst;
}

NestPlan Planner::planNest(const StageAnalysis &analysis, const Nest &nest,
                           int64_t forcedClass) const {
  const Node *node = nest.anchor;
  NestPlan result;
  if (lanes == 1)
    return result;
  if (node->kind == NodeKind::Contraction) {
    planContraction(analysis, nest, forcedClass, result);
    return result;
  }
  if (node->kind == NodeKind::SoftmaxSum) {
    planSoftmaxSum(nest, result);
    return result;
  }
  // The vector loop is chosen together with those of other nests.
  result.vectors = node->kind == NodeKind::Reduction ? 4 : 1;
  return result;
}

int64_t Planner::getRowLoop(const StageAnalysis &analysis, const Nest &nest,
                            unsigned l, const Layouts &layouts) const {
  const Node *node = nest.anchor;
  if (node->kind != NodeKind::Map || node->source ||
      !llvm::isPowerOf2_64(lanes) || extentOf(node->loops[l].extent) < lanes)
    return -1;
  int64_t best = -1;
  unsigned most = 0;
  for (auto [other, loop] : llvm::enumerate(node->loops)) {
    if (other == l || !loop.parallel || extentOf(loop.extent) < lanes)
      continue;
    unsigned count = 0;
    for (unsigned i = 0; i < node->operands.size(); ++i)
      count += strideAlong(analysis, node, i, unitStep(node, l), &layouts) > 1 &&
               strideAlong(analysis, node, i, unitStep(node, other),
                           &layouts) == 1;
    if (count > most) {
      most = count;
      best = int64_t(other);
    }
  }
  return best;
}

std::optional<double>
Planner::getVectorCost(const StageAnalysis &analysis, const Nest &nest,
                       int64_t l, const Layouts &layouts) const {
  const Node *node = nest.anchor;
  double points = 1;
  for (const Loop &loop : node->loops)
    points *= double(extentOf(loop.extent));
  if (l < 0) {
    double cost = 1 + double(node->operands.size());
    for (const Node *sink : nest.sinks)
      cost += 1 + double(sink->operands.size());
    return points * cost;
  }
  // Rows are sorted one by one.
  if (node->kind == NodeKind::Sort)
    return std::nullopt;
  const Loop &loop = node->loops[l];
  int64_t extent = extentOf(loop.extent);
  if (extent < std::min<int64_t>(4, lanes))
    return std::nullopt;
  if (!loop.parallel &&
      (node->kind != NodeKind::Reduction ||
       !cast<hr::TileableOp>(node->op).mergesPartialResults()))
    return std::nullopt;
  double fill = double(extent) / double(llvm::alignTo(extent, lanes));
  double cost = 1;
  SmallVector<SizeExpr> steps = unitStep(node, l);
  int64_t row = getRowLoop(analysis, nest, l, layouts);
  // The maps inlined into sinks count like the anchor's own operands.
  auto addLoads = [&](const Node *reader, ArrayRef<SizeExpr> theirs) {
    for (unsigned i = 0; i < reader->operands.size(); ++i) {
      int64_t stride = strideAlong(analysis, reader, i, theirs, &layouts);
      bool isTransposed =
          stride > 1 && row >= 0 && reader == node &&
          strideAlong(analysis, reader, i, unitStep(node, row), &layouts) == 1;
      cost += isTransposed  ? 1 + machine.getCosts().transpose.value
              : stride > 1  ? machine.gatherVector()
              : stride == 1 ? 1
                            : 0.5;
    }
  };
  if (node->kind == NodeKind::Scatter) {
    // The index must be uniform or the base contiguous along the loop.
    int64_t stride = 0;
    for (auto [d, linear] : llvm::enumerate(node->source->logical))
      if (!node->region->hasData(d) && linear.coef[l] != SizeExpr(0))
        stride = node->source->address.coef[d] == SizeExpr(1) &&
                         linear.coef[l] == SizeExpr(1)
                     ? 1
                     : 2;
    if (stride != 1 || !loop.parallel)
      return std::nullopt;
  }
  addLoads(node, steps);
  if (node->region && !node->region->isOverwritten) {
    for (auto [d, linear] : llvm::enumerate(node->source->logical))
      if (!node->region->hasData(d) && linear.coef[l] != SizeExpr(0))
        cost += node->source->address.coef[d] == SizeExpr(1) &&
                        linear.coef[l] == SizeExpr(1)
                    ? 0
                    : machine.scatterVector();
    for (unsigned i = 0; i < node->operands.size(); ++i)
      if (strideAlong(analysis, node, i, steps, &layouts) != 0)
        cost += machine.gatherVector(); // positions on lanes
  }
  for (const Prologue &prologue : nest.prologues) {
    SmallVector<SizeExpr> theirs(prologue.map->loops.size(), SizeExpr(0));
    for (auto [m, anchorLoop] : llvm::enumerate(prologue.anchorLoops))
      if (int64_t(anchorLoop) == l)
        theirs[m] = SizeExpr(1);
    addLoads(prologue.map, theirs);
  }
  // The sinks of a reduction run once per result.
  double reduced = 1;
  for (const Loop &other : node->loops)
    if (!other.parallel)
      reduced *= double(extentOf(other.extent));
  double inner = cost;
  cost = 0;
  for (const Node *sink : nest.sinks) {
    if (sink == node)
      continue;
    SmallVector<SizeExpr> theirs(sink->loops.size(), SizeExpr(0));
    for (auto [m, other] : llvm::enumerate(sink->loops))
      if (other.cls == loop.cls && loop.parallel)
        theirs[m] = SizeExpr(1);
    addLoads(sink, theirs);
  }
  if (loop.parallel && storeStride(analysis, nest, l) > 1)
    cost += machine.scatterVector();
  double total = points / fill * (inner + cost / reduced) / double(lanes);
  if (!loop.parallel) {
    // Lanes are added up, and sinks stored one by one, at the end of a row.
    double ends = points / double(extent);
    total += ends * (2 * std::log2(double(lanes)) + cost);
  }
  return total;
}

void Planner::planVectors(const StageAnalysis &analysis,
                          const llvm::SmallBitVector &isFree,
                          MutableArrayRef<NestPlan> plans) const {
  ArrayRef<Nest> nests = analysis.getNests();
  Layouts layouts;
  auto place = [&](unsigned n) {
    const Node *anchor = nests[n].anchor;
    int64_t innermost =
        plans[n].vector < 0 ? -1 : int64_t(anchor->loops[plans[n].vector].cls);
    for (const Node *sink : nests[n].sinks)
      layouts[sink] = innermost;
    for (const Prologue &prologue : nests[n].prologues)
      layouts[prologue.map] = innermost;
  };
  for (unsigned n = 0; n < nests.size(); ++n)
    if (!isFree.test(n))
      place(n);
  // Who reads what each nest stores, through inlined maps too.
  SmallVector<SmallVector<unsigned>> readers(nests.size());
  for (auto [m, nest] : llvm::enumerate(nests))
    for (auto [n, reader] : llvm::enumerate(nests))
      if (m != n && isFree.test(n) &&
          llvm::any_of(nest.getStored(), [&](const Node *stored) {
            return analysis.readsStored(reader, stored);
          }))
        readers[m].push_back(n);
  auto costOf = [&](unsigned n) -> std::optional<double> {
    std::optional<double> cost =
        getVectorCost(analysis, nests[n], plans[n].vector, layouts);
    if (!cost)
      return std::nullopt;
    for (unsigned reader : readers[n])
      cost = *cost + getVectorCost(analysis, nests[reader],
                                   plans[reader].vector, layouts)
                         .value_or(0);
    return cost;
  };
  // From the last nest to the first, then again with all others decided. A
  // fixed point is reached at once but for chains of transpositions.
  for (int sweep = 0; sweep < 3; ++sweep) {
    bool isChanged = false;
    for (unsigned n = nests.size(); n-- > 0;) {
      if (!isFree.test(n))
        continue;
      NestPlan &plan = plans[n];
      int64_t before = plan.vector, best = -1;
      plan.vector = -1;
      place(n);
      double least = costOf(n).value_or(0);
      for (unsigned l = 0; l < nests[n].anchor->loops.size(); ++l) {
        plan.vector = l;
        place(n);
        std::optional<double> cost = costOf(n);
        if (cost && *cost < least) {
          least = *cost;
          best = l;
        }
      }
      plan.vector = best;
      place(n);
      isChanged |= best != before;
    }
    if (!isChanged)
      break;
  }
  for (auto [n, nest] : llvm::enumerate(nests)) {
    NestPlan &plan = plans[n];
    if (nest.anchor->kind != NodeKind::Map || plan.vector < 0)
      continue;
    plan.row = getRowLoop(analysis, nest, plan.vector, layouts);
    plan.rows = plan.row < 0 ? 1 : lanes;
  }
}

//===----------------------------------------------------------------------===//
// Candidates
//===----------------------------------------------------------------------===//

std::vector<std::unique_ptr<Planner::Contraction>>
Planner::inspectAll(const StageAnalysis &analysis) const {
  std::vector<std::unique_ptr<Contraction>> result;
  for (const Nest &nest : analysis.getNests())
    result.push_back(nest.anchor->kind == NodeKind::Contraction
                         ? std::make_unique<Contraction>(inspect(analysis, nest))
                         : nullptr);
  return result;
}

void Planner::preferSmallCalls(const StageAnalysis &analysis,
                               ArrayRef<StagePlan> plans,
                               StagePlan &best) const {
  // A tenth is what a dynamic size may cost at typical sizes.
  constexpr double margin = 1.1;
  std::vector<Planner> planners;
  std::vector<std::vector<std::unique_ptr<Contraction>>> contractions;
  for (const SymbolBindings &sizes : smallBindings) {
    planners.push_back(*this);
    planners.back().bindings = sizes;
    contractions.push_back(planners.back().inspectAll(analysis));
  }
  // The product over the sizes: twice as fast at one weighs as much as at
  // another.
  auto timeOf = [&](const StagePlan &plan) {
    double time = 1;
    for (auto [planner, inspected] : llvm::zip(planners, contractions))
      time *= planner.predict(analysis, inspected, plan) * 1e6;
    return time;
  };
  double limit = best.seconds * margin, least = timeOf(best);
  for (const StagePlan &plan : plans) {
    if (plan.seconds > limit)
      continue;
    double time = timeOf(plan);
    // Near enough is not worth a choice that is slower at typical sizes.
    if (time * margin < least ||
        (time <= least && plan.seconds < best.seconds)) {
      least = time;
      best = plan;
    }
  }
}

/// Whether a sum of products of the stage reads what the node stores.
static bool isReadByProduct(const StageAnalysis &analysis, const Node *stored) {
  return llvm::any_of(analysis.getNodes(), [&](const auto &node) {
    return node->kind == NodeKind::Contraction &&
           (node->operands[0].producer == stored ||
            node->operands[1].producer == stored);
  });
}

SmallVector<NestPlan>
Planner::planNests(const StageAnalysis &analysis) const {
  // A streamed reduction says on which class its nests have lanes.
  DenseMap<const Node *, int64_t> forced;
  ArrayRef<Nest> nests = analysis.getNests();
  SmallVector<NestPlan> nestPlans(nests.size());
  llvm::SmallBitVector isFree(nests.size());
  for (size_t n = nests.size(); n-- > 0;) {
    const Nest &nest = nests[n];
    int64_t cls = -1;
    if (nest.streamedBy) {
      auto it = forced.find(nest.streamedBy);
      if (it != forced.end())
        cls = it->second;
    }
    if (cls >= 0 && llvm::none_of(nest.anchor->loops, [&](const Loop &loop) {
          return loop.parallel && int64_t(loop.cls) == cls;
        }))
      cls = -1;
    // A stored copy of a contraction's operand has the contraction's lanes
    // innermost.
    if (nest.anchor->kind == NodeKind::Map)
      for (size_t m = n + 1; m < nests.size(); ++m) {
        const Node *reader = nests[m].anchor;
        if (reader->kind != NodeKind::Contraction || nestPlans[m].vector < 0)
          continue;
        for (unsigned i = 0; i < 2; ++i)
          if (reader->operands[i].producer == nest.anchor) {
            unsigned wanted = reader->loops[nestPlans[m].vector].cls;
            if (llvm::any_of(nest.anchor->loops, [&](const Loop &loop) {
                  return loop.cls == wanted;
                }))
              cls = wanted;
          }
      }
    // What another product reads has the lanes that it counts on.
    if (nest.anchor->kind == NodeKind::Contraction && cls < 0)
      for (const Node *sink : nest.sinks)
        if (analysis.isProduct(sink) && isReadByProduct(analysis, sink)) {
          unsigned last = sink->loops[sink->resultLoops.front().back()].cls;
          if (llvm::any_of(nest.anchor->loops, [&](const Loop &loop) {
                return loop.parallel && loop.cls == last;
              }))
            cls = last;
        }
    nestPlans[n] = planNest(analysis, nest, cls);
    bool hasTile = nest.anchor->kind == NodeKind::Contraction ||
                   nest.anchor->kind == NodeKind::SoftmaxSum;
    if (cls >= 0 && !hasTile) {
      for (auto [l, loop] : llvm::enumerate(nest.anchor->loops))
        if (int64_t(loop.cls) == cls && loop.parallel &&
            getVectorCost(analysis, nest, l, Layouts()))
          nestPlans[n].vector = l;
    } else if (!hasTile && lanes > 1) {
      isFree.set(n);
    }
    if (nest.anchor->kind == NodeKind::SoftmaxSum)
      forced[nest.anchor] =
          nestPlans[n].vector < 0
              ? -1
              : int64_t(nest.anchor->loops[nestPlans[n].vector].cls);
  }
  planVectors(analysis, isFree, nestPlans);
  return nestPlans;
}

SmallVector<int64_t>
Planner::getTileUnits(const StageAnalysis &analysis,
                      ArrayRef<NestPlan> nestPlans) const {
  ArrayRef<Nest> nests = analysis.getNests();
  // A nest that took less than the rest without lanes does not hold tiles to
  // whole vectors.
  SmallVector<double> work;
  for (const Nest &nest : nests) {
    double &sum = work.emplace_back(analysis.getFlops(nest.anchor, bindings));
    for (const Node *sink : nest.sinks)
      if (sink != nest.anchor)
        sum += analysis.getFlops(sink, bindings);
  }
  double allWork = std::accumulate(work.begin(), work.end(), 0.0);
  auto isLight = [&](unsigned n) {
    return work[n] * double(lanes + 1) < allWork;
  };
  // Vectors of a weight lie in one panel each: tiles begin where one does.
  auto readsPanels = [&](unsigned n) {
    const Node *anchor = nests[n].anchor;
    return anchor->kind == NodeKind::Contraction &&
           llvm::any_of(anchor->operands, [&](const Access &access) {
             return (access.panel &&
                     int64_t(access.panelLoop) == nestPlans[n].vector) ||
                    readsPackable(access, nestPlans[n].vector);
           });
  };
  SmallVector<int64_t> units(analysis.getClasses().size(), 1);
  for (auto [n, nest] : llvm::enumerate(nests)) {
    const NestPlan &nestPlan = nestPlans[n];
    auto classOf = [&](int64_t loop) -> int64_t {
      return loop < 0 ? -1 : int64_t(nest.anchor->loops[loop].cls);
    };
    int64_t vector = classOf(nestPlan.vector), row = classOf(nestPlan.row);
    if (vector >= 0 && (!isLight(n) || readsPanels(n)))
      units[vector] =
          std::max(units[vector], lanes * nestPlan.vectors);
    if (row < 0 || row == vector)
      continue;
    // Whole fragments, so that none reaches over the end of the operand.
    if (nestPlan.atom)
      units[row] = std::max(units[row], nestPlan.atom.getM());
    else if (nest.anchor->kind == NodeKind::Map)
      units[row] = std::max(units[row], lanes); // whole squares
  }
  return units;
}

SmallVector<SmallVector<int64_t>>
Planner::getTileSizes(const StageAnalysis &analysis,
                      ArrayRef<NestPlan> nestPlans) const {
  SmallVector<int64_t> units = getTileUnits(analysis, nestPlans);
  SmallVector<SmallVector<int64_t>> sizes;
  for (unsigned c : analysis.getTileClasses()) {
    const ClassInfo &info = analysis.getClasses()[c];
    int64_t extent = extentOf(info.extent);
    SmallVector<int64_t> list;
    for (int64_t multiple : {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128,
                             192, 256, 384, 512}) {
      int64_t size = units[c] * multiple;
      if (size >= extent)
        break;
      if (options.quick && multiple > 1 && !llvm::isPowerOf2_64(multiple))
        continue;
      list.push_back(size);
    }
    // The whole class as one tile (0) is possible if it is known; a dynamic one
    // must be tiled so that what a tile needs is bounded.
    if (info.extent.isConstant())
      list.push_back(0);
    else if (list.empty())
      list.push_back(units[c]);
    sizes.push_back(list);
  }
  // Too many classes make too many combinations: the outer ones are tiled by
  // one (batch, heads) or not at all.
  size_t combinations = 1;
  for (auto &list : sizes)
    combinations *= std::max<size_t>(list.size(), 1);
  for (size_t i = 0; combinations > 4096 && i < sizes.size(); ++i) {
    combinations /= sizes[i].size();
    SmallVector<int64_t> reduced;
    for (int64_t size : sizes[i])
      if (size == 0 || size == sizes[i].front() ||
          (i + 2 >= sizes.size() && llvm::isPowerOf2_64(size)))
        reduced.push_back(size);
    sizes[i] = reduced;
    combinations *= sizes[i].size();
  }
  return sizes;
}

StagePlan Planner::plan(const StageAnalysis &analysis, bool isFinal) const {
  StagePlan candidate;
  candidate.lanes = lanes;
  candidate.tile.assign(analysis.getClasses().size(), 0);
  candidate.nests = planNests(analysis);
  candidate.stream = 128;
  if (options.scalar)
    return candidate;

  SmallVector<unsigned> tileable = analysis.getTileClasses();
  SmallVector<SmallVector<int64_t>> sizes =
      getTileSizes(analysis, candidate.nests);
  std::vector<std::unique_ptr<Contraction>> contractions =
      inspectAll(analysis);
  bool isDynamic = llvm::any_of(analysis.getClasses(), [](const auto &info) {
    return !info.extent.isConstant();
  });
  bool isCheck = isFinal && options.within > 1;
  std::vector<StagePlan> plans; // where more than the best is asked for
  std::optional<StagePlan> best, second;
  std::function<void(size_t)> enumerate = [&](size_t i) {
    if (i == tileable.size()) {
      candidate.seconds = predict(analysis, contractions, candidate);
      if (isDynamic || isCheck)
        plans.push_back(candidate);
      if (!best || candidate.seconds < best->seconds) {
        second = best;
        best = candidate;
      } else if (!second || candidate.seconds < second->seconds) {
        second = candidate;
      }
      return;
    }
    for (int64_t size : sizes[i]) {
      candidate.tile[tileable[i]] = size;
      enumerate(i + 1);
    }
    candidate.tile[tileable[i]] = 0;
  };
  enumerate(0);
  if (isCheck) {
    double limit = best->seconds * options.within;
    for (const StagePlan &plan : plans)
      if (plan.seconds <= limit && plan.seconds > best->seconds)
        best = plan;
  } else if (isDynamic) {
    preferSmallCalls(analysis, plans, *best);
  }
  setCosts(analysis, contractions, *best);
  if (second) {
    std::string text;
    llvm::raw_string_ostream os(text);
    os << "tile [";
    llvm::interleaveComma(second->tile, os);
    os << "]: " << int64_t(second->seconds * 1e9) << " ns";
    best->runnerUp = text;
  }
  return *best;
}
