//===- LeastBytes.h - Bytes that no schedule can save ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two lower bounds, for comparison with what the simulator counts:
//
//   of a stage   every index that its tiles read or write, once per execution:
//                what has to pass between the stage and whatever memory holds
//                its operands;
//   of a call    every index of constants, inputs, outputs and states that is
//                touched, once (a state that is read and written, twice): what
//                has to pass through the memory where data is at home, however
//                large the caches are. What stages hand to each other is not
//                in it.
//
// Where positions are data, as many indices as are read or written count, taken
// to be all different.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SCHEDULE_LEASTBYTES_H
#define HEADRACE_SCHEDULE_LEASTBYTES_H

#include "headrace/Schedule/Program.h"

namespace headrace::schedule {

struct LeastBytes {
  struct Stage {
    /// Over all executions of the stage in a call.
    int64_t operands = 0;
    /// Its part of `call`: the stage that touches an index first has it.
    int64_t home = 0;
  };
  /// By number in `Program::stages`.
  std::vector<Stage> stages;
  int64_t constants = 0, inputs = 0, outputs = 0, states = 0;

  int64_t call() const { return constants + inputs + outputs + states; }
};

/// `identity` tells which slots of buffers are the same bytes (a constant used
/// in two ways): equal numbers, equal bytes.
LeastBytes
findLeastBytes(const FlatProgram &flat,
               llvm::function_ref<int64_t(int buffer, int64_t slot)> identity);

} // namespace headrace::schedule
#endif // HEADRACE_SCHEDULE_LEASTBYTES_H
