"""Prints the ```mlir blocks of a Markdown file, separated by // -----."""
import re
import sys

text = open(sys.argv[1]).read()
print("// -----\n".join(re.findall(r"^```mlir\n(.*?)^```", text, re.M | re.S)))
