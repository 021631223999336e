"""Notebooks run with the parameters they declare, and no others."""

import pytest

from helpers.report import execute


def test_an_unknown_parameter_is_refused_before_anything_runs(tmp_path, write_notebook):
    write_notebook("00_data_check", ["# Is it so?", 'client = "tiny"  # a folder\nas_of = "2026-10-31"', "1 / 0"])
    path = tmp_path / "notebooks" / "00_data_check.ipynb"
    with pytest.raises(execute.UnknownParameter, match="has no parameter market. .* declares: client, as_of"):
        execute.execute([path], {"client": "tiny", "market": "DE"}, tmp_path)
    assert not (tmp_path / "00_data_check.ipynb").exists()
