from bokeh.models import Div


def greeting() -> Div:
    return Div(text="from the neighbour")
