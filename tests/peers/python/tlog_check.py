"""Checks a log with aics-tlog, a pure Python implementation of the C2SP formats that shares no code with ours or Go's.

The package opens the checkpoint and its cosignatures, authenticates every tile and entry, and builds and verifies the
proofs. This file only fetches, reads the policy and proof files (forms that the package does not know) and counts.
Exit status: 0 accepted, 1 refused, 2 called wrongly.
"""

from __future__ import annotations

import argparse
import base64
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

import aics_tlog as tlog
from aics_tlog.tiles import entry_bundle_path, tile_path

ANSWER_WAIT_MAX_S = 30
# 256 entries of 65,535 bytes, each with its length.
FILE_LEN_MAX = 256 * (2 + 65_535)
# The package builds a proof in a large log slowly. Above this size, so many proofs stand for all; what they prove, that
# every entry is under the root, the audit of the tiles has already shown.
PROOFS_OF_ALL_MAX = 1024
PROOFS_OF_SAMPLE = 32
PROOF_HEADER = "c2sp.org/tlog-proof@v1"


class Refused(Exception):
    """The log is not what it should be."""


class Misused(Exception):
    """The caller named something that is not there."""


class HttpReader:
    """Tiles of a served log. The package's own reader sends no bearer token."""

    def __init__(self, prefix: str, token: str | None) -> None:
        self.prefix = prefix if prefix.endswith("/") else prefix + "/"
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str) -> bytes | None:
        request = urllib.request.Request(self.prefix + path, headers=self.headers)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_WAIT_MAX_S) as answer:
                return answer.read(FILE_LEN_MAX)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise Refused(f"{path}: status {error.code}") from None

    def read_tile(self, level: int, index: int, width: int | None) -> bytes | None:
        return self.get(tile_path(level, index, width))

    def read_entry_bundle(self, index: int, width: int | None) -> bytes | None:
        return self.get(entry_bundle_path(index, width))


class Policy:
    """Witnesses, groups and the quorum of a tlog-policy."""

    def __init__(self, text: str) -> None:
        self.witnesses: dict[str, tlog.VKey] = {}
        self.groups: dict[str, tuple[int, list[str]]] = {}
        self.quorum = "none"
        for line in text.splitlines():
            match line.split():
                case ["witness", name, vkey, *_]:
                    self.witnesses[name] = tlog.parse_vkey(vkey)
                case ["group", name, threshold, *members]:
                    named = {"any": 1, "all": len(members)}
                    self.groups[name] = (named.get(threshold) or int(threshold), members)
                case ["quorum", name]:
                    self.quorum = name

    def reached(self, cosigners: set[str], name: str | None = None) -> bool:
        """Whether these witnesses, by the names of their keys, are enough."""
        name = name or self.quorum
        if name == "none":
            return True
        if name in self.witnesses:
            return self.witnesses[name].name in cosigners
        threshold, members = self.groups[name]
        return sum(self.reached(cosigners, member) for member in members) >= threshold


def open_checkpoint(signed: bytes, key: tlog.VKey, origin: str, policy: Policy) -> tuple[tlog.Checkpoint, int]:
    note = tlog.parse_note(signed)
    result = tlog.verify_checkpoint(note, key, list(policy.witnesses.values()), expected_origin=origin)
    if not result.ok:
        raise Refused(f"checkpoint: {result.error}")
    if not policy.reached(set(result.witnesses)):
        raise Refused("the cosignatures do not reach the policy's quorum")
    return tlog.parse_checkpoint(note.text), result.cosignature_count


def check_inclusion(tiles: tlog.VerifiedTileReader, size: int, root: bytes) -> int:
    if size <= PROOFS_OF_ALL_MAX:
        chosen = list(range(size))
    else:
        # An odd distance, so that the records stand at changing places in their tiles.
        chosen = sorted({*range(0, size, (size // PROOFS_OF_SAMPLE) | 1), size - 1})
    for index in chosen:
        path = tlog.inclusion_proof_from_tiles(tiles, index, size)
        if not tlog.verify_leaf_inclusion(tiles.entry(index), index, size, path, root):
            raise Refused(f"inclusion of {index}")
    return len(chosen)


def check_consistency(tiles: tlog.VerifiedTileReader, size: int, root: bytes) -> int:
    powers = (1 << bit for bit in range(size.bit_length()))
    if size > PROOFS_OF_ALL_MAX:
        powers = (p for p in powers if p in (256, 65_536))
    wanted = {0, 1, size // 3, size // 2, size - 1, size, *(p + d for p in powers for d in (-1, 0, 1))}
    older = sorted(s for s in wanted if 0 <= s <= size)
    for old in older:
        old_root = tlog.tree_root_from_tiles(tiles, old, tile_size=size)
        path = tlog.consistency_proof_from_tiles(tiles, old, size)
        if not tlog.verify_consistency(old, size, old_root, root, path):
            raise Refused(f"consistency of {old} with {size}")
    return len(older)


def check_proof_file(text: str, key: tlog.VKey, origin: str, policy: Policy, tiles: tlog.VerifiedTileReader) -> None:
    head, blank, signed = text.partition("\n\n")
    lines = head.split("\n")
    if lines.pop(0) != PROOF_HEADER or not blank:
        raise Refused("not a tlog-proof")
    if lines and lines[0].startswith("extra "):
        base64.b64decode(lines.pop(0)[len("extra ") :], validate=True)
    index = re.fullmatch(r"index (0|[1-9][0-9]*)", lines.pop(0) if lines else "")
    if not index:
        raise Refused("no index line")
    path = [base64.b64decode(line, validate=True) for line in lines]
    checkpoint, _ = open_checkpoint(signed.encode(), key, origin, policy)
    at = int(index[1])
    if not tlog.verify_leaf_inclusion(tiles.entry(at), at, checkpoint.size, path, checkpoint.root):
        raise Refused(f"the path does not lead from entry {at} to the root")


def check(args: argparse.Namespace) -> str:
    folder: Path | None = args.bundle
    if (folder is None) == (args.storage_url is None):
        raise Misused("name the log by --bundle or by --storage_url")
    key_file = args.public_key or (folder and folder / "key.vkey")
    if key_file is None or not key_file.is_file():
        raise Misused("--public_key names no file")
    key = tlog.parse_vkey(key_file.read_text().strip())
    origin = args.origin or key.name
    policy_file = args.policy or (folder and folder / "policy.txt")
    policy = Policy(policy_file.read_text() if policy_file and policy_file.is_file() else "")

    if folder is not None:
        source, checkpoint_file = tlog.FileSystemTileReader(folder), folder / "checkpoint"
        signed = checkpoint_file.read_bytes() if checkpoint_file.is_file() else None
        proofs = sorted((folder / "proofs").glob("*.tlog-proof"))
    else:
        source, proofs = HttpReader(args.storage_url, args.bearer_token), []
        signed = source.get("checkpoint")
    if signed is None:
        raise Refused("there is no checkpoint")
    head, cosignatures = open_checkpoint(signed, key, origin, policy)
    audit = tlog.audit_tiles(source, head.size, head.root)
    tiles = tlog.VerifiedTileReader(source, head.size, head.root)
    included = check_inclusion(tiles, head.size, head.root)
    consistent = check_consistency(tiles, head.size, head.root)
    for proof in proofs:
        check_proof_file(proof.read_text(), key, origin, policy, tiles)
    return (
        f"size {head.size}: {audit.tiles} tiles and {audit.bundles} entry bundles authenticated, "
        f"{included} inclusion proofs, {consistent} consistency proofs, {len(proofs)} proof files, "
        f"{cosignatures} cosignatures"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a C2SP log with aics-tlog.")
    parser.add_argument("--bundle", type=Path, help="folder of an exported log, with key.vkey and policy.txt")
    parser.add_argument("--storage_url", help="http(s):// prefix of a served log instead of --bundle")
    parser.add_argument("--public_key", type=Path, help="file with the log's verifier key")
    parser.add_argument("--policy", type=Path, help="file with a tlog-policy")
    parser.add_argument("--origin", help="origin of the log; the key's name if left out")
    parser.add_argument("--bearer_token", help="sent as Authorization: Bearer")
    args = parser.parse_args()
    try:
        print(f"aics-tlog: accepted: {check(args)}")
        return 0
    except Misused as error:
        print(f"aics-tlog: {error}", file=sys.stderr)
        return 2
    # The package refuses by ValueError and OSError; hostile bytes may also trip it in other ways.
    except Exception as error:
        print(f"aics-tlog: refused: {type(error).__name__}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
