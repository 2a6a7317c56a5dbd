/*===- ControlGroup.h - CPUs and memory of control groups -----------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* The quota of CPU time of a process, for the compiler and for the runtime: both
|* must see the same number of workers; and the memory that it may have. Who includes this declares open, read,
|* close, snprintf, strlen and strcmp: the runtime has no headers of libc.
|*
|* /proc/self/cgroup says which groups the process is in, /proc/self/mountinfo
|* where their file systems are mounted, and which group is the root of each: in
|* a container that is often the container's own. Version 2 has one hierarchy and
|* `cpu.max`; of version 1 that of the controller `cpu` counts, with
|* `cpu.cfs_quota_us` and `cpu.cfs_period_us`; likewise `memory.max`, and
|* `memory.limit_in_bytes` of `memory`. Every group up to the root limits.
|*
\*===----------------------------------------------------------------------===*/
#ifndef HEADRACE_RUNTIME_CONTROLGROUP_H
#define HEADRACE_RUNTIME_CONTROLGROUP_H

#include <stddef.h>
#include <stdint.h>

enum { HR_CGROUP_PATH = 1024 };

/** A file, line by line; lines that are too long are cut. */
typedef struct {
  int fd;
  size_t at, end;
  char chunk[512];
  char line[3 * HR_CGROUP_PATH];
} hr_cgroup_lines;

static inline int hr_cgroup_open(hr_cgroup_lines *lines, const char *path) {
  lines->at = lines->end = 0;
  lines->fd = open(path, O_RDONLY | O_CLOEXEC);
  return lines->fd >= 0;
}

/** The next line, or NULL. */
static inline char *hr_cgroup_next(hr_cgroup_lines *lines) {
  size_t length = 0;
  for (;;) {
    if (lines->at == lines->end) {
      long count = (long)read(lines->fd, lines->chunk, sizeof lines->chunk);
      lines->at = 0;
      lines->end = count > 0 ? (size_t)count : 0;
      if (!lines->end) {
        if (!length)
          return 0;
        break;
      }
    }
    char c = lines->chunk[lines->at++];
    if (c == '\n')
      break;
    if (length + 1 < sizeof lines->line)
      lines->line[length++] = c;
  }
  lines->line[length] = 0;
  return lines->line;
}

/** Ends the word at `*text` with a zero, moves `*text` behind it. */
static inline char *hr_cgroup_word(char **text, char separator) {
  char *word = *text;
  while (**text && **text != separator)
    ++*text;
  if (**text)
    *(*text)++ = 0;
  return word;
}

/** Whether `list`, separated by commas, has `name`. */
static inline int hr_cgroup_has(const char *list, const char *name) {
  size_t length = strlen(name);
  while (*list) {
    const char *end = list;
    while (*end && *end != ',')
      ++end;
    if ((size_t)(end - list) == length && __builtin_memcmp(list, name, length) == 0)
      return 1;
    list = *end ? end + 1 : end;
  }
  return 0;
}

/** Reads a number, 0 if there is none ("max", "-1"). */
static inline uint64_t hr_cgroup_number(char **text) {
  uint64_t value = 0;
  while (**text == ' ')
    ++*text;
  while (**text >= '0' && **text <= '9')
    value = value * 10 + (uint64_t)(*(*text)++ - '0');
  return value;
}

static inline uint64_t hr_cgroup_read(const char *folder, const char *name,
                                      uint64_t *second) {
  char path[2 * HR_CGROUP_PATH + 64];
  hr_cgroup_lines lines;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  if (!hr_cgroup_open(&lines, path))
    return 0;
  char *line = hr_cgroup_next(&lines);
  uint64_t first = line ? hr_cgroup_number(&line) : 0;
  if (second)
    *second = line ? hr_cgroup_number(&line) : 0;
  close(lines.fd);
  return first;
}

/** What the group in `folder` allows of what `controller` counts: CPUs' worth of
    time, rounded up, or bytes of memory; 0: no limit. */
static inline uint64_t hr_cgroup_limit(const char *folder, int version,
                                       const char *controller) {
  uint64_t quota, period = 0;
  if (strcmp(controller, "memory") == 0) {
    /* Without a limit version 1 has the largest number of pages. */
    quota = hr_cgroup_read(
        folder, version == 2 ? "memory.max" : "memory.limit_in_bytes", 0);
    return quota > INT64_MAX / 2 ? 0 : quota;
  }
  if (version == 2) {
    quota = hr_cgroup_read(folder, "cpu.max", &period);
  } else {
    quota = hr_cgroup_read(folder, "cpu.cfs_quota_us", 0);
    period = hr_cgroup_read(folder, "cpu.cfs_period_us", 0);
  }
  if (!quota || !period)
    return 0;
  uint64_t cpus = (quota + period - 1) / period;
  return cpus > 1u << 20 ? 0 : cpus;
}

/** Finds where the hierarchy is mounted: `folder` of our group, and how many
    bytes of it are the mount. */
static inline int hr_cgroup_find(const char *root, int version,
                                 const char *controller, const char *group, char *folder, size_t size,
                                 size_t *mount_bytes) {
  char path[HR_CGROUP_PATH];
  hr_cgroup_lines lines;
  snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
  if (!hr_cgroup_open(&lines, path))
    return 0;
  int found = 0;
  char *rest;
  while (!found && (rest = hr_cgroup_next(&lines))) {
    /* id parent device root mount options [tags] - type source super */
    for (int i = 0; i < 3; ++i)
      hr_cgroup_word(&rest, ' ');
    const char *top = hr_cgroup_word(&rest, ' ');
    const char *mount = hr_cgroup_word(&rest, ' ');
    const char *word;
    do
      word = hr_cgroup_word(&rest, ' ');
    while (*word && strcmp(word, "-") != 0);
    const char *type = hr_cgroup_word(&rest, ' ');
    hr_cgroup_word(&rest, ' ');
    if (version == 2 ? strcmp(type, "cgroup2") != 0
                     : strcmp(type, "cgroup") != 0 || !hr_cgroup_has(rest, controller))
      continue;
    /* The group as seen from the mount's root; where it lies outside, the root
       is all that can be seen. */
    size_t length = strcmp(top, "/") == 0 ? 0 : strlen(top);
    int inside = strlen(group) >= length && __builtin_memcmp(group, top, length) == 0 &&
                 (group[length] == '/' || group[length] == 0);
    int count = snprintf(folder, size, "%s%s", root, mount);
    if (count < 0 || (size_t)count >= size)
      continue;
    *mount_bytes = (size_t)count;
    snprintf(folder + count, size - (size_t)count, "%s",
             inside ? group + length : "");
    found = 1;
  }
  close(lines.fd);
  return found;
}

/** The least that the control groups of this process allow of what `controller`
    counts (see hr_cgroup_limit); 0: no limit. `root` stands before /proc and all
    mounts (tests). */
static inline uint64_t hr_control_group(const char *root,
                                        const char *controller) {
  char path[HR_CGROUP_PATH];
  hr_cgroup_lines lines;
  uint64_t least = 0;
  snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
  if (!hr_cgroup_open(&lines, path))
    return 0;
  char *rest;
  while ((rest = hr_cgroup_next(&lines))) {
    /* Version 2 is "0::/path", version 1 "3:cpu,cpuacct:/path". */
    hr_cgroup_word(&rest, ':');
    const char *controllers = hr_cgroup_word(&rest, ':');
    int version = *controllers ? 1 : 2;
    char folder[2 * HR_CGROUP_PATH];
    size_t mount;
    if ((version == 1 && !hr_cgroup_has(controllers, controller)) ||
        !hr_cgroup_find(root, version, controller, rest, folder, sizeof folder,
                        &mount))
      continue;
    for (size_t length = strlen(folder);;) {
      while (length > mount && folder[length - 1] == '/')
        --length;
      folder[length] = 0;
      uint64_t limit = hr_cgroup_limit(folder, version, controller);
      if (limit && (!least || limit < least))
        least = limit;
      if (length <= mount)
        break;
      while (length > mount && folder[length - 1] != '/')
        --length;
    }
  }
  close(lines.fd);
  return least;
}

/** CPUs' worth of time, rounded up; 0: no limit. */
static inline uint32_t hr_control_group_cpus(const char *root) {
  return (uint32_t)hr_control_group(root, "cpu");
}

/** Bytes of memory; 0: no limit. */
static inline uint64_t hr_control_group_memory(const char *root) {
  return hr_control_group(root, "memory");
}

#endif /* HEADRACE_RUNTIME_CONTROLGROUP_H */
