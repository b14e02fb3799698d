"""The CSV files: one entry for each, from which it is written, read, drawn, removed and explained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from sam_sde.errors import InputError
from sam_sde.files import write_csv

# The columns that hold words. An arm may be called 1, NA or true, and stays text.
WORDS = ("condition", "arm", "reference", "outcome", "state", "test_function", "kind", "figure", "measured")

FIGURE_KINDS = ("png", "pdf")

# The page of a result, by the command that wrote the result.
REPORTS = {"escape": "report.html", "sweep": "report.html"}

# What is added to the name of an arm whose SDE has SGD's covariance.
ABLATION = " (SGD's noise)"

# Several numbers with semicolons between.
WORDS += ("eigenvalues", "flow", "multipliers")


@dataclass(frozen=True)
class Table:
    """One CSV file.

    file: its name. command: the one that writes it. columns: in their order.
    keyed: whether columns stand before them, with the values of keys of the configuration.
    coordinates: whether columns x0, x1, … follow. may_be_empty: whether it may have no rows.
    optional: columns that may follow, in their order.
    figure: the name of the picture that is drawn where the table was written, if there is one.
    """

    file: str
    command: str
    columns: tuple[str, ...]
    keyed: bool = False
    coordinates: bool = False
    optional: tuple[str, ...] = ()
    may_be_empty: bool = False
    figure: str | None = None

    def write(self, frame: pd.DataFrame, folder: Path) -> None:
        """Writes the file, whole or not at all.

        Raises
            ValueError: the frame has other columns, or no rows.
        """
        if list(frame.columns) != self._expected(frame):
            raise ValueError(f"{self.file}: expected the columns {self._expected(frame)}, got {list(frame.columns)}")
        if frame.empty and not self.may_be_empty:
            raise ValueError(f"{self.file}: no rows")
        write_csv(frame, folder / self.file)

    def _expected(self, frame: pd.DataFrame) -> list[str]:
        keys, there = self.keys(frame), [column for column in self.optional if column in frame.columns]
        count = max(1, len(frame.columns) - len(keys) - len(self.columns)) if self.coordinates else 0
        return [*keys, *self.columns, *there, *(f"x{i}" for i in range(count))]

    def keys(self, frame: pd.DataFrame) -> list[str]:
        """The columns that stand before its own."""
        columns = list(frame.columns)
        return columns[: columns.index(self.columns[0])] if self.keyed and self.columns[0] in columns else []

    def read(self, folder: Path) -> pd.DataFrame:
        """The table in `folder`, its words as text and all else as numbers.

        Raises
            InputError: there is no such file, it cannot be read, or it is not what `write` writes.
        """
        path = folder / self.file
        again = f"run `sam-sde {self.command} CONFIG --out {folder}`"
        try:
            frame = pd.read_csv(
                path,
                dtype=dict.fromkeys(WORDS, str),
                keep_default_na=False,
                na_values=[""],
                index_col=False,
                float_precision="round_trip",
            )
        except FileNotFoundError:
            raise InputError(f"{folder} has no {self.file}; {again} first") from None
        except (OSError, UnicodeDecodeError, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
            raise InputError(f"cannot read {path}: {error}; {again} again") from None
        wrong = self._wrong(frame)
        if wrong:
            raise InputError(f"{path} {wrong}; {again} again")
        return frame

    def _wrong(self, frame: pd.DataFrame) -> str | None:
        """What is wrong with a frame that was read."""
        missing = [column for column in self._expected(frame) if column not in frame.columns]
        if missing:
            return f"has no column {', '.join(missing)}; got {', '.join(frame.columns)}"
        if frame.empty and not self.may_be_empty:
            return "has no rows"
        for column in frame.columns[len(self.keys(frame)) :]:
            if column in WORDS and frame[column].isna().any():
                return f"has a row without {column}"
            if column not in WORDS and len(frame) and not pd.api.types.is_numeric_dtype(frame[column]):
                return f"has other things than numbers in the column {column}"
        return None


_LANDSCAPE = ("x0", "x1", "loss", "level")
_CRITICAL_POINTS = ("point", "kind", "x0", "x1", "loss")
_KEPT_STATES = ("arm", "path", "time")

TABLES = {
    table.file.removesuffix(".csv"): table
    for table in (
        Table(
            "summary.csv",
            "escape",
            (
                *("arm", "n_paths", "n_escaped", "n_censored", "n_failed", "t_max"),
                *("fraction_escaped", "fraction_low", "fraction_high"),
                *("mean_time", "mean_low", "mean_high"),
                *("rmst", "rmst_low", "rmst_high"),
                *("median", "median_low", "median_high"),
                *("rate", "rate_low", "rate_high"),
                "mean_steps",
                *("dt_change", "dt_change_low", "dt_change_high"),
            ),
            optional=("measured", "exact_mean_time", "exact_error"),
        ),
        Table("exact_curves.csv", "escape", ("arm", "time", "survival")),
        Table(
            "rare.csv",
            "escape",
            (
                *("arm", "mean_time", "mean_low", "mean_high"),
                *("probability", "probability_low", "probability_high"),
                *("loop_time", "n_levels", "walkers", "repeats", "path_steps", "gain"),
                *("fewest_ancestors", "max_over_mean"),
            ),
        ),
        Table(
            "rare_levels.csv",
            "escape",
            ("arm", "repeat", "level", "score", "probability", "ancestors", "path_steps"),
            figure="rare_levels",
        ),
        Table(
            "dt_changes.csv",
            "escape",
            (*("arm", "dt", "n_paths", "figure"), *("before", "after", "change", "change_low", "change_high")),
        ),
        Table("survival.csv", "escape", ("arm", "time", "survival", "low", "high", "at_risk"), figure="survival"),
        Table(
            "comparison.csv",
            "escape",
            (
                *("arm", "reference"),
                *("rmst_difference", "difference_low", "difference_high"),
                *("rmst_ratio", "ratio_low", "ratio_high"),
                *("rate_ratio", "rate_ratio_low", "rate_ratio_high"),
                *("logrank_statistic", "p_value", "log10_p_value", "p_adjusted"),
                "curves_cross",
            ),
            optional=("mean_ratio", "mean_ratio_low", "mean_ratio_high", "measured"),
        ),
        Table(
            "paths.csv",
            "escape",
            ("arm", "path", "outcome", "time", "steps"),
            coordinates=True,
            figure="escape_times",
        ),
        Table(
            "ends.csv",
            "escape",
            (
                *("arm", "path", "outcome", "time"),
                *("loss", "gradient_norm", "perturbed_gradient_norm", "smallest_eigenvalue", "largest_eigenvalue"),
                "state",
            ),
        ),
        Table("sample_paths.csv", "escape", _KEPT_STATES, coordinates=True),
        Table("landscape.csv", "escape", _LANDSCAPE, figure="sample_paths"),
        Table("critical_points.csv", "escape", _CRITICAL_POINTS, may_be_empty=True),
        Table("trajectories.csv", "simulate", _KEPT_STATES, coordinates=True),
        Table("trajectories_landscape.csv", "simulate", _LANDSCAPE, figure="trajectories"),
        Table("trajectories_critical_points.csv", "simulate", _CRITICAL_POINTS, may_be_empty=True),
        Table("weak.csv", "weak", ("arm", "lr", "test_function", "error", "error_low", "error_high"), figure="weak"),
        Table(
            "exact.csv",
            "exact",
            ("arm", "mean_time", "error_estimate", "standard_deviation", "rate"),
            optional=(
                *("exit_boundary", "exit_low", "exit_high"),
                *("exit_x0_low", "exit_x1_low", "exit_x0_high", "exit_x1_high"),
            ),
        ),
        Table(
            "displacement.csv",
            "displacement",
            (
                *("arm", "direction", "eigenvalue", "time", "msd", "msd_low", "msd_high"),
                *("exact", "discrete", "formula", "formula_valid"),
            ),
            figure="displacement",
        ),
        Table(
            "displacement_gaps.csv",
            "displacement",
            (
                *("arm", "reference", "direction", "time", "gap", "gap_low", "gap_high"),
                *("exact", "discrete", "formula", "formula_valid"),
            ),
        ),
        Table("exact_survival.csv", "exact", ("arm", "time", "survival"), figure="exact_survival"),
        Table("action.csv", "action", ("arm", "arc_length", "action"), coordinates=True),
        Table("action_landscape.csv", "action", _LANDSCAPE, figure="action"),
        Table("action_critical_points.csv", "action", _CRITICAL_POINTS, may_be_empty=True),
        Table("weak_order.csv", "weak", ("arm", "test_function", "order", "order_low", "order_high")),
        Table(
            "stability_points.csv",
            "stability",
            (
                *("point", "kind", "loss", "index", "eigenvalues"),
                *("attracts_gd", "attracts_usam", "attracts_sam", "rho_threshold", "trapping_radius"),
            ),
            coordinates=True,
        ),
        Table(
            "stability_arms.csv",
            "stability",
            ("arm", "point", "flow", "multipliers", "attracts_flow", "attracts", "largest_lr", "admitted"),
        ),
        Table(
            "stability_stalls.csv",
            "stability",
            ("arm", "point", "loss", "gradient_norm", "flow", "multipliers", "attracts_flow", "attracts"),
            coordinates=True,
            may_be_empty=True,
        ),
        Table("basins.csv", "stability", ("arm", "kind", "point", "n_starts", "fraction")),
        Table("basin_starts.csv", "stability", ("arm", "kind", "point"), coordinates=True),
        Table("portrait.csv", "stability", ("arm", "x0", "x1", "loss", "velocity0", "velocity1"), figure="portrait"),
    )
}


# Those of a sweep, by the names sweep_summary, …: of all conditions, with the values of the swept keys.
TABLES |= {
    f"sweep_{name}": replace(TABLES[name], command="sweep", keyed=True, figure="sweep" if name == "summary" else None)
    for name in ("summary", "dt_changes", "survival", "exact_curves", "comparison", "ends", "rare", "rare_levels")
}
TABLES["sweep_conditions"] = Table("conditions.csv", "sweep", ("condition",), keyed=True)


def tables_of(command: str) -> dict[str, Table]:
    """Those that a command writes, by their names in TABLES."""
    return {name: table for name, table in TABLES.items() if table.command == command}


def by_arm(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows of all arms below each other, the name of the arm first."""
    frame = pd.concat(frames, names=["arm", None]).reset_index("arm")
    return frame.reset_index(drop=True)


def best_times(summary: pd.DataFrame) -> pd.DataFrame:
    """time, time_low, time_high of each row of a summary: the mean that splitting has found, else that to t_max."""
    return _best(summary, ("mean_time", "mean_low", "mean_high"), ("rmst", "rmst_low", "rmst_high"), "time")


def best_ratios(comparison: pd.DataFrame) -> pd.DataFrame:
    """ratio, ratio_low, ratio_high of each row of a comparison: of mean times where splitting has found one."""
    means = "mean_ratio", "mean_ratio_low", "mean_ratio_high"
    return _best(comparison, means, ("rmst_ratio", "ratio_low", "ratio_high"), "ratio")


def _best(frame: pd.DataFrame, of_splitting: tuple[str, ...], restricted: tuple[str, ...], name: str) -> pd.DataFrame:
    split = is_split(frame) & (frame[of_splitting[0]].notna() if of_splitting[0] in frame.columns else False)
    if not split.any():
        return frame[list(restricted)].set_axis([name, f"{name}_low", f"{name}_high"], axis="columns")
    return pd.DataFrame(
        {
            f"{name}{end}": frame[mean].where(split, frame[other])
            for end, mean, other in zip(("", "_low", "_high"), of_splitting, restricted, strict=True)
        }
    )


def is_split(frame: pd.DataFrame) -> pd.Series:
    """Of which rows the arm was measured by splitting."""
    if "measured" not in frame.columns:
        return pd.Series(False, index=frame.index)
    return frame["measured"].eq("splitting")
