//===- WeightStore.h - The bytes of a program's weights -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights never become attributes of the IR: an `hr.weight` names an entry of
// this table. An entry is a strided window on a *storage*, a block of bytes
// that is mapped from a file or owned; several entries may share a storage.
// Reading an entry gives its elements row-major and contiguous, without a copy
// where the window already is.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_SUPPORT_WEIGHTSTORE_H
#define HEADRACE_SUPPORT_WEIGHTSTORE_H

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include <memory>
#include <mutex>
#include <string>

namespace headrace {

/// A block of bytes that somebody keeps alive.
struct Storage {
  llvm::ArrayRef<char> bytes;
  /// Whatever owns `bytes` (a mapped file, a vector).
  std::shared_ptr<void> owner;
  /// `bytes` are a private mapping of a file that nobody writes through: pages
  /// given back to the system come again when they are read.
  bool isMapped = false;

  /// Gives the memory of `part` back, where the file has it still.
  void release(llvm::ArrayRef<char> part) const;
};

/// Bytes per element as stored in weights and buffers: bool is one byte.
int64_t getElementBytes(mlir::Type elementType);

class WeightStore {
public:
  struct Entry {
    mlir::RankedTensorType type;
    std::shared_ptr<const Storage> storage;
    /// In elements.
    llvm::SmallVector<int64_t> strides;
    /// In elements from the start of the storage.
    int64_t offset = 0;
  };

  /// Adds a window; all its elements must lie in the storage (the caller has
  /// checked). Replaces an entry of the same name.
  void add(llvm::StringRef name, Entry entry);
  /// Adds contiguous bytes that the store then owns.
  void addOwned(llvm::StringRef name, mlir::RankedTensorType type,
                std::vector<char> bytes);

  const Entry *lookup(llvm::StringRef name) const;
  void erase(llvm::StringRef name);
  /// `base`, or `base.1`, `base.2`, ...: a name that is not taken.
  std::string uniqueName(llvm::StringRef base) const;

  /// The elements of an entry, row-major and contiguous.
  struct Bytes {
    llvm::ArrayRef<char> data;
    std::shared_ptr<const void> owner;
  };
  /// Fails if there is no such entry.
  mlir::FailureOr<Bytes> read(llvm::StringRef name) const;
  /// Nobody reads the entry for a while: its memory is given back to the system
  /// where a file has the bytes. What was read stays valid.
  void release(llvm::StringRef name) const;
  /// Whether `read` would have to copy.
  static bool isContiguous(const Entry &entry);
  size_t size() const { return entries.size(); }

private:
  llvm::StringMap<Entry> entries;
};

} // namespace headrace
#endif // HEADRACE_SUPPORT_WEIGHTSTORE_H
