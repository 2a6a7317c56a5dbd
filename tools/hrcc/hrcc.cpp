//===- hrcc.cpp - The compiler driver -------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Used as gcc and clang are. A command line (CommandLine.cpp) becomes
// `CompileOptions`, and the compilation runs in a child process (Process.cpp), so
// that a compiler that dies, for whatever reason, still leaves no output file,
// one clear message, and a reproducer: what stood before the phase that died, and
// the command that compiles it.
//
//===----------------------------------------------------------------------===//
#include "Command.h"
#include "Process.h"
#include "headrace/Hardware/Lookup.h"
#include "headrace/Hardware/Probe.h"
#include "headrace/Hardware/System.h"
#include "headrace/Support/OutputFile.h"
#include "headrace/Support/OutputStream.h"
#include "headrace/Target/Target.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Allocator.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/StringSaver.h"
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;
using mlir::FailureOr;
using namespace headrace;

//===----------------------------------------------------------------------===//
// Commands that compile nothing
//===----------------------------------------------------------------------===//

static void printVersion() {
  outs() << "hrcc " << HEADRACE_VERSION << "\nLLVM " << LLVM_VERSION_STRING
         << '\n';
}

/// Every description with its summary, and which one `native` is.
static int printTargets() {
  std::string error;
  outs() << "shipped:\n";
  for (const std::string &name : hw::System::getShippedNames()) {
    auto system = hw::System::load(name, error);
    outs() << "  " << left_justify(name, 24)
           << (succeeded(system) ? system->getSummary() : StringRef()) << '\n';
  }
  std::vector<std::string> own = hw::System::getUserNames();
  if (!own.empty())
    outs() << "in your target folder:\n";
  for (const std::string &name : own)
    outs() << "  " << name << '\n';
  if (auto native = hw::System::native(error); succeeded(native))
    outs() << "native is " << hw::getTargetName(native->getName()) << '\n';
  return 0;
}

static int printTarget(StringRef target, Messages &messages) {
  std::string error;
  auto system = hw::System::load(target, error);
  if (failed(system)) {
    messages.error(StringRef(error).trim());
    return 1;
  }
  outs() << system->getText();
  // Beside the text, which is a description still.
  if (std::string text = describeUnemitted(*system); !text.empty())
    messages.note(text);
  return 0;
}

/// Measures this machine; the description goes to `output`, or if that is
/// empty to where `native` is looked for.
static int probe(StringRef output, bool verbose, Messages &messages) {
  hw::ProbeOptions options;
  options.log = verbose ? &errs() : nullptr;
  options.note = [&](StringRef text) { messages.note(text); };
  std::string error;
  if (output == "-") {
    FailureOr<std::string> text = hw::probe(options, error);
    if (succeeded(text)) {
      outs() << *text;
      return 0;
    }
  } else {
    std::string path = output.empty() ? hw::System::getProbedPath()
                                      : output.str();
    if (succeeded(hw::probeToFile(path, options, error))) {
      messages.note("written to '" + path + "'");
      return 0;
    }
  }
  messages.error(StringRef(error).trim());
  return 1;
}

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

/// Gives an input that is standard input a path. What is read from a pipe has to
/// be kept: it is read by one process after the other.
static bool openStandardInput(CompileOptions::Input &input,
                              Messages &messages) {
  struct stat status;
  if (fstat(0, &status) == 0 && S_ISREG(status.st_mode)) {
    input.path = "/proc/self/fd/0";
    return true;
  }
  std::string error;
  int fd = openUnnamedFile(input.path, error);
  if (fd < 0) {
    messages.error(error);
    return false;
  }
  char block[1 << 16];
  ssize_t count;
  while ((count = read(0, block, sizeof block)) != 0) {
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0) {
      messages.error("cannot read standard input: " +
                     Twine(std::strerror(errno)));
      return false;
    }
    for (ssize_t at = 0, written; at < count; at += written) {
      written = write(fd, block + at, static_cast<size_t>(count - at));
      if (written < 0 && errno == EINTR)
        written = 0;
      if (written < 0) {
        messages.error("cannot keep standard input in '" + getTemporaryRoot() +
                       "' (TMPDIR names another folder): " +
                       std::strerror(errno));
        return false;
      }
    }
  }
  return true;
}

static int runCommand(Command &command, Messages &messages) {
  using Action = Command::Action;
  switch (command.action) {
  case Action::Help:
    printHelp();
    return 0;
  case Action::Version:
    printVersion();
    return 0;
  case Action::DumpVersion:
    outs() << HEADRACE_VERSION << '\n';
    return 0;
  case Action::PrintTargets:
    return printTargets();
  case Action::PrintTarget:
    return printTarget(command.printTarget, messages);
  case Action::Probe:
    return probe(command.compile.output, command.compile.verbose, messages);
  case Action::Compile:
    break;
  }
  for (CompileOptions::Input &input : command.compile.inputs)
    if (!input.label.empty() && !command.compile.checkOnly &&
        !openStandardInput(input, messages))
      return 1;
  return compileAndReport(command, messages);
}

/// Prints what is wrong with the command and its files, and fails.
static int complain(Command &command, Messages &messages) {
  if (command.action != Command::Action::Compile)
    return 1;
  // The rest, too: the inputs, the target, the folders to write to.
  llvm::erase_if(command.compile.inputs,
                 [](auto &input) { return !input.label.empty(); });
  command.compile.checkOnly = true;
  command.verify = false;
  compileAndReport(command, messages);
  return 1;
}

int main(int argc, char **argv) {
  prepareDescriptors();
  BumpPtrAllocator allocator;
  StringSaver saver(allocator);
  SmallVector<const char *> arguments(argv, argv + argc);
  Command command;
  for (StringRef argument : ArrayRef(arguments).drop_front())
    if (argument.consume_front("@"))
      command.compile.alsoRead.push_back(argument.str());
  std::string wrong;
  cl::ExpansionContext expansion(allocator, cl::TokenizeGNUCommandLine);
  if (Error error = expansion.expandResponseFiles(arguments))
    wrong = toString(std::move(error));
  ArrayRef<const char *> rest = ArrayRef(arguments).drop_front();
  std::string unreadable = parseMessageOptions(rest, command);
  Messages messages(errs(), command.format, "hrcc", command.color);
  for (StringRef text : {StringRef(wrong), StringRef(unreadable)})
    for (StringRef line : split(text, '\n'))
      if (!line.empty())
        messages.error(line);
  parseCommand(rest, messages, command);
  int status = messages.getErrorCount() ? complain(command, messages)
                                        : runCommand(command, messages);
  std::string error;
  if (failed(finishStandardOutput(error))) {
    status = 1;
    if (!error.empty())
      messages.error(error);
  }
  // Whoever does not read the messages misses nothing.
  errs().clear_error();
  if (int signal = getPendingSignal())
    dieOf(signal);
  return status;
}
