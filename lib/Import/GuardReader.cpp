//===- GuardReader.cpp - The guards of a program --------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   1. name the leaves of the inputs as guards name them: by a path through the
//      pytree, `L['batch']['ids']`, or by number, `L['flat_args'][0]`;
//   2. parse each guard into a condition on the symbols of the file;
//   3. narrow ranges by conditions that are linear in one symbol;
//   4. replace symbols of which only the sizes of one residue are left: after
//      `s % 4 == 0`, all the program sees s as `4 * s_4`, so that whatever is
//      divided by 4 divides exactly;
//   5. record what is left over as requirements.
//
//===----------------------------------------------------------------------===//
#include "GuardReader.h"
#include "Guards.h"
#include "headrace/Dialect/HR/HRUtils.h"
#include "headrace/Support/SizeCondition.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace headrace;
using llvm::createStringError;
using llvm::Expected;
using llvm::json::Array;
using llvm::json::Object;
using JsonValue = llvm::json::Value;

/// Containers within containers.
static constexpr unsigned kMaxDepth = 64;

namespace {
class GuardReader {
public:
  GuardReader(const Object &graph, GraphImporter &importer, EntryState &entry)
      : graph(graph), importer(importer), entry(entry), reader(entry.file) {}

  LogicalResult run(const Object &graphModule, const JsonValue *guards);

private:
  LogicalResult readLeaves(const Object &signature);
  void nameLeaves(const Object &graphModule);
  void walkTree(const JsonValue &spec, const std::string &path,
                unsigned depth);
  void nameLeaf(const std::string &path);
  LogicalResult nameSymbols();
  FailureOr<SizeExpr> readTerm(StringRef tensor, StringRef field, int64_t at);
  Expected<GuardTerm> resolve(const GuardSource &source);
  void raiseLeast(ArrayRef<Guard> guards);
  void replaceCongruent(ArrayRef<SizeExpr> conditions);

  const Object &graph;
  GraphImporter &importer;
  EntryState &entry;
  JsonReader reader;
  /// Per leaf of the inputs the tensor's name; empty for other leaves.
  std::vector<std::string> leaves;
  llvm::StringMap<size_t> paths;
  size_t nextLeaf = 0;
};
} // namespace

//===----------------------------------------------------------------------===//
// Names of inputs
//===----------------------------------------------------------------------===//

LogicalResult GuardReader::readLeaves(const Object &signature) {
  const Array *specs =
      reader.array(signature.get("input_specs"), "signature.input_specs");
  if (!specs)
    return failure();
  for (const JsonValue &value : *specs) {
    JsonReader::Union spec = reader.unionOf(&value, "signature.input_specs");
    if (!spec)
      return failure();
    if (spec.kind == "constant_input") {
      leaves.emplace_back();
      continue;
    }
    if (spec.kind != "user_input")
      continue;
    // What is no tensor is looked at where inputs are read.
    const Object *fields = spec.value->getAsObject();
    const Object *arg = fields ? fields->getObject("arg") : nullptr;
    const Object *tensor = arg ? arg->getObject("as_tensor") : nullptr;
    leaves.push_back(
        tensor ? tensor->getString("name").value_or("").str() : "");
  }
  return success();
}

void GuardReader::nameLeaf(const std::string &path) {
  if (nextLeaf < leaves.size())
    paths["L['flat_args'][" + std::to_string(nextLeaf) + "]"] = nextLeaf;
  if (!path.empty())
    paths[path] = nextLeaf;
  ++nextLeaf;
}

/// Visits the leaves in order; a `path` that is empty is not known.
void GuardReader::walkTree(const JsonValue &spec, const std::string &path,
                           unsigned depth) {
  const Object *node = spec.getAsObject();
  const Array *children = node ? node->getArray("children_spec") : nullptr;
  if (!children || depth > kMaxDepth)
    return;
  std::optional<StringRef> type = node->getString("type");
  if (!type)
    return nameLeaf(path);
  Expected<JsonValue> context =
      parseBoundedJson(node->getString("context").value_or("null"));
  if (!context)
    llvm::consumeError(context.takeError());
  const Array *keys = context ? context->getAsArray() : nullptr;
  bool isDict = type->ends_with("dict") || type->ends_with("Dict");
  for (auto [i, child] : llvm::enumerate(*children)) {
    std::string next;
    if (isDict && keys && keys->size() == children->size()) {
      if (std::optional<StringRef> key = (*keys)[i].getAsString())
        next = path + "['" + key->str() + "']";
      else if (std::optional<int64_t> number = (*keys)[i].getAsInteger())
        next = path + "[" + std::to_string(*number) + "]";
    } else if (*type == "builtins.list" || *type == "builtins.tuple") {
      next = path + "[" + std::to_string(i) + "]";
    }
    walkTree(child, path.empty() ? "" : next, depth + 1);
  }
}

void GuardReader::nameLeaves(const Object &graphModule) {
  const Array *calls = graphModule.getArray("module_call_graph");
  const Object *root =
      calls && !calls->empty() ? calls->front().getAsObject() : nullptr;
  const Object *signature = root ? root->getObject("signature") : nullptr;
  if (!signature)
    return;
  Expected<JsonValue> spec =
      parseBoundedJson(signature->getString("in_spec").value_or("null"));
  if (!spec) {
    llvm::consumeError(spec.takeError());
    return;
  }
  const Array *versioned = spec->getAsArray();
  const Object *both = versioned && versioned->size() == 2
                           ? (*versioned)[1].getAsObject()
                           : nullptr;
  const Array *parts = both ? both->getArray("children_spec") : nullptr;
  if (!parts || parts->size() != 2)
    return;
  const Object *positional = (*parts)[0].getAsObject();
  const Array *args =
      positional ? positional->getArray("children_spec") : nullptr;
  if (!args)
    return;
  const Array *names = signature->getArray("forward_arg_names");
  for (auto [i, arg] : llvm::enumerate(*args)) {
    std::string path;
    if (names && i < names->size())
      if (std::optional<StringRef> name = (*names)[i].getAsString())
        path = "L['" + name->str() + "']";
    walkTree(arg, path, 0);
  }
  walkTree((*parts)[1], "L", 0);
  // `*rest` becomes rest_0, rest_1; guards say L['rest'][0].
  if (!names)
    return;
  for (const JsonValue &value : *names) {
    StringRef name = value.getAsString().value_or("");
    auto [base, number] = name.rsplit('_');
    if (number.empty() || !llvm::all_of(number, llvm::isDigit))
      continue;
    std::string own = "L['" + name.str() + "']";
    std::string variadic = "L['" + base.str() + "'][" + number.str() + "]";
    SmallVector<std::pair<std::string, size_t>> more;
    for (const auto &path : paths)
      if (path.getKey().starts_with(own))
        more.emplace_back(variadic + path.getKey().drop_front(own.size()).str(),
                          path.second);
    for (const auto &[path, leaf] : more)
      paths.try_emplace(path, leaf);
  }
}

//===----------------------------------------------------------------------===//
// Terms
//===----------------------------------------------------------------------===//

FailureOr<SizeExpr> GuardReader::readTerm(StringRef tensor, StringRef field,
                                          int64_t at) {
  const Object *table = graph.getObject("tensor_values");
  const Object *meta = table ? table->getObject(tensor) : nullptr;
  if (!meta)
    return reader.error("input '")
           << tensor << "' has no type in graph.tensor_values";
  const JsonValue *value = meta->get(field);
  if (at >= 0) {
    const Array *list = value ? value->getAsArray() : nullptr;
    if (!list || at >= static_cast<int64_t>(list->size()))
      return reader.error("input '")
             << tensor << "' has no dimension " << at << " in its " << field;
    value = &(*list)[at];
  }
  return importer.parseSymInt(value, "input '" + tensor + "'." + field);
}

Expected<GuardTerm> GuardReader::resolve(const GuardSource &source) {
  auto it = paths.find(source.path);
  if (it == paths.end() || it->second >= leaves.size() ||
      leaves[it->second].empty())
    return createStringError("'" + source.path.str() +
                             "' is not an input of the program");
  StringRef tensor = leaves[it->second];
  bool isSize = source.kind == GuardSource::Kind::Size;
  StringRef field = isSize ? "sizes"
                    : source.kind == GuardSource::Kind::Stride
                        ? "strides"
                        : "storage_offset";
  bool isOffset = source.kind == GuardSource::Kind::StorageOffset;
  FailureOr<SizeExpr> expr =
      readTerm(tensor, field, isOffset ? -1 : source.dimension);
  if (failed(expr))
    return createStringError("'" + tensor.str() + "' does not say it");
  std::string name = tensor.str();
  StringRef given =
      isSize ? entry.getDimName(tensor, source.dimension) : StringRef();
  if (!given.empty())
    name = given.str();
  else if (isOffset)
    name += ".storage_offset()";
  else
    name += (isSize ? ".shape[" : ".stride()[") +
            std::to_string(source.dimension) + "]";
  return GuardTerm{*expr, name};
}

/// Gives each symbol that is a dimension of an input the name of that. Where
/// the user has given it one, that is what it is called from now on.
LogicalResult GuardReader::nameSymbols() {
  for (const DimName &own : entry.dimNames) {
    if (llvm::is_contained({"min", "max", "mod", "floordiv", "ceildiv"},
                           own.name))
      return reader.error("a dimension may not be called '")
             << own.name << "', which is a function of sizes";
    if (!llvm::is_contained(leaves, own.input))
      return reader.error("the name '")
             << own.name << "' is for dimension " << own.dimension
             << " of input '" << own.input << "', which is not there; inputs: "
             << llvm::join(llvm::make_filter_range(
                               leaves,
                               [](StringRef leaf) { return !leaf.empty(); }),
                           ", ");
  }
  const Object *table = graph.getObject("tensor_values");
  llvm::StringMap<std::string> renamed;
  for (const std::string &leaf : leaves) {
    const Object *meta = table ? table->getObject(leaf) : nullptr;
    const Array *sizes = meta ? meta->getArray("sizes") : nullptr;
    if (!sizes)
      continue; // looked at where inputs are read
    for (const DimName &own : entry.dimNames)
      if (own.input == leaf &&
          (own.dimension < 0 ||
           own.dimension >= static_cast<int64_t>(sizes->size())))
        return reader.error("the name '")
               << own.name << "' is for dimension " << own.dimension
               << " of input '" << leaf << "', which has " << sizes->size()
               << " dimensions";
    for (size_t d = 0; d < sizes->size(); ++d) {
      FailureOr<SizeExpr> size = readTerm(leaf, "sizes", d);
      if (failed(size))
        return failure();
      std::optional<StringRef> symbol = size->getSymbol();
      if (!symbol)
        continue;
      std::string symbolName = symbol->str();
      StringRef given = entry.getDimName(leaf, d);
      if (given.empty() || renamed.contains(symbolName)) {
        entry.symbolNames.try_emplace(
            symbolName, leaf + ".shape[" + std::to_string(d) + "]");
        continue;
      }
      if (given == symbolName)
        continue;
      bool isTaken = entry.ranges.contains(given);
      for (const auto &other : renamed)
        isTaken |= other.second == given;
      if (isTaken)
        return reader.error("the name '")
               << given << "' of dimension " << d << " of input '" << leaf
               << "' is that of another size";
      entry.symbolNames[symbolName] = given.str();
      renamed[symbolName] = given.str();
    }
  }
  for (const auto &[symbol, name] : renamed) {
    auto range = entry.ranges.find(symbol);
    if (range != entry.ranges.end()) {
      Interval interval = range->second;
      entry.ranges.erase(range);
      entry.ranges[name] = interval;
    }
    if (int64_t least = entry.tracedLeast.lookup(symbol))
      entry.tracedLeast[name] = least;
    entry.replace(symbol, SizeExpr::symbol(name));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Conditions
//===----------------------------------------------------------------------===//

/// Raises the least value of symbols as long as some guard refutes it, wherever
/// the other symbols are: `s * (t // 4) >= 2` leaves neither s = 0 nor t = 3.
void GuardReader::raiseLeast(ArrayRef<Guard> guards) {
  constexpr int kMaxSteps = 32;
  for (auto &range : entry.ranges) {
    SmallVector<const SizeExpr *> about;
    for (const Guard &guard : guards) {
      bool occurs = false;
      guard.condition.walkSymbols(
          [&](StringRef name) { occurs |= name == range.getKey(); });
      if (occurs)
        about.push_back(&guard.condition);
    }
    for (int step = 0; step < kMaxSteps; ++step) {
      Interval &interval = range.second;
      if (about.empty() || interval.min >= interval.max)
        break;
      bool isRefuted = llvm::any_of(about, [&](const SizeExpr *condition) {
        SizeExpr placed = condition->substitute(
            [&](StringRef name) -> std::optional<SizeExpr> {
              return name == range.getKey()
                         ? std::optional(SizeExpr(interval.min))
                         : std::nullopt;
            });
        return condition::fails(placed, entry.ranges);
      });
      if (!isRefuted)
        break;
      ++interval.min;
    }
  }
}

void GuardReader::replaceCongruent(ArrayRef<SizeExpr> conditions) {
  int64_t unbounded = std::numeric_limits<int64_t>::max();
  for (const Congruence &found : findCongruences(conditions, entry.ranges)) {
    Interval range = entry.ranges.lookup(found.symbol);
    std::string part = found.symbol + "_" + std::to_string(found.factor);
    while (entry.ranges.contains(part))
      part += "_";
    entry.ranges[part] = {
        std::max<int64_t>(
            0, llvm::divideCeilSigned(range.min - found.rest, found.factor)),
        range.max == unbounded
            ? unbounded
            : llvm::divideFloorSigned(range.max - found.rest, found.factor)};
    if (int64_t least = entry.tracedLeast.lookup(found.symbol))
      entry.tracedLeast[part] =
          llvm::divideCeilSigned(least - found.rest, found.factor);
    entry.replace(found.symbol,
                  SizeExpr::symbol(part) * SizeExpr(found.factor) +
                      SizeExpr(found.rest));
  }
}

LogicalResult GuardReader::run(const Object &graphModule,
                               const JsonValue *guards) {
  const Object *signature =
      reader.object(graphModule.get("signature"), "graph_module.signature");
  if (!signature || failed(readLeaves(*signature)) || failed(nameSymbols()))
    return failure();
  // Older archives have none.
  if (!guards || guards->getAsNull())
    return success();
  const Array *list = reader.array(guards, "guards_code");
  if (!list)
    return failure();
  if (list->empty())
    return success();
  nameLeaves(graphModule);

  std::vector<Guard> parsed;
  for (const JsonValue &value : *list) {
    FailureOr<StringRef> text = reader.string(&value, "guards_code");
    if (failed(text))
      return failure();
    Expected<Guard> guard = parseGuard(
        *text, [&](const GuardSource &source) { return resolve(source); });
    if (!guard) {
      entry.obstacles.add("",
                          ("the program's condition " + *text +
                           " cannot be checked: " +
                           llvm::toString(guard.takeError()))
                              .str(),
                          reader.getLoc());
      continue;
    }
    parsed.push_back(std::move(*guard));
  }

  // Each pass may decide what the one before could not.
  auto settle = [&] {
    for (size_t left = 0; left != parsed.size();) {
      left = parsed.size();
      raiseLeast(parsed);
      llvm::erase_if(parsed, [&](Guard &guard) {
        guard.condition =
            entry.replaced(guard.condition).simplify(entry.ranges);
        return condition::holds(guard.condition, entry.ranges) ||
               condition::narrow(guard.condition, entry.ranges);
      });
    }
  };
  settle();
  std::vector<SizeExpr> conditions;
  for (const Guard &guard : parsed)
    conditions.push_back(guard.condition);
  replaceCongruent(conditions);
  settle();
  for (const Guard &guard : parsed) {
    if (condition::fails(guard.condition, entry.ranges))
      return reader.error("no sizes fulfil the program's condition ")
             << guard.text;
    entry.require(guard.condition, guard.text, "");
  }
  return success();
}

LogicalResult headrace::readGuards(const Object &model,
                                   const Object &graphModule,
                                   const Object &graph,
                                   GraphImporter &importer,
                                   EntryState &entry) {
  return GuardReader(graph, importer, entry)
      .run(graphModule, model.get("guards_code"));
}
