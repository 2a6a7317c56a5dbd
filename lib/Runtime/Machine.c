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

/** Reads a small file; returns false when it is not there. */
static bool read_file(const char *path, char *to, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  size_t filled = 0;
  int64_t count;
  while (filled + 1 < size && (count = read(fd, to + filled, size - 1 - filled)) > 0)
    filled += (size_t)count;
  to[filled] = 0;
  close(fd);
  return true;
}

static uint64_t parse_number(const char **text) {
  uint64_t value = 0;
  while (**text >= '0' && **text <= '9')
    value = value * 10 + (uint64_t)(*(*text)++ - '0');
  return value;
}

/** CPUs' worth of time that a cpu.max file allows, rounded up; 0: no limit. */
static uint32_t cpus_of_quota(const char *path) {
  char text[64];
  if (!read_file(path, text, sizeof text) || text[0] < '0' || text[0] > '9')
    return 0;
  const char *p = text;
  uint64_t quota = parse_number(&p);
  while (*p == ' ')
    ++p;
  uint64_t period = parse_number(&p);
  if (!quota || !period)
    return 0;
  return (uint32_t)((quota + period - 1) / period);
}

uint32_t hr_available_cpus(void) {
  uint64_t mask[128]; /* 8192 CPUs */
  long bytes = syscall(SYS_GETAFFINITY, 0, sizeof mask, mask);
  uint32_t cpus = 0;
  for (long i = 0; i < bytes / 8; ++i)
    cpus += (uint32_t)__builtin_popcountll(mask[i]);
  if (cpus == 0)
    cpus = 1;

  /* cgroup v2: the limits of our group and of all groups above it. */
  char group[2048];
  if (read_file("/proc/self/cgroup", group, sizeof group)) {
    char *p = group;
    while (*p && !(p[0] == '0' && p[1] == ':' && p[2] == ':')) {
      while (*p && *p != '\n')
        ++p;
      p += *p == '\n';
    }
    if (*p) {
      p += 3;
      size_t length = 0;
      while (p[length] && p[length] != '\n')
        ++length;
      for (;;) {
        while (length && p[length - 1] == '/')
          --length;
        char path[2200];
        snprintf(path, sizeof path, "/sys/fs/cgroup%.*s/cpu.max", (int)length,
                 p);
        uint32_t limit = cpus_of_quota(path);
        if (limit && limit < cpus)
          cpus = limit;
        if (!length)
          break;
        while (length && p[length - 1] != '/')
          --length;
      }
    }
  }
  return cpus;
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
