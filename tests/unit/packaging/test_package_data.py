"""What the code reads at run time is in the wheel."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_file_of_the_demo_s_configuration_is_package_data():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    patterns = [text.strip() for text in config["options.package_data"]["gateway.demo"].split(",")]
    package = ROOT / "gateway" / "demo"
    covered = {path for pattern in patterns for path in package.glob(pattern)}
    files = {path for path in (package / "config").rglob("*") if path.is_file()}
    assert files
    assert files == covered
