//===- Schema.cpp - What torch says about each ATen operator --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Schemas.inc is sorted by name and searched by bisection. A schema is parsed
// when it is first asked for and then kept for the life of the process.
//
//===----------------------------------------------------------------------===//
#include "headrace/Dialect/Aten/Schema.h"
#include "headrace/Dialect/Aten/Aten.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"
#include "mlir/IR/Builders.h"
#include <algorithm>
#include <memory>
#include <mutex>

using namespace mlir;
using namespace headrace;
using namespace headrace::aten;

namespace {
struct Row {
  llvm::StringLiteral name;
  llvm::StringLiteral signature;
};
constexpr Row kRows[] = {
#define SCHEMA(NAME, SIGNATURE) {NAME, SIGNATURE},
#include "Schemas.inc"
#undef SCHEMA
};

/// Reads `(Tensor(a!) self, *, Scalar alpha=1) -> Tensor(a!)`. The table is our
/// own, so that only what torch prints has to be understood; a line that is not
/// understood yields no schema.
class SchemaParser {
public:
  explicit SchemaParser(StringRef text) : text(text) {}

  bool parse(Schema &schema) {
    if (!text.consume_front("("))
      return false;
    bool keywordOnly = false;
    while (!text.consume_front(")")) {
      skip();
      if (text.consume_front("*,")) {
        keywordOnly = true;
        continue;
      }
      SchemaArg arg;
      arg.isKeywordOnly = keywordOnly;
      if (!parseType(arg.type))
        return false;
      skip();
      arg.name = takeIdentifier();
      if (arg.name.empty())
        return false;
      if (text.consume_front("="))
        arg.defaultText = takeDefault();
      schema.args.push_back(arg);
      skip();
      text.consume_front(",");
    }
    skip();
    if (!text.consume_front("->"))
      return false;
    skip();
    if (!text.consume_front("(")) {
      SchemaType type;
      if (!parseType(type))
        return false;
      schema.results.push_back(type);
      return true;
    }
    while (!text.consume_front(")")) {
      skip();
      SchemaType type;
      if (!parseType(type))
        return false;
      skip();
      takeIdentifier(); // Results may be named.
      schema.results.push_back(type);
      skip();
      text.consume_front(",");
    }
    return true;
  }

private:
  void skip() { text = text.ltrim(' '); }

  StringRef takeIdentifier() {
    StringRef name =
        text.take_while([](char c) { return llvm::isAlnum(c) || c == '_'; });
    text = text.drop_front(name.size());
    return name;
  }

  bool parseType(SchemaType &type) {
    using Base = SchemaType::Base;
    StringRef name = takeIdentifier();
    if (name.empty())
      return false;
    type.base = llvm::StringSwitch<Base>(name)
                    .Case("Tensor", Base::Tensor)
                    .Case("int", Base::Int)
                    .Case("SymInt", Base::SymInt)
                    .Cases({"float", "SymFloat"}, Base::Float)
                    .Cases({"bool", "SymBool"}, Base::Bool)
                    .Cases({"Scalar", "number"}, Base::Scalar)
                    .Case("str", Base::String)
                    .Case("complex", Base::Complex)
                    .Case("ScalarType", Base::DType)
                    .Case("Layout", Base::Layout)
                    .Case("MemoryFormat", Base::MemoryFormat)
                    .Case("Device", Base::Device)
                    .Case("Generator", Base::Generator)
                    .Default(Base::Other);
    while (true) {
      if (text.consume_front("(")) {
        StringRef alias = text.take_until([](char c) { return c == ')'; });
        text = text.drop_front(std::min(text.size(), alias.size() + 1));
        type.isWritten = alias.contains('!');
        type.alias = alias.take_while(llvm::isAlpha);
      } else if (text.consume_front("[")) {
        StringRef size = text.take_until([](char c) { return c == ']'; });
        text = text.drop_front(std::min(text.size(), size.size() + 1));
        if (!size.empty() && size.getAsInteger(10, type.listSize))
          return false;
        type.hasOptionalElements = type.isOptional;
        type.isOptional = false;
        type.isList = true;
      } else if (text.consume_front("?")) {
        type.isOptional = true;
      } else {
        return true;
      }
    }
  }

  StringRef takeDefault() {
    unsigned depth = 0;
    bool quoted = false;
    size_t end = 0;
    for (; end < text.size(); ++end) {
      char c = text[end];
      if (quoted) {
        if (c == '\\')
          ++end;
        else if (c == '"')
          quoted = false;
        continue;
      }
      if (c == '"')
        quoted = true;
      else if (c == '[')
        ++depth;
      else if (c == ']')
        --depth;
      else if (depth == 0 && (c == ',' || c == ')'))
        break;
    }
    StringRef value = text.take_front(end);
    text = text.drop_front(end);
    return value;
  }

  StringRef text;
};
} // namespace

std::string SchemaType::str() const {
  static constexpr StringRef names[] = {
      "Tensor",  "int",     "SymInt",     "float",  "bool",         "Scalar",
      "str",     "complex", "ScalarType", "Layout", "MemoryFormat", "Device",
      "Generator", "?"};
  std::string result = names[static_cast<size_t>(base)].str();
  if (isList) {
    result += hasOptionalElements ? "?[" : "[";
    if (listSize)
      result += std::to_string(listSize);
    result += "]";
  }
  if (isOptional)
    result += "?";
  return result;
}

std::optional<unsigned> Schema::findArg(StringRef argName) const {
  for (auto [i, arg] : llvm::enumerate(args))
    if (arg.name == argName)
      return i;
  return std::nullopt;
}

bool Schema::isMutating() const {
  return llvm::any_of(args,
                      [](const SchemaArg &a) { return a.type.isWritten; });
}

StringRef Schema::getBaseName() const { return name.rsplit('.').first; }
StringRef Schema::getOverload() const { return name.rsplit('.').second; }

const Schema *aten::lookupSchema(StringRef name) {
  const Row *row = std::lower_bound(
      std::begin(kRows), std::end(kRows), name,
      [](const Row &row, StringRef name) { return row.name < name; });
  if (row == std::end(kRows) || row->name != name)
    return nullptr;

  static std::mutex mutex;
  static llvm::StringMap<std::unique_ptr<Schema>> parsed;
  std::lock_guard<std::mutex> lock(mutex);
  auto [it, isNew] = parsed.try_emplace(row->name);
  if (isNew) {
    auto schema = std::make_unique<Schema>();
    schema->name = row->name;
    if (SchemaParser(row->signature).parse(*schema))
      it->second = std::move(schema);
  }
  return it->second.get();
}

/// The attribute for one number, bool or None; null if it is none of these.
static Attribute getDefaultScalar(Builder &builder, SchemaType::Base base,
                                  StringRef text) {
  if (text == "None")
    return NoneAttr::get(builder.getContext());
  if (text == "True" || text == "False")
    return builder.getBoolAttr(text == "True");
  int64_t integer;
  if (base != SchemaType::Base::Float && !text.getAsInteger(10, integer))
    return builder.getI64IntegerAttr(integer);
  double value;
  if (text == "inf" || text == "-inf")
    return builder.getF64FloatAttr(text == "inf"
                                       ? std::numeric_limits<double>::infinity()
                                       : -std::numeric_limits<double>::infinity());
  if (!text.getAsDouble(value))
    return builder.getF64FloatAttr(value);
  return {};
}

Attribute aten::getDefaultValue(MLIRContext *context, const SchemaArg &arg) {
  if (!arg.defaultText)
    return {};
  Builder builder(context);
  StringRef text = *arg.defaultText;
  if (text == "None")
    return NoneAttr::get(context);
  if (arg.type.base == SchemaType::Base::String) {
    text.consume_front("\"");
    text.consume_back("\"");
    return builder.getStringAttr(text);
  }
  if (arg.type.base == SchemaType::Base::MemoryFormat)
    // c10 numbers them contiguous, preserve, channels last.
    return MemoryFormatAttr::get(context, text == "1" ? MemoryFormat::Preserve
                                          : text == "2"
                                              ? MemoryFormat::ChannelsLast
                                              : MemoryFormat::Contiguous);
  if (!text.consume_front("[")) {
    Attribute value = getDefaultScalar(builder, arg.type.base, text);
    if (value && arg.type.isList && arg.type.listSize)
      return builder.getArrayAttr(
          SmallVector<Attribute>(arg.type.listSize, value));
    return value;
  }
  text.consume_back("]");
  SmallVector<Attribute> elements;
  SmallVector<StringRef> parts;
  text.split(parts, ',', -1, /*KeepEmpty=*/false);
  for (StringRef part : parts) {
    Attribute element = getDefaultScalar(builder, arg.type.base, part.trim());
    if (!element)
      return {};
    elements.push_back(element);
  }
  return builder.getArrayAttr(elements);
}
