/* Questions about sagas to their orchestrator, and its answers: message.h has the columns. */
#ifndef KASSA_CATALOGUE_SAGA_H
#define KASSA_CATALOGUE_SAGA_H

#define SAGA_MESSAGES(X)                                                                           \
    /* gateway -> orchestrator */                                                                  \
    X(ORDER_SAGA, "order.saga", M(id) | M(gateway) | M(saga), "tell one saga")                     \
    X(ORDER_CANCEL, "order.cancel", M(id) | M(gateway) | M(saga), "give a saga up, or tell")       \
    X(ORDER_SAGAS, "order.sagas", M(id) | M(gateway) | M(limit), "list sagas; order, state")       \
    /* payment or stock -> order */                                                                \
    X(ORDER_REPLAY, "order.replay", M(id) | M(service) | M(since),                                 \
      "the store is another server: send again what it may have lost")                             \
    /* orchestrator -> gateway */                                                                  \
    X(SAGA_RUNNING, "saga.running", M(id) | M(saga), "begun, not ended; state")                    \
    X(SAGAS, "sagas", M(id) | M(story), "sagas, one a line")

#endif
