"""The benchmarks run: their quick mode, for our own row, without timing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import report
from benchmarks.run import measure, parse_arguments

if TYPE_CHECKING:
    import pytest
    from playwright.sync_api import Browser

    from tests.browser.harness import JupyterServer


def test_each_change_is_one_message_without_base64(
    jupyter: JupyterServer, browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    options = parse_arguments(["--quick", "--only", "patch", "--peer", "bokeh_widget"])
    found = {traffic.change: traffic for traffic in measure(jupyter, browser, options)["patch"]}
    columns = 2 * 8 * 10_000
    assert found["data = 10000 points"].to_page.size > columns
    assert found["display of 10000 points"].to_page.size > columns
    assert [found[name].to_page.messages for name in ("one property", "stream of 10 rows", "data = 10000 points")] == [
        1,
        1,
        1,
    ]
    assert [found[name].to_kernel.messages for name in ("one property", "slider event")] == [0, 1]
    assert report.verdicts([], [], list(found.values())) == [
        "[holds] one message per patch",
        "[holds] no base64 on the wire",
    ]
    assert "slider event" in capsys.readouterr().out
