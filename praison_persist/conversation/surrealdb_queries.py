"""SurrealQL of conversations: texts without values, which are bound as parameters.

Three tables: `session` by session id ($key; the record is $entry); `message` by [session id, seq],
the order they are read in; `message_id` by [session id, message id], which leads to the message.
Each text is one statement, a block, and so one transaction. Whatever writes messages writes their
session too: of two that overlap, the engine refuses one with a conflict, which is repeated.
"""

from __future__ import annotations

import re

from praison_persist.errors import ConfigurationError

__all__ = [
    "APPEND",
    "COLUMNS",
    "COUNT",
    "DEFAULT_PREFIX",
    "FIND",
    "FIND_WHOLE",
    "INSERT",
    "REMOVE",
    "REMOVE_ALL",
    "REMOVE_MESSAGES",
    "REPLACE",
    "TABLES",
    "between",
    "check_prefix",
    "first",
    "prefixed",
    "sessions",
]

DEFAULT_PREFIX = "praison_"
_PREFIX = re.compile("([A-Za-z_][A-Za-z0-9_]{0,39})?")

# What is kept of a message beside its numbers.
COLUMNS = (
    "message_id",
    "session_id",
    "role",
    "content",
    "tool_calls",
    "tool_call_id",
    "metadata",
    "created_at",
    "run_id",
)
_DIRECTION = {True: "DESC", False: "ASC"}  # by whether the newest come first

# No index for the order of sessions: SurrealDB 2.3 gives a wrong page of ORDER BY … LIMIT where it
# looks up a range in an index.
TABLES = """BEGIN;
DEFINE TABLE IF NOT EXISTS `praison_session` SCHEMALESS;
DEFINE TABLE IF NOT EXISTS `praison_message` SCHEMALESS;
DEFINE TABLE IF NOT EXISTS `praison_message_id` SCHEMALESS;
DEFINE INDEX IF NOT EXISTS by_user ON `praison_session` FIELDS user_id;
DEFINE INDEX IF NOT EXISTS by_agent ON `praison_session` FIELDS agent_id;
COMMIT;"""

INSERT = """{
IF (SELECT VALUE session_id FROM ONLY $entry) != NONE { RETURN false };
DELETE `praison_message`:[$key, NONE]..[$key, ..] RETURN NONE;
DELETE `praison_message_id`:[$key, NONE]..[$key, ..] RETURN NONE;
CREATE $entry CONTENT $row RETURN NONE;
INSERT INTO `praison_message` $messages RETURN NONE;
INSERT INTO `praison_message_id` $ids RETURN NONE;
RETURN true
};"""

FIND = "SELECT * FROM ONLY $entry;"

FIND_WHOLE = """{
LET $found = (SELECT * FROM ONLY $entry);
IF $found = NONE { RETURN NONE };
RETURN {
    session: $found,
    messages: (SELECT * FROM `praison_message`:[$key, NONE]..[$key, ..] ORDER BY seq)
}
};"""

REPLACE = """{
LET $found = (SELECT version FROM ONLY $entry);
IF $found = NONE { RETURN NONE };
IF $expected != NONE AND $found.version != $expected { RETURN { stale: $found.version } };
UPDATE $entry SET
    user_id = $row.user_id,
    agent_id = $row.agent_id,
    name = $row.name,
    state = $row.state,
    metadata = $row.metadata,
    version += 1,
    updated_at = math::max([updated_at, $now])
RETURN NONE;
RETURN { session: (SELECT * FROM ONLY $entry) }
};"""

REMOVE = """{
LET $found = (DELETE $entry RETURN BEFORE);
DELETE `praison_message`:[$key, NONE]..[$key, ..] RETURN NONE;
DELETE `praison_message_id`:[$key, NONE]..[$key, ..] RETURN NONE;
RETURN array::len($found) > 0
};"""

# Writes only if the stored ones among $ids are those that the caller has compared with its own:
# the $seqs of the session's $life. They are returned otherwise.
APPEND = """{
LET $found = (SELECT life, last_seq FROM ONLY $entry);
IF $found = NONE { RETURN NONE };
LET $stored = (SELECT VALUE message.* FROM $ids);
IF $stored.seq != $seqs OR ($life != NONE AND $life != $found.life) {
    RETURN { life: $found.life, stored: $stored }
};
LET $last = $found.last_seq;
FOR $row IN $rows {
    LET $seq = $last + $row.place;
    LET $made = (CREATE ONLY `praison_message` CONTENT { id: [$key, $seq], seq: $seq, COLUMNS }
        RETURN VALUE id);
    CREATE `praison_message_id` CONTENT { id: [$key, $row.message_id], message: $made }
        RETURN NONE;
};
UPDATE $entry SET
    last_seq += array::len($rows),
    updated_at = math::max([updated_at, $now])
RETURN NONE;
RETURN { last: $last }
};""".replace("COLUMNS", ", ".join(f"{name}: $row.{name}" for name in COLUMNS))

# The numbers of messages have few gaps, and the engine sorts all it reads before it cuts: first
# only as many numbers are looked at as there are messages wanted.
_NEWEST = """
LET $to = math::min([$high, (SELECT VALUE last_seq FROM ONLY $entry) ?? 0]);
LET $from = math::max([$low, $to - $limit + 1]);"""
_OLDEST = """
LET $from = $low;
LET $to = math::min([$high, $low + $limit - 1]);"""
_FIRST = """{NEAR
LET $near = (SELECT * FROM `praison_message`:[$key, $from]..=[$key, $to] ORDER BY seq DIRECTION);
IF array::len($near) = $limit { RETURN $near };
RETURN (SELECT * FROM `praison_message`:[$key, $low]..=[$key, $high]
    ORDER BY seq DIRECTION LIMIT $limit)
};"""
_BETWEEN = """SELECT * FROM `praison_message`:[$key, $low]..=[$key, $high]
WHERE ($before = NONE OR created_at < $before) AND ($after = NONE OR created_at > $after)
ORDER BY seq DIRECTION"""
_LIMIT = " LIMIT $limit"

REMOVE_MESSAGES = """{
LET $found = (SELECT VALUE message FROM $ids);
IF array::len($found) > 0 {
    DELETE $found RETURN NONE;
    DELETE $ids RETURN NONE;
    UPDATE $entry SET deleted += array::len($found) RETURN NONE
};
RETURN array::len($found)
};"""

REMOVE_ALL = """{
LET $found = (SELECT VALUE seq FROM `praison_message`:[$key, NONE]..[$key, ..]);
IF array::len($found) > 0 {
    DELETE `praison_message`:[$key, NONE]..[$key, ..] RETURN NONE;
    DELETE `praison_message_id`:[$key, NONE]..[$key, ..] RETURN NONE;
    UPDATE $entry SET deleted += array::len($found) RETURN NONE
};
RETURN array::len($found)
};"""

COUNT = "SELECT count() FROM `praison_message`:[$key, NONE]..[$key, ..] GROUP ALL;"

_SESSIONS = "SELECT * FROM `praison_session`"
_OF_USER = "user_id = $user"
_OF_AGENT = "agent_id = $agent"
_BELOW = "(updated_at < $at OR (updated_at = $at AND session_id < $key))"
_LAST_WRITTEN_FIRST = " ORDER BY updated_at DESC, session_id DESC"
_START = " START $offset"


def check_prefix(prefix: str) -> str:
    """Return a prefix of tables' names, if it is one.

    Raises:
        ConfigurationError: anything but ASCII letters, digits and underscores, or too long.
    """
    if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            f"table_prefix {prefix!r} cannot be used in a table name: write up to 40 ASCII "
            "letters, digits and underscores, not beginning with a digit"
        )
    return prefix


def prefixed(text: str, prefix: str) -> str:
    """Return a text of this module for tables of a checked prefix."""
    return text.replace(f"`{DEFAULT_PREFIX}", f"`{prefix}")


def first(*, newest_first: bool) -> str:
    """Return the text that reads the $limit messages nearest to one end of a session."""
    near = _NEWEST if newest_first else _OLDEST
    return _FIRST.replace("NEAR", near).replace("DIRECTION", _DIRECTION[newest_first])


def between(*, newest_first: bool, limited: bool) -> str:
    """Return the text that reads messages created between $after and $before."""
    return _BETWEEN.replace("DIRECTION", _DIRECTION[newest_first]) + _LIMIT * limited


def sessions(*, of_user: bool, of_agent: bool, below: bool, limited: bool, skipped: bool) -> str:
    """Return the text that lists sessions of $user, of $agent, below ($at, $key)."""
    parts = ((of_user, _OF_USER), (of_agent, _OF_AGENT), (below, _BELOW))
    conditions = [condition for wanted, condition in parts if wanted]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{_SESSIONS}{where}{_LAST_WRITTEN_FIRST}{_LIMIT * limited}{_START * skipped}"
