"""The statements at their thinnest have the verdicts that are known, and lose them where the package is broken."""

import json

import numpy as np
import pandas as pd
import pytest

from sam_sde.dynamics.perturbations import Normalized
from sam_sde.reproduction import theorem_2, trajectories
from sam_sde.reproduction.registry import NOT_REPRODUCED, STATEMENTS, chosen
from sam_sde.reproduction.run import Reproduction
from sam_sde.reproduction.size import Size
from sam_sde.reproduction.statement import HOLDS, IN_PART, NOT_AS_PRINTED

KNOWN = {
    "theorem-1": HOLDS,
    "theorem-2": IN_PART,
    "corollary-1": IN_PART,
    "theorem-3": IN_PART,
    "beale": HOLDS,
    "x2-y2": HOLDS,
    "worse-than-sgd": HOLDS,
    "momentum-and-batch": HOLDS,
    "momentum-and-batch-networks": HOLDS,
    "toy-network": HOLDS,
    "benchmark": IN_PART,
    "benchmark-convolutional": IN_PART,
    "cures": HOLDS,
    "limits-of-usam": HOLDS,
    "weak": HOLDS,
    "xie-escape": HOLDS,
    "noise-premise": NOT_AS_PRINTED,
}


class Least(Size):
    """Two seeds where the thin size has more."""

    def seeds(self, count):
        return super().seeds(min(count, 2))


@pytest.fixture(scope="module")
def thin(tmp_path_factory):
    reproduction = Reproduction(chosen([]), Size("thin"), tmp_path_factory.mktemp("thin"))
    reproduction.execute(lambda line: None)
    return reproduction


@pytest.mark.slow
def test_every_statement_has_its_known_verdict(thin):
    assert not thin.errors
    assert {name: judgement.verdict for name, judgement in thin.judged.items()} == KNOWN
    assert list(KNOWN) == list(STATEMENTS)


@pytest.mark.slow
def test_findings_are_as_derived(thin):
    rows = thin.table().query("kind == 'finding' and holds == 0")
    refuted = (
        "to first order in ρ/‖∇ℓ‖",
        "unnormalized SAM of the theorems",
        "lookahead",
        "at rest at a saddle",
        "warm start: eig",
    )
    assert all(any(each in what for each in refuted) for what in rows["what"]), list(rows["what"])


@pytest.mark.slow
def test_the_report_has_the_numbers_of_the_tables(thin):
    from sam_sde.figures.reproduction import DRAWN
    from sam_sde.report.reproduction import write_reproduction

    text, page = (path.read_text(encoding="utf-8") for path in write_reproduction(thin))
    table = pd.read_csv(thin.out / "statements.csv")
    for said in (*table["reason"].unique(), *NOT_REPRODUCED):
        assert said.replace("|", "\\|") in text
    for each in STATEMENTS.values():
        assert f'id="{each.name}"' in page
    assert page.count("data:image/png;base64,") == len(DRAWN)
    assert "http://" not in page
    assert "https://" not in page
    assert json.loads((thin.out / "reproduce.json").read_text())["unfinished"] == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "table", "column", "verdict"),
    [
        ("theorem-1", "eigenvalues", "attracts", IN_PART),
        ("beale", "runs", "distance_at_end", IN_PART),
        ("limits-of-usam", "limits", "curvature", NOT_AS_PRINTED),
        ("toy-network", "ends", "loss", IN_PART),
        ("noise-premise", "spectra", "eigenvalue", NOT_AS_PRINTED),
    ],
)
def test_a_changed_number_changes_the_verdict(thin, name, table, column, verdict):
    statement = STATEMENTS[name]
    tables = thin.kept(statement).read()
    tables[table][column] = 1.0 - tables[table][column]
    if name != "noise-premise":
        assert statement.judge(tables).verdict == verdict
    else:  # of |H| itself
        tables[table]["variance"] = tables[table]["eigenvalue"] = np.arange(1.0, 1 + len(tables[table]))
        tables[table]["variance"] *= 1 + 0.01 * np.sin(np.arange(len(tables[table])))
        assert statement.judge(tables).verdict == HOLDS


def judged_as_measured(statement, size, folder):
    reproduction = Reproduction([statement], size, folder)
    reproduction.execute(lambda line: None)
    assert not reproduction.errors
    return reproduction.judged[statement.name].verdict


def test_an_ascent_the_wrong_way_round_changes_the_verdict(monkeypatch, tmp_path):
    gain = Normalized.gain
    monkeypatch.setattr(Normalized, "gain", lambda self, *where: -gain(self, *where))
    monkeypatch.setattr(trajectories, "critical_rho", lambda *arguments, **options: np.nan)  # none traps
    assert judged_as_measured(trajectories.PLANE, Size("thin"), tmp_path) == IN_PART


def test_a_formula_with_another_factor_changes_the_verdict(monkeypatch, tmp_path):
    formula = theorem_2.corollary_1
    monkeypatch.setattr(theorem_2, "corollary_1", lambda *arguments, **options: 3.0 * formula(*arguments, **options))
    assert judged_as_measured(theorem_2.GAPS, Least("thin"), tmp_path) == NOT_AS_PRINTED
