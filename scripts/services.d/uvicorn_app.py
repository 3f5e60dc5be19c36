"""What uvicorn serves for the tests: the same short text, whatever is asked for."""

ANSWER = b"Hello, world"


async def app(scope, receive, send):
    # uvicorn does without the protocol of start and end that an application may refuse.
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})
