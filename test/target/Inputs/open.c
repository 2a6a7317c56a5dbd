/* Opens an artifact with one entry, f32 [s0, 16] -> f32 [s0, 16] with
   y = 2 x w, in every way that the C interface offers. Prints what a test
   checks. */
#include "headrace/Runtime/headrace.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static float x[64 * 16], y[64 * 16];
static char why[512];

static DLTensor tensor(float *data, int64_t *shape) {
  DLTensor t = {data, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, NULL, 0};
  return t;
}

static void expect(const hr_table *t, hr_context *context, DLTensor in,
                   DLTensor out, const char *what) {
  int status = t->run(context, 0, &in, 1, &out, 1);
  printf("%s: %d %s\n", what, status, t->message(context));
}

int main(int argc, char **argv) {
  void *library = dlopen(argv[1], RTLD_NOW);
  if (!library) {
    printf("dlopen: %s\n", dlerror());
    return 1;
  }
  const hr_table *t = dlsym(library, argc > 2 ? argv[2] : "hr_model_model");
  hr_model *model;
  int status = t->open(NULL, &model, why, sizeof why);
  if (status) {
    printf("open: %d %s\n", status, why);
    return 2;
  }
  hr_context_options options = {sizeof options, NULL, 2, NULL, 1};
  hr_context *context;
  if (t->create_context(model, &options, &context, why, sizeof why)) {
    printf("context: %s\n", why);
    return 1;
  }
  printf("abi %u, %s, %u workers, entry %d, no entry %d\n", t->abi_version,
         t->name, t->workers(context), t->find_entry(model, "main"),
         t->find_entry(model, "other"));

  /* Every size; both kinds of outputs; one worker gives the same bits. */
  for (int i = 0; i < 64 * 16; ++i)
    x[i] = (float)(i % 101) / 7 - 3;
  options.workers = 1;
  hr_context *single;
  t->create_context(model, &options, &single, why, sizeof why);
  int good = 1;
  for (int64_t n = 1; n <= 64; ++n) {
    int64_t shape[] = {n, 16};
    DLTensor in = tensor(x, shape), out = tensor(y, shape), own = {0},
             other = {0};
    good &= t->run(context, 0, &in, 1, &out, 1) == 0;
    good &= t->run(context, 0, &in, 1, &own, 1) == 0;
    good &= t->run(single, 0, &in, 1, &other, 1) == 0;
    good &= own.shape[0] == n && own.shape[1] == 16 && own.ndim == 2;
    good &= memcmp(own.data, y, (size_t)n * 64) == 0;
    good &= memcmp(other.data, y, (size_t)n * 64) == 0;
    /* An output of one run as the input of the next. */
    DLTensor next = {0};
    static float twice[64 * 16];
    DLTensor expected = tensor(twice, shape);
    good &= t->run(context, 0, &own, 1, &next, 1) == 0;
    good &= t->run(single, 0, &out, 1, &expected, 1) == 0;
    good &= memcmp(next.data, twice, (size_t)n * 64) == 0;
  }
  printf("sizes %s, y[0] %g\n", good ? "good" : "bad", y[0]);

  /* What does not fit the signature. */
  int64_t shape[] = {4, 16}, wrong[] = {4, 15}, large[] = {65, 16},
          columns[] = {1, 4};
  DLTensor in = tensor(x, shape), out = tensor(y, shape);
  DLTensor bad = in;
  bad.dtype.bits = 64;
  expect(t, context, bad, out, "dtype");
  bad = in;
  bad.ndim = 1;
  expect(t, context, bad, out, "rank");
  expect(t, context, tensor(x, wrong), out, "shape");
  expect(t, context, tensor(x, large), out, "range");
  bad = in;
  bad.strides = columns;
  expect(t, context, bad, out, "strides");
  bad = in;
  bad.byte_offset = 2;
  expect(t, context, bad, out, "alignment");
  expect(t, context, tensor(NULL, shape), out, "data");
  expect(t, context, in, tensor(x + 16, shape), "overlap");
  expect(t, context, in, tensor(y, large), "output");
  status = t->run(context, 0, &in, 2, &out, 1);
  printf("count: %d %s\n", status, t->message(context));
  status = t->run(context, 7, &in, 1, &out, 1);
  printf("entry: %d %s\n", status, t->message(context));
  expect(t, context, in, out, "right");

  /* A pool that two contexts share. */
  hr_pool *pool;
  hr_context *a, *b;
  status = t->create_pool(2, &pool, why, sizeof why);
  hr_context_options shared = {sizeof shared, pool, 0, NULL, 1};
  status |= t->create_context(model, &shared, &a, why, sizeof why);
  status |= t->create_context(model, &shared, &b, why, sizeof why);
  status |= t->run(a, 0, &in, 1, &out, 1) | t->run(b, 0, &in, 1, &out, 1);
  printf("pool: %d, %u workers\n", status, t->workers(a));

  /* A child has no threads but may run. */
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    memset(y, 0, sizeof y);
    int failed = t->run(context, 0, &in, 1, &out, 1);
    DLTensor own = {0};
    failed |= t->run(single, 0, &in, 1, &own, 1);
    failed |= memcmp(own.data, y, 4 * 64) != 0;
    t->destroy_context(context);
    _exit(failed);
  }
  waitpid(child, &status, 0);
  printf("fork: %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  expect(t, context, in, out, "parent");

  t->destroy_context(a);
  t->destroy_context(b);
  t->destroy_pool(pool);
  t->destroy_context(single);
  t->destroy_context(context);
  t->close(model);
  dlclose(library);
  return 0;
}
