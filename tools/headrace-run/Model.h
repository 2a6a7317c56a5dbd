//===- Model.h - An artifact, checked and opened --------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_RUN_MODEL_H
#define HEADRACE_RUN_MODEL_H

#include "Npz.h"
#include "headrace/Runtime/Artifact.h"
#include <map>
#include <string>
#include <vector>

namespace headrace {

/// An input or output as the signature has it.
struct Port {
  std::string name;
  std::string dtype; // float32, bfloat16, int64, bool, ...
  /// Per dimension a number or an expression of symbols, as text.
  std::vector<std::string> shape;

  DLDataType getType() const;
  /// NumPy's kind and size; bfloat16 is u2.
  std::string getNumpyType() const;
};

struct Symbol {
  std::string name;
  int64_t least = 0, largest = INT64_MAX;
};

struct Entry {
  std::string name;
  std::vector<Symbol> symbols;
  /// Expressions that have to be at least 0.
  std::vector<std::string> conditions;
  std::vector<Port> inputs, outputs;
  /// What each command runs, by the numbers that profiles give them.
  std::vector<std::string> commands;
};

/// An artifact, from its file.
struct Model {
  std::string signature;
  std::string name;
  /// Tells schedules apart.
  std::string schedule;
  std::vector<Entry> entries;
  hr_artifact loaded = {};

  /// Checks code and signature (and the weights) against their checksums, and
  /// reads the signature. Runs no code of the artifact.
  bool check(const std::string &path, bool weights,
             const std::string &weightsPath, std::string &error);
  /// Loads the code, and opens the model.
  bool load(const std::string &path, const std::string &weightsPath,
            std::string &error);
  const Entry *find(const std::string &entry, std::string &error) const;
};

/// The value of a size. Returns false if it is not an expression of `symbols`.
bool evaluateSize(const std::string &text,
                  const std::map<std::string, int64_t> &symbols,
                  int64_t &value);

/// The values of an entry's symbols that inputs of these shapes stand for.
std::map<std::string, int64_t> findSizes(const Entry &entry,
                                         const std::vector<Array> &inputs);

} // namespace headrace
#endif // HEADRACE_RUN_MODEL_H
