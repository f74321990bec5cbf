/* What a connection asks, step after step, and which answers are right.
 *
 *   step: method, path with {n} {user} {item} {order} --> answers: name = status and a text in the
 *   body, with the same in braces --> an id of the body, for the steps that follow
 *
 * Pure. Texts are borrowed from the caller: the command line, or the table of mixes. */
#ifndef KASSA_BENCH_SCRIPT_H
#define KASSA_BENCH_SCRIPT_H

#include "bench/answer.h"

#define SCRIPT_STEPS_MAX   16
#define SCRIPT_EXPECTS_MAX 8
#define SCRIPT_KINDS_MAX   (2 * SCRIPT_STEPS_MAX)
#define SCRIPT_PATH_MAX    512

enum script_variable {
    SCRIPT_N, /* the number of the request */
    SCRIPT_USER,
    SCRIPT_ITEM,
    SCRIPT_ORDER,
    SCRIPT_VARIABLES
};

/* Values of the variables, terminated; of one connection. */
struct script_values {
    char text[SCRIPT_VARIABLES][ID_BYTES_MAX + 1];
};

struct script_expect {
    char name[64];
    int status;
    const char *text; /* in the body; with variables; may be empty */
    unsigned kind;    /* where it is counted: 0..script.kind_count-1 */
};

struct script_step {
    const char *method;
    const char *path; /* with variables */
    struct script_expect expects[SCRIPT_EXPECTS_MAX];
    unsigned expect_count;
    enum script_variable capture; /* set from "<name>_id" of a right body; SCRIPT_N: nothing */
};

struct script {
    struct script_step steps[SCRIPT_STEPS_MAX];
    unsigned step_count;
    unsigned kind_count;
};

/* Errors: false, and nothing added, when it is full. */
bool script_add_step(struct script *s, const char *method, const char *path,
                     enum script_variable capture);
/* "[NAME=]STATUS[ TEXT]", for the newest step; a name begins with no digit, and without one it is
 * called as it stands there.
 * Errors: false when malformed, or too many. */
bool script_add_expect(struct script *s, const char *text);

/* A sequence that is known by name. Errors: false when there is none of that name. */
bool script_load_mix(struct script *s, const char *name);

/* Replaces the variables. Errors: -1 when it does not fit, else its bytes; terminated. */
int script_fill(const char *text, const struct script_values *values, char *ret_text, size_t size);

/* The first expectation that the answer meets; NULL for a wrong answer. Then what the step
 * captures is in *values. */
const struct script_expect *script_judge(const struct script_step *step,
                                         const struct answer *answer, struct script_values *values);

#endif
