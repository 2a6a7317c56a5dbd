//===- GuardReader.h - The guards of a program ----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_IMPORT_GUARDREADER_H
#define HEADRACE_LIB_IMPORT_GUARDREADER_H

#include "Graph.h"

namespace headrace {

/// Reads `guards_code` of a program. What guards say of a single symbol becomes
/// its range; a symbol that they leave one residue is written as a multiple of
/// another; all the rest becomes requirements of the entry. Call it before any
/// type of the graph is read. A guard that cannot be expressed is an error.
mlir::LogicalResult readGuards(const llvm::json::Object &model,
                               const llvm::json::Object &graphModule,
                               const llvm::json::Object &graph,
                               GraphImporter &importer, EntryState &entry);

} // namespace headrace
#endif // HEADRACE_LIB_IMPORT_GUARDREADER_H
