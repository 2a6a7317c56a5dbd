//===- Profile.h - Times of commands over many runs -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_RUN_PROFILE_H
#define HEADRACE_RUN_PROFILE_H

#include "Model.h"
#include "headrace/Support/OutputFile.h"

namespace headrace {

/// Collects what a context records. Medians are taken per command of a worker
/// and over runs, so that one disturbed run does not show.
class Profiler {
public:
  /// What `hr_context_options.profile` takes.
  hr_profile *getProfile() { return &profile; }
  /// How many the last run took.
  uint32_t getWorkers() const { return profile.workers; }
  /// Makes room for the workers of the context, once it exists.
  void setWorkers(uint32_t workers);
  /// Makes room for as many commands as the run just done had.
  void fit();
  /// Takes the times of the run just done.
  void addRun();
  /// Computes the medians.
  void finish();

  void printTable(const Entry &entry) const;
  /// Writes the profile, or a trace if the file is named `*.trace.json`; the
  /// caller commits it.
  bool write(OutputFile &file, const Model &model, const Entry &entry,
             const std::map<std::string, int64_t> &sizes,
             std::string &error) const;

private:
  struct Record {
    uint32_t command, iteration;
    uint64_t begin, duration; // nanoseconds, from the start of the call
    /// Of every run; a gap is the time since the command before ended.
    std::vector<uint64_t> gaps, durations;
  };
  std::string toJson(const Model &model, const Entry &entry,
                     const std::map<std::string, int64_t> &sizes) const;
  std::string toTrace(const Entry &entry) const;

  hr_profile profile = {sizeof(hr_profile), nullptr, 0, 0, 0, 0};
  std::vector<hr_profile_timeline> timelines;
  std::vector<std::vector<hr_profile_record>> buffers;
  /// Per worker of the run, in order.
  std::vector<std::vector<Record>> records;
  /// Whole calls.
  std::vector<uint64_t> calls;
};

} // namespace headrace
#endif // HEADRACE_RUN_PROFILE_H
