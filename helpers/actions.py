"""Action lists on disk: drawn with the client's key, issued once a month, frozen, and read back to be judged.

A list is data/<client>/actions/<YYYY-MM>.csv. It never leaves that folder: reports show its totals alone.
"""

import hmac
import os
import tempfile
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers import periods
from helpers.client import Client
from helpers.estimates import MissingTable
from helpers.intake import privacy
from helpers.intake.contract import defused
from helpers.money import to_minor

COLUMNS = ("customer_id", "segment", "action", "channel", "arm", "expected_value", "low", "high", "cost", "market", "churn_probability")
CONTACTS = ("campaign_id", "customer_id", "arm", "sent_date", "channel", "action", "segment", "cost_rc")
DRAW_DIGITS = 13  # of the hash: 52 bits, what a float holds exactly


def campaign_id(month: str) -> str:
    """The name a month's list carries as a campaign."""
    return f"list-{month}"


def draws(shop: Client, customer_ids: pd.Series, campaign: str) -> pd.Series:
    """A number in [0, 1) for each customer: always the same for a customer, campaign and key, and guessed by nobody.

    The keyed hash (HMAC-SHA256 with the client's key) of campaign and customer: a new customer changes nobody else's draw.
    """
    key = privacy.client_key(shop.settings.client)
    hashes = customer_ids.map(lambda customer: hmac.digest(key, f"{campaign}|{customer}".encode(), "sha256").hex())
    return hashes.map(lambda digits: int(digits[:DRAW_DIGITS], 16) / 16**DRAW_DIGITS).astype("float64")


def list_path(shop: Client, month: str) -> Path:
    """Where the list of a month is, or would be."""
    return shop.settings.folder / "actions" / f"{periods.label(periods.month_start(month))}.csv"


def issue(shop: Client, month: str, chosen: pd.DataFrame) -> pd.DataFrame:
    """The month's action list: the one that was issued, else `chosen`, which is thereby issued and frozen.

    Once written, a rerun with other data or settings gives the issued list back. Nothing is written for one market alone, or
    before the month's last day; then `chosen` comes back as a preview (`is_issued` tells).
    """
    if not is_issued(shop, month):
        if shop.market or shop.as_of != periods.month_end(month):
            return chosen[list(COLUMNS)]
        _write_once(list_path(shop, month), chosen[list(COLUMNS)])
    listed = _read(list_path(shop, month))
    return listed[listed["market"] == shop.market].reset_index(drop=True) if shop.market else listed


def is_issued(shop: Client, month: str) -> bool:
    """Whether the month's list is frozen."""
    return list_path(shop, month).is_file()


def _read(path: Path) -> pd.DataFrame:
    """A list as it was issued, spreadsheet quotes taken off."""
    listed = pd.read_csv(path, dtype=dict.fromkeys((*COLUMNS[:5], "market"), "str"), keep_default_na=False)
    return listed.assign(**{c: listed[c].str.replace(r"^'(?=[=+\-@\t\r])", "", regex=True) for c in _texts(listed)})


def _write_once(path: Path, listed: pd.DataFrame) -> None:
    """The list as a whole file or none, for its owner only; of two runs at once, the first keeps its list."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    safe = listed.assign(**{c: listed[c].map(defused, na_action="ignore") for c in _texts(listed)})
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part") as part:  # made 0600
        safe.to_csv(part.name, index=False, lineterminator="\n")
        with suppress(FileExistsError):
            os.link(part.name, path)


def _texts(frame: pd.DataFrame) -> list[str]:
    return [c for c in frame.columns if not pd.api.types.is_numeric_dtype(frame[c])]


def _sent_lists(shop: Client) -> list[str]:
    """The months before as_of whose list was used: one that `workbook contacts` wrote no addresses beside was never sent."""
    folder = shop.settings.folder / "actions"
    months = sorted(path.stem for path in folder.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9].csv"))
    return [m for m in months if _sent_date(m) <= shop.as_of and any(p.stem != m for p in folder.glob(f"{m}*.csv"))]


def contacts(shop: Client) -> ir.Table:
    """Everybody contacted or held out up to as_of: the campaigns table and the sent action lists, in its columns.

    A list that also came back as an export of the mailing tool (same campaign_id) is taken from the export. With a
    market chosen, only its customers. MissingTable when there is neither.
    """
    lists = {campaign_id(month): month for month in _sent_lists(shop)}
    every = shop.table("campaigns").select(*CONTACTS) if shop.has("campaigns") or not lists else None  # neither: it says what to supply
    known = set(every.select("campaign_id").distinct().execute()["campaign_id"]) if every is not None else set()
    if frames := [_as_contacts(shop, month) for campaign, month in lists.items() if campaign not in known]:
        listed = ibis.memtable(pd.concat(frames, ignore_index=True)).cast({"sent_date": "date", "cost_rc": "int64"}).select(*CONTACTS)
        every = listed if every is None else every.union(listed)
    return every.semi_join(shop.occasions, "customer_id") if shop.market else every


def _as_contacts(shop: Client, month: str) -> pd.DataFrame:
    listed = _read(list_path(shop, month))
    cost = [0 if arm == "holdout" else to_minor(str(cost), shop.currency) for arm, cost in zip(listed["arm"], listed["cost"], strict=True)]
    return listed.assign(campaign_id=campaign_id(month), sent_date=_sent_date(month).isoformat(), cost_rc=cost)


def _sent_date(month: str) -> date:
    return periods.month_end(month) + timedelta(days=1)


def past(shop: Client) -> ir.Table | None:
    """`contacts`, or None where there are none yet."""
    try:
        return contacts(shop)
    except MissingTable:
        return None


def planned_holdout(shop: Client, campaign: str) -> float | None:
    """The share that was to be held out of a campaign, by client.toml; None for one it does not name."""
    rules, ours = shop.settings.playbook, {campaign_id(month) for month in _sent_lists(shop)}
    return rules.holdout_share if campaign in ours else rules.planned_holdouts.get(campaign)


def recently_contacted(shop: Client) -> ir.Table | None:
    """The customers within the contact gap of client.toml: contacted, or held out, so that both arms rest alike."""
    every = past(shop)
    if every is None:
        return None
    since = shop.as_of - timedelta(days=shop.settings.playbook.contact_gap_days)
    return every.filter(_.sent_date > ibis.literal(since)).select("customer_id").distinct()
