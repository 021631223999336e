"""The way back from pseudonyms to addresses, for one action list, on this machine only."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd

from helpers.intake import build, privacy, read
from helpers.intake.contract import defused
from helpers.intake.find import find
from helpers.intake.recognise import headers_in
from helpers.periods import label, month_start
from helpers.settings import Settings, load_settings


def contacts(client: str, month: str, raw: Path | None = None) -> Path:
    """A month's action list with e-mail addresses, for the mailing tool: data/<client>/actions/<month>-contacts.csv.

    Customers held out at random are left out: they must not be contacted. Addresses are looked up in the raw exports and stand
    nowhere else; the file is readable by its owner only. Raises ValueError when the month has no list.
    """
    settings, month = load_settings(client), label(month_start(month))
    path = settings.folder / "actions" / f"{month}.csv"
    if not path.is_file():
        raise ValueError(f"There is no action list for {month}: {path} does not exist. Notebook 06 issues it.")
    listed = pd.read_csv(path, dtype=str, keep_default_na=False)
    listed = listed[listed["arm"] != "holdout"]
    known = addresses(settings, raw)
    listed.insert(0, "email", listed["customer_id"].map(known).map(defused, na_action="ignore"))
    out = path.with_name(f"{month}-contacts.csv")
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        listed.dropna(subset="email").to_csv(file, index=False)
    return out


def addresses(settings: Settings, raw: Path | None = None) -> dict[str, str]:
    """Pseudonym → e-mail of everybody in the raw exports. Keep it in memory, and no longer than needed."""
    folder, key, found = raw or settings.folder / "raw", privacy.client_key(settings.client), {}
    with tempfile.TemporaryDirectory(prefix=".build-", dir=settings.folder) as name:
        con = build.open_workbench(Path(name), folder)
        for one in find(settings, folder, Path(name)):
            if one.match is None:
                continue
            specs = [spec.get(c) for spec in one.match.format.tables.values() for c in ("email", "referrer_email")]
            columns = {ours: theirs for ours, theirs in one.match.columns.items() if ours in headers_in(specs)}
            if columns:
                only = replace(one, match=replace(one.match, columns=columns))
                rows = read.load(con, f"raw_{one.index}", [only], Path(name), one.match.format.rule("quote", '"'))
                for header in columns.values():
                    for email in con.to_pandas(rows.select(email=rows[header]).distinct())["email"].dropna():
                        mail = privacy.normalised(email, settings.privacy.gmail_aliases)
                        found[privacy.pseudonym(key, mail)] = mail
        con.disconnect()
    return found
