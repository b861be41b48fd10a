"""A server of one page on the loopback interface: nothing else is served, and no other machine is answered."""

import hashlib
import http
import http.client
import http.server
import sys
import threading
from collections.abc import Callable
from typing import Any

from reverie.core.errors import ConfigError, sentence
from reverie.core.interrupts import Interrupted

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")  # by which a browser may call this machine
PATIENCE = 10.0  # seconds in which a browser must send its question
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class LiveServer(http.server.ThreadingHTTPServer):
    """Serves what `page()` returns, as HTML, at /.  `page` is called from threads of its own.

    port: 0 for any that is free.
    Raises ConfigError where the port is in use, or may not be used.
    """

    daemon_threads = True

    def __init__(self, page: Callable[[], str], port: int):
        self.page = page
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(
                f"port {port} of {LOOPBACK} cannot be used ({reason}); give another --port, or 0 for any that is free"
            ) from None
        self._thread = threading.Thread(target=self.serve_forever, daemon=True, name="reverie-watch")

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def begin(self) -> None:
        """Answer from now on, in a thread."""
        self._thread.start()

    def end(self) -> None:
        """Stop answering, and free the port."""
        if self._thread.is_alive():
            self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        """Bind without asking for this machine's name, which may take seconds."""
        super(http.server.HTTPServer, self).server_bind()
        self.server_name, self.server_port = LOOPBACK, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong in one line; a browser that went away is no fault."""
        error = sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            print(f"reverie: the page was not sent: {sentence(error)}", file=sys.stderr, flush=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = PATIENCE
    server_version, sys_version = "reverie", ""

    @property
    def _server(self) -> LiveServer:
        assert isinstance(self.server, LiveServer)
        return self.server

    def do_GET(self) -> None:
        """Send the page."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Send the page's headers."""
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        if not self._is_called_by_a_name_of_ours():
            self.send_error(http.HTTPStatus.MISDIRECTED_REQUEST, "This server answers to localhost alone")
            return
        if self.path != "/":
            self.send_error(http.HTTPStatus.NOT_FOUND, "There is one page, at /")
            return
        try:
            body = self._server.page().encode("utf-8", "replace")
        except Interrupted:  # the program is ending
            self.close_connection = True
            return
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        known = self.headers.get("If-None-Match") == tag
        self.send_response(http.HTTPStatus.NOT_MODIFIED if known else http.HTTPStatus.OK)
        self.send_header("ETag", tag)
        if not known:
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body and not known:
            self.wfile.write(body)

    def _is_called_by_a_name_of_ours(self) -> bool:
        """Return whether the browser asked for this machine: a page of another site could be led here by its name."""
        port = self._server.server_port
        ours = {f"{name}:{port}" for name in NAMES} | (set(NAMES) if port == http.client.HTTP_PORT else set())
        return self.headers.get("Host", "").lower() in ours

    def end_headers(self) -> None:
        """Add the headers of every answer."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing about questions that were answered."""
