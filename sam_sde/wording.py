"""What is printed of the tables: titles, columns and cells as text, for a terminal or any other page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# Nearly the smallest positive number; log10_p_value tells how much smaller a p-value is.
SMALLEST_P_VALUE = 1e-300


@dataclass(frozen=True)
class TextTable:
    """A table of text: as many cells in each row as there are columns."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def summary_text(summary: "pd.DataFrame", keys: Sequence[str] = ()) -> TextTable:
    """One row an arm of summary.csv; of a sweep the values of its keys stand first."""
    restricted = summary["n_escaped"].lt(summary["n_paths"]).any()
    note = f", restricted to t_max = {summary['t_max'].min():g}" if restricted else ""
    return TextTable(
        f"Escape times{note} (time = lr · steps, 95 % intervals)",
        (*map(short_key, keys), "arm", "paths", "escaped", "failed", "mean time", "median", "rate"),
        [
            (
                *values,
                row.arm,
                f"{row.n_paths}",
                f"{100 * row.fraction_escaped:.4g} %",
                f"{row.n_failed}",
                _mean_words(row),
                interval(row.median, row.median_low, row.median_high),
                interval(row.rate, row.rate_low, row.rate_high),
            )
            for values, row in zip(_values(summary, keys), summary.itertuples(), strict=True)
        ],
    )


def _mean_words(row) -> str:
    if getattr(row, "measured", None) == "splitting":
        return f"{interval(row.mean_time, row.mean_low, row.mean_high, missing='not known')} by splitting"
    return interval(row.rmst, row.rmst_low, row.rmst_high, missing="not known") + step_words(row.dt_change)


def short_key(key: str) -> str:
    """A key of the configuration without its section, which most keys do not need to be known by."""
    return key.partition(".")[2] or key


def _values(frame: "pd.DataFrame", keys: Sequence[str]) -> list[tuple[str, ...]]:
    """Those of the keys in each row, as text."""
    if not keys:
        return [()] * len(frame)
    rows = frame[list(keys)].itertuples(index=False)
    return [tuple(f"{value:.6g}" if isinstance(value, float) else str(value) for value in row) for row in rows]


def step_words(dt_change: float) -> str:
    """What halving the step adds to a figure, beside its statistical interval; nothing where it is not known."""
    return f" ± {abs(dt_change):.2g} step" if _known(dt_change) else ""


def comparison_text(comparison: "pd.DataFrame", keys: Sequence[str] = (), *, paired: bool) -> TextTable:
    """One row for each arm of comparison.csv; paired: the arms saw the same noise."""
    from sam_sde.jobs.tables import best_ratios  # which needs pandas

    return TextTable(
        f"Compared with {' or '.join(dict.fromkeys(comparison['reference']))}"
        + (" (paired: common noise)" if paired else ""),
        (*map(short_key, keys), "arm", "mean difference", "mean ratio", "rate ratio", "log-rank p (Holm)"),
        [
            (
                *values,
                row.arm,
                interval(row.rmst_difference, row.difference_low, row.difference_high, missing="not known"),
                interval(*ratio, missing="not known"),
                interval(row.rate_ratio, row.rate_ratio_low, row.rate_ratio_high, missing="not known"),
                _p_value(row.p_adjusted),
            )
            for values, row, ratio in zip(
                _values(comparison, keys),
                comparison.itertuples(),
                best_ratios(comparison).itertuples(index=False),
                strict=True,
            )
        ],
    )


def exact_text(exact: "pd.DataFrame") -> TextTable:
    """One row an arm of exact.csv, with the probability of each side."""
    sides = [column for column in exact.columns if column.startswith("exit_")]
    names = tuple(column.removeprefix("exit_").replace("_", " ") for column in sides)
    return TextTable(
        "Exact escape times of the SDEs (time = lr · steps)",
        ("arm", "mean time", "standard deviation", "rate", *names),
        [
            (
                row["arm"],
                f"{row['mean_time']:.6g} ± {row['error_estimate']:.2g}",
                f"{row['standard_deviation']:.5g}",
                f"{row['rate']:.5g}",
                *(f"{row[side]:.4g}" for side in sides),
            )
            for row in exact.to_dict("records")
        ],
    )


def action_text(actions: "pd.DataFrame") -> TextTable:
    """One row an arm: V, what it says of the escape time, and where the way leads."""
    return TextTable(
        "The most likely ways (log of the escape time ~ V·B/η for little noise)",
        ("arm", "V", "V·B/η", "from", "to", "side"),
        [
            (
                row["arm"],
                f"{row['action']:.6g} ± {row['error']:.2g}",
                f"{row['exponent']:.5g}",
                _point(row["origin"]),
                _point(row["end"]),
                row["side"],
            )
            for row in actions.to_dict("records")
        ],
    )


def _point(coordinates: Sequence[float]) -> str:
    return ", ".join(f"{x:.5g}" for x in coordinates[:3]) + (", …" if len(coordinates) > 3 else "")


def weak_text(errors: "pd.DataFrame", orders: "pd.DataFrame") -> TextTable:
    """The errors of each arm and test function at the largest and the smallest learning rate, and their order."""
    lrs = errors["lr"].max(), errors["lr"].min()
    of = errors.set_index(["arm", "test_function", "lr"])

    def error(row, lr: float) -> str:
        found = of.loc[(row.arm, row.test_function, lr)]
        return interval(found["error"], found["error_low"], found["error_high"])

    return TextTable(
        "Weak errors |E g(w) - E g(W)| (95 % intervals)",
        ("arm", "test function", *(f"error at lr {lr:g}" for lr in lrs), "order"),
        [
            (
                row.arm,
                row.test_function,
                *(error(row, lr) for lr in lrs),
                interval(row.order, row.order_low, row.order_high, missing="not shown"),
            )
            for row in orders.itertuples()
        ],
    )


def stability_text(points: "pd.DataFrame", threshold_of: str) -> TextTable:
    """One row a critical point of stability_points.csv."""
    words = {1.0: "yes", 0.0: "no"}
    coordinates = [column for column in points if column.startswith("x")]
    return TextTable(
        f"Critical points ({threshold_of})",
        ("point", "kind", "at", "loss", "index", "GD", "USAM", "SAM", "threshold in ρ"),
        [
            (
                f"{row['point']}",
                row["kind"],
                _point([row[column] for column in coordinates]),
                f"{row['loss']:.6g}",
                f"{row['index']}",
                *(words.get(row[f"attracts_{name}"], "?") for name in ("gd", "usam", "sam")),
                f"{row['rho_threshold']:.4g}",
            )
            for row in points.to_dict("records")
        ],
    )


def displacement_text(displacement: "pd.DataFrame") -> TextTable:
    """One row for each arm and direction of displacement.csv, at the last time, and the times of the formula."""
    rows = []
    for (arm, direction), each in displacement.groupby(["arm", "direction"], sort=False):
        last = each.iloc[-1]
        theory = (f"{last[name]:.4g}" if _known(last[name]) else "" for name in ("exact", "discrete", "formula"))
        valid = each.loc[each["formula_valid"] == 1, "time"]
        window = f"{valid.min():.3g}–{valid.max():.3g}" if len(valid) else "nowhere"
        if each["formula_valid"].isna().all():
            window = ""
        msd = interval(last["msd"], last["msd_low"], last["msd_high"], missing="not known")
        rows.append((arm, f"{direction} (λ = {last['eigenvalue']:.4g})", msd, *theory, window))
    return TextTable(
        f"Mean-squared displacement at t = {displacement['time'].max():g} (time = lr · steps, 95 % intervals)",
        ("arm", "direction", "paths", "exact", "algorithm", "formula", "formula holds at t ="),
        rows,
    )


def basins_lines(basins: "pd.DataFrame") -> list[str]:
    """One line an arm of basins.csv: which share of the starts ends where."""
    lines = []
    for arm, rows in basins.groupby("arm", sort=False):
        shares = [
            f"{100 * row.fraction:.3g} % {row.kind}" + (f" {row.point:.0f}" if _known(row.point) else "")
            for row in rows.itertuples()
        ]
        lines.append(f"{arm}, starts that end at: {', '.join(shares)}")
    return lines


def ends_lines(ends: "pd.DataFrame") -> list[str]:
    """One line an arm of ends.csv, which counts the classes of its end states."""
    lines = []
    for arm, rows in ends.groupby("arm", sort=False):
        minimum, saddle, stalled, moving = (
            (rows["state"] == state).sum() for state in ("minimum", "saddle", "stalled", "moving")
        )
        places = f"{minimum} at a minimum, {saddle} at a saddle, {stalled} stalled, {moving} moving"
        lines.append(f"{arm}, end states of {len(rows)}: {places}")
    return lines


def interval(value: float, low: float, high: float, missing: str = "not reached") -> str:
    """A number with its interval, as "0.183 (0.181–0.185)"; `missing` where there is none."""
    if not _known(value):
        return missing
    return f"{value:.4g} ({low:.4g}–{high:.4g})" if _known(low) and _known(high) else f"{value:.4g}"


def _p_value(value: float) -> str:
    if not _known(value):
        return ""
    return f"{value:.2g}" if value >= SMALLEST_P_VALUE else f"< {SMALLEST_P_VALUE:g}"


def _known(value: float) -> bool:
    return value == value  # not NaN


def verdicts_text(verdicts: dict[str, str]) -> TextTable:
    """The verdict on each statement of the papers."""
    return TextTable("Verdicts", ("statement", "verdict"), list(verdicts.items()))
