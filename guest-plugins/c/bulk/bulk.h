// What the parts of the plugin share.
#ifndef BULK_H
#define BULK_H

#include "nozzle.h"

// `plugin.config`.
typedef struct {
    nz_str target;         // Resolved against the endpoint's URL.
    nz_str action;         // The operation of the action line.
    nz_json action_fields; // Further keys of the action, such as `_index`.
    nz_str id_field;       // The action's key for the event's id, so that an item sent twice is stored once; "" for none.
    nz_str key_field;      // The action's key for the event's key, such as `routing`; "" for none.
    nz_json delivered;     // Item statuses that mean that the item is there already.
} bulk_settings;

// Prepares what is the same for every action line. False if the settings make none, with an error.
bool bulk_prepare_action(const bulk_settings *settings, nz_str *error);

// Adds the action line of one event, with its end.
void bulk_add_action(nz_buffer *body, const nz_batch *batch, size_t index);

// Adds JSON on one line, with its end.
void bulk_add_record(nz_buffer *body, nz_str record);

// Writes a verdict for each item of a response. False if it is no bulk response for so many events, with an error.
bool bulk_verdicts(const bulk_settings *settings, const void *body, size_t len, nz_event_verdict *verdicts, size_t events,
                   nz_str *error);

#endif
