"""What lies in a folder of exports and is not read: archives, old workbooks, sheets, payments left out. Named, with what to do."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

from helpers.intake.doubled import LEAVE_OUT
from helpers.intake.read import SUFFIXES

ARCHIVES = {".zip", ".gz", ".7z", ".rar", ".tar", ".bz2", ".xz", ".tgz"}
WORKBOOKS = {".xls", ".xlsm", ".xlsb", ".ods", ".numbers"}


def unread_files(folder: Path) -> dict[str, str]:
    """Files of a folder, by name, that are in no way the workbook reads, each with what it is and what to do about it."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        file = path.relative_to(folder)
        if path.suffix.lower() in SUFFIXES or any(part.startswith((".", "~$")) for part in file.parts):
            continue
        if path.suffix.lower() in ARCHIVES:
            found[str(file)] = f"it is not read: an archive{_members(path)}. Unpack it here and take the archive away."
        elif path.suffix.lower() in WORKBOOKS:
            found[str(file)] = "it is not read: a workbook of another kind. Save it as .xlsx or CSV."
        else:
            kind = path.suffix or "a file without an ending"
            found[str(file)] = f"it is not read: {kind} is no table. If it holds data, save it as CSV or .xlsx."
    return found


def notes(found: Iterable, folder: Path) -> dict[str, str]:
    """By file of a folder, what of it is not read and what to do: whole files, sheets of workbooks, payments left out."""
    said = {one.raw.file: one.note for one in found if one.note}
    said |= {one.raw.file: f"it is left out: [sources.{one.source}] says {LEAVE_OUT}." for one in found if one.left_out}
    return said | unread_files(folder)


def _members(path: Path) -> str:
    """The first files in an archive, if it is one that can be looked into."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [member.filename for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError):
        return ""
    return f" that holds {', '.join(names[:3])}{' …' if len(names) > 3 else ''}" if names else " that is empty"
