/*===- Artifact.h - Checking artifacts before their code is loaded --------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* For whatever loads artifacts: headrace-run, the Python package. Loading a
|* shared object runs code of it, so a truncated or altered file must be refused
|* before. Plain C, needs neither the runtime nor LLVM.
|*
\*===----------------------------------------------------------------------===*/
#ifndef HEADRACE_RUNTIME_ARTIFACT_H
#define HEADRACE_RUNTIME_ARTIFACT_H

#include "headrace/Runtime/Layout.h"
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Checks the footer, the code and the signature of the artifact at `path`
    against their checksums; with `check_weights` also the weights, in a file of
    their own if that is where they are (`weights_path`, or NULL: beside the
    artifact). Returns the signature (to be freed with free()), or NULL with a
    message. `footer` may be NULL. */
char *hr_artifact_check(const char *path, int check_weights,
                        const char *weights_path, hr_footer *footer,
                        char *message, size_t message_size);

#ifdef __cplusplus
}
#endif
#endif /* HEADRACE_RUNTIME_ARTIFACT_H */
