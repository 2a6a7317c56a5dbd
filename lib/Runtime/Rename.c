/*===- Rename.c - Artifacts under another name ----------------------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* Runs on the host only, on little-endian 64-bit ELF files of any machine.
|*
|* Steps of a copy:
|*   1. the ELF strings and the hash of the exported symbol (hr_rename_code);
|*   2. the block of names in the code;
|*   3. code, weights and the new signature are written, with a new footer. The id
|*      stays: code and weights still belong together.
|*
\*===----------------------------------------------------------------------===*/
#define _GNU_SOURCE
#include "headrace/Runtime/Rename.h"
#include "headrace/Runtime/Hash.h"
#include "headrace/Runtime/Layout.h"
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
  char *message;
  size_t size;
} reason;

__attribute__((format(printf, 2, 3))) static int fail(reason why,
                                                      const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (why.message && why.size)
    vsnprintf(why.message, why.size, format, arguments);
  va_end(arguments);
  return 0;
}

/*===----------------------------------------------------------------------===*\
 * ELF
\*===----------------------------------------------------------------------===*/

typedef struct {
  uint8_t *at;
  uint64_t bytes;
  const Elf64_Shdr *sections;
  unsigned count;
} elf_file;

static int open_elf(void *code, uint64_t bytes, elf_file *elf) {
  const Elf64_Ehdr *header = code;
  elf->at = code;
  elf->bytes = bytes;
  if (bytes < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 ||
      header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shoff % 8 ||
      header->e_shoff > bytes ||
      header->e_shnum > (bytes - header->e_shoff) / sizeof(Elf64_Shdr))
    return 0;
  elf->sections = (const Elf64_Shdr *)(elf->at + header->e_shoff);
  elf->count = header->e_shnum;
  for (unsigned i = 0; i < elf->count; ++i) {
    const Elf64_Shdr *section = &elf->sections[i];
    if (section->sh_type != SHT_NOBITS &&
        (section->sh_offset > bytes ||
         section->sh_size > bytes - section->sh_offset ||
         section->sh_link >= elf->count))
      return 0;
  }
  return 1;
}

static const Elf64_Shdr *find_section(const elf_file *elf, uint32_t type) {
  for (unsigned i = 0; i < elf->count; ++i)
    if (elf->sections[i].sh_type == type)
      return &elf->sections[i];
  return NULL;
}

/** Writes `prefix` and `text` over the string at `offset` of a string table, if
    they fit into it and the zeros behind it. */
static int replace_string(const elf_file *elf, const Elf64_Shdr *strings,
                          uint64_t offset, const char *prefix,
                          const char *text) {
  if (offset >= strings->sh_size)
    return 0;
  char *at = (char *)elf->at + strings->sh_offset + offset;
  uint64_t limit = strings->sh_size - offset;
  uint64_t room = strnlen(at, limit);
  while (room < limit && at[room] == 0)
    ++room;
  // The last of the zeros ends the string.
  if (strlen(prefix) + strlen(text) + 1 > room)
    return 0;
  memset(at, 0, room);
  memcpy(at, prefix, strlen(prefix));
  memcpy(at + strlen(prefix), text, strlen(text));
  return 1;
}

static const char prefix[] = "hr_model_";

/** Renames the model's table in one table of symbols; returns how many there
    are. */
static int rename_symbol(const elf_file *elf, const Elf64_Shdr *table,
                         const char *name) {
  const Elf64_Shdr *strings = &elf->sections[table->sh_link];
  const Elf64_Sym *symbols =
      (const Elf64_Sym *)(elf->at + table->sh_offset);
  int renamed = 0;
  for (uint64_t i = 0; i < table->sh_size / sizeof *symbols; ++i) {
    const char *old = (const char *)elf->at + strings->sh_offset +
                      symbols[i].st_name;
    if (symbols[i].st_shndx == SHN_UNDEF ||
        ELF64_ST_BIND(symbols[i].st_info) != STB_GLOBAL ||
        symbols[i].st_name >= strings->sh_size ||
        strncmp(old, prefix, sizeof prefix - 1) != 0)
      continue;
    if (!replace_string(elf, strings, symbols[i].st_name, prefix, name))
      return -1;
    ++renamed;
  }
  return renamed;
}

static uint32_t hash_symbol(const char *name) {
  uint32_t hash = 5381;
  for (const char *part = prefix; *part; ++part)
    hash = hash * 33 + (uint8_t)*part;
  for (; *name; ++name)
    hash = hash * 33 + (uint8_t)*name;
  return hash;
}

/** Makes the hash table, which has one symbol, one of `name`. */
static int rehash(const elf_file *elf, const char *name) {
  const Elf64_Shdr *section = find_section(elf, SHT_GNU_HASH);
  /* buckets, first symbol, words of the filter, shift; the filter; the bucket;
     the chain */
  if (!section || section->sh_size != 4 * 4 + 8 + 4 + 4)
    return 0;
  uint8_t *at = elf->at + section->sh_offset;
  uint32_t head[4];
  memcpy(head, at, sizeof head);
  if (head[0] != 1 || head[2] != 1)
    return 0;
  uint32_t hash = hash_symbol(name), end = hash | 1;
  uint64_t filter = (uint64_t)1 << hash % 64 |
                    (uint64_t)1 << (hash >> head[3] % 32) % 64;
  memcpy(at + 16, &filter, sizeof filter);
  memcpy(at + 28, &end, sizeof end);
  return 1;
}

static int rename_so(const elf_file *elf, const char *so_name) {
  const Elf64_Shdr *section = find_section(elf, SHT_DYNAMIC);
  if (!section)
    return 0;
  const Elf64_Dyn *entry = (const Elf64_Dyn *)(elf->at + section->sh_offset);
  for (uint64_t i = 0; i < section->sh_size / sizeof *entry; ++i)
    if (entry[i].d_tag == DT_SONAME)
      return replace_string(elf, &elf->sections[section->sh_link],
                            entry[i].d_un.d_val, "", so_name);
  return 0;
}

int hr_rename_code(void *code, uint64_t bytes, const char *name,
                   const char *so_name, char *message, size_t message_size) {
  reason why = {message, message_size};
  elf_file elf;
  if (!open_elf(code, bytes, &elf))
    return fail(why, "the code is no ELF file of this compiler");
  const Elf64_Shdr *dynamic = find_section(&elf, SHT_DYNSYM);
  if (!dynamic || rename_symbol(&elf, dynamic, name) != 1 ||
      !rehash(&elf, name) || !rename_so(&elf, so_name))
    return fail(why, "the code has no room for the names 'hr_model_%s' and '%s'",
                name, so_name);
  const Elf64_Shdr *all = find_section(&elf, SHT_SYMTAB);
  if (all && rename_symbol(&elf, all, name) < 0)
    return fail(why, "the code has no room for the name 'hr_model_%s'", name);
  return 1;
}

/*===----------------------------------------------------------------------===*\
 * Names in the code
\*===----------------------------------------------------------------------===*/

static int is_utf8(const char *text) {
  for (const uint8_t *at = (const uint8_t *)text; *at;) {
    int more = *at < 0x80 ? 0 : *at >> 5 == 6 ? 1 : *at >> 4 == 14 ? 2
               : *at >> 3 == 30 ? 3 : -1;
    if (more < 0)
      return 0;
    for (++at; more > 0; --more, ++at)
      if (*at >> 6 != 2)
        return 0;
  }
  return 1;
}

/** A string of JSON; bytes that are no UTF-8 as U+DC80 to U+DCFF, as Python has
    them. */
static void write_string(FILE *to, const char *text) {
  int plain = is_utf8(text);
  for (const uint8_t *at = (const uint8_t *)text; *at; ++at)
    if (*at < 0x20 || *at == '"' || *at == '\\')
      fprintf(to, "\\u%04x", *at);
    else if (*at >= 0x80 && !plain)
      fprintf(to, "\\udc%02x", *at);
    else
      fputc(*at, to);
}

/** The text of `signature` with another string for `key`, which is there at
    `*text`'s first level once, and moves `*text` behind it. */
static int write_value(FILE *to, const char **text, const char *key,
                       const char *value) {
  const char *at = strstr(*text, key);
  if (!at)
    return 0;
  at += strlen(key);
  fwrite(*text, 1, (size_t)(at - *text), to);
  write_string(to, value);
  for (; *at && *at != '"'; ++at)
    at += *at == '\\' && at[1];
  *text = at;
  return 1;
}

/** A signature with other names; to be freed. */
static char *rename_signature(const char *old, const char *name,
                              const char *weights_file) {
  char *text = NULL;
  size_t size = 0;
  FILE *to = open_memstream(&text, &size);
  if (!to)
    return NULL;
  /* The model's name is the first of all. */
  int good = write_value(to, &old, "{\"name\":\"", name);
  if (strstr(old, ",\"weights_file\":\""))
    good = good && write_value(to, &old, ",\"weights_file\":\"", weights_file);
  fputs(old, to);
  if (fclose(to) != 0 || !good) {
    free(text);
    return NULL;
  }
  return text;
}

static void fill(uint8_t *at, uint64_t room, const char *text) {
  memset(at, 0, room);
  memcpy(at, text, strlen(text));
}

/** Renames what the code itself says. */
static int rename_names(uint8_t *code, uint64_t bytes, const char *name,
                        const char *weights_file, const char *signature) {
  uint8_t *at = memmem(code, bytes, HR_NAMES_MAGIC, sizeof HR_NAMES_MAGIC);
  hr_names names;
  if (!at || bytes - (uint64_t)(at - code) < sizeof names)
    return 0;
  memcpy(&names, at, sizeof names);
  at += sizeof names;
  uint64_t left = bytes - (uint64_t)(at - code);
  if (names.name_bytes > left || names.weights_file_bytes > left ||
      names.signature_bytes > left ||
      names.name_bytes + names.weights_file_bytes + names.signature_bytes >
          left ||
      strlen(name) >= names.name_bytes ||
      strlen(weights_file) >= names.weights_file_bytes ||
      strlen(signature) >= names.signature_bytes)
    return 0;
  fill(at, names.name_bytes, name);
  at += names.name_bytes;
  fill(at, names.weights_file_bytes, weights_file);
  at += names.weights_file_bytes;
  fill(at, names.signature_bytes, signature);
  return 1;
}

/*===----------------------------------------------------------------------===*\
 * Copies
\*===----------------------------------------------------------------------===*/

static int write_all(int fd, const void *bytes, uint64_t size) {
  const uint8_t *at = bytes;
  while (size) {
    ssize_t count = write(fd, at, size < 1u << 30 ? size : 1u << 30);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return 0;
    at += count;
    size -= (uint64_t)count;
  }
  return 1;
}

/** Writes what is mapped at `at`, whose code has its new names already. */
static int write_copy(int to, const uint8_t *at, hr_footer footer,
                      const char *signature, const char *path, reason why) {
  /* The weights stay where they are; the signature lies behind them. */
  uint64_t end = footer.signature_offset;
  footer.code_hash = hr_hash(at, footer.code_bytes);
  footer.signature_bytes = strlen(signature);
  footer.signature_hash = hr_hash(signature, footer.signature_bytes);
  footer.footer_hash = hr_hash(&footer, offsetof(hr_footer, footer_hash));
  if (write_all(to, at, end) &&
      write_all(to, signature, footer.signature_bytes) &&
      write_all(to, &footer, sizeof footer))
    return 1;
  return fail(why, "cannot copy '%s': %s", path, strerror(errno));
}

int hr_artifact_copy(const char *path, int to, const char *name,
                     const char *file_name, const char *weights_file,
                     char *message, size_t message_size) {
  reason why = {message, message_size};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) {
    int error = errno;
    if (fd >= 0)
      close(fd);
    return fail(why, "cannot read '%s': %s", path, strerror(error));
  }
  uint64_t bytes = (uint64_t)status.st_size;
  /* Private: what is changed is changed here alone. */
  uint8_t *at = bytes < sizeof(hr_footer)
                    ? MAP_FAILED
                    : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
                           0);
  close(fd);
  if (at == MAP_FAILED)
    return fail(why, "cannot read '%s'", path);
  hr_footer footer;
  memcpy(&footer, at + bytes - sizeof footer, sizeof footer);
  uint64_t end = bytes - sizeof footer;
  int good = memcmp(footer.magic, HR_FOOTER_MAGIC, 8) == 0 &&
             footer.code_bytes <= footer.signature_offset &&
             footer.signature_offset <= end &&
             footer.signature_bytes <= end - footer.signature_offset;
  if (!good)
    fail(why, "'%s' is no artifact of hrcc", path);
  char *old = good ? strndup((const char *)at + footer.signature_offset,
                             footer.signature_bytes)
                   : NULL;
  char *signature = old ? rename_signature(old, name, weights_file) : NULL;
  if (good && (!signature || !rename_names(at, footer.code_bytes, name,
                                           weights_file, signature)))
    good = fail(why, "'%s' has no room for the names of '%s'", path, file_name);
  good = good && hr_rename_code(at, footer.code_bytes, name, file_name, message,
                                message_size);
  good = good && write_copy(to, at, footer, signature, path, why);
  free(signature);
  free(old);
  munmap(at, bytes);
  return good;
}
