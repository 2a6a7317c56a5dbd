//===- EntryImporter.cpp - A program's graph as a function ----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The signature says what the graph's inputs are (arguments, weights, constants)
// and what its outputs (results, new values of buffers and of arguments); pytrees
// name the results, ranges bound the symbols.
//
//===----------------------------------------------------------------------===//
#include "Graph.h"
#include "GuardReader.h"
#include "Importer.h"
#include "headrace/Dialect/Aten/Aten.h"
#include "headrace/Dialect/HR/HRUtils.h"

using namespace mlir;
using namespace headrace;
using llvm::json::Array;
using llvm::json::Object;
using JsonValue = llvm::json::Value;

namespace headrace {
class EntryImporter {
public:
  EntryImporter(Importer &owner, Program &program, const Object &graph,
                const Object &signature, JsonReader &reader)
      : owner(owner), program(program),
        model(*program.model.getAsObject()),
        graphModule(*model.getObject("graph_module")), graph(graph),
        signature(signature), reader(reader), context(owner.context),
        state(context, program.file, owner.obstacles), b(state.builder),
        importer(state, /*depth=*/0) {
    state.ranges.clear();
    state.dimNames = program.dimNames;
  }

  LogicalResult run();

private:
  LogicalResult readRanges();
  LogicalResult readPytrees();

  /// Those of the user become arguments, all others weights or leaves.
  LogicalResult readInputs();
  LogicalResult readInput(const JsonReader::Union &spec, const Object &fields);
  LogicalResult addArguments();
  LogicalResult addWeights();

  LogicalResult readOutputs();
  LogicalResult readBufferMutation(StringRef kind, const Object &fields);
  LogicalResult readInputMutation(const Object &fields);
  LogicalResult readResult(const Object &fields);

  void returnResults();
  void setAttributes();

  Importer &owner;
  Program &program;
  const Object &model, &graphModule, &graph, &signature;
  JsonReader &reader;
  MLIRContext *context;
  EntryState state;
  OpBuilder &b;
  GraphImporter importer;
  func::FuncOp func;

  std::string outSpec;
  SmallVector<Attribute> inLeaves, outLeaves;
  SmallVector<std::pair<StringRef, RankedTensorType>> userInputs;
  SmallVector<std::pair<StringRef, StringRef>> weightInputs;
  SmallVector<DictionaryAttr> argAttrs;
  SmallVector<Value> results;
  /// Of each result the leaf that it is, or the argument whose new value it is.
  SmallVector<std::optional<size_t>> leafOfResult;
  SmallVector<int64_t> mutatedInput;
  SmallVector<std::pair<int64_t, Value>> inputMutations;
};
} // namespace headrace

LogicalResult headrace::importEntry(Importer &importer, Program &program,
                                    const Object &graph,
                                    const Object &signature,
                                    JsonReader &reader) {
  return EntryImporter(importer, program, graph, signature, reader).run();
}

LogicalResult EntryImporter::run() {
  if (failed(readRanges()) || failed(readPytrees()))
    return failure();
  b.setInsertionPointToEnd(owner.module->getBody());
  func = func::FuncOp::create(b, program.file, program.name,
                              b.getFunctionType({}, {}));
  b.setInsertionPointToStart(func.addEntryBlock());
  if (failed(importer.readTables(graph)) ||
      failed(readGuards(model, graphModule, graph, importer, state)) ||
      failed(readInputs()) || failed(addArguments()) ||
      failed(addWeights()) || failed(importer.importNodes(graph)) ||
      failed(readOutputs()))
    return failure();
  returnResults();
  setAttributes();
  return success();
}

//===----------------------------------------------------------------------===//
// Ranges and pytrees
//===----------------------------------------------------------------------===//

/// Symbols' ranges. Keys that are expressions restate what the symbols' own
/// ranges imply.
LogicalResult EntryImporter::readRanges() {
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

LogicalResult EntryImporter::readPytrees() {
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
  ModuleOp module = *owner.module;
  module->setAttr("hr.in_spec." + program.name, b.getStringAttr(*in));
  module->setAttr("hr.out_spec." + program.name, b.getStringAttr(*out));
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
// Inputs
//===----------------------------------------------------------------------===//

/// The name inside `{"arg": {"name": ...}, ...}`.
static FailureOr<StringRef> readArgName(JsonReader &reader,
                                        const Object &spec) {
  const Object *arg = reader.object(spec.get("arg"), "signature.arg");
  if (!arg)
    return failure();
  return reader.string(arg->get("name"), "signature.arg.name");
}

LogicalResult EntryImporter::readInputs() {
  const Array *inputSpecs =
      reader.array(signature.get("input_specs"), "signature.input_specs");
  const Array *inputs = reader.array(graph.get("inputs"), "graph.inputs");
  if (!inputSpecs || !inputs)
    return failure();
  if (inputSpecs->size() != inputs->size())
    return reader.error("signature.input_specs: expected ")
           << inputs->size() << " inputs but got " << inputSpecs->size();
  for (const JsonValue &value : *inputSpecs) {
    JsonReader::Union spec = reader.unionOf(&value, "signature.input_specs");
    const Object *fields =
        spec ? reader.object(spec.value, "signature.input_specs") : nullptr;
    if (!fields || failed(readInput(spec, *fields)))
      return failure();
  }
  return success();
}

LogicalResult EntryImporter::readInput(const JsonReader::Union &spec,
                                       const Object &fields) {
  if (spec.kind == "parameter" || spec.kind == "buffer" ||
      spec.kind == "tensor_constant") {
    FailureOr<StringRef> name = readArgName(reader, fields);
    FailureOr<StringRef> fqn = reader.string(
        fields.get((spec.kind + "_name").str()), "signature.input_specs");
    if (failed(name) || failed(fqn))
      return failure();
    weightInputs.emplace_back(*name, *fqn);
    return success();
  }
  if (spec.kind == "constant_input") {
    JsonReader::Union constant =
        reader.unionOf(fields.get("value"), "signature.input_specs");
    Attribute leaf = constant ? getConstantLeaf(b, constant) : nullptr;
    if (!leaf)
      return reader.error("signature.input_specs: a constant input has no "
                          "value");
    inLeaves.push_back(leaf);
    return success();
  }
  if (spec.kind != "user_input")
    return reader.error("an input of kind '")
           << spec.kind << "' is not supported";
  JsonReader::Union arg =
      reader.unionOf(fields.get("arg"), "signature.input_specs");
  if (!arg)
    return failure();
  if (Attribute leaf = getConstantLeaf(b, arg)) {
    inLeaves.push_back(leaf);
    return success();
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
  inLeaves.push_back(b.getI64IntegerAttr(userInputs.size()));
  userInputs.emplace_back(*name, *type);
  return success();
}

LogicalResult EntryImporter::addArguments() {
  Block &body = func.getBody().front();
  for (auto [name, type] : userInputs) {
    Location loc = NameLoc::get(b.getStringAttr(name), program.file);
    if (failed(importer.define(name, body.addArgument(type, loc))))
      return failure();
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
  return success();
}

LogicalResult EntryImporter::addWeights() {
  for (auto [name, fqn] : weightInputs) {
    FailureOr<hr::WeightOp> weight =
        owner.declareWeight(program, reader, fqn);
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
  return success();
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

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

LogicalResult EntryImporter::readOutputs() {
  const Array *outputSpecs =
      reader.array(signature.get("output_specs"), "signature.output_specs");
  if (!outputSpecs)
    return failure();
  for (const JsonValue &value : *outputSpecs) {
    JsonReader::Union spec = reader.unionOf(&value, "signature.output_specs");
    const Object *fields =
        spec ? reader.object(spec.value, "signature.output_specs") : nullptr;
    if (!fields)
      return failure();
    LogicalResult read = failure();
    if (spec.kind == "buffer_mutation" || spec.kind == "parameter_mutation")
      read = readBufferMutation(spec.kind, *fields);
    else if (spec.kind == "user_input_mutation")
      read = readInputMutation(*fields);
    else if (spec.kind == "user_output")
      read = readResult(*fields);
    else
      reader.error("an output of kind '") << spec.kind << "' is not supported";
    if (failed(read))
      return failure();
  }
  for (auto [input, tensor] : inputMutations) {
    leafOfResult.push_back(std::nullopt);
    mutatedInput.push_back(input);
    results.push_back(tensor);
  }
  return success();
}

LogicalResult EntryImporter::readBufferMutation(StringRef kind,
                                                const Object &fields) {
  FailureOr<StringRef> name = readArgName(reader, fields);
  FailureOr<StringRef> fqn = reader.string(
      fields.get(kind == "buffer_mutation" ? "buffer_name"
                                           : "parameter_name"),
      "signature.output_specs");
  if (failed(name) || failed(fqn))
    return failure();
  FailureOr<Value> tensor = importer.lookup(*name);
  FailureOr<hr::WeightOp> weight = owner.declareWeight(program, reader, *fqn);
  if (failed(tensor) || failed(weight))
    return failure();
  *tensor = getWritten(b, program.file, *tensor, weight->getType());
  if (aten::dropLayout(tensor->getType()) != weight->getType())
    return reader.error("the new value of buffer '")
           << *fqn << "' is " << aten::dropLayout(tensor->getType())
           << " but the buffer is " << weight->getType();
  if (!owner.mutated.insert(weight->getSymNameAttr()) &&
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
  return success();
}

LogicalResult EntryImporter::readInputMutation(const Object &fields) {
  FailureOr<StringRef> name = readArgName(reader, fields);
  FailureOr<StringRef> input =
      reader.string(fields.get("user_input_name"), "signature.output_specs");
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
                         func.getBody().getArgument(number).getType()));
  return success();
}

LogicalResult EntryImporter::readResult(const Object &fields) {
  JsonReader::Union arg =
      reader.unionOf(fields.get("arg"), "signature.output_specs");
  if (!arg)
    return failure();
  if (Attribute leaf = getConstantLeaf(b, arg)) {
    outLeaves.push_back(leaf);
    return success();
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
    return success();
  }
  if (arg.kind == "as_sym_float" || arg.kind == "as_sym_bool") {
    state.obstacles.add(
        "", ("an output of kind '" + arg.kind + "' is not supported").str(),
        reader.getLoc());
    outLeaves.push_back(hr::SizeAttr::get(context, SizeExpr(0)));
    return success();
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
  outLeaves.push_back(b.getI64IntegerAttr(results.size()));
  results.push_back(*tensor);
  return success();
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

void EntryImporter::returnResults() {
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
  func.setType(b.getFunctionType(
      func.getBody().getArgumentTypes(),
      llvm::to_vector(ValueRange(results).getTypes())));
  func.setAllArgAttrs(argAttrs);
  func.setAllResultAttrs(resultAttrs);
}

void EntryImporter::setAttributes() {
  SmallVector<Attribute> symbols, traced;
  for (const std::string &name : state.symbols) {
    Interval range{0, std::numeric_limits<int64_t>::max()};
    if (auto it = state.ranges.find(name); it != state.ranges.end())
      range = it->second;
    int64_t least = std::max<int64_t>(range.min, 0);
    symbols.push_back(hr::SymbolAttr::get(context, name, least, range.max));
    int64_t tracedLeast = state.tracedLeast.lookup(name);
    if (tracedLeast > least && tracedLeast <= range.max)
      traced.push_back(
          hr::SymbolAttr::get(context, name, tracedLeast, range.max));
  }
  func->setAttr("hr.symbols", b.getArrayAttr(symbols));
  if (!traced.empty())
    func->setAttr("hr.traced", b.getArrayAttr(traced));
  func->setAttr("hr.in_leaves", b.getArrayAttr(inLeaves));
  func->setAttr("hr.out_leaves", b.getArrayAttr(outLeaves));
  if (!state.requirements.empty())
    func->setAttr("hr.requires",
                  b.getArrayAttr(state.requirements.getArrayRef()));
}
