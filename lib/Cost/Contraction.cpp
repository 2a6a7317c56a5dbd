//===- Contraction.cpp - What a sum of products takes ---------------------===//
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
#include "headrace/Cost/Contraction.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>
#include <numeric>

using namespace llvm;
using namespace headrace;
using namespace headrace::cost;

const hw::Atom *Contraction::getPanelAtom(unsigned onLanes) const {
  const hw::Atom *result = nullptr;
  for (const hw::Atom *atom : atoms[1 - onLanes])
    if (!result || atom->operands == hw::OperandPlace::TileRegisters)
      result = atom;
  return result;
}

namespace {
class Prediction {
public:
  Prediction(const Machine &machine, const Contraction &info,
             const RegisterTile &tile, ArrayRef<double> length);
  double getSeconds();

private:
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
  /// Cycles in which the operands come by from the memories: those that hide
  /// behind arithmetic, and those that do not.
  struct Moved {
    double hidden = 0, exposed = 0;
  };
  Moved getMoved() const;
  double getCopyCycles() const;
  double getResultCycles() const;

  const Machine &machine;
  const hw::Worker &worker;
  const hw::Costs &costs;
  const Contraction &info;
  const RegisterTile &tile;
  ArrayRef<double> length;
  bool fragments, dot;
  unsigned onLanes, onRows;
  double lanes, macs, rows, vectors;
  /// Elements of the result.
  double results = 1;
  StepRates rates;
  /// Of a load of each operand, of each line that a step takes of it, of a step.
  double extra[2] = {0, 0}, perLine[2] = {0, 0}, stalls = 0;
};
} // namespace

Prediction::Prediction(const Machine &machine, const Contraction &info,
                       const RegisterTile &tile, ArrayRef<double> length)
    : machine(machine), worker(machine.getWorker()),
      costs(machine.getCosts()), info(info), tile(tile), length(length),
      fragments(tile.atom &&
                tile.atom->operands == hw::OperandPlace::TileRegisters),
      dot(tile.vector >= 0 && !info.loops[tile.vector].parallel),
      onLanes(info.getLaneOperand(tile.vector)), onRows(1 - onLanes),
      lanes(double(machine.getLanes())),
      macs(tile.atom ? double(tile.atom->macs()) : lanes),
      rows(double(tile.rows)), vectors(double(tile.vectors)),
      rates(machine.getStepRates(tile.atom ? tile.atom : info.multiplyAdd,
                                 int64_t(macs))) {
  for (auto [loop, size] : zip(info.loops, length))
    if (loop.parallel)
      results *= size;
  if (tile.row >= 0)
    rows = std::min(rows, length[tile.row]);
  if (tile.vector >= 0)
    vectors = std::min(vectors, std::ceil(length[tile.vector] / lanes));
}

double Prediction::countPoints() const {
  double points = 1;
  for (auto [l, size] : enumerate(length)) {
    int64_t unit = 1;
    if (int64_t(l) == tile.vector)
      unit = fragments ? std::max(tile.atom->n, machine.getLanes())
                       : machine.getLanes();
    else if (tile.atom && int64_t(l) == tile.group)
      unit = tile.atom->k;
    else if (fragments && int64_t(l) == tile.row)
      unit = tile.atom->m;
    points *= double(alignTo(uint64_t(size), uint64_t(unit)));
  }
  return points;
}

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

double Prediction::getFragmentCycles() const {
  double sums = double(tile.rows / tile.atom->m) *
                (vectors * lanes / double(tile.atom->n));
  return std::max(1 / rates.perCycle, rates.latency / std::max(sums, 1.0));
}

void Prediction::findStalls(unsigned i) {
  const hw::Memory *nearest =
      worker.levels.empty() ? nullptr : &worker.levels.front();
  double &cost = extra[i];
  if (info.narrow[i] && !tile.atom)
    cost += costs.convert.value;
  const Contraction::Loop &lane = info.loops[tile.vector];
  bool inPlace = !tile.packs[i] && !info.panel[i];
  bool onVector = info.varies(i, tile.vector);
  // Strided lanes: shuffled if close, else gathered.
  if (inPlace && onVector && !dot && !info.streamed && lane.stride[i] > 1 &&
      !lane.packable[i]) {
    cost += lane.isClose(i, info.elementBytes[i])
                ? double(lane.bytes[i] / info.elementBytes[i]) *
                      costs.shuffle.value
                : machine.gatherVector();
  }
  // Vectors at any address: half of the arrays lie so that the wider the
  // vectors, the more of them cross a line.
  else if (inPlace && onVector && !lane.packable[i] && nearest) {
    double bytes = lanes * double(info.sumBits) / 8;
    double crossing = std::min(bytes / double(nearest->line), 1.0) *
                      rates.perLoad *
                      (1 / machine.getDevice().facts.lineCrossing.value - 1);
    cost += 0.5 * crossing;
  }
  // Each step of the reduction is in another page, more of them than have their
  // translations at hand; or all are in the same few sets of the caches, so that
  // nothing is there any more when it is read again.
  double page = double(machine.getDevice().facts.page);
  bool onRow = info.varies(i, tile.row);
  if (inPlace && ((onVector && !lane.packable[i]) || (!onVector && onRow)))
    for (auto [l, loop] : enumerate(info.loops)) {
      double step = std::abs(double(loop.bytes[i]));
      bool sameSets = std::fmod(step, page) == 0;
      if (loop.parallel || step * length[l] < costs.translations.value * page)
        continue;
      // Scalars are few: that a page is not at hand hides behind the arithmetic.
      // They stay where they are while the loops inside go on.
      if (!onVector && !sameSets)
        continue;
      double inside = 1;
      for (size_t inner = l + 1; !onVector && inner < length.size(); ++inner)
        if (!info.loops[inner].parallel)
          inside *= length[inner];
      stalls += costs.pageMiss.value * std::min(step / page, 1.0) / inside;
      if (sameSets)
        perLine[i] += costs.evicted.value / 4 / inside;
    }
  // Rows that meet in few sets of the cache push each other out.
  if (inPlace && tile.row >= 0 && nearest && nearest->ways > 0) {
    int64_t step = std::abs(info.loops[tile.row].bytes[i]);
    auto span = int64_t(nearest->bytes.value) / nearest->ways;
    double sets = step == 0 ? rows : double(span) / double(std::gcd(step, span));
    auto ways = double(nearest->ways);
    if (step >= nearest->line && rows / sets > ways)
      cost += costs.evicted.value;
    else if (step >= nearest->line && rows / sets > ways / 2)
      cost += costs.evicted.value / 16;
  }
}

double Prediction::getStepCycles(double r, double v) const {
  double sums = r * (dot ? 1 : v), loading = 0, moves = 0, waits = stalls;
  for (unsigned i = 0; i < 2; ++i) {
    bool onRow = info.varies(i, tile.row);
    bool onVector = !dot && info.varies(i, tile.vector);
    double loads = (onRow ? r : 1) * (onVector ? v : 1);
    loading += loads * (rates.perLoad + extra[i]);
    // A scalar that one sum wants is its operand where it lies.
    bool operand = rates.broadcastOperand && !dot &&
                   !info.varies(i, tile.vector) && v == 1;
    moves += operand ? 0 : loads * rates.perVector;
    // Rows side by side are in one line or two.
    bool areApart = onRow && info.loops[tile.row].stride[i] > 1;
    waits += perLine[i] * (info.varies(i, tile.vector) ? v : areApart ? r : 1);
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

double Prediction::getVectorCycles() {
  for (unsigned i = 0; i < 2; ++i)
    findStalls(i);
  double rowCount = tile.row >= 0 ? length[tile.row] : 1;
  double vectorCount = dot ? 1 : std::ceil(length[tile.vector] / lanes);
  double cycles = 0;
  for (auto [r, rowTimes] :
       cover(rowCount, rows, tile.row < 0 || info.loops[tile.row].isKnown,
             /*halves=*/true))
    for (auto [v, vectorTimes] :
         cover(vectorCount, dot ? 1 : vectors,
               dot || info.loops[tile.vector].isKnown, /*halves=*/false))
      cycles += rowTimes * vectorTimes * getStepCycles(r, v);
  return cycles / (rowCount * vectorCount);
}

//===----------------------------------------------------------------------===//
// Movement
//===----------------------------------------------------------------------===//

Prediction::Moved Prediction::getMoved() const {
  // The row operand comes by once per panel, the panel once per block of rows,
  // each from the innermost memory that holds it beside the other's part.
  double depth = 1, rowCount = tile.row >= 0 ? length[tile.row] : 1;
  for (auto [loop, size] : zip(info.loops, length))
    if (!loop.parallel)
      depth *= size;
  double width = vectors * lanes;
  double panelBytes = depth * width * double(info.elementBytes[onLanes]);
  double rowBytes = depth * double(info.elementBytes[onRows]);
  double passes = std::ceil(length[tile.vector] / width);
  double blocks = std::ceil(rowCount / rows);
  double others = results / rowCount / length[tile.vector];
  // Of a panel whose elements are rows, a block takes some and brings all.
  double share = std::max(double(info.panel[onRows]) / rows, 1.0);
  // Rows that end within a page are streams too short for a prefetcher to be
  // ahead of; where rows are neighbours and each step of the sum is in another
  // line, there is no stream. What then comes from beyond the private memories is
  // waited for.
  bool inPlace = tile.row >= 0 && !tile.packs[onRows] && !info.panel[onRows];
  bool isApart = inPlace && info.loops[tile.row].stride[onRows] > 1;
  bool isWaitedFor =
      isApart && rowBytes < double(machine.getDevice().facts.page);
  for (const Contraction::Loop &loop : info.loops)
    if (inPlace && !isApart && !loop.parallel && !worker.levels.empty() &&
        std::abs(loop.bytes[onRows]) >= worker.levels.front().line)
      isWaitedFor = true;
  Moved moved;
  auto add = [&](double held, double bytes, bool isExposed) {
    for (const hw::Memory &level : worker.levels)
      if (held <= costs.held.value * level.bytes.value ||
          &level == &worker.levels.back()) {
        double seconds = machine.getTransferSeconds(&level, bytes, 0,
                                                    machine.getWorkers());
        (isExposed && !level.isPrivate() ? moved.exposed : moved.hidden) +=
            seconds * others * machine.getClock();
        return;
      }
  };
  add(rowCount * rowBytes + panelBytes, passes * rowCount * rowBytes * share,
      isWaitedFor);
  add(panelBytes + rows * rowBytes, passes * blocks * panelBytes, false);
  // All panels once more for each iteration of the loops around them that does
  // not change them: from where all of them are held.
  double again = 1;
  for (auto [l, loop] : enumerate(info.loops))
    if (loop.parallel && int64_t(l) != tile.row && int64_t(l) != tile.vector &&
        !info.varies(onLanes, l))
      again *= length[l];
  if (again > 1)
    add(passes * panelBytes + rowCount * rowBytes,
        passes * panelBytes * (again - 1) / again, false);
  return moved;
}

double Prediction::getCopyCycles() const {
  // An element costs a load and a store, alone or as a lane.
  constexpr double single = 2, contiguous = 4;
  double cycles = 0;
  for (unsigned operand = 0; operand < 2; ++operand) {
    if (!tile.packs[operand])
      continue;
    double elements = 1, cost = single;
    bool lead = operand == onLanes;
    for (auto [l, loop] : enumerate(info.loops)) {
      bool along = info.varies(operand, l);
      if (along || (loop.parallel && int64_t(l) != tile.vector &&
                    int64_t(l) != tile.row))
        elements *= length[l];
    }
    int64_t along = lead ? tile.vector : tile.group;
    if (info.loops[along].stride[operand] == 1)
      cost = contiguous * std::ceil(length[along] / lanes) / length[along];
    else if (lead && tile.group >= 0 &&
             info.loops[tile.group].stride[operand] == 1)
      cost = machine.transposeVector() / lanes;
    cycles += elements * cost;
  }
  return cycles;
}

double Prediction::getResultCycles() const {
  // Contiguous, turned, or scattered; those of fragments come through scratch.
  constexpr double contiguous = 2, throughScratch = 3;
  double perResult = contiguous / lanes, apart = costs.scatter.value;
  if (!dot && info.loops[tile.vector].store > 1)
    perResult = tile.row >= 0 && info.loops[tile.row].store == 1
                    ? std::min(machine.transposeVector() /
                                   std::min(rows, lanes),
                               apart)
                    : apart;
  if (dot)
    perResult = costs.fold.value;
  if (fragments)
    perResult += throughScratch / lanes;
  return results * perResult;
}

double Prediction::getSeconds() {
  // A load and an addition of one element.
  constexpr double single = 2;
  if (tile.vector < 0)
    return machine.toSeconds(countPoints() * single);
  double time = countPoints() / macs *
                (fragments ? getFragmentCycles() : getVectorCycles());
  if (!dot) {
    Moved moved = getMoved();
    time = besideEachOther(time, moved.hidden, costs.unhidden.value) +
           moved.exposed;
  }
  return machine.toSeconds(time + getCopyCycles() + getResultCycles());
}

double cost::predict(const Machine &machine, const Contraction &contraction,
                     const RegisterTile &tile, ArrayRef<double> length) {
  return Prediction(machine, contraction, tile, length).getSeconds();
}

double cost::predictPanel(const Machine &machine, int64_t rows,
                          int64_t vectors, int64_t width) {
  const hw::Worker &worker = machine.getWorker();
  StepRates rates =
      machine.getStepRates(worker.getAtom("f32", "f32", "f32"), width);
  auto sums = double(rows * vectors), operands = double(rows + vectors);
  double cycles = rates.getStepCycles(
      sums, operands * rates.perLoad,
      rates.broadcastOperand && vectors == 1 ? 1 : operands);
  if (worker.levels.size() > 1)
    cycles += rates.unhidden * machine.getClock() *
              machine.getTransferSeconds(&worker.levels[1],
                                         double(vectors * width * 4), 0, 1);
  return cycles / sums;
}
