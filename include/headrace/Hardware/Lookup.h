//===- Lookup.h - What a target's name leads to ---------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `hw::System::load` takes what these functions find. A description's name is
// spelled with dashes on the command line and with underscores in its `hw.system`;
// either is the same name.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_HARDWARE_LOOKUP_H
#define HEADRACE_HARDWARE_LOOKUP_H

#include "llvm/ADT/StringRef.h"
#include <string>

namespace headrace::hw {

/// The file that a target's description is read from; empty for a shipped one
/// and for names that nobody knows.
std::string findDescriptionFile(llvm::StringRef target);

/// The name that `hrcc --target=` takes for the system called `name`.
std::string getTargetName(llvm::StringRef name);

} // namespace headrace::hw
#endif // HEADRACE_HARDWARE_LOOKUP_H
