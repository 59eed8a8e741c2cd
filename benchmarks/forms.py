"""How long and how large a run is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["FORMS", "FULL", "SHORT", "SMOKE", "Form"]


@dataclass(frozen=True, slots=True)
class Form:
    """Sizes of a run; times in seconds.

    Attributes:
        slice_s: of one contender's turn at being measured.
        rounds: of pairs, where one message is appended after the other.
        fewer_rounds: of pairs elsewhere.
        limit_s: after which no further round of a comparison begins, if there were three.
        crowd_s, crowd_rounds: the same where agents append at once.
        agents: how many do.
        widths: the numbers of agents of the sweep.
        history: messages of the session whose newest and middle are read.
        lengths: messages of the sessions that grow.
        counts: sessions of the databases that grow.
        others: to which of these sizes praisonai is measured, which reads all of them.
        starts: processes of each contender that start.
        appends: that fsyncs and bytes are counted of.
        documents: with embeddings of 384 numbers, that are searched.
    """

    name: str
    slice_s: float
    rounds: int
    fewer_rounds: int
    limit_s: float
    crowd_s: float
    crowd_rounds: int
    agents: int
    widths: tuple[int, ...]
    history: int
    lengths: tuple[int, ...]
    counts: tuple[int, ...]
    others: int
    starts: int
    appends: int
    documents: int


SMOKE: Final = Form(
    name="smoke",
    slice_s=0.01,
    rounds=2,
    fewer_rounds=1,
    limit_s=60,
    crowd_s=0.05,
    crowd_rounds=1,
    agents=4,
    widths=(1, 2),
    history=200,
    lengths=(100, 200),
    counts=(10, 100),
    others=100,
    starts=1,
    appends=20,
    documents=200,
)
SHORT: Final = Form(
    name="short",
    slice_s=0.12,
    rounds=6,
    fewer_rounds=3,
    limit_s=25,
    crowd_s=0.4,
    crowd_rounds=3,
    agents=64,
    widths=(1, 2, 4, 8, 16, 64, 256),
    history=100_000,
    lengths=(1_000, 10_000, 100_000, 1_000_000),
    counts=(100, 1_000, 10_000, 100_000, 1_000_000),
    others=10_000,
    starts=5,
    appends=200,
    documents=20_000,
)
FULL: Final = Form(
    name="full",
    slice_s=0.2,
    rounds=15,
    fewer_rounds=9,
    limit_s=600,
    crowd_s=0.8,
    crowd_rounds=7,
    agents=64,
    widths=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    history=100_000,
    lengths=(1_000, 10_000, 100_000, 1_000_000),
    counts=(100, 1_000, 10_000, 100_000, 1_000_000),
    others=100_000,
    starts=15,
    appends=400,
    documents=100_000,
)
FORMS: Final = {form.name: form for form in (SMOKE, SHORT, FULL)}
