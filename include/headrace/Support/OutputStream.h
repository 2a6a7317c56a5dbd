//===- OutputStream.h - Output files as LLVM's streams --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SUPPORT_OUTPUTSTREAM_H
#define HEADRACE_SUPPORT_OUTPUTSTREAM_H

#include "headrace/Support/OutputFile.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/raw_ostream.h"

namespace headrace {

/// Appends to `file` what `write` writes. A full disk, or a limit on the size of
/// files, is an error.
mlir::LogicalResult
writeTo(OutputFile &file,
        llvm::function_ref<mlir::LogicalResult(llvm::raw_ostream &,
                                               std::string &)>
            write,
        std::string &error);

/// Flushes standard output. On failure `error` says why, and is empty where the
/// reader of a pipe has gone: nobody is left to be told. Without this call
/// errors would come up when LLVM's streams are destroyed, as a fatal one.
mlir::LogicalResult finishStandardOutput(std::string &error);

} // namespace headrace
#endif // HEADRACE_SUPPORT_OUTPUTSTREAM_H
