//===- Atoms.h - The instructions that atoms name -------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_ATOMS_H
#define HEADRACE_LIB_TARGET_ATOMS_H

#include "llvm/ADT/StringRef.h"

namespace headrace {

/// An instruction that this target emits.
struct AtomInstruction {
  llvm::StringRef name;
  /// The `codegen` that has it; empty: all.
  llvm::StringRef codegen;
  /// Its shape; 0: any.
  int64_t m, n, k;
  /// Empty: what LLVM makes of a vector multiply-add.
  llvm::StringRef intrinsic;
  /// Rounds two vectors, given last to first, to halves of one operand; empty:
  /// there is none. And the feature of the CPU that it takes.
  llvm::StringRef rounding = "", roundingFeature = "";
};

/// Null if there is no such instruction.
const AtomInstruction *findAtomInstruction(llvm::StringRef name);

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_ATOMS_H
