"""`make bench`: the monthly pack of this workbook beside what one would write instead, as a table in RESULTS.md.

The pack: customer summary, cohort tables by market, MBG/NBD and Gamma–Gamma, 12-month CLV of every customer, churn
window, CLV to CAC. Sides run in turn, each in a process of its own; imports are not timed, reading Parquet is.

    python tests/benchmarks/monthly_pack.py [customers …] [--rounds N] [--only SIDE] [--limit 2GB] [--pymc PYTHON]
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from canonical import AS_OF, CLIENT, write

HERE = Path(__file__).resolve().parent
BUSY = 0.25  # cores that other work may use before the seconds are not to be believed
SIDES = {"workbook": ["workbook.py"], "again": ["workbook.py", "--again"], "tutorial": ["tutorial.py"], "scan": ["scan.py"]}
SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
ROUNDS = {10_000: 5, 100_000: 5, 1_000_000: 3, 5_000_000: 1}
TARGETS = {10_000: (1, None), 100_000: (2, None), 1_000_000: (6, 0.6), 5_000_000: (10, 0.45)}
MAP_MOST = 1_000_000  # customers; PyMC-Marketing is asked once a size, and not for more
MAP_STEPS = ("occasions", "summary", "fit occasions", "fit spend", "clv")
STEPS = ("occasions", "summary", "cohorts", "fit occasions", "fit spend", "clv", "churn window", "clv to cac")


def main() -> None:
    """Measure every size and write RESULTS.md."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("sizes", nargs="*", type=int)
    asked.add_argument("--rounds", type=int)
    asked.add_argument("--only", choices=SIDES)
    asked.add_argument("--limit", default="", help="engine.memory_limit of client.toml, such as 2GB")
    asked.add_argument("--pymc", help="an interpreter that has pymc-marketing and pyarrow, to measure their fits too")
    asked.add_argument("--home", help="keep the made-up tables in this folder")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(given.home or temporary)
        found = {}
        for size in given.sizes or SIZES:
            _make(home, size, given.limit)
            rounds = given.rounds or ROUNDS.get(size, 3)
            sides = [given.only] if given.only else list(SIDES)
            found[size] = {side: [] for side in sides}
            for turn in range(rounds):
                for side in sides if turn % 2 == 0 else sides[::-1]:
                    found[size][side].append(_measured(side, home, f"c{size}"))
                    print(size, side, json.dumps(found[size][side][-1]), flush=True)
            if given.pymc and size <= MAP_MOST:
                command = [given.pymc, "bayes.py", str(home / "data" / f"c{size}" / "tables"), str(AS_OF)]
                found[size]["bayes"] = [_ran(command, home)]
                print(size, "bayes", json.dumps(found[size]["bayes"][0]), flush=True)
    if not given.only:
        (HERE / "RESULTS.md").write_text(written(found), encoding="utf-8")


def _make(home: Path, size: int, limit: str) -> None:
    if not (home / "data" / f"c{size}" / "tables" / "build.json").exists():
        write(home, f"c{size}", size, limit)
    (home / "data" / f"c{size}" / "client.toml").write_text(CLIENT.format(memory=limit))


def _measured(side: str, home: Path, client: str) -> dict:
    script, *how = SIDES[side]
    return _ran([sys.executable, script, client, *how], home)


def _ran(command: list[str], home: Path) -> dict:
    """What a side printed as its last line, and the cores that everything else used meanwhile."""
    environment = os.environ | {"WORKBOOK_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    began, before = time.monotonic(), _processor_of_others()
    done = subprocess.run(command, env=environment, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    others = (_processor_of_others() - before) / (time.monotonic() - began)
    return json.loads(done.stdout.splitlines()[-1]) | {"others": round(max(others, 0.0), 2)}


def _processor_of_others() -> float:
    """Processor seconds that everything but our own finished children has used since the machine started (Linux)."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system, _idle, _wait, *interrupts = map(int, stat.read_text().split("\n")[0].split()[1:8])
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK") - ours.ru_utime - ours.ru_stime


def written(found: dict) -> str:
    """The measurements as Markdown."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    lines = [
        "# Monthly pack: measured", "",
        f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores, Python {platform.python_version()}, {_versions()}. "
        "Made by `make bench`; what is compared is told in [README.md](README.md).", "", *_caution(found, cores), "",
        "| customers | orders | workbook, s | tutorial, s | times faster | target | workbook again, s | times faster | "
        "processor time, s | workbook, GB | tutorial, GB | share of memory | target |",
        "| ---: " * 13 + "|",
    ]
    for size, sides in found.items():
        ours, kept, theirs = (_column(sides[side], "total") for side in ("workbook", "again", "tutorial"))
        memory = [max(run["gigabytes"] for run in sides[side]) for side in ("workbook", "tutorial")]
        busy = [statistics.median(_column(sides[side], "processor")) for side in ("workbook", "tutorial")]
        speed, share = TARGETS.get(size, (None, None))
        times, later = (statistics.median(theirs) / statistics.median(each) for each in (ours, kept))
        lines.append(
            f"| {size:,} | {sides['scan'][0]['orders']:,} | {_spread(ours)} | {_spread(theirs)} | {times:.1f} | "
            f"{f'≥ {speed}' if speed else ''} | {_spread(kept)} | {later:.1f} | {busy[0]:.1f} / {busy[1]:.1f} | "
            f"{memory[0]:.2f} | {memory[1]:.2f} | {memory[0] / memory[1]:.2f} | "
            f"{f'≤ {share}' if share else ''} |"
        )
    return "\n".join([*lines, "", *_steps(found), *_floors(found), *_agreement(found), *_bayes(found)]) + "\n"


def _caution(found: dict, cores: int) -> list[str]:
    """What a reader must know before believing the seconds: how often each was measured, and how busy the machine was."""
    rounds = min(len(runs) for sides in found.values() for runs in sides.values())
    others = [run["others"] for sides in found.values() for runs in sides.values() for run in runs]
    said = [f"Rounds per side: {rounds} or more. While a side ran, everything else used {min(others):.2f} to "
            f"{max(others):.2f} of {cores} cores."]
    if max(others) > BUSY:
        said += ["", "**Not a fair measurement of seconds**: other work shared the cores. Elapsed times, their ratios, and "
                 "whether a target is met cannot be read off this table. Processor time and memory are less affected."]
    return said


def _steps(found: dict) -> list[str]:
    lines = ["## Step by step, seconds (median of the rounds; workbook / tutorial)", "",
             "| customers | " + " | ".join(STEPS) + " |", "| ---: " * (len(STEPS) + 1) + "|"]
    for size, sides in found.items():
        cells = []
        for step in STEPS:
            pair = [f"{statistics.median(_column(sides[side], step)):.2f}" for side in ("workbook", "tutorial")]
            cells.append(" / ".join(pair))
        lines.append(f"| {size:,} | " + " | ".join(cells) + " |")
    return [*lines, "", "The tutorial has no step of its own for occasions: its customers are summed from orders.", ""]


def _floors(found: dict) -> list[str]:
    lines = ["## Beside the bare scan", "",
             "`SELECT customer_id, min(date), max(date), count(*), sum(net) … GROUP BY customer_id` on orders.parquet "
             "by DuckDB, warm; summary and cohort table of the workbook warm too.", "",
             "| customers | scan, s | customer summary, × scan | cohort table by market, × scan | "
             "occasions, first time, × scan | pack, µs per order |", "| ---: | ---: | ---: | ---: | ---: | ---: |"]
    for size, sides in found.items():
        scan = statistics.median(_column(sides["scan"], "seconds"))
        ours = {step: statistics.median(_column(sides["workbook"], step)) for step in (*STEPS, "total")}
        orders = sides["scan"][0]["orders"]
        lines.append(f"| {size:,} | {scan:.3f} | {ours['summary'] / scan:.1f} | {ours['cohorts'] / scan:.1f} | "
                     f"{ours['occasions'] / scan:.1f} | {ours['total'] / orders * 1e6:.2f} |")
    return [*lines, ""]


def _agreement(found: dict) -> list[str]:
    names = ("r", "alpha", "a", "b", "p", "q", "v")
    lines = ["## The same numbers", "",
             "Parameters: distance in standard errors of the fit. Occasions: the largest relative difference of the "
             "12-month expectation to lifetimes' own, given the same parameters.", "",
             "| customers | r | alpha | a | b | p | q | v | expected occasions |", "| ---: " * 9 + "|"]
    for size, sides in found.items():
        ours, theirs = sides["workbook"][0], sides["tutorial"][0]
        apart = [abs(ours["params"][k] - theirs["params"][k]) / ours["errors"][k] for k in names]
        cells = [f"{each:.2f}" for each in apart] + [f"{ours['occasions_differ']:.1e}"]
        lines.append(f"| {size:,} | " + " | ".join(cells) + " |")
    return lines


def _bayes(found: dict) -> list[str]:
    measured = {size: sides for size, sides in found.items() if "bayes" in sides}
    if not measured:
        return []
    lines = ["", "## Beside PyMC-Marketing", "",
             "`rfm_summary`, maximum a posteriori fits with its default priors, and 12-month CLV, run once a size; the same steps of this "
             "workbook, from reading orders to CLV. Its fits include compiling the model, as far as its cache on disk does not spare it. "
             "Seconds (workbook / PyMC-Marketing); parameters: distance in standard errors.", "",
             "| customers | " + " | ".join(MAP_STEPS) + " | times faster | furthest parameter |", "| ---: " * (len(MAP_STEPS) + 3) + "|"]
    for size, sides in measured.items():
        ours, theirs = sides["workbook"], sides["bayes"][0]
        both = [(statistics.median(_column(ours, step)), theirs[step]) for step in MAP_STEPS]
        apart = {k: abs(ours[0]["params"][k] - theirs["params"][k]) / ours[0]["errors"][k] for k in theirs["params"]}
        worst = max(apart, key=apart.get)
        times = sum(each for _, each in both) / sum(own for own, _ in both)
        cells = [f"{own:.2f} / {other:.2f}" for own, other in both] + [f"{times:.0f}", f"{worst}: {apart[worst]:.2f}"]
        lines.append(f"| {size:,} | " + " | ".join(cells) + " |")
    return lines


def _column(runs: list[dict], name: str) -> list[float]:
    return [run[name] for run in runs]


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def _versions() -> str:
    from importlib.metadata import version

    return ", ".join(f"{name} {version(name)}" for name in ("duckdb", "ibis-framework", "pandas", "lifetimes"))


if __name__ == "__main__":
    main()
