"""From settings to a running application: the only room that names integrations."""

from pyeino.wiring._checks import is_loopback
from pyeino.wiring._convert import parse_duration
from pyeino.wiring._load import load_settings
from pyeino.wiring._problem import SettingProblem, SettingsError
from pyeino.wiring._show import SettingRow, setting_rows
from pyeino.wiring._tree import LOCAL_MODEL, Settings

__all__ = [
    "LOCAL_MODEL",
    "SettingProblem",
    "SettingRow",
    "Settings",
    "SettingsError",
    "is_loopback",
    "load_settings",
    "parse_duration",
    "setting_rows",
]
