"""A stand-in for AWS (moto's server) for the tests: one account with a mail identity, a topic and a key that may send.

Prints a line of JSON with the port and what the account is made of; then obeys lines of JSON on its input, one answer
line each: {"publish": TEXT, "to": URL} has SNS send that text to that address, signed, and answers with the certificate;
{"sign": TEXT, "version": "1" or "2"} signs a text as SNS would; {"mails": true} lists the mails that SES took.
"""

import base64
import json
import logging
import os
import sys

os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "inf"
for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
    os.environ[name] = "setting-up"

import boto3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer
from moto.ses.models import ses_backends
from moto.sns.models import sns_backends

REGION = "eu-central-1"
logging.getLogger("werkzeug").setLevel(logging.ERROR)


def say(**facts):
    print(json.dumps(facts), flush=True)


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()

    def client(service):
        return boto3.client(service, region_name=REGION, endpoint_url=f"http://127.0.0.1:{port}")

    client("ses").verify_email_identity(EmailAddress="shop@example.org")
    topic = client("sns").create_topic(Name="ses-feedback")["TopicArn"]
    iam = client("iam")
    iam.create_user(UserName="gateway")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ses:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="gateway", PolicyName="send", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="gateway")["AccessKey"]
    # From now on every request's signature is checked.
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    say(port=port, region=REGION, topic=topic, key_id=key["AccessKeyId"], secret=key["SecretAccessKey"])

    for line in sys.stdin:
        wish = json.loads(line)
        if "publish" in wish:
            settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
            sns = client("sns")
            sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=wish["to"])
            sns.publish(TopicArn=topic, Message=wish["publish"])
            settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
            say(pem=list(sns_backends[DEFAULT_ACCOUNT_ID][REGION]._message_public_keys.values())[-1].decode())
        elif "sign" in wish:
            subscription = list(sns_backends[DEFAULT_ACCOUNT_ID][REGION].subscriptions.values())[-1]
            digest = hashes.SHA1() if wish["version"] == "1" else hashes.SHA256()
            signature = subscription.private_key().sign(wish["sign"].encode(), padding.PKCS1v15(), digest)
            say(signature=base64.b64encode(signature).decode())
        else:
            backend = ses_backends[DEFAULT_ACCOUNT_ID][REGION]
            say(mails=[
                {"id": m.id, "from": m.source, "to": m.destinations, "subject": m.subject, "body": m.body}
                for m in backend.sent_messages
            ])


main()
