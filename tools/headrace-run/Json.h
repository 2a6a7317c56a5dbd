//===- Json.h - A small JSON reader ---------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For signatures, which the compiler wrote and a checksum protects; still,
// nesting is bounded and nothing is trusted. Programs that load artifacts do
// not link LLVM, so its reader is not used here.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_RUN_JSON_H
#define HEADRACE_RUN_JSON_H

#include <cstdint>
#include <string>
#include <vector>

namespace headrace {

struct Json {
  enum class Kind { Null, Bool, Integer, Number, String, Array, Object };
  Kind kind = Kind::Null;
  int64_t integer = 0; // also of Bool
  double number = 0;
  std::string string;
  std::vector<Json> array;
  /// Of an object; its values are in `array`.
  std::vector<std::string> keys;

  /// The member of that name; null (the value) if there is none.
  const Json &operator[](const char *key) const;
  /// Returns false if `text` is not JSON.
  static bool parse(const std::string &text, Json &result);
};

} // namespace headrace
#endif // HEADRACE_RUN_JSON_H
