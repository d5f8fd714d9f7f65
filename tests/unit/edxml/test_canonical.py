"""The streaming digest against libxml2's canonical form, on random documents and on the nasty ones by name."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.edxml import C14N, Limits
from gateway.edxml.canonical import Recipe
from gateway.edxml.parser import hardened_parser, read_prolog
from gateway.edxml.stream import DigestWalk, digest_of
from gateway.edxml.tree import take_out
from gateway.edxml.whole import WholeTree
from gateway.errors import MalformedPackage
from tests.support.documents import a_package, read

INTERNED = etree.HTML('<a #default="">x</a>')
"""lxml honours a prefix of the list only if it has met the name; this makes it meet ``#default``."""
QCVN = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
DSIG = "http://www.w3.org/2000/09/xmldsig#"
URIS = ("urn:a", "urn:b", QCVN, "http://c.example/?x=1&y='z'")
PREFIXES = ("a", "b", "c", "ds", "edXML", "é")
LOCALS = ("x", "y", "Signature", "Attachment", "Đơn")
TEXTS = (
    "", "", "a", " \n\t", "&amp;&lt;&gt;", "&#13;", "]]&gt;", "\"'", "Tiếng Việt", "&#x1F600;", "<![CDATA[<&>]]>",
    "<!-- c -->", "\r\n", "a<!-- c -->b",
)  # fmt: skip
VALUES = ("", "v", "&#9;&#10;&#13;", "&lt;&amp;&quot;'&gt;", "é", "  two  ", "\n", "\r\n")


def an_element(random: random.Random, scope: dict[str, str], depth: int) -> str:
    """One element as text, with declarations that shadow, repeat and undo those above."""
    declared = {}
    for prefix in random.sample(["", *PREFIXES], random.choice((0, 0, 1, 1, 2, 3))):
        declared[prefix] = random.choice(("", *URIS) if prefix == "" else URIS)
    scope = scope | declared
    prefix = random.choice(sorted(scope))
    tag = f"{prefix}:{random.choice(LOCALS)}" if prefix else random.choice(LOCALS)
    written = {f"xmlns:{p}" if p else "xmlns": u.replace("&", "&amp;") for p, u in declared.items()}
    seen = set()
    for _ in range(random.choice((0, 0, 1, 2, 4))):
        p = random.choice(["", "", "xml", *(q for q in scope if q)])
        local = random.choice(("lang", "base") if p == "xml" else ("k", "m", "z", "Ý"))
        if (scope.get(p, p) if p else "", local) not in seen:
            seen.add((scope.get(p, p) if p else "", local))
            written[f"{p}:{local}" if p else local] = "urn:v" if local == "base" else random.choice(VALUES)
    keys = random.sample(sorted(written), len(written))
    inner = random.choice(TEXTS)
    for _ in range(random.randint(0, 4 - depth) if depth < 4 else 0):
        inner += an_element(random, scope, depth + 1) + random.choice(TEXTS)
    attributes = "".join(f' {k}="{written[k]}"' for k in keys)
    return f"<{tag}{attributes}>{inner}</{tag}>" if inner or random.random() < 0.5 else f"<{tag}{attributes}/>"


def by_libxml2(raw: bytes, recipe: Recipe) -> bytes:
    """C14N by libxml2 after the signature was taken out of its tree."""
    whole = WholeTree(etree.fromstring(raw, hardened_parser()), Limits())
    canonical = Recipe(recipe.c14n, recipe.digest, recipe.prefixes, recipe.position)
    return whole.by_libxml2(canonical)


RECIPES = st.one_of(
    st.sampled_from([Recipe(C14N.INCLUSIVE_10, "sha256"), Recipe(C14N.INCLUSIVE_11, "sha512")]),
    st.builds(
        lambda prefixes: Recipe(C14N.EXCLUSIVE, "sha256", tuple(prefixes)),
        st.lists(st.sampled_from(["#default", *PREFIXES]), max_size=4, unique=True),
    ),
)


@settings(max_examples=2500, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**64), recipe=RECIPES)
def test_the_streamed_digest_is_libxml2s(seed: int, recipe: Recipe) -> None:
    raw = an_element(random.Random(seed), {"": ""}, 0).encode()
    assert digest_of(raw, recipe, Limits()) == by_libxml2(raw, recipe)


SIGNED_INFO = """<{p}SignedInfo><{p}Reference URI=""><{p}Transforms>
<{p}Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>
<{p}Transform Algorithm="{c14n}">{prefixes}</{p}Transform></{p}Transforms>
<{p}DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><{p}DigestValue>AA==</{p}DigestValue>
</{p}Reference></{p}SignedInfo>"""


def signed(c14n: C14N, *, prefix: str = "", prefixes: str = "", **changes: object) -> bytes:
    """A package with something like a signature; only what names the digest matters here."""
    p = f"{prefix}:" if prefix else ""
    declaration = f"xmlns:{prefix}" if prefix else "xmlns"
    listed = f'<InclusiveNamespaces xmlns="{C14N.EXCLUSIVE}" PrefixList="{prefixes}"/>' if prefixes else ""
    info = SIGNED_INFO.format(p=p, c14n=c14n, prefixes=listed)
    signature = f'<{p}Signature {declaration}="{DSIG}">{info}</{p}Signature>'
    return a_package(**changes).replace(b"</edXML:edXMLHeader>", signature.encode() + b"</edXML:edXMLHeader>")


@pytest.mark.parametrize("c14n", list(C14N))
@pytest.mark.parametrize("prefix", ["", "ds"])
@pytest.mark.parametrize("prefixes", ["", "edXML", "#default ds"])
def test_small_and_large_reading_digest_alike(c14n: C14N, prefix: str, prefixes: str, tmp_path: Path) -> None:
    raw = signed(c14n, prefix=prefix, prefixes=prefixes)
    listed = prefixes.split() if c14n is C14N.EXCLUSIVE else []
    with read(raw, tmp_path) as small, read(raw, tmp_path, stream_above=1) as large:
        for asked in C14N:  # one of them was made in the first pass, the others need another
            wanted = listed if asked is C14N.EXCLUSIVE else []
            digests = {
                p.enveloped_digest(c14n=asked, digest="sha256", inclusive_prefixes=wanted) for p in (small, large)
            }
            assert len(digests) == 1


def test_the_digest_leaves_out_the_signature_and_nothing_else(tmp_path: Path) -> None:
    bare = a_package()
    with read(bare, tmp_path) as unsigned, read(signed(C14N.EXCLUSIVE), tmp_path) as package:
        assert package.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256") == unsigned.enveloped_digest(
            c14n=C14N.EXCLUSIVE, digest="sha256"
        )


@pytest.mark.parametrize("stream_above", [1, 10**6])
def test_another_position_leaves_out_another_signature(stream_above: int, tmp_path: Path) -> None:
    one = signed(C14N.EXCLUSIVE)
    two = one.replace(b"</edXML:edXMLHeader>", b'<s:Signature xmlns:s="%s"/></edXML:edXMLHeader>' % DSIG.encode())
    with read(one, tmp_path) as first, read(two, tmp_path, stream_above=stream_above) as both:
        assert both.signatures == 2
        whole = first.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256", position=5)
        assert both.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256", position=1) == whole


@pytest.mark.parametrize("stream_above", [1, 10**6])
def test_a_relative_namespace_has_no_canonical_form(stream_above: int, tmp_path: Path) -> None:
    raw = a_package().replace(b"<edXML xmlns=", b'<edXML xmlns:r="relative" xmlns=')
    with read(raw, tmp_path, stream_above=stream_above) as package, pytest.raises(MalformedPackage):
        package.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256")


@pytest.mark.parametrize("stream_above", [1, 10**6])
def test_undeclared_prefixes_have_no_canonical_form(stream_above: int, tmp_path: Path) -> None:
    raw = a_package().replace(b"<AttachmentEncoded>", b"<edXML:AttachmentEncoded>")
    raw = raw.replace(b"</AttachmentEncoded>", b"</edXML:AttachmentEncoded>")
    with read(raw, tmp_path, stream_above=stream_above) as package:
        assert not package.namespace_well_formed
        assert package.attachments
        with pytest.raises(MalformedPackage):
            package.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256")


@pytest.mark.parametrize("carriage_return", [b"&#13;", b"&#xD;\n"])
def test_carriage_returns_in_base64_are_digested_as_libxml2_writes_them(carriage_return: bytes, tmp_path: Path) -> None:
    raw = signed(C14N.EXCLUSIVE).replace(b"JVBERi0x", b"JVBE" + carriage_return + b"Ri0x")
    with read(raw, tmp_path) as small, read(raw, tmp_path, stream_above=1) as large:
        assert not large.errors
        assert small.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256") == large.enveloped_digest(
            c14n=C14N.EXCLUSIVE, digest="sha256"
        )


CONTENT = b'<edXML:ContentTransferEncoded xmlns:edXML="http://www.mic.gov.vn/TBT/QCVN_102_2016">'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<Attachment>", b"<Attachment><!-- <ContentTransferEncoded>QUJD<x -->"),
        (b"<Attachment>", b'<Attachment note="ContentTransferEncoded>QUJD">'),
        (b"<Attachment>", b"<Attachment><![CDATA[ <ContentTransferEncoded>QUJD ]]>"),
        (b"<Attachment>", b"<Attachment>ContentTransferEncoded>"),
        (CONTENT, CONTENT.replace(b"Encoded ", b'Encoded note="a>b" ')),
        (CONTENT, CONTENT + b"<!-- ContentTransferEncoded>QUJD -->"),
        (CONTENT, CONTENT + b"<![CDATA[QUJD]]>\n"),
        (CONTENT, CONTENT + b"&#81;UJD"),
        (CONTENT, CONTENT + b"QU\r\nJD"),
        (CONTENT, CONTENT + b"QU]>JD"),
        (CONTENT, CONTENT.replace(b">", b"/>") + CONTENT.replace(b">", b"\n >")),
        (b"ContentTransferEncoded", b"CONTENTTRANSFERENCODED"),
        (b"ContentTransferEncoded", b"contentTransferEncoded"),
    ],
)
def test_text_that_goes_around_expat_is_digested_and_decoded_alike(old: bytes, new: bytes, tmp_path: Path) -> None:
    raw = signed(C14N.EXCLUSIVE)
    changed = raw.replace(old, new, 2 if old == b"ContentTransferEncoded" else 1)
    assert changed != raw
    for asked in C14N:
        with read(changed, tmp_path) as small, read(changed, tmp_path, stream_above=1) as large:
            assert small.violations == large.violations
            assert small.attachments == large.attachments
            assert small.enveloped_digest(c14n=asked, digest="sha256") == large.enveloped_digest(
                c14n=asked, digest="sha256"
            )


@pytest.mark.parametrize("cut", range(1, 130, 3))
def test_where_chunks_are_cut_makes_no_difference(cut: int, tmp_path: Path) -> None:
    raw = signed(C14N.EXCLUSIVE)
    at = raw.index(b"ContentTransferEncoded") - 40 + cut
    recipe = Recipe(C14N.EXCLUSIVE, "sha256")
    walk = DigestWalk(Limits(), read_prolog(raw), recipe)
    walk.feed([raw[:at], raw[at:]])
    assert walk.result() == by_libxml2(raw, recipe)


@pytest.mark.parametrize("position", [0, 1])
def test_signatures_of_one_name_are_told_apart(position: int, tmp_path: Path) -> None:
    inner = b'<ds:Object><ds:Signature xmlns:ds="%s"/></ds:Object>' % DSIG.encode()
    raw = signed(C14N.EXCLUSIVE, prefix="ds").replace(b"</ds:Signature>", inner + b"</ds:Signature>")
    raw = raw.replace(b"</edXML:edXMLHeader>", b'<ds:Signature xmlns:ds="%s"/></edXML:edXMLHeader>' % DSIG.encode())
    with read(raw, tmp_path) as small, read(raw, tmp_path, stream_above=1) as large:
        assert small.signatures == large.signatures == 2
        assert small.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256", position=position) == (
            large.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256", position=position)
        )


@pytest.mark.parametrize("stream_above", [1, 10**6])
def test_a_relative_namespace_within_the_signature_has_no_canonical_form_either(
    stream_above: int, tmp_path: Path
) -> None:
    raw = signed(C14N.EXCLUSIVE).replace(b"<SignedInfo>", b'<SignedInfo xmlns:r="relative">')
    with read(raw, tmp_path, stream_above=stream_above) as package, pytest.raises(MalformedPackage):
        package.enveloped_digest(c14n=C14N.EXCLUSIVE, digest="sha256")


@pytest.mark.parametrize("c14n", list(C14N))
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"", b""),
        (CONTENT, CONTENT + b"&amp;&lt;&gt;&#13;&#9;\"'<![CDATA[<&>]]>\xe1\xba\xad"),
        (CONTENT, CONTENT + b"a<edXML:a/>b"),
        (CONTENT, CONTENT + b"<edXML:ContentTransferEncoded/>"),
        (CONTENT, CONTENT.replace(b">", b"/>") + CONTENT.replace(b">", b"\n >")),
        (CONTENT, CONTENT.replace(b">", b"/>") + CONTENT),
        (CONTENT + b"JVBE", b'<ContentTransferEncoded xmlns:edXML="urn:x"></ContentTransferEncoded>' + CONTENT),
        (
            b"<Attachment>",
            b"<Attachment><Other>" + CONTENT + b"QQ==</edXML:ContentTransferEncoded></Other>",
        ),
        (b"<edXML:Subject>", b"<edXML:ContentTransferEncoded>QQ==</edXML:ContentTransferEncoded><edXML:Subject>"),
        (b"<SignedInfo>", b'<SignedInfo><e:ContentTransferEncoded xmlns:e="urn:e"/>'),
        (b"ContentTransferEncoded", b"contenttransferencoded"),
    ],
)
def test_contents_held_beside_the_tree_are_digested_as_if_in_it(
    c14n: C14N, old: bytes, new: bytes, tmp_path: Path
) -> None:
    one = signed(C14N.EXCLUSIVE)
    attachment = one[one.index(b"<Attachment>") : one.index(b"</Attachment>") + len(b"</Attachment>")]
    raw = one.replace(attachment, attachment * 2)
    changed = raw.replace(old, new, 2 if old == b"ContentTransferEncoded" else 1) if old else raw
    assert changed != raw or not old
    root = etree.fromstring(changed, hardened_parser())
    signature = root.find(f".//{{{DSIG}}}Signature")
    assert signature is not None
    take_out(signature)
    canonical = etree.tostring(root, method="c14n", exclusive=c14n is C14N.EXCLUSIVE, with_comments=False)
    with read(changed, tmp_path) as package:
        assert package.enveloped_digest(c14n=c14n, digest="sha256") == hashlib.sha256(canonical).digest()


def test_digesting_changes_nothing_in_the_tree(tmp_path: Path) -> None:
    raw = signed(C14N.EXCLUSIVE, prefix="ds")
    with read(raw, tmp_path) as package, read(raw, tmp_path) as other:
        for asked in C14N:
            package.enveloped_digest(c14n=asked, digest="sha256")
        assert package.skeleton == other.skeleton
