//===- ImageElements.h - What element types are called --------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_IMAGEELEMENTS_H
#define HEADRACE_LIB_TARGET_IMAGEELEMENTS_H

#include "Image.h"
#include <optional>

namespace headrace {

struct ElementInfo {
  uint8_t code;          // DLPack's
  llvm::StringRef name;  // in the signature: numpy's and torch's word
  llvm::StringRef cType; // in generated headers
};

/// Nothing if there is no way to pass such elements.
std::optional<ElementInfo> getElementInfo(const ImagePort &port);

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_IMAGEELEMENTS_H
