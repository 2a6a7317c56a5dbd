/*===- Runtime.h - What the files of the runtime share --------------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* The runtime is compiled once per target when Headrace is built, with no
|* headers but the compiler's own: the functions of libc that it uses are
|* declared here, only such whose ABI is the same on all 64-bit Linux systems.
|* The list must match the stub libraries in lib/Target/Link.cpp.
|*
\*===----------------------------------------------------------------------===*/
#ifndef HEADRACE_LIB_RUNTIME_RUNTIME_H
#define HEADRACE_LIB_RUNTIME_RUNTIME_H

#include "headrace/Runtime/Layout.h"
#include "headrace/Runtime/headrace.h"
#include <stdarg.h>
#include <stdbool.h>

/*===----------------------------------------------------------------------===*\
 * libc
\*===----------------------------------------------------------------------===*/

void *calloc(size_t count, size_t size);
void free(void *memory);
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int snprintf(char *to, size_t size, const char *format, ...);
int vsnprintf(char *to, size_t size, const char *format, va_list arguments);
char *strerror(int error);
int open(const char *path, int flags, ...);
int close(int fd);
int64_t lseek(int fd, int64_t offset, int whence);
int64_t read(int fd, void *to, size_t size);
int64_t pread(int fd, void *to, size_t size, int64_t offset);
void *mmap(void *at, size_t size, int protection, int flags, int fd,
           int64_t offset);
int munmap(void *at, size_t size);
int madvise(void *at, size_t size, int advice);
long syscall(long number, ...);
int *__errno_location(void);
unsigned long getauxval(unsigned long type);
int clock_gettime(int clock, void *time);
/** What `dl_iterate_phdr` says of a loaded object: the beginning of the struct. */
typedef struct {
  uint64_t address;
  const char *name; /* as it was asked for; "" for the program */
  const struct hr_elf_segment {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_bytes, bytes, align;
  } *segments;
  uint16_t num_segments;
} hr_loaded_object;
int dl_iterate_phdr(int (*function)(hr_loaded_object *object, size_t size,
                                    void *argument),
                    void *argument);
int pthread_create(unsigned long *thread, const void *attributes,
                   void *(*function)(void *), void *argument);
int pthread_join(unsigned long thread, void **result);
int pthread_sigmask(int how, const void *set, void *old);

enum {
  O_RDONLY = 0,
  O_CLOEXEC = 02000000,
  SEEK_END = 2,
  PROT_READ = 1,
  PROT_WRITE = 2,
  MAP_PRIVATE = 2,
  MAP_ANONYMOUS = 0x20,
  MAP_NORESERVE = 0x4000,
  MADV_DONTNEED = 4,
  MADV_HUGEPAGE = 14,
  MADV_WIPEONFORK = 18,
  EAGAIN = 11,
  SIG_SETMASK = 2
};
#define MAP_FAILED ((void *)-1)

/*===----------------------------------------------------------------------===*\
 * The pieces
\*===----------------------------------------------------------------------===*/

/** The tables that the compiler emits beside the code. */
extern const hr_image hr_rt_image;

struct hr_model {
  const uint8_t *weights;
  void *mapping; /* NULL when the weights are part of the image */
  size_t mapping_bytes;
};

/** Where a message goes. */
typedef struct {
  char *to;
  size_t size;
} hr_message;

/** Writes a message and returns `status`. */
__attribute__((format(printf, 3, 4))) int hr_fail(hr_message why, int status,
                                                  const char *format, ...);

/** Checks the machine against the image's list of features, and asks the
    system for those that need asking. */
int hr_check_machine(hr_message why);

/** The number of CPUs that this process may use, at least 1. */
uint32_t hr_available_cpus(void);
/** The most bytes of memory that this process can have, as far as is known. */
int64_t hr_available_memory(void);

/** The number of this process, from the kernel. */
long hr_process(void);

/** Makes pages read zeros in a child of fork. False where the kernel cannot do
    that, or who plays it (an emulator) only pretends to. */
bool hr_wipe_on_fork(void *pages, size_t bytes);

/** The operations of a pool, reached through it: a pool may come from another
    artifact, with its own copy of the runtime. */
typedef struct {
  uint32_t abi_version;
  /** Runs `work(argument, w)` for w in [0, workers), 0 on the caller; returns
      when all are done. */
  void (*run)(hr_pool *pool, uint32_t workers,
              void (*work)(void *argument, uint32_t worker), void *argument);
  /** How many workers there are; 1 in a process that did not make the pool. */
  uint32_t (*available)(const hr_pool *pool);
} hr_pool_operations;

struct hr_pool {
  const hr_pool_operations *operations;
};

int hr_pool_create(uint32_t workers, hr_pool **pool, char *message,
                   size_t message_size);
void hr_pool_destroy(hr_pool *pool);

/** Rounding to nearest, denormals as they are; returns what was set before. */
uint64_t hr_enter_float_mode(void);
void hr_leave_float_mode(uint64_t saved);

/** Nanoseconds of CLOCK_MONOTONIC. */
uint64_t hr_clock(void);

/** Sleeps while `*word` is `value`; may return early. */
void hr_futex_wait(uint32_t *word, uint32_t value);
void hr_futex_wake(uint32_t *word, int count);
static inline void hr_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

/* What the table points to; headrace.h says what they do. */
const char *hr_rt_describe(void);
int hr_rt_open(const hr_open_options *options, hr_model **model, char *message,
               size_t message_size);
void hr_rt_close(hr_model *model);
int hr_rt_create_context(const hr_model *model,
                         const hr_context_options *options,
                         hr_context **context, char *message,
                         size_t message_size);
void hr_rt_destroy_context(hr_context *context);
int hr_rt_reset(hr_context *context);
uint32_t hr_rt_workers(const hr_context *context);
int hr_rt_find_entry(const hr_model *model, const char *name);
int hr_rt_infer(hr_context *context, uint32_t entry, const DLTensor *inputs,
                uint32_t num_inputs, DLTensor *outputs, uint32_t num_outputs);
int hr_rt_run(hr_context *context, uint32_t entry, const DLTensor *inputs,
              uint32_t num_inputs, DLTensor *outputs, uint32_t num_outputs);
const char *hr_rt_message(const hr_context *context);

#endif /* HEADRACE_LIB_RUNTIME_RUNTIME_H */
