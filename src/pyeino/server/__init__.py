"""HTTP over the service: routes, guards, streams, and a server that stops well."""

from pyeino.server._app import ServerApp, create_app
from pyeino.server._backend import ChatBackend, Probe
from pyeino.server._options import ServerOptions
from pyeino.server._run import StopSignal, announce, loop_factory, run_server
from pyeino.server._socket import ServerStartError

__all__ = [
    "ChatBackend",
    "Probe",
    "ServerApp",
    "ServerOptions",
    "ServerStartError",
    "StopSignal",
    "announce",
    "create_app",
    "loop_factory",
    "run_server",
]
