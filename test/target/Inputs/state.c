/* Two contexts of a model with state; see state.mlir. */
#include "headrace/Runtime/headrace.h"
#include <dlfcn.h>
#include <stdio.h>

static const hr_table *t;
static int get_entry;

static void get(hr_context *context, const char *what) {
  DLTensor out = {0};
  int status = t->run(context, (uint32_t)get_entry, NULL, 0, &out, 1);
  printf("%s:", what);
  for (int i = 0; i < 8 && !status; ++i)
    printf(" %g", ((float *)out.data)[i]);
  printf("%s\n", t->message(context));
}

int main(int argc, char **argv) {
  (void)argc;
  char why[256];
  t = dlsym(dlopen(argv[1], RTLD_NOW), "hr_model_state");
  hr_model *model;
  hr_context *a, *b;
  if (t->open(NULL, &model, why, sizeof why) ||
      t->create_context(model, NULL, &a, why, sizeof why) ||
      t->create_context(model, NULL, &b, why, sizeof why)) {
    puts(why);
    return 1;
  }
  get_entry = t->find_entry(model, "get");
  get(a, "get");
  float five = 5;
  DLTensor in = {&five, {kDLCPU, 0}, 0, {kDLFloat, 32, 1}, NULL, NULL, 0};
  DLTensor out = {0};
  int status =
      t->run(a, (uint32_t)t->find_entry(model, "add"), &in, 1, &out, 1);
  printf("add: %g%s\n", status ? 0.0 : *(float *)out.data, t->message(a));
  get(a, "get");
  get(b, "get");
  t->reset(a);
  get(a, "reset");
  return 0;
}
