"""Starting the machine and its control programs as processes of their own, and killing them."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

ROOT = Path(__file__).parents[2]  # of the checkout, where `examples` is found
PATIENCE = 300.0  # seconds without which nothing here takes longer


@contextlib.contextmanager
def machine(log: Path, *words: str) -> Generator[int]:
    """Run the machine's server during the block; yield its port.  words: more of its arguments."""
    command = _command("server", "--log", str(log.resolve()), *words)
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield int(json.loads(server.stdout.readline())["port"])
    finally:
        server.kill()
        server.communicate()


def control(port: int, run: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start the control program.  words: more of its arguments."""
    return subprocess.Popen(_command("control", "--port", str(port), "--run", str(run.resolve()), *words), cwd=ROOT)


def finish(program: subprocess.Popen[bytes]) -> None:
    """Wait for a program.  Raises RuntimeError where it fails."""
    try:
        status = program.wait(PATIENCE)
    except BaseException:
        program.kill()
        program.wait()
        raise
    if status:
        raise RuntimeError(f"the control program ended with exit status {status}")


def kill_when(program: subprocess.Popen[bytes], due: Callable[[], bool]) -> bool:
    """Kill a program (SIGKILL) as soon as `due()` holds; return whether it was still running."""
    until = time.monotonic() + PATIENCE
    while program.poll() is None and not due() and time.monotonic() < until:
        time.sleep(0.002)
    running = program.poll() is None
    program.kill()
    program.wait()
    return running


def _command(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"examples.beamline.{name}", *words]
