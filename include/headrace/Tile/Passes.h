//===- Passes.h - From stages to functions over tiles ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TILE_PASSES_H
#define HEADRACE_TILE_PASSES_H

#include "mlir/Pass/Pass.h"

namespace headrace {

#define GEN_PASS_DECL
#include "headrace/Tile/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "headrace/Tile/Passes.h.inc"

} // namespace headrace
#endif // HEADRACE_TILE_PASSES_H
