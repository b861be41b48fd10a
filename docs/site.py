"""The site's own step of `make docs`: README becomes its front page, and files outside docs/ that pages link to come along.

Pages are written to be read in the repository as well, so they link to ../src/… and ../studies/….  Each such file gets a
page of its own under files/ (tables, JSON and films are copied as they are, a folder shows its README or its list), and
the links are turned there.
"""

import ast
import os
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
FENCED = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
LANGUAGES = {".py": "python", ".xml": "xml", ".toml": "toml", ".txt": "text"}
KEPT = (".md", ".csv", ".json", ".mp4")  # go as they are; all else is shown in a page
UNSEARCHED = "---\nsearch:\n  exclude: true\n---\n"


def on_files(files, config):
    """Add the front page, and a page or a copy of each file outside docs/ that is linked to, or linked to from there."""
    root = Path(config.config_file_path).parent
    texts = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    texts["README.md"] = (root / "README.md").read_text()
    files.append(File.generated(config, "index.md", content=texts["README.md"]))
    waiting, known = list(texts), set(texts)
    while waiting:
        origin = waiting.pop()
        for target, _ in LINK.findall("".join(FENCED.split(texts[origin])[::2])):
            path = _resolved(origin, target)
            if path in known or path.startswith("docs/") or not (root / path).exists():
                continue
            known.add(path)
            content, links = _shown(root, path)
            files.append(File.generated(config, _uri(root, path), content=content))
            if links:
                origin_of_links = _origin(root, _uri(root, path))
                texts[origin_of_links] = content
                waiting.append(origin_of_links)
    return files


def on_page_markdown(markdown, page, config, files):
    """Turn links that are right in the repository into links that are right on the site."""
    root = Path(config.config_file_path).parent
    origin = _origin(root, page.file.src_uri)
    here = posixpath.dirname(page.file.src_uri) or "."

    def turned(match):
        target, anchor = match[1], match[2] or ""
        path = _resolved(origin, target)
        if not (root / path).exists():
            return match[0]
        return f"]({posixpath.relpath(_uri(root, path), here)}{anchor})"

    parts = FENCED.split(markdown)
    return "".join(part if i % 2 else LINK.sub(turned, part) for i, part in enumerate(parts))


def _resolved(origin, target):
    """Return the path in the repository that a link in the file `origin` leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))


def _uri(root, path):
    """Return where a file of the repository lies on the site, as a source path."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (root / path).is_dir():
        return f"files/{path}/index.md"
    return f"files/{path}" if path.endswith(KEPT) else f"files/{path}.md"


def _origin(root, uri):
    """Return the file of the repository that a page of the site was made from."""
    if uri == "index.md":
        return "README.md"
    if not uri.startswith("files/"):
        return f"docs/{uri}"
    path = uri.removeprefix("files/")
    if path.endswith("/index.md"):
        return posixpath.join(posixpath.dirname(path), "README.md")
    return path if (root / path).exists() else path.removesuffix(".md")


def _shown(root, path):
    """Return what the site shows of a file or folder, and whether links in it count."""
    file = root / path
    if file.is_dir():
        readme = file / "README.md"
        return (readme.read_text() if readme.exists() else _listing(file, path)), True
    if file.suffix == ".md":
        return file.read_text(), True
    if file.suffix in KEPT:
        return file.read_bytes(), False
    language = LANGUAGES.get(file.suffix, "text")
    return f"{UNSEARCHED}# {path}\n\n````{language}\n{file.read_text()}````\n", False


def _listing(folder, path):
    """Return a page with the files of a folder, each with the first line of its docstring."""
    rows = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py") and name != "__init__.py":
            first = (ast.get_docstring(ast.parse((folder / name).read_text())) or "").partition("\n")[0]
            rows.append(f"| [`{name}`]({name}) | {first.replace('|', '&#124;')} |")
    return f"# {path}\n\n| file | |\n|---|---|\n" + "\n".join(rows) + "\n"
