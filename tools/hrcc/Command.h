//===- Command.h - What a command line of hrcc asks for -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_TOOLS_HRCC_COMMAND_H
#define HEADRACE_TOOLS_HRCC_COMMAND_H

#include "headrace/Driver/Compiler.h"
#include "llvm/ADT/ArrayRef.h"
#include <string>

namespace headrace {

struct Command {
  enum class Action {
    Compile,
    Help,
    Version,
    DumpVersion,
    PrintTargets,
    PrintTarget,
    Probe
  };
  Action action = Action::Compile;
  CompileOptions compile;
  /// As it was given; response files are expanded.
  llvm::ArrayRef<const char *> arguments;
  bool verify = false;
  /// What to verify against, if not against the inputs.
  std::string reference;
  /// The description to print.
  std::string printTarget;
  MessageFormat format = MessageFormat::Text;
  bool color = false;
};

/// Reads the options that say how messages look, so that all others can be
/// complained about in this way. Returns what is wrong with them, or nothing.
std::string parseMessageOptions(llvm::ArrayRef<const char *> arguments,
                                Command &command);

/// Reads all of a command line; every complaint about it goes to `messages`.
void parseCommand(llvm::ArrayRef<const char *> arguments, Messages &messages,
                  Command &command);

void printHelp();

} // namespace headrace
#endif // HEADRACE_TOOLS_HRCC_COMMAND_H
