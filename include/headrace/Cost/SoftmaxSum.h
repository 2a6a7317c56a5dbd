//===- SoftmaxSum.h - What a streamed softmax sum takes -------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_COST_SOFTMAXSUM_H
#define HEADRACE_COST_SOFTMAXSUM_H

#include "headrace/Cost/Machine.h"

namespace headrace::cost {

/// A softmax along a stream whose weights multiply values, as far as its time
/// depends on it.
struct SoftmaxSum {
  /// Softmaxes (those in lanes as whole vectors), values per position of the
  /// stream, positions, and positions that are in hand at once.
  double rows = 1, columns = 1, streamed = 1, block = 128;
  /// How often the values are copied for an atom.
  double packings = 1;
  /// Lanes find their logits apart from each other.
  bool gathersLogits = false;
  /// What multiplies weights and values; null: multiply-adds of vectors.
  const hw::Atom *atom = nullptr;
};

/// Seconds of one worker.
double predict(const Machine &machine, const SoftmaxSum &sum);

} // namespace headrace::cost
#endif // HEADRACE_COST_SOFTMAXSUM_H
