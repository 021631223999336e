"""Definitions: lazy tables in, small frames out. Start at `occasions`; then a room for each question, in this order:

    groups       who stands beside whom: markets shown, the same mix, corrected tests
    retention    do customers come back?                          churn        how fast do we lose them?
    acquisition  what does winning one cost?                      value        what is one worth?
    costs        what does keeping one cost?                      risk         whom should we try to keep?
    campaigns    with what, and did it work?                      voice        what do they say?

Beside the rooms: quality and completeness of the data, and what markets are compared by, which draw on several of them.
"""
