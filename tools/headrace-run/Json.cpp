//===- Json.cpp - A small JSON reader -------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Json.h"
#include <cstdlib>
#include <cstring>

using namespace headrace;

namespace {
class Parser {
public:
  explicit Parser(const std::string &text) : at(text.c_str()) {}

  bool value(Json &result, int depth) {
    if (depth > 64)
      return false;
    skipSpace();
    switch (*at) {
    case '{':
      return object(result, depth);
    case '[':
      return array(result, depth);
    case '"':
      result.kind = Json::Kind::String;
      return string(result.string);
    case 't':
      result.kind = Json::Kind::Bool;
      result.integer = 1;
      return word("true");
    case 'f':
      result.kind = Json::Kind::Bool;
      return word("false");
    case 'n':
      return word("null");
    default:
      return number(result);
    }
  }
  bool atEnd() {
    skipSpace();
    return *at == 0;
  }

private:
  void skipSpace() {
    while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')
      ++at;
  }
  bool word(const char *text) {
    size_t length = std::strlen(text);
    if (std::strncmp(at, text, length) != 0)
      return false;
    at += length;
    return true;
  }
  bool take(char c) {
    skipSpace();
    if (*at != c)
      return false;
    ++at;
    return true;
  }
  bool number(Json &result) {
    char *end;
    result.integer = std::strtoll(at, &end, 10);
    if (end == at)
      return false;
    result.kind = Json::Kind::Integer;
    result.number = double(result.integer);
    if (*end == '.' || *end == 'e' || *end == 'E') {
      result.kind = Json::Kind::Number;
      result.number = std::strtod(at, &end);
    }
    at = end;
    return true;
  }
  bool string(std::string &result) {
    if (!take('"'))
      return false;
    while (*at && *at != '"') {
      if (*at != '\\') {
        result += *at++;
        continue;
      }
      ++at;
      switch (*at++) {
      case '"':
        result += '"';
        break;
      case '\\':
        result += '\\';
        break;
      case '/':
        result += '/';
        break;
      case 'b':
        result += '\b';
        break;
      case 'f':
        result += '\f';
        break;
      case 'n':
        result += '\n';
        break;
      case 'r':
        result += '\r';
        break;
      case 't':
        result += '\t';
        break;
      case 'u': {
        char digits[5] = {};
        for (int i = 0; i < 4; ++i) {
          if (!*at)
            return false;
          digits[i] = *at++;
        }
        unsigned long code = std::strtoul(digits, nullptr, 16);
        if (code < 0x80) {
          result += char(code);
        } else if (code < 0x800) {
          result += char(0xc0 | code >> 6);
          result += char(0x80 | (code & 0x3f));
        } else {
          result += char(0xe0 | code >> 12);
          result += char(0x80 | (code >> 6 & 0x3f));
          result += char(0x80 | (code & 0x3f));
        }
        break;
      }
      default:
        return false;
      }
    }
    return take('"');
  }
  bool array(Json &result, int depth) {
    result.kind = Json::Kind::Array;
    take('[');
    if (take(']'))
      return true;
    do {
      result.array.emplace_back();
      if (!value(result.array.back(), depth + 1))
        return false;
    } while (take(','));
    return take(']');
  }
  bool object(Json &result, int depth) {
    result.kind = Json::Kind::Object;
    take('{');
    if (take('}'))
      return true;
    do {
      result.keys.emplace_back();
      result.array.emplace_back();
      skipSpace();
      if (!string(result.keys.back()) || !take(':') ||
          !value(result.array.back(), depth + 1))
        return false;
    } while (take(','));
    return take('}');
  }

  const char *at;
};
} // namespace

const Json &Json::operator[](const char *key) const {
  static const Json null;
  for (size_t i = 0; i < keys.size(); ++i)
    if (keys[i] == key)
      return array[i];
  return null;
}

bool Json::parse(const std::string &text, Json &result) {
  Parser parser(text);
  return parser.value(result, 0) && parser.atEnd();
}
