"""Retention metrics for sellers who ship to several countries. Data goes down this list and never up it:

    periods · money · schema · estimates   words everyone uses
    settings                               client.toml as a typed object
    intake                                 raw exports → checked tables
    client                                 the tables as of a date, on the chosen engine
    metrics                                lazy tables in, small frames out
    report                                 sentences, charts, pages, index
    cli                                    the `workbook` command
"""
