"""An SMTP server (aiosmtpd) for the tests: prints its port, then each mail it took as a line of JSON.

The local part of a recipient says what becomes of a mail to it:
  rcpt.550.5.1.1@…    that answer to RCPT        mail.… does so at the end of the mail
  drop.data@…         the connection is closed when the mail has come, without an answer
  hang.data@…         no answer when the mail has come
Anything else is taken.
"""

import argparse
import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


def wanted(address, stage):
    parts = address.split("@")[0].split(".")
    if parts[0] != stage or not parts[1].isdigit():
        return None
    enhanced = ".".join(parts[2:5])
    words = " ".join(parts[5:]) or "told to say so"
    return f"{parts[1]} {enhanced} {words}" if enhanced else f"{parts[1]} {words}"


class Server(SMTP):
    def connection_lost(self, error):
        if not self.transport:
            return
        super().connection_lost(error)


class Handler:
    def __init__(self, arguments):
        self.arguments = arguments

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = wanted(address, "rcpt")
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        recipient = envelope.rcpt_tos[0]
        say(
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
        return wanted(recipient, "mail") or "250 2.0.0 OK: queued as 4WXyz1AbC"


def say(**facts):
    print(json.dumps(facts), flush=True)


async def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tls", default="none", choices=["none", "starttls", "tls"])
    arguments.add_argument("--certificate")
    arguments.add_argument("--key")
    arguments.add_argument("--user")
    arguments.add_argument("--password")
    arguments.add_argument("--refuse-login-until-tls", action="store_true")
    arguments = arguments.parse_args()

    context = None
    if arguments.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.certificate, arguments.key)

    def authenticate(server, session, envelope, mechanism, login):
        right = (arguments.user or "").encode(), (arguments.password or "").encode()
        return AuthResult(success=(login.login, login.password) == right, handled=False, auth_data=login.login)

    def server():
        return Server(
            Handler(arguments),
            hostname="mx.example.org",
            enable_SMTPUTF8=True,
            tls_context=context if arguments.tls == "starttls" else None,
            require_starttls=arguments.tls == "starttls",
            authenticator=authenticate if arguments.user else None,
            auth_required=bool(arguments.user),
            auth_require_tls=arguments.tls == "starttls",
        )

    loop = asyncio.get_running_loop()
    direct = context if arguments.tls == "tls" else None
    listening = await loop.create_server(server, "127.0.0.1", 0, ssl=direct)
    say(port=listening.sockets[0].getsockname()[1])
    # The test holds the other end of our input: when the test ends, so do we.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
