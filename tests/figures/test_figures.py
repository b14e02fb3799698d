import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from sam_sde.figures.folder import (
    arm_styles,
    draw_all,
    draw_escape_times,
    draw_sample_paths,
    draw_survival,
)
from sam_sde.figures.paths import contour_levels, view_of
from sam_sde.figures.times import _log_edges, numbers_at_risk
from sam_sde.regions import Ball, Box, LevelSet, LossBelow, Slab
from sam_sde.statistics import Outcome, Sample, outcome_words, summary_table, survival_curve
from sam_sde.surfaces import LossSurface, beale, muller_brown

BLUE, VERMILLION = "#0072B2", "#D55E00"
EIGHT = ["SGD", "SAM", "USAM", "DNSAM", "SAM ρ=0.1", "costs $5 or $6", "_hidden", "NA"]


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch):
    """Most of the time goes into pixels that no test looks at."""
    monkeypatch.setattr("sam_sde.figures.folder.DPI", 50)
    monkeypatch.setattr("sam_sde.figures.paths.GRID", 101)


def results(means, *, n_paths=200, t_max=4.0, failed=0.0, seed=0):
    """Survival, summary and paths of arms with exponential times of these means (infinite: no escape)."""
    generator = np.random.default_rng(seed)
    samples = {}
    for arm, mean in means.items():
        times = 0.1 + generator.exponential(mean, n_paths) if np.isfinite(mean) else np.full(n_paths, np.inf)
        outcome = np.where(times <= t_max, Outcome.ESCAPED, Outcome.CENSORED)
        outcome[generator.random(n_paths) < failed] = Outcome.FAILED
        samples[arm] = Sample(np.minimum(times, t_max), outcome, t_max, lr=0.01)
    curves = [survival_curve(sample).assign(arm=arm) for arm, sample in samples.items()]
    paths = [
        pd.DataFrame({"arm": arm, "outcome": outcome_words(sample.outcome), "time": sample.times})
        for arm, sample in samples.items()
    ]
    return (
        pd.concat(curves, ignore_index=True),
        summary_table(samples),
        pd.concat(paths, ignore_index=True),
    )


def walks(arms, start=(0.0, 1.0), *, paths=2, steps=50, size=0.02):
    generator = np.random.default_rng(1)
    frames = []
    for arm in arms:
        for path in range(paths):
            states = np.cumsum(np.vstack([start, generator.normal(0, size, (steps, 2))]), axis=0)
            columns = {"arm": arm, "path": path, "time": 0.01 * np.arange(steps + 1)}
            frames.append(pd.DataFrame(columns | {"x0": states[:, 0], "x1": states[:, 1]}))
    return pd.concat(frames, ignore_index=True)


def write(folder, survival, summary, paths=None, sample_paths=None):
    frames = {"survival": survival, "summary": summary, "paths": paths, "sample_paths": sample_paths}
    for name, frame in frames.items():
        if frame is not None:
            frame.to_csv(folder / f"{name}.csv", index=False)


def legend_of(figure: Figure) -> dict[str, str]:
    """The colour beside each label."""
    (legend,) = figure.legends
    colors = [to_hex(line.get_color()).upper() for line in legend.get_lines()]
    return dict(zip([text.get_text() for text in legend.get_texts()], colors, strict=True))


def boundary_of(axes) -> np.ndarray:
    """The vertices of the contour of the region's level 0."""
    (boundary,) = [
        artist for artist in axes.collections if isinstance(artist, QuadContourSet) and list(artist.levels) == [0.0]
    ]
    return boundary.get_paths()[0].vertices


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("arms", [["SGD", "SAM"], EIGHT], ids=["two arms", "eight arms"])
def test_every_figure_is_written_as_png_and_pdf(tmp_path, arms):
    write(tmp_path, *results({arm: 0.5 + i for i, arm in enumerate(arms)}), walks(arms))
    csvs = set(tmp_path.iterdir())
    written = draw_all(tmp_path, beale(), Ball([0, 1], 0.5))
    names = [f"{name}.{kind}" for name in ("survival", "escape_times", "sample_paths") for kind in ("png", "pdf")]
    assert written == [tmp_path / name for name in names]
    assert set(tmp_path.iterdir()) == csvs | set(written)  # no temporary file is left
    for path in written:
        assert path.read_bytes().startswith(b"%PDF" if path.suffix == ".pdf" else b"\x89PNG")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("means", "options"),
    [
        pytest.param({"SAM": np.inf}, {"n_paths": 1}, id="one path that stays"),
        pytest.param({"SGD": 0.5}, {"n_paths": 1}, id="one path that leaves"),
        pytest.param({"SGD": 0.5, "SAM": 1.0}, {"failed": 1.0}, id="all failed"),
        pytest.param({"SGD": 0.5, "SAM": np.inf}, {"failed": 0.2}, id="one arm without an escape"),
        pytest.param({"SGD": 0.0}, {}, id="all at one time"),
    ],
)
def test_times_of_every_kind_can_be_drawn(tmp_path, means, options):
    survival, summary, paths = results(means, **options)
    figures = draw_survival(survival, summary), draw_escape_times(paths, summary)
    for figure in figures:
        assert len(legend_of(figure)) == len(means)
        figure.savefig(tmp_path / "figure.png")


def test_only_what_there_is_data_for_is_drawn(tmp_path):
    survival, summary, _ = results({"SGD": 0.5})
    write(tmp_path, survival, summary, sample_paths=walks(["SGD"]))
    only_survival = [tmp_path / "survival.png", tmp_path / "survival.pdf"]
    assert draw_all(tmp_path) == only_survival
    assert draw_all(tmp_path, LossSurface(lambda w: (w**2).sum(), 3)) == only_survival


def test_drawing_again_gives_the_same_bytes_and_changes_no_settings(tmp_path):
    survival, summary, _ = results({"SGD": 0.5}, n_paths=20)
    write(tmp_path, survival, summary, sample_paths=walks(["SGD"], steps=5))
    settings = dict(matplotlib.rcParams)
    first = {path: path.read_bytes() for path in draw_all(tmp_path, beale())}
    assert all(path.read_bytes() == first[path] for path in draw_all(tmp_path, beale()))
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.parametrize(
    "arms", [["SGD", "SAM"], ["SAM", "other", "SGD"], ["DNSAM", "USAM", "SAM ρ=0.1", "SGD η=1"], EIGHT[::-1]]
)
def test_sgd_is_blue_and_sam_vermillion_whatever_else_there_is(arms):
    styles = arm_styles(arms)
    assert list(styles) == arms
    sgd = next(arm for arm in arms if arm.startswith("SGD"))
    sam = "SAM" if "SAM" in arms else "SAM ρ=0.1"
    assert (styles[sgd]["color"], styles[sam]["color"]) == (BLUE, VERMILLION)
    assert len({style["color"] for style in styles.values()}) == len(arms)
    assert len({str(style["linestyle"]) for style in styles.values()}) == len(arms)


@pytest.mark.parametrize("name", ["{} (discrete)", "discrete {}", "{}, Discrete"])
@pytest.mark.parametrize("arms", [["SGD", "SAM"], ["SAM ρ=0.1", "other", "SGD"]])
def test_a_discrete_arm_has_the_colour_of_its_sde_and_another_line(arms, name):
    alone = arm_styles(arms)
    discrete = [name.format(arm) for arm in arms]
    styles = arm_styles([*discrete, *arms])
    assert {arm: styles[arm] for arm in arms} == alone
    for arm, partner in zip(discrete, arms, strict=True):
        assert styles[arm]["color"] == styles[partner]["color"]
    assert len({str(style["linestyle"]) for style in styles.values()}) == 2 * len(arms)
    assert arm_styles(discrete)[discrete[0]]["color"] == alone[arms[0]]["color"]


def test_many_arms_differ_in_colour_or_line():
    styles = arm_styles([f"arm {i}" for i in range(40)])
    assert len({str(style) for style in styles.values()}) == 40


@pytest.mark.parametrize("arms", [["SGD", "SAM", "noise"], ["noise", "SAM", "SGD"]])
def test_an_arm_has_one_colour_in_all_figures(arms):
    survival, summary, paths = results(dict.fromkeys(arms, 1.0), failed=0.1)
    styles = arm_styles(arms)
    curves = legend_of(draw_survival(survival, summary))
    histograms = legend_of(draw_escape_times(paths, summary))
    panels = draw_sample_paths(walks(arms), beale()).axes
    titles = {panel.get_title(): to_hex(panel.title.get_color()).upper() for panel in panels if panel.get_title()}
    for arm in arms:
        shown = [color for label, color in (curves | histograms | titles).items() if label.startswith(arm)]
        assert shown == [styles[arm]["color"]] * 3


def test_numbers_at_risk_are_those_of_the_csv():
    survival, summary, paths = results({"SGD": 0.5, "SAM": 3.0})
    axes, table = draw_survival(survival, summary).axes
    ticks = axes.get_xticks()
    shown = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in table.texts}
    assert len(shown) == 2 * len(ticks)
    for row, arm in enumerate(["SGD", "SAM"]):
        times = paths.loc[paths["arm"] == arm, "time"]
        curve = survival[survival["arm"] == arm]
        assert table.get_yticklabels()[row].get_text() == arm
        for tick in ticks:
            following = curve.loc[curve["time"] >= tick, "at_risk"]
            expected = following.iloc[0] if len(following) else 0
            assert int(shown[row, tick]) == expected == (times >= tick).sum()
    assert table.get_xlim() == axes.get_xlim()


def test_a_tick_a_rounding_error_beside_a_row_means_that_row():
    curve = pd.DataFrame({"time": [0.0, 0.3, 0.9], "at_risk": [5, 4, 2]})
    np.testing.assert_array_equal(numbers_at_risk(curve, np.array([0.0, 3 * 0.1, 0.5, 0.9, 1.0])), [5, 4, 2, 2, 0])


def test_the_survival_axis_goes_from_0_to_1_and_names_the_restriction():
    survival, summary, _ = results({"SGD": 0.5, "SAM": 3.0})
    axes = draw_survival(survival, summary).axes[0]
    assert axes.get_ylim() == (0, 1)
    assert axes.get_xlabel() == "time t = lr · steps, restricted to t ≤ 4"
    survival, summary, _ = results({"SGD": 0.1})
    assert draw_survival(survival, summary).axes[0].get_xlabel() == "time t = lr · steps"


def test_the_area_of_a_histogram_is_the_fraction_that_escaped():
    _, summary, paths = results({"SGD": 0.5, "SAM": 3.0, "none": np.inf}, failed=0.1)
    axes = draw_escape_times(paths, summary).axes[0]
    fills = [patch.get_data() for patch in axes.patches if patch.get_fill()]
    areas = [np.sum(data.values * np.diff(np.log10(data.edges))) for data in fills]
    np.testing.assert_allclose(areas, summary["fraction_escaped"][:2])
    assert max(data.edges[-1] for data in fills) <= 4.0 * (1 + 1e-12)


def test_the_legend_counts_escaped_censored_and_failed_paths():
    outcome = ["escaped"] * 3 + ["censored"] * 4 + ["failed"]
    paths = pd.DataFrame({"arm": "SAM", "outcome": outcome, "time": 1.0})
    columns = {"n_paths": 8, "n_escaped": 3, "n_censored": 4, "n_failed": 1, "t_max": 2.0}
    figure = draw_escape_times(paths, pd.DataFrame([{"arm": "SAM"} | columns]))
    assert list(legend_of(figure)) == ["SAM: 3 of 8 escaped (37.5 %, 1 failed)"]


@pytest.mark.parametrize(
    ("n_escaped", "share"),
    [(0, "0 %"), (1, "< 0.1 %"), (5000, "50.0 %"), (9_999, "> 99.9 %"), (10_000, "100 %")],
)
def test_a_percentage_says_none_or_all_only_where_that_is_so(n_escaped, share):
    paths = pd.DataFrame({"arm": "SAM", "outcome": ["escaped"] * n_escaped, "time": 1.0})
    counts = {"n_paths": 10_000, "n_escaped": n_escaped, "n_censored": 10_000 - n_escaped, "n_failed": 0}
    figure = draw_escape_times(paths, pd.DataFrame([{"arm": "SAM", "t_max": 2.0} | counts]))
    assert list(legend_of(figure)) == [f"SAM: {n_escaped:,} of 10,000 escaped ({share})"]


def test_the_boundary_drawn_is_the_zero_level_of_the_region():
    figure = draw_sample_paths(walks(["SGD", "SAM"]), beale(), Ball([0, 1], 0.5))
    for panel in figure.axes[:2]:
        distance = np.linalg.norm(boundary_of(panel) - [0, 1], axis=1)
        np.testing.assert_allclose(distance, 0.5, atol=3e-4)
        assert panel.get_aspect() == 1


@pytest.mark.parametrize(
    ("region", "low", "high"),
    [
        pytest.param(Ball([0, 1], 0.5), (-0.5, 0.5), (0.5, 1.5), id="ball much larger than the paths"),
        pytest.param(Box([-0.1, 0.0], [0.1, 1.01]), (-0.1, 0.0), (0.1, 1.01), id="long box, start near a face"),
        pytest.param(Slab([0, 1], [1, 0], 0.5), (-0.5, 1.0), (0.5, 1.0), id="slab without an end"),
    ],
)
def test_the_view_holds_the_paths_and_the_region_and_little_more(region, low, high):
    paths = walks(["SGD"], steps=20, size=0.001)
    for side, coordinate in zip(view_of(paths, region), ("x0", "x1"), strict=True):
        i = int(coordinate[1])
        assert side[0] < min(low[i], paths[coordinate].min())
        assert side[1] > max(high[i], paths[coordinate].max())
        assert side[1] - side[0] < 1.5 * max(np.subtract(high, low))


def test_the_far_branches_of_an_open_region_do_not_widen_the_view():
    """y x² < 1 with y > 0 is left at (1, 1), and at x = ±10 along y = 0.01, where the opposite rays meet it too."""
    region = LevelSet(lambda w: w[1] * w[0] ** 2 - 1)
    (left, right), _ = view_of(walks(["SGD"], start=(0.0, 0.01), steps=20, size=0.01), region)
    assert right - left < 5


def test_contours_at_quantiles_are_distinct_and_follow_a_large_range():
    generator = np.random.default_rng(0)
    levels = contour_levels(10 ** generator.uniform(-6, 6, 10_000))
    assert (np.diff(levels) > 0).all()
    assert levels[0] < 1e-4
    assert levels[-1] > 1e4
    assert len(contour_levels(np.full(100, 3.0))) <= 1
    assert len(contour_levels(np.empty(0))) == 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("surface", "region", "paths"),
    [
        pytest.param(LossSurface(lambda w: 0 * w.sum(), 2), None, walks(["SGD"]), id="constant loss"),
        pytest.param(LossSurface(lambda w: w.log().sum(), 2), None, walks(["SGD"]), id="loss undefined in view"),
        pytest.param(beale(), Ball([0, 1], 0.5), walks(["SGD"], steps=0), id="paths of one state"),
        pytest.param(beale(), None, walks(["SGD"], steps=0, paths=1), id="one state and no region"),
        pytest.param(beale(), Ball([5, 5], 0.1), walks(["SGD"]), id="start outside of the region"),
        pytest.param(
            muller_brown(), LossBelow(muller_brown(), -20.0), walks(["SGD"], (-0.56, 1.44)), id="curved region"
        ),
    ],
)
def test_unusual_pictures_can_be_drawn(tmp_path, surface, region, paths):
    draw_sample_paths(paths, surface, region).savefig(tmp_path / "picture.png")


def test_sample_paths_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="two coordinates, the surface has 3"):
        draw_sample_paths(walks(["SGD"]), LossSurface(lambda w: w.sum(), 3))
    with pytest.raises(ValueError, match="no finite states"):
        draw_sample_paths(walks(["SGD"]).assign(x0=np.nan), beale())


def test_a_missing_file_is_named_with_what_to_do(tmp_path):
    with pytest.raises(
        ValueError, match=r"^plot: .* has no survival\.csv; run `sam-sde escape CONFIG --out .*` first$"
    ):
        draw_all(tmp_path)


@pytest.mark.parametrize("broken", ["survival.csv", "summary.csv", "paths.csv", "sample_paths.csv"])
def test_a_broken_file_is_named_and_nothing_is_written(tmp_path, broken):
    write(tmp_path, *results({"SGD": 0.5}), walks(["SGD"]))
    before = set(tmp_path.iterdir())
    frame = pd.read_csv(tmp_path / broken)
    frame.rename(columns={"arm": "name"}).to_csv(tmp_path / broken, index=False)
    with pytest.raises(ValueError, match=rf"^plot: .*{re.escape(broken)} has no column arm; got .*name"):
        draw_all(tmp_path, beale())
    (tmp_path / broken).write_text("")
    with pytest.raises(ValueError, match=rf"^plot: cannot read .*{re.escape(broken)}"):
        draw_all(tmp_path, beale())
    assert set(tmp_path.iterdir()) == before


def test_an_arm_without_a_summary_is_named(tmp_path):
    survival, summary, _ = results({"SGD": 0.5, "SAM": 1.0})
    write(tmp_path, survival, summary[:1])
    with pytest.raises(ValueError, match=r"summary\.csv has no row for the arm 'SAM'"):
        draw_all(tmp_path)


def test_a_figure_that_cannot_be_saved_leaves_no_file(tmp_path, monkeypatch):
    write(tmp_path, *results({"SGD": 0.5}))
    before = set(tmp_path.iterdir())

    def fail(figure, path, **options):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        draw_all(tmp_path)
    assert set(tmp_path.iterdir()) == before


def test_bins_are_no_narrower_than_the_steps_of_times():
    # Times of a discrete arm lie on a grid; bins narrower than it, among a wide range, would leave empty gaps.
    steps = np.log10(0.04 * np.repeat(np.arange(18, 26), [2, 8, 20, 30, 30, 20, 8, 2]))
    later = np.log10(np.linspace(3.2, 3.6, 120))
    wide = np.log10(np.linspace(0.72, 12.0, 120))
    counts, _ = np.histogram(steps, _log_edges([steps, later, wide], 1.2))
    occupied = np.flatnonzero(counts)
    assert (counts[occupied[0] : occupied[-1] + 1] > 0).all()
