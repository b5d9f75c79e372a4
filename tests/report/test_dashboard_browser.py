"""The dashboard as a person sees it: a process of its own in a real browser, which reaches nothing but that process."""

import dataclasses
import json
import math
import re
import subprocess
import sys
import urllib.request
from urllib.parse import urlsplit

import fakes
import numpy as np
import pytest

from kernbench.report.dashboard.read_only import REASON
from kernbench.report.page.manifest import Manifest, names_in, write_manifest
from kernbench.study.cell import Outcome
from kernbench.training.settings import Epoch
from kernbench.ulm.cells import artifacts

pytest.importorskip("optuna_dashboard")
pytest.importorskip("selenium.webdriver")
from browsing import chromium, needs_chromium  # selenium may be absent
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = needs_chromium

HOSTILE = "<script>window.hurt = 1</script><img src=x onerror='window.hurt = 2'> ``` ` | $x$\n\n# head\n" + "y" * 10_000
SCORES = {9: 0.11, 65: 0.9, 129: 0.2}  # in the order of the cells they are not sorted
CURVE = [
    Epoch(each, 2 / (each + 1), {"soft": 0.3, "hard": 1.0}, 1.6, each / 40, 5e-3, float(each)) for each in range(20)
]
STUDY = "dashboard/studies/1"
TRIALS, TABLE, NOTE = (f"{STUDY}/{each}" for each in ("trials?numbers={}", "smartSelection", "note"))


def compute(context):
    """A cell with pictures, one that fails and one that diverges."""
    size = context.params["kernel_size"]
    if size == 17:
        raise ValueError(HOSTILE)
    rng = np.random.default_rng(size)
    kernels = [rng.normal(size=(4, size)).astype(np.float32) for _ in range(2)]
    if size == 33:
        files, draw = artifacts.write_diverged(context.scratch, kernels, [each * np.nan for each in kernels], CURVE)
        return Outcome("diverged", -math.inf, fakes.DATA, HOSTILE, artifacts=files, draw=draw)
    line = rng.normal(size=512).astype(np.float32)
    example = artifacts.Example(line, (rng.random(512) < 0.05).astype(np.float32), line, 0, 0.5, 0)
    files, draw = artifacts.write_all(context.scratch, kernels, kernels, example, CURVE)
    attributes = {"f1_val": 1 / size, "f1_test": SCORES[size], "kernel_size": size}
    outcome = fakes.outcome(1 / size, artifacts=files)
    return dataclasses.replace(
        outcome, draw=draw, attributes=attributes, note=[("F1 on test lines", f"{SCORES[size]} [0, 1]")]
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where `kernbench dashboard` serves a study with hostile texts, and a report beside it."""
    world = fakes.World(tmp_path_factory.mktemp("dashboard"))
    report = world.folder / "kernbench-report"
    report.mkdir()
    (report / "report.html").write_text("<p>This is the report.</p>")
    write_manifest(report, Manifest("", names_in(report, [world.url]), {"report.html": "html"}))
    world.run(dataclasses.replace(world.study((9, 17, 33, 65, 129)), question=HOSTILE), compute)
    command = [sys.executable, "-m", "kernbench", "dashboard", "--port", "0", "--storage", world.url]
    errors = world.folder / "stderr"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            yield re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())[0]
        finally:
            process.terminate()
    world.close()
    refusals = [line for line in errors.read_text().splitlines() if "refused" in line]
    assert refusals == [
        "kernbench: refused DELETE /api/studies/1: this dashboard is for reading only; nothing was changed"
    ]
    assert "Traceback" not in errors.read_text()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium without a profile, to which every host but this one is unknown."""
    driver = chromium(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


def shown(browser, text):
    """Wait until the page shows a text; the page's whole text."""
    body = WebDriverWait(browser, 120).until(
        lambda it: (found := it.find_element(By.TAG_NAME, "body").text) and text in found and found,
        f"{text!r} is not shown",
    )
    assert browser.execute_script("return window.hurt") is None
    return body


def requested(browser, address):
    """Paths that the pages asked for since the last call; all of them of the dashboard."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each["params"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    asked = [urlsplit(each["request"]["url"]) for each in sent if not each["documentURL"].startswith("chrome")]
    assert {url.netloc for url in asked if url.scheme not in ("data", "blob")} <= {urlsplit(address).netloc}
    return {url.path for url in asked}


@pytest.fixture(autouse=True)
def _nothing_from_outside(browser, address):
    """No page asks for anything beyond the dashboard."""
    yield
    requested(browser, address)


def column(browser, header):
    """Numbers of a column of the table, from top to bottom, empty cells left out."""
    heads = [head.text.partition("\n")[0] for head in browser.find_elements(By.CSS_SELECTOR, "thead th")]
    rows = browser.find_elements(By.CSS_SELECTOR, "tbody tr")
    texts = [row.find_elements(By.TAG_NAME, "td")[heads.index(header)].text for row in rows]
    return [float(text) for text in texts if text]


def test_the_list_leads_to_the_study_and_its_note(browser, address):
    browser.get(address)
    shown(browser, "mine.v1.quick/discrete")
    browser.find_element(By.CSS_SELECTOR, "a[href$='/dashboard/studies/1']").click()
    shown(browser, "Study User Attributes")
    browser.get(f"{address}{STUDY}/analytics")
    shown(browser, "Empirical Distribution")
    browser.get(address + NOTE)
    page = shown(browser, "How to read.")
    assert "tolerance 4 samples" in page
    assert "comb 0.200, random noise 0.100" in page
    assert "<script>window.hurt = 1</script>" in page


# Whatever would create, rename, note, upload or delete something, by what a person reads or what its icon is.
CHANGING = (
    "[aria-label^='rename'], [aria-label^='delete'], [data-testid='AddBoxIcon'], [data-testid='DeleteIcon'], "
    "[data-testid='EditIcon'], [data-testid='UploadFileIcon'], [data-testid='DriveFileRenameOutlineIcon']"
)


@pytest.mark.parametrize("page", ["", STUDY, NOTE, TRIALS.format(0), TRIALS.format(1)])
def test_no_button_is_there_that_would_change_something(browser, address, page):
    browser.get(address + page)
    shown(browser, "Trial 0" if "numbers" in page else "mine.v1.quick" if page in ("", NOTE) else "Study Artifacts")
    found = browser.find_elements(By.CSS_SELECTOR, CHANGING)
    assert found  # or else the names of these buttons have changed
    assert not [each.get_attribute("outerHTML") for each in found if each.is_displayed()]


def test_a_card_says_the_question_and_leads_to_the_report(browser, address):
    browser.get(address)
    assert "create" not in shown(browser, HOSTILE[:60]).lower()
    card = browser.find_element(By.CLASS_NAME, "kernbench-question")
    assert card.text.startswith(" ".join(HOSTILE.split())[:60])
    assert len(card.text) < 600
    browser.find_element(By.LINK_TEXT, "Report").click()
    shown(browser, "This is the report.")
    assert browser.current_url == f"{address}report/"


def test_the_note_leads_to_the_report(browser, address):
    browser.get(address + NOTE)
    shown(browser, "How to read.")
    link = browser.find_element(By.LINK_TEXT, "the report")
    assert link.get_attribute("href") == f"{address}report/"
    with urllib.request.urlopen(link.get_attribute("href"), timeout=300) as answer:
        assert b"This is the report." in answer.read()


def test_a_change_that_is_sent_all_the_same_is_refused_in_words(browser, address):
    browser.get(address)
    shown(browser, "mine.v1.quick/discrete")
    browser.execute_script("document.querySelector('link[href*=additions]').disabled = true")  # the buttons come back
    browser.find_element(By.CSS_SELECTOR, "[aria-label='delete study']").click()
    shown(browser, "Are you sure")
    browser.find_element(By.XPATH, "//*[@role='dialog']//button[text()='Yes']").click()
    shown(browser, REASON)


def test_a_trial_shows_its_pictures_and_its_note(browser, address):
    browser.get(address + TRIALS.format(0))
    page = shown(browser, "kernel.png")
    assert "F1 on test lines 0.11 [0, 1]" in page
    assert "Ran on cpu" in page
    pictures = browser.find_elements(By.CSS_SELECTOR, "img[src*='/artifacts/']")
    assert len(pictures) == 3
    for picture in pictures:
        WebDriverWait(browser, 60).until(lambda _, it=picture: it.get_property("naturalWidth") > 0)
        assert picture.is_displayed()
    assert any(path.startswith("/artifacts/") for path in requested(browser, address))


def test_a_failed_trial_says_what_failed(browser, address):
    browser.get(address + TRIALS.format(1))
    page = shown(browser, "traceback.txt")
    assert "ValueError: <script>window.hurt = 1</script><img src=x" in page
    assert "in compute" in page  # the frames of the traceback, whatever its message holds
    assert not browser.find_elements(By.CSS_SELECTOR, "img[src='x']")
    assert "head" not in [head.text for head in browser.find_elements(By.TAG_NAME, "h1")]
    assert len(page) < 6000


def test_a_diverged_trial_shows_its_curve_and_first_kernels(browser, address):
    browser.get(address + TRIALS.format(2))
    page = shown(browser, "curve.png")
    assert "Training met NaN or infinity" in page
    assert "kernel.png" in page


def test_the_table_is_sorted_by_a_click_on_its_head(browser, address):
    browser.get(address + TABLE)
    shown(browser, "UserAttribute f1_test")
    assert column(browser, "UserAttribute f1_test") == list(SCORES.values())
    orders = []
    for _ in range(2):
        head = browser.find_element(By.XPATH, "//thead//*[@role='button'][starts-with(., 'UserAttribute f1_test')]")
        browser.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", head)
        head.click()
        orders.append(column(browser, "UserAttribute f1_test"))
    assert sorted(orders) == [sorted(SCORES.values()), sorted(SCORES.values(), reverse=True)]
