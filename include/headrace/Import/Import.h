//===- Import.h - Reading exported programs -------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_IMPORT_IMPORT_H
#define HEADRACE_IMPORT_IMPORT_H

#include "headrace/Import/DimName.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/ArrayRef.h"
#include <string>
#include <vector>

namespace headrace {

/// One exported program of an artifact.
struct EntryFile {
  /// The entry's name: an identifier, unique among the entries.
  std::string name;
  /// A `.pt2` archive written by `torch.export.save`.
  std::string path;
  /// Names of dimensions; one for an input that is not there is an error.
  std::vector<DimName> dimNames = {};
  /// What messages call it; empty: by its path.
  std::string label = {};
};

/// Reads exported programs into one module of the aten dialect, one public
/// function per entry. The bytes of weights stay mapped from the files and go
/// to the context's WeightStore; weights that several entries share are there
/// once. The files are taken for hostile. On failure diagnostics were emitted,
/// located at the user's Python where a node is to blame, else at the file. What
/// is read but cannot be compiled is left in the module as aten::Obstacles, for
/// the conversion to report with what it finds itself.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>>
importPt2(mlir::MLIRContext *context, llvm::ArrayRef<EntryFile> entries);

} // namespace headrace
#endif // HEADRACE_IMPORT_IMPORT_H
