//===- System.cpp - Answers about a machine -------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The questions that passes ask of the plain structs. How the structs come
// from `hw` ops is in SystemBuilder.cpp, how a name becomes a description in
// SystemLookup.cpp.
//
//===----------------------------------------------------------------------===//

#include "headrace/Hardware/System.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <algorithm>
#include <cassert>

using namespace headrace;
using namespace headrace::hw;

llvm::StringRef hw::stringifyProvenance(Provenance provenance) {
  switch (provenance) {
  case Provenance::Absent:
    return "absent";
  case Provenance::Assumed:
    return "assumed";
  case Provenance::Documented:
    return "documented";
  case Provenance::Measured:
    return "measured";
  }
  return "absent";
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

double Memory::readShared(double users) const {
  return std::min(workerRead.value, read.value / users);
}

double Memory::writeShared(double users, bool nonTemporal) const {
  return nonTemporal ? std::min(workerNtWrite.value, ntWrite.value / users)
                     : std::min(workerWrite.value, write.value / users);
}

/// Users of one instance where `active` workers are spread evenly over all.
static double getUsers(const Memory &memory, int64_t active) {
  return std::max(1.0, double(active) / double(memory.instances));
}

double Memory::readPerWorker(int64_t active) const {
  return readShared(getUsers(*this, active));
}

double Memory::writePerWorker(int64_t active, bool nonTemporal) const {
  return writeShared(getUsers(*this, active), nonTemporal);
}

double Memory::readTotal(int64_t active) const {
  return double(std::max<int64_t>(active, 1)) * readPerWorker(active);
}

double Memory::writeTotal(int64_t active, bool nonTemporal) const {
  return double(std::max<int64_t>(active, 1)) *
         writePerWorker(active, nonTemporal);
}

//===----------------------------------------------------------------------===//
// Worker
//===----------------------------------------------------------------------===//

const Memory *Worker::getLevel(llvm::StringRef levelName) const {
  for (const Memory &level : levels)
    if (level.name == levelName)
      return &level;
  return nullptr;
}

const Memory *Worker::getScratchpad() const {
  for (const Memory &level : levels)
    if (level.kind == Memory::Kind::Scratchpad)
      return &level;
  return nullptr;
}

const Memory *Worker::getOutermostPrivate() const {
  const Memory *result = nullptr;
  for (const Memory &level : levels) {
    if (!level.isPrivate() || level.kind == Memory::Kind::Main)
      break;
    result = &level;
  }
  return result;
}

const Memory *Worker::getMainMemory() const {
  for (const Memory &level : levels)
    if (level.kind == Memory::Kind::Main)
      return &level;
  return levels.empty() ? nullptr : &levels.back();
}

std::vector<const Atom *> Worker::getAtoms(llvm::StringRef a,
                                           llvm::StringRef b,
                                           llvm::StringRef c) const {
  std::vector<const Atom *> result;
  for (const Atom &atom : atoms)
    if (atom.a == a && atom.b == b && atom.c == c)
      result.push_back(&atom);
  return result;
}

const Atom *Worker::getAtom(llvm::StringRef a, llvm::StringRef b,
                            llvm::StringRef c) const {
  for (const Atom &atom : atoms)
    if (atom.a == a && atom.b == b && atom.c == c)
      return &atom;
  return nullptr;
}

double Worker::flopsPerSecond(llvm::StringRef a, llvm::StringRef b,
                              llvm::StringRef c) const {
  const Atom *atom = getAtom(a, b, c);
  return atom ? atom->flopsPerSecond() : 0;
}

//===----------------------------------------------------------------------===//
// Device
//===----------------------------------------------------------------------===//

bool Device::hasFeature(llvm::StringRef feature) const {
  return llvm::is_contained(features, feature);
}

std::string Device::getFeatureString() const {
  return llvm::join(llvm::map_range(features,
                                    [](const std::string &feature) {
                                      return "+" + feature;
                                    }),
                    ",");
}

const Worker &Device::getWorker() const {
  const Worker *best = &workers.front();
  for (const Worker &worker : workers)
    if (worker.f32FlopsPerSecond() * double(worker.count) >
        best->f32FlopsPerSecond() * double(best->count))
      best = &worker;
  return *best;
}

int64_t Device::getWorkerCount() const {
  int64_t count = 0;
  for (const Worker &worker : workers)
    count += worker.count;
  return count;
}

const Mover *Device::getMover(llvm::StringRef moverName) const {
  for (const Mover &mover : movers)
    if (mover.name == moverName)
      return &mover;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// System
//===----------------------------------------------------------------------===//

const Device *System::getDevice(llvm::StringRef deviceName) const {
  for (const Device &device : devices)
    if (device.name == deviceName)
      return &device;
  return nullptr;
}

System System::withWorkers(int64_t count) const {
  System result = *this;
  Worker &worker = result.devices.front().workers.front();
  count = std::max<int64_t>(count, 1);
  for (Memory &level : worker.levels) {
    // Instances are filled one after the other, as worker indices run.
    level.instances =
        std::max<int64_t>(1, (count + level.sharers - 1) / level.sharers);
    level.sharers = std::min(level.sharers, count);
  }
  worker.count = count;
  return result;
}
