"""What a terminal shows: text as it is, whatever brackets it holds."""

import pytest

from sam_sde.terminal import print_caution, print_table, say
from sam_sde.wording import TextTable


def test_a_table_is_shown_with_all_of_its_text(capsys):
    print_table(TextTable("Title [x]", ("arm", "a [b]"), [("[bold]SGD", "1 (0–2)"), ("SAM", "[3]")]))
    shown = capsys.readouterr().out
    for text in ("Title [x]", "a [b]", "[bold]SGD", "1 (0–2)", "[3]"):
        assert text in shown
    assert len([line for line in shown.splitlines() if line.strip()]) == 5


def test_a_file_has_room_for_whole_numbers(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    print_table(TextTable("", ("arm", "x", "y"), [("SGD", "1" * 40, "2" * 40)]))
    assert "1" * 40 + "  " + "2" * 40 in capsys.readouterr().out


@pytest.mark.parametrize("error", [False, True])
def test_a_line_is_not_broken_and_goes_where_it_belongs(error, capsys):
    text = "[red]" + "words " * 40 + "[/red]"
    say(text, error=error)
    shown = capsys.readouterr()
    assert (shown.err if error else shown.out) == text + "\n"
    assert (shown.out if error else shown.err) == ""


def test_a_caution_is_called_a_warning(capsys):
    print_caution("SAM [1]: " + "long " * 40)
    assert capsys.readouterr().out == "warning: SAM [1]: " + "long " * 40 + "\n"
