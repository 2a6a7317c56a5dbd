//===- HWDialect.td - The hw dialect -----------------------*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_DIALECT_HW_HWDIALECT
#define HEADRACE_DIALECT_HW_HWDIALECT

include "mlir/IR/OpBase.td"

def HW_Dialect : Dialect {
  let name = "hw";
  let cppNamespace = "::headrace::hw";
  let summary = "hardware descriptions";
  let description = [{
    A machine as data: which memories, how large, how fast, which workers,
    which matrix instructions, which links. One recursive grammar serves a
    core, a socket, a GPU, a node and a rack; see docs/hardware.md.

    Every figure has a unit and says where it came from: `measured` (by a
    program, on such a machine), `documented` (by the vendor) or `assumed`.
    Passes do not read these ops; they ask `headrace::hw::System`.
  }];
  let useDefaultAttributePrinterParser = 1;
}

#endif // HEADRACE_DIALECT_HW_HWDIALECT
