#include "nozzle.h"

#include <string.h>

static const char *type_name(nz_json_type type) {
    static const char *const names[] = {"null", "a boolean", "a number", "a string", "a list", "an object"};
    return names[type];
}

// Writes a value into its place; what was expected if it does not fit.
static const char *put(const nz_setting *setting, const nz_json *value) {
    switch (setting->type) {
    case NZ_SETTING_STRING: {
        if (value->type != NZ_STRING)
            return "a string";
        size_t len;
        const uint8_t *text = nz_json_text(value, &len);
        *(nz_str *)setting->value = (nz_str){nz_keep(text, len), len};
        return NULL;
    }
    case NZ_SETTING_BOOL:
        if (value->type != NZ_BOOL)
            return "a boolean";
        *(bool *)setting->value = value->start[0] == 't';
        return NULL;
    case NZ_SETTING_NUMBER:
        return nz_json_uint(value, UINT64_MAX, setting->value) ? NULL : "a number without sign and fraction";
    case NZ_SETTING_JSON:
        *(nz_json *)setting->value = (nz_json){value->type, nz_keep(value->start, value->len), value->len};
        return NULL;
    }
    return NULL;
}

static nz_str unknown(const nz_json *key, const nz_setting *known, size_t count) {
    nz_buffer text = {0};
    nz_add_text(&text, "unknown field `");
    nz_str name;
    name.ptr = (uint8_t *)nz_json_text(key, &name.len);
    nz_add_str(&text, name);
    nz_add_text(&text, count == 0 ? "`, there are no settings" : "`, expected `");
    for (size_t i = 0; i < count; i++) {
        nz_add_text(&text, known[i].name);
        nz_add_text(&text, i + 1 == count ? "`" : i + 2 == count ? "` or `" : "`, `");
    }
    return (nz_str){text.ptr, text.len};
}

bool nz_settings(nz_str config, const nz_setting *known, size_t count, nz_str *error) {
    nz_json settings, key, value;
    if (!nz_json_parse(config.ptr, config.len, &settings)) {
        *error = nz_text("the settings are no JSON");
        return false;
    }
    if (settings.type != NZ_OBJECT && settings.type != NZ_NULL) {
        *error = nz_format("the settings are %s, expected keys and values", type_name(settings.type));
        return false;
    }
    nz_json at = nz_json_first(&settings);
    while (nz_json_next(&at, &key, &value)) {
        size_t i = 0;
        while (i < count && !nz_json_is(&key, known[i].name))
            i++;
        if (i == count) {
            *error = unknown(&key, known, count);
            return false;
        }
        const char *expected = put(&known[i], &value);
        if (expected != NULL) {
            *error = nz_format("`%s` is %s, expected %s", known[i].name, type_name(value.type), expected);
            return false;
        }
    }
    return true;
}
