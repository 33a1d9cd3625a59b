"""Measure bokeh_widget and its peers in one real JupyterLab: ``make bench``, or ``python -m benchmarks.run --help``."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tests.browser.harness import chromium

from . import display, leak, machine, patch, replace, report, size, slider, stream
from .flow_report import FLOW_PARTS, flow_table, rows_of
from .flow_verdicts import flow_verdicts
from .page import Servers, make_server
from .peers import ROOT, Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser

    from tests.browser.harness import JupyterServer

PARTS: Final = ("patch", "display", "leak", *FLOW_PARTS)
RESULTS: Final = ROOT / "benchmarks" / "results"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part only; may be repeated")
    parser.add_argument("--peer", action="append", help="measure this row only; may be repeated")
    parser.add_argument("--case", action="append", help="of the leak part this case only; may be repeated")
    parser.add_argument("--cycles", type=int, default=30, help="cycles of the leak part")
    parser.add_argument("--warm-up", type=int, default=20, help="cycles before them, while V8 still compiles")
    parser.add_argument(
        "--rounds", type=int, help="rounds of the display part (7), of the replace part (5), of the stream part (1)"
    )
    parser.add_argument("--mode", action="append", help="of the stream part this mode only; may be repeated")
    parser.add_argument(
        "--points", type=int, action="append", help="of the display part this size only; may be repeated"
    )
    parser.add_argument("--what", choices=tuple(replace.SIZES), action="append", help="of the replace part this only")
    parser.add_argument(
        "--models", type=int, action="append", help="of the size part a document of so many; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="small data and few cycles: to see that it runs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.cycles, options.warm_up, options.rounds = 3, 1, options.rounds or 1
    return options


def _chosen(peers: Sequence[Peer], names: Sequence[str] | None) -> list[Peer]:
    wanted = [peer for peer in peers if names is None or peer.name in names]
    for peer in wanted:
        if not peer.is_available:
            print(f"{peer.name} is left out: it needs {peer.package}, which `make bench` installs", file=sys.stderr)
    return [peer for peer in wanted if peer.is_available]


def measure(server: JupyterServer, browser: Browser, options: argparse.Namespace) -> dict[str, list[Any]]:
    """Measure the parts that the options name, and print the table of each.

    Parameters
    ----------
    server, browser
        Where.
    options : argparse.Namespace
        Of :func:`parse_arguments`.

    Returns
    -------
    dict
        The results of each part.
    """
    parts: dict[str, list[Any]] = {name: [] for name in PARTS}
    wanted = options.only or PARTS
    if "patch" in wanted:
        points = 10_000 if options.quick else 1_000_000
        parts["patch"] = patch.measure(server, browser, _chosen(patch.PEERS, options.peer), points=points)
        print(report.patch_table(parts["patch"]), end="\n\n")
    if "display" in wanted:
        sizes = options.points or (display.SIZES[:1] if options.quick else display.SIZES)
        peers = _chosen(display.PEERS, options.peer)
        parts["display"] = display.measure(server, browser, peers, sizes=sizes, rounds=options.rounds or 7)
        print(report.display_table(parts["display"]), end="\n\n")
    if "leak" in wanted:
        cases = [case for case in leak.CASES if options.case is None or case.name in options.case]
        peers = _chosen(leak.PEERS, options.peer)
        parts["leak"] = leak.measure(
            server, browser, peers, cases=cases, cycles=options.cycles, warm_up=options.warm_up
        )
        print(report.leak_table(parts["leak"]), end="\n\n")
    parts.update(_measure_flow(server, browser, options, wanted))
    return parts


def _measure_flow(
    server: JupyterServer, browser: Browser, options: argparse.Namespace, wanted: Sequence[str]
) -> dict[str, list[Any]]:
    """Measure the parts of flow control, and print one table for all of them."""
    parts: dict[str, list[Any]] = {}
    quick = options.quick
    with Servers(server) as servers:
        if "stream" in wanted:
            modes = stream.QUICK_MODES if quick else stream.MODES
            chosen = [mode for mode in modes if options.mode is None or mode.name in options.mode]
            peers = _chosen(stream.PEERS, options.peer)
            parts["stream"] = stream.measure(servers, browser, peers, modes=chosen, rounds=options.rounds or 1)
        if "replace" in wanted:
            peers = _chosen(replace.PEERS, options.peer)
            all_sizes = replace.QUICK_SIZES if quick else replace.SIZES
            sizes = {what: side for what, side in all_sizes.items() if options.what is None or what in options.what}
            parts["replace"] = replace.measure(servers, browser, peers, sizes=sizes, rounds=options.rounds or 5)
        if "slider" in wanted:
            few = {"trips": 3, "events": 20, "clicks": 5, "milliseconds": 100} if quick else {}
            parts["slider"] = slider.measure(servers, browser, _chosen(slider.PEERS, options.peer), **few)
        if "size" in wanted:
            peers = _chosen(size.PEERS, options.peer)
            models = options.models or (size.QUICK_SIZES if quick else size.SIZES)
            parts["size"] = size.measure(servers, browser, peers, sizes=models, patches=20 if quick else 200)
    if parts:
        print(flow_table(rows_of(parts)), end="\n\n")
    return parts


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks, print the tables, write the numbers to ``benchmarks/results/``."""
    options = parse_arguments(arguments)
    with chromium(watches_network=False) as browser, make_server() as server:
        described = machine.describe(browser)
        print(report.table([["measured with", "version"], *([*item] for item in described.items())]), end="\n\n")
        parts = measure(server, browser, options)
    print("\n".join([*report.verdicts(parts["leak"], parts["display"], parts["patch"]), *flow_verdicts(parts)]))
    path = RESULTS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    report.write_json(path, described, parts)
    print(f"\nwritten to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
