//===- Compiler.cpp - One compilation, from files to a file ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Terms:
//
//   input   a .pt2 archive (one entry), or an .mlir file that stands after any
//           phase of MLIR
//   step    what the user is told about: reading, each phase, writing
//   temps   the files of -save-temps, `<output>.<number>.<phase>.mlir`, each
//           readable as an input again; their weights lie beside the first of
//           them that has these weights
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/HW/HW.h"
#include "headrace/Driver/Compiler.h"
#include "headrace/Dialect/Aten/Obstacles.h"
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Driver/Pipelines.h"
#include "headrace/Driver/Registration.h"
#include "headrace/Driver/WeightsFile.h"
#include "headrace/Hardware/Lookup.h"
#include "headrace/Hardware/System.h"
#include "headrace/Import/Import.h"
#include "headrace/Report/Report.h"
#include "headrace/Support/OutputStream.h"
#include "headrace/Target/Target.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Support/Timing.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ThreadPool.h"
#include <cerrno>
#include <chrono>
#include <cstring>
#include <unistd.h>

using namespace mlir;
using namespace headrace;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

namespace {
/// Tells which pass runs.
struct StepInstrumentation : PassInstrumentation {
  explicit StepInstrumentation(std::function<void(StringRef)> onPass)
      : onPass(std::move(onPass)) {}
  void runBeforePass(Pass *pass, Operation *) override {
    if (!pass->getArgument().empty())
      onPass(pass->getArgument());
  }
  std::function<void(StringRef)> onPass;
};

class Compilation {
public:
  Compilation(const CompileOptions &options, Messages &messages)
      : options(options), messages(messages) {
    pipelineOptions.optLevel = options.optLevel;
    pipelineOptions.target = options.target;
    pipelineOptions.inDouble = options.inDouble;
    pipelineOptions.exposeStages = options.exposeStages;
    pipelineOptions.plainStages = options.plainStages;
    pipelineOptions.checkAccesses = options.checkAccesses;
    pipelineOptions.planWithin = options.planWithin;
    pipelineOptions.layouts = options.layouts;
  }
  LogicalResult run();

private:
  LogicalResult checkInputs();
  LogicalResult addInput(StringRef path);
  LogicalResult loadSystem();
  /// Begins every output there is sure to be, and checks the others.
  LogicalResult openOutputs();
  LogicalResult readProfiles();
  void printPlan();
  void setUpContext();
  LogicalResult read();
  LogicalResult readPt2();
  LogicalResult readMLIR();
  LogicalResult verifyInput();
  LogicalResult runPhase(const PhaseInfo &info);
  LogicalResult runPasses(PassManager &pm, const PhaseInfo &info,
                          TimingScope &scope);
  LogicalResult saveTemps(const PhaseInfo &info);
  void printModule(raw_ostream &os, bool forReading);
  LogicalResult writeOutput();
  LogicalResult writeArtifact();
  LogicalResult writeReports();
  LogicalResult writeDepfile();
  LogicalResult fail(const Twine &text) {
    messages.error(text);
    return failure();
  }
  /// Names a step to all who listen, and times it for -v.
  void beginStep(StringRef name);
  void endStep();
  /// The output's name without extension: the stem of files beside it.
  std::string getStem() const;

  const CompileOptions &options;
  Messages &messages;
  PipelineOptions pipelineOptions;
  std::optional<hw::System> system;
  bool fromMLIR = false;
  /// Where the input stands; its phase is done already.
  Phase start = Phase::Aten;
  unsigned stepNumber = 0, stepCount = 0;
  std::chrono::steady_clock::time_point stepBegin;
  std::string stepName;
  std::string passName;
  /// Every file read, for -MD.
  SmallVector<std::string> dependencies;
  /// The same as they were when they were opened.
  SmallVector<FileStamp> stamps;

  OutputFiles files;
  /// Null: standard output, or none.
  OutputFile *output = nullptr;
  OutputFile *depfile = nullptr;

  // For reports.
  SmallVector<OutputFile *> reports;
  report::Sources reportSources;
  ArtifactInfo artifact;

  /// Weights as last written for -save-temps, and where.
  struct SavedWeight {
    const Storage *storage;
    int64_t offset;
    Type type;
  };
  llvm::StringMap<SavedWeight> savedWeights;
  std::string savedWeightsFile;

  // Destroyed in reverse order: the module before its context, the context
  // before the pool its passes ran on.
  std::unique_ptr<llvm::DefaultThreadPool> pool;
  std::unique_ptr<MLIRContext> context;
  OwningOpRef<ModuleOp> module;
  std::unique_ptr<DefaultTimingManager> timing;
  TimingScope rootScope;
};
} // namespace

std::string Compilation::getStem() const {
  SmallString<128> stem(output && output->isFile() ? StringRef(options.output)
                                                   : StringRef(options.name));
  path::replace_extension(stem, "");
  return std::string(stem);
}

void Compilation::beginStep(StringRef name) {
  stepName = name.str();
  stepBegin = std::chrono::steady_clock::now();
  messages.progress(name, ++stepNumber, stepCount);
  if (options.onStep)
    options.onStep(name);
}

void Compilation::endStep() {
  if (!options.verbose)
    return;
  std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - stepBegin;
  int64_t operations = 0;
  if (module)
    module->walk([&](Operation *) { ++operations; });
  llvm::errs() << "hrcc: " << llvm::left_justify(stepName, 9)
               << llvm::format("%8.3f s", seconds.count());
  if (operations)
    llvm::errs() << llvm::format("%8lld operations",
                                 static_cast<long long>(operations));
  llvm::errs() << '\n';
}

LogicalResult Compilation::addInput(StringRef path) {
  std::string error;
  dependencies.push_back(path.str());
  if (auto stamp = FileStamp::take(path.str(), path.str()))
    stamps.push_back(std::move(*stamp));
  return files.addInput(path.str(), error) ? success() : fail(error);
}

/// Whether the file begins as a zip archive does.
static bool isArchive(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFileSlice(path, /*MapSize=*/2,
                                                 /*Offset=*/0);
  return buffer && (*buffer)->getBuffer() == "PK";
}

LogicalResult Compilation::checkInputs() {
  bool good = true;
  auto complain = [&](const Twine &text) {
    messages.error(text);
    good = false;
  };
  for (const CompileOptions::Input &input : options.inputs) {
    fs::file_status status;
    if (std::error_code error = fs::status(input.path, status))
      complain("cannot read '" + input.getLabel() + "': " + error.message());
    else if (fs::is_directory(status))
      complain("cannot read '" + input.getLabel() + "': it is a folder; expected a file "
               "that torch.export.save wrote");
    else if (::access(input.path.c_str(), R_OK) != 0)
      complain("cannot read '" + input.getLabel() +
               "': " + std::strerror(errno));
    if (std::string error; !files.addInput(input.path, error, input.label))
      complain(error);
    if (input.label.empty())
      dependencies.push_back(input.path);
    // Standard input has no name to go by.
    if (input.label.empty() ? StringRef(input.path).ends_with(".mlir")
                            : !isArchive(input.path))
      fromMLIR = true;
    for (const CompileOptions::Input &other : options.inputs) {
      if (&other == &input)
        break;
      if (other.entry == input.entry) {
        complain("two entries are called '" + input.entry +
                 "': name them, as in prefill=a.pt2 decode=b.pt2");
        break;
      }
    }
  }
  if (fromMLIR && options.inputs.size() > 1)
    complain("an .mlir file holds all of a program's entries: it cannot be "
             "compiled with other inputs");
  std::string error;
  for (const std::string &path : options.alsoRead)
    if (!files.addInput(path, error))
      complain(error);
  return success(good);
}

LogicalResult Compilation::loadSystem() {
  std::string file = hw::findDescriptionFile(options.target);
  if (!file.empty() && failed(addInput(file)))
    return failure();
  std::string error;
  FailureOr<hw::System> loaded = hw::System::load(options.target, error);
  if (failed(loaded)) {
    SmallVector<StringRef> lines;
    StringRef(error).split(lines, '\n', -1, /*KeepEmpty=*/false);
    for (StringRef line : lines)
      messages.error(line);
    return failure();
  }
  system = std::move(*loaded);
  return success();
}

LogicalResult Compilation::readProfiles() {
  bool good = true;
  for (const std::string &path : options.profiles) {
    if (failed(addInput(path))) {
      good = false;
      continue;
    }
    llvm::Expected<report::Profile> profile = report::readProfile(path);
    if (profile) {
      reportSources.profiles.push_back(std::move(*profile));
      continue;
    }
    messages.error(llvm::toString(profile.takeError()));
    good = false;
  }
  return success(good);
}

LogicalResult Compilation::openOutputs() {
  bool good = true;
  std::string error;
  auto open = [&](const std::string &path, bool executable = false) {
    OutputFile *file = files.add(path, error, executable);
    if (!file) {
      messages.error(error);
      good = false;
    }
    return file;
  };
  auto reserve = [&](const std::string &path) {
    if (files.reserve(path, error))
      return;
    messages.error(error);
    good = false;
  };
  // The output first: it gets its name when all others have theirs.
  if (!options.output.empty() && options.output != "-")
    output = open(options.output, options.emit == Phase::So);
  if (output && output->isFile()) {
    if (getPhaseInfo(options.emit).isMLIR())
      reserve(getStem() + ".safetensors");
    if (options.emit == Phase::Obj)
      reserve(getHeaderPath(options.output));
    if (options.emit >= Phase::Obj &&
        options.weights.value_or(options.emit == Phase::Obj ? "external"
                                                            : "embed") ==
            "external")
      reserve(getWeightsPath(options.output));
  } else if (output && options.weights == "external") {
    messages.error("there is no place for weights beside '" + options.output +
                   "': it is no file");
    good = false;
  }
  for (const std::string &path : options.reports)
    reports.push_back(open(path));
  if (!options.depfile.empty())
    depfile = open(options.depfile);
  return success(good);
}

void Compilation::printPlan() {
  for (const CompileOptions::Input &input : options.inputs)
    llvm::errs() << "read \"" << input.getLabel() << "\""
                 << (fromMLIR ? "" : " as entry " + input.entry) << '\n';
  for (const PhaseInfo &info : getPhases()) {
    if (!info.isMLIR() || info.phase > options.emit)
      break;
    auto pm = PassManager::on<ModuleOp>(context.get());
    buildPipeline(info.phase, pm, pipelineOptions);
    llvm::errs() << info.name << ": ";
    pm.printAsTextualPipeline(llvm::errs());
    llvm::errs() << '\n';
  }
  if (!getPhaseInfo(options.emit).isMLIR())
    llvm::errs() << "target: " << system->getName() << '\n';
  if (!options.output.empty())
    llvm::errs() << "write \"" << options.output << "\"\n";
  for (const std::string &report : options.reports)
    llvm::errs() << "write \"" << report << "\"\n";
}

void Compilation::setUpContext() {
  DialectRegistry registry;
  registerAllHeadraceDialects(registry);
  context = std::make_unique<MLIRContext>(registry,
                                          MLIRContext::Threading::DISABLED);
  context->getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Remark &&
        !options.reports.empty())
      reportSources.decisions.emplace_back(stepName, passName, diagnostic);
    if (diagnostic.getSeverity() == DiagnosticSeverity::Remark &&
        !options.remarks)
      return success();
    messages.diagnostic(diagnostic);
    return success();
  });
  // The operation itself tells a user nothing, and may be long.
  context->printOpOnDiagnostic(false);
  unsigned threads = options.threads
                         ? options.threads
                         : llvm::hardware_concurrency().compute_thread_count();
  if (threads > 1) {
    pool = std::make_unique<llvm::DefaultThreadPool>(
        llvm::hardware_concurrency(threads));
    context->setThreadPool(*pool);
  }
  if (options.timePasses) {
    timing = std::make_unique<DefaultTimingManager>();
    timing->setEnabled(true);
    rootScope = timing->getRootScope();
  }
}

LogicalResult Compilation::readPt2() {
  SmallVector<EntryFile> entries;
  for (const CompileOptions::Input &input : options.inputs)
    entries.push_back({input.entry, input.path, input.dimNames, input.label});
  FailureOr<OwningOpRef<ModuleOp>> read = importPt2(context.get(), entries);
  if (failed(read))
    return failure();
  module = std::move(*read);
  return success();
}

LogicalResult Compilation::readMLIR() {
  const CompileOptions::Input &input = options.inputs.front();
  llvm::SourceMgr sources;
  auto buffer = llvm::MemoryBuffer::getFile(input.path);
  if (!buffer)
    return fail("cannot read '" + input.getLabel() +
                "': " + buffer.getError().message());
  sources.AddNewSourceBuffer(
      input.label.empty()
          ? std::move(*buffer)
          : llvm::MemoryBuffer::getMemBufferCopy((*buffer)->getBuffer(),
                                                 input.label),
      SMLoc());
  module = parseSourceFile<ModuleOp>(sources, context.get());
  if (!module)
    return failure();
  if (!module->getOps<hw::SystemOp>().empty())
    return fail("a machine's description, not a program: give it by "
                "--target='" + input.path + "'");
  start = detectPhase(*module);
  if (auto name = module->getOperation()->getAttrOfType<StringAttr>(
          weightsFileAttr)) {
    SmallString<128> weights(name.getValue());
    // What comes from standard input lies in the working folder.
    if (path::is_relative(weights) && input.label.empty()) {
      weights = path::parent_path(input.path);
      path::append(weights, name.getValue());
    }
    if (failed(addInput(weights)))
      return failure();
    if (llvm::Error error = readWeightsFile(*module, weights))
      return fail(llvm::toString(std::move(error)));
    module->getOperation()->removeAttr(weightsFileAttr);
  }
  WeightStore &store =
      context->getOrLoadDialect<hr::HRDialect>()->getWeights();
  for (hr::WeightOp weight : module->getOps<hr::WeightOp>())
    if (!store.lookup(weight.getSymName()))
      return weight.emitError("weight '")
             << weight.getSymName() << "' has no bytes: the module names no "
             << "file with them in '" << weightsFileAttr << "'";
  return success();
}

LogicalResult Compilation::read() {
  beginStep("read");
  TimingScope scope = rootScope.nest("read");
  LogicalResult result = fromMLIR ? readMLIR() : readPt2();
  endStep();
  return result;
}

LogicalResult Compilation::runPhase(const PhaseInfo &info) {
  beginStep(info.name);
  if (options.crashPhase == info.phase)
    LLVM_BUILTIN_TRAP;
  TimingScope scope = rootScope.nest(info.name);
  auto pm = PassManager::on<ModuleOp>(context.get());
  buildPipeline(info.phase, pm, pipelineOptions);
  if (failed(runPasses(pm, info, scope)))
    return failure();
  endStep();
  return success();
}

/// A file of a later phase was proved when it was written, and may have been
/// changed since.
LogicalResult Compilation::verifyInput() {
  const PhaseInfo &info = getPhaseInfo(start);
  TimingScope scope = rootScope.nest("verify");
  auto pm = PassManager::on<ModuleOp>(context.get());
  buildVerification(start, pm, pipelineOptions);
  return runPasses(pm, info, scope);
}

LogicalResult Compilation::runPasses(PassManager &pm, const PhaseInfo &info,
                                     TimingScope &scope) {
  pm.addInstrumentation(
      std::make_unique<StepInstrumentation>([&](StringRef pass) {
        passName = pass.str();
        if (options.onStep)
          options.onStep((info.name + ", pass '" + pass + "'").str());
      }));
  pm.enableTiming(scope);
  unsigned errors = messages.getErrorCount();
  if (failed(pm.run(*module))) {
    // A pass that fails without a word would leave the user without one.
    if (messages.getErrorCount() == errors)
      messages.error("phase '" + info.name + "' failed");
    return failure();
  }
  return success();
}

void Compilation::printModule(raw_ostream &os, bool forReading) {
  OpPrintingFlags flags;
  if (forReading || options.debugInfo)
    flags.enableDebugInfo(true);
  if (!forReading)
    flags.elideLargeElementsAttrs(64);
  module->print(os, flags);
  os << '\n';
}

LogicalResult Compilation::saveTemps(const PhaseInfo &info) {
  std::string stem = getStem() + "." +
                     std::to_string(static_cast<unsigned>(info.phase) + 1) +
                     "." + info.name.str();
  std::string error;
  // 1. Write the weights, unless a file has these already.
  WeightStore &store =
      context->getOrLoadDialect<hr::HRDialect>()->getWeights();
  auto weights = module->getOps<hr::WeightOp>();
  bool saved = llvm::all_of(weights, [&](hr::WeightOp weight) {
    const WeightStore::Entry *entry = store.lookup(weight.getSymName());
    auto it = savedWeights.find(weight.getSymName());
    return entry && it != savedWeights.end() &&
           it->second.storage == entry->storage.get() &&
           it->second.offset == entry->offset && it->second.type == entry->type;
  });
  if (!saved) {
    savedWeightsFile = stem + ".safetensors";
    savedWeights.clear();
    OutputFile *file = files.add(savedWeightsFile, error);
    if (!file || failed(writeWeightsFile(*module, *file, error)) ||
        !file->commit(error))
      return fail(error);
    for (hr::WeightOp weight : weights)
      if (const WeightStore::Entry *entry = store.lookup(weight.getSymName()))
        savedWeights[weight.getSymName()] = {entry->storage.get(),
                                             entry->offset, entry->type};
  }
  // 2. Write the module, which names the file.
  Operation *op = module->getOperation();
  if (!weights.empty())
    op->setAttr(weightsFileAttr,
                StringAttr::get(context.get(),
                                path::filename(savedWeightsFile)));
  OutputFile *file = files.add(stem + ".mlir", error);
  auto print = [&](raw_ostream &os, std::string &) {
    printModule(os, /*forReading=*/true);
    return success();
  };
  bool good = file && succeeded(writeTo(*file, print, error)) &&
              file->commit(error);
  op->removeAttr(weightsFileAttr);
  return good ? success() : fail(error);
}

LogicalResult Compilation::writeOutput() {
  beginStep("write");
  TimingScope scope = rootScope.nest("write");
  if (options.output.empty())
    return success();
  if (!output) {
    printModule(llvm::outs(), /*forReading=*/false);
    return success();
  }
  std::string error;
  Operation *op = module->getOperation();
  if (output->isFile() && !module->getOps<hr::WeightOp>().empty()) {
    std::string weights = getStem() + ".safetensors";
    OutputFile *file = files.add(weights, error);
    if (!file || failed(writeWeightsFile(*module, *file, error)))
      return fail(error);
    op->setAttr(weightsFileAttr,
                StringAttr::get(context.get(), path::filename(weights)));
  }
  auto print = [&](raw_ostream &os, std::string &) {
    printModule(os, /*forReading=*/output->isFile());
    return success();
  };
  if (failed(writeTo(*output, print, error)))
    return fail(error);
  endStep();
  return success();
}

LogicalResult Compilation::writeArtifact() {
  TargetOptions target;
  switch (options.emit) {
  case Phase::LLVM:
    target.output = TargetOptions::Output::LLVMIR;
    break;
  case Phase::Asm:
    target.output = TargetOptions::Output::Assembly;
    break;
  case Phase::Obj:
    target.output = TargetOptions::Output::Object;
    break;
  default:
    break;
  }
  if (options.output.empty()) {
    // Machines for which no code can be generated are reported on all the same.
    if (!findTarget(*system))
      return success();
    target.output = TargetOptions::Output::Nothing;
  }
  if (options.weights)
    target.weights = *options.weights == "external"
                         ? TargetOptions::Weights::External
                         : TargetOptions::Weights::Embed;
  target.files = &files;
  target.file = output;
  target.name = options.name;
  target.optLevel = options.optLevel;
  target.debugInfo = options.debugInfo;
  target.producer = options.producer;
  if (options.saveTemps)
    target.saveTemps = getStem();
  beginStep(getPhaseInfo(options.emit).name);
  TimingScope scope = rootScope.nest(getPhaseInfo(options.emit).name);
  target.configure = [&](PassManager &pm) { pm.enableTiming(scope); };
  ArtifactInfo &info = artifact;
  if (failed(emitArtifact(*module, *system, target, &info)))
    return failure();
  endStep();
  if (options.verbose && !options.output.empty())
    llvm::errs() << "hrcc: " << info.numStages << " stages, " << info.codeBytes
                 << " bytes of code, " << info.weightBytes
                 << " bytes of weights, " << info.outputBytes
                 << " bytes written to " << options.output << '\n';
  return success();
}

LogicalResult Compilation::writeReports() {
  beginStep("report");
  TimingScope scope = rootScope.nest("report");
  reportSources.name = options.name;
  reportSources.producer = options.producer;
  reportSources.optLevel = options.optLevel;
  for (const CompileOptions::Input &input : options.inputs)
    reportSources.inputs.push_back({fromMLIR ? "" : input.entry, input.getLabel()});
  reportSources.stageCode = artifact.stageCode;
  reportSources.timelineCode = artifact.timelineCode;
  reportSources.sizes = options.reportSizes;
  FailureOr<llvm::json::Object> report =
      report::build(*module, *system, reportSources);
  if (failed(report))
    return failure();
  for (OutputFile *file : reports) {
    std::string error;
    auto write = [&](raw_ostream &os, std::string &) {
      report::write(*report, *report::getFormat(file->getPath()), os);
      return success();
    };
    if (failed(writeTo(*file, write, error)))
      return fail(error);
  }
  endStep();
  return success();
}

SmallVector<FileStamp> headrace::stampInputs(const CompileOptions &options) {
  SmallVector<FileStamp> stamps;
  auto add = [&](const std::string &path, const std::string &label) {
    if (auto stamp = FileStamp::take(path, label))
      stamps.push_back(std::move(*stamp));
  };
  for (const CompileOptions::Input &input : options.inputs) {
    add(input.path, input.getLabel());
    SmallString<128> weights(input.path);
    if (path::extension(weights) != ".mlir")
      continue;
    path::replace_extension(weights, ".safetensors");
    add(std::string(weights), std::string(weights));
  }
  return stamps;
}

std::string headrace::quoteForMake(StringRef name) {
  std::string text;
  for (char c : name) {
    if (c == ' ' || c == '#' || c == '\\')
      text += '\\';
    text += c;
    if (c == '$')
      text += '$';
  }
  return text;
}

LogicalResult Compilation::writeDepfile() {
  std::string text = options.depTargets.empty()
                         ? quoteForMake(options.output)
                         : llvm::join(options.depTargets, " ");
  text += ':';
  for (const std::string &file : dependencies)
    text += " \\\n  " + quoteForMake(file);
  text += '\n';
  std::string error;
  return depfile->write(text.data(), text.size(), error) ? success()
                                                         : fail(error);
}

LogicalResult Compilation::run() {
  // 1. What is wrong with the command, all of it.
  stamps = stampInputs(options);
  bool good = succeeded(checkInputs());
  setUpContext();
  if (options.emit > Phase::Tensor || options.dryRun)
    good &= succeeded(loadSystem());
  if (options.dryRun) {
    if (!good || options.checkOnly)
      return failure();
    printPlan();
    return success();
  }
  good &= succeeded(readProfiles());
  good &= succeeded(openOutputs());
  if (!good || options.checkOnly)
    return failure();

  // 2. The work.
  Phase lastMLIR = std::min(options.emit, Phase::Schedule);
  stepCount =
      2 + static_cast<unsigned>(lastMLIR) + 1 + !options.reports.empty();
  if (failed(read()))
    return failure();
  if (fromMLIR && start > options.emit)
    return fail("'" + options.inputs.front().getLabel() +
                "' stands after phase '" +
                getPhaseInfo(start).name + "' already: --emit=" +
                getPhaseInfo(options.emit).name + " lies before it");
  if (options.inDouble && fromMLIR && start > Phase::Tensor)
    return fail("'" + options.inputs.front().getLabel() +
                "' stands after phase '" +
                getPhaseInfo(Phase::Tensor).name +
                "': it has no form in f64");
  if (fromMLIR && failed(verifyInput()))
    return failure();
  // What the reader found in the way is reported with all else that is.
  if (aten::Obstacles::hasAny(*module))
    lastMLIR = std::max(lastMLIR, Phase::Tensor);
  for (const PhaseInfo &info : getPhases()) {
    if (info.phase > lastMLIR)
      break;
    // What a file is already, it need not become again; ATen written by hand
    // may still have to become functional.
    if (fromMLIR && info.phase <= start &&
        !(info.phase == Phase::Aten && start == Phase::Aten))
      continue;
    if (failed(runPhase(info)))
      return failure();
    if (options.saveTemps && failed(saveTemps(info)))
      return failure();
  }
  if (failed(getPhaseInfo(options.emit).isMLIR() ? writeOutput()
                                                 : writeArtifact()))
    return failure();
  if (!options.reports.empty() && failed(writeReports()))
    return failure();
  if (depfile && failed(writeDepfile()))
    return failure();

  // 3. All is there: it gets its names.
  std::string error;
  for (const FileStamp &stamp : stamps)
    if (std::string change = stamp.describeChange(); !change.empty())
      return fail(change);
  if (failed(finishStandardOutput(error)))
    return error.empty() ? failure() : fail(error);
  return files.commit(error) ? success() : fail(error);
}

LogicalResult headrace::compile(const CompileOptions &options,
                                Messages &messages) {
  return Compilation(options, messages).run();
}
