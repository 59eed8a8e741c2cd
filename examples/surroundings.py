"""What the examples run in: the folder demo-data/, and a model.

The model is OpenAI's if OPENAI_API_KEY is set, else the scripted one of local_llm.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from local_llm import LocalLLM

__all__ = ["surroundings"]

# What keeps praisonaiagents, litellm and opentelemetry from sending usage data.
_UNTRACKED = {
    "PRAISONAI_TELEMETRY_DISABLED": "true",
    "DO_NOT_TRACK": "true",
    "OTEL_SDK_DISABLED": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}


@contextmanager
def surroundings(*, chunk_delay_s: float = 0.0) -> Iterator[Path]:
    """Work in demo-data/ (or in PRAISON_DEMO_DATA) with a model; yield the folder.

    The agent's own files, such as .praisonai/, end up in that folder too.

    Args:
        chunk_delay_s: how long the scripted model waits after each part of a stream.
    """
    folder = Path(__file__).parent.parent / "demo-data"
    folder = Path(os.environ.get("PRAISON_DEMO_DATA", folder)).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(_UNTRACKED, PRAISONAI_HOME=str(folder / ".praisonai"))
    with chdir(folder):
        if os.environ.get("OPENAI_API_KEY"):
            yield folder
            return
        with LocalLLM(chunk_delay_s=chunk_delay_s) as llm:
            os.environ.update(llm.environment())
            print(
                "OPENAI_API_KEY is not set: the model is examples/local_llm.py, a scripted one.\n"
            )
            yield folder
