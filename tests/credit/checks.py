"""The type checks that conftest.py adds to ``rtt.credit``, and how one test does without them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""Beartype, taking an int for a float as the type checkers do."""


@contextmanager
def unchecked() -> Iterator[None]:
    """Calls ``rtt.credit`` as users do, whom only its own checks protect."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
