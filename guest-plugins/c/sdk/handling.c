#include "nozzle.h"

#ifdef NOZZLE_SINK
#include <string.h>

__attribute__((export_name("cabi_post_nozzle:plugin/handling@0.1.0#handle"))) void
__wasm_export_exports_nozzle_plugin_handling_handle_post_return(uint8_t *answer) {
    (void)answer;
    nz_release();
}

void exports_nozzle_plugin_handling_handle(exports_nozzle_plugin_handling_result_response_failure_t *outcome,
                                           nz_handled *handled) {
    memset(handled, 0, sizeof *handled);
    if (outcome->is_err)
        nozzle_handle(NULL, &outcome->val.err, handled);
    else
        nozzle_handle(&outcome->val.ok, NULL, handled);
}

void nz_delivered(nz_handled *handled) {
    handled->verdict.tag = NOZZLE_PLUGIN_TYPES_VERDICT_DELIVERED;
}

void nz_retry(nz_handled *handled) {
    handled->verdict.tag = NOZZLE_PLUGIN_TYPES_VERDICT_RETRY;
    handled->verdict.val.retry = (plugin_option_u64_t){false, 0};
}

void nz_retry_after(nz_handled *handled, uint64_t milliseconds) {
    handled->verdict.tag = NOZZLE_PLUGIN_TYPES_VERDICT_RETRY;
    handled->verdict.val.retry = (plugin_option_u64_t){true, milliseconds};
}

void nz_reject_all(nz_handled *handled, nz_str reason) {
    handled->verdict.tag = NOZZLE_PLUGIN_TYPES_VERDICT_REJECT;
    handled->verdict.val.reject = reason;
}

nz_event_verdict *nz_each(nz_handled *handled, size_t events) {
    nz_event_verdict *verdicts = nz_alloc(events * sizeof *verdicts);
    for (size_t i = 0; i < events; i++)
        verdicts[i] = nz_event_delivered();
    handled->verdict.tag = NOZZLE_PLUGIN_TYPES_VERDICT_EACH;
    handled->verdict.val.each = (nozzle_plugin_types_list_event_verdict_t){verdicts, events};
    return verdicts;
}

nz_event_verdict nz_event_delivered(void) {
    return (nz_event_verdict){.tag = NOZZLE_PLUGIN_TYPES_EVENT_VERDICT_DELIVERED};
}

nz_event_verdict nz_event_retry(void) {
    return (nz_event_verdict){.tag = NOZZLE_PLUGIN_TYPES_EVENT_VERDICT_RETRY};
}

nz_event_verdict nz_event_reject(nz_str reason) {
    return (nz_event_verdict){.tag = NOZZLE_PLUGIN_TYPES_EVENT_VERDICT_REJECT, .val.reject = reason};
}

void nz_emit(nz_handled *handled, const nz_str *key, const void *data, size_t len) {
    exports_nozzle_plugin_handling_list_emission_t *results = &handled->results;
    nozzle_plugin_types_emission_t *grown = nz_alloc((results->len + 1) * sizeof *grown);
    if (results->len > 0)
        memcpy(grown, results->ptr, results->len * sizeof *grown);
    nozzle_plugin_types_emission_t emission = {.data = {(uint8_t *)data, len}};
    if (key != NULL)
        emission.key = (plugin_option_string_t){true, *key};
    grown[results->len++] = emission;
    results->ptr = grown;
}

uint32_t nz_call_attempt(void) {
    return nozzle_plugin_current_call_attempt();
}

uint32_t nz_call_event_count(void) {
    return nozzle_plugin_current_call_event_count();
}

nz_batch nz_call_events(void) {
    nz_batch events;
    nozzle_plugin_current_call_get_events(&events);
    return events;
}

nz_request nz_call_request(void) {
    nz_request request;
    nozzle_plugin_current_call_get_request(&request);
    return request;
}
#endif
