//===- Options.h - The command line of headrace-run -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_RUN_OPTIONS_H
#define HEADRACE_RUN_OPTIONS_H

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace headrace {

struct Options {
  std::string model, inputs, outputs, compare, oracle, entry, weights,
      profileFile;
  std::map<std::string, int64_t> sizes;
  double tolerance = -1;
  uint64_t seed = 0;
  long repeat = 0;
  uint32_t workers = 0;
  bool check = false, describe = false, profile = false, help = false,
       version = false;
};

/// Reads a command line; returns everything that is wrong with it.
std::vector<std::string> parseOptions(int argc, char **argv, Options &options);

/// What --help prints.
extern const char usage[];

} // namespace headrace
#endif // HEADRACE_RUN_OPTIONS_H
