//===- Regions.h - Rectangles whose corners are expressions ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a command touches, for all sizes of the entry at once. An execution of a
// command is what all timelines of its family do of it, all parts together, in
// one iteration of the repeats around it. Words:
//
//   outer    a rectangle that holds every index that the execution touches
//   inner    rectangles of which it touches every index
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_SCHEDULE_REGIONS_H
#define HEADRACE_LIB_SCHEDULE_REGIONS_H

#include "headrace/Support/SizeCondition.h"
#include "headrace/Schedule/Program.h"
#include <map>

namespace headrace::schedule {

/// `expr` with `value` for `index`.
SizeExpr at(const SizeExpr &expr, llvm::StringRef index, const SizeExpr &value);

/// How a run's tiles are spread over the timelines of its family, as far as can
/// be shown for all sizes and iterations.
struct TileSplit {
  /// Every tile is some timeline's.
  bool coversAll = false;
  /// No tile is that of two.
  bool isApart = false;
  /// Nobody runs a tile that the stage does not have.
  bool isInside = false;
};
TileSplit getTileSplit(const Program &program, const Command &command,
                       int family);

/// Like Box, for all bindings of the entry's symbols.
struct SymbolicBox {
  llvm::SmallVector<std::pair<SizeExpr, SizeExpr>, 4> dims;

  /// `[0, s0) x [32, 64)`
  std::string str() const;
};

using SymbolicBoxes = llvm::SmallVector<SymbolicBox, 2>;

/// Answers for one program; answers are remembered.
class Regions {
public:
  explicit Regions(const Program &program);

  const TileSplit &getSplit(const Command &command, int family);

  /// All indices of a slot of the buffer.
  SymbolicBox getWhole(int buffer) const;
  const SymbolicBox &getOuter(const Command &command, int family, int operand);
  /// Empty where nothing can be shown.
  const SymbolicBoxes &getInner(const Command &command, int family, int operand);

  /// Takes `taken` out of `rest`. What is left in `rest` holds at least what is
  /// left in truth.
  void subtract(SymbolicBoxes &rest, const SymbolicBox &taken) const;
  /// What is left of `region` without all of `cover`; holds at least what is
  /// left in truth.
  SymbolicBoxes getUncovered(const SymbolicBox &region,
                          llvm::ArrayRef<SymbolicBox> cover) const;
  /// Whether there is provably nothing in it.
  bool isEmpty(const SymbolicBox &region) const;

private:
  struct Touched {
    SymbolicBox outer;
    SymbolicBoxes inner;
  };
  const Touched &get(const Command &command, int family, int operand);
  Touched makeRun(const Command &command, int family, int operand);
  Touched makeCopy(const Command &command, int family, int operand) const;
  bool appendDim(const Stage &stage, llvm::ArrayRef<bool> neverMissing,
                 const FootprintDim &dim, const SizeExpr &size, Touched &result,
                 SymbolicBox &inner) const;
  bool isLessEqual(const SizeExpr &a, const SizeExpr &b) const {
    return condition::isLessEqual(a, b, ranges, program.conditions);
  }

  const Program &program;
  SymbolRanges ranges;
  std::map<std::pair<const Command *, int>, Touched> known;
  std::map<const Command *, TileSplit> splits;
};

} // namespace headrace::schedule
#endif // HEADRACE_LIB_SCHEDULE_REGIONS_H
