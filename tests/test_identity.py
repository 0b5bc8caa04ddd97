from uuid import UUID

import pytest

from angzarr import identity


@pytest.mark.parametrize(
    ("domain", "key", "root"),
    [
        ("cart", "alice", "f520dbd7-0692-5a5a-b315-48c73f2fff1b"),
        ("order", "", "b6408065-482a-5d1a-9aac-ef4bb488f3b7"),
        ("player", "alice@x.com", "8cf1fb5d-45ce-58c2-a7e4-34359eb42d7c"),
        ("inventory_product", "sku-xyz", "51be5466-4ac1-5ac3-80c5-f4955503add0"),
    ],
)
def test_a_business_key_gives_the_root_every_client_language_gives(domain: str, key: str, root: str) -> None:
    assert identity.compute_root(domain, key) == UUID(root)


@pytest.mark.parametrize(
    ("helper", "key", "root"),
    [
        (identity.customer_root, "alice@x.com", "9141d644-0602-5762-a8b9-d74e7d5a3d45"),
        (identity.product_root, "SKU-001", "25541820-eb7c-559d-9d00-834865d6ba57"),
        (identity.order_root, "ord-42", "1e941e06-245c-5be9-9885-45852f029d0d"),
        (identity.inventory_root, "prod-7", "af78f0ed-83a9-58aa-9f7b-53b253dd7242"),
        (identity.cart_root, "cust-9", "26e1f44e-eac8-550f-a738-4473dca718e5"),
        (identity.fulfillment_root, "ord-42", "ea29617a-0b9d-5c36-aefb-aec161b3cb34"),
        (identity.inventory_product_root, "sku-xyz", "8c6baabf-71a0-5b46-b953-ec3bdac0a995"),
    ],
)
def test_each_helper_has_its_own_domain(helper: object, key: str, root: str) -> None:
    assert callable(helper)
    assert helper(key) == UUID(root)


def test_domain_and_key_are_joined_without_a_separator() -> None:
    assert identity.compute_root("ab", "c") == identity.compute_root("a", "bc")


def test_a_root_goes_on_the_wire_as_sixteen_bytes() -> None:
    assert (
        identity.to_proto_bytes(identity.customer_root("alice@x.com")).hex()
        == "9141d64406025762a8b9d74e7d5a3d45"
    )


def test_a_text_that_is_a_uuid_is_that_root() -> None:
    assert identity.root_from_text("cart", "f520dbd7-0692-5a5a-b315-48c73f2fff1b") == UUID(
        "f520dbd7-0692-5a5a-b315-48c73f2fff1b"
    )


def test_any_other_text_is_a_business_key() -> None:
    assert identity.root_from_text("cart", "alice") == UUID("f520dbd7-0692-5a5a-b315-48c73f2fff1b")
