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
#include <limits>
#include <sched.h>
#include <utility>

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

/// CPUs' worth of time that `quota` and `period` (microseconds) allow, rounded
/// up; no limit if they are not numbers ("max", "-1").
static int64_t getQuota(StringRef quota, StringRef period) {
  int64_t allowed = 0, each = 0;
  if (quota.trim().getAsInteger(10, allowed) ||
      period.trim().getAsInteger(10, each) || allowed <= 0 || each <= 0)
    return std::numeric_limits<int64_t>::max();
  return (allowed + each - 1) / each;
}

static std::string readSmallFile(const Twine &path) {
  auto file = llvm::MemoryBuffer::getFileAsStream(path);
  return file ? (*file)->getBuffer().str() : "";
}

/// The tightest limit on CPU time of the control groups we are in. More workers
/// than that would be stopped while others wait for them.
static int64_t getControlGroupLimit() {
  int64_t limit = std::numeric_limits<int64_t>::max();
  std::string groups = readSmallFile("/proc/self/cgroup");
  for (StringRef line : llvm::split(groups, '\n')) {
    // Version 2 is "0::/path", version 1 "3:cpu,cpuacct:/path".
    auto [controllers, path] = line.split(':').second.split(':');
    bool unified = controllers.empty();
    if (path.empty() || (!unified && !controllers.contains("cpu")))
      continue;
    std::string root = "/sys/fs/cgroup";
    if (!unified)
      root += ("/" + controllers).str();
    // From our group up to the root; inside a container the path of the outside
    // may not exist, but the root is ours.
    for (StringRef group = path;; group = llvm::sys::path::parent_path(group)) {
      std::string dir = root + (group == "/" ? StringRef() : group).str();
      if (unified) {
        std::string text = readSmallFile(dir + "/cpu.max");
        auto [quota, period] = StringRef(text).split(' ');
        limit = std::min(limit, getQuota(quota, period));
      } else {
        std::string quota = readSmallFile(dir + "/cpu.cfs_quota_us");
        std::string period = readSmallFile(dir + "/cpu.cfs_period_us");
        limit = std::min(limit, getQuota(quota, period));
      }
      if (group.empty() || group == "/")
        break;
    }
  }
  return limit;
}

int64_t System::getHostWorkerCount() {
  // The mask can be larger than cpu_set_t on big machines.
  for (int cpus = 1024; cpus <= 1 << 18; cpus *= 4) {
    cpu_set_t *set = CPU_ALLOC(cpus);
    size_t size = CPU_ALLOC_SIZE(cpus);
    int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set)
                                                     : 0;
    CPU_FREE(set);
    if (count > 0)
      return std::min<int64_t>(count, getControlGroupLimit());
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

FailureOr<System> System::load(StringRef target, std::string &error) {
  if (target == "native")
    return native(error);
  if (target.contains('/') || target.ends_with(".mlir"))
    return loadFile(target, error);
  std::string dir = environment::getTargetDir();
  if (!dir.empty()) {
    std::string path = (dir + "/" + target + ".mlir").str();
    if (llvm::sys::fs::exists(path))
      return loadFile(path, error);
  }
  if (std::optional<StringRef> text = getShippedText(target))
    return parse(*text, target, error);
  std::vector<std::string> names = getShippedNames();
  error = ("unknown target '" + target + "', expected 'native', a file, or "
           "one of " + llvm::join(names, ", "))
              .str();
  return failure();
}
