//===- Passes.td - Passes that make, place and check schedules -*- tablegen -*-//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SCHEDULE_PASSES
#define HEADRACE_SCHEDULE_PASSES

include "mlir/Pass/PassBase.td"

def VerifyTiledPass : Pass<"hr-verify-tiled", "::mlir::ModuleOp"> {
  let summary = "checks that the module is of the tiled phase";
  let description = [{
    After it, entries hold buffers, runs and loops of runs and nothing else; every
    run names a function of the module that takes what stages take (see `hr.run`);
    and no stage allocates or copies memory that its plan does not name.
  }];
}

def BuildProgramsPass : Pass<"sched-build-programs", "::mlir::ModuleOp"> {
  let summary = "runs over buffers become timelines of workers";
  let description = [{
    After it, every entry has one `sched.program` for 1, 2, 4, ... workers up to
    those of the description, and is itself a private declaration marked
    `hr.entry`.

    The tiles of a run are split evenly, in order, so that a worker reads what
    it wrote wherever two stages are cut alike. A stage whose tiles write the same
    indices is given to one worker, as far as they do. Waits are put where a
    worker conflicts with what another one did, as the footprints say; where
    sizes are symbolic, unless structure excludes it. Programs of one worker have
    no waits.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"native\"",
           "description of the machine: name or file">,
    Option<"maxWorkers", "max-workers", "int64_t", "0",
           "largest number of workers; 0: those of the description">
  ];
  let dependentDialects = ["::headrace::sched::SchedDialect",
                           "::headrace::hw::HWDialect"];
}

def AssignOffsetsPass : Pass<"sched-assign-offsets", "::mlir::ModuleOp"> {
  let summary = "buffers get their place in the arenas";
  let description = [{
    After it, every temp of every program has an offset, and every arena its size
    and the lower bound that the planner found: the heaviest set of buffers none
    of which may share bytes with another. Where sizes are symbolic, offsets are
    expressions, and the figures that the remark names are those of the largest
    sizes in range.
  }];
  let options = [
    Option<"maxOrders", "max-orders", "uint64_t", "2000",
           "orders that the local search tries">,
    Option<"maxNodes", "max-nodes", "uint64_t", "200000",
           "nodes of the exact search">,
    Option<"remarks", "remarks", "bool", "false",
           "emit a remark with the figures of every arena">
  ];
}

def VerifyPass : Pass<"sched-verify", "::mlir::ModuleOp"> {
  let summary = "proves schedules free of deadlocks, races and overlaps";
  let description = [{
    Fails if a schedule is wrong; see headrace/Schedule/Verifier.h for what is
    checked. Always on: a schedule that fails is a bug of the compiler, found
    before it runs.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"\"",
           "description whose memories must hold the arenas; empty: do not ask">,
    Option<"fullExpansion", "full-expansion", "bool", "false",
           "check all iterations of repeats">
  ];
  let dependentDialects = ["::headrace::hw::HWDialect"];
}

def SimulatePass : Pass<"sched-simulate", "::mlir::ModuleOp"> {
  let summary = "prints how long schedules take on a described machine";
  let description = [{
    Per program: the predicted time of a call, energy and cost, bytes per level,
    busy and stalled time per timeline, time per stage. All figures are predicted
    from the description; see headrace/Schedule/Simulator.h for the rules.
    Symbols take the value `size`, clamped to their range. The IR is not changed.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"native\"",
           "description of the machine: name or file">,
    Option<"size", "size", "int64_t", "128", "value of every symbol">,
    Option<"trace", "trace", "std::string", "\"\"",
           "file for a trace of the last program that Perfetto opens">
  ];
  let dependentDialects = ["::headrace::hw::HWDialect"];
}

#endif // HEADRACE_SCHEDULE_PASSES
