"""Who begins a checkout: the gateway, in the orders' store, or an order service that it asks. The
answers are the same, and where that store is out of reach, the long way is taken."""

import json
import unittest

from client import Case
from front import free_port
from gateway import STORES, Gateway
from servers import VAR, read_settings


def servers_of_the_system():
    """As variables of a service."""
    ports, secrets = read_settings("ports"), read_settings("secrets")
    store = f"127.0.0.1:{ports['REDIS_PORT']}"
    return {
        **{name: store for name in STORES},
        "SAGA_REDIS": f"127.0.0.1:{ports.get('SAGA_REDIS_PORT', ports['REDIS_PORT'])}",
        "REDIS_PASSWORD": secrets["REDIS_PASSWORD"],
        "RABBITMQ_NODES": f"127.0.0.1:{ports['RABBITMQ_PORT']}",
        "RABBITMQ_USER": "kassa",
        "RABBITMQ_PASSWORD": secrets["RABBITMQ_PASSWORD"],
    }


@unittest.skipUnless(VAR, "KASSA_VAR is not set")
class Begin(Case):
    def gateway(self, **environment):
        gateway = Gateway(**{**servers_of_the_system(), **environment})
        self.addCleanup(gateway.close)
        return gateway

    def buy(self, gateway):
        """One of each end: paid, paid again, out of stock, no credit, unknown. (begun, asked)"""
        user, item, poor = self.user(100), self.item(3, 2), self.user(1)
        order = self.order(user, (item, 2))
        paid = {"status": "paid", "order_id": order, "total_cost": 6}
        begun = gateway.metric("kassa_checkouts_begun_total")
        asked = gateway.metric("kassa_asks_total")
        for path, status, body in (
            (order, 200, paid),
            (order, 200, paid),
            (self.order(user, (item, 1)), 400, {"error": "out of stock"}),
            (self.order(poor, (self.item(2, 1), 1)), 400, {"error": "insufficient credit"}),
            ("nothing", 404, {"error": "unknown order"}),
        ):
            answer, text = gateway.ask("POST", f"/orders/checkout/{path}")
            self.assertEqual((answer.status, json.loads(text)), (status, body))
        answer, text = gateway.ask("POST", f"/orders/checkout/{self.order(user)}",
                                   Prefer="respond-async")
        self.assertIn(answer.status, (200, 202), text)
        self.assert_credit(user, 94)
        return (gateway.metric("kassa_checkouts_begun_total") - begun,
                gateway.metric("kassa_asks_total") - asked)

    def wait_until_ready(self, gateway):
        gateway.wait(lambda it: it.ask("GET", "/ready")[0].status == 200)

    def test_by_the_gateway(self):
        gateway = self.gateway(REASK_MS="60000")
        self.wait_until_ready(gateway)
        gateway.wait(lambda it: it.metric("kassa_store_up", group="order") == 1)
        self.assertEqual(self.buy(gateway), (6, 0))

    def test_by_the_order_service(self):
        """This gateway does not reach the orders' store; the order service does."""
        gateway = self.gateway(REASK_MS="60000", ORDER_REDIS=f"127.0.0.1:{free_port()}")
        self.wait_until_ready(gateway)
        self.assertEqual(self.buy(gateway), (0, 6))


if __name__ == "__main__":
    unittest.main()
