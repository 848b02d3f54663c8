"""A fake of AWS (moto's server) for tests: one account with an email identity, an SNS topic and an access key for SES.

Prints one line of JSON with the port and the data of the account. Then reads commands, one line of JSON each, and
prints one line of JSON for each: {"publish": TEXT, "to": URL} makes SNS post the signed text to the URL and returns
the certificate; {"sign": TEXT, "version": "1" or "2"} returns a signature of the text as SNS makes it; {"mails":
true} returns the emails that SES accepted.
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


def report(**facts):
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
    # Checks the signature of every request from here on.
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    report(port=port, region=REGION, topic=topic, key_id=key["AccessKeyId"], secret=key["SecretAccessKey"])

    for line in sys.stdin:
        command = json.loads(line)
        if "publish" in command:
            settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
            sns = client("sns")
            sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=command["to"])
            sns.publish(TopicArn=topic, Message=command["publish"])
            settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
            report(pem=list(sns_backends[DEFAULT_ACCOUNT_ID][REGION]._message_public_keys.values())[-1].decode())
        elif "sign" in command:
            subscription = list(sns_backends[DEFAULT_ACCOUNT_ID][REGION].subscriptions.values())[-1]
            digest = hashes.SHA1() if command["version"] == "1" else hashes.SHA256()
            signature = subscription.private_key().sign(command["sign"].encode(), padding.PKCS1v15(), digest)
            report(signature=base64.b64encode(signature).decode())
        else:
            backend = ses_backends[DEFAULT_ACCOUNT_ID][REGION]
            report(mails=[
                {"id": m.id, "from": m.source, "to": m.destinations, "subject": m.subject, "body": m.body}
                for m in backend.sent_messages
            ])


main()
