"""Uses the gateway through the Python SDK of Twilio, with only its base URL changed.

Arguments: base URL, account SID, auth token. Prints "ok" when every call and every callback was as the SDK expects.
"""

import datetime
import http.server
import queue
import sys
import threading
import urllib.parse

from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

base_url, sid, token = sys.argv[1:]
callbacks = queue.Queue()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        callbacks.put((self.path, dict(urllib.parse.parse_qsl(body)), self.headers["x-twilio-signature"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
callback_url = f"http://127.0.0.1:{receiver.server_port}/status?order=42"


def client(auth_token):
    twilio = Client(sid, auth_token)
    twilio.api.base_url = base_url
    return twilio


def error_code(call):
    try:
        call()
    except TwilioRestException as error:
        return error.code
    raise AssertionError("the call succeeded")


twilio = client(token)
assert twilio.api.v2010.accounts(sid).balance.fetch().currency == "USD"
message = twilio.messages.create(
    to="+989122222222", from_="Acme", body="Grüße & 4711", status_callback=callback_url
)
assert message.status == "queued" and message.body == "Grüße & 4711" and message.num_segments == "1"
assert twilio.messages(message.sid).fetch().sid == message.sid

path, fields, signature = callbacks.get(timeout=60)
assert fields["MessageSid"] == message.sid and fields["MessageStatus"] == "sent", fields
url = f"http://127.0.0.1:{receiver.server_port}{path}"
assert RequestValidator(token).validate(url, fields, signature), (url, fields)
assert twilio.messages(message.sid).fetch().status == "sent"

send_at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
scheduled = twilio.messages.create(
    to="+989122222222",
    messaging_service_sid="MG" + "0" * 32,
    body="later",
    schedule_type="fixed",
    send_at=send_at,
)
assert scheduled.status == "scheduled"
assert scheduled.update(status="canceled").status == "canceled"
assert error_code(lambda: scheduled.update(status="canceled")) == 30409

for number in range(5):
    twilio.messages.create(to="+989122222222", from_="Acme", body=f"message {number}")
bodies = [listed.body for listed in twilio.messages.list(page_size=2)]
assert bodies[:5] == [f"message {number}" for number in (4, 3, 2, 1, 0)] and len(bodies) == 7, bodies

assert error_code(lambda: twilio.messages.create(to="12", from_="Acme", body="hi")) == 21211
assert error_code(lambda: twilio.messages.create(to="+989122222222", from_="Acme", body="")) == 21602
assert error_code(lambda: twilio.messages("SM" + "0" * 32).fetch()) == 20404
assert error_code(lambda: client("wrong").messages(message.sid).fetch()) == 20003
print("ok")
