//===- Archive.h - The zip archive around an exported program -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A `.pt2` file is a zip whose entries lie under one top folder; data is
// stored, not compressed, so that it can be used where it is mapped. Nothing
// in the file is trusted: names, sizes, offsets and checksums are all checked
// against the bytes that are there.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_IMPORT_ARCHIVE_H
#define HEADRACE_IMPORT_ARCHIVE_H

#include "headrace/Support/WeightStore.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>
#include <vector>

namespace headrace {

class Archive {
public:
  static llvm::Expected<std::unique_ptr<Archive>> open(llvm::StringRef path);
  /// The same on bytes in memory, which must stay alive as long as `owner`.
  static llvm::Expected<std::unique_ptr<Archive>>
  openBytes(llvm::ArrayRef<char> bytes, std::shared_ptr<void> owner);
  ~Archive();

  /// Names are those below the top folder: `models/model.json`.
  bool contains(llvm::StringRef name) const { return entries.contains(name); }
  /// All names, sorted.
  std::vector<std::string> names() const;
  /// The content of a small entry, decompressed; at most `limit` bytes.
  llvm::Expected<std::string> read(llvm::StringRef name, uint64_t limit) const;
  /// The bytes of an uncompressed entry where they are mapped.
  llvm::Expected<std::shared_ptr<const Storage>>
  map(llvm::StringRef name) const;

private:
  struct Entry {
    uint64_t zipIndex;
    uint64_t size;
    uint64_t localHeader;
    uint32_t crc;
    bool isStored;
  };
  Archive() = default;
  llvm::Error index();
  llvm::Error findLocalHeaders(llvm::StringMap<uint64_t> &offsets) const;
  llvm::Expected<const Entry *> find(llvm::StringRef name) const;

  llvm::ArrayRef<char> bytes;
  std::shared_ptr<void> owner;
  bool isMapped = false;
  /// A `zip_t`; libzip's header stays out of ours.
  struct Handle;
  std::unique_ptr<Handle> handle;
  llvm::StringMap<Entry> entries;
};

} // namespace headrace
#endif // HEADRACE_IMPORT_ARCHIVE_H
