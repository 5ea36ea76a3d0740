"""Windows: figures over the last readings of a tag, by time or by number."""

from rules.windows.factory import make_window as make_window
from rules.windows.spec import WindowSpec as WindowSpec
from rules.windows.window import Window as Window
