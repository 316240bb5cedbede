# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab command at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from meshlab.progress import say
from meshlab.settings import Folders


@contextmanager
def exclusive(folders: Folders) -> Iterator[None]:
    """Hold the lock that everything takes which changes the cache or the running lab; wait for it if need be.

    It lies in the cache, because the folder of the running lab comes and goes. It ends with this process.
    """
    folders.cache.mkdir(parents=True, exist_ok=True)
    with (folders.cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another command works on the lab; waiting for it to end.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
