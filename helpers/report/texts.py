"""The texts of the reports, one TOML file a topic and language: language/en/churn.toml."""

import tomllib
from functools import cache
from pathlib import Path

LANGUAGES = Path(__file__).parent / "language"


class WordingError(ValueError):
    """A text, a noun, a value or a whole language is missing; the message says which and where to add it."""


@cache
def texts(language: str, topic: str) -> dict:
    """The texts of a topic; WordingError when the language has no such file.

    >>> texts("en", "common")["nouns"]["customer"]["one"]
    '{n} customer'
    """
    path = LANGUAGES / language / f"{topic}.toml"
    if not path.exists():
        there = ", ".join(sorted(each.name for each in LANGUAGES.iterdir() if each.is_dir()))
        raise WordingError(f"There is no text file language/{language}/{topic}.toml. Languages present: {there}.")
    with path.open("rb") as file:
        return tomllib.load(file)
