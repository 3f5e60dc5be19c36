"""A server of MongoDB's protocol for tests, on MockupDB: MongoDB's own library for servers of its wire protocol.

    pip install mockupdb==1.8.1 pymongo==3.13.0
    python3 tests/it/mongo_server.py [--fault KIND --after N [--command NAME]] [--tell N] [--foreign NAME] [--login USER:PASSWORD [--long]] [--tls]

MockupDB reads and writes OP_MSG and BSON with code that has nothing to do with Regatta's. What stands here is the little
database behind it: collections as lists, filters by equality, cursors, `$inc`. It prints its url as its first line, writes
to standard error whatever it does not understand, and ends when its standard input does.

With a fault it behaves until the command NAME (default: find) has come N times (seeding apart), and from then
on, every second time:
  lost       closes the connection
  garbage    answers with something that is no OP_MSG
  oversized  answers with a header that claims two gigabytes
  stranger   answers to a request that nobody made
  silent     answers nothing
  error      answers `ok: 0` with code 50, MaxTimeMSExpired
  duplicate  answers that the first write broke a unique index
"""

import argparse
import base64
import hashlib
import hmac
import itertools
import os
import ssl
import struct
import sys
import weakref

import mockupdb
from bson import Int64
from mockupdb import OP_MSG, MockupDB, OpMsg, OpMsgReply

parser = argparse.ArgumentParser()
parser.add_argument("--fault")
parser.add_argument("--after", type=int, default=0)
parser.add_argument("--command", default="find")
parser.add_argument("--tell", type=int, default=0, help="says so when the command NAME has come so often")
parser.add_argument("--foreign", help="a collection that is there already")
parser.add_argument("--login", help="the user and the password without whom nothing is done (SCRAM-SHA-256)")
parser.add_argument("--long", action="store_true", help="a login ends with an empty exchange, as of old servers")
parser.add_argument("--tls", action="store_true")
options = parser.parse_args()

collections = {options.foreign: [{"_id": "theirs"}]} if options.foreign else {}
cursors = {}
cursor_ids = itertools.count(1 << 40)
conversations = {}
# The sockets themselves: a port may be taken again by somebody who has not logged in.
logged_in = weakref.WeakSet()
seen = 0


def matches(document, wanted):
    return all(document.get(key) == value for key, value in wanted.items())


def batch(namespace, rest, size, key):
    """The next documents of a cursor, which ends when none are left."""
    now, rest = rest[:size], rest[size:]
    cursor = next(cursor_ids) if rest else 0
    if rest:
        cursors[cursor] = (namespace, rest)
    return {"cursor": {"id": Int64(cursor), "ns": namespace, key: now}}


def hello(_):
    return {
        "isWritablePrimary": True, "helloOk": True, "minWireVersion": 0, "maxWireVersion": 21,
        "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000,
    }


def build_info(_):
    return {"version": "MockupDB %s" % mockupdb.__version__}


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def encoded(data):
    return base64.b64encode(data).decode()


def fields(text):
    return dict(part.split("=", 1) for part in text.split(","))


def sasl_start(command):
    """The server's side of SCRAM-SHA-256, from RFC 5802 and RFC 7677."""
    assert command["mechanism"] == "SCRAM-SHA-256" and command["payload"].startswith(b"n,,"), command
    first = command["payload"][3:].decode()
    salt, rounds = os.urandom(16), 4096
    challenge = "r=%s,s=%s,i=%d" % (fields(first)["r"] + encoded(os.urandom(18)), encoded(salt), rounds)
    conversation = len(conversations) + 1
    conversations[conversation] = (fields(first)["n"], first + "," + challenge, salt, rounds)
    return {"conversationId": conversation, "done": False, "payload": challenge.encode()}


def sasl_continue(command):
    conversation = command["conversationId"]
    if not command["payload"]:
        return {"conversationId": conversation, "done": True, "payload": b""}
    name, said, salt, rounds = conversations[conversation]
    user, password = options.login.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    last, proof = command["payload"].decode().rsplit(",p=", 1)
    said = said + "," + last
    client_key = sign(salted, "Client Key")
    signature = sign(hashlib.sha256(client_key).digest(), said)
    expected = bytes(a ^ b for a, b in zip(client_key, signature))
    if name != user or base64.b64decode(proof) != expected:
        return {"ok": 0, "code": 18, "errmsg": "Authentication failed."}
    verifier = "v=" + encoded(sign(sign(salted, "Server Key"), said))
    return {"conversationId": conversation, "done": not options.long, "payload": verifier.encode()}


def list_collections(command):
    name = command["filter"]["name"]
    found = [{"name": name, "type": "collection"}] if name in collections else []
    return {"cursor": {"id": Int64(0), "ns": "$cmd.listCollections", "firstBatch": found}}


def insert(command):
    documents = collections.setdefault(command["insert"], [])
    ids = {document.get("_id") for document in documents}
    for at, document in enumerate(command["documents"]):
        if "_id" in document and document["_id"] in ids:
            return {"n": at, "writeErrors": [{"index": at, "code": 11000, "errmsg": "duplicate key"}]}
        documents.append(document)
    return {"n": len(command["documents"])}


def find(command):
    found = [one for one in collections.get(command["find"], []) if matches(one, command["filter"])]
    if "limit" in command:
        found = found[: command["limit"]]
    return batch(command["find"], found, command["batchSize"], "firstBatch")


def get_more(command):
    namespace, rest = cursors.pop(command["getMore"])
    assert namespace == command["collection"]
    answer = batch(namespace, rest, command["batchSize"], "nextBatch")
    if answer["cursor"]["id"]:
        # The cursor stays the same.
        cursors[command["getMore"]] = cursors.pop(answer["cursor"]["id"])
        answer["cursor"]["id"] = Int64(command["getMore"])
    return answer


def kill_cursors(command):
    killed = [cursor for cursor in command["cursors"] if cursors.pop(cursor, None)]
    return {"cursorsKilled": killed, "cursorsNotFound": [], "cursorsAlive": [], "cursorsUnknown": []}


def update(command):
    matched = 0
    for one in command["updates"]:
        assert list(one["u"]) == ["$inc"], one
        for document in collections.get(command["update"], []):
            if matches(document, one["q"]):
                matched += 1
                for key, by in one["u"]["$inc"].items():
                    document[key] += by
                if not one["multi"]:
                    break
    return {"n": matched, "nModified": matched}


def aggregate(command):
    group = command["pipeline"][0]["$group"]
    assert group["documents"] == {"$sum": 1}, group
    field = group["sum"]["$sum"][1:]
    documents = collections.get(command["aggregate"], [])
    total = sum(document.get(field, 0) for document in documents)
    first = [{"_id": None, "documents": len(documents), "sum": total}] if documents else []
    return {"cursor": {"id": Int64(0), "ns": command["aggregate"], "firstBatch": first}}


def drop(command):
    if collections.pop(command["drop"], None) is None:
        return {"ok": 0, "code": 26, "errmsg": "ns not found"}
    return {}


COMMANDS = {
    "hello": hello, "buildInfo": build_info, "listCollections": list_collections, "insert": insert, "find": find, "getMore": get_more,
    "saslStart": sasl_start, "saslContinue": sasl_continue, "killCursors": kill_cursors, "update": update, "aggregate": aggregate, "drop": drop,
}


def misbehave(request):
    client, asked = request._client, request.request_id
    if options.fault == "lost":
        return request.hangup()
    if options.fault == "silent":
        return True
    if options.fault == "error":
        return request.command_err(50, "operation exceeded time limit")
    if options.fault == "duplicate":
        return request.replies({"n": 0, "writeErrors": [{"index": 0, "code": 11000, "errmsg": "duplicate key"}]})
    client.sendall({
        "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "oversized": struct.pack("<iiii", 2000000000, 1, asked, OP_MSG),
        "stranger": OpMsgReply({"ok": 1}).reply_bytes(OpMsg(ping=1, request_id=asked + 7)),
    }[options.fault])
    return True


def handle(request):
    global seen
    name = request.command_name
    # Documents with an `_id` are those with which a trial fills its collection.
    seeds = any("_id" in document for document in request.doc.get("documents", []))
    if name == options.command and not seeds:
        seen += 1
        if seen == options.tell:
            print("%d of %s" % (seen, name), flush=True)
        # The fault alternates with good behaviour, so that a scenario that allows errors has both.
        if options.fault and seen > options.after and (seen - options.after) % 2:
            return misbehave(request)
    if options.login and name not in ("hello", "saslStart", "saslContinue") and request._client not in logged_in:
        return request.command_err(13, "command %s requires authentication" % name)
    if name not in COMMANDS:
        print("unknown command", request, file=sys.stderr, flush=True)
        return request.command_err(59, "no such command: %s" % name)
    answer = COMMANDS[name](request.doc)
    if name == "saslContinue" and answer.get("done"):
        logged_in.add(request._client)
    return request.replies(answer)


def wrap_socket(sock, certfile, server_side):
    """What MockupDB expects of the module `ssl`, which has lost it in Python 3.12."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certfile)
    return context.wrap_socket(sock, server_side=server_side)


ssl.wrap_socket = wrap_socket
server = MockupDB(ssl=options.tls)
server.autoresponds(handle)
server.run()
print("mongodb://127.0.0.1:%d/regatta" % server.port, flush=True)
sys.stdin.read()
left = sorted(name for name, documents in collections.items() if documents)
print("left behind: %s; open cursors: %d" % (", ".join(left) or "nothing", len(cursors)), flush=True)
