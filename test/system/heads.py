"""Hostile requests: what a client may send that is not quite HTTP, or that two servers could
understand differently.

Each is bytes with USER for the user whose credit tells what was carried out: an honest-looking
request adds 1, and what is hidden behind it would add 1000.
"""

USER = b"U" * 36  # as long as an id, so that lengths are right when it is replaced by one

FUND = b"POST /payment/add_funds/" + USER + b"/1 HTTP/1.1\r\n"
HOST = b"Host: x\r\n"
HIDDEN = b"POST /payment/add_funds/" + USER + b"/1000 HTTP/1.1\r\nHost: x\r\n\r\n"
SWALLOW = b"GET /health HTTP/1.1\r\nX: "  # takes the line of the next request into a header
CHUNKED = b"Transfer-Encoding: chunked\r\n"
ZERO = b"0\r\n\r\n"


def fund(lines, body=b"", line=FUND, host=HOST):
    return line + host + lines + b"\r\n" + body


def get(target, version=b"HTTP/1.1"):
    return b"GET " + target + b" " + version + b"\r\n" + HOST + b"\r\n"


def post(path):
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n"


LENGTH = b"Content-Length: %d\r\n" % len(HIDDEN)

# Refused by the gateway itself, and nothing of it is carried out.
REFUSED = {
    # two opinions about where the body ends
    "two equal lengths": fund(LENGTH + LENGTH, HIDDEN),
    "two lengths": fund(LENGTH + b"Content-Length: 0\r\n", HIDDEN),
    "two lengths, the other way": fund(b"Content-Length: 0\r\n" + LENGTH, HIDDEN),
    "list of lengths": fund(b"Content-Length: 5, 5\r\n", HIDDEN),
    "length with plus": fund(b"Content-Length: +5\r\n", HIDDEN),
    "length in hex": fund(b"Content-Length: 0x5\r\n", HIDDEN),
    "length with a blank": fund(b"Content-Length: 5 5\r\n", HIDDEN),
    "empty length": fund(b"Content-Length: \r\n", HIDDEN),
    "negative length": fund(b"Content-Length: -5\r\n", HIDDEN),
    "length beyond int64": fund(b"Content-Length: 18446744073709551617\r\n", HIDDEN),
    "length and chunked": fund(LENGTH + CHUNKED, ZERO + HIDDEN),
    "chunked and length": fund(CHUNKED + b"Content-Length: 5\r\n", ZERO + HIDDEN),
    "xchunked": fund(b"Transfer-Encoding: xchunked\r\n", ZERO + HIDDEN),
    "identity": fund(b"Transfer-Encoding: identity\r\n", HIDDEN),
    "gzip, chunked": fund(b"Transfer-Encoding: gzip, chunked\r\n", ZERO + HIDDEN),
    "chunked, chunked": fund(b"Transfer-Encoding: chunked, chunked\r\n", ZERO + HIDDEN),
    "chunked twice": fund(CHUNKED + CHUNKED, ZERO + HIDDEN),
    "chunked in quotes": fund(b'Transfer-Encoding: "chunked"\r\n', ZERO + HIDDEN),
    "chunked with a tab behind": fund(b"Transfer-Encoding: chunked\t\r\n", ZERO + HIDDEN),
    "chunked with a vertical tab": fund(b"Transfer-Encoding: \x0bchunked\r\n", ZERO + HIDDEN),
    "chunked in HTTP/1.0": fund(CHUNKED, ZERO + HIDDEN, FUND.replace(b"1.1", b"1.0")),
    # lines that are not lines
    "blank before the colon of a length": fund(b"Content-Length : 5\r\n", HIDDEN),
    "tab before the colon of a length": fund(b"Content-Length\t: 5\r\n", HIDDEN),
    "blank before the colon of chunked": fund(b"Transfer-Encoding : chunked\r\n", ZERO + HIDDEN),
    "folded line": fund(b"X: a\r\n b\r\n", HIDDEN),
    "folded length": fund(b"X: a\r\n Content-Length: 5\r\n", HIDDEN),
    "folded chunked": fund(b"Transfer-Encoding:\r\n chunked\r\n", ZERO + HIDDEN),
    "folded first line": b"GET /health HTTP/1.1\r\n Host: x\r\n\r\n" + HIDDEN,
    "CR in a value": fund(b"X: a\rContent-Length: 5\r\nY: b\r\n", HIDDEN),
    "CR before CR LF": fund(b"X: a\r\r\n", HIDDEN),
    "LF only": fund(b"X: a\nContent-Length: 5\nY: b\n", HIDDEN).replace(b"\r", b""),
    "LF only in one line": fund(b"X: a\nY: b\r\n", HIDDEN),
    "LF only at the end": FUND + HOST + b"\n" + HIDDEN,
    "NUL in a value": fund(b"X: a\0b\r\nY: c\r\n", HIDDEN),
    "NUL in a name": fund(b"X\0: a\r\nY: c\r\n", HIDDEN),
    "NUL behind a length": fund(b"Content-Length: 5\0\r\nY: c\r\n", HIDDEN),
    "NUL behind the last length": fund(b"Content-Length: 5\0\r\n", HIDDEN),
    "NUL behind the last chunked": fund(b"Transfer-Encoding: chunked\0\r\n", ZERO + HIDDEN),
    "NUL behind chunked": fund(b"Transfer-Encoding: chunked\0\r\nY: c\r\n", ZERO + HIDDEN),
    "control character in a name": fund(b"A\x01: x\r\n", HIDDEN),
    "control character in a value": fund(b"A: x\x1b[31m\r\n", HIDDEN),
    "line without a colon": fund(b"Nonsense\r\n", HIDDEN),
    "empty name": fund(b": x\r\n", HIDDEN),
    "two hosts": fund(b"Host: y\r\n", HIDDEN),
    "host with blanks and quotes": fund(b"", HIDDEN, host=b'Host: a b"<>\r\n'),
    "no host": fund(b"", HIDDEN, host=b""),
    # request lines
    "NUL behind the method": FUND.replace(b"POST", b"POST\0X") + HOST + b"\r\n" + HIDDEN,
    "CR in the path": get(b"/hea\rlth") + HIDDEN,
    "NUL in the path": get(b"/health\0") + HIDDEN,
    "NUL and more in the path": get(b"/health\0/more") + HIDDEN,
    "HTTP/0.9": b"GET /health\r\n\r\n" + HIDDEN,
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
    "HTTP/1.2": get(b"/health", b"HTTP/1.2") + HIDDEN,
    "HTTP/2.0": get(b"/health", b"HTTP/2.0") + HIDDEN,
    "HTTP/9.9": get(b"/health", b"HTTP/9.9") + HIDDEN,
    "HTTP/1": get(b"/health", b"HTTP/1") + HIDDEN,
    "http/1.1": get(b"/health", b"http/1.1") + HIDDEN,
    "another protocol": get(b"/health", b"XTTP/1.1") + HIDDEN,
    "tabs in the request line": b"GET\t/health\tHTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN,
    "blank before the method": b" " + get(b"/health") + HIDDEN,
    # too large
    "header of 64 KiB": fund(b"X: " + b"a" * 65536 + b"\r\n", HIDDEN),
    "10000 headers": fund(b"".join(b"X%d: a\r\n" % i for i in range(10000)), HIDDEN),
    "path of 64 KiB": get(b"/" + b"a" * 65536) + HIDDEN,
    "path of 3 KiB": get(b"/" + b"a" * 3000) + HIDDEN,
    "method of 20 KiB": b"A" * 20000 + b" / HTTP/1.1\r\nHost: x\r\n\r\n" + HIDDEN,
    "body of 2 MiB": fund(b"Content-Length: 2097152\r\n", HIDDEN * 20),
    # chunks
    "chunk size that is none": fund(CHUNKED, b"xyz\r\nhello\r\n" + ZERO + HIDDEN),
    "negative chunk size": fund(CHUNKED, b"-5\r\nhello\r\n" + ZERO + HIDDEN),
    "chunk size in C": fund(CHUNKED, b"0x5\r\nhello\r\n" + ZERO + HIDDEN),
    "chunk size beyond 2^64": fund(CHUNKED, b"FFFFFFFFFFFFFFFFF\r\nhello" + HIDDEN),
    "chunk longer than it says": fund(CHUNKED, b"5\r\nhello!\r\n" + ZERO + HIDDEN),
}

# Another path or method, or nothing that has an end: a 4xx, or the connection ends within a limit;
# what follows may be a request of its own.
UNKNOWN = {
    "absolute form": get(b"http://x/payment/nothing"),
    "absolute form of elsewhere": get(b"http://elsewhere/payment/nothing"),
    "authority form": b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
    "asterisk form": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "TRACE": b"TRACE /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "no slash": get(b"health"),
    "blank in the path": get(b"/hea lth"),
    "dot segments": post(b"/stock/../payment/add_funds/" + USER + b"/1"),
    "encoded dot segments": post(b"/stock/%2e%2e/payment/add_funds/" + USER + b"/1"),
    "encoded slashes": post(b"/payment%2fadd_funds%2f" + USER + b"%2f1"),
    "double slash": post(b"//payment/add_funds/" + USER + b"/1"),
    "slash at the end": post(b"/payment/add_funds/" + USER + b"/1/"),
    "CR LF in an id": post(b"/payment/add_funds/" + USER + b"%0d%0aX:%20y/1"),
    "CR LF in an amount": post(b"/payment/add_funds/" + USER + b"/1%0d%0a"),
    "NUL in an id": post(b"/payment/add_funds/" + USER + b"%00/1"),
    "half an escape": post(b"/payment/add_funds/" + USER + b"/1%"),
    "overlong UTF-8": post(b"/payment/add_funds/" + USER + b"/%c0%b1"),
    "raw UTF-8": post(b"/payment/add_funds/" + USER + "/\u0661".encode()),
    "CR LF in a query": get(b"/sagas?order=a%0d%0ab"),
    "NUL in a query": get(b"/sagas?state=%00"),
    "fragment": get(b"/health#a"),
    "long method": b"A" * 300 + b" /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "hello": b"hello\r\n\r\n",
    "no line end": b"GET /health HTTP/1.1\rHost: x\r\r",
    "TLS ClientHello": bytes.fromhex("16030100c8010000c40303") + b"\0" * 190,
    "zeros": b"\0" * 5000,
    "chunk without an end": fund(CHUNKED, b"FFFFFFFFFFFFFFFF\r\nhello"),
    "body without an end": fund(b"Content-Length: 60000\r\n", b"hello"),
    "head without an end": FUND + HOST + SWALLOW,
}

# Odd, and allowed: a request that is carried out once, whatever is in its body.
ODD = {
    "length with zeros": fund(b"Content-Length: 005\r\n", b"hello"),
    "a request as the body": fund(LENGTH, HIDDEN),
    "a request as a chunk": fund(CHUNKED, b"%x\r\n%s\r\n" % (len(HIDDEN), HIDDEN) + ZERO),
    "chunk extension": fund(CHUNKED, b"5;a=b\r\nhello\r\n" + ZERO),
    "chunk lines with LF only, a request behind": fund(CHUNKED, b"5\nhello\n0\n\n" + HIDDEN),
    "chunked in capitals": fund(b"TRANSFER-ENCODING: CHUNKED\r\n", ZERO),
    "trailers": fund(CHUNKED, b"0\r\nContent-Length: 5\r\nX: y\r\n\r\n" + HIDDEN),
    "upgrade to HTTP/2": fund(
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n"
    ),
    "empty lines before": b"\r\n\r\n" + fund(b""),
    "length with an underscore": fund(b"Content_Length: 5\r\n"),
}
