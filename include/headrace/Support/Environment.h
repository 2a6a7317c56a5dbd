//===- Environment.h - Every environment variable we read -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The compiler reads environment variables here and nowhere else; each has its
// type, its default and who uses it beside its name.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SUPPORT_ENVIRONMENT_H
#define HEADRACE_SUPPORT_ENVIRONMENT_H

#include <string>

namespace headrace::environment {

/// HEADRACE_TARGET_DIR: a folder with the user's own hardware descriptions,
/// `native.mlir` (what `hrcc --probe` writes) among them. Default:
/// $XDG_CONFIG_HOME/headrace/targets, else ~/.config/headrace/targets, else
/// empty. Used by lib/Hardware.
std::string getTargetDir();

} // namespace headrace::environment
#endif // HEADRACE_SUPPORT_ENVIRONMENT_H
