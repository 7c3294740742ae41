// Reads JSON in place (RFC 8259, strictly: one value, in UTF-8, at most 128 deep). Nothing is built: a value is the run of text
// that it stands in.
#ifndef NOZZLE_JSON_H
#define NOZZLE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { NZ_NULL, NZ_BOOL, NZ_NUMBER, NZ_STRING, NZ_ARRAY, NZ_OBJECT } nz_json_type;

typedef struct {
    nz_json_type type;
    const uint8_t *start;  // The value as it is written, without white space around it.
    size_t len;
} nz_json;

// Whether the text is one JSON value. `value` is only set if it is; it may be NULL.
bool nz_json_parse(const void *text, size_t len, nz_json *value);

// The members of an array or an object, one after another: `nz_json at = nz_json_first(&list)`, then
// `while (nz_json_next(&at, &key, &value))`. In an array the keys are of type NZ_NULL. `key` may be NULL.
nz_json nz_json_first(const nz_json *list);
bool nz_json_next(nz_json *at, nz_json *key, nz_json *value);

// The member of an object that has this key; the last one, if there are several.
bool nz_json_get(const nz_json *object, const char *key, nz_json *value);

// The text of a string, without its escapes, in memory of the call. One half of a surrogate pair becomes U+FFFD.
const uint8_t *nz_json_text(const nz_json *string, size_t *len);

// Whether it is a string of this text.
bool nz_json_is(const nz_json *value, const char *text);

// A number without sign, fraction and exponent, at most `max`.
bool nz_json_uint(const nz_json *number, uint64_t max, uint64_t *value);

#endif
