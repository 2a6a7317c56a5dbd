//===- ForkLock.h - A mutex that is free in a child of fork ---------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A child has the thread that forked and no other: a mutex that another one held
// would stay locked for good. What such a thread left half done is for whoever
// uses the lock to know (a context knows it of itself).
//
//===----------------------------------------------------------------------===//
#ifndef HEADRACE_PYTHON_FORKLOCK_H
#define HEADRACE_PYTHON_FORKLOCK_H

#include <mutex>

namespace headrace::python {

class ForkLock {
public:
  /// `waits` for a lock that is only ever held for a moment: fork takes it, so
  /// that the child finds what it guards whole.
  explicit ForkLock(bool waits = false);
  ForkLock(const ForkLock &) = delete;
  ~ForkLock();

  void lock() { mutex.lock(); }
  void unlock() { mutex.unlock(); }

private:
  friend struct ForkLocks;
  std::mutex mutex;
  bool waits;
  ForkLock *next = nullptr, *previous = nullptr;
};

} // namespace headrace::python
#endif // HEADRACE_PYTHON_FORKLOCK_H
