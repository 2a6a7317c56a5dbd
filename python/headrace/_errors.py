"""What the package raises."""

from __future__ import annotations


class Error(RuntimeError):
    """A compilation or a call that failed; the text says what and where.

    ``code`` is the C interface's status of a failed call (1 argument, 2 data,
    3 machine, 4 artifact, 5 system), or 0 for a failed compilation.
    """

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class UnsupportedOpError(Error):
    """The program calls operators that the compiler cannot translate.

    ``messages`` has one line per operator: its name, how often it is called,
    and where first.
    """

    def __init__(self, text: str, messages: list[str]) -> None:
        super().__init__(text)
        self.messages = messages


class FallbackWarning(UserWarning):
    """A graph of torch.compile runs in eager mode; the text has all reasons."""
