"""Finds the native parts: the extension module, and hrcc.

In a source tree both lie in the build folder (``build``, or what
HEADRACE_BUILD names); in an installed package the extension lies beside this
file and hrcc is among the package's scripts. A package built without the
compiler has no hrcc, and one from the PATH is taken.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.metadata
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
                return module
    try:
        return importlib.import_module(name)  # an editable installation
    except ImportError:
        raise ImportError(
            "headrace is not built for this Python "
            f"({importlib.machinery.EXTENSION_SUFFIXES[0]}): install it with "
            "pip, run tools/setup.sh, or name the build folder in "
            "HEADRACE_BUILD") from None


def find_hrcc() -> str:
    """The path of the compiler."""
    path = os.environ.get("HEADRACE_HRCC")
    if path:
        return path
    for path in [os.path.join(_build_folder(), "bin", "hrcc"),
                 *_find_installed("hrcc")]:
        if os.path.exists(path):
            return path
    found = shutil.which("hrcc")
    if not found:
        raise Error("hrcc is not to be found: this headrace has only what "
                    "loads and runs artifacts. Install the one with the "
                    "compiler, put hrcc on the PATH, or name it in "
                    "HEADRACE_HRCC")
    return found


def _find_installed(name: str) -> list[str]:
    """Scripts of the installed package, wherever the installer put them."""
    try:
        files = importlib.metadata.distribution("headrace").files or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [os.path.normpath(str(file.locate())) for file in files
            if file.name == name]


runtime = _load_runtime()
runtime.set_error_type(Error)
