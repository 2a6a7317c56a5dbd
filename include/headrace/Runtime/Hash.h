/*===- Hash.h - The checksum of artifacts ---------------------------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* XXH64 (Yann Collet's published algorithm), seed 0: several bytes per cycle on
|* any machine, so that checking costs less than reading the file.
|*
\*===----------------------------------------------------------------------===*/
#ifndef HEADRACE_RUNTIME_HASH_H
#define HEADRACE_RUNTIME_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t hrHashRotate(uint64_t x, int bits) {
  return (x << bits) | (x >> (64 - bits));
}

/** All targets are little-endian, as the algorithm's definition is. */
static inline uint64_t hrHashLoad(const uint8_t *p, int bytes) {
  uint64_t value = 0;
  __builtin_memcpy(&value, p, (size_t)bytes);
  return value;
}

static const uint64_t hrHashPrimes[5] = {
    0x9E3779B185EBCA87u, 0xC2B2AE3D27D4EB4Fu, 0x165667B19E3779F9u,
    0x85EBCA77C2B2AE63u, 0x27D4EB2F165667C5u};

/** The state before any byte. */
static inline void hrHashBegin(uint64_t v[4]) {
  v[0] = hrHashPrimes[0] + hrHashPrimes[1];
  v[1] = hrHashPrimes[1];
  v[2] = 0;
  v[3] = 0 - hrHashPrimes[0];
}

/** Takes in `size` bytes, a multiple of 32. */
static inline void hrHashBlocks(uint64_t v[4], const void *data, size_t size) {
  const uint64_t p1 = hrHashPrimes[0], p2 = hrHashPrimes[1];
  const uint8_t *p = (const uint8_t *)data, *end = p + size;
  for (; p < end; p += 32)
    for (int i = 0; i < 4; ++i)
      v[i] = hrHashRotate(v[i] + hrHashLoad(p + 8 * i, 8) * p2, 31) * p1;
}

/** The checksum of `size` bytes of which all but the last `size % 32`, at
    `tail`, were taken in. */
static inline uint64_t hrHashEnd(const uint64_t v[4], const void *tail,
                                 size_t size) {
  const uint64_t p1 = hrHashPrimes[0], p2 = hrHashPrimes[1],
                 p3 = hrHashPrimes[2], p4 = hrHashPrimes[3],
                 p5 = hrHashPrimes[4];
  const uint8_t *p = (const uint8_t *)tail, *end = p + size % 32;
  uint64_t h;
  if (size >= 32) {
    h = hrHashRotate(v[0], 1) + hrHashRotate(v[1], 7) +
        hrHashRotate(v[2], 12) + hrHashRotate(v[3], 18);
    for (int i = 0; i < 4; ++i)
      h = (h ^ (hrHashRotate(v[i] * p2, 31) * p1)) * p1 + p4;
  } else {
    h = p5;
  }
  h += (uint64_t)size;
  for (; end - p >= 8; p += 8)
    h = hrHashRotate(h ^ (hrHashRotate(hrHashLoad(p, 8) * p2, 31) * p1), 27) *
            p1 +
        p4;
  if (end - p >= 4) {
    h = hrHashRotate(h ^ (hrHashLoad(p, 4) * p1), 23) * p2 + p3;
    p += 4;
  }
  for (; p < end; ++p)
    h = hrHashRotate(h ^ (*p * p5), 11) * p1;
  h = (h ^ (h >> 33)) * p2;
  h = (h ^ (h >> 29)) * p3;
  return h ^ (h >> 32);
}

static inline uint64_t hr_hash(const void *data, size_t size) {
  uint64_t v[4];
  hrHashBegin(v);
  hrHashBlocks(v, data, size / 32 * 32);
  return hrHashEnd(v, (const uint8_t *)data + size / 32 * 32, size);
}

#endif /* HEADRACE_RUNTIME_HASH_H */
