"""Headrace: compiles exported PyTorch programs ahead of time, and runs them.

    fast = headrace.compile(model, (x,))
    y = fast(x)
    fast.save("model.so")

    fast = headrace.load("model.so")     # where torch need not be installed

    fast = torch.compile(model, backend="headrace")
"""

from . import _register
from ._compile import compile
from ._errors import Error, FallbackWarning, UnsupportedOpError
from ._model import Artifact, Context, Entry, Model, Pool, Tensor, load
from ._report import Report

__version__ = "0.1.0"
__all__ = ["Artifact", "Context", "Entry", "Error", "FallbackWarning", "Model",
           "Pool", "Report", "Tensor", "UnsupportedOpError", "__version__",
           "compile", "load"]

_register.register(__version__)
