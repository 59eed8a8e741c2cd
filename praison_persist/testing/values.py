"""The contract of values: what goes in comes back equal, or is refused by name."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from praison_persist.protocols import Capability, ConversationStore
from praison_persist.testing.contract import StoreContract, message, needs, refused, session

__all__ = ["TEXTS", "ValueContract"]

TEXTS = {
    "empty": "",
    "space": " \t\r\n ",
    "trailing space": "a ",
    "emoji": "👩‍👩‍👧 😀",
    "other scripts": "łódź 日本語 العربية",
    "combining": "e\u0301 vs é",
    "quotes": """'single' "double" `back` \\ % %s :name ? $1 {} --""",
    "NUL": "before\x00after",
    "only NUL": "\x00",
    "lone surrogate": "a\ud800b\udc00",
    "reversed pair": "\udc00\ud800",
    "control": "\x01\x02\x1b[31m\x7f\u2028\ufeff",
    "JSON": '{"a": null}',
    "null": "null",
    "our escape": "\x01json:",
    "our escape and text": '\x01json:"x"',
    "our escape and NUL": '\x01json:"\\u0000"\x00',
    "outside the BMP": "\U0010ffff",
}
_DOCUMENTS: dict[str, Any] = {
    "empty": {},
    "None inside": {"a": None},
    "empty inside": {"a": {}, "b": [], "c": ""},
    "numbers": {"i": 1, "f": 1.0, "z": 0, "n": -0.5, "big": 2**63, "huge": 10**30, "e": 1e-300},
    "truth": {"t": True, "f": False, "one": 1, "zero": 0},
    "digits": {"text": "123", "date": "2026-11-21T00:00:00Z"},
    "key order": {"z": 1, "a": 2, "m": 3},
    "odd keys": {"": 1, " ": 2, "a.b": 3, "$x": 4, "é": 5, "\x00": 6, "\ud800": 7, "A": 8, "a": 9},
    "nested": {"a": [[{"b": [{"c": [None, [], {}]}]}]]},
    "text": dict(TEXTS),
}
# What JSON would change or cannot carry, by what the refusal says.
_REFUSED: dict[str, Any] = {
    "nan": float("nan"),
    "-inf": float("-inf"),
    "datetime": datetime(2026, 11, 21, tzinfo=UTC),
    "tuple": (1, 2),
    "set": {1},
    "bytes": b"a",
    "object": object(),
    "key 1": {1: "a"},
    "key None": {None: "a"},
}
_IMPOSSIBLE_MESSAGES: dict[str, tuple[Any, ...]] = {
    "id": ("", "x" * 256, "\x00", None, 5),
    "role": (None, "x" * 51, "\x00", "\ud800"),
    "content": ({"a": 1}, b"bytes", 5),
    "tool_calls": ({}, "[]"),
    "tool_call_id": ("x" * 256, 5),
    "run_id": ("\ud800", "x" * 256),
    "metadata": ([], "{}"),
    "created_at": ("now", None, float("nan"), float("inf"), True, 2**53 + 1, 10**400),
}
_IMPOSSIBLE_SESSIONS: dict[str, tuple[Any, ...]] = {
    "name": (5, b"bytes"),
    "state": ([], "{}"),
    "metadata": ([1],),
    "created_at": ("now", float("nan")),
    "updated_at": (None, float("inf")),
    "version": ("1", 0, True, 2**70),
}


class _Role(enum.StrEnum):
    USER = "user"


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


class ValueContract(StoreContract):
    """Values of fields."""

    def test_any_text_comes_back(self, store: ConversationStore) -> None:
        """A prompt that the database cannot hold is lost, cut or changed."""
        for key, text in TEXTS.items():
            document = {text: text}
            store.create_session(session(key, name=text, state=document, metadata={"a": [text]}))
            found = store.get_session(key)
            assert found is not None
            assert (found.name, found.state, found.metadata) == (text, document, {"a": [text]})
            assert store.update_session(found).name == text
            store.add_message(key, message(text, tool_calls=[text], metadata=document))
            read = store.get_messages(key)[0]
            assert (read.content, read.tool_calls, read.metadata) == (text, [text], document)

    def test_any_document_comes_back(self, store: ConversationStore) -> None:
        """An empty dict becomes None, 1.0 becomes 1, keys are reordered or merged."""
        for key, document in _DOCUMENTS.items():
            store.create_session(session(key, state=document, metadata=document))
            store.add_message(key, message(tool_calls=[document], metadata=document))
            found, read = store.get_session(key), store.get_messages(key)[0]
            assert found is not None
            assert read.tool_calls is not None
            for value in (found.state, found.metadata, read.metadata, read.tool_calls[0]):
                assert repr(value) == repr(document)  # 1 and 1.0 and True are equal

    def test_none_is_not_an_empty_value(self, store: ConversationStore) -> None:
        """To a provider, nothing and something empty are different."""
        for key, state, name in (("none", None, None), ("empty", {}, "")):
            store.create_session(
                session(key, user_id=name, agent_id=name, name=name, state=state, metadata=state)
            )
            found = store.get_session(key)
            assert found is not None
            assert (found.state, found.metadata) == (state, state)
            assert (found.user_id, found.agent_id, found.name) == (name, name, name)
        store.add_message("none", message(None, tool_calls=None, metadata=None))
        store.add_message(
            "none", message("", tool_calls=[], metadata={}, tool_call_id="", run_id="")
        )
        none, empty = store.get_messages("none")
        assert (none.content, none.tool_calls, none.metadata) == (None, None, None)
        assert (none.tool_call_id, none.run_id) == (None, None)
        assert (empty.content, empty.tool_calls, empty.metadata) == ("", [], {})
        assert (empty.tool_call_id, empty.run_id) == ("", "")

    def test_a_megabyte_comes_back(self, store: ConversationStore) -> None:
        """A text column of 64 KB cuts or refuses a document."""
        text = "日本語 text\x00" * 100_000
        store.create_session(session(name=text, state={"a": text}, metadata={"a": text}))
        store.add_message("s", message(text, tool_calls=[{"a": text}], metadata={"a": text}))
        found, read = store.get_session("s"), store.get_messages("s")[0]
        assert found is not None
        assert found.name == read.content == text
        assert found.state == found.metadata == read.metadata == {"a": text}
        assert read.tool_calls == [{"a": text}]

    @needs(Capability.BATCH)
    def test_large_messages_come_back_from_a_batch(self, store: ConversationStore) -> None:
        """A statement for many rows outgrows a packet, a statement or a buffer."""
        store.create_session(session())
        texts = [character * 300_000 for character in "abcdefghijklmnopqrst"]
        store.add_messages("s", [message(text) for text in texts])
        assert [m.content for m in store.get_messages("s")] == texts

    def test_a_time_comes_back_exactly(self, store: ConversationStore) -> None:
        """A rounded time moves a message over the edge of a page, or makes an import differ."""
        for at in (0, 0.1, -1.5, 1e-9, 1795247798.4048102, 1e15, 4e9, 253402300800):
            key = repr(at)
            store.create_session(session(key, user_id=key, created_at=at, updated_at=at))
            listed = store.list_sessions(user_id=key)[0]
            assert (listed.created_at, listed.updated_at) == (at, at)
            store.add_message(key, message(created_at=at))
            assert store.get_messages(key)[0].created_at == at
            assert store.get_messages(key, before=at) == store.get_messages(key, after=at) == []

    def test_a_role_may_be_a_string_enum(self, store: ConversationStore) -> None:
        """A driver stores the name of the member, or refuses it."""
        store.create_session(session(user_id=_Role.USER))
        store.add_message("s", message(_Role.USER, role=_Role.USER, metadata={"a": _Role.USER}))
        read = store.get_messages("s")[0]
        assert (read.role, read.content, read.metadata) == ("user", "user", {"a": "user"})

    @pytest.mark.parametrize("field", ["tool_calls", "metadata", "state", "session.metadata"])
    def test_what_json_would_change_is_refused_by_name(
        self, store: ConversationStore, field: str
    ) -> None:
        """A tuple comes back as a list, a key 1 as "1", and a NaN makes the rest unreadable."""
        writes: dict[str, Callable[[Any], object]] = {
            "tool_calls": lambda value: store.add_message("s", message(tool_calls=[{"a": value}])),
            "metadata": lambda value: store.add_message("s", message(metadata={"a": [value]})),
            "state": lambda value: store.update_session(session(state={"a": value})),
            "session.metadata": lambda value: store.update_session(session(metadata={"a": value})),
        }
        stored = store.create_session(session())
        for says, value in _REFUSED.items():
            refused([value], writes[field], rf"{field}.*{says}")
        assert store.get_session("s") == stored
        assert store.get_messages("s") == []

    def test_a_document_that_cannot_be_read_back_is_refused(self, store: ConversationStore) -> None:
        """It can be written where the stack is short, and not be read where it is deep."""
        store.create_session(session())
        endless: list[Any] = []
        endless.append(endless)
        refused(
            (endless, _nested(500), _nested(5_000), 10**5_000),
            lambda value: store.add_message("s", message(metadata={"a": value})),
            r"message\.metadata",
        )
        store.add_message("s", message(metadata={"a": _nested(100)}))
        assert store.get_messages("s")[0].metadata == {"a": _nested(100)}

    def test_an_impossible_message_is_refused_by_name(self, store: ConversationStore) -> None:
        """It is converted, cut or half stored, each database in its own way."""
        store.create_session(session())
        for field, values in _IMPOSSIBLE_MESSAGES.items():
            wrong = [replace(message(), **{field: value}) for value in values]
            refused(wrong, lambda one: store.add_message("s", one), rf"message\.{field}")
        assert store.get_messages("s") == []

    def test_an_impossible_session_is_refused_by_name(self, store: ConversationStore) -> None:
        """It is converted, cut or half stored, each database in its own way."""
        for field, values in _IMPOSSIBLE_SESSIONS.items():
            wrong = [session(**{field: value}) for value in values]
            for write in (store.create_session, store.ensure_session, store.upsert_session):
                refused(wrong, write, rf"session\.{field}")
        assert store.list_sessions() == []
        stored = store.create_session(session())
        for field, values in _IMPOSSIBLE_SESSIONS.items():
            wrong = [session(**{field: value}) for value in values]
            refused(wrong, store.update_session, rf"session\.{field}")
        assert store.list_sessions() == [stored]
