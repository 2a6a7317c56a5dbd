//===- WeightLayout.h - Where each weight lies in the artifact ------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weights lie one after the other in one block, each at a multiple of 64 bytes.
// The slots of a stack (the same weight of each of several layers) follow each
// other at one stride, so that the code computes a slot's address. Weights of
// equal bytes are stored once.
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_TARGET_WEIGHTLAYOUT_H
#define HEADRACE_LIB_TARGET_WEIGHTLAYOUT_H

#include "headrace/Support/WeightStore.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/raw_ostream.h"
#include <string>

namespace headrace {

class WeightLayout {
public:
  static constexpr int64_t alignment = 64;

  explicit WeightLayout(const WeightStore &store) : store(store) {}

  /// Places the weights of a stack next to each other (a single weight is a
  /// stack of one). What was placed before stays where it is. Fails, with
  /// `error`, if the store lacks one.
  mlir::LogicalResult place(llvm::ArrayRef<std::string> stack,
                            std::string &error);

  /// Of a weight that was placed.
  int64_t getOffset(llvm::StringRef name) const {
    return offsets.lookup(name);
  }
  /// The distance of two slots, if the same from each to the next.
  std::optional<int64_t> getStride(llvm::ArrayRef<std::string> stack) const;
  /// Of the whole block.
  int64_t getBytes() const { return end; }
  /// Of all weights' contents and places.
  uint64_t getHash() const { return hash; }

  /// Writes the block.
  mlir::LogicalResult write(llvm::raw_ostream &os, std::string &error) const;

private:
  struct Piece {
    std::string name;
    int64_t offset, bytes;
    uint64_t hash;
  };
  /// A stored piece with the bytes of `name`.
  const Piece *findEqual(const WeightStore::Bytes &bytes, uint64_t hash) const;

  const WeightStore &store;
  llvm::SmallVector<Piece> pieces;
  llvm::DenseMap<uint64_t, llvm::SmallVector<unsigned, 1>> byHash;
  llvm::StringMap<int64_t> offsets;
  int64_t end = 0;
  uint64_t hash = 0;
};

} // namespace headrace
#endif // HEADRACE_LIB_TARGET_WEIGHTLAYOUT_H
