//===- Order.cpp - The order of commands ----------------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Vector clocks by greedy advance, in rounds: in each round every timeline does
// its waits as far as they are satisfied, and one run or copy. So commands that
// stand at the same place of a family's table come together in the sequence.
// Commands between two waits share one clock.
//
//===----------------------------------------------------------------------===//
#include "headrace/Schedule/Verifier.h"

using namespace mlir;
using namespace headrace;
using namespace headrace::schedule;

Order::Order(const FlatProgram &flat) : width(flat.timelines.size()) {
  size_t count = flat.timelines.size();
  positions.assign(count, 0);
  epochs.resize(count);
  std::vector<uint32_t> done(count, 0);
  // The clock at hand, and the epoch it was last written down as.
  std::vector<std::vector<uint32_t>> now(count, std::vector<uint32_t>(width));
  std::vector<int64_t> epoch(count, -1);
  for (size_t t = 0; t < count; ++t)
    epochs[t].assign(flat.timelines[t].commands.size(), 0);

  for (bool progress = true; progress;) {
    progress = false;
    for (size_t t = 0; t < count; ++t) {
      const std::vector<FlatCommand> &commands = flat.timelines[t].commands;
      while (positions[t] < int(commands.size())) {
        const FlatCommand &command = commands[positions[t]];
        if (command.kind == FlatCommand::Kind::Wait) {
          bool satisfied = true;
          for (int v = command.target; v < command.targetEnd && satisfied; ++v)
            satisfied = v == int(t) || int64_t(done[v]) >= command.count;
          if (!satisfied)
            break;
          ++positions[t];
          progress = true;
          for (int v = command.target; v < command.targetEnd; ++v) {
            if (v == int(t) || command.count <= 0 ||
                int64_t(now[t][v]) >= command.count)
              continue;
            const FlatTimeline &target = flat.timelines[v];
            int signal = target.signals[command.count - 1];
            const uint32_t *theirs = getClock(v, signal);
            uint32_t *mine = now[t].data();
            for (size_t u = 0; u < width; ++u)
              mine[u] = std::max(mine[u], theirs[u]);
            mine[v] = command.count;
            epoch[t] = -1;
          }
          continue;
        }
        if (epoch[t] < 0) {
          epoch[t] = clocks.size() / width;
          clocks.insert(clocks.end(), now[t].begin(), now[t].end());
        }
        epochs[t][positions[t]] = epoch[t];
        sequence.push_back({int(t), positions[t]});
        ++positions[t];
        ++done[t];
        progress = true;
        break;
      }
    }
  }
  for (size_t t = 0; t < count; ++t)
    complete &= positions[t] == int(flat.timelines[t].commands.size());
}
