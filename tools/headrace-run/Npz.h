//===- Npz.h - Arrays in .npz files ---------------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// NumPy's archive of named arrays. NumPy has no bfloat16: such a tensor is kept
// as the 16 bits of each element, dtype uint16 (`x.view(torch.uint16).numpy()`);
// two-byte void, which the ml_dtypes package writes, is read too.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_RUN_NPZ_H
#define HEADRACE_RUN_NPZ_H

#include "headrace/Support/OutputFile.h"
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace headrace {

/// A row-major array.
struct Array {
  /// NumPy's kind and size: "f4", "i8", "u2", "b1", "V2", ...
  std::string type;
  std::vector<int64_t> shape;
  std::vector<char> bytes;

  int64_t getNumElements() const;
};

/// Reads all arrays of a file. Returns false, with `error`, if it cannot, or if
/// two have the same name.
bool readNpz(const std::string &path, std::map<std::string, Array> &arrays,
             std::string &error);
/// Writes a file, uncompressed; the caller commits it.
bool writeNpz(OutputFile &file,
              const std::vector<std::pair<std::string, Array>> &arrays,
              std::string &error);

} // namespace headrace
#endif // HEADRACE_RUN_NPZ_H
