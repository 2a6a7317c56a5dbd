//===- Json.cpp - JSON from a source that is not trusted ------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Json.h"
#include "llvm/Support/FormatVariadic.h"
#include <limits>

using namespace mlir;
using namespace headrace;
using llvm::createStringError;
using llvm::formatv;

/// Subgraphs nest, and little else does: real programs stay below 30.
static constexpr unsigned kMaxDepth = 200;
/// What the tree of a text may take. LLVM's objects are hash tables of 64
/// buckets from their first key on (measured); other values are small.
static constexpr uint64_t kMaxTreeBytes = 1400ull << 20;
static constexpr uint64_t kObjectBytes = 6500;
/// Twice the size of a value, because arrays grow by doubling.
static constexpr uint64_t kValueBytes = 80;

llvm::Expected<llvm::json::Value>
headrace::parseBoundedJson(StringRef text) {
  unsigned depth = 0;
  // Strings are copied out of the text.
  uint64_t bytes = text.size();
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        quoted = false;
      continue;
    }
    switch (c) {
    case '"':
      quoted = true;
      break;
    case '[':
    case '{':
      if (++depth > kMaxDepth)
        return createStringError(
            formatv("nested more than {0} deep", kMaxDepth).str());
      bytes += c == '{' ? kObjectBytes : kValueBytes;
      break;
    case ']':
    case '}':
      if (depth)
        --depth;
      break;
    case ',':
    case ':':
      bytes += kValueBytes;
      break;
    default:
      break;
    }
    if (bytes > kMaxTreeBytes)
      return createStringError(
          formatv("its tree would take more than {0} MiB",
                  kMaxTreeBytes >> 20)
              .str());
  }
  return llvm::json::parse(text);
}

static StringRef describe(const llvm::json::Value *value) {
  if (!value)
    return "nothing";
  switch (value->kind()) {
  case llvm::json::Value::Null:
    return "null";
  case llvm::json::Value::Boolean:
    return "a boolean";
  case llvm::json::Value::Number:
    return "a number";
  case llvm::json::Value::String:
    return "a string";
  case llvm::json::Value::Array:
    return "an array";
  case llvm::json::Value::Object:
    return "an object";
  }
  return "an unknown value";
}

InFlightDiagnostic JsonReader::mismatch(const llvm::json::Value *value,
                                        const Twine &what,
                                        StringRef expected) const {
  return error(what) << ": expected " << expected << " but got "
                     << describe(value);
}

const llvm::json::Object *JsonReader::object(const llvm::json::Value *value,
                                             const Twine &what) const {
  const llvm::json::Object *result = value ? value->getAsObject() : nullptr;
  if (!result)
    mismatch(value, what, "an object");
  return result;
}

const llvm::json::Array *JsonReader::array(const llvm::json::Value *value,
                                           const Twine &what) const {
  const llvm::json::Array *result = value ? value->getAsArray() : nullptr;
  if (!result)
    mismatch(value, what, "an array");
  return result;
}

FailureOr<StringRef> JsonReader::string(const llvm::json::Value *value,
                                        const Twine &what) const {
  if (value)
    if (std::optional<StringRef> text = value->getAsString())
      return *text;
  return mismatch(value, what, "a string");
}

FailureOr<int64_t> JsonReader::integer(const llvm::json::Value *value,
                                       const Twine &what) const {
  if (value)
    if (std::optional<int64_t> number = value->getAsInteger())
      return *number;
  if (value && value->kind() == llvm::json::Value::Number)
    return error(what) << ": expected an integer of 64 bits";
  return mismatch(value, what, "an integer");
}

FailureOr<bool> JsonReader::boolean(const llvm::json::Value *value,
                                    const Twine &what) const {
  if (value)
    if (std::optional<bool> boolean = value->getAsBoolean())
      return *boolean;
  return mismatch(value, what, "a boolean");
}

FailureOr<double> JsonReader::number(const llvm::json::Value *value,
                                     const Twine &what) const {
  if (value) {
    if (std::optional<double> number = value->getAsNumber())
      return *number;
    if (std::optional<StringRef> text = value->getAsString()) {
      if (*text == "Infinity")
        return std::numeric_limits<double>::infinity();
      if (*text == "-Infinity")
        return -std::numeric_limits<double>::infinity();
      if (*text == "NaN")
        return std::numeric_limits<double>::quiet_NaN();
    }
  }
  return mismatch(value, what, "a number");
}

JsonReader::Union JsonReader::unionOf(const llvm::json::Value *value,
                                      const Twine &what) const {
  const llvm::json::Object *fields = object(value, what);
  if (!fields)
    return {};
  if (fields->size() != 1) {
    error(what) << ": expected an object with one key but got "
                << fields->size();
    return {};
  }
  return {fields->begin()->first, &fields->begin()->second};
}
