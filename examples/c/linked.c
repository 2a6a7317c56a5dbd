/* A model that is linked into the program: `hrcc -c classifier.pt2` wrote
   classifier.o and classifier.h, which has a typed function per entry.

     linked
*/
#include "classifier.h"
#include <stdio.h>

int main(void) {
  char why[512];
  hr_model *model;
  hr_context *context;
  const hr_table *table = &hr_model_classifier;
  if (table->open(NULL, &model, why, sizeof why)) {
    fprintf(stderr, "cannot open the model: %s\n", why);
    return 1;
  }
  if (table->create_context(model, NULL, &context, why, sizeof why)) {
    fprintf(stderr, "cannot create a context: %s\n", why);
    table->close(model);
    return 1;
  }

  /* Two rows of 16 features. Buffers are ours; the model allocates nothing. */
  enum { rows = 2 };
  float features[rows][16], probabilities[rows][4];
  for (int row = 0; row < rows; ++row)
    for (int i = 0; i < 16; ++i)
      features[row][i] = (float)(i - 8 * row) / 16;

  /* One argument per symbolic size, then inputs and outputs. */
  int status = classifier_main(context, rows, &features[0][0],
                               &probabilities[0][0]);
  if (status)
    fprintf(stderr, "the run failed: %s\n", table->message(context));
  for (int row = 0; !status && row < rows; ++row)
    printf("%.6f %.6f %.6f %.6f\n", probabilities[row][0],
           probabilities[row][1], probabilities[row][2], probabilities[row][3]);

  table->destroy_context(context);
  table->close(model);
  return status != 0;
}
