# The records server: serves files over HTTPS, with a thread for each connection.
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
# The thread of a connection does the TLS handshake, so that a slow client does not block the accepting thread.
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
