"""Worker processes share sessions on one database; one is killed in a turn, another takes over.

The database is SQLite, or what PRAISON_CONVERSATION_URL names.
"""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.process import BaseProcess
from multiprocessing.queues import JoinableQueue

from surroundings import surroundings

from praison_persist import Agent, PraisonAIDB, Run, db, get_env_var

WORKERS, SESSIONS = 3, ("ada", "bob", "eve", "joe")
SLOW, SLOW_S = "slow", 8

Job = tuple[str, str]  # session id, prompt


def work(url: str, jobs: JoinableQueue[Job | None]) -> None:
    """Answer prompts until there is None; any worker may go on with any session."""
    with db(database_url=url) as store:
        while (job := jobs.get()) is not None:
            session_id, prompt = job
            agent = Agent(name="Worker", db=store, session_id=session_id, user_id=session_id)
            agent.chat(prompt)
            jobs.task_done()


def kill_in_a_turn(store: PraisonAIDB, worker: BaseProcess) -> None:
    """Wait until the worker is in a turn of the slow session, and kill it."""
    deadline = time.monotonic() + 60
    while not store.get_messages(SLOW):  # the question is stored, the answer is waited for
        if time.monotonic() > deadline or not worker.is_alive():
            raise RuntimeError("The worker began no turn")
        time.sleep(0.02)
    worker.kill()
    worker.join()  # a process that was not waited for counts as one that lives


def runs_of(store: PraisonAIDB, session_id: str) -> list[Run]:
    """Return the runs of a session, oldest first; none if nobody has begun it."""
    if store.get_session(session_id) is None:
        return []
    return list(reversed(store.get_runs(session_id)))


def main() -> None:
    """Kill a worker, let a pool answer everybody and finish its job, and count."""
    # spawn: a forked process would share connections, which nothing survives.
    context = multiprocessing.get_context("spawn")
    with surroundings():
        url = get_env_var("conversation_url") or "sqlite:///workers.db"
        with db(database_url=url, strict=True) as store:
            for session_id in (*SESSIONS, SLOW):
                store.delete_session(session_id)

            slow: Job = (SLOW, f"SLOW {SLOW_S} My name is Slow.")
            jobs: JoinableQueue[Job | None] = context.JoinableQueue()
            jobs.put(slow)
            victim = context.Process(target=work, args=(url, jobs))
            victim.start()
            kill_in_a_turn(store, victim)
            print(f"Killed: its run is {[run.status for run in runs_of(store, SLOW)]}")

            # Who took a job with a killed worker gives out a new queue: its locks may be held.
            jobs = context.JoinableQueue()
            pool = [context.Process(target=work, args=(url, jobs)) for _ in range(WORKERS)]
            for worker in pool:
                worker.start()
            jobs.put(slow)
            for prompt in ("My name is {}.", "What is my name?"):
                for name in SESSIONS:
                    jobs.put((name, prompt.format(name.title())))
                jobs.join()  # what is asked next builds on it
            for _ in pool:
                jobs.put(None)
            for worker in pool:
                worker.join()

            for session_id in SESSIONS:
                messages = store.get_messages(session_id)
                print(f"{session_id}: {len(messages)} messages, {messages[-1].content}")
            print(f"Taken over: its runs are {[run.status for run in runs_of(store, SLOW)]}")
            print(f"Answered: {store.get_messages(SLOW)[-1].content}")


if __name__ == "__main__":
    main()
