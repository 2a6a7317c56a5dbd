/* The runtime under sanitizers, with a program written by hand: timelines that
   pass values around in a ring, state, an index error, an arena without bound,
   sizes that are expressions, a fork while a call is going on. */
#include "headrace/Runtime/Layout.h"
#include "headrace/Runtime/headrace.h"
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int hr_rt_open(const hr_open_options *, hr_model **, char *, size_t);
void hr_rt_close(hr_model *);
int hr_rt_create_context(const hr_model *, const hr_context_options *,
                         hr_context **, char *, size_t);
void hr_rt_destroy_context(hr_context *);
int hr_rt_reset(hr_context *);
uint32_t hr_rt_workers(const hr_context *);
int hr_rt_run(hr_context *, uint32_t, const DLTensor *, uint32_t, DLTensor *,
              uint32_t);
const char *hr_rt_message(const hr_context *);
int hr_pool_create(uint32_t, hr_pool **, char *, size_t);
void hr_pool_destroy(hr_pool *);

enum { W = 4, ROUNDS = 16 };

/* Each worker adds to its slot what its neighbour had in the round before; the
   arena holds [round][worker]. The result is 1, 2, 4, ... 2^ROUNDS. */
static void ring(const hr_frame *frame, int64_t self) {
  int64_t(*slots)[W] = (int64_t(*)[W])frame->arena;
  int64_t other = (self + 1) % W;
  slots[0][self] = *(const int64_t *)frame->inputs[0];
  hr_signal((hr_frame *)frame, self);
  for (int r = 1; r <= ROUNDS; ++r) {
    hr_wait((hr_frame *)frame, other, r);
    if (frame->profile)
      hr_profile_begin((hr_frame *)frame, self, 1, r - 1);
    slots[r][self] = slots[r - 1][self] + slots[r - 1][other];
    if (frame->profile)
      hr_profile_end((hr_frame *)frame, self);
    hr_signal((hr_frame *)frame, self);
  }
  ((int64_t *)frame->outputs[0])[self] = slots[ROUNDS][self];
}

static void ring_alone(const hr_frame *frame, int64_t self) {
  (void)self;
  for (int w = 0; w < W; ++w)
    ((int64_t *)frame->outputs[0])[w] =
        *(const int64_t *)frame->inputs[0] << ROUNDS;
}

/* y[i] = x[i] + count, count += 1; touches all of a large arena; a value of -1
   is an index error. */
static void stateful(const hr_frame *frame, int64_t self) {
  (void)self;
  int64_t n = frame->symbols[0];
  int64_t *count = (int64_t *)frame->state;
  memset(frame->arena, 1, (size_t)(n * n));
  for (int64_t i = 0; i < n; ++i) {
    int64_t x = ((int64_t *)frame->inputs[0])[2 * i + 1];
    if (x < 0)
      hr_stage_error((hr_frame *)frame, 0, x, 10 + i);
    ((int64_t *)frame->outputs[0])[i] = x + *count;
  }
  *count += 1;
}

/* Stays in the call until the gate opens, having written half of the state. */
static int inside, gate;
static void halfway(const hr_frame *frame, int64_t self) {
  (void)self;
  *(int64_t *)frame->state = -1000;
  __atomic_store_n(&inside, 1, __ATOMIC_RELEASE);
  while (!__atomic_load_n(&gate, __ATOMIC_ACQUIRE))
    usleep(100);
  *(int64_t *)frame->state = 7;
}

static const int64_t weights[] = {40};
static const int64_t code_n[] = {HR_SIZE_SYMBOL, 0};
static const int64_t code_in[] = {HR_SIZE_SYMBOL, 0, HR_SIZE_CONST, 2,
                                  HR_SIZE_MUL,    0, HR_SIZE_CONST, 1,
                                  HR_SIZE_ADD,    0};
static const int64_t code_square[] = {HR_SIZE_SYMBOL, 0, HR_SIZE_SYMBOL, 0,
                                      HR_SIZE_MUL, 0};
static const hr_size size_w[] = {{"4", W, 0, 0}};
static const hr_size size_n[] = {{"n", 0, code_n, 1}};
static const hr_size size_in[] = {{"2 * n + 1", 0, code_in, 5}};
#define I64 (kDLInt | 64 << 8)
static const hr_port ring_in[] = {{"x", I64, 0, 8, 0}};
static const hr_port ring_out[] = {{"y", I64, 1, 8 * W, size_w}};
static const hr_port state_in[] = {{"x", I64, 1, INT64_MAX, size_in}};
static const hr_port state_out[] = {{"y", I64, 1, INT64_MAX, size_n}};
static const hr_symbol symbols[] = {{"n", 0, INT64_MAX, 0, 0, 2, 1}};
/* n != 7, as max(6 - n, n - 8) >= 0 */
static const int64_t code_not_seven[] = {
    HR_SIZE_CONST, 6,  HR_SIZE_SYMBOL, 0, HR_SIZE_CONST, -1, HR_SIZE_MUL, 0,
    HR_SIZE_ADD,   0,  HR_SIZE_SYMBOL, 0, HR_SIZE_CONST, -8, HR_SIZE_ADD, 0,
    HR_SIZE_MAX,   0};
static const hr_requirement requirements[] = {
    {{"n != 7", 0, code_not_seven, 9}, "n != 7", "model.py:9"}};
static const hr_schedule ring_schedules[] = {
    {1, {"0", 0, 0, 0}, 0, 0, ring_alone},
    {W, {"1024", 1024, 0, 0}, 1024, 256, ring}};
static const hr_schedule state_schedules[] = {
    {1, {"n * n", 0, code_square, 3}, INT64_MAX, 0, stateful}};
static const hr_schedule halfway_schedules[] = {
    {1, {"0", 0, 0, 0}, 0, 0, halfway, 0}};
static const hr_span state_kept[] = {{0, 8}};
static const hr_index_check state_checks[] = {
    {0, {"1000", 1000, 0, 0}, 1, 1}};
#define NO_WORK {"0", 0, 0, 0}
static const hr_entry entries[] = {
    {"ring", 0, 0, 1, 1, 2, 0, 0, ring_in, ring_out, ring_schedules, NO_WORK,
     0, 0, 0, 0},
    {"state", 1, 1, 1, 1, 1, symbols, requirements, state_in, state_out,
     state_schedules, NO_WORK, 1, state_checks, 1, state_kept},
    {"halfway", 0, 0, 0, 0, 1, 0, 0, 0, 0, halfway_schedules, NO_WORK, 0, 0, 0,
     0}};
static const hr_state states[] = {{"count", 0, 8, 0}};
static const hr_site sites[] = {{"gather", "model.py:7", "index", 1},
                                {"index_put", "model.py:3", "index", 1}};
const hr_image hr_rt_image = {HR_FOOTER_VERSION, "hand", "{}", 0, 3, 1, 2,
                              0, entries, states, sites, 8, 8, weights, 0,
                              {0, 0}};

static hr_model *model;
static hr_pool *pool;
static char why[256];

static int run_ring(hr_context *context, int64_t value) {
  int64_t y[W], shape[] = {W};
  DLTensor in = {&value, {kDLCPU, 0}, 0, {kDLInt, 64, 1}, 0, 0, 0};
  DLTensor out = {y, {kDLCPU, 0}, 1, {kDLInt, 64, 1}, shape, 0, 0};
  if (hr_rt_run(context, 0, &in, 1, &out, 1))
    return 1;
  for (int w = 0; w < W; ++w)
    if (y[w] != value << ROUNDS)
      return 1;
  return 0;
}

static void *user(void *argument) {
  hr_context_options options = {sizeof options, pool, 0, 0, 0};
  hr_context *context;
  int bad = hr_rt_create_context(model, &options, &context, 0, 0);
  for (int i = 0; i < 300 && !bad; ++i)
    bad = run_ring(context, i + *(int *)argument);
  hr_rt_destroy_context(context);
  return bad ? argument : 0;
}

static int run_state(hr_context *context, int64_t size, int64_t *x) {
  static int64_t y[1 << 16];
  int64_t shape[] = {size}, result[] = {(size - 1) / 2};
  DLTensor in = {x, {kDLCPU, 0}, 1, {kDLInt, 64, 1}, shape, 0, 0};
  DLTensor out = {y, {kDLCPU, 0}, 1, {kDLInt, 64, 1}, result, 0, 0};
  int status = hr_rt_run(context, 1, &in, 1, &out, 1);
  printf("size %lld: %d %s", (long long)size, status, hr_rt_message(context));
  if (!status && result[0])
    printf("%lld", (long long)y[result[0] - 1]);
  printf("\n");
  return status;
}

/* Records of every worker, in order, within the call; of few of them where there
   is no room for more. */
static int check_profile(uint32_t capacity) {
  static hr_profile_record records[W][ROUNDS];
  hr_profile_timeline timelines[W];
  memset(timelines, 0, sizeof timelines);
  hr_profile profile = {sizeof profile, timelines, W - 1, 0, 0, 0};
  hr_context_options options = {sizeof options, 0, W, &profile, 0};
  hr_context *context;
  if (hr_rt_create_context(model, &options, &context, why, sizeof why))
    return 1;
  int bad = !run_ring(context, 1);
  if (capacity == ROUNDS)
    printf("profile: %s\n", hr_rt_message(context));
  profile.num_timelines = W;
  for (int w = 0; w < W; ++w) {
    timelines[w].records = records[w];
    timelines[w].capacity = capacity;
  }
  for (int i = 0; i < 20; ++i) {
    memset(records, 0, sizeof records);
    bad |= run_ring(context, i) || profile.workers != W;
    for (int w = 0; w < W; ++w) {
      uint64_t last = profile.begin_ns;
      bad |= timelines[w].count != ROUNDS;
      for (uint32_t r = 0; r < ROUNDS; ++r) {
        const hr_profile_record *record = &records[w][r];
        if (r >= capacity) {
          bad |= record->end_ns != 0;
          continue;
        }
        bad |= record->command != 1 || record->iteration != r ||
               record->begin_ns < last || record->end_ns < record->begin_ns ||
               record->end_ns > profile.end_ns;
        last = record->end_ns;
      }
    }
  }
  hr_rt_destroy_context(context);
  return bad;
}

/* What a caller compiled before `profile` was a field passes. */
static int check_old_options(void) {
  struct {
    hr_context_options options;
    hr_profile *garbage;
  } old;
  memset(&old, 0xff, sizeof old);
  old.options.struct_size = offsetof(hr_context_options, profile);
  old.options.pool = 0;
  old.options.workers = W;
  hr_context *context;
  if (hr_rt_create_context(model, &old.options, &context, why, sizeof why))
    return 1;
  int bad = run_ring(context, 5);
  hr_rt_destroy_context(context);
  old.options.struct_size -= 8;
  return bad | !hr_rt_create_context(model, &old.options, &context, why,
                                     sizeof why);
}

static void *stay(void *context) {
  return hr_rt_run(context, 2, 0, 0, 0, 0) ? context : 0;
}

/* A child that is forked while another thread is in a call: every context runs,
   but for state that the call left half written. */
static int check_fork(void) {
  hr_context_options options = {sizeof options, 0, W, 0, 0};
  hr_context *busy, *idle;
  if (hr_rt_create_context(model, &options, &busy, why, sizeof why) ||
      hr_rt_create_context(model, &options, &idle, why, sizeof why))
    return 1;
  static int64_t x[3] = {2, 2, 2};
  pthread_t thread;
  pthread_create(&thread, 0, stay, busy);
  while (!__atomic_load_n(&inside, __ATOMIC_ACQUIRE))
    usleep(100);
  int bad = run_ring(busy, 1) == 0; /* the other thread has it */
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    bad |= run_ring(idle, 3);
    run_state(busy, 3, x);
    hr_rt_reset(busy);
    bad |= run_ring(busy, 4);
    run_state(busy, 3, x);
    hr_rt_destroy_context(busy);
    hr_rt_destroy_context(idle);
    fflush(stdout);
    _exit(bad);
  }
  int status = 0;
  waitpid(child, &status, 0);
  bad |= status;
  __atomic_store_n(&gate, 1, __ATOMIC_RELEASE);
  void *result;
  pthread_join(thread, &result);
  bad |= result != 0 || run_ring(busy, 5);
  run_state(busy, 3, x);
  hr_rt_destroy_context(busy);
  hr_rt_destroy_context(idle);
  return bad;
}

int main(void) {
  if (hr_rt_open(0, &model, why, sizeof why) ||
      hr_pool_create(W, &pool, why, sizeof why)) {
    puts(why);
    return 1;
  }
  /* Three threads, each with a context, share a pool. */
  pthread_t threads[3];
  int numbers[3] = {1, 2, 3}, bad = 0;
  for (int i = 0; i < 3; ++i)
    pthread_create(&threads[i], 0, user, &numbers[i]);
  for (int i = 0; i < 3; ++i) {
    void *result;
    pthread_join(threads[i], &result);
    bad |= result != 0;
  }
  printf("shared pool: %s\n", bad ? "bad" : "good");

  /* A pool of one's own, runs far enough apart for the workers to sleep. */
  hr_context_options options = {sizeof options, 0, W, 0, 0};
  hr_context *context;
  if (hr_rt_create_context(model, &options, &context, why, sizeof why)) {
    puts(why);
    return 1;
  }
  bad = hr_rt_workers(context) != W;
  for (int i = 0; i < 200; ++i) {
    bad |= run_ring(context, i);
    if (i % 10 == 0) {
      struct timespec pause = {0, 3000000};
      nanosleep(&pause, 0);
    }
  }
  printf("own pool: %s\n", bad ? "bad" : "good");

  static int64_t x[1 << 17];
  for (int i = 0; i < 1 << 17; ++i)
    x[i] = 2;
  run_state(context, 3, x);     /* state starts from its weight: 40 + 2 */
  run_state(context, 8001, x);  /* needs an arena that was not reserved */
  run_state(context, 4, x);     /* no n has 2 n + 1 = 4 */
  run_state(context, 15, x);    /* n = 7 is what a requirement forbids */
  run_state(context, 1, x);     /* nothing to do: n = 0 */
  x[5] = -1;
  run_state(context, 101, x);
  x[5] = 2;
  run_state(context, 5, x);     /* and goes on, as if that had not been */
  x[9998] = -1001;
  run_state(context, 9999, x);  /* an input that is an index: nothing is run */
  x[9998] = 1000;
  run_state(context, 9999, x);
  x[9998] = -1000;              /* counts from the end */
  run_state(context, 9999, x);
  x[9998] = 2;
  hr_rt_reset(context);
  run_state(context, 3, x);
  bad = run_ring(context, 9);
  printf("after: %s\n", bad ? "bad" : "good");
  hr_rt_destroy_context(context);
  bad = check_profile(ROUNDS) | check_profile(3) | check_profile(0);
  printf("profile: %s\n", bad ? "bad" : "good");
  printf("options of an older header: %s\n",
         check_old_options() ? "bad" : "good");
  printf("fork in a call: %s\n", check_fork() ? "bad" : "good");
  hr_pool_destroy(pool);
  hr_rt_close(model);
  return 0;
}
