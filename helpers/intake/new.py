"""A new client's folder: the template as it is, or filled in from a folder of exports."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from helpers.intake import build, overlaps, read, unpack
from helpers.intake.contract import WORDS, IntakeError
from helpers.intake.find import LEAVE_OUT, unread_files
from helpers.intake.stores import Store, patterns, stores, zones_of
from helpers.settings import checked_name, client_folder, load_settings

TEMPLATE = Path(__file__).parents[2] / "data" / "_template"


class NewClient(NamedTuple):
    """The folder made, and what was found in the exports, in lines to print."""

    folder: Path
    found: list[str]


def new_client(name: str, raw: Path | None = None) -> NewClient:
    """Make data/<name> from the template; with a folder of exports, copy them in and fill client.toml from what they hold.

    Raises ValueError when the client exists, and IntakeError never: files that cannot be used are named among the findings.
    """
    folder = client_folder(checked_name(name))
    if folder.exists():
        raise ValueError(f"{folder} is there already; nothing was changed.")
    if raw is not None and not raw.is_dir():
        raise ValueError(f"{raw} is not a folder.")
    shutil.copytree(TEMPLATE, folder)
    (folder / "raw").mkdir(exist_ok=True)
    _write(folder, {"name": name.replace("-", " ").title()}, "")
    if raw is None:
        return NewClient(folder, [])
    given, aside = _copied(raw, folder / "raw")
    settings = load_settings(name)
    with build.workbench(settings, folder / "raw") as (con, scratch):
        found, batches, problems = build.staged(con, settings, folder / "raw", scratch)
        shops = stores(con, batches, [one.raw.file for one in found], settings.time_zone)
        twice = overlaps.doubled(con, sold) if (sold := overlaps.sold(batches)) is not None else []
    taken = {one.raw.file: one.match.format.title if one.match else "not recognised" for one in found if one.raw.file in given}
    said = [f"{file}: {title}" for file, title in taken.items()] + aside + [f"{one.raw.file}: {one.note}" for one in found if one.note]
    said += [str(IntakeError(problems))] if problems else []
    supplied = {target for batch in batches for target in batch.tables}
    lacking = {table.replace("_", " "): pages for table, pages in WORDS["pages"].items() if table not in supplied}
    missing = [f"Without {table}: {pages} will say what is missing." for table, pages in lacking.items()]
    if shops:
        _write(folder, _guesses(shops), _sections(shops, _not_read(found, batches), missing))
    return NewClient(folder, [*said, *map(_line, shops), *_grouped(shops), *twice, *missing])


def _copied(raw: Path, target: Path) -> tuple[set[str], list[str]]:
    """Copy the exports of a folder, those in ZIP archives too; the files, and what is said of archives and of what is not read."""
    given, said = {one.file for one in read.raw_files(raw)}, []
    for file in given:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(raw / file, target / file)
    for file, note in unread_files(raw).items():
        inside = Path(file).with_suffix("")
        try:
            names = unpack.from_zip(raw / file, target / inside, read.SUFFIXES) if file.lower().endswith(".zip") else []
        except ValueError as error:
            names, note = [], f"{error}. Unpack it by hand, and put the tables in it beside the others."
        given |= {str(inside / name) for name in names}
        said.append(f"{file}: unpacked into raw/{inside}/: {', '.join(names)}" if names else f"{file}: {note}")
    return given, said


def _guesses(stores: list[Store]) -> dict[str, str]:
    """Reporting currency and time zone: those of most orders."""
    currencies = sum((Counter(store.currency) for store in stores), Counter())
    markets = sum((Counter(store.market) for store in stores), Counter())
    own = [store.zone for store in sorted(stores, key=lambda store: (store.guessed, -store.orders)) if store.zone]
    zones = [*own, *(zones_of(max(markets, key=markets.get)) if markets else []), "UTC"]
    return {"currency": max(currencies, key=currencies.get, default="EUR"), "time_zone": zones[0]}


def _line(store: Store) -> str:
    markets = ", ".join(f"{m} {n / store.orders:.0%}" for m, n in list(store.market.items())[:5])
    span = f"{store.orders:,} orders from {store.first} to {store.last}, {', '.join(store.currency)}"
    return f"{', '.join(store.files)}: {span}; {markets or 'no ship-to country'}; {store.identified:.0%} with a known buyer"


def _grouped(shops: list[Store]) -> list[str]:
    """Which files are read as one store and why, and how to split them or bring stores together."""
    lines = []
    for store in shops:
        if len(store.names) > 1:
            named = ", ".join(store.names[:3]) + (f" … ({len(store.names)} files)" if len(store.names) > 3 else "")
            said = f"{named} are read as one store's: {store.why}"
            lines.append(f"{said}. If they are several stores', give each its own [sources.…] with its files in client.toml.")
    for form in dict.fromkeys(store.format.name for store in shops):
        alike = [", ".join(store.files) for store in shops if store.format.name == form]
        if len(alike) > 1:
            said = f"{'; '.join(alike)} are read as {len(alike)} stores: their names, order numbers or currencies differ"
            lines.append(f"{said}. If they are one store's, list the files of all under one [sources.…] in client.toml.")
    return lines


def _not_read(found: list, batches: list) -> list[tuple]:
    """The formats of order exports of which no row could be taken, each with patterns for the files' names."""
    taken, every = {file for batch in batches for file in _files(batch) if "orders" in batch.tables}, [one.raw.file for one in found]
    left = {}
    for one in found:
        if one.match and "orders" in one.match.format.tables and one.raw.file not in taken:
            left.setdefault(one.match.format.name, (one.match.format, []))[1].append(one.raw.file)
    return [(form, patterns(names, [file for file in every if file not in names])) for form, names in left.values()]


def _files(batch) -> list[str]:
    """The files of a batch that have rows left."""
    return [one.raw.file for one in batch.accounts if one.read > one.rejected]


def _sections(stores: list[Store], not_read: list[tuple], missing: list[str]) -> str:
    """The sources of client.toml as found, and what is missing, as comments."""
    lines, taken = ["# --- where the data come from, as found in the exports ---"], set()
    for store in sorted(stores, key=lambda store: -max(name.count("/") for name in store.files)):  # a bare name takes those in folders too
        key = re.sub(r"[^a-z0-9]+", "-", store.format.channel.lower())
        if sum(other.format.channel == store.format.channel for other in stores) > 1:
            key = "-".join([key, *filter(None, (re.sub(r"[^a-z0-9]+", "", word) for word in store.words))])
        key = next(name for name in (key, *(f"{key}-{k}" for k in range(2, 999))) if name not in taken)
        taken.add(key)
        files = json.dumps(store.files if len(store.files) > 1 else store.files[0], ensure_ascii=False)
        off = [f"# {LEAVE_OUT}         # leaves these payments out, where a shop's export holds the same sales"]
        lines += [
            "", f"# {_line(store)}", f"[sources.{key}]", f"files = {files}", f'format = "{store.format.name}"',
            _zone(store),
            "# tax_included = true    # prices include tax; left out, it is told from the totals where the export allows it",
            f"# covered_through = {store.last}    # its last order; say the day if the export reaches further than that",
            *(off if store.format.rule("payments") else []),
        ]  # fmt: skip
    for form, names in not_read:
        key = next(name for name in (form.channel, *(f"{form.channel}-{k}" for k in range(2, 999))) if name not in taken)
        taken.add(key)
        lines += [
            "", f"# {form.title}: not read yet; workbook check says why, and these settings may be the cure", f"[sources.{key}]",
            f"files = {json.dumps(names, ensure_ascii=False)}", f'format = "{form.name}"',
            '# currency = "EUR"               # where the export has none',
            '# time_zone = "Europe/Berlin"     # of times without an offset',
            "# tax_included = true            # prices include tax",
            "# tax_rate = 0.19                # of the prices, where the export has no tax",
        ]  # fmt: skip
    return "\n".join([*lines, "", "# Still missing:", *(f"# {line}" for line in missing), ""])


def _zone(store: Store) -> str:
    if not store.zone:
        return '# time_zone = "Europe/Berlin"  # of times without an offset'
    guess = "    # a guess, by its main market: its times say no offset; write what the shop is set to" if store.guessed else ""
    return f'time_zone = "{store.zone}"{guess}'


def _write(folder: Path, values: dict[str, str], sections: str) -> None:
    path = folder / "client.toml"
    text = path.read_text(encoding="utf-8")
    for key, value in values.items():
        text = re.sub(rf'^{key} = "[^"]*"', lambda found, k=key, v=value: f'{k} = "{v}"', text, count=1, flags=re.MULTILINE)
    if sections:
        start, end = text.index("# --- where the data come from ---"), text.index("# --- what can be done")
        text = f"{text[:start]}{sections}\n{text[end:]}"
    path.write_text(text, encoding="utf-8")
