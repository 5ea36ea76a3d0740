"""What `fieldpost fleet` refuses before it connects anywhere: exit status 2, one line."""

import json

import pytest

from gateway.cli.main import main


@pytest.mark.parametrize(
    "words",
    [
        ("set", "plant-7", "boiler", "setpoint"),
        ("set", "plant-7", "boiler", "setpoint=null"),
        ("set", "plant-7", "boiler", "a/b/c/d/e/f=1"),
        ("set", "plant/7", "boiler", "setpoint=1"),
        ("set", "plant-7", "boiler", "setpoint=1", "--if-ver", "x"),
        ("set", "plant-7", "boiler", "setpoint=1", "setpoint=2"),
        ("set", "plant-7", "boiler", "setpoint=1", "--max-document", "65537"),
        ("set", "plant-7", "boiler", "setpoint=1", "--max-document", "0"),
        ("delete", "plant-7", "boiler", "setpoint", "--max-document", "99999"),
        ("write", "plant-7", "boiler=1"),
        ("write", "plant-7", "boiler.a=1", "pump.a=1"),
        ("read", "plant-7", "boiler.a", "pump.a"),
        ("command", "plant-7", "read", "--args", "[]"),
        ("command", "plant-7", "read", "--args", "{"),
        ("command", "plant-7", "read", "--rid", "a/b"),
        ("watch", "plant-7", "--device", "a/b"),
        ("get", "plant-7", "a b"),
        ("deploy", "1.4.0"),
        ("deploy", "--to", "all"),
        ("deploy", "nonsense", "--to", "all"),
        ("deploy", "https://evil/1.4.0.json", "--to", "all"),
        ("deploy", "1.4.0", "--to", "a/b"),
        ("deploy", "1.4.0", "--to", "version<x"),
        ("deploy", "1.4.0", "--to", "all", "--batch", "0"),
        ("deploy", "1.4.0", "--to", "all", "--batch", "101%"),
        ("deploy", "1.4.0", "--to", "all", "--window", "2-4"),
        ("deploy", "1.4.0", "--to", "all", "--rev", "3"),
        ("deploy", "1.4.0", "--to", "all", "--id", "a b"),
        ("deploy", "1.4.0", "--to", "all", "--exp", "400d"),
        ("deploy", "1.4.0", "--to", "all", "--rate", "10"),
        ("deploy", "restart", "--to", "all", "--group", "north"),
        ("deploy", "--resume", "d-1", "--to", "all"),
        ("deploy", "--resume", "../../etc/passwd"),
        ("cancel",),
        ("cancel", "plant-7", "--all-of", "d-1"),
        ("cancel", "plant/7"),
        ("jobs", "plant/7"),
        ("serve",),
        ("ls", "--tenant", "a/b"),
        ("ls", "--ca", "/nowhere/ca.pem"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_exits_2_before_anything_is_asked(capsys, words):
    status = main(["fleet", *words, "--url", "mqtt://127.0.0.1:1"])
    out, err = capsys.readouterr()
    assert status == 2, err
    assert out == ""
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [("fleet",), ("fleet", "nonsense"), ("fleet", "ls", "--js")], ids=" ".join)
def test_wrong_words_exit_2(capsys, words):
    assert main(list(words)) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_no_broker_exits_1_with_one_object(capsys):
    assert main(["fleet", "ls", "--url", "mqtt://127.0.0.1:1", "--json"]) == 1
    assert '"code":503' in capsys.readouterr().out


def test_the_greatest_document_is_no_wrong_usage(capsys):
    words = ["set", "plant-7", "boiler", "setpoint=1", "--max-document", "65536", "--url", "mqtt://127.0.0.1:1"]
    assert main(["fleet", *words]) == 1, "there is no broker"
    capsys.readouterr()


def test_a_certificate_that_is_not_there_is_wrong_usage(capsys):
    assert main(["fleet", "ls", "--url", "mqtts://127.0.0.1:1", "--ca", "/nowhere/ca.pem"]) == 2
    assert "/nowhere/ca.pem" in capsys.readouterr().err


def test_a_repository_that_lacks_the_release_is_told_before_anything_is_asked(capsys, tmp_path):
    (tmp_path / "metadata").mkdir()
    signed = {
        "timestamp.json": {"meta": {"snapshot.json": {"version": 1}}},
        "1.snapshot.json": {"meta": {"targets.json": {"version": 1}}},
        "1.targets.json": {"targets": {"releases/fieldpost-1.3.0.json": {}}},
    }
    for name, body in signed.items():
        (tmp_path / "metadata" / name).write_text(json.dumps({"signed": body}))
    words = ["deploy", "1.4.0", "--to", "all", "--serve", str(tmp_path), "--url", "mqtt://127.0.0.1:1"]
    assert main(["fleet", *words]) == 1
    assert "releases/fieldpost-1.4.0.json is not published in" in capsys.readouterr().err
    assert main(["fleet", *words[:-3], str(tmp_path / "nothing"), *words[-2:]]) == 1
    assert "is no repository" in capsys.readouterr().err
