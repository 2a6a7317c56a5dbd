//===- Structure.cpp - What is true of a program for all sizes ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Structure.h"
#include "Regions.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::schedule;

bool Structure::mayBeActive(const Command &command, int family, int64_t w) {
  if (command.kind != Command::Kind::Run)
    return true;
  std::vector<bool> &known = active[{&command, family}];
  if (known.empty()) {
    StringRef index = program.families[family].index;
    for (int64_t v = 0; v < program.families[family].count; ++v) {
      std::optional<int64_t> from = at(command.from, index, v).getConstant();
      std::optional<int64_t> to = at(command.to, index, v).getConstant();
      known.push_back(!from || !to || *from < *to);
    }
  }
  return known[w];
}

const Structure::Constant &Structure::getConstant(const Command &command,
                                                  int operand, int family,
                                                  int64_t w) {
  auto [entry, inserted] = constants.try_emplace({&command, operand, w});
  Constant &result = entry->second;
  if (!inserted || command.kind != Command::Kind::Run)
    return result;
  const Stage &stage = program.stages[command.stage];
  StringRef index = program.families[family].index;
  std::optional<int64_t> from = at(command.from, index, w).getConstant();
  std::optional<int64_t> to = at(command.to, index, w).getConstant();
  if (!from || !to)
    return result;
  SmallVector<int64_t> grid, extents, dims;
  auto collect = [](ArrayRef<SizeExpr> exprs, SmallVectorImpl<int64_t> &values) {
    for (const SizeExpr &expr : exprs) {
      std::optional<int64_t> value = expr.getConstant();
      if (!value)
        return false;
      values.push_back(*value);
    }
    return true;
  };
  const Footprint &footprint = stage.operands[operand].footprint;
  for (const FootprintDim &dim : footprint.dims) {
    std::optional<int64_t> extent = dim.extent.getConstant();
    if (!extent || dim.origin)
      return result;
    extents.push_back(*extent);
  }
  if (!collect(stage.grid, grid) ||
      !collect(program.buffers[command.operands[operand].buffer].dims, dims))
    return result;
  bool exact;
  result.boxes = touchedBoxes(footprint, grid, extents, dims, *from, *to, {},
                              exact);
  result.known = true;
  return result;
}

bool Structure::areTilesApart(const Command &commandA, int a,
                              const Command &commandB, int b, int family) {
  auto [entry, inserted] = apart.insert({{&commandA, a, &commandB, b}, false});
  if (!inserted)
    return entry->second;
  if (commandA.kind != Command::Kind::Run ||
      commandB.kind != Command::Kind::Run)
    return false;
  const Stage &stageA = program.stages[commandA.stage];
  const Stage &stageB = program.stages[commandB.stage];
  // The same ranges, and no tile in two of them.
  if (stageA.grid != stageB.grid || commandA.from != commandB.from ||
      commandA.to != commandB.to)
    return false;
  auto [split, isNew] = splitApart.insert({&commandA, false});
  if (isNew)
    split->second = getTileSplit(program, commandA, family).isApart;
  if (!split->second)
    return false;
  const Footprint &printA = stageA.operands[a].footprint;
  const Footprint &printB = stageB.operands[b].footprint;
  if (printA.whole || printB.whole ||
      printA.dims.size() != printB.dims.size())
    return false;
  // Tiles that differ in a coordinate differ in a dimension that this
  // coordinate alone moves, by steps of at least the extent.
  for (auto [k, size] : llvm::enumerate(stageA.grid)) {
    if (size == SizeExpr(1))
      continue;
    bool separated = false;
    for (auto [dimA, dimB] : llvm::zip(printA.dims, printB.dims)) {
      if (dimA.origin || dimB.origin || dimA.base != dimB.base ||
          dimA.coefficients != dimB.coefficients)
        continue;
      int64_t step = 0;
      bool alone = true;
      for (auto [j, coefficient] : llvm::enumerate(dimA.coefficients)) {
        if (j == k)
          step = coefficient;
        else
          alone &= coefficient == 0;
      }
      separated |= alone && step > 0 && dimA.extent.isLessEqual(step, ranges) &&
                   dimB.extent.isLessEqual(step, ranges);
    }
    if (!separated)
      return false;
  }
  return entry->second = true;
}

bool Structure::mayOverlap(const Command &commandA, int a, int familyA,
                           int64_t v, const Command &commandB, int b,
                           int familyB, int64_t w) {
  if (!mayBeActive(commandA, familyA, v) || !mayBeActive(commandB, familyB, w))
    return false;
  const Constant &boxesA = getConstant(commandA, a, familyA, v);
  const Constant &boxesB = getConstant(commandB, b, familyB, w);
  if (boxesA.known && boxesB.known) {
    for (const Box &boxA : boxesA.boxes)
      for (const Box &boxB : boxesB.boxes)
        if (boxA.overlaps(boxB))
          return true;
    return false;
  }
  return familyA != familyB || v == w ||
         !areTilesApart(commandA, a, commandB, b, familyA);
}
