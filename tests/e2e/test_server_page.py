"""The server's page in a real browser: it translates as one types, shows links, is steered, downloads."""

import base64
import json
import re
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from page_server import PageServer, RefusedError, serving

from nmt.server.static_files import FONT, static_file, static_names

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

SOURCE = "Sita likes this house."
BEST, OTHER = "सीताला हे घर आवडते.", "सीताला हे निवासस्थान आवडते."
ATTENTION = [
    [0.9, 0.1, 0, 0, 0],
    [0, 0, 1, 0, 0],
    [0, 0, 0.2, 0.8, 0],
    [0, 0.7, 0, 0.05, 0.2],
    [0, 0, 0, 0, 1],
]
TREE = [
    (0, None, "", 0, "best"),
    (1, 0, "सीता", -0.1, "best"),
    (2, 0, "सीते", -2.0, "pruned"),
    (3, 1, "ला", -0.2, "best"),
    (4, 3, " हे", -0.3, "best"),
    (5, 3, " ते", -1.3, "kept"),
    (6, 4, "", -0.5, "best"),
    (7, 5, "", -1.5, "finished"),
    (8, 0, "ती", -3.0, "pruned"),
]


def words(text: str) -> list[dict]:
    return [
        {"text": found[0], "start": found.start(), "end": found.end()}
        for found in re.finditer(r"[^\s.]+|\.", text)
    ]


def translation(source: str, text: str, **changes: object) -> dict:
    found, source_words = words(text), words(source)
    rows = [(row + [0.0] * len(source_words))[: len(source_words)] for row in ATTENTION]
    attention = (rows + [[0.0] * len(source_words)] * len(found))[: len(found)]
    for word, confidence in zip(found, (0.9, 0.6, 0.2, 0.9, 0.9), strict=False):
        word["confidence"] = confidence
    return {
        "source": source,
        "text": text,
        "score": -1.0,
        "log_probability": -1.0,
        "confidence": 0.6,
        "flags": [],
        "words": found,
        "source_words": source_words,
        "attention": attention,
        "coverage": [sum(column) for column in zip(*attention, strict=True)],
        "alternatives": [],
        **changes,
    }


def translate(body: dict) -> list[dict]:
    source, prefix = body["text"], body.get("prefix", "")
    if source != SOURCE:
        text = source.upper()
    else:
        text = next((text for text in (BEST, OTHER) if text.startswith(prefix)), prefix + "…")
    best = translation(source, text)
    if body["nbest"] > 1 and source == SOURCE and not prefix:
        best["alternatives"] = [translation(source, OTHER, confidence=0.4)]
    if body.get("tree"):
        names = ("id", "parent", "text", "log_probability", "state")
        best["tree"] = {"nodes": [dict(zip(names, node, strict=True)) for node in TREE]}
    return [{"piece": text[:3]}, {"piece": text[3:]}, {"translation": best}]


def alternatives(body: dict) -> dict:
    found = [translation(body["text"], text) for text in (BEST, OTHER) if text.startswith(body["prefix"])]
    return {"alternatives": found[: body["count"]]}


@pytest.fixture
def server():
    models = [{"name": "first", "source": "en", "target": "mr"}]
    answers = {
        "/v1/models": lambda body: {"models": models},
        "/v1/stream": translate,
        "/v1/alternatives": alternatives,
    }
    with serving(answers) as server:
        yield server


@pytest.fixture
def page(browser, server, tmp_path):
    """The page, just opened. At the end: it has asked no other host, and has complained about nothing."""
    browser.get_log("browser")
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
    )
    browser.get(server.address)
    yield browser
    asked = browser.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert [name for name in asked if not name.startswith((server.address, "data:", "blob:"))] == []
    assert [entry["message"] for entry in browser.get_log("browser") if " 401 " not in entry["message"]] == []
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def until(condition):
    """Wait for a condition; an element that the page has replaced meanwhile is looked for again."""
    gone = [StaleElementReferenceException]
    return WebDriverWait(None, 5, 0.02, gone).until(lambda _: condition())


def find(page, selector: str) -> list:
    return page.find_elements(By.CSS_SELECTOR, selector)


def write(page, text: str = SOURCE, expected: str = BEST) -> None:
    page.find_element(By.ID, "text").send_keys(text)
    until(lambda: shown(page) == expected)


def shown(page) -> str:
    return page.execute_script("return document.getElementById('target-words').textContent")


def asked(server: PageServer, path: str = "/v1/stream") -> list[dict]:
    return [body for where, body in server.requests if where == path]


def strengths(page, side: str) -> list[float]:
    script = f"""return [...document.querySelectorAll('#{side}-words button')]
        .map((word) => +word.style.getPropertyValue('--strength'))"""
    return page.execute_script(script)


def downloaded(folder: Path, name: str) -> bytes:
    path = folder / name
    until(lambda: path.is_file() and path.stat().st_size)
    return path.read_bytes()


# ---------------------------------------------------------------- files


def test_small_and_with_no_code_or_style_in_the_page() -> None:
    files = {name: static_file(name) for name in static_names() if name != FONT}
    assert sum(len(file.content) for file in files.values()) < 150_000
    index = files["index.html"].content.decode()
    assert re.findall(r"<script[^>]*>[^<]|<style|\son\w+=|\sstyle=|https?://", index) == []
    assert "script-src 'self';" in files["index.html"].headers["Content-Security-Policy"]
    identifiers = re.findall(r'\sid="([^"]*)"', index)
    assert len(identifiers) == len({*identifiers})
    assert static_file("../static_files.py") is None
    assert static_file("") is None


# ---------------------------------------------------------------- translating


def test_one_request_for_what_is_typed_without_a_pause(page, server):
    write(page)
    assert [body["text"] for body in asked(server)] == [SOURCE]
    assert asked(server)[0] == {
        "text": SOURCE, "model": "first", "nbest": 5, "attention": True,
    }  # fmt: skip
    assert page.find_element(By.ID, "source-language").text == "Text: English"
    assert page.find_element(By.ID, "target-words").get_attribute("lang") == "mr"
    page.find_element(By.ID, "clear").click()
    until(lambda: shown(page) == "")
    assert not page.find_element(By.ID, "more").is_displayed()


def test_the_words_of_a_long_text_are_buttons_where_one_looks(page, server):
    text = " ".join(f"w{number}" for number in range(3000)) + " " + "x" * 20_000
    found = words(text.upper())
    whole = {"source": text, "text": text.upper(), "words": found, "source_words": [], "alternatives": []}
    server.answers["/v1/stream"] = lambda body: [
        {"translation": {**whole, "score": -1.0, "log_probability": -1.0, "confidence": 0.6, "flags": []}}
    ]
    page.execute_script(
        """const text = document.getElementById('text');
        text.value = arguments[0];
        text.dispatchEvent(new Event('input'));""",
        text,
    )
    until(lambda: shown(page) == text.upper())
    assert asked(server)[0]["nbest"] == 1
    assert len(find(page, "#target-words button")) < 2500
    find(page, "#target-words button")[0].send_keys(Keys.END)
    last = page.switch_to.active_element
    assert (last.get_attribute("role"), len(last.text)) == ("button", 20_000)
    last.send_keys(Keys.ARROW_LEFT)
    assert page.switch_to.active_element.text == "W2999"


def test_a_request_for_an_earlier_text_is_cancelled(page, server):
    def until_it_leaves(body: dict) -> Iterator[dict]:
        for _ in range(0 if body["text"] == "one two" else 500):
            time.sleep(0.02)
            yield {"piece": ""}
        yield from translate(body)

    server.answers["/v1/stream"] = until_it_leaves
    page.execute_script("""
        window.seen = new Set();
        const look = () => seen.add(document.getElementById('target-words').textContent);
        new MutationObserver(look).observe(document.body, {childList: true, subtree: true})""")
    page.find_element(By.ID, "text").send_keys("one")
    until(lambda: asked(server))
    write(page, " two", "ONE TWO")
    assert page.execute_script("return [...seen]") == ["", "ONE TWO"]
    until(lambda: server.left == len(asked(server)) - 1)


def test_a_long_translation_is_shown_as_it_comes(page, server):
    go_on = threading.Event()

    def translate(body: dict) -> Iterator[dict]:
        for piece in ("सी", "ता"):
            time.sleep(0.6)
            yield {"piece": piece}
        go_on.wait(5)
        yield {"error": {"message": "it took too long"}}

    server.answers["/v1/stream"] = translate
    page.find_element(By.ID, "text").send_keys(SOURCE)
    until(lambda: shown(page) == "सी")
    until(lambda: shown(page) == "सीता")
    go_on.set()
    until(lambda: page.find_element(By.CSS_SELECTOR, "#error span").text == "it took too long")
    assert shown(page) == ""


def test_pointing_at_words_on_either_side(page):
    write(page)
    source, target = find(page, "#source-words button"), find(page, "#target-words button")
    assert [word.text for word in target] == ["सीताला", "हे", "घर", "आवडते", "."]
    webdriver.ActionChains(page).move_to_element(target[2]).perform()
    assert strengths(page, "source") == pytest.approx([0, 0, 0.2, 0.8, 0])
    assert strengths(page, "target") == [0] * 5
    webdriver.ActionChains(page).move_to_element(source[1]).perform()
    assert strengths(page, "target") == pytest.approx([0.1, 0, 0, 0.7, 0])
    assert target[2].get_attribute("aria-label") == "घर: house 80 %, this 20 %; confidence 20 %"
    box = page.find_element(By.CSS_SELECTOR, "#heatmap .field")
    webdriver.ActionChains(page).move_to_element(box).perform()  # the middle: घर, this
    assert strengths(page, "source") == pytest.approx([0, 0, 0.2, 0, 0])
    chosen = [word.text for word in find(page, ".words .chosen")]
    assert chosen == ["this", "घर"]


def test_doubtful_words_and_what_may_be_missing_are_marked(page):
    write(page, "Sita likes this blue house.", "SITA LIKES THIS BLUE HOUSE.")
    assert [word.text for word in find(page, "#target-words .unsure")] == ["LIKES"]
    assert [word.text for word in find(page, "#target-words .doubtful")] == ["THIS"]
    assert [word.text for word in find(page, "#source-words .uncovered")] == ["."]
    assert page.find_element(By.ID, "legend").is_displayed()
    assert "60 %" in page.find_element(By.ID, "confidence").text


def test_words_are_where_they_should_be_after_an_emoji(page):
    text = "a 🙂 b"
    page.execute_script("""
        const text = document.getElementById('text');
        text.value = arguments[0];
        text.dispatchEvent(new Event('input'))""", text)  # fmt: skip
    until(lambda: shown(page) == "A 🙂 B")
    assert [word.text for word in find(page, "#target-words button")] == ["A", "🙂", "B"]


# ---------------------------------------------------------------- steering


def test_another_word_is_chosen_and_the_rest_translated_anew(page, server):
    write(page)
    find(page, "#target-words button")[2].click()
    until(lambda: len(find(page, ".box .choice")) == 2)
    assert asked(server, "/v1/alternatives")[0] == {
        "text": SOURCE, "model": "first", "prefix": "सीताला हे ", "count": 6,
    }  # fmt: skip
    current, other = find(page, ".box .choice")
    assert current.get_attribute("aria-current") == "true"
    assert other.text.split("\n") == ["निवासस्थान", " आवडते."]
    other.click()
    until(lambda: shown(page) == OTHER)
    assert asked(server)[-1]["prefix"] == "सीताला हे निवासस्थान "
    assert find(page, ".box") == []
    assert [word.text for word in find(page, "#target-words .kept")] == ["सीताला", "हे", "निवासस्थान"]
    page.find_element(By.CSS_SELECTOR, "#kept button").click()
    until(lambda: shown(page) == BEST)
    assert "prefix" not in asked(server)[-1]


def test_a_translation_that_ends_with_the_chosen_word(page, server):
    """With what ends there as a beginning, another translation may be better; the chosen one is shown."""
    short, longer = "सीताला हे", "सीताला हे घर"

    def translate(body: dict) -> list[dict]:
        return [{"translation": translation(SOURCE, longer, alternatives=[translation(SOURCE, short)])}]

    server.answers["/v1/stream"] = translate
    server.answers["/v1/alternatives"] = lambda body: {"alternatives": [translation(SOURCE, short)]}
    write(page, SOURCE, longer)
    find(page, "#target-words button")[1].click()
    until(lambda: len(find(page, ".box .choice")) == 1)
    find(page, ".box .choice")[0].click()
    until(lambda: shown(page) == short)
    assert asked(server)[-1]["prefix"] == short
    assert [button.get_attribute("aria-pressed") for button in find(page, "#list button")] == [
        "false",
        "true",
    ]


def test_the_keyboard_is_enough(page, server):
    write(page)
    page.switch_to.active_element.send_keys(Keys.TAB)
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert page.switch_to.active_element.text == "likes"
    assert strengths(page, "target") == pytest.approx([0.1, 0, 0, 0.7, 0])
    for _ in ("Options", "Copy", "JSON", "सीताला"):
        page.switch_to.active_element.send_keys(Keys.TAB)
    for _ in ("हे", "घर"):
        page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert strengths(page, "source") == pytest.approx([0, 0, 0.2, 0.8, 0])
    page.switch_to.active_element.send_keys(Keys.ENTER)
    until(lambda: page.switch_to.active_element.text.startswith("घर\n"))
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert page.switch_to.active_element.text == "घर"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    until(lambda: page.switch_to.active_element.text.startswith("घर\n"))
    page.switch_to.active_element.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    until(lambda: page.switch_to.active_element.text == "निवासस्थान")  # the focus is where it was
    assert shown(page) == OTHER


def test_nothing_is_done_with_the_translation_of_an_earlier_text(page, server):
    write(page)
    page.find_element(By.ID, "unfold").click()
    until(lambda: find(page, "#tree .node"))
    go_on = threading.Event()

    def held(body: dict) -> list[dict]:
        go_on.wait(30)
        return translate(body)

    server.answers["/v1/stream"] = held
    page.find_element(By.ID, "text").send_keys(" And")
    for selector in ("#target-words button", "#list button:last-child", "#tree .node"):
        page.execute_script("arguments[0].dispatchEvent(new Event('click'))", find(page, selector)[-1])
    go_on.set()
    until(lambda: shown(page) == f"{SOURCE} And".upper())
    assert find(page, ".box") == asked(server, "/v1/alternatives") == []
    assert "prefix" not in asked(server)[-1]


def test_own_words_are_typed(page, server):
    write(page)
    find(page, "#target-words button")[2].click()
    page.find_element(By.CSS_SELECTOR, ".box input").send_keys("निवास", Keys.ENTER)
    until(lambda: shown(page) == OTHER)
    assert asked(server)[-1]["prefix"] == "सीताला हे निवास"


def test_phrases_and_terms_are_sent(page, server):
    page.find_element(By.CSS_SELECTOR, "#options summary").click()
    for name, text in (("required", "घर\nसीता"), ("glossary", "house = घर"), ("beam-size", "3")):
        page.find_element(By.ID, name).send_keys(text)
    write(page)
    options = {"required": ["घर", "सीता"], "glossary": {"house": ["घर"]}, "beam_size": 3}
    assert options.items() <= asked(server)[-1].items()
    find(page, "#target-words button")[0].click()
    until(lambda: asked(server, "/v1/alternatives"))
    assert options.items() <= asked(server, "/v1/alternatives")[0].items()
    page.find_element(By.ID, "glossary").send_keys("\nhouse = 1 = 2")
    until(lambda: asked(server)[-1]["glossary"] == {"house": ["घर", "1 = 2"]})
    page.find_element(By.ID, "glossary").send_keys("\nhouse")
    line = page.find_element(By.CSS_SELECTOR, "#error span")
    until(lambda: line.text == "Terms: write “term = translation”, not “house”")


def test_another_translation_of_the_list_is_shown(page):
    write(page)
    first, second = find(page, "#list button")
    assert second.text.split("\n") == [OTHER, "40 %"]
    assert [word.text for word in second.find_elements(By.TAG_NAME, "b")] == ["निवासस्थान"]
    second.click()
    assert shown(page) == OTHER
    assert (first.get_attribute("aria-pressed"), second.get_attribute("aria-pressed")) == ("false", "true")


def test_the_search_is_a_tree_to_walk_in(page, server):
    write(page)
    assert "tree" not in asked(server)[-1]
    page.find_element(By.ID, "unfold").click()
    until(lambda: len(find(page, "#tree .node")) == 8)
    assert asked(server)[-1]["tree"]
    first = page.find_element(By.CSS_SELECTOR, "#tree [tabindex='0']")
    page.execute_script("arguments[0].focus()", first)
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    page.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    told = page.find_element(By.ID, "node").text
    assert told == "सीताला ते: kept for the next step; this step 33 %, all so far e^-1.30"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    until(lambda: asked(server)[-1].get("prefix") == "सीताला ते")
    until(lambda: page.switch_to.active_element.get_attribute("aria-label") == told)


def test_lines_of_the_tree_do_not_cross(page):
    write(page)
    page.find_element(By.ID, "unfold").click()
    until(lambda: len(find(page, "#tree .node")) == 8)
    at = {node.text: node.find_element(By.TAG_NAME, "rect").rect for node in find(page, "#tree .node")}
    assert at["सीता"]["y"] == at["·ला"]["y"] == at["हे"]["y"] < at["सीते"]["y"]
    assert at["ते"]["y"] == at["सीते"]["y"]  # side by side on the second line
    assert at["ती"]["y"] > at["सीते"]["y"]
    assert at["सीते"]["x"] + at["सीते"]["width"] < at["ते"]["x"]


# ---------------------------------------------------------------- downloads


def test_pictures_and_numbers_are_downloaded(page, tmp_path):
    write(page)
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    svg, png = find(page, "#attention .save button")
    svg.click()
    picture = ElementTree.fromstring(downloaded(tmp_path, "attention.svg"))
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"house", "घर", "80"} <= {*texts}
    style = picture.find("{http://www.w3.org/2000/svg}style").text
    assert base64.b64decode(re.search(r"base64,([^)]*)\)", style)[1]).startswith(b"wOFF")
    assert (
        picture.find("{http://www.w3.org/2000/svg}rect").get("fill") == "#ffffff"
    )  # for paper, not as shown
    png.click()
    content = downloaded(tmp_path, "attention.png")
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (2 * int(picture.get("width")), 2 * int(picture.get("height")))
    page.find_element(By.ID, "json").click()
    values = json.loads(downloaded(tmp_path, "translation.json"))
    assert values == translate({"text": SOURCE, "nbest": 5})[-1]["translation"]


def test_a_downloaded_tree_looks_as_on_the_page(page, tmp_path):
    write(page)
    page.find_element(By.ID, "unfold").click()
    until(lambda: len(find(page, "#tree .node")) == 8)
    find(page, "#search .save button")[0].click()
    picture = ElementTree.fromstring(downloaded(tmp_path, "beam-search.svg"))
    items = picture.findall("{http://www.w3.org/2000/svg}g")
    boxes, texts = ([item[i] for item in items] for i in (0, 1))
    assert {box.get("fill") for box in boxes} == {"rgba(0, 0, 0, 0)"}
    weights = {text.text: text.get("font-weight") for text in texts}
    assert (weights["सीता"], weights["सीते"]) == ("700", "400")


def test_a_downloaded_picture_has_its_letters(page, tmp_path):
    """They are drawn as on the page: as the same picture with the font, not as one with boxes."""
    write(page)
    png = find(page, "#attention .save button")[1]
    png.click()
    with_font = downloaded(tmp_path, "attention.png")
    (tmp_path / "attention.png").unlink()
    page.execute_script("window.fetch = async () => new Response('no font')")
    png.click()
    assert len(with_font) != len(downloaded(tmp_path, "attention.png"))
    page.get_log("browser")


# ---------------------------------------------------------------- errors, models, devices


def test_an_error_is_one_line_and_can_be_tried_again(page, server):
    def busy(body: dict) -> dict:
        raise RefusedError(503, "the queue is full:\n try again in 1 s")

    server.answers["/v1/stream"] = busy
    page.find_element(By.ID, "text").send_keys(SOURCE)
    line = page.find_element(By.CSS_SELECTOR, "#error span")
    until(lambda: line.text == "the queue is full: try again in 1 s")
    server.answers["/v1/stream"] = translate
    page.find_element(By.CSS_SELECTOR, "#error button").click()
    until(lambda: shown(page) == BEST)
    assert not line.is_displayed()
    page.get_log("browser")  # the browser reports the 503 by itself


def test_a_server_with_a_key(page, server):
    server.key = "secret"
    page.refresh()
    until(lambda: page.find_element(By.ID, "access").is_displayed())
    assert not page.find_element(By.ID, "error").is_displayed()
    page.find_element(By.ID, "key").send_keys("wrong", Keys.ENTER)
    until(lambda: page.find_element(By.ID, "error").text == "The server does not accept this API key.")
    page.find_element(By.ID, "key").clear()
    page.find_element(By.ID, "key").send_keys("secret", Keys.ENTER)
    until(lambda: not page.find_element(By.ID, "access").is_displayed())
    write(page)
    page.execute_script("sessionStorage.clear()")
    page.get_log("browser")


def test_several_models(page, server):
    server.answers["/v1/models"] = lambda body: {
        "models": [{"name": "first"}, {"name": "second", "target": "mar", "attention": False}]
    }
    page.refresh()
    until(lambda: page.find_element(By.ID, "model").is_displayed())
    write(page)
    Select(page.find_element(By.ID, "model")).select_by_visible_text("second")
    until(lambda: asked(server)[-1]["model"] == "second")
    assert not asked(server)[-1]["attention"]
    assert page.find_element(By.ID, "target-language").text == "Translation: Marathi"


def test_the_language_is_chosen_where_there_are_several(page, server):
    targets = [{"code": "mr", "sources": ["en", "hi"]}, {"code": "ur", "sources": ["en"]}]
    models = [
        {"name": "many", "source": "en", "target": "mr", "targets": targets},
        {"name": "one", "source": "en", "target": "ur"},
        {"name": "two", "source": "x", "targets": [{"code": "fr", "sources": ["x"]}, targets[1]]},
    ]
    server.answers["/v1/models"] = lambda body: {"models": models}
    page.refresh()
    chosen, model = page.find_element(By.ID, "to"), Select(page.find_element(By.ID, "model"))
    until(chosen.is_displayed)
    assert [one.text for one in Select(chosen).options] == ["Marathi", "Urdu"]
    assert page.find_element(By.ID, "source-language").text == "Text: English or Hindi"
    write(page)
    assert asked(server)[-1]["to"] == "mr"
    chosen.send_keys("U")  # with the keyboard
    until(lambda: asked(server)[-1]["to"] == "ur")
    language = [page.find_element(By.ID, "target-words").get_attribute(name) for name in ("lang", "dir")]
    assert language == ["ur", "rtl"]
    assert page.find_element(By.ID, "text").get_attribute("dir") == "auto"
    until(lambda: page.find_element(By.CSS_SELECTOR, "main").get_attribute("aria-busy") == "false")
    find(page, "#target-words button")[1].click()
    until(lambda: asked(server, "/v1/alternatives")[-1]["to"] == "ur")

    for name, to in (("one", None), ("two", "ur"), ("many", "ur")):  # kept where it can be
        model.select_by_visible_text(name)
        until(lambda name=name: asked(server)[-1]["model"] == name)
        assert asked(server)[-1].get("to") == to
        assert chosen.is_displayed() == (to is not None)
    assert page.current_url == f"{server.address}?model=many&to=ur"
    page.get(f"{server.address}?model=two&to=mr")  # which it does not know
    until(lambda: page.find_element(By.ID, "to").get_attribute("value") == "fr")


def test_right_to_left(page, server):
    """Words follow each other in the direction of their text, and so do the arrow keys."""
    models = [{"name": "first", "source": "en", "target": "he"}]
    server.answers["/v1/models"] = lambda body: {"models": models}
    text = "אני גר בסן New York עכשיו"
    server.answers["/v1/stream"] = lambda body: [{"translation": translation(body["text"], text)}]
    page.refresh()
    write(page, SOURCE, text)
    places = [word.rect["x"] for word in find(page, "#target-words button")]
    first, second, third, new, york, last = places
    assert first > second > third > york > new > last
    page.execute_script("arguments[0].focus()", find(page, "#target-words button")[0])
    page.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert page.switch_to.active_element.text == "גר"


def test_a_text_that_is_too_long_for_its_attention(page, server):
    def long(body: dict) -> list[dict]:
        if body["attention"]:
            raise RefusedError(413, "attention: the matrices are too large", "attention")
        return [{"translation": translation(SOURCE, BEST, attention=None, coverage=None)}]

    server.answers["/v1/stream"] = long
    write(page)
    assert "too long" in page.find_element(By.ID, "hint").text
    assert not page.find_element(By.ID, "error").is_displayed()
    page.get_log("browser")  # the browser reports the 413 by itself


def test_a_server_that_is_started_anew_with_other_models(page, server):
    def gone(body: dict) -> dict:
        raise RefusedError(404, "model: no such model; choose other")

    server.answers["/v1/models"] = lambda body: {"models": [{"name": "other"}]}
    server.answers["/v1/stream"] = gone
    page.find_element(By.ID, "text").send_keys(SOURCE)
    again = page.find_element(By.CSS_SELECTOR, "#error button")
    until(again.is_displayed)
    server.answers["/v1/stream"] = translate
    again.send_keys(Keys.ENTER)
    until(lambda: shown(page) == BEST)
    assert asked(server)[-1]["model"] == "other"
    until(lambda: page.switch_to.active_element.text == "सीताला")
    page.get_log("browser")  # the browser reports the 404 by itself


def test_without_attention_and_confidence(page, server):
    plain = translation(SOURCE, BEST, attention=None, coverage=None, confidence=None)
    plain["words"] = words(BEST)
    server.answers["/v1/stream"] = lambda body: [{"translation": plain}]
    write(page)
    assert not page.find_element(By.ID, "attention").is_displayed()
    assert not page.find_element(By.ID, "confidence").is_displayed()
    webdriver.ActionChains(page).move_to_element(find(page, "#target-words button")[0]).perform()
    assert find(page, "#source-words button") == []
    assert page.find_element(By.ID, "hint").text.startswith("Click a word for other words.")


def test_markup_is_text(page):
    attack = "<img src=x onerror='window.attacked=true'>"
    write(page, attack, attack.upper())
    page.find_element(By.ID, "unfold").click()
    until(lambda: find(page, "#tree .node"))
    assert page.execute_script("return window.attacked") is None
    assert find(page, "img") == []


def test_on_a_phone_and_in_the_dark(page):
    device = {"width": 360, "height": 700, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    write(page, "word " * 40, "WORD " * 40)
    page.find_element(By.ID, "unfold").click()
    until(lambda: find(page, "#tree .node"))
    assert page.execute_script("return document.documentElement.scrollWidth") <= 360
    colour = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(17, 22, 28)"


def test_devanagari_is_shaped_without_a_font_on_the_machine(page):
    write(page)
    until(lambda: page.execute_script("return document.fonts.check('16px Devanagari', 'क')"))
    wide = """
        const word = document.createElement('span');
        word.style.font = '100px Devanagari';
        word.textContent = arguments[0];
        document.body.append(word);
        return word.getBoundingClientRect().width"""
    conjunct, apart = (page.execute_script(wide, text) for text in ("त्र", "त\u200cर"))
    assert 0 < conjunct < apart  # a conjunct is one letter


# ---------------------------------------------------------------- with the server itself


@pytest.fixture
def real(browser, request):
    """The page of a server with a real run, and its translator."""
    for needed in ("starlette", "uvicorn", "prometheus_client"):
        pytest.importorskip(needed, reason="needs the extra serve")
    from served import served

    import nmt

    translator = nmt.Translator.load(request.getfixturevalue("trained"))  # trained if it can be served
    browser.get_log("browser")
    with served({"en-mr": translator}) as client:
        browser.get(f"http://127.0.0.1:{client.port}/")
        yield translator
        assert browser.get_log("browser") == []


def test_a_real_run_is_shown_and_steered(browser, real):
    (best,) = real.translate([SOURCE], nbest=5)
    write(browser, SOURCE, best.text)
    assert len(find(browser, "#list button")) == 1 + len(best.alternatives)
    browser.find_element(By.ID, "unfold").click()
    until(lambda: find(browser, "#tree .node.best"))
    line = "".join(node.text.removeprefix("·") for node in find(browser, "#tree .node.best:not(.end)"))
    assert line == "".join(best.text.split())
    find(browser, "#target-words button")[0].click()
    until(lambda: find(browser, ".box .choice"))
    other = next(one for one in find(browser, ".box .choice")[1:] if "\ufffd" not in one.text)
    chosen = other.find_element(By.TAG_NAME, "b").text
    other.click()
    until(lambda: find(browser, "#kept bdi")[0].text == chosen)
    assert shown(browser).startswith(chosen)
