# SPDX-License-Identifier: Apache-2.0
"""Avro schemas by seed: valid ones, ones that are wrong somewhere, and pairs where one grew out of the other."""
import copy
import json

PRIMITIVES = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
LOGICAL = [("int", "date"), ("int", "time-millis"), ("long", "time-micros"), ("long", "timestamp-millis"),
           ("long", "timestamp-micros"), ("long", "timestamp-nanos"), ("long", "local-timestamp-millis"),
           ("string", "uuid"), ("bytes", "big-decimal"), ("int", "unheard-of"), ("string", "date")]
NAMES = ["A", "B", "C", "Point", "order", "_x", "Größe", "int2", "array", "T9"]
SPACES = ["a", "a.b", "com.example", "x_1.y"]
FIELDS = ["f", "g", "h", "id", "name", "value", "_hidden", "émile", "x1"]
SYMBOLS = ["RED", "GREEN", "BLUE", "_none", "S1", "Ä"]
TEXTS = ["", "plain", "with \"quotes\" and \\", "tab\tline\n\r\b\f", "\u0001\u001f\u007f", "ümlaut €", "\U0001f600",
         "</a>", "\u2028", "\u0000"]


class Maker:
    def __init__(self, random):
        self.random, self.known, self.later = random, [], []

    def some(self, chance):
        return self.random.random() < chance

    def value(self, depth=0):
        """Any JSON value, for properties."""
        pick = self.random.randrange(9 if depth < 3 else 6)
        if pick < 6:
            return [None, True, self.random.randrange(-2**40, 2**40),
                    self.random.choice([0.5, 1e10, -2.25, 1e-7, 123.0, 6.02e23]), self.random.choice(TEXTS), 2**62][pick]
        if pick < 8:
            return {self.random.choice(TEXTS + FIELDS): self.value(depth + 1) for _ in range(self.random.randrange(3))}
        return [self.value(depth + 1) for _ in range(self.random.randrange(3))]

    def properties(self, into, chance=0.15):
        while self.some(chance):
            into[self.random.choice(["custom", "precision", "connect.name", "b", "a", "é"])] = self.value()

    def primitive(self):
        if self.some(0.8):
            return self.random.choice(PRIMITIVES)
        made = {"type": self.random.choice(PRIMITIVES)}
        if self.some(0.6):
            made["type"], made["logicalType"] = self.random.choice(LOGICAL)
        elif self.some(0.3):
            made.update(type="bytes", logicalType="decimal", precision=self.random.choice([4, 0, 10, "x"]),
                        scale=self.random.choice([0, 2, 11]))
        self.properties(made, 0.3)
        return made

    def names(self, into, space):
        name = self.random.choice(NAMES)
        full = f"{space}.{name}" if space else name
        if self.some(0.3):
            space = self.random.choice(SPACES + [""])
            full = f"{space}.{name}" if space else name
            into["namespace"] = space
            if space and self.some(0.3):
                del into["namespace"]
                name = full
        elif self.some(0.05):
            into["namespace"] = self.random.choice(["1a", "a..b", "a.", None])
        if self.some(0.02):
            name = self.random.choice(["int", "", "9", "a b", "a.int", "x-y", "\U0001d54f", ".A"])
        if full in self.known and self.some(0.9):
            name = full = f"N{self.random.randrange(10**6)}"
            full = f"{space}.{name}" if space else name
        into["name"] = name
        if self.some(0.1):
            into["doc"] = self.random.choice(TEXTS + [5])
        if self.some(0.15):
            into["aliases"] = [self.random.choice(NAMES + ["a.Other", ".Bare", "com.example.A"])
                               for _ in range(self.random.randrange(1, 4))]
        return full, space

    def fixed(self, space):
        made = {"type": "fixed"}
        full, _ = self.names(made, space)
        made["size"] = self.random.choice([0, 1, 2, 4, 12, 16]) if self.some(0.97) else self.random.choice([-1, 2.0, "4", 2**31])
        if self.some(0.2):
            made.update(logicalType=self.random.choice(["decimal", "uuid", "duration"]), precision=self.random.choice([1, 4, 40]))
        self.properties(made)
        self.known.append(full)
        return made

    def enum(self, space):
        made = {"type": "enum"}
        full, _ = self.names(made, space)
        made["symbols"] = self.random.sample(SYMBOLS, self.random.randrange(1, len(SYMBOLS)))
        if self.some(0.02):
            made["symbols"].append(self.random.choice(["RED", "no-name", "", 3]))
        if self.some(0.3):
            made["default"] = self.random.choice(made["symbols"] + ["absent"] * self.some(0.1))
        self.properties(made)
        self.known.append(full)
        return made

    def default(self, kind, depth=0):
        """Mostly one that fits."""
        if self.some(0.06):
            return self.value()
        if isinstance(kind, list):
            return self.default(self.random.choice(kind), depth) if kind else None
        name = kind["type"] if isinstance(kind, dict) else kind
        if isinstance(kind, dict) and depth < 3:
            if name == "array":
                return [self.default(kind["items"], depth + 1) for _ in range(self.random.randrange(3))]
            if name == "map":
                return {key: self.default(kind["values"], depth + 1)
                        for key in self.random.sample(FIELDS, self.random.randrange(3))}
            if name in ("record", "error"):
                return {f["name"]: self.default(f["type"], depth + 1)
                        for f in kind["fields"] if "default" not in f or self.some(0.5)}
            if name == "enum":
                return self.random.choice(kind["symbols"])
        values = {"int": [0, -5, 2**31 - 1, 2**31], "long": [1, 2**40, 2**63], "bytes": ["", "\u00ff", "\u0000"],
                  "float": [1, 0.5, 3.25, "NaN", "-Infinity", "1e3"], "double": [1, 0.1, 1e300, "2.5d", -0.0],
                  "null": [None], "boolean": [True, False], "string": TEXTS}
        return self.random.choice(values.get(name, [{}]))

    def field(self, space, depth, name):
        made = {"name": name, "type": self.type(space, depth + 1)}
        if self.some(0.35):
            made["default"] = self.default(made["type"])
        if self.some(0.1):
            made["doc"] = self.random.choice(TEXTS)
        if self.some(0.15):
            made["order"] = self.random.choice(["ascending", "descending", "ignore", "IGNORE"] + ["up"] * self.some(0.1))
        if self.some(0.2):
            made["aliases"] = [self.random.choice(FIELDS + ["no name"]) for _ in range(self.random.randrange(1, 3))]
        self.properties(made)
        if self.some(0.2):
            made = dict(self.random.sample(sorted(made.items()), len(made)))
        return made

    def record(self, space, depth):
        made = {"type": "record" if self.some(0.95) else "error"}
        full, inner = self.names(made, space)
        self.known.append(full)
        names = self.random.sample(FIELDS, self.random.randrange(0, 6))
        if self.some(0.02):
            names.append(self.random.choice(["f", "9", "", "a.b"]))
        made["fields"] = [self.field(inner, depth, name) for name in names]
        self.properties(made)
        return made

    def reference(self, space):
        if self.known and self.some(0.97):
            full = self.random.choice(self.known)
            return full[len(space) + 1:] if space and full.startswith(space + ".") and "." not in full[len(space) + 1:] else full
        return self.random.choice(NAMES)

    def union(self, space, depth):
        kinds, made = set(), []
        for _ in range(self.random.randrange(0, 5)):
            branch = self.type(space, depth + 1, unions=self.some(0.01))
            name = branch if isinstance(branch, str) else branch["type"] if isinstance(branch, dict) else "union"
            if name in kinds and name not in ("record", "enum", "fixed") and self.some(0.95):
                continue
            kinds.add(name)
            made.append(branch)
        return made

    def type(self, space="", depth=0, unions=True):
        pick = self.random.random()
        if depth > 4 or pick < 0.3:
            return self.primitive()
        if pick < 0.42 and depth > 0:
            return self.reference(space)
        if pick < 0.5:
            return self.enum(space)
        if pick < 0.56:
            return self.fixed(space)
        if pick < 0.64 or (pick < 0.72 and not unions):
            made = {"type": "array", "items": self.type(space, depth + 1)}
            self.properties(made)
            return made
        if pick < 0.68:
            made = {"type": "map", "values": self.type(space, depth + 1)}
            self.properties(made)
            return made
        if pick < 0.8 and unions:
            return self.union(space, depth)
        return self.record(space, depth)


def places(schema):
    """(container, key) of every type in it."""
    if isinstance(schema, list):
        for i, branch in enumerate(schema):
            yield schema, i
            yield from places(branch)
    elif isinstance(schema, dict):
        for key in ("items", "values"):
            if key in schema:
                yield schema, key
                yield from places(schema[key])
        for field in schema.get("fields", []):
            if isinstance(field, dict) and "type" in field:
                yield field, "type"
                yield from places(field["type"])


def nodes(schema, kind):
    found = [schema] if isinstance(schema, dict) and schema.get("type") == kind else []
    return found + [box[key] for box, key in places(schema) if isinstance(box[key], dict) and box[key].get("type") == kind]


def change_record(random, maker, schema):
    records = nodes(schema, "record")
    if not records:
        return
    fields = random.choice(records)["fields"]
    pick = random.randrange(5)
    if pick == 0 and fields:
        fields.pop(random.randrange(len(fields)))
    elif pick == 1:
        fields.insert(random.randrange(len(fields) + 1), maker.field("", 3, f"new{random.randrange(9)}"))
    elif pick == 2 and fields:
        field = random.choice(fields)
        field["aliases"] = [field["name"]] + ([random.choice(FIELDS)] if random.random() < 0.2 else [])
        field["name"] = f"renamed{random.randrange(9)}"
    elif pick == 3:
        random.shuffle(fields)
    elif fields:
        random.choice(fields).pop("default", None)


def change_named(random, schema):
    found = [node for kind in ("record", "enum", "fixed") for node in nodes(schema, kind)]
    if not found:
        return
    node = random.choice(found)
    if node["type"] == "fixed" and random.random() < 0.6:
        node["size"] = random.choice([1, 2, 4, 16])
    elif node["type"] == "enum" and random.random() < 0.8:
        node["symbols"] = random.sample(SYMBOLS, random.randrange(1, len(SYMBOLS)))
        node.pop("default", None)
        if random.random() < 0.4:
            node["default"] = random.choice(node["symbols"])
    elif isinstance(node.get("name"), str):
        node["aliases"] = [node["name"], "a." + node["name"]][:random.randrange(3)]
        node["name"] = random.choice(NAMES)


def change_type(random, maker, schema):
    """A promotion, another type, a union around it or out of it; the root is changed by its caller."""
    found = list(places(schema))
    if not found:
        return
    box, key = random.choice(found)
    kind, pick = box[key], random.randrange(4)
    if pick == 0 and isinstance(kind, str):
        box[key] = random.choice(PRIMITIVES)
    elif pick == 1 and not isinstance(kind, list) and not isinstance(box, list):
        box[key] = random.choice([["null", kind], [kind, "string"], [kind]])
    elif pick == 2 and isinstance(kind, list) and kind:
        box[key] = random.choice([kind[:-1], kind[1:], kind[::-1], kind[0]])
    else:
        box[key] = maker.type("", 3)


def changed(random, maker, schema):
    made = copy.deepcopy(schema)
    for _ in range(random.randrange(1, 4)):
        pick = random.randrange(6)
        if pick < 2:
            change_record(random, maker, made)
        elif pick < 4:
            change_named(random, made)
        elif pick == 4:
            change_type(random, maker, made)
        elif not isinstance(made, list) and random.random() < 0.3:
            made = ["null", made]
    return made


def root(random):
    """What can go into a schema's root; records most of all."""
    maker = Maker(random)
    return maker, maker.record(random.choice(["", "", "a.b"]), 0) if random.random() < 0.8 else maker.type()


def torn(random, text):
    """Sometimes no JSON any more, or JSON in another spelling."""
    pick = random.random()
    if pick < 0.01:
        at = random.randrange(len(text))
        return text[:at] + random.choice(["", "\"", "}", "\\", "/* c */"]) + text[at + 1:]
    if pick < 0.03:
        return "/* comment */ " + text + "  \n" if random.random() < 0.8 else text + " // end"
    return text


def full_name(record, space):
    """(full name, namespace) as Java's Schema.Name has them."""
    name = record.get("name") if isinstance(record.get("name"), str) else ""
    own = record.get("namespace")
    space = own if isinstance(own, str) else space
    if "." in name:
        space, name = name.rsplit(".", 1)
    return f"{space}.{name}" if space else name, space


def inside_itself(schema, space="", around=()):
    """Whether a record holds another definition of its own name, which Avro 1.12.0 takes and forgets."""
    if isinstance(schema, list):
        return any(inside_itself(branch, space, around) for branch in schema)
    if not isinstance(schema, dict):
        return False
    if schema.get("type") in ("record", "error"):
        full, space = full_name(schema, space)
        if full in around:
            return True
        around = around + (full,)
    inner = [schema[key] for key in ("items", "values") if key in schema]
    inner += [field["type"] for field in schema.get("fields", [])]
    return any(inside_itself(one, space, around) for one in inner)


def question(random):
    while True:
        made, schemas = draw(random)
        if not any(inside_itself(one) for one in schemas):
            return made


def draw(random):
    """(question, the schemas in it)"""
    maker, reader = root(random)
    writer = changed(random, maker, reader) if random.random() < 0.85 else root(random)[1]
    made = {"reader": torn(random, json.dumps(reader, ensure_ascii=random.random() < 0.5)), "writer": json.dumps(writer)}
    schemas = [reader, writer]
    if random.random() < 0.15:
        other = Maker(random)
        ref = other.record(random.choice(["", "a.b"]), 0)
        made["refs"] = [json.dumps(ref)]
        schemas.append(ref)
        if other.known and random.random() < 0.9:
            used = random.choice(other.known)
            made["reader"] = json.dumps({"type": "record", "name": "Uses", "namespace": random.choice(["", "a.b", "q"]),
                                         "fields": [{"name": "r", "type": used}, {"name": "s", "type": ["null", used]}]})
    return made, schemas
