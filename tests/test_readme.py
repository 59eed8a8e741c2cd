"""The tables of README and of its documents are those of the code."""

from __future__ import annotations

import dataclasses
import inspect

from praison_persist import PraisonAIDB
from praison_persist.sql.options import SQLOptions
from praison_persist.sql.url import parse_url

from .documents import DOCS, cells, code
from .programs import ROOT

README = ROOT / "README.md"


def test_the_options_are_those_of_the_code() -> None:
    document = DOCS / "options.md"
    shown = {
        code(name): code(default)
        for name, default, _unit, _meaning in cells(document, "| option | default | unit |")
    }
    assert shown == {field.name: repr(field.default) for field in dataclasses.fields(SQLOptions)}
    parameters = inspect.signature(PraisonAIDB).parameters
    shown = {
        code(name): code(default)
        for name, default, _meaning in cells(document, "| option | default | meaning |")
    }
    assert shown == {
        name: repr(parameter.default)
        for name, parameter in parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    }


def test_the_urls_mean_what_the_table_says() -> None:
    for url, database, sync, asynchronous, extra in cells(
        DOCS / "conversations.md", "| URL | database |"
    ):
        target = parse_url(code(url))
        assert target.dialect.name in database.lower()
        drivers = [target.driver(is_async=False)]
        assert sync in (drivers[0].name, drivers[0].module)
        if not any(driver.is_async for driver in target.dialect.drivers):
            assert asynchronous == f"{sync} in a thread"
        elif not target.memory:
            drivers.append(target.driver(is_async=True))
            assert asynchronous == drivers[1].name
        named = set() if extra == "none" else set(map(code, extra.split(", ")))
        assert {driver.extra for driver in drivers} - {""} == named


def test_the_imports_for_those_who_switch_work() -> None:
    for _there, here in cells(README, "| there | here |"):
        if "import " in here:
            exec(code(here), {})
