"""What is old goes: state by its time to live, sessions by a page at a time.

`praison-persist sessions prune --older-than 90d --yes` does the second for a program.
"""

from __future__ import annotations

import time

from surroundings import surroundings

from praison_persist import ConversationMessage, ConversationSession, db

MONTH_S = 30 * 24 * 3600.0


def main() -> None:
    """Keep an old session and a new one, and delete what nobody has written to for a month."""
    now = time.time()
    with surroundings(), db(database_url="sqlite:///retention.db") as store:
        for session_id, age_s in (("old", 2 * MONTH_S), ("new", 0.0)):
            store.delete_session(session_id)
            at = now - age_s
            session = ConversationSession(session_id, "ada", created_at=at, updated_at=at)
            store.conversation.create_session(session)
            store.state_store.set(f"draft:{session_id}", "…", ttl=MONTH_S)
        store.conversation.add_message("new", ConversationMessage(role="user", content="Hello"))

        cursor, old = None, list[str]()
        while True:
            page = store.conversation.page_sessions(limit=100, cursor=cursor)
            old += [s.session_id for s in page.sessions if s.updated_at < now - MONTH_S]
            cursor = page.next_cursor
            if cursor is None:
                break
        for session_id in old:
            store.delete_session(session_id)  # with its messages, runs, traces and state
        print(f"Deleted {old}, kept {[s.session_id for s in store.list_sessions()]}")
        print(f"A draft is kept for {store.state_store.ttl('draft:new') / 86_400:.0f} days")


if __name__ == "__main__":
    main()
