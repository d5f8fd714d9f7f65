"""Only listed addresses are fetched, however a certificate spells another one."""

import pytest

from gateway.exchange.allowed import AllowedUrls

ALLOWED = AllowedUrls(["http://ocsp.ca.gov.vn/", "http://ca.gov.vn/pki", "https://crl.example:8443/a/root.crl"])


@pytest.mark.parametrize(
    "url",
    [
        "http://ocsp.ca.gov.vn",
        "http://ocsp.ca.gov.vn/",
        "http://OCSP.ca.gov.vn:80/x?y=z",
        "http://ca.gov.vn/pki",
        "http://ca.gov.vn/pki/pub/crl/cp.crl",
        "http://ca.gov.vn/pki/%20.crl",
        "https://crl.example:8443/a/root.crl",
    ],
)
def test_what_lies_at_or_below_a_listed_address_is_allowed(url: str) -> None:
    assert ALLOWED.allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ocsp.ca.gov.vn",
        "//ocsp.ca.gov.vn/",
        "https://ocsp.ca.gov.vn/",
        "ftp://ocsp.ca.gov.vn/",
        "file:///etc/passwd",
        "ldap://ca.gov.vn/pki/",
        "http://ocsp.ca.gov.vn:8080/",
        "http://ocsp.ca.gov.vn:99999/",
        "http://ocsp.ca.gov.vn.evil.example/",
        "http://evil.example/http://ocsp.ca.gov.vn/",
        "http://ocsp.ca.gov.vn@evil.example/",
        "http://evil.example@ocsp.ca.gov.vn/",
        "http://@ocsp.ca.gov.vn/",
        "http://ocsp.ca.gov.vn\\@evil.example/",
        "http://evil.example\\.ocsp.ca.gov.vn/",
        "http://ocsp.ca.gov.vn/#x",
        "http://ocsp.ca.gov.vn/#",
        "http://ocsp.ca.gov.vn/ x",
        "http://ocsp.ca.gov.vn/\r\nHost: evil",
        "http://ocsp.ca.gov.vn/\t",
        "http://ôcsp.ca.gov.vn/",
        "http://ocsp.ca.gov.vn./",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::1",
        "http://ca.gov.vn/",
        "http://ca.gov.vn/pkix/root.crl",
        "http://ca.gov.vn/pki/../admin",
        "http://ca.gov.vn/pki/./x",
        "http://ca.gov.vn/pki/%2e%2e/admin",
        "http://ca.gov.vn/pki/%252e%252e/admin",
        "http://ca.gov.vn/pki/%2525252e%2525252e/admin",
        "http://ca.gov.vn/pki/..%2fadmin",
        "http://ca.gov.vn/pki/..%5cadmin",
        "http://ca.gov.vn/PKI/root.crl",
        "https://crl.example:8443/a/root.crl2",
        "https://crl.example:8443/a/",
        "http://ocsp.ca.gov.vn/" + "a" * 3000,
    ],
)
def test_everything_else_is_not(url: str) -> None:
    assert not ALLOWED.allows(url)


def test_an_empty_list_allows_nothing() -> None:
    assert not AllowedUrls([])
    assert not AllowedUrls([]).allows("http://ocsp.ca.gov.vn/")


@pytest.mark.parametrize(
    "prefix", ["", "ca.gov.vn", "http://", "http://u:p@ca.gov.vn/", "http://ca.gov.vn/?x", "http://ca.gov.vn/a/../b"]
)
def test_what_cannot_be_listed_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="is not an http or https address"):
        AllowedUrls([prefix])
