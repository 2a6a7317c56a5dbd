//===- Simulate.cpp - Predicted figures of programs -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/HW/HW.h"
#include "headrace/Schedule/Passes.h"
#include "headrace/Schedule/SimulateProgram.h"
#include "headrace/Support/OutputStream.h"
#include "llvm/Support/raw_ostream.h"

namespace headrace {
#define GEN_PASS_DEF_SIMULATEPASS
#include "headrace/Schedule/Passes.h.inc"
} // namespace headrace

using namespace mlir;
using namespace headrace;

schedule::MachineModel headrace::getMachineModel(const hw::System &system) {
  schedule::MachineModel model;
  const hw::Device &device = system.getDevice();
  const hw::Worker &worker = device.getWorker();
  model.levels = worker.levels;
  if (const hw::Memory *home = worker.getMainMemory())
    model.home = home - worker.levels.data();
  for (const hw::Atom &atom : worker.atoms)
    if (atom.a == "f32" && atom.c == "f32" && !atom.joulesPerMac.absent() &&
        model.joulesPerFlop == 0)
      model.joulesPerFlop = atom.joulesPerMac.value / 2;
  model.flopsPerSecond = worker.f32FlopsPerSecond();
  model.tileSeconds = worker.costs.tile.value;
  model.unhidden = worker.costs.unhiddenMemory.value;
  model.syncSeconds = device.sync.cost.value;
  model.wakeSeconds = device.sync.wake.valueOr(0);
  if (!device.movers.empty()) {
    model.moverBandwidth = device.movers.front().bandwidth.value;
    model.moverLatency = device.movers.front().latency.value;
  }
  model.pricePerHour = device.pricePerHour.value;
  model.watts = device.watts.value;
  return model;
}

SymbolBindings headrace::bindSymbols(sched::ProgramOp program, int64_t size) {
  SymbolBindings bindings;
  SymbolRanges ranges = program.getSymbolRanges();
  for (StringRef name : program.getSymbolNames()) {
    Interval range = ranges.lookup(name);
    bindings[name] = std::max(range.min, std::min(range.max, size));
  }
  return bindings;
}

FailureOr<ProgramSimulation>
headrace::simulateProgram(sched::ProgramOp program, const hw::System &system,
                          const SymbolBindings &bindings) {
  ProgramSimulation result;
  result.imported =
      std::make_unique<ImportedProgram>(importProgram(program));
  result.machine = getMachineModel(system);
  std::string error;
  FailureOr<schedule::Simulation> simulation = schedule::simulate(
      result.imported->program, result.machine, bindings, error);
  if (failed(simulation))
    return program.emitError() << "cannot simulate: " << error;
  result.simulation = std::move(*simulation);
  return result;
}

namespace {
struct SimulatePass : headrace::impl::SimulatePassBase<SimulatePass> {
  using SimulatePassBase::SimulatePassBase;

  void runOnOperation() override {
    markAllAnalysesPreserved();
    std::string error;
    FailureOr<hw::System> system = hw::System::load(target, error);
    if (failed(system)) {
      getOperation().emitError() << error;
      return signalPassFailure();
    }
    for (auto program : getOperation().getOps<sched::ProgramOp>()) {
      FailureOr<ProgramSimulation> result =
          simulateProgram(program, *system, bindSymbols(program, size));
      if (failed(result))
        return signalPassFailure();
      llvm::outs() << "@" << program.getSymName() << " on "
                   << system->getName() << ", ";
      schedule::printSimulation(result->simulation, result->machine,
                                llvm::outs());
      if (trace.empty())
        continue;
      OutputFiles files;
      OutputFile *file = files.add(trace, error);
      auto write = [&](raw_ostream &os, std::string &) {
        schedule::writeTrace(result->simulation, result->machine, os);
        return success();
      };
      if (!file || failed(writeTo(*file, write, error)) ||
          !files.commit(error)) {
        program.emitError() << error;
        return signalPassFailure();
      }
    }
  }
};
} // namespace
