"""The rows of the tables: (component, fault, seconds until it is mended)."""

SOON_S, LATE_S = 0.3, 12
KINDS = ("kill", "stop", "pause", "cut")
SLOW = ("slow-300ms", "slow-700ms", "slow-1200ms")
CLOCKS = ("clock+1h", "clock+9d", "clock-9d")
CLOCK_S = 6

PROCESSES = ("gateway", "order", "stock", "payment", "redis", "rabbitmq")
NATIVE = [(component, kind, delay_s) for delay_s in (SOON_S, LATE_S)
          for component in PROCESSES for kind in KINDS]
NATIVE += [("redis", "cut", 60), ("rabbitmq", "cut", 60), ("redis", "stop", 120),
           ("rabbitmq", "stop", 120)]
NATIVE += [("services", "versions", 0)]
NATIVE += [("redis", kind, LATE_S) for kind in SLOW]
NATIVE += [(component, kind, CLOCK_S) for component in PROCESSES if component != "rabbitmq"
           for kind in CLOCKS]
NATIVE += [("redis", "full", LATE_S), ("redis", "disk-full", 3), ("order", "reads", SOON_S),
           ("gateway", "idle", LATE_S), ("order", "replay", 2)]
NATIVE_QUICK = [(component, "kill", SOON_S) for component in PROCESSES]
NATIVE_QUICK += [("redis", "pause", 3), ("rabbitmq", "cut", 3)]

STORES = ("redis-order", "redis-stock", "redis-payment", "redis-saga")  # the master of each
CONTAINERS = ("nginx", "gateway", "order", "stock", "payment", *STORES, "replica-order", "sentinel",
              "rabbitmq")
COMPOSE = [(component, kind, delay_s) for delay_s in (SOON_S, LATE_S)
           for component in CONTAINERS for kind in KINDS]
COMPOSE += [(store, kind, delay_s) for kind, delay_s in (("frozen", LATE_S), ("failover", 0),
                                                         ("wipe", SOON_S),
                                                         ("successor", SOON_S),
                                                         ("doubt", SOON_S)) for store in STORES]
COMPOSE += [("rabbitmq", "apart", 20), ("rabbitmq", "asunder", 20), ("rabbitmq", "wipe", SOON_S),
            ("rabbitmq", "purge", 0), ("gateway", "scale", 0), ("services", "renew", 0),
            ("everything", "rolling", 0), ("everything", "kill", SOON_S),
            ("everything", "reboot", SOON_S)]
COMPOSE += [(store, kind, LATE_S) for store in STORES for kind in SLOW]
COMPOSE += [("replica-order", kind, LATE_S) for kind in ("late-300ms", "late-600ms")]
COMPOSE += [(component, kind, CLOCK_S) for component in
            ("gateway", "order", "stock", "payment", "redis-order", "redis-payment")
            for kind in CLOCKS]
COMPOSE += [(store, "full", LATE_S) for store in STORES]
COMPOSE += [("order", "reads", SOON_S), ("gateway", "idle", LATE_S)]
COMPOSE_QUICK = [(component, "kill", LATE_S) for component in
                 ("nginx", "gateway", "order", "stock", "payment", "redis-payment",
                  "replica-order", "sentinel", "rabbitmq")]


def chosen(is_compose, is_quick):
    if is_compose:
        return COMPOSE_QUICK if is_quick else COMPOSE
    return NATIVE_QUICK if is_quick else NATIVE


def name(component, kind, delay_s):
    return f"{component}-{kind}-{delay_s:g}s"
