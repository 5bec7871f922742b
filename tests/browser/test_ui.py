"""What a person sees: `fenqun ui` for real, a run in it, and a headless browser that looks at the pages."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from flows.servers import TRAINING
from tasks.disk.key import USER, key
from tasks.serving.door import PARAMETER
from tests.helpers.configs import SMALL
from tests.helpers.servers import ROOT, asked, free_port, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("chromium") or not shutil.which("chromedriver"), reason="needs chromium"),
]

SCROLL = """
for (const one of document.querySelectorAll('*'))
    if (one.scrollHeight > one.clientHeight + 20 && /auto|scroll/.test(getComputedStyle(one).overflowY))
        one.scrollTop += 500
return document.body.textContent"""
"""Scrolls whatever scrolls a little down, and gives the page's text."""


CHINESE = re.compile("[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Served:
    """Addresses of the served pages, and what a retrain printed, and another one in Chinese."""

    prefect: str
    mlflow: str
    printed: str
    chinese: str
    auth: tuple[str, str]

    def found(self, pattern: str) -> str:
        return re.search(pattern, self.printed).group(1)


def healthy(address: str, home: Path) -> bool:
    import httpx

    try:
        return httpx.get(address, timeout=2, auth=(USER, key(str(home)))).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("ui")
    (home / "small.yaml").write_text(yaml.safe_dump(SMALL))
    source, spoken = {**SMALL["source"], "language": "zh"}, {"language": "zh"}
    chinese = {**SMALL, "segmentation": "chinese", "source": source, "describe": spoken}
    (home / "chinese.yaml").write_text(yaml.safe_dump(chinese))
    prefect, mlflow = free_port(), free_port()
    environment = {**os.environ, "FENQUN_HOME": str(home), "PREFECT_HOME": str(home / "prefect")}
    words = ["ui", "--prefect-port", str(prefect), "--mlflow-port", str(mlflow)]
    with (home / "ui.log").open("w") as log:
        ui = subprocess.Popen(
            [sys.executable, "-m", "flows", *words], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    api = f"http://127.0.0.1:{prefect}/api"
    try:
        until(lambda: ui.poll() is not None or healthy(f"{api}/deployments/name/retrain/movielens-ui", home), 240)
        assert ui.poll() is None, (home / "ui.log").read_text()
        printed = []
        for name in ("small", "chinese"):
            done = subprocess.run(
                [sys.executable, "-m", "flows", "--debug", "retrain", "--config", str(home / f"{name}.yaml")],
                cwd=ROOT, env={**environment, "PREFECT_API_URL": api}, capture_output=True, text=True, timeout=240,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            printed.append(done.stdout)
        yield Served(f"http://127.0.0.1:{prefect}", f"http://127.0.0.1:{mlflow}", *printed, (USER, key(str(home))))
    finally:
        ui.send_signal(signal.SIGTERM)
        ui.wait(60)
    assert not healthy(f"{api}/health", home), "the server outlived the command that started it"


@pytest.fixture(scope="module")
def browser(served: Served, tmp_path_factory: pytest.TempPathFactory):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    profile = tmp_path_factory.mktemp("chromium")
    quiet = (
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-quic",
    )
    for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "window-size=1500,1200", *quiet):
        options.add_argument(f"--{word}")
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    driver.get(f"{served.prefect}/?{PARAMETER}={served.auth[1]}")
    yield driver
    driver.quit()


def look(browser, address: str, *words: str) -> str:
    """The page's text, once all words stand on it; nothing but loopback was asked."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # forget earlier pages
    browser.get("about:blank")  # addresses that differ behind the # alone would not load again
    browser.get(address)

    def text() -> str | None:
        shown = browser.execute_script("return document.body ? document.body.innerText : ''")
        return shown if all(word in shown for word in words) else None

    try:
        shown = until(text, 40)
    except AssertionError:
        shown = browser.execute_script("return document.body.innerText")
        pytest.fail(f"{[word for word in words if word not in shown]} not on the page:\n{shown[:2000]}")
    assert strangers(browser) == set()
    return shown


def strangers(browser) -> set[str]:
    """Addresses beyond this machine that the page asked."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    return {url for url in asked if url.startswith(("http", "ws")) and "//127.0.0.1:" not in url}


def mlflow_errors(browser) -> list[str]:
    """What went wrong on a page of MLflow's, but for what its pages say whatever they show."""
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    return [message for message in severe if not re.search("/users/current|ResizeObserver loop", message)]


def test_the_report_shows_its_segments_without_an_error(served: Served, browser):
    report = served.found(r"report +(file:\S+)")
    names = re.findall(r"^  s\d+ +\d+ users +[\d.]+%  (.+)$", served.printed, re.MULTILINE)
    assert len(names) >= 3
    look(browser, report, "small", "Segments", *names)
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    # What the page before asked for may fail after it was left (Prefect's has no icon): not the report's error.
    assert [message for message in severe if not message.startswith(served.prefect)] == []
    linked = browser.execute_script("return [...document.querySelectorAll('nav a')].map(a => a.hash.slice(1))")
    assert {"segments", "profiles", "proof", "gates", "candidates", "lineage", "data", "validation"} == set(linked)
    empty = "return arguments[0].filter(id => !document.getElementById(id)?.nextElementSibling?.innerText.trim())"
    assert browser.execute_script(empty, linked) == []
    drawn = "return [...document.querySelectorAll('figure svg')].map(one => one.getBoundingClientRect().height)"
    heights = browser.execute_script(drawn)
    assert len(heights) >= 4
    assert min(heights) > 100


def test_a_chinese_segmentation_has_a_chinese_report(served: Served, browser):
    report = re.search(r"report +(file:\S+)", served.chinese).group(1)
    names = re.findall(r"^  (s\d+) +\d+ users +[\d.]+%  (.+)$", served.chinese, re.MULTILINE)
    assert len(names) >= 3
    look(browser, report, "用户数", *(name for _, name in names))
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [message for message in errors if not message.startswith(served.prefect)] == []
    assert browser.execute_script("return document.documentElement.lang") == "zh"
    told = "h1, h2, nav a, th[scope=col], caption, figcaption, dt, .verdict, .skip"
    shown = browser.execute_script(f"return [...document.querySelectorAll('{told}')].map(one => one.textContent)")
    assert [words for words in shown if not CHINESE.search(words)] == []
    bars = """return [...document.querySelectorAll('figure svg text')].map(
        one => [one.textContent, one.getBoundingClientRect().x - one.ownerSVGElement.getBoundingClientRect().x])"""
    left = dict(browser.execute_script(bars))
    assert {f"{segment} {name}" for segment, name in names} <= set(left)
    assert min(left.values()) >= 0, "a label is cut off"
    text = browser.execute_script("return ['segments', 'profiles'].map(id => document.getElementById(id)"
                                  ".nextElementSibling.innerText).join(' ')")  # fmt: skip
    assert not re.search(r"\b(nats|bits|sd)\b|collaborative|0\.0000|[a-z]{2,} [a-z]{2,}", text)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_fits_a_phone_in_light_and_dark(served: Served, browser, scheme: str):
    shape = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)
    feature = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    try:
        look(browser, served.found(r"report +(file:\S+)"), "Segments")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        colours = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
        ink, ground = (sum(map(int, re.findall(r"\d+", one)[:3])) for one in browser.execute_script(colours))
        assert (ink < ground) == (scheme == "light")
        assert abs(ink - ground) > 400, "too little contrast"
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_mlflow_shows_the_run_and_its_candidates_at_the_printed_address(served: Served, browser):
    from selenium.webdriver.common.by import By

    printed = served.found(r"MLflow +(http\S+)")
    assert printed.startswith(f"{served.mlflow}/#/"), "the port that it is served at"
    look(browser, printed, "retrain 2", "quality.silhouette", "Model training")
    experiment = re.search(r"experiments/(\d+)", printed).group(1)
    page = f"{served.mlflow}/#/experiments/{experiment}/runs{TRAINING}"
    shown = look(browser, page, "small", "retrain 2", "matching run")
    assert "kmeans-k4" not in shown, "candidates are nested below their retrain"
    browser.find_element(By.CSS_SELECTOR, ".ag-row button").click()
    until(lambda: "kmeans-k4" in browser.execute_script("return document.body.innerText"), 20)


def test_one_link_draws_quality_against_k(served: Served, browser):
    printed = served.found(r"  k +(http\S+)")
    look(browser, printed, "by_k/kmeans", "lift", "silhouette", "stability", "wcss", "(by_k/kmeans/wcss)")
    drawn = (
        "return [...document.querySelectorAll('.js-plotly-plot')].filter(p => p.querySelector('.scatterlayer path'))"
    )
    assert until(lambda: len(browser.execute_script(drawn)) >= 4, 20)
    assert mlflow_errors(browser) == []


def test_the_view_of_the_runs_shows_what_they_were_decided_by(served: Served, browser):
    page = f"{served.mlflow}/#/experiments/{served.found(r'experiments/([0-9]+)')}/runs{TRAINING}"
    columns = ("heldout_lift", "cluster.k", "fenqun.outcome", "fenqun.verdict")
    look(browser, f"{page}&viewStateShareKey=fenqun", "retrain 2", *columns)


def test_mlflow_compares_the_candidates(served: Served, browser):
    import httpx

    experiment = served.found(r"experiments/(\d+)")
    asked = {"experiment_ids": [experiment], "filter": "tags.`mlflow.parentRunId` != ''"}
    runs = (
        httpx.post(f"{served.mlflow}/api/2.0/mlflow/runs/search", json=asked, timeout=30, auth=served.auth)
        .raise_for_status()
        .json()
    )
    ids = json.dumps([run["info"]["run_id"] for run in runs["runs"]])
    page = f"{served.mlflow}/#/compare-runs?runs={ids}&experiments={json.dumps([experiment])}"
    look(browser, page, f"Comparing {len(runs['runs'])} Runs", "cluster.k")
    names = {metric["key"] for run in runs["runs"] for metric in run["data"]["metrics"]}
    assert {"silhouette", "wcss"} <= names
    drawn = ""  # rows out of sight are not drawn, and narrow columns cut the names that are
    for _ in range(10):
        drawn += browser.execute_script(SCROLL)
        time.sleep(0.5)
    assert [name for name in sorted(names) if name not in drawn] == []


def test_prefect_shows_the_deployments_and_the_form(served: Served, browser):
    import httpx

    look(browser, f"{served.prefect}/deployments", "movielens-ui", "retrain", "assign", "promote", "rollback", "Ready")
    named = f"{served.prefect}/api/deployments/name/retrain/movielens-ui"
    found = httpx.get(named, timeout=30, auth=served.auth).json()
    look(
        browser, f"{served.prefect}/deployments/deployment/{found['id']}/run",
        "seed of every random choice", "files per user-keyed table", "Segmentation",
    )  # fmt: skip


def test_prefect_shows_the_run_and_its_artifacts(served: Served, browser):
    from selenium.webdriver.common.by import By

    run = served.found(r"/runs/flow-run/(\S+)")
    look(browser, f"{served.prefect}/runs/flow-run/{run}", "retrain small", "Completed", "Task runs", "Artifacts")
    browser.find_element(By.XPATH, "//*[not(*)][normalize-space(.)='Artifacts']").click()
    keys = {"summary", "candidates", "segments", "gates", "report"}
    until(lambda: keys <= set(browser.execute_script("return document.body.innerText").split()), 20)


def test_the_summary_in_prefect_links_the_report_where_it_is_served(served: Served, browser):
    from selenium.webdriver.common.by import By

    run = {"id": {"any_": [served.found(r"/runs/flow-run/(\S+)")]}}
    found = asked(f"{served.prefect}/api/artifacts/filter", served.auth, flow_runs=run).raise_for_status().json()
    (summary,) = [one for one in found if one["key"] == "summary"]
    look(browser, f"{served.prefect}/artifacts/artifact/{summary['id']}", "Promoted", "Run in MLflow", "report")
    before = browser.current_window_handle
    browser.get_log("browser")  # forget what Prefect's page said
    browser.find_element(By.LINK_TEXT, "report").click()
    until(lambda: len(browser.window_handles) > 1 or served.mlflow in browser.current_url, 20)
    browser.switch_to.window(browser.window_handles[-1])
    try:
        frame = until(lambda: browser.find_elements(By.CSS_SELECTOR, "iframe"), 40)[0]
        assert mlflow_errors(browser) == []
        assert strangers(browser) == set()
        browser.switch_to.frame(frame)
        until(lambda: "Segments" in browser.execute_script("return document.body.innerText"), 20)
    finally:
        browser.switch_to.default_content()
        if browser.current_window_handle != before:
            browser.close()
            browser.switch_to.window(before)


def test_a_person_starts_a_retrain_from_its_form_and_then_an_assignment(served: Served, browser):
    import httpx
    from selenium.webdriver.common.by import By

    api = httpx.Client(base_url=f"{served.prefect}/api", timeout=30, auth=served.auth)

    def deployment(flow: str) -> str:
        return api.get(f"/deployments/name/{flow}/synthetic-ui").raise_for_status().json()["id"]

    def ended(flow: str) -> dict | None:
        of = {"id": {"any_": [deployment(flow)]}}
        for run in (
            asked(f"{served.prefect}/api/flow_runs/filter", served.auth, deployments=of).raise_for_status().json()
        ):
            if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return run
        return None

    look(browser, f"{served.prefect}/deployments/deployment/{deployment('retrain')}/run", "Segmentation", "Submit")
    submit = (By.XPATH, "//button[normalize-space(.)='Submit']")
    for _ in range(4):  # a page that still makes its form may not hear the click
        browser.find_element(*submit).click()
        with suppress(AssertionError):
            until(lambda: not browser.current_url.endswith("/run"), 20)
            break
    assert until(lambda: ended("retrain"), 300)["state_type"] == "COMPLETED"
    asked(f"{served.prefect}/api/deployments/{deployment('assign')}/create_flow_run", served.auth).raise_for_status()
    assert until(lambda: ended("assign"), 120)["state_type"] == "COMPLETED"
