//===- Importer.h - From archives to a module -----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_IMPORT_IMPORTER_H
#define HEADRACE_LIB_IMPORT_IMPORTER_H

#include "Json.h"
#include "headrace/Dialect/Aten/Obstacles.h"
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Import/Archive.h"
#include "headrace/Import/DimName.h"
#include "headrace/Support/WeightStore.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <memory>

namespace headrace {

/// One program while it is read.
struct Program {
  Program(llvm::StringRef name, mlir::Location file) : name(name), file(file) {}
  std::string name;
  mlir::Location file;
  std::vector<DimName> dimNames;
  std::unique_ptr<Archive> archive;
  llvm::json::Value model = nullptr;
  llvm::json::Value weights = nullptr;
  llvm::json::Value constants = nullptr;
  std::string weightsFolder, constantsFolder;
  /// Storages already mapped, so that a checksum is computed once.
  llvm::StringMap<std::shared_ptr<const Storage>> storages;
  /// The declared weight of a parameter, buffer or constant, by name.
  llvm::StringMap<hr::WeightOp> declared;
  /// The same by what it shows of which bytes: tied weights are one.
  llvm::StringMap<hr::WeightOp> byWindow;
};

/// Reads programs into one module: an entry each, and the weights of all.
class Importer {
public:
  explicit Importer(mlir::MLIRContext *context)
      : context(context), builder(context),
        module(mlir::ModuleOp::create(mlir::UnknownLoc::get(context))),
        store(context->getOrLoadDialect<hr::HRDialect>()->getWeights()) {}

  /// Keeps a weight from taking the name of an entry.
  void reserve(llvm::StringRef name) { symbols.insert(name); }
  mlir::LogicalResult add(Program &program);
  mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>>
  finish(mlir::Location loc);

private:
  friend class EntryImporter;

  /// The weight of a parameter, buffer or constant: one that there is already,
  /// or a new one.
  mlir::FailureOr<hr::WeightOp> declareWeight(Program &program,
                                              JsonReader &reader,
                                              llvm::StringRef fqn);
  mlir::FailureOr<std::shared_ptr<const Storage>>
  mapStorage(Program &program, JsonReader &reader, llvm::StringRef what,
             llvm::StringRef entry);
  mlir::FailureOr<std::pair<std::string, WeightStore::Entry>>
  readWindow(Program &program, JsonReader &reader, llvm::StringRef fqn);
  bool isTaken(llvm::StringRef name) {
    return store.lookup(name) || symbols.contains(name);
  }

  mlir::MLIRContext *context;
  mlir::OpBuilder builder;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  WeightStore &store;
  /// Names of the module's symbols.
  llvm::StringSet<> symbols;
  /// The weight declared last.
  hr::WeightOp lastWeight;
  /// Weights that an output of some entry is the new value of.
  llvm::SetVector<mlir::StringAttr> mutated;
  /// What stands in the way of compiling all of it.
  aten::Obstacles obstacles;
};

/// Reads the graph of a program into a function of the importer's module.
mlir::LogicalResult importEntry(Importer &importer, Program &program,
                                const llvm::json::Object &graph,
                                const llvm::json::Object &signature,
                                JsonReader &reader);

} // namespace headrace
#endif // HEADRACE_LIB_IMPORT_IMPORTER_H
