//===- Image.h - The tables of an artifact, and its signature -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The constant tables of include/headrace/Runtime/Layout.h, filled from the
// entries of a module.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_IMAGE_H
#define HEADRACE_LIB_TARGET_IMAGE_H

#include "headrace/Support/SizeExpr.h"
#include "headrace/Target/Target.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/IR/Module.h"
#include <string>
#include <vector>

namespace headrace {

/// A symbolic size of an entry: dimension `dim` of input `input` is
/// `scale * symbol + offset`.
struct ImageSymbol {
  std::string name;
  /// What the user calls the dimension; empty if it has no name.
  std::string userName;
  Interval range;
  int64_t input = 0, dim = 0, scale = 1, offset = 0;
};

struct ImagePort {
  std::string name;
  mlir::Type elementType;
  bool isUnsigned = false;
  llvm::SmallVector<SizeExpr> dims;
  /// The same in the user's words, for messages.
  std::vector<std::string> dimTexts;
  /// Of an output that is the new value of an input which the program writes
  /// in place: that input. Else -1.
  int64_t mutates = -1;
};

/// An element of `hr.sites` (headrace/Target/StageABI.h).
struct ImageSite {
  std::string what, where, message;
  bool ranged = false;
  bool operator==(const ImageSite &) const = default;
};
/// From the attribute's element; nothing if it is none.
std::optional<ImageSite> readSite(mlir::Attribute attr);

/// All elements of an input are indices below `bound`; checked by the call
/// before it runs.
struct ImageCheck {
  int64_t input = 0;
  SizeExpr bound;
  bool wrap = false;
  ImageSite site;
  /// Sites of stages that report nothing which this check has not reported.
  std::vector<ImageSite> covers;
  int64_t siteNumber = 0;
};

/// Bytes of the state.
struct ImageSpan {
  int64_t offset = 0, bytes = 0;
};

struct ImageSchedule {
  int64_t workers = 1;
  SizeExpr arenaBytes;
  int64_t scratchStride = 0;
  /// The least `ImageEntry::work` at which it is taken.
  int64_t fromWork = 0;
  llvm::Function *timeline = nullptr;
};

/// What has to hold of the sizes of a call; see `hr.requires`.
struct ImageRequirement {
  SizeExpr condition;
  std::string text, where;
};

struct ImageEntry {
  std::string name;
  std::vector<ImageSymbol> symbols;
  std::vector<ImageRequirement> requirements;
  std::vector<ImagePort> inputs, outputs;
  std::vector<ImageSchedule> schedules;
  /// A measure of a call that grows with its sizes.
  SizeExpr work;
  std::vector<ImageCheck> checks;
  /// See `findKeptStates`.
  llvm::SmallVector<ImageSpan> kept;
  /// What each command of the schedules runs, by the numbers that profiles give
  /// them; alike for all numbers of workers.
  std::vector<std::string> commands;
  std::string inSpec, outSpec;
  /// `hr.in_leaves` and `hr.out_leaves`: where the leaves of the pytrees are.
  mlir::ArrayAttr inLeaves, outLeaves;

  SymbolRanges getRanges() const;
  int64_t findSymbol(llvm::StringRef name) const;
};

struct ImageState {
  std::string name;
  mlir::RankedTensorType type;
  int64_t offset = 0, bytes = 0;
  int64_t initial = -1;
};

struct Image {
  std::string name, producer;
  std::string codegen;
  /// See `hashSchedules`.
  uint64_t scheduleHash = 0;
  std::vector<std::string> features;
  std::vector<ImageEntry> entries;
  std::vector<ImageState> states;
  std::vector<ImageSite> sites;
  int64_t stateBytes = 0;
  int64_t weightBytes = 0;
  uint64_t weightHash = 0;
  /// Where the weights are, when not behind the code in the same file.
  std::string weightsFile;
  bool embedWeights = false;
  /// The table's symbol; of a shared object with room for another (Rename.h).
  std::string symbol;
};

/// What an entry takes and gives, from its function's attributes. Emits
/// diagnostics.
mlir::FailureOr<ImageEntry> readEntry(mlir::func::FuncOp function);

/// Checks that every feature of the device can be asked for at run time.
mlir::LogicalResult checkFeatures(const hw::Device &device, std::string &error);

/// The signature as JSON.
std::string writeSignature(const Image &image);

/// Emits the tables, and `hr_model_<name>`, into `module`. Returns the global
/// to be given the bytes of the weights when they are embedded, else null.
void emitImage(const Image &image, llvm::StringRef signature,
               llvm::ArrayRef<uint64_t> id, llvm::Module &module,
               llvm::ArrayRef<char> embeddedWeights);

/// `model.h` for an object: the table's declaration and a typed function for
/// each entry.
std::string writeHeader(const Image &image);

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_IMAGE_H
