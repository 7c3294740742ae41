// For the tests of the SDK: it makes use of all of it, as its events and responses ask for. ../../go/echo/README.md says how.

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "nozzle.h"

static nz_str refuse;
static uint64_t sleep_ms, garbage;

bool nozzle_configure(nz_str config, nz_str *error) {
    const nz_setting known[] = {
        {"refuse", NZ_SETTING_STRING, &refuse},
        {"sleep-ms", NZ_SETTING_NUMBER, &sleep_ms},
        {"garbage", NZ_SETTING_NUMBER, &garbage},
    };
    if (!nz_settings(config, known, sizeof known / sizeof *known, error))
        return false;
    *error = refuse;
    return refuse.len == 0;
}

static void work(void) {
    struct timespec wait = {(time_t)(sleep_ms / 1000), (long)(sleep_ms % 1000) * 1000000};
    if (sleep_ms > 0)
        nanosleep(&wait, NULL);
    for (uint64_t made = 0; made < garbage; made += 1 << 16)
        memset(nz_alloc(1 << 16), 1, 1 << 16);
}

// What follows the word, if the text begins with it.
static bool begins(nz_str text, const char *word, nz_str *rest) {
    size_t len = strlen(word);
    if (text.len < len || memcmp(text.ptr, word, len) != 0 || (text.len > len && text.ptr[len] != ' '))
        return false;
    size_t skipped = text.len > len ? len + 1 : len;
    *rest = (nz_str){text.ptr + skipped, text.len - skipped};
    return true;
}

static nz_method method_of(const nz_batch *batch, size_t i) {
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    nz_str name, rest;
    for (nz_method method = NZ_GET; nz_event_attribute(batch, i, "method", &name) && method <= NZ_DELETE; method++) {
        if (begins(name, names[method], &rest))
            return method;
    }
    return NZ_POST;
}

static void add_request(const nz_batch *batch, size_t i, nz_shaped *shaped) {
    nz_str data = nz_event_data(batch, i), id = nz_event_id(batch, i), key = nz_text("none"), endpoint, rest;
    nz_str target = nz_format("%.*s?at=%llu", (int)id.len, (const char *)id.ptr,
                              (unsigned long long)nz_event_timestamp_ms(batch, i));
    nz_request *request = nz_add_request(shaped, method_of(batch, i), target);
    nz_event_key(batch, i, &key);
    nz_header(&request->headers, "x-key", key);
    if (nz_event_attribute(batch, i, "endpoint", &endpoint))
        nz_request_endpoint(request, endpoint);
    if (begins(data, "bytes", &rest)) {
        nz_buffer body = {0};
        nz_add_text(&body, "<");
        nz_add_str(&body, data);
        nz_request_body(request, body);
    } else if (begins(data, "joined", &rest)) {
        nz_request_joined(request, "[", ",", "]");
    }
    nz_request_event(request, (uint32_t)i);
}

bool nozzle_shape(const nz_batch *batch, nz_shaped *shaped, nz_str *error) {
    work();
    nz_header(&shaped->headers, "x-all", nz_text("1"));
    for (size_t i = 0; i < batch->events.len; i++) {
        nz_str data = nz_event_data(batch, i), rest;
        if (begins(data, "drop", &rest)) {
            nz_drop(shaped, (uint32_t)i);
        } else if (begins(data, "reject", &rest)) {
            nz_reject(shaped, (uint32_t)i, rest);
        } else if (begins(data, "error", &rest)) {
            *error = rest;
            return false;
        } else if (begins(data, "panic", &rest)) {
            fprintf(stderr, "%.*s\n", (int)rest.len, (const char *)rest.ptr);
            __builtin_trap();
        } else if (begins(data, "join", &rest)) {
            nz_request_event(&shaped->requests.ptr[shaped->requests.len - 1], (uint32_t)i);
        } else {
            add_request(batch, i, shaped);
        }
    }
    return true;
}

static nz_str describe(const nz_response *response) {
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    static const char *const bodies[] = {"empty", "bytes", "joined"};
    nz_request request = nz_call_request();
    nz_str endpoint = request.endpoint.is_some ? request.endpoint.val : nz_text("-");
    const nozzle_plugin_types_header_t *header = &request.headers.ptr[0];
    return nz_format("%s %.*s %.*s %.*s=%.*s %s %u%s", methods[request.method], (int)endpoint.len, (const char *)endpoint.ptr,
                     (int)request.target.len, (const char *)request.target.ptr, (int)header->f0.len,
                     (const char *)header->f0.ptr, (int)header->f1.len, (const char *)header->f1.ptr,
                     bodies[request.body.tag], (unsigned)nz_call_attempt(), response->truncated ? " truncated" : "");
}

static void decide(const nz_response *response, nz_handled *handled, uint32_t events) {
    nz_str wish = nz_text(""), rest, body = {response->body.ptr, response->body.len};
    for (size_t i = 0; i < response->headers.len; i++) {
        if (begins(response->headers.ptr[i].f0, "x-verdict", &rest))
            wish = response->headers.ptr[i].f1;
    }
    if (begins(wish, "delivered", &rest)) {
        nz_delivered(handled);
    } else if (begins(wish, "retry", &rest)) {
        nz_retry(handled);
    } else if (begins(wish, "retry-500", &rest)) {
        nz_retry_after(handled, 500);
    } else if (begins(wish, "reject", &rest)) {
        nz_reject_all(handled, body);
    } else if (begins(wish, "each", &rest)) {
        nz_event_verdict *verdicts = nz_each(handled, events);
        for (uint32_t i = 0; i < events; i++)
            verdicts[i] = i % 3 == 0 ? nz_event_delivered() : i % 3 == 1 ? nz_event_retry() : nz_event_reject(body);
    }
}

static void expect(bool is_so) {
    if (!is_so)
        __builtin_trap();
}

void nozzle_handle(const nz_response *response, const nz_failure *failure, nz_handled *handled) {
    work();
    if (failure != NULL) {
        static const char *const kinds[] = {"timeout", "connect", "tls", "protocol"};
        nz_buffer text = {0};
        nz_add_text(&text, kinds[failure->tag]);
        if (failure->tag != NOZZLE_PLUGIN_TYPES_FAILURE_TIMEOUT) {
            nz_add_text(&text, ": ");
            nz_add_str(&text, failure->val.connect);
        }
        nz_emit(handled, text.ptr, text.len);
        return;
    }
    uint32_t count = nz_call_event_count();
    decide(response, handled, count);
    nz_str about = describe(response);
    nz_batch events = nz_call_events();
    nz_event event;
    for (uint32_t i = 0; i < count; i++) {
        nz_str data = nz_event_data(&events, i);
        expect(nz_call_event(i, &event) && event.data.len == data.len && memcmp(event.data.ptr, data.ptr, data.len) == 0);
        nz_emission *result = nz_emit(handled, event.data.ptr, event.data.len);
        if (event.key.is_some)
            nz_emission_key(result, event.key.val);
        for (size_t at = 0; at < event.attributes.len; at++)
            nz_emission_attribute(result, event.attributes.ptr[at].f0, event.attributes.ptr[at].f1);
        nz_emission_attribute(result, nz_text("about"), about);
    }
    expect(!nz_call_event(count, &event));
    nz_count("handled", count);
    nz_log(NZ_DEBUG, "handled", &(nz_field){nz_text("events"), nz_format("%u", (unsigned)count)}, 1);
}
