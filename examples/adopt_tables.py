"""Tables that an older release of praisonai left are taken over with all their rows.

Their prefix was "praisonai_", and they lack columns. `praison-persist db adopt` does the same.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from surroundings import surroundings

from praison_persist import SchemaError, SQLiteConversationStore
from praison_persist.sql import migrate

FILE, PREFIX = Path("older.db"), "praisonai_"
OLDER = """
CREATE TABLE praisonai_sessions (
    session_id TEXT PRIMARY KEY, user_id TEXT, agent_id TEXT, name TEXT, metadata TEXT,
    created_at REAL NOT NULL, updated_at REAL NOT NULL
);
CREATE TABLE praisonai_messages (
    id TEXT PRIMARY KEY, session_id TEXT NOT NULL, role TEXT NOT NULL, content TEXT,
    metadata TEXT, created_at REAL NOT NULL
);
INSERT INTO praisonai_sessions VALUES ('s', 'ada', NULL, 'Bees', NULL, 1000.0, 1002.0);
INSERT INTO praisonai_messages VALUES ('m2', 's', 'assistant', 'Your bees hum.', NULL, 1002.0);
INSERT INTO praisonai_messages VALUES ('m1', 's', 'user', 'I keep bees.', NULL, 1001.0);
"""


def main() -> None:
    """Make such tables, be refused, adopt them, and read the conversation."""
    with surroundings():
        FILE.unlink(missing_ok=True)
        with closing(sqlite3.connect(FILE)) as connection:
            connection.executescript(OLDER)
        try:
            SQLiteConversationStore(FILE, table_prefix=PREFIX).get_session("s")
        except SchemaError as error:
            print(f"Refused: {error}\n")

        migrate.upgrade(f"sqlite:///{FILE}", table_prefix=PREFIX)
        print(f"Revision {migrate.current(f'sqlite:///{FILE}', table_prefix=PREFIX)}")
        with SQLiteConversationStore(FILE, table_prefix=PREFIX) as store:
            for message in store.get_messages("s"):
                print(f"{message.seq}  {message.role}  {message.content}")


if __name__ == "__main__":
    main()
