/* Uses the installed headers and library. */
#include "headrace/Runtime/Artifact.h"
#include "headrace/Runtime/headrace.h"
#include <stdio.h>

int main(int argc, char **argv) {
  char why[256];
  char *signature =
      argc > 1 ? hr_artifact_check(argv[1], 1, NULL, NULL, why, sizeof why)
               : NULL;
  puts(signature ? signature : why);
  return signature == NULL;
}
