// For plugins of Nozzle, which turn batches of records into HTTP requests. A plugin defines `nozzle_configure` and
// `nozzle_shape`; one that judges responses itself defines `nozzle_handle` too.
//
// What the host passes, and what nz_alloc and the functions here return, lives until the call ends: nothing is freed by
// hand. What `nozzle_configure` remembers must outlive it: settings that nz_settings has read do, for others there is nz_keep.
#ifndef NOZZLE_H
#define NOZZLE_H

#include "arena.h"
#include "json.h"
#include "plugin.h"

// Text in UTF-8, without a zero at its end.
typedef plugin_string_t nz_str;
// Events in the order of their ingress; an event's index is its place here. There is at least one.
typedef nozzle_plugin_types_batch_t nz_batch;
typedef nozzle_plugin_types_list_header_t nz_headers;
typedef nozzle_plugin_types_request_t nz_request;
// The answer to a batch. Every index stands in exactly one place: in one request, dropped, or rejected.
typedef nozzle_plugin_types_shaped_t nz_shaped;

typedef enum { NZ_GET, NZ_HEAD, NZ_POST, NZ_PUT, NZ_PATCH, NZ_DELETE } nz_method;
typedef enum { NZ_TRACE, NZ_DEBUG, NZ_INFO, NZ_WARN, NZ_ERROR } nz_level;

// ---- What the plugin defines.

// Reads `plugin.config` (JSON; `null` without one), once, before anything else. False refuses the plugin, with `error`.
bool nozzle_configure(nz_str config, nz_str *error);

// Says what each event of the batch becomes; `shaped` is empty to begin with. False is for a batch that cannot be shaped
// at all: the host halves it until the record at fault stands alone. To refuse one record, reject it.
bool nozzle_shape(const nz_batch *batch, nz_shaped *shaped, nz_str *error);

// ---- Text and bytes.

// Text that the program holds, without a copy.
nz_str nz_text(const char *text);
// As printf; `%.*s` writes a nz_str: `nz_format("no %.*s", (int)id.len, id.ptr)`.
nz_str nz_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Bytes that grow: `nz_buffer body = {0}`.
typedef struct {
    uint8_t *ptr;
    size_t len, room;
} nz_buffer;

void nz_add(nz_buffer *to, const void *bytes, size_t len);
void nz_add_str(nz_buffer *to, nz_str text);
void nz_add_text(nz_buffer *to, const char *text);
// As a JSON string, with its quotes.
void nz_add_json(nz_buffer *to, nz_str text);

// ---- Settings.

typedef enum {
    NZ_SETTING_STRING,  // nz_str
    NZ_SETTING_BOOL,    // bool
    NZ_SETTING_NUMBER,  // uint64_t
    NZ_SETTING_JSON,    // nz_json: anything else
} nz_setting_type;

typedef struct {
    const char *name;
    nz_setting_type type;
    void *value;  // Holds the default, and is written over.
} nz_setting;

// Reads settings into their places. False for a key that is not there and a value of another type, with an error that
// names it.
bool nz_settings(nz_str config, const nz_setting *known, size_t count, nz_str *error);

// ---- Events.

nz_str nz_event_id(const nz_batch *batch, size_t index);
// False where the event has no key.
bool nz_event_key(const nz_batch *batch, size_t index, nz_str *key);
// Any bytes.
nz_str nz_event_data(const nz_batch *batch, size_t index);
uint64_t nz_event_timestamp_ms(const nz_batch *batch, size_t index);
// False where the event has no such attribute.
bool nz_event_attribute(const nz_batch *batch, size_t index, const char *name, nz_str *value);

// ---- Requests.

void nz_header(nz_headers *headers, const char *name, nz_str value);
// A request without a body and events. `target` is resolved against the endpoint's URL: "items" stands below its path,
// "/items" replaces it, "" is the URL itself. The pointer is good until the next request is added.
nz_request *nz_add_request(nz_shaped *shaped, nz_method method, nz_str target);
// Sends it to the endpoint that the sink grants under this name.
void nz_request_endpoint(nz_request *request, nz_str name);
void nz_request_event(nz_request *request, uint32_t index);
void nz_request_body(nz_request *request, nz_buffer body);
// The host writes the body from its own copy of the records: prefix, data, separator, data, …, suffix. The cheap body.
void nz_request_joined(nz_request *request, const char *prefix, const char *separator, const char *suffix);
// Filtered on purpose: done without a call, counted.
void nz_drop(nz_shaped *shaped, uint32_t index);
// Never deliverable: dead-lettered with the reason.
void nz_reject(nz_shaped *shaped, uint32_t index, nz_str reason);

// ---- Words to the operator.

typedef plugin_tuple2_string_string_t nz_field;

// A line in the host's log. `message` is best a constant, with what varies in fields.
void nz_log(nz_level level, const char *message, const nz_field *fields, size_t count);
// Adds to the counter nozzle_plugin_<name>_total.
void nz_count(const char *name, uint64_t by);

#ifdef NOZZLE_SINK
// ---- Responses, for plugins that define `nozzle_handle`.

typedef nozzle_plugin_types_response_t nz_response;
typedef nozzle_plugin_types_failure_t nz_failure;
typedef nozzle_plugin_types_event_verdict_t nz_event_verdict;
typedef nozzle_plugin_types_emission_t nz_emission;
typedef exports_nozzle_plugin_handling_handled_t nz_handled;
// One event of a call, taken out of its batch.
typedef nozzle_plugin_types_event_t nz_event;

// Says what an outcome means for the events of its call. There is a response, or a failure; the other one is NULL.
// `handled` leaves it to the sink's status policy to begin with.
void nozzle_handle(const nz_response *response, const nz_failure *failure, nz_handled *handled);

void nz_delivered(nz_handled *handled);
// Tries the call again.
void nz_retry(nz_handled *handled);
// The same; the wait is a wish, which the retry policy caps.
void nz_retry_after(nz_handled *handled, uint64_t milliseconds);
// Dead-letters every event of the call.
void nz_reject_all(nz_handled *handled, nz_str reason);
// One verdict for each event of the call, to be written; all are delivered to begin with.
nz_event_verdict *nz_each(nz_handled *handled, size_t events);
nz_event_verdict nz_event_delivered(void);
nz_event_verdict nz_event_retry(void);
nz_event_verdict nz_event_reject(nz_str reason);
// A record for the sink's result egress. The pointer is good until the next one is added.
nz_emission *nz_emit(nz_handled *handled, const void *data, size_t len);
void nz_emission_key(nz_emission *emission, nz_str key);
void nz_emission_attribute(nz_emission *emission, nz_str name, nz_str value);

// The call whose outcome is being handled; only what is asked for is copied from the host.
uint32_t nz_call_attempt(void);
uint32_t nz_call_event_count(void);
// By its place in the call; false past the end.
bool nz_call_event(uint32_t index, nz_event *event);
// All events of the call, in their order.
nz_batch nz_call_events(void);
// The request as `nozzle_shape` returned it.
nz_request nz_call_request(void);
#endif

#endif
