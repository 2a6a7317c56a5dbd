//===- Process.h - Children of hrcc, and how they end ---------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TOOLS_HRCC_PROCESS_H
#define HEADRACE_TOOLS_HRCC_PROCESS_H

#include "Command.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include <sys/types.h>

namespace headrace {

/// What a child is doing, in memory that its parent sees after its death.
struct Watch {
  char step[256];
};

/// Opens what is missing of the descriptors 0, 1 and 2, so that no file gets
/// one of them: reading and writing them fails, as if they were closed. Lets a
/// limit on the size of files be an error and no signal.
void prepareDescriptors();

/// From here on, signals that end this process end its child first.
void catchSignals();

/// The signal that is to end this process once it has cleaned up; 0: none.
int getPendingSignal();

/// Ends this process as `signal` would have, so that the shell knows.
[[noreturn]] void dieOf(int signal);

/// Runs `body` in a child; returns as waitpid does, with a message if there is
/// no child. `process` is set to what the child's number was.
int runInChild(llvm::function_ref<int()> body, Messages &messages,
               pid_t *process = nullptr);

/// Runs the compilation in a child, and removes what a killed one left; returns
/// as waitpid does.
int compileInChild(Command &command, Messages &messages, Watch *watch);

/// Compiles, and says what became of a child that did not end by itself.
/// Returns the exit status.
int compileAndReport(Command &command, Messages &messages);

/// Compiles at -O0, too, and compares what both artifacts compute. Returns the
/// exit status.
int verify(const Command &command, Messages &messages, Watch *watch);

} // namespace headrace
#endif // HEADRACE_TOOLS_HRCC_PROCESS_H
