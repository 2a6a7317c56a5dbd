//===- Simulator.h - How long a schedule takes ----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Predicts when every command of a schedule begins and ends on a described
// machine. The machine is a small struct of plain figures, so that the
// simulator can be asked about machines that are not here.
//
// The rules, and all of them:
//
//   - A command takes the largest of: its operations over the rate of what
//     executes them; and, per level of memory, its bytes there over the
//     bandwidth. A shared level's bandwidth is divided evenly among the commands
//     that use the same instance at that moment, no one getting more than a
//     worker alone reaches.
//   - A wait that is not yet satisfied when the timeline gets there costs
//     `syncSeconds` after the signal; a satisfied one costs nothing.
//   - Bytes: a command moves through the innermost level what its tiles touch,
//     tile by tile. Of what it touches in all, an outer level has to deliver the
//     part that is not in the level inside it any more. What a level holds is
//     followed per instance: boxes of buffers by the time of their last use; a
//     box is still there if no more bytes than fit were touched since. In a
//     scratchpad, where nothing is that no command brought, nothing stays.
//     Of an operand of which only some indices are touched, not known which,
//     that many are: they come from where all of it is, else from outside.
//     Stores go through all levels up to the first that holds what the command
//     touches in all; non-temporal ones go to the outermost at once.
//   - Energy: bytes times joules per byte of their level, operations times
//     joules per operation; where a device states watts, time times watts
//     instead. Cost: time times price.
//
// Deterministic: the same schedule on the same machine gives the same figures.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SCHEDULE_SIMULATOR_H
#define HEADRACE_SCHEDULE_SIMULATOR_H

#include "headrace/Hardware/System.h"
#include "headrace/Schedule/Program.h"

namespace llvm {
class raw_ostream;
}

namespace headrace::schedule {

/// A machine as the simulator sees it: seconds, bytes, joules, dollars.
struct MachineModel {
  /// From the innermost outward.
  std::vector<hw::Memory> levels;
  /// The number of the level where all buffers begin. It holds everything; what
  /// lies beyond it takes no part in a call.
  size_t home = 0;
  /// Operations per second of one worker, for stages that do not say what they
  /// compute for.
  double flopsPerSecond = 0;
  /// Until a tile begins.
  double tileSeconds = 0;
  /// The part of the shorter of computing and moving that does not hide behind
  /// the longer.
  double unhidden = 0;
  double joulesPerFlop = 0;
  double syncSeconds = 0;
  /// Until a worker that sleeps begins, after it was called.
  double wakeSeconds = 0;
  /// Of each mover.
  double moverBandwidth = 0, moverLatency = 0;
  double pricePerHour = 0, watts = 0;
};

/// One command of the simulated call.
struct SimulatedCommand {
  int timeline = 0;
  int command = 0; // in FlatTimeline
  double begin = 0, end = 0;
  double flops = 0;
  /// Per level.
  std::vector<double> bytes;
  /// What bounds it: -1 operations, else the number of a level.
  int bound = -1;
};

struct SimulatedTimeline {
  double busy = 0, stalled = 0, end = 0;
};

struct Simulation {
  double seconds = 0;
  std::vector<SimulatedCommand> commands;
  std::vector<SimulatedTimeline> timelines;
  double flops = 0;
  /// Per level: bytes, and the fraction of the time that its instances are
  /// busy.
  std::vector<double> bytes, utilization;
  double joules = 0, dollars = 0;
  /// The expanded program that `commands` refers to; it refers to the program
  /// that was simulated, which has to live as long.
  FlatProgram flat;
};

/// Simulates one call with these sizes. Repeats are expanded in full.
mlir::FailureOr<Simulation> simulate(const Program &program,
                                     const MachineModel &machine,
                                     const SymbolBindings &bindings,
                                     std::string &error);

/// What a call takes besides its commands: the workers are told one after the
/// other, wake, and the caller waits for the last of them. Nothing for one worker,
/// which is the caller.
double getCallSeconds(const MachineModel &machine, int64_t workers);

/// Writes the trace in the JSON form that Perfetto and chrome://tracing open:
/// one track per timeline, commands and stalls, and a counter per level.
void writeTrace(const Simulation &simulation, const MachineModel &machine,
                llvm::raw_ostream &os);

/// Writes the figures as a table.
void printSimulation(const Simulation &simulation, const MachineModel &machine,
                     llvm::raw_ostream &os);

} // namespace headrace::schedule
#endif // HEADRACE_SCHEDULE_SIMULATOR_H
