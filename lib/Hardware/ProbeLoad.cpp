//===- ProbeLoad.cpp - What other programs take of the machine ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ProbeLoad.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <time.h>
#include <unistd.h>

using namespace llvm;
using namespace headrace::hw;

static double readClock(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

/// Seconds that this thread has waited for its CPU while it could have run.
static double readDelay() {
  auto file = MemoryBuffer::getFileAsStream("/proc/thread-self/schedstat");
  if (!file)
    return 0;
  auto [run, rest] = (*file)->getBuffer().split(' ');
  int64_t nanoseconds = 0;
  (void)rest.split(' ').first.trim().getAsInteger(10, nanoseconds);
  return 1e-9 * double(nanoseconds);
}

std::vector<ProbeLoad::Times> ProbeLoad::readTimes() const {
  auto file = MemoryBuffer::getFileAsStream("/proc/stat");
  std::vector<Times> times;
  if (!file)
    return times;
  for (StringRef line : split((*file)->getBuffer(), '\n')) {
    int64_t number;
    auto [name, rest] = line.split(' ');
    if (!name.consume_front("cpu") || name.getAsInteger(10, number) ||
        !is_contained(cpus, number))
      continue;
    // user nice system idle iowait irq softirq steal; guests are in user.
    Times &cpu = times.emplace_back();
    SmallVector<StringRef> fields;
    rest.split(fields, ' ', -1, /*KeepEmpty=*/false);
    for (auto [i, field] : enumerate(ArrayRef(fields).take_front(8))) {
      int64_t ticks = 0;
      (void)field.getAsInteger(10, ticks);
      cpu.all += ticks;
      if (i != 3 && i != 4)
        cpu.busy += ticks;
    }
  }
  return times;
}

static std::string percent(double part) {
  return std::to_string(int64_t(std::rint(part * 100))) + " %";
}

bool ProbeLoad::waitUntilIdle(double most, double patience,
                              function_ref<void(StringRef)> say,
                              std::string &error) const {
  double end = readClock(CLOCK_MONOTONIC) + patience;
  for (bool said = false;; said = true) {
    std::vector<Times> from = readTimes();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    std::vector<Times> to = readTimes();
    double busiest = 0;
    int number = 0;
    for (size_t i = 0; i < std::min(from.size(), to.size()); ++i) {
      int64_t all = to[i].all - from[i].all, busy = to[i].busy - from[i].busy;
      if (all <= 0 || double(busy) / double(all) <= busiest)
        continue;
      busiest = double(busy) / double(all);
      number = cpus[i];
    }
    if (busiest <= most)
      return true;
    std::string what = "other programs take " + percent(busiest) + " of CPU " +
                       std::to_string(number);
    if (readClock(CLOCK_MONOTONIC) >= end) {
      error = "cannot probe: " + what +
              ", and their load would be measured; try again when the machine "
              "is idle";
      return false;
    }
    if (!said)
      say(what + ": waiting for them at most " +
          std::to_string(int64_t(patience)) + " s");
  }
}

void ProbeLoad::begin() {
  before = readTimes();
  ownBefore = readClock(CLOCK_PROCESS_CPUTIME_ID);
  delayBefore = readDelay();
  startedAt = readClock(CLOCK_MONOTONIC);
}

double ProbeLoad::getTaken() const {
  double passed = readClock(CLOCK_MONOTONIC) - startedAt;
  double own = readClock(CLOCK_PROCESS_CPUTIME_ID) - ownBefore;
  double taken = (readDelay() - delayBefore) / passed;
  std::vector<Times> after = readTimes();
  int64_t busy = 0;
  for (size_t i = 0; i < std::min(before.size(), after.size()); ++i)
    busy += after[i].busy - before[i].busy;
  double seconds = double(busy) / double(sysconf(_SC_CLK_TCK));
  taken = std::max(taken, (seconds - own) / (passed * double(cpus.size())));
  return std::clamp(taken, 0.0, 1.0);
}
