//===- Schema.h - What torch says about each ATen operator ----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The schema of an operator overload: its arguments with types, defaults and
// alias annotations, and its results. The table is generated from torch by
// lib/Dialect/Aten/generate_schemas.py; a line of it is parsed when it is
// first asked for.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_ATEN_SCHEMA_H
#define HEADRACE_DIALECT_ATEN_SCHEMA_H

#include "mlir/IR/Attributes.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <optional>

namespace headrace::aten {

/// A type of a schema: `Tensor(a!)`, `SymInt[2]?`, `Tensor?[]`.
struct SchemaType {
  enum class Base {
    Tensor,
    Int,
    SymInt,
    Float,
    Bool,
    Scalar,
    String,
    Complex,
    DType,
    Layout,
    MemoryFormat,
    Device,
    Generator,
    /// A type that no exported program can carry (Dimname, ...).
    Other,
  };
  Base base = Base::Other;
  bool isList = false;
  /// The value may be None.
  bool isOptional = false;
  /// Elements of the list may be None.
  bool hasOptionalElements = false;
  /// For `int[2]`: 2; a plain number stands for that many. 0: any length.
  unsigned listSize = 0;
  /// The alias set, `a` for `Tensor(a!)`; empty if the value is fresh.
  llvm::StringRef alias;
  /// The operator writes through this value.
  bool isWritten = false;

  bool isTensor() const { return base == Base::Tensor && !isList; }
  bool isTensorList() const { return base == Base::Tensor && isList; }
  /// As torch prints it, without alias annotations.
  std::string str() const;
};

struct SchemaArg {
  llvm::StringRef name;
  SchemaType type;
  bool isKeywordOnly = false;
  /// The text of the default, if there is one.
  std::optional<llvm::StringRef> defaultText;
};

struct Schema {
  /// `aten.add.Tensor`; the overload without a name is `default`.
  llvm::StringRef name;
  llvm::SmallVector<SchemaArg> args;
  llvm::SmallVector<SchemaType> results;

  std::optional<unsigned> findArg(llvm::StringRef argName) const;
  /// Writes to at least one argument.
  bool isMutating() const;
  /// `aten.add`, without the overload.
  llvm::StringRef getBaseName() const;
  /// `Tensor`: the overload alone.
  llvm::StringRef getOverload() const;
};

/// The schema of `name` (`aten.add.Tensor`), or null. Threads safe.
const Schema *lookupSchema(llvm::StringRef name);

/// The default of an argument as an attribute of `aten.call`; null if it has
/// none.
mlir::Attribute getDefaultValue(mlir::MLIRContext *context,
                                const SchemaArg &arg);

} // namespace headrace::aten
#endif // HEADRACE_DIALECT_ATEN_SCHEMA_H
