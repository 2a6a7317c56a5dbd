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
#include "headrace/Cost/SoftmaxSum.h"
#include "headrace/Plan/Planner.h"

#include "llvm/Support/MathExtras.h"

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
  cost::SoftmaxSum sum;
  sum.block = double(stream);
  for (auto [l, loop] : llvm::enumerate(nest.anchor->loops)) {
    double extent = length[loop.cls];
    if (int64_t(l) == nestPlan.vector)
      extent = double(llvm::alignTo(uint64_t(extent), lanes));
    else if (loop.parallel && logits.isFunctionOfDim(l))
      sum.packings *= extent;
    (!loop.parallel              ? sum.streamed
     : logits.isFunctionOfDim(l) ? sum.rows
                                 : sum.columns) *= extent;
  }
  if (nestPlan.atom)
    sum.atom = getSoftmaxSumAtom(nest.anchor);
  // Logits may lie along the stream.
  sum.gathersLogits =
      nestPlan.vector >= 0 &&
      strideAlong(analysis, nest.anchor, 0,
                  unitStep(nest.anchor, nestPlan.vector)) > 1;
  return cost::predict(machine, sum);
}
