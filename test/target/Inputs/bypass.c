/* Calls an artifact's entries `even` and `odd`, y = -x, with a result at every
   place within a line. */
#include "headrace/Runtime/headrace.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static int is_right(const float *x, const float *y, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (y[i] != -x[i])
      return 0;
  return 1;
}

int main(int argc, char **argv) {
  void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
  if (!library) {
    printf("dlopen: %s\n", dlerror());
    return 1;
  }
  char why[512];
  const hr_table *t = dlsym(library, "hr_model_bypass");
  hr_model *model;
  hr_context *context;
  hr_context_options options = {sizeof options, NULL, 2, NULL, 1};
  if (t->open(NULL, &model, why, sizeof why) ||
      t->create_context(model, &options, &context, why, sizeof why)) {
    printf("%s\n", why);
    return 1;
  }
  const char *names[] = {"even", "odd"};
  int64_t shapes[2][2] = {{8192, 2048}, {8191, 2049}};
  for (int e = 0; e < 2; ++e) {
    int64_t count = shapes[e][0] * shapes[e][1];
    float *x = malloc(sizeof(float) * (size_t)count);
    float *y = aligned_alloc(64, sizeof(float) * (size_t)(count + 64) / 64 * 64);
    for (int64_t i = 0; i < count; ++i)
      x[i] = (float)(i % 1001) - 500;
    int right = 0;
    for (int place = 0; place < 16; ++place) {
      DLTensor in = {x, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shapes[e], NULL, 0};
      DLTensor out = in;
      out.data = y + place;
      y[place] = 1e30f;
      if (t->run(context, (uint32_t)t->find_entry(model, names[e]), &in, 1,
                 &out, 1)) {
        printf("%s\n", t->message(context));
        return 1;
      }
      right += is_right(x, y + place, count);
    }
    printf("%s: %d places right\n", names[e], right);
    free(x);
    free(y);
  }
  t->destroy_context(context);
  return 0;
}
