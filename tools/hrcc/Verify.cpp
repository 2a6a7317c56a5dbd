//===- Verify.cpp - hrcc --verify -----------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Holds an artifact against the same program compiled as plain loops, and that
// in f64, by running all of them.
//
//===----------------------------------------------------------------------===//
#include "Process.h"
#include "headrace/Runtime/Artifact.h"
#include "headrace/Support/OutputFile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace llvm;
using namespace headrace;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

/// Names of the entries of an artifact.
static std::vector<std::string> getEntryNames(StringRef artifact,
                                              Messages &messages) {
  char message[512] = "";
  char *signature = hr_artifact_check(artifact.str().c_str(), 0, nullptr,
                                      nullptr, message, sizeof message);
  if (!signature) {
    messages.error(message);
    return {};
  }
  std::vector<std::string> names;
  if (auto json = json::parse(signature)) {
    if (json::Object *object = json->getAsObject())
      if (json::Array *entries = object->getArray("entries"))
        for (json::Value &entry : *entries)
          if (json::Object *fields = entry.getAsObject())
            names.push_back(fields->getString("name").value_or("").str());
  } else {
    consumeError(json.takeError());
  }
  std::free(signature);
  return names;
}

/// Runs headrace-run, which lies beside this program; what it prints goes to
/// the file `output` if there is one. Returns its exit status, or -1.
static int run(ArrayRef<std::string> arguments, Messages &messages,
               StringRef output = "") {
  SmallString<128> program(
      path::parent_path(fs::getMainExecutable(nullptr, nullptr)));
  path::append(program, "headrace-run");
  SmallVector<const char *> argv = {program.c_str()};
  for (const std::string &argument : arguments)
    argv.push_back(argument.c_str());
  argv.push_back(nullptr);
  std::string to = output.str();
  int status = runInChild(
      [&] {
        int fd = to.empty() ? 1 : open(to.c_str(), O_WRONLY | O_CREAT, 0600);
        if (fd >= 0 && (fd == 1 || dup2(fd, 1) == 1))
          execv(program.c_str(), const_cast<char *const *>(argv.data()));
        messages.error("cannot run '" + program +
                       "': " + std::strerror(errno));
        return 127;
      },
      messages);
  if (WIFEXITED(status))
    return WEXITSTATUS(status);
  if (!getPendingSignal())
    messages.error("--verify: '" + join(ArrayRef(argv).drop_back(), " ") +
                   "' was ended by a signal (" + strsignal(WTERMSIG(status)) +
                   ")");
  return -1;
}

namespace {
/// Compares an artifact with what the program is by its meaning.
class Verification {
public:
  Verification(const Command &command, StringRef folder, Messages &messages,
               Watch *watch)
      : command(command), folder(folder.str()), messages(messages),
        watch(watch) {}
  int run();

private:
  std::string file(StringRef name) const { return folder + "/" + name.str(); }
  /// Compiles the program or what it is held against, in another way.
  bool compile(StringRef name, bool isReference, Messages &to,
               llvm::function_ref<void(CompileOptions &)> change);
  bool verifyEntry(const std::string &entry, bool hasDouble);
  /// Says which stage is the first whose result differs from that of plain
  /// loops.
  void locate(const std::string &entry);

  const Command &command;
  std::string folder;
  Messages &messages;
  Watch *watch;
};
} // namespace

bool Verification::compile(
    StringRef name, bool isReference, Messages &to,
    llvm::function_ref<void(CompileOptions &)> change) {
  Command other = command;
  CompileOptions &options = other.compile;
  options.saveTemps = options.verbose = options.timePasses = false;
  options.depfile.clear();
  options.reports.clear();
  options.profiles.clear();
  options.alsoRead.clear();
  options.output = file(name);
  if (isReference && !command.reference.empty())
    options.inputs = {command.compile.inputs.front()},
    options.inputs.front().path = command.reference;
  change(options);
  return compileInChild(other, to, watch) == 0;
}

int Verification::run() {
  Messages silent(nulls(), MessageFormat::Text, "hrcc");
  if (!compile("oracle.so", true, messages,
               [](CompileOptions &options) { options.optLevel = 0; })) {
    if (!getPendingSignal())
      messages.error("--verify: the compilation at -O0 failed");
    return 1;
  }
  bool hasDouble = compile("double.so", true, silent, [](auto &options) {
    options.optLevel = 0;
    options.inDouble = true;
  });
  if (!hasDouble)
    messages.note("--verify: this program has no form in f64; differences from "
                  "-O0 are held against a tolerance");
  std::vector<std::string> entries =
      getEntryNames(command.compile.output, messages);
  int status = entries.empty() ? 1 : 0;
  for (const std::string &entry : entries)
    if (getPendingSignal() || !verifyEntry(entry, hasDouble))
      status = 1;
  return status;
}

bool Verification::verifyEntry(const std::string &entry, bool hasDouble) {
  if (::run({file("oracle.so"), "--entry", entry, "--outputs",
             file("oracle.npz")},
            messages) != 0) {
    if (!getPendingSignal())
      messages.error("--verify: entry '" + entry + "' cannot be run at -O0");
    return false;
  }
  SmallVector<std::string> arguments = {command.compile.output, "--entry",
                                        entry, "--compare",
                                        file("oracle.npz")};
  if (hasDouble && ::run({file("double.so"), "--entry", entry, "--outputs",
                          file("double.npz")},
                         messages) == 0)
    arguments.append({"--oracle", file("double.npz")});
  int differs = ::run(arguments, messages);
  if (differs != 1) // or it was ended
    return differs == 0;
  messages.error("--verify: entry '" + entry + "' of '" +
                 command.compile.output +
                 "' differs from the same program at -O0");
  locate(entry);
  return false;
}

void Verification::locate(const std::string &entry) {
  Messages silent(nulls(), MessageFormat::Text, "hrcc");
  bool made = compile("stages.so", false, silent, [](CompileOptions &options) {
    options.exposeStages = true;
  });
  made = made && compile("plain.so", true, silent, [](CompileOptions &options) {
           options.exposeStages = options.plainStages = true;
         });
  // The same names of results, or the comparison is not one of stages.
  if (!made ||
      ::run({file("plain.so"), "--entry", entry, "--outputs",
             file("plain.npz")},
            messages) != 0) {
    messages.note("the stages cannot be compared one by one");
    return;
  }
  ::run({file("stages.so"), "--entry", entry, "--compare", file("plain.npz")},
        messages, file("stages.txt"));
  auto text = MemoryBuffer::getFile(file("stages.txt"));
  SmallVector<StringRef> lines;
  if (text)
    (*text)->getBuffer().split(lines, '\n', -1, /*KeepEmpty=*/false);
  // Stages in their order come first, though they are the last of the lines.
  auto isStage = [](StringRef line) {
    return line.starts_with("stage ") || line.starts_with("repeat ");
  };
  std::stable_partition(lines.begin(), lines.end(), isStage);
  for (StringRef line : lines)
    if (line.ends_with(": differs")) {
      messages.note("the first that differs is " +
                    line.drop_back(StringRef(": differs").size()));
      return;
    }
  messages.note("every stage computes what plain loops do: the program differs "
                "before phase '" +
                getPhaseInfo(Phase::Tiled).name + "'");
}

int headrace::verify(const Command &command, Messages &messages,
                     Watch *watch) {
  TemporaryFolder folder;
  if (!folder.isValid()) {
    messages.error("--verify: " + folder.getError());
    return 1;
  }
  return Verification(command, folder.getPath(), messages, watch).run();
}
