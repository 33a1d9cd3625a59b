"""Benchmarks: bokeh_widget and its peers in one real JupyterLab, in the same run."""
