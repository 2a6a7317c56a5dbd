/*===- Model.c - Opening a model ------------------------------------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* Opening checks the machine, then finds and maps the weights: they are part of
|* the image, or of the file that the code was loaded from (after the ELF
|* object, where `strip` drops them), or a file beside it. They are mapped, not
|* read: what a program does not touch costs nothing, and processes share them.
|*
\*===----------------------------------------------------------------------===*/
#include "Runtime.h"
#include "headrace/Runtime/Hash.h"

const char *hr_rt_describe(void) { return hr_rt_image.signature; }

enum { PATH_SIZE = 4096 };

static int64_t parse_hex(const char **text) {
  uint64_t value = 0;
  for (;; ++*text) {
    char c = **text;
    if (c >= '0' && c <= '9')
      value = value << 4 | (uint64_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
      value = value << 4 | (uint64_t)(c - 'a' + 10);
    else
      return (int64_t)value;
  }
}

/** The path in a line of /proc/self/maps, if the line's range holds `at`. */
static const char *match_line(char *line, uint64_t at) {
  const char *p = line;
  uint64_t low = (uint64_t)parse_hex(&p);
  if (*p++ != '-')
    return 0;
  uint64_t high = (uint64_t)parse_hex(&p);
  if (at < low || at >= high)
    return 0;
  while (*p && *p != '/')
    ++p;
  return *p ? p : 0;
}

/** Finds the file that this code was loaded from. */
static bool find_own_file(char path[PATH_SIZE]) {
  int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  char line[PATH_SIZE + 128], chunk[1024];
  size_t length = 0;
  bool found = false;
  int64_t count;
  while (!found && (count = read(fd, chunk, sizeof chunk)) > 0) {
    for (int64_t i = 0; i < count && !found; ++i) {
      if (chunk[i] != '\n') {
        if (length + 1 < sizeof line)
          line[length++] = chunk[i];
        continue;
      }
      line[length] = 0;
      const char *name = match_line(line, (uint64_t)&hr_rt_image);
      length = 0;
      if (name && strlen(name) < PATH_SIZE) {
        memcpy(path, name, strlen(name) + 1);
        found = true;
      }
    }
  }
  close(fd);
  return found;
}

static int find_loaded(hr_loaded_object *object, size_t size, void *found) {
  (void)size;
  uint64_t at = (uint64_t)&hr_rt_image - object->address;
  for (int i = 0; i < object->num_segments; ++i)
    if (object->segments[i].type == 1 /* PT_LOAD */ &&
        at - object->segments[i].address < object->segments[i].bytes) {
      *(const char **)found = object->name;
      return 1;
    }
  return 0;
}

/** An opened file with the footer that is at its end. */
typedef struct {
  int fd;
  int64_t footer_at;
  hr_footer footer;
} opened_file;

/** Opens a file that hrcc wrote; on failure nothing is open. */
static int open_file(const char *path, opened_file *file, hr_message why) {
  file->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (file->fd < 0)
    return hr_fail(why, HR_ERROR_ARTIFACT,
                   "weights missing: cannot open '%s': %s", path,
                   strerror(*__errno_location()));
  hr_footer *footer = &file->footer;
  file->footer_at =
      lseek(file->fd, 0, SEEK_END) - (int64_t)sizeof *footer;
  if (file->footer_at >= 0 &&
      pread(file->fd, footer, sizeof *footer, file->footer_at) ==
          (int64_t)sizeof *footer &&
      __builtin_memcmp(footer->magic, HR_FOOTER_MAGIC, 8) == 0 &&
      footer->footer_bytes == sizeof *footer &&
      footer->footer_hash ==
          hr_hash(footer, __builtin_offsetof(hr_footer, footer_hash)))
    return HR_OK;
  close(file->fd);
  return hr_fail(why, HR_ERROR_ARTIFACT,
                 "weights missing (stripped or truncated?): '%s' does not "
                 "end as hrcc wrote it",
                 path);
}

static bool is_ours(const hr_footer *footer) {
  return footer->version == HR_FOOTER_VERSION &&
         footer->id[0] == (uint64_t)hr_rt_image.id[0] &&
         footer->id[1] == (uint64_t)hr_rt_image.id[1];
}

/** Maps the weights of the file at `path`. */
static int map_weights(hr_model *model, const char *path, hr_message why) {
  opened_file file;
  int status = open_file(path, &file, why);
  if (status)
    return status;
  const hr_footer *footer = &file.footer;
  if (!is_ours(footer)) {
    close(file.fd);
    return hr_fail(why, HR_ERROR_ARTIFACT,
                   "'%s' holds the weights of another compilation", path);
  }
  uint64_t bytes = (uint64_t)hr_rt_image.weights_bytes;
  if (footer->weights_bytes != bytes ||
      footer->weights_offset % HR_WEIGHTS_ALIGN ||
      footer->weights_offset > (uint64_t)file.footer_at ||
      bytes > (uint64_t)file.footer_at - footer->weights_offset) {
    close(file.fd);
    return hr_fail(why, HR_ERROR_ARTIFACT,
                   "'%s' is damaged: expected %llu bytes of weights", path,
                   (unsigned long long)bytes);
  }
  void *mapping = mmap(0, bytes, PROT_READ, MAP_PRIVATE, file.fd,
                       (int64_t)footer->weights_offset);
  int error = *__errno_location();
  close(file.fd);
  if (mapping == MAP_FAILED)
    return hr_fail(why, HR_ERROR_SYSTEM, "cannot map the weights of '%s': %s",
                   path, strerror(error));
  model->mapping = mapping;
  model->mapping_bytes = bytes;
  model->weights = mapping;
  return HR_OK;
}

/** Whether the code is that of the file it is said to have been loaded from. A
    file that was stripped tells nothing. */
static int check_code(const char *path, hr_message why) {
  opened_file file;
  if (open_file(path, &file, (hr_message){0, 0}) != HR_OK)
    return HR_OK;
  close(file.fd);
  if (is_ours(&file.footer))
    return HR_OK;
  return hr_fail(why, HR_ERROR_ARTIFACT,
                 "the code of '%s' is not what that file holds: another one of "
                 "that name is loaded, or it was replaced meanwhile",
                 path);
}

/** The file with the weights that belongs to the code of the file at `code`. */
static int map_weights_of(hr_model *model, const char *code, hr_message why) {
  if (!hr_rt_image.weights_file)
    return map_weights(model, code, why);
  char path[PATH_SIZE];
  size_t folder = strlen(code), name = strlen(hr_rt_image.weights_file);
  while (folder && code[folder - 1] != '/')
    --folder;
  if (folder + name >= PATH_SIZE)
    return hr_fail(why, HR_ERROR_SYSTEM, "path too long: '%s'", code);
  memcpy(path, code, folder);
  memcpy(path + folder, hr_rt_image.weights_file, name + 1);
  return map_weights(model, path, why);
}

/** Copies a path of /proc/self/maps without its escapes; false if it has none. */
static bool unescape(const char *path, char to[PATH_SIZE]) {
  bool any = false;
  for (; *path; ++path) {
    bool newline = path[0] == '\\' && path[1] == '0' && path[2] == '1' &&
                   path[3] == '2';
    *to++ = newline ? '\n' : *path;
    path += newline ? 3 : 0;
    any |= newline;
  }
  *to = 0;
  return any;
}

static int find_weights(hr_model *model, const hr_open_options *options,
                        hr_message why) {
  if (hr_rt_image.weights_bytes == 0)
    return HR_OK;
  if (hr_rt_image.weights) {
    model->weights = hr_rt_image.weights;
    return HR_OK;
  }
  if (options->weights_path)
    return map_weights(model, options->weights_path, why);
  /* The name that was given, which may be a link into a folder of files with
     other names; that of the loader; that of the file itself, as the kernel has
     it, which writes a newline as an escape. */
  const char *loaded = 0;
  dl_iterate_phdr(find_loaded, &loaded);
  char own[PATH_SIZE], plain[PATH_SIZE];
  bool found = find_own_file(own), escaped = found && unescape(own, plain);
  const char *const names[] = {options->code_path, loaded, found ? own : 0,
                               escaped ? plain : 0};
  /* The first says what is wrong if none of them is right. */
  int first = HR_OK;
  for (int i = 0; i < (int)(sizeof names / sizeof *names); ++i) {
    if (!names[i] || !names[i][0])
      continue;
    int status =
        map_weights_of(model, names[i], first ? (hr_message){0, 0} : why);
    if (!status) {
      if (why.to && why.size)
        *why.to = 0;
      return HR_OK;
    }
    first = first ? first : status;
  }
  if (first)
    return first;
  return hr_fail(why, HR_ERROR_SYSTEM,
                 "cannot find the file of model '%s' in /proc/self/maps; "
                 "name it in hr_open_options.weights_path",
                 hr_rt_image.name);
}

int hr_rt_open(const hr_open_options *options, hr_model **result, char *message,
               size_t message_size) {
  hr_message why = {message, message_size};
  if (message && message_size)
    *message = 0;
  if (!result)
    return hr_fail(why, HR_ERROR_ARGUMENT, "no place for the model");
  *result = 0;
  /* Fields that the caller's header did not have yet are NULL. */
  size_t least = __builtin_offsetof(hr_open_options, code_path);
  if (options && options->struct_size < least)
    return hr_fail(why, HR_ERROR_ARGUMENT,
                   "expected hr_open_options of %u bytes but got %u",
                   (unsigned)least, (unsigned)options->struct_size);
  hr_open_options known = {sizeof known, 0, 0};
  if (options)
    known.weights_path = options->weights_path;
  if (options && options->struct_size >= sizeof known)
    known.code_path = options->code_path;
  int status = known.code_path ? check_code(known.code_path, why) : HR_OK;
  if (status)
    return status;
  status = hr_check_machine(why);
  if (status)
    return status;
  hr_model *model = calloc(1, sizeof *model);
  if (!model)
    return hr_fail(why, HR_ERROR_SYSTEM, "out of memory");
  status = find_weights(model, &known, why);
  if (status) {
    free(model);
    return status;
  }
  *result = model;
  return HR_OK;
}

void hr_rt_close(hr_model *model) {
  if (!model)
    return;
  if (model->mapping)
    munmap(model->mapping, model->mapping_bytes);
  free(model);
}

int hr_rt_find_entry(const hr_model *model, const char *name) {
  (void)model;
  for (int64_t i = 0; name && i < hr_rt_image.num_entries; ++i)
    if (strcmp(hr_rt_image.entries[i].name, name) == 0)
      return (int)i;
  return -1;
}
