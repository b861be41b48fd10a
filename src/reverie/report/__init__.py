"""Progress bars, curves, films, value maps and the HTML report."""
