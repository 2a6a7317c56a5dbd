//===- StagePlan.cpp - How a stage is tiled and emitted -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Plan/StagePlan.h"
#include "headrace/Plan/StageAnalysis.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

hr::PlanAttr StagePlan::toAttr(MLIRContext *context) const {
  SmallVector<Attribute> list;
  for (const NestPlan &nest : nests)
    list.push_back(hr::NestPlanAttr::get(
        context, nest.vector, nest.vectors, nest.row, nest.rows, nest.block,
        nest.group,
        nest.packed.empty() ? DenseI64ArrayAttr()
                            : DenseI64ArrayAttr::get(context, nest.packed),
        nest.cost, nest.atom, nest.totalsInScratch));
  SmallVector<Attribute> handed;
  for (const EdgePlan &edge : edges)
    handed.push_back(hr::EdgeAttr::get(context, edge.nest, edge.value,
                                       edge.memory, edge.bytes));
  return hr::PlanAttr::get(
      context, DenseI64ArrayAttr::get(context, tile), lanes, stream,
      ArrayAttr::get(context, list), static_cast<int64_t>(seconds * 1e9),
      runnerUp, bypass,
      handed.empty() ? ArrayAttr() : ArrayAttr::get(context, handed));
}

StagePlan StagePlan::fromAttr(hr::PlanAttr attr) {
  StagePlan plan;
  llvm::append_range(plan.tile, attr.getTile().asArrayRef());
  plan.lanes = attr.getLanes();
  plan.stream = attr.getStream();
  for (auto nest : attr.getNests().getAsRange<hr::NestPlanAttr>()) {
    NestPlan &to = plan.nests.emplace_back();
    to.vector = nest.getVector();
    to.vectors = nest.getVectors();
    to.row = nest.getRow();
    to.rows = nest.getRows();
    to.block = nest.getBlock();
    to.group = nest.getGroup();
    if (nest.getPacked())
      llvm::append_range(to.packed, nest.getPacked().asArrayRef());
    to.cost = nest.getCost();
    to.atom = nest.getAtom();
    to.totalsInScratch = nest.getTotalsInScratch();
  }
  plan.seconds = attr.getNanoseconds() * 1e-9;
  plan.runnerUp = attr.getRunnerUp().str();
  plan.bypass = attr.getBypass();
  if (attr.getEdges())
    for (auto edge : attr.getEdges().getAsRange<hr::EdgeAttr>())
      plan.edges.push_back({edge.getNest(), edge.getValue(),
                            edge.getMemory().str(), edge.getBytes()});
  return plan;
}

/// What a nest's plan says of operands that are stored in panels.
static LogicalResult verifyPanels(const Nest &nest, const NestPlan &plan,
                                  const StagePlan &whole, std::string &why) {
  for (auto [i, access] : llvm::enumerate(nest.anchor->operands)) {
    if (!access.panel)
      continue;
    bool isAlongLanes = int64_t(access.panelLoop) == plan.vector;
    if (plan.packs(i) || (plan.atom && !isAlongLanes)) {
      why = "operand " + std::to_string(i) +
            " copied or read by an atom, but it is stored in panels along loop " +
            std::to_string(access.panelLoop);
      return failure();
    }
    // A vector lies in one panel.
    int64_t tile = whole.tile[nest.anchor->loops[access.panelLoop].cls];
    if (isAlongLanes &&
        (access.panel % whole.lanes != 0 || tile % whole.lanes != 0)) {
      why = "tiles of " + std::to_string(tile) + " and vectors of " +
            std::to_string(whole.lanes) + " along panels of " +
            std::to_string(access.panel);
      return failure();
    }
  }
  return success();
}

/// The loops that a nest's plan names are there, and of the kind that it takes.
static LogicalResult verifyNest(const Nest &nest, const NestPlan &plan,
                                std::string &why) {
  ArrayRef<Loop> loops = nest.anchor->loops;
  auto fail = [&](const Twine &text) {
    why = text.str();
    return failure();
  };
  for (auto [name, loop] : {std::pair("vector", plan.vector),
                            {"row", plan.row},
                            {"group", plan.group}})
    if (loop >= int64_t(loops.size()))
      return fail(Twine(name) + " = " + Twine(loop) + ", but the nest has " +
                  Twine(loops.size()) + " loops");
  for (const Access &access : nest.anchor->operands)
    for (int64_t loop : {plan.vector, plan.row, plan.group})
      if (access.gather && loop >= 0 && access.dataLoops.test(loop))
        return fail("a register tile along loop " + Twine(loop) +
                    ", along which the position of an operand is data");
  NodeKind kind = nest.anchor->kind;
  bool product = kind == NodeKind::Contraction;
  if (product && plan.row >= 0 && !loops[plan.row].parallel)
    return fail("row = " + Twine(plan.row) + ", which is a reduction");
  if (product && plan.group >= 0 && loops[plan.group].parallel)
    return fail("group = " + Twine(plan.group) + ", which is no reduction");
  if (!product && kind != NodeKind::SoftmaxSum &&
      (plan.atom || plan.group >= 0 || !plan.packed.empty()))
    return fail("an atom, a group or packed operands, but it computes no "
                "products");
  return success();
}

/// A plan with lanes says of each value that is handed over in scratch where.
static LogicalResult verifyEdges(const StageAnalysis &analysis,
                                 const StagePlan &plan, std::string &why) {
  SmallVector<ScratchValue> values = analysis.getScratchValues();
  if (plan.edges.empty() && plan.lanes == 1)
    return success();
  auto matches = [&](const ScratchValue &value, const EdgePlan &edge) {
    return value.nest == edge.nest && value.number == edge.value;
  };
  for (const ScratchValue &value : values)
    if (llvm::count_if(plan.edges, [&](const EdgePlan &edge) {
          return matches(value, edge);
        }) != 1) {
      why = "the plan does not say once where value " +
            std::to_string(value.number) + " of nest " +
            std::to_string(value.nest) + " is handed over";
      return failure();
    }
  if (plan.edges.size() != values.size()) {
    why = "the plan has " + std::to_string(plan.edges.size()) +
          " edges, but nests hand over " + std::to_string(values.size()) +
          " values";
    return failure();
  }
  return success();
}

LogicalResult plan::verifyPlan(const StageAnalysis &analysis,
                               const StagePlan &plan, std::string &why) {
  auto fail = [&](const Twine &text) {
    why = text.str();
    return failure();
  };
  if (plan.tile.size() != analysis.getClasses().size() ||
      plan.nests.size() != analysis.getNests().size())
    return fail("the plan is for " + Twine(plan.tile.size()) +
                " classes and " + Twine(plan.nests.size()) +
                " nests but the stage has " +
                Twine(analysis.getClasses().size()) + " and " +
                Twine(analysis.getNests().size()));
  SmallVector<unsigned> tileable = analysis.getTileClasses();
  for (auto [c, tile] : llvm::enumerate(plan.tile))
    if (tile > 0 && !llvm::is_contained(tileable, c))
      return fail("the plan has tiles of " + Twine(tile) + " of class " +
                  Twine(c) + ", which cannot be tiled");
  for (auto [n, nest] : llvm::enumerate(analysis.getNests()))
    if (failed(verifyNest(nest, plan.nests[n], why)) ||
        failed(verifyPanels(nest, plan.nests[n], plan, why)))
      return fail("the plan has for nest " + Twine(n) + ": " + why);
  return verifyEdges(analysis, plan, why);
}
