"""What a label page holds after many answers: for a test, and for benchmarks/workplace.py."""

import os
import shutil

from browsing import Labeler
from playwright.sync_api import CDPSession, sync_playwright

EARLY = 50  # answers after which `measured` looks for the first time
KEYS = """async count => {
    const root = document.querySelector("[data-boot]");
    const moment = () => new Promise(resolve => setTimeout(resolve, 2));
    for (let i = 0; i < count; i++) {
        const image = root.dataset.image;
        while (root.dataset.image === image || !document.querySelector("#picture img")) {
            document.dispatchEvent(new KeyboardEvent("keydown", { key: "12uf"[i % 4] }));
            await moment();
        }
    }
}"""
COUNT_ADDRESSES = """
    window.addresses = 0;
    const [create, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
    URL.createObjectURL = (...values) => (window.addresses++, create.apply(URL, values));
    URL.revokeObjectURL = (...values) => (window.addresses--, revoke.apply(URL, values));"""


def held(tools: CDPSession) -> dict[str, int]:
    """What is alive in the page once the garbage is gone."""
    for _ in range(3):
        tools.send("HeapProfiler.collectGarbage")
    nodes = tools.send("Memory.getDOMCounters")
    heap = tools.send("Runtime.getHeapUsage")
    prototype = tools.send("Runtime.evaluate", {"expression": "HTMLImageElement.prototype"})["result"]["objectId"]
    images = tools.send("Runtime.queryObjects", {"prototypeObjectId": prototype})["objects"]["objectId"]
    count = {"objectId": images, "functionDeclaration": "function () { return this.length }", "returnByValue": True}
    found = {
        "bytes": heap["usedSize"],
        "nodes": nodes["nodes"],
        "listeners": nodes["jsEventListeners"],
        "images": tools.send("Runtime.callFunctionOn", count)["result"]["value"],
        "addresses": tools.send("Runtime.evaluate", {"expression": "window.addresses"})["result"]["value"],
    }
    tools.send("Runtime.releaseObject", {"objectId": images})  # else counting them keeps them alive
    return found


def measured(url: str, answers: int) -> dict[str, dict[str, int]] | None:
    """`held` after a few answers and after so many, in a browser of its own; None where there is none."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        return None
    with sync_playwright() as started:
        context = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"]).new_context()
        context.add_init_script(COUNT_ADDRESSES)
        page = context.new_page()
        tools = context.new_cdp_session(page)
        labeler = Labeler(page, url, {}).open()
        found = {}
        for count in sorted({min(EARLY, answers), answers}):
            page.evaluate(KEYS, count - (EARLY if found else 0))
            labeler.saved()
            found[f"after {count}"] = held(tools)
        page.close()
    return found
