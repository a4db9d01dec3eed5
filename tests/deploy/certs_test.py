#!/usr/bin/env python3
"""deploy/certs: the authority, the certificates and the tokens, judged by openssl.

usage: tests/deploy/certs_test.py [unittest arguments]
"""
import base64
import json
import os
import pathlib
import stat
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MAKE = ROOT / "deploy/certs/make_certs.sh"
TOKEN = ROOT / "deploy/certs/make_token.sh"


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, check=False, **options)


def openssl(*words):
    done = run("openssl", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Certs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name, "certs")

    def make(self, *options):
        done = run(MAKE, *options, self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def refused(self, message, *options):
        before = self.fingerprints() if self.folder.exists() else None
        done = run(MAKE, *options, self.folder)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(message, done.stderr)
        if before is not None:
            self.assertEqual(self.fingerprints(), before, "a refused call changed something")

    def fingerprints(self):
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in self.folder.rglob("[!.]*.*") if path.is_file()}

    def verifies(self, file, purpose, authority="ca.crt"):
        return run("openssl", "verify", "-CAfile", self.folder / authority, "-purpose", purpose, self.folder / file).returncode == 0

    def text(self, file):
        return openssl("x509", "-in", self.folder / file, "-noout", "-text")

    def test_each_certificate_serves_its_purpose_only(self):
        self.make("--user", "alice", "--user", "bob@example.org")
        for file, server, client in (("core.crt", True, False), ("api.crt", True, False), ("gateway.crt", False, True),
                                     ("users/alice.crt", False, True), ("users/bob@example.org.crt", False, True)):
            self.assertEqual((self.verifies(file, "sslserver"), self.verifies(file, "sslclient")), (server, client), file)
            text = self.text(file)
            self.assertIn("CA:FALSE", text)
            self.assertIn("prime256v1", text)
            self.assertIn("ecdsa-with-SHA256", text)
            self.assertRegex(text, r"Key Usage: critical\s+Digital Signature\n")
        authority = self.text("ca.crt")
        self.assertRegex(authority, r"Basic Constraints: critical\s+CA:TRUE, pathlen:0")
        self.assertRegex(authority, r"Key Usage: critical\s+Certificate Sign, CRL Sign")
        self.assertRegex(self.text("users/alice.crt"), r"Subject: CN ?= ?alice\n")
        self.assertRegex(self.text("gateway.crt"), r"Subject: CN ?= ?fabro-gateway\n")

    def test_keys_are_private_and_belong_to_their_certificates(self):
        self.make("--user", "alice", "--jwt")
        keys = list(self.folder.rglob("*.key"))
        self.assertEqual(len(keys), 6)
        for key in keys:
            self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600, key)
            if key.name != "jwt.key":
                self.assertEqual(openssl("pkey", "-in", key, "-pubout"), openssl("x509", "-in", key.with_suffix(".crt"), "-noout", "-pubkey"))
        for path in (*self.folder.glob("*.crt"), self.folder / "jwt.pub"):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o644, path)
        self.assertEqual([path.name for path in self.folder.glob(".work*")], [])

    def test_names_are_those_given_and_stay_until_others_are_given(self):
        self.make("--core-name", "core.example.org", "--core-name", "10.0.0.7", "--api-name", "fd00::1")
        core = self.text("core.crt")
        for name in ("DNS:localhost", "IP Address:127.0.0.1", "DNS:fabro-core", "DNS:core.example.org", "IP Address:10.0.0.7"):
            self.assertIn(name, core)
        self.assertIn("IP Address:FD00:0:0:0:0:0:0:1", self.text("api.crt"))
        self.make("--renew")
        self.assertIn("DNS:core.example.org, IP Address:10.0.0.7", self.text("core.crt"))
        self.assertIn("its names have changed", self.make("--core-name", "other.example.org"))
        self.assertNotIn("core.example.org", self.text("core.crt"))
        self.assertIn("IP Address:FD00:0:0:0:0:0:0:1", self.text("api.crt"))
        self.make("--gateway-cn", "edge-1")
        self.assertIn("gateway.crt: kept", self.make())

    def test_a_second_call_changes_nothing(self):
        options = ("--user", "alice", "--jwt", "--core-name", "core.example.org", "--api-name", "fd00::1")
        self.make(*options)
        before = self.fingerprints()
        self.assertNotIn("issued", self.make(*options))
        self.assertNotIn("issued", self.make())
        self.assertEqual(self.fingerprints(), before)

    def test_renews_what_ends_soon_and_keeps_its_key(self):
        self.make("--user", "alice", "--days", "40")
        before = self.fingerprints()
        said = self.make("--days", "100", "--renew-before", "45")
        self.assertEqual(said.count("issued (it ends on"), 4, said)
        after = self.fingerprints()
        for name in before:
            changed = name.endswith(".crt") and name != "ca.crt"
            self.assertEqual(before[name] != after[name], changed, name)
        self.make("--rekey")
        rekeyed = self.fingerprints()
        self.assertEqual({name for name in after if after[name] == rekeyed[name]}, {"ca.crt", "ca.key"})
        self.assertTrue(self.verifies("core.crt", "sslserver"))

    def test_mends_what_does_not_fit_together(self):
        self.make("--user", "alice")
        (self.folder / "core.crt").write_bytes((self.folder / "api.crt").read_bytes())
        (self.folder / "gateway.key").unlink()
        (self.folder / "users/alice.crt").write_text("nonsense")
        said = self.make()
        self.assertEqual(said.count("issued"), 3, said)
        self.assertTrue(self.verifies("core.crt", "sslserver"))
        self.assertTrue(self.verifies("users/alice.crt", "sslclient"))

    def test_a_new_authority_takes_over_in_three_steps(self):
        self.make("--user", "alice")
        (self.folder / "old.crt").write_bytes((self.folder / "ca.crt").read_bytes())
        self.assertNotIn("issued", self.make("--new-ca"))
        self.assertTrue(self.verifies("core.crt", "sslserver"), "the old certificates are trusted still")
        self.make("--renew")
        self.assertTrue(self.verifies("core.crt", "sslserver"))
        self.assertFalse(self.verifies("core.crt", "sslserver", "old.crt"), "signed by the new authority")
        self.make("--drop-old-ca")
        self.assertTrue(self.verifies("users/alice.crt", "sslclient"))
        self.assertEqual((self.folder / "ca.crt").read_text().count("BEGIN CERTIFICATE"), 1)

    def test_dropping_the_old_authority_too_early_issues_again(self):
        self.make()
        self.make("--new-ca")
        said = self.make("--drop-old-ca")
        self.assertEqual(said.count("it was not for this authority"), 3, said)
        self.assertTrue(self.verifies("core.crt", "sslserver"))

    def test_says_what_is_wrong(self):
        self.refused("no option is called '--nope'", "--nope")
        self.refused("--days needs a whole number", "--days", "0")
        self.refused("--user needs a value", "--user", "")
        self.refused("cannot be a name", "--user", "a/b")
        self.refused("cannot be a name", "--user", "x" * 65)
        self.refused("neither a host name nor an address", "--api-name", "a b")
        self.refused("no user may be called 'fabro-gateway'", "--user", "fabro-gateway")
        self.refused("is not less than --days", "--days", "30")
        self.refused("--new-ca goes alone", "--new-ca", "--renew")
        self.make("--gateway-cn", "edge")
        self.refused("no user may be called 'edge'", "--user", "edge")
        self.refused("--new-ca begins a new one", "--days", "4000", "--renew")
        key = self.folder / "ca.key"
        kept = key.read_bytes()
        key.unlink()
        self.assertIn("kept", self.make())
        self.refused("ca.key is not here", "--user", "late")
        key.write_bytes((self.folder / "core.key").read_bytes())
        self.refused("not the key of ca.crt")
        key.write_bytes(kept)
        (self.folder / "core.key").write_text("nonsense")
        self.refused("no private key")
        for script in (MAKE, TOKEN):
            self.assertIn("usage:", run(script, "--help").stdout)
        self.assertIn("which directory?", run(MAKE).stderr)

    def test_two_at_once_do_not_mix(self):
        self.folder.mkdir()
        calls = [subprocess.Popen([MAKE, self.folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
        outcomes = [(call.communicate(timeout=120)[1], call.returncode) for call in calls]
        self.assertIn(0, [code for _, code in outcomes])
        for said, code in outcomes:
            self.assertTrue(code == 0 or "another make_certs.sh" in said, said)
        self.assertNotIn("issued", self.make())
        self.assertTrue(self.verifies("core.crt", "sslserver"))

    def token(self, *options):
        return run(TOKEN, "--key", self.folder / "jwt.key", *options)

    def test_a_token_is_signed_and_says_who_and_until_when(self):
        self.make("--jwt")
        done = self.token("--user", "alice", "--ttl", "15m")
        self.assertEqual(done.returncode, 0, done.stderr)
        header, claims, signature = done.stdout.strip().split(".")
        decode = lambda part: base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        self.assertEqual(json.loads(decode(header)), {"alg": "EdDSA", "typ": "JWT"})
        said = json.loads(decode(claims))
        self.assertEqual((said["iss"], said["sub"].rsplit("/", 1)[1], said["exp"] - said["iat"]), ("fabro-web", "alice", 900))
        self.assertLess(abs(said["iat"] - time.time()), 60)
        (self.folder / "signed").write_text(f"{header}.{claims}")
        (self.folder / "signature").write_bytes(decode(signature))
        verified = openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", self.folder / "jwt.pub", "-in", self.folder / "signed",
                           "-sigfile", self.folder / "signature")
        self.assertIn("Verified Successfully", verified)

    def test_a_token_is_refused_with_a_reason(self):
        self.make("--jwt")
        for message, options in (("no time", ("--user", "alice", "--ttl", "soon")), ("cannot be a name", ("--user", 'a"b')),
                                 ("needed", ())):
            self.assertIn(message, self.token(*options).stderr)
        done = run(TOKEN, "--key", self.folder / "core.key", "--user", "alice")
        self.assertIn("no Ed25519", done.stderr)
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    os.environ.pop("OPENSSL_CONF", None)
    unittest.main(verbosity=2)
