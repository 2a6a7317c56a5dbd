//===- Trace.cpp - A report as a trace for Perfetto -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Parts.h"

using namespace headrace;
using namespace headrace::report;
using llvm::json::Array;
using llvm::json::Object;

namespace {
/// Columns of `commands` by name.
struct Columns {
  explicit Columns(const Array &names) {
    for (auto [i, name] : llvm::enumerate(names))
      number[*name.getAsString()] = i;
  }
  int64_t get(const Array &row, llvm::StringRef name) const {
    return row[number.lookup(name)].getAsInteger().value_or(0);
  }
  bool has(llvm::StringRef name) const { return number.contains(name); }
  llvm::StringMap<size_t> number;
};

class TraceWriter {
public:
  TraceWriter(const Object &report, llvm::raw_ostream &os)
      : report(report), json(os, 1) {}
  void run();

private:
  void name(llvm::StringRef what, int64_t thread, const llvm::Twine &text);
  void slice(llvm::StringRef name, llvm::StringRef category, int64_t thread,
             int64_t begin, int64_t end,
             llvm::function_ref<void()> arguments = nullptr);
  void writeProgram(llvm::StringRef entry, const Object &program,
                    bool measured);
  void writeCounters(const Array &rows, const Columns &columns);
  llvm::StringRef getMemory(size_t number) {
    return *(*report.getObject("machine")->getArray("memories"))[number]
                .getAsObject()
                ->getString("name");
  }

  const Object &report;
  llvm::json::OStream json;
  int64_t process = 0;
};
} // namespace

static double toMicroseconds(int64_t ns) { return double(ns) / 1e3; }

void TraceWriter::name(llvm::StringRef what, int64_t thread,
                       const llvm::Twine &text) {
  json.object([&] {
    json.attribute("ph", "M");
    json.attribute("name", what);
    json.attribute("pid", process);
    json.attribute("tid", thread);
    json.attributeObject("args", [&] { json.attribute("name", text.str()); });
  });
}

void TraceWriter::slice(llvm::StringRef name, llvm::StringRef category,
                        int64_t thread, int64_t begin, int64_t end,
                        llvm::function_ref<void()> arguments) {
  json.object([&] {
    json.attribute("ph", "X");
    json.attribute("name", name);
    json.attribute("cat", category);
    json.attribute("pid", process);
    json.attribute("tid", thread);
    json.attribute("ts", toMicroseconds(begin));
    json.attribute("dur", toMicroseconds(end - begin));
    if (arguments)
      json.attributeObject("args", arguments);
  });
}

/// Bytes per second at each memory, as steps.
void TraceWriter::writeCounters(const Array &rows, const Columns &columns) {
  size_t memories =
      report.getObject("machine")->getArray("memories")->size();
  for (size_t memory = 0; memory < memories; ++memory) {
    std::string key = ("bytes " + getMemory(memory)).str();
    std::map<int64_t, double> change;
    for (const llvm::json::Value &value : rows) {
      const Array &row = *value.getAsArray();
      int64_t begin = columns.get(row, "begin_ns"),
              end = columns.get(row, "end_ns");
      if (end <= begin)
        continue;
      double rate = double(columns.get(row, key)) / double(end - begin);
      change[begin] += rate;
      change[end] -= rate;
    }
    double rate = 0; // bytes per nanosecond: GB/s
    for (auto [time, difference] : change) {
      rate += difference;
      json.object([&] {
        json.attribute("ph", "C");
        json.attribute("name", (getMemory(memory) + " GB/s").str());
        json.attribute("pid", process);
        json.attribute("ts", toMicroseconds(time));
        json.attributeObject(
            "args", [&] { json.attribute("GB/s", std::max(0.0, rate)); });
      });
    }
  }
}

void TraceWriter::writeProgram(llvm::StringRef entry, const Object &program,
                               bool measured) {
  const Object &commands = *program.getObject("commands");
  const Array &rows = *commands.getArray("rows");
  Columns columns(*commands.getArray("columns"));
  if (measured && !columns.has("measured_begin_ns"))
    return;
  int64_t workers = *program.getInteger("workers");
  name("process_name", 0,
       entry + ", " + llvm::Twine(workers) +
           (workers == 1 ? " worker" : " workers") +
           (measured ? ", measured" : ", predicted"));
  llvm::StringRef worker =
      *report.getObject("machine")->getObject("worker")->getString("name");
  for (int64_t w = 0; w < workers; ++w)
    name("thread_name", w, worker + "[" + llvm::Twine(w) + "]");
  llvm::StringRef beginKey = measured ? "measured_begin_ns" : "begin_ns";
  llvm::StringRef endKey = measured ? "measured_end_ns" : "end_ns";
  std::map<int64_t, int64_t> last;
  for (const llvm::json::Value &value : rows) {
    const Array &row = *value.getAsArray();
    int64_t thread = columns.get(row, "worker");
    int64_t begin = columns.get(row, beginKey), end = columns.get(row, endKey);
    if (int64_t &since = last[thread]; begin > since)
      slice(measured ? "between commands" : "wait", "stall", thread, since,
            begin);
    last[thread] = end;
    int64_t stage = columns.get(row, "stage");
    llvm::StringRef label = "copy";
    if (stage >= 0)
      label = *(*report.getArray("stages"))[stage].getAsObject()->getString(
          "name");
    slice(label, "command", thread, begin, end, [&] {
      for (llvm::StringRef key : {"first_tile", "end_tile", "iteration",
                                  "flops"})
        json.attribute(key, columns.get(row, key));
      if (measured)
        return;
      int64_t bound = columns.get(row, "bound");
      json.attribute("bound by",
                     bound < 0 ? llvm::StringRef("operations")
                               : getMemory(bound));
      for (const auto &column : columns.number)
        if (column.getKey().starts_with("bytes "))
          json.attribute(column.getKey(), columns.get(row, column.getKey()));
    });
  }
  if (!measured)
    writeCounters(rows, columns);
  ++process;
}

void TraceWriter::run() {
  json.object([&] {
    json.attribute("displayTimeUnit", "ns");
    json.attributeArray("traceEvents", [&] {
      for (const llvm::json::Value &value : *report.getArray("entries")) {
        const Object &entry = *value.getAsObject();
        for (const llvm::json::Value &program : *entry.getArray("programs"))
          for (bool measured : {false, true})
            writeProgram(*entry.getString("name"), *program.getAsObject(),
                         measured);
      }
    });
  });
}

void report::writeTrace(const Object &report, llvm::raw_ostream &os) {
  TraceWriter(report, os).run();
}
