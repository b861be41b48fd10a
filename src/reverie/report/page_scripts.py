"""The programs that a page carries, and its security policy, which allows these and nothing else."""

import base64
import functools
import hashlib
import re
import zlib
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

from reverie.core.errors import ConfigError


class Packed(NamedTuple):
    """A program as the page carries it, a fifth of its size: raw DEFLATE in base64, for inflate.js."""

    packed: str
    size: int  # bytes when unpacked
    digest: str  # of the program, as the security policy names it


def plotly() -> Packed:
    """Return plotly, packed.  Raises ConfigError where it is not installed."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ConfigError("the report's curves need a package: pip install 'reverie[report]'") from None
    return _packed(get_plotlyjs())


@functools.lru_cache(maxsize=1)  # a page that is kept current is written often
def _packed(program: str) -> Packed:
    code = _one_kind_of_line_end(program).encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = base64.b64encode(packer.compress(code) + packer.flush()).decode()
    return Packed(packed, len(code), _digest(code))


def asset(name: str) -> str:
    """Return a script or style sheet of this package."""
    return _inside_script(resources.files("reverie.report").joinpath(name).read_text(encoding="utf-8"))


def _inside_script(code: str) -> str:
    """Return code as the browser will read it, so that its hash matches: no early end tag, and one kind of line end."""
    return _one_kind_of_line_end(re.sub("</(?=script|style)", r"<\\/", code, flags=re.IGNORECASE))


def _one_kind_of_line_end(code: str) -> str:
    return code.replace("\r\n", "\n").replace("\r", "\n")


def _digest(code: bytes) -> str:
    return base64.b64encode(hashlib.sha256(code).digest()).decode()


def policy(scripts: Sequence[str], packed: Packed | None, live: bool = False) -> str:
    """Return the security policy: only these scripts and what is in the page itself may load.

    Inline styles are allowed, since plotly writes some.  live: whether the page may ask its own server.
    """
    hashes = [_digest(script.encode()) for script in scripts] + ([packed.digest] if packed else [])
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes) or "'none'"
    media = "style-src 'unsafe-inline'; img-src data: blob:; media-src data:"
    return f"default-src 'none'; script-src {allowed}; {media}" + ("; connect-src 'self'" if live else "")
