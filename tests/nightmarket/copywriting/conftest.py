"""The catalogue's names, once."""

import pytest

from nightmarket.copywriting.guard.names import Lexicon
from nightmarket.copywriting.phrases import vocabulary
from tests.made_up.copy import CATALOGUE


@pytest.fixture(scope="session")
def lexicon():
    """Names of a catalogue with other products than those of the facts."""
    return Lexicon(CATALOGUE, vocabulary())
