//===- FileKind.h - What a file is that is no exported program ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_IMPORT_FILEKIND_H
#define HEADRACE_LIB_IMPORT_FILEKIND_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace headrace {

/// What a file that cannot be opened as an archive is by its first bytes, and
/// what to do about it: "an ONNX model; ...". Empty if nothing is known.
std::string nameForeignFile(llvm::ArrayRef<char> bytes);

/// The same for an archive of other entries than a program's.
std::string nameForeignArchive(llvm::ArrayRef<std::string> entries);

} // namespace headrace
#endif // HEADRACE_LIB_IMPORT_FILEKIND_H
