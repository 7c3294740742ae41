#include "nozzle.h"

#ifdef NOZZLE_SINK
#include <string.h>

#include "list.h"

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

nz_emission *nz_emit(nz_handled *handled, const void *data, size_t len) {
    APPEND(&handled->results, (nz_emission){.data = {(uint8_t *)data, len}});
    return &handled->results.ptr[handled->results.len - 1];
}

void nz_emission_key(nz_emission *emission, nz_str key) {
    emission->key = (plugin_option_string_t){true, key};
}

void nz_emission_attribute(nz_emission *emission, nz_str name, nz_str value) {
    APPEND(&emission->attributes, (nz_field){name, value});
}

uint32_t nz_call_attempt(void) {
    return nozzle_plugin_current_call_attempt();
}

uint32_t nz_call_event_count(void) {
    return nozzle_plugin_current_call_event_count();
}

bool nz_call_event(uint32_t index, nz_event *event) {
    return nozzle_plugin_current_call_get_event(index, event);
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
