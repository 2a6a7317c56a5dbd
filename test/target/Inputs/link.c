/* Two models linked into one program, called through their generated headers. */
#include "first.h"
#include "second.h"
#include <stdio.h>

int main(void) {
  static float x[16 * 16], y[16 * 16], z[16 * 16];
  char why[256];
  hr_model *a, *b;
  hr_context *ca, *cb;
  for (int i = 0; i < 16 * 16; ++i)
    x[i] = (float)(i == 0);
  if (hr_model_first.open(NULL, &a, why, sizeof why) ||
      hr_model_second.open(NULL, &b, why, sizeof why) ||
      hr_model_first.create_context(a, NULL, &ca, why, sizeof why) ||
      hr_model_second.create_context(b, NULL, &cb, why, sizeof why)) {
    puts(why);
    return 1;
  }
  printf("%d %d\n", first_main(ca, 16, x, y), second_main(cb, 16, x, z));
  printf("%g %g %g\n", y[5], z[5], z[21]);
  printf("%d %s\n", first_main(ca, 100, x, y), hr_model_first.message(ca));
  return 0;
}
