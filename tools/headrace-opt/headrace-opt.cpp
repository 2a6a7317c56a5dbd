//===- headrace-opt.cpp - Runs passes over MLIR files ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// mlir-opt with our dialects and passes: the tool of the lit tests.
//
//===----------------------------------------------------------------------===//
#include "headrace/Driver/Registration.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::registerAllPasses();
  headrace::registerAllHeadracePasses();
  mlir::DialectRegistry registry;
  headrace::registerAllHeadraceDialects(registry);
  return mlir::asMainReturnCode(mlir::MlirOptMain(
      argc, argv, "Runs passes over Headrace's dialects\n", registry));
}
