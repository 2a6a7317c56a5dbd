/*===- Embedded.h - The runtime's objects, as bytes -----------------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* What the compiler links into every artifact, for each target it can link for.
|*
\*===----------------------------------------------------------------------===*/
#ifndef HEADRACE_RUNTIME_EMBEDDED_H
#define HEADRACE_RUNTIME_EMBEDDED_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  const char *arch; /* as in a triple: x86_64, aarch64 */
  const char *name;
  const unsigned char *bytes;
  size_t size;
} hr_embedded_object;

/** Ends with an entry whose `arch` is NULL. */
extern const hr_embedded_object hr_embedded_objects[];

#ifdef __cplusplus
}
#endif
#endif /* HEADRACE_RUNTIME_EMBEDDED_H */
