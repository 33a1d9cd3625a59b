"""The tests of bokeh_widget."""
