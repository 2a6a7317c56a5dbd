//===- Lowering.h - Stage functions to the LLVM dialect -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_LOWERING_H
#define HEADRACE_LIB_TARGET_LOWERING_H

#include "Codegen.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace headrace {

/// The symbol of a stage in object files.
std::string getStageSymbol(llvm::StringRef stage);

/// A module that holds one module per function of `stages`, each with a copy
/// of that function (public, renamed to its symbol) and of what it refers to.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>>
splitStages(mlir::ModuleOp module, llvm::ArrayRef<llvm::StringRef> stages);

/// The passes that lower a module of stage functions (func, scf, vector,
/// memref, arith, math, index) to the LLVM dialect, without changing the result
/// of any float operation.
void buildStageLowering(mlir::OpPassManager &pm, const Codegen &codegen,
                        bool debugInfo);

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_LOWERING_H
