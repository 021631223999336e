"""Survey answers in the canonical columns."""

import ibis
import numpy as np
import pandas as pd


def said(kind, scores, scale, direction="higher", customers=None, day="2026-01-15", **more):
    """A survey table: one answer each, in the canonical columns."""
    ids = customers if customers is not None else [f"{k:04x}" for k in range(len(scores))]
    frame = pd.DataFrame({"customer_id": pd.Series(ids, dtype="str"), "score": np.asarray(scores, "float64")})
    frame = frame.assign(kind=kind, survey_id="s1", market="DE", answered_date=day, direction=direction,
                         scale_min=float(scale[0]), scale_max=float(scale[1]),
                         sent_id="i" + frame["customer_id"].fillna("0"), **more)
    return ibis.memtable(frame).cast({"answered_date": "date"})
