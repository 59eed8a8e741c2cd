"""A chat engine of LlamaIndex whose second process knows what the first was told.

Run it twice: `python examples/integrations/llama_index_memory.py`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatMessage, MockFunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer

from praison_persist import db
from praison_persist.integrations.llama_index import PersistChatStore


def answer(messages: Sequence[ChatMessage], **_options: Any) -> ChatMessage:
    """Answer in place of a model: with the name, if somebody told it."""
    told = [each.content for each in messages if "My name is" in (each.content or "")]
    if not told:
        return ChatMessage("I do not know your name.", role="assistant")
    return ChatMessage(f"Your name is {str(told[0]).split()[-1].strip('.')}.", role="assistant")


def main() -> None:
    """Say something in the first process, and ask for it in the second."""
    folder = Path(os.environ.get("PRAISON_DEMO_DATA", "demo-data"))
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder / 'llama_index.db'}"
    with PersistChatStore(url, user_id="ada") as chats:
        known = len(chats.get_messages("user-123"))
        print(f"{known} messages are known.")
        memory = ChatMemoryBuffer.from_defaults(
            chat_store=chats, chat_store_key="user-123", token_limit=3000
        )
        model = MockFunctionCallingLLM(response_generator=answer)
        engine = SimpleChatEngine.from_defaults(llm=model, memory=memory)
        print(engine.chat("What is my name?" if known else "My name is Ada."))
    with db(database_url=url) as store:
        for message in store.get_messages("user-123"):
            print(f"  {message.seq:3}  {message.role:9}  {message.content}")


if __name__ == "__main__":
    main()
