/*===- Pool.c - Worker threads, counters, waits ---------------------------===*\
|*
|* Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* A pool has one thread per worker but the first, which is whoever calls `run`.
|* A run wakes each thread that it needs once and waits for it once; in between
|* workers meet only where the schedule says, through counters.
|*
|* All waiting is alike: `word` holds a number that only grows (modulo 2^32);
|* the waiter looks for a while, then counts itself in `sleepers` and sleeps on
|* the futex. Who changes the word looks at `sleepers` afterwards. Both sides
|* use sequentially consistent operations, so one of them sees the other.
|*
|* A page that the kernel wipes on fork tells whether the threads are ours; where
|* the kernel (or who plays it: an emulator) only pretends to, the process number
|* does.
|*
\*===----------------------------------------------------------------------===*/
#include "Runtime.h"

/** Looks at a word before sleeping: about 0.1 ms inside a run, where the other
    worker is about to be done; a fifth of it between runs. */
enum { SPINS_IN_RUN = 4000, SPINS_IDLE = 800 };

typedef hr_counter word;

static inline bool reached(uint32_t value, uint32_t target) {
  return (int32_t)(value - target) >= 0;
}

static void wait_until(word *w, uint32_t target, int spins) {
  for (int i = 0; i < spins; ++i) {
    if (reached(__atomic_load_n(&w->value, __ATOMIC_ACQUIRE), target))
      return;
    hr_pause();
  }
  __atomic_fetch_add(&w->sleepers, 1, __ATOMIC_SEQ_CST);
  uint32_t value;
  while (!reached(value = __atomic_load_n(&w->value, __ATOMIC_SEQ_CST), target))
    hr_futex_wait(&w->value, value);
  __atomic_fetch_sub(&w->sleepers, 1, __ATOMIC_RELAXED);
}

static void advance(word *w) {
  __atomic_fetch_add(&w->value, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&w->sleepers, __ATOMIC_SEQ_CST))
    hr_futex_wake(&w->value, 0x7fffffff);
}

void hr_signal(hr_frame *frame, int64_t self) {
  advance(&frame->counters[self]);
}

void hr_wait(hr_frame *frame, int64_t other, int64_t count) {
  wait_until(&frame->counters[other], frame->bases[other] + (uint32_t)count,
             SPINS_IN_RUN);
}

void hr_stage_error(hr_frame *frame, int64_t site, int64_t value,
                    int64_t bound) {
  uint32_t none = 0;
  if (!__atomic_compare_exchange_n(&frame->error_state, &none, 1, false,
                                   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    return;
  frame->error_site = site;
  frame->error_value = value;
  frame->error_bound = bound;
  __atomic_store_n(&frame->error_state, 2, __ATOMIC_RELEASE);
}

/*===----------------------------------------------------------------------===*\
 * Pools
\*===----------------------------------------------------------------------===*/

typedef struct {
  word go;   /* grows by one per run that the thread takes part in */
  word done; /* follows */
  unsigned long thread;
  struct pool *pool;
  uint32_t number;
} worker;

typedef struct pool {
  hr_pool head;
  uint32_t num_workers;
  uint32_t stop;
  uint32_t *alive; /* on the page that fork wipes */
  void *page;
  long process; /* 0: the page is wiped */
  void *memory;
  /* The run at hand; written before `go` is advanced. */
  void (*work)(void *argument, uint32_t worker);
  void *argument;
  word lock; /* value: 0 free, 1 taken, 2 taken and somebody sleeps */
  worker workers[]; /* [0] is unused: the caller */
} pool;

static void *thread_main(void *argument) {
  worker *self = argument;
  pool *p = self->pool;
#if defined(__x86_64__)
  syscall(157, 15 /* PR_SET_NAME */, "headrace");
#else
  syscall(167, 15, "headrace");
#endif
  hr_enter_float_mode();
  for (uint32_t next = 1;; ++next) {
    wait_until(&self->go, next, SPINS_IDLE);
    if (p->stop)
      return 0;
    p->work(p->argument, self->number);
    advance(&self->done);
  }
}

static void lock(word *w) {
  uint32_t state = 0;
  if (__atomic_compare_exchange_n(&w->value, &state, 1, false, __ATOMIC_ACQUIRE,
                                  __ATOMIC_RELAXED))
    return;
  while (__atomic_exchange_n(&w->value, 2, __ATOMIC_ACQUIRE) != 0)
    hr_futex_wait(&w->value, 2);
}

static void unlock(word *w) {
  if (__atomic_exchange_n(&w->value, 0, __ATOMIC_RELEASE) == 2)
    hr_futex_wake(&w->value, 1);
}

static bool is_alive(const pool *p) {
  return p->process ? p->process == hr_process() : *p->alive;
}

static uint32_t pool_available(const hr_pool *handle) {
  const pool *p = (const pool *)handle;
  return is_alive(p) ? p->num_workers : 1;
}

static void pool_run(hr_pool *handle, uint32_t workers,
                     void (*work)(void *argument, uint32_t worker),
                     void *argument) {
  pool *p = (pool *)handle;
  lock(&p->lock);
  p->work = work;
  p->argument = argument;
  for (uint32_t i = 1; i < workers; ++i)
    advance(&p->workers[i].go);
  work(argument, 0);
  for (uint32_t i = 1; i < workers; ++i)
    wait_until(&p->workers[i].done, p->workers[i].go.value, SPINS_IN_RUN);
  unlock(&p->lock);
}

/** SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS. */
static const unsigned char own_signals[] = {4, 5, 6, 7, 8, 11, 31};

static const hr_pool_operations operations = {HR_ABI_VERSION, pool_run,
                                              pool_available};

void hr_pool_destroy(hr_pool *handle) {
  pool *p = (pool *)handle;
  if (!p)
    return;
  if (is_alive(p)) {
    p->stop = 1;
    for (uint32_t i = 1; i < p->num_workers; ++i)
      if (p->workers[i].pool) {
        advance(&p->workers[i].go);
        pthread_join(p->workers[i].thread, 0);
      }
  }
  munmap(p->page, 4096);
  free(p->memory);
}

int hr_pool_create(uint32_t workers, hr_pool **result, char *message,
                   size_t message_size) {
  hr_message why = {message, message_size};
  if (!result)
    return hr_fail(why, HR_ERROR_ARGUMENT, "no place for the pool");
  *result = 0;
  if (workers == 0)
    workers = hr_available_cpus();
  if (workers > 4096)
    return hr_fail(why, HR_ERROR_ARGUMENT,
                   "expected at most 4096 workers but got %u", workers);
  size_t bytes = sizeof(pool) + workers * sizeof(worker);
  void *memory = calloc(1, bytes + 128);
  void *page = mmap(0, 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!memory || page == MAP_FAILED) {
    free(memory);
    return hr_fail(why, HR_ERROR_SYSTEM, "out of memory for a pool");
  }
  pool *p = (pool *)(((uintptr_t)memory + 127) & ~(uintptr_t)127);
  p->head.operations = &operations;
  p->num_workers = workers;
  p->memory = memory;
  p->page = page;
  p->alive = page;
  *p->alive = 1;
  if (!hr_wipe_on_fork(page, 4096))
    p->process = hr_process();

  /* The application's signals are for its own threads; what a thread does
     wrong itself (SIGSEGV and the like) is its own. */
  uint64_t blocked[16], old[16];
  memset(blocked, 0xff, sizeof blocked);
  for (int i = 0; i < (int)sizeof own_signals; ++i)
    blocked[0] &= ~((uint64_t)1 << (own_signals[i] - 1));
  pthread_sigmask(SIG_SETMASK, blocked, old);
  int error = 0;
  for (uint32_t i = 1; i < workers && !error; ++i) {
    p->workers[i].pool = p;
    p->workers[i].number = i;
    error = pthread_create(&p->workers[i].thread, 0, thread_main,
                           &p->workers[i]);
    if (error)
      p->workers[i].pool = 0;
  }
  pthread_sigmask(SIG_SETMASK, old, 0);
  if (error) {
    hr_pool_destroy(&p->head);
    return hr_fail(why, HR_ERROR_SYSTEM, "cannot create a worker thread: %s",
                   strerror(error));
  }
  *result = &p->head;
  return HR_OK;
}
