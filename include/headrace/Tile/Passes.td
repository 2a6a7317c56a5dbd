//===- Passes.td - From stages to functions over tiles -----*- tablegen -*-===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each pass has one sentence that says what is true after it.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TILE_PASSES
#define HEADRACE_TILE_PASSES

include "mlir/Pass/PassBase.td"

def TileStagesPass : Pass<"hr-tile-stages", "::mlir::ModuleOp"> {
  let summary = "turns stages into functions over tiles, values into buffers";
  let description = [{
    After it, every stage is a private function of loops and vectors over tiles,
    every entry a list of `hr.run`s over `hr.buffer`s; tensors are left only in
    the signatures of entries.
  }];
  let options = [
    Option<"checkAccesses", "check-accesses", "bool", "false",
           "precede every load and store by a check against its footprint">
  ];
  let dependentDialects = [
    "::headrace::hr::HRDialect", "::mlir::scf::SCFDialect",
    "::mlir::vector::VectorDialect", "::mlir::memref::MemRefDialect",
    "::mlir::math::MathDialect", "::mlir::arith::ArithDialect",
    "::mlir::func::FuncDialect", "::mlir::ub::UBDialect"];
}

#endif // HEADRACE_TILE_PASSES
