//===- Import.cpp - Reading exported programs -----------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An archive holds `models/NAME.json` (graph, signature, ranges), two tables
// that map the names of parameters, buffers and constants to entries with raw
// bytes, and those entries. Programs are read one after the other into one
// module:
//
//   1. open every archive, parse its three JSON texts, check the versions;
//   2. per entry: declare a weight for each parameter, buffer and constant it
//      uses, with the bytes where they are mapped; one that another entry has
//      under the same name with the same bytes is shared;
//   3. import the graph into a function, then its outputs and mutations;
//   4. turn the weights that some entry names as mutated into states. Mutations
//      by in-place operators are found later, by `aten-functionalize`.
//
// Whatever the file says is checked before it is used: a name against the
// names there are, a window against the bytes of its storage.
//
//===----------------------------------------------------------------------===//
#include "headrace/Import/Import.h"
#include "Importer.h"
#include "headrace/Dialect/Aten/Aten.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Import/ImportBytes.h"
#include "headrace/Import/State.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace headrace;

using llvm::json::Array;
using llvm::json::Object;
using JsonValue = llvm::json::Value;

/// The major version of the schema that this reader knows.
static constexpr int64_t kSchemaMajor = 8;
/// The largest JSON text that is read.
static constexpr uint64_t kMaxJsonBytes = 256 << 20;
LogicalResult Importer::add(Program &program) {
  JsonReader reader(program.file);
  const Object *model = reader.object(&program.model, "the model");
  if (!model)
    return failure();
  const Object *version =
      reader.object(model->get("schema_version"), "schema_version");
  if (!version)
    return failure();
  FailureOr<int64_t> major =
      reader.integer(version->get("major"), "schema_version.major");
  if (failed(major))
    return failure();
  if (*major != kSchemaMajor)
    return reader.error("expected schema version ")
           << kSchemaMajor << " but got " << *major
           << "; export the program with a torch of the same schema";
  const Object *graphModule =
      reader.object(model->get("graph_module"), "graph_module");
  if (!graphModule)
    return failure();
  const Object *graph =
      reader.object(graphModule->get("graph"), "graph_module.graph");
  const Object *signature =
      reader.object(graphModule->get("signature"), "graph_module.signature");
  if (!graph || !signature)
    return failure();
  return importEntry(*this, program, *graph, *signature, reader);
}

FailureOr<OwningOpRef<ModuleOp>> Importer::finish(Location loc) {
  SmallVector<StringRef> names;
  for (StringAttr name : mutated)
    names.push_back(name.getValue());
  if (failed(makeStates(*module, names, loc)) || failed(verify(*module)))
    return failure();
  obstacles.leave(*module);
  return std::move(module);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

static bool isIdentifier(StringRef name) {
  return !name.empty() && !llvm::isDigit(name[0]) &&
         llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

/// Reads and parses one JSON entry; an absent optional one is an empty object.
static LogicalResult readJson(Program &program, StringRef entry,
                              bool isOptional, JsonValue &result) {
  if (isOptional && !program.archive->contains(entry)) {
    result = Object();
    return success();
  }
  llvm::Expected<std::string> text =
      program.archive->read(entry, kMaxJsonBytes);
  if (!text)
    return emitError(program.file) << llvm::toString(text.takeError());
  llvm::Expected<JsonValue> parsed = parseBoundedJson(*text);
  if (!parsed)
    return emitError(program.file)
           << "entry '" << entry
           << "' is not valid JSON: " << llvm::toString(parsed.takeError());
  result = std::move(*parsed);
  return success();
}

/// A table of weights: the `config` of its JSON text.
static LogicalResult readConfig(Program &program, StringRef entry,
                                JsonValue &result) {
  JsonValue whole = nullptr;
  if (failed(readJson(program, entry, /*isOptional=*/true, whole)))
    return failure();
  JsonReader reader(program.file);
  Object *fields = whole.getAsObject();
  if (!fields)
    return reader.error("entry '") << entry << "': expected an object";
  if (fields->empty()) {
    result = Object();
    return success();
  }
  JsonValue *config = fields->get("config");
  if (!reader.object(config, "entry '" + entry + "', key 'config'"))
    return failure();
  result = std::move(*config);
  return success();
}

/// An entry that says how the archive is to be read: what it says is known.
static LogicalResult checkMark(Program &program, StringRef entry,
                               StringRef known, StringRef what,
                               StringRef advice) {
  if (!program.archive->contains(entry))
    return success();
  llvm::Expected<std::string> text = program.archive->read(entry, 64);
  if (!text)
    return emitError(program.file) << llvm::toString(text.takeError());
  StringRef found = StringRef(*text).trim();
  if (found == known)
    return success();
  std::string shown = llvm::all_of(found, llvm::isPrint)
                          ? ("'" + found + "'").str()
                          : "something else";
  return emitError(program.file) << "expected " << what << " '" << known
                                 << "' but got " << shown << "; " << advice;
}

/// Reads the texts of an opened archive.
static LogicalResult readTexts(Program &program) {
  SmallVector<std::string> models;
  for (const std::string &name : program.archive->names()) {
    StringRef base = name;
    if (base.consume_front("models/") && base.consume_back(".json"))
      models.push_back(base.str());
  }
  if (models.size() > 1) {
    InFlightDiagnostic diag = emitError(program.file)
                              << "the archive holds several models, '";
    llvm::interleave(
        ArrayRef(models).take_front(8), [&](StringRef name) { diag << name; },
        [&] { diag << "', '"; });
    return diag << (models.size() > 8 ? "', ...: " : "': ")
                << "save each in a file of its own by torch.export.save, and "
                   "give them as entries, as in prefill=a.pt2 decode=b.pt2";
  }
  std::string modelName = models.empty() ? "" : models.front();
  if (modelName.empty())
    return emitError(program.file)
           << "the archive has no entry 'models/*.json'; was it written by "
              "torch.export.save?";
  if (failed(checkMark(program, "archive_format", "pt2", "archive format",
                       "save the program by torch.export.save")) ||
      failed(checkMark(program, "archive_version", "0", "archive version",
                       "this hrcc knows what torch 2.8 and later save; export "
                       "the program with one of them")) ||
      failed(checkMark(program, "byteorder", "little", "byte order",
                       "export the program on a machine of that order")))
    return failure();
  program.weightsFolder = "data/weights/";
  program.constantsFolder = "data/constants/";
  if (failed(readJson(program, "models/" + modelName + ".json",
                      /*isOptional=*/false, program.model)) ||
      failed(readConfig(program,
                        program.weightsFolder + modelName +
                            "_weights_config.json",
                        program.weights)) ||
      failed(readConfig(program,
                        program.constantsFolder + modelName +
                            "_constants_config.json",
                        program.constants)))
    return failure();
  return success();
}

static LogicalResult loadDialects(MLIRContext *context) {
  context->loadDialect<aten::AtenDialect, hr::HRDialect, func::FuncDialect>();
  return success();
}

FailureOr<OwningOpRef<ModuleOp>>
headrace::importPt2(MLIRContext *context, ArrayRef<EntryFile> entries) {
  (void)loadDialects(context);
  Location unknown = UnknownLoc::get(context);
  if (entries.empty())
    return emitError(unknown) << "expected at least one program";
  Importer importer(context);
  llvm::StringSet<> names;
  std::vector<Program> programs;
  for (const EntryFile &entry : entries) {
    Location file = FileLineColLoc::get(
        context, entry.label.empty() ? entry.path : entry.label, /*line=*/0,
        /*column=*/0);
    if (!isIdentifier(entry.name))
      return emitError(file) << "the entry's name '" << entry.name
                             << "' is not an identifier";
    if (!names.insert(entry.name).second)
      return emitError(file) << "two entries are named '" << entry.name << "'";
    Program program(entry.name, file);
    program.dimNames = entry.dimNames;
    llvm::Expected<std::unique_ptr<Archive>> archive =
        Archive::open(entry.path);
    if (!archive)
      return emitError(file) << llvm::toString(archive.takeError());
    program.archive = std::move(*archive);
    if (failed(readTexts(program)))
      return failure();
    programs.push_back(std::move(program));
  }
  for (Program &program : programs)
    importer.reserve(program.name);
  for (Program &program : programs)
    if (failed(importer.add(program)))
      return failure();
  return importer.finish(programs.front().file);
}

FailureOr<OwningOpRef<ModuleOp>>
headrace::importBytes(MLIRContext *context, ArrayRef<char> bytes,
                      std::shared_ptr<void> owner) {
  (void)loadDialects(context);
  Location file = FileLineColLoc::get(context, "program.pt2", 0, 0);
  Program program("main", file);
  llvm::Expected<std::unique_ptr<Archive>> archive =
      Archive::openBytes(bytes, std::move(owner));
  if (!archive)
    return emitError(file) << llvm::toString(archive.takeError());
  program.archive = std::move(*archive);
  if (failed(readTexts(program)))
    return failure();
  Importer importer(context);
  importer.reserve(program.name);
  if (failed(importer.add(program)))
    return failure();
  return importer.finish(file);
}

FailureOr<OwningOpRef<ModuleOp>>
headrace::importText(MLIRContext *context, StringRef text,
                     ArrayRef<char> archiveBytes) {
  (void)loadDialects(context);
  Location file = FileLineColLoc::get(context, "program.pt2", 0, 0);
  Program program("main", file);
  llvm::Expected<std::unique_ptr<Archive>> archive =
      Archive::openBytes(archiveBytes, nullptr);
  if (!archive)
    return emitError(file) << llvm::toString(archive.takeError());
  program.archive = std::move(*archive);
  program.weightsFolder = "data/weights/";
  program.constantsFolder = "data/constants/";
  llvm::Expected<JsonValue> parsed = parseBoundedJson(text);
  if (!parsed)
    return emitError(file) << "not valid JSON: "
                           << llvm::toString(parsed.takeError());
  JsonReader reader(file);
  Object *parts = parsed->getAsObject();
  if (!parts)
    return reader.error("expected an object");
  for (auto [key, result] : {std::pair("model", &program.model),
                             std::pair("weights", &program.weights),
                             std::pair("constants", &program.constants)})
    if (JsonValue *part = parts->get(key))
      *result = std::move(*part);
  Importer importer(context);
  importer.reserve(program.name);
  if (failed(importer.add(program)))
    return failure();
  return importer.finish(file);
}
