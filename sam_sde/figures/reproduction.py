"""The figures of a reproduction, from the tables of its statements."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sam_sde.figures.styles import (
    BLACK,
    FONT,
    GREY,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILLION,
    WIDTH,
    add_legend,
    arm_styles,
    new_figure,
    tidy,
)

Tables = Mapping[str, pd.DataFrame]
# Of batch sizes: none is that of an optimizer.
COLOURS = [ORANGE, SKY_BLUE, BLACK, GREY, PURPLE]


def draw_ratios(tables: Tables) -> Figure:
    """The escape time of SAM over SGD's against ρ: exact, of paths, and by splitting, with 95 % intervals."""
    figure = new_figure(WIDTH, 3.0)
    axes = figure.subplots()
    exact, measured = tables["by_rho"], tables["by_rho_measured"]
    color = VERMILLION[0]
    axes.plot(exact["rho"], exact["ratio"], color=color, linestyle="--", linewidth=1.2)
    handles, labels = [axes.lines[-1]], ["exact"]
    for marker, (how, of_one) in zip("oD", measured.groupby("measured", sort=False), strict=False):
        errors = [of_one["ratio"] - of_one["ratio_low"], of_one["ratio_high"] - of_one["ratio"]]
        bars = axes.errorbar(
            of_one["rho"],
            of_one["ratio"],
            np.clip(errors, 0, None),
            color=color,
            marker=marker,
            markersize=4,
            linestyle="",
        )
        handles.append(bars)
        labels.append(how)
    axes.set_yscale("log")
    axes.set_xlabel("ρ", fontsize=FONT)
    axes.set_ylabel("mean escape time, SAM over SGD", fontsize=FONT)
    tidy(axes)
    add_legend(figure, handles, labels)
    return figure


def draw_momentum(tables: Tables) -> Figure:
    """The mean escape time of SAM against momentum, a line for each batch size, as SDE and as algorithm.

    A row of panels for each network, where there are such.
    """
    table = tables["grid"] if "network" in tables["grid"] else tables["grid"].assign(network="")
    by_panel = table.groupby(["network", "model"], sort=False)
    n_networks, n_models = table["network"].nunique(), table["model"].nunique()
    figure = new_figure(WIDTH, 0.8 + 2.0 * n_networks)
    panels = figure.subplots(n_networks, n_models, sharex=True, sharey="row", squeeze=False)
    for axes, ((network, model), of_panel) in zip(panels.flat, by_panel, strict=True):
        for (color, line), (batch, of_one) in zip(COLOURS, of_panel.groupby("batch_size"), strict=False):
            errors = np.clip([of_one["rmst"] - of_one["rmst_low"], of_one["rmst_high"] - of_one["rmst"]], 0, None)
            axes.errorbar(
                of_one["momentum"], of_one["rmst"], errors, color=color, linestyle=line, marker="o", markersize=3,
                label=f"B = {batch:g}",
            )  # fmt: skip
        axes.set_yscale("log")
        axes.set_title(f"{network}, {model}" if network else model, fontsize=FONT, loc="left")
        tidy(axes)
    for axes in panels[-1]:
        axes.set_xlabel("momentum γ", fontsize=FONT)
    figure.supylabel("mean time at the saddle\n(restricted to t_max)", fontsize=FONT, multialignment="center")
    add_legend(figure, *panels[0, 0].get_legend_handles_labels())
    return figure


def draw_accuracies(tables: Tables) -> Figure:
    """The accuracy of SGD and SAM against momentum, mean and standard deviation over seeds, a panel for each batch."""
    table = tables["spread"]
    batches = sorted(table["batch_size"].unique())
    figure = new_figure(WIDTH, 2.6)
    panels = figure.subplots(1, len(batches), sharey=True, squeeze=False)[0]
    for axes, batch in zip(panels, batches, strict=True):
        of_batch = table[table["batch_size"] == batch]
        for name, style in arm_styles(list(dict.fromkeys(table["optimizer"]))).items():
            of_one = of_batch[of_batch["optimizer"] == name]
            where, spread = (of_one["momentum"], of_one["accuracy_mean"]), of_one["accuracy_std"]
            axes.errorbar(*where, spread, **style, marker="o", markersize=3, capsize=2, label=name)
        axes.set_title(f"B = {batch:g}", fontsize=FONT, loc="left")
        axes.set_xlabel("momentum γ", fontsize=FONT)
        tidy(axes)
    panels[0].set_ylabel("accuracy, %", fontsize=FONT)
    add_legend(figure, *panels[0].get_legend_handles_labels())
    return figure


def draw_cosines(tables: Tables) -> Figure:
    """The cosine of ∇ℓ(w) and ∇ℓ(w^p) over the steps of SAM on the Beale function, a panel for each ρ."""
    table = tables["trajectories"].query("rho > 0")
    rhos = list(dict.fromkeys(table["rho"]))
    figure = new_figure(WIDTH, 0.6 + 1.1 * len(rhos))
    panels = figure.subplots(len(rhos), 1, sharex=True, squeeze=False)[:, 0]
    for axes, rho in zip(panels, rhos, strict=True):
        of_one = table[table["rho"] == rho]
        axes.plot(of_one["step"], of_one["cosine"], color=VERMILLION[0], linewidth=0.6)
        axes.set_ylim(-1.1, 1.1)
        axes.set_title(f"SAM, ρ = {rho:g}", fontsize=FONT, loc="left")
        tidy(axes)
    panels[-1].set_xlabel("step", fontsize=FONT)
    figure.supylabel("cosine of ∇ℓ(w) and ∇ℓ(w$^p$)", fontsize=FONT)
    return figure


ACCURACY = "Accuracy on digits that were kept back: mean and standard deviation over seeds."

# Of each statement that has one: its file, how it is drawn, and what is said beneath.
DRAWN: dict[str, tuple[str, Callable[[Tables], Figure], str]] = {
    "worse-than-sgd": (
        "escape_ratio",
        draw_ratios,
        "How many times as long SAM stays at the saddle as SGD: measured with 95 % intervals, and exact.",
    ),
    "momentum-and-batch": (
        "momentum_and_batch",
        draw_momentum,
        "Mean time of SAM at the saddle against momentum, for each batch size, with 95 % intervals.",
    ),
    "momentum-and-batch-networks": (
        "momentum_and_batch_networks",
        draw_momentum,
        "The same at the saddles of networks, with the noise of their samples.",
    ),
    "benchmark": ("benchmark", draw_accuracies, ACCURACY),
    "benchmark-convolutional": ("benchmark_convolutional", draw_accuracies, ACCURACY),
    "beale": (
        "beale_cosines",
        draw_cosines,
        "The cosine of the two gradients on the Beale function: it swings where SAM is trapped at the saddle.",
    ),
}
