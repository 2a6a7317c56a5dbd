//===- LeastBytes.cpp - Bytes that no schedule can save -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Timelines of a family do the same work in the same order (waits apart), so
// going through the k-th work of all timelines brings the workers' parts of one
// execution together, and executions in the order of the table.
//
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/LeastBytes.h"

using namespace headrace;
using namespace headrace::schedule;

namespace {
/// Indices of a buffer that were touched.
class Seen {
public:
  /// Returns how many are new; `most` is the number of indices there are.
  int64_t add(const FlatAccess &access, int64_t most) {
    int64_t before = count(most);
    if (access.loose >= 0)
      loose += access.volume();
    else
      for (const Box &box : access.boxes)
        known.add(box);
    return count(most) - before;
  }

private:
  int64_t count(int64_t most) const {
    return std::min(known.volume() + loose, most);
  }
  BoxSet known;
  /// Of which it is not known where they are: taken to be all different.
  int64_t loose = 0;
};
} // namespace

LeastBytes schedule::findLeastBytes(
    const FlatProgram &flat,
    llvm::function_ref<int64_t(int buffer, int64_t slot)> identity) {
  const Program &program = *flat.program;
  LeastBytes result;
  result.stages.resize(program.stages.size());
  // (identity, written) -> indices met so far in the call.
  std::map<std::pair<int64_t, bool>, Seen> home;
  // (operand's bytes, written) -> indices met in the execution at hand.
  std::map<std::tuple<int, int64_t, bool>, Seen> execution;

  std::vector<std::vector<const FlatCommand *>> works;
  size_t longest = 0;
  for (const FlatTimeline &timeline : flat.timelines) {
    std::vector<const FlatCommand *> &list = works.emplace_back();
    for (const FlatCommand &command : timeline.commands)
      if (command.kind == FlatCommand::Kind::Work)
        list.push_back(&command);
    longest = std::max(longest, list.size());
  }
  const Command *current = nullptr;
  llvm::SmallVector<int64_t, 1> iterations;
  for (size_t k = 0; k < longest; ++k) {
    for (const std::vector<const FlatCommand *> &list : works) {
      if (k >= list.size())
        continue;
      const FlatCommand &work = *list[k];
      if (work.command != current || work.iterations != iterations) {
        execution.clear();
        current = work.command;
        iterations = work.iterations;
      }
      bool isRun = work.command->kind == Command::Kind::Run;
      for (const FlatAccess &access : work.accesses) {
        const Buffer &buffer = program.buffers[access.buffer];
        int64_t most = flat.wholes[access.buffer].volume();
        for (bool write : {false, true}) {
          if (write ? !writes(access.access) : !reads(access.access))
            continue;
          int64_t fresh =
              execution[{access.buffer, access.slot, write}].add(access,
                                                                 most) *
              buffer.elementBytes;
          if (isRun)
            result.stages[work.command->stage].operands += fresh;
          if (buffer.kind == BufferKind::Temp)
            continue;
          int64_t first =
              home[{identity(access.buffer, access.slot), write}].add(access,
                                                                      most) *
              buffer.elementBytes;
          // What is read back from an output was written in this call.
          if (buffer.kind == BufferKind::Output && !write)
            continue;
          if (isRun)
            result.stages[work.command->stage].home += first;
          int64_t &sum = buffer.kind == BufferKind::Const   ? result.constants
                         : buffer.kind == BufferKind::Input ? result.inputs
                         : buffer.kind == BufferKind::Output
                             ? result.outputs
                             : result.states;
          sum += first;
        }
      }
    }
  }
  return result;
}
