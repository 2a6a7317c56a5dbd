//===- Graph.cpp - Nodes of an exported graph as ops ----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A node becomes an `aten.call` with every argument of its schema. Arithmetic
// on symbolic sizes leaves no op: the file gives the expression of each such
// value, and arguments hold the expression. Nodes that only switch gradients
// are inlined, assertions about sizes are decided here as far as the symbols'
// ranges allow.
//
//===----------------------------------------------------------------------===//
#include "Graph.h"
#include "SerializedTypes.h"
#include "headrace/Dialect/Aten/ResultTypes.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Support/SizeCondition.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace headrace;
using llvm::json::Array;
using llvm::json::Object;
using JsonValue = llvm::json::Value;

/// torch itself allows no more dimensions.
static constexpr size_t kMaxRank = 64;
/// Subgraphs within subgraphs.
static constexpr unsigned kMaxGraphDepth = 16;

Attribute headrace::getConstantLeaf(Builder &builder,
                                    const JsonReader::Union &value) {
  if (value.kind == "as_none")
    return builder.getUnitAttr();
  if (value.kind == "as_bool") {
    if (std::optional<bool> boolean = value.value->getAsBoolean())
      return builder.getBoolAttr(*boolean);
  } else if (value.kind == "as_int") {
    if (std::optional<int64_t> integer = value.value->getAsInteger())
      return hr::SizeAttr::get(builder.getContext(), SizeExpr(*integer));
  } else if (value.kind == "as_float") {
    if (std::optional<double> number = value.value->getAsNumber())
      return builder.getF64FloatAttr(*number);
    if (std::optional<StringRef> text = value.value->getAsString())
      if (*text == "Infinity" || *text == "-Infinity" || *text == "NaN")
        return builder.getF64FloatAttr(
            *text == "NaN" ? std::numeric_limits<double>::quiet_NaN()
            : *text == "Infinity" ? std::numeric_limits<double>::infinity()
                                  : -std::numeric_limits<double>::infinity());
  } else if (value.kind == "as_string") {
    if (std::optional<StringRef> text = value.value->getAsString())
      return builder.getStringAttr(*text);
  }
  return {};
}

//===----------------------------------------------------------------------===//
// Locations
//===----------------------------------------------------------------------===//

/// The innermost frame that is not torch's own, of a text like
///   File "/home/me/model.py", line 8, in forward
/// with code lines between; frames go from the outermost inwards.
static std::optional<std::pair<std::string, unsigned>>
findUserFrame(StringRef trace) {
  std::optional<std::pair<std::string, unsigned>> user, last;
  while (!trace.empty()) {
    StringRef line;
    std::tie(line, trace) = trace.split('\n');
    line = line.ltrim();
    if (!line.consume_front("File \""))
      continue;
    auto [path, rest] = line.split("\", line ");
    unsigned number;
    if (path.empty() || rest.consumeInteger(10, number))
      continue;
    last = {printable(path), number};
    bool isTorch =
        path.contains("site-packages/torch/") || path.starts_with("torch/") ||
        path.contains("dist-packages/torch/") || path.starts_with("<");
    if (!isTorch)
      user = last;
  }
  return user ? user : last;
}

/// The module the node belongs to: `encoder.layer.0`. The stack is a list of
/// `key,path,class` separated by semicolons, innermost last.
static StringRef findModulePath(StringRef stack) {
  StringRef innermost = stack.rsplit(';').second;
  if (innermost.empty())
    innermost = stack;
  return innermost.split(',').second.split(',').first;
}

Location GraphImporter::getLocation(const Object &node, StringRef name) {
  MLIRContext *context = builder.getContext();
  Location loc = entry.file;
  if (const Object *metadata = node.getObject("metadata")) {
    if (std::optional<StringRef> trace = metadata->getString("stack_trace"))
      if (auto frame = findUserFrame(*trace))
        loc = FileLineColLoc::get(context, frame->first, frame->second, 0);
    if (std::optional<StringRef> stack = metadata->getString("nn_module_stack")) {
      StringRef path = findModulePath(*stack);
      if (!path.empty())
        loc = NameLoc::get(builder.getStringAttr(printable(path)), loc);
    }
  }
  return NameLoc::get(builder.getStringAttr(printable(name)), loc);
}

//===----------------------------------------------------------------------===//
// Tables: tensor types and symbolic values
//===----------------------------------------------------------------------===//

LogicalResult GraphImporter::readTables(const Object &graph) {
  tensorTable =
      reader.object(graph.get("tensor_values"), "graph.tensor_values");
  sizeTable =
      reader.object(graph.get("sym_int_values"), "graph.sym_int_values");
  if (!tensorTable || !sizeTable)
    return failure();
  // Tables that older minor versions lack.
  for (auto [table, key] :
       {std::pair(&floatTable, "sym_float_values"),
        std::pair(&conditionTable, "sym_bool_values")})
    if (const JsonValue *value = graph.get(key);
        value && !(*table = reader.object(value, key)))
      return failure();
  return success();
}

llvm::Expected<SymbolicValue> EntryState::parse(StringRef text) {
  auto known = parsedExprs.find(text);
  if (known != parsedExprs.end())
    return known->second;
  llvm::Expected<SymbolicValue> parsed = parseSymPy(text);
  if (!parsed)
    return parsed.takeError();
  parsed->integer = replaced(parsed->integer);
  if (parsed->condition)
    parsed->condition = replaced(*parsed->condition);
  // What the ranges leave one value is that value: whether a dimension is
  // stretched, say, must not depend on how its size is written. (A symbol by
  // itself is what binds it.)
  parsed->integer = parsed->integer.simplify(ranges);
  return parsedExprs.try_emplace(text, std::move(*parsed)).first->second;
}

StringRef EntryState::getDimName(StringRef input, int64_t dimension) const {
  for (const DimName &own : dimNames)
    if (own.input == input && own.dimension == dimension)
      return own.name;
  return {};
}

void EntryState::replace(StringRef symbol, const SizeExpr &value) {
  replacements[symbol] = value;
  parsedExprs.clear();
}

SizeExpr EntryState::replaced(const SizeExpr &expr) const {
  if (replacements.empty())
    return expr;
  return expr.substitute([&](StringRef name) -> std::optional<SizeExpr> {
    auto it = replacements.find(name);
    return it == replacements.end() ? std::nullopt : std::optional(it->second);
  });
}

void EntryState::require(const SizeExpr &condition, StringRef text,
                         StringRef where) {
  if (condition::holds(condition, ranges))
    return;
  // Names are words of letters, digits and underscores.
  std::string named;
  auto isWord = [](char c) { return llvm::isAlnum(c) || c == '_'; };
  for (StringRef rest = text; !rest.empty();) {
    StringRef word = rest.take_while(isWord);
    StringRef other = rest.drop_front(word.size()).take_until(isWord);
    auto name = symbolNames.find(word);
    named += name == symbolNames.end() ? word.str() : name->second;
    named += other;
    rest = rest.drop_front(word.size() + other.size());
  }
  requirements.insert(hr::RequirementAttr::get(
      builder.getContext(), condition.str(), named, where));
}

FailureOr<SizeExpr> GraphImporter::parseSymInt(const JsonValue *value,
                                               const Twine &what) {
  JsonReader::Union size = reader.unionOf(value, what);
  if (!size)
    return failure();
  if (size.kind == "as_int") {
    FailureOr<int64_t> number = reader.integer(size.value, what);
    if (failed(number))
      return failure();
    return SizeExpr(*number);
  }
  if (size.kind != "as_expr")
    return reader.error(what) << ": expected as_int or as_expr but got '"
                              << printable(size.kind) << "'";
  const Object *fields = reader.object(size.value, what);
  if (!fields)
    return failure();
  FailureOr<StringRef> text = reader.string(fields->get("expr_str"), what);
  if (failed(text))
    return failure();
  llvm::Expected<SymbolicValue> parsed = entry.parse(*text);
  if (!parsed)
    return reader.error(what) << ": " << llvm::toString(parsed.takeError());
  if (parsed->kind != SymbolicValue::Kind::Integer)
    return reader.error(what) << ": expected a symbolic integer";
  return parsed->integer;
}

void GraphImporter::checkBound(const SizeExpr &expr, const Twine &what) {
  expr.walkSymbols([&](StringRef symbol) {
    if (entry.boundSymbols.contains(symbol))
      return;
    entry.boundSymbols.insert(symbol);
    entry.symbols.push_back(symbol.str());
    entry.obstacles.add("",
                        (what + ": size '" + expr.str() +
                         "' depends on data ('" + symbol +
                         "' is not determined by the shapes of the inputs), "
                         "which is not supported")
                            .str(),
                        reader.getLoc());
  });
}

FailureOr<RankedTensorType>
GraphImporter::readTensorMeta(const JsonValue *meta, const Twine &what,
                              bool bindSymbols) {
  const Object *fields = reader.object(meta, what);
  if (!fields)
    return failure();
  FailureOr<int64_t> dtype =
      reader.integer(fields->get("dtype"), what + ".dtype");
  FailureOr<int64_t> layout =
      reader.integer(fields->get("layout"), what + ".layout");
  const Array *sizes = reader.array(fields->get("sizes"), what + ".sizes");
  const Array *strides =
      reader.array(fields->get("strides"), what + ".strides");
  if (failed(dtype) || failed(layout) || !sizes || !strides ||
      failed(readDevice(reader, fields->get("device"), what + ".device")))
    return failure();
  Type elementType = getElementType(builder.getContext(), *dtype);
  if (!elementType)
    return reader.error(what) << ": dtype " << *dtype << " is not known";
  // What is not strided stands for a strided tensor, to find what else is not
  // supported.
  bool isStrided = isStridedLayout(*layout);
  if (!isStrided)
    entry.obstacles.add(
        "", (what + ": " + getLayoutName(*layout) +
             " tensors are not supported").str(), reader.getLoc());
  if (sizes->size() > kMaxRank ||
      (isStrided && sizes->size() != strides->size()))
    return reader.error(what)
           << ": expected equally many sizes and strides, at most " << kMaxRank
           << ", but got " << sizes->size() << " and " << strides->size();
  SmallVector<SizeExpr> dims, steps;
  // Bytes of the static dimensions; a size of 0 does not excuse the others.
  __int128 bytes = 16;
  for (auto [d, size] : llvm::enumerate(*sizes)) {
    FailureOr<SizeExpr> dim = parseSymInt(&size, what + ".sizes");
    FailureOr<SizeExpr> step = SizeExpr(1);
    if (isStrided)
      step = parseSymInt(&(*strides)[d], what + ".strides");
    if (failed(dim) || failed(step))
      return failure();
    if (std::optional<int64_t> constant = dim->getConstant()) {
      if (*constant < 0)
        return reader.error(what) << ": size " << *constant << " is negative";
      bytes *= std::max<int64_t>(*constant, 1);
      if (bytes > std::numeric_limits<int64_t>::max())
        return reader.error(what)
               << ": the tensor has more elements than can be addressed";
    }
    dims.push_back(*dim);
    steps.push_back(*step);
  }
  // Strides are made of sizes, those of 0 taken for 1. A tensor without elements
  // has no use for them; in all others every size is at least 1.
  if (!isStrided)
    steps = aten::getRowMajorStrides(dims);
  SymbolRanges nonEmpty = entry.ranges;
  for (auto &range : nonEmpty)
    range.second.min = std::max<int64_t>(range.second.min, 1);
  for (SizeExpr &step : steps)
    step = step.simplify(nonEmpty);
  if (bindSymbols)
    for (const SizeExpr &dim : dims)
      dim.walkSymbols([&](StringRef symbol) {
        if (entry.boundSymbols.insert(symbol).second)
          entry.symbols.push_back(symbol.str());
      });
  for (const SizeExpr &size : llvm::concat<SizeExpr>(dims, steps))
    checkBound(size, what);
  return aten::getTensorType(dims, steps, elementType);
}

FailureOr<RankedTensorType> GraphImporter::getType(StringRef name) {
  auto it = types.find(name);
  if (it != types.end())
    return it->second;
  const JsonValue *meta = tensorTable->get(name);
  if (!meta)
    return reader.error("tensor '")
           << printable(name) << "' has no type in graph.tensor_values";
  FailureOr<RankedTensorType> type = readTensorMeta(
      meta, "tensor '" + printable(name) + "'", /*bindSymbols=*/false);
  if (succeeded(type))
    types[name] = *type;
  return type;
}

FailureOr<RankedTensorType> GraphImporter::getInputType(StringRef name) {
  const JsonValue *meta = tensorTable->get(name);
  if (!meta)
    return reader.error("input '")
           << printable(name) << "' has no type in graph.tensor_values";
  return readTensorMeta(meta, "input '" + printable(name) + "'",
                        /*bindSymbols=*/true);
}

LogicalResult GraphImporter::define(StringRef name, Value value) {
  if (!values.try_emplace(name, value).second)
    return reader.error("'") << printable(name) << "' is defined twice";
  return success();
}

FailureOr<Value> GraphImporter::lookup(StringRef name) {
  auto it = values.find(name);
  if (it == values.end())
    return reader.error("'") << printable(name) << "' is used but not defined";
  return it->second;
}

FailureOr<SizeExpr> GraphImporter::lookupSize(StringRef name) {
  const JsonValue *value = sizeTable->get(name);
  if (!value)
    return reader.error("symbolic integer '")
           << printable(name) << "' is used but not defined";
  std::string what = "symbolic integer '" + printable(name) + "'";
  FailureOr<SizeExpr> expr = parseSymInt(value, what);
  if (succeeded(expr))
    checkBound(*expr, what);
  return expr;
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

FailureOr<Attribute>
GraphImporter::importTensor(const JsonValue *value, const Twine &what,
                            SmallVectorImpl<Value> &inputs) {
  const Object *fields = reader.object(value, what);
  if (!fields)
    return failure();
  FailureOr<StringRef> name = reader.string(fields->get("name"), what);
  if (failed(name))
    return failure();
  FailureOr<Value> tensor = lookup(*name);
  if (failed(tensor))
    return failure();
  inputs.push_back(*tensor);
  return Attribute(
      aten::ValueAttr::get(builder.getContext(), inputs.size() - 1));
}

/// `as_name` of a symbolic value, or a constant.
FailureOr<Attribute> GraphImporter::importSymbolic(const JsonValue *value,
                                                   const Twine &what) {
  JsonReader::Union symbolic = reader.unionOf(value, what);
  if (!symbolic)
    return failure();
  if (symbolic.kind == "as_int") {
    FailureOr<int64_t> number = reader.integer(symbolic.value, what);
    if (failed(number))
      return failure();
    return Attribute(builder.getI64IntegerAttr(*number));
  }
  if (symbolic.kind == "as_float") {
    FailureOr<double> number = reader.number(symbolic.value, what);
    if (failed(number))
      return failure();
    return Attribute(builder.getF64FloatAttr(*number));
  }
  if (symbolic.kind == "as_bool") {
    FailureOr<bool> boolean = reader.boolean(symbolic.value, what);
    if (failed(boolean))
      return failure();
    return Attribute(builder.getBoolAttr(*boolean));
  }
  if (symbolic.kind != "as_name")
    return reader.error(what)
           << ": '" << printable(symbolic.kind) << "' is not known";
  FailureOr<StringRef> name = reader.string(symbolic.value, what);
  if (failed(name))
    return failure();
  if (floatTable && floatTable->get(*name)) {
    JsonReader::Union real = reader.unionOf(floatTable->get(*name), what);
    if (!real)
      return failure();
    if (real.kind == "as_float") {
      FailureOr<double> number = reader.number(real.value, what);
      if (failed(number))
        return failure();
      return Attribute(builder.getF64FloatAttr(*number));
    }
    const Object *fields = reader.object(real.value, what);
    if (!fields)
      return failure();
    FailureOr<StringRef> text = reader.string(fields->get("expr_str"), what);
    if (failed(text))
      return failure();
    llvm::Expected<SymbolicValue> parsed = entry.parse(*text);
    if (!parsed)
      return reader.error(what) << ": " << llvm::toString(parsed.takeError());
    if (parsed->real)
      return Attribute(builder.getF64FloatAttr(*parsed->real));
    if (parsed->kind == SymbolicValue::Kind::Condition)
      return reader.error(what) << ": expected a symbolic number";
    checkBound(parsed->integer, what);
    return Attribute(
        hr::SizeAttr::get(builder.getContext(), parsed->integer));
  }
  if (conditionTable && conditionTable->get(*name))
    return reader.error(what)
           << ": a condition on sizes as an argument is not supported";
  FailureOr<SizeExpr> expr = lookupSize(*name);
  if (failed(expr))
    return failure();
  if (std::optional<int64_t> constant = expr->getConstant())
    return Attribute(builder.getI64IntegerAttr(*constant));
  return Attribute(hr::SizeAttr::get(builder.getContext(), *expr));
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

LogicalResult GraphImporter::importNodes(const Object &graph) {
  const Array *nodes = reader.array(graph.get("nodes"), "graph.nodes");
  if (!nodes)
    return failure();
  for (const JsonValue &value : *nodes) {
    reader.setLoc(entry.file);
    const Object *node = reader.object(&value, "graph.nodes");
    if (!node || failed(importNode(*node)))
      return failure();
  }
  reader.setLoc(entry.file);
  return success();
}

/// `wrap_with_autocast(device, dtype, enabled, cache, graph, ...)` on a device that
/// has something to compute.
static bool isEnabledAutocast(const Object &node) {
  const Array *inputs = node.getArray("inputs");
  auto argument = [&](size_t i) -> const Object * {
    const Object *input =
        inputs && i < inputs->size() ? (*inputs)[i].getAsObject() : nullptr;
    return input ? input->getObject("arg") : nullptr;
  };
  const Object *device = argument(0), *enabled = argument(2);
  return device && enabled && device->getString("as_string") == "cpu" &&
         enabled->getBoolean("as_bool").value_or(false);
}

LogicalResult GraphImporter::importNode(const Object &node) {
  FailureOr<StringRef> target = reader.string(node.get("target"), "target");
  if (failed(target))
    return failure();
  StringRef name = node.getString("name").value_or("");
  StringRef callee = *target;
  reader.setLoc(getLocation(node, name.empty() ? callee : name));

  // Arithmetic on sizes, whose results are in the tables.
  if (callee.starts_with("_operator.") || callee.starts_with("math.") ||
      callee.starts_with("torch.sym_"))
    return success();
  if (!callee.consume_front("torch.ops."))
    return importUnknown(node, *target);
  if (callee.consume_front("higher_order.")) {
    // Its casts are in no node; torch writes them when it decomposes.
    if (callee == "wrap_with_autocast" && isEnabledAutocast(node))
      return importUnknown(node, callee);
    if (callee == "wrap_with_set_grad_enabled")
      return inlineGraph(node, /*skipped=*/1);
    return importRegionCall(node, callee);
  }
  // What asks for a size gives a symbolic integer, whose expression is in the
  // table; assertions on metadata were decided when the program was exported.
  if (callee.starts_with("aten.sym_size.") ||
      callee.starts_with("aten.sym_stride.") ||
      callee.starts_with("aten.sym_numel.") ||
      callee.starts_with("aten.sym_storage_offset.") ||
      callee.starts_with("aten.sym_constrain_range") ||
      callee == "aten._assert_tensor_metadata.default")
    return success();
  if (callee == "aten._assert_scalar.default")
    return importAssertion(node);
  const aten::Schema *schema = aten::lookupSchema(callee);
  if (!schema)
    return importUnknown(node, callee);
  return importCall(node, callee, *schema);
}

LogicalResult
GraphImporter::readOutputs(const Object &node, SmallVectorImpl<StringRef> &names,
                           SmallVectorImpl<Type> &resultTypes) {
  const Array *outputs = reader.array(node.get("outputs"), "outputs");
  if (!outputs)
    return failure();
  auto addTensor = [&](const JsonValue *value) -> LogicalResult {
    const Object *fields = reader.object(value, "outputs");
    if (!fields)
      return failure();
    FailureOr<StringRef> name = reader.string(fields->get("name"), "outputs");
    if (failed(name))
      return failure();
    FailureOr<RankedTensorType> type = getType(*name);
    if (failed(type))
      return failure();
    names.push_back(*name);
    resultTypes.push_back(*type);
    return success();
  };
  for (const JsonValue &value : *outputs) {
    JsonReader::Union output = reader.unionOf(&value, "outputs");
    if (!output)
      return failure();
    if (output.kind == "as_tensor") {
      if (failed(addTensor(output.value)))
        return failure();
      continue;
    }
    if (output.kind == "as_tensors") {
      const Array *list = reader.array(output.value, "outputs");
      if (!list)
        return failure();
      for (const JsonValue &element : *list)
        if (failed(addTensor(&element)))
          return failure();
      continue;
    }
    // Numbers that depend on data get no name: using one is an error where its
    // symbol is looked up.
    Type type = output.kind == "as_none"        ? Type(builder.getNoneType())
                : output.kind == "as_sym_int"   ? builder.getIndexType()
                : output.kind == "as_sym_float" ? builder.getF64Type()
                : output.kind == "as_sym_bool"  ? builder.getI1Type()
                                                : Type();
    if (!type)
      return reader.error("outputs")
             << ": a result of kind '" << printable(output.kind)
             << "' is not supported";
    names.push_back("");
    resultTypes.push_back(type);
  }
  return success();
}

LogicalResult GraphImporter::defineOutputs(ArrayRef<StringRef> names,
                                           ValueRange results) {
  for (auto [name, value] : llvm::zip_equal(names, results))
    if (!name.empty() && failed(define(name, value)))
      return failure();
  return success();
}

/// What no range shows of sizes follows from torch's guards in a program that
/// torch exported; of any other it is found out by the call.
void GraphImporter::acceptUnproved(const SizeExpr &nonNegative) {
  entry.require(nonNegative, nonNegative.str() + " >= 0",
                aten::describeUser(reader.getLoc()));
}

LogicalResult GraphImporter::importCall(const Object &node, StringRef callee,
                                        const aten::Schema &schema) {
  const Array *inputs = reader.array(node.get("inputs"), "inputs");
  if (!inputs)
    return failure();
  SmallVector<const JsonValue *> given(schema.args.size(), nullptr);
  for (const JsonValue &value : *inputs) {
    const Object *fields = reader.object(&value, "inputs");
    if (!fields)
      return failure();
    FailureOr<StringRef> name = reader.string(fields->get("name"), "inputs");
    if (failed(name))
      return failure();
    std::optional<unsigned> index = schema.findArg(*name);
    if (!index)
      return reader.error("'") << callee << "' has no argument '"
                               << printable(*name) << "'";
    if (given[*index])
      return reader.error("argument '") << *name << "' is given twice";
    given[*index] = fields->get("arg");
    if (!given[*index])
      return reader.error("argument '") << *name << "' has no value";
  }

  SmallVector<Value> operands;
  SmallVector<Attribute> args;
  for (auto [value, arg] : llvm::zip_equal(given, schema.args)) {
    if (!value) {
      Attribute attr = aten::getDefaultValue(builder.getContext(), arg);
      if (!attr)
        return reader.error("argument '") << arg.name << "' of '" << callee
                                          << "' is missing";
      args.push_back(attr);
      continue;
    }
    FailureOr<Attribute> attr =
        importArgument(value, "argument '" + arg.name + "'", operands,
                       /*graphs=*/nullptr);
    if (failed(attr))
      return failure();
    Attribute plain = *attr;
    // One number stands for a list of a fixed length.
    if (arg.type.isList && !isa<ArrayAttr, aten::NoneAttr>(plain))
      plain = builder.getArrayAttr(SmallVector<Attribute>(
          std::max(arg.type.listSize, 1u), plain));
    args.push_back(plain);
  }

  SmallVector<StringRef> names;
  SmallVector<Type> resultTypes;
  if (failed(readOutputs(node, names, resultTypes)))
    return failure();
  OperationState state(reader.getLoc(), aten::CallOp::getOperationName());
  aten::CallOp::build(builder, state, resultTypes,
                      builder.getStringAttr(callee), operands,
                      builder.getArrayAttr(args));
  auto call = cast<aten::CallOp>(builder.create(state));
  // The file decides what a call looks like, so it is verified here, where the
  // error can still be told from a bug of ours.
  if (failed(call.verify()) ||
      failed(aten::verifyResultTypes(call, entry.ranges,
                                     [&](const SizeExpr &nonNegative) {
                                       acceptUnproved(nonNegative);
                                     })))
    return failure();
  return defineOutputs(names, call.getResults());
}

/// The tensors that an argument names, as far as they are defined.
void GraphImporter::collectTensors(const JsonValue &argument,
                                   SmallVectorImpl<Value> &tensors) {
  const Object *input = argument.getAsObject();
  const Object *arg = input ? input->getObject("arg") : nullptr;
  if (!arg)
    return;
  auto add = [&](const Object *tensor) {
    std::optional<StringRef> name =
        tensor ? tensor->getString("name") : std::nullopt;
    if (auto it = name ? values.find(*name) : values.end(); it != values.end())
      tensors.push_back(it->second);
  };
  add(arg->getObject("as_tensor"));
  if (const Array *list = arg->getArray("as_tensors"))
    for (const JsonValue &tensor : *list)
      add(tensor.getAsObject());
}

LogicalResult GraphImporter::importUnknown(const Object &node,
                                           StringRef target) {
  entry.obstacles.add(printable(target), "", reader.getLoc());
  // What it takes is used, so that what is unknown there is found as well.
  SmallVector<Value> operands;
  if (const Array *inputs = node.getArray("inputs"))
    for (const JsonValue &value : *inputs)
      collectTensors(value, operands);
  // Stand-ins let the import go on and find the other unknown operators.
  SmallVector<StringRef> names;
  SmallVector<Type> resultTypes;
  if (failed(readOutputs(node, names, resultTypes)))
    return failure();
  auto standIn = UnrealizedConversionCastOp::create(
      builder, reader.getLoc(), resultTypes, operands);
  return defineOutputs(names, standIn.getResults());
}

LogicalResult GraphImporter::importAssertion(const Object &node) {
  const Array *inputs = reader.array(node.get("inputs"), "inputs");
  if (!inputs)
    return failure();
  for (const JsonValue &value : *inputs) {
    const Object *input = value.getAsObject();
    const Object *arg = input ? input->getObject("arg") : nullptr;
    const Object *symbolic = arg ? arg->getObject("as_sym_bool") : nullptr;
    if (!symbolic)
      continue;
    std::optional<StringRef> name = symbolic->getString("as_name");
    const JsonValue *entryValue =
        name && conditionTable ? conditionTable->get(*name) : nullptr;
    if (!entryValue)
      return reader.error("the condition of the assertion is not defined");
    const Object *fields = entryValue->getAsObject();
    const Object *expr = fields ? fields->getObject("as_expr") : nullptr;
    std::optional<StringRef> text =
        expr ? expr->getString("expr_str") : std::nullopt;
    if (!text)
      return reader.error("the condition of the assertion has no expression");
    llvm::Expected<SymbolicValue> parsed = entry.parse(*text);
    if (!parsed)
      return reader.error("an assertion on sizes cannot be checked: ")
             << llvm::toString(parsed.takeError());
    if (!parsed->condition)
      return reader.error("an assertion on sizes cannot be checked: ")
             << printable(*text);
    // What depends on data is refused where the value is used.
    bool isBound = true;
    parsed->condition->walkSymbols([&](StringRef symbol) {
      isBound &= entry.boundSymbols.contains(symbol);
    });
    if (isBound)
      entry.require(*parsed->condition, parsed->text,
                    aten::describeUser(reader.getLoc()));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Subgraphs
//===----------------------------------------------------------------------===//

/// The names of a graph's inputs or outputs, which must all be tensors.
static LogicalResult readTensorNames(JsonReader &reader, const Object &graph,
                                     StringRef key,
                                     SmallVectorImpl<StringRef> &names) {
  const Array *list = reader.array(graph.get(key), key);
  if (!list)
    return failure();
  for (const JsonValue &value : *list) {
    JsonReader::Union element = reader.unionOf(&value, key);
    if (!element)
      return failure();
    if (element.kind != "as_tensor")
      return reader.error("a subgraph's ")
             << key << ": expected tensors but got '"
             << printable(element.kind) << "'";
    const Object *fields = reader.object(element.value, key);
    if (!fields)
      return failure();
    FailureOr<StringRef> name = reader.string(fields->get("name"), key);
    if (failed(name))
      return failure();
    names.push_back(*name);
  }
  return success();
}

/// Inlines the one subgraph of a node; the arguments before it and the first
/// `skipped` ones are not inputs of the graph.
LogicalResult GraphImporter::inlineGraph(const Object &node, unsigned skipped) {
  if (depth >= kMaxGraphDepth)
    return reader.error("subgraphs are nested more than ")
           << kMaxGraphDepth << " deep";
  const Array *inputs = reader.array(node.get("inputs"), "inputs");
  if (!inputs)
    return failure();
  SmallVector<Value> operands;
  SmallVector<const Object *> graphs;
  for (const JsonValue &value : llvm::drop_begin(*inputs, std::min<size_t>(skipped, inputs->size()))) {
    const Object *fields = reader.object(&value, "inputs");
    if (!fields)
      return failure();
    if (failed(importArgument(fields->get("arg"), "inputs", operands, &graphs)))
      return failure();
  }
  if (graphs.size() != 1)
    return reader.error("expected one subgraph but got ") << graphs.size();
  const Object &graph = *graphs.front();
  GraphImporter nested(entry, depth + 1);
  nested.reader.setLoc(reader.getLoc());
  SmallVector<StringRef> inputNames, outputNames, names;
  SmallVector<Type> resultTypes;
  if (failed(nested.readTables(graph)) ||
      failed(readTensorNames(reader, graph, "inputs", inputNames)) ||
      failed(readTensorNames(reader, graph, "outputs", outputNames)) ||
      failed(readOutputs(node, names, resultTypes)))
    return failure();
  if (inputNames.size() != operands.size() ||
      outputNames.size() != names.size())
    return reader.error("a subgraph with ")
           << inputNames.size() << " inputs and " << outputNames.size()
           << " outputs is called with " << operands.size() << " and "
           << names.size();
  for (auto [name, operand] : llvm::zip_equal(inputNames, operands))
    if (failed(nested.define(name, operand)))
      return failure();
  if (failed(nested.importNodes(graph)))
    return failure();
  SmallVector<Value> results;
  for (StringRef name : outputNames) {
    FailureOr<Value> value = nested.lookup(name);
    if (failed(value))
      return failure();
    results.push_back(*value);
  }
  return defineOutputs(names, results);
}

LogicalResult GraphImporter::importRegionCall(const Object &node,
                                              StringRef callee) {
  if (depth >= kMaxGraphDepth)
    return reader.error("subgraphs are nested more than ")
           << kMaxGraphDepth << " deep";
  const Array *inputs = reader.array(node.get("inputs"), "inputs");
  if (!inputs)
    return failure();
  SmallVector<Value> operands;
  SmallVector<const Object *> graphs;
  SmallVector<Attribute> args;
  for (const JsonValue &value : *inputs) {
    const Object *fields = reader.object(&value, "inputs");
    if (!fields)
      return failure();
    FailureOr<Attribute> attr =
        importArgument(fields->get("arg"), "inputs", operands, &graphs);
    if (failed(attr))
      return failure();
    args.push_back(*attr);
  }
  SmallVector<StringRef> names;
  SmallVector<Type> resultTypes;
  if (failed(readOutputs(node, names, resultTypes)))
    return failure();
  Location loc = reader.getLoc();
  auto call = aten::RegionCallOp::create(
      builder, loc, resultTypes, builder.getStringAttr(printable(callee)),
      operands, builder.getArrayAttr(args), graphs.size());
  OpBuilder::InsertionGuard guard(builder);
  for (auto [region, graph] : llvm::zip_equal(call.getGraphs(), graphs)) {
    GraphImporter nested(entry, depth + 1);
    nested.reader.setLoc(loc);
    SmallVector<StringRef> inputNames, outputNames;
    if (failed(nested.readTables(*graph)) ||
        failed(readTensorNames(reader, *graph, "inputs", inputNames)) ||
        failed(readTensorNames(reader, *graph, "outputs", outputNames)))
      return failure();
    Block *block = builder.createBlock(&region);
    for (StringRef name : inputNames) {
      FailureOr<RankedTensorType> type = nested.getType(name);
      if (failed(type) ||
          failed(nested.define(name, block->addArgument(*type, loc))))
        return failure();
    }
    if (failed(nested.importNodes(*graph)))
      return failure();
    SmallVector<Value> results;
    for (StringRef name : outputNames) {
      FailureOr<Value> value = nested.lookup(name);
      if (failed(value))
        return failure();
      results.push_back(*value);
    }
    aten::YieldOp::create(builder, loc, results);
  }
  return defineOutputs(names, call.getResults());
}
