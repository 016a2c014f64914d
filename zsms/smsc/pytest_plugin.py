"""The pytest fixture `fake_smsc`, for everybody who has zsms installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from zsms.smsc.rules import Rules
    from zsms.smsc.server import FakeSmsc


@pytest.fixture
def fake_smsc() -> Iterator[Callable[..., FakeSmsc]]:
    """Starts a fake SMSC on a free port: `fake_smsc(Rules(...), seed=1)`. It ends with the test."""
    from zsms.smsc.server import FakeSmsc

    with ExitStack() as stack:

        def start(rules: Rules | None = None, **options: Any) -> FakeSmsc:
            return stack.enter_context(FakeSmsc(rules, **options))

        yield start
