//===- PlanContraction.cpp - Register tiles and atoms of contractions -----===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// First the loops: which one is lanes, which one rows (`planContraction`). Then
// the instruction, with what has to be copied for it (`chooseAtom`), by the
// predicted time of each alternative (`predictContraction`).
//
//===----------------------------------------------------------------------===//

#include "headrace/Plan/Planner.h"

#include "Strides.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

int64_t Planner::getPanel(int64_t extent, int64_t width,
                          const hw::Atom *atom) const {
  // Two fragments by two fill the tile registers and load least.
  if (atom && atom->operands == hw::OperandPlace::TileRegisters)
    return extent > atom->n ? 2 * atom->n : atom->n;
  // Wide register tiles load less per multiply-add; padding costs compute.
  SmallVector<int64_t> preferred =
      registers >= 32 ? SmallVector<int64_t>{3, 4, 2, 1}
                      : SmallVector<int64_t>{2, 3, 1};
  int64_t best = 1;
  double bestCost = 1e30;
  for (auto [i, vectors] : llvm::enumerate(preferred)) {
    int64_t panel = vectors * width;
    double padded =
        double(llvm::alignTo(extent, panel)) / double(std::max<int64_t>(extent, 1));
    double cost = padded * (vectors == 1 ? 1.5 : 1.0) + 0.01 * double(i);
    if (cost < bestCost) {
      bestCost = cost;
      best = vectors;
    }
  }
  return best * width;
}

bool plan::storesAlongRows(const StageAnalysis &analysis, const Nest &nest,
                           const NestPlan &nestPlan) {
  if (nestPlan.vector < 0 || nestPlan.row < 0)
    return false;
  // Scratch has the lanes innermost.
  for (const Node *sink : nest.sinks)
    for (OpResult value : sink->op->getResults())
      if (sink->kind != NodeKind::Update && !analysis.isOutput(value))
        return false;
  return storeStride(analysis, nest, nestPlan.vector) > 1 &&
         storeStride(analysis, nest, nestPlan.row) == 1;
}

void Planner::planContraction(const StageAnalysis &analysis, const Nest &nest,
                              int64_t forcedClass, NestPlan &result) const {
  const Node *node = nest.anchor;
  struct Candidate {
    unsigned loop;
    double score;
    bool dot;
  };
  std::optional<Candidate> best;
  auto consider = [&](unsigned loop, double score, bool dot) {
    if (!best || score > best->score)
      best = Candidate{loop, score, dot};
  };
  // How often an element of each operand is used: the extent of the parallel
  // loops it does not depend on.
  auto reuse = [&](unsigned operand) {
    double times = 1;
    for (unsigned l = 0; l < node->loops.size(); ++l)
      if (node->loops[l].parallel &&
          strideAlong(analysis, node, operand, unitStep(node, l)) == 0)
        times *= double(extentOf(node->loops[l].extent));
    return times;
  };
  for (auto [l, loop] : llvm::enumerate(node->loops)) {
    int64_t extent = extentOf(loop.extent);
    if (extent == 1)
      continue;
    SmallVector<SizeExpr> steps = unitStep(node, l);
    int64_t strides[2];
    double packing = 0;
    for (unsigned i = 0; i < 2; ++i) {
      strides[i] = strideAlong(analysis, node, i, steps);
      if (strides[i] > 1 && loop.parallel) {
        if (readsPackable(node->operands[i], l))
          strides[i] = 1;
        else
          packing += 8.0 / std::max(reuse(i), 1.0);
      }
    }
    double fill = double(extent) / double(llvm::alignTo(extent, lanes));
    if (!loop.parallel) {
      if (strides[0] != 1 || strides[1] != 1 || forcedClass >= 0)
        continue;
      // A dot product loads two vectors per multiply-add, and adds up lanes.
      double smallest = std::min(reuse(0), reuse(1));
      consider(l, fill * (smallest < 2 ? 0.9 : 0.3), true);
      continue;
    }
    if (forcedClass >= 0 && static_cast<int64_t>(loop.cls) != forcedClass)
      continue;
    double score = fill;
    if (storeStride(analysis, nest, l) > 1) {
      // Stored along rows, if they are contiguous: a transposition each.
      bool alongRows = false;
      for (auto [r, row] : llvm::enumerate(node->loops))
        if (row.parallel && r != l && extentOf(row.extent) > 1 &&
            storeStride(analysis, nest, r) == 1)
          alongRows = true;
      score *= alongRows ? 0.9 : 0.6;
    }
    score /= 1 + packing;
    // Both operands on lanes leave nothing to broadcast.
    if (strides[0] != 0 && strides[1] != 0)
      score *= 0.7;
    consider(l, score, false);
  }
  result.block = 512;
  if (!best)
    return;
  result.vector = best->loop;
  int64_t extent = extentOf(node->loops[best->loop].extent);
  // Rows: the parallel loop with the most reuse of the operand on lanes.
  int64_t laneOperand =
      strideAlong(analysis, node, 0, unitStep(node, best->loop)) != 0 ? 0 : 1;
  int64_t rowExtent = 1;
  for (auto [l, loop] : llvm::enumerate(node->loops)) {
    if (!loop.parallel || l == best->loop)
      continue;
    bool reuses = strideAlong(analysis, node, laneOperand,
                              unitStep(node, l)) == 0;
    if (best->dot)
      reuses = strideAlong(analysis, node, 0, unitStep(node, l)) == 0 ||
               strideAlong(analysis, node, 1, unitStep(node, l)) == 0;
    int64_t size = extentOf(loop.extent);
    if (!reuses || size == 1)
      continue;
    // More rows than registers are worth nothing; contiguous results are.
    auto worth = [&](int64_t extent, int64_t at) {
      return std::make_tuple(std::min<int64_t>(extent, 2 * registers / 5),
                             -storeStride(analysis, nest, at), extent);
    };
    if (result.row < 0 || worth(size, l) > worth(rowExtent, result.row)) {
      rowExtent = size;
      result.row = l;
    }
  }
  if (best->dot) {
    result.vectors = 1;
    result.rows = result.row < 0 ? 1 : std::min<int64_t>(rowExtent, 8);
    return;
  }
  result.vectors = getPanel(extent, lanes) / lanes;
  // A weight that is packed already has the panels it has.
  for (unsigned i = 0; i < 2; ++i)
    if (node->operands[i].panel &&
        int64_t(node->operands[i].panelLoop) == result.vector)
      result.vectors = std::max<int64_t>(node->operands[i].panel / lanes, 1);
  result.rows = getRows(node, result, rowExtent);
  if (!nest.streamedBy && forcedClass < 0)
    chooseAtom(analysis, nest, result);
}

/// Registers that a vector of this nest's sums takes.
static int64_t registersPerSum(const Node *node, int64_t lanes,
                               int64_t registerBits) {
  int64_t bits = cast<RankedTensorType>(node->op->getResult(0).getType())
                     .getElementTypeBitWidth();
  return std::max<int64_t>(lanes * bits / std::max<int64_t>(registerBits, 1),
                           1);
}

int64_t Planner::getRows(const Node *node, const NestPlan &nestPlan,
                         int64_t rowExtent) const {
  if (nestPlan.row < 0)
    return 1;
  int64_t available =
      registers / registersPerSum(node, lanes, worker.registerBits);
  int64_t most = std::max<int64_t>(
      (available - 2 - nestPlan.vectors) / nestPlan.vectors, 1);
  most = std::min(most, rowExtent);
  // The fewest row blocks, then the smallest remainder.
  int64_t blocks = llvm::divideCeil(rowExtent, most);
  for (int64_t rows = most; rows >= std::max<int64_t>(most - 2, 1); --rows)
    if (rowExtent % rows == 0)
      return rows;
  return std::max<int64_t>(llvm::divideCeil(rowExtent, blocks), 1);
}

SmallVector<const hw::Atom *> Planner::getAtoms(Type a, Type b, Type c) const {
  auto spell = [](Type type) {
    std::string text;
    llvm::raw_string_ostream os(text);
    os << type;
    return text;
  };
  SmallVector<const hw::Atom *> result;
  if (!options.emits)
    return result;
  for (const hw::Atom *atom : worker.getAtoms(spell(a), spell(b), spell(c)))
    if (options.emits(*atom))
      result.push_back(atom);
  return result;
}

static Type elementTypeOf(const Node *node, unsigned operand) {
  return getElementTypeOrSelf(node->op->getOperand(operand).getType());
}

void Planner::chooseAtom(const StageAnalysis &analysis, const Nest &nest,
                         NestPlan &result) const {
  const Node *node = nest.anchor;
  auto stride = [&](unsigned operand, unsigned loop) {
    return strideAlong(analysis, node, operand, unitStep(node, loop));
  };
  auto varies = [&](unsigned operand, int64_t loop) {
    return loop >= 0 && stride(operand, loop) != 0;
  };
  unsigned onLanes = varies(0, result.vector) ? 0 : 1, onRows = 1 - onLanes;
  // Both on lanes, or lanes that change from row to row: nothing to share.
  if (varies(onRows, result.vector) || varies(onLanes, result.row))
    return;
  const Access &lane = node->operands[onLanes], &row = node->operands[onRows];

  // The atom's k: along a reduction of both, contiguous in the row operand.
  int64_t group = -1;
  double bestGroup = 0;
  for (auto [l, loop] : llvm::enumerate(node->loops)) {
    if (loop.parallel || !varies(0, l) || !varies(1, l))
      continue;
    double worth = double(extentOf(loop.extent)) *
                   (stride(onRows, l) == 1 ? 16 : 1) *
                   (lane.group > 1 && lane.groupLoop == l ? 1e6 : 1);
    if (worth > bestGroup) {
      bestGroup = worth;
      group = l;
    }
  }

  // What a copy takes in scratch, and whether it can be bounded.
  constexpr int64_t mostBytes = int64_t(1) << 22;
  auto copyBytes = [&](unsigned operand, int64_t lead) {
    double bytes = double(lead) * getElementBytes(elementTypeOf(node, operand));
    for (auto [l, loop] : llvm::enumerate(node->loops))
      if (!loop.parallel && varies(operand, l))
        bytes *= double(loop.extent.bounds(ranges).max);
    return bytes;
  };
  bool constantLanes = lane.isInput() && readsPackable(lane, result.vector);
  bool packedLanes = lane.panel > 0;
  auto classLengths = [&]() {
    SmallVector<double> lengths;
    for (const ClassInfo &info : analysis.getClasses())
      lengths.push_back(double(extentOf(info.extent)));
    return lengths;
  };
  SmallVector<double> lengths = classLengths();
  std::optional<NestPlan> best;
  double bestTime = 0;
  auto consider = [&](const NestPlan &candidate) {
    double time = predictContraction(analysis, nest, candidate, lengths);
    if (!best || time < bestTime) {
      best = candidate;
      bestTime = time;
    }
  };

  // Multiply-adds, from where the operands are or from panels.
  if (lane.group == 1)
    consider(result);
  if (!packedLanes && !constantLanes &&
      copyBytes(onLanes, lanes * result.vectors) <= mostBytes) {
    NestPlan candidate = result;
    candidate.packed = {int64_t(onLanes)};
    candidate.group = group;
    if (lane.isInput())
      consider(candidate);
  }
  if (group >= 0)
    for (const hw::Atom *atom :
         getAtoms(elementTypeOf(node, onRows), elementTypeOf(node, onLanes),
                  elementTypeOf(node, 2))) {
      if (atom->k == 1)
        continue;
      bool fragments = atom->operands == hw::OperandPlace::TileRegisters;
      if (atom->operands == hw::OperandPlace::SharedMemory ||
          (!fragments && (atom->m != 1 || atom->n != lanes)) ||
          (fragments && (atom->n % lanes != 0 || result.row < 0)))
        continue;
      int64_t together = elementTypeOf(node, 2).getIntOrFloatBitWidth() /
                         elementTypeOf(node, onLanes).getIntOrFloatBitWidth();
      if (packedLanes && lane.group != together)
        continue;
      NestPlan candidate = result;
      candidate.group = group;
      candidate.atom = hr::AtomAttr::get(node->op->getContext(),
                                         atom->instruction, atom->m, atom->n,
                                         atom->k, fragments);
      if (!packedLanes)
        candidate.vectors =
            getPanel(extentOf(node->loops[result.vector].extent), lanes,
                     getPanelAtom(node, onRows, onLanes)) /
            lanes;
      int64_t rowExtent =
          result.row < 0 ? 1 : extentOf(node->loops[result.row].extent);
      if (fragments) {
        if (candidate.vectors * lanes % atom->n != 0)
          continue;
        int64_t across = candidate.vectors * lanes / atom->n;
        // Sums, one fragment of the rows and a row of the lanes' at a time.
        int64_t down = (worker.tileRegisters - 1 - across) / across;
        if (down < 1)
          continue;
        candidate.rows =
            std::min<int64_t>(down, llvm::divideCeil(rowExtent, atom->m)) *
            atom->m;
        candidate.block = 0;
      } else {
        candidate.rows = getRows(node, candidate, rowExtent);
      }
      std::optional<int64_t> depth = node->loops[group].extent.getConstant();
      std::optional<int64_t> height =
          result.row < 0 ? std::optional<int64_t>(1)
                         : node->loops[result.row].extent.getConstant();
      bool wholeGroups = depth && *depth % atom->k == 0;
      bool wholeRows = height && *height % atom->m == 0;
      // A weight is padded to whole groups only.
      bool lanesInPlace =
          (packedLanes || constantLanes) && (wholeGroups || !fragments);
      if (!lanesInPlace) {
        if (packedLanes ||
            copyBytes(onLanes, lanes * candidate.vectors) > mostBytes)
          continue;
        candidate.packed.push_back(onLanes);
      }
      bool rowsInPlace = row.isInput() && !row.panel &&
                         stride(onRows, group) == 1 && wholeGroups &&
                         (wholeRows || !fragments);
      if (!rowsInPlace) {
        // Tiles bound the rows of a copy.
        if (copyBytes(onRows, 256) > mostBytes)
          continue;
        candidate.packed.push_back(onRows);
      }
      llvm::sort(candidate.packed);
      consider(candidate);
    }
  if (best)
    result = *best;
}

const hw::Atom *Planner::getPanelAtom(const Node *node, unsigned onRows,
                                      unsigned onLanes) const {
  const hw::Atom *found = nullptr;
  for (const hw::Atom *atom :
       getAtoms(elementTypeOf(node, onRows), elementTypeOf(node, onLanes),
                elementTypeOf(node, 2)))
    if (atom->k > 1 &&
        (!found || atom->operands == hw::OperandPlace::TileRegisters))
      found = atom;
  return found;
}

SmallVector<Planner::Repack>
Planner::getRepacks(const StageAnalysis &analysis,
                    const StagePlan &plan) const {
  SmallVector<Repack> result;
  for (auto [n, nest] : llvm::enumerate(analysis.getNests())) {
    const Node *node = nest.anchor;
    if (node->kind != NodeKind::Contraction || plan.nests[n].vector < 0)
      continue;
    unsigned loop = plan.nests[n].vector;
    if (!node->loops[loop].parallel)
      continue;
    for (unsigned i = 0; i < 2; ++i)
      if (!plan.nests[n].packs(i) && node->operands[i].isInput() && !node->operands[i].panel &&
          strideAlong(analysis, node, i, unitStep(node, loop)) > 1)
        result.push_back({unsigned(n), i});
  }
  return result;
}

double Planner::predictContraction(const StageAnalysis &analysis,
                                   const Nest &nest, const NestPlan &nestPlan,
                                   ArrayRef<double> length) const {
  const Node *node = nest.anchor;
  double clock = worker.clock.valueOr(2e9);
  hr::AtomAttr atom = nestPlan.atom;
  bool fragments = atom && atom.getFragments();
  auto varies = [&](unsigned operand, unsigned loop) {
    return strideAlong(analysis, node, operand, unitStep(node, loop)) != 0;
  };
  unsigned onLanes =
      nestPlan.vector >= 0 && varies(0, nestPlan.vector) ? 0 : 1;
  unsigned onRows = 1 - onLanes;

  // Cycles per multiply-add of the instruction.
  double perCycle = 0, latency = 4, macs = double(lanes);
  std::string accumulator;
  {
    llvm::raw_string_ostream os(accumulator);
    os << elementTypeOf(node, 2);
  }
  auto take = [&](const hw::Atom &found) {
    perCycle = found.perCycle.valueOr(1);
    latency = found.latency.valueOr(4);
    macs = double(found.macs());
  };
  if (atom) {
    for (const hw::Atom &known : worker.atoms)
      if (known.instruction == atom.getInstruction())
        take(known);
  } else if (const hw::Atom *found =
                 worker.getAtom(accumulator, accumulator, accumulator)) {
    take(*found);
  }
  if (perCycle <= 0)
    perCycle = 2;

  // Points, with the padding of vectors, rows and groups.
  double points = 1, others = 1;
  for (auto [l, loop] : llvm::enumerate(node->loops)) {
    double extent = length[loop.cls];
    uint64_t unit = 1;
    if (int64_t(l) == nestPlan.vector)
      unit = lanes;
    else if (atom && int64_t(l) == nestPlan.group)
      unit = atom.getK();
    else if (fragments && int64_t(l) == nestPlan.row)
      unit = atom.getM();
    points *= double(llvm::alignTo(uint64_t(extent), unit));
    if (loop.parallel && int64_t(l) != nestPlan.vector &&
        int64_t(l) != nestPlan.row)
      others *= extent;
  }
  if (nestPlan.vector < 0)
    return points * 2 / clock;
  double rows = double(nestPlan.rows), vectors = double(nestPlan.vectors);
  if (nestPlan.row >= 0)
    rows = std::min(rows, length[node->loops[nestPlan.row].cls]);
  double sums = fragments ? double(nestPlan.rows / atom.getM()) *
                                (vectors * double(lanes) / double(atom.getN()))
                          : rows * vectors;
  // Instructions at least this far apart when all depend on the last of their
  // sum.
  double cycles = std::max(1 / perCycle, latency / std::max(sums, 1.0));
  // Loads, two per cycle, and conversions of what is narrower than the sum.
  if (!fragments) {
    double loads = rows + vectors;
    if (!node->loops[nestPlan.vector].parallel)
      loads = rows * 2;
    auto narrow = [&](unsigned operand) {
      return !atom && elementTypeOf(node, operand) != elementTypeOf(node, 2);
    };
    double conversions = (narrow(onLanes) ? vectors : 0) +
                         (narrow(onRows) ? rows : 0);
    cycles = std::max(cycles, (loads / 2 + conversions) / sums);
    // Each step of the reduction is in another page, or in the same sets of the
    // cache.
    const Access &lane = node->operands[onLanes];
    if (lane.isInput() && !lane.panel && !nestPlan.packs(onLanes)) {
      int64_t bytes = getElementBytes(elementTypeOf(node, onLanes));
      for (auto [l, loop] : llvm::enumerate(node->loops))
        if (!loop.parallel && extentOf(loop.extent) > 8)
          if (std::optional<int64_t> step = lane.address.coef[l].getConstant())
            if (*step * bytes * 2 > device.facts.page)
              cycles *= 1.2;
      // In a stream it is copied before the stream begins.
      if (!nest.streamedBy &&
          strideAlong(analysis, node, onLanes,
                      unitStep(node, nestPlan.vector)) > 1 &&
          !readsPackable(lane, nestPlan.vector))
        cycles += 2 * double(lanes) / rows;
    }
  }
  double time = points / macs * cycles * 1.05 / clock;

  // Copies: an element costs a load and a store of a vector, or a gather.
  for (int64_t operand : nestPlan.packed) {
    double elements = 1;
    bool contiguous = false;
    for (auto [l, loop] : llvm::enumerate(node->loops)) {
      bool along = varies(operand, l);
      if (along || (loop.parallel && int64_t(l) != nestPlan.vector &&
                    int64_t(l) != nestPlan.row))
        elements *= length[loop.cls];
      bool lead = int64_t(l) == nestPlan.group ||
                  (operand == int64_t(onLanes) && int64_t(l) == nestPlan.vector);
      contiguous |= lead && strideAlong(analysis, node, operand,
                                        unitStep(node, l)) == 1;
    }
    time += elements * (contiguous ? 3.0 / double(lanes) : 2.0) / clock;
  }
  // Sums that leave through scratch.
  if (fragments)
    time += others * 3 / double(lanes) *
            length[node->loops[nestPlan.row].cls] *
            length[node->loops[nestPlan.vector].cls] / clock;
  return time;
}
