#include "nozzle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "list.h"

// The bindings' own are weak. These pass what the host writes, and take back what it has read, by the call.
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    if (size == 0)
        return (void *)align;
    void *start = nz_alloc(size);
    if (old_size > 0)
        memcpy(start, old, old_size < size ? old_size : size);
    return start;
}

__attribute__((export_name("cabi_post_nozzle:plugin/shaping@0.1.0#configure"))) void
__wasm_export_exports_nozzle_plugin_shaping_configure_post_return(uint8_t *answer) {
    (void)answer;
    nz_release();
}

__attribute__((export_name("cabi_post_nozzle:plugin/shaping@0.1.0#shape"))) void
__wasm_export_exports_nozzle_plugin_shaping_shape_post_return(uint8_t *answer) {
    (void)answer;
    nz_release();
}

bool exports_nozzle_plugin_shaping_configure(plugin_string_t *config, plugin_string_t *error) {
    *error = nz_text("");
    return nozzle_configure(*config, error);
}

bool exports_nozzle_plugin_shaping_shape(nz_batch *batch, nz_shaped *shaped, plugin_string_t *error) {
    memset(shaped, 0, sizeof *shaped);
    *error = nz_text("");
    return nozzle_shape(batch, shaped, error);
}

// The build embeds the world's type in place of the bindings' object file.
void __component_type_object_force_link_plugin(void) {}

nz_str nz_text(const char *text) {
    return (nz_str){(uint8_t *)text, strlen(text)};
}

nz_str nz_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (len < 0)
        return nz_text("");
    char *text = nz_alloc((size_t)len + 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)len + 1, format, arguments);
    va_end(arguments);
    return (nz_str){(uint8_t *)text, (size_t)len};
}

void nz_add(nz_buffer *to, const void *bytes, size_t len) {
    if (to->room - to->len < len) {
        size_t room = to->room * 2 > to->len + len ? to->room * 2 : to->len + len + 256;
        uint8_t *grown = nz_alloc(room);
        if (to->len > 0)
            memcpy(grown, to->ptr, to->len);
        to->ptr = grown;
        to->room = room;
    }
    if (len > 0)
        memcpy(to->ptr + to->len, bytes, len);
    to->len += len;
}

void nz_add_str(nz_buffer *to, nz_str text) {
    nz_add(to, text.ptr, text.len);
}

void nz_add_text(nz_buffer *to, const char *text) {
    nz_add(to, text, strlen(text));
}

void nz_add_json(nz_buffer *to, nz_str text) {
    static const char named[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    size_t written = 0;
    nz_add(to, "\"", 1);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.ptr[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        nz_add(to, text.ptr + written, i - written);
        written = i + 1;
        const char *name = memchr(named, byte, sizeof named - 1);
        char escape[7];
        int len = name != NULL ? snprintf(escape, sizeof escape, "\\%c", names[name - named])
                               : snprintf(escape, sizeof escape, "\\u%04x", byte);
        nz_add(to, escape, (size_t)len);
    }
    nz_add(to, text.ptr + written, text.len - written);
    nz_add(to, "\"", 1);
}

static nz_str slice(const nz_batch *batch, nozzle_plugin_types_span_t span) {
    if (span.start > batch->bytes.len || span.len > batch->bytes.len - span.start)
        return (nz_str){NULL, 0};
    return (nz_str){batch->bytes.ptr + span.start, span.len};
}

nz_str nz_event_id(const nz_batch *batch, size_t index) {
    return slice(batch, batch->events.ptr[index].id);
}

bool nz_event_key(const nz_batch *batch, size_t index, nz_str *key) {
    if (!batch->events.ptr[index].key.is_some)
        return false;
    *key = slice(batch, batch->events.ptr[index].key.val);
    return true;
}

nz_str nz_event_data(const nz_batch *batch, size_t index) {
    return slice(batch, batch->events.ptr[index].data);
}

uint64_t nz_event_timestamp_ms(const nz_batch *batch, size_t index) {
    return batch->events.ptr[index].timestamp_ms;
}

bool nz_event_attribute(const nz_batch *batch, size_t index, const char *name, nz_str *value) {
    const nozzle_plugin_types_event_meta_t *event = &batch->events.ptr[index];
    for (size_t i = 0; i < event->attribute_count && event->first_attribute + i < batch->attributes.len; i++) {
        const nozzle_plugin_types_attribute_meta_t *attribute = &batch->attributes.ptr[event->first_attribute + i];
        nz_str found = slice(batch, attribute->name);
        if (found.len == strlen(name) && memcmp(found.ptr, name, found.len) == 0) {
            *value = slice(batch, attribute->value);
            return true;
        }
    }
    return false;
}

void nz_header(nz_headers *headers, const char *name, nz_str value) {
    APPEND(headers, (nozzle_plugin_types_header_t){nz_text(name), value});
}

nz_request *nz_add_request(nz_shaped *shaped, nz_method method, nz_str target) {
    APPEND(&shaped->requests, (nz_request){.method = (nozzle_plugin_types_method_t)method, .target = target});
    return &shaped->requests.ptr[shaped->requests.len - 1];
}

void nz_request_endpoint(nz_request *request, nz_str name) {
    request->endpoint = (plugin_option_string_t){true, name};
}

void nz_request_event(nz_request *request, uint32_t index) {
    APPEND(&request->events, index);
}

void nz_request_body(nz_request *request, nz_buffer body) {
    request->body.tag = NOZZLE_PLUGIN_TYPES_BODY_BYTES;
    request->body.val.bytes = (plugin_list_u8_t){body.ptr, body.len};
}

static plugin_list_u8_t bytes_of(const char *text) {
    return (plugin_list_u8_t){(uint8_t *)text, strlen(text)};
}

void nz_request_joined(nz_request *request, const char *prefix, const char *separator, const char *suffix) {
    request->body.tag = NOZZLE_PLUGIN_TYPES_BODY_JOINED;
    request->body.val.joined =
        (nozzle_plugin_types_joined_t){bytes_of(prefix), bytes_of(separator), bytes_of(suffix)};
}

void nz_drop(nz_shaped *shaped, uint32_t index) {
    APPEND(&shaped->drop, index);
}

void nz_reject(nz_shaped *shaped, uint32_t index, nz_str reason) {
    APPEND(&shaped->reject, (nozzle_plugin_types_rejection_t){index, reason});
}

void nz_log(nz_level level, const char *message, const nz_field *fields, size_t count) {
    nz_str text = nz_text(message);
    plugin_list_tuple2_string_string_t list = {(nz_field *)fields, count};
    nozzle_plugin_host_log((nozzle_plugin_host_level_t)level, &text, &list);
}

void nz_count(const char *name, uint64_t by) {
    nz_str text = nz_text(name);
    nozzle_plugin_host_count(&text, by);
}
