/* Runs a model on 1, 2, 4, 8 and 16 workers, however many cores there are, with
   sizes that give all of them tiles and sizes that do not. All give the same
   bits. */
#include "headrace/Runtime/headrace.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const hr_table hr_model_many;
enum { WIDTH = 48, LARGEST = 600, RUNS = 3 };

static void run(hr_context *context, int64_t rows, const float *x, float *y) {
  int64_t shape[] = {rows, WIDTH};
  DLTensor input = {(void *)x, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, 0, 0};
  DLTensor output = {y, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, 0, 0};
  if (hr_model_many.run(context, 0, &input, 1, &output, 1) != HR_OK) {
    printf("%s\n", hr_model_many.message(context));
    exit(1);
  }
}

int main(void) {
  char message[256];
  hr_model *model;
  if (hr_model_many.open(NULL, &model, message, sizeof message) != HR_OK) {
    printf("%s\n", message);
    return 1;
  }
  static float x[LARGEST * WIDTH], y[LARGEST * WIDTH], first[LARGEST * WIDTH];
  for (int i = 0; i < LARGEST * WIDTH; ++i)
    x[i] = (float)(i * 7919 % 1000) / 1000 - 0.5f;
  const int64_t sizes[] = {LARGEST, 1, 130, 15, LARGEST};
  for (uint32_t workers = 1; workers <= 16; workers *= 2) {
    hr_context_options options = {sizeof options, NULL, workers, NULL};
    hr_context *context;
    if (hr_model_many.create_context(model, &options, &context, message,
                                     sizeof message) != HR_OK) {
      printf("%s\n", message);
      return 1;
    }
    int same = 1;
    for (int n = 0; n < 5 * RUNS; ++n) {
      int64_t rows = sizes[n % 5];
      memset(y, 0xff, sizeof y);
      run(context, rows, x, y);
      hr_context_options alone = {sizeof alone, NULL, 1, NULL};
      hr_context *reference;
      hr_model_many.create_context(model, &alone, &reference, message,
                                   sizeof message);
      memset(first, 0xff, sizeof first);
      run(reference, rows, x, first);
      hr_model_many.destroy_context(reference);
      same &= memcmp(y, first, sizeof y) == 0;
    }
    printf("%u workers: %u, %s\n", workers, hr_model_many.workers(context),
           same ? "same" : "different");
    hr_model_many.destroy_context(context);
  }
  hr_model_many.close(model);
  return 0;
}
