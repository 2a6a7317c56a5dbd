//===- StagePlan.cpp - How a stage is tiled and emitted -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Plan/StagePlan.h"

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
        nest.atom));
  return hr::PlanAttr::get(context, DenseI64ArrayAttr::get(context, tile),
                           lanes, stream, ArrayAttr::get(context, list),
                           static_cast<int64_t>(seconds * 1e9), runnerUp);
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
    to.atom = nest.getAtom();
  }
  plan.seconds = attr.getNanoseconds() * 1e-9;
  plan.runnerUp = attr.getRunnerUp().str();
  return plan;
}
