//===- Phases.cpp - The phases of a compilation ---------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The table of phases, and how a module tells where it stands.
//
//===----------------------------------------------------------------------===//
#include "headrace/Driver/Phases.h"
#include "headrace/Dialect/HR/HR.h"

using namespace mlir;
using namespace headrace;

static constexpr PhaseInfo phases[] = {
    {Phase::Aten, "aten", "mlir", "the exported graph, exactly"},
    {Phase::Tensor, "tensor", "mlir", "structured operations on tensors"},
    {Phase::Fused, "fused", "mlir", "the graph cut into stages, with plans"},
    {Phase::Tiled, "tiled", "mlir", "stages as loops over tiles"},
    {Phase::Schedule, "schedule", "mlir",
     "what runs where and when, and where every buffer lies"},
    {Phase::LLVM, "llvm", "ll", "LLVM IR"},
    {Phase::Asm, "asm", "s", "assembly"},
    {Phase::Obj, "obj", "o", "an object file and a C header"},
    {Phase::So, "so", "so", "the artifact"},
};

ArrayRef<PhaseInfo> headrace::getPhases() { return phases; }

const PhaseInfo &headrace::getPhaseInfo(Phase phase) {
  return phases[static_cast<unsigned>(phase)];
}

std::optional<Phase> headrace::parsePhase(StringRef name) {
  for (const PhaseInfo &info : phases)
    if (info.name == name)
      return info.phase;
  return std::nullopt;
}

Phase headrace::detectPhase(ModuleOp module) {
  // What a later phase adds is looked for first: a `tiled` module may still
  // hold declarations of the phases before.
  auto latest = Phase::Tensor;
  bool aten = false;
  module.walk([&](Operation *op) {
    StringRef dialect = op->getName().getDialectNamespace();
    if (dialect == "aten")
      aten = true;
    else if (dialect == "sched")
      latest = std::max(latest, Phase::Schedule);
    else if (isa<hr::RunOp, hr::BufferOp>(op))
      latest = std::max(latest, Phase::Tiled);
    else if (isa<hr::StageOp>(op))
      latest = std::max(latest, Phase::Fused);
  });
  return latest == Phase::Tensor && aten ? Phase::Aten : latest;
}
