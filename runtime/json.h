/* JSON: read through json-c, as the only includer of its headers; written as text. Readers check: a
 * wrong type, a number with a fraction, an overflow or text after the value is an error, never a
 * guess. */
#ifndef KASSA_RUNTIME_JSON_H
#define KASSA_RUNTIME_JSON_H

#include <stdint.h>
#include "runtime/buf.h"

struct json; /* a json_object */

/* Errors: NULL for anything but one whole value (depth at most 16). Owns: json_free. */
struct json *json_parse(struct slice text);
void json_free(struct json *j); /* NULL is fine */

/* Borrowed from the parent. Errors: false when absent or of another type. */
bool json_get_text(const struct json *object, const char *key, struct slice *ret_text);
bool json_get_int(const struct json *object, const char *key, int64_t *ret_value);
const struct json *json_get_array(const struct json *object, const char *key);
size_t json_array_count(const struct json *array); /* 0 for what is none */
/* Errors: NULL behind its end, for what is no array, and for a JSON null. */
const struct json *json_array_at(const struct json *array, size_t i);

bool json_is_object(const struct json *value);
/* Calls `on_member` for each member of an object. Errors: the first non-zero it returned. */
typedef int json_on_member(void *ctx, const char *key, const struct json *value);
int json_each(const struct json *object, json_on_member *on_member, void *ctx);
/* The value itself. */
bool json_text(const struct json *value, struct slice *ret_text);
bool json_int(const struct json *value, int64_t *ret_value);

/* Writing: text, straight to where it goes, without white space. `key` is a member's name, of
 * letters and '_'; NULL for an element of an array, or for the whole value. A comma is put in where
 * one is due. Bytes that have to be are escaped; text that is no UTF-8 stays none. */
void json_open(struct buf *out, const char *key, char bracket); /* '{' or '[' */
void json_close(struct buf *out, char bracket);                 /* '}' or ']' */
void json_add_text(struct buf *out, const char *key, struct slice value);
void json_add_int(struct buf *out, const char *key, int64_t value);
void json_add_bool(struct buf *out, const char *key, bool value);
void json_add_null(struct buf *out, const char *key);
void json_quote(struct buf *out, struct slice text); /* with its quotes, and nothing before them */

#endif
