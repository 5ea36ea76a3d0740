"""What `fieldpost fleet` refuses before it connects anywhere: exit status 2, one line."""

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
