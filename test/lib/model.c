/* The rules of credit and stock. */
#include "test/lib/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

bool model_is_made(unsigned entity)
{
    return entity < MODEL_MADE;
}

static void account_give(struct model *m, struct account *account, unsigned entity,
                         struct model_command *c, const char *outcome, const char *too_large)
{
    int64_t given;
    if (!model_is_made(entity)) {
        strcpy(c->answer, "unknown");
    } else if (__builtin_add_overflow(account->given, c->amount, &given)) {
        strcpy(c->answer, too_large);
        m->refusals++;
    } else {
        account->given = given;
        account->left += c->amount;
        m->effects++;
        snprintf(c->answer, sizeof(c->answer), "%s|%lld", outcome, (long long)account->left);
    }
}

static void model_pay(struct model *m, struct model_command *c)
{
    struct account *user = &m->user[c->entity];
    if (!model_is_made(c->entity)) {
        strcpy(c->answer, "unknown");
    } else if (user->left < c->amount) {
        strcpy(c->answer, "refused|insufficient credit");
        m->refusals++;
    } else {
        user->left -= c->amount;
        m->effects++;
        snprintf(c->answer, sizeof(c->answer), "paid|%u|%lld|%s|%lld", c->entity,
                 (long long)c->amount, books_gen(user->gen), (long long)user->left);
    }
}

static void model_subtract(struct model *m, struct model_command *c)
{
    struct account *item = &m->item[c->entity];
    if (!model_is_made(c->entity)) {
        strcpy(c->answer, "unknown");
    } else if (item->left < c->amount) {
        strcpy(c->answer, "refused|out of stock");
        m->refusals++;
    } else {
        item->left -= c->amount;
        m->effects++;
        snprintf(c->answer, sizeof(c->answer), "subtracted|%u*%lld*%s|%lld", c->entity,
                 (long long)c->amount, books_gen(item->gen), (long long)item->left);
    }
}

static void model_charge(struct model *m, struct model_saga *s)
{
    struct account *user = &m->user[s->user];
    if (s->charge[0] != '\0') {
        return;
    }
    if (!model_is_made(s->user) || user->left < s->amount) {
        strcpy(s->charge, "refused|insufficient credit");
        m->refusals++;
        return;
    }
    user->left -= s->amount;
    m->effects++;
    snprintf(s->charge, sizeof(s->charge), "charged|%u|%lld|%s", s->user, (long long)s->amount,
             books_gen(user->gen));
}

static void model_refund(struct model *m, struct model_saga *s)
{
    struct account *user = &m->user[s->user];
    if (s->refund[0] != '\0') {
        return;
    }
    if (s->charge[0] == '\0') {
        strcpy(s->charge, "cancelled");
    }
    if (strncmp(s->charge, "charged|", 8) != 0) {
        strcpy(s->refund, "refunded");
        return;
    }
    const char *gen = strrchr(s->charge, '|') + 1;
    if (strcmp(gen, books_gen(user->gen)) == 0) {
        user->left += s->amount;
        m->effects++;
    }
    snprintf(s->refund, sizeof(s->refund), "refunded|%s", s->charge + 8);
}

static void model_take(struct model *m, struct model_saga *s)
{
    if (s->take[0] != '\0') {
        return;
    }
    for (unsigned i = 0; i < s->line_count; i++) {
        const struct model_line *line = &s->lines[i];
        if (!model_is_made(line->item) || m->item[line->item].left < line->pieces) {
            strcpy(s->take, "refused|out of stock");
            m->refusals++;
            return;
        }
    }
    strcpy(s->take, "taken|");
    for (unsigned i = 0; i < s->line_count; i++) {
        const struct model_line *line = &s->lines[i];
        struct account *item = &m->item[line->item];
        size_t bytes = strlen(s->take);
        item->left -= line->pieces;
        snprintf(s->take + bytes, sizeof(s->take) - bytes, "%s%u*%lld*%s", i > 0 ? "," : "",
                 line->item, (long long)line->pieces, books_gen(item->gen));
    }
    m->effects++;
}

/* All but the last entity are made anew, with this much each. */
static void model_init(struct model *m, struct account *accounts, struct model_command *c)
{
    m->gens++;
    c->entity = m->gens; /* kept for the repeats */
    for (unsigned i = 0; i < MODEL_MADE; i++) {
        accounts[i] = (struct account){c->amount, c->amount, m->gens};
    }
    strcpy(c->answer, "created");
}

void model_apply(struct model *m, struct model_command *c)
{
    switch (c->kind) {
    case FUND:
        account_give(m, &m->user[c->entity], c->entity, c, "user", "refused|credit too large");
        break;
    case ADD:
        account_give(m, &m->item[c->entity], c->entity, c, "item", "refused|stock too large");
        break;
    case PAY:
        model_pay(m, c);
        break;
    case SUBTRACT:
        model_subtract(m, c);
        break;
    case INIT_USERS:
        model_init(m, m->user, c);
        break;
    case INIT_ITEMS:
        model_init(m, m->item, c);
        break;
    case CHARGE:
        model_charge(m, c->saga);
        strcpy(c->answer, c->saga->charge);
        break;
    case REFUND:
        model_refund(m, c->saga);
        strcpy(c->answer, c->saga->refund);
        break;
    case TAKE:
        model_take(m, c->saga);
        strcpy(c->answer, c->saga->take);
        break;
    case CANCEL:
        if (c->saga->take[0] == '\0') {
            strcpy(c->saga->take, "cancelled");
        }
        strcpy(c->answer, c->saga->take);
        break;
    }
}
