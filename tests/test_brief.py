"""What the gate keeps of a class marked `again` is there: a stale name would drop tests."""

from __future__ import annotations

from importlib import import_module

import pytest

from praison_persist.testing import ConversationStoreContract, KnowledgeStoreContract

from . import brief


@pytest.mark.parametrize("name", sorted(brief.DEPEND_ON_THE_DRIVER))
def test_a_contract_that_is_kept_has_tests_of_its_own(name: str) -> None:
    module, _, suite = name.partition(".")
    own = vars(getattr(import_module(brief.SUITES + module), suite))
    assert any(test.startswith("test_") for test in own)


@pytest.mark.parametrize("name", sorted(brief.DEPEND_ON_THE_ENGINE))
def test_a_test_that_is_left_out_exists(name: str) -> None:
    assert hasattr(ConversationStoreContract, name) or hasattr(KnowledgeStoreContract, name)
