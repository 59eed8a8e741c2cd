"""Sessions that come from others: parents and children, forks, snapshots, sharing."""

from __future__ import annotations

import uuid
from copy import deepcopy
from typing import Any

from praison_persist._checks import check_id, check_integer
from praison_persist.errors import BackendError, InvalidDataError, NotFoundError
from praison_persist.sessions.checks import check_dict, check_name, check_text
from praison_persist.sessions.models import ExtendedSessionData, SessionSnapshot
from praison_persist.sessions.primitives import Change, OpenSession, SessionPrimitives, SessionView

__all__ = ["HierarchyMethods"]


class HierarchyMethods(SessionPrimitives):
    """Trees of sessions, and going back. What is said of TurnMethods holds for those that write."""

    def create_session(
        self,
        session_id: str | None = None,
        title: str | None = None,
        parent_id: str | None = None,
        agent_name: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Create a session without messages and return its id.

        Args:
            session_id: None: a new UUID.
            title: of the session.
            parent_id: the session that it belongs to; created if it does not exist.
            agent_name: whose session it is.
            metadata: JSON.

        Raises:
            InvalidDataError: the session would be its own parent, or a value cannot be stored.
            ConflictError: the session exists. It is left as it is.
        """
        new = str(uuid.uuid4()) if session_id is None else session_id
        check_id(new, "session_id")
        check_name(parent_id, "parent_id")
        check_name(agent_name, "agent_name")
        check_dict(metadata or {}, "metadata")
        if title is not None:
            check_text(title, "title")
        if parent_id == new:
            raise InvalidDataError(f"session {new!r} cannot be its own parent")
        session = ExtendedSessionData(
            session_id=new,
            title=title,
            parent_id=parent_id,
            agent_name=agent_name,
            metadata=deepcopy(metadata or {}),
        )
        self._put(session, overwrite=False)
        return new

    def fork_session(
        self, session_id: str, from_message_index: int | None = None, title: str | None = None
    ) -> str:
        """Create a child that goes on from a message of this session, and return its id.

        Agent, user and metadata are taken over, and the checkpoint if it lies before that message.

        Args:
            session_id: the session to go on from.
            from_message_index: the last message to take over, from 0 (None: all of them).
            title: None: "Fork of" and this session's title or id.

        Raises:
            NotFoundError: there is no such session.
            InvalidDataError: there is no such message.
        """
        check_id(session_id, "session_id")
        if title is not None:
            check_text(title, "title")
        count = None
        if from_message_index is not None:
            check_integer(from_message_index, "from_message_index", 0)
            count = from_message_index + 1
        parent = self._existing(session_id).session
        metadata = {key: value for key, value in parent.metadata.items() if key != "title"}
        fork = ExtendedSessionData(
            session_id=str(uuid.uuid4()),
            parent_id=session_id,
            forked_from_message_id=None if count is None else str(from_message_index),
            title=title or f"Fork of {parent.shown_title or session_id}",
            agent_name=parent.agent_name,
            user_id=parent.user_id,
            metadata=metadata,
        )
        self._fork(session_id, fork, count)
        return fork.session_id

    def get_children(self, session_id: str) -> list[str]:
        """Return the ids of the sessions that have this one as their parent, oldest first."""
        check_id(session_id, "session_id")
        return self._children(session_id)

    def get_parent(self, session_id: str) -> str | None:
        """Return the id of the session's parent, if it has one."""
        check_id(session_id, "session_id")
        view = self._read(session_id, last=0)
        return None if view is None else view.session.parent_id

    def get_session_tree(self, session_id: str) -> dict[str, Any]:
        """Return the session and all that come from it.

        Returns:
            `session_id`, `title`, `message_count`, and `children`: a list of the same, oldest
            first.

        Raises:
            InvalidDataError: a session comes from itself.
        """
        check_id(session_id, "session_id")
        root = self._node(session_id)
        # By hand instead of by recursion: chains may be longer than Python's stack.
        waiting = [(root, iter(self._children(session_id)))]
        above = {session_id}
        while waiting:
            node, children = waiting[-1]
            child = next(children, None)
            if child is None:
                waiting.pop()
                above.discard(node["session_id"])
                continue
            if child in above:
                raise InvalidDataError(
                    f"session {child!r} is among its own ancestors: the tree of {session_id!r} "
                    "has a cycle; delete one of its sessions or import it anew"
                )
            branch = self._node(child)
            node["children"].append(branch)
            above.add(child)
            waiting.append((branch, iter(self._children(child))))
        return root

    def _node(self, session_id: str) -> dict[str, Any]:
        view = self._read(session_id, last=0) or SessionView(ExtendedSessionData(session_id), 0)
        return {
            "session_id": session_id,
            "title": view.session.shown_title,
            "message_count": view.message_count,
            "children": [],
        }

    def create_snapshot(
        self, session_id: str, label: str | None = None, metadata: dict[str, Any] | None = None
    ) -> str:
        """Keep the messages as they are now, to be gone back to, and return the snapshot's id.

        It keeps the window, the archive and the checkpoint; no later change touches it.

        Raises:
            NotFoundError: there is no such session.
            BackendError: it could not be stored.
        """
        check_id(session_id, "session_id")
        if label is not None:
            check_text(label, "label")
        check_dict(metadata or {}, "metadata")
        snapshot_id, own = str(uuid.uuid4()), deepcopy(metadata or {})

        def change(session: OpenSession) -> None:
            if session.is_new:
                raise _missing(session_id)
            session.take_snapshot(
                SessionSnapshot(
                    id=snapshot_id, session_id=session_id, label=label, metadata=deepcopy(own)
                )
            )

        self._must_write(session_id, change, what="take a snapshot", retention=False)
        return snapshot_id

    def get_snapshots(self, session_id: str) -> list[SessionSnapshot]:
        """Return the session's snapshots, oldest first."""
        check_id(session_id, "session_id")
        view = self._read(session_id, last=0, archive=True)
        return [] if view is None else view.session.snapshots

    def list_checkpoints(self, session_id: str) -> list[dict[str, Any]]:
        """Return the session's snapshots as dicts without their messages, oldest first."""
        check_id(session_id, "session_id")
        view = self._read(session_id, last=0)
        found = [] if view is None else [s.to_dict() for s in view.session.snapshots]
        for snapshot in found:
            snapshot.pop("transcript", None)
        return found

    def get_checkpoint(self, session_id: str, checkpoint_id: str) -> dict[str, Any] | None:
        """Return one of the session's snapshots as a dict, or None."""
        check_text(checkpoint_id, "checkpoint_id")
        snapshots = self.get_snapshots(session_id)
        return next((s.to_dict() for s in snapshots if s.id == checkpoint_id), None)

    def revert_to_snapshot(self, session_id: str, snapshot_id: str) -> bool:
        """Set the messages back to a snapshot; the snapshots all stay.

        Returns:
            False, with nothing changed, if there is none, or its messages are not known.
        """
        check_id(session_id, "session_id")
        check_text(snapshot_id, "snapshot_id")

        def change(session: OpenSession) -> None:
            if session.is_new or not session.restore(snapshot_id):
                raise _Refused

        return self._try_write(session_id, change, what="revert to a snapshot", retention=False)

    def revert_to_message(self, session_id: str, message_index: int) -> bool:
        """Remove all messages of the window after one of them.

        A checkpoint that stands for messages that are gone goes with them.

        Returns:
            False, with nothing changed, if there is no such message.
        """
        check_id(session_id, "session_id")
        if isinstance(message_index, bool) or not isinstance(message_index, int):
            raise InvalidDataError(f"message_index must be a whole number, not {message_index!r}")

        def change(session: OpenSession) -> None:
            if not 0 <= message_index < session.message_count:
                raise _Refused
            session.keep(message_index + 1)
            checkpoint = session.header.last_compaction
            if checkpoint is not None and checkpoint.message_index > message_index + 1:
                session.header.last_compaction = None

        return self._try_write(session_id, change, what="revert to a message")

    def share_session(self, session_id: str) -> bool:
        """Mark the session as shared."""
        return self._set_shared(session_id, shared=True)

    def unshare_session(self, session_id: str) -> bool:
        """Mark the session as not shared."""
        return self._set_shared(session_id, shared=False)

    def _set_shared(self, session_id: str, *, shared: bool) -> bool:
        check_id(session_id, "session_id")

        def change(session: OpenSession) -> None:
            session.header.is_shared = shared

        return self._write(session_id, change, what="share" if shared else "unshare")

    def is_shared(self, session_id: str) -> bool:
        """Whether the session is marked as shared."""
        check_id(session_id, "session_id")
        view = self._read(session_id, last=0)
        return view is not None and view.session.is_shared

    def get_extended_session(
        self, session_id: str, force_reload: bool = False
    ) -> ExtendedSessionData:
        """Return a session with its messages, children and snapshots; a new, empty one if none.

        Args:
            session_id: of the session.
            force_reload: read anew even where an unchanged copy is at hand.
        """
        check_id(session_id, "session_id")
        if force_reload:
            self.invalidate_cache(session_id)
        view = self._read(session_id, archive=True)
        if view is None:
            return ExtendedSessionData(session_id)
        view.session.children_ids = self._children(session_id)
        return view.session

    def invalidate_cache(self, session_id: str | None = None) -> None:
        """Forget what is kept in memory of a session, or of all; a store may keep nothing."""

    def _existing(self, session_id: str) -> SessionView:
        view = self._read(session_id, last=0)
        if view is None:
            raise _missing(session_id)
        return view

    def _try_write(
        self, session_id: str, change: Change, *, what: str, retention: bool = True
    ) -> bool:
        try:
            return self._write(session_id, change, what=what, retention=retention)
        except _Refused:
            return False

    def _must_write(
        self, session_id: str, change: Change, *, what: str, retention: bool = True
    ) -> None:
        if not self._write(session_id, change, what=what, retention=retention):
            raise BackendError(f"session {session_id!r}: could not {what}; the log says why")


class _Refused(Exception):  # noqa: N818 - no error: it ends a change that has nothing to do
    """The change does not apply to this session."""


def _missing(session_id: str) -> NotFoundError:
    return NotFoundError(f"there is no session {session_id!r}; create_session makes one")
