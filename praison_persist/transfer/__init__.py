"""Copying between any two backends of a kind, by pages, in a memory that does not grow.

    from praison_persist.transfer import copy_conversations

    copy_conversations("sqlite:///agents.db", "postgresql://app@db/agents", verify=True)

A copy that was interrupted is continued by doing it again: what the target has already, equal, is
not written again, and with a `Checkpoint` what was done is not even read again.
"""

from __future__ import annotations

from praison_persist.transfer.checkpoint import Checkpoint
from praison_persist.transfer.conversations import copy_conversations
from praison_persist.transfer.knowledge import copy_knowledge
from praison_persist.transfer.legacy import import_runs
from praison_persist.transfer.report import CopyReport, Progress
from praison_persist.transfer.state import copy_state

__all__ = [
    "Checkpoint",
    "CopyReport",
    "Progress",
    "copy_conversations",
    "copy_knowledge",
    "copy_state",
    "import_runs",
]
