"""Prints model.mlir with x * x + x in the place of x * 2."""
import sys

text = open(sys.argv[1]).read()
print(text.replace("%d = arith.mulf %v, %two : f32",
                   "%p = arith.mulf %v, %v : f32\n"
                   "          %d = arith.addf %p, %v : f32"))
