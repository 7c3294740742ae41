// A call a record: each record is put under its key.

#include <string.h>

#include "nozzle.h"

// `plugin.config`: where the records go, below the endpoint's URL.
static nz_str target;

bool nozzle_configure(nz_str config, nz_str *error) {
    target = nz_text("items");
    const nz_setting known[] = {{"target", NZ_SETTING_STRING, &target}};
    return nz_settings(config, known, sizeof known / sizeof *known, error);
}

// Percent-encodes what a segment of a path may not have.
static void add_segment(nz_buffer *to, nz_str text) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < text.len; i++) {
        if (memchr(plain, text.ptr[i], sizeof plain - 1) != NULL)
            nz_add(to, &text.ptr[i], 1);
        else
            nz_add_str(to, nz_format("%%%02X", text.ptr[i]));
    }
}

static bool is(nz_str text, const char *other) {
    return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}

// Every event of the batch goes to exactly one place: a request, nz_reject or nz_drop.
bool nozzle_shape(const nz_batch *batch, nz_shaped *shaped, nz_str *error) {
    (void)error;
    nz_header(&shaped->headers, "content-type", nz_text("application/json"));
    for (size_t i = 0; i < batch->events.len; i++) {
        nz_str key;
        if (!nz_event_key(batch, i, &key) || is(key, "") || is(key, ".") || is(key, "..")) {
            nz_reject(shaped, (uint32_t)i, nz_text("the record has no key that could be part of a URL"));
            continue;
        }
        nz_buffer path = {0};
        nz_add_str(&path, target);
        nz_add_text(&path, "/");
        add_segment(&path, key);
        nz_request *request = nz_add_request(shaped, NZ_PUT, (nz_str){path.ptr, path.len});
        // The host writes the record: it need not be copied here.
        nz_request_joined(request, "", "", "");
        nz_request_event(request, (uint32_t)i);
    }
    return true;
}
