//===- Obstacles.h - What a program needs that is not there ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The reader, functionalization and conversion each find things of a program
// that cannot be compiled. A user wants all of them at once: each step notes
// what it finds, puts a placeholder there and goes on; the last one reports.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_ATEN_OBSTACLES_H
#define HEADRACE_DIALECT_ATEN_OBSTACLES_H

#include "headrace/Dialect/Aten/Aten.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"
#include <map>

namespace headrace::aten {

/// Everything that cannot be converted, by operator (none if it is no call) and
/// reason, in the order of appearance.
class Obstacles {
public:
  /// An operator without a `reason` is not known at all.
  void add(llvm::StringRef callee, llvm::StringRef reason, mlir::Location loc,
           unsigned count = 1);
  bool empty() const { return found.empty(); }
  /// One error with a note for each; there must be one at least.
  void report(mlir::ModuleOp module) const;

  /// Hands them to the next step, as an attribute of the module.
  void leave(mlir::ModuleOp module) const;
  /// Takes what earlier steps left.
  void take(mlir::ModuleOp module);
  /// Whether a step left any.
  static bool hasAny(mlir::ModuleOp module);

private:
  using Key = std::pair<std::string, std::string>;
  struct Uses {
    mlir::Location first;
    unsigned count;
  };
  static std::string getText(const Key &key, const Uses &uses);

  llvm::MapVector<Key, Uses, std::map<Key, unsigned>> found;
};

/// Whether torch's `run_decompositions` writes the operator as others.
bool isDecomposable(llvm::StringRef callee);

} // namespace headrace::aten
#endif // HEADRACE_DIALECT_ATEN_OBSTACLES_H
