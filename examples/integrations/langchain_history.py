"""A chain of LangChain whose second process knows what the first was told.

Run it twice: `python examples/integrations/langchain_history.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory

from praison_persist import db
from praison_persist.integrations.langchain import PersistChatHistories

SESSION: RunnableConfig = {"configurable": {"session_id": "user-123"}}


def answer(messages: list[BaseMessage]) -> AIMessage:
    """Answer in place of a model: with the name, if somebody told it."""
    told = [str(each.content) for each in messages if "My name is" in str(each.content)]
    if not told:
        return AIMessage("I do not know your name.")
    return AIMessage(f"Your name is {told[0].split()[-1].strip('.')}.")


def main() -> None:
    """Say something in the first process, and ask for it in the second."""
    folder = Path(os.environ.get("PRAISON_DEMO_DATA", "demo-data"))
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder / 'langchain.db'}"
    with PersistChatHistories(url, user_id="ada") as histories:
        known = len(histories("user-123").messages)
        print(f"{known} messages are known.")
        chain = RunnableWithMessageHistory(RunnableLambda(answer), histories)
        question = "What is my name?" if known else "My name is Ada."
        print(chain.invoke([HumanMessage(question)], SESSION).content)
    with db(database_url=url) as store:
        for message in store.get_messages("user-123"):
            print(f"  {message.seq:3}  {message.role:9}  {message.content}")


if __name__ == "__main__":
    main()
