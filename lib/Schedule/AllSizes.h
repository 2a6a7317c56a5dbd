//===- AllSizes.h - Is a schedule right for all sizes? --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_SCHEDULE_ALLSIZES_H
#define HEADRACE_LIB_SCHEDULE_ALLSIZES_H

#include "headrace/Schedule/Verifier.h"

namespace headrace::schedule {

/// Proves what Verifier.h lists for every binding of the symbols at once. `flat`
/// is the program expanded at any binding, with accesses that are empty there
/// (`ExpandOptions::emptyAccesses`), and `order` its order, which is complete.
/// What cannot be proved is a fault.
void verifyForAllSizes(const FlatProgram &flat, const Order &order,
                       const VerifyOptions &options,
                       std::vector<Fault> &faults);

} // namespace headrace::schedule
#endif // HEADRACE_LIB_SCHEDULE_ALLSIZES_H
