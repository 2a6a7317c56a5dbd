/*===- Artifact.c - Checking artifacts, and loading them ------------------===*\
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
#include <dlfcn.h>
#include <elf.h>
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
  dev_t device;
  ino_t number;
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
  file->device = status.st_dev;
  file->number = status.st_ino;
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

/** The JSON string at `text`, behind its opening quote; to be freed. Bytes that are no UTF-8 are written as surrogates: U+DC80 to
    U+DCFF, as Python does. */
static char *read_string(const char *text) {
  char *result = malloc(strlen(text) + 1), *to = result;
  if (!result)
    return NULL;
  for (; *text && *text != '"'; ++text) {
    if (*text != '\\') {
      *to++ = *text;
      continue;
    }
    ++text;
    unsigned code;
    const char *at = strchr("b\bf\fn\nr\rt\t", *text);
    if (*text && *text != 'u') {
      *to++ = at ? at[1] : *text;
    } else if (sscanf(text, "u%4x", &code) == 1) {
      text += 4;
      if (code >= 0xdc80 && code <= 0xdcff) {
        *to++ = (char)(code & 0xff);
      } else if (code < 0x80) {
        *to++ = (char)code;
      } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
      } else {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
      }
    } else {
      break;
    }
  }
  *to = 0;
  return result;
}

/** The string of a key of the signature, to be freed; NULL if it has none. Keys
    of nested objects are found too: ask for what is there once, or first. */
static char *find_string(const char *signature, const char *key) {
  char pattern[64];
  snprintf(pattern, sizeof pattern, "\"%s\":\"", key);
  const char *at = strstr(signature, pattern);
  return at ? read_string(at + strlen(pattern)) : NULL;
}

/** `name` in the folder of `path`; to be freed. */
static char *beside(const char *path, const char *name) {
  const char *slash = strrchr(path, '/');
  char *result = NULL;
  if (asprintf(&result, "%.*s%s", slash ? (int)(slash - path + 1) : 0, path,
               name) < 0)
    return NULL;
  return result;
}

/** The file with the weights that belongs to the artifact at `path`, beside the
    name that was given or else beside what that links to. */
static char *find_weights_file(const char *path, const char *signature) {
  char *name = find_string(signature, "weights_file");
  if (!name)
    return NULL;
  char *result = beside(path, name);
  if (result && access(result, F_OK) != 0) {
    char *real = realpath(path, NULL);
    char *other = real ? beside(real, name) : NULL;
    if (other && access(other, F_OK) == 0) {
      free(result);
      result = other;
      other = NULL;
    }
    free(other);
    free(real);
  }
  free(name);
  return result;
}

/** The checked signature of a mapped artifact; to be freed. */
static char *check_code(const char *path, const mapped_file *file,
                        char *message, size_t size) {
  const hr_footer *f = &file->footer;
  if (hr_hash(file->at, f->code_bytes) != f->code_hash) {
    fail(message, size, "'%s' was altered: checksum of the code differs", path);
    return NULL;
  }
  if (hr_hash(file->at + f->signature_offset, f->signature_bytes) !=
      f->signature_hash) {
    fail(message, size, "'%s' was altered: checksum of the signature differs",
         path);
    return NULL;
  }
  char *signature = malloc(f->signature_bytes + 1);
  if (!signature) {
    fail(message, size, "out of memory");
    return NULL;
  }
  memcpy(signature, file->at + f->signature_offset, f->signature_bytes);
  signature[f->signature_bytes] = 0;
  return signature;
}

/** Checks weights that are in a file of their own, if there are any. */
static int check_other_weights(const char *path, const char *signature,
                               const char *weights_path, const hr_footer *f,
                               char *message, size_t size) {
  char *other = weights_path ? strdup(weights_path)
                             : find_weights_file(path, signature);
  if (!other)
    return 1;
  mapped_file weights;
  int good = map_file(other, &weights, message, size);
  if (good) {
    if (memcmp(weights.footer.id, f->id, sizeof f->id) != 0)
      good = fail(message, size, "'%s' holds the weights of another compilation",
                  other);
    else
      good = check_weights_of(other, &weights, message, size);
    unmap(&weights);
  }
  free(other);
  return good;
}

char *hr_artifact_check(const char *path, int check_weights,
                        const char *weights_path, hr_footer *footer,
                        char *message, size_t size) {
  mapped_file file;
  if (!map_file(path, &file, message, size))
    return NULL;
  char *signature = check_code(path, &file, message, size);
  if (signature && footer)
    *footer = file.footer;
  int good = 1;
  if (signature && check_weights)
    good = file.footer.weights_bytes
               ? check_weights_of(path, &file, message, size)
               : check_other_weights(path, signature, weights_path,
                                     &file.footer, message, size);
  if (!good) {
    free(signature);
    signature = NULL;
  }
  unmap(&file);
  return signature;
}

/*===----------------------------------------------------------------------===*\
 * Loading
\*===----------------------------------------------------------------------===*/

/** A file whose code is loaded. The list only grows, a few bytes per load, so
    that threads and children of fork need no lock. */
struct hr_loaded_file {
  dev_t device;
  ino_t number;
  uint64_t footer_hash;
  int users;
  struct hr_loaded_file *next;
};
static struct hr_loaded_file *loaded_files;

/** Whether the file held something else when its code was loaded. */
static int was_overwritten(const mapped_file *file) {
  for (struct hr_loaded_file *f =
           __atomic_load_n(&loaded_files, __ATOMIC_ACQUIRE);
       f; f = f->next)
    if (__atomic_load_n(&f->users, __ATOMIC_ACQUIRE) > 0 &&
        f->device == file->device && f->number == file->number &&
        f->footer_hash != file->footer.footer_hash)
      return 1;
  return 0;
}

/** Notes that the file is in use; NULL without memory. */
static struct hr_loaded_file *note_file(const mapped_file *file) {
  struct hr_loaded_file *f = malloc(sizeof *f);
  if (!f)
    return NULL;
  f->device = file->device;
  f->number = file->number;
  f->footer_hash = file->footer.footer_hash;
  f->users = 1;
  f->next = __atomic_load_n(&loaded_files, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(&loaded_files, &f->next, f, 0,
                                      __ATOMIC_RELEASE, __ATOMIC_RELAXED))
    ;
  return f;
}

static const char *name_of_machine(unsigned machine) {
  return machine == EM_X86_64    ? "x86-64"
         : machine == EM_AARCH64 ? "AArch64"
                                 : "another kind of machine";
}

/** Compares the kind of machine that the code is for with this one. */
static int check_machine(const char *path, const mapped_file *file,
                         char *message, size_t size) {
#if defined(__x86_64__)
  const unsigned own = EM_X86_64;
#elif defined(__aarch64__)
  const unsigned own = EM_AARCH64;
#else
  const unsigned own = EM_NONE;
#endif
  Elf64_Ehdr head;
  if (file->footer.code_bytes < sizeof head)
    return fail(message, size,
                "'%s' holds weights and no code: open the artifact that belongs "
                "to it",
                path);
  memcpy(&head, file->at, sizeof head);
  if (head.e_machine == own)
    return 1;
  return fail(message, size,
              "'%s' was compiled for %s, this process runs on %s", path,
              name_of_machine(head.e_machine), name_of_machine(own));
}

/** The path in a spelling that no loader has seen: it compares names before it
    looks at files. To be freed. */
static char *make_unique(const char *path) {
  static uint64_t count;
  /* Other copies of this code are at other addresses. */
  uint64_t numbers[2] = {(uint64_t)(uintptr_t)&count >> 3,
                         __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED)};
  const char *slash = strrchr(path, '/');
  size_t folder = slash ? (size_t)(slash - path) : 1;
  char *result = malloc(strlen(path) + 2 * 2 * 64 + 4), *to = result;
  if (!result)
    return NULL;
  memcpy(to, slash ? path : ".", folder);
  to += folder;
  for (int i = 0; i < 2; ++i)
    for (uint64_t n = numbers[i]; n; n >>= 1) {
      *to++ = '/';
      if (n & 1)
        *to++ = '.';
    }
  *to++ = '/';
  strcpy(to, slash ? slash + 1 : path);
  return result;
}

/** Loads the code, and checks that it is what was checked. */
static int load(const char *path, const char *signature, hr_artifact *artifact,
                char *message, size_t size) {
  char *spelling = make_unique(path), *name = find_string(signature, "name");
  char symbol[256];
  snprintf(symbol, sizeof symbol, "hr_model_%s", name ? name : "");
  free(name);
  if (!spelling)
    return fail(message, size, "out of memory");
  artifact->library = dlopen(spelling, RTLD_NOW | RTLD_LOCAL);
  if (!artifact->library) {
    /* Loaders begin with the name that they were given. */
    const char *why = dlerror();
    size_t length = strlen(spelling);
    if (strncmp(why, spelling, length) == 0 && strncmp(why + length, ": ", 2) == 0)
      why += length + 2;
    fail(message, size, "cannot load '%s': %s", path, why);
    free(spelling);
    return 0;
  }
  free(spelling);
  const hr_table *table = dlsym(artifact->library, symbol);
  if (!table)
    return fail(message, size, "'%s' has no symbol '%s'", path, symbol);
  if (table->abi_version != HR_ABI_VERSION ||
      table->table_size != sizeof(hr_table) ||
      table->tensor_size != sizeof(DLTensor))
    return fail(message, size,
                "'%s' has version %u of the C interface, this program has "
                "version %d: compile it again",
                path, table->abi_version, HR_ABI_VERSION);
  if (strcmp(table->describe(), signature) != 0)
    return fail(message, size, "'%s' was replaced while it was loaded", path);
  artifact->table = table;
  return 1;
}

int hr_artifact_open(const char *path, const char *weights_path,
                     hr_artifact *artifact, char *message, size_t size) {
  memset(artifact, 0, sizeof *artifact);
  mapped_file file;
  if (!map_file(path, &file, message, size))
    return HR_ERROR_ARTIFACT;
  int status = HR_ERROR_ARTIFACT;
  char *signature = check_code(path, &file, message, size);
  if (!signature || !check_machine(path, &file, message, size))
    goto done;
  if (was_overwritten(&file)) {
    fail(message, size,
         "'%s' was written over while a model of it is open: the code of that "
         "model is damaged. Replace files by renaming, as hrcc does",
         path);
    goto done;
  }
  if (!load(path, signature, artifact, message, size))
    goto done;
  hr_open_options options = {sizeof options, weights_path, path};
  status = artifact->table->open(&options, &artifact->model, message, size);
  if (status == HR_OK && !(artifact->file = note_file(&file))) {
    status = HR_ERROR_SYSTEM;
    fail(message, size, "out of memory");
  }
done:
  free(signature);
  unmap(&file);
  if (status)
    hr_artifact_close(artifact);
  return status;
}

void hr_artifact_close(hr_artifact *artifact) {
  if (artifact->model)
    artifact->table->close(artifact->model);
  if (artifact->library)
    dlclose(artifact->library);
  if (artifact->file)
    __atomic_sub_fetch(&artifact->file->users, 1, __ATOMIC_RELEASE);
  memset(artifact, 0, sizeof *artifact);
}
