//===- SoftmaxSum.cpp - What a streamed softmax sum takes -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Cost/SoftmaxSum.h"

#include <cmath>

using namespace headrace;
using namespace headrace::cost;

double cost::predict(const Machine &machine, const SoftmaxSum &sum) {
  const hw::Worker &worker = machine.getWorker();
  auto lanes = double(machine.getLanes());
  double positions = sum.rows * sum.streamed, sums = sum.rows * sum.columns;
  bool fragments =
      sum.atom && sum.atom->operands == hw::OperandPlace::TileRegisters;
  // Two loads, a shuffle and a store for a vector of groups; fragments want the
  // values transposed, a square with as many steps as its side has bits.
  double packing = 0;
  if (sum.atom)
    packing = sum.packings * sum.streamed * sum.columns *
              (fragments ? (2 + std::log2(lanes)) / lanes
                         : 4 / (double(sum.atom->k) * lanes));
  // Per weight a maximum and an exponential; per block of the stream the sums so
  // far are scaled, those of fragments by way of scratch.
  constexpr double perWeight = 24, perScaled = 4, perScaledInScratch = 6;
  double weights =
      perWeight + (sum.gathersLogits ? 2 * machine.gatherVector() : 0);
  double blocks = std::ceil(sum.streamed / sum.block);
  double cycles = packing + positions * weights / lanes +
                  sums * blocks *
                      (fragments ? perScaledInScratch : perScaled) / lanes;
  // The products keep most of the instruction's rate: each block begins and ends
  // with sums that are loaded and stored.
  constexpr double share = 0.85;
  double rate = sum.atom ? sum.atom->flopsPerSecond()
                         : worker.f32FlopsPerSecond();
  if (rate <= 0)
    rate = machine.getClock() * 2 * lanes;
  // A block's logits, weights and all sums pass between the steps through the
  // innermost memory that holds them.
  double block = std::min(sum.block, sum.streamed);
  double held = 4 * sum.rows * (2 * block + sum.columns);
  double moved = 4 * (5 * positions + 2 * sums * std::ceil(sum.streamed / block));
  int64_t workers = machine.getWorkers();
  return machine.toSeconds(cycles) + 2 * sums * sum.streamed / (share * rate) +
         machine.getTransferSeconds(machine.getHome(held, workers), moved, 0,
                                    workers);
}
