/* The one table of errors: code, disposition, and text.
 *
 * A function that can fail returns 0 or -ERR_X and leaves its outputs untouched on failure.
 * A business "no" (out of stock) is not an error: it is a recorded refusal.
 * Layers below the dispatch return errors and do not log them. */
#ifndef KASSA_RUNTIME_ERR_H
#define KASSA_RUNTIME_ERR_H

/* The disposition is policy; every dispatcher looks here and nowhere else. */
enum err_disposition {
    ERR_RETRY,  /* the same may work later: keep it and retry */
    ERR_POISON, /* it will never work: park it with the reason */
    ERR_LATER,  /* another version may know it: return it to its queue for a while, then park it */
    ERR_SHED,   /* a limit is reached: drop what its sender retries, keep the rest */
    ERR_STALE,  /* overtaken by another: count it and forget it */
    ERR_CRASH,  /* the process cannot go on: say why and exit */
};

#define ERR_TABLE(X)                                                                               \
    X(ERR_CONFIG, ERR_CRASH, "the configuration is wrong")                                         \
    X(ERR_SYSTEM, ERR_CRASH, "the operating system refused")                                       \
    X(ERR_STORE_DOWN, ERR_RETRY, "the store is not connected")                                     \
    X(ERR_STORE_TIMEOUT, ERR_RETRY, "the store did not answer in time")                            \
    X(ERR_STORE_REPLY, ERR_RETRY, "the store answered with an error")                              \
    X(ERR_STORE_FULL, ERR_SHED, "the store's memory is full")                                      \
    X(ERR_BROKER_DOWN, ERR_RETRY, "the broker is not connected")                                   \
    X(ERR_BROKER_REPLY, ERR_RETRY, "the broker answered with an error")                            \
    X(ERR_DECODE, ERR_POISON, "the message is not a valid envelope")                               \
    X(ERR_VERSION, ERR_LATER, "the envelope has an unknown version")                               \
    X(ERR_TYPE, ERR_LATER, "the command has an unknown type or field")                             \
    X(ERR_QUEUE, ERR_POISON, "the command is not for this service")                                \
    X(ERR_FIELD, ERR_POISON, "a field is missing or malformed")                                    \
    X(ERR_TOO_OLD, ERR_STALE, "the command is older than the records that would recognise it")     \
    X(ERR_RECORD, ERR_POISON, "the store's record cannot be read")                                 \
    X(ERR_TRANSITION, ERR_STALE, "the event does not fit the saga's state")

enum err {
    ERR_NONE = 0,
#define X(code, disposition, text) code,
    ERR_TABLE(X)
#undef X
        ERR_END
};

/* Each takes 0, ERR_X or -ERR_X. */
const char *err_text(int err);
const char *err_name(int err);
enum err_disposition err_disposition(int err);

#endif
