//===- CPUTarget.cpp - x86-64 and AArch64 through LLVM --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From a module after `schedule` to a file:
//
// 1. read the entries; place weights and states;
// 2. cut every stage into a module of its own, lower and compile these on all
//    threads of the context;
// 3. transcribe the programs, emit the tables;
// 4. link with the runtime; append weights, signature and footer.
//
// Both families of CPU go the same way. What differs between them and between
// their members is in the description, and in the runtime's objects.
//
//===----------------------------------------------------------------------===//
#include "CPUTarget.h"
#include "ArtifactFile.h"
#include "Atoms.h"
#include "Codegen.h"
#include "Image.h"
#include "KeptStates.h"
#include "Link.h"
#include "Lowering.h"
#include "Timeline.h"
#include "WeightLayout.h"
#include "headrace/Dialect/HR/HR.h"
#include "headrace/Dialect/Sched/Sched.h"
#include "headrace/Runtime/Hash.h"
#include "headrace/Runtime/Rename.h"
#include "headrace/Schedule/ProgramIR.h"
#include "headrace/Target/StageABI.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Threading.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace headrace;

/// Weights of an object up to this size are part of it.
static constexpr int64_t embedLimit = 1 << 20;
/// Beyond this the code could not reach them.
static constexpr int64_t embedMaximum = 1 << 30;
static constexpr int64_t stateAlignment = 128;

bool CPUTarget::claims(const hw::Device &device) const {
  return device.codegen == "x86_64" || device.codegen == "aarch64";
}

bool CPUTarget::emits(const hw::Device &device, const hw::Atom &atom) const {
  const AtomInstruction *found = findAtomInstruction(atom.instruction);
  return found && (found->codegen.empty() || found->codegen == device.codegen) &&
         (found->m == 0 || (found->m == atom.m && found->n == atom.n &&
                            found->k == atom.k));
}

void headrace::registerTargetDialects(DialectRegistry &registry) {
  registerAllToLLVMIRTranslations(registry);
  registry.insert<LLVM::LLVMDialect>();
}

namespace {
/// One emission.
class Emission {
public:
  Emission(ModuleOp module, const hw::Device &device,
           const TargetOptions &options, ArtifactInfo &info)
      : module(module), device(device), options(options), info(info),
        path(options.file ? options.file->getPath() : ""), codegen(Codegen::forDevice(device, options.optLevel)),
        weights(*module.getContext()
                     ->getOrLoadDialect<hr::HRDialect>()
                     ->shareWeights()) {}

  LogicalResult run();

private:
  LogicalResult fail(const Twine &message) {
    return emitError(module.getLoc()) << message;
  }
  LogicalResult readEntries();
  LogicalResult placeData();
  LogicalResult lowerStages();
  /// The LLVM IR of stage `i`, optimized.
  std::unique_ptr<llvm::Module> compileStage(size_t i,
                                             llvm::LLVMContext &context,
                                             llvm::TargetMachine &machine);
  LogicalResult compileStages(SmallVectorImpl<ObjectFile> &objects);
  /// The timelines and tables.
  std::unique_ptr<llvm::Module> compileProgram(llvm::LLVMContext &context,
                                               llvm::TargetMachine &machine);
  LogicalResult emitText();
  LogicalResult emitBinary();
  /// Writes all but the `linkedBytes` bytes of code.
  LogicalResult writeData(uint64_t linkedBytes);
  LogicalResult keep(StringRef what, StringRef bytes);

  /// One program of an entry.
  struct Program {
    size_t entry;
    sched::ProgramOp op;
  };

  ModuleOp module;
  const hw::Device &device;
  const TargetOptions &options;
  ArtifactInfo &info;
  std::string path;
  Codegen codegen;
  WeightLayout weights;
  Placement placement;
  Image image;
  std::vector<Program> programs;
  /// Names of stage functions, in order of first use.
  SmallVector<StringRef> stages;
  /// Operands of each.
  llvm::StringMap<unsigned> operandCounts;
  llvm::StringSet<> disjoint;
  OwningOpRef<ModuleOp> lowered;
  SmallVector<ModuleOp> stageModules;
  SmallVector<char, 0> embedded;
  std::string signature;
  uint64_t id[2] = {0, 0};
};
} // namespace

LogicalResult Emission::keep(StringRef what, StringRef bytes) {
  if (options.saveTemps.empty())
    return success();
  std::string error;
  OutputFile *file =
      options.files->add(options.saveTemps + "." + what.str(), error);
  if (!file || !file->write(bytes.data(), bytes.size(), error) ||
      !file->commit(error))
    return fail(error);
  return success();
}

//===----------------------------------------------------------------------===//
// 1. Entries and data
//===----------------------------------------------------------------------===//

LogicalResult Emission::readEntries() {
  image.name = options.name;
  image.producer = options.producer;
  image.symbol = "hr_model_" + image.name;
  // What is copied under another name has room for one.
  if (options.output == TargetOptions::Output::SharedObject)
    image.symbol.resize(std::max<size_t>(HR_NAME_ROOM, image.symbol.size()),
                        '$');
  image.codegen = device.codegen;
  image.features = device.features;
  llvm::StringMap<size_t> numbers;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function->hasAttr("hr.entry"))
      continue;
    FailureOr<ImageEntry> entry = readEntry(function);
    if (failed(entry))
      return failure();
    // It becomes a part of C functions' names, and an option of headrace-run.
    StringRef name = entry->name;
    if (name.empty() || llvm::isDigit(name.front()) ||
        !llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; }))
      return function.emitError()
             << "an entry's name is a C identifier, not '" << name << "'";
    numbers[function.getName()] = image.entries.size();
    image.entries.push_back(std::move(*entry));
  }
  if (image.entries.empty())
    return fail("no entry in the module: expected functions with 'hr.entry'");
  for (auto program : module.getOps<sched::ProgramOp>()) {
    auto it = numbers.find(program.getEntry());
    if (it == numbers.end())
      return program.emitError()
             << "schedule of unknown entry '" << program.getEntry() << "'";
    programs.push_back({it->second, program});
  }
  auto getKey = [](Program program) {
    return std::make_pair(program.entry, program.op.getWorkers());
  };
  llvm::sort(programs,
             [&](Program a, Program b) { return getKey(a) < getKey(b); });
  for (size_t i = 1; i < programs.size(); ++i)
    if (getKey(programs[i - 1]) == getKey(programs[i]))
      return programs[i].op.emitError()
             << "second schedule of entry '" << programs[i].op.getEntry()
             << "' for " << programs[i].op.getWorkers() << " workers";
  for (auto [i, entry] : llvm::enumerate(image.entries)) {
    auto first = llvm::find_if(
        programs, [&](Program &program) { return program.entry == i; });
    if (first == programs.end() || first->op.getWorkers() != 1)
      return fail("entry '" + entry.name + "' has no schedule for one worker");
    if (first->op.getWork())
      entry.work = first->op.getWork()->getExpr();
    for (Operation *op : getWork(first->op))
      entry.commands.push_back(
          isa<sched::RunOp>(op) ? cast<sched::RunOp>(op).getStage().str()
                                : "copy");
  }
  image.scheduleHash = hashSchedules(module);
  if (auto sites = module->getAttrOfType<ArrayAttr>(sitesAttribute))
    for (Attribute attribute : sites) {
      std::optional<ImageSite> site = readSite(attribute);
      if (!site)
        return module.emitError() << "no site of a check: " << attribute;
      image.sites.push_back(std::move(*site));
    }
  for (ImageEntry &entry : image.entries)
    for (ImageCheck &check : entry.checks) {
      check.siteNumber = llvm::find(image.sites, check.site) -
                         image.sites.begin();
      if (check.siteNumber == static_cast<int64_t>(image.sites.size()))
        image.sites.push_back(check.site);
    }
  return success();
}

LogicalResult Emission::placeData() {
  std::string error;
  llvm::StringMap<hr::StateOp> states;
  for (auto state : module.getOps<hr::StateOp>())
    states[state.getSymName()] = state;

  auto placeState = [&](StringRef name) -> LogicalResult {
    if (placement.states.contains(name))
      return success();
    hr::StateOp op = states.lookup(name);
    if (!op)
      return fail("no hr.state '" + name + "'");
    auto type = cast<RankedTensorType>(op.getType());
    ImageState state;
    state.name = name.str();
    state.type = type;
    state.bytes = type.getNumElements() * getElementBytes(type.getElementType());
    state.offset = llvm::alignTo(image.stateBytes, stateAlignment);
    image.stateBytes = state.offset + state.bytes;
    placement.states[name] = state.offset;
    if (op.getInitial()) {
      std::string initial = op.getInitial()->str();
      if (failed(weights.place({initial}, error)))
        return fail(error);
      state.initial = weights.getOffset(initial);
    }
    image.states.push_back(state);
    return success();
  };

  // Stacks first: they want their slots in a row, single weights do not care.
  for (bool single : {false, true}) {
    for (Program &program : programs) {
      for (auto buffer : program.op.getOps<sched::BufferOp>()) {
        SmallVector<std::string> slots = getSlotNames(buffer);
        if (slots.empty() || (slots.size() == 1) != single)
          continue;
        if (buffer.getKind() == hr::BufferKind::Const &&
            failed(weights.place(slots, error)))
          return buffer.emitError() << error;
        if (buffer.getKind() == hr::BufferKind::State)
          for (const std::string &slot : slots)
            if (failed(placeState(slot)))
              return failure();
      }
    }
  }
  // States that no program touches are part of the signature all the same.
  for (auto state : module.getOps<hr::StateOp>())
    if (failed(placeState(state.getSymName())))
      return failure();

  for (auto [i, entry] : llvm::enumerate(image.entries))
    for (Program &program : programs)
      if (program.entry == i && program.op.getWorkers() == 1)
        entry.kept = findKeptStates(module, program.op, entry, image);

  image.weightBytes = info.weightBytes = weights.getBytes();
  placement.weights = &weights;
  bool isObject = options.output == TargetOptions::Output::Object;
  bool external = options.weights == TargetOptions::Weights::External ||
                  (options.weights == TargetOptions::Weights::Auto &&
                   isObject && image.weightBytes > embedLimit &&
                   options.file && options.file->isFile());
  if (external && image.weightBytes)
    image.weightsFile = llvm::sys::path::filename(getWeightsPath(path)).str();
  else if (isObject)
    image.embedWeights = true;
  if (image.embedWeights && image.weightBytes > embedMaximum)
    return fail("an object holds at most " + Twine(embedMaximum) +
                " bytes of weights but there are " + Twine(image.weightBytes) +
                "; keep them beside it (--weights=external)");
  if (image.embedWeights) {
    llvm::raw_svector_ostream os(embedded);
    if (failed(weights.write(os, error)))
      return fail(error);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// 2. Stages
//===----------------------------------------------------------------------===//

LogicalResult Emission::lowerStages() {
  llvm::StringSet<> seen;
  for (Program &program : programs)
    program.op.walk([&](sched::RunOp run) {
      sched::StageOp stage = run.getStageOp();
      if (seen.insert(stage.getFunction()).second) {
        stages.push_back(stage.getFunction());
        operandCounts[stage.getFunction()] = run.getBuffers().size();
      }
    });
  disjoint = findDisjointStages(module);
  info.numStages = static_cast<int64_t>(stages.size());

  FailureOr<OwningOpRef<ModuleOp>> split = splitStages(module, stages);
  if (failed(split))
    return failure();
  lowered = std::move(*split);
  MLIRContext *context = module.getContext();
  DialectRegistry registry;
  registerTargetDialects(registry);
  context->appendDialectRegistry(registry);
  PassManager pm(context);
  if (options.configure)
    options.configure(pm);
  buildStageLowering(pm.nest<ModuleOp>(), codegen, options.debugInfo);
  if (failed(pm.run(*lowered)))
    return failure();
  stageModules = llvm::to_vector(lowered->getOps<ModuleOp>());
  if (options.saveTemps.empty())
    return success();
  std::string text;
  llvm::raw_string_ostream os(text);
  lowered->print(os);
  return keep("stages.mlir", text);
}

std::unique_ptr<llvm::Module>
Emission::compileStage(size_t i, llvm::LLVMContext &context,
                       llvm::TargetMachine &machine) {
  std::unique_ptr<llvm::Module> result =
      translateModuleToLLVMIR(stageModules[i], context, stages[i]);
  if (!result) {
    emitError(stageModules[i].getLoc())
        << "stage '" << stages[i] << "' cannot be translated to LLVM IR";
    return nullptr;
  }
  result->setSourceFileName(stages[i]);
  codegen.prepare(*result, machine);
  llvm::Function *function = result->getFunction(getStageSymbol(stages[i]));
  if (function && disjoint.contains(stages[i]))
    markDisjoint(*function, operandCounts.lookup(stages[i]));
  codegen.optimize(*result, machine);
  return result;
}

LogicalResult Emission::compileStages(SmallVectorImpl<ObjectFile> &objects) {
  std::vector<ObjectFile> results(stages.size());
  LogicalResult result = failableParallelForEach(
      module.getContext(), llvm::seq<size_t>(0, stages.size()),
      [&](size_t i) -> LogicalResult {
        std::string error;
        llvm::LLVMContext context;
        std::unique_ptr<llvm::TargetMachine> machine =
            codegen.createTargetMachine(error);
        if (!machine)
          return fail(error);
        std::unique_ptr<llvm::Module> code =
            compileStage(i, context, *machine);
        if (!code)
          return failure();
        results[i].name = stages[i].str();
        if (failed(emitCode(*code, *machine, /*assembly=*/false,
                            results[i].bytes, error)))
          return fail(error);
        return success();
      });
  if (failed(result))
    return failure();
  for (ObjectFile &object : results) {
    if (failed(keep(object.name + ".o",
                    StringRef(object.bytes.data(), object.bytes.size()))))
      return failure();
    objects.push_back(std::move(object));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// 3. Programs and tables
//===----------------------------------------------------------------------===//

std::unique_ptr<llvm::Module>
Emission::compileProgram(llvm::LLVMContext &context,
                         llvm::TargetMachine &machine) {
  auto result = std::make_unique<llvm::Module>("program", context);
  result->setSourceFileName("program");
  result->setTargetTriple(codegen.triple);
  result->setDataLayout(machine.createDataLayout());
  for (ImageEntry &entry : image.entries)
    entry.schedules.clear();
  for (Program &program : programs) {
    ImageEntry &entry = image.entries[program.entry];
    entry.schedules.emplace_back();
    if (failed(transcribeProgram(program.op, entry, placement, *result,
                                 entry.schedules.back())))
      return nullptr;
  }
  signature = writeSignature(image);
  // What ties code and weights together: the weights, and what is said of them.
  id[0] = weights.getHash();
  id[1] = hr_hash(signature.data(), signature.size());
  emitImage(image, signature, id, *result, embedded);
  codegen.prepare(*result, machine);
  codegen.optimize(*result, machine);
  return result;
}

//===----------------------------------------------------------------------===//
// 4. Output
//===----------------------------------------------------------------------===//

LogicalResult Emission::emitText() {
  std::string error;
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine =
      codegen.createTargetMachine(error);
  if (!machine)
    return fail(error);
  std::unique_ptr<llvm::Module> all = compileProgram(context, *machine);
  if (!all)
    return failure();
  for (size_t i = 0; i < stages.size(); ++i) {
    std::unique_ptr<llvm::Module> stage = compileStage(i, context, *machine);
    if (!stage)
      return failure();
    if (llvm::Linker::linkModules(*all, std::move(stage)))
      return fail("stage '" + stages[i] + "' cannot be merged with the others");
  }
  SmallVector<char, 0> text;
  if (options.output == TargetOptions::Output::Assembly) {
    if (failed(emitCode(*all, *machine, /*assembly=*/true, text, error)))
      return fail(error);
  } else {
    llvm::raw_svector_ostream os(text);
    all->print(os, nullptr);
  }
  StringRef bytes(text.data(), text.size());
  info.outputBytes = static_cast<int64_t>(bytes.size());
  if (!options.file) {
    llvm::outs() << bytes;
    return success();
  }
  if (!options.file->write(bytes.data(), bytes.size(), error))
    return fail(error);
  return success();
}

/// Bytes of instructions in an object file.
static int64_t countInstructionBytes(const ObjectFile &object) {
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(
      StringRef(object.bytes.data(), object.bytes.size()), object.name));
  if (!file) {
    llvm::consumeError(file.takeError());
    return 0;
  }
  int64_t bytes = 0;
  for (const llvm::object::SectionRef &section : (*file)->sections())
    if (section.isText())
      bytes += static_cast<int64_t>(section.getSize());
  return bytes;
}

LogicalResult Emission::emitBinary() {
  // 1. Objects.
  SmallVector<ObjectFile> objects;
  std::string error;
  {
    llvm::LLVMContext context;
    std::unique_ptr<llvm::TargetMachine> machine =
        codegen.createTargetMachine(error);
    if (!machine)
      return fail(error);
    std::unique_ptr<llvm::Module> program = compileProgram(context, *machine);
    if (!program)
      return failure();
    ObjectFile object{"program", {}};
    if (failed(emitCode(*program, *machine, /*assembly=*/false, object.bytes,
                        error)))
      return fail(error);
    if (failed(keep("program.o",
                    StringRef(object.bytes.data(), object.bytes.size()))))
      return failure();
    objects.push_back(std::move(object));
  }
  if (failed(compileStages(objects)))
    return failure();
  for (const ObjectFile &object : objects)
    info.codeBytes += static_cast<int64_t>(object.bytes.size());
  info.timelineCode = countInstructionBytes(objects.front());
  for (const ObjectFile &object : ArrayRef(objects).drop_front())
    info.stageCode.push_back({object.name, countInstructionBytes(object)});
  if (options.output == TargetOptions::Output::Nothing)
    return success();

  // 2. Link.
  bool isObject = options.output == TargetOptions::Output::Object;
  SmallVector<char, 0> linked;
  if (failed(isObject ? linkRelocatable(objects, codegen.triple, image.symbol,
                                        linked, error)
                      : linkShared(objects, codegen.triple, image.symbol,
                                   image.name,
                                   llvm::sys::path::filename(path),
                                   options.debugInfo, linked, error)) ||
      !options.file->write(linked.data(), linked.size(), error))
    return fail(error);

  // 3. Data: behind the code, or in files beside it.
  return writeData(linked.size());
}

LogicalResult Emission::writeData(uint64_t linkedBytes) {
  std::string error;
  bool isObject = options.output == TargetOptions::Output::Object;
  hr_footer footer = {};
  footer.id[0] = id[0];
  footer.id[1] = id[1];
  auto writeWeights = [&](raw_ostream &os, std::string &error) {
    return weights.write(os, error);
  };
  llvm::function_ref<LogicalResult(raw_ostream &, std::string &)> none;
  bool external = !image.weightsFile.empty();
  if (!isObject) {
    bool here = !external && image.weightBytes;
    if (failed(appendArtifactData(*options.file, linkedBytes,
                                  here ? image.weightBytes : 0,
                                  here ? writeWeights : none, signature, footer,
                                  error)))
      return fail(error);
  }
  info.outputBytes = options.file->getBytes();
  if (external) {
    std::string beside = getWeightsPath(path);
    if (std::string owner = findOwnerOfWeights(beside, path, id);
        !owner.empty())
      return fail("'" + beside + "' holds the weights of '" + owner +
                  "': give this output another name");
    OutputFile *file = options.files->add(beside, error);
    if (!file ||
        failed(appendArtifactData(*file, /*codeBytes=*/0, image.weightBytes,
                                  writeWeights, signature, footer, error)))
      return fail(error);
  }
  if (isObject && options.file->isFile()) {
    std::string header = writeHeader(image);
    OutputFile *file = options.files->add(getHeaderPath(path), error);
    if (!file || !file->write(header.data(), header.size(), error))
      return fail(error);
  }
  return success();
}

LogicalResult Emission::run() {
  std::string error;
  if (failed(checkFeatures(device, error)))
    return fail(error);
  if (failed(readEntries()) || failed(placeData()) || failed(lowerStages()))
    return failure();
  bool text = options.output == TargetOptions::Output::Assembly ||
              options.output == TargetOptions::Output::LLVMIR;
  return text ? emitText() : emitBinary();
}

LogicalResult CPUTarget::emit(ModuleOp module, const hw::System &system,
                              const TargetOptions &options,
                              ArtifactInfo *info) const {
  return Emission(module, system.getDevice(), options, *info).run();
}
