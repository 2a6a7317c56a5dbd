//===- Structure.h - What is true of a program for all sizes --------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_LIB_SCHEDULE_STRUCTURE_H
#define HEADRACE_LIB_SCHEDULE_STRUCTURE_H

#include "headrace/Schedule/Program.h"
#include <map>

namespace headrace::schedule {

/// Answers whether accesses can touch the same indices, for any binding of the
/// entry's symbols: exactly where all sizes involved are constants, otherwise
/// by structure alone. Answers are remembered.
class Structure {
public:
  explicit Structure(const Program &program)
      : program(program), ranges(program.symbolRanges()) {}

  /// Whether timeline `v` (its number in family `familyA`) executing operand
  /// `a` of command `commandA` may touch what timeline `w` touches.
  /// Both are in the same slot of the same buffer.
  bool mayOverlap(const Command &commandA, int a, int familyA, int64_t v,
                  const Command &commandB, int b, int familyB, int64_t w);

  /// Whether timeline `w` may have anything to do for the command.
  bool mayBeActive(const Command &command, int family, int64_t w);

private:
  struct Constant {
    bool known = false;
    std::vector<Box> boxes;
  };
  /// The boxes, where all that they depend on is constant.
  const Constant &getConstant(const Command &command, int operand, int family,
                              int64_t w);
  /// Distinct tiles of the two commands never meet, and the commands split
  /// their tiles over timelines alike.
  bool areTilesApart(const Command &commandA, int a, const Command &commandB,
                     int b, int family);

  const Program &program;
  SymbolRanges ranges;
  std::map<std::pair<const Command *, int>, std::vector<bool>> active;
  std::map<std::tuple<const Command *, int, int64_t>, Constant> constants;
  std::map<std::tuple<const Command *, int, const Command *, int>, bool> apart;
  /// Whether a run gives no tile to two timelines.
  std::map<const Command *, bool> splitApart;
};

} // namespace headrace::schedule
#endif // HEADRACE_LIB_SCHEDULE_STRUCTURE_H
