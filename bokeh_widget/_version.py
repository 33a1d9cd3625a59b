"""The version, the one that ``js/package.json`` carries too, and the supported Bokeh range."""

from typing import Final

__version__: Final = "0.1.0"
SUPPORTED_BOKEH: Final = ("3.9", "3.10")
"""First supported release of Bokeh, and the first that is not: the teardown leans on internals."""
