"""The contract of searching: what is found, in which order, and that a query is never syntax."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from praison_persist.protocols import Capability, ConversationStore
from praison_persist.testing.contract import (
    StoreContract,
    message,
    needs,
    refused,
    session,
)
from praison_persist.testing.reference import ReferenceConversationStore

__all__ = ["SearchContract"]


def _added(store: ConversationStore, *contents: str | None, session_id: str = "s") -> None:
    store.ensure_session(session(session_id))
    for content in contents:
        store.add_message(session_id, message(content))


def _found(store: ConversationStore, query: str, **filters: Any) -> set[str | None]:
    """Return the contents of all messages that are found."""
    hits = store.search_messages(query, limit=10_000, **filters)
    keys = [(hit.session_id, hit.seq) for hit in hits]
    assert len(keys) == len(set(keys))
    return {hit.message.content for hit in hits}


class SearchContract(StoreContract):
    """Messages found by their words."""

    @needs(Capability.SEARCH)
    def test_a_hit_is_the_message_as_it_is_stored(self, store: ConversationStore) -> None:
        """Who finds a message cannot go to the place in its conversation."""
        store.create_session(session())
        store.add_message("s", message("before"))
        given = message("the needle", role="assistant", metadata={"k": [1]}, run_id="r")
        stored = store.add_message("s", given)
        (hit,) = store.search_messages("needle")
        assert (hit.session_id, hit.seq, hit.message) == ("s", 2, stored)
        assert isinstance(hit.score, float)
        assert hit.snippet == "the needle"
        hit.message.metadata = {}
        assert store.search_messages("needle")[0].message == stored

    @needs(Capability.SEARCH)
    def test_all_words_have_to_occur(self, store: ConversationStore) -> None:
        """A search for two words finds what has either: everything."""
        _added(store, "red green", "green blue", "blue red", "red green blue")
        assert _found(store, "red") == {"red green", "blue red", "red green blue"}
        assert _found(store, "green red") == {"red green", "red green blue"}
        assert _found(store, "red blue green") == {"red green blue"}
        assert _found(store, "red red yellow") == set()

    @needs(Capability.SEARCH)
    def test_a_word_is_found_as_a_whole(self, store: ConversationStore) -> None:
        """A search for "art" finds every start and part."""
        _added(store, "art", "start", "artful", "part", "art_1", "the art.", "(art)", "art-house")
        assert _found(store, "art") == {"art", "the art.", "(art)", "art-house"}
        assert _found(store, "art_1") == {"art_1"}

    @needs(Capability.SEARCH)
    def test_punctuation_separates_words(self, store: ConversationStore) -> None:
        """Words in addresses, paths and between quotes are found by nothing."""
        contents = {
            "see https://example.org/alpha?beta=gamma#delta&x=%C3",
            "mail alpha@beta.gamma, delta",
            "/alpha/beta/gamma.delta",
            "alpha-beta gamma's «delta»",
            "<alpha>beta</alpha> &gamma; [delta]",
            "-alpha +beta *gamma* ~delta",
            "alpha\nbeta\tgamma\r\ndelta",
            "“alpha”…beta—gamma\u3000delta",
            "alpha👍beta→gamma€delta",
            "alpha\x00beta\x01gamma\x7fdelta",
        }
        _added(store, *contents)
        for query in ("alpha", "BETA", "gamma", "delta", "delta alpha"):
            assert _found(store, query) == contents

    @needs(Capability.SEARCH)
    def test_numbers_are_words(self, store: ConversationStore) -> None:
        """Signs and points make other numbers of them."""
        _added(store, "it was -5 degrees", "version 1.5.2", "5", "15", "1e5", "5a")
        assert _found(store, "5") == {"it was -5 degrees", "version 1.5.2", "5"}
        assert _found(store, "1.5") == {"version 1.5.2"}
        assert _found(store, "1e5") == {"1e5"}
        assert _found(store, "5a") == {"5a"}

    @needs(Capability.SEARCH)
    def test_short_and_frequent_words_are_found(self, store: ConversationStore) -> None:
        """An index leaves out what is short or on a list: a search for "the who" finds nothing."""
        _added(store, "the who", "who is it", "a b", "to be or not to be", "www", "I")
        assert _found(store, "the who") == {"the who"}
        assert _found(store, "who") == {"the who", "who is it"}
        assert _found(store, "b") == _found(store, "a b") == {"a b"}
        assert _found(store, "to be") == {"to be or not to be"}
        assert _found(store, "i") == {"I"}
        assert _found(store, "www") == {"www"}

    @needs(Capability.SEARCH)
    def test_a_long_word_is_found(self, store: ConversationStore) -> None:
        """An index leaves out what is longer than it expects of a word."""
        contents = [f"{'w' * length}" for length in (84, 85, 300, 501, 900)]
        _added(store, *contents)
        for content in contents:
            assert _found(store, content) == {content}

    @needs(Capability.SEARCH)
    def test_case_does_not_count_and_accents_do(self, store: ConversationStore) -> None:
        """Cafe finds Café on one database only, ÄPFEL finds äpfel on another only."""
        _added(store, "Hello", "HELLO", "Äpfel", "ÄPFEL", "Apfel", "Привет", "café", "CAFE")
        assert _found(store, "hello") == _found(store, "hELLO") == {"Hello", "HELLO"}
        assert _found(store, "äpfel") == _found(store, "ÄPFEL") == {"Äpfel", "ÄPFEL"}
        assert _found(store, "apfel") == {"Apfel"}
        assert _found(store, "привет") == _found(store, "ПРИВЕТ") == {"Привет"}
        assert _found(store, "CAFÉ") == {"café"}
        assert _found(store, "cafe") == {"CAFE"}

    @needs(Capability.SEARCH)
    def test_scripts_without_spaces_are_found_anywhere(self, store: ConversationStore) -> None:
        """A sentence of Japanese is one word to an index, and found by nobody."""
        japanese = "エージェントの記憶をデータベースに保存する"
        _added(store, japanese, "人工智能", "ภาษาไทย", "데이터베이스에", "database 記憶")
        assert _found(store, "記憶") == {japanese, "database 記憶"}
        assert _found(store, "データベース 保存") == {japanese}
        assert _found(store, "智能") == {"人工智能"}
        assert _found(store, "ไทย") == {"ภาษาไทย"}
        assert _found(store, "데이터베이스") == {"데이터베이스에"}
        assert _found(store, "記憶 database") == {"database 記憶"}

    @needs(Capability.SEARCH)
    def test_symbols_are_found_anywhere(self, store: ConversationStore) -> None:
        """Emoji are no words, and cannot be looked for."""
        _added(store, "great 👍", "great👍👍", "great", "10 €", "🥰nice🫡", "⭐nice⭢")
        assert _found(store, "nice") == {"🥰nice🫡", "⭐nice⭢"}
        assert _found(store, "🫡") == {"🥰nice🫡"}
        assert _found(store, "👍") == {"great 👍", "great👍👍"}
        assert _found(store, "GREAT 👍👍") == {"great👍👍"}
        assert _found(store, "€") == {"10 €"}

    @needs(Capability.SEARCH)
    def test_a_query_is_never_syntax(self, store: ConversationStore) -> None:
        """A quote ends the statement; OR, NEAR and * mean more than themselves."""
        odd = "near apple not content"
        _added(store, "apple", "pear", "apple or pear", "applepie", odd)
        for query in (
            *(
                "'apple'",
                '"apple"',
                "apple'",
                'apple"',
                "`apple`",
                "apple;--",
                "apple\\",
                "\\apple",
            ),
            *("apple*", "+apple", "-apple", "~apple", "apple:*", "!apple", "(apple", "apple)"),
            *("%apple%", "<apple>", "apple@", "apple & ", "| apple", "^apple", "{apple", "apple}"),
            *("apple\x00", "\x00apple", "apple\ud800", "?apple", ":apple", "$apple", "apple..."),
        ):
            assert _found(store, query) == {"apple", "apple or pear", odd}
        assert _found(store, "apple OR pear") == {"apple or pear"}
        assert _found(store, "NOT apple") == _found(store, "apple NOT") == {odd}
        assert (
            _found(store, "NEAR(apple)")
            == _found(store, "content:apple NEAR")
            == {"near apple not content"}
        )
        assert _found(store, "apple%") == _found(store, "apple")
        assert _found(store, "appl_") == _found(store, "a%e") == set()
        assert _found(store, "') OR 1=1 --") == set()

    @needs(Capability.SEARCH)
    def test_a_query_without_words_finds_nothing(self, store: ConversationStore) -> None:
        """Nothing to look for is in every message."""
        _added(store, "text", "", None, "*", "'", "\x00")
        for query in ("", " ", "\n", "*", "%", "'", '"', "--", "()", "\x00", "\ud800", "…"):
            assert store.search_messages(query) == []

    @needs(Capability.SEARCH)
    def test_any_content_is_found(self, store: ConversationStore) -> None:
        """A text that has to be stored in another way is looked for as it is stored."""
        marked = ["\x01json:x needle", "needle\x00needle", "a\nneedle \ud800", "\x00éNEEDLE needle"]
        contents: list[str] = [*marked, "needle " + "x " * 120_000 + "thread", "z" * 200_001]
        _added(store, *contents, None, "", "json", "u0000needle")
        assert _found(store, "needle") == set(contents[:5])
        assert _found(store, "thread") == {contents[4]}
        assert _found(store, "json") == {marked[0], "json"}
        assert _found(store, "u0000needle") == {"u0000needle"}
        assert _found(store, "praisonplain") == set()

    @needs(Capability.SEARCH)
    def test_filters_limit_what_is_found(self, store: ConversationStore) -> None:
        """A user is shown what another one wrote."""
        for user in ("u", "U", ""):
            for agent in ("a", None):
                key = f"{user}|{agent}"
                store.create_session(session(key, user_id=user, agent_id=agent))
                store.add_message(key, message("word", role="user"))
                store.add_message(key, message("word", role="assistant"))

        def sessions(**filters: Any) -> list[tuple[str, str]]:
            hits = store.search_messages("word", **filters)
            return sorted((hit.session_id, hit.message.role) for hit in hits)

        assert len(sessions()) == 12
        assert sessions(session_id="u|a") == [("u|a", "assistant"), ("u|a", "user")]
        assert sessions(user_id="u", role="user") == [("u|None", "user"), ("u|a", "user")]
        assert sessions(user_id="U", agent_id="a", role="user") == [("U|a", "user")]
        assert len(sessions(user_id="")) == 4
        assert len(sessions(agent_id="a")) == 6
        assert sessions(session_id="u|a", user_id="U") == sessions(session_id="other") == []
        assert sessions(role="tool") == sessions(agent_id="A") == []

    @needs(Capability.SEARCH)
    def test_the_best_come_first_then_the_newest(self, store: ConversationStore) -> None:
        """The limit cuts off what was looked for."""
        store.create_session(session())
        for at in (1.0, 3.0, 2.0, 2.0):
            store.add_message("s", message("some word here", created_at=at))
        often = store.add_message("s", message("word word word", created_at=0.0))
        hits = store.search_messages("word")
        assert hits[0].message == often
        assert hits[0].score > hits[1].score
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert [hit.seq for hit in hits] == [5, 2, 4, 3, 1]
        for limit in (1, 3, 5, 2**40):
            assert store.search_messages("word", limit=limit) == hits[:limit]

    @needs(Capability.SEARCH)
    def test_what_merely_contains_a_word_does_not_use_up_the_limit(
        self, store: ConversationStore
    ) -> None:
        """A page of starts and parts leaves no place for the art."""
        store.create_session(session())
        store.add_message("s", message("art", created_at=1.0))
        for index in range(70):
            store.add_message("s", message(f"starts and parts {index}", created_at=2.0))
        hits = store.search_messages("art", limit=1)
        assert [hit.message.content for hit in hits] == ["art"]

    @needs(Capability.SEARCH)
    def test_a_snippet_shows_what_was_found(self, store: ConversationStore) -> None:
        """A list of hits shows the beginnings of long messages, all alike."""
        _added(store, "x " * 200 + "The\nNeedle  is here" + " y" * 200, "needle" + " z" * 200)
        snippets = [hit.snippet for hit in store.search_messages("needle")]
        for snippet in snippets:
            assert len(snippet) <= 162
            assert "\n" not in snippet
            assert snippet.endswith("…")
        cut = [snippet for snippet in snippets if snippet.startswith("…")]
        assert len(cut) == 1
        assert "The Needle is here" in cut[0]

    @needs(Capability.SEARCH)
    def test_what_is_deleted_is_not_found(self, store: ConversationStore) -> None:
        """The index still has what its user wanted gone."""
        _added(store, "word one", "word two", "word three")
        _added(store, "word four", session_id="other")
        stored = store.get_messages("s")
        store.delete_messages("s", [stored[1].id])
        assert _found(store, "word") == {"word one", "word three", "word four"}
        store.delete_session("other")
        assert _found(store, "word") == {"word one", "word three"}
        _added(store, "word five")
        assert _found(store, "word") == {"word one", "word three", "word five"}
        store.delete_messages("s")
        assert _found(store, "word") == set()

    @needs(Capability.SEARCH)
    def test_a_message_written_again_is_found_once(self, store: ConversationStore) -> None:
        """A retried write is in the index twice."""
        store.create_session(session())
        first, second = message("word one"), message("word two")
        store.add_message("s", first)
        for again in (first, second, first):
            store.add_message("s", again)
        assert _found(store, "word") == {"word one", "word two"}

    @needs(Capability.SEARCH)
    def test_a_search_is_checked(self, store: ConversationStore) -> None:
        """A wrong argument finds nothing, or everything."""
        _added(store, "word")
        search = store.search_messages
        refused((None, 1, b"word", ["word"], "x" * 1_001), search, "query")
        wrong = (0, -1, None, True, 1.0, "1", 2**64)
        refused(wrong, lambda limit: search("word", limit=limit), "limit")
        refused(("", 1, "x" * 256), lambda key: search("word", session_id=key), "session_id")
        refused((1, "\x00"), lambda key: search("word", user_id=key), "user_id")
        refused((1, "\x00"), lambda key: search("", agent_id=key), "agent_id")
        refused((1, "x" * 51), lambda role: search("word", role=role), "role")
        assert _found(store, "w " * 500) == set()

    @needs(Capability.SEARCH)
    def test_any_query_finds_what_the_reference_finds(self, store: ConversationStore) -> None:
        """A database has an idea of its own of what a word is."""
        # What is in no version of Unicode yet is a letter to some.
        letters = st.sampled_from("aAbB1_ -.'\"\n\x00äÄéж記憶ไ👍🥰½ß") | st.characters(
            codec="utf-8", max_codepoint=0xFFFF, exclude_categories=("Cn", "Co")
        )
        texts = st.text(letters, min_size=1, max_size=12)

        @settings(
            max_examples=25,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(contents=st.lists(texts, max_size=4), queries=st.lists(texts, max_size=4))
        def agrees(contents: list[str], queries: list[str]) -> None:
            with ReferenceConversationStore() as reference:
                for each in (store, reference):
                    each.ensure_session(session())
                    each.delete_messages("s")
                    _added(each, *contents)
                for query in [*queries, *contents]:
                    assert _found(store, query) == _found(reference, query)

        agrees()
