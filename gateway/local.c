/* Routes that the gateway answers itself. */
#include "gateway/local.h"

#include "gateway/answering.h"
#include "gateway/state.h"

void local_health(struct gateway *gw, struct http_request *http, const struct route_match *match)
{
    answering_count(gw, match->row, 200);
    http_reply(http, 200, NULL, 0, SLICE_TEXT("{\"status\":\"api up\",\"ok\":true}"));
}

/* Not counted among the requests: it comes each few seconds, and says nothing about clients. */
void local_ready(struct gateway *gw, struct http_request *http, const struct route_match *match)
{
    (void)match;
    const char *refusal = store_refusal(gw->store);
    refusal = refusal ? refusal : checkout_refusal(gw->checkout);
    ready_check(gw->ready, http, refusal ? refusal : shortage_text(shortage_now(gw->shortage)));
}

void local_metrics(struct gateway *gw, struct http_request *http, const struct route_match *match)
{
    const struct http_header type = {"Content-Type", "text/plain; version=0.0.4; charset=utf-8"};
    struct buf text = {0};
    answering_count(gw, match->row, 200);
    stat_set(stat_gauge("kassa_pending_requests", "", "requests held open"), gw->table.count);
    stat_set(stat_gauge("kassa_admission_limit", "", "requests held open before a 429"),
             overload_limit(&gw->overload, gw->table.count, loop_now_ms(gw->context->loop)));
    stat_print(&text);
    http_reply(http, 200, &type, 1, buf_slice(&text));
    buf_free(&text);
}
