/* What payment takes, and what it answers a saga or a gateway: message.h has the columns. */
#ifndef KASSA_CATALOGUE_PAYMENT_H
#define KASSA_CATALOGUE_PAYMENT_H

#define PAYMENT_MESSAGES(X)                                                                        \
    /* gateway -> payment */                                                                       \
    X(PAYMENT_PING, "payment.ping", M(id) | M(gateway), "is the service and its store there?")     \
    X(PAYMENT_CREATE, "payment.create", M(id) | M(gateway) | M(user), "new user")                  \
    X(PAYMENT_FIND, "payment.find", M(id) | M(gateway) | M(user), "read a user")                   \
    X(PAYMENT_FUND, "payment.fund", M(id) | M(gateway) | M(user) | M(amount), "add credit")        \
    X(PAYMENT_PAY, "payment.pay", M(id) | M(gateway) | M(user) | M(amount), "take credit")         \
    X(PAYMENT_INIT, "payment.init", M(id) | M(gateway) | M(count) | M(credit), "batch of users")   \
    /* order -> payment, and its answers */                                                        \
    X(PAYMENT_CHARGE, "payment.charge", M(id) | M(order) | M(user) | M(amount),                    \
      "step 1; with a slip to step 2, next and what that is made of: payment sends it on")         \
    X(PAYMENT_REFUND, "payment.refund", M(id) | M(undoes) | M(order) | M(user),                    \
      "compensation of step 1")                                                                    \
    X(PAYMENT_CHARGED, "payment.charged", M(id) | M(order), "done; when it came without a slip")   \
    X(PAYMENT_REFUSED, "payment.refused", M(id) | M(order) | M(reason), "not enough credit")       \
    X(PAYMENT_REFUNDED, "payment.refunded", M(id) | M(order), "given back, or never taken")        \
    /* payment -> gateway */                                                                       \
    X(USER, "user", M(id) | M(credit), "a user as it is now; user")

#endif
