"""The page in a browser: figures are drawn and answer the pointer, nothing is asked for, and it fits every page."""

import shutil

import pytest

from sam_sde.report.drawing import DARK, INK
from sam_sde.report.folder import write_report
from tests.report.samples import write_run, write_sweep
from tests.report.test_page import NASTY

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a browser; scripts/test.sh --browser installs one")

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
OPTIONS += ["--disable-component-update", "--disable-sync"]
PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1200, "height": 900}, "color_scheme": "light"}
CONTRAST_AA = 4.5
DRAWN = {
    "escape": "[data-figure=surface] .cartesianlayer .scatterlayer path",
    "sweep": "[data-figure=ratio-0] .cartesianlayer .heatmaplayer image",
}
FIRST_FIGURE = {"escape": "survival", "sweep": "ratio-0"}
both = pytest.mark.parametrize("command", ["escape", "sweep"])


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    run, sweep = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("sweep")
    write_run(run, {"SGD": 0.5, "SAM": 1.5} | dict.fromkeys(NASTY, 1.0), checked=True, warnings=["look at `rmst`"])
    grid = {"surface.expression": NASTY, f'arms."{NASTY[0]} {"long " * 20}".rho': [0.5, 2.0, 200.0]}
    arms = {"SGD": {"kind": "sgd"}, "SAM": {"kind": "sam"}, f"{NASTY[0]} {'long ' * 20}": {"kind": "sam"}}
    write_sweep(sweep, grid, config={"arms": arms}, warnings=["look at `rmst`"], unfinished={NASTY[1]: NASTY[2]})
    return {"escape": write_report(run).as_uri(), "sweep": write_report(sweep).as_uri()}


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser, addresses):
    """The page of a command, loaded once for all tests that open it alike.

    In the end nothing has been said on the console, and nothing was asked for but the files.
    """
    pages, said, asked = {}, [], []

    def open_page(command="escape", **options):
        key = command, str(options)
        if key not in pages:
            page = pages[key] = browser.new_context(**options).new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("dialog", lambda dialog: said.append(dialog.message))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(addresses[command])
            page.wait_for_selector(DRAWN[command], state="attached")
        return pages[key]

    yield open_page
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} <= set(addresses.values())


def wait_until(page, condition):
    """Asks again and again; the page's policy forbids it to evaluate text by itself, as wait_for_function does."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never true: {condition}")


def hover(page, figure, x, y):
    """Points at a place inside the axes; returns what the labels say."""
    place = page.locator(f"[data-figure={figure}] .nsewdrag").first
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=3)
    label = page.locator(f"[data-figure={figure}] .hoverlayer text")
    label.first.wait_for(state="attached")
    return " ".join(label.all_text_contents())


def test_the_first_key_leads_to_the_content(opened):
    page = opened(**DESKTOP)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_figures_are_drawn_and_answer_the_pointer(opened):
    page = opened(**DESKTOP)
    assert page.locator("[data-figure=survival] .scatterlayer .trace").count() >= 3
    assert page.locator("[data-figure=surface] .contour").count() >= 2
    assert "at risk" in hover(page, "survival", 0.1, 0.5)
    assert "loss" in hover(page, "surface", 0.1, 0.1)
    assert page.locator("svg.main-svg:not([aria-hidden])").count() == 0


def test_a_map_is_drawn_with_its_numbers_and_answers_the_pointer(opened):
    page = opened("sweep", **DESKTOP)
    texts = page.locator("[data-figure=ratio-0] .heatmap-label").all_text_contents()
    assert len(texts) == 3 * len(NASTY)
    assert "≥ 100" in texts
    assert "ratio ≥ 100" in hover(page, "ratio-0", 0.1, 0.1)


def test_arms_can_be_hidden_and_time_be_logarithmic_by_the_keyboard(opened):
    page = opened(**DESKTOP)
    figure = page.locator("[data-figure=survival]")
    lines = figure.locator(".scatterlayer .trace")
    before = lines.count()
    figure.get_by_role("button", name="SAM", exact=True).press("Enter")
    assert lines.count() < before
    scale = "document.querySelector('[data-figure=survival] .plot')._fullLayout.xaxis.type"
    assert page.evaluate(scale) == "linear"
    figure.get_by_role("button", name="logarithmic time").press("Space")
    assert page.evaluate(scale) == "log"


def test_a_drag_zooms(opened):
    page = opened(**DESKTOP)
    extent = "document.querySelector('[data-figure=survival] .plot')._fullLayout.xaxis.range[1]"
    whole = page.evaluate(extent)
    hover(page, "survival", 0.2, 0.5)
    page.mouse.down()
    box = page.locator("[data-figure=survival] .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.8 * box["height"], steps=5)
    page.mouse.up()
    wait_until(page, f"{extent} < {0.7 * whole}")


@both
@pytest.mark.parametrize("options", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_is_wider_than_the_page(opened, options, command):
    page = opened(command, **options)
    width = options["viewport"]["width"]
    assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
    assert page.locator(f"[data-figure={FIRST_FIGURE[command]}] svg.main-svg").first.bounding_box()["width"] <= width


def luminance(color: str) -> float:
    """Of "rgb(1, 2, 3)", as WCAG defines it."""
    channels = [int(channel) / 255 for channel in color.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@both
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark_and_figures_follow(opened, scheme, command):
    page = opened(command, **DESKTOP | {"color_scheme": scheme})
    color = "selector => getComputedStyle(document.querySelector(selector))"
    paper = luminance(page.evaluate(f"({color})('body').backgroundColor"))
    assert (paper > 0.5) == (scheme == "light")
    button = [".key button"] if command == "escape" else []
    for selector in ("body", "h1", "h2", "caption", "thead th", ".interval", "figcaption", "main a", *button):
        ink = luminance(page.evaluate(f"({color})({selector!r}).color"))
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= CONTRAST_AA, selector
    tick = luminance(page.evaluate(f"({color})('[data-figure={FIRST_FIGURE[command]}] .xtick text').fill"))
    assert (tick > 0.5) == (scheme == "dark")


@both
def test_a_dark_page_is_printed_in_ink_on_paper(opened, command):
    page = opened(command, **DESKTOP | {"color_scheme": "dark"})
    ink = f"document.querySelector('[data-figure={FIRST_FIGURE[command]}] .plot')._fullLayout.font.color"
    assert page.evaluate(ink) == DARK[INK]
    page.emulate_media(media="print", color_scheme="dark")
    wait_until(page, f"{ink} === '{INK}'")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden()
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="screen", color_scheme="dark")
    wait_until(page, f"{ink} === '{DARK[INK]}'")
