import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import angzarr

PUBLIC: list[str] = vars(angzarr)["__all__"]
REFERENCE = """
    BuildError CORRELATION_ID_HEADER ClientError CommandBook CommandBuilder CommandHandlerClient
    CommandHandlerGrpc CommandHandlerRouter CommandPage CommandRejectedError CommandResponse
    CompensationContext ConnectionError Cover CoverBearer DEFAULT_BIND_HOST DEFAULT_EDITION
    DEFAULT_TEST_NAMESPACE DelegationOptions Destinations DispatchError DomainClient ENV_BIND_ADDRESS
    EventBook EventPage ExponentialBackoffRetry GRPCError INVENTORY_PRODUCT_NAMESPACE
    InvalidArgumentError InvalidTimestampError META_ANGZARR_DOMAIN PMRevocationResponse
    PROJECTION_DOMAIN_PREFIX PROJECTION_TYPE_URL ProcessManagerGrpc ProcessManagerResponse
    ProcessManagerRouter ProjectorGrpc ProjectorRouter Query QueryBuilder QueryClient
    RejectionHandlerResponse RetryPolicy Router SagaGrpc SagaHandlerResponse SagaRouter ScenarioContext
    ServerConfig ServerHandle SpeculativeClient TYPE_URL_PREFIX TransportError TransportMode
    UNKNOWN_DOMAIN UpcasterGrpc UpcasterRouter WILDCARD_DOMAIN applies cart_root command_handler
    compute_root configure_logging correlated_metadata create_server customer_root default_retry_policy
    delegate_to_framework destination_map emit_compensation_events fulfillment_root full_type_url
    full_type_url_for get_transport_config handles handles_fact implicit_edition inventory_product_root
    inventory_root is_notification make_command_book make_command_page make_cover make_event_book
    make_event_page make_timestamp now order_root parse_timestamp pm_delegate_to_framework
    pm_emit_compensation_events process_manager product_root projector proto_to_uuid proto_uuid_to_hex
    rejected require_exists require_non_negative require_not_empty require_not_empty_str
    require_not_exists require_positive require_status require_status_not resolve_bind_address
    resolve_ch_endpoint run_command_handler_server run_process_manager_server run_projector_server
    run_saga_server run_server run_upcaster_server saga state_factory testing_pack_event to_proto_bytes
    type_name_from_url type_url type_url_matches type_url_matches_exact upcaster upcasts uuid_for
    uuid_obj_for uuid_str_for uuid_to_proto
"""


def test_every_name_of_the_reference_client_is_here_but_the_wrapper_base() -> None:
    assert set(REFERENCE.split()) - set(PUBLIC) == set()
    assert "Wrapped" not in PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(angzarr, name) is not None


def test_the_public_names_are_sorted_and_listed_once() -> None:
    assert sorted(set(PUBLIC)) == PUBLIC


def test_every_message_of_the_contract_is_public() -> None:
    names = import_module("angzarr._gen.names").NAMES
    assert {name.rpartition(".")[2] for name in names if name.startswith("angzarr_client.")} <= set(PUBLIC)


def test_type_checkers_see_the_same_names_as_the_interpreter() -> None:
    tree = ast.parse(Path(angzarr.__file__ or "").read_text())
    imported = {
        (node.module, alias.name, alias.asname)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("angzarr.")
        for alias in node.names
    }
    table: dict[str, str] = vars(angzarr)["_HOME"]
    assert imported == {(module, name, name) for name, module in table.items()}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Wrapped'"):
        getattr(angzarr, "Wrapped")  # noqa: B009 - type checkers know already that there is none


def test_importing_the_root_imports_nothing_heavy() -> None:
    heavy = ("betterproto", "grpclib", "structlog", "rich", "typer", "hypothesis")
    probe = f"import sys, angzarr; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
