"""Configuration: YAML files to typed settings, generations of them, and what a change would restart."""

from gateway.settings.loader import load_files, load_tree, read_tree

__all__ = ["load_files", "load_tree", "read_tree"]
