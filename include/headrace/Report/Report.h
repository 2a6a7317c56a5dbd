//===- Report.h - Where every byte and microsecond goes -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A report is one JSON object (docs/report.md), made of what the phases left
// behind: the schedules and what the simulator says of them, the plans of the
// stages, the remarks of passes, the hardware description, the sizes of the
// generated code and, where a profile is given, measured times. Nothing is
// predicted here. The page and the trace are made from the same object.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_REPORT_REPORT_H
#define HEADRACE_REPORT_REPORT_H

#include "headrace/Hardware/System.h"
#include "headrace/Report/Profile.h"
#include "headrace/Support/SizeExpr.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include <string>
#include <vector>

namespace headrace::report {

/// Grows when a key changes its meaning or goes away; new keys do not count.
constexpr int64_t version = 1;

/// What a pass decided: a remark.
struct Decision {
  std::string phase, pass, text;
  /// The numbers of the text, each with the words behind it.
  std::vector<std::pair<int64_t, std::string>> figures;
  mlir::Location location;

  Decision(llvm::StringRef phase, llvm::StringRef pass,
           mlir::Diagnostic &remark);
};

/// What a report is made of, besides the module and the description.
struct Sources {
  std::string name, producer;
  unsigned optLevel = 2;
  /// (entry, file), as on the command line.
  std::vector<std::pair<std::string, std::string>> inputs;
  std::vector<Decision> decisions;
  /// Bytes of instructions per stage function; empty if none were generated.
  std::vector<std::pair<std::string, int64_t>> stageCode;
  int64_t timelineCode = 0;
  /// Sizes at which symbolic programs are predicted; those not named get a
  /// typical value, or that of the profile.
  SymbolBindings sizes;
  std::vector<Profile> profiles;
};

/// The report of a module that stands after `schedule`. Emits diagnostics.
mlir::FailureOr<llvm::json::Object> build(mlir::ModuleOp module,
                                          const hw::System &system,
                                          const Sources &sources);

/// The forms of a report, by the extension of the file.
enum class Format { JSON, Page, Trace };
/// `.json`, `.html`, `.trace.json`; std::nullopt for any other name.
std::optional<Format> getFormat(llvm::StringRef path);

void write(const llvm::json::Object &report, Format format,
           llvm::raw_ostream &os);

} // namespace headrace::report
#endif // HEADRACE_REPORT_REPORT_H
