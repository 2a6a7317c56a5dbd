//===- Process.cpp - Children of hrcc, and how they end -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Terms:
//
//   crash   the child ended by a signal that a program brings on itself; a bug
//           of ours, for which there is a reproducer
//   end     any other signal: from the user, from the system, from a pipe that
//           nobody reads any more; there is nothing to reproduce
//
// Either way this process is there to remove what the child left.
//
//===----------------------------------------------------------------------===//
#include "Process.h"
#include "headrace/Support/OutputFile.h"
#include "headrace/Support/OutputStream.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace llvm;
using namespace headrace;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

//===----------------------------------------------------------------------===//
// Signals
//===----------------------------------------------------------------------===//

static volatile sig_atomic_t pendingSignal = 0;
static volatile pid_t childProcess = 0;

namespace {
/// A signal that is caught or ignored while there are children, and what was
/// done about it before, which is what children do about it.
struct Caught {
  int signal;
  struct sigaction before;
  bool isCaught;
};
} // namespace

static Caught caught[] = {{SIGINT, {}, false},
                          {SIGTERM, {}, false},
                          {SIGHUP, {}, false},
                          {SIGQUIT, {}, false},
                          {SIGPIPE, {}, false}};

static void onSignal(int signal) {
  pendingSignal = signal;
  if (childProcess > 0)
    kill(childProcess, signal);
}

void headrace::catchSignals() {
  // Where it is ignored, the status of a child is lost.
  std::signal(SIGCHLD, SIG_DFL);
  for (Caught &entry : caught) {
    struct sigaction action = {};
    sigaction(entry.signal, nullptr, &entry.before);
    // What is ignored (nohup) stays ignored.
    if (entry.isCaught || entry.before.sa_handler == SIG_IGN)
      continue;
    // Our own messages may find no reader; there is still work to do.
    action.sa_handler = entry.signal == SIGPIPE ? SIG_IGN : onSignal;
    entry.isCaught = sigaction(entry.signal, &action, nullptr) == 0;
  }
}

int headrace::getPendingSignal() { return pendingSignal; }

void headrace::dieOf(int signal) {
  // A core file of this process would tell nothing.
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  std::signal(signal, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  raise(signal);
  _exit(128 + signal);
}

void headrace::prepareDescriptors() {
  for (int fd : {0, 1, 2})
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
      // The lowest that is free, so this one; open the wrong way round.
      (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  std::signal(SIGXFSZ, SIG_IGN);
}

//===----------------------------------------------------------------------===//
// Children
//===----------------------------------------------------------------------===//

int headrace::runInChild(function_ref<int()> body, Messages &messages,
                         pid_t *process) {
  outs().flush();
  errs().flush();
  pid_t parent = getpid();
  pid_t child = fork();
  if (child < 0) {
    messages.error("cannot start a process: " + Twine(std::strerror(errno)));
    return 1 << 8;
  }
  if (child == 0) {
    // A child whose parent is gone has nobody to clean up after it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
      _exit(1);
    for (Caught &entry : caught)
      if (entry.isCaught)
        sigaction(entry.signal, &entry.before, nullptr);
    childProcess = 0;
    // The parent's handler caught here what the parent sent before that.
    if (pendingSignal)
      dieOf(pendingSignal);
    int status = body();
    outs().flush();
    errs().flush();
    // Nothing is gained from taking down a compiler's data in order.
    _exit(status);
  }
  childProcess = child;
  if (process)
    *process = child;
  if (pendingSignal) // it came before there was a child to tell
    kill(child, pendingSignal);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  childProcess = 0;
  return status;
}

/// Removes what a child left beside the outputs.
static void removeTemporaries(const CompileOptions &options, pid_t child) {
  removeAbandoned(options.output, child);
  removeAbandoned(options.depfile, child);
  for (const std::string &report : options.reports)
    removeAbandoned(report, child);
}

int headrace::compileInChild(Command &command, Messages &messages,
                             Watch *watch) {
  command.compile.onStep = [watch](StringRef step) {
    size_t size = std::min(step.size(), sizeof watch->step - 1);
    std::memcpy(watch->step, step.data(), size);
    watch->step[size] = 0;
  };
  pid_t child = 0;
  int status = runInChild(
      [&] {
        // The parent reports a crash; a core file would be the user's surprise.
        rlimit none{0, 0};
        setrlimit(RLIMIT_CORE, &none);
        return failed(compile(command.compile, messages)) ? 1 : 0;
      },
      messages, &child);
  if (!WIFEXITED(status))
    removeTemporaries(command.compile, child);
  return status;
}

//===----------------------------------------------------------------------===//
// Reproducers
//===----------------------------------------------------------------------===//

/// Compiles again with -save-temps in a folder of its own, and says how to
/// repeat what failed from the last file that came of it.
static void writeReproducer(const Command &command, Messages &messages) {
  SmallString<128> folder;
  if (std::error_code error = fs::createUniqueDirectory("hrcc-crash", folder)) {
    messages.note("this is a bug in hrcc; there is no reproducer, because no "
                  "folder can be made in '" +
                  getTemporaryRoot() + "' (TMPDIR): " + error.message());
    return;
  }
  Command again = command;
  again.compile.saveTemps = true;
  again.compile.verbose = again.compile.timePasses = false;
  again.compile.depfile.clear();
  again.compile.reports.clear();
  again.compile.profiles.clear();
  again.compile.alsoRead.clear();
  SmallString<128> output(folder);
  path::append(output, "crash." + getPhaseInfo(again.compile.emit).extension);
  again.compile.output = std::string(output);
  Watch watch{};
  Messages silent(nulls(), MessageFormat::Text, "hrcc");
  compileInChild(again, silent, &watch);

  // The furthest file there is, or the input itself.
  std::string last;
  for (const PhaseInfo &info : getPhases()) {
    SmallString<128> file(folder);
    path::append(file, "crash." +
                           Twine(static_cast<unsigned>(info.phase) + 1) + "." +
                           info.name + ".mlir");
    if (fs::exists(file))
      last = std::string(file);
  }
  std::string text;
  raw_string_ostream os(text);
  os << "hrcc";
  const CompileOptions &options = command.compile;
  for (const char *argument : command.arguments) {
    StringRef arg = argument;
    bool isInput = any_of(options.inputs, [&](auto &input) {
      StringRef given = input.label.empty() ? StringRef(input.path) : "-";
      return arg == given || arg == (input.entry + "=" + given).str();
    });
    if (isInput && !last.empty())
      continue;
    os << ' ';
    sys::printArg(os, arg, /*Quote=*/false);
  }
  if (!last.empty())
    os << ' ' << last;
  messages.note("this is a bug in hrcc. To reproduce it: " + text);
}

/// Whether a program brings this signal on itself.
static bool isCrash(int signal) {
  for (int own : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS})
    if (signal == own)
      return true;
  return false;
}

int headrace::compileAndReport(Command &command, Messages &messages) {
  void *memory = mmap(nullptr, sizeof(Watch), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    messages.error("cannot map memory: " + Twine(std::strerror(errno)));
    return 1;
  }
  Watch *watch = static_cast<Watch *>(memory);
  SmallVector<FileStamp> stamps = stampInputs(command.compile);
  catchSignals();
  int status = compileInChild(command, messages, watch);
  if (WIFEXITED(status)) {
    if (WEXITSTATUS(status) == 0 && command.verify && !command.compile.dryRun)
      return verify(command, messages, watch);
    return WEXITSTATUS(status);
  }
  int signal = WTERMSIG(status);
  if (getPendingSignal())
    return 1;
  for (const Caught &entry : caught)
    if (signal == entry.signal)
      dieOf(signal);
  std::string step = watch->step[0] ? watch->step : "set-up";
  if (!isCrash(signal)) {
    messages.error("killed in step " + step +
                   (signal == SIGKILL
                        ? ", by another program or for want of memory"
                        : std::string(" (") + strsignal(signal) + ")"));
    return 1;
  }
  // Who shortens a mapped file takes its pages away.
  if (signal == SIGBUS)
    for (const FileStamp &stamp : stamps)
      if (std::string change = stamp.describeChange(); !change.empty()) {
        messages.error(change);
        return 1;
      }
  messages.error("the compiler crashed (" + Twine(strsignal(signal)) +
                 ") in step " + step);
  writeReproducer(command, messages);
  return 1;
}
