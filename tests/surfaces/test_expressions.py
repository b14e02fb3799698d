import math
import pickle
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_sde.surfaces import expression_surface

W = torch.tensor([[0.3, 0.7, 1.1], [1.2, 0.4, 2.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    "text",
    [
        "x**2 - y**2",
        "-x**2 + +y",
        "2**x / (1 + z)",
        "x**-1 * y**0.5 - (x + y)**3",
        "exp(-x) * log(y) + sqrt(z) + tanh(x*y)",
        "sin(x) + cos(y) + tan(z) + sinh(x) - cosh(y)",
        "abs(x - y) + max(x, 1) - min(2*y, z) + max(1, 2)*x",
        "1.5**2 * x + 1e-3*y + 1_000*z",
        "pi*x**2 + e**y",
        "x**y + x**x",
        "exp(1)*x + sin(pi/2)",
    ],
)
def test_an_expression_means_what_python_means(text):
    names = {
        k: getattr(math, k) for k in ["pi", "e", "exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh"]
    }
    expected = [eval(text, {**names, "x": x, "y": y, "z": z}) for x, y, z in W.tolist()]
    torch.testing.assert_close(expression_surface(text, dim=3).value(W).tolist(), expected)


formulas = st.recursive(
    st.sampled_from(["x", "y", "2", "0.5", "pi"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "-"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda t: f"(-{t})**2"),
        inner.map(lambda t: f"sin({t})"),
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(formulas)
def test_any_expression_means_what_python_means(text):
    text = f"x + {text}"
    x, y = 0.3, 0.7
    try:
        expected = eval(text, {"x": x, "y": y, "pi": math.pi, "sin": math.sin})
    except ZeroDivisionError:
        return
    if abs(expected) < 1e6:  # beyond, a denominator was rounded to almost 0
        value = expression_surface(text, dim=2).value(W[:1, :2]).item()
        assert value == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_derivatives_are_those_of_the_formula():
    surface = expression_surface("x**3 * y + sigmoid(y)")
    w = W[:, :2]
    x, y = w.unbind(1)
    s = torch.sigmoid(y)
    gradient = torch.stack([3 * x**2 * y, x**3 + s * (1 - s)], 1)
    torch.testing.assert_close(surface.gradient(w), gradient)
    torch.testing.assert_close(surface.hessian(w)[:, 0, 1], 3 * x**2)


@pytest.mark.parametrize(("text", "dim", "expected"), [("z", None, 3), ("w0*w4", None, 5), ("x*y", 3, 3), ("w1", 7, 7)])
def test_dim_is_the_highest_coordinate_unless_given(text, dim, expected):
    assert expression_surface(text, dim).dim == expected


def test_dim_must_hold_the_coordinates():
    with pytest.raises(ValueError, match="dim: expected at least 3 for the expression 'x \\+ z', got 2"):
        expression_surface("x + z", dim=2)


def test_an_expression_may_be_folded_over_lines_and_sent_to_another_process():
    surface = expression_surface(" x**2\n  - y**2\n")
    twin = pickle.loads(pickle.dumps(surface))
    assert twin.name == surface.name == "x**2 - y**2"
    assert torch.equal(twin.gradient(W[:, :2]), surface.gradient(W[:, :2]))


def test_a_long_sum_still_has_a_hessian():
    surface = expression_surface(" + ".join(f"w{i}**2" for i in range(150)))
    w = torch.ones(1, 150)
    surface.check_at(w)
    torch.testing.assert_close(surface.hessian(w)[0], 2 * torch.eye(150))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os').system('true')", "only numbers, variables"),
        ("__import__('os')", r"\"__import__\('os'\)\": unknown function"),
        ("().__class__.__bases__", "only numbers"),
        ("x.real", "'x.real': only"),
        ("x + y.data.zero_()", r"'y.data.zero_\(\)': only"),
        ("exec('x')", "unknown function; did you mean 'exp'"),
        ("eval(x)", "unknown function"),
        ("(lambda: x)()", "only"),
        ("[x for x in (1, 2)]", "only"),
        ("x if x else y", "only"),
        ("x < y", "'x < y': only"),
        ("x and y", "only"),
        ("(x := 3)", "'x := 3': only"),
        ("'x' * 9", "\"'x'\": only"),
        ("f'{x}'", "only"),
        ("x[0]", r"'x\[0\]': only"),
        ("x, y", "only"),
        ("True * x", "'True': only"),
        ("2j * x", "'2j': only"),
        ("x // 2", "only"),
        ("x % 2", "only"),
        ("x @ y", "only"),
        ("sin(*x)", r"'\*x': only"),
        ("sin(x, out=y)", "only"),
        ("x ^ 2", r"'x \^ 2': use \*\* for powers"),
        ("2x", "cannot read '2x'.*need \\*"),
        ("2(x)", r"'2\(x\)': products need \*"),
        ("x y", "cannot read"),
        ("x = 2", "cannot read"),
        ("import os", "cannot read"),
        ("x\0", "cannot read"),
        ("x**2 # + y", "without comments"),
        ("sni(x)", "did you mean 'sin'"),
        ("sin + x", "'sin': sin is a function"),
        ("t + 1", "'t': unknown name"),
        ("w + 1", "'w': coordinates are written w0, w1"),
        ("w123456789", "coordinates are written"),
        ("x + w0", "'w0': write all variables as"),
        ("exp(x, y)", "expected 1 argument, got 2"),
        ("max(x)", "expected 2 arguments, got 1"),
        ("x / 0", "'x / 0': division by zero"),
        ("x * (1 / (2 - 2))", r"'1 / \(2 - 2\)': division by zero"),
        ("(-8)**0.5 * x", "finite real number"),
        ("log(0) * x", r"'log\(0\)': expected a finite"),
        ("1e999 * x", "'1e999': expected a finite"),
        ("9" * 500 + "*x", "too large"),
        ("3 + pi", "expected a variable"),
        ("", "expected a formula"),
        ("  ", "expected a formula"),
        (None, "expected a formula such as .*, got None"),
        ("x+" * 1000 + "x", "at most 2,000 characters"),
        ("x" + "+x" * 900, "nested 901 deep"),
        ("-" * 900 + "x", "nested|cannot read"),
        ("(" * 900 + "x" + ")" * 900, "cannot read"),
    ],
)
def test_anything_else_is_refused_with_the_piece_quoted(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        expression_surface(text)
    assert str(caught.value).startswith("expression: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_tower_of_powers_is_an_error_at_once():
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"'9\*\*9\*\*9': the number is too large"):
        expression_surface("x + 9**9**9")
    assert time.perf_counter() - start < 1
