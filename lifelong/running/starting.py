"""How a process is started that needs nothing of the program that starts it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_main() -> Iterator[None]:
    """Keep the processes that are started in the `with` block from importing the program's main module.

    A started process imports it by default, and with it carries out a user's script once more, from `lifelong.run` on,
    unless the script has a guard. What our processes carry out lies in modules of the suite and in named files.
    """
    main = sys.modules["__main__"]
    spec, file = main.__spec__, vars(main).pop("__file__", None)
    main.__spec__ = None
    try:
        yield
    finally:
        main.__spec__ = spec
        if file is not None:
            main.__file__ = file
