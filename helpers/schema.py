"""The canonical tables of schema.toml. The codebook in data/README.md says the same, and a test keeps it so."""

import tomllib
from pathlib import Path
from typing import NamedTuple


class Column(NamedTuple):
    """One column: its Ibis type, whether it must be filled, its meaning and unit, and the only values it may hold."""

    name: str
    dtype: str
    required: bool
    meaning: str
    values: tuple[str, ...]


class Table(NamedTuple):
    """One canonical table: what a row is, its columns, those that make it unique, the day that as_of cuts, how to supply it."""

    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    day: str | None = None
    supply: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in their written order."""
        return tuple(column.name for column in self.columns)

    @property
    def dtypes(self) -> dict[str, str]:
        """Column name to Ibis type."""
        return {column.name: column.dtype for column in self.columns}

    def values(self, name: str) -> tuple[str, ...]:
        """The only values that the column of that name may hold."""
        return self.columns[self.names.index(name)].values


def _table(written: dict) -> Table:
    columns = tuple(Column(name, kind.removeprefix("!"), kind.startswith("!"), meaning, tuple(values))
                    for name, (kind, meaning, *values) in written["columns"].items())
    return Table(**written | {"columns": columns, "key": tuple(written.get("key", ()))})


TABLES = {name: _table(written) for name, written in tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8")).items()}
OPTIONAL = tuple(name for name, table in TABLES.items() if table.supply)
ALWAYS = tuple(name for name in TABLES if name not in OPTIONAL)

ORDER_STATUSES = TABLES["orders"].values("status")
COST_COMPONENTS = TABLES["retention_costs"].values("component")
ALLOCATIONS = TABLES["retention_costs"].values("allocation")
