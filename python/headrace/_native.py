"""Finds the native parts: the extension module, and hrcc.

In a source tree both lie in the build folder (``build``, or what
HEADRACE_BUILD names); in an installed package the extension lies beside this
file and hrcc is on the PATH.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
import sys
from types import ModuleType

from ._errors import Error

_PACKAGE = os.path.dirname(os.path.abspath(__file__))


def _build_folder() -> str:
    root = os.path.dirname(os.path.dirname(_PACKAGE))
    return os.environ.get("HEADRACE_BUILD") or os.path.join(root, "build")


def _load_runtime() -> ModuleType:
    name = "headrace._runtime"
    folders = [_PACKAGE, os.path.join(_build_folder(), "python", "headrace")]
    for folder in folders:
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            path = os.path.join(folder, "_runtime" + suffix)
            if os.path.exists(path):
                spec = importlib.util.spec_from_file_location(name, path)
                assert spec is not None and spec.loader is not None
                module = importlib.util.module_from_spec(spec)
                sys.modules[name] = module
                spec.loader.exec_module(module)
                module.set_error_type(Error)
                return module
    raise ImportError(
        "headrace is not built for this Python "
        f"({importlib.machinery.EXTENSION_SUFFIXES[0]}): run tools/setup.sh, "
        "or name the build folder in HEADRACE_BUILD")


def find_hrcc() -> str:
    """The path of the compiler."""
    path = os.environ.get("HEADRACE_HRCC")
    if path:
        return path
    path = os.path.join(_build_folder(), "bin", "hrcc")
    if os.path.exists(path):
        return path
    found = shutil.which("hrcc")
    if not found:
        raise Error("hrcc is not to be found: build it (tools/setup.sh), put "
                    "it on the PATH, or name it in HEADRACE_HRCC")
    return found


runtime = _load_runtime()
