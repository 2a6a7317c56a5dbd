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
#include "Graph.h"
#include "GuardReader.h"
#include "Json.h"
#include "SerializedTypes.h"
#include "headrace/Dialect/Aten/Aten.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Import/Archive.h"
#include "headrace/Import/ImportBytes.h"
#include "headrace/Import/State.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace headrace;

/// Whether `copy_` broadcasts a `source` to the shape of a `target`.
static bool isExpandable(Type source, Type target) {
  SmallVector<SizeExpr> from = aten::getDims(source),
                        to = aten::getDims(target);
  if (from.size() > to.size())
    return false;
  return llvm::all_of(
      llvm::zip(llvm::reverse(from), llvm::reverse(to)), [](auto pair) {
        auto [own, wanted] = pair;
        return own == wanted || own == SizeExpr(1);
      });
}

/// What a mutated buffer or input of type `target` holds afterwards, if
/// `value` is what the graph returns for it: run time writes it by `copy_`.
static Value getWritten(OpBuilder &b, Location loc, Value value, Type target) {
  return isExpandable(value.getType(), target)
             ? aten::createCopyOf(b, loc, value, target)
             : value;
}

using llvm::json::Array;
using llvm::json::Object;
using JsonValue = llvm::json::Value;

/// The major version of the schema that this reader knows.
static constexpr int64_t kSchemaMajor = 8;
/// The largest JSON text that is read.
static constexpr uint64_t kMaxJsonBytes = 256 << 20;
/// A weight may repeat bytes of its storage (by strides of 0) up to this size.
static constexpr int64_t kMaxExpandedBytes = 64 << 20;

namespace {
/// One program while it is read.
struct Program {
  Program(StringRef name, Location file) : name(name), file(file) {}
  std::string name;
  Location file;
  std::vector<DimName> dimNames;
  std::unique_ptr<Archive> archive;
  JsonValue model = nullptr;
  JsonValue weights = nullptr;
  JsonValue constants = nullptr;
  std::string weightsFolder, constantsFolder;
  /// Storages already mapped, so that a checksum is computed once.
  llvm::StringMap<std::shared_ptr<const Storage>> storages;
  /// The declared weight of a parameter, buffer or constant, by name.
  llvm::StringMap<hr::WeightOp> declared;
  /// The same by what it shows of which bytes: tied weights are one.
  llvm::StringMap<hr::WeightOp> byWindow;
};

class Importer {
public:
  explicit Importer(MLIRContext *context)
      : context(context), builder(context),
        module(ModuleOp::create(UnknownLoc::get(context))),
        store(context->getOrLoadDialect<hr::HRDialect>()->getWeights()) {}

  /// Keeps a weight from taking the name of an entry.
  void reserve(StringRef name) { symbols.insert(name); }
  LogicalResult add(Program &program);
  FailureOr<OwningOpRef<ModuleOp>> finish(Location loc);

private:
  FailureOr<hr::WeightOp> declareWeight(Program &program, JsonReader &reader,
                                        StringRef fqn);
  FailureOr<std::pair<std::string, WeightStore::Entry>>
  readWindow(Program &program, JsonReader &reader, StringRef fqn);
  LogicalResult importFunction(Program &program, const Object &graph,
                               const Object &signature, JsonReader &reader);
  LogicalResult readRanges(const Object &model, EntryState &state,
                           JsonReader &reader);
  LogicalResult readPytrees(Program &program, const Object &graphModule,
                            JsonReader &reader, std::string &outSpec);
  bool isTaken(StringRef name) {
    return store.lookup(name) || symbols.contains(name);
  }

  MLIRContext *context;
  OpBuilder builder;
  OwningOpRef<ModuleOp> module;
  WeightStore &store;
  /// Names of the module's symbols.
  llvm::StringSet<> symbols;
  /// The weight declared last.
  hr::WeightOp lastWeight;
  /// Weights that an output of some entry is the new value of.
  llvm::SetVector<StringAttr> mutated;
  /// What stands in the way of compiling all of it.
  aten::Obstacles obstacles;
};
} // namespace

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// Reads a list of constant sizes: `[{"as_int": 4}, ...]`.
static LogicalResult readConstantSizes(JsonReader &reader,
                                       const JsonValue *value,
                                       const Twine &twine,
                                       SmallVectorImpl<int64_t> &sizes) {
  std::string what = twine.str();
  const Array *list = reader.array(value, what);
  if (!list)
    return failure();
  if (list->size() > 64)
    return reader.error(what) << ": expected at most 64 dimensions but got "
                              << list->size();
  for (const JsonValue &element : *list) {
    JsonReader::Union size = reader.unionOf(&element, what);
    if (!size)
      return failure();
    if (size.kind != "as_int")
      return reader.error(what) << ": expected a constant";
    FailureOr<int64_t> number = reader.integer(size.value, what);
    if (failed(number))
      return failure();
    if (*number < 0)
      return reader.error(what) << ": " << *number << " is negative";
    sizes.push_back(*number);
  }
  return success();
}

/// The window on a storage that `fqn` names, and a text that tells windows
/// apart.
FailureOr<std::pair<std::string, WeightStore::Entry>>
Importer::readWindow(Program &program, JsonReader &reader, StringRef fqn) {
  std::string what = ("weight '" + fqn + "'").str();
  const Object *meta = nullptr;
  StringRef folder;
  for (auto [config, configFolder] :
       {std::pair(&program.weights, StringRef(program.weightsFolder)),
        std::pair(&program.constants, StringRef(program.constantsFolder))}) {
    const Object *table = config->getAsObject();
    const JsonValue *value = table ? table->get(fqn) : nullptr;
    if (!value)
      continue;
    if (!(meta = reader.object(value, what)))
      return failure();
    folder = configFolder;
    break;
  }
  if (!meta)
    return reader.error(what) << " is not in the archive";
  FailureOr<StringRef> path =
      reader.string(meta->get("path_name"), what + ".path_name");
  FailureOr<bool> isPickle =
      reader.boolean(meta->get("use_pickle"), what + ".use_pickle");
  if (failed(path) || failed(isPickle))
    return failure();
  if (*isPickle)
    return reader.error(what) << " is a pickle, which is not read because it "
                                 "could run any code";
  const Object *tensor =
      reader.object(meta->get("tensor_meta"), what + ".tensor_meta");
  if (!tensor)
    return failure();
  FailureOr<int64_t> dtype =
      reader.integer(tensor->get("dtype"), what + ".dtype");
  FailureOr<int64_t> layout =
      reader.integer(tensor->get("layout"), what + ".layout");
  SmallVector<int64_t> sizes, strides;
  if (failed(dtype) || failed(layout) ||
      failed(readDevice(reader, tensor->get("device"), what + ".device")) ||
      failed(readConstantSizes(reader, tensor->get("sizes"), what + ".sizes",
                               sizes)) ||
      failed(readConstantSizes(reader, tensor->get("strides"),
                               what + ".strides", strides)))
    return failure();
  JsonReader::Union offsetValue =
      reader.unionOf(tensor->get("storage_offset"), what + ".storage_offset");
  if (!offsetValue)
    return failure();
  FailureOr<int64_t> offset =
      reader.integer(offsetValue.value, what + ".storage_offset");
  if (failed(offset))
    return failure();
  Type elementType = getElementType(context, *dtype);
  if (!elementType)
    return reader.error(what) << ": dtype " << *dtype << " is not known";
  if (!isStridedLayout(*layout))
    return reader.error(what) << ": " << getLayoutName(*layout)
                              << " tensors are not supported";
  if (sizes.size() != strides.size())
    return reader.error(what) << ": expected " << sizes.size()
                              << " strides but got " << strides.size();
  if (*offset < 0)
    return reader.error(what) << ": storage offset " << *offset
                              << " is negative";

  std::string entryName = (folder + *path).str();
  std::shared_ptr<const Storage> &storage = program.storages[entryName];
  if (!storage) {
    llvm::Expected<std::shared_ptr<const Storage>> mapped =
        program.archive->map(entryName);
    if (!mapped) {
      program.storages.erase(entryName);
      return reader.error(what)
             << ": " << llvm::toString(mapped.takeError());
    }
    storage = std::move(*mapped);
  }

  // The last element touched, in exact arithmetic: each product is below 2^126
  // and the sum is checked as it grows.
  int64_t elementBytes = getElementBytes(elementType);
  __int128 elements = 1, last = *offset;
  __int128 available = storage->bytes.size() / elementBytes;
  for (auto [size, stride] : llvm::zip_equal(sizes, strides)) {
    elements *= size;
    if (elements > std::numeric_limits<int64_t>::max() / 16)
      return reader.error(what) << " has more elements than can be addressed";
    if (size > 0)
      last += __int128(size - 1) * stride;
    if (last > std::numeric_limits<int64_t>::max())
      break;
  }
  bool isEmpty = llvm::is_contained(sizes, 0);
  if (!isEmpty && last >= available)
    return reader.error(what)
           << ": its sizes, strides and offset reach beyond the "
           << storage->bytes.size() << " bytes of '" << *path << "'";
  int64_t bytes = isEmpty ? 0 : static_cast<int64_t>(elements) * elementBytes;
  if (bytes > kMaxExpandedBytes &&
      bytes > static_cast<int64_t>(storage->bytes.size()))
    return reader.error(what) << " expands " << storage->bytes.size()
                              << " bytes to " << bytes
                              << ", which is not supported";

  // Misaligned data (no archive of torch's has any) is moved once.
  if (reinterpret_cast<uintptr_t>(storage->bytes.data()) % 16 != 0) {
    auto copy = std::make_shared<std::vector<char>>(storage->bytes.begin(),
                                                    storage->bytes.end());
    auto moved = std::make_shared<Storage>();
    moved->bytes = *copy;
    moved->owner = copy;
    storage = moved;
  }

  std::string window = entryName + "|" + std::to_string(*dtype) + "|" +
                       std::to_string(*offset);
  for (auto [size, stride] : llvm::zip_equal(sizes, strides))
    window += "|" + std::to_string(size) + ":" + std::to_string(stride);
  WeightStore::Entry entry;
  entry.type = RankedTensorType::get(sizes, elementType);
  entry.storage = storage;
  entry.strides = strides;
  entry.offset = isEmpty ? 0 : *offset;
  return std::pair(std::move(window), std::move(entry));
}

FailureOr<hr::WeightOp> Importer::declareWeight(Program &program,
                                                JsonReader &reader,
                                                StringRef fqn) {
  auto known = program.declared.find(fqn);
  if (known != program.declared.end())
    return known->second;
  auto window = readWindow(program, reader, fqn);
  if (failed(window))
    return failure();
  auto &[key, entry] = *window;
  hr::WeightOp &weight = program.byWindow[key];
  if (!weight) {
    // The same weight of another entry?
    std::string name = fqn.str();
    if (const WeightStore::Entry *other = store.lookup(name);
        other && other->type == entry.type) {
      std::string candidate = store.uniqueName(name);
      store.add(candidate, entry);
      FailureOr<WeightStore::Bytes> a = store.read(name);
      FailureOr<WeightStore::Bytes> b = store.read(candidate);
      if (succeeded(a) && succeeded(b) && a->data == b->data)
        weight = module->lookupSymbol<hr::WeightOp>(name);
      store.erase(candidate);
    }
    if (!weight) {
      for (unsigned i = 1; isTaken(name); ++i)
        name = (fqn + "." + Twine(i)).str();
      // Declarations stay in the order of their first use.
      OpBuilder::InsertionGuard guard(builder);
      if (lastWeight)
        builder.setInsertionPointAfter(lastWeight);
      else
        builder.setInsertionPointToStart(module->getBody());
      lastWeight = weight = hr::WeightOp::create(builder, program.file, name, entry.type);
      symbols.insert(name);
      store.add(name, entry);
    }
  }
  program.declared[fqn] = weight;
  return weight;
}

//===----------------------------------------------------------------------===//
// Signature
//===----------------------------------------------------------------------===//

/// Symbols' ranges. Keys that are expressions restate what the symbols' own
/// ranges imply.
LogicalResult Importer::readRanges(const Object &model, EntryState &state,
                                   JsonReader &reader) {
  const Object *constraints =
      reader.object(model.get("range_constraints"), "range_constraints");
  if (!constraints)
    return failure();
  for (const auto &[key, value] : *constraints) {
    StringRef name = key;
    std::string what = ("range of '" + name + "'").str();
    const Object *range = reader.object(&value, what);
    if (!range)
      return failure();
    Interval interval{0, std::numeric_limits<int64_t>::max()};
    for (auto [field, bound] : {std::pair("min_val", &interval.min),
                                std::pair("max_val", &interval.max)}) {
      const JsonValue *number = range->get(field);
      if (!number || number->getAsNull())
        continue;
      FailureOr<int64_t> read = reader.integer(number, what);
      if (failed(read))
        return failure();
      *bound = *read;
    }
    // Tracing takes every dynamic size for at least 2, because 0 and 1 would
    // take other branches; torch itself lets both through when it runs what it
    // exported. Where they matter, a guard says so.
    bool isIdentifier = llvm::all_of(
        name, [](char c) { return llvm::isAlnum(c) || c == '_'; });
    if (interval.min == 2) {
      interval.min = 0;
      if (isIdentifier)
        state.tracedLeast[name] = 2;
    }
    if (interval.min > interval.max)
      return reader.error(what) << " is empty: " << interval.min << " to "
                                << interval.max;
    if (isIdentifier)
      state.ranges[name] = interval;
  }
  return success();
}

/// Walks the pytree of the outputs for the names of its leaves: keys and
/// positions joined by dots.
static LogicalResult nameLeaves(const JsonValue &spec, const std::string &prefix,
                                SmallVectorImpl<std::string> &names,
                                unsigned depth) {
  const Object *node = spec.getAsObject();
  const Array *children = node ? node->getArray("children_spec") : nullptr;
  if (!children || depth > 64)
    return failure();
  const JsonValue *type = node->get("type");
  if (!type || type->getAsNull()) {
    names.push_back(prefix);
    return success();
  }
  // A dictionary's context is the list of its keys, as text; that of other
  // containers may hold such a list deeper inside.
  SmallVector<std::string> keys;
  if (std::optional<StringRef> context = node->getString("context")) {
    if (llvm::Expected<JsonValue> parsed = parseBoundedJson(*context)) {
      const Array *list = parsed->getAsArray();
      while (list && list->size() != children->size()) {
        const Array *inner = nullptr;
        for (const JsonValue &element : *list)
          if ((inner = element.getAsArray()))
            break;
        list = inner;
      }
      if (list)
        for (const JsonValue &key : *list)
          if (std::optional<StringRef> text = key.getAsString())
            keys.push_back(text->str());
    } else {
      llvm::consumeError(parsed.takeError());
    }
  }
  for (auto [i, child] : llvm::enumerate(*children)) {
    std::string key =
        keys.size() == children->size() ? keys[i] : std::to_string(i);
    if (failed(nameLeaves(child, prefix.empty() ? key : prefix + "." + key,
                          names, depth + 1)))
      return failure();
  }
  return success();
}

LogicalResult Importer::readPytrees(Program &program,
                                    const Object &graphModule,
                                    JsonReader &reader, std::string &outSpec) {
  const Array *calls = reader.array(graphModule.get("module_call_graph"),
                                    "module_call_graph");
  if (!calls)
    return failure();
  if (calls->empty())
    return reader.error("module_call_graph is empty");
  const Object *root = reader.object(&calls->front(), "module_call_graph[0]");
  const Object *signature =
      root ? reader.object(root->get("signature"),
                           "module_call_graph[0].signature")
           : nullptr;
  if (!signature)
    return failure();
  FailureOr<StringRef> in = reader.string(signature->get("in_spec"), "in_spec");
  FailureOr<StringRef> out =
      reader.string(signature->get("out_spec"), "out_spec");
  if (failed(in) || failed(out))
    return failure();
  (*module)->setAttr("hr.in_spec." + program.name, builder.getStringAttr(*in));
  (*module)->setAttr("hr.out_spec." + program.name,
                     builder.getStringAttr(*out));
  outSpec = out->str();
  return success();
}

/// Names of the results from the pytree: `output`, `output.0`, `logits`.
static SmallVector<std::string> getLeafNames(StringRef spec, size_t count) {
  SmallVector<std::string> names;
  if (llvm::Expected<JsonValue> parsed = parseBoundedJson(spec)) {
    const Array *versioned = parsed->getAsArray();
    if (!versioned || versioned->size() != 2 ||
        failed(nameLeaves((*versioned)[1], "", names, 0)))
      names.clear();
  } else {
    llvm::consumeError(parsed.takeError());
  }
  if (names.size() != count) {
    names.clear();
    for (size_t i = 0; i < count; ++i)
      names.push_back(std::to_string(i));
  }
  llvm::StringSet<> used;
  for (std::string &name : names) {
    if (name.empty())
      name = "output";
    else if (llvm::isDigit(name[0]))
      name = "output." + name;
    std::string base = name;
    for (unsigned i = 1; !used.insert(name).second; ++i)
      name = base + "_" + std::to_string(i);
  }
  return names;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

/// The name inside `{"arg": {"name": ...}, ...}`.
static FailureOr<StringRef> readArgName(JsonReader &reader,
                                        const Object &spec) {
  const Object *arg = reader.object(spec.get("arg"), "signature.arg");
  if (!arg)
    return failure();
  return reader.string(arg->get("name"), "signature.arg.name");
}

LogicalResult Importer::importFunction(Program &program, const Object &graph,
                                       const Object &signature,
                                       JsonReader &reader) {
  const Object &model = *program.model.getAsObject();
  const Object &graphModule = *model.getObject("graph_module");
  EntryState state(context, program.file, obstacles);
  state.ranges.clear();
  state.dimNames = program.dimNames;
  if (failed(readRanges(model, state, reader)))
    return failure();
  std::string outSpec;
  if (failed(readPytrees(program, graphModule, reader, outSpec)))
    return failure();

  OpBuilder &b = state.builder;
  b.setInsertionPointToEnd(module->getBody());
  auto func = func::FuncOp::create(b, program.file, program.name,
                                   b.getFunctionType({}, {}));
  Block *body = func.addEntryBlock();
  b.setInsertionPointToStart(body);
  GraphImporter importer(state, /*depth=*/0);
  if (failed(importer.readTables(graph)) ||
      failed(readGuards(model, graphModule, graph, importer, state)))
    return failure();

  // Inputs: those of the user are arguments, all others weights.
  const Array *inputSpecs =
      reader.array(signature.get("input_specs"), "signature.input_specs");
  const Array *inputs = reader.array(graph.get("inputs"), "graph.inputs");
  if (!inputSpecs || !inputs)
    return failure();
  if (inputSpecs->size() != inputs->size())
    return reader.error("signature.input_specs: expected ")
           << inputs->size() << " inputs but got " << inputSpecs->size();
  SmallVector<Attribute> inLeaves;
  SmallVector<std::pair<StringRef, RankedTensorType>> userInputs;
  SmallVector<std::pair<StringRef, StringRef>> weightInputs;
  for (const JsonValue &value : *inputSpecs) {
    JsonReader::Union spec = reader.unionOf(&value, "signature.input_specs");
    const Object *fields =
        spec ? reader.object(spec.value, "signature.input_specs") : nullptr;
    if (!fields)
      return failure();
    if (spec.kind == "parameter" || spec.kind == "buffer" ||
        spec.kind == "tensor_constant") {
      FailureOr<StringRef> name = readArgName(reader, *fields);
      FailureOr<StringRef> fqn = reader.string(
          fields->get((spec.kind + "_name").str()), "signature.input_specs");
      if (failed(name) || failed(fqn))
        return failure();
      weightInputs.emplace_back(*name, *fqn);
      continue;
    }
    if (spec.kind == "constant_input") {
      JsonReader::Union constant =
          reader.unionOf(fields->get("value"), "signature.input_specs");
      Attribute leaf = constant ? getConstantLeaf(builder, constant) : nullptr;
      if (!leaf)
        return reader.error("signature.input_specs: a constant input has no "
                            "value");
      inLeaves.push_back(leaf);
      continue;
    }
    if (spec.kind != "user_input")
      return reader.error("an input of kind '")
             << spec.kind << "' is not supported";
    JsonReader::Union arg =
        reader.unionOf(fields->get("arg"), "signature.input_specs");
    if (!arg)
      return failure();
    if (Attribute leaf = getConstantLeaf(builder, arg)) {
      inLeaves.push_back(leaf);
      continue;
    }
    if (arg.kind != "as_tensor")
      return reader.error("an input of kind '")
             << arg.kind
             << "' is not supported (a number that varies has to be passed as "
                "a tensor)";
    const Object *tensor = reader.object(arg.value, "signature.input_specs");
    if (!tensor)
      return failure();
    FailureOr<StringRef> name =
        reader.string(tensor->get("name"), "signature.input_specs");
    if (failed(name))
      return failure();
    FailureOr<RankedTensorType> type = importer.getInputType(*name);
    if (failed(type))
      return failure();
    inLeaves.push_back(builder.getI64IntegerAttr(userInputs.size()));
    userInputs.emplace_back(*name, *type);
  }

  SmallVector<DictionaryAttr> argAttrs;
  SmallVector<Type> argTypes;
  for (auto [name, type] : userInputs) {
    Location loc = NameLoc::get(b.getStringAttr(name), program.file);
    if (failed(importer.define(name, body->addArgument(type, loc))))
      return failure();
    argTypes.push_back(type);
    SmallVector<NamedAttribute> attrs = {
        b.getNamedAttr("hr.name", b.getStringAttr(name)),
        b.getNamedAttr("hr.dims",
                       hr::getSizeArrayAttr(context, aten::getDims(type)))};
    SmallVector<Attribute> dimNames;
    for (int64_t d = 0; d < type.getRank(); ++d)
      dimNames.push_back(b.getStringAttr(state.getDimName(name, d)));
    if (llvm::any_of(dimNames, [](Attribute dimName) {
          return !cast<StringAttr>(dimName).empty();
        }))
      attrs.push_back(b.getNamedAttr("hr.dim_names", b.getArrayAttr(dimNames)));
    argAttrs.push_back(b.getDictionaryAttr(attrs));
  }
  for (auto [name, fqn] : weightInputs) {
    FailureOr<hr::WeightOp> weight = declareWeight(program, reader, fqn);
    FailureOr<RankedTensorType> type = importer.getType(name);
    if (failed(weight) || failed(type))
      return failure();
    auto weightType = cast<RankedTensorType>(weight->getType());
    if (aten::dropLayout(*type) != weightType)
      return reader.error("weight '") << fqn << "' is " << weightType
                                      << " but the graph expects "
                                      << aten::dropLayout(*type);
    auto constant = hr::ConstantOp::create(
        b, NameLoc::get(b.getStringAttr(name), program.file), weightType,
        b.getArrayAttr(FlatSymbolRefAttr::get(weight->getSymNameAttr())),
        Value());
    // Eager's strides decide what is a view; a weight itself is row-major.
    if (*type != weightType)
      constant->setAttr("aten.strides",
                        hr::getSizeArrayAttr(context, aten::getStrides(*type)));
    if (failed(importer.define(name, constant.getResult())))
      return failure();
  }

  if (failed(importer.importNodes(graph)))
    return failure();

  // Outputs.
  const Array *outputSpecs =
      reader.array(signature.get("output_specs"), "signature.output_specs");
  if (!outputSpecs)
    return failure();
  SmallVector<Attribute> outLeaves;
  SmallVector<Value> results;
  SmallVector<std::optional<size_t>> leafOfResult;
  SmallVector<int64_t> mutatedInput;
  SmallVector<std::pair<int64_t, Value>> inputMutations;
  for (const JsonValue &value : *outputSpecs) {
    JsonReader::Union spec = reader.unionOf(&value, "signature.output_specs");
    const Object *fields =
        spec ? reader.object(spec.value, "signature.output_specs") : nullptr;
    if (!fields)
      return failure();
    if (spec.kind == "buffer_mutation" || spec.kind == "parameter_mutation") {
      FailureOr<StringRef> name = readArgName(reader, *fields);
      FailureOr<StringRef> fqn = reader.string(
          fields->get(spec.kind == "buffer_mutation" ? "buffer_name"
                                                     : "parameter_name"),
          "signature.output_specs");
      if (failed(name) || failed(fqn))
        return failure();
      FailureOr<Value> tensor = importer.lookup(*name);
      FailureOr<hr::WeightOp> weight = declareWeight(program, reader, *fqn);
      if (failed(tensor) || failed(weight))
        return failure();
      *tensor = getWritten(b, program.file, *tensor, weight->getType());
      if (aten::dropLayout(tensor->getType()) != weight->getType())
        return reader.error("the new value of buffer '")
               << *fqn << "' is " << aten::dropLayout(tensor->getType())
               << " but the buffer is " << weight->getType();
      if (!mutated.insert(weight->getSymNameAttr()) &&
          llvm::any_of(func.getOps<hr::WriteStateOp>(), [&](auto write) {
            return cast<FlatSymbolRefAttr>(write.getStates()[0]).getValue() ==
                   weight->getSymName();
          }))
        return reader.error("buffer '") << *fqn << "' is mutated twice";
      Value plain = *tensor;
      if (plain.getType() != weight->getType())
        plain = hr::ReshapeOp::create(
            b, program.file, weight->getType(), plain,
            hr::getSizeArrayAttr(context, aten::getDims(weight->getType())));
      hr::WriteStateOp::create(
          b, NameLoc::get(b.getStringAttr(*name), program.file), plain,
          b.getArrayAttr(FlatSymbolRefAttr::get(weight->getSymNameAttr())),
          Value());
      continue;
    }
    if (spec.kind == "user_input_mutation") {
      FailureOr<StringRef> name = readArgName(reader, *fields);
      FailureOr<StringRef> input =
          reader.string(fields->get("user_input_name"), "signature.output_specs");
      if (failed(name) || failed(input))
        return failure();
      FailureOr<Value> tensor = importer.lookup(*name);
      if (failed(tensor))
        return failure();
      const auto *it = llvm::find_if(
          userInputs, [&](const auto &in) { return in.first == *input; });
      if (it == userInputs.end())
        return reader.error("mutated input '")
               << *input << "' is not an input of the program";
      int64_t number = it - userInputs.begin();
      inputMutations.emplace_back(
          number, getWritten(b, program.file, *tensor,
                             func.getArgument(number).getType()));
      continue;
    }
    if (spec.kind != "user_output")
      return reader.error("an output of kind '")
             << spec.kind << "' is not supported";
    JsonReader::Union arg =
        reader.unionOf(fields->get("arg"), "signature.output_specs");
    if (!arg)
      return failure();
    if (Attribute leaf = getConstantLeaf(builder, arg)) {
      outLeaves.push_back(leaf);
      continue;
    }
    const Object *named = reader.object(arg.value, "signature.output_specs");
    if (!named)
      return failure();
    if (arg.kind == "as_sym_int") {
      FailureOr<StringRef> name =
          reader.string(named->get("as_name"), "signature.output_specs");
      if (failed(name))
        return failure();
      FailureOr<SizeExpr> size = importer.lookupSize(*name);
      if (failed(size))
        return failure();
      outLeaves.push_back(hr::SizeAttr::get(context, *size));
      continue;
    }
    if (arg.kind == "as_sym_float" || arg.kind == "as_sym_bool") {
      state.obstacles.add(
          "", ("an output of kind '" + arg.kind + "' is not supported").str(),
          reader.getLoc());
      outLeaves.push_back(hr::SizeAttr::get(context, SizeExpr(0)));
      continue;
    }
    if (arg.kind != "as_tensor")
      return reader.error("an output of kind '")
             << arg.kind << "' is not supported";
    FailureOr<StringRef> name =
        reader.string(named->get("name"), "signature.output_specs");
    if (failed(name))
      return failure();
    FailureOr<Value> tensor = importer.lookup(*name);
    if (failed(tensor))
      return failure();
    leafOfResult.push_back(outLeaves.size());
    mutatedInput.push_back(-1);
    outLeaves.push_back(builder.getI64IntegerAttr(results.size()));
    results.push_back(*tensor);
  }
  for (auto [input, tensor] : inputMutations) {
    leafOfResult.push_back(std::nullopt);
    mutatedInput.push_back(input);
    results.push_back(tensor);
  }

  SmallVector<std::string> leafNames = getLeafNames(outSpec, outLeaves.size());
  SmallVector<DictionaryAttr> resultAttrs;
  for (auto [i, result] : llvm::enumerate(results)) {
    SmallVector<NamedAttribute> attrs;
    std::string name;
    if (leafOfResult[i]) {
      name = leafNames[*leafOfResult[i]];
    } else {
      name = userInputs[mutatedInput[i]].first.str();
      attrs.push_back(b.getNamedAttr("hr.mutates",
                                     b.getI64IntegerAttr(mutatedInput[i])));
    }
    attrs.push_back(b.getNamedAttr("hr.name", b.getStringAttr(name)));
    attrs.push_back(b.getNamedAttr(
        "hr.dims",
        hr::getSizeArrayAttr(context, aten::getDims(result.getType()))));
    resultAttrs.push_back(b.getDictionaryAttr(attrs));
  }
  func::ReturnOp::create(b, program.file, results);
  func.setType(
      b.getFunctionType(argTypes, llvm::to_vector(ValueRange(results).getTypes())));
  func.setAllArgAttrs(argAttrs);
  func.setAllResultAttrs(resultAttrs);
  SmallVector<Attribute> symbolAttrs;
  for (const std::string &symbol : state.symbols) {
    Interval range{0, std::numeric_limits<int64_t>::max()};
    if (auto it = state.ranges.find(symbol); it != state.ranges.end())
      range = it->second;
    symbolAttrs.push_back(hr::SymbolAttr::get(
        context, symbol, std::max<int64_t>(range.min, 0), range.max));
  }
  func->setAttr("hr.symbols", b.getArrayAttr(symbolAttrs));
  SmallVector<Attribute> traced;
  for (Attribute attr : symbolAttrs) {
    auto symbol = cast<hr::SymbolAttr>(attr);
    int64_t least = state.tracedLeast.lookup(symbol.getName());
    if (least > symbol.getLeast() && least <= symbol.getLargest())
      traced.push_back(hr::SymbolAttr::get(context, symbol.getName(), least,
                                           symbol.getLargest()));
  }
  if (!traced.empty())
    func->setAttr("hr.traced", b.getArrayAttr(traced));
  func->setAttr("hr.in_leaves", b.getArrayAttr(inLeaves));
  func->setAttr("hr.out_leaves", b.getArrayAttr(outLeaves));
  if (!state.requirements.empty())
    func->setAttr("hr.requires",
                  b.getArrayAttr(state.requirements.getArrayRef()));
  return success();
}

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
  return importFunction(program, *graph, *signature, reader);
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
