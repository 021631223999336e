"""Headless Chromium with no network, driven over its DevTools socket: what a reader's browser makes of a page."""

import itertools
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from websocket import WebSocketTimeoutException, create_connection

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-sync", "--disable-component-update", "--disable-dev-shm-usage", "--proxy-server=127.0.0.1:9",
    "--remote-debugging-port=0", "--remote-allow-origins=*",
)  # fmt: skip


def installed() -> str | None:
    """The browser's path, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A browser as a context manager; `open` a page, then ask it things with `evaluate`."""

    def __enter__(self):
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = [installed(), *OPTIONS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port, _ = self._port().read_text().split()
        listing = f"http://127.0.0.1:{port}/json/list"
        self._socket = create_connection(self._page_address(listing), timeout=20, suppress_origin=True)
        self._numbers, self._heard = itertools.count(1), []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._ask(f"{domain}.enable")
        self._ask("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        return self

    def __exit__(self, *_):
        self._socket.close()
        self._process.terminate()
        self._process.wait(timeout=20)
        self._profile.cleanup()

    def open(self, path: Path, width: int, dark: bool = False) -> tuple[list[str], list[str]]:
        """Load a page at a width: the addresses it asked for beside itself, and what it wrote to the console."""
        assert path.is_file(), path
        self._heard.clear()
        phone = width < 600
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        address = path.resolve().as_uri()
        self._ask("Page.navigate", url=address)
        self._wait_for("Page.loadEventFired")
        self.evaluate("new Promise(done => setTimeout(done, 60))")  # late requests and messages
        sent = [each["params"] for each in self._heard if each["method"] == "Network.requestWillBeSent"]
        asked = [each["request"]["url"] for each in sent]
        spoken = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}
        said = [json.dumps(each["params"]) for each in self._heard if each["method"] in spoken]
        return [url for url in asked if url.split("#")[0] != address and not url.startswith("data:")], said

    def evaluate(self, script: str):
        """The value of a JavaScript expression on the page."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _ask(self, method: str, **params):
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._heard.append(message)

    def _wait_for(self, event: str) -> None:
        try:
            while not any(each.get("method") == event for each in self._heard):
                self._heard.append(json.loads(self._socket.recv()))
        except WebSocketTimeoutException:
            raise AssertionError(f"the page never got to {event}") from None

    def _port(self) -> Path:
        written = Path(self._profile.name) / "DevToolsActivePort"
        for _ in range(300):
            if written.exists() and written.read_text().count("\n"):
                return written
            time.sleep(0.1)
        raise AssertionError("Chromium did not start")

    @staticmethod
    def _page_address(listing: str) -> str:
        from urllib.request import urlopen

        with urlopen(listing, timeout=10) as answer:
            return next(each["webSocketDebuggerUrl"] for each in json.load(answer) if each["type"] == "page")
