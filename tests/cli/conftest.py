"""No file of this machine and no variable of whoever runs the tests speaks to a command that is tested."""

import os
from functools import partial
from pathlib import Path

import pytest

from smtpguard import config


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("SMTPGUARD_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("NO_COLOR", raising=False)
    file = tmp_path / "etc" / "smtpguard.toml"
    monkeypatch.setattr(config, "default_file", partial(config.default_file, file))
