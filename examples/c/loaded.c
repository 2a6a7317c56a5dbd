/* An artifact that is opened while the program runs.

     loaded ./classifier.so classifier
*/
#include "headrace/Runtime/headrace.h"
#include <dlfcn.h>
#include <stdio.h>

static int run(const hr_table *table, hr_context *context) {
  float features[2][16];
  for (int row = 0; row < 2; ++row)
    for (int i = 0; i < 16; ++i)
      features[row][i] = (float)(i - 8 * row) / 16;

  int64_t shape[] = {2, 16};
  DLTensor input = {features, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, NULL,
                    0};
  /* No data: the result lies in the context's memory, until its next run but
     one, and all other fields are filled in. */
  DLTensor output = {0};
  if (table->run(context, 0, &input, 1, &output, 1)) {
    fprintf(stderr, "the run failed: %s\n", table->message(context));
    return 1;
  }
  const float *value = output.data;
  for (int64_t row = 0; row < output.shape[0]; ++row) {
    for (int64_t i = 0; i < output.shape[1]; ++i)
      printf(i ? " %.6f" : "%.6f", *value++);
    putchar('\n');
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: loaded FILE NAME\n");
    return 1;
  }
  void *library = dlopen(argv[1], RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  char symbol[256];
  snprintf(symbol, sizeof symbol, "hr_model_%s", argv[2]);
  const hr_table *table = dlsym(library, symbol);
  /* Another version's table may look different: ask before anything else. */
  if (!table || table->abi_version != HR_ABI_VERSION ||
      table->table_size != sizeof(hr_table)) {
    fprintf(stderr, "%s has no %s that this program can use\n", argv[1],
            symbol);
    return 1;
  }

  char why[512];
  hr_model *model = NULL;
  hr_context *context = NULL;
  int status = 1;
  if (table->open(NULL, &model, why, sizeof why) ||
      table->create_context(model, NULL, &context, why, sizeof why))
    fprintf(stderr, "%s\n", why);
  else
    status = run(table, context);
  if (context)
    table->destroy_context(context);
  table->close(model);
  return status;
}
