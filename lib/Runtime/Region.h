/*===- Region.h - Memory of contexts --------------------------------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* Address space from the system that grows when more is needed, and how bytes
|* are counted. Only Context.c includes this.
|*
\*===----------------------------------------------------------------------===*/
#ifndef HEADRACE_LIB_RUNTIME_REGION_H
#define HEADRACE_LIB_RUNTIME_REGION_H

#include "Runtime.h"

enum { HUGE_PAGE = 2 << 20, ALIGN = 128 };

typedef struct {
  uint8_t *at;
  int64_t bytes;
} region;

/* Another thread may fork at any moment, and the child goes on with the regions
   as they are then: a region never claims bytes that are not mapped. */

static void release(region *r) {
  region old = *r;
  __atomic_store_n(&r->bytes, 0, __ATOMIC_RELEASE);
  __atomic_store_n(&r->at, 0, __ATOMIC_RELEASE);
  if (old.at)
    munmap(old.at, (size_t)old.bytes);
}

/** Makes the region at least `bytes` long; its contents are lost if it grows.
    Returns false when the system refuses. */
static bool ensure(region *r, int64_t bytes) {
  if (bytes <= r->bytes)
    return true;
  /* Pages come when they are touched: what the machine does not have would be
     found out by a signal in the middle of a run. */
  if (bytes > hr_available_memory() || bytes > INT64_MAX - 65535)
    return false;
  release(r);
  bytes = (bytes + 65535) & ~(int64_t)65535;
  void *at = mmap(0, (size_t)bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED)
    return false;
  if (bytes >= 2 * HUGE_PAGE)
    madvise(at, (size_t)bytes, MADV_HUGEPAGE);
  __atomic_store_n(&r->at, at, __ATOMIC_RELEASE);
  __atomic_store_n(&r->bytes, bytes, __ATOMIC_RELEASE);
  return true;
}

static int64_t align_up(int64_t value) {
  return (value + ALIGN - 1) & ~(int64_t)(ALIGN - 1);
}

static int64_t saturating_add(int64_t a, int64_t b) {
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

#endif /* HEADRACE_LIB_RUNTIME_REGION_H */
