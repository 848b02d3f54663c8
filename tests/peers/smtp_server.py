"""An SMTP server (aiosmtpd) for tests: prints its port, then each received email as a line of JSON.

The local part of a recipient decides the reply:
  rcpt.550.5.1.1@…    this reply to RCPT
  mail.550.5.1.1@…    this reply to the end of the email
  drop.data@…         the connection is closed after the email, without a reply
  hang.data@…         no reply after the email
  slow.data@…         the reply to the email comes after two seconds
Every other email is accepted.
"""

import argparse
import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def configured_reply(address, stage):
    parts = address.split("@")[0].split(".")
    if parts[0] != stage or not parts[1].isdigit():
        return None
    enhanced = ".".join(parts[2:5])
    text = " ".join(parts[5:]) or "configured in the test"
    return f"{parts[1]} {enhanced} {text}" if enhanced else f"{parts[1]} {text}"


class Server(SMTP):
    def connection_lost(self, error):
        if not self.transport:
            return
        super().connection_lost(error)


class Handler:
    def __init__(self, arguments):
        self.arguments = arguments

    async def handle_RCPT(self, server, session, envelope, address, options):
        reply = configured_reply(address, "rcpt")
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        recipient = envelope.rcpt_tos[0]
        report(
            sender=envelope.mail_from,
            to=envelope.rcpt_tos,
            content=envelope.content.decode("utf-8", "replace"),
            hello=session.host_name,
            tls=server.transport.get_extra_info("sslcontext") is not None,
            user=session.auth_data.decode() if session.auth_data else None,
            peer=session.peer[1],
        )
        if recipient.startswith("drop.data@"):
            server.transport.abort()
            await asyncio.sleep(3600)
        if recipient.startswith("hang.data@"):
            await asyncio.sleep(3600)
        if recipient.startswith("slow.data@"):
            await asyncio.sleep(2)
        return configured_reply(recipient, "mail") or "250 2.0.0 OK: queued as 4WXyz1AbC"


def report(**facts):
    print(json.dumps(facts), flush=True)


async def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tls", default="none", choices=["none", "starttls", "tls"])
    arguments.add_argument("--certificate")
    arguments.add_argument("--key")
    arguments.add_argument("--user")
    arguments.add_argument("--no-smtputf8", action="store_true")
    arguments.add_argument("--password")
    arguments.add_argument("--refuse-login-until-tls", action="store_true")
    arguments = arguments.parse_args()

    context = None
    if arguments.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.certificate, arguments.key)

    def authenticate(server, session, envelope, mechanism, login):
        expected = (arguments.user or "").encode(), (arguments.password or "").encode()
        return AuthResult(success=(login.login, login.password) == expected, handled=False, auth_data=login.login)

    def server():
        return Server(
            Handler(arguments),
            hostname="mx.example.org",
            enable_SMTPUTF8=not arguments.no_smtputf8,
            tls_context=context if arguments.tls == "starttls" else None,
            require_starttls=arguments.tls == "starttls",
            authenticator=authenticate if arguments.user else None,
            auth_required=bool(arguments.user),
            auth_require_tls=arguments.tls == "starttls",
        )

    loop = asyncio.get_running_loop()
    direct = context if arguments.tls == "tls" else None
    listening = await loop.create_server(server, "127.0.0.1", 0, ssl=direct)
    report(port=listening.sockets[0].getsockname()[1])
    # The test holds the other end of standard input: the server ends with the test.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
