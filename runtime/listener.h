/* A listening TCP socket, for a server that wants to say why there is none. */
#ifndef KASSA_RUNTIME_LISTENER_H
#define KASSA_RUNTIME_LISTENER_H

#include "runtime/buf.h"

/* Connections that the kernel has made and we have not accepted yet. The client of one too many
 * retries a second later. Linux has no more than net.core.somaxconn, 4096 by default. */
#define LISTENER_BACKLOG 4096

/* Listens on host:port (port 0: any free one) without blocking, with TCP_NODELAY for whatever it
 * accepts. Looks the host up, which may block: for the start of a process only.
 * Errors: -ERR_SYSTEM, with one sentence in *ret_sentence. Owns: the caller, the descriptor. */
int listener_open(const char *host, int port, int *ret_fd, int *ret_port, struct buf *ret_sentence);

#endif
