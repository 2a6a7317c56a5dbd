//===- WeightsFile.h - Weights beside an .mlir file -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The bytes of `hr.weight`s are not in the IR, so a module that is written to
// be read again is written with a second file beside it, which the module's
// attribute `hr.weights_file` names relative to the module. It has the
// safetensors format: the length of a JSON header (8 bytes, little endian), the
// header {name: {dtype, shape, data_offsets}}, the bytes.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DRIVER_WEIGHTSFILE_H
#define HEADRACE_DRIVER_WEIGHTSFILE_H

#include "headrace/Support/OutputFile.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

namespace headrace {

constexpr llvm::StringLiteral weightsFileAttr = "hr.weights_file";

/// Writes the bytes of every `hr.weight` of the module. On failure `error` says
/// why.
mlir::LogicalResult writeWeightsFile(mlir::ModuleOp module, OutputFile &file,
                                     std::string &error);

/// Maps the file and enters every `hr.weight` of the module that it has into
/// the context's WeightStore. Weights must have the type that the file says.
llvm::Error readWeightsFile(mlir::ModuleOp module, llvm::StringRef path);

} // namespace headrace
#endif // HEADRACE_DRIVER_WEIGHTSFILE_H
