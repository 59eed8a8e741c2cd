"""No two sessions share a file, whatever the file system makes of names."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from praison_persist.conversation.json_names import session_name

_IDS = st.text(st.sampled_from("aA~._-/\\:%éE\u0301 \n01fF"), min_size=1, max_size=6) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=255
)


@given(_IDS, _IDS)
def test_ids_that_differ_have_names_that_differ(one: str, other: str) -> None:
    """On a file system that ignores case, "Ada" reads and deletes what "ada" said."""
    names = [unicodedata.normalize("NFC", session_name(key)).casefold() for key in (one, other)]
    assert (names[0] == names[1]) == (one == other)


@given(_IDS)
def test_a_name_is_one_that_every_file_system_takes(session_id: str) -> None:
    """An id leads out of the folder, is a device of Windows, or is too long."""
    name = session_name(session_id)
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.~-]*\.jsonl", name)
    assert len(name) < 140


@pytest.mark.parametrize(
    "session_id", ["con", "nul.x", "com1", "..", ".hidden", "a/../b", "a~b", "x" * 255, "A"]
)
def test_what_is_no_name_gets_a_hash(session_id: str) -> None:
    assert re.fullmatch(r".+~[0-9a-f]{32}\.jsonl", session_name(session_id))


@pytest.mark.parametrize("session_id", ["2026112120-a1b2c3-0f", "user_1", "v1.2", "console"])
def test_a_plain_id_is_the_name(session_id: str) -> None:
    """People look for the file of a session."""
    assert session_name(session_id) == f"{session_id}.jsonl"


def test_the_name_of_a_session_stays() -> None:
    """Another version of the package does not find what is stored."""
    assert session_name("User/1") == "User_1~51cfd6db4a9ea5ae7db230febec3f598.jsonl"
