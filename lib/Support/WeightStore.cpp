//===- WeightStore.cpp - The bytes of a program's weights -----------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "headrace/Support/WeightStore.h"

#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Process.h"
#include <cstring>
#include <sys/mman.h>

using namespace mlir;
using namespace headrace;

int64_t headrace::getElementBytes(Type elementType) {
  if (auto complex = dyn_cast<ComplexType>(elementType))
    return 2 * getElementBytes(complex.getElementType());
  if (elementType.isIndex())
    return 8;
  unsigned bits = elementType.getIntOrFloatBitWidth();
  return bits <= 8 ? 1 : bits / 8;
}

void Storage::release(ArrayRef<char> part) const {
  if (!isMapped)
    return;
  // Whole pages only: their neighbours may be somebody else's.
  uintptr_t page = llvm::sys::Process::getPageSizeEstimate();
  uintptr_t begin = llvm::alignTo(reinterpret_cast<uintptr_t>(part.begin()), page);
  uintptr_t end = llvm::alignDown(reinterpret_cast<uintptr_t>(part.end()), page);
  if (begin < end)
    madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
}

void WeightStore::add(StringRef name, Entry entry) {
  entries[name] = std::move(entry);
}

static SmallVector<int64_t> rowMajorStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (int64_t d = static_cast<int64_t>(shape.size()) - 2; d >= 0; --d)
    strides[d] = strides[d + 1] * std::max<int64_t>(shape[d + 1], 1);
  return strides;
}

void WeightStore::addOwned(StringRef name, RankedTensorType type,
                           std::vector<char> bytes) {
  auto owner = std::make_shared<std::vector<char>>(std::move(bytes));
  auto storage = std::make_shared<Storage>();
  storage->bytes = ArrayRef<char>(owner->data(), owner->size());
  storage->owner = owner;
  add(name, {type, storage, rowMajorStrides(type.getShape()), 0});
}

const WeightStore::Entry *WeightStore::lookup(StringRef name) const {
  auto it = entries.find(name);
  return it == entries.end() ? nullptr : &it->second;
}

void WeightStore::erase(StringRef name) { entries.erase(name); }

std::string WeightStore::uniqueName(StringRef base) const {
  std::string name = base.str();
  for (unsigned n = 1; entries.count(name); ++n)
    name = (base + "." + Twine(n)).str();
  return name;
}

void WeightStore::release(StringRef name) const {
  const Entry *entry = lookup(name);
  if (!entry)
    return;
  if (!isContiguous(*entry))
    return entry->storage->release(entry->storage->bytes);
  int64_t width = getElementBytes(entry->type.getElementType());
  entry->storage->release(entry->storage->bytes.slice(
      entry->offset * width, entry->type.getNumElements() * width));
}

bool WeightStore::isContiguous(const Entry &entry) {
  ArrayRef<int64_t> shape = entry.type.getShape();
  if (llvm::is_contained(shape, 0))
    return true;
  int64_t expected = 1;
  for (int64_t d = static_cast<int64_t>(shape.size()) - 1; d >= 0; --d) {
    if (shape[d] != 1 && entry.strides[d] != expected)
      return false;
    expected *= shape[d];
  }
  return true;
}

FailureOr<WeightStore::Bytes> WeightStore::read(StringRef name) const {
  const Entry *entry = lookup(name);
  if (!entry)
    return failure();
  int64_t width = getElementBytes(entry->type.getElementType());
  int64_t count = entry->type.getNumElements();
  const char *base = entry->storage->bytes.data() + entry->offset * width;
  if (isContiguous(*entry))
    return Bytes{ArrayRef<char>(count ? base : nullptr,
                                static_cast<size_t>(count * width)),
                 entry->storage};

  auto copy = std::make_shared<std::vector<char>>(count * width);
  ArrayRef<int64_t> shape = entry->type.getShape();
  SmallVector<int64_t> index(shape.size(), 0);
  for (int64_t n = 0; n < count; ++n) {
    int64_t at = 0;
    for (size_t d = 0; d < shape.size(); ++d)
      at += index[d] * entry->strides[d];
    std::memcpy(copy->data() + n * width, base + at * width, width);
    for (int64_t d = static_cast<int64_t>(shape.size()) - 1; d >= 0; --d) {
      if (++index[d] < shape[d])
        break;
      index[d] = 0;
    }
  }
  return Bytes{ArrayRef<char>(copy->data(), copy->size()), copy};
}
