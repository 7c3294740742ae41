#include <string.h>

#include "bulk.h"

// The line up to the values from the record: `{"index":{"_index":"weather"`.
static nz_str head;
// Whether `head` ends in an object without keys.
static bool is_bare;
// The names of the id and of the key, as JSON with a colon; empty where they are left out.
static nz_str id_name, key_name;

static nz_str keep(nz_buffer text) {
    return (nz_str){nz_keep(text.ptr, text.len), text.len};
}

static bool same(nz_str one, nz_str other) {
    return one.len == other.len && memcmp(one.ptr, other.ptr, one.len) == 0;
}

static nz_str member_name(nz_str field) {
    nz_buffer name = {0};
    if (field.len == 0)
        return nz_text("");
    nz_add_json(&name, field);
    nz_add_text(&name, ":");
    return keep(name);
}

bool bulk_prepare_action(const bulk_settings *settings, nz_str *error) {
    if (settings->action.len == 0) {
        *error = nz_text("`action` is empty");
        return false;
    }
    if (settings->action_fields.type != NZ_OBJECT) {
        *error = nz_text("`action-fields` are not keys and values");
        return false;
    }
    nz_buffer line = {0};
    nz_add_text(&line, "{");
    nz_add_json(&line, settings->action);
    nz_add_text(&line, ":{");
    is_bare = true;
    nz_json at = nz_json_first(&settings->action_fields), key, value;
    while (nz_json_next(&at, &key, &value)) {
        nz_str name;
        name.ptr = (uint8_t *)nz_json_text(&key, &name.len);
        if (same(name, settings->id_field) || same(name, settings->key_field)) {
            *error = nz_format("`%.*s` stands twice in the action", (int)name.len, (const char *)name.ptr);
            return false;
        }
        if (!is_bare)
            nz_add_text(&line, ",");
        is_bare = false;
        nz_add(&line, key.start, key.len);
        nz_add_text(&line, ":");
        nz_add(&line, value.start, value.len);
    }
    if (settings->id_field.len > 0 && same(settings->id_field, settings->key_field)) {
        *error = nz_format("`%.*s` stands for the id and for the key", (int)settings->id_field.len,
                           (const char *)settings->id_field.ptr);
        return false;
    }
    head = keep(line);
    id_name = member_name(settings->id_field);
    key_name = member_name(settings->key_field);
    return true;
}

void bulk_add_action(nz_buffer *body, const nz_batch *batch, size_t index) {
    bool is_first = is_bare;
    nz_add_str(body, head);
    if (id_name.len > 0) {
        nz_add_text(body, is_first ? "" : ",");
        nz_add_str(body, id_name);
        nz_add_json(body, nz_event_id(batch, index));
        is_first = false;
    }
    nz_str key;
    if (key_name.len > 0 && nz_event_key(batch, index, &key)) {
        nz_add_text(body, is_first ? "" : ",");
        nz_add_str(body, key_name);
        nz_add_json(body, key);
    }
    nz_add_text(body, "}}\n");
}

// JSON has no line ends inside strings: leaving them out changes nothing.
void bulk_add_record(nz_buffer *body, nz_str record) {
    size_t written = 0;
    for (size_t i = 0; i < record.len; i++) {
        if (record.ptr[i] == '\n' || record.ptr[i] == '\r') {
            nz_add(body, record.ptr + written, i - written);
            written = i + 1;
        }
    }
    nz_add(body, record.ptr + written, record.len - written);
    nz_add_text(body, "\n");
}
