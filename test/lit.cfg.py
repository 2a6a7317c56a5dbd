"""How lit runs the tests of this folder.

A test is a .mlir file, or a .test file with RUN lines, in the folder of the
phase that it is about. Features a test may name in REQUIRES: the host's
architecture (x86_64, aarch64), `qemu-aarch64` (foreign code can be run) and
`slow` (only with --param slow=1, which tools/test gives).
"""
import os
import shutil

import lit.formats

config.name = "headrace"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["unit", "python", "Inputs", "CMakeLists.txt"]
config.test_source_root = config.source_root
config.test_exec_root = config.exec_root

bin_dir = os.path.join(config.build_root, "bin")
config.environment["PATH"] = os.pathsep.join(
    [bin_dir, config.llvm_tools_dir, os.environ.get("PATH", "")])
for name in ("HOME", "TERM", "HEADRACE_TARGET_DIR", "ASAN_OPTIONS", "UBSAN_OPTIONS",
             "ASAN_SYMBOLIZER_PATH"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions += [
    ("%python", config.python or "python3"),
    ("%cc", config.cc),
    ("%source", os.path.dirname(config.source_root)),
    ("%build", config.build_root),
]

config.available_features.add(config.host_arch)
if shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static"):
    config.available_features.add("qemu-aarch64")
if config.sanitize:
    config.available_features.add("sanitized")
if lit_config.params.get("slow", "0") != "0":
    config.available_features.add("slow")
