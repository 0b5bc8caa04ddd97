import subprocess
import sys

import angzarr.testing


def test_every_public_name_can_be_imported() -> None:
    assert [name for name in angzarr.testing.__all__ if getattr(angzarr.testing, name, None) is None] == []


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    assert not hasattr(angzarr.testing, "scenery")


def test_builders_and_scenarios_do_without_hypothesis() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from angzarr.testing import scenario, make_cover, ScenarioContext\n"
        "try:\n    from angzarr.testing import messages\n"
        "except ImportError as error:\n    assert \"pip install 'angzarr[testing]'\" in str(error), error\n"
        "else:\n    raise AssertionError('imported')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
