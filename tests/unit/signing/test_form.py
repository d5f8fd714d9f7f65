"""Bounds of the accepted form that no single vector shows."""

import pytest
from lxml import etree

from gateway.signing import form
from gateway.signing.form import Finding
from gateway.signing.policy import NAMESPACES_IN_SCOPE_MAX, Reason


def nested(declarations: int, per_element: int = 8) -> etree._Element:
    """Elements in one another that declare so many namespaces in all."""
    opened = [
        "<e" + "".join(f' xmlns:p{i}="urn:{i}"' for i in range(start, min(start + per_element, declarations))) + ">"
        for start in range(0, declarations, per_element)
    ]
    return etree.fromstring("".join(opened) + "<f/>" * 100 + "</e>" * len(opened))


def test_as_many_namespaces_as_any_package_has_are_fine() -> None:
    form.bound_namespaces(nested(NAMESPACES_IN_SCOPE_MAX))


def test_more_around_one_element_are_refused() -> None:
    """75 KB of them would keep libxml2 busy for 39 seconds."""
    with pytest.raises(Finding) as caught:
        form.bound_namespaces(nested(NAMESPACES_IN_SCOPE_MAX + 1))
    assert caught.value.reason is Reason.STRUCTURE


def test_the_same_prefix_declared_again_counts_again() -> None:
    depth = NAMESPACES_IN_SCOPE_MAX + 1
    with pytest.raises(Finding):
        form.bound_namespaces(etree.fromstring("".join(f'<e xmlns="urn:{i}">' for i in range(depth)) + "</e>" * depth))


def test_declarations_beside_one_another_do_not_add_up() -> None:
    """Every content of the kit declares the prefix again; a package may have 500."""
    form.bound_namespaces(etree.fromstring("<a>" + '<b xmlns:e="urn:e"/>' * 1000 + "</a>"))
