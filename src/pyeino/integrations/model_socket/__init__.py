"""A chat model that runs in one process and answers in others, over a private Unix socket."""

from pyeino.integrations.model_socket._client import SocketModel
from pyeino.integrations.model_socket._protocol import ModelAddress
from pyeino.integrations.model_socket._server import ModelServer

__all__ = ["ModelAddress", "ModelServer", "SocketModel"]
