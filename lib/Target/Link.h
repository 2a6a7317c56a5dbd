//===- Link.h - Objects to shared objects, in process ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_LINK_H
#define HEADRACE_LIB_TARGET_LINK_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/TargetParser/Triple.h"
#include <string>

namespace headrace {

/// An object file in memory; `name` is for messages and order.
struct ObjectFile {
  std::string name;
  llvm::SmallVector<char, 0> bytes;
};

/// Links `objects` and the runtime for `triple` to a shared object that exports
/// `symbol` alone, as hr_model_<name>, and needs libc (and libm, libpthread where
/// used). Nothing is written to any file. On failure `error` says why.
mlir::LogicalResult linkShared(llvm::ArrayRef<ObjectFile> objects,
                               const llvm::Triple &triple,
                               llvm::StringRef symbol, llvm::StringRef name,
                               llvm::StringRef soName, bool keepDebug,
                               llvm::SmallVectorImpl<char> &bytes,
                               std::string &error);

/// Merges `objects` and the runtime to one relocatable object in which `symbol`
/// alone is global.
mlir::LogicalResult linkRelocatable(llvm::ArrayRef<ObjectFile> objects,
                                    const llvm::Triple &triple,
                                    llvm::StringRef symbol,
                                    llvm::SmallVectorImpl<char> &bytes,
                                    std::string &error);

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_LINK_H
