//===- Machine.h - What steps of a program take on a machine --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The one place where predicted times come from: the planner compares plans by
// it, and what it says of a plan is what the simulator computes with. It is asked
// in counts (elements, vectors, bytes) and answers in cycles or seconds. What a
// machine takes for one of them is a figure of its description; a number here
// counts instructions that our own code consists of.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_COST_MACHINE_H
#define HEADRACE_COST_MACHINE_H

#include "headrace/Hardware/System.h"

namespace headrace::cost {

/// Seconds of two things that go on beside each other, of which a share of the
/// shorter one does not hide behind the longer.
double besideEachOther(double a, double b, double unhidden);

/// What a step of a reduction takes in a register tile, by the figures of one
/// instruction and of the worker that runs it.
struct StepRates {
  /// Vector operations started per cycle, and instructions of each.
  double perCycle = 1, perVector = 1;
  /// Cycles until a sum can be added to again.
  double latency = 4;
  /// Cycles of the load units per vector, and instructions started per cycle.
  double perLoad = 0.5, issue = 4;
  double unhidden = 0.1;
  /// A scalar in memory may be an operand of the arithmetic.
  bool broadcastOperand = false;

  /// `sums` multiply-adds, `loading` cycles of the load units, and `moves`
  /// instructions that only bring operands.
  double getStepCycles(double sums, double loading, double moves) const;
};

/// The workers of one kind that run a program, and the memories they see.
class Machine {
public:
  Machine(const hw::Device &device, bool scalar);

  const hw::Device &getDevice() const { return device; }
  const hw::Worker &getWorker() const { return worker; }
  const hw::Costs &getCosts() const { return worker.costs; }
  int64_t getWorkers() const { return workers; }
  /// Elements of 32 bits in a vector.
  int64_t getLanes() const { return lanes; }
  double getClock() const { return worker.clock.value; }
  /// Cycles of one worker in seconds.
  double toSeconds(double cycles) const { return cycles / getClock(); }

  /// Of `instruction` where a vector operation is `macs` multiply-adds.
  StepRates getStepRates(const hw::Atom *instruction, int64_t macs) const;

  /// Cycles of a vector whose lanes lie apart, loaded or stored element by
  /// element.
  double gatherVector() const { return costs().gather.value * double(lanes); }
  double scatterVector() const {
    return costs().scatter.value * double(lanes);
  }
  /// Cycles of a vector that passes through a square transposed in registers,
  /// its load and store included.
  double transposeVector() const;

  /// The innermost memory that holds `bytes` of each of `active` workers, and
  /// the main memory where none does.
  const hw::Memory *getHome(double bytes, int64_t active) const;
  /// Seconds in which one of `active` workers reads and writes in a memory.
  double getTransferSeconds(const hw::Memory *memory, double read,
                            double written, int64_t active) const;
  /// The memory that feeds the private ones; null if there is none.
  const hw::Memory *getShared() const;
  /// Bytes that a worker keeps to itself.
  double getPrivateBytes() const;

  /// Seconds of a stage whose busiest worker computes `tiles` tiles of `compute`
  /// seconds each, while all tiles together move their bytes in `memory`.
  double getStageSeconds(double tiles, double compute, double memory) const;

private:
  const hw::Costs &costs() const { return worker.costs; }

  const hw::Device &device;
  const hw::Worker &worker;
  int64_t workers = 1, lanes = 1;
};

} // namespace headrace::cost
#endif // HEADRACE_COST_MACHINE_H
