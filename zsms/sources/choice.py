"""Which messages somebody's settings ask for: random ones, or those of a list."""

from __future__ import annotations

from dataclasses import dataclass

from zsms import kinds
from zsms.errors import UsageError
from zsms.fields import entry
from zsms.sources.mix import LANGUAGES
from zsms.sources.random import DEFAULT_ALPHABET, DEFAULT_PREFIXES, MESSAGES, RandomSource

MADE = ("run", "plan", "producer")
"""Commands that make messages."""


@dataclass(frozen=True, slots=True)
class MessageSettings:
    """Which messages: random ones, or those of a list."""

    messages: int | None = entry(
        None,
        "Random messages to send; of --input the first so many.",
        kinds.WHOLE,
        unless="100000, or all of --input",
        on=MADE,
    )
    input: str | None = entry(
        None,
        "Real messages: a .csv (columns recipient, text) or .jsonl file, a named pipe, or - for standard input.",
        kinds.TEXT,
        unless="random messages",
        on=MADE,
        metavar="FILE",
        completes="file",
    )
    input_format: str | None = entry(
        None,
        "What --input is.",
        kinds.one_of("csv", "jsonl"),
        unless="what its name says, else what it begins with",
        on=MADE,
    )
    skip_bad_rows: bool = entry(False, "Count and leave out rows that are no messages.", kinds.FLAG, on=MADE)
    unique: bool = entry(False, "Leave out rows of --input whose recipient came before.", kinds.FLAG, on=MADE)
    seed: int | None = entry(
        None,
        "Makes the run's random draws repeatable.",
        kinds.WHOLE,
        unless="one is drawn",
        on=("run", "plan", "producer", "sender", "broker"),
        strict=True,
        differs={
            "sender": {"help": "Makes the drawn times and failures repeatable."},
            "broker": {"help": "Makes the jitter of retries repeatable."},
        },
    )
    min_length: int = entry(1, "Shortest random text, characters.", kinds.COUNT, on=MADE)
    max_length: int = entry(100, "Longest random text, characters.", kinds.COUNT, on=MADE)
    alphabet: str | None = entry(
        None, "Characters of random texts.", kinds.TEXT, unless="ASCII from space to underscore", on=MADE
    )
    texts: tuple[str, ...] = entry(
        (),
        "Random texts of a language and of so many characters, and their share; repeatable: en:20-160=0.7. Languages: "
        f"{', '.join(LANGUAGES)}.",
        kinds.TEXTS,
        unless="1 to 100 characters of --alphabet",
        on=MADE,
        metavar="LANGUAGE:SHORTEST-LONGEST=SHARE",
    )
    prefixes: tuple[str, ...] = entry(
        (),
        "Beginning of random numbers, repeatable.",
        kinds.TEXTS,
        unless="+1 and an area code 37x or 96x, assigned to nobody",
        on=MADE,
        option="prefix",
        metavar="DIGITS",
    )

    @property
    def total(self) -> int | None:
        """How many messages there are to be; None when only their list knows."""
        return MESSAGES if self.messages is None and self.input is None else self.messages


def random_of(wanted: MessageSettings, share: tuple[int, int] = (0, 1)) -> RandomSource:
    """Part `share` of the random messages that are wanted. Raises UsageError."""
    return RandomSource(
        MESSAGES if wanted.messages is None else wanted.messages,
        wanted.seed,
        share=share,
        min_length=wanted.min_length,
        max_length=wanted.max_length,
        alphabet=DEFAULT_ALPHABET if wanted.alphabet is None else wanted.alphabet,
        texts=wanted.texts,
        prefixes=wanted.prefixes or DEFAULT_PREFIXES,
    )


def check_messages(wanted: MessageSettings) -> None:
    """Raise UsageError for random messages that can't be, and for what means nothing beside a list."""
    given = {
        "--min-length": wanted.min_length != 1,
        "--max-length": wanted.max_length != 100,
        "--alphabet": wanted.alphabet is not None,
    }
    if wanted.input is None:
        for option in (name for name, there in given.items() if there and wanted.texts):
            raise UsageError(f"{option} means nothing beside --texts, which say it of each kind: leave one of them out")
        random_of(wanted)
        return
    given |= {
        "--texts": bool(wanted.texts),
        "--prefix": bool(wanted.prefixes),
    }
    for option in (name for name, there in given.items() if there):
        raise UsageError(f"{option} is about random messages and means nothing beside --input: leave one of them out")
