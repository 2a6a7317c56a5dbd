//===- Contraction.h - What a sum of products takes -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_COST_CONTRACTION_H
#define HEADRACE_COST_CONTRACTION_H

#include "headrace/Cost/Machine.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

namespace headrace::cost {

/// A sum of products, as far as its time depends on it: the loops around
/// `c += a * b` and how each operand moves along them.
struct Contraction {
  struct Loop {
    bool parallel = true;
    /// Its length does not depend on the call.
    bool isKnown = true;
    /// At typical sizes.
    int64_t extent = 1;
    /// Of what is stored, and of the operands' loads: 0 uniform, 1 contiguous, 2
    /// otherwise.
    int64_t store = 0, stride[2] = {0, 0};
    /// The position of an operand along it is data: never in a register tile.
    bool isData = false;
    /// Bytes from one iteration to the next, 0 if not known.
    int64_t bytes[2] = {0, 0};
    /// The operand is a weight that may be packed along this loop.
    bool packable[2] = {false, false};

    /// Few enough elements apart to be loaded as vectors and shuffled.
    bool isClose(unsigned operand, int64_t elementBytes) const {
      return bytes[operand] > elementBytes &&
             bytes[operand] <= 4 * elementBytes;
    }
  };
  llvm::SmallVector<Loop> loops;
  int64_t sumBits = 32, elementBytes[2] = {4, 4};
  /// The operand's type is not the sum's.
  bool narrow[2] = {false, false};
  /// Elements side by side in the panels that the operand is stored in; 0: none.
  int64_t panel[2] = {0, 0};
  /// Part of a stream of blocks.
  bool streamed = false;
  const hw::Atom *multiplyAdd = nullptr;
  /// Atoms with more than one element along k, by which operand is on rows.
  llvm::SmallVector<const hw::Atom *> atoms[2];

  /// The operand that moves along a loop whose iterations are lanes.
  unsigned getLaneOperand(int64_t vector) const {
    return vector >= 0 && loops[vector].stride[0] != 0 ? 0 : 1;
  }
  bool varies(unsigned operand, int64_t loop) const {
    return loop >= 0 && loops[loop].stride[operand] != 0;
  }
  /// The atom that decides the panels of an operand: by types alone, so that
  /// all entries that read a weight agree on its layout.
  const hw::Atom *getPanelAtom(unsigned onLanes) const;
};

/// What of it is in registers at once; loops by number, -1 for none.
struct RegisterTile {
  int64_t vector = -1, vectors = 1, row = -1, rows = 1, group = -1;
  /// The operand is copied to panels.
  bool packs[2] = {false, false};
  /// Null: multiply-adds of vectors.
  const hw::Atom *atom = nullptr;
};

/// Seconds of arithmetic, copies and stores of one worker, where the loops have
/// these lengths.
double predict(const Machine &machine, const Contraction &contraction,
               const RegisterTile &tile, llvm::ArrayRef<double> length);

/// Cycles per multiply-add of a tile of `rows` rows and `vectors` vectors whose
/// vectors come from a panel in the second memory of the worker: the first
/// rarely holds it.
double predictPanel(const Machine &machine, int64_t rows, int64_t vectors,
                    int64_t width);

} // namespace headrace::cost
#endif // HEADRACE_COST_CONTRACTION_H
