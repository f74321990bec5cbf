/* The pulse of a store: does it still have its confirmed writes?
 *
 *   <group>:pulse:<process>  a number that this process writes each PULSE_MS, one more each time
 *
 *   store up --> read the number --less than the confirmed one--> store_rolled_back, the alarm
 *                     '--> write the next one, as long as it is up
 *
 * Every acknowledged write must be there when the store comes back, as another server or not.
 * Only this process writes its number and knows it, in its memory; so no other can hide a loss
 * from it. A process that starts knows nothing yet. The pulse mends nothing: the replay does
 * (consumer/announce.h), for the stores that have one. Source: protocol.md, "Noticing it at
 * all". */
#ifndef KASSA_STORE_PULSE_H
#define KASSA_STORE_PULSE_H

#include "store/store.h"

#define PULSE_MS     5000
#define PULSE_KEEP_S 86400 /* the keys of dead processes expire */

struct pulse;

/* `group`: the store's, static text. Owns: the caller, until pulse_free; the store outlives its
 * timer, and its calls have failed before pulse_free. */
struct pulse *pulse_new(struct loop *loop, struct store *store, const char *group);
void pulse_free(struct pulse *p); /* NULL is fine */

#endif
