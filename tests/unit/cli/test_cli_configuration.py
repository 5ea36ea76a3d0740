"""check and init on real folders, in this process and without a gateway."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from gateway.cli.main import main
from gateway.demo import stage

GATEWAY = "gateway: {id: plant-7}\n"
CHANNEL = """\
driver: modbus
url: tcp://192.0.2.10:502
devices:
  pump:
    unit_id: 1
    interval: 1s
    tags:
      speed: {address: holding/0, type: uint16}
"""


def _tree(folder, gateway=GATEWAY, channel=CHANNEL):
    (folder / "channels").mkdir()
    for path, text in ((folder / "gateway.yaml", gateway), (folder / "channels" / "line1.yaml", channel)):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_a_good_folder_checks_with_0(tmp_path, capsys):
    _tree(tmp_path)
    assert main(["check", str(tmp_path)]) == 0
    assert "1 channel, 1 device, 1 tag, 0 uplinks" in capsys.readouterr().out


def test_a_library_that_is_missing_here_is_a_warning_at_its_channel(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "asyncua", None)  # what Python does for a module that must not be found
    channel = (
        "driver: opcua\nurl: opc.tcp://192.0.2.10:4840\ndevices: {o1: {tags: {t: {address: ns=2;s=a, type: int16}}}}\n"
    )
    _tree(tmp_path, channel=channel)
    text = "driver opcua needs asyncua: pip install 'fieldpost[opcua]'"
    assert main(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"channels/line1.yaml: warning: {text}"
    assert main(["check", str(tmp_path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [(note["file"], note["kind"], note["text"]) for note in answer["notes"]] == [
        ("channels/line1.yaml", "warning", text)
    ]
    (tmp_path / "channels" / "line1.yaml").write_text(f"enabled: false\n{channel}")
    assert main(["check", str(tmp_path)]) == 0
    assert "warning" not in capsys.readouterr().out


def test_the_folder_may_be_named_by_option_or_environment(tmp_path, capsys, monkeypatch):
    _tree(tmp_path)
    assert main(["check", "--config", str(tmp_path)]) == 0
    monkeypatch.setenv("FIELDPOST_CONFIG", str(tmp_path))
    assert main(["check", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["ok"], answer["errors"], answer["tags"]) == (True, [], 1)


def test_every_error_is_one_line_with_its_place(tmp_path, capsys):
    _tree(tmp_path, channel=CHANNEL.replace("uint16", "uint15").replace("1s", "soon"))
    assert main(["check", str(tmp_path)]) == 78
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("channels/line1.yaml:6:15: ")
    assert out[1].startswith("channels/line1.yaml:8:")
    assert out[2] == "2 errors"


def test_json_carries_the_same_errors(tmp_path, capsys):
    _tree(tmp_path, channel=CHANNEL.replace("uint16", "uint15"))
    assert main(["check", str(tmp_path), "--json"]) == 78
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    (error,) = json.loads(out)["errors"]
    assert (error["file"], error["line"]) == ("channels/line1.yaml", 8)
    assert set(error) == {"file", "line", "column", "path", "message", "hint"}


@pytest.mark.parametrize(
    "document",
    [
        b"driver: modbus\nurl: tcp://192.0",
        b"driver: modbus\n\turl: x\n",
        b"driver: modbus\ndriver: modbus\n",
        b"driver: [1, 2]\n",
        b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        b"",
        b"driver: modbus\n--- \ndriver: {\n",
        b"driver: \xff\xfe\n",
        b"[" * 20000,
        b"- just\n- a list\n",
        b"\x00\x01\x02",
    ],
    ids=[
        "truncated",
        "tab",
        "duplicate",
        "wrong type",
        "aliases",
        "empty",
        "several",
        "not utf-8",
        "deep",
        "list",
        "binary",
    ],
)
def test_fl_64_a_broken_document_gives_its_place_and_no_traceback(tmp_path, capsys, document):
    """FL-64: file:line:column and a hint, exit status 78, no traceback."""
    _tree(tmp_path, channel=document)
    assert main(["check", str(tmp_path)]) == 78
    out, err = capsys.readouterr()
    assert "channels/line1.yaml" in out
    assert "Traceback" not in out + err


def test_a_folder_that_is_not_there_exits_78_in_words(tmp_path, capsys):
    assert main(["check", str(tmp_path / "none")]) == 78
    assert str(tmp_path / "none") in "".join(capsys.readouterr())


def test_without_any_configuration_the_command_says_how_to_make_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIELDPOST_CONFIG", raising=False)
    if Path("/etc/fieldpost/gateway.yaml").exists():
        monkeypatch.setenv("FIELDPOST_CONFIG", str(tmp_path / "none"))
    assert main(["check"]) == 78
    assert "fieldpost" in "".join(capsys.readouterr())


def test_init_writes_a_folder_that_checks(tmp_path, capsys):
    folder = tmp_path / "site"
    assert main(["init", str(folder), "--id", "hut-1", "--modbus", "192.0.2.10:1502"]) == 0
    assert main(["check", str(folder)]) == 0
    assert yaml.safe_load((folder / "gateway.yaml").read_text())["gateway"]["id"] == "hut-1"
    assert yaml.safe_load((folder / "channels" / "line1.yaml").read_text())["url"] == "tcp://192.0.2.10:1502"
    capsys.readouterr()


def test_two_new_folders_side_by_side_do_not_share_a_store(tmp_path):
    stores = set()
    for name in ("a", "b", "config"):
        assert main(["init", str(tmp_path / name)]) == 0
        stores.add(yaml.safe_load((tmp_path / name / "gateway.yaml").read_text())["store"]["path"])
    assert stores == {str(tmp_path / name) for name in ("a-state", "b-state", "state")}


def test_init_never_writes_over_a_configuration(tmp_path, capsys):
    _tree(tmp_path)
    assert main(["init", str(tmp_path)]) == 1
    assert (tmp_path / "channels" / "line1.yaml").read_text() == CHANNEL
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("words", [["--id", "-bad id"], ["--modbus", "host name"], ["--modbus", "host:99999"]])
def test_init_refuses_what_could_not_work(tmp_path, words):
    option = f"{words[0]}={words[1]}"
    assert main(["init", str(tmp_path / "site"), option]) == 2
    assert not (tmp_path / "site").exists()


def test_the_machine_s_name_becomes_a_valid_id(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "_über gateway.example_")
    assert main(["init", str(tmp_path / "site")]) == 0
    assert main(["check", str(tmp_path / "site")]) == 0


def test_the_socket_is_found_through_the_state_directory_even_of_a_broken_configuration(tmp_path, capsys):
    _tree(
        tmp_path,
        gateway=f"gateway: {{id: 5 5}}\nstore: {{path: {tmp_path}/here}}\nnonsense: [\n".replace(
            "nonsense: [\n", "x: 1\n"
        ),
    )
    assert main(["status", "--config", str(tmp_path)]) == 69
    assert f"{tmp_path}/here/fieldpost.sock" in capsys.readouterr().err


def test_the_demo_s_own_configuration_checks(monkeypatch, tmp_path):
    for name in ("METER", "INVERTER", "PUMP", "TANK", "BROKER"):
        monkeypatch.setenv(f"FIELDPOST_DEMO_{name}", "15020")
    monkeypatch.setenv("FIELDPOST_DEMO_STATE", str(tmp_path))
    monkeypatch.setenv("FIELDPOST_DEMO_ACK", "consumer")
    assert main(["check", str(Path(stage.__file__).parent / "config")]) == 0


def test_very_many_errors_are_counted_and_whole_only_for_programs(tmp_path, capsys):
    tags = "".join(f"      t{number}: {{type: nonsense, address: holding/0}}\n" for number in range(250))
    _tree(tmp_path, channel=CHANNEL + tags)
    assert main(["check", str(tmp_path)]) == 78
    *errors, more, count = capsys.readouterr().out.splitlines()
    total = int(count.split()[0])
    assert total >= 250
    assert (len(errors), more) == (100, f"... and {total - 100} more (all of them with --json)")
    assert main(["check", str(tmp_path), "--json"]) == 78
    assert len(json.loads(capsys.readouterr().out)["errors"]) == total
