"""Connections that are protected, users that are known, and strangers at both ends."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from drivers.opcua.pki import Pki, self_signed, thumbprint
from drivers.opcua.settings import Identity, Security
from gateway.model import Access, Quality
from tests.drivers.opcua.kit import at_work, channel_of, tag_spec
from tests.support.eventually import eventually
from tests.support.opcua_plant import PASSWORD, USER
from tests.support.opcua_process import PlantProcess
from tests.support.parts import require

SPEED = {"line.Speed": (100.5, Quality.GOOD)}


class Scene:
    """A server that lets known users in only, and trusts the clients in a folder; files of everybody."""

    def __init__(self, folder) -> None:
        self.folder = folder
        server = Pki(folder / "server")
        own = server.own("urn:plant.example:server", ["127.0.0.1"], name="Plant")
        self.certificate = x509.load_der_x509_certificate(own.certificate)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        user = self_signed(key, "urn:user", name="user")
        (folder / "user.der").write_bytes(user.public_bytes(serialization.Encoding.DER))
        pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / "user.key").write_bytes(key.private_bytes(*pem))
        self.pki = Pki(folder / "ours")
        self.ours = self.pki.own("urn:gw", ["localhost"])
        (server.trusted / "gw.der").write_bytes(self.ours.certificate)
        (self.pki.trusted / "plant.der").write_bytes(own.certificate)
        # asyncua reads keys with the suffix .pem only
        (folder / "server/own.pem").write_bytes(own.key)
        words = {
            "certificate": str(server.own_certificate), "key": str(folder / "server/own.pem"), "only": True,
            "user_certificate": str(folder / "user.der"), "trusted": str(server.trusted),
        }  # fmt: skip
        self.plant = PlantProcess(10, json.dumps(words))

    def security(self, folder=None, **more) -> Security:
        place = str(folder or self.pki.folder)
        return Security(**{"policy": "Basic256Sha256", "folder": place, "application_uri": "urn:gw", **more})

    def channel(self, security=None, identity=None):
        tags = [tag_spec("Speed"), tag_spec("Count", kind="int32", access=Access.READ_WRITE)]
        known = identity if identity is not None else Identity(user=USER, password=PASSWORD)
        return channel_of(self.plant.url, tags, security=security or self.security(), identity=known)


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Iterator[Scene]:
    require("asyncua")
    made = Scene(tmp_path_factory.mktemp("opcua"))
    yield made
    made.plant.close()


@pytest.mark.parametrize(
    ("policy", "mode"),
    [
        ("Basic256Sha256", "SignAndEncrypt"),
        ("Basic256Sha256", "Sign"),
        ("Aes128Sha256RsaOaep", "SignAndEncrypt"),
        ("Aes256Sha256RsaPss", "SignAndEncrypt"),
    ],
)
async def test_values_and_writes_go_through_every_policy(scene, policy, mode):
    async with at_work(scene.channel(scene.security(policy=policy, mode=mode))) as (ctx, driver):
        await eventually(lambda: len(ctx.latest()) == 2, why=lambda: str((ctx.issues, ctx.states)))
        device = ctx.devices[0]
        await driver.write(device, device.tag("Count"), 11)
        await eventually(lambda: ctx.latest()["line.Count"] == (11, Quality.GOOD))
        assert ctx.issues == {}
        await driver.write(device, device.tag("Count"), 7)


async def test_a_stranger_is_refused_with_its_thumbprint_until_its_file_is_moved(scene, tmp_path):
    ours = Pki(tmp_path / "pki")
    ours.own("urn:gw", ["localhost"])
    ours.own_key.write_bytes(scene.pki.own_key.read_bytes())
    ours.own_certificate.write_bytes(scene.ours.certificate)
    key = ("opcua_server_untrusted", "plant")
    async with at_work(scene.channel(scene.security(ours.folder))) as (ctx, _):
        await eventually(lambda: key in ctx.issues)
        name = thumbprint(scene.certificate)
        file = ours.rejected / f"{name}.der"
        assert name in ctx.issues[key]
        assert f"move {file} to {ours.trusted}" in ctx.issues[key]
        assert ctx.latest() == {}
        file.rename(ours.trusted / file.name)
        await eventually(lambda: len(ctx.latest()) == 2, within=15)
        assert ctx.issues == {}


async def test_a_first_look_may_trust_anybody(scene, tmp_path):
    ours = Pki(tmp_path / "pki")
    ours.own("urn:gw", ["localhost"])
    ours.own_key.write_bytes(scene.pki.own_key.read_bytes())
    ours.own_certificate.write_bytes(scene.ours.certificate)
    async with at_work(scene.channel(scene.security(ours.folder, trust="any"))) as (ctx, _):
        await eventually(lambda: len(ctx.latest()) == 2)


async def test_a_server_that_does_not_know_our_certificate_is_told_with_its_file(scene, tmp_path):
    ours = Pki(tmp_path / "pki")
    ours.own("urn:gw", ["localhost"])
    (ours.trusted / "plant.der").write_bytes(scene.certificate.public_bytes(serialization.Encoding.DER))
    key = ("opcua_refuses_us", "plant")
    async with at_work(scene.channel(scene.security(ours.folder))) as (ctx, _):
        await eventually(lambda: key in ctx.issues, why=lambda: str((ctx.issues, ctx.states)))
        assert f"trust {ours.own_certificate} at the server" in ctx.issues[key]


async def test_a_policy_that_is_not_offered_is_told_with_those_that_are(scene):
    key = ("opcua_no_such_endpoint", "plant")
    security = scene.security(policy="Aes256Sha256RsaPss", mode="Sign")
    async with at_work(scene.channel(security)) as (ctx, _):
        await eventually(lambda: key in ctx.issues)
        assert "Basic256Sha256 with SignAndEncrypt" in ctx.issues[key]


async def test_nobody_gets_in_without_the_right_password(scene):
    key = ("opcua_refuses_user", "plant")
    for identity, who in ((Identity(user=USER, password="wrong"), USER), (Identity(), "an anonymous user")):
        async with at_work(scene.channel(identity=identity)) as (ctx, _):
            await eventually(lambda c=ctx: key in c.issues)
            assert who in ctx.issues[key]
            assert "wrong" not in ctx.issues[key]


async def test_a_certificate_logs_in(scene):
    folder = scene.folder
    identity = Identity(certificate=str(folder / "user.der"), key=str(folder / "user.key"))
    async with at_work(scene.channel(identity=identity)) as (ctx, _):
        await eventually(lambda: len(ctx.latest()) == 2, why=lambda: str((ctx.issues, ctx.states)))


async def test_files_that_are_not_there_are_an_issue(scene, tmp_path):
    security = scene.security(certificate=str(tmp_path / "no.der"), key=str(tmp_path / "no.key"))
    async with at_work(scene.channel(security)) as (ctx, _):
        await eventually(lambda: ("opcua_certificates", "plant") in ctx.issues)
        assert "no.der" in ctx.issues["opcua_certificates", "plant"]


async def test_a_scan_shows_all_policies_and_the_thumbprint_of_a_server_that_does_not_let_us_in(scene):
    async with at_work(channel_of(scene.plant.url, [tag_spec("Speed")])) as (ctx, driver):
        await eventually(lambda: ("opcua_no_such_endpoint", "plant") in ctx.issues, why=lambda: str(ctx.states))
        found = [item async for item in driver.scan({}) if "policy" in item]
        assert {(item["policy"], item["mode"]) for item in found} == {
            ("Basic256Sha256", "SignAndEncrypt"), ("Basic256Sha256", "Sign"),
            ("Aes128Sha256RsaOaep", "SignAndEncrypt"), ("Aes256Sha256RsaPss", "SignAndEncrypt"),
        }  # fmt: skip
        assert {item["certificate"] for item in found} == {thumbprint(scene.certificate)}
