//===- Environment.cpp - Every environment variable we read ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Support/Environment.h"

#include <cstdlib>

using namespace headrace;

/// The variable's text; empty if it is unset.
static std::string read(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

std::string environment::getTargetDir() {
  std::string dir = read("HEADRACE_TARGET_DIR");
  if (!dir.empty())
    return dir;
  dir = read("XDG_CONFIG_HOME");
  if (!dir.empty())
    return dir + "/headrace/targets";
  dir = read("HOME");
  return dir.empty() ? dir : dir + "/.config/headrace/targets";
}
