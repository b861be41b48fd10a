"""`reverie watch`: one page on the loopback interface, current, whatever state the run is in; nothing else is served."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest

import reverie as rv
import watched
from commands import refusal
from reverie.cli import run_watch
from reverie.cli.run_watch import CurrentPage
from reverie.report.live_server import LiveServer
from watched import learn

DEADLINE = 120  # seconds, against hanging


@pytest.fixture
def run(tmp_path):
    return watched.new_run(tmp_path / "one")


@pytest.fixture
def serve(monkeypatch):
    """Return a function that serves the page of runs; it is made anew for each question."""
    watched.make_at_once(monkeypatch)
    servers = []

    def serve(page):
        servers.append(LiveServer(page if callable(page) else CurrentPage([page]), 0))
        servers[-1].begin()
        return servers[-1]

    yield serve
    for server in servers:
        server.end()


def ask(server, path="/", method="GET", host=None, **headers):
    """Return status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=DEADLINE)
    connection.putrequest(method, path, skip_host=host is not None)
    for name, value in ({"Host": host} if host else {}).items() | headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, body


def test_the_page_follows_the_run_from_before_its_first_row(run, serve):
    server = serve(run)
    status, headers, body = ask(server)
    assert status == 200 and "Waiting for the first episode" in body
    assert headers["Content-Type"] == "text/html; charset=utf-8" and "connect-src 'self'" in body
    assert ask(server, If_None_Match=headers["ETag"])[::2] == (304, "")
    learn(run, 12)
    status, later, body = ask(server, If_None_Match=headers["ETag"])
    assert status == 200 and later["ETag"] != headers["ETag"]
    assert "12 steps, 2 episodes" in body and "Waiting" not in body
    assert ask(server, method="HEAD")[::2] == (200, "")


def test_a_run_is_read_while_it_is_learning_and_its_lock_is_held(run, serve):
    server = serve(run)
    with rv.Learner.load(run) as own:
        own.learn(7)
        assert "7 steps, 1 episode" in ask(server)[2]
        own.learn(6)
        assert "13 steps, 2 episodes" in ask(server)[2]


def test_damaged_and_half_written_files_are_said_and_the_rest_is_shown(run, serve):
    learn(run, 12)
    server = serve(run)
    table = run / "episodes.csv"
    whole = table.read_bytes()
    table.write_bytes(whole + b"18,3,")  # being written
    assert "12 steps, 2 episodes" in ask(server)[2]
    table.write_bytes(whole + b"<b>\n")
    body = ask(server)[2]
    assert "episodes.csv is damaged: line 4 has 1 fields of 7" in body and "Commands" in body
    (run / "config.json").write_text("{")
    body = ask(server)[2]
    assert "They cannot be read now." in body and "config.json is damaged" in body
    shutil.rmtree(run)
    status, _, body = ask(server)
    assert status == 200 and "holds no run" in body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:PORT", "127.0.0.1", "localhost:1", "localhost.evil:PORT", ""]
)
def test_other_names_are_refused(run, serve, host):
    server = serve(run)
    status, headers, body = ask(server, host=host.replace("PORT", str(server.server_port)) or " ")
    assert status == 421 and "Waiting" not in body and "ETag" not in headers


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LocalHost"])
def test_names_of_this_machine_are_answered(run, serve, host):
    server = serve(run)
    assert ask(server, host=f"{host}:{server.server_port}")[0] == 200


@pytest.mark.parametrize(
    "path", ["/config.json", "/episodes.csv", "/../config.json", "//config.json", "/?a=b", "/index.html", "*"]
)
def test_there_is_nothing_but_the_page(run, serve, path):
    status, _, body = ask(serve(run), path)
    assert status == 404 and "agent" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT"])
def test_nothing_can_be_changed(run, serve, method):
    status, headers, _ = ask(serve(run), method=method)
    assert status == 501 and not any(name.lower().startswith("access-control") for name in headers)


def test_each_answer_says_that_no_other_site_may_use_it(run, serve):
    server = serve(run)
    for path in ("/", "/nothing"):
        headers = ask(server, path)[1]
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin" and headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
        assert headers["Server"].strip() == "reverie"


def test_only_the_loopback_interface_is_listened_on(run, serve):
    server = serve(run)
    assert server.socket.getsockname()[0] == "127.0.0.1"
    with socket.socket() as other, pytest.raises(OSError, match="refused"):
        other.connect(("127.0.0.2", server.server_port))


def test_a_fault_of_ours_is_one_line_and_the_server_goes_on(serve, capsys):
    faults = [ValueError("first\nsecond")]

    def page():
        if faults:
            raise faults.pop()
        return "<p>well</p>"

    server = serve(page)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        ask(server)
    assert ask(server)[2] == "<p>well</p>"
    said = capsys.readouterr().err
    assert said.startswith("reverie: the page was not sent: ") and said.count("\n") == 1


def test_a_browser_that_says_nothing_keeps_nobody_waiting(run, serve):
    server = serve(run)
    with socket.create_connection(("127.0.0.1", server.server_port)):
        assert ask(server)[0] == 200


def test_pages_are_not_made_more_often_than_they_are_worth(run, monkeypatch):
    made = []
    monkeypatch.setattr(run_watch, "html_of", lambda document, live: made.append(live) or str(len(made)))
    page = CurrentPage([run])
    threads = [threading.Thread(target=page) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [True] and page() == "1"


# ---- the command


def started(*words):
    """Start the command; return the process, and the first line that it printed."""
    line = [sys.executable, "-m", "reverie", "watch", *map(str, words)]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return process, process.stdout.readline()


def ended(process, number):
    """Send a signal; return exit status, and what was printed after the first line."""
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_one_line(run, number):
    process, line = started(run, "--port", "0")
    assert line.startswith("http://127.0.0.1:") and line.endswith("/  (Ctrl-C ends)\n")
    port = int(line.split("/")[2].split(":")[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("GET", "/")
    assert "Waiting for the first episode" in connection.getresponse().read().decode()
    said = refusal("watch", run, "--port", port)
    assert f"port {port} of 127.0.0.1 cannot be used (Address already in use); give another --port" in said
    before = sorted((path, path.stat().st_mtime_ns) for path in run.rglob("*"))
    assert ended(process, number) == (130, "", "reverie: interrupted; watching has ended; the run is not affected\n")
    assert sorted((path, path.stat().st_mtime_ns) for path in run.rglob("*")) == before


def test_json_is_one_object_with_the_address(run):
    process, line = started(run, "--port", "0", "--json")
    assert json.loads(line)["address"].startswith("http://127.0.0.1:")
    assert ended(process, signal.SIGINT)[:2] == (130, "")


def test_what_cannot_be_watched_is_refused(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in ("empty", "nowhere"):
        assert "holds no run (no config.json)" in refusal("watch", tmp_path / path, "--port", "0")
    assert "is too many; give at most 65535" in refusal("watch", run, "--port", "65536")
    assert "is no whole number" in refusal("watch", run, "--port", "http")
    (run / "config.json").write_text("{")
    assert "config.json is damaged" in refusal("watch", run, "--port", "0")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may use every port")
def test_a_port_that_needs_rights_is_refused(run):
    assert "port 1 of 127.0.0.1 cannot be used (Permission denied)" in refusal("watch", run, "--port", "1")


def test_the_port_is_free_again_at_once(run):
    server = LiveServer(CurrentPage([run]), 0)
    server.begin()
    ask(server)
    server.end()
    again = LiveServer(CurrentPage([run]), server.server_port)
    assert again.server_port == server.server_port
    again.end()
