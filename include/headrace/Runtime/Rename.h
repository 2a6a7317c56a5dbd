/*===- Rename.h - Artifacts under another name ----------------------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* A shared object's names follow its file's: the table hr_model_<name> that it
|* exports, its soname, the file with its weights. Whoever copies it to a file of
|* another name gives it other names, or two copies could not be linked into one
|* program, nor lie in one folder with their weights. The compiler leaves room:
|* names in the ELF string table are followed by zeros, and those that the code
|* itself has lie in one block, `hr_names`. Plain C; only the compiler and what
|* copies artifacts use this.
|*
\*===----------------------------------------------------------------------===*/
#ifndef HEADRACE_RUNTIME_RENAME_H
#define HEADRACE_RUNTIME_RENAME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HR_NAMES_MAGIC "headrace names\n"

enum {
  /** Room for a table's name with `hr_model_`, and for a file's. */
  HR_NAME_ROOM = 128,
  HR_FILE_ROOM = 256,
  /** What both may add to a signature, where a byte can be an escape of six. */
  HR_SIGNATURE_ROOM = HR_NAME_ROOM + 6 * HR_FILE_ROOM
};

/** The names that the code has. Strings of these sizes follow, filled with
    zeros: the model's name, the weights file's, the signature. */
typedef struct {
  char magic[16];
  uint64_t name_bytes, weights_file_bytes, signature_bytes;
} hr_names;

/** Gives the shared object of `bytes` bytes at `code` another name: the symbol
    that it exports, which has to be the only one, and its soname. Returns 1, or 0
    with a message. */
int hr_rename_code(void *code, uint64_t bytes, const char *name,
                   const char *so_name, char *message, size_t message_size);

/** Writes the artifact at `path`, which was checked, to the open file `to` as the
    compiler would have written it to `file_name`: with the table
    hr_model_<name> and, if its weights are in a file of their own, with them in
    `weights_file`, which is not copied. Returns 1, or 0 with a message. */
int hr_artifact_copy(const char *path, int to, const char *name,
                     const char *file_name, const char *weights_file,
                     char *message, size_t message_size);

#ifdef __cplusplus
}
#endif
#endif /* HEADRACE_RUNTIME_RENAME_H */
