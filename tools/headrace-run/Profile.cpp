//===- Profile.cpp - Times of commands over many runs ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Profile.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <unistd.h>

using namespace headrace;

void Profiler::setWorkers(uint32_t workers) {
  timelines.assign(workers, hr_profile_timeline());
  buffers.assign(workers, std::vector<hr_profile_record>(1024));
  for (uint32_t w = 0; w < workers; ++w) {
    timelines[w].records = buffers[w].data();
    timelines[w].capacity = uint32_t(buffers[w].size());
  }
  profile.timelines = timelines.data();
  profile.num_timelines = workers;
}

void Profiler::fit() {
  for (size_t w = 0; w < timelines.size(); ++w)
    if (timelines[w].count > timelines[w].capacity) {
      buffers[w].resize(timelines[w].count);
      timelines[w].records = buffers[w].data();
      timelines[w].capacity = timelines[w].count;
    }
}

void Profiler::addRun() {
  calls.push_back(profile.end_ns - profile.begin_ns);
  records.resize(profile.workers);
  for (uint32_t w = 0; w < profile.workers; ++w)
    for (uint32_t i = 0; i < timelines[w].count; ++i) {
      const hr_profile_record &from = timelines[w].records[i];
      if (i == records[w].size())
        records[w].push_back({from.command, from.iteration, 0, 0, {}, {}});
      uint64_t last =
          i ? timelines[w].records[i - 1].end_ns : profile.begin_ns;
      records[w][i].gaps.push_back(from.begin_ns - last);
      records[w][i].durations.push_back(from.end_ns - from.begin_ns);
    }
}

/// The value below which `part` of the values lie; 0 of none.
static uint64_t getQuantile(std::vector<uint64_t> values, double part) {
  if (values.empty())
    return 0;
  size_t n = values.size();
  size_t at = std::min(n - 1, size_t(part * double(n)));
  std::nth_element(values.begin(), values.begin() + ptrdiff_t(at),
                   values.end());
  return values[at];
}

void Profiler::finish() {
  for (std::vector<Record> &list : records) {
    // Gaps, not beginnings: what disturbs one command of a run does not move
    // all that follow.
    uint64_t last = 0;
    for (Record &record : list) {
      record.begin = last + getQuantile(record.gaps, 0.5);
      record.duration = getQuantile(record.durations, 0.5);
      last = record.begin + record.duration;
    }
  }
}

/// Ten columns.
static std::string showTime(double nanoseconds) {
  char text[32];
  bool small = nanoseconds < 1e5;
  std::snprintf(text, sizeof text, "%7.3f %s",
                nanoseconds / (small ? 1e3 : 1e6), small ? "us" : "ms");
  return text;
}

void Profiler::printTable(const Entry &entry) const {
  struct Sum {
    std::string name;
    size_t runs = 0;
    uint64_t time = 0;
  };
  std::vector<Sum> sums;
  uint64_t total = 0;
  for (const std::vector<Record> &list : records)
    for (const Record &record : list) {
      const std::string &name = record.command < entry.commands.size()
                                    ? entry.commands[record.command]
                                    : "?";
      auto it = std::find_if(sums.begin(), sums.end(), [&](const Sum &sum) {
        return sum.name == name;
      });
      if (it == sums.end())
        it = sums.insert(sums.end(), {name, 0, 0});
      ++it->runs;
      it->time += record.duration;
      total += record.duration;
    }
  std::sort(sums.begin(), sums.end(), [](const Sum &a, const Sum &b) {
    return a.time != b.time ? a.time > b.time : a.name < b.name;
  });
  double workers = double(std::max<size_t>(records.size(), 1));
  double call = double(getQuantile(calls, 0.5));
  std::printf("measured, medians of %zu calls of %.3f ms on %zu worker%s\n",
              calls.size(), call / 1e6, records.size(),
              records.size() == 1 ? "" : "s");
  std::printf("%10s %7s %6s  %s\n", "per worker", "share", "runs", "stage");
  for (const Sum &sum : sums)
    std::printf("%s %5.1f %% %6zu  %s\n",
                showTime(double(sum.time) / workers).c_str(),
                call > 0 ? 100 * double(sum.time) / workers / call : 0.0,
                sum.runs, sum.name.c_str());
  double rest = call - double(total) / workers;
  std::printf("%s %5.1f %%         between commands: waiting, and the call "
              "itself\n",
              showTime(rest).c_str(), call > 0 ? 100 * rest / call : 0.0);
}

static std::string quote(const std::string &text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      result += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      continue;
    result += c;
  }
  return result + "\"";
}

/// What the measuring machine is, as the system tells it.
static std::string describeMachine() {
  std::string name;
  if (FILE *file = std::fopen("/proc/cpuinfo", "r")) {
    char line[512];
    while (name.empty() && std::fgets(line, sizeof line, file))
      if (std::strncmp(line, "model name", 10) == 0)
        if (const char *colon = std::strchr(line, ':'))
          name = colon + 1;
    std::fclose(file);
  }
  size_t begin = name.find_first_not_of(" \t");
  size_t end = name.find_last_not_of(" \t\n");
  name = begin == std::string::npos ? "unknown CPU"
                                    : name.substr(begin, end - begin + 1);
  return name + ", " + std::to_string(sysconf(_SC_NPROCESSORS_ONLN)) + " CPUs";
}

std::string Profiler::toJson(
    const Model &model, const Entry &entry,
    const std::map<std::string, int64_t> &sizes) const {
  std::string text = "{\"format\":\"headrace.profile\",\"version\":1";
  auto add = [&](const char *key, const std::string &value) {
    text += ",\n\"" + std::string(key) + "\":" + value;
  };
  add("name", quote(model.name));
  add("schedule", quote(model.schedule));
  add("entry", quote(entry.name));
  add("workers", std::to_string(records.size()));
  std::string bound;
  for (const auto &[name, value] : sizes)
    bound += (bound.empty() ? "" : ",") + quote(name) + ":" +
             std::to_string(value);
  add("sizes", "{" + bound + "}");
  add("runs", std::to_string(calls.size()));
  add("median_ns", std::to_string(getQuantile(calls, 0.5)));
  add("least_ns", std::to_string(getQuantile(calls, 0)));
  add("p90_ns", std::to_string(getQuantile(calls, 0.9)));
  add("machine", quote(describeMachine()));
  std::string names;
  for (const std::string &name : entry.commands)
    names += (names.empty() ? "" : ",") + quote(name);
  add("commands", "[" + names + "]");
  add("columns", "[\"command\",\"iteration\",\"begin_ns\",\"duration_ns\"]");
  std::string all;
  for (const std::vector<Record> &list : records) {
    std::string rows;
    for (const Record &record : list)
      rows += (rows.empty() ? "" : ",") + std::string("[") +
              std::to_string(record.command) + "," +
              std::to_string(record.iteration) + "," +
              std::to_string(record.begin) + "," +
              std::to_string(record.duration) + "]";
    all += (all.empty() ? "[" : ",\n[") + rows + "]";
  }
  add("timelines", "[" + all + "]");
  return text + "}\n";
}

std::string Profiler::toTrace(const Entry &entry) const {
  std::string text = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
  text += "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":0,\"args\":{"
          "\"name\":" +
          quote(entry.name + ", measured") + "}}";
  char number[64];
  for (size_t w = 0; w < records.size(); ++w) {
    std::string thread = ",\"pid\":0,\"tid\":" + std::to_string(w);
    text += ",\n{\"ph\":\"M\",\"name\":\"thread_name\"" + thread +
            ",\"args\":{\"name\":\"worker[" + std::to_string(w) + "]\"}}";
    for (const Record &record : records[w]) {
      std::snprintf(number, sizeof number, ",\"ts\":%.3f,\"dur\":%.3f",
                    double(record.begin) / 1e3, double(record.duration) / 1e3);
      text += ",\n{\"ph\":\"X\",\"cat\":\"command\",\"name\":" +
              quote(record.command < entry.commands.size()
                        ? entry.commands[record.command]
                        : "?") +
              thread + number + ",\"args\":{\"iteration\":" +
              std::to_string(record.iteration) + "}}";
    }
  }
  return text + "\n]}\n";
}

bool Profiler::write(OutputFile &file, const Model &model, const Entry &entry,
                     const std::map<std::string, int64_t> &sizes,
                     std::string &error) const {
  static const std::string trace = ".trace.json";
  const std::string &path = file.getPath();
  bool isTrace = path.size() >= trace.size() &&
                 path.compare(path.size() - trace.size(), trace.size(),
                              trace) == 0;
  std::string text = isTrace ? toTrace(entry) : toJson(model, entry, sizes);
  return file.write(text.data(), text.size(), error);
}
