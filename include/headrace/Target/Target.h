//===- Target.h - From schedules to bytes ---------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A target turns a module that stands after `schedule` (private stage functions
// and one or more `sched.program` per entry) into an artifact. Which target is
// asked is decided by the codegen family of the hardware description; nothing
// above this interface knows an instruction set.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TARGET_TARGET_H
#define HEADRACE_TARGET_TARGET_H

#include "headrace/Hardware/System.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mlir {
class PassManager;
}

namespace headrace {

class OutputFile;
class OutputFiles;

/// What is to be written, and how.
struct TargetOptions {
  enum class Output {
    /// A shared object with runtime and weights.
    SharedObject,
    /// A relocatable object, and a header beside it.
    Object,
    /// Text of all generated code, without the runtime.
    Assembly,
    LLVMIR,
    /// No file: code is generated for its figures alone.
    Nothing,
  };
  enum class Weights {
    /// In the artifact; of an object, large weights beside it.
    Auto,
    Embed,
    /// In a file beside the output: see getWeightsPath.
    External,
  };

  Output output = Output::SharedObject;
  /// Where files beside the output are begun; the caller commits them.
  OutputFiles *files = nullptr;
  /// The output itself; null: standard output.
  OutputFile *file = nullptr;
  Weights weights = Weights::Auto;
  /// The exported symbol is `hr_model_<name>`; letters, digits, underscores.
  std::string name = "model";
  /// 0 to 3, as on the command line.
  unsigned optLevel = 2;
  /// Line tables that lead to the user's Python.
  bool debugInfo = false;
  /// Appended to "hrcc " in the signature; same for every host.
  std::string producer = "hrcc";
  /// Called on every pass manager that is made (timing, printing).
  std::function<void(mlir::PassManager &)> configure;
  /// If not empty: intermediate files are kept as `<this>.<what>`.
  std::string saveTemps;
};

/// Figures of what was written, for `-v` and reports.
struct ArtifactInfo {
  int64_t numStages = 0;
  int64_t codeBytes = 0;
  int64_t weightBytes = 0;
  int64_t outputBytes = 0;
  /// Bytes of instructions of each stage function, and of all timelines. Empty
  /// where text was asked for.
  std::vector<std::pair<std::string, int64_t>> stageCode;
  int64_t timelineCode = 0;
};

/// A family of machines that code can be generated for.
class Target {
public:
  virtual ~Target();
  virtual llvm::StringRef getName() const = 0;
  /// Whether this target generates code for `device`.
  virtual bool claims(const hw::Device &device) const = 0;
  /// Whether it can emit the atom: plans use no other.
  virtual bool emits(const hw::Device &device, const hw::Atom &atom) const = 0;
  /// Writes the artifact of `module` to `options.file`, and what lies beside it
  /// to files begun in `options.files`. `module` is not changed. Emits
  /// diagnostics on failure.
  virtual mlir::LogicalResult emit(mlir::ModuleOp module,
                                   const hw::System &system,
                                   const TargetOptions &options,
                                   ArtifactInfo *info) const = 0;
};

/// The target for the system's device; null if there is none yet. Never
/// deleted.
const Target *findTarget(const hw::System &system);

/// Whether the system's target can emit an atom of its device; null if there is
/// no target. Not to be called when the system is gone.
std::function<bool(const hw::Atom &)> getEmits(const hw::System &system);

/// What of the system's instructions plans do not use because nothing emits it,
/// in words; empty if they may use all.
std::string describeUnemitted(const hw::System &system);

/// Where the weights of the artifact `output` lie if they are not in it: beside
/// it, under its name.
std::string getWeightsPath(llvm::StringRef output);
/// The header beside the object `output`.
std::string getHeaderPath(llvm::StringRef output);

/// Finds the target and lets it emit; says so if there is none.
mlir::LogicalResult emitArtifact(mlir::ModuleOp module,
                                 const hw::System &system,
                                 const TargetOptions &options,
                                 ArtifactInfo *info = nullptr);

/// Registers what targets need in a context: call before the context is used
/// by several threads.
void registerTargetDialects(mlir::DialectRegistry &registry);

} // namespace headrace
#endif // HEADRACE_TARGET_TARGET_H
