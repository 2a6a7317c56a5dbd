//===- WeightLayout.cpp - Where each weight lies in the artifact ----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "WeightLayout.h"
#include "headrace/Runtime/Hash.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>

using namespace mlir;
using namespace headrace;

const WeightLayout::Piece *
WeightLayout::findEqual(const WeightStore::Bytes &bytes, uint64_t hash) const {
  auto it = byHash.find(hash >> 1);
  if (it == byHash.end())
    return nullptr;
  for (unsigned i : it->second) {
    const Piece &piece = pieces[i];
    if (piece.hash != hash ||
        piece.bytes != static_cast<int64_t>(bytes.data.size()))
      continue;
    FailureOr<WeightStore::Bytes> other = store.read(piece.name);
    if (succeeded(other) &&
        std::memcmp(other->data.data(), bytes.data.data(),
                    bytes.data.size()) == 0)
      return &piece;
  }
  return nullptr;
}

LogicalResult WeightLayout::place(ArrayRef<std::string> stack,
                                  std::string &error) {
  // Slots that must lie at one stride are not shared one by one.
  bool mayShare = stack.size() == 1;
  for (const std::string &name : stack) {
    if (offsets.contains(name))
      continue;
    FailureOr<WeightStore::Bytes> bytes = store.read(name);
    if (failed(bytes)) {
      error = "no bytes for weight '" + name + "'";
      return failure();
    }
    uint64_t contents = hr_hash(bytes->data.data(), bytes->data.size());
    store.release(name);
    if (mayShare) {
      if (const Piece *equal = findEqual(*bytes, contents)) {
        offsets[name] = equal->offset;
        continue;
      }
    }
    auto size = static_cast<int64_t>(bytes->data.size());
    int64_t offset = llvm::alignTo(end, alignment);
    // DenseMap reserves the two largest keys; half a hash is enough for them.
    byHash[contents >> 1].push_back(pieces.size());
    pieces.push_back({name, offset, size, contents});
    offsets[name] = offset;
    end = offset + size;
    uint64_t link[4] = {hash, contents, static_cast<uint64_t>(offset),
                        static_cast<uint64_t>(size)};
    hash = hr_hash(link, sizeof link);
  }
  return success();
}

std::optional<int64_t>
WeightLayout::getStride(ArrayRef<std::string> stack) const {
  if (stack.size() < 2)
    return 0;
  int64_t stride = getOffset(stack[1]) - getOffset(stack[0]);
  for (size_t i = 2; i < stack.size(); ++i)
    if (getOffset(stack[i]) - getOffset(stack[i - 1]) != stride)
      return std::nullopt;
  return stride;
}

LogicalResult WeightLayout::write(llvm::raw_ostream &os,
                                  std::string &error) const {
  int64_t at = 0;
  for (const Piece &piece : pieces) {
    os.write_zeros(piece.offset - at);
    FailureOr<WeightStore::Bytes> bytes = store.read(piece.name);
    if (failed(bytes)) {
      error = "no bytes for weight '" + piece.name + "'";
      return failure();
    }
    os.write(bytes->data.data(), bytes->data.size());
    store.release(piece.name);
    at = piece.offset + piece.bytes;
  }
  return success();
}
