//===- KeptStates.h - States that an error gives back ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_KEPTSTATES_H
#define HEADRACE_LIB_TARGET_KEPTSTATES_H

#include "Image.h"
#include "headrace/Dialect/Sched/Sched.h"

namespace headrace {

/// The states, by their places in the context, that a call of `entry` copies
/// before it runs `program`, so that an error in the data gives them back: all
/// that it writes, if a condition on data is checked only on the way and they
/// are small.
llvm::SmallVector<ImageSpan> findKeptStates(mlir::ModuleOp module,
                                            sched::ProgramOp program,
                                            const ImageEntry &entry,
                                            const Image &image);

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_KEPTSTATES_H
