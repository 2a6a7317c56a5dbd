//===- CommandLine.cpp - From arguments to a command ----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads the options of Options.td. A complaint does not end the reading: all that
// is wrong with a command line is said at once.
//
//===----------------------------------------------------------------------===//
#include "Command.h"
#include "headrace/Report/Report.h"
#include "headrace/Support/OutputFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Option/Arg.h"
#include "llvm/Option/ArgList.h"
#include "llvm/Option/OptTable.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"

using namespace llvm;
using namespace llvm::opt;
using namespace headrace;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

//===----------------------------------------------------------------------===//
// The table
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

} // namespace

void headrace::printHelp() {
  Options().printHelp(outs(),
                      "hrcc [options] <file>\n"
                      "       hrcc [options] <entry>=<file> ...",
                      "compiles exported PyTorch programs (.pt2) ahead of time",
                      /*ShowHidden=*/false);
  outs() << "PHASES, in order:\n";
  for (const PhaseInfo &info : getPhases())
    outs() << "  " << left_justify(info.name, 10) << info.what << '\n';
  outs() << "\nFiles are .pt2 archives of torch.export.save, or .mlir files "
            "that --emit or\n-save-temps wrote after any phase; - is standard "
            "input. @<file> stands for the\narguments in <file>.\n\n"
            "Standard output gets what was asked for and has no file: the text "
            "of --emit=\nwithout -o, and of -o -; what --help, --version and "
            "--print-... print; what\n--verify compares. Messages, and what -v, "
            "-### and -time-passes say, go to\nstandard error.\n";
}

//===----------------------------------------------------------------------===//
// Parts of a command
//===----------------------------------------------------------------------===//

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

namespace {
class Parser {
public:
  Parser(const Options &table, const InputArgList &args, Messages &messages,
         Command &command)
      : table(table), args(args), messages(messages), command(command),
        options(command.compile) {}
  void parse();

private:
  void error(const Twine &text) { messages.error(text); }
  void parseUnknown();
  bool parseAction();
  CompileOptions::Input parseInput(StringRef text);
  void parseEmit();
  void parseLevel();
  void parseReports();
  void parseNames();
  void parseDimNames();
  void parseDepfile();
  void parseVerify();

  const Options &table;
  const InputArgList &args;
  Messages &messages;
  Command &command;
  CompileOptions &options;
};
} // namespace

/// What `spelled` may have been meant to be; empty if nothing is near.
static std::string findMeant(const Options &table, const std::string &spelled) {
  // As many letters, but one dash too few or too many.
  std::string other =
      spelled.compare(0, 2, "--") == 0 ? spelled.substr(1) : "-" + spelled;
  unsigned missingIndex = 0, missingCount = 0;
  InputArgList parsed =
      table.ParseArgs({other.c_str(), "x"}, missingIndex, missingCount);
  if (!parsed.hasArg(OPT_UNKNOWN) && other != "-" && other != "--")
    return other;
  // A third of the letters may be wrong, of short ones one.
  std::string nearest;
  size_t letters = StringRef(spelled).split('=').first.size();
  unsigned distance = table.findNearest(spelled, nearest, Visibility(),
                                        /*MinimumLength=*/2);
  return distance * 3 <= std::max<size_t>(letters, 5) ? nearest : "";
}

void Parser::parseUnknown() {
  for (const Arg *arg : args.filtered(OPT_UNKNOWN)) {
    std::string spelled = arg->getAsString(args);
    std::string meant = findMeant(table, spelled);
    if (meant.empty())
      error("unknown option '" + spelled + "' (hrcc --help lists them)");
    else
      error("unknown option '" + spelled + "'; did you mean '" + meant + "'?");
  }
}

/// Whether the command is one that compiles nothing.
bool Parser::parseAction() {
  using Action = Command::Action;
  if (args.hasArg(OPT_help))
    command.action = Action::Help;
  else if (args.hasArg(OPT_version))
    command.action = Action::Version;
  else if (args.hasArg(OPT_dumpversion))
    command.action = Action::DumpVersion;
  else if (args.hasArg(OPT_print_targets))
    command.action = Action::PrintTargets;
  else if (args.hasArg(OPT_print_target))
    command.action = Action::PrintTarget;
  else if (args.hasArg(OPT_probe))
    command.action = Action::Probe;
  command.printTarget = args.getLastArgValue(OPT_print_target).str();
  options.output = args.getLastArgValue(OPT_o).str();
  options.verbose = args.hasArg(OPT_v);
  if (command.action == Action::Probe)
    if (const Arg *input = args.getLastArg(OPT_INPUT))
      error("--probe reads no files, but there is '" +
            Twine(input->getValue()) + "'");
  return command.action != Action::Compile;
}

/// Splits `name=file`; a file whose own name has a '=' exists as a whole.
CompileOptions::Input Parser::parseInput(StringRef text) {
  auto [name, file] = text.split('=');
  CompileOptions::Input input{"main", text.str()};
  if (!file.empty() && !fs::exists(text)) {
    if (isIdentifier(name))
      input = {name.str(), file.str()};
    else if (fs::exists(file) || file == "-") {
      error("an entry's name is a C identifier, not '" + name + "'");
      input.path = file.str();
    }
  }
  if (input.path == "-")
    input.label = "<stdin>";
  return input;
}

void Parser::parseDimNames() {
  for (const Arg *arg : args.filtered(OPT_dim_name)) {
    StringRef value = arg->getValue();
    auto [place, name] = value.rsplit('=');
    StringRef entry;
    if (place.contains(':'))
      std::tie(entry, place) = place.split(':');
    auto [input, number] = place.rsplit('.');
    DimName dim{input.str(), 0, name.str()};
    if (input.empty() || number.getAsInteger(10, dim.dimension) ||
        dim.dimension < 0 || !isIdentifier(name)) {
      error("--dim-name= wants [<entry>:]<input>.<dimension>=<identifier>, not "
            "'" +
            value + "'");
      continue;
    }
    bool isUsed = false;
    for (CompileOptions::Input &one : options.inputs)
      if (entry.empty() || one.entry == entry) {
        one.dimNames.push_back(dim);
        isUsed = true;
      }
    if (!isUsed)
      error("'" + arg->getAsString(args) + "': there is no entry '" + entry +
            "'");
  }
}

// The last of -c, -S, -emit-llvm and --emit= wins, as in clang.
void Parser::parseEmit() {
  const Arg *arg = args.getLastArg(OPT_c, OPT_S, OPT_emit_llvm, OPT_emit);
  if (!arg)
    return;
  switch (arg->getOption().getID()) {
  case OPT_c:
    options.emit = Phase::Obj;
    return;
  case OPT_S:
    options.emit = Phase::Asm;
    return;
  case OPT_emit_llvm:
    options.emit = Phase::LLVM;
    return;
  }
  StringRef value = arg->getValue();
  if (std::optional<Phase> phase = parsePhase(value)) {
    options.emit = *phase;
    return;
  }
  std::string spelled = arg->getAsString(args);
  StringRef nearest;
  unsigned least = std::max<size_t>(2, value.size() / 3) + 1;
  for (const PhaseInfo &info : getPhases())
    if (unsigned distance = info.name.edit_distance(value.lower());
        distance < std::min<unsigned>(least, info.name.size())) {
      least = distance;
      nearest = info.name;
    }
  std::string what = ("unknown phase '" + value + "' in '" + spelled + "'").str();
  if (!nearest.empty())
    error(what + "; did you mean '--emit=" + nearest + "'?");
  else
    error(what + "; the phases are " +
          join(map_range(getPhases(),
                         [](const PhaseInfo &info) { return info.name; }),
               ", "));
}

void Parser::parseLevel() {
  if (const Arg *arg = args.getLastArg(OPT_O)) {
    StringRef level = arg->getValue();
    // As in gcc.
    if (level.empty())
      options.optLevel = 1;
    else if (level == "s")
      options.optLevel = 2;
    else if (level.getAsInteger(10, options.optLevel) || options.optLevel > 3)
      error("unknown optimization level '-O" + level +
            "'; the levels are 0, 1, 2, 3 and s");
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
}

void Parser::parseReports() {
  for (const Arg *arg : args.filtered(OPT_report)) {
    StringRef file = arg->getValue();
    if (!report::getFormat(file))
      error("--report= wants a file named *.html, *.json or *.trace.json, not '" +
            file + "'");
    else if (is_contained(options.reports, file))
      error("'" + file + "' is named by two --report= options");
    else
      options.reports.push_back(file.str());
  }
  bool any = args.hasArg(OPT_report);
  if (any && options.emit < Phase::Schedule)
    error("--report= is about the schedule: it goes with no --emit= before it");
  for (const Arg *arg : args.filtered(OPT_profile_use)) {
    if (!any)
      error("'" + arg->getAsString(args) + "' goes with --report= only");
    else
      options.profiles.push_back(arg->getValue());
  }
  for (const Arg *arg : args.filtered(OPT_size)) {
    auto [symbol, text] = StringRef(arg->getValue()).split('=');
    int64_t size = 0;
    if (symbol.empty() || text.getAsInteger(10, size) || size < 0)
      error("--size= wants <symbol>=<n>, not '" + Twine(arg->getValue()) + "'");
    options.reportSizes[symbol] = size;
    if (!any)
      error("'" + arg->getAsString(args) + "' goes with --report= only");
  }
}

/// The output from the input, the model from the output.
void Parser::parseNames() {
  const PhaseInfo &emit = getPhaseInfo(options.emit);
  options.name = args.getLastArgValue(OPT_name).str();
  if (args.hasArg(OPT_name) && !isIdentifier(options.name))
    error("--name= wants a C identifier, not '" + options.name + "'");
  if (args.hasArg(OPT_o) && options.output.empty())
    error("-o wants the name of a file");
  bool reportOnly =
      args.hasArg(OPT_report) && !command.verify && !options.saveTemps &&
      !args.hasArg(OPT_o, OPT_c, OPT_S, OPT_emit_llvm, OPT_emit, OPT_MD);
  const Arg *how = args.getLastArg(OPT_c, OPT_S, OPT_emit_llvm, OPT_emit);
  bool isText = emit.isMLIR() || options.emit == Phase::LLVM ||
                options.emit == Phase::Asm;
  if (!args.hasArg(OPT_o) && !options.inputs.empty() && !reportOnly) {
    const CompileOptions::Input &first = options.inputs.front();
    if (isText && how->getOption().matches(OPT_emit))
      options.output = "-";
    else if (options.inputs.size() > 1 && options.name.empty())
      error("several entries make one artifact: name it with -o");
    else if (!first.label.empty() && options.name.empty())
      error("standard input has no name: name the output with -o");
    else
      options.output = ((options.name.empty() ? path::stem(first.path)
                                              : StringRef(options.name)) +
                        "." + emit.extension)
                           .str();
  }
  if (options.name.empty() && !options.inputs.empty()) {
    const CompileOptions::Input &first = options.inputs.front();
    bool named = options.output != "-" && !options.output.empty();
    options.name = named || first.label.empty()
                       ? toIdentifier(path::stem(named ? options.output
                                                       : first.path))
                       : "model";
  }
  if (options.output == "-" && options.emit >= Phase::Obj) {
    error("an artifact cannot go to standard output: name a file with -o");
    options.output.clear();
  }
}

void Parser::parseDepfile() {
  if (!args.hasArg(OPT_MD)) {
    if (const Arg *arg = args.getLastArg(OPT_MF, OPT_MT, OPT_MQ))
      error(arg->getSpelling() + " goes with -MD or -MMD only");
    return;
  }
  for (const Arg *arg : args.filtered(OPT_MT, OPT_MQ))
    options.depTargets.push_back(arg->getOption().matches(OPT_MT)
                                     ? arg->getValue()
                                     : quoteForMake(arg->getValue()));
  options.depfile = args.getLastArgValue(OPT_MF).str();
  if (options.depfile == "-")
    options.depfile = "/dev/stdout";
  bool isFile = options.output != "-" && !options.output.empty() &&
                isFileName(options.output);
  if (!isFile && (options.depfile.empty() || options.depTargets.empty())) {
    if (!options.output.empty())
      error("-MD needs an output file: name it with -o, or the rule's file and "
            "target with -MF and -MT");
    options.depfile.clear();
  } else if (options.depfile.empty()) {
    SmallString<128> depfile(options.output);
    path::replace_extension(depfile, "d");
    options.depfile = std::string(depfile);
  }
}

void Parser::parseVerify() {
  command.verify = args.hasArg(OPT_verify, OPT_verify_EQ);
  command.reference = args.getLastArgValue(OPT_verify_EQ).str();
  if (args.hasArg(OPT_verify_EQ) && command.reference.empty())
    error("--verify= wants a file of inputs and results");
  if (!command.reference.empty()) {
    options.alsoRead.push_back(command.reference);
    if (options.inputs.size() > 1)
      error("--verify=<file> goes with one input");
    if (!fs::exists(command.reference))
      error("cannot read '" + command.reference + "': there is no such file");
  }
  if (command.verify && options.emit != Phase::So)
    error("--verify runs the artifact: it goes with no --emit= before so");
}

void Parser::parse() {
  parseUnknown();
  if (parseAction())
    return;
  unsigned standard = 0;
  for (const Arg *arg : args.filtered(OPT_INPUT, OPT_dash_dash))
    for (const char *value : arg->getValues()) {
      options.inputs.push_back(parseInput(value));
      standard += !options.inputs.back().label.empty();
    }
  if (options.inputs.empty())
    error("no input files");
  if (standard > 1)
    error("standard input is one input, but it is named " + Twine(standard) +
          " times");
  parseDimNames();
  parseEmit();
  parseLevel();
  options.producer = "hrcc " HEADRACE_VERSION;
  options.target = args.getLastArgValue(OPT_target, "native").str();
  options.debugInfo = args.hasArg(OPT_g);
  options.checkAccesses = args.hasArg(OPT_fcheck_accesses);
  if (const Arg *arg = args.getLastArg(OPT_flayouts)) {
    options.layouts = arg->getValue();
    if (!llvm::is_contained({"predicted", "row-major", "products"},
                            options.layouts))
      error("-flayouts= wants predicted, row-major or products, not '" +
            Twine(options.layouts) + "'");
  }
  if (const Arg *arg = args.getLastArg(OPT_fplan_within))
    if (StringRef(arg->getValue()).getAsDouble(options.planWithin) ||
        !(options.planWithin >= 1))
      error("'" + Twine(arg->getAsString(args)) +
            "': expected a number of at least 1");
  options.saveTemps = args.hasArg(OPT_save_temps);
  options.timePasses = args.hasArg(OPT_time_passes);
  options.remarks = args.hasArg(OPT_Rpass);
  options.dryRun = args.hasArg(OPT_hash_hash_hash);
  parseVerify();
  if (const Arg *arg = args.getLastArg(OPT_crash_phase))
    options.crashPhase = parsePhase(arg->getValue());
  parseReports();
  parseNames();
  parseDepfile();
}

//===----------------------------------------------------------------------===//
// The command
//===----------------------------------------------------------------------===//

std::string headrace::parseMessageOptions(ArrayRef<const char *> arguments,
                                          Command &command) {
  unsigned missingIndex = 0, missingCount = 0;
  InputArgList args =
      Options().ParseArgs(arguments, missingIndex, missingCount);
  std::string wrong;
  StringRef format = args.getLastArgValue(OPT_fdiagnostics_format, "text");
  if (format == "json")
    command.format = MessageFormat::JSON;
  else if (format != "text")
    wrong = ("-fdiagnostics-format= wants text or json, not '" + format + "'")
                .str();
  StringRef color = "auto";
  if (const Arg *arg =
          args.getLastArg(OPT_fdiagnostics_color, OPT_fdiagnostics_color_EQ,
                          OPT_fno_diagnostics_color)) {
    if (arg->getOption().matches(OPT_fdiagnostics_color_EQ))
      color = arg->getValue();
    else
      color = arg->getOption().matches(OPT_fdiagnostics_color) ? "always"
                                                               : "never";
  }
  if (color != "always" && color != "never" && color != "auto")
    wrong += (wrong.empty() ? "" : "\n") +
             ("-fdiagnostics-color= wants auto, always or never, not '" +
              color + "'")
                 .str();
  command.color = color == "always" ||
                  (color == "auto" && sys::Process::FileDescriptorHasColors(2));
  return wrong;
}

void headrace::parseCommand(ArrayRef<const char *> arguments,
                            Messages &messages, Command &command) {
  Options table;
  unsigned missingIndex = 0, missingCount = 0;
  InputArgList args = table.ParseArgs(arguments, missingIndex, missingCount);
  command.arguments = arguments;
  if (missingCount)
    messages.error("option '" + Twine(args.getArgString(missingIndex)) +
                   "' needs a value");
  Parser(table, args, messages, command).parse();
}
