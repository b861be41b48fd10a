"""The report's page: whole, safe, legible to machines and people, and in need of nothing from outside."""

import base64
import hashlib
import html.parser
import itertools
import json
import math
import re
import subprocess
import sys
import zlib
from importlib import resources

import pytest

from reverie.core.errors import ConfigError, StorageError
from reverie.report.document import (
    Commands,
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
from reverie.report.page import html_of, write_page
from reverie.report.page_figures import COLOURS

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&<!--"
VOID = {"meta", "link", "img", "br", "input"}


class Page(html.parser.HTMLParser):
    """A page as a tree's flat list: each element with its attributes, the tags around it and the text right in it."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.around, self.unbalanced = [], [], []
        self.feed(text)
        self.close()
        self.unbalanced += [element["tag"] for element in self.around]

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attrs": dict(attrs), "around": [e["tag"] for e in self.around], "text": ""}
        self.elements.append(element)
        if tag not in VOID:
            self.around.append(element)

    def handle_endtag(self, tag):
        if not self.around or self.around.pop()["tag"] != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        for element in self.around:
            element["text"] += data

    def all(self, tag, **attrs):
        return [e for e in self.elements if e["tag"] == tag and all(e["attrs"].get(k) == v for k, v in attrs.items())]


def sample(word="it"):
    steps = [0.0, 1000.0, 2000.0, 30000.0]
    naf = Line("NAF", steps, [-9.0, math.nan, -math.inf, -3.25], [-10.0, math.inf, -6.0, -4.0], [-8.0, -7, -4, -2.5])
    first = Curves(f"Reaching {word}", "real steps", "return", [Line("DDPG", steps, [-9.0, -8, -7, -6]), naf])
    second = Curves(
        "Pegs", "episodes", "return", [naf, Line("SAC", range(100), range(100))], [Level("random", -9.5)], "a note"
    )
    return Document(
        f"What {word} says",
        "A lead.",
        [
            Section("Claims", [Text([word, "two"]), Commands(["reverie train naf Pendulum-v1"]), verdicts(word)]),
            Section("Main", [first, second]),
            Section("Claims", [table(word), Films("Films", [Film("NAF", f"Shows {word}.", b"mp4")])]),
        ],
    )


def verdicts(word):
    rows = [("C1", "held"), ("C2", "did not hold"), ("C3", "undecided"), ("C4", "not measured")]
    lines = ["3 [2, 4]", f"Measured on {word}: 6 seeds."]
    return Verdicts("One by one", [Verdict(c, f"Claim of {word}", "figure 2", o, lines) for c, o in rows])


def table(word):
    rows = [[word, "120 [100, 140]", "as before"], ["pegs", None, "3 words here"], ["grip", "> 1e3 s", None]]
    return Table("Episodes needed", ["domain", "NAF", "remark"], rows, "a note")


@pytest.fixture(scope="module")
def plotly():
    return pytest.importorskip("plotly.offline", reason="curves need: pip install 'reverie[report]'").get_plotlyjs()


PACKED = re.compile('<script type="application/deflate" data-size="([0-9]+)">([A-Za-z0-9+/=]+)</script>')


@pytest.fixture(scope="module")
def read(plotly):
    """Return how a document is made a page and read again, without the megabytes of plotly."""
    return lambda document: Page(PACKED.sub("", html_of(document)))


@pytest.fixture(scope="module")
def page(read):
    return read(sample())


def data_of(page):
    return [json.loads(script["text"]) for script in page.all("script", type="application/json")]


def test_tags_are_balanced_and_plotly_is_there_once(page, plotly):
    assert page.unbalanced == []
    text = html_of(sample())
    whole = Page(text)
    ((size, packed),) = PACKED.findall(text)
    assert zlib.decompress(base64.b64decode(packed), wbits=-15).decode() == plotly and int(size) == len(plotly.encode())
    scripts = [script["text"] for script in whole.all("script") if not script["attrs"]]
    assets = resources.files("reverie.report")
    assert scripts == [assets.joinpath(name).read_text(encoding="utf-8") for name in ("inflate.js", "page.js")]
    assert whole.unbalanced == [] and len(text) < 2_200_000


def test_hostile_text_is_shown_and_does_nothing(read, page):
    hostile = read(sample(HOSTILE))
    assert hostile.unbalanced == [] and not hostile.all("img")
    assert len(hostile.elements) == len(page.elements)
    assert hostile.all("h1")[0]["text"] == f"What {HOSTILE} says"
    assert HOSTILE in [p["text"] for p in hostile.all("p")] and HOSTILE in [th["text"] for th in hostile.all("th")]
    assert not any(name.startswith("on") for element in hostile.elements for name in element["attrs"])
    curves = Curves(HOSTILE, HOSTILE, HOSTILE, [Line(HOSTILE, [1], [2])], [Level(HOSTILE, 1.0)], HOSTILE)
    hostile = read(Document("", "", [Section(HOSTILE, [curves])]))
    assert hostile.unbalanced == [] and not hostile.all("img")
    assert data_of(hostile)[0]["lines"][0]["name"] == data_of(hostile)[0]["x"] == HOSTILE


def test_nothing_is_fetched(page, plotly):
    text = PACKED.sub("", html_of(sample()))
    assert len(text) < 100_000
    assert not re.search(r"(src|href|url\()\s*=?\s*[\"']?\s*(https?:)?//", text) and "@import" not in text
    for element in page.elements:
        for name in {"src", "href", "srcset", "poster", "action"} & element["attrs"].keys():
            assert element["attrs"][name].startswith(("data:", "#")), element


def test_the_browser_is_told_to_run_these_scripts_and_fetch_nothing(plotly):
    page = Page(html_of(sample()))
    policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["attrs"]["content"]
    assert policy.startswith("default-src 'none';") and "http" not in policy and "eval" not in policy
    for script in page.all("script"):
        digest = base64.b64encode(hashlib.sha256(script["text"].encode()).digest()).decode()
        assert (f"'sha256-{digest}'" in policy) == (not script["attrs"])
    digest = base64.b64encode(hashlib.sha256(plotly.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy and policy.count("sha256-") == 3


def test_headings_are_in_order_and_the_contents_lead_to_sections(page):
    levels = [int(e["tag"][1]) for e in page.elements if re.fullmatch("h[1-6]", e["tag"])]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    links = [link["attrs"]["href"][1:] for link in page.all("a") if "nav" in link["around"]]
    assert links == [section["attrs"]["id"] for section in page.all("section")]
    ids = [e["attrs"]["id"] for e in page.elements if "id" in e["attrs"]]
    assert len(set(ids)) == len(ids) and page.all("a")[0]["attrs"]["href"] == "#main" and "main" in ids
    assert page.all("html")[0]["attrs"]["lang"] == "en" and page.all("meta", name="viewport")
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("nav")) == 1


def test_each_figure_has_its_label_and_its_table(page):
    labels = [figure["attrs"]["aria-label"] for figure in page.all("div", role="group")]
    ends = "DDPG ends at −6, real steps 30,000; NAF ends at −3.25 (−4 to −2.5), real steps 30,000."
    assert labels[0] == f"Reaching it: return against real steps; {ends}"
    assert labels[1].endswith("SAC ends at 99, episodes 99; random is at −9.5.")
    assert len(labels) == len(data_of(page)) == len(page.all("noscript")) == len(page.all("details")) == 2
    tables = [t for t in page.all("table") if "details" in t["around"]]
    captions = [c["text"] for c in page.all("caption") if "details" in c["around"]]
    assert captions == [
        "return against real steps",
        "return against episodes",
        "return against episodes: 12 of 100 points",
    ]
    assert "−9 (−10 to −8)" in tables[0]["text"] and "nan" not in tables[0]["text"]
    behind = [row["text"] for row in page.all("tr") if "details" in row["around"]][-12:]
    assert behind[0] == "00" and behind[-1] == "9999"


def test_a_name_has_one_colour_on_the_page_and_names_in_a_figure_differ(page):
    first, second = data_of(page)
    looks = [(line["colour"], line["dash"]) for figure in (first, second) for line in figure["lines"]]
    ddpg, naf, again, sac = looks
    assert naf == again and len({ddpg, naf, sac}) == 3 and second["levels"][0]["colour"] is None


def test_many_names_take_dashes_once_colours_are_spent(read):
    crowd = Curves("Crowd", "x", "y", [Line(f"line {i}", [1], [i]) for i in range(2 * COLOURS)], [Level("line 3", 1.0)])
    apart = Curves("Apart", "x", "y", [Line("alone", [1], [1])])
    both = data_of(read(Document("", "", [Section("", [crowd, apart])])))
    looks = [(line["colour"], line["dash"]) for line in both[0]["lines"]]
    assert looks == [(i % COLOURS, i // COLOURS) for i in range(2 * COLOURS)]
    assert both[0]["levels"][0]["colour"] == looks[3][0] and both[1]["lines"][0]["dash"] == 0


def test_what_is_not_finite_is_a_gap(read, page):
    naf = data_of(page)[0]["lines"][1]
    assert naf["y"] == [-9.0, None, None, -3.25] and naf["low"] == [-10.0, None, -6.0, -4.0]
    nothing = Curves("", "x", "y", [Line("none", [1.0], [math.nan]), Line("empty", [], [])], [Level("far", math.inf)])
    bare = read(Document("", "", [Section("", [nothing])]))
    assert "none has no values; empty has no values" in bare.all("div", role="group")[0]["attrs"]["aria-label"]
    assert data_of(bare)[0]["levels"][0]["y"] is None


def test_verdicts_are_words_and_symbols(page):
    outcomes = [item["text"] for item in page.all("li") if "data-outcome" in item["attrs"]]
    for text, word in zip(outcomes, ("✓ held", "✗ did not hold", "? undecided", "– not measured"), strict=True):
        assert text.startswith(word) and "Claim of it" in text and "figure 2" in text and "3 [2, 4]" in text
    assert page.all("ul", **{"class": "tally"})[0]["text"] == "1 ✓ held1 ✗ did not hold1 ? undecided1 – not measured"


def evidence_of(page):
    """Return the lines of each claim's evidence, and what the lists are within."""
    at = [i for i, e in enumerate(page.elements) if e["tag"] == "ul" and e["attrs"].get("class") == "evidence"]
    ends = [*at[1:], len(page.elements)]
    inside = [
        [e["text"] for e in page.elements[i + 1 : end] if e["tag"] == "li" and e["around"][-2:] == ["div", "ul"]]
        for i, end in zip(at, ends, strict=True)
    ]
    return inside, [page.elements[i]["around"][-2:] for i in at]


def test_an_undecided_claim_says_how_it_stands_so_far(read):
    rows = (("undecided", "held"), ("undecided", "did not hold"), ("undecided", ""), ("held", ""))
    found = [Verdict("C1", "", "", outcome, ["one"], so_far) for outcome, so_far in rows]
    document = Document("", "", [Section("", [Verdicts("", found)])])
    words = [small["text"] for small in read(document).all("small")]
    assert words == ["held so far", "did not hold so far"]


def test_lines_of_evidence_are_items_of_a_list(read, page):
    inside, around = evidence_of(page)
    assert inside == [["3 [2, 4]", "Measured on it: 6 seeds."]] * 4 and around == [["li", "div"]] * 4
    lines = ["On 2 of 10 domains:", "peg: 5 & <b>more</b>", "</li></ul><script>1</script>", HOSTILE]
    outcomes = ("held", "undecided", "not measured")
    found = [Verdict("C1", "", "", o, own) for o, own in zip(outcomes, (lines, ["alone"], []), strict=True)]
    hostile = read(Document("", "", [Section("", [Verdicts("", found)])]))
    assert hostile.unbalanced == [] and not hostile.all("img") and not hostile.all("script")
    assert evidence_of(hostile)[0] == [lines, ["alone"], []]
    assert [b["text"] for b in hostile.all("b") if "div" in b["around"]] == ["C1"] * 3  # and none of the evidence


def test_tables_name_rows_and_columns_and_set_figures_right(page):
    kept = [e for e in page.elements if e["tag"] in ("th", "td") and "details" not in e["around"]]
    assert [e["attrs"].get("scope") for e in kept] == ["col"] * 3 + ["row", None, None] * 3
    assert [e["text"] for e in kept[6:9]] == ["pegs", "–", "3 words here"] and kept[11]["text"] == "–"
    right = [e["attrs"].get("class") == "number" for e in kept]
    assert right == [False, True, False] * 4
    regions = [e["attrs"] for e in page.all("div", role="region")]
    assert regions and all(r["tabindex"] == "0" and r["aria-label"] for r in regions)


def test_films_are_in_the_page(page):
    (film,) = page.all("video")
    assert (
        film["attrs"]["src"] == "data:video/mp4;base64,bXA0#t=0.001" and film["attrs"]["aria-label"] == "NAF: Shows it."
    )
    assert {"controls", "playsinline", "muted", "loop"} <= film["attrs"].keys()
    assert film["attrs"]["preload"] == "metadata" and "autoplay" not in film["attrs"]


def test_a_gif_is_a_picture_with_its_words(read):
    film = Film("NAF", HOSTILE, b"gif", "gif")
    shown = read(Document("", "", [Section("", [Films("", [film])])]))
    (picture,) = shown.all("img")
    assert picture["attrs"] == {"alt": f"NAF: {HOSTILE}", "src": "data:image/gif;base64,Z2lm"}
    assert not shown.all("video") and shown.unbalanced == []


def test_marks_and_panels_are_in_the_data_and_in_words(read):
    marks = Marks("events", [1200.0, math.inf], [HOSTILE, "late"], of="NAF")
    lines = [Line("NAF", [1.0], [2.0]), Line("each", [1.0], [3.0], dots=True)]
    panels = Panels([Curves(f"Panel {i}", "steps", "", lines, marks=[marks], legend=bool(i)) for i in range(2)])
    shown = read(Document("", "", [Section("", [panels])]))
    first, second = data_of(shown)
    assert [line["dots"] for line in first["lines"]] == [False, True] and (first["legend"], second["legend"]) == (
        False,
        True,
    )
    colour = first["lines"][0]["colour"]
    assert first["marks"] == [{"name": "events", "colour": colour, "x": [1200.0, None], "texts": [HOSTILE, "late"]}]
    assert shown.all("div", role="group")[0]["attrs"]["aria-label"].endswith("events at 1,200, inf.")
    assert not shown.all("img") and shown.unbalanced == [] and shown.all("div", **{"class": "panels"})


def test_a_live_page_may_ask_its_own_server_and_has_what_later_figures_need(plotly):
    for parts in ([], [Text(["words"])], sample().sections[1].parts):
        text = html_of(Document("Run", "", [Section("Main", parts)]), live=True)
        page = Page(text)
        policy = page.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["attrs"]["content"]
        assert policy.endswith("; connect-src 'self'") and policy.count("sha256-") == 4 and PACKED.search(text)
        for script in page.all("script"):
            digest = base64.b64encode(hashlib.sha256(script["text"].encode()).digest()).decode()
            assert (f"'sha256-{digest}'" in policy) == (not script["attrs"])
        assert page.all("p", role="status") and page.unbalanced == []
    assert "connect-src" not in html_of(sample()) and 'role="status"' not in html_of(sample())


def test_without_plotly_one_is_told_what_to_install(monkeypatch, tmp_path):
    for module in ("plotly", "plotly.offline"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=re.escape("curves need a package: pip install 'reverie[report]'")):
        write_page(sample(), tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
    plain = Document("Plain", "", [Section("Words", [Text(["no curves"])])])
    write_page(plain, tmp_path / "page.html")
    assert "<script" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    plain = Document("Plain", "\udcff", [])
    write_page(plain, tmp_path / "page.html")
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(StorageError, match=r"there is no folder .*; choose another -o"):
        write_page(plain, tmp_path / "nowhere" / "page.html")
    with pytest.raises(StorageError, match="it is a folder; choose another -o"):
        write_page(plain, tmp_path)


def test_the_presenter_loads_neither_jax_nor_plotly_until_asked():
    code = "import sys, reverie.report.page; print([m for m in ('jax', 'plotly', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_can_be_read_in_the_light_and_in_the_dark():
    css = resources.files("reverie.report").joinpath("page.css").read_text(encoding="utf-8")
    themes = [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root[^{]*\{([^}]*)\}", css)]
    light, dark, paper = themes
    assert sorted(light) == sorted(dark) and sum(name.startswith("line-") for name in light) == COLOURS
    for theme in (light, dark, light | paper):
        for ground in ("ground", "card"):
            for name in theme.keys() - {"ground", "card", "rule"}:
                bright, dim = sorted((luminance(theme[name]), luminance(theme[ground])), reverse=True)
                enough = 3.0 if name.startswith("line-") else 4.5  # WCAG 2.2: of graphics and of text
                assert (bright + 0.05) / (dim + 0.05) >= enough, (name, ground)
