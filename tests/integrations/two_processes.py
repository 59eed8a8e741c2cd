"""The same done by two processes at the same time, which are forked: frameworks import slowly."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

_context = multiprocessing.get_context("fork")


def in_two_processes(work: Callable[[str, str], Any], url: str) -> list[Any]:
    """Call `work(url, name)` in two processes, named "a" and "b"; return what each returned."""
    barrier = _context.Barrier(2)
    begun = []
    for name in "ab":
        receiving, sending = _context.Pipe(duplex=False)
        arguments = (work, url, name, barrier, sending)
        process = _context.Process(target=_run, args=arguments, daemon=True)
        process.start()
        sending.close()
        begun.append((process, receiving))
    results = []
    for process, receiving in begun:
        with receiving:
            results.append(receiving.recv())  # an EOFError: the process failed, and printed why
        process.join(60)
        assert process.exitcode == 0
    return results


def _run(work: Callable[[str, str], Any], url: str, name: str, barrier: Any, sending: Any) -> None:
    barrier.wait(60)
    sending.send(work(url, name))
