"""Under which keys of a state store the checkpoints of LangGraph's threads are.

    {p}-threads:{thread}                      the index of the thread's namespaces
    {p}:{thread}:namespaces:{epoch}:{n}       its older chunks
    {p}:{thread}:head:{ns}                    the index of the namespace's checkpoints
    {p}:{thread}:ids:{ns}:{epoch}:{n}         its older chunks
    {p}:{thread}:checkpoint:{ns}:{id}         a checkpoint without the values of its channels
    {p}:{thread}:blob:{ns}:{channel}:{version}  the value that a channel had at a version
    {p}:{thread}:tasks:{ns}:{id}              a hash of the tasks that wrote after a checkpoint
    {p}:{thread}:writes:{ns}:{id}:{task}      what one of them wrote
    {p}-runs:{run}                            a hash of the checkpoints that a run made
    {p}:{thread}:run:{run}                    that the thread has checkpoints of the run

`{p}` is the prefix. All of a thread but the first begins with `{p}:{thread}:`, so that it can be
deleted as a whole.
"""

from __future__ import annotations

import hashlib
import re

from praison_persist.errors import ConfigurationError
from praison_persist.state.keys import KEY_MAX

__all__ = ["Keys", "RunKeys", "check_key_prefix", "escaped", "place_field"]

_PREFIX = re.compile(r"[A-Za-z0-9_.]{1,60}")
# So that with the longest prefix there is room for what follows.
_THREAD_MAX, _NAMESPACE_MAX = 160, 120


def check_key_prefix(prefix: str) -> str:
    """Return a prefix that no keys of another one begin with.

    Raises:
        ConfigurationError: other characters than letters, digits, "_" and ".", or too many.
    """
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"key_prefix is 1 to 60 letters, digits, '_' and '.', not {prefix!r}"
        )
    return prefix


def escaped(text: str) -> str:
    """Return the text without ":"; texts that differ stay different."""
    return text.replace("%", "%25").replace(":", "%3A")


def _short(text: str, longest: int) -> str:
    found = escaped(text)
    return found if len(found) <= longest else f"%sha256-{_digest(text)}"


def _digest(text: str) -> str:
    # A lone surrogate is refused by the store, under the key's own name.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def place_field(thread_id: str, namespace: str, checkpoint_id: str) -> str:
    """Return the field of a run's hash that stands for this checkpoint."""
    return _digest(":".join(map(escaped, (thread_id, namespace, checkpoint_id))))


class RunKeys:
    """Keys that belong to no thread."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.threads = f"{prefix}-threads:"

    def run(self, run_id: str) -> str:
        """Return the key of a run's checkpoints."""
        begin = f"{self.prefix}-runs:"
        return begin + _short(run_id, KEY_MAX - len(begin))


class Keys:
    """Keys of one thread."""

    def __init__(self, prefix: str, thread_id: str) -> None:
        short = _short(thread_id, _THREAD_MAX)
        self.all = f"{prefix}:{short}:"
        self.namespaces = f"{prefix}-threads:{short}"
        self.runs = f"{self.all}run:"

    def namespaces_chunk(self, epoch: str, number: int) -> str:
        """Return the key of an older chunk of the namespaces."""
        return self._key("namespaces", epoch, str(number))

    def head(self, namespace: str) -> str:
        """Return the key of the newest checkpoint ids."""
        return self._key("head", _short(namespace, _NAMESPACE_MAX))

    def ids_chunk(self, namespace: str, epoch: str, number: int) -> str:
        """Return the key of older checkpoint ids."""
        return self._key("ids", _short(namespace, _NAMESPACE_MAX), epoch, str(number))

    def checkpoint(self, namespace: str, checkpoint_id: str) -> str:
        """Return the key of a checkpoint."""
        return self._of("checkpoint", namespace, checkpoint_id)

    def blob(self, namespace: str, channel: str, version: str | float) -> str:
        """Return the key of a channel's value at a version."""
        return self._of("blob", namespace, channel, str(version))

    def tasks(self, namespace: str, checkpoint_id: str) -> str:
        """Return the key of the hash of tasks that wrote."""
        return self._of("tasks", namespace, checkpoint_id)

    def writes(self, namespace: str, checkpoint_id: str, task_id: str) -> str:
        """Return the key of a task's writes."""
        return self._of("writes", namespace, checkpoint_id, task_id)

    def run(self, run_id: str) -> str:
        """Return the key that tells of checkpoints of this run."""
        return self._key("run", escaped(run_id))

    def _of(self, kind: str, namespace: str, *parts: str) -> str:
        return self._key(kind, _short(namespace, _NAMESPACE_MAX), *map(escaped, parts))

    def _key(self, kind: str, *parts: str) -> str:
        rest = ":".join(parts)
        key = f"{self.all}{kind}:{rest}"
        return key if len(key) <= KEY_MAX else f"{self.all}{kind}:%sha256-{_digest(rest)}"
