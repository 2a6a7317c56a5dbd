//===- ForkLock.cpp - A mutex that is free in a child of fork -------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "ForkLock.h"
#include <new>
#include <pthread.h>

using namespace headrace::python;

namespace headrace::python {
/// All locks of the process.
struct ForkLocks {
  std::mutex mutex;
  ForkLock *first = nullptr;

  static ForkLocks &get() {
    // Never destroyed: locks may outlive everything else.
    static ForkLocks *locks = [] {
      auto *made = new ForkLocks;
      pthread_atfork([] { get().prepare(); }, [] { get().release(); },
                     [] { get().renew(); });
      return made;
    }();
    return *locks;
  }

  template <typename Function> void forEach(Function function) {
    for (ForkLock *lock = first; lock; lock = lock->next)
      function(*lock);
  }
  void prepare() {
    mutex.lock();
    forEach([](ForkLock &lock) {
      if (lock.waits)
        lock.mutex.lock();
    });
  }
  void release() {
    forEach([](ForkLock &lock) {
      if (lock.waits)
        lock.mutex.unlock();
    });
    mutex.unlock();
  }
  void renew() {
    forEach([](ForkLock &lock) { new (&lock.mutex) std::mutex; });
    new (&mutex) std::mutex;
  }
};
} // namespace headrace::python

ForkLock::ForkLock(bool waits) : waits(waits) {
  ForkLocks &locks = ForkLocks::get();
  std::lock_guard<std::mutex> guard(locks.mutex);
  next = locks.first;
  if (next)
    next->previous = this;
  locks.first = this;
}

ForkLock::~ForkLock() {
  ForkLocks &locks = ForkLocks::get();
  std::lock_guard<std::mutex> guard(locks.mutex);
  (previous ? previous->next : locks.first) = next;
  if (next)
    next->previous = previous;
}
