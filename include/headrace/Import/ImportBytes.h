//===- ImportBytes.h - Reading exported programs from memory --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What importPt2 does, on bytes; for the fuzzer and for tests.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_IMPORT_IMPORTBYTES_H
#define HEADRACE_IMPORT_IMPORTBYTES_H

#include "headrace/Import/Import.h"
#include <memory>

namespace headrace {

/// Reads one archive, which stays alive as long as `owner`, as entry `main`.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>>
importBytes(mlir::MLIRContext *context, llvm::ArrayRef<char> bytes,
            std::shared_ptr<void> owner);

/// The same with the JSON texts given apart, so that mutating them needs no
/// checksums: the model and the `config` tables of weights and constants. The
/// archive serves for the weights' bytes.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>>
importTexts(mlir::MLIRContext *context, llvm::StringRef model,
            llvm::StringRef weights, llvm::StringRef constants,
            llvm::ArrayRef<char> archive);

} // namespace headrace
#endif // HEADRACE_IMPORT_IMPORTBYTES_H
