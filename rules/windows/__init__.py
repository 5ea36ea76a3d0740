"""Windows: figures over the last readings of a tag, by time or by number."""

from rules.windows.spec import WindowSpec as WindowSpec
from rules.windows.window import Window as Window
