"""Roots from business keys: the same key gives the same root in every client language (sdk-behaviour part 2 (k))."""

import uuid

INVENTORY_PRODUCT_NAMESPACE = uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def compute_root(domain: str, business_key: str) -> uuid.UUID:
    """The root of the aggregate that a business key names.

    UUIDv5 of ``"angzarr" + domain + business_key`` in the OID namespace, without a separator, as every other client
    computes it: ``("ab", "c")`` and ``("a", "bc")`` give the same root.

    Args:
        domain: the aggregate's domain.
        business_key: what tells it apart, such as an e-mail address.
    """
    return uuid.uuid5(uuid.NAMESPACE_OID, f"angzarr{domain}{business_key}")


def customer_root(email: str) -> uuid.UUID:
    """The root of a customer."""
    return compute_root("customer", email)


def product_root(sku: str) -> uuid.UUID:
    """The root of a product."""
    return compute_root("product", sku)


def order_root(order_id: str) -> uuid.UUID:
    """The root of an order."""
    return compute_root("order", order_id)


def inventory_root(product_id: str) -> uuid.UUID:
    """The root of a product's inventory."""
    return compute_root("inventory", product_id)


def inventory_product_root(product_id: str) -> uuid.UUID:
    """The root of an inventory product: UUIDv5 of the product id alone, in its own namespace."""
    return uuid.uuid5(INVENTORY_PRODUCT_NAMESPACE, product_id)


def cart_root(customer_id: str) -> uuid.UUID:
    """The root of a customer's cart."""
    return compute_root("cart", customer_id)


def fulfillment_root(order_id: str) -> uuid.UUID:
    """The root of an order's fulfillment."""
    return compute_root("fulfillment", order_id)


def to_proto_bytes(id: uuid.UUID) -> bytes:
    """The 16 bytes that go on the wire."""
    return id.bytes


def root_from_text(domain: str, text: str) -> uuid.UUID:
    """The root a person means: a UUID in text form is itself, anything else is a business key of the domain."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return compute_root(domain, text)
