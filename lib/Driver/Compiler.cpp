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
#include "headrace/Driver/Compiler.h"
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Driver/Pipelines.h"
#include "headrace/Driver/Registration.h"
#include "headrace/Driver/WeightsFile.h"
#include "headrace/Hardware/System.h"
#include "headrace/Import/Import.h"
#include "headrace/Report/Report.h"
#include "headrace/Target/Target.h"
#include "mlir/IR/AsmState.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ThreadPool.h"
#include <chrono>

using namespace mlir;
using namespace headrace;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

std::string headrace::getTemporaryName(StringRef output, long process) {
  return (output + ".hrcc-" + Twine(process) + ".tmp").str();
}

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

/// A file under a temporary name, which is there from the start, so that a
/// place that cannot be written to is found before the work.
class PendingFile {
public:
  explicit PendingFile(StringRef path)
      : path(path), temporary(getTemporaryName(
                        path, llvm::sys::Process::getProcessId())) {}
  PendingFile(const PendingFile &) = delete;
  PendingFile(PendingFile &&other)
      : path(std::move(other.path)), temporary(std::move(other.temporary)),
        os(std::move(other.os)) {
    other.temporary.clear();
  }
  ~PendingFile() {
    if (!temporary.empty() && os) {
      os->clear_error();
      os.reset();
      fs::remove(temporary);
    }
  }

  std::error_code open() {
    if (fs::is_directory(path))
      return std::make_error_code(std::errc::is_a_directory);
    std::error_code error;
    os = std::make_unique<llvm::raw_fd_ostream>(temporary, error);
    if (error)
      os.reset();
    return error;
  }
  raw_ostream &stream() { return *os; }
  std::error_code flush() {
    os->flush();
    return os->error();
  }
  std::error_code commit() {
    os->close();
    if (std::error_code error = os->error())
      return error;
    std::error_code error = fs::rename(temporary, path);
    if (!error)
      temporary.clear();
    return error;
  }
  StringRef getPath() const { return path; }

private:
  std::string path, temporary;
  std::unique_ptr<llvm::raw_fd_ostream> os;
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
  }
  LogicalResult run();

private:
  LogicalResult checkInputs();
  LogicalResult loadSystem();
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
  LogicalResult writeModule(StringRef file, bool forReading);
  LogicalResult writeOutput();
  LogicalResult writeArtifact();
  LogicalResult openReports();
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

  // For reports.
  std::vector<PendingFile> reports;
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
  SmallString<128> stem(options.output == "-" ? StringRef(options.name)
                                              : StringRef(options.output));
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

LogicalResult Compilation::checkInputs() {
  for (const CompileOptions::Input &input : options.inputs) {
    fs::file_status status;
    if (std::error_code error = fs::status(input.path, status))
      return fail("cannot read '" + input.path + "': " + error.message());
    if (fs::is_directory(status))
      return fail("cannot read '" + input.path + "': it is a folder");
    dependencies.push_back(input.path);
    if (StringRef(input.path).ends_with(".mlir"))
      fromMLIR = true;
    for (const CompileOptions::Input &other : options.inputs) {
      if (&other == &input)
        break;
      if (other.entry == input.entry)
        return fail("two entries are called '" + input.entry +
                    "': name them, as in prefill=a.pt2 decode=b.pt2");
    }
  }
  if (fromMLIR && options.inputs.size() > 1)
    return fail("an .mlir file holds all of a program's entries: it cannot be "
                "compiled with other inputs");
  return success();
}

LogicalResult Compilation::loadSystem() {
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
  if (StringRef(options.target).ends_with(".mlir"))
    dependencies.push_back(options.target);
  return success();
}

void Compilation::printPlan() {
  for (const CompileOptions::Input &input : options.inputs)
    llvm::errs() << "read \"" << input.path << "\""
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
    entries.push_back({input.entry, input.path});
  FailureOr<OwningOpRef<ModuleOp>> read = importPt2(context.get(), entries);
  if (failed(read))
    return failure();
  module = std::move(*read);
  return success();
}

LogicalResult Compilation::readMLIR() {
  const std::string &file = options.inputs.front().path;
  llvm::SourceMgr sources;
  auto buffer = llvm::MemoryBuffer::getFile(file);
  if (!buffer)
    return fail("cannot read '" + file + "': " + buffer.getError().message());
  sources.AddNewSourceBuffer(std::move(*buffer), SMLoc());
  module = parseSourceFile<ModuleOp>(sources, context.get());
  if (!module)
    return failure();
  start = detectPhase(*module);
  if (auto name = module->getOperation()->getAttrOfType<StringAttr>(
          weightsFileAttr)) {
    SmallString<128> weights(name.getValue());
    if (path::is_relative(weights)) {
      weights = path::parent_path(file);
      path::append(weights, name.getValue());
    }
    dependencies.push_back(std::string(weights));
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

/// Writes the module under a temporary name that is then renamed.
LogicalResult Compilation::writeModule(StringRef file, bool forReading) {
  OpPrintingFlags flags;
  if (forReading || options.debugInfo)
    flags.enableDebugInfo(true);
  if (!forReading)
    flags.elideLargeElementsAttrs(64);
  llvm::Error error = llvm::writeToOutput(file, [&](raw_ostream &os) {
    module->print(os, flags);
    os << '\n';
    return llvm::Error::success();
  });
  if (error)
    return fail("cannot write '" + file +
                "': " + llvm::toString(std::move(error)));
  return success();
}

LogicalResult Compilation::saveTemps(const PhaseInfo &info) {
  std::string stem = getStem() + "." +
                     std::to_string(static_cast<unsigned>(info.phase) + 1) +
                     "." + info.name.str();
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
    if (llvm::Error error = writeWeightsFile(*module, savedWeightsFile))
      return fail("cannot write '" + savedWeightsFile +
                  "': " + llvm::toString(std::move(error)));
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
  LogicalResult result = writeModule(stem + ".mlir", /*forReading=*/true);
  op->removeAttr(weightsFileAttr);
  return result;
}

LogicalResult Compilation::writeOutput() {
  beginStep("write");
  TimingScope scope = rootScope.nest("write");
  if (options.output == "-")
    return writeModule("-", /*forReading=*/false);
  Operation *op = module->getOperation();
  if (!module->getOps<hr::WeightOp>().empty()) {
    std::string weights = getStem() + ".safetensors";
    if (llvm::Error error = writeWeightsFile(*module, weights))
      return fail("cannot write '" + weights +
                  "': " + llvm::toString(std::move(error)));
    op->setAttr(weightsFileAttr,
                StringAttr::get(context.get(), path::filename(weights)));
  }
  LogicalResult result = writeModule(options.output, /*forReading=*/true);
  endStep();
  return result;
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
  if (failed(emitArtifact(*module, *system, target, options.output, &info)))
    return failure();
  endStep();
  if (options.verbose && !options.output.empty())
    llvm::errs() << "hrcc: " << info.numStages << " stages, " << info.codeBytes
                 << " bytes of code, " << info.weightBytes
                 << " bytes of weights, " << info.outputBytes
                 << " bytes written to " << options.output << '\n';
  return success();
}

LogicalResult Compilation::openReports() {
  for (const std::string &path : options.reports) {
    PendingFile &file = reports.emplace_back(path);
    if (std::error_code error = file.open())
      return fail("cannot write '" + path + "': " + error.message());
  }
  for (const std::string &path : options.profiles) {
    llvm::Expected<report::Profile> profile = report::readProfile(path);
    if (!profile)
      return fail(llvm::toString(profile.takeError()));
    dependencies.push_back(path);
    reportSources.profiles.push_back(std::move(*profile));
  }
  return success();
}

LogicalResult Compilation::writeReports() {
  beginStep("report");
  TimingScope scope = rootScope.nest("report");
  reportSources.name = options.name;
  reportSources.producer = options.producer;
  reportSources.optLevel = options.optLevel;
  for (const CompileOptions::Input &input : options.inputs)
    reportSources.inputs.push_back({fromMLIR ? "" : input.entry, input.path});
  reportSources.stageCode = artifact.stageCode;
  reportSources.timelineCode = artifact.timelineCode;
  reportSources.sizes = options.reportSizes;
  FailureOr<llvm::json::Object> report =
      report::build(*module, *system, reportSources);
  if (failed(report))
    return failure();
  // All are complete before the first gets its name.
  for (PendingFile &file : reports) {
    report::write(*report, *report::getFormat(file.getPath()), file.stream());
    if (std::error_code error = file.flush())
      return fail("cannot write '" + file.getPath() + "': " + error.message());
  }
  for (PendingFile &file : reports)
    if (std::error_code error = file.commit())
      return fail("cannot write '" + file.getPath() + "': " + error.message());
  endStep();
  return success();
}

LogicalResult Compilation::writeDepfile() {
  llvm::Error error =
      llvm::writeToOutput(options.depfile, [&](raw_ostream &os) {
        auto escape = [&](StringRef name) {
          for (char c : name) {
            if (c == ' ' || c == '#' || c == '\\')
              os << '\\';
            os << c;
            if (c == '$')
              os << '$';
          }
        };
        escape(options.output);
        os << ':';
        for (const std::string &file : dependencies) {
          os << " \\\n  ";
          escape(file);
        }
        os << '\n';
        return llvm::Error::success();
      });
  if (error)
    return fail("cannot write '" + options.depfile +
                "': " + llvm::toString(std::move(error)));
  return success();
}

LogicalResult Compilation::run() {
  if (failed(checkInputs()))
    return failure();
  setUpContext();
  if (options.emit > Phase::Tensor || options.dryRun)
    if (failed(loadSystem()))
      return failure();
  if (options.dryRun) {
    printPlan();
    return success();
  }
  Phase lastMLIR = std::min(options.emit, Phase::Schedule);
  stepCount =
      2 + static_cast<unsigned>(lastMLIR) + 1 + !options.reports.empty();
  if (failed(openReports()) || failed(read()))
    return failure();
  if (fromMLIR && start > options.emit)
    return fail("'" + options.inputs.front().path + "' stands after phase '" +
                getPhaseInfo(start).name + "' already: --emit=" +
                getPhaseInfo(options.emit).name + " lies before it");
  if (options.inDouble && fromMLIR && start > Phase::Tensor)
    return fail("'" + options.inputs.front().path + "' stands after phase '" +
                getPhaseInfo(Phase::Tensor).name +
                "': it has no form in f64");
  if (fromMLIR && failed(verifyInput()))
    return failure();
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
  if (!options.reports.empty() && failed(writeReports())) {
    for (const std::string &file : artifact.files)
      fs::remove(file);
    return failure();
  }
  if (!options.depfile.empty() && failed(writeDepfile()))
    return failure();
  return success();
}

LogicalResult headrace::compile(const CompileOptions &options,
                                Messages &messages) {
  return Compilation(options, messages).run();
}
