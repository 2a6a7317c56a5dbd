//===- Target.cpp - From schedules to bytes -------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Target/Target.h"
#include "CPUTarget.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Path.h"
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

std::function<bool(const hw::Atom &)>
headrace::getEmits(const hw::System &system) {
  const Target *target = findTarget(system);
  if (!target)
    return nullptr;
  return [target, &device = system.getDevice()](const hw::Atom &atom) {
    return target->emits(device, atom);
  };
}

std::string headrace::describeUnemitted(const hw::System &system) {
  const hw::Device &device = system.getDevice();
  std::string text;
  llvm::raw_string_ostream os(text);
  const Target *target = findTarget(system);
  if (!target) {
    os << "code for '" << device.codegen
       << "' is not generated yet: plans use no atoms but vector multiply-adds";
    return text;
  }
  std::vector<std::string> names;
  for (const hw::Worker &worker : device.workers)
    for (const hw::Atom &atom : worker.atoms)
      if (!target->emits(device, atom))
        names.push_back("'" + atom.name + "' (" + atom.instruction + ")");
  if (names.empty())
    return text;
  os << (names.size() == 1 ? "atom " : "atoms ");
  llvm::interleaveComma(names, os);
  os << (names.size() == 1 ? " is" : " are")
     << " described but not emitted: no plan uses "
     << (names.size() == 1 ? "it" : "them");
  return text;
}

LogicalResult headrace::emitArtifact(ModuleOp module, const hw::System &system,
                                     const TargetOptions &options,
                                     ArtifactInfo *info) {
  const Target *target = findTarget(system);
  if (!target)
    return emitError(module.getLoc())
           << "'" << system.getName() << "' is described, but hrcc does not "
           << "generate code for '" << system.getDevice().codegen << "' yet";
  ArtifactInfo ignored;
  return target->emit(module, system, options, info ? info : &ignored);
}

std::string headrace::getWeightsPath(StringRef output) {
  SmallString<128> path(output);
  StringRef extension = llvm::sys::path::extension(output);
  // `a` and `a.so`, or `a.1` and `a.2`, are two artifacts.
  if (extension == ".so" || extension == ".o")
    llvm::sys::path::replace_extension(path, "weights");
  else
    path += ".weights";
  return std::string(path);
}

std::string headrace::getHeaderPath(StringRef output) {
  SmallString<128> path(output);
  llvm::sys::path::replace_extension(path, "h");
  return std::string(path);
}
