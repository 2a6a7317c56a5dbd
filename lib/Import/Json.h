//===- Json.h - JSON from a source that is not trusted --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM's parser recurses with the nesting and builds a tree of any size, so a
// text is scanned for both before it is parsed. The accessors emit an error
// that names the place, the expected kind and the actual one.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_IMPORT_JSON_H
#define HEADRACE_LIB_IMPORT_JSON_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace headrace {

/// Parses a text whose nesting and number of values are within bounds.
llvm::Expected<llvm::json::Value> parseBoundedJson(llvm::StringRef text);

/// Typed access to a JSON tree; errors are emitted at `loc`.
class JsonReader {
public:
  explicit JsonReader(mlir::Location loc) : loc(loc) {}

  mlir::Location getLoc() const { return loc; }
  void setLoc(mlir::Location newLoc) { loc = newLoc; }
  mlir::InFlightDiagnostic error(const llvm::Twine &message) const {
    return mlir::emitError(loc, message);
  }

  /// The value as the kind asked for; null or failure after an error that
  /// calls the value `what`.
  const llvm::json::Object *object(const llvm::json::Value *value,
                                   const llvm::Twine &what) const;
  const llvm::json::Array *array(const llvm::json::Value *value,
                                 const llvm::Twine &what) const;
  mlir::FailureOr<llvm::StringRef> string(const llvm::json::Value *value,
                                          const llvm::Twine &what) const;
  mlir::FailureOr<int64_t> integer(const llvm::json::Value *value,
                                   const llvm::Twine &what) const;
  mlir::FailureOr<bool> boolean(const llvm::json::Value *value,
                                const llvm::Twine &what) const;
  /// A number, or one of the texts that stand for what JSON cannot say.
  mlir::FailureOr<double> number(const llvm::json::Value *value,
                                 const llvm::Twine &what) const;

  /// A union: an object with one key that says the kind of its value.
  struct Union {
    llvm::StringRef kind;
    const llvm::json::Value *value = nullptr;
    explicit operator bool() const { return value; }
  };
  Union unionOf(const llvm::json::Value *value, const llvm::Twine &what) const;

private:
  mlir::InFlightDiagnostic mismatch(const llvm::json::Value *value,
                                    const llvm::Twine &what,
                                    llvm::StringRef expected) const;
  mlir::Location loc;
};

} // namespace headrace
#endif // HEADRACE_LIB_IMPORT_JSON_H
