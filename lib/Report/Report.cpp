//===- Report.cpp - Where every byte and microsecond goes -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "headrace/Report/Report.h"
#include "Parts.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Plan/Planner.h"
#include "headrace/Schedule/ProgramIR.h"
#include "headrace/Support/Place.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::report;
using llvm::json::Array;
using llvm::json::Object;

//===----------------------------------------------------------------------===//
// Small parts
//===----------------------------------------------------------------------===//

std::string report::toText(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

Object report::describePlace(Location location) {
  Place place = getPlace(location);
  Object result;
  if (!place.file.empty()) {
    result["file"] = llvm::json::fixUTF8(place.file);
    result["line"] = place.line;
    if (!StringRef(place.file).ends_with(".mlir"))
      if (std::string quote = quoteLine(place.file, place.line); !quote.empty())
        result["text"] = llvm::json::fixUTF8(quote);
  }
  if (!place.node.empty())
    result["node"] = llvm::json::fixUTF8(place.node);
  return result;
}

Decision::Decision(StringRef phase, StringRef pass, Diagnostic &remark)
    : phase(phase), pass(pass), text(remark.str()),
      location(remark.getLocation()) {
  ArrayRef<DiagnosticArgument> arguments = remark.getArguments();
  for (auto [i, argument] : llvm::enumerate(arguments)) {
    bool isNumber =
        argument.getKind() == DiagnosticArgument::DiagnosticArgumentKind::Integer ||
        argument.getKind() == DiagnosticArgument::DiagnosticArgumentKind::Unsigned;
    if (!isNumber || i + 1 == arguments.size() ||
        arguments[i + 1].getKind() !=
            DiagnosticArgument::DiagnosticArgumentKind::String)
      continue;
    StringRef words =
        arguments[i + 1].getAsString().take_until([](char c) {
          return c == ',' || c == ';' || c == ':' || c == ']';
        });
    if (words = words.trim(); words.empty())
      continue;
    figures.push_back(
        {argument.getKind() ==
                 DiagnosticArgument::DiagnosticArgumentKind::Unsigned
             ? static_cast<int64_t>(argument.getAsUnsigned())
             : argument.getAsInteger(),
         words.str()});
  }
}

static Array describeDecisions(ArrayRef<Decision> decisions) {
  Array result;
  for (const Decision &decision : decisions) {
    Object one{{"phase", decision.phase},
               {"pass", decision.pass},
               {"text", llvm::json::fixUTF8(decision.text)},
               {"place", describePlace(decision.location)}};
    Array figures;
    for (const auto &[value, words] : decision.figures)
      figures.push_back(Object{{"value", value}, {"what", words}});
    one["figures"] = std::move(figures);
    result.push_back(std::move(one));
  }
  return result;
}

static Object describePlan(hr::PlanAttr plan) {
  Array nests;
  for (auto nest : plan.getNests().getAsRange<hr::NestPlanAttr>())
    nests.push_back(Object{{"vector", nest.getVector()},
                           {"vectors", nest.getVectors()},
                           {"row", nest.getRow()},
                           {"rows", nest.getRows()},
                           {"block", nest.getBlock()},
                           {"totals_in_scratch", nest.getTotalsInScratch()},
                           {"cost", nest.getCost()}});
  Array edges;
  if (plan.getEdges())
    for (auto edge : plan.getEdges().getAsRange<hr::EdgeAttr>())
      edges.push_back(Object{{"nest", edge.getNest()},
                             {"value", edge.getValue()},
                             {"memory", edge.getMemory()},
                             {"bytes", edge.getBytes()}});
  Array tile;
  for (int64_t size : plan.getTile().asArrayRef())
    tile.push_back(size);
  return Object{{"tile", std::move(tile)},
                {"lanes", plan.getLanes()},
                {"stream", plan.getStream()},
                {"nests", std::move(nests)},
                {"edges", std::move(edges)},
                {"predicted_ns", plan.getNanoseconds()},
                {"runner_up", plan.getRunnerUp()}};
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

/// Every stage of every entry, in order of first appearance, numbered by name.
static Array describeStages(ModuleOp module, const Sources &sources,
                            llvm::StringMap<int64_t> &numbers) {
  llvm::StringMap<int64_t> code;
  for (const auto &[name, bytes] : sources.stageCode)
    code[name] = bytes;
  Array result;
  for (auto program : module.getOps<sched::ProgramOp>())
    for (auto stage : program.getOps<sched::StageOp>()) {
      if (!numbers.try_emplace(stage.getName(), result.size()).second)
        continue;
      Object one{{"name", stage.getName()},
                 {"entry", program.getEntry()},
                 {"function", stage.getFunction()},
                 {"scratch_bytes",
                  static_cast<int64_t>(stage.getScratchBytes())}};
      Array grid;
      for (auto size : stage.getGrid().getAsRange<hr::SizeAttr>())
        grid.push_back(size.getText());
      one["grid"] = std::move(grid);
      if (hr::SizeAttr flops = stage.getFlopsAttr())
        one["flops"] = flops.getText();
      if (auto bytes = code.find(stage.getFunction()); bytes != code.end())
        one["code_bytes"] = bytes->second;
      auto function = module.lookupSymbol<func::FuncOp>(stage.getFunction());
      if (!function)
        continue;
      Array contractions, places;
      if (hr::OriginAttr origin = hr::HRDialect::getOrigin(function)) {
        one["plan"] = describePlan(origin.getPlan());
        for (auto contraction :
             origin.getContractions().getAsRange<hr::ContractionAttr>())
          contractions.push_back(
              Object{{"lhs", toText(contraction.getLhs())},
                     {"rhs", toText(contraction.getRhs())},
                     {"sum", toText(contraction.getSum())},
                     {"flops", contraction.getFlops().getText()}});
        for (auto place : origin.getSources().getAsRange<LocationAttr>())
          places.push_back(describePlace(place));
      }
      one["contractions"] = std::move(contractions);
      one["places"] = std::move(places);
      result.push_back(std::move(one));
    }
  return result;
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

/// What is stored with the code: name, type, layout, and who reads it.
static Array describeConstants(ModuleOp module,
                               const llvm::StringMap<int64_t> &stages) {
  llvm::StringMap<llvm::SetVector<int64_t>> readers;
  for (auto program : module.getOps<sched::ProgramOp>())
    program.walk([&](sched::RunOp run) {
      for (unsigned i = 0; i < run.getBuffers().size(); ++i) {
        sched::BufferOp buffer = run.getBuffer(i);
        if (buffer.getKind() != hr::BufferKind::Const)
          continue;
        for (auto name : buffer.getSymbols()->getAsRange<FlatSymbolRefAttr>())
          readers[name.getValue()].insert(stages.lookup(run.getStage()));
      }
    });
  llvm::StringSet<> initial;
  for (auto state : module.getOps<hr::StateOp>())
    if (state.getInitial())
      initial.insert(*state.getInitial());
  Array result;
  for (auto weight : module.getOps<hr::WeightOp>()) {
    auto type = cast<RankedTensorType>(weight.getType());
    auto used = readers.find(weight.getSymName());
    if (used == readers.end() && !initial.contains(weight.getSymName()))
      continue;
    Array shape, numbers;
    for (int64_t size : type.getShape())
      shape.push_back(size);
    if (used != readers.end())
      for (int64_t stage : used->second)
        numbers.push_back(stage);
    Object one{{"name", weight.getSymName()},
               {"type", toText(type.getElementType())},
               {"shape", std::move(shape)},
               {"bytes", type.getNumElements() *
                             getElementBytes(type.getElementType())},
               {"stages", std::move(numbers)}};
    if (auto layout = weight->getAttrOfType<StringAttr>("hr.layout"))
      one["layout"] = layout.getValue();
    if (auto reason = weight->getAttrOfType<StringAttr>("hr.reason"))
      one["reason"] = reason.getValue();
    if (auto source =
            weight->getAttrOfType<StringAttr>("hr.repacked_from")) {
      one["repacked_from"] = source.getValue();
      // Both are stored: the other layout has readers of its own.
      one["copy"] = readers.contains(source.getValue()) ||
                    initial.contains(source.getValue());
    }
    result.push_back(std::move(one));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

static Array describePorts(func::FuncOp entry, bool inputs) {
  Array result;
  FunctionType type = entry.getFunctionType();
  for (auto [i, port] :
       llvm::enumerate(inputs ? type.getInputs() : type.getResults())) {
    DictionaryAttr attributes =
        inputs ? entry.getArgAttrDict(i) : entry.getResultAttrDict(i);
    auto tensor = cast<RankedTensorType>(port);
    Object one{{"type", toText(tensor.getElementType())}};
    if (auto name = attributes ? attributes.getAs<StringAttr>("hr.name")
                               : StringAttr())
      one["name"] = name.getValue();
    Array shape;
    if (auto dims = attributes ? attributes.getAs<ArrayAttr>("hr.dims")
                               : ArrayAttr()) {
      for (auto dim : dims.getAsRange<hr::SizeAttr>())
        shape.push_back(dim.getText());
    } else {
      for (int64_t size : tensor.getShape())
        shape.push_back(std::to_string(size));
    }
    one["shape"] = std::move(shape);
    result.push_back(std::move(one));
  }
  return result;
}

namespace {
class ReportBuilder {
public:
  ReportBuilder(ModuleOp module, const hw::System &system, const Sources &sources)
      : module(module), system(system), sources(sources),
        schedule(llvm::utohexstr(hashSchedules(module), /*LowerCase=*/true,
                                 16)),
        used(sources.profiles.size(), false) {}

  FailureOr<Object> run();

private:
  LogicalResult checkSizes();
  LogicalResult checkProfiles();
  FailureOr<Object> describeEntry(func::FuncOp entry);

  ModuleOp module;
  const hw::System &system;
  const Sources &sources;
  std::string schedule;
  /// Profiles that a program was found for.
  std::vector<bool> used;
  llvm::StringMap<int64_t> stages;
};
} // namespace

LogicalResult ReportBuilder::checkSizes() {
  llvm::StringSet<> known;
  for (auto program : module.getOps<sched::ProgramOp>())
    for (const auto &range : program.getSymbolRanges()) {
      known.insert(range.getKey());
      auto size = sources.sizes.find(range.getKey());
      if (size == sources.sizes.end())
        continue;
      const Interval &interval = range.getValue();
      if (size->second < interval.min || size->second > interval.max)
        return emitError(module.getLoc())
               << "expected size '" << range.getKey() << "' to be "
               << interval.min << " to " << interval.max << " but got "
               << size->second;
    }
  for (const auto &size : sources.sizes)
    if (!known.contains(size.getKey()))
      return emitError(module.getLoc())
             << "no entry has a size '" << size.getKey() << "'";
  return success();
}

LogicalResult ReportBuilder::checkProfiles() {
  for (const Profile &profile : sources.profiles)
    if (profile.schedule != schedule)
      return emitError(module.getLoc())
             << "profile '" << profile.path
             << "' is of another artifact: expected schedule " << schedule
             << " but got " << profile.schedule
             << "; was it compiled from the same files, with the same options "
                "and the same hrcc?";
  return success();
}

FailureOr<Object> ReportBuilder::describeEntry(func::FuncOp entry) {
  SymbolRanges ranges = hr::getSymbolRanges(entry);
  SymbolBindings sizes = plan::getTypicalSizes(entry);
  StringRef origin = "typical";
  for (const Profile &profile : sources.profiles)
    if (profile.entry == entry.getName() && !profile.sizes.empty()) {
      sizes = profile.sizes;
      origin = "profile";
    }
  for (const auto &size : sources.sizes)
    if (ranges.contains(size.getKey())) {
      sizes[size.getKey()] = size.second;
      origin = "command line";
    }
  Array symbols;
  for (StringRef name : hr::getSymbolNames(entry)) {
    Interval range = ranges.lookup(name);
    Object one{{"name", name}, {"least", range.min},
               {"value", sizes.lookup(name)}};
    if (range.max != std::numeric_limits<int64_t>::max())
      one["largest"] = range.max;
    symbols.push_back(std::move(one));
  }
  Array programs;
  int64_t chosen = 1; // workers of a call, if it may have all
  for (auto program : module.getOps<sched::ProgramOp>()) {
    if (program.getEntry() != entry.getName())
      continue;
    int64_t workers = program.getWorkers();
    std::optional<int64_t> work =
        program.getWork() ? program.getWork()->getExpr().evaluate(sizes)
                          : std::nullopt;
    if (static_cast<int64_t>(program.getFromWork().value_or(0)) <=
        work.value_or(std::numeric_limits<int64_t>::max() - 1))
      chosen = std::max(chosen, workers);
    const Profile *profile = nullptr;
    for (auto [i, one] : llvm::enumerate(sources.profiles)) {
      if (one.entry != entry.getName() ||
          one.workers != static_cast<int64_t>(program.getWorkers()))
        continue;
      for (const auto &size : one.sizes)
        if (sizes.lookup(size.getKey()) != size.second)
          return entry.emitError()
                 << "profile '" << one.path << "' was measured with '"
                 << size.getKey() << "' = " << size.second
                 << " but the report is for " << sizes.lookup(size.getKey());
      if (profile)
        return entry.emitError()
               << "two profiles of entry '" << entry.getName() << "' on "
               << one.workers << " workers: '" << profile->path << "' and '"
               << one.path << "'";
      profile = &one;
      used[i] = true;
    }
    FailureOr<Object> described =
        describeProgram(program, system, sizes, stages, profile);
    if (failed(described))
      return failure();
    programs.push_back(std::move(*described));
  }
  return Object{{"name", entry.getName()},
                {"symbols", std::move(symbols)},
                {"sizes_from", origin},
                {"inputs", describePorts(entry, true)},
                {"outputs", describePorts(entry, false)},
                {"workers", chosen},
                {"programs", std::move(programs)}};
}

FailureOr<Object> ReportBuilder::run() {
  if (failed(checkSizes()) || failed(checkProfiles()))
    return failure();
  Object result{{"format", "headrace.report"},
                {"version", version},
                {"producer", sources.producer},
                {"name", sources.name},
                {"opt_level", sources.optLevel},
                {"schedule", schedule},
                {"machine", describeMachine(system)}};
  Array inputs;
  for (const auto &[entry, file] : sources.inputs)
    inputs.push_back(Object{{"entry", entry}, {"file", file}});
  result["inputs"] = std::move(inputs);
  result["stages"] = describeStages(module, sources, stages);
  result["constants"] = describeConstants(module, stages);
  int64_t stateBytes = 0;
  for (auto state : module.getOps<hr::StateOp>()) {
    auto type = cast<RankedTensorType>(state.getType());
    stateBytes += type.getNumElements() * getElementBytes(type.getElementType());
  }
  result["state_bytes"] = stateBytes;
  result["decisions"] = describeDecisions(sources.decisions);
  if (!sources.stageCode.empty())
    result["timeline_code_bytes"] = sources.timelineCode;
  Array entries;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function->hasAttr("hr.entry"))
      continue;
    FailureOr<Object> entry = describeEntry(function);
    if (failed(entry))
      return failure();
    entries.push_back(std::move(*entry));
  }
  result["entries"] = std::move(entries);
  for (auto [i, profile] : llvm::enumerate(sources.profiles))
    if (!used[i])
      return emitError(module.getLoc())
             << "profile '" << profile.path << "': no schedule of entry '"
             << profile.entry << "' for " << profile.workers << " workers";
  return result;
}

FailureOr<Object> report::build(ModuleOp module, const hw::System &system,
                                const Sources &sources) {
  return ReportBuilder(module, system, sources).run();
}

//===----------------------------------------------------------------------===//
// Forms
//===----------------------------------------------------------------------===//

std::optional<Format> report::getFormat(StringRef path) {
  if (path.ends_with(".trace.json"))
    return Format::Trace;
  if (path.ends_with(".json"))
    return Format::JSON;
  if (path.ends_with(".html"))
    return Format::Page;
  return std::nullopt;
}

void report::write(const Object &report, Format format,
                   llvm::raw_ostream &os) {
  switch (format) {
  case Format::JSON:
    os << llvm::json::Value(Object(report)) << '\n';
    return;
  case Format::Trace:
    writeTrace(report, os);
    return;
  case Format::Page:
    writePage(report, os);
    return;
  }
}
