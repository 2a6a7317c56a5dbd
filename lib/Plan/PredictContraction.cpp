//===- PredictContraction.cpp - How long a register tile takes ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The instructions of a contraction in a tile, with the blocks of rows and vectors
// that are left over; the operands' way to the registers; copies; results.
//
//===----------------------------------------------------------------------===//
#include "headrace/Plan/Planner.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <numeric>

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

/// One plan of one contraction, whose classes have these lengths.
class Planner::ContractionPrediction {
public:
  ContractionPrediction(const Planner &planner, const Contraction &info,
                        const NestPlan &nestPlan, ArrayRef<double> length);
  double getSeconds();

private:
  double lengthOf(int64_t l) const { return length[node->loops[l].cls]; }
  bool varies(unsigned operand, int64_t l) const {
    return l >= 0 && info.loops[l].stride[operand] != 0;
  }
  bool isKnown(int64_t l) const {
    return l >= 0 && node->loops[l].extent.isConstant();
  }

  /// With the padding of vectors, rows and groups.
  double countPoints() const;
  /// Cycles per instruction: its rate, its latency where too few sums are in
  /// flight, and what goes with it.
  double getFragmentCycles() const;
  double getVectorCycles();
  /// What the loads of operand `i` take beyond slots of the load units.
  void findStalls(unsigned i);
  /// A step of the reduction in a tile of so many rows and vectors.
  double getStepCycles(double r, double v) const;
  /// Cycles in which the operands come by from the memories.
  double getMoved() const;
  double getCopyCycles() const;
  double getResultCycles() const;

  const Planner &planner;
  const hw::Worker &worker;
  const Contraction &info;
  const NestPlan &nestPlan;
  ArrayRef<double> length;
  const Node *node;
  hr::AtomAttr atom;
  bool fragments, dot;
  unsigned onLanes, onRows;
  double lanes, macs, rows, vectors;
  /// Elements of the result.
  double results = 1;
  TileRates rates;
  /// Of a load of each operand, of each vector of it, of a step.
  double extra[2] = {0, 0}, perVector[2] = {0, 0}, stalls = 0;
};

Planner::ContractionPrediction::ContractionPrediction(
    const Planner &planner, const Contraction &info, const NestPlan &nestPlan,
    ArrayRef<double> length)
    : planner(planner), worker(planner.worker), info(info),
      nestPlan(nestPlan), length(length), node(info.node),
      atom(nestPlan.atom), fragments(atom && atom.getFragments()),
      dot(nestPlan.vector >= 0 && !node->loops[nestPlan.vector].parallel),
      onLanes(info.getLaneOperand(nestPlan)), onRows(1 - onLanes),
      lanes(double(planner.lanes)), rows(double(nestPlan.rows)),
      vectors(double(nestPlan.vectors)) {
  const hw::Atom *found = info.multiplyAdd;
  if (atom)
    for (const hw::Atom *known : info.atoms[onRows])
      if (known->instruction == atom.getInstruction())
        found = known;
  macs = atom && found ? double(found->macs()) : lanes;
  rates = planner.getTileRates(found, int64_t(macs));
  for (auto [l, loop] : llvm::enumerate(node->loops))
    if (loop.parallel)
      results *= lengthOf(l);
  if (nestPlan.row >= 0)
    rows = std::min(rows, lengthOf(nestPlan.row));
  if (nestPlan.vector >= 0)
    vectors = std::min(vectors, std::ceil(lengthOf(nestPlan.vector) / lanes));
}

double Planner::ContractionPrediction::countPoints() const {
  double points = 1;
  for (unsigned l = 0; l < node->loops.size(); ++l) {
    uint64_t unit = 1;
    if (int64_t(l) == nestPlan.vector)
      unit = fragments ? std::max<int64_t>(atom.getN(), planner.lanes)
                       : planner.lanes;
    else if (atom && int64_t(l) == nestPlan.group)
      unit = atom.getK();
    else if (fragments && int64_t(l) == nestPlan.row)
      unit = atom.getM();
    points *= double(llvm::alignTo(uint64_t(lengthOf(l)), unit));
  }
  return points;
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

double Planner::ContractionPrediction::getFragmentCycles() const {
  double sums = double(nestPlan.rows / atom.getM()) *
                (vectors * lanes / double(atom.getN()));
  return std::max(1 / rates.perCycle, rates.latency / std::max(sums, 1.0));
}

void Planner::ContractionPrediction::findStalls(unsigned i) {
  double page = double(planner.device.facts.page);
  double &cost = extra[i];
  // Conversions of what is narrower than the sum.
  if (info.narrow[i] && !atom)
    cost += 1;
  const Contraction::LoopFacts &lane = info.loops[nestPlan.vector];
  bool inPlace = !nestPlan.packs(i) && !node->operands[i].panel;
  bool onVector = varies(i, nestPlan.vector);
  // Strided lanes: shuffled if close, else gathered.
  if (inPlace && onVector && !dot && !info.streamed && lane.stride[i] > 1 &&
      !lane.packable[i]) {
    cost += lane.isClose(i, info.elementBytes[i])
                ? double(lane.bytes[i] / info.elementBytes[i])
                : 1.5 * lanes;
  }
  // Vectors at any address: half of the arrays lie so that the wider the
  // vectors, the more of them cross a line.
  else if (inPlace && onVector && !lane.packable[i]) {
    double bits = lanes * double(info.sumBits);
    double crossing =
        std::min(bits / 512, 1.0) * rates.perLoad *
        (1 / std::clamp(planner.device.facts.lineCrossing.valueOr(0.5), 0.1,
                        1.0) -
         1);
    cost += 0.5 * crossing;
  }
  // Each step of the reduction is in another page, more of them than the first
  // translation buffers hold; or all are in the same few sets of the caches, so
  // that nothing is there any more when it is read again.
  if (inPlace && onVector && !lane.packable[i])
    for (auto [l, facts] : llvm::enumerate(info.loops)) {
      double step = std::abs(double(facts.bytes[i]));
      if (node->loops[l].parallel || step * lengthOf(l) < 64 * page)
        continue;
      stalls += 2 * std::min(step / page, 1.0);
      if (std::fmod(step, page) == 0)
        perVector[i] += 1;
    }
  // Rows that meet in few sets of the cache push each other out.
  if (inPlace && nestPlan.row >= 0) {
    int64_t step = std::abs(info.loops[nestPlan.row].bytes[i]);
    double sets =
        step == 0 ? rows : page / double(std::gcd(step, int64_t(page)));
    if (step >= 64 && rows / sets > 8)
      cost += 4;
    else if (step >= 64 && rows / sets > 4)
      cost += 0.25;
  }
}

double Planner::ContractionPrediction::getStepCycles(double r,
                                                     double v) const {
  double sums = r * (dot ? 1 : v), loading = 0, moves = 0, waits = stalls;
  for (unsigned i = 0; i < 2; ++i) {
    bool onRow = varies(i, nestPlan.row);
    bool onVector = !dot && varies(i, nestPlan.vector);
    double loads = (onRow ? r : 1) * (onVector ? v : 1);
    loading += loads * (rates.perLoad + extra[i]);
    // A scalar that one sum wants is its operand where it lies.
    bool operand = rates.broadcastOperand && !dot &&
                   !varies(i, nestPlan.vector) && v == 1;
    moves += operand ? 0 : loads * rates.perVector;
    waits += perVector[i] * v;
  }
  return rates.getStepCycles(sums, loading, moves) + waits;
}

/// Whole blocks and what is left over, as sizes and how many: of a length that is
/// not known in halves, or one by one.
static SmallVector<std::pair<double, double>, 4>
cover(double length, double block, bool known, bool halves) {
  SmallVector<std::pair<double, double>, 4> parts;
  double whole = std::floor(length / block);
  if (whole > 0)
    parts.push_back({block, whole});
  double rest = length - whole * block;
  if (rest > 0 && (known || !halves))
    parts.push_back({known ? rest : 1, known ? 1 : rest});
  for (double part = std::floor(block / 2);
       rest > 0 && !known && halves && part >= 1;
       part = std::floor(part / 2)) {
    double count = std::floor(rest / part);
    if (count > 0)
      parts.push_back({part, count});
    rest -= count * part;
  }
  return parts;
}

double Planner::ContractionPrediction::getVectorCycles() {
  for (unsigned i = 0; i < 2; ++i)
    findStalls(i);
  double rowCount = nestPlan.row >= 0 ? lengthOf(nestPlan.row) : 1;
  double vectorCount = dot ? 1 : std::ceil(lengthOf(nestPlan.vector) / lanes);
  double cycles = 0;
  for (auto [r, rowTimes] :
       cover(rowCount, rows, nestPlan.row < 0 || isKnown(nestPlan.row),
             /*halves=*/true))
    for (auto [v, vectorTimes] :
         cover(vectorCount, dot ? 1 : vectors,
               dot || isKnown(nestPlan.vector), /*halves=*/false))
      cycles += rowTimes * vectorTimes * getStepCycles(r, v);
  return cycles / (rowCount * vectorCount);
}

//===----------------------------------------------------------------------===//
// Movement
//===----------------------------------------------------------------------===//

double Planner::ContractionPrediction::getMoved() const {
  // The row operand comes by once per panel, the panel once per block of rows,
  // each from the innermost memory that holds it beside the other's part.
  double depth = 1, rowCount = 1;
  for (auto [l, loop] : llvm::enumerate(node->loops))
    if (!loop.parallel)
      depth *= lengthOf(l);
  if (nestPlan.row >= 0)
    rowCount = lengthOf(nestPlan.row);
  double width = vectors * lanes;
  double panelBytes = depth * width * double(info.elementBytes[onLanes]);
  double rowBytes = depth * double(info.elementBytes[onRows]);
  double passes = std::ceil(lengthOf(nestPlan.vector) / width);
  double blocks = std::ceil(rowCount / rows);
  double others = results / rowCount / lengthOf(nestPlan.vector);
  auto secondsFrom = [&](double held, double bytes) {
    for (const hw::Memory &level : worker.levels)
      if (held <= 0.75 * level.bytes.valueOr(0) ||
          &level == &worker.levels.back())
        return bytes / std::max(level.readPerWorker(planner.workers), 1e9);
    return 0.0;
  };
  double moved =
      secondsFrom(rowCount * rowBytes + panelBytes,
                  passes * rowCount * rowBytes) +
      secondsFrom(panelBytes + rows * rowBytes, passes * blocks * panelBytes);
  moved *= others * worker.clock.valueOr(2e9);
  return moved;
}

double Planner::ContractionPrediction::getCopyCycles() const {
  // An element costs a load and a store of a vector, or a gather.
  double cycles = 0;
  for (int64_t operand : nestPlan.packed) {
    double elements = 1, cost = 2;
    bool lead = operand == int64_t(onLanes);
    for (auto [l, loop] : llvm::enumerate(node->loops)) {
      bool along = varies(operand, l);
      if (along || (loop.parallel && int64_t(l) != nestPlan.vector &&
                    int64_t(l) != nestPlan.row))
        elements *= lengthOf(l);
    }
    int64_t along = lead ? nestPlan.vector : nestPlan.group;
    if (info.loops[along].stride[operand] == 1)
      cost = 4 * std::ceil(lengthOf(along) / lanes) / lengthOf(along);
    else if (lead && nestPlan.group >= 0 &&
             info.loops[nestPlan.group].stride[operand] == 1)
      cost = 8 / lanes;
    cycles += elements * cost;
  }
  return cycles;
}

double Planner::ContractionPrediction::getResultCycles() const {
  // Contiguous, turned, or scattered; those of fragments come through scratch.
  double perResult = 2 / lanes;
  if (!dot && info.loops[nestPlan.vector].store > 1)
    perResult = nestPlan.row >= 0 && info.loops[nestPlan.row].store == 1
                    ? std::min(8 / std::min(rows, lanes), 2.5)
                    : 2.5;
  if (dot)
    perResult = 12;
  if (fragments)
    perResult += 3 / lanes;
  return results * perResult;
}

double Planner::ContractionPrediction::getSeconds() {
  double clock = worker.clock.valueOr(2e9);
  if (nestPlan.vector < 0)
    return countPoints() * 2 / clock;
  double time = countPoints() / macs *
                (fragments ? getFragmentCycles() : getVectorCycles());
  if (!dot) {
    double moved = getMoved();
    time = std::max(time, moved) + 0.1 * std::min(time, moved);
  }
  return (time + getCopyCycles() + getResultCycles()) * 1.05 / clock;
}

double Planner::predictContraction(const Contraction &info,
                                   const NestPlan &nestPlan,
                                   ArrayRef<double> length) const {
  return ContractionPrediction(*this, info, nestPlan, length).getSeconds();
}
