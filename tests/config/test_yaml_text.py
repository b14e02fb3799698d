"""What a text of YAML says: decimal numbers, merges as PyYAML's, and errors where its versions disagree."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sam_sde.config.errors import ConfigError
from sam_sde.config.yaml_text import parse


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30))
def test_numbers_as_python_writes_them_are_those_numbers(number):
    read = parse(f"[{number!r}, {str(number).upper()}]", "test")
    assert read == [number, number]
    assert type(read[0]) is type(number)


@pytest.mark.parametrize(
    ("written", "number"), [("1_000", 1000), ("0b11", 3), ("0x1F", 31), ("+7", 7), ("0", 0), ("-0", 0)]
)
def test_whole_numbers_that_have_one_meaning_have_it(written, number):
    assert parse(written, "test") == number


UNCLEAR = [
    "032",
    "0123",
    "-017",
    "+07",
    "08",
    "00",
    "0_1",
    "1:30",
    "-1:30",
    "01:30",
    "1:30:00",
    "1:30.5",
    "190:20:30.15",
]


@pytest.mark.parametrize("written", UNCLEAR)
@pytest.mark.parametrize("place", ["{}", "a: {}", "[1, {}]", "{}: a", "a: {{{}: 1}}"])
def test_a_number_that_readers_of_yaml_disagree_about_is_refused(written, place):
    text = place.format(written)
    with pytest.raises(ConfigError) as caught:
        parse(text, "file")
    where = f"file: not valid YAML: line 1, column {text.index(written) + 1}"
    assert str(caught.value) == (
        f"{where}: {written} is one number to some readers of YAML and another one to others; write it as a decimal "
        "number without leading zeros and colons, or in quotes if it is text"
    )


@pytest.mark.parametrize("written", [*UNCLEAR, "0.5", "1e5"])
def test_in_quotes_it_is_text(written):
    assert parse(f"['{written}', \"{written}\"]", "test") == [written, written]


@pytest.mark.parametrize("written", ["2024-01-01", "2001-12-14t21:59:43.10-05:00", "0o17", "1:75", "1.2.3", "a:1"])
def test_dates_and_the_like_are_text(written):
    assert parse(written, "test") == written


BASE = "base: &base {kind: sam, rho: 0.1, lr: 0.5}\nother: &other {rho: 7, momentum: 0.9}\n"


@pytest.mark.parametrize(
    "rest",
    [
        "a: {<<: *base}",
        "a: {<<: *base, rho: 0.2}",
        "a: {rho: 0.2, <<: *base}",
        "a: {<<: [*base, *other]}",
        "a: {<<: [*other, *base], lr: 1}",
        "a: &a {<<: *base, rho: 0.2}\nb: {<<: *a, lr: 3}",
        "a:\n  b:\n    c: &c {<<: *base, rho: 0.2}\nd: {<<: *c, rho: 5}",
        "a: {<<: {x: 1}, y: 2}",
        "a: {'<<': 3}",
        "a: *base",
    ],
)
def test_a_merge_gives_what_pyyaml_gives(rest):
    assert parse(BASE + rest, "test") == yaml.safe_load(BASE + rest)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a: 1\nb: 2\na: 3", "'a'"),
        (BASE + "a: {<<: *base, rho: 1, rho: 2}", "'rho'"),
        (BASE + "a: {<<: *base, <<: *other}", "'<<'"),
        ("a: {b: {c: 1, 'c': 2}}", "'c'"),
        ("a: {true: 1, yes: 2}", "True"),
        ("base: &base {x: 1, x: 2}\na: {<<: *base}", "'x'"),
    ],
)
def test_a_key_that_is_given_twice_is_an_error_beside_merges_too(text, key):
    with pytest.raises(ConfigError, match=f"the key {key} is given twice"):
        parse(text, "test")


@pytest.mark.parametrize("text", ["a: {<<: 3}", "a: {<<: [3]}", "a: {<<: abc}"])
def test_what_cannot_be_merged_is_said(text):
    with pytest.raises(ConfigError, match=r"^test: not valid YAML: line 1, column \d+: expected a mapping"):
        parse(text, "test")


@pytest.mark.parametrize("text", ["[1, 2]: 3", "{a: 1}: 2"])
def test_a_key_is_a_word(text):
    with pytest.raises(ConfigError, match="a key must be a word"):
        parse(text, "test")
