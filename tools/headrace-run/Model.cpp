//===- Model.cpp - An artifact, checked and opened ------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Model.h"
#include "Json.h"
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>

using namespace headrace;

DLDataType Port::getType() const {
  size_t digits = dtype.find_first_of("0123456789");
  std::string kind = dtype.substr(0, digits);
  uint8_t bits = 8;
  if (digits != std::string::npos)
    bits = uint8_t(std::atoi(dtype.c_str() + digits));
  uint8_t code = kind == "float"    ? kDLFloat
                 : kind == "bfloat" ? kDLBfloat
                 : kind == "uint"   ? kDLUInt
                 : kind == "bool"   ? kDLBool
                                    : kDLInt;
  return {code, bits, 1};
}

std::string Port::getNumpyType() const {
  DLDataType type = getType();
  char kind = type.code == kDLFloat    ? 'f'
              : type.code == kDLBfloat ? 'u'
              : type.code == kDLUInt   ? 'u'
              : type.code == kDLBool   ? 'b'
                                       : 'i';
  return kind + std::to_string(type.bits / 8);
}

static std::vector<Port> readPorts(const Json &json) {
  std::vector<Port> ports;
  for (const Json &item : json.array) {
    Port port{item["name"].string, item["dtype"].string, {}};
    for (const Json &size : item["shape"].array)
      port.shape.push_back(size.kind == Json::Kind::String
                               ? size.string
                               : std::to_string(size.integer));
    ports.push_back(port);
  }
  return ports;
}

bool Model::check(const std::string &path, bool weights,
                  const std::string &weightsPath, std::string &error) {
  char message[1024];
  char *text = hr_artifact_check(
      path.c_str(), weights, weightsPath.empty() ? nullptr : weightsPath.c_str(),
      nullptr, message, sizeof message);
  if (!text) {
    error = message;
    return false;
  }
  signature = text;
  std::free(text);
  Json json;
  if (!Json::parse(signature, json)) {
    error = "the signature of '" + path + "' cannot be read";
    return false;
  }
  name = json["name"].string;
  schedule = json["schedule"].string;
  for (const Json &item : json["entries"].array) {
    Entry entry;
    entry.name = item["name"].string;
    for (const Json &symbol : item["symbols"].array) {
      entry.symbols.push_back(
          {symbol["name"].string, symbol["least"].integer, INT64_MAX});
      if (symbol["largest"].kind == Json::Kind::Integer)
        entry.symbols.back().largest = symbol["largest"].integer;
    }
    for (const Json &requirement : item["requires"].array)
      entry.conditions.push_back(requirement["condition"].string);
    entry.inputs = readPorts(item["inputs"]);
    entry.outputs = readPorts(item["outputs"]);
    for (const Json &command : item["commands"].array)
      entry.commands.push_back(command.string);
    entries.push_back(entry);
  }
  return true;
}

bool Model::load(const std::string &path, const std::string &weightsPath,
                 std::string &error) {
  char message[1024];
  if (hr_artifact_open(path.c_str(),
                       weightsPath.empty() ? nullptr : weightsPath.c_str(),
                       &loaded, message, sizeof message)) {
    error = message;
    return false;
  }
  if (signature != loaded.table->describe()) {
    error = "'" + path + "' was replaced while it was loaded";
    return false;
  }
  return true;
}

const Entry *Model::find(const std::string &name, std::string &error) const {
  if (name.empty() && entries.size() == 1)
    return &entries.front();
  std::string names;
  for (const Entry &entry : entries) {
    if (entry.name == name)
      return &entry;
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  error = name.empty() ? "choose one with --entry: " + names
                       : "no entry '" + name + "'; there are: " + names;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

namespace {
/// `s0 * s1 + 4`, `(s0 + 1) floordiv 2`, `min(s0, 8)`.
class SizeParser {
public:
  SizeParser(const std::string &text,
             const std::map<std::string, int64_t> &symbols)
      : at(text.c_str()), symbols(symbols) {}

  bool parse(int64_t &value) {
    return sum(value, 0) && (skip(), *at == 0);
  }

private:
  void skip() {
    while (*at == ' ')
      ++at;
  }
  bool take(const char *word) {
    skip();
    size_t length = std::strlen(word);
    if (std::strncmp(at, word, length) != 0)
      return false;
    at += length;
    return true;
  }
  bool sum(int64_t &value, int depth) {
    if (depth > 64 || !product(value, depth))
      return false;
    for (;;) {
      int64_t other;
      if (take("+")) {
        if (!product(other, depth) ||
            __builtin_add_overflow(value, other, &value))
          return false;
      } else if (take("-")) {
        if (!product(other, depth) ||
            __builtin_sub_overflow(value, other, &value))
          return false;
      } else {
        return true;
      }
    }
  }
  bool product(int64_t &value, int depth) {
    if (!atom(value, depth))
      return false;
    for (;;) {
      int64_t other;
      if (take("*")) {
        if (!atom(other, depth) ||
            __builtin_mul_overflow(value, other, &value))
          return false;
        continue;
      }
      bool mod = take("mod"), up = !mod && take("ceildiv");
      if (!mod && !up && !take("floordiv"))
        return true;
      if (!atom(other, depth) || other == 0 || other == -1)
        return false;
      int64_t quotient = value / other;
      bool exact = value % other == 0, negative = (value < 0) != (other < 0);
      int64_t floor = quotient - (!exact && negative);
      value = mod  ? value - floor * other
              : up ? floor + !exact
                   : floor;
    }
  }
  bool atom(int64_t &value, int depth) {
    skip();
    if (take("-")) {
      if (!atom(value, depth + 1))
        return false;
      value = -value;
      return depth < 64;
    }
    if (take("("))
      return sum(value, depth + 1) && take(")");
    bool low = take("min(");
    if (low || take("max(")) {
      int64_t other;
      if (!sum(value, depth + 1))
        return false;
      while (take(",")) {
        if (!sum(other, depth + 1))
          return false;
        value = low ? std::min(value, other) : std::max(value, other);
      }
      return take(")");
    }
    if (*at >= '0' && *at <= '9') {
      char *end;
      value = std::strtoll(at, &end, 10);
      at = end;
      return true;
    }
    std::string name;
    while (*at && (std::isalnum(static_cast<unsigned char>(*at)) ||
                   *at == '_' || *at == '.'))
      name += *at++;
    auto it = symbols.find(name);
    if (it == symbols.end())
      return false;
    value = it->second;
    return true;
  }

  const char *at;
  const std::map<std::string, int64_t> &symbols;
};
} // namespace

bool headrace::evaluateSize(const std::string &text,
                            const std::map<std::string, int64_t> &symbols,
                            int64_t &value) {
  return SizeParser(text, symbols).parse(value);
}

std::map<std::string, int64_t>
headrace::findSizes(const Entry &entry, const std::vector<Array> &inputs) {
  std::map<std::string, int64_t> sizes;
  for (const Symbol &symbol : entry.symbols)
    for (size_t i = 0; i < inputs.size(); ++i)
      for (size_t d = 0; d < inputs[i].shape.size() &&
                         d < entry.inputs[i].shape.size();
           ++d) {
        // Dimensions that are linear in this symbol and in no other.
        const std::string &text = entry.inputs[i].shape[d];
        int64_t zero, one;
        if (sizes.count(symbol.name) ||
            !evaluateSize(text, {{symbol.name, 0}}, zero) ||
            !evaluateSize(text, {{symbol.name, 1}}, one) || one == zero)
          continue;
        sizes[symbol.name] = (inputs[i].shape[d] - zero) / (one - zero);
      }
  return sizes;
}
