// SPDX-License-Identifier: Apache-2.0
// The codes of Confluent's comparison of JSON schemas (Difference.Type) in words of our own, and what would
// be accepted instead. A code is looked up by its whole name, else by how it ends.
#include "schema/jschema_words.h"

#include <stdbool.h>
#include <string.h>

static const struct {
    const char *code;
    struct wording wording;
} words[] = {
    {"SCHEMA_ADDED", {"at '%p' the %1 schema has a rule where the %2 schema has none", "leave the rule out"}},
    {"TYPE_CHANGED",
     {"the type at '%p' in the %1 schema is another one than in the %2 schema",
      "keep the type, or use anyOf with the old type as one of its branches"}},
    {"TYPE_NARROWED",
     {"'%p' is integer in the %1 schema and number in the %2 schema", "keep the type number"}},
    {"PATTERN_CHANGED",
     {"the pattern at '%p' in the %1 schema is another one than in the %2 schema",
      "keep the pattern, or leave it out"}},
    {"MULTIPLE_OF_EXPANDED",
     {"the number at '%p' in the %1 schema is a multiple of the one in the %2 schema",
      "keep the number, or use one that it is a multiple of"}},
    {"MULTIPLE_OF_CHANGED",
     {"the number at '%p' in the %1 schema does not divide the one in the %2 schema",
      "keep the number, or use one that it is a multiple of"}},
    {"ENUM_ARRAY_NARROWED",
     {"the values at '%p' in the %1 schema are fewer than in the %2 schema", "keep all values"}},
    {"ENUM_ARRAY_CHANGED",
     {"the values at '%p' in the %1 schema lack some of the %2 schema", "keep all values"}},
    {"REQUIRED_ATTRIBUTE_ADDED",
     {"the property at '%p' is required by the %1 schema and was not by the %2 schema",
      "leave the property optional, or give it a default"}},
    {"REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
     {"the property at '%p' is new and required in the %1 schema, data of the %2 schema lack it",
      "leave the property optional, or give it a default"}},
    {"OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
     {"the property at '%p' is new in the %1 schema, and data of the %2 schema, which allows any property, "
      "may have another value there",
      "close the older schema first (additionalProperties: false, or a schema that covers the property), "
      "give the property the schema true, or use FORWARD compatibility"}},
    {"REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
     {"the property at '%p' is new and required in the %1 schema, and data of the %2 schema, which allows "
      "any property, may lack it or have another value there",
      "leave the property optional and close the older schema first (additionalProperties: false, or a "
      "schema that covers the property)"}},
    {"REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL",
     {"the property at '%p' is new in the %1 schema, and data of the %2 schema, which allows any property, "
      "may have another value there",
      "close the older schema first (additionalProperties: false, or a schema that covers the property)"}},
    {"PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL",
     {"the property at '%p' of the %2 schema is gone in the %1 schema, which allows no other properties",
      "keep the property, or allow it by additionalProperties or a pattern"}},
    {"PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
     {"the property at '%p' of the %2 schema is gone in the %1 schema, whose rule for other properties does "
      "not take all of its values",
      "keep the property, or widen the rule for other properties"}},
    {"PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
     {"the property at '%p' is new in the %1 schema and does not take all values that the %2 schema's rule "
      "for other properties took there",
      "give the property a schema that takes them all"}},
    {"ITEM_ADDED_TO_OPEN_CONTENT_MODEL",
     {"the item at '%p' is new in the %1 schema, and the %2 schema, which allows any item, may have another "
      "value there",
      "close the older array first (additionalItems: false), or give the item the schema true"}},
    {"ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL",
     {"the item at '%p' of the %2 schema is gone in the %1 schema, which allows no other items",
      "keep the item, or allow further items"}},
    {"ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
     {"the item at '%p' of the %2 schema is gone in the %1 schema, whose rule for further items does not "
      "take all of its values",
      "keep the item, or widen the rule for further items"}},
    {"ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
     {"the item at '%p' is new in the %1 schema and does not take all values that the %2 schema's rule for "
      "further items took there",
      "give the item a schema that takes them all"}},
    {"DEPENDENCY_ARRAY_EXTENDED",
     {"the property at '%p' needs more others in the %1 schema than in the %2 schema",
      "leave the new names out"}},
    {"DEPENDENCY_ARRAY_CHANGED",
     {"the property at '%p' needs other ones in the %1 schema than in the %2 schema",
      "leave the new names out"}},
    {"COMBINED_TYPE_CHANGED",
     {"the branches at '%p' are combined otherwise in the %1 schema than in the %2 schema",
      "keep oneOf or allOf, or change it to anyOf"}},
    {"COMBINED_TYPE_SUBSCHEMAS_CHANGED",
     {"at '%p' not every branch has one of its own in the %1 schema that takes all values of one of the %2 "
      "schema",
      "change each branch only as it could be changed alone"}},
    {"PRODUCT_TYPE_EXTENDED",
     {"at '%p' the %1 schema asks for more at once than the %2 schema", "leave the new branch of allOf out"}},
    {"SUM_TYPE_NARROWED",
     {"at '%p' the %1 schema offers fewer branches than the %2 schema", "keep all branches"}},
    {"NOT_TYPE_EXTENDED",
     {"the %1 schema excludes more at '%p' than the %2 schema", "exclude no more than before"}},
    {"_NARROWED",
     {"the rule at '%p' in the %1 schema is new, the %2 schema allows anything there",
      "leave the rule out, or allow anything"}},
    {"_REMOVED",
     {"the %1 schema allows nothing at '%p', the %2 schema does", "allow there what was allowed before"}},
    {"_ADDED", {"the rule at '%p' in the %1 schema is not in the %2 schema", "leave the rule out"}},
    {"_INCREASED",
     {"the bound at '%p' is higher in the %1 schema than in the %2 schema", "keep the bound or lower it"}},
    {"_DECREASED",
     {"the bound at '%p' is lower in the %1 schema than in the %2 schema", "keep the bound or raise it"}},
};

struct wording jschema_wording(const char *code)
{
    size_t len = strlen(code);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t own = strlen(words[i].code);
        bool ending = words[i].code[0] == '_' && len > own && strcmp(code + len - own, words[i].code) == 0;
        if (ending || strcmp(code, words[i].code) == 0)
            return words[i].wording;
    }
    return (struct wording){.text = NULL, .remedy = ""};
}
