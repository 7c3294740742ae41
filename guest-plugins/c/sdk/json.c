#include "json.h"

#include <string.h>

#include "arena.h"

enum { DEEPEST = 128 };

struct reader {
    const uint8_t *at, *end;
};

static void skip_space(struct reader *in) {
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
        in->at++;
}

static bool take(struct reader *in, uint8_t byte) {
    if (in->at == in->end || *in->at != byte)
        return false;
    in->at++;
    return true;
}

static bool take_word(struct reader *in, const char *word) {
    size_t len = strlen(word);
    if ((size_t)(in->end - in->at) < len || memcmp(in->at, word, len) != 0)
        return false;
    in->at += len;
    return true;
}

static bool take_digits(struct reader *in) {
    const uint8_t *start = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
        in->at++;
    return in->at > start;
}

static bool take_number(struct reader *in) {
    take(in, '-');
    if (!take(in, '0') && !take_digits(in))
        return false;
    if (take(in, '.') && !take_digits(in))
        return false;
    if (take(in, 'e') || take(in, 'E')) {
        if (!take(in, '+'))
            take(in, '-');
        return take_digits(in);
    }
    return true;
}

static int hex_digit(uint8_t byte) {
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

// Four hexadecimal digits, -1 if there are none.
static int32_t take_hex(struct reader *in) {
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = in->at < in->end ? hex_digit(*in->at) : -1;
        if (digit < 0)
            return -1;
        in->at++;
        value = value << 4 | digit;
    }
    return value;
}

// One character of more than one byte, as RFC 3629 has it: no longer than it need be, no surrogates, up to U+10FFFF.
static bool take_wide(struct reader *in) {
    uint8_t first = *in->at++;
    size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || (size_t)(in->end - in->at) < more)
        return false;
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (*in->at < low || *in->at > high)
        return false;
    for (size_t i = 1; i < more; i++) {
        if (in->at[i] < 0x80 || in->at[i] > 0xbf)
            return false;
    }
    in->at += more;
    return true;
}

static bool take_string(struct reader *in) {
    if (!take(in, '"'))
        return false;
    while (in->at < in->end) {
        uint8_t byte = *in->at;
        if (byte >= 0x80) {
            if (!take_wide(in))
                return false;
            continue;
        }
        in->at++;
        if (byte == '"')
            return true;
        if (byte < 0x20)
            return false;
        if (byte != '\\')
            continue;
        if (in->at == in->end)
            return false;
        byte = *in->at++;
        if (byte == 'u' ? take_hex(in) < 0 : memchr("\"\\/bfnrt", byte, 8) == NULL)
            return false;
    }
    return false;
}

static bool take_value(struct reader *in, int depth);

static bool take_list(struct reader *in, uint8_t last, bool keys, int depth) {
    if (depth == DEEPEST)
        return false;
    in->at++;
    skip_space(in);
    if (take(in, last))
        return true;
    do {
        skip_space(in);
        if (keys) {
            if (!take_string(in))
                return false;
            skip_space(in);
            if (!take(in, ':'))
                return false;
            skip_space(in);
        }
        if (!take_value(in, depth + 1))
            return false;
        skip_space(in);
    } while (take(in, ','));
    return take(in, last);
}

static bool take_value(struct reader *in, int depth) {
    if (in->at == in->end)
        return false;
    switch (*in->at) {
    case '{':
        return take_list(in, '}', true, depth);
    case '[':
        return take_list(in, ']', false, depth);
    case '"':
        return take_string(in);
    case 't':
        return take_word(in, "true");
    case 'f':
        return take_word(in, "false");
    case 'n':
        return take_word(in, "null");
    default:
        return take_number(in);
    }
}

static nz_json value_of(const uint8_t *start, const uint8_t *end) {
    nz_json value = {NZ_NUMBER, start, (size_t)(end - start)};
    switch (*start) {
    case '{':
        value.type = NZ_OBJECT;
        break;
    case '[':
        value.type = NZ_ARRAY;
        break;
    case '"':
        value.type = NZ_STRING;
        break;
    case 't':
    case 'f':
        value.type = NZ_BOOL;
        break;
    case 'n':
        value.type = NZ_NULL;
        break;
    }
    return value;
}

bool nz_json_parse(const void *text, size_t len, nz_json *value) {
    struct reader in = {text, (const uint8_t *)text + len};
    skip_space(&in);
    const uint8_t *start = in.at;
    if (!take_value(&in, 0))
        return false;
    const uint8_t *end = in.at;
    skip_space(&in);
    if (in.at != in.end)
        return false;
    if (value != NULL)
        *value = value_of(start, end);
    return true;
}

nz_json nz_json_first(const nz_json *list) {
    nz_json at = *list;
    if (at.type != NZ_ARRAY && at.type != NZ_OBJECT)
        at.len = 0;
    if (at.len > 0)
        at.start++, at.len -= 2;
    return at;
}

// The text was checked when it was parsed: here it is only walked through.
bool nz_json_next(nz_json *at, nz_json *key, nz_json *value) {
    struct reader in = {at->start, at->start + at->len};
    skip_space(&in);
    take(&in, ',');
    skip_space(&in);
    if (in.at == in.end)
        return false;
    if (key != NULL)
        *key = (nz_json){NZ_NULL, in.at, 0};
    if (at->type == NZ_OBJECT) {
        const uint8_t *start = in.at;
        take_string(&in);
        if (key != NULL)
            *key = value_of(start, in.at);
        skip_space(&in);
        take(&in, ':');
        skip_space(&in);
    }
    const uint8_t *start = in.at;
    take_value(&in, 0);
    *value = value_of(start, in.at);
    at->start = in.at;
    at->len = (size_t)(in.end - in.at);
    return true;
}

bool nz_json_get(const nz_json *object, const char *key, nz_json *value) {
    if (object->type != NZ_OBJECT)
        return false;
    nz_json at = nz_json_first(object), name, found;
    bool is_there = false;
    while (nz_json_next(&at, &name, &found)) {
        if (nz_json_is(&name, key)) {
            *value = found;
            is_there = true;
        }
    }
    return is_there;
}

static uint8_t *put_utf8(uint8_t *out, uint32_t character) {
    if (character < 0x80) {
        *out++ = (uint8_t)character;
    } else if (character < 0x800) {
        *out++ = (uint8_t)(0xc0 | character >> 6);
        *out++ = (uint8_t)(0x80 | (character & 0x3f));
    } else if (character < 0x10000) {
        *out++ = (uint8_t)(0xe0 | character >> 12);
        *out++ = (uint8_t)(0x80 | (character >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (character & 0x3f));
    } else {
        *out++ = (uint8_t)(0xf0 | character >> 18);
        *out++ = (uint8_t)(0x80 | (character >> 12 & 0x3f));
        *out++ = (uint8_t)(0x80 | (character >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (character & 0x3f));
    }
    return out;
}

// What follows `\u`.
static uint32_t take_escaped(struct reader *in) {
    uint32_t character = (uint32_t)take_hex(in);
    if (character < 0xd800 || character > 0xdfff)
        return character;
    struct reader ahead = *in;
    if (character < 0xdc00 && take_word(&ahead, "\\u")) {
        uint32_t second = (uint32_t)take_hex(&ahead);
        if (second >= 0xdc00 && second <= 0xdfff) {
            *in = ahead;
            return 0x10000 + ((character - 0xd800) << 10) + (second - 0xdc00);
        }
    }
    return 0xfffd;
}

const uint8_t *nz_json_text(const nz_json *string, size_t *len) {
    if (string->type != NZ_STRING) {
        *len = 0;
        return NULL;
    }
    struct reader in = {string->start + 1, string->start + string->len - 1};
    // No escape is shorter than its character.
    uint8_t *text = nz_alloc(string->len), *out = text;
    while (in.at < in.end) {
        uint8_t byte = *in.at++;
        if (byte != '\\') {
            *out++ = byte;
            continue;
        }
        byte = *in.at++;
        if (byte == 'u') {
            out = put_utf8(out, take_escaped(&in));
        } else {
            static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
            *out++ = (uint8_t)meant[(const char *)memchr(names, byte, 8) - names];
        }
    }
    *len = (size_t)(out - text);
    return text;
}

bool nz_json_is(const nz_json *value, const char *text) {
    if (value->type != NZ_STRING)
        return false;
    size_t len = strlen(text);
    if (memchr(value->start, '\\', value->len) == NULL)
        return value->len - 2 == len && memcmp(value->start + 1, text, len) == 0;
    size_t found_len;
    const uint8_t *found = nz_json_text(value, &found_len);
    return found_len == len && memcmp(found, text, len) == 0;
}

bool nz_json_uint(const nz_json *number, uint64_t max, uint64_t *value) {
    if (number->type != NZ_NUMBER)
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < number->len; i++) {
        if (number->start[i] < '0' || number->start[i] > '9')
            return false;
        uint64_t digit = number->start[i] - '0';
        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    if (sum > max)
        return false;
    *value = sum;
    return true;
}
