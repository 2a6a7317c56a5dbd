/*===- Artifact.h - Checking artifacts before their code is loaded --------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* For whatever loads artifacts: headrace-run, the Python package. Loading a
|* shared object runs code of it, so a truncated or altered file must be refused
|* before. A loader also gives back what it already has of that name, whatever the
|* file is now. Plain C, needs neither the runtime nor LLVM.
|*
\*===----------------------------------------------------------------------===*/
#ifndef HEADRACE_RUNTIME_ARTIFACT_H
#define HEADRACE_RUNTIME_ARTIFACT_H

#include "headrace/Runtime/Layout.h"
#include "headrace/Runtime/headrace.h"
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

/** Code that is loaded, and its opened model. */
typedef struct {
  const hr_table *table;
  hr_model *model;
  void *library; /* of dlopen */
  struct hr_loaded_file *file;
} hr_artifact;

/** Checks the artifact at `path` as hr_artifact_check does without weights, and
    that its code is for this kind of machine; loads it; opens the model. Returns
    an hr_status. Whatever else the process has loaded under that path, what is in
    the file now is what is opened: a file that another was renamed over is a new
    model. A file whose bytes were written over while a model of it is open is
    refused. `weights_path` may be NULL. */
int hr_artifact_open(const char *path, const char *weights_path,
                     hr_artifact *artifact, char *message, size_t message_size);
/** Closes the model and gives back memory, address space and the file's disk
    space, if nothing else has it open. Contexts, and pools that were made by this
    artifact, must have been destroyed. */
void hr_artifact_close(hr_artifact *artifact);

#ifdef __cplusplus
}
#endif
#endif /* HEADRACE_RUNTIME_ARTIFACT_H */
