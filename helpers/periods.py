"""Days, months and the periods between them, in the client's local calendar."""

import calendar
from dataclasses import dataclass
from datetime import date, timedelta

DAYS_PER_YEAR = 365.25
DAYS_PER_MONTH = DAYS_PER_YEAR / 12


def as_date(day: str | date) -> date:
    """The date written as YYYY-MM-DD (a date passes through).

    >>> as_date("2026-10-31")
    datetime.date(2026, 10, 31)
    """
    try:
        return day if isinstance(day, date) else date.fromisoformat(day)
    except ValueError:
        raise ValueError(f"'{day}' is not a date. Write it as 2026-10-31.") from None


def month_start(day: str | date) -> date:
    """The first day of the month of a date, or of a month written as YYYY-MM.

    >>> month_start("2026-10")
    datetime.date(2026, 10, 1)
    """
    if isinstance(day, date):
        return day.replace(day=1)
    try:
        return date.fromisoformat(f"{day}-01" if len(day) == len("2026-10") else day).replace(day=1)
    except ValueError:
        raise ValueError(f"'{day}' is not a month. Write it as 2026-10.") from None


def month_end(day: str | date) -> date:
    """The last day of the month of a date, or of a month written as YYYY-MM.

    >>> month_end("2024-02")
    datetime.date(2024, 2, 29)
    """
    start = month_start(day)
    return start.replace(day=calendar.monthrange(start.year, start.month)[1])


def label(day: date) -> str:
    """The month of a date as YYYY-MM, the form used in metrics.json.

    >>> label(date(2026, 10, 31))
    '2026-10'
    """
    return f"{day:%Y-%m}"


def add_months(day: date, months: int) -> date:
    """The same day of the month, some months on; a month end stays a month end.

    >>> add_months(date(2026, 10, 31), -8), add_months(date(2026, 2, 28), 1)
    (datetime.date(2026, 2, 28), datetime.date(2026, 3, 31))
    """
    first = date(day.year + (day.month - 1 + months) // 12, (day.month - 1 + months) % 12 + 1, 1)
    last = month_end(first)
    return last if day == month_end(day) else first.replace(day=min(day.day, last.day))


def months_between(earlier: date, later: date) -> int:
    """Calendar months from one month to another, whatever the days.

    >>> months_between(date(2025, 11, 30), date(2026, 2, 1))
    3
    """
    return (later.year - earlier.year) * 12 + later.month - earlier.month


def last_complete_month(as_of: date) -> str:
    """The newest month that ended on or before as_of, as YYYY-MM.

    >>> last_complete_month(date(2026, 10, 30)), last_complete_month(date(2026, 10, 31))
    ('2026-09', '2026-10')
    """
    return label(as_of if as_of == month_end(as_of) else month_start(as_of) - timedelta(days=1))


@dataclass(frozen=True)
class Period:
    """A run of local days, both ends included.

    t0 is the eve of the first day (the state before anything in the period happened), t1 the last day.

    >>> october = Period.month("2026-10")
    >>> october.t0, october.t1, october.days, october.label
    (datetime.date(2026, 9, 30), datetime.date(2026, 10, 31), 31, '2026-10')
    """

    start: date
    end: date

    def __post_init__(self):
        if self.end < self.start:
            raise ValueError(f"The period ends on {self.end}, before it starts on {self.start}.")

    @classmethod
    def month(cls, month: str | date) -> "Period":
        """The calendar month of a date or of YYYY-MM."""
        return cls(month_start(month), month_end(month))

    @classmethod
    def trailing(cls, as_of: date, months: int) -> "Period":
        """The months that end with as_of: three trailing months of 2026-10-31 begin on 2026-08-01.

        >>> Period.trailing(date(2026, 10, 31), 12).start
        datetime.date(2025, 11, 1)
        """
        return cls(add_months(as_of, -months) + timedelta(days=1), as_of)

    @property
    def t0(self) -> date:
        """The eve of the first day: where a rate over the period starts."""
        return self.start - timedelta(days=1)

    @property
    def t1(self) -> date:
        """The last day: where a rate over the period ends."""
        return self.end

    @property
    def days(self) -> int:
        """Days in the period, both ends counted."""
        return (self.end - self.start).days + 1

    def covers(self, day):
        """Whether the days of a column, lazy or not, lie in the period.

        >>> import pandas as pd
        >>> Period.month("2026-10").covers(pd.Series([date(2026, 10, 31), date(2026, 11, 1)])).tolist()
        [True, False]
        """
        return day.between(self.start, self.end)

    @property
    def label(self) -> str:
        """YYYY-MM for a calendar month, else first and last day with two dots between."""
        whole_month = self.start == month_start(self.end) and self.end == month_end(self.end)
        return label(self.end) if whole_month else f"{self.start}..{self.end}"


def months_of(as_of: date, count: int) -> list[Period]:
    """The last `count` complete calendar months up to as_of, oldest first.

    >>> [m.label for m in months_of(date(2026, 10, 31), 3)]
    ['2026-08', '2026-09', '2026-10']
    """
    newest = month_start(last_complete_month(as_of))
    return [Period.month(add_months(newest, -k)) for k in reversed(range(count))]


def months_before(as_of: date, since: str | date) -> list[date]:
    """as_of in each of the 12 months before it, newest first, while the year up to it begins in the month of since or later.

    The days for which this report can tell what an earlier one would have said of its twelve months.

    >>> months_before(date(2026, 10, 31), since=date(2025, 9, 3))
    [datetime.date(2026, 9, 30), datetime.date(2026, 8, 31)]
    """
    days = [add_months(as_of, -k) for k in range(1, 13)]
    return [day for day in days if Period.trailing(day, 12).start >= month_start(since)]


def convert_rate(rate: float, from_months: float, to_months: float) -> float:
    """A churn or discount-like rate over one span of months, as the same rate over another.

    1 − (1 − rate) ** (to_months / from_months): the survivors compound, the rate does not simply multiply.

    >>> f"{convert_rate(0.30, 1, 12):.3f} {convert_rate(0.30, 12, 1):.3f}"
    '0.986 0.029'
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"A rate lies between 0 and 1, not {rate}.")
    return 1 - (1 - rate) ** (to_months / from_months)
