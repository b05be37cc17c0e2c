"""HTTP over the service: routes, guards, streams, and a server that stops well."""

from pyeino.server._app import ServerApp, create_app
from pyeino.server._backend import ChatBackend, Probe, Siblings
from pyeino.server._options import ServerOptions
from pyeino.server._run import announce, loop_factory, run_server
from pyeino.server._socket import ServerStartError, bind_socket, url_of
from pyeino.server._stop import StopSignal, stop_on_signals

__all__ = [
    "ChatBackend",
    "Probe",
    "ServerApp",
    "ServerOptions",
    "ServerStartError",
    "Siblings",
    "StopSignal",
    "announce",
    "bind_socket",
    "create_app",
    "loop_factory",
    "run_server",
    "stop_on_signals",
    "url_of",
]
