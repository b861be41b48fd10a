"""The report's page in a real browser without a network: drawn, clicked, narrow, dark and printed."""

import math

import pytest

from reverie.report.document import (
    Curves,
    Document,
    Film,
    Films,
    Level,
    Line,
    Marks,
    Panels,
    Section,
    Table,
    Text,
    Verdict,
    Verdicts,
)
from reverie.report.page import write_page

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
HOSTILE = "<b>bold</b> <a href='https://example.org'>link</a> $x$ %{y} &lt;"
DRAWN = (
    "[...document.querySelectorAll('.figure')].map(f => f.querySelectorAll('.scatterlayer .trace:has(path)').length)"
)
ALL_DRAWN = [5] * 6 + [7, 0]  # a band and a line of each, and a level; nothing yet
FIRST = "document.querySelector('.figure')"


def line(name, end, points=21, gap=False):
    x = [1000.0 * i for i in range(points)]
    y = [end - 100 * math.exp(-i / 5) for i in range(points)]
    low, high = [v - 5 for v in y], [v + 5 for v in y]
    if gap:
        y[10] = low[10] = high[10] = math.nan
    return Line(name, x, y, low, high)


def curves(title, *lines):
    return Curves(title, "real environment steps", "return", lines, [Level("random actions", -110.0)], "Ten seeds.")


def document(mp4):
    wide = Table("Wide", ["domain", *(f"algorithm {i}" for i in range(12))], [["reacher", *["120 [100, 140]"] * 12]])
    claims = [Verdict("C1", "NAF is faster.", "figure 2", "held", ["2.7 [2.1, 3.0]", "Ten seeds."])] * 4
    drawn = [curves(f"Domain {i}", line("NAF", -10.0 * i, gap=True), line("DDPG", -30.0)) for i in range(6)]
    drawn.append(
        curves("Names", line(HOSTILE, -5.0), line("a" * 90, -15.0), line("many words " * 9, -20.0, points=200))
    )
    drawn.append(Curves("Nothing yet", "steps", "return", [Line("none", [], []), Line("NAF", [1.0], [math.inf])]))
    sections = [
        Section("Claims", [Text(["word " * 80, "w" * 200]), Verdicts("Claim by claim", claims), wide]),
        Section("Curves", drawn),
        Section("Films", [Films("Policies", [Film("NAF", "A square that grows.", mp4)])]),
    ]
    return Document("A page", "With everything that there is.", sections)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the page lies."""
    pytest.importorskip("plotly", reason="the page needs: pip install 'reverie[report]'")
    pytest.importorskip("imageio_ffmpeg", reason="its film needs: pip install 'reverie[video]'")
    import numpy as np

    from reverie.report.film import write_film

    folder = tmp_path_factory.mktemp("page")
    frames = [np.zeros((48, 64, 3), np.uint8) for _ in range(20)]
    for i, frame in enumerate(frames):
        frame[10 : 20 + i, 10 : 20 + i] = 200
    write_film(frames, folder / "film.mp4", 20.0)
    write_page(document((folder / "film.mp4").read_bytes()), folder / "page.html")
    return (folder / "page.html").as_uri()


@pytest.fixture
def open_page(browser, address):
    """Return a function that opens the page offline; at the end nothing may have gone wrong or been asked for."""
    wrong, contexts = [], []

    def open_page(viewport, address=address, **options):
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url[:80]}"))
        page.on("request", lambda request: wrong.append(request.url) if outside(request.url) else None)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """Where a page with marks, dots and panels lies."""
    x = [0.0, 100.0, 200.0]
    lines = [Line("mean", x, [1.0, 2.0, 3.0]), Line("each", x, [1.0, 3.0, 2.0], dots=True)]
    happened = Marks("events", [50.0, 120.0], ["tick: <b>late</b>", "value: too high"], of="mean")
    small = [Curves(f"Panel {i}", "steps", "", [Line("loss", x, x)], marks=[happened], legend=False) for i in range(3)]
    document = Document(
        "Marks", "", [Section("One", [Curves("Large", "steps", "y", lines, marks=[happened]), Panels(small)])]
    )
    place = tmp_path_factory.mktemp("marked") / "page.html"
    write_page(document, place)
    return place.as_uri()


def outside(url):
    return not url.startswith(("file:", "data:", "blob:"))


def wait_for(page, expression, expected):
    """Wait until an expression has a value; page.wait_for_function needs eval, which the page forbids."""
    for _ in range(100):
        if (found := page.evaluate(expression)) == expected:
            return
        page.wait_for_timeout(100)
    assert found == expected


def scroll_through(page):
    for i in range(page.locator(".figure").count()):
        figure = page.locator(".figure").nth(i)
        figure.scroll_into_view_if_needed()
        figure.locator(".main-svg").first.wait_for()


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_figures_are_drawn_when_one_comes_to_them(open_page, viewport):
    page = open_page(viewport)
    assert page.evaluate(DRAWN)[-1] == 0
    assert page.locator(".figure .main-svg").count() == 0  # far below the first screen
    scroll_through(page)
    assert page.evaluate(DRAWN) == ALL_DRAWN


def test_a_click_on_a_name_hides_its_line_and_band_and_brings_them_back(open_page):
    page = open_page(DESK)
    figure = page.locator(".figure").first
    figure.scroll_into_view_if_needed()
    figure.locator(".legendtoggle").first.wait_for()
    shown = f"{FIRST}.data.map(t => `${{t.legendgroup}} ${{t.visible ?? true}}`)"
    whole = ["line 0 true", "line 1 true", "line 0 true", "line 1 true", "level 0 true"]
    without = ["line 0 legendonly", "line 1 true", "line 0 legendonly", "line 1 true", "level 0 true"]
    assert page.evaluate(shown) == whole
    for expected, traces in ((without, 3), (whole, 5)):
        figure.locator(".legendtoggle").first.click()
        wait_for(page, shown, expected)
        wait_for(page, f"{DRAWN}[0]", traces)


def test_a_name_is_a_box_to_tick_for_who_has_keys_only(open_page):
    page = open_page(DESK)
    figure = page.locator(".figure").first
    figure.scroll_into_view_if_needed()
    figure.locator(".legendtoggle").first.wait_for()
    boxes = figure.get_by_role("checkbox")
    assert [box.get_attribute("aria-label") for box in boxes.all()] == ["NAF", "DDPG", "random actions"]
    boxes.nth(1).focus()
    for key, visible, checked in (("Enter", "legendonly", "false"), ("Space", True, "true")):
        page.keyboard.press(key)
        wait_for(page, f"[1, 3].map(i => {FIRST}.data[i].visible ?? true)", [visible] * 2)
        wait_for(page, f"{FIRST}.querySelectorAll('.legendtoggle')[1].getAttribute('aria-checked')", checked)
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "DDPG"  # focus is kept
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "random actions"
    scroll_through(page)
    names = [box.get_attribute("aria-label") for box in page.locator(".figure").last.get_by_role("checkbox").all()]
    assert names == ["NAF"]  # the line without points has no place in the legend


def test_evidence_is_lines_within_its_card(open_page):
    page = open_page(DESK)
    card, line = page.locator(".verdicts > li").first, page.locator(".evidence li").first
    style = "e => getComputedStyle(e).borderLeftWidth"
    assert (card.evaluate(style), line.evaluate(style)) == ("4px", "0px")
    assert line.bounding_box()["width"] > 0.6 * card.bounding_box()["width"]


def test_a_band_has_gaps_where_its_line_has(open_page):
    page = open_page(DESK)
    scroll_through(page)
    band, whole, line = page.evaluate(f"{FIRST}.data.slice(0, 3).map(t => [...t.x])")
    assert band.count(None) == 2 and whole.count(None) == 1 and len(line) == 21
    assert [len(band), len(whole)] == [2 * (10 + 10 + 2), 21 + 21 + 2]  # there and back, to the start, and a gap
    assert 10_000.0 not in band and 10_000.0 in whole
    assert page.evaluate(f"{FIRST}.data[2].y[10]") is None


def test_one_name_one_colour(open_page):
    page = open_page(DESK)
    scroll_through(page)
    colours = page.evaluate(
        "[...document.querySelectorAll('.figure')].flatMap(f => f.data).filter(t => t.name === 'NAF')"
        ".map(t => t.line.color)"
    )
    assert len(colours) == 7 and len(set(colours)) == 1


def test_names_are_shown_as_they_are_written(open_page):
    page = open_page(DESK)
    scroll_through(page)
    names = page.locator(".figure").nth(6).locator(".legendtext").first
    assert names.text_content() == HOSTILE
    assert page.locator(".figure a, .figure b").count() == 0


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone_scrolls_downwards_only(open_page, width):
    page = open_page(PHONE | {"width": width}, has_touch=True, is_mobile=True)
    scroll_through(page)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
    assert page.evaluate("(t => t.scrollWidth > t.clientWidth)(document.querySelector('.scroll'))")
    assert page.evaluate(f"{FIRST}._fullLayout.dragmode") is False


def test_printing_draws_all_in_ink_on_paper_and_goes_back(open_page, tmp_path):
    page = open_page(DESK, color_scheme="dark")
    page.evaluate(
        "addEventListener('beforeprint', () => { window.printed = {"
        f" curves: {DRAWN}, ink: {FIRST}._fullLayout.font.color,"
        " open: document.querySelectorAll('details[open]').length }; })"
    )
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF") and len(pdf) > 20_000
    assert page.evaluate("printed") == {"curves": ALL_DRAWN, "open": 8, "ink": "#1d2329"}
    assert page.evaluate(DRAWN) == ALL_DRAWN
    assert page.locator("details[open]").count() == 0
    assert page.evaluate(f"{FIRST}._fullLayout.font.color") == "#e7e5df"


def test_figures_follow_the_width_and_the_theme_and_keep_what_is_hidden(open_page):
    page = open_page(DESK)
    scroll_through(page)
    page.locator(".legendtoggle").first.click()
    wait_for(page, f"{FIRST}.data[2].visible", "legendonly")
    page.emulate_media(color_scheme="dark")
    wait_for(page, f"{FIRST}._fullLayout.font.color", "#e7e5df")
    page.set_viewport_size({"width": 500, "height": 800})
    wait_for(page, f"{FIRST}.querySelector('.main-svg').clientWidth < 500", True)
    assert page.evaluate("document.documentElement.scrollWidth") == 500
    assert page.evaluate(f"[0, 1, 2, 3].map(i => {FIRST}.data[i].visible ?? true)") == ["legendonly", True] * 2


def test_those_who_listen_find_their_way(open_page):
    page = open_page(DESK)
    scroll_through(page)
    for role, count in (("main", 1), ("navigation", 1), ("banner", 1)):
        assert page.get_by_role(role).count() == count
    assert page.get_by_role("heading", level=1).all_text_contents() == ["A page"]
    figures = page.locator(".figure").all()
    assert len(figures) == 8 == sum(f.get_attribute("role") == "group" for f in figures)
    for i in range(6):
        name = f"Domain {i}: return against real environment steps; NAF ends at"
        assert page.get_by_role("group", name=name).count() == 1
    assert all(region.get_attribute("aria-label") for region in page.get_by_role("region").all())
    page.evaluate("scrollTo(0, 0)")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_films_play_from_within_the_page(open_page):
    page = open_page(DESK)
    film = page.locator("video")
    film.scroll_into_view_if_needed()
    wait_for(page, "document.querySelector('video').readyState >= 1", True)
    state = page.evaluate("(v => [v.videoWidth, v.muted, v.loop, v.paused])(document.querySelector('video'))")
    assert state == [64, True, True, True]
    assert film.get_attribute("aria-label") == "NAF: A square that grows."


def test_without_javascript_the_figures_can_be_read(open_page):
    page = open_page(DESK, java_script_enabled=False)
    assert page.locator("noscript p").first.is_visible()
    assert not page.locator(".figure").first.is_visible()
    page.get_by_text("The figures behind it").first.click()
    assert page.locator("details table").first.is_visible()


def test_marks_are_lines_over_the_whole_height_that_leave_the_axis_alone(open_page, marked):
    page = open_page(DESK, address=marked)
    scroll_through(page)
    mean, each, marks = page.evaluate(f"{FIRST}.data.map(t => [t.mode, t.yaxis ?? 'y', [...t.x], [...t.text]])")
    assert (mean[0], each[0], marks[:2]) == ("lines+markers", "markers", ["lines", "y2"])
    assert marks[2] == [50, 50, None, 120, 120, None]
    assert marks[3] == ["tick: &lt;b&gt;late&lt;/b&gt;", "", "", "value: too high", "", ""]
    assert page.evaluate(f"[{FIRST}._fullLayout.yaxis2.range, {FIRST}._fullLayout.yaxis.range[1] < 4]") == [
        [0, 1],
        True,
    ]
    assert page.evaluate(f"{FIRST}.data[2].line.color === {FIRST}.data[0].line.color")
    boxes = page.locator(".figure").first.get_by_role("checkbox").all()
    assert [box.get_attribute("aria-label") for box in boxes] == ["mean", "each", "events"]
    page.locator(".figure").first.locator(".legendtoggle").nth(2).click()
    wait_for(page, f"{FIRST}.data[2].visible", "legendonly")


@pytest.mark.parametrize(("width", "columns"), [(360, 1), (1280, 2)])
def test_panels_stand_side_by_side_where_there_is_room(open_page, marked, width, columns):
    page = open_page({"width": width, "height": 800}, address=marked)
    scroll_through(page)
    lefts = {panel.bounding_box()["x"] for panel in page.locator(".panels > .curves").all()}
    assert len(lefts) == columns and page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator(".panels .legendtoggle").count() == 0
    assert page.evaluate("document.querySelector('.panels .figure').clientHeight") > 200
