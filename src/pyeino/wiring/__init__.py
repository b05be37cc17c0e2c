"""From settings to a running application: the only room that names integrations."""

from pyeino.integrations.model_socket import ModelAddress
from pyeino.wiring._build import Application, build, make_logger, service_limits
from pyeino.wiring._chain import UnfitChainError, as_chat_chain
from pyeino.wiring._check_access import is_loopback
from pyeino.wiring._convert import parse_duration
from pyeino.wiring._databases import (
    database_schema,
    describe_database,
    migrate_database,
    open_api_keys,
)
from pyeino.wiring._load import load_settings
from pyeino.wiring._models import serve_model
from pyeino.wiring._problem import SettingProblem, SettingsError
from pyeino.wiring._retrieval import Retrieval, open_ingestor
from pyeino.wiring._show import SettingRow, documented_settings, setting_rows
from pyeino.wiring._tree import LOCAL_MODEL, Settings

__all__ = [
    "LOCAL_MODEL",
    "Application",
    "ModelAddress",
    "Retrieval",
    "SettingProblem",
    "SettingRow",
    "Settings",
    "SettingsError",
    "UnfitChainError",
    "as_chat_chain",
    "build",
    "database_schema",
    "describe_database",
    "documented_settings",
    "is_loopback",
    "load_settings",
    "make_logger",
    "migrate_database",
    "open_api_keys",
    "open_ingestor",
    "parse_duration",
    "serve_model",
    "service_limits",
    "setting_rows",
]
