"""A client's settings: `data/<client>/client.toml` as a typed object, and the folders that belong to the client."""

import os
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, ValidationError, model_validator

from helpers import codes, schema

NOTEBOOKS = (
    "00_data_check", "01_cohort_retention", "02_churn_rate", "03_retention_cost", "04_clv_to_cac",
    "05_market_comparison", "06_customers_at_risk", "07_campaign_effect", "08_customer_voice",
)
Share = Annotated[float, Field(ge=0, le=1)]
Currency, Country = Annotated[str, AfterValidator(codes.currency)], Annotated[str, AfterValidator(codes.country)]
LANGUAGES = tuple(sorted(path.name for path in (Path(__file__).parent / "report" / "language").iterdir() if path.is_dir()))


def _with_texts(language: str) -> str:
    if language not in LANGUAGES:
        raise ValueError(f"there is no '{language}' yet; there is {', '.join(LANGUAGES)}")
    return language


class SettingsError(ValueError):
    """client.toml is missing or wrong; the message lists every problem and what to write instead."""


class Section(BaseModel):
    """A table of client.toml: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Margin(Section):
    """Contribution margin as a share of net sales, all fees and costs of goods included."""

    rate: Annotated[float, Field(gt=0, le=1)]
    by_market: dict[Country, Share] = {}
    by_category: dict[str, Share] = {}


class Clv(Section):
    """The future as it is valued: an annual discount rate and the months looked ahead."""

    discount_rate: Annotated[float, Field(ge=0, lt=1)] = 0.10
    horizon_months: Annotated[int, Field(ge=1, le=60)] = 12


class Thresholds(Section):
    """The client's own lines between bad, watch and good."""

    clv_to_cac: PositiveFloat = 3.0
    ltv_to_retention_cost: tuple[PositiveFloat, PositiveFloat] = (1.0, 3.0)
    lapsed_days: Annotated[int, Field(ge=1)] = 30
    top_boxes: Annotated[int, Field(ge=1)] = 2


class Benchmark(Section):
    """A published range for the retention cost per customer."""

    low: PositiveFloat = 15
    high: PositiveFloat = 30
    currency: Currency = "USD"
    period: str = "not stated by its source"


class Privacy(Section):
    """What a shared report may show: no cell whose denominator is under this many customers."""

    minimum_cell: Annotated[int, Field(ge=1)] = 10
    gmail_aliases: bool = False
    placeholder_orders_per_day: Annotated[int, Field(ge=2)] = 20


class Costs(Section):
    """How retention cost lines without their own share or market are read."""

    existing_share: dict[Literal[schema.COST_COMPONENTS], Share] = {}
    allocation: dict[Literal[schema.COST_COMPONENTS], Literal[schema.ALLOCATIONS]] = {}


class Report(Section):
    """What the pages look like and which are made."""

    brand_color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] = "#1f5a7a"
    logo: str = ""
    notebooks: tuple[Literal[NOTEBOOKS], ...] = NOTEBOOKS


class Engine(Section):
    """Where the tables are computed: DuckDB here, Spark, or a warehouse. `tables` is for files not in data/<client>/tables."""

    kind: Literal["duckdb", "spark", "warehouse"] = "duckdb"
    url: str = ""
    tables: str = ""
    options: dict[str, str] = {}
    memory_limit: Annotated[str, Field(pattern=r"^(\d+(\.\d+)?\s?[MG]B)?$")] = ""


class Source(Section):
    """One store, account or supplier of files. `columns` is the crosswalk: our column names over theirs."""

    files: str | list[str] = ""
    url: str = ""
    table: str = ""
    format: str = ""
    sales_channel: str = ""
    acquisition_channel: str = ""
    market: str = ""
    currency: Annotated[str, AfterValidator(lambda code: code and codes.currency(code))] = ""
    time_zone: Annotated[str, AfterValidator(lambda zone: zone and codes.time_zone(zone))] = ""
    date_format: Annotated[str, AfterValidator(codes.date_format)] = ""
    day_first: bool | None = None
    decimal: Literal["", ".", ","] = ""
    tax_included: bool | None = None
    tax_rate: Share | None = None
    covered_through: date | None = None
    active: bool = True
    skip: bool = False
    columns: dict[str, str | int | float | bool] = {}
    where: dict[str, Annotated[str | list[str], AfterValidator(codes.condition)]] = {}
    statuses: dict[str, Literal[schema.ORDER_STATUSES]] = {}
    types: dict[str, Literal["sale", "refund", "none"]] = {}

    @model_validator(mode="after")
    def _files_or_table(self):
        if bool(self.files) == bool(self.url):
            raise ValueError("give either files (a name or pattern under raw/) or url and table (a database)")
        return self


class Action(Section):
    """One thing the client can do for a segment: what it costs, what it is expected to change, and how we know."""

    name: str
    segment: str
    channel: str
    market: str = ""
    unit_cost: NonNegativeFloat
    effect: Share
    effect_source: str = "assumption"
    needs_consent: bool = True


class Playbook(Section):
    """The actions a list is chosen from, and the limits of a month. No actions: the workbook's default list."""

    budget: NonNegativeFloat | None = None
    holdout_share: Annotated[float, Field(ge=0, lt=1)] = 0.10
    contact_gap_days: Annotated[int, Field(ge=0)] = 30
    planned_holdouts: dict[str, Annotated[float, Field(gt=0, lt=1)]] = {}
    actions: list[Action] = []


class Settings(Section):
    """Everything a client.toml says. Money thresholds are in the reporting currency unless they name another."""

    name: str
    currency: Currency
    time_zone: Annotated[str, AfterValidator(codes.time_zone)]
    language: Annotated[str, AfterValidator(_with_texts)] = "en"
    history_complete: bool = False
    data_start: date | None = None
    churn_window_days: Annotated[int, Field(ge=7, le=1095)] | Literal["auto"] = "auto"
    refund_window_days: Annotated[int, Field(ge=0)] = 30
    exclude_renewals: bool = False
    max_rejected: Share = 0.01
    margin: Margin
    clv: Clv = Clv()
    thresholds: Thresholds = Thresholds()
    benchmark: Benchmark = Benchmark()
    privacy: Privacy = Privacy()
    costs: Costs = Costs()
    report: Report = Report()
    engine: Engine = Engine()
    playbook: Playbook = Playbook()
    sources: dict[str, Source] = {}
    client: str = Field(exclude=True)

    def placeholders(self) -> list[str]:
        """A sentence for each value that still is the template's and that only the client knows: the margin."""
        if not re.search(r"(?m)^rate\s*=\s*0\.30?\s*#\s*FILL IN", (self.folder / "client.toml").read_text(encoding="utf-8-sig")):
            return []
        return [f"margin.rate is still the template's placeholder, {self.margin.rate:.0%}: every value of a customer rests on it. Write "
                f"the client's own into data/{self.client}/client.toml, or take the words FILL IN away if it is theirs."]  # fmt: skip

    @property
    def folder(self) -> Path:
        """data/<client>."""
        return client_folder(self.client)


def home() -> Path:
    """The project folder that holds notebooks/, data/ and reports/: $WORKBOOK_HOME, else where this package stands."""
    return Path(os.environ.get("WORKBOOK_HOME") or Path(__file__).parents[1])


def checked_name(client: str) -> str:
    """The client's name, if it can safely be a folder: small letters, digits and hyphens."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", client):
        raise SettingsError(f"'{client}' cannot be a client name. Use small letters, digits and hyphens, such as acme-outdoor.")
    return client


def client_folder(client: str) -> Path:
    """data/<client>, where all of a client's files are."""
    return home() / "data" / checked_name(client)


def reports_folder(client: str) -> Path:
    """reports/<client>, one folder a month inside."""
    return home() / "reports" / checked_name(client)


def load_settings(client: str) -> Settings:
    """The checked settings of a client, or a SettingsError: no file, no TOML, or every wrong key, its place, and a suggestion."""
    path = client_folder(client) / "client.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.parent.name for p in (home() / "data").glob("[!_]*/client.toml"))) or "none"
        raise SettingsError(f"There is no client '{client}'. Known: {known}. Make it with: workbook new {client}")
    try:
        return Settings(client=client, **tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        advice = 'Texts stand in quotes (name = "Acme"), numbers have a point (rate = 0.45), and each [part] stands there once.'
        raise SettingsError(f"data/{client}/client.toml is not TOML: {error}. {advice}") from None
    except ValidationError as error:
        many = f"{error.error_count()} problem{'s' if error.error_count() > 1 else ''}"
        listed = [f"\n  {k}. {_explain(problem)}" for k, problem in enumerate(error.errors(), 1)]
        raise SettingsError(f"data/{client}/client.toml has {many}:{''.join(listed)}") from None


def _explain(problem: dict) -> str:
    place = ".".join(str(part) for part in problem["loc"] if part != "[key]") or "the file"
    if problem["type"] == "extra_forbidden":
        keys = {key for section in Section.__subclasses__() for key in section.model_fields} - {"client"}
        return f"{place}: there is no such setting{codes.did_you_mean(str(problem['loc'][-1]), keys)}"
    if problem["type"] == "missing":
        return f"{place}: required, and not there."
    percent = " A share of 45% is written 0.45." if problem["type"] == "less_than_equal" and problem["ctx"]["le"] == 1 else ""
    return f"{place}: {problem['msg'].removeprefix('Value error, ')} (written: {problem['input']!r}).{percent}"
