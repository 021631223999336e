"""A client made of files given in the test, built by the real intake in a temporary home."""

from pathlib import Path

import exports
import pandas as pd
import pytest

from helpers.intake import build
from helpers.intake.contract import IntakeError
from helpers.settings import load_settings


class Shop:
    """A client's folder: put files in, build, look at the tables."""

    def __init__(self, home: Path):
        self.home, self.folder = home, home / "data" / "acme"
        self.raw = self.folder / "raw"
        self.raw.mkdir(parents=True)
        self.settle("")

    def settle(self, more: str) -> None:
        """Write client.toml: the usual lines and these."""
        (self.folder / "client.toml").write_text(exports.CLIENT + more, encoding="utf-8")

    def put(self, **files) -> "Shop":
        """Write raw files: name (with _ for the point before the suffix) to text or bytes."""
        for name, content in files.items():
            stem, _, suffix = name.rpartition("_")
            self.write(f"{stem}.{suffix}", content)
        return self

    def write(self, name: str, content: str | bytes) -> None:
        """Write one raw file."""
        (self.raw / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def problem(self, **options) -> str:
        """The message a build fails with."""
        with pytest.raises(IntakeError) as caught:
            self.build(**options)
        return str(caught.value)

    @property
    def settings(self):
        """The client's settings as they stand."""
        return load_settings("acme")

    def build(self, **options):
        """Build the tables."""
        return build.build(self.settings, **options)

    def table(self, name: str) -> pd.DataFrame:
        """A built table."""
        return pd.read_parquet(self.folder / "tables" / f"{name}.parquet")


def _shop(home: Path, monkeypatch) -> Shop:
    monkeypatch.setenv("WORKBOOK_HOME", str(home))
    monkeypatch.setenv("WORKBOOK_KEYS", str(home / "keys"))
    return Shop(home)


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Shop:
    """An empty client."""
    return _shop(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> Shop:
    """A client with one file of every format, built once."""
    with pytest.MonkeyPatch.context() as patch:
        made = _shop(tmp_path_factory.mktemp("everything"), patch)
        made.settle(exports.SOURCES)
        for name, text in exports.FILES.items():
            made.write(name, text)
        made.result = made.build()
        yield made
