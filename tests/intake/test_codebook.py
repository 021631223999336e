"""data/README.md: its codebook is the schema's, and its example of a new export format works as printed."""

import re
from pathlib import Path

from helpers import schema

README = Path(__file__).parents[2] / "data" / "README.md"


def example(kind: str) -> str:
    """The code block of the README marked as example."""
    return re.search(rf"```{kind} example\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL).group(1)


def codebook() -> str:
    """Every table and column of the schema as Markdown."""
    lines = []
    for name, table in schema.TABLES.items():
        unique = f" Unique by {', '.join(table.key)}." if table.key else ""
        lines += [f"### {name}", "", f"One row per {table.row}.{unique}", ""]
        lines += ["| column | type | meaning |", "| --- | --- | --- |"]
        for column in table.columns:
            kind = column.dtype.split("(")[0] + ("" if column.required else ", may be null")
            values = f" ({', '.join(column.values)})" if column.values else ""
            lines.append(f"| {column.name} | {kind} | {column.meaning}{values} |")
        lines.append("")
    return "\n".join(lines)


def test_the_codebook_is_the_schemas():
    text = README.read_text(encoding="utf-8")
    assert text[text.index("### orders") :].rstrip() == codebook().rstrip(), "write codebook() at the end of data/README.md"


def test_the_printed_format_reads_the_printed_export(shop):
    (shop.folder / "formats").mkdir()
    (shop.folder / "formats" / "basar.toml").write_text(example("toml"), encoding="utf-8")
    shop.write("basar_2026.csv", example("csv"))
    files = shop.build().files.iloc[0]
    assert (files["format"], files["rows_read"], files["rows_ignored"], files["raw_minor"]) == ("basar", 3, 1, 114_900)
    orders = shop.table("orders").set_index("order_id")
    assert orders.loc["B-1", ["net_minor", "market", "status"]].tolist() == [113_900, "DE", "paid"]
    assert orders.loc["B-2", ["market", "status"]].tolist() == ["AT", "cancelled"]
    assert shop.table("order_lines")["net_rc"].sum() == 114_900
