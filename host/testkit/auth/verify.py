"""Verifies requests with standardwebhooks, http-message-signatures and botocore: a line of JSON in, a line of JSON out."""

import base64
import hashlib
import json
import sys
from datetime import timedelta
from email.message import Message
from types import SimpleNamespace

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from standardwebhooks.webhooks import Webhook


def webhooks(request, key):
    Webhook(key["secret"]).verify(request.body, dict(request.headers.items()))
    return request.headers["webhook-id"]


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, key):
        self.key = key

    def resolve_public_key(self, key_id):
        assert key_id == self.key["id"], key_id
        if "secret" in self.key:
            return base64.b64decode(self.key["secret"])
        return load_pem_public_key(self.key["public"].encode())


def signature(request, key):
    verifier = HTTPMessageVerifier(signature_algorithm=getattr(algorithms, key["algorithm"]), key_resolver=Keys(key))
    [result] = verifier.verify(request, max_age=timedelta(minutes=5))
    name, _, digest = request.headers["content-digest"].partition("=")
    computed = base64.b64encode(hashlib.new(name.replace("-", ""), request.body).digest()).decode()
    assert digest == f":{computed}:", "the digest is of another body"
    return ",".join(result.covered_components)


def sigv4(request, key):
    given = request.headers["authorization"]
    scope = given.partition("Credential=")[2].partition(",")[0].split("/")
    signed = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert scope[0] == key["id"], scope
    assert request.headers["x-amz-content-sha256"] == hashlib.sha256(request.body).hexdigest(), "the hash is of another body"
    headers = {name: value for name, value in request.headers.items() if name.lower() in signed}
    again = AWSRequest(request.method, request.url, headers=headers, data=request.body)
    again.context["timestamp"] = request.headers["x-amz-date"]
    auth = SigV4Auth(Credentials(key["id"], key["secret"], key.get("token")), scope[3], scope[2])
    text = auth.string_to_sign(again, auth.canonical_request(again))
    assert given.endswith(f"Signature={auth.signature(text, again)}"), text
    return ";".join(signed)


KINDS = {"webhooks": webhooks, "signature": signature, "sigv4": sigv4}
for line in sys.stdin:
    asked = json.loads(line)
    headers = Message()
    for name, value in asked["headers"]:
        headers[name] = value
    body = base64.b64decode(asked["body"])
    request = SimpleNamespace(method=asked["method"], url=asked["url"], headers=headers, body=body)
    try:
        answer = {"ok": KINDS[asked["kind"]](request, asked["key"])}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
