# The records server: files over HTTPS, as many at a time as are asked for.
import http.server
import ssl
import sys

port, directory, certificate, key = sys.argv[1:]


class Records(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory=directory)

    def log_message(self, *arguments):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server = http.server.ThreadingHTTPServer(("", int(port)), Records)
# Shaken hands by the thread that serves a connection, not by the one that accepts them all.
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
