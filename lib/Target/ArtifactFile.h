//===- OutputFile.h - Files that appear when they are complete ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_ARTIFACTFILE_H
#define HEADRACE_LIB_TARGET_ARTIFACTFILE_H

#include "headrace/Runtime/Layout.h"
#include "headrace/Support/OutputStream.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"
#include <string>

namespace headrace {

/// Appends weights (if `writeWeights` is given), signature and footer to
/// `file`, whose `codeBytes` bytes up to now are code. `footer` holds the id.
mlir::LogicalResult appendArtifactData(
    OutputFile &file, uint64_t codeBytes, int64_t weightBytes,
    llvm::function_ref<mlir::LogicalResult(llvm::raw_ostream &, std::string &)>
        writeWeights,
    llvm::StringRef signature, hr_footer footer, std::string &error);

/// The artifact beside `output`, of its name but the other kind (a.so and a.o),
/// that the weights at `path` belong to; empty if there is none, or if they are
/// those of `id`, which both can share.
std::string findOwnerOfWeights(llvm::StringRef path, llvm::StringRef output,
                               llvm::ArrayRef<uint64_t> id);

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_ARTIFACTFILE_H
