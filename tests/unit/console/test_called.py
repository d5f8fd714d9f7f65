"""Words for pages that are made elsewhere say every event without its values."""

import pytest

from gateway.console.words import called
from gateway.ledger.actions import Action


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_event_is_a_whole_sentence_without_its_values(action: Action, language: str) -> None:
    said = called("event", action, language)
    assert "{" not in said
    assert said != action
    assert said[:1] == said[:1].upper()


def test_what_is_not_known_stands_for_itself() -> None:
    assert called("state", "of another time", "vi") == "of another time"
    assert called("standing", "valid", "en") == "Valid"
