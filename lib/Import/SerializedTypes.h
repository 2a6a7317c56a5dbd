//===- SerializedTypes.h - Dtypes, layouts and devices in a file ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_IMPORT_SERIALIZEDTYPES_H
#define HEADRACE_LIB_IMPORT_SERIALIZEDTYPES_H

#include "Json.h"
#include "mlir/IR/BuiltinTypes.h"

#include <string>

namespace headrace {

/// The element type of a serialized dtype; null if there is none.
mlir::Type getElementType(mlir::MLIRContext *context, int64_t dtype);

/// Whether a tensor of this layout is sizes, strides and elements.
bool isStridedLayout(int64_t layout);
/// What a message calls the layout: `sparse COO`.
std::string getLayoutName(int64_t layout);

/// The device of a tensor or an argument, `cuda:0`, of a kind that torch has.
mlir::FailureOr<std::string> readDevice(JsonReader &reader,
                                        const llvm::json::Value *value,
                                        const llvm::Twine &what);

/// Text from the file that a message or a location may show.
std::string printable(llvm::StringRef text);

} // namespace headrace
#endif // HEADRACE_LIB_IMPORT_SERIALIZEDTYPES_H
