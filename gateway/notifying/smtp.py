"""The wire side of a mail: one conversation with a server, on a thread. Loaded only where mails are sent."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import formatdate

from gateway.notifying.mail import STARTTLS, TLS, Letter, MailServer
from gateway.notifying.ports import NotDelivered
from gateway.webhook import client_context


def mail_of(server: MailServer, letter: Letter) -> EmailMessage:
    """A letter as it is sent. Raises ValueError for what a header cannot hold."""
    message = EmailMessage()
    message["From"] = server.sender
    message["To"] = ", ".join(server.to)
    message["Subject"] = letter.subject
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{letter.key}@{server.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message


class SmtpTalk:
    """One conversation, on a thread. `abort` may be called from another one."""

    def __init__(self, server: MailServer, letter: Letter, timeout_s: float) -> None:
        self._server = server
        self._letter = letter
        self._timeout_s = timeout_s
        self._smtp: smtplib.SMTP | None = None

    def run(self) -> None:
        """Raises NotDelivered."""
        host = self._server.host
        try:
            self._talk()
        except smtplib.SMTPAuthenticationError as error:
            raise NotDelivered(f"{host}: user name or password is refused ({error.smtp_code})", again=False) from None
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            raise NotDelivered(f"{host}: all recipients are refused: {_told(code, words)}", again=code < 500) from None
        except smtplib.SMTPResponseException as error:
            text = f"{host}: {_told(error.smtp_code, error.smtp_error)}"
            raise NotDelivered(text, again=error.smtp_code < 500) from None
        except smtplib.SMTPNotSupportedError:
            raise NotDelivered(f"{host}: the server does not offer what is set (tls, login)", again=False) from None
        except ssl.SSLCertVerificationError as error:  # a ValueError, too
            raise NotDelivered(f"{host}: its certificate is not valid: {error.verify_message}", again=True) from None
        except smtplib.SMTPException as error:
            raise NotDelivered(f"{host}: the conversation broke off ({type(error).__name__})", again=True) from None
        except TimeoutError:
            raise NotDelivered(f"{host}: no answer in time", again=True) from None
        except OSError as error:
            raise NotDelivered(
                f"{host}: it cannot be reached: {error.strerror or type(error).__name__}", again=True
            ) from None
        except ValueError:  # its own text may repeat what is secret
            text = f"{host}: an address, the user name or the password has characters that do not work"
            raise NotDelivered(text, again=False) from None

    def abort(self) -> None:
        """End what is under way."""
        sock = self._smtp.sock if self._smtp is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _talk(self) -> None:
        server = self._server
        message = mail_of(server, self._letter)
        # without a host nothing is connected yet: `abort` can reach the socket from its first byte on
        smtp = self._smtp = (
            smtplib.SMTP_SSL(timeout=self._timeout_s, context=client_context(), local_hostname=_own_name())
            if server.tls == TLS
            else smtplib.SMTP(timeout=self._timeout_s, local_hostname=_own_name())
        )
        smtp._host = server.host  # type: ignore[attr-defined]  # the name that TLS checks; only set with a host
        try:
            code, words = smtp.connect(server.host, server.port)
            if code != 220:
                raise smtplib.SMTPConnectError(code, words)
            if server.tls == STARTTLS:
                smtp.starttls(context=client_context())
            if server.username is not None:
                smtp.login(server.username, server.password or "")
            smtp.send_message(message)
            with contextlib.suppress(smtplib.SMTPException, OSError):  # it is taken already
                smtp.quit()
        finally:
            smtp.close()


def _own_name() -> str:
    """How we greet; the library's way to find a full name may ask a name server for long."""
    name = socket.gethostname()
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else "localhost"


def _told(code: int, words: bytes | str) -> str:
    """A server's answer on one line."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return f"{code} {line[:200]}".strip()
