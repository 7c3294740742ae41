// Tests of the reader of JSON, natively.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "json.h"

static int failures;

static void check(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "fails: %s\n", what);
        failures++;
    }
}

static bool parses(const char *text) {
    // In memory of its own size, so that a read past the end is found.
    size_t len = strlen(text);
    char *exact = malloc(len + (len == 0));
    memcpy(exact, text, len);
    bool does = nz_json_parse(exact, len, NULL);
    free(exact);
    return does;
}

static void json_is_taken_and_what_is_none_is_not(void) {
    static const char *const good[] = {
        "0", "-0", "-0.0", "1e999", "1E+2", "1e-2", "12.50", "true", "false", "null", " null \r\n\t", "\"\"", "[]", "{}", "[ ]", "{ }",
        "[1,[2,{\"a\":[]}],\"x\"]", "{\"a\":1,\"a\":2}", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\"", "\"\x7f\"", "\"\xc3\xa9\"",
        "\"\xe2\x82\xac\"", "\"\xf0\x9f\x98\x80\"", "\"\xf4\x8f\xbf\xbf\"", "\"\xed\x9f\xbf\"", "\"\xee\x80\x80\"",
    };
    static const char *const bad[] = {
        "", " ", "{", "[", "\"", "\"\\", "\"\\u12", "\"\\u12g4\"", "\"\\x\"", "01", "-", "-a", "+1", "1.", ".5", "1.e2", "1e", "1e+", "0x1",
        "nul", "nulL", "nullx", "true false", "{} {}", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}", "'a'",
        "NaN", "Infinity", "// x\n1", "\"a\nb\"", "\"\x01\"", "[1}", "{\"a\":1]", "]", "\xef\xbb\xbf{}", "\"\xff\"", "\"\x80\"", "\"\xc0\x80\"",
        "\"\xc1\xbf\"", "\"\xc3\"", "\"\xe0\x80\x80\"", "\"\xe0\x9f\xbf\"", "\"\xed\xa0\x80\"", "\"\xe2\x82\"", "\"\xf0\x8f\xbf\xbf\"",
        "\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xf0\x9f\x98\"", "\"\xe2\x28\xa1\"", "\xc3\xa9",
    };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        check(parses(good[i]), good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check(!parses(bad[i]), bad[i]);
}

static void nesting_has_an_end(void) {
    char text[2 * 129 + 1] = {0};
    memset(text, '[', 128);
    memset(text + 128, ']', 128);
    check(parses(text), "128 lists");

    memset(text, '[', 129);
    memset(text + 129, ']', 129);
    check(!nz_json_parse(text, 2 * 129, NULL), "129 lists");
}

static void every_cut_of_a_document_is_refused(void) {
    static const char document[] = "{\"a\":[1.5e3,\"\\u00e9\\n\xe2\x82\xac\",null],\"b\":{\"c\":true}}";

    for (size_t len = 0; len < sizeof document - 1; len++) {
        char *cut = malloc(len + 1);
        memcpy(cut, document, len);
        cut[len] = 0;
        check(!parses(cut), cut);
        free(cut);
    }
}

static void members_are_found_in_their_order(void) {
    static const char document[] = " { \"a\" : 1 , \"b\" : [ 10 , \"x\" , { } ] , \"\\u0061\" : \"last\" } ";
    nz_json object, key, value, at;

    check(nz_json_parse(document, sizeof document - 1, &object) && object.type == NZ_OBJECT, "an object");

    size_t members = 0;
    at = nz_json_first(&object);
    while (nz_json_next(&at, &key, &value))
        members++;
    check(members == 3, "three members");
    check(nz_json_get(&object, "a", &value) && nz_json_is(&value, "last"), "the last of two that have the same key");
    check(!nz_json_get(&object, "c", &value), "a key that is not there");
    uint64_t number = 0, items = 0;
    check(nz_json_get(&object, "b", &value) && value.type == NZ_ARRAY, "a list");
    at = nz_json_first(&value);
    while (nz_json_next(&at, NULL, &value)) {
        if (items++ == 0)
            check(nz_json_uint(&value, 10, &number) && number == 10 && !nz_json_uint(&value, 9, &number), "a number and its limit");
    }
    check(items == 3, "three items");
    at = nz_json_first(&value);
    check(!nz_json_next(&at, NULL, &key), "an empty object has no members");
}

static void text_is_read_without_its_escapes(void) {
    static const char document[] = "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00e9\\u20ac\\ud83d\\ude00\\ud83d\\ude0\"";
    static const char pairs[] = "\"\\ud83d\\ude00 \\ud83d \\ude00 \\ud83d\\u0041\"";
    nz_json value;
    size_t len;

    check(!nz_json_parse(document, sizeof document - 1, &value), "a half escape");
    check(nz_json_parse(pairs, sizeof pairs - 1, &value), "pairs");
    const uint8_t *text = nz_json_text(&value, &len);

    static const char expected[] = "\xf0\x9f\x98\x80 \xef\xbf\xbd \xef\xbf\xbd \xef\xbf\xbd" "A";
    check(len == sizeof expected - 1 && memcmp(text, expected, len) == 0, "surrogates");

    static const char named[] = "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00e9\\u20ac\"";
    static const char meant[] = "\"\\/\b\f\n\r\t\0\xc3\xa9\xe2\x82\xac";
    check(nz_json_parse(named, sizeof named - 1, &value), "named");
    text = nz_json_text(&value, &len);
    check(len == sizeof meant - 1 && memcmp(text, meant, len) == 0, "escapes");
}

static void numbers_have_no_sign_and_no_end(void) {
    static const struct {
        const char *text;
        bool fits;
    } table[] = {{"18446744073709551615", true}, {"18446744073709551616", false}, {"-1", false}, {"1.0", false}, {"1e2", false}, {"\"1\"", false}, {"0", true}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        nz_json value;
        uint64_t number;
        bool fits = nz_json_parse(table[i].text, strlen(table[i].text), &value) && nz_json_uint(&value, UINT64_MAX, &number);
        check(fits == table[i].fits, table[i].text);
    }
}

static void memory_is_given_back(void) {
    for (int call = 0; call < 2000; call++) {
        for (int i = 0; i < 50; i++)
            memset(nz_alloc(40000), call, 40000);
        nz_release();
    }
    uint8_t *one = nz_alloc(3), *other = nz_alloc(0), *third = nz_alloc(1);
    check((uintptr_t)one % 16 == 0 && (uintptr_t)third % 16 == 0 && other != NULL && third > one, "aligned");
    nz_release();
}

int main(void) {
    json_is_taken_and_what_is_none_is_not();
    nesting_has_an_end();
    every_cut_of_a_document_is_refused();
    members_are_found_in_their_order();
    text_is_read_without_its_escapes();
    numbers_have_no_sign_and_no_end();
    memory_is_given_back();
    nz_release();
    if (failures > 0)
        return 1;
    puts("the reader of JSON does what it should");
    return 0;
}
