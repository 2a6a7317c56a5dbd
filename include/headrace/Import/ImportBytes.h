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

/// The same with the JSON given apart, so that mutating it needs no checksums:
/// an object of `model` and the `config` tables `weights` and `constants`. The
/// archive serves for the weights' bytes.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>>
importText(mlir::MLIRContext *context, llvm::StringRef text,
           llvm::ArrayRef<char> archive);

} // namespace headrace
#endif // HEADRACE_IMPORT_IMPORTBYTES_H
