/*===- Machine.c - CPU features, CPUs, rounding mode, futex ---------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* All that the runtime asks of the machine and the kernel directly.
|*
\*===----------------------------------------------------------------------===*/
#include "Runtime.h"
#include "headrace/Runtime/ControlGroup.h"

int hr_fail(hr_message why, int status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (why.to && why.size)
    vsnprintf(why.to, why.size, format, arguments);
  va_end(arguments);
  return status;
}

/*===----------------------------------------------------------------------===*\
 * CPU features
\*===----------------------------------------------------------------------===*/

typedef struct {
  const char *name;
  uint32_t leaf, subleaf, reg, bit, xcr0;
} feature;

static const feature features[] = {
#define HR_X86_FEATURE(id, name, leaf, subleaf, reg, bit, xcr0)                \
  {name, leaf, subleaf, reg, bit, xcr0},
#define HR_AARCH64_FEATURE(id, name, word, bit) {name, word, 0, 0, bit, 0},
#include "headrace/Runtime/CPUFeatures.def"
};

#if defined(__x86_64__)
enum { SYS_GETPID = 39, SYS_FUTEX = 202, SYS_GETAFFINITY = 204, SYS_PRCTL = 157,
       SYS_ARCH_PRCTL = 158, ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_AMX = 18 };

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
  __asm__ volatile("cpuid"
                   : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                   : "a"(leaf), "c"(subleaf));
}

static bool has_feature(const feature *f) {
  uint32_t r[4];
  cpuid(f->leaf & 0x80000000u, 0, r);
  if (r[0] < f->leaf)
    return false;
  if (f->subleaf) {
    cpuid(f->leaf, 0, r);
    if (r[0] < f->subleaf)
      return false;
  }
  cpuid(f->leaf, f->subleaf, r);
  if (!(r[f->reg] >> f->bit & 1))
    return false;
  if (!f->xcr0)
    return true;
  /* The registers must also be saved by the system. */
  cpuid(1, 0, r);
  if (!(r[2] >> 27 & 1))
    return false;
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & f->xcr0) == f->xcr0;
}

static int request_feature(hr_message why, int64_t id) {
  if (id != HR_X86_AMXTILE)
    return HR_OK;
  if (syscall(SYS_ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_AMX) == 0)
    return HR_OK;
  return hr_fail(why, HR_ERROR_MACHINE,
                 "model '%s' needs AMX, but the system does not permit it: %s",
                 hr_rt_image.name, strerror(*__errno_location()));
}

#elif defined(__aarch64__)
enum { SYS_GETPID = 172, SYS_FUTEX = 98, SYS_GETAFFINITY = 123, SYS_PRCTL = 167,
       AT_HWCAP = 16, AT_HWCAP2 = 26 };

static bool has_feature(const feature *f) {
  if (f->leaf == 0)
    return true;
  unsigned long word = getauxval(f->leaf == 1 ? AT_HWCAP : AT_HWCAP2);
  return word >> f->bit & 1;
}

static int request_feature(hr_message why, int64_t id) {
  (void)why;
  (void)id;
  return HR_OK;
}
#else
#error "no runtime for this machine"
#endif

int hr_check_machine(hr_message why) {
  for (int64_t i = 0; i < hr_rt_image.num_features; ++i) {
    const feature *f = &features[hr_rt_image.features[i]];
    if (!has_feature(f))
      return hr_fail(why, HR_ERROR_MACHINE,
                     "model '%s' was compiled for CPUs with %s, which this "
                     "machine does not have; compile it with "
                     "--target=native on this machine",
                     hr_rt_image.name, f->name);
  }
  for (int64_t i = 0; i < hr_rt_image.num_features; ++i) {
    int status = request_feature(why, hr_rt_image.features[i]);
    if (status)
      return status;
  }
  return HR_OK;
}

/*===----------------------------------------------------------------------===*\
 * CPUs
\*===----------------------------------------------------------------------===*/

uint32_t hr_available_cpus(void) {
  uint64_t mask[128]; /* 8192 CPUs */
  long bytes = syscall(SYS_GETAFFINITY, 0, sizeof mask, mask);
  uint32_t cpus = 0;
  for (long i = 0; i < bytes / 8; ++i)
    cpus += (uint32_t)__builtin_popcountll(mask[i]);
  if (cpus == 0)
    cpus = 1;

  uint32_t limit = hr_control_group_cpus("");
  if (limit && limit < cpus)
    cpus = limit;
  return cpus;
}

int64_t hr_available_memory(void) {
  int64_t bytes = INT64_MAX;
  hr_cgroup_lines lines;
  if (hr_cgroup_open(&lines, "/proc/meminfo")) {
    /* "MemTotal:       24576000 kB" is the first line. */
    char *line = hr_cgroup_next(&lines);
    if (line)
      hr_cgroup_word(&line, ':');
    uint64_t kib = line ? hr_cgroup_number(&line) : 0;
    close(lines.fd);
    if (kib && kib < (uint64_t)INT64_MAX / 1024)
      bytes = (int64_t)(kib * 1024);
  }
  uint64_t limit = hr_control_group_memory("");
  return limit && limit < (uint64_t)bytes ? (int64_t)limit : bytes;
}

/*===----------------------------------------------------------------------===*\
 * Rounding mode
\*===----------------------------------------------------------------------===*/

#if defined(__x86_64__)
uint64_t hr_enter_float_mode(void) {
  uint32_t saved, plain = 0x1f80; /* all masked, to nearest, no FTZ, no DAZ */
  __asm__ volatile("stmxcsr %0" : "=m"(saved));
  if (saved != plain)
    __asm__ volatile("ldmxcsr %0" ::"m"(plain));
  return saved;
}

void hr_leave_float_mode(uint64_t saved) {
  uint32_t value = (uint32_t)saved;
  __asm__ volatile("ldmxcsr %0" ::"m"(value));
}
#else
uint64_t hr_enter_float_mode(void) {
  uint64_t saved;
  __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
  if (saved)
    __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)0));
  return saved;
}

void hr_leave_float_mode(uint64_t saved) {
  __asm__ volatile("msr fpcr, %0" ::"r"(saved));
}
#endif

/*===----------------------------------------------------------------------===*\
 * Futex
\*===----------------------------------------------------------------------===*/

enum { FUTEX_WAIT_PRIVATE = 128, FUTEX_WAKE_PRIVATE = 129 };

void hr_futex_wait(uint32_t *word, uint32_t value) {
  syscall(SYS_FUTEX, word, FUTEX_WAIT_PRIVATE, value, (void *)0);
}

void hr_futex_wake(uint32_t *word, int count) {
  syscall(SYS_FUTEX, word, FUTEX_WAKE_PRIVATE, count);
}

long hr_process(void) { return syscall(SYS_GETPID); }

bool hr_wipe_on_fork(void *pages, size_t bytes) {
  /* Who accepts advice that does not exist ignores all of it. */
  return madvise(pages, bytes, -1) != 0 &&
         madvise(pages, bytes, MADV_WIPEONFORK) == 0;
}
