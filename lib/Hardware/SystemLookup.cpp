//===- SystemLookup.cpp - From a name to a description --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A target is "native", a file, a description of the user's, or a shipped one.
//
// "native" never goes by the model's name: virtual machines lie about it. It
// takes the probed description if the machine still has its features, else the
// shipped description that needs the most features among those whose features
// the machine has all of. Either way the number of workers is that of the CPUs
// this process may use.
//
//===----------------------------------------------------------------------===//

#include "headrace/Hardware/Lookup.h"
#include "headrace/Hardware/System.h"
#include "headrace/Support/Environment.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include <utility>

#include "headrace/Runtime/ControlGroup.h" // wants libc declared

using namespace mlir;
using namespace headrace;
using namespace headrace::hw;

static constexpr std::pair<StringLiteral, StringLiteral> shipped[] = {
#include "headrace/Hardware/Systems.inc"
};

std::vector<std::string> System::getShippedNames() {
  std::vector<std::string> names;
  for (const auto &[name, text] : shipped)
    names.push_back(name.str());
  llvm::sort(names);
  return names;
}

std::optional<StringRef> System::getShippedText(StringRef name) {
  for (const auto &[shippedName, text] : shipped)
    if (shippedName == name)
      return text;
  return std::nullopt;
}

std::vector<std::string> System::getUserNames() {
  std::vector<std::string> names;
  std::string dir = environment::getTargetDir();
  std::error_code ec;
  if (dir.empty())
    return names;
  for (llvm::sys::fs::directory_iterator it(dir, ec), end; !ec && it != end;
       it.increment(ec))
    if (llvm::sys::path::extension(it->path()) == ".mlir")
      names.push_back(llvm::sys::path::stem(it->path()).str());
  llvm::sort(names);
  return names;
}

std::string System::getProbedPath() {
  std::string dir = environment::getTargetDir();
  return dir.empty() ? dir : dir + "/native.mlir";
}

std::vector<std::string> System::getHostFeatures() {
  std::vector<std::string> features;
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    if (feature.second)
      features.push_back(feature.first().str());
  llvm::sort(features);
  return features;
}

std::string System::getHostCodegen() {
  llvm::Triple triple(llvm::sys::getProcessTriple());
  return triple.isAArch64() ? "aarch64" : triple.isX86() ? "x86_64" : "";
}

int64_t System::getHostWorkerCount() {
  // The mask can be larger than cpu_set_t on big machines.
  for (int cpus = 1024; cpus <= 1 << 18; cpus *= 4) {
    cpu_set_t *set = CPU_ALLOC(cpus);
    size_t size = CPU_ALLOC_SIZE(cpus);
    int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set)
                                                     : 0;
    CPU_FREE(set);
    if (count <= 0)
      continue;
    // More workers than the control groups allow would be stopped while others
    // wait for them.
    uint32_t limit = hr_control_group_cpus("");
    return limit ? std::min<int64_t>(count, limit) : count;
  }
  return 1;
}

/// The first feature of `device` that is not among `features`.
static std::optional<StringRef>
findMissingFeature(const Device &device, const llvm::StringSet<> &features) {
  for (const std::string &feature : device.features)
    if (!features.contains(feature))
      return feature;
  return std::nullopt;
}

std::string System::matchShipped(StringRef codegen,
                                 ArrayRef<std::string> hostFeatures) {
  llvm::StringSet<> features;
  for (const std::string &feature : hostFeatures)
    features.insert(feature);
  std::string best;
  size_t mostFeatures = 0;
  for (const auto &[name, text] : shipped) {
    std::string error;
    FailureOr<System> system = parse(text, name, error);
    if (failed(system) || system->devices.size() != 1 ||
        system->getDevice().codegen != codegen)
      continue;
    const Device &device = system->getDevice();
    if (findMissingFeature(device, features))
      continue;
    if (best.empty() || device.features.size() > mostFeatures) {
      best = name.str();
      mostFeatures = device.features.size();
    }
  }
  return best;
}

FailureOr<System> System::native(std::string &error) {
  std::vector<std::string> hostFeatures = getHostFeatures();
  std::string path = getProbedPath();
  if (!path.empty() && llvm::sys::fs::exists(path)) {
    FailureOr<System> probed = loadFile(path, error);
    if (failed(probed))
      return failure();
    llvm::StringSet<> features;
    for (const std::string &feature : hostFeatures)
      features.insert(feature);
    // A description probed elsewhere (a home folder shared by machines) must
    // not be used here.
    if (probed->getDevice().codegen == getHostCodegen() &&
        !findMissingFeature(probed->getDevice(), features))
      return probed->withWorkers(getHostWorkerCount());
  }
  std::string name = matchShipped(getHostCodegen(), hostFeatures);
  std::optional<StringRef> text = getShippedText(name);
  if (!text) {
    error = "no shipped description fits this machine (" +
            llvm::sys::getProcessTriple() +
            "); write one with 'hrcc --probe', see docs/hardware.md";
    return failure();
  }
  FailureOr<System> system = parse(*text, name, error);
  if (failed(system))
    return failure();
  return system->withWorkers(getHostWorkerCount());
}

/// `name` as it is spelled on the command line.
static std::string withDashes(StringRef name) {
  std::string text = name.str();
  llvm::replace(text, '_', '-');
  return text;
}

std::string hw::getTargetName(StringRef name) {
  for (const auto &known : {System::getUserNames(), System::getShippedNames()})
    for (const std::string &candidate : known)
      if (withDashes(candidate) == withDashes(name))
        return candidate;
  return name.str();
}

std::string hw::findDescriptionFile(StringRef target) {
  if (target.contains('/') || target.ends_with(".mlir"))
    return target.str();
  if (target == "native") {
    std::string path = System::getProbedPath();
    return !path.empty() && llvm::sys::fs::exists(path) ? path : "";
  }
  std::string dir = environment::getTargetDir();
  // The exact name first; two files may differ in a dash only.
  if (!dir.empty())
    for (const std::string &name : {target.str(), getTargetName(target)}) {
      std::string path = dir + "/" + name + ".mlir";
      if (llvm::sys::fs::exists(path))
        return path;
    }
  return "";
}

FailureOr<System> System::load(StringRef target, std::string &error) {
  if (target == "native")
    return native(error);
  if (std::string path = findDescriptionFile(target); !path.empty())
    return loadFile(path, error);
  std::string name = getTargetName(target);
  if (std::optional<StringRef> text = getShippedText(name))
    return parse(*text, name, error);
  std::vector<std::string> names = getUserNames();
  llvm::append_range(names, getShippedNames());
  names.push_back("native");
  // What it may have been meant to be: few letters differ, or one is the
  // beginning of the other.
  std::string nearest, spelled = withDashes(target.lower());
  size_t least = std::max<size_t>(2, target.size() / 3) + 1;
  for (const std::string &known : names) {
    std::string candidate = withDashes(known);
    size_t distance = StringRef(candidate).edit_distance(spelled);
    if (spelled.size() > 3 && StringRef(candidate).contains(spelled))
      distance = std::min<size_t>(distance, 1);
    if (distance < least) {
      least = distance;
      nearest = known;
    }
  }
  error = ("unknown target '" + target + "'").str();
  if (!nearest.empty())
    error += "; did you mean '" + nearest + "'?";
  else
    error += ", expected 'native', a file, or one of " +
             llvm::join(ArrayRef(names).drop_back(), ", ");
  return failure();
}
