//===- Archive.cpp - The zip archive around an exported program -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// libzip lists and reads the entries. It does not say where an entry's data
// lies, which mapping needs: the offsets of the local headers are taken from
// the central directory here, and a local header must agree with what libzip
// says of the entry before its data is used.
//
//===----------------------------------------------------------------------===//
#include "headrace/Import/Archive.h"
#include "FileKind.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/CRC.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include <zip.h>

using namespace llvm;
using namespace headrace;

/// More entries than any program has tensors.
static constexpr uint64_t kMaxEntries = 1 << 20;

/// The size of the record that ends an archive.
static constexpr uint64_t kEndSize = 22;

template <typename... Ts>
static Error makeError(const char *format, const Ts &...values) {
  return createStringError(formatv(format, values...).str());
}

struct Archive::Handle {
  explicit Handle(zip_t *zip) : zip(zip) {}
  ~Handle() { zip_discard(zip); }
  zip_t *zip;
};

Archive::~Archive() = default;

Expected<std::unique_ptr<Archive>> Archive::open(StringRef path) {
  sys::fs::file_status status;
  if (std::error_code code = sys::fs::status(path, status))
    return makeError("{0}", code.message());
  if (!sys::fs::is_regular_file(status))
    return makeError("expected a .pt2 archive, but this is not a regular file");
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer =
      MemoryBuffer::getFile(path, /*IsText=*/false,
                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return makeError("{0}", buffer.getError().message());
  std::shared_ptr<MemoryBuffer> shared = std::move(*buffer);
  ArrayRef<char> bytes(shared->getBufferStart(), shared->getBufferSize());
  auto archive = openBytes(bytes, shared);
  if (archive)
    (*archive)->isMapped =
        shared->getBufferKind() == MemoryBuffer::MemoryBuffer_MMap;
  return archive;
}

Expected<std::unique_ptr<Archive>>
Archive::openBytes(ArrayRef<char> bytes, std::shared_ptr<void> owner) {
  std::unique_ptr<Archive> archive(new Archive());
  archive->bytes = bytes;
  archive->owner = std::move(owner);
  // An archive without entries; libzip takes no bytes at all for one, too.
  if (bytes.size() <= kEndSize) {
    std::string kind = nameForeignFile(bytes);
    return makeError("not a .pt2 archive: {0}",
                     kind.empty()
                         ? formatv("the file has {0} bytes", bytes.size()).str()
                         : "this is " + kind);
  }
  zip_error_t error;
  zip_error_init(&error);
  auto fail = [&]() {
    // How libzip says that a name is there twice.
    std::string reason = zip_error_code_zip(&error) == ZIP_ER_EXISTS
                             ? "an entry appears twice"
                             : zip_error_strerror(&error);
    std::string kind = zip_error_code_zip(&error) == ZIP_ER_EXISTS
                           ? ""
                           : nameForeignFile(bytes);
    if (StringRef(kind).starts_with("an archive"))
      reason = "this is " + kind + " (" + reason + ")";
    else if (!kind.empty())
      reason = "this is " + kind;
    else if (zip_error_code_zip(&error) == ZIP_ER_NOZIP)
      reason = "it is no zip archive, as torch.export.save writes";
    Error result = makeError("not a .pt2 archive: {0}", reason);
    zip_error_fini(&error);
    return result;
  };
  zip_source_t *source =
      zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
  if (!source)
    return fail();
  zip_t *zip =
      zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
  if (!zip) {
    zip_source_free(source);
    return fail();
  }
  zip_error_fini(&error);
  archive->handle = std::make_unique<Handle>(zip);
  if (Error error = archive->index())
    return std::move(error);
  return std::move(archive);
}

/// A name that stays below its folder and prints as it is.
static bool isSafeName(StringRef name) {
  if (name.empty() || name.starts_with("/") || name.contains('\\'))
    return false;
  SmallVector<StringRef> parts;
  name.split(parts, '/');
  return llvm::none_of(parts,
                       [](StringRef part) {
                         return part.empty() || part == "." || part == "..";
                       }) &&
         llvm::all_of(name, [](char c) { return isPrint(c); });
}

Error Archive::index() {
  StringMap<uint64_t> offsets;
  if (Error error = findLocalHeaders(offsets))
    return error;
  zip_t *zip = handle->zip;
  zip_int64_t count = zip_get_num_entries(zip, 0);
  if (count <= 0 || static_cast<uint64_t>(count) > kMaxEntries)
    return makeError("expected 1 to {0} entries but got {1}", kMaxEntries,
                     count);
  // What another program wrote is named before its entries are judged.
  std::vector<std::string> all;
  for (zip_int64_t i = 0; i < count; ++i)
    if (const char *name = zip_get_name(zip, i, ZIP_FL_ENC_RAW))
      all.push_back(name);
  bool hasProgram = llvm::any_of(all, [](StringRef name) {
    return name.contains("/models/") && name.ends_with(".json");
  });
  if (!hasProgram)
    if (std::string kind = nameForeignArchive(all); !kind.empty())
      return makeError("not a .pt2 archive of an exported program: this is {0}",
                       kind);
  std::string top;
  uint64_t total = 0;
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    if (zip_stat_index(zip, i, 0, &stat) != 0)
      return makeError("entry {0} of the archive cannot be read: {1}", i,
                       zip_strerror(zip));
    constexpr zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE |
                                    ZIP_STAT_COMP_SIZE | ZIP_STAT_CRC |
                                    ZIP_STAT_COMP_METHOD;
    if ((stat.valid & needed) != needed)
      return makeError("entry {0} of the archive lacks a size or a checksum",
                       i);
    StringRef name = stat.name;
    if (name.ends_with("/"))
      continue; // A folder.
    if (!isSafeName(name))
      return makeError("entry {0} of the archive has an unsafe name '{1}'", i,
                       toHex(name));
    auto [folder, rest] = name.split('/');
    if (top.empty())
      top = folder.str();
    if (!hasProgram && (rest.empty() || folder != top))
      return makeError("the archive has '{0}' but no entry 'models/*.json'; was "
                       "it written by torch.export.save?",
                       name);
    if (rest.empty() || folder != top)
      return makeError("expected all entries in one folder, but got '{0}' "
                       "beside '{1}/'",
                       name, top);
    if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) &&
        stat.encryption_method != ZIP_EM_NONE)
      return makeError("entry '{0}' is encrypted", name);
    auto offset = offsets.find(name);
    if (offset == offsets.end())
      return makeError("entry '{0}' is not in the central directory", name);
    // Overlapping entries would make a small file seem large.
    total += std::min<uint64_t>(stat.comp_size, bytes.size() + 1);
    if (total > bytes.size())
      return makeError("the entries' sizes add up to more than the file's {0} "
                       "bytes",
                       bytes.size());
    Entry entry{static_cast<uint64_t>(i), stat.size, offset->second,
                static_cast<uint32_t>(stat.crc),
                stat.comp_method == ZIP_CM_STORE};
    if (entry.isStored && stat.size != stat.comp_size)
      return makeError("entry '{0}' is stored but has two sizes, {1} and {2}",
                       name, stat.size, stat.comp_size);
    if (!entries.try_emplace(rest, entry).second)
      return makeError("entry '{0}' appears twice", name);
  }
  return Error::success();
}

/// Reads the central directory for the offset of each entry's local header.
Error Archive::findLocalHeaders(StringMap<uint64_t> &offsets) const {
  using support::endian::read16le;
  using support::endian::read32le;
  using support::endian::read64le;
  const char *data = bytes.data();
  uint64_t size = bytes.size();
  auto inFile = [&](uint64_t offset, uint64_t length) {
    return offset <= size && length <= size - offset;
  };
  auto fail = []() {
    return makeError("the archive's central directory is damaged");
  };

  // The end record is the last one whose comment reaches the end of the file.
  std::optional<uint64_t> end;
  uint64_t lowest = size > kEndSize + 0xffff ? size - kEndSize - 0xffff : 0;
  for (uint64_t at = size - kEndSize + 1; at-- > lowest;) {
    if (read32le(data + at) == 0x06054b50 &&
        at + kEndSize + read16le(data + at + 20) == size) {
      end = at;
      break;
    }
  }
  if (!end)
    return fail();
  uint64_t count = read16le(data + *end + 10);
  uint64_t length = read32le(data + *end + 12);
  uint64_t start = read32le(data + *end + 16);
  // The 64-bit end record, named by a locator just before the plain one.
  if (*end >= 20 && read32le(data + *end - 20) == 0x07064b50) {
    uint64_t at = read64le(data + *end - 12);
    if (!inFile(at, 56) || read32le(data + at) != 0x06064b50)
      return fail();
    count = read64le(data + at + 32);
    length = read64le(data + at + 40);
    start = read64le(data + at + 48);
  }
  if (!inFile(start, length) || count > kMaxEntries)
    return fail();

  uint64_t at = start, stop = start + length;
  for (uint64_t i = 0; i < count; ++i) {
    if (at > stop || stop - at < 46 || read32le(data + at) != 0x02014b50)
      return fail();
    uint64_t nameLength = read16le(data + at + 28);
    uint64_t extraLength = read16le(data + at + 30);
    uint64_t commentLength = read16le(data + at + 32);
    uint64_t recordLength = 46 + nameLength + extraLength + commentLength;
    if (stop - at < recordLength)
      return fail();
    uint64_t offset = read32le(data + at + 42);
    if (offset == 0xffffffff) {
      // The extra field 1 holds, in this order, the 64-bit values of those of
      // size, compressed size and offset that are all ones above.
      const char *extra = data + at + 46 + nameLength;
      uint64_t left = extraLength;
      bool found = false;
      while (left >= 4) {
        uint64_t fieldLength = read16le(extra + 2);
        if (fieldLength > left - 4)
          return fail();
        if (read16le(extra) == 1) {
          uint64_t skip = (read32le(data + at + 24) == 0xffffffff ? 8 : 0) +
                          (read32le(data + at + 20) == 0xffffffff ? 8 : 0);
          if (fieldLength < skip + 8)
            return fail();
          offset = read64le(extra + 4 + skip);
          found = true;
          break;
        }
        extra += 4 + fieldLength;
        left -= 4 + fieldLength;
      }
      if (!found)
        return fail();
    }
    StringRef name(data + at + 46, nameLength);
    if (!offsets.try_emplace(name, offset).second)
      return makeError("entry '{0}' appears twice",
                       isSafeName(name) ? name.str() : toHex(name));
    at += recordLength;
  }
  return Error::success();
}

std::vector<std::string> Archive::names() const {
  std::vector<std::string> result;
  for (const auto &entry : entries)
    result.push_back(entry.getKey().str());
  llvm::sort(result);
  return result;
}

Expected<const Archive::Entry *> Archive::find(StringRef name) const {
  auto it = entries.find(name);
  if (it == entries.end())
    return makeError("the archive has no entry '{0}'", name);
  return &it->second;
}

Expected<std::string> Archive::read(StringRef name, uint64_t limit) const {
  Expected<const Entry *> entry = find(name);
  if (!entry)
    return entry.takeError();
  if ((*entry)->size > limit)
    return makeError("entry '{0}' has {1} bytes, more than the limit of {2}",
                     name, (*entry)->size, limit);
  zip_file_t *file = zip_fopen_index(handle->zip, (*entry)->zipIndex, 0);
  if (!file)
    return makeError("entry '{0}' cannot be read: {1}", name,
                     zip_strerror(handle->zip));
  // The checksum is compared only when reading past the end.
  std::string content((*entry)->size + 1, '\0');
  uint64_t filled = 0;
  while (filled < content.size()) {
    zip_int64_t got =
        zip_fread(file, content.data() + filled, content.size() - filled);
    if (got < 0) {
      Error error = makeError("entry '{0}' is damaged: {1}", name,
                              zip_file_strerror(file));
      zip_fclose(file);
      return std::move(error);
    }
    if (got == 0)
      break;
    filled += got;
  }
  zip_fclose(file);
  if (filled != (*entry)->size)
    return makeError("entry '{0}' is damaged: expected {1} bytes but got {2}",
                     name, (*entry)->size, filled);
  content.resize(filled);
  return content;
}

Expected<std::shared_ptr<const Storage>> Archive::map(StringRef name) const {
  using support::endian::read16le;
  using support::endian::read32le;
  Expected<const Entry *> found = find(name);
  if (!found)
    return found.takeError();
  const Entry &entry = **found;
  if (!entry.isStored)
    return makeError("entry '{0}' is compressed, but data must be stored; write "
                     "the archive by torch.export.save, or pack it again "
                     "without compression (zip -0)",
                     name);
  uint64_t size = bytes.size();
  uint64_t header = entry.localHeader;
  constexpr uint64_t kHeaderSize = 30;
  if (header > size || size - header < kHeaderSize ||
      read32le(bytes.data() + header) != 0x04034b50)
    return makeError("entry '{0}' is damaged: it has no local header", name);
  uint64_t nameLength = read16le(bytes.data() + header + 26);
  uint64_t extraLength = read16le(bytes.data() + header + 28);
  uint64_t start = header + kHeaderSize + nameLength + extraLength;
  if (start > size || size - start < entry.size ||
      !StringRef(bytes.data() + header + kHeaderSize, nameLength)
           .ends_with(name))
    return makeError("entry '{0}' is damaged: its data lies outside the file",
                     name);
  ArrayRef<char> content = bytes.slice(start, entry.size);
  uint32_t crc = llvm::crc32(
      ArrayRef<uint8_t>(reinterpret_cast<const uint8_t *>(content.data()),
                        content.size()));
  if (crc != entry.crc)
    return makeError("entry '{0}' is damaged: expected checksum {1:x-8} but "
                     "got {2:x-8}",
                     name, entry.crc, crc);
  auto storage = std::make_shared<Storage>();
  storage->bytes = content;
  storage->owner = owner;
  storage->isMapped = isMapped;
  // All of it was read for the checksum; most is wanted much later.
  storage->release(content);
  return std::shared_ptr<const Storage>(std::move(storage));
}
