//===- hrcc.cpp - The compiler driver -------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Used as gcc and clang are. This file turns a command line (Options.td) into
// `CompileOptions` and runs the compilation in a child process, so that a
// compiler that dies, for whatever reason, still leaves no output file, one
// clear message, and a reproducer: what stood before the phase that died, and
// the command that compiles it.
//
//===----------------------------------------------------------------------===//
#include "headrace/Driver/Compiler.h"
#include "headrace/Hardware/Probe.h"
#include "headrace/Hardware/System.h"
#include "headrace/Report/Report.h"
#include "headrace/Runtime/Artifact.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Option/Arg.h"
#include "llvm/Option/ArgList.h"
#include "llvm/Option/OptTable.h"
#include "llvm/Support/Allocator.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/StringSaver.h"
#include <csignal>
#include <cstring>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace llvm;
using namespace llvm::opt;
using mlir::FailureOr;
using namespace headrace;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

//===----------------------------------------------------------------------===//
// The command line
//===----------------------------------------------------------------------===//

namespace {
enum ID {
  OPT_INVALID = 0,
#define OPTION(...) LLVM_MAKE_OPT_ID(__VA_ARGS__),
#include "Options.inc"
#undef OPTION
};

#define OPTTABLE_STR_TABLE_CODE
#include "Options.inc"
#undef OPTTABLE_STR_TABLE_CODE

#define OPTTABLE_PREFIXES_TABLE_CODE
#include "Options.inc"
#undef OPTTABLE_PREFIXES_TABLE_CODE

constexpr OptTable::Info infoTable[] = {
#define OPTION(...) LLVM_CONSTRUCT_OPT_INFO(__VA_ARGS__),
#include "Options.inc"
#undef OPTION
};

struct Options : GenericOptTable {
  Options()
      : GenericOptTable(OptionStrTable, OptionPrefixesTable, infoTable) {}
};

/// What the command line asks for, besides a compilation.
struct Command {
  CompileOptions compile;
  bool verify = false;
  /// What to verify against, if not against the inputs.
  std::string reference;
  MessageFormat format = MessageFormat::Text;
};
} // namespace

static void printHelp(const Options &table) {
  table.printHelp(outs(),
                  "hrcc [options] <file>\n"
                  "       hrcc [options] <entry>=<file> ...",
                  "compiles exported PyTorch programs (.pt2) ahead of time",
                  /*ShowHidden=*/false);
  outs() << "PHASES, in order:\n";
  for (const PhaseInfo &info : getPhases())
    outs() << "  " << left_justify(info.name, 10) << info.what << '\n';
  outs() << "\nFiles are .pt2 archives of torch.export.save, or .mlir files "
            "that --emit or\n-save-temps wrote after any phase. @<file> "
            "stands for the arguments in <file>.\n";
}

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
    outs() << "native is " << native->getName() << '\n';
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
  return 0;
}

/// Measures this machine; the description goes to `output`, or if that is
/// empty to where `native` is looked for.
static int probe(StringRef output, bool verbose, Messages &messages) {
  hw::ProbeOptions options;
  options.log = verbose ? &errs() : nullptr;
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
      outs() << "written to " << path << '\n';
      return 0;
    }
  }
  messages.error(StringRef(error).trim());
  return 1;
}

/// A name made of what C allows in identifiers.
static std::string toIdentifier(StringRef text) {
  std::string name;
  for (char c : text)
    name += isAlnum(c) || c == '_' ? c : '_';
  if (name.empty() || isDigit(name.front()))
    name.insert(0, "m");
  return name;
}

static bool isIdentifier(StringRef text) {
  return !text.empty() && toIdentifier(text) == text;
}

/// Splits `name=file`; a file whose own name has a '=' exists as a whole.
static CompileOptions::Input parseInput(StringRef text) {
  auto [name, file] = text.split('=');
  if (!file.empty() && isIdentifier(name) && !fs::exists(text))
    return {name.str(), file.str()};
  return {"main", text.str()};
}

/// Reports every unknown option and every bad value, then fails.
static bool parseCommand(const Options &table, const InputArgList &args,
                         Messages &messages, Command &command) {
  bool good = true;
  auto error = [&](const Twine &text) {
    messages.error(text);
    good = false;
  };
  for (const Arg *arg : args.filtered(OPT_UNKNOWN)) {
    std::string nearest;
    std::string spelled = arg->getAsString(args);
    if (table.findNearest(spelled, nearest) <= 2)
      error("unknown option '" + spelled + "'; did you mean '" + nearest +
            "'?");
    else
      error("unknown option '" + spelled + "' (hrcc --help lists them)");
  }

  CompileOptions &options = command.compile;
  for (const Arg *arg : args.filtered(OPT_INPUT))
    options.inputs.push_back(parseInput(arg->getValue()));
  if (options.inputs.empty() && good)
    error("no input files");

  // The last of -c, -S, -emit-llvm and --emit= wins, as in clang.
  if (const Arg *arg =
          args.getLastArg(OPT_c, OPT_S, OPT_emit_llvm, OPT_emit)) {
    switch (arg->getOption().getID()) {
    case OPT_c:
      options.emit = Phase::Obj;
      break;
    case OPT_S:
      options.emit = Phase::Asm;
      break;
    case OPT_emit_llvm:
      options.emit = Phase::LLVM;
      break;
    default:
      if (std::optional<Phase> phase = parsePhase(arg->getValue()))
        options.emit = *phase;
      else
        error("unknown phase '" + Twine(arg->getValue()) + "' in '" +
              arg->getAsString(args) + "'; the phases are " +
              join(map_range(getPhases(),
                             [](const PhaseInfo &info) { return info.name; }),
                   ", "));
    }
  }

  if (const Arg *arg = args.getLastArg(OPT_O)) {
    StringRef level = arg->getValue();
    if (level.getAsInteger(10, options.optLevel) || options.optLevel > 3)
      error("unknown optimization level '-O" + level +
            "'; the levels are 0, 1, 2 and 3");
  }
  if (const Arg *arg = args.getLastArg(OPT_j))
    if (StringRef(arg->getValue()).getAsInteger(10, options.threads) ||
        options.threads == 0)
      error("-j wants a number of threads, not '" + Twine(arg->getValue()) +
            "'");
  if (const Arg *arg = args.getLastArg(OPT_weights)) {
    StringRef value = arg->getValue();
    options.weights = value.str();
    if (value != "external" && value != "embed")
      error("--weights= wants embed or external, not '" + value + "'");
  }
  options.producer = "hrcc " HEADRACE_VERSION;
  options.target = args.getLastArgValue(OPT_target, "native").str();
  options.debugInfo = args.hasArg(OPT_g);
  options.saveTemps = args.hasArg(OPT_save_temps);
  options.timePasses = args.hasArg(OPT_time_passes);
  options.verbose = args.hasArg(OPT_v);
  options.remarks = args.hasArg(OPT_Rpass);
  options.dryRun = args.hasArg(OPT_hash_hash_hash);
  command.verify = args.hasArg(OPT_verify, OPT_verify_EQ);
  command.reference = args.getLastArgValue(OPT_verify_EQ).str();
  if (!command.reference.empty() && options.inputs.size() > 1)
    error("--verify=<file> goes with one input");
  if (command.verify && options.emit != Phase::So)
    error("--verify runs the artifact: it goes with no --emit= before so");
  if (const Arg *arg = args.getLastArg(OPT_crash_phase))
    options.crashPhase = parsePhase(arg->getValue());

  for (const Arg *arg : args.filtered(OPT_report)) {
    StringRef file = arg->getValue();
    if (!report::getFormat(file))
      error("--report= wants a file named *.html, *.json or *.trace.json, not '" +
            file + "'");
    if (is_contained(options.reports, file))
      error("'" + file + "' is named by two --report= options");
    options.reports.push_back(file.str());
  }
  if (!options.reports.empty() && options.emit < Phase::Schedule)
    error("--report= is about the schedule: it goes with no --emit= before it");
  for (const Arg *arg : args.filtered(OPT_profile_use)) {
    options.profiles.push_back(arg->getValue());
    if (options.reports.empty())
      error("'" + arg->getAsString(args) + "' goes with --report= only");
  }
  for (const Arg *arg : args.filtered(OPT_size)) {
    auto [symbol, text] = StringRef(arg->getValue()).split('=');
    int64_t size = 0;
    if (symbol.empty() || text.getAsInteger(10, size) || size < 0)
      error("--size= wants <symbol>=<n>, not '" + Twine(arg->getValue()) + "'");
    options.reportSizes[symbol] = size;
    if (options.reports.empty())
      error("'" + arg->getAsString(args) + "' goes with --report= only");
  }

  // Names: the output from the input, the model from the output.
  const PhaseInfo &emit = getPhaseInfo(options.emit);
  options.name = args.getLastArgValue(OPT_name).str();
  if (!options.name.empty() && !isIdentifier(options.name))
    error("--name= wants a C identifier, not '" + options.name + "'");
  options.output = args.getLastArgValue(OPT_o).str();
  bool reportOnly =
      !options.reports.empty() && !command.verify && !options.saveTemps &&
      !args.hasArg(OPT_o, OPT_c, OPT_S, OPT_emit_llvm, OPT_emit, OPT_MD);
  if (options.output.empty() && !options.inputs.empty() && !reportOnly) {
    if (emit.isMLIR()) {
      options.output = "-";
    } else if (options.inputs.size() > 1 && options.name.empty()) {
      error("several entries make one artifact: name it with -o");
    } else {
      StringRef stem = options.name.empty()
                           ? path::stem(options.inputs.front().path)
                           : StringRef(options.name);
      options.output = (stem + "." + emit.extension).str();
    }
  }
  if (options.name.empty() && !options.inputs.empty())
    options.name = toIdentifier(
        path::stem(options.output == "-" || options.output.empty()
                       ? options.inputs.front().path
                       : options.output));
  if (options.output == "-" && options.emit >= Phase::Obj)
    error("an artifact cannot go to standard output: name a file with -o");
  if (is_contained(options.reports, options.output))
    error("'" + options.output + "' is named by -o and by --report=");
  if (options.output != "-" && fs::is_directory(options.output))
    error("cannot write '" + options.output + "': it is a folder");
  if (args.hasArg(OPT_MD)) {
    if (options.output == "-") {
      error("-MD needs an output file: name it with -o");
    } else {
      SmallString<128> depfile(options.output);
      path::replace_extension(depfile, "d");
      options.depfile = std::string(depfile);
    }
  }
  return good;
}

//===----------------------------------------------------------------------===//
// The child process
//===----------------------------------------------------------------------===//

namespace {
/// What the child is doing, in memory that the parent sees after its death.
struct Watch {
  char step[256];
};
} // namespace

static pid_t childProcess = 0;

static void forwardSignal(int signal) {
  if (childProcess > 0)
    kill(childProcess, signal);
}

static int compileHere(Command &command, Messages &messages, Watch *watch) {
  command.compile.onStep = [watch](StringRef step) {
    size_t size = std::min(step.size(), sizeof watch->step - 1);
    std::memcpy(watch->step, step.data(), size);
    watch->step[size] = 0;
  };
  return failed(compile(command.compile, messages)) ? 1 : 0;
}

/// Runs the compilation in a child; returns as waitpid does.
static int compileInChild(Command &command, Messages &messages, Watch *watch) {
  outs().flush();
  errs().flush();
  pid_t parent = getpid();
  childProcess = fork();
  if (childProcess < 0) {
    messages.error("cannot start a process: " + Twine(std::strerror(errno)));
    return 1 << 8;
  }
  if (childProcess == 0) {
    // A child whose parent is gone has nobody to clean up after it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
      _exit(1);
    // The parent reports a crash; a core file would be the user's surprise.
    rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    int status = compileHere(command, messages, watch);
    outs().flush();
    errs().flush();
    // Nothing is gained from taking down a context of this size in order.
    _exit(status);
  }
  for (int signal : {SIGINT, SIGTERM, SIGHUP})
    std::signal(signal, forwardSignal);
  int status = 0;
  while (waitpid(childProcess, &status, 0) < 0 && errno == EINTR)
    ;
  for (int signal : {SIGINT, SIGTERM, SIGHUP})
    std::signal(signal, SIG_DFL);
  return status;
}

/// Compiles again with -save-temps in a folder of its own, and says how to
/// repeat what failed from the last file that came of it.
static void writeReproducer(const Command &command, ArrayRef<const char *> argv,
                            Messages &messages) {
  SmallString<128> folder;
  if (fs::createUniqueDirectory("hrcc-crash", folder))
    return;
  Command again = command;
  again.compile.saveTemps = true;
  again.compile.verbose = again.compile.timePasses = false;
  again.compile.depfile.clear();
  again.compile.reports.clear();
  again.compile.profiles.clear();
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
  for (const char *argument : argv) {
    StringRef arg = argument;
    bool isInput = any_of(options.inputs, [&](auto &input) {
      return arg == input.path || arg == input.entry + "=" + input.path;
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

//===----------------------------------------------------------------------===//
// --verify
//===----------------------------------------------------------------------===//

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
/// the file `output` if there is one.
static int run(ArrayRef<std::string> arguments, Messages &messages,
               StringRef output = "") {
  SmallString<128> program(
      path::parent_path(fs::getMainExecutable(nullptr, nullptr)));
  path::append(program, "headrace-run");
  SmallVector<StringRef> argv = {program};
  argv.append(arguments.begin(), arguments.end());
  std::string why;
  std::optional<StringRef> redirects[] = {std::nullopt, output, std::nullopt};
  int status = sys::ExecuteAndWait(
      program, argv, std::nullopt,
      output.empty() ? ArrayRef<std::optional<StringRef>>() : redirects, 0, 0,
      &why);
  if (status < 0)
    messages.error("cannot run " + program + ": " + why);
  return status;
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
  int status = 0;
  for (const std::string &entry :
       getEntryNames(command.compile.output, messages))
    if (!verifyEntry(entry, hasDouble))
      status = 1;
  return status;
}

bool Verification::verifyEntry(const std::string &entry, bool hasDouble) {
  if (::run({file("oracle.so"), "--entry", entry, "--outputs",
             file("oracle.npz")},
            messages) != 0) {
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
  if (::run(arguments, messages) == 0)
    return true;
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

/// Compiles at -O0 and compares what both artifacts compute.
static int verify(const Command &command, Messages &messages, Watch *watch) {
  SmallString<128> folder;
  if (std::error_code error = fs::createUniqueDirectory("hrcc-verify", folder)) {
    messages.error("cannot make a temporary folder: " + error.message());
    return 1;
  }
  llvm::scope_exit cleanUp([&] { fs::remove_directories(folder); });
  return Verification(command, folder, messages, watch).run();
}

static int compileAndReport(Command &command, ArrayRef<const char *> argv,
                            Messages &messages) {
  void *memory = mmap(nullptr, sizeof(Watch), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    messages.error("cannot map memory: " + Twine(std::strerror(errno)));
    return 1;
  }
  Watch *watch = static_cast<Watch *>(memory);
  int status = compileInChild(command, messages, watch);
  if (WIFEXITED(status)) {
    if (WEXITSTATUS(status) == 0 && command.verify && !command.compile.dryRun)
      return verify(command, messages, watch);
    return WEXITSTATUS(status);
  }

  fs::remove(getTemporaryName(command.compile.output, childProcess));
  for (const std::string &report : command.compile.reports)
    fs::remove(getTemporaryName(report, childProcess));
  int signal = WTERMSIG(status);
  if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP) {
    // Die of what was meant for us, so that the shell knows.
    std::raise(signal);
    return 1;
  }
  StringRef step = watch->step[0] ? watch->step : "set-up";
  if (signal == SIGKILL) {
    messages.error("killed in step " + step +
                   ", by another program or for want of memory");
    return 1;
  }
  messages.error("the compiler crashed (" + Twine(strsignal(signal)) +
                 ") in step " + step);
  writeReproducer(command, argv, messages);
  return 1;
}

int main(int argc, char **argv) {
  BumpPtrAllocator allocator;
  StringSaver saver(allocator);
  SmallVector<const char *> arguments(argv, argv + argc);
  Messages early(errs(), MessageFormat::Text, "hrcc");
  cl::ExpansionContext expansion(allocator, cl::TokenizeGNUCommandLine);
  if (Error error = expansion.expandResponseFiles(arguments)) {
    early.error(toString(std::move(error)));
    return 1;
  }

  Options table;
  unsigned missingIndex = 0, missingCount = 0;
  ArrayRef<const char *> rest = ArrayRef(arguments).drop_front();
  InputArgList args = table.ParseArgs(rest, missingIndex, missingCount);
  Command command;
  StringRef format = args.getLastArgValue(OPT_fdiagnostics_format, "text");
  if (format == "json")
    command.format = MessageFormat::JSON;
  Messages messages(errs(), command.format, "hrcc");
  if (format != "json" && format != "text") {
    messages.error("-fdiagnostics-format= wants text or json, not '" + format +
                   "'");
    return 1;
  }
  if (missingCount) {
    messages.error("option '" + Twine(args.getArgString(missingIndex)) +
                   "' needs a value");
    return 1;
  }
  if (args.hasArg(OPT_help)) {
    printHelp(table);
    return 0;
  }
  if (args.hasArg(OPT_version)) {
    printVersion();
    return 0;
  }
  if (args.hasArg(OPT_print_targets))
    return printTargets();
  if (const Arg *arg = args.getLastArg(OPT_print_target))
    return printTarget(arg->getValue(), messages);
  if (args.hasArg(OPT_probe))
    return probe(args.getLastArgValue(OPT_o), args.hasArg(OPT_v), messages);
  if (!parseCommand(table, args, messages, command))
    return 1;
  return compileAndReport(command, rest, messages);
}
