"""The wire side of a webhook: one request and its answer, on a thread. Loaded only where webhooks are called."""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
from typing import IO, Any, cast
from urllib.parse import SplitResult, quote, unquote

from gateway.webhook import HttpRequest, WebhookFailed, client_context, split

MAX_ANSWER = 65_536
"""Bytes of an answer that are looked at."""
_IN_A_PATH = "/%?&=:+,;@!$'()*~[]-._"


class _Bounded:
    """The readable side of a connection, up to MAX_ANSWER bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = MAX_ANSWER

    def readline(self, limit: int = -1) -> bytes:
        line = self._file.readline(min(limit, self._left) if limit >= 0 else self._left)
        self._left -= len(line)
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = cast("Any", _Bounded(self.fp))


class HttpCall:
    """One request and its answer, on a thread. `abort` may be called from another one."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._socket: socket.socket | None = None
        self._aborted = False

    def run(self) -> int:
        """The status. Raises WebhookFailed."""
        parts = split(self._request.url)
        if parts is None:
            raise WebhookFailed("the URL is none of http or https", code=400, again=False)
        try:
            return self._talk(parts)
        except ssl.SSLCertVerificationError as error:  # a ValueError, too
            raise WebhookFailed(f"its certificate is not valid: {error.verify_message}", code=504, again=True) from None
        except (http.client.InvalidURL, ValueError):  # the error's own text repeats the header
            text = "the URL, the method or a header has characters that HTTP does not allow"
            raise WebhookFailed(text, code=400, again=False) from None
        except TimeoutError:
            raise WebhookFailed("no answer in time", code=504, again=True) from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise WebhookFailed(f"it cannot be reached: {why}", code=504, again=True) from None
        except http.client.HTTPException as error:
            text = f"its answer is no HTTP ({type(error).__name__})"
            raise WebhookFailed(text, code=504, again=True) from None

    def abort(self) -> None:
        """End what is under way."""
        self._aborted = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _talk(self, parts: SplitResult) -> int:
        try:
            connection = self._connect(parts)
            target = quote(parts.path or "/", safe=_IN_A_PATH)
            if parts.query:
                target += "?" + quote(parts.query, safe=_IN_A_PATH)
            connection.request(self._request.method, target, self._request.body, self._headers(parts))
            with connection.getresponse() as answer:  # its body says nothing that is needed, and may never end
                return answer.status
        finally:
            if self._socket is not None:
                self._socket.close()

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        """A connection whose socket is ours from its first byte on, so that it can be cut off in a handshake."""
        host, timeout_s = cast("str", parts.hostname), self._request.timeout_s
        secure = parts.scheme == "https"
        connection: http.client.HTTPConnection
        if secure:
            connection = http.client.HTTPSConnection(host, parts.port, context=client_context())
        else:
            connection = http.client.HTTPConnection(host, parts.port)
        connection.response_class = _Answer
        plain = socket.create_connection((connection.host, connection.port), timeout=timeout_s)
        self._socket = plain
        if secure:
            context = client_context()
            wrapped = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            self._socket = wrapped
            if not self._aborted:
                wrapped.do_handshake()
        if self._aborted:
            raise TimeoutError
        connection.sock = self._socket
        return connection

    def _headers(self, parts: SplitResult) -> dict[str, str]:
        first = self._request.body[:1]
        headers = {
            "User-Agent": "fieldpost",
            "Connection": "close",
            "Content-Type": "application/json" if first in (b"{", b"[") else "text/plain; charset=utf-8",
        }
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        own = {name.title(): name for name in headers}
        for name, value in self._request.headers:
            headers.pop(own.get(name.title(), ""), None)
            headers[name] = value
        return headers
