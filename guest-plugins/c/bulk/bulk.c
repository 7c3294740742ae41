// An NDJSON bulk API, as Elasticsearch's `_bulk`: an action line and a data line for each record, and a response with one
// item for each. Only the items that failed are sent again.

#include "bulk.h"

static bulk_settings settings;

bool nozzle_configure(nz_str config, nz_str *error) {
    settings = (bulk_settings){
        .target = nz_text("_bulk"),
        .action = nz_text("index"),
        .action_fields = {NZ_OBJECT, (const uint8_t *)"{}", 2},
        .id_field = nz_text("_id"),
        .key_field = nz_text(""),
        .delivered = {NZ_ARRAY, (const uint8_t *)"[]", 2},
    };
    const nz_setting known[] = {
        {"target", NZ_SETTING_STRING, &settings.target},
        {"action", NZ_SETTING_STRING, &settings.action},
        {"action-fields", NZ_SETTING_JSON, &settings.action_fields},
        {"id-field", NZ_SETTING_STRING, &settings.id_field},
        {"key-field", NZ_SETTING_STRING, &settings.key_field},
        {"delivered", NZ_SETTING_JSON, &settings.delivered},
    };
    if (!nz_settings(config, known, sizeof known / sizeof *known, error))
        return false;
    if (settings.delivered.type != NZ_ARRAY) {
        *error = nz_text("`delivered` is no list of statuses");
        return false;
    }
    nz_json at = nz_json_first(&settings.delivered), status;
    uint64_t number;
    while (nz_json_next(&at, NULL, &status)) {
        if (!nz_json_uint(&status, 999, &number)) {
            *error = nz_format("`delivered` has %s%.*s, expected statuses", status.type == NZ_STRING ? "the string " : "",
                               (int)status.len, (const char *)status.start);
            return false;
        }
    }
    return bulk_prepare_action(&settings, error);
}

bool nozzle_shape(const nz_batch *batch, nz_shaped *shaped, nz_str *error) {
    (void)error;
    nz_header(&shaped->headers, "content-type", nz_text("application/x-ndjson"));
    nz_request *request = NULL;
    nz_buffer body = {0};
    for (size_t i = 0; i < batch->events.len; i++) {
        nz_str record = nz_event_data(batch, i);
        if (!nz_json_parse(record.ptr, record.len, NULL)) {
            nz_reject(shaped, (uint32_t)i, nz_text("the record is no JSON in UTF-8"));
            continue;
        }
        if (request == NULL)
            request = nz_add_request(shaped, NZ_POST, settings.target);
        bulk_add_action(&body, batch, i);
        bulk_add_record(&body, record);
        nz_request_event(request, (uint32_t)i);
    }
    if (request != NULL)
        nz_request_body(request, body);
    return true;
}

void nozzle_handle(const nz_response *response, const nz_failure *failure, nz_handled *handled) {
    if (failure != NULL || response->status < 200 || response->status > 299)
        return;
    size_t events = nz_call_event_count();
    nz_event_verdict *verdicts = nz_each(handled, events);
    nz_str error;
    if (!bulk_verdicts(&settings, response->body.ptr, response->body.len, verdicts, events, &error)) {
        // A bulk API that does not say what became of each item has not said that they are stored.
        nz_log(NZ_WARN, "the response is no bulk response", &(nz_field){nz_text("error"), error}, 1);
        nz_retry(handled);
        return;
    }
    for (size_t i = 0; i < events; i++) {
        if (verdicts[i].tag != NOZZLE_PLUGIN_TYPES_EVENT_VERDICT_DELIVERED)
            return;
    }
    nz_delivered(handled);
}
