//===- Compiler.h - One compilation, from files to a file -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What `hrcc` does between its command line and its exit status: reads the
// inputs, runs the phases from where the input stands up to the one asked for,
// writes the outputs. What can be told to be wrong before the work is told
// before it, all at once.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DRIVER_COMPILER_H
#define HEADRACE_DRIVER_COMPILER_H

#include "headrace/Driver/Messages.h"
#include "headrace/Driver/Phases.h"
#include "headrace/Import/DimName.h"
#include "headrace/Support/FileStamp.h"
#include "headrace/Support/SizeExpr.h"
#include "llvm/ADT/SmallVector.h"
#include <functional>
#include <string>
#include <vector>

namespace headrace {

struct CompileOptions {
  struct Input {
    /// The entry's name; an .mlir file names its entries itself.
    std::string entry;
    std::string path;
    /// Of a .pt2 file.
    std::vector<DimName> dimNames = {};
    /// What messages call it, where the path is none that the user gave.
    std::string label = {};
    const std::string &getLabel() const { return label.empty() ? path : label; }
  };
  std::vector<Input> inputs;
  /// Files that were read already, and that no output may replace.
  std::vector<std::string> alsoRead;
  /// "-" is standard output; empty: only reports are wanted.
  std::string output;
  /// Reports to write; the extension says in which form (Report.h).
  std::vector<std::string> reports;
  /// Sizes at which reports predict symbolic programs.
  SymbolBindings reportSizes;
  /// Profiles whose measured times reports show.
  std::vector<std::string> profiles;
  Phase emit = Phase::So;
  unsigned optLevel = 2;
  std::string target = "native";
  /// The artifact exports `hr_model_<name>`.
  std::string name;
  /// "embed" or "external"; the target decides if nothing is said.
  std::optional<std::string> weights;
  /// What the artifact's signature says it was made by.
  std::string producer = "hrcc";
  bool debugInfo = false;
  bool saveTemps = false;
  bool timePasses = false;
  bool verbose = false;
  /// Print the remarks of passes: what the planner chose, and why.
  bool remarks = false;
  /// As in PipelineOptions.
  bool inDouble = false, exposeStages = false, plainStages = false;
  bool checkAccesses = false;
  double planWithin = 1;
  std::string layouts = "predicted";
  /// Say what would be done, and do nothing.
  bool dryRun = false;
  /// Say what is wrong with files and target, and fail.
  bool checkOnly = false;
  /// At most so many threads; 0: one per CPU.
  unsigned threads = 0;
  /// Where to write the make rule; empty: nowhere.
  std::string depfile;
  /// Its targets, as make reads them; empty: the output.
  std::vector<std::string> depTargets;
  /// Crash when this phase begins: for the test of the reproducer.
  std::optional<Phase> crashPhase;
  /// Told what is being done ("tensor", "tensor, pass 'canonicalize'").
  std::function<void(llvm::StringRef)> onStep;
};

/// All messages go to `messages`; failure means that there was an error and
/// that no output was written. There is no message if standard output is a pipe
/// whose reader has gone.
mlir::LogicalResult compile(const CompileOptions &options, Messages &messages);

/// The inputs as they are now, with weights that lie beside them: what `compile`
/// maps.
llvm::SmallVector<FileStamp> stampInputs(const CompileOptions &options);

/// A file's name as make reads it.
std::string quoteForMake(llvm::StringRef name);

} // namespace headrace
#endif // HEADRACE_DRIVER_COMPILER_H
