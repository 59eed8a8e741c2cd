"""`praison-persist run` and `resume`: an agent whose conversation is kept."""

from __future__ import annotations

import difflib
from typing import Annotated, Any
from uuid import uuid4

import typer

from praison_persist._environment import own_variable
from praison_persist.adapter import PraisonAIDB
from praison_persist.cli.agents import Persona, answer
from praison_persist.cli.history import draw_messages, last_turns
from praison_persist.cli.options import URL, AsJSON, KnowledgeURL, Schema, StateURL, TablePrefix
from praison_persist.cli.output import console, print_json, print_line
from praison_persist.cli.stores import located, open_conversations
from praison_persist.errors import NotFoundError
from praison_persist.models import ConversationSession
from praison_persist.protocols import ConversationStore

__all__ = ["resume", "run"]

_AGENT = "Assistant"
_NEAR = 1000  # sessions, the newest, among which a mistyped id is looked for

AgentName = Annotated[str | None, typer.Option(metavar="NAME", help="Of the agent that answers.")]
Instructions = Annotated[
    str | None, typer.Option("--agent-instructions", metavar="TEXT", help="What it is told to be.")
]
Model = Annotated[
    str | None, typer.Option(metavar="MODEL", help="As praisonaiagents names it, such as gpt-4o.")
]


def run(
    prompt: Annotated[str, typer.Argument(help="What the agent is asked.")],
    url: URL = None,
    session_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Session to begin or to resume. Default: a new one."),
    ] = None,
    user_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Whose session it is. Default: default.")
    ] = None,
    state_url: StateURL = None,
    knowledge_url: KnowledgeURL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    agent_name: AgentName = None,
    agent_instructions: Instructions = None,
    model: Model = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done; touch nothing.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Ask an agent, and keep the turn. The answer is on stdout, how to go on is on stderr."""
    session = session_id or own_variable("SESSION_ID") or f"session-{uuid4().hex[:8]}"
    user = user_id or own_variable("USER_ID") or "default"
    who = Persona(agent_name or _AGENT, agent_instructions, model)
    with _adapter(url, state_url, knowledge_url, table_prefix, schema) as db:
        plan = {
            "conversations": db.database_url,
            "session_id": session,
            "user_id": user,
            "agent": who.name,
            "prompt": prompt,
        }
        if dry_run:
            _print_plan(plan, as_json=as_json)
            return
        db.connect()
        said = answer(db, who, prompt, session, user)
    if as_json:
        print_json({"session_id": session, "user_id": user, "answer": said})
        return
    print_line(said)
    typer.echo(f"Session {session}, kept in {plan['conversations']}", err=True)


def resume(
    session_id: Annotated[str, typer.Option(metavar="ID", help="The session, which has to exist.")],
    url: URL = None,
    show_history: Annotated[
        bool, typer.Option("--show-history", help="Draw the last turns, with their tool calls.")
    ] = False,
    prompt: Annotated[
        str | None, typer.Option("--continue", metavar="PROMPT", help="Go on with this prompt.")
    ] = None,
    turns: Annotated[int, typer.Option(min=1, help="How many turns are drawn.")] = 5,
    state_url: StateURL = None,
    table_prefix: TablePrefix = None,
    schema: Schema = None,
    agent_name: AgentName = None,
    agent_instructions: Instructions = None,
    model: Model = None,
    as_json: AsJSON = False,
) -> None:
    """Show a session that exists, or go on with it."""
    with open_conversations(url, table_prefix, schema) as opened:
        store = opened.sync_conversation
        session = _found(store, session_id, opened.address)
        told: dict[str, Any] = {"session": session.to_dict(), "messages": store.count(session_id)}
        history, older = last_turns(store, session_id, turns) if show_history else ([], False)
    if show_history:
        told["history"] = [message.to_dict() for message in history]
    if not as_json:
        _print_session(session, told["messages"])
        if older:
            print_line("…")
        draw_messages(console(), history)
    if prompt is not None:
        who = Persona(agent_name or _agent_of(session), agent_instructions, model)
        with _adapter(url, state_url, None, table_prefix, schema) as db:
            db.connect()
            told["answer"] = answer(db, who, prompt, session_id, session.user_id)
        if not as_json:
            print_line(told["answer"])
    if as_json:
        print_json(told)


def _adapter(
    url: str | None,
    state_url: str | None,
    knowledge_url: str | None,
    table_prefix: str | None,
    schema: str | None,
) -> PraisonAIDB:
    database, backend, options = located(url, table_prefix, schema)
    return PraisonAIDB(
        database,
        state_url or own_variable("STATE_URL"),
        knowledge_url or own_variable("KNOWLEDGE_URL"),
        database_backend=backend,
        state_backend=None if state_url else own_variable("STATE_STORE"),
        knowledge_backend=None if knowledge_url else own_variable("KNOWLEDGE_STORE"),
        conversation_options=options,
    )


def _found(store: ConversationStore, session_id: str, address: str) -> ConversationSession:
    """Return the session.

    Raises:
        NotFoundError: there is none of this id; names the nearest.
    """
    session = store.get_session(session_id)
    if session is not None:
        return session
    there = [other.session_id for other in store.list_sessions(limit=_NEAR)]
    near = difflib.get_close_matches(session_id, there, 1)
    remedy = f"Did you mean {near[0]!r}?" if near else "Begin it: praison-persist run --session-id"
    raise NotFoundError(f"There is no session {session_id!r} in {address}. {remedy}")


def _agent_of(session: ConversationSession) -> str:
    """Return the name of the agent that the session was begun with."""
    name = (session.metadata or {}).get("agent_name") or session.agent_id
    return name if isinstance(name, str) and name else _AGENT


def _print_session(session: ConversationSession, messages: int) -> None:
    parts = [f"Session {session.session_id}"]
    if session.user_id is not None:
        parts.append(f"user {session.user_id}")
    print_line(f"{', '.join(parts)}: {messages} messages")


def _print_plan(plan: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json(plan)
        return
    for name, value in plan.items():
        print_line(f"{name}: {value}")
