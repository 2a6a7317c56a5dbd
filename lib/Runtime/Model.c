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

/** Maps the weights of the file at `path`. */
static int map_weights(hr_model *model, const char *path, hr_message why) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return hr_fail(why, HR_ERROR_ARTIFACT,
                   "weights missing: cannot open '%s': %s", path,
                   strerror(*__errno_location()));
  hr_footer footer;
  int64_t size = lseek(fd, 0, SEEK_END);
  int64_t at = size - (int64_t)sizeof footer;
  if (at < 0 ||
      pread(fd, &footer, sizeof footer, at) != (int64_t)sizeof footer ||
      __builtin_memcmp(footer.magic, HR_FOOTER_MAGIC, 8) != 0 ||
      footer.footer_bytes != sizeof footer ||
      footer.footer_hash !=
          hr_hash(&footer, __builtin_offsetof(hr_footer, footer_hash))) {
    close(fd);
    return hr_fail(why, HR_ERROR_ARTIFACT,
                   "weights missing (stripped or truncated?): '%s' does not "
                   "end as hrcc wrote it",
                   path);
  }
  if (footer.version != HR_FOOTER_VERSION ||
      footer.id[0] != (uint64_t)hr_rt_image.id[0] ||
      footer.id[1] != (uint64_t)hr_rt_image.id[1]) {
    close(fd);
    return hr_fail(why, HR_ERROR_ARTIFACT,
                   "'%s' holds the weights of another compilation", path);
  }
  uint64_t bytes = (uint64_t)hr_rt_image.weights_bytes;
  if (footer.weights_bytes != bytes ||
      footer.weights_offset % HR_WEIGHTS_ALIGN ||
      footer.weights_offset > (uint64_t)at ||
      bytes > (uint64_t)at - footer.weights_offset) {
    close(fd);
    return hr_fail(why, HR_ERROR_ARTIFACT,
                   "'%s' is damaged: expected %llu bytes of weights", path,
                   (unsigned long long)bytes);
  }
  void *mapping = mmap(0, bytes, PROT_READ, MAP_PRIVATE, fd,
                       (int64_t)footer.weights_offset);
  int error = *__errno_location();
  close(fd);
  if (mapping == MAP_FAILED)
    return hr_fail(why, HR_ERROR_SYSTEM, "cannot map the weights of '%s': %s",
                   path, strerror(error));
  model->mapping = mapping;
  model->mapping_bytes = bytes;
  model->weights = mapping;
  return HR_OK;
}

static int find_weights(hr_model *model, const hr_open_options *options,
                        hr_message why) {
  if (hr_rt_image.weights_bytes == 0)
    return HR_OK;
  if (hr_rt_image.weights) {
    model->weights = hr_rt_image.weights;
    return HR_OK;
  }
  if (options && options->weights_path)
    return map_weights(model, options->weights_path, why);
  char path[PATH_SIZE];
  if (!find_own_file(path))
    return hr_fail(why, HR_ERROR_SYSTEM,
                   "cannot find the file of model '%s' in /proc/self/maps; "
                   "name it in hr_open_options.weights_path",
                   hr_rt_image.name);
  if (!hr_rt_image.weights_file)
    return map_weights(model, path, why);
  size_t folder = strlen(path), name = strlen(hr_rt_image.weights_file);
  while (folder && path[folder - 1] != '/')
    --folder;
  if (folder + name >= PATH_SIZE)
    return hr_fail(why, HR_ERROR_SYSTEM, "path too long: '%s'", path);
  memcpy(path + folder, hr_rt_image.weights_file, name + 1);
  return map_weights(model, path, why);
}

int hr_rt_open(const hr_open_options *options, hr_model **result, char *message,
               size_t message_size) {
  hr_message why = {message, message_size};
  if (message && message_size)
    *message = 0;
  if (!result)
    return hr_fail(why, HR_ERROR_ARGUMENT, "no place for the model");
  *result = 0;
  if (options && options->struct_size < sizeof *options)
    return hr_fail(why, HR_ERROR_ARGUMENT,
                   "expected hr_open_options of %u bytes but got %u",
                   (unsigned)sizeof *options, (unsigned)options->struct_size);
  int status = hr_check_machine(why);
  if (status)
    return status;
  hr_model *model = calloc(1, sizeof *model);
  if (!model)
    return hr_fail(why, HR_ERROR_SYSTEM, "out of memory");
  status = find_weights(model, options, why);
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
