//===- Predict.cpp - How long a stage takes -------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A tile computes, and hands values on through the innermost memory that holds
// what it has in hand; all tiles together move the stage's inputs and results, as
// often as they change from tile to tile. The two overlap.
//
//===----------------------------------------------------------------------===//
#include "Strides.h"
#include "headrace/Plan/Planner.h"

#include "llvm/ADT/SmallBitVector.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

/// One plan of one stage.
class Planner::Prediction {
public:
  Prediction(const Planner &planner, const StageAnalysis &analysis,
             ArrayRef<std::unique_ptr<Contraction>> contractions,
             const StagePlan &plan);
  double getSeconds() const;
  /// Seconds of one worker per point of a nest.
  double getPointCost(unsigned number) const;
  /// Where nests hand their values on.
  std::vector<EdgePlan> getEdges() const;
  /// Whether what nests hand on has room where the program decides what is there.
  bool fits() const;

private:
  struct Input {
    /// Per tile.
    double bytes = 0;
    /// Classes whose tiles read other parts of it.
    llvm::SmallBitVector depends;
  };

  /// Bytes of a node's result in a tile.
  double getBytes(Value value, const Node *node) const;
  /// Bytes that are in hand at once of what a nest stores for others.
  double getScratchBytes(const ScratchValue &value) const;
  void noteInput(const Node *node, const Access &access);
  void noteStored(const Node *stored);
  /// Seconds in which a nest reads and writes what it finds and leaves in hand.
  double getTransfer(const Nest &nest) const;
  /// Seconds of a nest in a tile.
  double getCompute(unsigned number) const;
  /// Seconds in which all tiles move their inputs and results.
  double getMemory() const;
  double getOutputBytes() const;

  const Planner &planner;
  const cost::Machine &machine;
  const hw::Worker &worker;
  const StageAnalysis &analysis;
  ArrayRef<std::unique_ptr<Contraction>> contractions;
  const StagePlan &plan;
  ArrayRef<ClassInfo> classes;
  /// Iterations of each class in a tile.
  SmallVector<double> length;
  SmallVector<unsigned> tiled;
  double tiles = 1, busiest, active;
  double scratch = 0, results = 0, footprint = 0;
  llvm::MapVector<Value, Input> inputs;
  const hw::Memory *home = nullptr;
};

Planner::Prediction::Prediction(
    const Planner &planner, const StageAnalysis &analysis,
    ArrayRef<std::unique_ptr<Contraction>> contractions, const StagePlan &plan)
    : planner(planner), machine(planner.machine), worker(planner.worker),
      analysis(analysis),
      contractions(contractions), plan(plan), classes(analysis.getClasses()),
      length(classes.size()) {
  for (auto [c, info] : llvm::enumerate(classes)) {
    int64_t extent = planner.extentOf(info.extent);
    length[c] = double(extent);
    if (plan.tile[c] > 0) {
      length[c] = double(std::min(plan.tile[c], extent));
      tiles *= double(llvm::divideCeil(extent, plan.tile[c]));
      tiled.push_back(c);
    }
  }
  busiest = std::ceil(tiles / double(planner.workers));
  active = std::min(tiles, double(planner.workers));
  // What a tile has in hand: its inputs, its scratch, its results.
  for (const Nest &nest : analysis.getNests()) {
    for (const Node *sink : nest.sinks)
      noteStored(sink);
    for (const Prologue &prologue : nest.prologues)
      noteStored(prologue.map);
  }
  for (const auto &node : analysis.getNodes())
    for (const Access &access : node->operands)
      noteInput(node.get(), access);
  footprint = scratch + results;
  for (auto &[value, input] : inputs)
    footprint += input.bytes;
  // The nests hand their values on in the innermost memory that holds them.
  home = machine.getHome(footprint, int64_t(active));
}

//===----------------------------------------------------------------------===//
// What a tile has in hand
//===----------------------------------------------------------------------===//

double Planner::Prediction::getBytes(Value value, const Node *node) const {
  double count = double(getElementBytes(
      cast<RankedTensorType>(value.getType()).getElementType()));
  for (const Loop &loop : node->loops)
    if (loop.parallel)
      count *= length[loop.cls];
  return count;
}

void Planner::Prediction::noteStored(const Node *stored) {
  if (stored->op->getNumResults() == 0)
    return;
  Value value = stored->op->getResult(0);
  (analysis.isOutput(value) ? results : scratch) += getBytes(value, stored);
}

void Planner::Prediction::noteInput(const Node *node, const Access &access) {
  if (!access.source || !access.isInput() ||
      !isa<RankedTensorType>(access.source.getType()))
    return;
  double elementBytes = double(getElementBytes(
      cast<RankedTensorType>(access.source.getType()).getElementType()));
  Input &input = inputs[access.source];
  input.depends.resize(classes.size());
  // Windows overlap: no more than lies between the first element and the last,
  // unless their positions are data.
  bool isWindow = !access.panel && !access.gather;
  double count = elementBytes, span = elementBytes;
  for (unsigned l = 0; l < node->loops.size(); ++l)
    if (access.dependsOn(l)) {
      double len = length[node->loops[l].cls];
      if (isWindow)
        span += elementBytes * (len - 1) *
                double(std::abs(access.address.coef[l]
                                    .evaluate(planner.bindings)
                                    .value_or(1)));
      count *= len;
      input.depends.set(node->loops[l].cls);
    }
  input.bytes =
      std::max(input.bytes, isWindow ? std::min(count, span) : count);
}

//===----------------------------------------------------------------------===//
// A tile
//===----------------------------------------------------------------------===//

double Planner::Prediction::getTransfer(const Nest &nest) const {
  double read = 0, written = 0;
  DenseSet<Value> seen;
  SmallVector<const Node *> work{nest.anchor};
  auto noteWritten = [&](const Node *stored) {
    if (stored->op->getNumResults())
      written += getBytes(stored->op->getResult(0), stored);
  };
  llvm::for_each(nest.sinks, noteWritten);
  llvm::append_range(work, nest.sinks);
  for (const Prologue &prologue : nest.prologues) {
    noteWritten(prologue.map);
    work.push_back(prologue.map);
  }
  DenseSet<const Node *> visited(work.begin(), work.end());
  while (!work.empty()) {
    const Node *node = work.pop_back_val();
    for (const Access &access : node->operands) {
      if (!access.source || !isa<RankedTensorType>(access.source.getType()))
        continue;
      if (access.isInput()) {
        if (seen.insert(access.source).second)
          read += inputs.lookup(access.source).bytes;
      } else if (analysis.isMaterialized(access.producer)) {
        if (!visited.contains(access.producer) &&
            seen.insert(access.source).second)
          read += getBytes(access.source, access.producer);
      } else if (visited.insert(access.producer).second) {
        work.push_back(access.producer);
      }
    }
  }
  return machine.getTransferSeconds(home, read, written, int64_t(active));
}

double Planner::Prediction::getCompute(unsigned number) const {
  const Nest &nest = analysis.getNests()[number];
  const NestPlan &nestPlan = plan.nests[number];
  const Node *anchor = nest.anchor;
  double width = nestPlan.vector < 0 ? 1 : double(plan.lanes);
  double seconds = 0;
  if (anchor->kind == NodeKind::Contraction) {
    seconds +=
        planner.predictContraction(*contractions[number], nestPlan, length);
  } else if (anchor->kind == NodeKind::SoftmaxSum) {
    seconds += planner.predictSoftmaxSum(analysis, nest, nestPlan, plan.stream,
                                         length);
  } else {
    double points = 1;
    for (auto [l, loop] : llvm::enumerate(anchor->loops)) {
      double len = length[loop.cls];
      if (int64_t(l) == nestPlan.vector)
        len = double(llvm::alignTo(uint64_t(len), plan.lanes));
      points *= len;
    }
    double perPoint = std::max(anchor->flopsPerPoint, 2.0);
    for (const Prologue &prologue : nest.prologues)
      perPoint += prologue.map->flopsPerPoint + 1;
    seconds += machine.toSeconds(points * perPoint / width);
  }
  for (const Node *sink : nest.sinks) {
    double count = 1;
    for (const Loop &loop : sink->loops)
      if (loop.parallel)
        count *= length[loop.cls];
    // How a contraction stores is part of its own time.
    bool isScattered = anchor->kind != NodeKind::Contraction &&
                       nestPlan.vector >= 0 &&
                       storeStride(analysis, nest, nestPlan.vector) > 1;
    double moves = isScattered ? machine.scatterVector() : 2;
    seconds += machine.toSeconds(count * (sink->flopsPerPoint + moves) / width);
  }
  // Contractions read their operands many times, from registers' side: their
  // rate is the atom's.
  if (anchor->kind != NodeKind::Contraction &&
      anchor->kind != NodeKind::SoftmaxSum)
    seconds = std::max(seconds, getTransfer(nest));
  return seconds;
}

//===----------------------------------------------------------------------===//
// All tiles
//===----------------------------------------------------------------------===//

double Planner::Prediction::getOutputBytes() const {
  double outputs = 0;
  for (const auto &node : analysis.getNodes())
    for (OpResult value : node->op->getResults())
      if (analysis.isOutput(value)) {
        double count = double(getElementBytes(
            cast<RankedTensorType>(value.getType()).getElementType()));
        for (const Loop &loop : node->loops)
          if (loop.parallel)
            count *= double(planner.extentOf(loop.extent));
        outputs += count;
      }
  return outputs;
}

double Planner::Prediction::getMemory() const {
  bool fits = footprint <= machine.getPrivateBytes();
  double traffic = getOutputBytes(), unique = traffic;
  for (auto &[value, input] : inputs) {
    double changes = 1, once = input.bytes;
    bool seen = false;
    // The last tiled class runs fastest: an input that does not depend on it
    // stays, if the tile fits.
    for (unsigned c : llvm::reverse(tiled)) {
      double count = double(llvm::divideCeil(
          planner.extentOf(classes[c].extent), plan.tile[c]));
      if (input.depends.test(c)) {
        seen = true;
        once *= count;
      }
      if (seen || !fits)
        changes *= count;
    }
    if (!seen)
      changes = std::min(changes, fits ? active : changes);
    traffic += input.bytes * std::max(changes, 1.0);
    unique += once;
  }
  // The level that feeds the private ones gives what changes, the home of the
  // data each byte once.
  auto secondsOf = [&](const hw::Memory *memory, double bytes) {
    return machine.getTransferSeconds(memory, bytes / active, 0,
                                      int64_t(active));
  };
  return std::max(secondsOf(machine.getShared(), traffic),
                  secondsOf(worker.getMainMemory(), unique));
}

double Planner::Prediction::getSeconds() const {
  double compute = 0;
  for (unsigned n = 0; n < analysis.getNests().size(); ++n)
    compute += getCompute(n);
  return machine.getStageSeconds(busiest, compute, getMemory());
}

double Planner::Prediction::getPointCost(unsigned number) const {
  double points = 1;
  for (const Loop &loop : analysis.getNests()[number].anchor->loops)
    points *= double(planner.extentOf(loop.extent));
  return getCompute(number) * tiles / points;
}

double Planner::Prediction::getScratchBytes(const ScratchValue &value) const {
  double count = double(getElementBytes(
      cast<RankedTensorType>(value.value.getType()).getElementType()));
  unsigned number = cast<OpResult>(value.value).getResultNumber();
  bool isStreamed = analysis.getNests()[value.nest].streamedBy != nullptr;
  for (unsigned l : value.node->resultLoops[number]) {
    unsigned cls = value.node->loops[l].cls;
    // Of a stream there is a block at a time.
    count *= isStreamed && classes[cls].streamed
                 ? std::min(length[cls], double(plan.stream))
                 : length[cls];
  }
  return count;
}

std::vector<EdgePlan> Planner::Prediction::getEdges() const {
  SmallVector<ScratchValue> values = analysis.getScratchValues();
  SmallVector<double> bytes;
  SmallVector<int64_t> lastReaders;
  for (const ScratchValue &value : values) {
    bytes.push_back(getScratchBytes(value));
    lastReaders.push_back(analysis.getLastReader(value));
  }
  std::vector<EdgePlan> edges;
  for (auto [i, value] : llvm::enumerate(values)) {
    // The most that is in hand while the value is.
    double most = 0;
    for (int64_t n = value.nest; n <= lastReaders[i]; ++n) {
      double held = 0;
      for (auto [other, last, size] : llvm::zip(values, lastReaders, bytes))
        if (other.nest <= n && n <= last)
          held += size;
      most = std::max(most, held);
    }
    const hw::Memory *memory = machine.getHome(most, int64_t(active));
    edges.push_back({value.nest, value.number,
                     memory ? memory->name : std::string("none"),
                     std::llround(bytes[i])});
  }
  return edges;
}

void Planner::setCosts(
    const StageAnalysis &analysis,
    ArrayRef<std::unique_ptr<Contraction>> contractions,
    StagePlan &plan) const {
  Prediction prediction(*this, analysis, contractions, plan);
  for (auto [n, nest] : llvm::enumerate(plan.nests))
    nest.cost = std::max<int64_t>(
        1, std::llround(1e15 * prediction.getPointCost(n)));
  plan.edges = prediction.getEdges();
}

bool Planner::Prediction::fits() const {
  const hw::Memory *scratchpad = worker.getScratchpad();
  if (!scratchpad)
    return true;
  double held = 0;
  for (const ScratchValue &value : analysis.getScratchValues())
    held += getScratchBytes(value);
  return held <= scratchpad->bytes.value;
}

double Planner::predict(const StageAnalysis &analysis,
                        ArrayRef<std::unique_ptr<Contraction>> contractions,
                        const StagePlan &plan) const {
  Prediction prediction(*this, analysis, contractions, plan);
  // Not a plan for this machine, unless there is no other.
  constexpr double never = 1e6;
  return prediction.getSeconds() + (prediction.fits() ? 0 : never);
}
