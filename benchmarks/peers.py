"""What is compared: for each peer, the same five functions in the kernel and where its document is in the page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bokeh import __version__ as bokeh_version

ROOT: Final = Path(__file__).resolve().parent.parent
PEER_PACKAGES: Final = ROOT / ".venv" / "bench"
"""Where ``make bench`` installs the peers, apart from the environment of the tests."""
PANEL_PACKAGES: Final = ROOT / ".venv" / "bench-panel"
"""Where it installs Panel, apart again: its front-end part takes part in every notebook of its server."""

_COMMON: Final = """
import gc
import comm
import numpy as np
import psutil
from bokeh.document import Document
from bokeh.layouts import column
from bokeh.model import Model
from bokeh.models import ColumnDataSource, Range1d, Slider
from bokeh.plotting import figure
from IPython.display import HTML, display
from ipywidgets import Layout, Widget
from ipywidgets.widgets import widget as registry

columns = {}

def prepare(points):
    x = np.linspace(0, 100, points)
    columns[points] = {"x": x, "y": np.sin(x)}

def line(points, color):
    "A line of many points that BokehJS paints fast."
    plot = figure(width=400, height=300, name="plot", title="start", toolbar_location=None, tools="")
    plot.line("x", "y", source=ColumnDataSource(columns[points], name="source"), line_color=color)
    return plot

def small():
    plot = figure(width=300, height=200)
    plot.line([1, 2, 3], [4, 6, 5])
    return plot

def with_slider(points):
    global plot, source, slider
    plot = line(points, "#123456")
    # fixed ranges: the page computes none, so that a change of the data is one change
    plot.x_range = Range1d(0, 100)
    plot.y_range = Range1d(-1, 1)
    source = plot.renderers[0].data_source
    slider = Slider(name="slider", start=0, end=10, value=1)
    slider.on_change("value", lambda attr, old, new: setattr(plot.title, "text", f"value {new}"))
    return column(slider, plot)

def collect():
    for _ in range(2):
        gc.collect()

def counts():
    collect()
    kinds = {"widgets": Widget, "layouts": Layout, "documents": Document, "models": Model}
    # the class of the object itself: some objects stand for others and say that they are of theirs
    types = [type(found) for found in gc.get_objects()]
    found = {name: sum(issubclass(cls, kind) for cls in types) for name, kind in kinds.items()}
    return {**found, "comms": len(comm.get_comm_manager().comms), "rss": psutil.Process().memory_info().rss}
"""

_OUTPUT_NOTEBOOK: Final = """
from bokeh.io import output_notebook
from bokeh.resources import INLINE
output_notebook(INLINE, hide_banner=True)
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to show a Bokeh plot in a notebook.

    Attributes
    ----------
    name : str
        Its row in the tables.
    setup : str
        Python that defines, beside the common part, ``hold(make)`` (display ``make()`` and return what has to be
        held or closed), ``close(held)``, and ``change(function)`` (call it where the document may be changed).
    document : str
        JavaScript expression of the BokehJS document that is shown; empty if there is none.
    painted : str
        CSS selector of what appears in the cell's output.
    package : str
        The folder of the package that it needs in ``packages``; empty if it is always there.
    packages : Path
        Where the server and the kernel find it.
    bokeh : str
        JavaScript expression of the BokehJS object; empty if there is none.
    embeds : bool
        Whether the page itself has to embed what ``hold`` leaves in the kernel's ``embedded``, with no kernel.
    foreign : str
        For those that have no Bokeh document: Python that defines ``make_line``, ``make_image`` and ``assign`` in
        the place of those of ``in_kernel.py``.
    watch : str
        And the JavaScript that tells ``__flow`` what is painted, run when it is shown.
    idle : str
        JavaScript condition that holds when the page has freed a plot that went; empty if it is never freed.
    """

    name: str
    setup: str
    document: str = ""
    painted: str = "canvas"
    package: str = ""
    packages: Path = PEER_PACKAGES
    idle: str = ""
    bokeh: str = "globalThis.Bokeh"
    embeds: bool = False
    foreign: str = ""
    watch: str = ""

    @property
    def source(self) -> str:
        """The source of the set-up cell."""
        return _COMMON + self.setup

    @property
    def is_available(self) -> bool:
        """Whether what it needs is installed."""
        return not self.package or (self.packages / self.package).is_dir()


_REPLICAS: Final = 'globalThis[Symbol.for("bokeh_widget")]?.replicas()'

OURS: Final = Peer(
    "bokeh_widget",
    """
import bokeh_widget
from bokeh_widget import BokehWidget
bokeh_widget.widget.unused_session_lifetime_ms = 50  # a cycle does not wait 15 s for the grace period to end

def hold(make):
    widget = BokehWidget(make())
    display(widget)
    return widget

def close(held):
    held.close()

def change(function):
    function()
""",
    document=f"{_REPLICAS}?.at(-1)?.document",
    bokeh=f'globalThis[Symbol.for("bokeh_widget")]?.bokeh("{bokeh_version}")',
    idle=f"({_REPLICAS} ?? []).length === 0",
)

OURS_WHOLE: Final = replace(
    OURS,
    name="bokeh_widget, one frame",
    setup=OURS.setup.replace("BokehWidget(make())", "BokehWidget(make(), frame_limit_bytes=64_000_000)"),
)
"""With a frame limit above all data that are sent: what the chunks of the default cost."""

JUPYTER_BOKEH: Final = Peer(
    "jupyter_bokeh",
    _OUTPUT_NOTEBOOK
    + """
from jupyter_bokeh import BokehModel

def hold(make):
    widget = BokehModel(make())
    display(widget)
    return widget

def close(held):
    held.close()

def change(function):
    function()
""",
    document="globalThis.Bokeh?.documents.at(-1)",
    package="jupyter_bokeh",
)

SERVER: Final = Peer(
    "embedded server",
    _OUTPUT_NOTEBOOK
    + """
import os
from bokeh.io import show
from bokeh.io.notebook import destroy_server
from bokeh.io.state import curstate

shown = None  # the document of the last session

def hold(make):
    def make_document(document):
        global shown
        shown = document
        document.add_root(make())
    show(make_document, notebook_url=os.environ["BENCHMARK_ORIGIN"])

def close(held):
    global shown
    shown = None
    for server_id in list(curstate().uuid_to_server):
        destroy_server(server_id)

def change(function):
    shown.add_next_tick_callback(function)
""",
    document="globalThis.Bokeh?.documents.at(-1)",
    # without it nobody loads BokehJS into JupyterLab, and nobody tells the kernel that the output went
    package="jupyter_bokeh",
)

PUSH: Final = Peer(
    "push_notebook",
    _OUTPUT_NOTEBOOK
    + """
from bokeh.io import push_notebook, show

handle = None

def hold(make):
    global handle
    handle = show(make(), notebook_handle=True)
    return handle

def close(held):
    pass

def change(function):
    function()
    push_notebook(handle=handle)
""",
    document="globalThis.Bokeh?.documents.at(-1)",
    # as for the server
    package="jupyter_bokeh",
)

PANEL: Final = Peer(
    "Panel",
    """
import panel
panel.extension(inline=True)

pane = None

def hold(make):
    global pane
    pane = panel.pane.Bokeh(make())
    display(pane)
    return pane

def close(held):
    pass

def change(function):
    function()
    panel.io.push_notebook(pane)
""",
    document="globalThis.Bokeh?.documents.at(-1)",
    package="panel",
    packages=PANEL_PACKAGES,
)

FLOOR: Final = Peer(
    "BokehJS alone",
    """
from bokeh.embed import json_item

embedded = None

def hold(make):
    global embedded
    display(HTML("<div id='benchmark-floor'></div>"))
    embedded = json_item(make(), "benchmark-floor")

def close(held):
    pass
""",
    document="globalThis.Bokeh?.documents.at(-1)",
    embeds=True,
)

_HOLD_AND_CHANGE: Final = """
def hold(make):
    held = make()
    display(held)
    return held

def change(function):
    function()
"""

PLOTLY: Final = Peer(
    "plotly FigureWidget",
    "import plotly.graph_objects as go" + _HOLD_AND_CHANGE,
    painted=".js-plotly-plot",
    package="plotly",
    foreign="""
def make_plotly(trace):
    made["figure"] = go.FigureWidget(trace, layout={"width": 400, "height": 300})
    return made["figure"]

def make_line(color, fixed):
    figure = make_plotly(go.Scattergl(x=np.zeros(2), y=np.zeros(2), mode="lines", line={"color": color}))
    figure.update_layout(xaxis_range=[0, 100], yaxis_range=[-1, 1])
    return figure

def make_image():
    return make_plotly(go.Heatmap(z=np.zeros((2, 2)), colorscale="Viridis"))

def assign(data):
    trace = made["figure"].data[0]
    if "image" in data:
        trace.z = data["image"][0]
    else:
        trace.update(data)
""",
    watch="""() => {
        const graph = document.querySelector(".js-plotly-plot");
        const last = (found) => (found?.length === undefined ? found : last(found[found.length - 1]));
        __flow.watch("", () => last(graph._fullData[0].z ?? graph._fullData[0].y));
        graph.on("plotly_afterplot", __flow.note);
    }""",
)

IPYMPL: Final = Peer(
    "ipympl",
    """
get_ipython().run_line_magic("matplotlib", "widget")
from matplotlib import pyplot
from matplotlib.patches import Rectangle
pyplot.ioff()
"""
    + _HOLD_AND_CHANGE,
    painted=".jupyter-matplotlib-canvas-container canvas",
    package="ipympl",
    # a square in the corner has the number of the round as its colour, so that the page knows what it paints
    foreign="""
def make_pyplot():
    made["figure"], made["axes"] = pyplot.subplots(figsize=(4, 3))
    made["square"] = made["figure"].add_artist(Rectangle((0, 0), 0.1, 0.1, color="black"))
    return made["figure"].canvas

def make_line(color, fixed):
    canvas = make_pyplot()
    made["axes"].set(xlim=(0, 100), ylim=(-1, 1))
    made["line"], = made["axes"].plot([0, 1], [0, 1], color=color)
    return canvas

def make_image():
    canvas = make_pyplot()
    made["image"] = made["axes"].imshow(np.zeros((2, 2)), vmin=0, vmax=1000, extent=(0, 10, 0, 10))
    return canvas

def assign(data):
    if "image" in data:
        made["image"].set_data(data["image"][0])
    else:
        made["line"].set_data(data["x"], data["y"])
    made["square"].set_color((10 * made["number"] / 255, 0, 0))
    made["figure"].canvas.draw()
""",
    watch="""() => {
        const canvas = document.querySelector(".jupyter-matplotlib-canvas-container canvas");
        const context = canvas.getContext("2d");
        const read = () => Math.round(context.getImageData(5, canvas.height - 5, 1, 1).data[0] / 10);
        __flow.watch("any image", read);
    }""",
)

TRANSFER: Final = Peer(
    "the transfer alone",
    """
def hold(make):
    return comm.create_comm(target_name="benchmark")

def change(function):
    function()
""",
    painted="",
    foreign="""
def make_line(color, fixed):
    return None

def make_image():
    return None

def assign(data):
    arrays = data["image"] if "image" in data else data.values()
    held.send({"number": made["number"]}, buffers=[memoryview(array).cast("B") for array in arrays])
""",
)

EMPTY: Final = Peer(
    "empty HTML output",
    """
def hold(make):
    display(HTML("<div class='benchmark-empty'></div>"))

def close(held):
    pass
""",
    painted=".benchmark-empty",
)

STROKE: Final = Peer(
    "HTML, one stroke",
    '''
def line(points, color):
    return color

def hold(make):
    display(HTML(f"""<canvas width='400' height='300'></canvas><script>
        (() => {{
            const context = [...document.querySelectorAll(".jp-OutputArea canvas")].at(-1).getContext("2d");
            context.strokeStyle = "{make()}"; context.lineWidth = 20;
            context.moveTo(0, 0); context.lineTo(400, 300); context.stroke();
        }})()</script>"""))

def close(held):
    pass
''',
)
