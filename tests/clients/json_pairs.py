# SPDX-License-Identifier: Apache-2.0
"""Random pairs of JSON schemas (draft 7) for json_schemas.py: a schema, and the same changed in one to three places."""
import copy
import json

TYPES = ["string", "integer", "number", "boolean", "null", "array", "object"]
NAMES = ["a", "b", "c", "S_1", "I_2", "x/y", "name with space"]
VALUES = ["red", "green", "blue", 1, 2, 2.5, None, True, [1], {"k": "v"}]
DRAFT = "http://json-schema.org/draft-07/schema#"


class Maker:
    """Draws schemas that everit's loader takes: each keyword with a value of its kind."""

    def __init__(self, random):
        self.random = random

    def some(self, chance):
        return self.random.random() < chance

    def string(self):
        made = {"type": "string"}
        if self.some(0.3):
            made["maxLength"] = self.random.randrange(5, 12)
        if self.some(0.3):
            made["minLength"] = self.random.randrange(5)
        if self.some(0.1):
            made["pattern"] = self.random.choice(["^a", "b$", "[0-9]+"])
        if self.some(0.1):
            made["format"] = self.random.choice(["date", "email"])
        return made

    def number(self, kind):
        made = {"type": kind}
        for keyword in ("maximum", "minimum", "exclusiveMinimum"):
            if self.some(0.2):
                made[keyword] = self.random.randrange(10) + (10 if keyword == "maximum" else 0)
        if self.some(0.15):
            made["multipleOf"] = self.random.choice([2, 3, 4, 6])
        return made

    def array(self, depth):
        made = {"type": "array"}
        if self.some(0.6):
            made["items"] = self.schema(depth + 1)
        elif self.some(0.7):
            made["items"] = [self.schema(depth + 1) for _ in range(self.random.randrange(1, 4))]
            if self.some(0.6):
                made["additionalItems"] = self.random.choice([True, False, self.schema(depth + 1)])
        for keyword in ("maxItems", "minItems"):
            if self.some(0.2):
                made[keyword] = self.random.randrange(4) + (4 if keyword == "maxItems" else 0)
        if self.some(0.2):
            made["uniqueItems"] = self.some(0.5)
        return made

    def object(self, depth):
        made = {"type": "object"}
        names = self.random.sample(NAMES, self.random.randrange(4))
        made["properties"] = {name: self.schema(depth + 1) for name in names}
        if self.some(0.4) and names:
            made["required"] = self.random.sample(names, self.random.randrange(1, len(names) + 1))
        if self.some(0.5):
            made["additionalProperties"] = self.random.choice([True, False, False, self.schema(depth + 1)])
        if self.some(0.15):
            made["patternProperties"] = {self.random.choice(["^S_", "^I_"]): self.schema(depth + 1)}
        if self.some(0.1):
            made["maxProperties"] = self.random.randrange(3, 6)
        if self.some(0.1):
            made["dependencies"] = {self.random.choice(NAMES): self.random.choice([["a"], ["a", "b"], self.schema(depth + 1)])}
        return made

    def choice(self, depth):
        branches = [self.schema(depth + 1) for _ in range(self.random.randrange(1, 4))]
        return {self.random.choice(["allOf", "anyOf", "oneOf"]): branches}

    def schema(self, depth=0):
        pick = self.random.random()
        if depth > 3 or pick < 0.35:
            kind = self.random.choice(TYPES[:5])
            made = self.number(kind) if kind in ("integer", "number") else self.string() if kind == "string" else {"type": kind}
        elif pick < 0.55:
            made = self.object(depth)
        elif pick < 0.67:
            made = self.array(depth)
        elif pick < 0.79:
            made = self.choice(depth)
        elif pick < 0.86:
            made = {"enum": self.random.sample(VALUES, self.random.randrange(1, 5))}
        elif pick < 0.9:
            made = {"type": self.random.sample(TYPES, self.random.randrange(1, 4))}
        elif pick < 0.93:
            made = {"not": self.schema(depth + 1)}
        elif pick < 0.96:
            made = {"$ref": "#/definitions/shared"}
        elif pick < 0.98:
            made = {"const": self.random.choice(VALUES[:5])}
        else:
            made = self.random.choice([True, {}, {"title": "t"}])
        if isinstance(made, dict) and "$ref" not in made and self.some(0.1):
            made[self.random.choice(["title", "description"])] = self.random.choice(["one", "two"])
        return made


def nodes(schema):
    """Every object that is a schema; what else looks like one does no harm."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from nodes(value)


def change_object(random, maker, node):
    properties = node.setdefault("properties", {})
    pick = random.randrange(5)
    if pick == 0 and properties:
        properties.pop(random.choice(sorted(properties)))
    elif pick == 1:
        properties[random.choice(NAMES)] = maker.schema(2)
    elif pick == 2 and properties:
        node["required"] = random.sample(sorted(properties), random.randrange(1, len(properties) + 1))
    elif pick == 3:
        node["additionalProperties"] = random.choice([True, False, maker.schema(3)])
    else:
        node.pop(random.choice(["required", "additionalProperties", "patternProperties", "dependencies"]), None)


def change_keyword(random, maker, node):
    found = [key for key in node if key in ("maxLength", "minLength", "maximum", "minimum", "multipleOf", "maxItems", "minItems",
                                            "exclusiveMinimum", "maxProperties")]
    if found:
        key = random.choice(found)
        node[key] = max(1, node[key] + random.choice([-2, -1, 1, 2]))
    elif "enum" in node:
        node["enum"] = random.sample(VALUES, random.randrange(1, 5))
    elif isinstance(node.get("items"), list):
        node["items"] = random.choice([node["items"][:-1] or [True], node["items"] + [maker.schema(3)]])


def change_choice(random, maker, node):
    for key in ("allOf", "anyOf", "oneOf"):
        if key in node:
            branches = node.pop(key)
            branches = random.choice([branches[:-1] or branches, branches + [maker.schema(3)], branches[::-1], branches])
            node[random.choice(["allOf", "anyOf", "oneOf", key, key])] = branches
            return


def replace(maker, node):
    node.clear()
    made = maker.schema(3)
    node.update(made if isinstance(made, dict) else {})


def changed(random, maker, schema):
    made = copy.deepcopy(schema)
    for _ in range(random.randrange(1, 4)):
        node = random.choice(list(nodes(made)))
        if node.get("type") == "object" and random.random() < 0.7:
            change_object(random, maker, node)
        elif any(key in node for key in ("allOf", "anyOf", "oneOf")):
            change_choice(random, maker, node)
        elif random.random() < 0.8:
            change_keyword(random, maker, node)
        elif node is not made and "type" in node and isinstance(node["type"], str):
            replace(maker, node)
    return made


def question(random):
    maker = Maker(random)
    drawn = maker.schema()
    writer = drawn if isinstance(drawn, dict) and "$ref" not in drawn else maker.object(0)
    writer["definitions"] = {"shared": maker.schema(2)}
    reader = changed(random, maker, writer)
    for one in (writer, reader):
        one["$schema"] = DRAFT
    return {"reader": json.dumps(reader), "writer": json.dumps(writer)}
