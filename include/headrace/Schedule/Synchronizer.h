//===- Synchronizer.h - Waits where data crosses workers ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Given a program of one family without waits, whose table is in the order that
// the commands mean when executed one after the other, puts waits where a
// worker needs what another one did before: reads what it wrote, writes what it
// read or wrote. Where sizes are symbolic, accesses are taken to meet unless
// their structure excludes it for all sizes.
//
// The waits hold for all timelines of the family alike, so they may wait for
// more than one of them needs; they never look ahead in the table, so there is
// no deadlock. No wait is there that the others make superfluous (on families
// so small that it is quick to find out).
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SCHEDULE_SYNCHRONIZER_H
#define HEADRACE_SCHEDULE_SYNCHRONIZER_H

#include "headrace/Schedule/Program.h"

namespace headrace::schedule {

/// Adds the waits to the program's only family; on failure, says why.
mlir::LogicalResult insertWaits(Program &program, std::string &error);

} // namespace headrace::schedule
#endif // HEADRACE_SCHEDULE_SYNCHRONIZER_H
