//===- Machine.cpp - What steps of a program take on a machine ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Cost/Machine.h"

#include <algorithm>

using namespace headrace;
using namespace headrace::cost;

double cost::besideEachOther(double a, double b, double unhidden) {
  return std::max(a, b) + unhidden * std::min(a, b);
}

double StepRates::getStepCycles(double sums, double loading,
                                double moves) const {
  // Each sum waits for its own last multiply-add.
  double arithmetic = std::max(sums / perCycle, latency);
  // The counter, the pointer and the jump of the loop.
  constexpr double loop = 3;
  double started = (sums * perVector + moves + loop) / issue;
  return std::max({arithmetic, loading, started}) +
         unhidden * std::min(arithmetic, loading);
}

Machine::Machine(const hw::Device &device, bool scalar)
    : device(device), worker(device.getWorker()), workers(worker.count) {
  if (!scalar)
    lanes = std::max<int64_t>(worker.vectorLanes(32), 1);
}

StepRates Machine::getStepRates(const hw::Atom *instruction,
                                int64_t macs) const {
  StepRates rates;
  rates.perLoad = 1 / worker.loads.value;
  rates.issue = worker.issue.value;
  rates.unhidden = costs().unhidden.value;
  rates.broadcastOperand = worker.hasBroadcastOperand;
  if (instruction) {
    // A vector may be several instructions, or a part of one.
    rates.perVector =
        std::max(double(macs) / double(instruction->macs()), 1.0);
    rates.perCycle = instruction->perCycle.value *
                     double(instruction->macs()) / double(macs);
    rates.latency = instruction->latency.value;
  }
  return rates;
}

double Machine::transposeVector() const {
  // A load, a store and what counts and points.
  constexpr double around = 4;
  return around + 2 * costs().transpose.value;
}

const hw::Memory *Machine::getHome(double bytes, int64_t active) const {
  for (const hw::Memory &level : worker.levels)
    if (bytes <= level.bytes.value / double(level.isPrivate() ? 1 : active))
      return &level;
  return worker.getMainMemory();
}

double Machine::getTransferSeconds(const hw::Memory *memory, double read,
                                   double written, int64_t active) const {
  if (!memory)
    return 0;
  double in = memory->readPerWorker(active);
  double out = memory->writePerWorker(active);
  return (in > 0 ? read / in : 0) + (out > 0 ? written / out : 0);
}

const hw::Memory *Machine::getShared() const {
  for (const hw::Memory &level : worker.levels)
    if (!level.isPrivate())
      return &level;
  return worker.getMainMemory();
}

double Machine::getPrivateBytes() const {
  const hw::Memory *level = worker.getOutermostPrivate();
  return level ? level->bytes.value : 0;
}

double Machine::getStageSeconds(double tiles, double compute,
                                double memory) const {
  return besideEachOther(tiles * compute, memory,
                         costs().unhiddenMemory.value) +
         tiles * costs().tile.value +
         (workers > 1 ? device.sync.cost.value : 0);
}
