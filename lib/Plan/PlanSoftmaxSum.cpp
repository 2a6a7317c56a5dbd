//===- PlanSoftmaxSum.cpp - Lanes and atoms of softmax-weighted sums ------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which loop of an hr.softmax_sum is on lanes, which instruction multiplies
// weights and values, and how long the whole takes.
//
//===----------------------------------------------------------------------===//

#include "Strides.h"
#include "headrace/Plan/Planner.h"

#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;
using namespace headrace;
using namespace headrace::plan;

/// Of the atoms that multiply groups of weights and values, with lanes along
/// rows, the one that is fastest, if it is faster than multiply-adds of what
/// they widen to.
const hw::Atom *Planner::getSoftmaxSumAtom(const Node *node) const {
  hr::ProductTypes types =
      *cast<hr::TileableOp>(node->op).getProductTypes();
  Type value = types.rhs;
  if (!options.emits || types.lhs != value || types.sum.isF64())
    return nullptr;
  std::string name;
  llvm::raw_string_ostream(name) << value;
  const hw::Atom *best = nullptr;
  double rate = worker.f32FlopsPerSecond();
  int64_t group = 32 / int64_t(value.getIntOrFloatBitWidth());
  for (const hw::Atom *atom : worker.getAtoms(name, name, "f32")) {
    bool fragments = atom->operands == hw::OperandPlace::TileRegisters;
    bool fits =
        fragments ? atom->k % (lanes * group) == 0 && worker.tileRegisters >= 4
                  : atom->operands == hw::OperandPlace::Registers &&
                        atom->m == 1 && atom->k == group;
    if (fits && group > 1 && atom->n == lanes && options.emits(*atom) &&
        atom->flopsPerSecond() > rate) {
      best = atom;
      rate = atom->flopsPerSecond();
    }
  }
  return best;
}

void Planner::planSoftmaxSum(const Nest &nest, NestPlan &result) const {
  // Lanes are rows if there are enough of them that share the summed values
  // (queries, not heads): others would gather them.
  const Node *node = nest.anchor;
  SmallVector<hr::TileRead> reads =
      cast<hr::TileableOp>(node->op).getTileReads();
  AffineMap logits = reads[0].map, values = reads[1].map;
  int64_t most = 0, streamed = -1, columns = 0;
  for (auto [l, loop] : llvm::enumerate(node->loops)) {
    if (!loop.parallel)
      streamed = l;
    if (loop.parallel && !logits.isFunctionOfDim(l))
      columns = extentOf(loop.extent); // the innermost one
    if (loop.parallel && logits.isFunctionOfDim(l) &&
        !values.isFunctionOfDim(l) && extentOf(loop.extent) > most) {
      most = extentOf(loop.extent);
      result.vector = l;
    }
  }
  if (most < lanes / 2)
    result.vector = -1;
  // As wide as the panels of the product that makes the logits: its tiles fit.
  if (result.vector >= 0)
    result.vectors = getPanel(most, lanes, nullptr) / lanes;
  result.rows = std::clamp<int64_t>(
      (registers - 2 - result.vectors) / result.vectors, 1, 8);
  if (result.vector < 0 || columns == 0)
    return;
  const hw::Atom *atom = getSoftmaxSumAtom(nest.anchor);
  if (!atom)
    return;
  bool fragments = atom->operands == hw::OperandPlace::TileRegisters;
  result.atom = hr::AtomAttr::get(node->op->getContext(), atom->instruction,
                                  atom->m, atom->n, atom->k, fragments);
  result.group = streamed;
  if (!fragments)
    return;
  // Sums, one fragment of the values and a row of the weights' at a time.
  result.vectors = most > atom->n && worker.tileRegisters >= 5 ? 2 : 1;
  result.rows =
      std::clamp<int64_t>((worker.tileRegisters - 1 - result.vectors) /
                              result.vectors,
                          1, llvm::divideCeil(columns, atom->m)) *
      atom->m;
}

double Planner::predictSoftmaxSum(const StageAnalysis &analysis,
                                  const Nest &nest, const NestPlan &nestPlan,
                                  int64_t stream,
                                  ArrayRef<double> length) const {
  AffineMap logits =
      cast<hr::TileableOp>(nest.anchor->op).getTileReads()[0].map;
  double rows = 1, columns = 1, streamed = 1, packings = 1;
  for (auto [l, loop] : llvm::enumerate(nest.anchor->loops)) {
    double extent = length[loop.cls];
    if (int64_t(l) == nestPlan.vector)
      extent = double(llvm::alignTo(uint64_t(extent), lanes));
    else if (loop.parallel && logits.isFunctionOfDim(l))
      packings *= extent;
    (!loop.parallel              ? streamed
     : logits.isFunctionOfDim(l) ? rows
                                 : columns) *= extent;
  }
  double clock = worker.clock.valueOr(2e9);
  double rate = worker.f32FlopsPerSecond();
  if (rate <= 0)
    rate = clock * 2 * double(lanes);
  double packing = 0;
  if (nestPlan.atom) {
    if (const hw::Atom *atom = getSoftmaxSumAtom(nest.anchor))
      rate = atom->flopsPerSecond();
    // Two loads, a shuffle and a store for a vector of groups; fragments want
    // the values transposed, a square with as many steps as its side has bits.
    double perValue = nestPlan.atom.getFragments()
                          ? (2 + std::log2(double(lanes))) / double(lanes)
                          : 4 / double(nestPlan.atom.getK() * lanes);
    packing = packings * streamed * columns * perValue / clock;
  }
  // The products; per weight a maximum and an exponential; and per block of the
  // stream the sums so far are scaled, those of fragments by way of scratch.
  double rescaleFlops = nestPlan.atom && nestPlan.atom.getFragments() ? 6 : 4;
  double weightFlops = 24;
  // Logits that lie along the stream are gathered, for either of the two.
  constexpr double gatherCycles = 40;
  if (nestPlan.vector >= 0 &&
      strideAlong(analysis, nest.anchor, 0,
                  unitStep(nest.anchor, nestPlan.vector)) > 1)
    weightFlops += 2 * gatherCycles;
  // A block's logits, weights and all sums pass between the steps through the
  // innermost memory that holds them.
  double block = std::min(double(stream), streamed);
  double held = 4 * rows * (2 * block + columns);
  double moved =
      4 * rows * (5 * streamed + 2 * columns * std::ceil(streamed / block));
  const hw::Memory *home = worker.getMainMemory();
  for (const hw::Memory &level : worker.levels)
    if (held <=
        level.bytes.valueOr(0) / double(level.isPrivate() ? 1 : workers)) {
      home = &level;
      break;
    }
  double bandwidth = home ? home->readPerWorker(workers) : 0;
  return (bandwidth > 0 ? moved / bandwidth : 0) +
         2 * rows * columns * streamed / (0.85 * rate) + packing +
         rows * streamed * weightFlops / (double(lanes) * clock) +
         rows * columns * std::ceil(streamed / double(stream)) * rescaleFlops /
             (double(lanes) * clock);
}
