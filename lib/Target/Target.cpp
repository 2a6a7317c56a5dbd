//===- Target.cpp - From schedules to bytes -------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Target/Target.h"
#include "CPUTarget.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using namespace headrace;

Target::~Target() = default;

const Target *headrace::findTarget(const hw::System &system) {
  static const CPUTarget cpu;
  static const Target *const targets[] = {&cpu};
  for (const Target *target : targets)
    if (target->claims(system.getDevice()))
      return target;
  return nullptr;
}

LogicalResult headrace::emitArtifact(ModuleOp module, const hw::System &system,
                                     const TargetOptions &options,
                                     StringRef path, ArtifactInfo *info) {
  const Target *target = findTarget(system);
  if (!target)
    return emitError(module.getLoc())
           << "'" << system.getName() << "' is described, but hrcc does not "
           << "generate code for '" << system.getDevice().codegen << "' yet";
  ArtifactInfo ignored;
  return target->emit(module, system, options, path, info ? info : &ignored);
}
