"""Fixtures of the kernel tests: one kernel for most, which starts each test with nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.kernel.kernels import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CLEAN: Final = """
import gc
import bokeh_widget
bokeh_widget.close_all()
get_ipython().reset(new_session=False)
import gc
gc.collect()
"""

PRELUDE: Final = """
import gc, logging, threading, weakref
import numpy as np
import bokeh_widget
from bokeh.io import curdoc
from bokeh.models import Button, ColumnDataSource, Div, Line, Plot, Slider
from bokeh_widget import BokehWidget, show
"""


@pytest.fixture(scope="package")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.fixture
def kernel(_shared: Kernel) -> Kernel:
    """A kernel without variables and widgets, the names of the tests imported."""
    _shared.ok(_CLEAN)
    _shared.ok(PRELUDE)
    return _shared


@pytest.fixture
def own_kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel of one test's own, to interrupt and to end."""
    with Kernel(tmp_path) as kernel:
        kernel.ok(PRELUDE)
        yield kernel
