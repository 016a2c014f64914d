#!/usr/bin/env bash
# The clients of Telnyx and Amazon send an SMS three times when the answer doesn't come in time, under no idempotency key.
#
# Seen with: telnyx 4.189.0, boto3 1.44.8 (PyPI) with twilio 9.13.0 beside them, 2026-11-28.
# One would guess: asking for an SMS is no idempotent request, so a provider's own client sends it once and tells the caller what went wrong, as Twilio's
#   does; or it retries under one key (Idempotency-Key, a token in the body), so that the provider knows it again.
# Behaviour: all requests reached the server, which didn't answer within the time-out, or hung up instead: telnyx and boto3 (SNS publish, and
#   send_text_message of Pinpoint SMS) asked three times within the one call. The bodies are equal, without a token; telnyx adds a count of retries, boto3
#   an id of the call for traces (amz-sdk-invocation-id). telnyx and Pinpoint do so after 503, too. Only the last failure is raised.
# What it means: the busier the provider, the more recipients get it twice or three times, paid each. telnyx: max_retries=0; boto3:
#   Config(retries={"total_max_attempts": 1}); then decide oneself.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv python && python/bin/pip --quiet --disable-pip-version-check install telnyx==4.189.0 boto3==1.44.8 twilio==9.13.0
cat > ask.py <<'END'
import http.server, threading
import boto3, telnyx
from botocore.config import Config
from twilio.http.http_client import TwilioHttpClient

class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version, asked, mode, over = "HTTP/1.1", [], "", threading.Event()
    def do_POST(self):
        self.asked.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        if self.mode == "no answer":
            self.over.wait(30)
        if self.mode != "503":
            self.close_connection = True
            return
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
amazon = {"endpoint_url": url, "region_name": "eu-central-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}

def calls(once):
    config = Config(read_timeout=0.5, **({"retries": {"total_max_attempts": 1}} if once else {}))
    sns, pinpoint = boto3.client("sns", config=config, **amazon), boto3.client("pinpoint-sms-voice-v2", config=config, **amazon)
    a_telnyx = telnyx.Telnyx(api_key="k", base_url=url, timeout=0.5, **({"max_retries": 0} if once else {}))
    yield "telnyx", lambda: a_telnyx.messages.send(from_="+15550100", to="+15550101", text="hi")
    yield "boto3 SNS", lambda: sns.publish(PhoneNumber="+15550101", Message="hi")
    yield "boto3 Pinpoint SMS", lambda: pinpoint.send_text_message(DestinationPhoneNumber="+15550101", MessageBody="hi")
    if not once:
        twilio = TwilioHttpClient(timeout=0.5)
        yield "twilio", lambda: twilio.request("POST", url + "/Messages.json", data={"To": "+15550101", "Body": "hi"})

for once in (False, True):
    for name, call in calls(once):
        told = []
        for mode in ("no answer", "hung up", "503"):
            if mode == "503" and name == "boto3 SNS":
                continue  # wants XML
            Provider.mode = mode
            Provider.asked.clear(); Provider.over.clear()
            try:
                call()
            except Exception:
                pass
            Provider.over.set()
            keys = {header for headers, _ in Provider.asked for header in headers if "idempotency" in header.lower()}
            bodies = len({body for _, body in Provider.asked})
            told.append(f"{mode}: {len(Provider.asked)}" + (", a key" if keys else "") + ("" if bodies == 1 else ", bodies differ"))
        print(f"{name}{', told once' if once else ''}: " + "; ".join(told))
END
cat > expected <<'END'
telnyx: no answer: 3; hung up: 3; 503: 3
boto3 SNS: no answer: 3; hung up: 3
boto3 Pinpoint SMS: no answer: 3; hung up: 3; 503: 3
twilio: no answer: 1; hung up: 1; 503: 1
telnyx, told once: no answer: 1; hung up: 1; 503: 1
boto3 SNS, told once: no answer: 1; hung up: 1
boto3 Pinpoint SMS, told once: no answer: 1; hung up: 1; 503: 1
END
python/bin/python ask.py | tee seen
diff expected seen && echo "as described"
