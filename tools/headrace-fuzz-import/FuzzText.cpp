//===- FuzzText.cpp - Fuzzes the reader of programs -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The input is the JSON of a program; its weights come from one small archive
// made here. Half of the mutations are of the JSON's tree, which random bytes
// would hardly ever leave well-formed: values are removed, repeated, exchanged
// for others of the same text or for extreme ones, and renamed.
//
//===----------------------------------------------------------------------===//
#include "Harness.h"
#include "llvm/Support/CRC.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"
#include <random>

using namespace headrace;
namespace json = llvm::json;

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

/// A zip of stored entries, each of 4096 bytes.
static std::vector<char> makeArchive() {
  using llvm::support::endian::write16le;
  using llvm::support::endian::write32le;
  std::vector<char> file, directory, content(4096);
  for (size_t i = 0; i < content.size(); ++i)
    content[i] = static_cast<char>(i * 7);
  uint32_t crc = llvm::crc32(llvm::ArrayRef<uint8_t>(
      reinterpret_cast<uint8_t *>(content.data()), content.size()));
  uint16_t count = 0;
  for (const char *folder : {"data/weights/weight_", "data/constants/tensor_"})
    for (unsigned i = 0; i < 12; ++i) {
      std::string name = "f/" + std::string(folder) + std::to_string(i);
      char head[46] = {};
      write32le(head, 0x02014b50);
      write16le(head + 4, 20);
      write16le(head + 6, 20);
      write32le(head + 16, crc);
      write32le(head + 20, content.size());
      write32le(head + 24, content.size());
      write16le(head + 28, name.size());
      write32le(head + 42, file.size());
      directory.insert(directory.end(), head, head + 46);
      directory.insert(directory.end(), name.begin(), name.end());
      char local[30] = {};
      write32le(local, 0x04034b50);
      // Version to flags, method, time, date, checksum, sizes, name length.
      std::copy(head + 6, head + 30, local + 4);
      file.insert(file.end(), local, local + 30);
      file.insert(file.end(), name.begin(), name.end());
      file.insert(file.end(), content.begin(), content.end());
      ++count;
    }
  char end[22] = {};
  write32le(end, 0x06054b50);
  write16le(end + 8, count);
  write16le(end + 10, count);
  write32le(end + 12, directory.size());
  write32le(end + 16, file.size());
  file.insert(file.end(), directory.begin(), directory.end());
  file.insert(file.end(), end, end + 22);
  return file;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::vector<char> archive = makeArchive();
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  fuzzOnce([&](mlir::MLIRContext *context) {
    return importText(context, text, archive);
  });
  return 0;
}

namespace {
/// Mutates one or a few places of a JSON tree.
class TreeMutator {
public:
  TreeMutator(json::Value &root, unsigned seed) : root(root), random(seed) {
    collect(root, 0);
  }

  void run() {
    for (unsigned count = 1 + pick(3); count > 0 && !places.empty(); --count) {
      mutate(*places[pick(places.size())]);
      // Pointers into what was changed are stale.
      places.clear();
      strings.clear();
      collect(root, 0);
    }
  }

private:
  size_t pick(size_t n) { return random() % n; }

  void collect(json::Value &value, unsigned depth) {
    if (depth > 60)
      return;
    places.push_back(&value);
    if (auto text = value.getAsString())
      strings.push_back(text->str());
    if (json::Array *array = value.getAsArray())
      for (json::Value &element : *array)
        collect(element, depth + 1);
    if (json::Object *object = value.getAsObject())
      for (auto &field : *object)
        collect(field.second, depth + 1);
  }

  json::Value makeExtreme() {
    static const int64_t numbers[] = {
        0,         1,         -1,        2,        64,       65,
        INT64_MAX, INT64_MIN, INT32_MAX, 1LL << 32, 1LL << 62, 4096};
    switch (pick(8)) {
    case 0:
      return nullptr;
    case 1:
      return pick(2) == 0;
    case 2:
      return 1e308;
    case 3:
      return json::Array();
    case 4:
      return json::Object();
    case 5:
      return "";
    default:
      return numbers[pick(std::size(numbers))];
    }
  }

  void mutate(json::Value &value) {
    if (json::Array *array = value.getAsArray();
        array && !array->empty() && pick(2)) {
      size_t i = pick(array->size()), j = pick(array->size());
      switch (pick(3)) {
      case 0:
        array->erase(array->begin() + i);
        return;
      case 1: {
        json::Value copy = (*array)[i];
        array->insert(array->begin() + j, std::move(copy));
        return;
      }
      default:
        std::swap((*array)[i], (*array)[j]);
        return;
      }
    }
    if (json::Object *object = value.getAsObject();
        object && !object->empty() && pick(2)) {
      auto field = object->begin();
      std::advance(field, pick(object->size()));
      std::string key = field->first.str();
      if (pick(2)) {
        object->erase(key);
        return;
      }
      // Renaming turns one kind of union into another.
      static const char *const kinds[] = {
          "as_int",         "as_ints",     "as_tensor",   "as_tensors",
          "as_none",        "as_sym_int",  "as_sym_ints", "as_expr",
          "as_name",        "as_bool",     "as_float",    "as_string",
          "as_scalar_type", "as_graph",    "as_layout",   "as_device",
          "as_optional_tensors", "as_memory_format", "as_complex",
          "parameter",      "buffer",      "user_input",  "user_output",
          "buffer_mutation", "user_input_mutation", "constant_input"};
      json::Value moved = field->second;
      object->erase(key);
      bool isWord = pick(2) || strings.empty();
      (*object)[isWord ? std::string(kinds[pick(std::size(kinds))])
                       : strings[pick(strings.size())]] = std::move(moved);
      return;
    }
    if (auto text = value.getAsString(); text && pick(3)) {
      // Another name of the program, or a piece of this one and another.
      std::string other = strings[pick(strings.size())];
      if (pick(3) == 0)
        other = text->take_front(pick(text->size() + 1)).str() + other;
      value = std::move(other);
      return;
    }
    if (pick(2)) {
      json::Value copy = *places[pick(places.size())];
      value = std::move(copy);
      return;
    }
    value = makeExtreme();
  }

  json::Value &root;
  std::mt19937 random;
  std::vector<json::Value *> places;
  std::vector<std::string> strings;
};
} // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size,
                                          size_t maxSize, unsigned seed) {
  if (seed % 2 == 0)
    return LLVMFuzzerMutate(data, size, maxSize);
  llvm::Expected<json::Value> parsed = json::parse(
      llvm::StringRef(reinterpret_cast<const char *>(data), size));
  if (!parsed) {
    llvm::consumeError(parsed.takeError());
    return LLVMFuzzerMutate(data, size, maxSize);
  }
  TreeMutator(*parsed, seed).run();
  std::string text;
  llvm::raw_string_ostream(text) << *parsed;
  if (text.size() > maxSize)
    return LLVMFuzzerMutate(data, size, maxSize);
  std::copy(text.begin(), text.end(), data);
  return text.size();
}
