"""A conversation goes on in another process, also when the first one was killed in a turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from local_llm import LocalLLM

from praison_persist import Run
from praison_persist.owners import is_alive, this_process

from .conftest import Open
from .driving import SESSION, agent, say
from .processes import environment, run, start
from .stored import calls, runs, said, sent

TALK = """
    from praison_persist import Agent, db

    url, session_id, *prompts = sys.argv[1:]

    def add(a: int = 0, b: int = 0) -> int:
        '''Add two numbers.'''
        return a + b

    speaker = Agent(
        name="Ada", model="gpt-4o-mini", tools=[add], db=db(url), session_id=session_id
    )
    for prompt in prompts:
        print(speaker.chat(prompt))
"""


def test_another_process_goes_on(open_db: Open, llm: LocalLLM, sqlite_url: str) -> None:
    say(agent(open_db()), "My name is Grace")
    run(TALK, sqlite_url, SESSION, 'TOOL add {"a":1}', "What is my name?", llm=llm)
    db = open_db()
    assert said(db)[-1] == "assistant: Your name is Grace."
    assert calls(db) == [("add", {"a": 1}, 1, None)]
    say(agent(db), "Go on")
    assert sent(llm) == [*said(db)[:-1]]
    assert [status for status, *_ in runs(db)] == ["completed"] * 4


def test_a_turn_whose_process_was_killed_is_interrupted_and_hidden(
    open_db: Open, llm: LocalLLM, sqlite_url: str
) -> None:
    process = start(TALK, sqlite_url, SESSION, "Hello", "SLOW 30 Never", llm=llm)
    deadline = time.monotonic() + 60
    while not any("SLOW" in str(request["messages"]) for request in llm.chat_requests):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    db = open_db()
    assert [status for status, *_ in runs(db)] == ["completed", "running"]
    # Its process lives, so that the turn may still be answered.
    say(agent(db), "Meanwhile")
    assert [status for status, *_ in runs(db)] == ["completed", "running", "completed"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    say(agent(open_db()), "Go on")
    assert [status for status, *_ in runs(db)] == [
        "completed",
        "interrupted",
        "completed",
        "completed",
    ]
    hello = ["user: Hello", "assistant: You said: Hello"]
    meanwhile = ["user: Meanwhile", "assistant: You said: Meanwhile"]
    assert sent(llm) == [*hello, *meanwhile, "user: Go on"]
    assert "user: SLOW 30 Never" in said(db)


def test_a_process_that_reuses_an_id_is_another_process() -> None:
    host, pid, started = this_process().rsplit(":", 2)
    assert is_alive(this_process())
    assert not is_alive(f"{host}:{pid}:{int(started) - 1}")


def test_a_process_of_another_host_may_live() -> None:
    _, pid, started = this_process().rsplit(":", 2)
    assert is_alive(f"elsewhere:{pid}:{started}")


@pytest.mark.parametrize("owner", [None, "", "nonsense", "a:b:c", "a:\u00b2:1"])
def test_an_owner_that_cannot_be_read_may_live(owner: str | None) -> None:
    assert is_alive(owner)


def test_an_ended_process_does_not_live() -> None:
    host = this_process().rsplit(":", 2)[0]
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert not is_alive(f"{host}:{child.pid}:1")


def test_a_killed_process_that_nobody_asked_for_does_not_live() -> None:
    """As in a container whose first process does not look after its orphans."""
    program = "import sys; from praison_persist.owners import this_process as me; print(me())"
    child = subprocess.Popen(
        [sys.executable, "-c", f"{program}; sys.stdout.flush(); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    assert child.stdout is not None
    owner = child.stdout.readline().strip()
    assert is_alive(owner)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(owner)
    child.communicate()


def test_each_run_names_its_process(open_db: Open, llm: LocalLLM) -> None:
    db = open_db()
    say(agent(db), "Hello")
    owners: list[Run] = db.get_runs(SESSION)
    assert [found.owner for found in owners] == [this_process()]
