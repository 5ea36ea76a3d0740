"""Trees in memory, loaded with the toy driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.driver import DriverSpec
from gateway.errors import ConfigError, Problem
from gateway.settings.loader import load_files
from gateway.settings.types import GatewaySettings
from rules.expression import RuleExpressions
from tests.unit.settings.toy import GATEWAY, TOY, Faults, Load, Secrets


@pytest.fixture
def load() -> Load:
    """Load files given by path; `gateway.yaml` may be left out."""

    def run(
        files: Mapping[str, str | bytes] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        drivers: Mapping[str, DriverSpec] | None = None,
        **more: Any,
    ) -> GatewaySettings:
        tree = {"gateway.yaml": GATEWAY, **(files or {})}
        more.setdefault("expressions", RuleExpressions())
        return load_files(tree, drivers or {"toy": TOY}, env=env or {}, credentials=Secrets(secrets), **more)

    return run


@pytest.fixture
def faults(load: Load) -> Faults:
    """The problems of files that must not load."""

    def run(*args: Any, **more: Any) -> list[Problem]:
        with pytest.raises(ConfigError) as caught:
            load(*args, **more)
        return caught.value.problems

    return run
