#include "bulk.h"

enum { LONGEST = 200 };

// The first so many characters of text in UTF-8.
static nz_str cut(nz_str text, size_t most) {
    size_t characters = 0, len = 0;
    while (len < text.len && (characters += (text.ptr[len] & 0xc0) != 0x80) <= most)
        len++;
    return (nz_str){text.ptr, len};
}

static nz_str reason(uint64_t status, const nz_json *item) {
    nz_json error, described;
    if (!nz_json_get(item, "error", &error))
        return nz_format("item status %u", (unsigned)status);
    if (nz_json_get(&error, "reason", &described) && described.type == NZ_STRING)
        error = described;
    nz_str text = {(uint8_t *)error.start, error.len};
    if (error.type == NZ_STRING)
        text.ptr = (uint8_t *)nz_json_text(&error, &text.len);
    text = cut(text, LONGEST);
    return nz_format("item status %u: %.*s", (unsigned)status, (int)text.len, (const char *)text.ptr);
}

// `{"status": …}` itself, or Elasticsearch's `{"index": {"status": …}}`, whose value is meant.
static bool find_status(const nz_json *item, nz_json *found, nz_json *status) {
    *found = *item;
    if (nz_json_get(item, "status", status))
        return true;
    nz_json at = nz_json_first(item);
    while (nz_json_next(&at, NULL, found)) {
        if (nz_json_get(found, "status", status))
            return true;
    }
    return false;
}

static bool is_there_already(const bulk_settings *settings, uint64_t status) {
    nz_json at = nz_json_first(&settings->delivered), listed;
    uint64_t number;
    while (nz_json_next(&at, NULL, &listed)) {
        if (nz_json_uint(&listed, 999, &number) && number == status)
            return true;
    }
    return false;
}

static bool judge(const bulk_settings *settings, const nz_json *item, nz_event_verdict *verdict, nz_str *error) {
    nz_json found, written;
    uint64_t status;
    if (!find_status(item, &found, &written) || !nz_json_uint(&written, 599, &status)) {
        *error = nz_text("an item without a status");
        return false;
    }
    if ((status >= 200 && status <= 299) || is_there_already(settings, status)) {
        *verdict = nz_event_delivered();
    } else if (status == 408 || status == 425 || status == 429 || status >= 500) {
        *verdict = nz_event_retry();
    } else if (status >= 400) {
        *verdict = nz_event_reject(reason(status, &found));
    } else {
        *error = nz_format("an item of status %u", (unsigned)status);
        return false;
    }
    return true;
}

bool bulk_verdicts(const bulk_settings *settings, const void *body, size_t len, nz_event_verdict *verdicts, size_t events,
                   nz_str *error) {
    nz_json answer, items, item;
    if (!nz_json_parse(body, len, &answer) || !nz_json_get(&answer, "items", &items) || items.type != NZ_ARRAY) {
        *error = nz_text("it is no JSON with a list of `items`");
        return false;
    }
    size_t count = 0;
    nz_json at = nz_json_first(&items);
    while (nz_json_next(&at, NULL, &item)) {
        if (count < events && !judge(settings, &item, &verdicts[count], error))
            return false;
        count++;
    }
    if (count != events) {
        *error = nz_format("%zu items for %zu events", count, events);
        return false;
    }
    return true;
}
