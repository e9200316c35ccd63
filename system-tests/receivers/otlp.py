"""Receives traces by OTLP over HTTP, with OpenTelemetry's own messages.

Says its port in the first line of standard output, and then each span that it is sent, one JSON object a line. What is
not as the protocol has it ends it.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


def value(given):
    return getattr(given, given.WhichOneof("value"))


def attributes(given):
    return {attribute.key: value(attribute.value) for attribute in given}


def tell(line):
    # One write, so that lines of different threads do not mix.
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        try:
            self.receive()
        except Exception as error:
            tell({"error": repr(error)})
            os._exit(1)

    def receive(self):
        assert self.path == "/v1/traces", self.path
        assert self.headers["Content-Type"] == "application/x-protobuf", self.headers
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for of_process in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = attributes(of_process.resource.attributes)
            for of_scope in of_process.scope_spans:
                for span in of_scope.spans:
                    tell(
                        {
                            "service": resource["service.name"],
                            "instance": resource["service.instance.id"],
                            "trace": span.trace_id.hex(),
                            "id": span.span_id.hex(),
                            "parent": span.parent_span_id.hex(),
                            "name": span.name,
                            "kind": Span.SpanKind.Name(span.kind),
                            "status": Status.StatusCode.Name(span.status.code),
                            "attributes": attributes(span.attributes),
                        }
                    )
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
tell({"port": server.server_port})
server.serve_forever()
