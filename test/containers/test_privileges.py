"""Each service has a user of its own, in Redis and in RabbitMQ, who may do its work and no more."""

import subprocess
import unittest

import redis

from kassa.services import ALL, GROUPS, QUEUES
from project import secret, stack

# (group, user): what it does there, and what it must not.
MAY = {
    ("order", "order"): ("HGET order:order:1 journal", "ZADD order:open 1 1", "WAIT 2 100",
                         "PUBLISH kassa.notice.gw x", "INFO server", "ROLE", "FCALL order_find 0",
                         "TIME", "FUNCTION LOAD x", "FUNCTION DELETE x", "HGET kassa:copy with"),
    ("order", "gateway"): ("HGET order:order:1 journal", "HSET order:order:1 user x", "WAIT 2 100",
                           "TIME", "FUNCTION LOAD x", "INFO memory"),
    ("stock", "stock"): ("HGET stock:item:1 price", "HINCRBY stock:item:1 quantity 1", "WAIT 2 100"),
    ("payment", "payment"): ("HINCRBY payment:user:1 credit 1", "PUBLISH kassa.notice.gw x"),
    ("saga", "gateway"): ("HSET kassa:keys:1:1 k v", "SUBSCRIBE kassa.notice.gw", "INFO memory",
                          "MGET kassa:short:payment kassa:short:stock kassa:short:order"),
    ("saga", "order"): ("PUBLISH kassa.notice.gw x", "WAIT 2 100", "TIME", "SET kassa:keep 1",
                        "INFO stats", "SET kassa:short:order 1 PX 3000", "HGET kassa:copy with"),
    ("saga", "payment"): ("PUBLISH kassa.notice.gw x", "GET kassa:keep",
                          "INFO stats", "SET kassa:short:payment 1 PX 3000"),
    ("order", "audit"): ("HGETALL order:order:1", "SCAN 0", "TIME", "HGET kassa:copy with"),
    ("order", "metrics"): ("INFO", "SLOWLOG GET"),
}
MUST_NOT = {
    ("order", "order"): ("HGET stock:item:1 price", "SET x 1", "PUBLISH other x",
                         "HSET kassa:copy with x"),
    ("order", "gateway"): ("HGET stock:item:1 price", "FUNCTION DELETE x"),
    ("stock", "stock"): ("HGET payment:user:1 credit", "SET order:order:1 x"),
    ("payment", "payment"): ("HGET stock:item:1 price", "DEL order:order:1"),
    ("saga", "order"): ("HGET kassa:keys:1:1 k", "SET order:1 x", "DEL kassa:keep"),
    ("saga", "payment"): ("HGET kassa:keys:1:1 k", "SUBSCRIBE kassa.notice.gw"),
    ("order", "audit"): ("HSET order:order:1 user x", "DEL order:order:1", "FCALL order_find 0"),
    ("order", "metrics"): ("GET order:order:1", "HGETALL order:order:1", "FUNCTION DELETE x"),
}
NOBODY = ("CONFIG GET requirepass", "CONFIG SET maxmemory 1", "FLUSHALL", "FLUSHDB", "SHUTDOWN",
          "DEBUG SLEEP 1", "KEYS *", "ACL LIST", "REPLICAOF NO ONE", "FAILOVER",
          "FUNCTION FLUSH", "MONITOR", "CLIENT KILL TYPE normal", "BGREWRITEAOF", "SWAPDB 0 1")
USERS = {s.store: {s.name, "audit", "metrics"} for s in ALL if not s.http}
USERS.update({s.store: {*(other.name for other in ALL), "metrics"} for s in ALL if s.http})
for caller in ALL:
    for called in caller.calls:
        USERS[called].add(caller.name)
CONSUMED = {s.name: s.queues for s in ALL}


class Redis(unittest.TestCase):
    def node(self, group):
        return stack().redis(stack().nodes(group)[0].address)

    def may(self, group, user, line):
        """By the server's own word; nothing is done."""
        with self.node(group) as node:
            return node.execute_command("ACL", "DRYRUN", user, *line.split()) == "OK"

    def test_who_there_is(self):
        for group in GROUPS:
            for container in stack().of(f"redis-{group}-"):
                with stack().redis(container.address) as node:
                    self.assertEqual(set(node.acl_users()), USERS[group] | {"default"})

    def test_what_they_do(self):
        for (group, user), lines in MAY.items():
            for line in lines:
                self.assertTrue(self.may(group, user, line), f"{user} at {group}: {line}")

    def test_what_they_must_not(self):
        for (group, user), lines in MUST_NOT.items():
            for line in lines:
                self.assertFalse(self.may(group, user, line), f"{user} at {group}: {line}")
        for group, users in USERS.items():
            for user in users:
                for line in NOBODY:
                    self.assertFalse(self.may(group, user, line), f"{user} at {group}: {line}")

    def test_the_passwords_are_theirs(self):
        address = stack().nodes("order")[0].address
        mine, other = secret("order", "redis_password"), secret("stock", "redis_password")
        self.assertTrue(redis.Redis(address, username="order", password=mine).execute_command("PING"))
        for user, password in (("order", other), ("stock", other), ("default", mine), (None, None)):
            with self.assertRaisesRegex(redis.RedisError, "WRONGPASS|[Aa]uthentication required"):
                redis.Redis(address, username=user, password=password).execute_command("PING")

    def test_a_sentinel_tells_anybody_and_obeys_nobody(self):
        address = stack().find("sentinel-1").address
        with redis.Redis(address, 26379, decode_responses=True) as sentinel:
            told = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "order")
            self.assertEqual(told, [stack().nodes("order")[0].address, "6379"])
            for line in ("SENTINEL FAILOVER none", "SENTINEL SET none quorum 1", "SENTINEL RESET none",
                         "SENTINEL REMOVE none", "SHUTDOWN", "SENTINEL CONFIG GET *", "ACL LIST"):
                with self.assertRaises(redis.exceptions.NoPermissionError, msg=line):
                    sentinel.execute_command(*line.split())


class RabbitMQ(unittest.TestCase):
    def tool(self, user, name, *words, password=None):
        """One of amqp-tools. What it says; it is of no interest whether a queue has something."""
        password = password or secret(user, "rabbitmq_password")
        address = stack().find("rabbitmq-1").address
        done = subprocess.run([name, "--url", f"amqp://{user}:{password}@{address}:5672", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
                              check=False)
        return done.stdout + done.stderr

    def assertRefused(self, said, what):
        self.assertIn("ACCESS_REFUSED", said, what)

    def test_who_reads_what(self):
        for service, own in CONSUMED.items():
            for queue in QUEUES:
                said = self.tool(service, "amqp-get", "-q", queue)
                self.assertEqual("ACCESS_REFUSED" in said, queue not in own,
                                 f"{service} reads {queue}: {said}")

    def test_who_deletes_what(self):
        for service, own in CONSUMED.items():
            for queue in set(QUEUES) - set(own):
                self.assertRefused(self.tool(service, "amqp-delete-queue", "-q", queue),
                                   f"{service} deletes {queue}")

    def test_nobody_makes_what_is_not_his(self):
        for service in CONSUMED:
            self.assertRefused(self.tool(service, "amqp-declare-queue", "-q", "kassa.mine"), service)

    def test_parked_messages_are_for_people(self):
        for service in CONSUMED:
            for queue in QUEUES:
                self.assertRefused(self.tool(service, "amqp-get", "-q", f"{queue}.parked"), service)

    def test_nobody_is_guest_and_passwords_count(self):
        for user in ("guest", "order"):
            self.assertRefused(self.tool(user, "amqp-get", "-q", "kassa.order", password="guest"), user)


if __name__ == "__main__":
    unittest.main()
