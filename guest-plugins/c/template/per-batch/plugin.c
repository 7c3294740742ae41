// A call a batch: the records are sent as one JSON array.

#include "nozzle.h"

// `plugin.config`: where the batches go, below the endpoint's URL.
static nz_str target;

bool nozzle_configure(nz_str config, nz_str *error) {
    target = nz_text("batches");
    const nz_setting known[] = {{"target", NZ_SETTING_STRING, &target}};
    return nz_settings(config, known, sizeof known / sizeof *known, error);
}

// Every event of the batch goes to exactly one place: the request, or nz_reject.
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
