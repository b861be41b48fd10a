"""The page of `reverie watch` in a real browser: it follows the run, and leaves what a reader does on it alone."""

import pytest

import watched
from reverie.cli.run_watch import CurrentPage
from reverie.report.live_server import LiveServer
from reverie.storage import events
from reverie.storage.tables import Table
from watched import learn

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
POINTS = "document.querySelector('.figure')?.data?.[0].x.length"


@pytest.fixture
def run(tmp_path):
    return watched.new_run(tmp_path / "one")


@pytest.fixture
def server(run, monkeypatch):
    pytest.importorskip("plotly", reason="the page needs: pip install 'reverie[report]'")
    watched.make_at_once(monkeypatch)
    server = LiveServer(CurrentPage([run]), 0)
    server.begin()
    yield server
    server.end()


@pytest.fixture
def open_page(browser, server):
    """Return a function that opens the page; at the end nothing may have gone wrong or been asked of others."""
    wrong, contexts = [], []

    def open_page(viewport, **options):
        contexts.append(browser.new_context(viewport=viewport, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("request", lambda request: wrong.append(request.url) if outside(request.url, server) else None)
        page.goto(server.address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    wrong = [text for text in wrong if "ERR_CONNECTION_REFUSED" not in text]  # of the test that ends the server
    assert wrong == []


def outside(url, server):
    return url != server.address and not url.startswith(("data:", "blob:"))


def wait_for(page, expression, expected):
    for _ in range(300):
        if (found := page.evaluate(expression)) == expected:
            return
        page.wait_for_timeout(100)
    assert found == expected


def test_the_page_follows_a_run_from_before_its_first_episode(open_page, run):
    page = open_page(DESK)
    assert page.get_by_text("Waiting for the first episode").is_visible()
    learn(run, 24)
    wait_for(page, POINTS, 1)
    assert page.locator("header .lead").text_content().endswith("24 steps, 4 episodes.")
    assert page.get_by_text("Waiting for the first episode").count() == 0
    learn(run, 60)
    wait_for(page, POINTS, 5)  # means of the last ten of fourteen episodes
    links = page.locator("nav a").all_text_contents()
    assert links == page.locator("main > section > h2").all_text_contents() and "Training" in links
    assert page.get_by_role("status").text_content().startswith("Live: changed ")


def test_what_a_reader_hides_opens_and_scrolls_to_stays(open_page, run):
    learn(run, 84)
    page = open_page(DESK)
    figure = page.locator(".figure").first
    figure.scroll_into_view_if_needed()
    figure.locator(".legendtoggle").first.click()
    wait_for(page, "document.querySelector('.figure').data[0].visible", "legendonly")
    page.get_by_text("The figures behind it").first.click()
    page.evaluate("window.kept = document.querySelector('.figure')")
    before = page.evaluate("scrollY")
    learn(run, 60)
    wait_for(page, POINTS, 15)
    assert page.evaluate("window.kept === document.querySelector('.figure')")
    assert page.evaluate("document.querySelector('.figure').data[0].visible") == "legendonly"
    assert page.locator("details[open]").count() == 1 and page.evaluate("scrollY") == before
    assert "real steps 144" in figure.get_attribute("aria-label")
    assert "144" in page.locator("details[open] table").first.text_content()


def test_events_appear_in_the_table_and_in_the_curves(open_page, run):
    learn(run, 84)
    page = open_page(DESK)
    page.locator(".figure").first.scroll_into_view_if_needed()
    wait_for(page, POINTS, 5)
    event = {"step": 42, "episode": 7, "kind": "outlier", "text": "<img src=x onerror=alert(1)>"}
    Table(run / "events.csv", events.COLUMNS).append(event)
    wait_for(page, "document.querySelector('.figure').data.at(-1).x[0]", 42)
    assert page.get_by_role("cell", name="<img src=x onerror=alert(1)>").count() == 1
    assert page.locator("main img").count() == 0


def test_a_phone_scrolls_downwards_only(open_page, run):
    learn(run, 84)
    page = open_page(PHONE, has_touch=True, is_mobile=True)
    for i in range(page.locator(".figure").count()):
        page.locator(".figure").nth(i).scroll_into_view_if_needed()
        page.locator(".figure").nth(i).locator(".main-svg").first.wait_for()
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [360, 360]


def test_a_page_whose_server_has_ended_says_so_and_keeps_what_it_shows(open_page, run, server):
    learn(run, 84)
    page = open_page(DESK)
    wait_for(page, "document.querySelector('.live').dataset.state", "live")
    server.end()
    wait_for(page, "document.querySelector('.live').dataset.state", "lost")
    assert "reverie watch does not answer" in page.get_by_role("status").text_content()
    assert page.get_by_role("heading", name="Training", exact=True).is_visible()
