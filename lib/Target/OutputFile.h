//===- OutputFile.h - Files that appear when they are complete ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_OUTPUTFILE_H
#define HEADRACE_LIB_TARGET_OUTPUTFILE_H

#include "headrace/Runtime/Layout.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"
#include <memory>
#include <string>
#include <vector>

namespace headrace {

/// Files written under temporary names; `commit` renames them all, else they
/// go away with the object.
class OutputFiles {
public:
  ~OutputFiles();
  /// The temporary name of `path`.
  std::string add(llvm::StringRef path);
  mlir::LogicalResult commit(std::string &error);
  /// Final names.
  const std::vector<std::string> &getPaths() const { return paths; }

private:
  std::vector<std::string> paths;
};

/// Writes `path` through `write`, or appends to it. A full disk is an error.
mlir::LogicalResult
writeToFile(llvm::StringRef path, bool append,
            llvm::function_ref<mlir::LogicalResult(llvm::raw_ostream &,
                                                   std::string &)>
                write,
            std::string &error);

/// Appends weights (if `writeWeights` is given), signature and footer to the
/// file at `path`, whose first bytes up to its present end are code. `footer`
/// holds the id.
mlir::LogicalResult appendArtifactData(
    llvm::StringRef path, int64_t weightBytes,
    llvm::function_ref<mlir::LogicalResult(llvm::raw_ostream &, std::string &)>
        writeWeights,
    llvm::StringRef signature, hr_footer footer, std::string &error);

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_OUTPUTFILE_H
