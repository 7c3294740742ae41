// Bulk with partial failures: the records as one JSON array, and an answer that says what became of each.

#include "nozzle.h"

// `plugin.config`: where the batches go, below the endpoint's URL.
static nz_str target;

bool nozzle_configure(nz_str config, nz_str *error) {
    target = nz_text("bulk");
    const nz_setting known[] = {{"target", NZ_SETTING_STRING, &target}};
    return nz_settings(config, known, sizeof known / sizeof *known, error);
}

// Sends all records that are JSON in one request: one that is none would have the answer's items belong to others.
bool nozzle_shape(const nz_batch *batch, nz_shaped *shaped, nz_str *error) {
    (void)error;
    nz_request *request = NULL;
    nz_header(&shaped->headers, "content-type", nz_text("application/json"));
    for (size_t i = 0; i < batch->events.len; i++) {
        nz_str record = nz_event_data(batch, i);
        if (!nz_json_parse(record.ptr, record.len, NULL)) {
            nz_reject(shaped, (uint32_t)i, nz_text("the record is no JSON in UTF-8"));
            continue;
        }
        if (request == NULL) {
            request = nz_add_request(shaped, NZ_POST, target);
            // The host writes the records between these: they need not be copied here.
            nz_request_joined(request, "[", ",", "]");
        }
        nz_request_event(request, (uint32_t)i);
    }
    return true;
}

// False for an item that does not say what became of its record.
static bool judge(const nz_json *item, nz_event_verdict *verdict) {
    nz_json written, error = {0};
    uint64_t status;
    if (!nz_json_get(item, "status", &written) || !nz_json_uint(&written, 599, &status))
        return false;
    if (status >= 200 && status <= 299) {
        *verdict = nz_event_delivered();
    } else if (status == 408 || status == 425 || status == 429 || status >= 500) {
        *verdict = nz_event_retry();
    } else if (status >= 400) {
        size_t len = 0;
        const uint8_t *text = NULL;
        if (nz_json_get(item, "error", &error))
            text = nz_json_text(&error, &len);
        *verdict = nz_event_reject(nz_format("item status %u: %.*s", (unsigned)status, (int)len, (const char *)text));
    } else {
        return false;
    }
    return true;
}

// Reads the answer: {"items":[{"status":201},{"status":429},{"status":400,"error":"…"}]}.
static bool read_items(const nz_response *response, nz_event_verdict *verdicts, size_t events) {
    nz_json answer, items, item;
    if (!nz_json_parse(response->body.ptr, response->body.len, &answer) || !nz_json_get(&answer, "items", &items))
        return false;
    size_t count = 0;
    nz_json at = nz_json_first(&items);
    while (nz_json_next(&at, NULL, &item)) {
        if (count == events || !judge(&item, &verdicts[count]))
            return false;
        count++;
    }
    return count == events;
}

void nozzle_handle(const nz_response *response, const nz_failure *failure, nz_handled *handled) {
    // The sink's status policy knows what to do with a 429, a 503, or no answer at all.
    if (failure != NULL || response->status < 200 || response->status > 299)
        return;
    size_t events = nz_call_event_count();
    nz_event_verdict *verdicts = nz_each(handled, events);
    if (!read_items(response, verdicts, events)) {
        // Nobody has said that they are stored.
        nz_log(NZ_WARN, "the response is no bulk response", NULL, 0);
        nz_retry(handled);
    }
}
