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
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

//===----------------------------------------------------------------------===//
// Register tiles
//===----------------------------------------------------------------------===//

int64_t Planner::getMostRows(int64_t vectors, int64_t perSum) const {
  // Beside the sums, the vectors of one step and two for what comes by.
  int64_t most = (registers / perSum - 2 - vectors) / vectors;
  return std::max<int64_t>(most, 1);
}

int64_t Planner::getPanel(int64_t extent, int64_t width,
                          const hw::Atom *atom) const {
  // Two fragments by two fill the tile registers and load least.
  if (atom && atom->operands == hw::OperandPlace::TileRegisters)
    return extent > atom->n ? 2 * atom->n : atom->n;
  constexpr int64_t widths[] = {3, 4, 2, 1};
  auto cyclesOf = [&](int64_t vectors) {
    return cost::predictPanel(machine, getMostRows(vectors, /*perSum=*/1),
                              vectors, width);
  };
  double least = cyclesOf(widths[0]);
  for (int64_t vectors : widths)
    least = std::min(least, cyclesOf(vectors));
  // What is as good as the best but for a hundredth is a matter of padding; a
  // single vector is left to extents that are no wider.
  constexpr double level = 1.015, single = 1.5;
  int64_t best = 1;
  double bestCost = 1e30;
  for (auto [i, vectors] : llvm::enumerate(widths)) {
    int64_t panel = vectors * width;
    double padded =
        double(llvm::alignTo(extent, panel)) / double(std::max<int64_t>(extent, 1));
    double rate = cyclesOf(vectors) / least;
    double cost = padded * (vectors == 1 ? single : rate > level ? rate : 1.0) +
                  0.01 * double(i);
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

//===----------------------------------------------------------------------===//
// What is asked of a contraction over and over
//===----------------------------------------------------------------------===//

static Type elementTypeOf(const Node *node, unsigned operand) {
  return getElementTypeOrSelf(node->op->getOperand(operand).getType());
}

Planner::Contraction Planner::inspect(const StageAnalysis &analysis,
                                      const Nest &nest) const {
  Contraction result;
  const Node *node = nest.anchor;
  result.node = node;
  result.streamed = nest.streamedBy != nullptr;
  for (auto [l, info] : llvm::enumerate(node->loops)) {
    Contraction::Loop &facts = result.loops.emplace_back();
    facts.parallel = info.parallel;
    facts.isKnown = info.extent.isConstant();
    facts.extent = extentOf(info.extent);
    facts.store = info.parallel ? storeStride(analysis, nest, l) : 0;
    for (unsigned i = 0; i < 2; ++i) {
      const Access &access = node->operands[i];
      facts.stride[i] = strideAlong(analysis, node, i, unitStep(node, l));
      facts.packable[i] = readsPackable(access, l);
      facts.isData |= access.gather && access.dataLoops.test(l);
      if (access.isInput() && !access.panel)
        if (std::optional<int64_t> step =
                access.address.coef[l].getConstant())
          facts.bytes[i] = *step * getElementBytes(elementTypeOf(node, i));
    }
  }
  Type sum = elementTypeOf(node, 2);
  result.sumBits = sum.getIntOrFloatBitWidth();
  for (unsigned i = 0; i < 2; ++i) {
    result.narrow[i] = elementTypeOf(node, i) != sum;
    result.elementBytes[i] = getElementBytes(elementTypeOf(node, i));
    result.panel[i] = node->operands[i].panel;
  }
  auto spell = [](Type type) {
    std::string text;
    llvm::raw_string_ostream os(text);
    os << type;
    return text;
  };
  result.multiplyAdd =
      worker.getAtom(spell(sum), spell(sum), spell(sum));
  // Integers in memory have no sign; how they are widened tells.
  auto spellOperand = [&](unsigned i) {
    std::string text = spell(elementTypeOf(node, i));
    BlockArgument arg =
        cast<linalg::LinalgOp>(node->op).getBlock()->getArgument(i);
    bool isUnsigned = llvm::any_of(arg.getUsers(), [](Operation *user) {
      return isa<arith::ExtUIOp>(user);
    });
    return isUnsigned ? "u" + text : text;
  };
  for (unsigned rows = 0; rows < 2; ++rows)
    if (options.emits)
      for (const hw::Atom *atom : worker.getAtoms(
               spellOperand(rows), spellOperand(1 - rows), spell(sum)))
        if (atom->k > 1 && options.emits(*atom))
          result.atoms[rows].push_back(atom);
  return result;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

double Planner::predictContraction(const Contraction &info,
                                   const NestPlan &nestPlan,
                                   ArrayRef<double> length) const {
  SmallVector<double> lengths;
  for (const Loop &loop : info.node->loops)
    lengths.push_back(length[loop.cls]);
  cost::RegisterTile tile{nestPlan.vector, nestPlan.vectors, nestPlan.row,
                          nestPlan.rows,   nestPlan.group,
                          {nestPlan.packs(0), nestPlan.packs(1)}};
  if (nestPlan.atom)
    for (const hw::Atom *known : info.atoms[1 - info.getLaneOperand(nestPlan)])
      if (known->instruction == nestPlan.atom.getInstruction())
        tile.atom = known;
  return cost::predict(machine, info, tile, lengths);
}

SmallVector<int64_t> Planner::getRows(const Contraction &info,
                                      const NestPlan &nestPlan) const {
  if (nestPlan.row < 0)
    return {1};
  int64_t rowExtent = info.loops[nestPlan.row].extent;
  int64_t perSum = std::max<int64_t>(
      lanes * info.sumBits / std::max<int64_t>(worker.registerBits, 1), 1);
  // Vectors that change from row to row are not kept.
  bool shares = info.loops[nestPlan.row]
                    .stride[info.getLaneOperand(nestPlan)] == 0;
  int64_t most = getMostRows(nestPlan.vectors, perSum);
  if (!shares)
    most = std::min<int64_t>(most, 4);
  most = std::min(std::max<int64_t>(most, 1), rowExtent);
  // Blocks that cover the extent evenly, and the tallest ones that leave some
  // rows over: the prediction knows what the rest costs.
  SmallVector<int64_t> result;
  auto add = [&](int64_t rows) {
    if (rows >= 1 && !llvm::is_contained(result, rows))
      result.push_back(rows);
  };
  for (int64_t rows = most; rows >= std::max<int64_t>(most - 2, 1); --rows)
    if (rowExtent % rows == 0)
      add(rows);
  add(llvm::divideCeil(rowExtent, llvm::divideCeil(rowExtent, most)));
  add(most);
  return result;
}

/// Rounding grows with the products that one sum adds up, so long sums are sums
/// of sums. A block costs an addition per sum, and where the register tile
/// leaves no registers for the totals, their way through memory. So it is
/// shortest where totals stay in registers, short where a panel is read once
/// and comes from far, longer where it is read twice, and longest in a tile that
/// runs at the rate of its instruction: there, where sums are long, as long as
/// others' are. Totals are sums as well: no more blocks than there are products
/// in one.
void Planner::planBlock(const Contraction &info, NestPlan &nestPlan) const {
  nestPlan.block = 0;
  nestPlan.totalsInScratch = false;
  constexpr int64_t inRegisters = 16, readOnce = 32, readTwice = 64,
                    reused = 128, narrow = 256;
  constexpr double longSum = 1024;
  const Node *node = info.node;
  if (nestPlan.vector < 0 || (nestPlan.atom && nestPlan.atom.getFragments()) ||
      !isa<FloatType>(elementTypeOf(node, 2)))
    return;
  bool dot = !node->loops[nestPlan.vector].parallel;
  double depth = 1;
  for (auto [l, loop] : llvm::enumerate(node->loops))
    if (!loop.parallel)
      depth *= double(info.loops[l].extent);
  if (dot)
    depth /= double(lanes);
  int64_t perSum = std::max<int64_t>(
      lanes * info.sumBits / std::max<int64_t>(worker.registerBits, 1), 1);
  int64_t sums = nestPlan.rows * (dot ? 1 : nestPlan.vectors);
  int64_t operands = 1 + (dot ? nestPlan.rows : nestPlan.vectors);
  bool fits = (2 * sums + operands) * perSum <= registers;
  auto setBlock = [&](int64_t block) {
    nestPlan.block = block;
    bool isKnown = llvm::all_of(info.loops, [](const auto &loop) {
      return loop.parallel || loop.isKnown;
    });
    nestPlan.totalsInScratch =
        !fits && !dot && (!isKnown || depth > double(block));
  };
  // Products of 16-bit floats: their results have an ulp of 2^-8 or 2^-11.
  if (info.narrow[0] && info.narrow[1])
    return setBlock(narrow);
  int64_t rowExtent =
      nestPlan.row < 0 ? 1 : info.loops[nestPlan.row].extent;
  int64_t block = depth < longSum ? reused : 2 * reused;
  if (fits)
    block = inRegisters;
  else if (rowExtent <= nestPlan.rows)
    block = readOnce;
  else if (rowExtent <= 2 * nestPlan.rows)
    block = readTwice;
  setBlock(std::max(block, static_cast<int64_t>(std::sqrt(depth))));
}

/// Whether the nest is better off as dot products: lanes along a reduction in
/// which both operands are contiguous. They load two vectors per multiply-add,
/// and add up lanes, so somebody must be read once only.
int64_t Planner::getDotLoop(const Contraction &info) const {
  const Node *node = info.node;
  auto reuse = [&](unsigned operand) {
    double times = 1;
    for (auto [l, facts] : llvm::enumerate(info.loops))
      if (node->loops[l].parallel && facts.stride[operand] == 0)
        times *= double(facts.extent);
    return times;
  };
  double smallest = std::min(reuse(0), reuse(1));
  double dotWorth = smallest < 2 ? 0.9 : 0.3;
  int64_t best = -1;
  double bestScore = 0;
  for (auto [l, facts] : llvm::enumerate(info.loops)) {
    if (facts.extent == 1)
      continue;
    double fill =
        double(facts.extent) / double(llvm::alignTo(facts.extent, lanes));
    bool dot = !node->loops[l].parallel;
    if (dot && (facts.stride[0] != 1 || facts.stride[1] != 1))
      continue;
    double score = dot ? fill * dotWorth : fill;
    if (!dot) {
      for (unsigned i = 0; i < 2; ++i)
        if (facts.stride[i] > 1 && !facts.packable[i])
          score /= 1 + (facts.isClose(i, info.elementBytes[i]) ? 1.0 : 8.0) /
                           std::max(reuse(i), 1.0);
      if (facts.store > 1)
        score *= 0.6;
      if (facts.stride[0] != 0 && facts.stride[1] != 0)
        score *= 0.7;
    }
    if (score > bestScore) {
      bestScore = score;
      best = dot ? int64_t(l) : -1;
    }
  }
  return best;
}

int64_t Planner::getStep(const Access &access, unsigned loop) const {
  auto valueOf = [&](const SizeExpr &size) {
    return std::abs(size.evaluate(bindings).value_or(1));
  };
  if (access.isInput())
    return access.panel ? 0 : valueOf(access.address.coef[loop]);
  // What is computed in the stage lies in scratch as its dimensions say.
  ArrayRef<unsigned> loops = access.producer->resultLoops[
      cast<OpResult>(access.source).getResultNumber()];
  int64_t step = 0, size = 1;
  for (unsigned d = loops.size(); d-- > 0;) {
    step += valueOf(access.index[d].coef[loop]) * size;
    size *= extentOf(access.producer->loops[loops[d]].extent);
  }
  return step;
}

void Planner::planContraction(const StageAnalysis &analysis, const Nest &nest,
                              int64_t forcedClass, NestPlan &result) const {
  const Node *node = nest.anchor;
  Contraction info = inspect(analysis, nest);
  if (forcedClass < 0) {
    result.vector = getDotLoop(info);
    if (result.vector >= 0) {
      for (auto [l, facts] : llvm::enumerate(info.loops))
        if (node->loops[l].parallel && facts.extent > 1 && !facts.isData &&
            (facts.stride[0] == 0 || facts.stride[1] == 0) &&
            (result.row < 0 || facts.extent > info.loops[result.row].extent))
          result.row = l;
      if (result.row >= 0)
        result.rows = std::min<int64_t>(info.loops[result.row].extent, 8);
      planBlock(info, result);
      return;
    }
  }
  SmallVector<double> lengths;
  for (const ClassInfo &cls : analysis.getClasses())
    lengths.push_back(double(extentOf(cls.extent)));
  std::optional<NestPlan> best;
  double bestTime = 0;
  // Where sizes are not known, the longer row loop for the same lanes, unless
  // the other is clearly better: the short one (a batch) may be one.
  auto rowExtent = [&](const NestPlan &plan) {
    return plan.row < 0 ? int64_t(1) : info.loops[plan.row].extent;
  };
  auto isDynamic = [&](const NestPlan &plan) {
    return plan.row >= 0 && !node->loops[plan.row].extent.isConstant();
  };
  auto consider = [&](const NestPlan &candidate) {
    double time = predictContraction(info, candidate, lengths);
    constexpr double margin = 1.1;
    // Rows are cut into tiles later: what is left over here is left over in
    // each of them.
    constexpr double leftOver = 1.015;
    if (candidate.row >= 0 && !isDynamic(candidate) &&
        rowExtent(candidate) % candidate.rows != 0)
      time *= leftOver;
    double allowed = bestTime;
    if (best && candidate.vector == best->vector &&
        (isDynamic(candidate) || isDynamic(*best)) &&
        rowExtent(candidate) != rowExtent(*best))
      allowed *= rowExtent(candidate) > rowExtent(*best) ? margin : 1 / margin;
    // Of two loops that do as well, the one whose iterations are neighbours in
    // memory: blocks of rows follow one another, and so do their pages.
    auto rowStep = [&](const NestPlan &plan) {
      return getStep(node->operands[1 - info.getLaneOperand(plan)], plan.row);
    };
    if (best && time == bestTime && candidate.row >= 0 && best->row >= 0 &&
        candidate.vector == best->vector &&
        rowStep(candidate) < rowStep(*best))
      best = candidate;
    if (!best || time < allowed) {
      best = candidate;
      bestTime = time;
    }
  };
  for (auto [v, facts] : llvm::enumerate(info.loops)) {
    if (!node->loops[v].parallel || facts.extent == 1 || facts.isData ||
        (forcedClass >= 0 && int64_t(node->loops[v].cls) != forcedClass) ||
        (facts.stride[0] == 0 && facts.stride[1] == 0))
      continue;
    NestPlan plan = result;
    plan.vector = v;
    unsigned onLanes = info.getLaneOperand(plan);
    const Access &lane = node->operands[onLanes];
    // Panels of weights are as wide as the extent says.
    SmallVector<int64_t> widths;
    int64_t panel = 0;
    if (lane.panel && int64_t(lane.panelLoop) == plan.vector)
      panel = lane.panel;
    else if (facts.packable[onLanes] || info.streamed)
      panel = getPanel(facts.extent, lanes, info.getPanelAtom(onLanes));
    if (panel)
      for (int64_t vectors = panel / lanes; vectors >= 1; --vectors) {
        // A register tile may take a part of a panel.
        if (panel % (vectors * lanes) == 0 &&
            (!info.streamed || vectors * lanes == panel))
          widths.push_back(vectors);
      }
    else
      for (int64_t vectors : {3, 4, 2, 1})
        if (vectors == 1 || (vectors - 1) * lanes < facts.extent)
          widths.push_back(vectors);
    for (int64_t vectors : widths) {
      plan.vectors = vectors;
      plan.row = -1;
      plan.rows = 1;
      addVariants(info, plan, consider);
      for (auto [r, row] : llvm::enumerate(info.loops)) {
        if (!node->loops[r].parallel || r == v || row.extent == 1 ||
            row.isData)
          continue;
        plan.row = r;
        for (int64_t rows : getRows(info, plan)) {
          plan.rows = rows;
          addVariants(info, plan, consider);
        }
      }
    }
  }
  if (!best)
    return;
  result = *best;
  planBlock(info, result);
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

/// The operands of a contraction, by where they are in a register tile.
struct Planner::TileOperands {
  TileOperands(const Planner &planner, const Contraction &info,
               const NestPlan &plan);
  /// Bytes of a copy with `lead` elements along what is not reduced.
  double getCopyBytes(unsigned operand, int64_t lead) const;
  /// The loop that an atom's k runs along: a reduction of both, contiguous in
  /// the operand on rows; -1 if there is none.
  int64_t findGroup() const;

  /// What a copy may take in scratch.
  static constexpr int64_t mostBytes = int64_t(1) << 22;

  const Planner &planner;
  const Contraction &info;
  unsigned onLanes, onRows;
  const Access &lane, &row;
  /// On lanes is a weight that may be packed, or is packed along them. Panels
  /// along another loop are read an element at a time.
  bool constantLanes, packedLanes;
  /// A copy is bounded: of a panel; of rows, which tiles bound.
  bool lanesFit, rowsFit;
  int64_t group;
};

Planner::TileOperands::TileOperands(const Planner &planner,
                                    const Contraction &info,
                                    const NestPlan &plan)
    : planner(planner), info(info), onLanes(info.getLaneOperand(plan)),
      onRows(1 - onLanes), lane(info.node->operands[onLanes]),
      row(info.node->operands[onRows]),
      constantLanes(lane.isInput() &&
                    info.loops[plan.vector].packable[onLanes]),
      packedLanes(lane.panel > 0 && int64_t(lane.panelLoop) == plan.vector),
      lanesFit(getCopyBytes(onLanes, planner.lanes * plan.vectors) <=
               mostBytes),
      rowsFit(getCopyBytes(onRows, 256) <= mostBytes), group(findGroup()) {}

double Planner::TileOperands::getCopyBytes(unsigned operand,
                                           int64_t lead) const {
  double bytes = double(lead * info.elementBytes[operand]);
  for (auto [l, loop] : llvm::enumerate(info.node->loops))
    if (!loop.parallel && info.varies(operand, l))
      bytes *= double(loop.extent.bounds(planner.ranges).max);
  return bytes;
}

int64_t Planner::TileOperands::findGroup() const {
  int64_t best = -1;
  double most = 0;
  for (auto [l, facts] : llvm::enumerate(info.loops)) {
    if (facts.parallel || !info.varies(0, l) || !info.varies(1, l))
      continue;
    // Where the lanes are stored in groups, their loop and no other.
    double worth = double(facts.extent) * (facts.stride[onRows] == 1 ? 16 : 1) *
                   (lane.group > 1 && lane.groupLoop == l ? 1e6 : 1);
    if (worth > most) {
      most = worth;
      best = int64_t(l);
    }
  }
  return best;
}

void Planner::addVariants(const Contraction &info, const NestPlan &plan,
                          function_ref<void(const NestPlan &)> consider) const {
  TileOperands operands(*this, info, plan);
  if (!operands.packedLanes || operands.lane.group == 1)
    consider(plan);
  if (operands.lane.panel && !operands.packedLanes)
    return;
  // In a stream, operands are copied before it. Both on lanes, or lanes that
  // change from row to row: nothing to share.
  if (info.varies(operands.onRows, plan.vector) ||
      info.varies(operands.onLanes, plan.row))
    return;
  addCopies(operands, plan, consider);
  if (operands.group < 0)
    return;
  for (const hw::Atom *atom : info.atoms[operands.onRows])
    addAtom(operands, plan, *atom, consider);
}

void Planner::addCopies(const TileOperands &operands, const NestPlan &plan,
                        function_ref<void(const NestPlan &)> consider) const {
  const Access &lane = operands.lane, &row = operands.row;
  bool copiesLanes = lane.isInput() && !operands.packedLanes &&
                     !operands.constantLanes && operands.lanesFit;
  bool copiesRows = row.isInput() && !row.panel && plan.row >= 0 &&
                    operands.group >= 0 && operands.rowsFit;
  for (bool packLanes : {false, true})
    for (bool packRows : {false, true}) {
      if ((packLanes && !copiesLanes) || (packRows && !copiesRows) ||
          (!packLanes && !packRows) ||
          (operands.packedLanes && lane.group > 1))
        continue;
      NestPlan candidate = plan;
      candidate.group = operands.group;
      if (packLanes)
        candidate.packed.push_back(operands.onLanes);
      if (packRows)
        candidate.packed.push_back(operands.onRows);
      llvm::sort(candidate.packed);
      consider(candidate);
    }
}

void Planner::addAtom(const TileOperands &operands, const NestPlan &plan,
                      const hw::Atom &atom,
                      function_ref<void(const NestPlan &)> consider) const {
  const Contraction &info = operands.info;
  const Node *node = info.node;
  const Access &lane = operands.lane, &row = operands.row;
  bool packedLanes = operands.packedLanes;
  int64_t together = info.sumBits / (8 * info.elementBytes[operands.onLanes]);
  bool fragments = atom.operands == hw::OperandPlace::TileRegisters;
  if (atom.operands == hw::OperandPlace::SharedMemory ||
      (!fragments && (atom.m != 1 || atom.n != lanes)) ||
      (fragments && (atom.n % lanes != 0 || plan.row < 0)) ||
      (packedLanes && lane.group != together))
    return;
  NestPlan candidate = plan;
  candidate.group = operands.group;
  candidate.atom = hr::AtomAttr::get(node->op->getContext(), atom.instruction,
                                     atom.m, atom.n, atom.k, fragments);
  if (fragments) {
    int64_t panel = packedLanes
                        ? lane.panel
                        : getPanel(info.loops[plan.vector].extent, lanes,
                                   info.getPanelAtom(operands.onLanes));
    candidate.vectors = panel / lanes;
    if (candidate.vectors * lanes % atom.n != 0)
      return;
    int64_t across = candidate.vectors * lanes / atom.n;
    // Sums, one fragment of the rows and a row of the lanes' at a time.
    int64_t down = (worker.tileRegisters - 1 - across) / across;
    if (down < 1)
      return;
    candidate.rows =
        std::min<int64_t>(
            down, llvm::divideCeil(info.loops[plan.row].extent, atom.m)) *
        atom.m;
  }
  std::optional<int64_t> depth =
      node->loops[operands.group].extent.getConstant();
  std::optional<int64_t> height =
      plan.row < 0 ? std::optional<int64_t>(1)
                   : node->loops[plan.row].extent.getConstant();
  bool wholeGroups = depth && *depth % atom.k == 0;
  bool wholeRows = height && *height % atom.m == 0;
  // A weight is padded to whole groups only.
  bool lanesInPlace = (packedLanes || operands.constantLanes) &&
                      (wholeGroups || !fragments);
  if (!lanesInPlace) {
    if (packedLanes ||
        operands.getCopyBytes(operands.onLanes, lanes * candidate.vectors) >
            TileOperands::mostBytes)
      return;
    candidate.packed.push_back(operands.onLanes);
  }
  bool rowsInPlace = row.isInput() && !row.panel &&
                     info.loops[operands.group].stride[operands.onRows] == 1 &&
                     wholeGroups && (wholeRows || !fragments);
  if (!rowsInPlace) {
    if (!operands.rowsFit)
      return;
    candidate.packed.push_back(operands.onRows);
  }
  llvm::sort(candidate.packed);
  consider(candidate);
}

SmallVector<Planner::Repack>
Planner::getRepacks(const StageAnalysis &analysis,
                    const StagePlan &plan) const {
  SmallVector<Repack> result;
  SmallVector<unsigned> tileable = analysis.getTileClasses();
  auto isBounded = [&](const Node *node, unsigned operand) {
    SmallVector<unsigned> over;
    for (unsigned l = 0; l < node->loops.size(); ++l)
      if (node->operands[operand].dependsOn(l))
        over.push_back(l);
    return analysis.isBounded(node, over, tileable, /*isStreamed=*/true,
                              ranges);
  };
  for (auto [n, nest] : llvm::enumerate(analysis.getNests())) {
    const Node *node = nest.anchor;
    if (node->kind != NodeKind::Contraction || plan.nests[n].vector < 0)
      continue;
    unsigned loop = plan.nests[n].vector;
    if (!node->loops[loop].parallel)
      continue;
    for (unsigned i = 0; i < 2; ++i)
      if (nest.streamedBy && node->operands[i].isInput() &&
          !node->operands[i].panel &&
          strideAlong(analysis, node, i, unitStep(node, loop)) > 1 &&
          isBounded(node, i))
        result.push_back({unsigned(n), i});
  }
  return result;
}

int64_t Planner::getWeightPanel(const StageAnalysis &analysis, const Nest &nest,
                                const NestPlan &nestPlan) const {
  Contraction info = inspect(analysis, nest);
  return getPanel(info.loops[nestPlan.vector].extent, lanes,
                  info.getPanelAtom(info.getLaneOperand(nestPlan)));
}
