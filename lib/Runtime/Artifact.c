/*===- Artifact.c - Checking artifacts before their code is loaded --------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* Runs on the host only (a library, not part of what is linked into artifacts).
|*
\*===----------------------------------------------------------------------===*/
#define _GNU_SOURCE
#include "headrace/Runtime/Artifact.h"
#include "headrace/Runtime/Hash.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  const uint8_t *at;
  uint64_t bytes;
  hr_footer footer;
} mapped_file;

__attribute__((format(printf, 3, 4))) static int
fail(char *message, size_t size, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (message && size)
    vsnprintf(message, size, format, arguments);
  va_end(arguments);
  return 0;
}

static void unmap(mapped_file *file) {
  if (file->at)
    munmap((void *)file->at, file->bytes);
  file->at = NULL;
}

static int inside(uint64_t offset, uint64_t bytes, uint64_t end) {
  return offset <= end && bytes <= end - offset;
}

/** Maps a file and checks its footer. */
static int map_file(const char *path, mapped_file *file, char *message,
                    size_t size) {
  memset(file, 0, sizeof *file);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return fail(message, size, "cannot open '%s': %s", path, strerror(errno));
  struct stat status;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(fd);
    return fail(message, size, "'%s' is not a file", path);
  }
  file->bytes = (uint64_t)status.st_size;
  if (file->bytes < sizeof(hr_footer)) {
    close(fd);
    return fail(message, size, "'%s' is not an artifact of hrcc (%llu bytes)",
                path, (unsigned long long)file->bytes);
  }
  void *at = mmap(NULL, file->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  int error = errno;
  close(fd);
  if (at == MAP_FAILED)
    return fail(message, size, "cannot map '%s': %s", path, strerror(error));
  file->at = at;
  hr_footer *f = &file->footer;
  uint64_t end = file->bytes - sizeof *f;
  memcpy(f, file->at + end, sizeof *f);
  if (memcmp(f->magic, HR_FOOTER_MAGIC, 8) != 0) {
    unmap(file);
    return fail(message, size,
                "'%s' is not an artifact of hrcc, or was truncated or stripped "
                "(no footer at its end)",
                path);
  }
  if (f->version != HR_FOOTER_VERSION || f->footer_bytes != sizeof *f) {
    uint32_t version = f->version;
    unmap(file);
    return fail(message, size,
                "'%s': expected artifact format %d but got %u", path,
                HR_FOOTER_VERSION, version);
  }
  if (f->footer_hash != hr_hash(f, offsetof(hr_footer, footer_hash)) ||
      !inside(0, f->code_bytes, end) ||
      !inside(f->weights_offset, f->weights_bytes, end) ||
      f->weights_offset % HR_WEIGHTS_ALIGN ||
      !inside(f->signature_offset, f->signature_bytes, end)) {
    unmap(file);
    return fail(message, size, "'%s' was altered: its footer is damaged", path);
  }
  return 1;
}

static int check_weights_of(const char *path, const mapped_file *file,
                            char *message, size_t size) {
  const hr_footer *f = &file->footer;
  if (hr_hash(file->at + f->weights_offset, f->weights_bytes) ==
      f->weights_hash)
    return 1;
  return fail(message, size, "'%s' was altered: checksum of the weights differs",
              path);
}

/** Finds `"weights_file":"..."` in the signature; returns its length or 0. The
    compiler writes names without escapes. */
static size_t find_weights_file(const char *signature, const char **name) {
  static const char key[] = "\"weights_file\":\"";
  const char *at = strstr(signature, key);
  if (!at)
    return 0;
  *name = at + sizeof key - 1;
  return strcspn(*name, "\"");
}

char *hr_artifact_check(const char *path, int check_weights,
                        const char *weights_path, hr_footer *footer,
                        char *message, size_t size) {
  mapped_file file;
  if (!map_file(path, &file, message, size))
    return NULL;
  const hr_footer *f = &file.footer;
  char *signature = NULL;
  if (hr_hash(file.at, f->code_bytes) != f->code_hash) {
    fail(message, size, "'%s' was altered: checksum of the code differs", path);
    goto done;
  }
  if (hr_hash(file.at + f->signature_offset, f->signature_bytes) !=
      f->signature_hash) {
    fail(message, size, "'%s' was altered: checksum of the signature differs",
         path);
    goto done;
  }
  signature = malloc(f->signature_bytes + 1);
  if (!signature) {
    fail(message, size, "out of memory");
    goto done;
  }
  memcpy(signature, file.at + f->signature_offset, f->signature_bytes);
  signature[f->signature_bytes] = 0;
  if (footer)
    *footer = *f;

  int good = 1;
  if (check_weights && f->weights_bytes) {
    good = check_weights_of(path, &file, message, size);
  } else if (check_weights) {
    const char *name = NULL;
    size_t length = find_weights_file(signature, &name);
    if (length || weights_path) {
      const char *slash = strrchr(path, '/');
      char *other = NULL;
      if (weights_path)
        other = strdup(weights_path);
      else if (asprintf(&other, "%.*s%.*s",
                        slash ? (int)(slash - path + 1) : 0, path, (int)length,
                        name) < 0)
        other = NULL;
      mapped_file weights;
      good = other && map_file(other, &weights, message, size);
      if (good) {
        if (memcmp(weights.footer.id, f->id, sizeof f->id) != 0)
          good = fail(message, size,
                      "'%s' holds the weights of another compilation", other);
        else
          good = check_weights_of(other, &weights, message, size);
        unmap(&weights);
      }
      free(other);
    }
  }
  if (!good) {
    free(signature);
    signature = NULL;
  }
done:
  unmap(&file);
  return signature;
}
